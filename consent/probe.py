"""Compiled rows evaluated in Python: the meaning of a row that the SQL of the store repeats, condition by condition."""

from __future__ import annotations

from collections.abc import Iterable

from consent.reading import HashToken, TypeId
from consent.requests import Decision, Request, ResourceFacts
from consent.rows import Deny, Grant
from consent.vocabulary import Action, bits


def decide_rows(
    request: Request,
    resource: ResourceFacts,
    grants: Iterable[Grant],
    denies: Iterable[Deny],
    *,
    type_id: TypeId,
    hash_token: HashToken,
) -> Decision:
    """The decision that the rows give; `grants` and `denies` may hold rows of other patients too."""
    if not resource.patients:
        return _about_nobody(request, resource)
    probe = _Probe(request, resource, type_id, hash_token)
    if any(probe.denied_by(deny) for deny in denies):
        return Decision(False, "denied")
    permitted = {grant.patient for grant in grants if probe.granted_by(grant)}
    if permitted.issuperset(resource.patients):
        return Decision(True, "permitted")
    return Decision(False, "not-permitted")


def _about_nobody(request: Request, resource: ResourceFacts) -> Decision:
    if resource.author and resource.author in request.actors:
        return Decision(True, "own-author")
    if resource.open and request.action != Action.WRITE:
        return Decision(True, "open")
    return Decision(False, "not-open")


class _Probe:
    """One request for one resource, with the numbers that rows hold."""

    def __init__(self, request: Request, resource: ResourceFacts, type_id: TypeId, hash_token: HashToken) -> None:
        self.request = request
        self.resource = resource
        self.type = type_id(resource.type)
        self.codes = frozenset(hash_token(*pair) for pair in resource.codes)
        self.inner_codes = frozenset(hash_token(*pair) for pair in resource.inner_codes)

    def granted_by(self, row: Grant) -> bool:
        resource = self.resource
        start, end = resource.effective
        return (
            row.patient in resource.patients
            and row.actor in self.request.named
            and row.purposes & bits([self.request.purpose]) != 0
            and row.type in (0, self.type)
            and row.categories & bits([resource.category]) != 0
            and (row.code == 0 or row.code in self.codes)
            and resource.confidentiality <= row.max_confidentiality
            and (row.label_mask == 0 or (resource.labels != 0 and resource.labels & ~row.label_mask == 0))
            and row.data_from <= start
            and end <= row.data_to
            and row.valid_from <= self.request.now_us < row.valid_to
            and row.actions & self.request.action != 0
            and row.author in (0, resource.author)
            and row.instance in (0, resource.instance)
        )

    def denied_by(self, row: Deny) -> bool:
        resource = self.resource
        start, end = resource.effective
        return (
            row.patient in resource.patients
            and row.actor in self.request.named
            and row.root_actor in self.request.named
            and row.purpose in (0, self.request.purpose)
            and row.type in (0, self.type)
            and row.category in (0, resource.category)
            and (row.code == 0 or row.code in self.inner_codes)
            and resource.confidentiality >= row.min_confidentiality
            and (row.label_mask == 0 or resource.labels & row.label_mask != 0)
            and start < row.data_to
            and row.data_from < end
            and row.valid_from <= self.request.now_us < row.valid_to
            and row.actions & self.request.action != 0
            and row.instance in (0, resource.instance)
        )
