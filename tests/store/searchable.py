"""Resources with something to search for, and searches for it, drawn at random (R4 section 3.1.1).

Values are drawn from one small pool, so that a search for what somebody else's record holds is as likely as any.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

from gateway.r4.search_parameters import PARAMETERS, Parameter, is_by_url
from tests.consent.worlds import DAYS, LABEL_CODES, ORGANIZATIONS, PATIENTS, TOKENS, concept, label, some

JSON = dict[str, Any]
FAMILIES = ("Darcy", "Bennet", "Ødegård", "de Bourgh")
SYSTEM = "urn:test:id"
UNIT = "http://unitsofmeasure.org"
ACTIVITY = concept("http://terminology.hl7.org/CodeSystem/observation-category", "activity")
NUMBERS = ("1", "2.5", "2.50", "10")
# As many as the drawn resources have; those above are never there.
IDS = tuple(f"r{number}" for number in range(44))
TYPES = (
    *("Patient", "Observation", "Observation", "Observation", "QuestionnaireResponse", "Condition", "CarePlan"),
    *("Provenance", "Appointment", "Encounter", "RiskAssessment", "Organization", "Practitioner", "Questionnaire"),
)
SEARCHED = (*dict.fromkeys(TYPES), "Consent")


def resource(rng: random.Random, logical_id: str) -> JSON:
    """A valid resource of one of the types; its type goes with its id, so that references fit."""
    kind = type_of(logical_id)
    made: JSON = {"resourceType": kind, "id": logical_id} | _CONTENT[kind](rng)
    if rng.random() < 0.25:
        made["meta"] = {"security": some(rng, LABEL_CODES, label)}
    return made


def type_of(logical_id: str) -> str:
    if logical_id not in IDS:
        return "Patient" if f"Patient/{logical_id}" in PATIENTS else "Observation"
    return TYPES[IDS.index(logical_id) % len(TYPES)]


def _person(rng: random.Random) -> JSON:
    made: JSON = {
        "name": [{"family": rng.choice(FAMILIES), "given": [rng.choice(("Anne", "Jane"))]}],
        "identifier": [_identifier(rng)],
        "gender": rng.choice(("female", "male")),
        "birthDate": rng.choice(("1980-02-29", "1990-01-01")),
        "telecom": [{"system": "phone", "value": rng.choice(("07700 900001", "07700 900002"))}],
    }
    if rng.random() < 0.2:
        made["link"] = [{"other": _ref(rng, "Patient"), "type": "seealso"}]
    if rng.random() < 0.5:
        made["generalPractitioner"] = [_ref(rng, "Practitioner")]
    return made


def _observation(rng: random.Random) -> JSON:
    own, inner = rng.sample(TOKENS, 2)
    made: JSON = {
        "status": rng.choice(("final", "preliminary")),
        "code": concept(*own),
        "subject": _patient(rng),
        "effectiveDateTime": rng.choice(DAYS),
        "performer": [_ref(rng, rng.choice(("Practitioner", "Organization")))],
        "identifier": [_identifier(rng)],
    }
    if rng.random() < 0.5:
        made["category"] = [ACTIVITY]
    if rng.random() < 0.8:
        made["valueQuantity"] = {"value": float(rng.choice(NUMBERS)), "system": UNIT, "code": "cm"}
    if rng.random() < 0.3:
        made["component"] = [{"code": concept(*inner), "valueQuantity": {"value": 1, "system": UNIT, "code": "cm"}}]
    if rng.random() < 0.3:
        made["hasMember"] = [_ref(rng, "Observation")]
    return made


def _appointment(rng: random.Random) -> JSON:
    who = [*rng.sample(PATIENTS, rng.choice((1, 2))), _ref(rng, "Practitioner")["reference"]]
    return {"status": "proposed", "participant": [{"actor": {"reference": w}, "status": "accepted"} for w in who]}


_CONTENT: dict[str, Callable[[random.Random], JSON]] = {
    "Patient": _person,
    "Observation": _observation,
    "QuestionnaireResponse": lambda rng: {
        "status": "completed",
        "subject": _patient(rng),
        "authored": rng.choice(DAYS),
        "questionnaire": f"https://backbridge.example/fhir/Questionnaire/{rng.choice(('phq-8', 'rmdq-24'))}",
        "identifier": _identifier(rng),
    },
    "Condition": lambda rng: {
        "subject": _patient(rng),
        "code": concept("http://hl7.org/fhir/sid/icd-10", rng.choice(("M54.5", "F32.1"))),
        "recordedDate": rng.choice(DAYS),
        "evidence": [{"detail": [_ref(rng, "Observation")]}],
    },
    "CarePlan": lambda rng: {
        "status": rng.choice(("active", "draft")),
        "intent": "plan",
        "subject": _patient(rng),
        "period": {"start": rng.choice(DAYS)},
        "addresses": [_ref(rng, "Condition")],
    },
    "Provenance": lambda rng: {
        "recorded": f"{rng.choice(DAYS)}T10:00:00Z",
        "target": [_ref(rng, rng.choice(("Observation", "CarePlan"))), _patient(rng)],
        "agent": [{"who": _ref(rng, "Practitioner")}],
    },
    "Appointment": _appointment,
    "Encounter": lambda rng: {
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "subject": _patient(rng),
        "length": {"value": float(rng.choice(NUMBERS)), "system": UNIT, "code": "min"},
    },
    "RiskAssessment": lambda rng: {
        "status": "final",
        "subject": _patient(rng),
        "prediction": [{"probabilityDecimal": rng.choice((0.1, 0.5))}],
    },
    "Organization": lambda rng: {"name": rng.choice(FAMILIES), "identifier": [_identifier(rng)]},
    "Practitioner": lambda rng: {"name": [{"family": rng.choice(FAMILIES)}]},
    "Questionnaire": lambda rng: {"status": "draft", "url": f"urn:test:{rng.randrange(3)}", "version": "1"},
}


def _identifier(rng: random.Random) -> JSON:
    return {"system": SYSTEM, "value": str(rng.randrange(8))}


def _patient(rng: random.Random) -> JSON:
    return {"reference": rng.choice(PATIENTS)}


def _ref(rng: random.Random, kind: str) -> JSON:
    if kind == "Organization" and rng.random() < 0.5:
        return {"reference": rng.choice(ORGANIZATIONS)}
    if kind == "Patient" and rng.random() < 0.8:
        return _patient(rng)
    return {"reference": f"{kind}/{rng.choice([each for each in IDS if type_of(each) == kind])}"}


# -- searches ------------------------------------------------------------------------------------------------

# Nothing that is drawn has a value for the rest, so that most searches find something.
_LIVELY = {
    *("_id", "identifier", "family", "given", "name", "gender", "birthdate", "phone", "telecom", "link", "code"),
    *("combo-code", "code-value-quantity", "combo-code-value-quantity", "component-code", "value-quantity", "subject"),
    *("patient", "date", "performer", "has-member", "status", "category", "authored", "questionnaire", "recorded-date"),
    *("evidence-detail", "condition", "target", "agent", "recorded", "actor", "practitioner", "length", "url"),
    *("general-practitioner", "probability", "version", "_security"),
}


def condition(rng: random.Random, kind: str, depth: int = 2) -> tuple[str, str]:
    """One name=value for a type: a parameter with modifiers, a chain, or _has."""
    luck = rng.random()
    links = [each for each in _parameters(kind) if each.kind == "reference" and not is_by_url(each)]
    if depth and links and luck < 0.25:
        link = rng.choice(links)
        targets = [each for each in SEARCHED if each in link.targets]
        if targets:
            target = rng.choice(targets)
            name, value = condition(rng, target, depth - 1)
            return f"{link.code}:{target}.{name}", value
    if depth and luck < 0.4:
        back = [
            (source, each)
            for source in SEARCHED
            for each in _parameters(source)
            if each.kind == "reference" and kind in each.targets and not is_by_url(each)
        ]
        if back:
            source, link = rng.choice(back)
            name, value = condition(rng, source, depth - 1)
            return f"_has:{source}:{link.code}:{name}", value
    if luck < 0.45:
        return "_lastUpdated", rng.choice(("ge", "lt", "")) + rng.choice(DAYS)
    if luck < 0.5:
        return "_id", ",".join(rng.sample([*IDS, PATIENTS[0].split("/")[1]], 3))
    return _plain(rng, rng.choice(_parameters(kind)))


def _parameters(kind: str) -> list[Parameter]:
    return [each for code, each in PARAMETERS[kind].items() if code in _LIVELY]


def _plain(rng: random.Random, parameter: Parameter) -> tuple[str, str]:
    name = parameter.code
    if rng.random() < 0.15:
        return f"{name}:missing", rng.choice(("true", "false"))
    if parameter.kind == "token" and rng.random() < 0.25:
        name += ":not"
    if parameter.kind == "string" and rng.random() < 0.4:
        name += rng.choice((":exact", ":contains"))
    return name, ",".join(_value(rng, parameter) for _ in range(rng.choice((1, 1, 2))))


def _value(rng: random.Random, parameter: Parameter) -> str:
    match parameter.kind:
        case "token":
            bare = [("", code) for code in ("final", "female", "draft", "activity")]
            system, code = rng.choice([*TOKENS, (SYSTEM, str(rng.randrange(8))), *bare])
            return rng.choice((code, f"{system}|{code}", f"{system}|" if system else code))
        case "string":
            return rng.choice((*FAMILIES, "d", "Anne", "enne"))
        case "date":
            prefix = rng.choice(("", "ge", "lt", "ne", "sa", "eb", "le", "gt"))
            return prefix + rng.choice((*DAYS, "2026", "1980-02-29"))
        case "number":
            return rng.choice(("", "gt", "lt")) + rng.choice(("0.1", "0.5"))
        case "quantity":
            return rng.choice(("", "gt", "le", "ne")) + rng.choice(NUMBERS) + rng.choice(("", f"|{UNIT}|cm", "||cm"))
        case "reference":
            return rng.choice((*PATIENTS, *ORGANIZATIONS, *(f"{type_of(each)}/{each}" for each in IDS)))
        case "uri":
            return f"urn:test:{rng.randrange(4)}"
        case _:
            return "$".join(_value(rng, part) for part in parameter.parts)


_SORTS = {
    "Patient": ("family", "birthdate", "name"),
    "Observation": ("date", "value-quantity"),
    "CarePlan": ("date",),
    "Provenance": ("recorded",),
    "QuestionnaireResponse": ("authored",),
}


def sort(rng: random.Random, kind: str) -> str:
    """A value of _sort: one or two keys."""
    keys = rng.sample(("_id", "_lastUpdated", *_SORTS.get(kind, ())), rng.choice((1, 1, 2)))
    return ",".join(rng.choice(("", "-")) + key for key in keys)


def pairs(rng: random.Random, kind: str, conditions: Sequence[int] = (0, 0, 1, 1, 2)) -> list[tuple[str, str]]:
    """A whole search for a type: conditions, order, page size, totals and companions."""
    asked = [condition(rng, kind) for _ in range(rng.choice(conditions))]
    if rng.random() < 0.4:
        asked.append(("_sort", sort(rng, kind)))
    if rng.random() < 0.6:
        asked.append(("_count", rng.choice(("1", "3", "10", "50", "0"))))
    if rng.random() < 0.5:
        asked.append(("_total", "accurate"))
    for _ in range(rng.choice((0, 1, 1, 2))):
        asked.append(_include(rng, kind))
    if rng.random() < 0.1 and not any("include" in name for name, _ in asked):
        asked.append(rng.choice((("_summary", "count"), ("_summary", "true"), ("_elements", "subject,code"))))
    return asked


def _include(rng: random.Random, kind: str) -> tuple[str, str]:
    turn = rng.choice(("", ":iterate"))
    links = [each for each in _parameters(kind) if each.kind == "reference" and not is_by_url(each)]
    if links and rng.random() < 0.6:
        return f"_include{turn}", rng.choice((f"{kind}:{rng.choice(links).code}", f"{kind}:*"))
    source = rng.choice(("Observation", "Provenance", "Appointment", "Condition"))
    back = [each for each in _parameters(source) if each.kind == "reference" and not is_by_url(each)]
    return f"_revinclude{turn}", f"{source}:{rng.choice(back).code}"


def query(asked: Sequence[tuple[str, str]]) -> str:
    """The pairs as a query string or form."""
    return "&".join(f"{quote(name)}={quote(value)}" for name, value in asked)
