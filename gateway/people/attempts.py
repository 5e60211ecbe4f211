"""Rate limit and lock-out: how long the next try at a secret must wait (NIST SP 800-63B-4, section 3.2.2).

A try is written down as failed before the secret is looked at, in the transaction that counts the earlier
ones: sixteen guesses at once therefore count as sixteen. Every process sees the same rows.
"""

from __future__ import annotations

import ipaddress

from sqlalchemy import func
from sqlmodel import Session, col, delete, select, update

from gateway.people.errors import TryLater
from gateway.people.hashing import SecretHasher
from gateway.people.tables import Attempt

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US

_FREE_TRIES = 5
_LONGEST_WAIT_S = 3_600
# No more than 100 failures in a row, after that only a new code from the clinic opens the account.
_MOST_FAILURES = 100
_ADDRESS_WINDOW_US = 15 * MINUTE_US
_ADDRESS_FAILURES = 30
_KEPT_US = 30 * 24 * 60 * MINUTE_US
NO_ACCOUNT = b""
"""For tries that name no account (codes, client assertions): only their address is limited."""


def address_hash(hasher: SecretHasher, address: str, door: str = "people") -> bytes:
    """
    A keyed hash of the address that asks at one door; an IPv6 caller owns its whole /64.

    Doors are counted apart: a system that is set up wrongly must not lock the staff beside it out.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return hasher.blind(door, address)
    if parsed.version == 6:
        return hasher.blind(door, str(ipaddress.ip_network((parsed, 64), strict=False)))
    return hasher.blind(door, str(parsed))


def begin(session: Session, *, account: bytes, address: bytes, now_us: int) -> int:
    """Write the try down and return its number; TryLater when this account or address has to wait."""
    check_address(session, address=address, now_us=now_us)
    if account != NO_ACCOUNT:
        _check_account(session, account=account, now_us=now_us)
    session.exec(delete(Attempt).where(col(Attempt.at) < now_us - _KEPT_US))
    attempt = Attempt(at=now_us, account=account, address=address)
    session.add(attempt)
    session.flush()
    assert attempt.id is not None, "the database numbers every attempt"
    return attempt.id


def succeed(session: Session, number: int) -> None:
    """The try was right: the account's failures are counted from here on."""
    session.exec(update(Attempt).where(col(Attempt.id) == number).values(succeeded=1))


def forgive(session: Session, account: bytes) -> None:
    """Forget the account's failures, because its owner has been identified in another way (a new code)."""
    session.exec(delete(Attempt).where(col(Attempt.account) == account))


def check_address(session: Session, *, address: bytes, now_us: int) -> None:
    """TryLater when too many tries of this address have failed of late."""
    recent = select(func.count(), func.min(Attempt.at)).where(
        Attempt.address == address, Attempt.at > now_us - _ADDRESS_WINDOW_US, Attempt.succeeded == 0
    )
    failures, oldest = session.exec(recent).one()
    if failures >= _ADDRESS_FAILURES:
        raise TryLater(_seconds(oldest + _ADDRESS_WINDOW_US - now_us))


def _check_account(session: Session, *, account: bytes, now_us: int) -> None:
    success = select(func.max(Attempt.id)).where(Attempt.account == account, Attempt.succeeded == 1)
    since = session.exec(success).one() or 0
    failed = select(func.count(), func.max(Attempt.at)).where(
        Attempt.account == account, col(Attempt.id) > since, Attempt.succeeded == 0
    )
    failures, latest = session.exec(failed).one()
    if failures >= _MOST_FAILURES:
        raise TryLater(_LONGEST_WAIT_S, "This account is locked; ask for a new code.", code="locked")
    if failures >= _FREE_TRIES:
        wait_us = _wait_s(failures) * SECOND_US - (now_us - latest)
        if wait_us > 0:
            raise TryLater(_seconds(wait_us))


def _wait_s(failures: int) -> int:
    """Half a minute after the fifth failure, then double each time, an hour at most."""
    return min(30 << min(failures - _FREE_TRIES, 10), _LONGEST_WAIT_S)


def _seconds(wait_us: int) -> int:
    return max(1, -(-wait_us // SECOND_US))
