"""What a commit locks before its checks, so that what they find still holds when it is written."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from gateway.r4.definitions import type_id
from gateway.store.changes import POST
from gateway.store.postgresql.values import Array
from gateway.store.prepare import Prepared
from gateway.store.query import Match, Search, Token
from gateway.store.staged import Commit

LOCKS = (
    "SELECT write_locks(?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[], "
    f"{type_id('Consent')}::smallint)"
)


def locks_of(commit: Commit) -> tuple[Array, ...] | None:
    """The arguments of LOCKS, None where the commit needs none. See migrations/postgresql_foundation.py."""
    fresh = {change.pk for change in commit.changes if change.type == "Patient" and change.method == POST}
    once: set[int] = set()
    beside: set[int] = set()
    named: set[int] = set()
    ruled: set[int] = set()
    for change in commit.changes:
        for key, alone in _singular(change):
            (once if alone else beside).add(key)
        patients = set(change.facts.named) - fresh if change.facts is not None else set()
        if change.consent is not None:
            ruled |= patients
        elif not commit.context.bypass:
            named |= patients
    changed = {change.pk for change in commit.changes if change.method != POST}
    found = (once, beside, changed, named, ruled)
    return tuple(Array("bigint", list(keys)) for keys in found) if any(found) else None


def _singular(change: Prepared) -> Iterator[tuple[int, bool]]:
    """The locks that keep two creates from both finding nothing, and whether each is to be held alone."""
    if change.registers is not None:
        yield from ((_key("number", code), True) for code in _identifiers(change.registers.search))
    if change.condition is not None:
        codes = _identifiers(change.condition)
        yield _key("type", change.type), not codes
        yield from ((_key("identifier", change.type, code), True) for code in codes)


def _identifiers(search: Search) -> list[str]:
    """
    The codes of an identifier that every match must carry one of.

    Conditions without one may fit whatever another creates, so they hold the whole type alone.
    """
    for clause in search.where[0] if search.where else ():
        if isinstance(clause, Match) and clause.parameter.code == "identifier":
            codes = [value.code for value in clause.values if isinstance(value, Token) and value.code is not None]
            if len(codes) == len(clause.values):
                return codes
    return []


def _key(*parts: str) -> int:
    digest = hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
