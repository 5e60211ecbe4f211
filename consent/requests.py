"""What a decision is asked about, and its answer: shared by the two evaluators and by nothing else of theirs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from consent.contents import KeyOf
from consent.labels import codes, facts
from consent.vocabulary import ANYONE, EVERYONE, Action


@dataclass(frozen=True, slots=True)
class Request:
    """
    actors    keys of every identity the request acts as
    purpose   number of the purpose of use
    action    the one action asked for
    subject   key of the patient who asks for themself, or None; such a request acts as that patient alone
    now_us    time of the request, microseconds since 1970 UTC
    """

    actors: frozenset[int]
    purpose: int
    action: Action
    now_us: int
    subject: int | None = None

    @property
    def named(self) -> frozenset[int]:
        """The actor keys by which a rule reaches this request."""
        if self.subject is not None:
            return frozenset((self.subject, EVERYONE))
        return self.actors | {ANYONE, EVERYONE}


@dataclass(frozen=True, slots=True)
class ResourceFacts:
    """
    The facts of a resource (consent.labels.Facts) with what the store knows besides.

    type         resource type name
    codes        (system, code) of the resource's own code
    inner_codes  those and the codes of its components
    author       key of the organisation that wrote it, 0 where none did
    instance     key of the resource
    """

    patients: tuple[int, ...]
    type: str
    category: int
    codes: frozenset[tuple[str, str]]
    inner_codes: frozenset[tuple[str, str]]
    confidentiality: int
    labels: int
    effective: tuple[int, int]
    author: int
    instance: int
    open: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """`reason` is one of the codes in docs/consent-semantics.md, "Reasons"."""

    permit: bool
    reason: str


def resource_facts(resource: Mapping[str, Any], *, key_of: KeyOf, author: int, first_updated_us: int) -> ResourceFacts:
    """The facts of a resource with a logical id, as the store would keep them."""
    found = facts(resource, key_of=key_of, first_updated_us=first_updated_us)
    own, inner = codes(resource)
    return ResourceFacts(
        patients=found.patients,
        type=str(resource["resourceType"]),
        category=found.category,
        codes=own,
        inner_codes=inner,
        confidentiality=found.confidentiality,
        labels=found.labels,
        effective=(found.effective_from, found.effective_to),
        author=author,
        instance=key_of(str(resource["resourceType"]), str(resource["id"])),
        open=found.open,
    )
