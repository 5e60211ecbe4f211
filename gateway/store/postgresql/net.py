"""What a transaction tells the database's own net about itself: who asks, for what, at what time (decision 0022).

The policies read it (migrations/row_level_security.py). It ends with the transaction, and without it they refuse.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import lru_cache

from gateway.access import AccessContext
from gateway.store.postgresql.text import Parameters

# What the net lets through whosoever it is about: reading, replacing rows, writing rows.
CLOSED, SEEN, REPLACED, WRITTEN = 0, 1, 2, 4
OPEN = SEEN | REPLACED | WRITTEN

SETTINGS = ("open", "actors", "purposes", "now", "fresh")
SAY = "SELECT " + ", ".join(f"set_config('backbridge.{name}', ?, true)" for name in SETTINGS)


@dataclass(frozen=True, slots=True)
class Net:
    """
    open      what passes the net in any case
    actors    the keys of the identities that ask, as PostgreSQL writes an array
    purposes  the purpose as a set with one member, like those of grants
    now       microseconds: grants must be in force then
    fresh     the keys of patients whom the transaction itself creates, who have granted nothing yet
    """

    open: int
    actors: str = "{}"
    purposes: int = 0
    now: int = 0
    fresh: str = "{}"

    @staticmethod
    def of(context: AccessContext, now_us: int) -> Net:
        """What a context is to see of the tables, at most: open access sees everything."""
        return Net(OPEN if context.bypass else CLOSED, _array(context.actors), 1 << context.purpose, now_us)

    def passing(self, what: int) -> Net:
        """The same, with more let through."""
        return replace(self, open=self.open | what)

    def with_fresh(self, patients: Collection[int]) -> Net:
        return replace(self, fresh=_array(tuple(patients)))

    @property
    def statement(self) -> tuple[str, Parameters]:
        """The statement that says it, for the rest of its transaction."""
        return SAY, (str(self.open), self.actors, str(self.purposes), str(self.now), self.fresh)


ALL = Net(OPEN)
"""Maintenance: rows are written anew from bodies, or a version of the schema is applied."""


@lru_cache(maxsize=4096)
def _array(keys: tuple[int, ...]) -> str:
    return f"{{{','.join(map(str, keys))}}}"
