"""References inside a transaction: to its own entries by fullUrl, and by search (R4 section 3.1.0.11.2)."""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import NamedTuple

from gateway.fhir.errors import BadRequest, EntryRefused, NoMatch
from gateway.fhir.exchange import Request, Service, permit
from gateway.fhir.outcomes import REFUSALS
from gateway.fhir.resources import condition_of
from gateway.r4.definitions import is_resource_type
from gateway.store.errors import SeveralMatches

# A `"reference": "…"` member. A quote inside a string value has a backslash before it, so text cannot look like one.
_REFERENCE = re.compile(r'"reference"[ \t\n\r]*:[ \t\n\r]*"((?:[^"\\]|\\.)*)"')
_OWN_SCHEMES = ("urn:uuid:", "urn:oid:")


class Reference(NamedTuple):
    """A reference that needs the transaction to mean something: the entry, its string token, and what it says."""

    entry: int
    token: str
    says: str

    @property
    def is_conditional(self) -> bool:
        return not self.says.startswith(_OWN_SCHEMES)


def open_references(entry: int, text: str) -> list[Reference]:
    """The references of a resource's JSON text to other entries, and those by search."""
    return [
        Reference(entry, token, says)
        for token, says in _references_in(text)
        if says.startswith(_OWN_SCHEMES) or ("?" in says and is_resource_type(says.partition("?")[0]))
    ]


def check_aliases(references: Iterable[Reference], aliases: Container[str]) -> None:
    """Raises EntryRefused where a resource refers to a `urn:uuid:` that no entry has as its fullUrl."""
    for reference in references:
        if not reference.is_conditional and reference.says not in aliases:
            raise EntryRefused(
                reference.entry, BadRequest("A reference to a fullUrl that no entry has.", expression="Bundle.resource")
            )


async def resolved_conditions(service: Service, request: Request, references: Iterable[Reference]) -> Mapping[str, str]:
    """
    What each conditional reference (`Patient?identifier=…`) stands for, by the string token as it was written.

    raises  EntryRefused for one that matches no resource, or several, in the client's world
    """
    found: dict[str, str] = {}
    for reference in references:
        if not reference.is_conditional or reference.token in found:
            continue
        try:
            found[reference.token] = await _only_match(service, request, reference.says)
        except REFUSALS as error:
            raise EntryRefused(reference.entry, error) from error
    return found


def _references_in(text: str) -> Iterator[tuple[str, str]]:
    """Each literal reference: its token without quotes, and what it says."""
    for match in _REFERENCE.finditer(text):
        token = match[1]
        yield token, (json.loads(f'"{token}"') if "\\" in token else token)


async def _only_match(service: Service, request: Request, says: str) -> str:
    resource_type, _, query = says.partition("?")
    permit(request.context, resource_type, "s")
    matches = await service.store.find(request.context, condition_of(service, resource_type, query.encode()))
    if not matches:
        raise NoMatch
    if len(matches) > 1:
        raise SeveralMatches
    return matches[0].reference
