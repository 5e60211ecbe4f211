"""Small readings of FHIR resources that several pages need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from mappings.demographics import NHS_NUMBER_SYSTEM

JSON = dict[str, Any]

SYNTHETIC_SYSTEM = "https://backbridge.example/tags"
SYNTHETIC = "synthetic"


@dataclass(frozen=True, slots=True)
class PersonView:
    """A patient as pages show them; born is None where only a year or nothing is known."""

    id: str
    name: str
    given: str
    born: date | None
    nhs_number: str
    is_synthetic: bool

    @property
    def reference(self) -> str:
        return f"Patient/{self.id}"


def person(patient: JSON) -> PersonView:
    """The view of a Patient."""
    name = _name(patient)
    return PersonView(
        id=patient["id"],
        name=display_name(name),
        given=next(iter(name.get("given", ())), "") or display_name(name),
        born=_whole_date(patient.get("birthDate", "")),
        nhs_number=next(iter(_identifiers(patient, NHS_NUMBER_SYSTEM)), ""),
        is_synthetic=is_synthetic(patient),
    )


def display_name(name: JSON) -> str:
    """A HumanName in one line; empty when it says nothing."""
    if name.get("text"):
        return str(name["text"])
    return " ".join([*name.get("given", ()), *([name["family"]] if "family" in name else [])])


def is_synthetic(resource: JSON) -> bool:
    """Whether the resource is tagged as invented."""
    tags = resource.get("meta", {}).get("tag", ())
    return any(tag.get("system") == SYNTHETIC_SYSTEM and tag.get("code") == SYNTHETIC for tag in tags)


def labelled_like(source: JSON, resource: JSON) -> JSON:
    """The resource, tagged as invented where its source is."""
    if not is_synthetic(source):
        return resource
    tag = {"system": SYNTHETIC_SYSTEM, "code": SYNTHETIC}
    return {**resource, "meta": {"tag": [tag]}}


def codes(concept: JSON, system: str) -> list[str]:
    """The codes of one system in a CodeableConcept."""
    return [c["code"] for c in concept.get("coding", ()) if c.get("system") == system and "code" in c]


def subject_id(resource: JSON) -> str:
    """The logical id of the patient whom a resource is about; empty when it names none here."""
    reference = str((resource.get("subject") or resource.get("patient") or {}).get("reference", ""))
    kind, _, logical_id = reference.partition("/")
    return logical_id if kind == "Patient" else ""


def _name(patient: JSON) -> JSON:
    names: list[JSON] = patient.get("name", [])
    usual = next((each for each in names if each.get("use") in ("usual", "official")), None)
    return usual or next(iter(names), {})


def _identifiers(patient: JSON, system: str) -> Iterator[str]:
    for identifier in patient.get("identifier", ()):
        if identifier.get("system") == system and identifier.get("value"):
            yield str(identifier["value"])


def _whole_date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
