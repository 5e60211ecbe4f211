"""What the weekly plan looks at, read from the Bundles that the searches of `plan.needs` return."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, TypeVar

from recommender import knowledge
from recommender.answers import Answer, read_answers
from recommender.canonical import (
    ACTIVITY_SYSTEM,
    DEVICE_ACTIVE_PERCENTAGE,
    EDUCATION_SYSTEM,
    EXERCISE_SYSTEM,
    LOINC,
    PLAN_CATEGORY,
    PLAN_CATEGORY_SYSTEM,
    RED_FLAG_CLEARED,
    RED_FLAG_REVIEW,
    SAFETY_SYSTEM,
    SCORE_SYSTEM,
    STEP_BASELINE,
    STEPS_PER_DAY,
    questionnaire,
)
from recommender.errors import InvalidElement, MissingElement, WrongPatient
from recommender.exercise_catalogue import catalogue

JSON = dict[str, Any]

PAIN_SCORES = ("pain-nrs-average", "week-pain")
MOOD_SCORE = "phq-8"


@dataclass(frozen=True)
class Answers:
    """The answers of one response, by linkId."""

    when: datetime
    values: Mapping[str, tuple[Answer, ...]]
    reference: str

    def first(self, link_id: str) -> Answer | None:
        """The only or first answer; None when there is none."""
        return next(iter(self.values.get(link_id, ())), None)


@dataclass(frozen=True)
class Screen:
    """A response with safety questions, left unread: reading it is the screen's own task."""

    when: datetime
    response: JSON
    reference: str


@dataclass(frozen=True)
class Point:
    """A score at a time."""

    when: datetime
    value: float
    reference: str


@dataclass(frozen=True)
class StepDay:
    """Steps of one local day; wear_h is None when the source cannot tell whether it was worn (a phone)."""

    day: date
    steps: int
    wear_h: float | None
    reference: str


Timed = TypeVar("Timed", Answers, Screen, Point)
Parsed = TypeVar("Parsed")


@dataclass(frozen=True)
class PastPlan:
    """What an earlier plan asked for; sessions is a number of days a week."""

    start: date
    end: date
    exercises: tuple[str, ...]
    sessions: int
    messages: tuple[str, ...]
    steps: int | None
    baseline: int | None
    reference: str


@dataclass(frozen=True)
class PlanEvidence:
    """Everything of one patient, the latest first; `cleared` holds the responses a clinician has cleared."""

    patient: str
    screens: tuple[Screen, ...] = ()
    cleared: frozenset[str] = frozenset()
    check_ins: tuple[Answers, ...] = ()
    feedback: tuple[Answers, ...] = ()
    goals: tuple[Answers, ...] = ()
    step_days: tuple[StepDay, ...] = ()
    pain: tuple[Point, ...] = ()
    mood: tuple[Point, ...] = ()
    plans: tuple[PastPlan, ...] = ()
    references: tuple[str, ...] = ()


def read_evidence(patient: str, bundles: Iterable[JSON]) -> PlanEvidence:
    """
    Evidence from searchset Bundles or single resources, in any order; one that comes twice counts once.

    patient  `Patient/<id>`
    raises   WrongPatient, MissingElement, InvalidElement, and what read_answers raises about an own response
    """
    found = {_reference(resource): resource for resource in _resources(bundles)}
    for resource in found.values():
        if resource.get("subject", {}).get("reference") != patient:
            raise WrongPatient
    known = list(found.values())
    responses = [r for r in known if _is(r, "QuestionnaireResponse", {"completed", "amended"})]
    measured = [r for r in known if _is(r, "Observation", {"final", "amended", "corrected", "preliminary"})]
    plans = [r for r in known if _is(r, "CarePlan", {"active", "completed", "on-hold"}) and _is_weekly_plan(r)]
    return PlanEvidence(
        patient=patient,
        screens=_latest_first(_screen(r) for r in responses if _answers_to(r, "red-flag-screen", "weekly-check-in")),
        cleared=frozenset(reference for r in measured for reference in _cleared(r)),
        check_ins=_answers(responses, "weekly-check-in"),
        feedback=_answers(responses, "exercise-feedback"),
        goals=_answers(responses, "goals"),
        step_days=_one_a_day(_step_day(r) for r in measured if _has_value(r, LOINC, STEPS_PER_DAY)),
        pain=_points(measured, PAIN_SCORES),
        mood=_points(measured, (MOOD_SCORE,)),
        plans=tuple(sorted(map(_past_plan, plans), key=lambda p: (p.start, p.reference), reverse=True)),
        references=tuple(sorted(_reference(r) for r in (*responses, *measured, *plans))),
    )


