"""Tokens that the operator of this machine mints for tests, scripts and support (`backbridge token`)."""

from __future__ import annotations

from dataclasses import dataclass

from sqlmodel import Session

from gateway.access import Purpose
from gateway.people.authenticate import DIRECT_CARE, SELF_MANAGEMENT
from gateway.people.contexts import LOCAL_CLIENT
from gateway.people.errors import NotAMember, Unacceptable
from gateway.people.memberships import current
from gateway.people.tables import StaffAccount
from gateway.people.tokens import mint
from gateway.r4.identity import LOGICAL_ID, key_of
from gateway.smart.scopes import ScopeRefused, levels, parse
from gateway.store.database import Database

_LONGEST_S = 24 * 3_600


@dataclass(frozen=True, slots=True)
class _Named:
    """A `Type/id` from the command line, as reference, id and key; all empty where the option is absent."""

    reference: str = ""
    id: str = ""
    key: int = 0

    @property
    def is_patient(self) -> bool:
        return self.reference.startswith("Patient/")


def local_token(
    database: Database,
    *,
    scope: str,
    now_us: int,
    user: str | None = None,
    organization: str | None = None,
    purpose: Purpose | None = None,
    seconds: int = 300,
) -> str:
    """
    A short-lived token in the name of a person, an organisation or both.

    user          Practitioner/id or Patient/id
    organization  Organization/id; a person with an account here must be a member of it
    purpose       TREAT for professionals and systems, PATRQT for patients, where it is not given
    raises        Unacceptable (a name, scope or lifetime that cannot be), NotAMember

    For names without an account here the operator vouches, who could as well create one.
    """
    person = _named(user, ("Practitioner", "Patient"))
    acting = _named(organization, ("Organization",))
    _check_scope(scope, person)
    if not 1 <= seconds <= _LONGEST_S:
        raise Unacceptable(f"A token lives 1 to {_LONGEST_S} seconds.", code="seconds")
    usual = Purpose.PATRQT if person.is_patient else Purpose.TREAT
    with database.adding() as session:
        _check_member(session, person, acting, now_us)
        return mint(
            session,
            client=LOCAL_CLIENT,
            scopes=scope,
            purpose=usual if purpose is None else purpose,
            activity=SELF_MANAGEMENT if person.is_patient else DIRECT_CARE,
            now_us=now_us,
            seconds=seconds,
            person=person.key,
            reference=person.reference,
            organisation=acting.key,
            organisation_id=acting.id,
            patient=person.key if person.is_patient and "patient" in levels(parse(scope)) else 0,
        )


def _named(reference: str | None, types: tuple[str, ...]) -> _Named:
    if reference is None:
        return _Named()
    resource_type, _, logical_id = reference.partition("/")
    if resource_type not in types or not LOGICAL_ID.match(logical_id):
        raise Unacceptable(f"Write {' or '.join(f'{name}/id' for name in types)}.", code="reference")
    return _Named(reference, logical_id, key_of(resource_type, logical_id))


def _check_scope(scope: str, person: _Named) -> None:
    try:
        found = levels(parse(scope))
    except ScopeRefused as refused:
        raise Unacceptable(f"The scope is refused: {refused}.", code="scope") from refused
    if "patient" in found and not person.is_patient:
        raise Unacceptable("patient/ scopes need --user Patient/id.", code="scope")
    if "system" in found and person.reference:
        raise Unacceptable("system/ scopes speak for no person; leave --user out.", code="scope")


def _check_member(session: Session, person: _Named, acting: _Named, now_us: int) -> None:
    if person.is_patient and acting.key:
        raise Unacceptable("A patient acts for no organisation.", code="reference")
    account = session.get(StaffAccount, person.key)
    if account is None or not person.key:
        return
    member_of = {row.organisation for row in current(session, person.key, now_us)}
    if account.disabled or not member_of or (acting.key and acting.key not in member_of):
        raise NotAMember
