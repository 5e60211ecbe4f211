"""The plan engine: the actor in whose name scores, alerts and plans are made (architecture rules 2 and 11).

It sees and writes what the patient's activation granted it (consent.standing.engine_grants), and nothing else.
"""

from __future__ import annotations

from typing import Any

from gateway.access import AccessContext, Lease
from gateway.people.care import PLAN_ENGINE, PLAN_ENGINE_ID
from gateway.people.registry import publish
from gateway.store.store import Store

JSON = dict[str, Any]

ENGINE_REFERENCE = f"Device/{PLAN_ENGINE_ID}"
PLAN_GENERATION = "plan-generation"


def engine_context(request_id: str, lease: Lease | None = None) -> AccessContext:
    """The engine at work; with the lease of what it works on, its commits count only while that lasts."""
    return AccessContext(
        actors=(PLAN_ENGINE,),
        agent=ENGINE_REFERENCE,
        client=PLAN_ENGINE_ID,
        activity=PLAN_GENERATION,
        request_id=request_id,
        lease=lease,
    )


def engine_device() -> JSON:
    """The engine as readers of the audit trail and of alerts find it."""
    return {
        "resourceType": "Device",
        "id": PLAN_ENGINE_ID,
        "status": "active",
        "deviceName": [{"name": "Backbridge plan engine", "type": "user-friendly-name"}],
        "type": {"text": "plan generating software"},
    }


async def publish_engine(store: Store) -> None:
    """Make sure that the Device exists."""
    await publish(store, engine_device())
