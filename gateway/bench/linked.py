"""Nine resources that refer to each other, for the cycle of create, read, update and delete."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.bench.corpus import LABEL, LOINC, MADE_UP, Resource, coded, patient, repeatable

TYPES = (
    "Patient",
    "Location",
    "Organization",
    "Practitioner",
    "Encounter",
    "Observation",
    "MedicationRequest",
    "Claim",
    "ExplanationOfBenefit",
)
"""In the order in which they are created; each refers only to those before it."""

_USE = "http://terminology.hl7.org/CodeSystem"


def linked(name: str, run: str, number: int, made: Mapping[str, str]) -> Resource:
    """One resource of the cycle; `made` has the references of those before it."""
    if name == "Patient":
        return patient(run, 2_000_000 + number)
    resource: Resource = {"resourceType": name, "meta": LABEL}
    return {**resource, **_CONTENT[name](number, made)}


def _to(made: Mapping[str, str], name: str) -> Resource:
    return {"reference": made.get(name, f"{name}/absent")}


def _location(number: int, made: Mapping[str, str]) -> Resource:
    return {"status": "active", "name": f"Ward {number}", "mode": "instance"}


def _organization(number: int, made: Mapping[str, str]) -> Resource:
    return {"active": True, "name": f"Invented Clinic {number}"}


def _practitioner(number: int, made: Mapping[str, str]) -> Resource:
    return {"active": True, "name": [{"family": f"Moor{number}", "given": ["Alex"]}]}


def _encounter(number: int, made: Mapping[str, str]) -> Resource:
    return {
        "status": "finished",
        "class": {"system": f"{_USE}/v3-ActCode", "code": "AMB"},
        "subject": _to(made, "Patient"),
        "participant": [{"individual": _to(made, "Practitioner")}],
        "period": {"start": "2024-03-01T09:00:00Z", "end": "2024-03-01T09:20:00Z"},
        "location": [{"location": _to(made, "Location")}],
        "serviceProvider": _to(made, "Organization"),
    }


def _observation(number: int, made: Mapping[str, str]) -> Resource:
    return {
        "status": "final",
        "category": [coded(f"{_USE}/observation-category", "vital-signs")],
        "code": coded(LOINC, "29463-7"),
        "subject": _to(made, "Patient"),
        "encounter": _to(made, "Encounter"),
        "effectiveDateTime": "2024-03-01T09:10:00Z",
        "valueQuantity": {
            "value": repeatable(number).randrange(400, 1200) / 10,
            "unit": "kg",
            "system": "http://unitsofmeasure.org",
            "code": "kg",
        },
    }


def _medication_request(number: int, made: Mapping[str, str]) -> Resource:
    return {
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": coded(MADE_UP, f"c{number % 40}"),
        "subject": _to(made, "Patient"),
        "encounter": _to(made, "Encounter"),
        "authoredOn": "2024-03-01T09:15:00Z",
        "requester": _to(made, "Practitioner"),
    }


def _claim(number: int, made: Mapping[str, str]) -> Resource:
    return {
        "status": "active",
        "type": coded(f"{_USE}/claim-type", "institutional"),
        "use": "claim",
        "patient": _to(made, "Patient"),
        "created": "2024-03-01",
        "provider": _to(made, "Organization"),
        "priority": coded(f"{_USE}/processpriority", "normal"),
        "insurance": [{"sequence": 1, "focal": True, "coverage": {"display": "an invented insurer"}}],
        "item": [{"sequence": 1, "productOrService": coded(MADE_UP, "visit"), "encounter": [_to(made, "Encounter")]}],
        "total": {"value": 120.5, "currency": "GBP"},
    }


def _explanation(number: int, made: Mapping[str, str]) -> Resource:
    return {
        "status": "active",
        "type": coded(f"{_USE}/claim-type", "institutional"),
        "use": "claim",
        "patient": _to(made, "Patient"),
        "created": "2024-03-02",
        "insurer": {"display": "an invented insurer"},
        "provider": _to(made, "Organization"),
        "claim": _to(made, "Claim"),
        "outcome": "complete",
        "insurance": [{"focal": True, "coverage": {"display": "an invented insurer"}}],
    }


_CONTENT = {
    "Location": _location,
    "Organization": _organization,
    "Practitioner": _practitioner,
    "Encounter": _encounter,
    "Observation": _observation,
    "MedicationRequest": _medication_request,
    "Claim": _claim,
    "ExplanationOfBenefit": _explanation,
}
