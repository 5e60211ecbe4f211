"""The facts of a version as the columns that rules test: one function computes them, here they meet the tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from consent import labels
from gateway.r4.identity import key_of

UNDATED = -1
COLUMNS = (
    "patient",
    "patients",
    "category",
    "confidentiality",
    "labels",
    "effective_from",
    "effective_to",
    "author",
    "open",
)


@dataclass(frozen=True, slots=True)
class FactRow:
    """
    named           keys of every patient named, in order
    effective_from  UNDATED where the resource has no date of its own: the store puts in the time of version 1
    """

    named: tuple[int, ...]
    category: int
    confidentiality: int
    labels: int
    effective_from: int
    effective_to: int
    open: bool

    def columns(self, author: int, created: int) -> tuple[int, ...]:
        """The values of COLUMNS for a version whose first version was made at `created` by `author`."""
        undated = self.effective_from == UNDATED
        return (
            self.named[0] if self.named else 0,
            len(self.named),
            self.category,
            self.confidentiality,
            self.labels,
            created if undated else self.effective_from,
            created + 1 if undated else self.effective_to,
            author,
            int(self.open),
        )


def of(resource: Mapping[str, Any], resource_type: str, logical_id: str) -> FactRow:
    """The facts of a resource that will be stored as `type/id` (a Patient names itself by that id)."""
    stored = {**resource, "id": logical_id}
    facts = labels.facts(stored, key_of=key_of, first_updated_us=UNDATED)
    return FactRow(
        named=facts.patients,
        category=facts.category,
        confidentiality=facts.confidentiality,
        labels=facts.labels,
        effective_from=facts.effective_from,
        effective_to=facts.effective_to,
        open=facts.open,
    )
