"""Who cares for a patient, and the grants that follow in the same transaction (architecture rules 2 and 5b)."""

from __future__ import annotations

from consent.standing import engine_grants, relationship_grants
from gateway.people import relationships
from gateway.people.relationships import Reason
from gateway.r4.identity import key_of
from gateway.store import rules
from gateway.store.database import Database

PLAN_ENGINE_ID = "plan-engine"
PLAN_ENGINE = key_of("Device", PLAN_ENGINE_ID)


def begin(database: Database, *, organisation: int, patient: int, opened_by: int, reason: Reason, now_us: int) -> None:
    """The organisation now cares for the patient: it sees demographics and what it writes itself."""
    with database.adding() as session:
        opened = relationships.opened(
            session, organisation=organisation, patient=patient, opened_by=opened_by, reason=reason, now_us=now_us
        )
        if opened.is_changed:
            grants = relationship_grants(organisation, patient, opened.valid_from, opened.valid_to)
            rules.replace(session, opened.key, grants)


def end(database: Database, *, organisation: int, patient: int, now_us: int) -> None:
    """The organisation no longer cares for the patient; what was shared by consent is the patient's to withdraw."""
    with database.adding() as session:
        for key in relationships.closed(session, organisation=organisation, patient=patient, now_us=now_us).keys:
            rules.replace(session, key, [])


def admit_plan_engine(database: Database, patient: int) -> None:
    """The plan engine may work for this patient from now on: part of activating the programme."""
    with database.adding() as session:
        rules.replace(session, _engine_source(patient), engine_grants(patient, PLAN_ENGINE))


def dismiss_plan_engine(database: Database, patient: int) -> None:
    with database.adding() as session:
        rules.replace(session, _engine_source(patient), [])


def _engine_source(patient: int) -> int:
    return key_of("Device", f"{PLAN_ENGINE_ID}-for-{patient}")
