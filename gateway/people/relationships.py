"""Care relationships: an organisation cares for a patient (architecture rule 5b).

The grant rows that follow are compiled and written by the caller, in the same transaction, from what these
functions return: `consent.compile.relationship_grants` on opening, removal by `key` (the source) on closing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sqlmodel import Session, col, select, update

from gateway.people.organisations import by_key
from gateway.people.tables import CareRelationship
from gateway.r4.identity import key_of, new_id
from gateway.store.tables import FAR_FUTURE


class Reason(StrEnum):
    """What opened a care relationship."""

    REGISTRATION = "registration"
    REFERRAL = "referral"


@dataclass(frozen=True, slots=True)
class Opened:
    """An open relationship; where `is_changed`, the grants of source `key` are to be written anew."""

    key: int
    organisation: int
    patient: int
    valid_from: int
    valid_to: int
    is_changed: bool


@dataclass(frozen=True, slots=True)
class Closed:
    """Relationships that ended now; `keys` are the sources of the grants that end with them."""

    organisation: int
    patient: int
    keys: tuple[int, ...]


def opened(
    session: Session,
    *,
    organisation: int,
    patient: int,
    opened_by: int,
    reason: Reason,
    now_us: int,
    valid_to: int = FAR_FUTURE,
) -> Opened:
    """Open a relationship of a registered organisation with a patient; one that is open is only prolonged."""
    by_key(session, organisation)
    found = current(session, organisation=organisation, patient=patient, now_us=now_us)
    if found is not None and found.valid_to >= valid_to:
        return _opened(found, is_changed=False)
    row = found or CareRelationship(
        key=key_of("CareRelationship", new_id()),
        organisation=organisation,
        patient=patient,
        valid_from=now_us,
        valid_to=valid_to,
        opened_by=opened_by,
        reason=reason,
    )
    row.valid_to = valid_to
    session.add(row)
    session.flush()
    return _opened(row, is_changed=True)


def closed(session: Session, *, organisation: int, patient: int, now_us: int) -> Closed:
    """Close the organisation's relationship with the patient at once."""
    open_now = (
        col(CareRelationship.organisation) == organisation,
        col(CareRelationship.patient) == patient,
        col(CareRelationship.valid_to) > now_us,
    )
    keys = tuple(session.exec(select(CareRelationship.key).where(*open_now)))
    session.exec(update(CareRelationship).where(*open_now).values(valid_to=now_us))
    return Closed(organisation, patient, keys)


def current(session: Session, *, organisation: int, patient: int, now_us: int) -> CareRelationship | None:
    """The relationship that is open now, or None."""
    open_now = select(CareRelationship).where(
        CareRelationship.organisation == organisation,
        CareRelationship.patient == patient,
        CareRelationship.valid_from <= now_us,
        CareRelationship.valid_to > now_us,
    )
    return session.exec(open_now).first()


def of_patient(session: Session, patient: int) -> list[CareRelationship]:
    """Every relationship the patient has or had, oldest first."""
    mine = select(CareRelationship).where(CareRelationship.patient == patient)
    return list(session.exec(mine.order_by(col(CareRelationship.valid_from))))


def _opened(row: CareRelationship, *, is_changed: bool) -> Opened:
    return Opened(row.key, row.organisation, row.patient, row.valid_from, row.valid_to, is_changed)
