"""The QuestionnaireResponse that a piece of work is about, where it is complete and the engine may see it."""

from __future__ import annotations

import json
from typing import Any

from gateway.access import AccessContext
from gateway.store.errors import Gone, NotFound
from gateway.store.outbox import Work
from gateway.store.store import Store
from recommender.errors import UnknownInstrument
from recommender.score import instrument_name

JSON = dict[str, Any]

COMPLETE = ("completed", "amended")


async def completed(store: Store, context: AccessContext, work: Work) -> JSON | None:
    """
    The response; None when it is unfinished, deleted, or not (or no longer) the engine's to see.

    None, too, when there is a later version: another piece of work is about that one.
    """
    try:
        found = await store.read(context, work.type, work.resource)
    except (NotFound, Gone):
        return None
    if found.version > work.version:
        return None
    assert found.body is not None, "a deleted resource is Gone"
    response: JSON = json.loads(found.body)
    return response if response.get("status") in COMPLETE else None


def instrument_of(response: JSON) -> str | None:
    """The name of the instrument that was answered; None for one that is not ours."""
    try:
        return instrument_name(str(response.get("questionnaire")))
    except UnknownInstrument:
        return None


def patient_of(response: JSON) -> str:
    """The reference of the patient who answered; empty where the response names none."""
    reference = str(response.get("subject", {}).get("reference", ""))
    return reference if reference.startswith("Patient/") else ""
