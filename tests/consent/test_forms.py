"""The consent that the sharing page files, in FHIR and in words, and the receipt the patient keeps."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent import forms, receipts
from consent.decide import decide
from consent.requests import Request, resource_facts
from consent.vocabulary import CATEGORIES, PURPOSES, SHAREABLE, Action, bits
from consent.wording import NoWording, languages
from gateway.r4.identity import key_of
from tests.consent.worlds import compile_consent, key, microseconds

NOW = microseconds("2026-03-02")
CHOICE = forms.Choice(
    recipient="Organization/org1",
    recipient_name="Harbour Physiotherapy",
    categories=("prom", "plan"),
    purposes=("TREAT",),
    start="2026-03-01",
    end="2027-02-28",
)


def filed(choice: forms.Choice = CHOICE, language: str = "en") -> dict[str, Any]:
    return forms.sharing_consent("Patient/a", choice, language=language, now_us=NOW)


def reads(consent: dict[str, Any], resource: dict[str, Any], purpose: str = "TREAT") -> bool:
    facts = resource_facts(resource | {"id": "1"}, key_of=key_of, author=0, first_updated_us=NOW)
    asked = Request(frozenset((key("Organization/org1"),)), PURPOSES[purpose], Action.READ, NOW)
    return decide(asked, facts, [consent], key_of=key_of).permit


def answers(name: str) -> dict[str, Any]:
    questionnaire = f"https://backbridge.example/fhir/Questionnaire/{name}"
    subject = {"reference": "Patient/a"}
    return {"resourceType": "QuestionnaireResponse", "questionnaire": questionnaire, "subject": subject}


def test_what_is_ticked_is_shared_and_nothing_else() -> None:
    consent = filed()
    assert reads(consent, answers("rmdq-24"))
    assert reads(consent, {"resourceType": "CarePlan", "subject": {"reference": "Patient/a"}})
    assert not reads(consent, {"resourceType": "Patient", "id": "a"})
    assert not reads(consent, answers("rmdq-24"), purpose="HRESCH")


def test_what_is_withheld_is_not_shared_although_its_category_is() -> None:
    consent = filed(replace(CHOICE, withheld=("PSY",)))
    assert reads(consent, answers("rmdq-24"))
    assert not reads(consent, answers("phq-8"))


def test_withdrawal_ends_it_and_keeps_the_proof() -> None:
    consent = filed()
    ended = forms.withdrawn(consent, NOW)
    assert not reads(ended, answers("rmdq-24"))
    assert compile_consent(ended).grants == []
    assert ended["sourceAttachment"] == consent["sourceAttachment"]
    assert consent["status"] == "active"


@settings(max_examples=60, deadline=None)
@given(
    st.sets(st.sampled_from(SHAREABLE), min_size=1),
    st.sets(st.sampled_from(sorted(PURPOSES)), min_size=1),
    st.sets(st.sampled_from(["PSY", "SUD", "SEX"])),
    st.sampled_from(languages()),
)
def test_every_choice_compiles_and_can_be_told(
    categories: set[str], purposes: set[str], withheld: set[str], language: str
) -> None:
    choice = replace(CHOICE, categories=sorted(categories), purposes=sorted(purposes), withheld=sorted(withheld))
    consent = filed(choice, language)
    grants = compile_consent(consent).grants
    assert {row.categories for row in grants} == {bits(CATEGORIES[each] for each in categories)}
    assert "Harbour Physiotherapy" in forms.describe(consent, language)


def test_the_text_agreed_to_is_kept_with_its_hashes() -> None:
    consent = filed()
    text = base64.b64decode(consent["sourceAttachment"]["data"])
    assert text.decode() == forms.statement(CHOICE, "1", "en")
    assert base64.b64decode(consent["sourceAttachment"]["hash"]) == hashlib.sha1(text).digest()
    [told] = consent["extension"]
    assert {"url": "sha256", "valueString": hashlib.sha256(text).hexdigest()} in told["extension"]
    assert {"url": "version", "valueString": "1"} in told["extension"]


def test_the_words_name_recipient_data_purpose_time_and_what_is_left_out() -> None:
    words = forms.describe(filed(replace(CHOICE, withheld=("PSY",))), "en")
    assert words == (
        "You let Harbour Physiotherapy see: my answers about my health and the scores made from them and my plan"
        " and what it rests on. For: treating me. From 2026-03-01 until 2027-02-28. Not shared: answers and notes"
        " about mood and mental health."
    )


def test_a_withdrawn_consent_says_so() -> None:
    words = forms.describe(forms.withdrawn(filed(), NOW), "en")
    assert words.startswith("This is withdrawn: Harbour Physiotherapy can no longer see")


@pytest.mark.parametrize(
    "change",
    [
        {"dataPeriod": {"end": "2026-01-01"}},
        {"provision": [{"type": "deny", "actor": []}]},
        {"type": "deny"},
        {"class": [{"system": "http://hl7.org/fhir/resource-types", "code": "Observation"}]},
    ],
)
def test_a_consent_that_says_more_than_the_page_is_not_put_in_misleading_words(change: dict[str, Any]) -> None:
    consent = filed()
    consent["provision"] |= change
    with pytest.raises(NoWording):
        forms.describe(consent, "en")


@pytest.mark.parametrize(("version", "language"), [("1", "xx"), ("0", "en")])
def test_there_is_no_consent_without_a_text(version: str, language: str) -> None:
    with pytest.raises(NoWording):
        forms.sharing_consent("Patient/a", CHOICE, text_version=version, language=language, now_us=NOW)


def test_a_recipient_with_braces_in_its_name_changes_no_text() -> None:
    consent = filed(replace(CHOICE, recipient_name="{categories} & Sons"))
    assert "{categories} & Sons" in forms.describe(consent, "en")


# Receipts


def test_a_receipt_belongs_to_one_version_of_one_consent() -> None:
    consent = filed()
    kept = receipts.receipt(consent, "en")
    stored = consent | {"id": "1", "meta": {"versionId": "1"}}
    assert receipts.is_receipt_of(kept, stored)
    assert not receipts.is_receipt_of(kept, forms.withdrawn(stored, NOW))
    assert not receipts.is_receipt_of(kept, filed(replace(CHOICE, end="2030-01-01")))


def test_a_receipt_says_in_words_what_was_agreed_and_when() -> None:
    kept = receipts.receipt(filed(), "en")
    assert kept["agreed_text"] == forms.statement(CHOICE, "1", "en")
    assert kept["recipients"] == ["Organization/org1"]
    assert kept["given"] == "2026-03-02T00:00:00.000000Z"
    assert kept["summary"] == forms.describe(filed(), "en")