def _resources(bundles: Iterable[JSON]) -> Iterator[JSON]:
    for item in bundles:
        if item.get("resourceType") == "Bundle":
            yield from _resources(entry["resource"] for entry in item.get("entry", ()) if "resource" in entry)
        elif item.get("resourceType") in ("QuestionnaireResponse", "Observation", "CarePlan"):
            yield item


def _reference(resource: JSON) -> str:
    """Versioned where the version is known, so that the Provenance names exactly what was read."""
    if "id" not in resource:
        raise MissingElement(f"{resource['resourceType']}.id")
    plain = f"{resource['resourceType']}/{resource['id']}"
    version = resource.get("meta", {}).get("versionId")
    return f"{plain}/_history/{version}" if version else plain


def _is(resource: JSON, kind: str, statuses: set[str]) -> bool:
    return resource["resourceType"] == kind and resource.get("status") in statuses


def _answers_to(response: JSON, *names: str) -> bool:
    canonical = str(response.get("questionnaire")).partition("|")[0]
    return canonical in {questionnaire(name) for name in names}


def _screen(response: JSON) -> Screen:
    return Screen(_moment(response, "authored"), response, _reference(response))


def _answers(responses: Iterable[JSON], name: str) -> tuple[Answers, ...]:
    """Responses to an earlier version of the instrument are left out: their items may mean something else."""
    instrument = knowledge.instrument(name)
    current = (instrument["url"], f"{instrument['url']}|{instrument['version']}")
    return _latest_first(
        Answers(_moment(r, "authored"), read_answers(instrument, r), _reference(r))
        for r in responses
        if r.get("questionnaire") in current
    )


def _cleared(observation: JSON) -> Iterator[str]:
    """The responses that a practitioner's review names; a review by anybody else clears nothing."""
    performers = [str(performer.get("reference")) for performer in observation.get("performer", ())]
    by_clinician = any(p.startswith(("Practitioner/", "PractitionerRole/")) for p in performers)
    verdicts = _codes(observation.get("valueCodeableConcept", {}), SAFETY_SYSTEM)
    if by_clinician and _has_code(observation, SAFETY_SYSTEM, RED_FLAG_REVIEW) and RED_FLAG_CLEARED in verdicts:
        for source in observation.get("derivedFrom", ()):
            yield _unversioned(str(source.get("reference")))


def _unversioned(reference: str) -> str:
    return reference.partition("/_history/")[0]


def _points(observations: Iterable[JSON], codes: tuple[str, ...]) -> tuple[Point, ...]:
    return _latest_first(
        Point(_moment(o, "effectiveDateTime"), float(o["valueQuantity"]["value"]), _reference(o))
        for o in observations
        if any(_has_value(o, SCORE_SYSTEM, code) for code in codes)
    )


def _step_day(observation: JSON) -> StepDay:
    text = observation.get("effectiveDateTime") or observation.get("effectivePeriod", {}).get("start")
    if text is None:
        raise MissingElement("Observation.effectiveDateTime")
    day = _parsed(date.fromisoformat, str(text)[:10], "Observation.effectiveDateTime")
    worn = [
        float(part["valueQuantity"]["value"]) * 24 / 100
        for part in observation.get("component", ())
        if DEVICE_ACTIVE_PERCENTAGE in _codes(part["code"]) and "valueQuantity" in part
    ]
    steps = int(observation["valueQuantity"]["value"])
    return StepDay(day, steps, max(worn) if worn else None, _reference(observation))


