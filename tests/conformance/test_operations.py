"""Operations: terminology (R4 section 4.6) and a patient's whole record."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from tests.conformance.peer import Peer, patient, unique

GENDER = "http://hl7.org/fhir/administrative-gender"
GENDERS = "http://hl7.org/fhir/ValueSet/administrative-gender"


def asked(peer: Peer, operation: str, **inputs: str) -> dict[str, Any]:
    """The Parameters that an operation answers, by name; of what repeats the first."""
    answer = peer.get(f"{operation}?{urlencode(inputs)}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = {}
    for parameter in answer.json()["parameter"]:
        value = next((value for key, value in parameter.items() if key != "name"), None)
        found.setdefault(parameter["name"], value)
    return found


def test_expand_of_administrative_gender_has_four_codes(peer: Peer) -> None:
    answer = peer.get(f"ValueSet/$expand?{urlencode({'url': GENDERS})}").json()
    codes = {each["code"] for each in answer["expansion"]["contains"]}
    assert codes == {"male", "female", "other", "unknown"}


def test_validate_code_in_a_value_set(peer: Peer) -> None:
    right = asked(peer, "ValueSet/$validate-code", url=GENDERS, system=GENDER, code="female")
    wrong = asked(peer, "ValueSet/$validate-code", url=GENDERS, system=GENDER, code="foo")
    assert (right["result"], wrong["result"]) == (True, False)


def test_lookup(peer: Peer) -> None:
    assert asked(peer, "CodeSystem/$lookup", system=GENDER, code="female")["display"] == "Female"


def test_subsumes(peer: Peer) -> None:
    found = asked(peer, "CodeSystem/$subsumes", system=GENDER, codeA="female", codeB="female")
    assert found["outcome"] == "equivalent"


def test_translate_with_an_own_concept_map(peer: Peer) -> None:
    url = f"http://example.org/ConceptMap/{unique()}"
    target = {"code": "F", "equivalence": "equal"}
    group = {"source": GENDER, "target": "urn:letters", "element": [{"code": "female", "target": [target]}]}
    peer.created({"resourceType": "ConceptMap", "url": url, "status": "active", "group": [group]})
    assert asked(peer, "ConceptMap/$translate", url=url, system=GENDER, code="female")["result"] is True
    assert asked(peer, "ConceptMap/$translate", url=url, system=GENDER, code="male")["result"] is False


def test_everything_of_a_patient(peer: Peer) -> None:
    clinic = peer.created({"resourceType": "Organization", "name": "Clinic"})["id"]
    someone = peer.created(patient(managingOrganization={"reference": f"Organization/{clinic}"}))["id"]
    about = {"subject": {"reference": f"Patient/{someone}"}}
    condition = peer.created({"resourceType": "Condition", "code": {"text": "pain"}, **about})["id"]
    answer = peer.get(f"Patient/{someone}/$everything")
    assert answer.status_code == 200
    assert {each["resource"]["id"] for each in answer.json()["entry"]} == {someone, clinic, condition}
