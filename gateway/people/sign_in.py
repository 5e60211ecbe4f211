"""Sign-in with a passphrase or PIN: limited before hashing, the same work for accounts that do not exist.

The order matters: count the try, hash, and only then look at what was found. See gateway/people/attempts.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlmodel import Session, select

from gateway.people import attempts, handles, sessions
from gateway.people.errors import SignInRefused, Unacceptable
from gateway.people.hashing import SecretHasher
from gateway.people.patients import handle_hash
from gateway.people.sessions import Started
from gateway.people.staff import account_hash
from gateway.people.tables import PatientAccount, StaffAccount
from gateway.store.database import Database

_LONGEST_INPUT = 1_024


@dataclass(frozen=True, slots=True)
class Browser:
    """Where a sign-in comes from: its address, the session cookie it has, and how long a new one may live."""

    address: str
    life_us: int
    previous: str | None = None


def staff(
    database: Database,
    hasher: SecretHasher,
    *,
    email: str,
    passphrase: str,
    browser: Browser,
    now_us: int,
) -> Started:
    """
    A new session for a member of staff.

    raises  SignInRefused, whatever was wrong; TryLater when this account or address has to wait
    """
    try:
        name = handles.email(email[:_LONGEST_INPUT])
    except Unacceptable:
        name = ""
    counted = account_hash(hasher, name or email[:_LONGEST_INPUT])
    with database.adding() as session:
        source = attempts.address_hash(hasher, browser.address)
        number = attempts.begin(session, account=counted, address=source, now_us=now_us)
        account = session.exec(select(StaffAccount).where(StaffAccount.email == name)).first()
    return _signed_in(database, hasher, account, passphrase, number, browser, now_us)


def patient(
    database: Database, hasher: SecretHasher, *, handle: str, secret: str, browser: Browser, now_us: int
) -> Started:
    """
    A new session for a patient.

    raises  SignInRefused, whatever was wrong; TryLater when this account or address has to wait
    """
    try:
        name = handles.handle(handle[:_LONGEST_INPUT])
    except Unacceptable:
        name = handle[:_LONGEST_INPUT]
    counted = handle_hash(hasher, name)
    with database.adding() as session:
        source = attempts.address_hash(hasher, browser.address)
        number = attempts.begin(session, account=counted, address=source, now_us=now_us)
        account = session.exec(select(PatientAccount).where(PatientAccount.handle == counted)).first()
    return _signed_in(database, hasher, account, secret, number, browser, now_us)


def _signed_in(
    database: Database,
    hasher: SecretHasher,
    account: StaffAccount | PatientAccount | None,
    secret: str,
    number: int,
    browser: Browser,
    now_us: int,
) -> Started:
    stored = account.secret if account is not None and not account.disabled else ""
    is_right = hasher.matches(stored, secret[:_LONGEST_INPUT])
    if account is None or not stored or not is_right:
        raise SignInRefused
    fresh = hasher.hash(secret) if hasher.is_outdated(stored) else stored
    with database.adding() as session:
        _renew(session, account, stored, fresh)
        attempts.succeed(session, number)
        return sessions.start(
            session,
            person=account.key,
            reference=account.reference,
            now_us=now_us,
            life_us=browser.life_us,
            previous=browser.previous,
        )


def _renew(session: Session, seen: StaffAccount | PatientAccount, stored: str, fresh: str) -> None:
    """Check that the account is still as it was when its hash was read; store the stronger hash if due."""
    account = _again(session, seen)
    if account is None or account.disabled or account.secret != stored:
        raise SignInRefused
    if fresh != stored:
        account.secret = fresh
        session.add(account)


def _again(session: Session, seen: StaffAccount | PatientAccount) -> StaffAccount | PatientAccount | None:
    if isinstance(seen, StaffAccount):
        return session.get(StaffAccount, seen.key)
    return session.get(PatientAccount, seen.key)
