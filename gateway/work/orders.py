"""Work that is asked for without a commit of its own: rows of the outbox like any other, in their patient's order."""

from __future__ import annotations

from sqlmodel import Session

from gateway.r4.definitions import type_id
from gateway.store.outbox import WAITING
from gateway.store.tables import Outbox

REVIEW = "review"


def ask(
    session: Session, kind: str, *, patient: int, resource_type: str, logical_id: str, now_us: int, version: int = 0
) -> None:
    """
    Have the child do one piece of work; part of the caller's transaction.

    patient  the key of the patient whose turn it takes
    """
    session.add(
        Outbox(
            kind=kind,
            patient=patient,
            type=type_id(resource_type),
            resource=logical_id,
            version=version,
            state=WAITING,
            due=now_us,
            tries=0,
            leased_until=0,
            note="",
            created=now_us,
        )
    )
