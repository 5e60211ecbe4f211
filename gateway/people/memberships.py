"""Who belongs to which organisation, in which role, and the actors that follow from it."""

from __future__ import annotations

from collections.abc import Iterable

from sqlmodel import Session, col, select, update

from gateway.people.organisations import by_key
from gateway.people.tables import Membership, Role
from gateway.store.tables import FAR_FUTURE

CARE_ROLES = frozenset({Role.CLINICIAN, Role.ADMINISTRATOR})
"""The roles that act in their organisation's name. The others belong to it and see no patient for that
reason: a privacy officer reads the audit trail, support and engineers run the service (need to know)."""


def add(
    session: Session,
    *,
    person: int,
    organisation: int,
    roles: Iterable[Role],
    now_us: int,
    valid_to: int = FAR_FUTURE,
) -> list[Membership]:
    """Give the person roles in a registered organisation from now on; a role held already stays as it is."""
    by_key(session, organisation)
    held = {row.role for row in current(session, person, now_us) if row.organisation == organisation}
    fresh = [
        Membership(person=person, organisation=organisation, role=role, valid_from=now_us, valid_to=valid_to)
        for role in sorted(set(roles))
        if role not in held
    ]
    session.add_all(fresh)
    session.flush()
    return fresh


def current(session: Session, person: int, now_us: int) -> list[Membership]:
    """The person's memberships that are valid now."""
    valid = select(Membership).where(
        Membership.person == person, Membership.valid_from <= now_us, Membership.valid_to > now_us
    )
    return list(session.exec(valid.order_by(col(Membership.id))))


def of_organisation(session: Session, organisation: int, now_us: int) -> list[Membership]:
    """The organisation's memberships that are valid now."""
    valid = select(Membership).where(
        Membership.organisation == organisation, Membership.valid_from <= now_us, Membership.valid_to > now_us
    )
    return list(session.exec(valid.order_by(col(Membership.id))))


def actors(session: Session, person: int, now_us: int) -> tuple[int, ...]:
    """The person's own key and the keys of the organisations in whose name the person may act now."""
    rows = current(session, person, now_us)
    return (person, *dict.fromkeys(row.organisation for row in rows if row.role in CARE_ROLES))


def roles(session: Session, person: int, organisation: int, now_us: int) -> frozenset[Role]:
    """The person's roles in one organisation now."""
    rows = current(session, person, now_us)
    return frozenset(Role(row.role) for row in rows if row.organisation == organisation)


def end(session: Session, *, person: int, now_us: int, organisation: int | None = None) -> int:
    """End the person's memberships, of one organisation or of all, at once; the number that ended."""
    valid = update(Membership).where(col(Membership.person) == person, col(Membership.valid_to) > now_us)
    if organisation is not None:
        valid = valid.where(col(Membership.organisation) == organisation)
    return session.exec(valid.values(valid_to=now_us)).rowcount