def _one_a_day(days: Iterable[StepDay]) -> tuple[StepDay, ...]:
    """Two totals of one day are two sources that were never merged: the larger one missed less."""
    best: dict[date, StepDay] = {}
    for day in sorted(days, key=lambda d: (d.steps, d.wear_h or 0.0, d.reference)):
        best[day.day] = day
    return tuple(best[day] for day in sorted(best, reverse=True))


def _past_plan(plan: JSON) -> PastPlan:
    period = plan.get("period", {})
    for bound in ("start", "end"):
        if bound not in period:
            raise MissingElement(f"CarePlan.period.{bound}")
    details = [activity["detail"] for activity in plan.get("activity", ()) if "detail" in activity]
    exercises = [d for d in details if _known_exercises(d)]
    walks = [d for d in details if "steps" in _codes(d.get("code", {}), ACTIVITY_SYSTEM)]
    return PastPlan(
        start=_parsed(date.fromisoformat, str(period["start"])[:10], "CarePlan.period.start"),
        end=_parsed(date.fromisoformat, str(period["end"])[:10], "CarePlan.period.end"),
        exercises=tuple(code for detail in exercises for code in _known_exercises(detail)),
        sessions=max((_frequency(detail) for detail in exercises), default=1),
        messages=tuple(code for detail in details for code in _codes(detail.get("code", {}), EDUCATION_SYSTEM)),
        steps=next((int(d["dailyAmount"]["value"]) for d in walks if "dailyAmount" in d), None),
        baseline=next((baseline for d in walks for baseline in _baselines(d)), None),
        reference=_reference(plan),
    )


def _is_weekly_plan(plan: JSON) -> bool:
    categories = plan.get("category", ())
    return any(PLAN_CATEGORY in _codes(category, PLAN_CATEGORY_SYSTEM) for category in categories)


def _known_exercises(detail: JSON) -> list[str]:
    return [code for code in _codes(detail.get("code", {}), EXERCISE_SYSTEM) if code in catalogue()]


def _frequency(detail: JSON) -> int:
    return int(detail.get("scheduledTiming", {}).get("repeat", {}).get("frequency", 1))


def _baselines(detail: JSON) -> list[int]:
    return [e["valueInteger"] for e in detail.get("extension", ()) if e["url"] == STEP_BASELINE]


def _has_value(observation: JSON, system: str, code: str) -> bool:
    has_number = "value" in observation.get("valueQuantity", {})
    return has_number and _has_code(observation, system, code)


def _has_code(observation: JSON, system: str, code: str) -> bool:
    return code in _codes(observation.get("code", {}), system)


def _codes(concept: JSON, system: str | None = None) -> list[str]:
    return [c["code"] for c in concept.get("coding", ()) if "code" in c and system in (None, c.get("system"))]


def _moment(resource: JSON, element: str) -> datetime:
    """A date without a time is the start of that day in UTC; a month or year, the first day of it."""
    path = f"{resource['resourceType']}.{element}"
    if element not in resource:
        raise MissingElement(path)
    text = str(resource[element])
    if len(text) > len("2026-01-01"):
        moment = _parsed(datetime.fromisoformat, text, path)
        if moment.tzinfo is None:
            raise InvalidElement(path)
        return moment
    padded = text + "-01-01"[len(text) - len("2026") :]
    return _parsed(datetime.fromisoformat, padded, path).replace(tzinfo=UTC)


def _parsed(parse: Callable[[str], Parsed], text: str, path: str) -> Parsed:
    try:
        return parse(text)
    except ValueError:
        raise InvalidElement(path) from None


def _latest_first(items: Iterable[Timed]) -> tuple[Timed, ...]:
    return tuple(sorted(items, key=lambda item: (item.when, item.reference), reverse=True))
