"""The truth table of architecture rule 5, cell by cell, by the oracle and by the rows; docs print the same file."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from consent import forms, standing
from consent.decide import Relationship, decide
from consent.probe import decide_rows
from consent.requests import Request, ResourceFacts, resource_facts
from consent.vocabulary import PURPOSES, Action
from gateway.r4.identity import key_of
from tests.consent.worlds import compile_consent, hash_token, key, microseconds, type_id

TABLE = Path(__file__).with_name("truth_table.csv")
DOCUMENT = Path(__file__).parents[2] / "docs" / "consent-semantics.md"
with TABLE.open(newline="") as _file:
    ROWS = list(csv.DictReader(_file))
WHAT = [column for column in ROWS[0] if column not in ("who", "why")]

NOW = microseconds("2026-03-02")
PATIENT, OTHER_PATIENT = key("Patient/a"), key("Patient/b")
CLINIC, OTHER_CLINIC, ENGINE = key("Organization/org1"), key("Organization/org2"), key("Device/engine")
SUBJECT = {"subject": {"reference": "Patient/a"}}
ANSWERS = {"resourceType": "QuestionnaireResponse", **SUBJECT}
OBSERVATION = {"resourceType": "Observation", **SUBJECT}
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"

RESOURCES: dict[str, tuple[dict[str, Any], int]] = {
    "demographics": ({"resourceType": "Patient", "id": "a"}, OTHER_CLINIC),
    "demographics it wrote": ({"resourceType": "Patient", "id": "a"}, CLINIC),
    "own record": ({"resourceType": "Condition", **SUBJECT}, CLINIC),
    "others' record": ({"resourceType": "Condition", **SUBJECT}, OTHER_CLINIC),
    "prom": (ANSWERS, 0),
    "mood prom": (ANSWERS | {"questionnaire": "https://backbridge.example/fhir/Questionnaire/phq-8"}, 0),
    "prem": (ANSWERS | {"questionnaire": "https://backbridge.example/fhir/Questionnaire/prem-1"}, 0),
    "sensor": (OBSERVATION | {"category": [{"coding": [{"system": CATEGORY, "code": "activity"}]}]}, 0),
    "plan": ({"resourceType": "CarePlan", **SUBJECT}, CLINIC),
    "consent": ({"resourceType": "Consent", "patient": {"reference": "Patient/a"}}, 0),
    "consent it filed": ({"resourceType": "Consent", "patient": {"reference": "Patient/a"}}, CLINIC),
    "mixed": ({"resourceType": "Bundle", "entry": [{"resource": OBSERVATION}]}, CLINIC),
    "open": ({"resourceType": "Questionnaire"}, 0),
}
CHOICE = forms.Choice("Organization/org1", "Clinic", ("prom", "sensor", "plan"), ("TREAT",), "2026-01-01", "2027-01-01")
CONSENT = forms.sharing_consent("Patient/a", CHOICE, language="en", now_us=NOW)
EXCEPT_MOOD = forms.sharing_consent("Patient/a", replace(CHOICE, withheld=("PSY",)), language="en", now_us=NOW)
EVERYTHING = CONSENT | {"provision": {**CONSENT["provision"]}}
del EVERYTHING["provision"]["class"]
OPT_OUT = CONSENT | {"provision": {"type": "deny"}}
WITHDRAWN = forms.withdrawn(CONSENT, NOW)
CARE = Relationship(CLINIC, PATIENT, NOW, NOW + 1)
ENDED = Relationship(CLINIC, PATIENT, NOW - 1, NOW)


@dataclass(frozen=True)
class Case:
    """Who asks, and what of consents, relationships and restriction there is."""

    actor: int = CLINIC
    consents: tuple[dict[str, Any], ...] = ()
    relationships: tuple[Relationship, ...] = ()
    purpose: str = "TREAT"
    is_patient: bool = False
    is_restricted: bool = False
    engines: tuple[tuple[int, int], ...] = ()


ITSELF = Case(PATIENT, purpose="PATRQT", is_patient=True)
BOTH = Case(consents=(CONSENT,), relationships=(CARE,))
CASES = {
    "the patient": ITSELF,
    "another patient": replace(ITSELF, actor=OTHER_PATIENT),
    "organisation without relationship or consent": Case(),
    "organisation with relationship": Case(relationships=(CARE,)),
    "organisation whose relationship ended": Case(relationships=(ENDED,)),
    "organisation with consent for prom, sensor and plan": Case(consents=(CONSENT,)),
    "organisation with relationship and consent": BOTH,
    "organisation with relationship, consent withdrawn": replace(BOTH, consents=(WITHDRAWN,)),
    "organisation without relationship, consent withdrawn": Case(consents=(WITHDRAWN,)),
    "organisation with relationship, consent except mood": replace(BOTH, consents=(EXCEPT_MOOD,)),
    "organisation with consent for everything": Case(consents=(EVERYTHING,)),
    "organisation with relationship and consent, patient opted out": replace(BOTH, consents=(CONSENT, OPT_OUT)),
    "organisation with relationship and consent, for research": replace(BOTH, purpose="HRESCH"),
    "organisation with relationship and consent, under restriction": replace(BOTH, is_restricted=True),
    "the patient, under restriction": replace(ITSELF, is_restricted=True),
    "the patient, who opted out": replace(ITSELF, consents=(OPT_OUT,)),
    "the plan engine of the patient": Case(ENGINE, engines=((PATIENT, ENGINE),)),
}


def facts(what: str) -> ResourceFacts:
    resource, author = RESOURCES[what]
    return resource_facts({"id": "1", **resource}, key_of=key_of, author=author, first_updated_us=NOW)


def asked(case: Case, action: Action) -> Request:
    subject = case.actor if case.is_patient else None
    return Request(frozenset((case.actor,)), PURPOSES[case.purpose], action, NOW, subject)


def by_oracle(case: Case, action: Action, what: str) -> bool:
    restricted = {PATIENT} if case.is_restricted else set()
    return decide(
        asked(case, action),
        facts(what),
        case.consents,
        case.relationships,
        restricted,
        case.engines,
        key_of=key_of,
    ).permit


def by_rows(case: Case, action: Action, what: str) -> bool:
    compiled = [compile_consent(each) for each in case.consents]
    grants = [row for each in compiled for row in each.grants]
    denies = [row for each in compiled for row in each.denies]
    grants += standing.self_grants(PATIENT) + standing.self_grants(OTHER_PATIENT)
    for each in case.relationships:
        grants += standing.relationship_grants(each.organization, each.patient, each.valid_from, each.valid_to)
    for patient, device in case.engines:
        grants += standing.engine_grants(patient, device)
    if case.is_restricted:
        denies += standing.restriction_denies(PATIENT)
    return decide_rows(asked(case, action), facts(what), grants, denies, type_id=type_id, hash_token=hash_token).permit


@pytest.mark.parametrize("evaluate", [by_oracle, by_rows], ids=["oracle", "rows"])
@pytest.mark.parametrize("row", ROWS, ids=[row["who"] for row in ROWS])
def test_truth_table(row: dict[str, str], evaluate: Any) -> None:
    case = CASES[row["who"]]
    for what in WHAT:
        letters = [
            letter for letter, action in (("r", Action.READ), ("w", Action.WRITE)) if evaluate(case, action, what)
        ]
        assert ("".join(letters) or "-") == row[what], what


def test_every_case_is_a_row_of_the_table() -> None:
    assert CASES.keys() == {row["who"] for row in ROWS}


def test_the_documentation_prints_this_table() -> None:
    lines = [f"| {' | '.join(row.values())} |" for row in ROWS]
    assert "\n".join(lines) in DOCUMENT.read_text()
