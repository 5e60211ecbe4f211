"""
Alerts for the clinician: answers that somebody should look at, as Flag resources (FHIR R4, flag.html).

They are answers of the patient, so a clinician sees them under the same consent as the answers themselves. The rules:

- Each flag of a red-flag screen or weekly check-in raises one alert, and so does a severe PHQ-8 total.
- A later complete answer to the same questions ends the alerts of the earlier ones; it raises its own where need be.
  A full red-flag screen also ends what a weekly check-in raised, as in the plan policy (docs/plan-policy.md).
- A clinician's review that clears the answers ends the alerts they raised (gateway/work/reviews.py).
- Otherwise an alert stays until a clinician sets it inactive; the answers that raised it never raise it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.access import AccessContext
from gateway.store.changes import Change
from gateway.store.store import Store
from gateway.work.engine import ENGINE_REFERENCE
from gateway.work.records import created, every, labelled_like, updated
from gateway.work.responses import COMPLETE
from recommender import knowledge
from recommender.canonical import BASE, SAFETY_SYSTEM
from recommender.errors import AnswerError
from recommender.policy import plan_policy
from recommender.red_flags import RedFlag, screen
from recommender.score import Score

JSON = dict[str, Any]

ALERT_IDENTIFIER = f"{BASE}/NamingSystem/safety-alert"
ALERT_CATEGORY = "answers"
SEVERE_MOOD = "phq-8-severe"

_MOOD, _FULL_SCREEN, _CHECK_IN = "phq-8", "red-flag-screen", "weekly-check-in"
_FLAG_CATEGORY = "http://terminology.hl7.org/CodeSystem/flag-category"
_DETAIL = "http://hl7.org/fhir/StructureDefinition/flag-detail"
_PRIORITY = "http://hl7.org/fhir/StructureDefinition/flag-priority"
_PRIORITY_SYSTEM = "http://hl7.org/fhir/flag-priority-code"
# The tiers of red_flag_tiers.csv in the three grades that FHIR has.
_PRIORITIES = {"emergency": "PH", "urgent": "PM", "soon": "PL"}


@dataclass(frozen=True, slots=True)
class Alert:
    """code begins with its instrument where that is sensitive, so that the Flag carries the same label."""

    code: str
    text: str
    tier: str


def screens(instrument: str) -> bool:
    """Whether answers to this instrument can raise an alert."""
    return instrument == _MOOD or any(row["instrument"] == instrument for row in knowledge.table("red_flags"))


def alerts_of(instrument: str, response: JSON, scores: Sequence[Score]) -> list[Alert] | None:
    """The alerts of a completed response; None where it leaves the matter open, because answers are missing."""
    if instrument == _MOOD:
        return _mood(scores)
    try:
        return [_red_flag(flag) for flag in screen(response)]
    except AnswerError:
        return None


async def changes(
    store: Store, context: AccessContext, instrument: str, response: JSON, alerts: Sequence[Alert]
) -> list[Change]:
    """The Flags to raise and to end because of this response; none where a later response has spoken already."""
    patient = response["subject"]["reference"]
    if await _is_outdated(store, context, response):
        return []
    stored = await _stored(store, context, patient)
    raised = [labelled_like(response, _flag(alert, response)) for alert in alerts]
    values = {_value(flag) for flag in raised}
    ended = [
        updated(flag, _ended(flag, response["authored"]))
        for flag in stored
        if flag["status"] == "active" and _code(flag) in _settled_by(instrument) and _value(flag) not in values
    ]
    there = {_value(flag) for flag in stored}
    return [*(created(flag) for flag in raised if _value(flag) not in there), *ended]


async def endings(store: Store, context: AccessContext, response: JSON, when: str) -> list[Change]:
    """The end of every alert that this response raised; `when` is a FHIR dateTime."""
    stored = await _stored(store, context, response["subject"]["reference"])
    own = [flag for flag in stored if _value(flag).startswith(f"{response['id']}/")]
    return [updated(flag, _ended(flag, when)) for flag in own if flag["status"] == "active"]


async def _stored(store: Store, context: AccessContext, patient: str) -> list[JSON]:
    found = await every(store, context, f"Flag?subject={patient}")
    return [flag for flag in found if any(i.get("system") == ALERT_IDENTIFIER for i in flag.get("identifier", ()))]


def _mood(scores: Sequence[Score]) -> list[Alert] | None:
    value = next((score.value for score in scores if score.rule.code == _MOOD), None)
    if value is None:
        return None
    if value < plan_policy().whole("safety.mood", "phq8"):
        return []
    return [Alert(SEVERE_MOOD, f"PHQ-8 total {value:.0f} of 24: ask about mood and safety", "urgent")]


def _red_flag(flag: RedFlag) -> Alert:
    unsure = " (answered: not sure)" if flag.unsure else ""
    return Alert(flag.code, f"{flag.tier.capitalize()}: {flag.label}{unsure}", flag.tier)


def _settled_by(instrument: str) -> set[str]:
    """The codes of the alerts on which a complete answer to this instrument has the last word."""
    if instrument == _MOOD:
        return {SEVERE_MOOD}
    settled = {instrument, _CHECK_IN} if instrument == _FULL_SCREEN else {instrument}
    return {row["flag"] for row in knowledge.table("red_flags") if row["instrument"] in settled}


async def _is_outdated(store: Store, context: AccessContext, response: JSON) -> bool:
    canonical = str(response["questionnaire"]).partition("|")[0]
    query = f"QuestionnaireResponse?subject={response['subject']['reference']}&questionnaire={canonical}"
    authored = datetime.fromisoformat(response["authored"])
    others = await every(store, context, f"{query}&status={','.join(COMPLETE)}")
    return any(datetime.fromisoformat(other["authored"]) > authored for other in others if "authored" in other)


def _flag(alert: Alert, response: JSON) -> JSON:
    safety = {"system": _FLAG_CATEGORY, "code": "safety", "display": "Safety"}
    own = {"system": SAFETY_SYSTEM, "code": ALERT_CATEGORY, "display": "Alert from the patient's answers"}
    priority = {"system": _PRIORITY_SYSTEM, "code": _PRIORITIES[alert.tier]}
    source = {"reference": f"QuestionnaireResponse/{response['id']}"}
    return {
        "resourceType": "Flag",
        "extension": [
            {"url": _DETAIL, "valueReference": source},
            {"url": _PRIORITY, "valueCodeableConcept": {"coding": [priority]}},
        ],
        "identifier": [{"system": ALERT_IDENTIFIER, "value": f"{response['id']}/{alert.code}"}],
        "status": "active",
        "category": [{"coding": [safety, own]}],
        "code": {"coding": [{"system": SAFETY_SYSTEM, "code": alert.code}], "text": alert.text},
        "subject": response["subject"],
        "period": {"start": response["authored"]},
        "author": {"reference": ENGINE_REFERENCE},
    }


def _ended(flag: JSON, when: str) -> JSON:
    return {**flag, "status": "inactive", "period": {**flag["period"], "end": when}}


def _value(flag: JSON) -> str:
    return str(flag["identifier"][0]["value"])


def _code(flag: JSON) -> str:
    return str(flag["code"]["coding"][0]["code"])
