"""`review`: a clinician has looked at warning signs and cleared them: their alerts end, and the plan may go on.

The page that files the review asks for this; a review is one Observation among thousands, so writing any does not.
"""

from __future__ import annotations

from typing import Any

from sqlmodel import Session

from gateway.access import AccessContext
from gateway.store.outbox import Work
from gateway.store.store import Store
from gateway.work import alerts, orders
from gateway.work.engine import engine_context
from gateway.work.planning import propose
from gateway.work.records import every
from gateway.work.responses import completed, patient_of
from gateway.work.workplace import Workplace
from recommender.canonical import RED_FLAG_CLEARED, RED_FLAG_REVIEW, SAFETY_SYSTEM

JSON = dict[str, Any]

KIND = orders.REVIEW


def ask(session: Session, *, patient: int, response_id: str, version: int, now_us: int) -> None:
    """Have the child see to a review of this QuestionnaireResponse; part of the caller's transaction."""
    orders.ask(
        session,
        KIND,
        patient=patient,
        resource_type="QuestionnaireResponse",
        logical_id=response_id,
        version=version,
        now_us=now_us,
    )


async def handle(workplace: Workplace, work: Work) -> None:
    """End the alerts of a response that a clinician has cleared, and plan anew."""
    store, context = workplace.store, engine_context(f"outbox-{work.id}", work.lease)
    response = await completed(store, context, work)
    if response is None or not patient_of(response):
        return
    review = await _review(store, context, response)
    if review is None:
        return
    ended = await alerts.endings(store, context, response, review["effectiveDateTime"])
    if ended:
        await store.commit(context, ended)
    await propose(store, context, patient_of(response), workplace.now())


async def _review(store: Store, context: AccessContext, response: JSON) -> JSON | None:
    """The practitioner's clearance of this very response, as the plan policy reads it."""
    query = f"Observation?subject={patient_of(response)}&code={SAFETY_SYSTEM}|{RED_FLAG_REVIEW}"
    found = await every(store, context, query)
    return next((review for review in found if _clears(review, f"QuestionnaireResponse/{response['id']}")), None)


def _clears(review: JSON, reference: str) -> bool:
    performers = [str(each.get("reference")) for each in review.get("performer", ())]
    verdicts = [coding.get("code") for coding in review.get("valueCodeableConcept", {}).get("coding", ())]
    sources = [str(each.get("reference")).partition("/_history/")[0] for each in review.get("derivedFrom", ())]
    by_clinician = any(performer.startswith(("Practitioner/", "PractitionerRole/")) for performer in performers)
    return by_clinician and RED_FLAG_CLEARED in verdicts and reference in sources
