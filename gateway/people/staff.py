"""Members of staff: the first administrator, invitations, leavers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlmodel import Session, col, select, update

from gateway.people import attempts, handles, memberships, organisations, sessions, tokens
from gateway.people.codes import code_hash, new_code
from gateway.people.errors import AlreadyExists, CodeRefused, NotKnown, Unacceptable
from gateway.people.hashing import SecretHasher, token_hash
from gateway.people.tables import Invitation, Organisation, Role, StaffAccount
from gateway.r4.identity import LOGICAL_ID, key_of, new_id
from gateway.store.database import Database

_INVITATION_US = 7 * 24 * 3_600 * 1_000_000


@dataclass(frozen=True, slots=True)
class Invited:
    """An account and the one-time code for its passphrase; no code where the person signs in here already."""

    account: StaffAccount
    code: str = field(default="", repr=False)
    expires: int = 0


@dataclass(frozen=True, slots=True)
class Left:
    """What ended with a leaver."""

    memberships: int
    sessions: int
    tokens: int


def first_administrator(
    database: Database,
    hasher: SecretHasher,
    *,
    organisation_name: str,
    name: str,
    email: str,
    passphrase: str,
    now_us: int,
) -> tuple[StaffAccount, Organisation]:
    """
    Set the installation up: its first organisation and an administrator of it.

    raises  AlreadyExists once any member of staff is registered; Unacceptable (e-mail, name, passphrase)
    """
    secret = hasher.hash(handles.staff_passphrase(passphrase))
    with database.writing() as session:
        if session.exec(select(StaffAccount.key).limit(1)).first() is not None:
            raise AlreadyExists("This installation has an administrator already.")
        organisation = organisations.add(session, name=organisation_name, now_us=now_us)
        account = _register(session, name=name, email=email, practitioner_id=None, now_us=now_us)
        account.secret = secret
        _join(session, account, organisation.key, [Role.ADMINISTRATOR], now_us)
        return account, organisation


def invite(
    session: Session,
    *,
    name: str,
    email: str,
    organisation: int,
    roles: Iterable[Role],
    invited_by: int,
    now_us: int,
    practitioner_id: str | None = None,
) -> Invited:
    """
    Register a colleague with roles in the organisation and make a one-time code for a passphrase.

    Somebody who signs in here already only gets the roles, and no code: an administrator of one organisation
    could otherwise take over an account that another organisation relies on. A leaver who comes back starts anew.
    """
    account = _by_email(session, email) or _register(
        session, name=name, email=email, practitioner_id=practitioner_id, now_us=now_us
    )
    if account.disabled:
        account.disabled, account.secret = 0, ""
        session.add(account)
    _join(session, account, organisation, roles, now_us)
    return Invited(account) if account.secret else _invited(session, account, invited_by, now_us)


def reset(session: Session, *, person: int, asked_by: int, now_us: int) -> Invited:
    """
    A one-time code for somebody who has lost the passphrase, which stays valid until the code is used.

    The code is for the e-mail address on record only; whoever asks for it must not see it.
    """
    account = get(session, person)
    if account.disabled:
        raise NotKnown
    return _invited(session, account, asked_by, now_us)


def accept(
    database: Database, hasher: SecretHasher, *, code: str, passphrase: str, address: str, now_us: int
) -> StaffAccount:
    """
    Choose a passphrase with a one-time code. Every open session and token of the person ends.

    raises  CodeRefused, Unacceptable (passphrase), TryLater (too many wrong codes from this address)
    """
    with database.adding() as session:
        source = attempts.address_hash(hasher, address)
        number = attempts.begin(session, account=attempts.NO_ACCOUNT, address=source, now_us=now_us)
    with database.reading() as session:
        _open_invitation(session, code, now_us)
    secret = hasher.hash(handles.staff_passphrase(passphrase))
    with database.writing() as session:
        invitation = _open_invitation(session, code, now_us)
        invitation.used = now_us
        session.add(invitation)
        account = get(session, invitation.person)
        account.secret = secret
        session.add(account)
        _end_access(session, account.key, now_us)
        attempts.succeed(session, number)
        attempts.forgive(session, account_hash(hasher, account.email))
        return account


def leave(session: Session, person: int, now_us: int) -> Left:
    """Close the account of a leaver: memberships, sessions, tokens and invitations end at once."""
    account = get(session, person)
    account.disabled = now_us
    session.add(account)
    ended = memberships.end(session, person=person, now_us=now_us)
    _withdraw_invitations(session, person, now_us)
    sessions_ended, tokens_ended = _end_access(session, person, now_us)
    return Left(ended, sessions_ended, tokens_ended)


def get(session: Session, person: int) -> StaffAccount:
    """The account of a Practitioner's key; NotKnown when there is none."""
    account = session.get(StaffAccount, person)
    if account is None:
        raise NotKnown
    return account


def account_hash(hasher: SecretHasher, email: str) -> bytes:
    """The name under which attempts at a staff account are counted."""
    return hasher.blind("staff", email)


def _by_email(session: Session, email: str) -> StaffAccount | None:
    return session.exec(select(StaffAccount).where(StaffAccount.email == handles.email(email))).first()


def _register(session: Session, *, name: str, email: str, practitioner_id: str | None, now_us: int) -> StaffAccount:
    found_id = new_id() if practitioner_id is None else practitioner_id
    if not LOGICAL_ID.match(found_id):
        raise Unacceptable("This is not a logical id.", code="id")
    if not name.strip():
        raise Unacceptable("A member of staff needs a name.", code="name")
    key = key_of("Practitioner", found_id)
    if session.get(StaffAccount, key) is not None:
        raise AlreadyExists("This practitioner has an account already.")
    account = StaffAccount(key=key, id=found_id, email=handles.email(email), name=name.strip(), created=now_us)
    session.add(account)
    session.flush()
    return account


def _join(session: Session, account: StaffAccount, organisation: int, roles: Iterable[Role], now_us: int) -> None:
    memberships.add(session, person=account.key, organisation=organisation, roles=roles, now_us=now_us)


def _invited(session: Session, account: StaffAccount, invited_by: int, now_us: int) -> Invited:
    _withdraw_invitations(session, account.key, now_us)
    code, expires = new_code(), now_us + _INVITATION_US
    session.add(
        Invitation(
            hash=token_hash(code.replace("-", "")),
            person=account.key,
            invited_by=invited_by,
            created=now_us,
            expires=expires,
        )
    )
    session.flush()
    return Invited(account, code, expires)


def _open_invitation(session: Session, code: str, now_us: int) -> Invitation:
    invitation = session.get(Invitation, code_hash(code))
    if invitation is None or invitation.used or now_us >= invitation.expires:
        raise CodeRefused
    return invitation


def _withdraw_invitations(session: Session, person: int, now_us: int) -> None:
    unused = update(Invitation).where(col(Invitation.person) == person, col(Invitation.used) == 0)
    session.exec(unused.values(used=now_us))


def _end_access(session: Session, person: int, now_us: int) -> tuple[int, int]:
    ended = sessions.end_all(session, person, now_us)
    return ended, tokens.revoke_person(session, person, now_us)
