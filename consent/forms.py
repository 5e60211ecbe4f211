"""The Consent that the patient's sharing page files, its withdrawal, and the same in plain words (product S9)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from consent.times import written
from consent.vocabulary import ACT_CODE, ACT_REASON, HOME, SHARING_CATEGORY, SHARING_POLICY
from consent.wording import CURRENT, NoWording, Wording

TEXT_EXTENSION = f"{HOME}/fhir/StructureDefinition/consent-text"
WITHDRAWN_EXTENSION = f"{HOME}/fhir/StructureDefinition/consent-withdrawn"

Consent = dict[str, Any]

_PAGE_ELEMENTS = {"id", "type", "period", "actor", "action", "purpose", "class", "provision"}


@dataclass(frozen=True, slots=True)
class Choice:
    """
    What the patient chose on the sharing page.

    recipient       reference of the one who receives, as `Organization/id`; recipient_name as the patient reads it
    categories      codes of categories.csv, purposes of purposes.csv, one tick for each
    start, end      the days it holds, both inclusive, as FHIR dates
    actions         access, collect, disclose
    withheld        sensitivity labels that are left out in spite of the categories
    """

    recipient: str
    recipient_name: str
    categories: Sequence[str]
    purposes: Sequence[str]
    start: str
    end: str
    actions: Sequence[str] = ("access",)
    withheld: Sequence[str] = ()


def statement(choice: Choice, text_version: str, language: str) -> str:
    """The exact text that the patient agrees to; raises NoWording for a choice that it cannot name."""
    wording = Wording(text_version, language)
    withheld = wording.text("withheld", labels=wording.listed("label", choice.withheld))
    return wording.text(
        "statement",
        recipient=choice.recipient_name,
        actions=wording.listed("action", choice.actions),
        categories=wording.listed("category", choice.categories),
        purposes=wording.listed("purpose", choice.purposes),
        start=choice.start,
        end=choice.end,
        withheld=withheld if choice.withheld else "",
    )


def sharing_consent(
    patient: str, choice: Choice, *, text_version: str = CURRENT, language: str, now_us: int
) -> Consent:
    """
    The R4 Consent for a choice, with the text that was agreed to as its source.

    patient   reference of the patient, who is also the one that consents
    now_us    the time of the act, microseconds since 1970 UTC
    raises    NoWording for a language, a version or a choice without approved text
    """
    text = statement(choice, text_version, language).encode()
    return {
        "resourceType": "Consent",
        "language": language,
        "extension": [_text_extension(text_version, text)],
        "status": "active",
        "scope": _concept("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
        "category": [_concept("http://loinc.org", "59284-0")],
        "patient": {"reference": patient},
        "dateTime": written(now_us),
        "performer": [{"reference": patient}],
        "sourceAttachment": _attachment(text, choice, text_version, language),
        "policy": [{"uri": SHARING_POLICY}],
        "provision": _provision(choice),
    }


def withdrawn(consent: Mapping[str, Any], now_us: int) -> Consent:
    """The next version of a Consent: inactive, with the time of withdrawal; everything else stays as proof."""
    mark = {"url": WITHDRAWN_EXTENSION, "valueDateTime": written(now_us)}
    extensions = [*consent.get("extension", ()), mark]
    return {**consent, "extension": extensions, "status": "inactive"}


def describe(consent: Mapping[str, Any], language: str) -> str:
    """A Consent of the sharing page in plain words; raises NoWording where it says more than that page can."""
    wording = Wording(text_version(consent), language)
    root = consent["provision"]
    if not _is_of_the_page(root):
        raise NoWording("this consent was not made on the sharing page and has no plain words")
    names = [actor["reference"].get("display", actor["reference"]["reference"]) for actor in root["actor"]]
    recipient = ", ".join(names)
    actions = [concept["coding"][0]["code"] for concept in root.get("action", ())] or ["access"]
    listed_actions = wording.listed("action", actions)
    if is_withdrawn(consent):
        return wording.text("withdrawn", recipient=recipient, actions=listed_actions)
    if consent["status"] != "active":
        return wording.text("inactive", status=consent["status"])
    labels = [label["code"] for nested in root.get("provision", ()) for label in nested.get("securityLabel", ())]
    withheld = wording.text("given.withheld", labels=wording.listed("label", labels)) if labels else ""
    period = root.get("period", {})
    return wording.text(
        "given",
        recipient=recipient,
        actions=listed_actions,
        categories=wording.listed("category", _codes(root.get("class", ()))),
        purposes=wording.listed("purpose", _codes(root.get("purpose", ())) or ["TREAT"]),
        start=period.get("start", wording.text("open.start")),
        end=period.get("end", wording.text("open.end")),
        withheld=withheld,
    ).strip()


def text_version(consent: Mapping[str, Any]) -> str:
    """The version of the wording that was agreed to; the current one where the Consent came from elsewhere."""
    for extension in consent.get("extension", ()):
        if extension.get("url") == TEXT_EXTENSION:
            return str(extension["extension"][0]["valueString"])
    return CURRENT


def is_withdrawn(consent: Mapping[str, Any]) -> bool:
    return any(each.get("url") == WITHDRAWN_EXTENSION for each in consent.get("extension", ()))


def _is_of_the_page(root: Mapping[str, Any]) -> bool:
    """Whether the rule says only what the page can say: an element left out of the words would mislead."""
    nested = root.get("provision", ())
    return (
        root.get("type") == "permit"
        and bool(root.get("class"))
        and root.keys() <= _PAGE_ELEMENTS
        and all(each.keys() == {"type", "securityLabel"} for each in nested)
    )


def _provision(choice: Choice) -> dict[str, Any]:
    recipient = {"reference": choice.recipient, "display": choice.recipient_name}
    role = _concept("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "IRCP")
    provision: dict[str, Any] = {
        "type": "permit",
        "period": {"start": choice.start, "end": choice.end},
        "actor": [{"role": role, "reference": recipient}],
        "action": [_concept("http://terminology.hl7.org/CodeSystem/consentaction", code) for code in choice.actions],
        "purpose": [{"system": ACT_REASON, "code": code} for code in choice.purposes],
        "class": [{"system": SHARING_CATEGORY, "code": code} for code in choice.categories],
    }
    if choice.withheld:
        labels = [{"system": ACT_CODE, "code": code} for code in choice.withheld]
        provision["provision"] = [{"type": "deny", "securityLabel": labels}]
    return provision


def _text_extension(version: str, text: bytes) -> dict[str, Any]:
    return {
        "url": TEXT_EXTENSION,
        "extension": [
            {"url": "version", "valueString": version},
            {"url": "sha256", "valueString": hashlib.sha256(text).hexdigest()},
        ],
    }


def _attachment(text: bytes, choice: Choice, version: str, language: str) -> dict[str, Any]:
    # R4 fixes Attachment.hash to SHA-1; the hash that proves the text is the SHA-256 in the extension.
    sha1 = hashlib.sha1(text, usedforsecurity=False).digest()
    return {
        "contentType": "text/plain; charset=utf-8",
        "language": language,
        "data": base64.b64encode(text).decode(),
        "size": len(text),
        "hash": base64.b64encode(sha1).decode(),
        "title": Wording(version, language).text("title", recipient=choice.recipient_name),
    }


def _concept(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def _codes(codings: Sequence[Mapping[str, Any]]) -> list[str]:
    return [str(coding["code"]) for coding in codings]
