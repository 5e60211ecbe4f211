"""Organisations that use this gateway."""

from __future__ import annotations

from sqlmodel import Session, select

from gateway.people.errors import AlreadyExists, NotKnown, Unacceptable
from gateway.people.tables import Organisation
from gateway.r4.identity import LOGICAL_ID, key_of, new_id


def add(session: Session, *, name: str, now_us: int, organisation_id: str | None = None) -> Organisation:
    """Register an organisation under the id of its Organization resource, or under a fresh id."""
    if not name.strip():
        raise Unacceptable("An organisation needs a name.", code="name")
    found_id = new_id() if organisation_id is None else organisation_id
    if not LOGICAL_ID.match(found_id):
        raise Unacceptable("This is not a logical id.", code="id")
    key = key_of("Organization", found_id)
    if session.get(Organisation, key) is not None:
        raise AlreadyExists("This organisation is registered already.")
    organisation = Organisation(key=key, id=found_id, name=name.strip(), created=now_us)
    session.add(organisation)
    session.flush()
    return organisation


def get(session: Session, organisation_id: str) -> Organisation:
    """The organisation of this logical id; NotKnown when it is not registered."""
    return by_key(session, key_of("Organization", organisation_id))


def by_key(session: Session, key: int) -> Organisation:
    """The organisation of this key; NotKnown when it is not registered."""
    found = session.get(Organisation, key)
    if found is None:
        raise NotKnown("This organisation is not registered here.")
    return found


def every(session: Session) -> list[Organisation]:
    """All organisations, by name."""
    return list(session.exec(select(Organisation).order_by(Organisation.name, Organisation.id)))
