"""
The weekly plan as FHIR R4 resources: CarePlan, Goal, Device and Provenance, tied together by urn:uuid.

Built with the R4B models of fhir.resources, which are the same as R4 for these four. Import it only where
plans are made: the models take a fifth of a second to load.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

from fhir.resources.R4B.careplan import CarePlan
from fhir.resources.R4B.device import Device
from fhir.resources.R4B.fhirresourcemodel import FHIRResourceModel
from fhir.resources.R4B.goal import Goal
from fhir.resources.R4B.provenance import Provenance

from recommender.canonical import (
    ACTIVITY_SYSTEM,
    ALGORITHM_IDENTIFIER,
    LOINC,
    PLAN_CATEGORY,
    PLAN_CATEGORY_SYSTEM,
    PLAN_IDENTIFIER,
    RULE_SYSTEM,
    STEP_BASELINE,
    STEPS_PER_DAY,
    UCUM,
)
from recommender.explanations import Explanation
from recommender.policy import Policy

JSON = dict[str, Any]

GOAL_CATEGORY = "http://terminology.hl7.org/CodeSystem/goal-category"
DATA_OPERATION = "http://terminology.hl7.org/CodeSystem/v3-DataOperation"
PARTICIPANT_TYPE = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"


@dataclass(frozen=True)
class Activity:
    """
    One line of the plan.

    kind         steps, exercise, education or advice
    coding       the catalogue entry, where there is one
    day          the day it is for; None when it is for the whole week
    days_a_week  how many days of the week; None together with a day
    goal         the part name of the goal it serves
    """

    kind: str
    title: str
    description: str
    reasons: tuple[Explanation, ...]
    coding: tuple[str, str] | None = None
    day: date | None = None
    days_a_week: int | None = None
    steps: int | None = None
    baseline: int | None = None
    goal: str | None = None


@dataclass(frozen=True)
class GoalPart:
    """A goal of the plan; steps makes it measurable."""

    part: str
    description: str
    steps: int | None = None


@dataclass(frozen=True)
class Draft:
    """Everything a plan says, before it is FHIR."""

    kind: str
    patient: str
    start: date
    now: datetime
    seed: int
    title: str
    description: str
    activities: tuple[Activity, ...]
    goals: tuple[GoalPart, ...]
    explanations: tuple[Explanation, ...]
    references: tuple[str, ...]
    policy: Policy
    days: int = 7
    end: date = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "end", self.start + timedelta(days=self.days - 1))

    def urn(self, part: str) -> str:
        """The same patient, week, kind of plan and part always have the same urn."""
        return f"urn:uuid:{uuid5(NAMESPACE_URL, self._key(part))}"

    def identifier(self, part: str) -> JSON:
        """The business identifier, which survives storage under another id."""
        return {"system": PLAN_IDENTIFIER, "value": self.urn(part).removeprefix("urn:uuid:")}

    def _key(self, part: str) -> str:
        return f"{PLAN_IDENTIFIER}/{self.patient}/{self.start.isoformat()}/{self.kind}/{part}"


def care_plan(draft: Draft) -> JSON:
    """A draft CarePlan of one week whose every activity says why."""
    resource = {
        "resourceType": "CarePlan",
        "identifier": [draft.identifier("plan")],
        "instantiatesCanonical": [draft.policy.canonical],
        "status": "draft",
        "intent": "plan",
        "category": [_concept(PLAN_CATEGORY_SYSTEM, PLAN_CATEGORY, "Self-management plan")],
        "title": draft.title,
        "description": draft.description,
        "subject": {"reference": draft.patient},
        "period": {"start": draft.start.isoformat(), "end": draft.end.isoformat()},
        "created": draft.now.isoformat(),
        "author": {"reference": draft.urn("device"), "display": draft.policy.name},
        "goal": [{"reference": draft.urn(goal.part)} for goal in draft.goals],
        "activity": [{"detail": _detail(activity, draft)} for activity in draft.activities],
    }
    return _built(CarePlan, resource)


def goal(part: GoalPart, draft: Draft) -> JSON:
    """A proposed Goal; a step goal has the same code and unit as the daily step Observations."""
    target = {"measure": _concept(LOINC, STEPS_PER_DAY, "Number of steps in 24 hour Measured")} if part.steps else {}
    if part.steps:
        target["detailQuantity"] = {
            "value": part.steps,
            "unit": "steps per day",
            "system": UCUM,
            "code": "/d",
        }
    resource = {
        "resourceType": "Goal",
        "identifier": [draft.identifier(part.part)],
        "lifecycleStatus": "proposed",
        "category": [_concept(GOAL_CATEGORY, "behavioral", "Behavioral")],
        "description": {"text": part.description},
        "subject": {"reference": draft.patient},
        "startDate": draft.start.isoformat(),
        "target": [target | {"dueDate": draft.end.isoformat()}],
    }
    return _built(Goal, resource)


def device(policy: Policy) -> JSON:
    """The algorithm, one Device a policy version."""
    resource = {
        "resourceType": "Device",
        "identifier": [{"system": ALGORITHM_IDENTIFIER, "value": f"{policy.id}/{policy.version}"}],
        "status": "active",
        "deviceName": [{"name": policy.title, "type": "model-name"}],
        "type": {"text": "plan generating software"},
        "version": [{"value": policy.version}],
    }
    return _built(Device, resource)


def provenance(draft: Draft) -> JSON:
    """Who made the plan (the algorithm), from which inputs, under which policy, by which rules."""
    rules = list(dict.fromkeys(explanation.rule for explanation in draft.explanations))
    resource = {
        "resourceType": "Provenance",
        "target": [{"reference": draft.urn(part)} for part in ("plan", *(g.part for g in draft.goals))],
        "recorded": draft.now.isoformat(),
        "policy": [draft.policy.canonical],
        "reason": [_rule(rule, draft.policy) for rule in rules],
        "activity": {
            "coding": [{"system": DATA_OPERATION, "code": "CREATE", "display": "create"}],
            "text": f"Weekly plan by {draft.policy.name}, drawn with seed {draft.seed}",
        },
        "agent": [
            {
                "type": _concept(PARTICIPANT_TYPE, "author", "Author"),
                "who": {"reference": draft.urn("device"), "display": draft.policy.name},
            }
        ],
        "entity": [{"role": "source", "what": {"reference": reference}} for reference in draft.references],
    }
    return _built(Provenance, resource)


def transaction_entries(draft: Draft) -> list[JSON]:
    """
    Entries of a transaction Bundle: Device, Goals, CarePlan, Provenance.

    All but the Provenance are conditional creates on their identifier, so a repeat makes no second plan.
    Provenance has no identifier in R4: whoever commits the entries leaves them out when the CarePlan exists.
    """
    algorithm = device(draft.policy)
    parts = [("device", algorithm), *((part.part, goal(part, draft)) for part in draft.goals)]
    entries = [_entry(draft.urn(name), resource) for name, resource in (*parts, ("plan", care_plan(draft)))]
    request = {"method": "POST", "url": "Provenance"}
    return [*entries, {"fullUrl": draft.urn("provenance"), "resource": provenance(draft), "request": request}]


def _detail(activity: Activity, draft: Draft) -> JSON:
    detail: JSON = {
        "code": {"coding": _activity_codings(activity), "text": activity.title},
        "reasonCode": [_reason(reason) for reason in activity.reasons],
        "status": "not-started",
        "description": activity.description,
        **_schedule(activity, draft),
    }
    if activity.kind in _FHIR_KINDS:
        detail["kind"] = _FHIR_KINDS[activity.kind]
    if activity.goal is not None:
        detail["goal"] = [{"reference": draft.urn(activity.goal)}]
    if activity.steps is not None:
        detail["dailyAmount"] = {"value": activity.steps, "unit": "steps", "system": UCUM, "code": "{steps}"}
    if activity.baseline is not None:
        detail["extension"] = [{"url": STEP_BASELINE, "valueInteger": activity.baseline}]
    return detail


_FHIR_KINDS = {
    "steps": "ServiceRequest",
    "exercise": "ServiceRequest",
    "education": "CommunicationRequest",
    "advice": "Appointment",
}


def _activity_codings(activity: Activity) -> list[JSON]:
    codings = [{"system": ACTIVITY_SYSTEM, "code": activity.kind}]
    if activity.coding is not None:
        system, code = activity.coding
        codings.append({"system": system, "code": code, "display": activity.title})
    return codings


def _schedule(activity: Activity, draft: Draft) -> JSON:
    if activity.day is not None:
        day = activity.day.isoformat()
        return {"scheduledPeriod": {"start": day, "end": day}}
    if activity.days_a_week is None:
        return {}
    bounds = {"start": draft.start.isoformat(), "end": draft.end.isoformat()}
    repeat = {"boundsPeriod": bounds, "frequency": activity.days_a_week, "period": 1, "periodUnit": "wk"}
    return {"scheduledTiming": {"repeat": repeat}}


def _reason(explanation: Explanation) -> JSON:
    return {"coding": [{"system": RULE_SYSTEM, "code": explanation.rule}], "text": explanation.text}


def _rule(rule: str, policy: Policy) -> JSON:
    basis = policy.rules[rule]
    return {
        "coding": [{"system": RULE_SYSTEM, "version": policy.version, "code": rule}],
        "text": f"{basis['source']} ({basis['certainty']})",
    }


def _concept(system: str, code: str, display: str) -> JSON:
    return {"coding": [{"system": system, "code": code, "display": display}]}


def _entry(urn: str, resource: JSON) -> JSON:
    identifier = resource["identifier"][0]
    token = quote(f"{identifier['system']}|{identifier['value']}", safe="")
    kind = resource["resourceType"]
    request = {"method": "POST", "url": kind, "ifNoneExist": f"identifier={token}"}
    return {"fullUrl": urn, "resource": resource, "request": request}


def _built(model: type[FHIRResourceModel], resource: JSON) -> JSON:
    """Empty lists are left out, because FHIR knows no empty array."""
    filled = {name: value for name, value in resource.items() if value != []}
    built: JSON = model.model_validate(filled).model_dump(mode="json", exclude_none=True)
    return built
