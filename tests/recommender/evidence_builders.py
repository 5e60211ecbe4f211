"""FHIR resources as they come back from the gateway, written the way a test reads: who, when, what."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from recommender import knowledge
from recommender.canonical import BASE, LOINC, SAFETY_SYSTEM, SCORE_SYSTEM, STEPS_PER_DAY, questionnaire
from recommender.plan import PlanProposal

JSON = dict[str, Any]

PATIENT = "Patient/anna"
MONDAY = date(2026, 11, 23)
NOW = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)


def days_ago(days: float) -> str:
    return (NOW - timedelta(days=days)).isoformat()


def answered(name: str, answers: dict[str, Any], *, id: str = "qr", ago: float = 1) -> JSON:
    """A completed response; a list answers a repeating item, codes of options are looked up."""
    items = {item["linkId"]: item for item in knowledge.instrument(name)["item"]}
    return {
        "resourceType": "QuestionnaireResponse",
        "id": id,
        "questionnaire": f"{questionnaire(name)}|1.0.0",
        "status": "completed",
        "subject": {"reference": PATIENT},
        "authored": days_ago(ago),
        "item": [
            {"linkId": link, "answer": [_answer(items[link], one) for one in _listed(value)]}
            for link, value in answers.items()
        ],
    }


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _answer(item: JSON, value: Any) -> JSON:
    if item["type"] == "choice":
        return {"valueCoding": {"system": item["answerOption"][0]["valueCoding"]["system"], "code": value}}
    return {{"boolean": "valueBoolean", "integer": "valueInteger", "string": "valueString"}[item["type"]]: value}


def all_no(**changed: str) -> dict[str, str]:
    """Answers to the red-flag screen: no to everything but what is named (with _ for -)."""
    links = [item["linkId"] for item in knowledge.instrument("red-flag-screen")["item"] if item["type"] == "choice"]
    return dict.fromkeys(links, "no") | {f"rf-{name.replace('_', '-')}": value for name, value in changed.items()}


QUIET_WEEK: dict[str, Any] = {
    "week-pain": 4,
    "week-function": 6,
    "week-confidence": 7,
    "week-sleep": "good",
    "week-mood": "good",
    "week-sessions": 3,
    "week-exercise-feedback": "right",
    "week-flare-up": False,
    "week-warning-signs": False,
}


def check_in(*, id: str = "check-in", ago: float = 0.5, **changed: Any) -> JSON:
    answers = QUIET_WEEK | {f"week-{name.replace('_', '-')}": value for name, value in changed.items()}
    return answered("weekly-check-in", answers, id=id, ago=ago)


def walked(day: date, steps: int, *, worn_percent: float | None = None, id: str | None = None) -> JSON:
    observation: JSON = {
        "resourceType": "Observation",
        "id": id or f"steps-{day.isoformat()}",
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": STEPS_PER_DAY}]},
        "subject": {"reference": PATIENT},
        "effectiveDateTime": day.isoformat(),
        "valueQuantity": {"value": steps, "unit": "/d", "system": "http://unitsofmeasure.org", "code": "/d"},
    }
    if worn_percent is not None:
        observation["component"] = [
            {
                "code": {"coding": [{"code": "DeviceActivePercentage"}]},
                "valueQuantity": {"value": worn_percent, "unit": "%"},
            }
        ]
    return observation


def last_week(*steps: int) -> list[JSON]:
    """Step days before MONDAY, the last number being yesterday."""
    return [walked(MONDAY - timedelta(days=len(steps) - i), count) for i, count in enumerate(steps)]


def scored(code: str, value: float, *, ago: float) -> JSON:
    return {
        "resourceType": "Observation",
        "id": f"{code}-{str(ago).replace('.', '-')}",
        "status": "final",
        "code": {"coding": [{"system": SCORE_SYSTEM, "code": code}]},
        "subject": {"reference": PATIENT},
        "effectiveDateTime": days_ago(ago),
        "valueQuantity": {"value": value},
    }


def cleared_by(performer: str, response: JSON) -> JSON:
    """A review of flagged answers."""
    return {
        "resourceType": "Observation",
        "id": "review",
        "status": "final",
        "code": {"coding": [{"system": SAFETY_SYSTEM, "code": "red-flag-review"}]},
        "subject": {"reference": PATIENT},
        "effectiveDateTime": days_ago(0.1),
        "performer": [{"reference": performer}],
        "valueCodeableConcept": {"coding": [{"system": SAFETY_SYSTEM, "code": "cleared"}]},
        "derivedFrom": [{"reference": f"QuestionnaireResponse/{response['id']}"}],
    }


def past_plan(
    weeks_ago: int,
    *,
    exercises: tuple[str, ...] = (),
    messages: tuple[str, ...] = (),
    steps: int | None = None,
    baseline: int | None = None,
    sessions: int = 3,
) -> JSON:
    """An activated plan of the shape weekly_plan makes."""
    start = MONDAY - timedelta(weeks=weeks_ago)
    repeat = {"frequency": sessions, "period": 1, "periodUnit": "wk"}
    activities: list[JSON] = [
        {
            "code": {"coding": [{"system": f"{BASE}/CodeSystem/exercise", "code": exercise}]},
            "scheduledTiming": {"repeat": repeat},
        }
        for exercise in exercises
    ]
    activities += [
        {"code": {"coding": [{"system": f"{BASE}/CodeSystem/education-message", "code": m}]}} for m in messages
    ]
    if steps is not None:
        walk: JSON = {"code": {"coding": [{"system": f"{BASE}/CodeSystem/plan-activity", "code": "steps"}]}}
        walk["dailyAmount"] = {"value": steps}
        if baseline is not None:
            url = f"{BASE}/StructureDefinition/step-baseline"
            walk["extension"] = [{"url": url, "valueInteger": baseline}]
        activities.append(walk)
    category = {"coding": [{"system": f"{BASE}/CodeSystem/plan-category", "code": "self-management"}]}
    return {
        "resourceType": "CarePlan",
        "id": f"plan-{weeks_ago}",
        "status": "active",
        "intent": "plan",
        "category": [category],
        "subject": {"reference": PATIENT},
        "period": {"start": start.isoformat(), "end": (start + timedelta(days=6)).isoformat()},
        "activity": [{"detail": {"status": "in-progress", **detail}} for detail in activities],
    }


def activated(proposal: PlanProposal, id: str) -> JSON:
    """The plan as the store would hold it after a clinician said yes."""
    return proposal.care_plan | {"id": id, "status": "active"}


def coded(proposal: PlanProposal, system: str) -> list[str]:
    """The codes of one system in the plan's activities, in order."""
    return [
        coding["code"]
        for activity in proposal.care_plan.get("activity", ())
        for coding in activity["detail"]["code"].get("coding", ())
        if coding["system"] == f"{BASE}/CodeSystem/{system}"
    ]


def steps_of(proposal: PlanProposal) -> int:
    return next(
        int(activity["detail"]["dailyAmount"]["value"])
        for activity in proposal.care_plan["activity"]
        if "dailyAmount" in activity["detail"]
    )
