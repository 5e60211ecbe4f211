"""`score`: a completed questionnaire becomes scores (Observations) and, where answers call for it, alerts (Flags)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from gateway.access import AccessContext
from gateway.store.changes import Change
from gateway.store.outbox import Work
from gateway.store.store import Store
from gateway.work import alerts
from gateway.work.engine import engine_context
from gateway.work.records import created, known, labelled_like, says_the_same, updated
from gateway.work.responses import completed, instrument_of, patient_of
from gateway.work.workplace import Workplace
from recommender import knowledge
from recommender.errors import RecommenderError
from recommender.score import Score, observations, score

JSON = dict[str, Any]

_log = logging.getLogger(__name__)


async def handle(workplace: Workplace, work: Work) -> None:
    """Commit what follows from the response; nothing where all of it is there already."""
    store, context = workplace.store, engine_context(f"outbox-{work.id}", work.lease)
    response = await completed(store, context, work)
    if response is None or not patient_of(response):
        return
    instrument = instrument_of(response)
    if instrument is None:
        return
    try:
        found = score(knowledge.instrument(instrument), response)
        scores = score_observations(response, found)
    except RecommenderError as unusable:
        # The same answers will be as unusable next time; the plan policy sends such a person to a clinician.
        _log.warning("work.unusable", extra={"work": work.id, "kind": work.kind, "error": type(unusable).__name__})
        found, scores = [], []
    changes = [
        *await _score_changes(store, context, scores),
        *await _alert_changes(store, context, instrument, response, found),
    ]
    if changes:
        await store.commit(context, changes)


def score_observations(response: JSON, scores: Sequence[Score]) -> list[JSON]:
    """The Observations of a response, marked as synthetic where the response is."""
    return [labelled_like(response, observation) for observation in observations(scores, response)]


async def _score_changes(store: Store, context: AccessContext, scores: Sequence[JSON]) -> list[Change]:
    """A score that says something else than before was made from answers that were amended."""
    found: list[Change] = []
    for observation in scores:
        stored = await known(store, context, observation)
        if stored is None:
            found.append(created(observation))
        elif not says_the_same(stored, observation, but=("status",)):
            found.append(updated(stored, {**observation, "status": "amended"}))
    return found


async def _alert_changes(
    store: Store, context: AccessContext, instrument: str, response: JSON, scores: Sequence[Score]
) -> list[Change]:
    if not alerts.screens(instrument):
        return []
    raised = alerts.alerts_of(instrument, response, scores)
    return [] if raised is None else await alerts.changes(store, context, instrument, response, raised)
