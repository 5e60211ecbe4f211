"""The rows that a consent compiles to, and what a row means (docs/consent-semantics.md, "The rows").

All values are integers so that the SQL over them is the same in SQLite and PostgreSQL. Times are microseconds
since 1970 UTC, ranges are half-open.
"""

from __future__ import annotations

from typing import NamedTuple

FAR_PAST = -(1 << 62)
FAR_FUTURE = 1 << 62


class Grant(NamedTuple):
    """
    One permit of one patient to one actor; it covers a resource when all its conditions hold.

    type, code, author, instance   0 = any
    purposes, categories           sets: one bit for each number (vocabulary.bits)
    max_confidentiality  the highest rank it covers
    label_mask           0 = any; else the resource carries a label, and none outside the mask
    data_from, data_to   contain the whole effective range of the resource
    valid_from, valid_to contain the time of the request
    """

    patient: int
    actor: int
    purposes: int
    type: int
    categories: int
    code: int
    max_confidentiality: int
    label_mask: int
    data_from: int
    data_to: int
    valid_from: int
    valid_to: int
    actions: int
    author: int
    instance: int


class Deny(NamedTuple):
    """
    One prohibition of one patient; it holds where `root_actor` and `actor` are both among the actors who ask.

    purpose, type, category, code, instance   0 = any (category 0 includes `consent`)
    min_confidentiality  the lowest rank it holds for
    label_mask           0 = any; else the resource carries at least one of these labels
    data_from, data_to   overlap the effective range of the resource
    """

    patient: int
    actor: int
    root_actor: int
    purpose: int
    type: int
    category: int
    code: int
    min_confidentiality: int
    label_mask: int
    data_from: int
    data_to: int
    valid_from: int
    valid_to: int
    actions: int
    instance: int


class CompiledConsent(NamedTuple):
    """The rows of one consent; none unless it is active. `root_type` is how its root was read."""

    grants: list[Grant]
    denies: list[Deny]
    status: str
    root_type: str = ""
