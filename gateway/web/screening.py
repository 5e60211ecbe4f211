"""Warning signs in answers: what the red-flag screen says, and whether a clinician has looked (docs/plan-policy.md)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.web.dates import read_moment
from gateway.web.resources import codes
from recommender import knowledge
from recommender.canonical import RED_FLAG_CLEARED, RED_FLAG_REVIEW, SAFETY_SYSTEM, questionnaire
from recommender.errors import AnswerError, WrongQuestionnaire
from recommender.red_flags import RedFlag, screen

JSON = dict[str, Any]

SCREENS = (questionnaire("red-flag-screen"), questionnaire("weekly-check-in"))


@dataclass(frozen=True, slots=True)
class Screening:
    """
    The latest answers to safety questions that somebody still has to look at.

    source         the response the flags are in; None where there is nothing to look at
    is_unreadable  safety questions without a usable answer: an unanswered question is not a no
    """

    flags: tuple[RedFlag, ...] = ()
    is_unreadable: bool = False
    source: str | None = None
    when: datetime | None = None


def flags_of(response: JSON) -> list[RedFlag]:
    """
    The flags of a completed response, most pressing first; none for instruments that screen for nothing.

    raises  AnswerError, WrongQuestionnaire where the safety questions have no usable answer
    """
    return screen(response) if _instrument(response) in SCREENS else []


def flag_of_one_answer(instrument: JSON, answers: Mapping[str, Sequence[JSON]], link_id: str) -> RedFlag | None:
    """What this one answer means before the other questions are answered: every other answer counts as no."""
    rows = [row for row in knowledge.table("red_flags") if row["instrument"] == instrument["id"]]
    if link_id not in {row["link_id"] for row in rows} or not answers.get(link_id):
        return None
    items = {item["linkId"]: item for item in instrument["item"]}
    assumed = {row["link_id"]: [_no(items[row["link_id"]])] for row in rows} | {link_id: list(answers[link_id])}
    response = {
        "questionnaire": f"{instrument['url']}|{instrument['version']}",
        "status": "completed",
        "item": [{"linkId": name, "answer": given} for name, given in assumed.items()],
    }
    return next(iter(screen(response)), None)


def screening(responses: Iterable[JSON], reviews: Iterable[JSON]) -> Screening:
    """
    What is open: the flags of the latest screen, or of a later check-in, unless a clinician has cleared that response.

    responses  completed responses of one patient, in any order
    reviews    red-flag reviews of clinicians
    """
    cleared = {source for review in reviews for source in _cleared(review)}
    flagged = [r for r in responses if r.get("status") in ("completed", "amended")]
    latest = sorted((r for r in flagged if _instrument(r) in SCREENS), key=_when, reverse=True)
    for response in latest:
        found = _found(response)
        if (found.flags or found.is_unreadable) and found.source not in cleared:
            return found
        if _instrument(response) == SCREENS[0]:
            break
    return Screening()


def review(patient: str, source: str, performer: str, when: str) -> JSON:
    """The Observation with which a clinician says: I have looked at these answers, the plan may go on."""
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": SAFETY_SYSTEM, "code": RED_FLAG_REVIEW, "display": "Review of warning signs"}]},
        "subject": {"reference": patient},
        "effectiveDateTime": when,
        "performer": [{"reference": performer}],
        "valueCodeableConcept": {
            "coding": [{"system": SAFETY_SYSTEM, "code": RED_FLAG_CLEARED, "display": "Cleared for the plan"}]
        },
        "derivedFrom": [{"reference": source}],
    }


def _found(response: JSON) -> Screening:
    reference = f"QuestionnaireResponse/{response['id']}"
    try:
        return Screening(tuple(flags_of(response)), source=reference, when=_when(response))
    except (AnswerError, WrongQuestionnaire):
        return Screening(is_unreadable=True, source=reference, when=_when(response))


def _no(item: JSON) -> JSON:
    if item["type"] == "boolean":
        return {"valueBoolean": False}
    coding = next(o["valueCoding"] for o in item["answerOption"] if o["valueCoding"]["code"] == "no")
    return {"valueCoding": coding}


def _instrument(response: JSON) -> str:
    return str(response.get("questionnaire", "")).partition("|")[0]


def _when(response: JSON) -> datetime:
    return read_moment(response["authored"])


def _cleared(observation: JSON) -> list[str]:
    if RED_FLAG_CLEARED not in codes(observation.get("valueCodeableConcept", {}), SAFETY_SYSTEM):
        return []
    return [str(each.get("reference", "")).partition("/_history/")[0] for each in observation.get("derivedFrom", ())]
