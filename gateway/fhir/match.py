"""Patient/$match: who could this be, among the patients that the client may see (R4 section 3.2, Patient-match).

Candidates come from guarded searches by identifier, name, birth date, telephone or e-mail; `matching.py` weighs them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson

from gateway.fhir.bundles import assembled, entry
from gateway.fhir.errors import BadRequest
from gateway.fhir.exchange import Answer, Request, Service
from gateway.fhir.matching import (
    Match,
    birth_dates_of,
    compared,
    explained,
    families_of,
    givens_of,
    identifiers_of,
    telecoms_of,
)
from gateway.fhir.operation_input import inputs_of
from gateway.fhir.outcomes import render
from gateway.fhir.parameters import Pairs
from gateway.fhir.search_syntax import parse_search
from gateway.r4.issues import Issue
from gateway.store.changes import Version

GRADE_URL = "http://hl7.org/fhir/StructureDefinition/match-grade"
_CANDIDATES = 50
_MOST_SEARCHES = 20
_SYNTAX = re.compile(r"([\\,|$])")

Graded = tuple[Match, Version]


async def match(service: Service, request: Request) -> Answer:
    """A searchset of candidates, the likeliest first, each with grade and score, and how they were weighed."""
    inputs = inputs_of(service, request)
    wanted = inputs.resource("resource")
    if wanted is None or wanted.get("resourceType") != "Patient":
        raise BadRequest("The operation needs a Patient to match.", expression="resource")
    only_certain = inputs.flag("onlyCertainMatches") or False
    count = inputs.whole("count")
    graded = await _graded(service, request, wanted)
    if only_certain:
        graded = [each for each in graded if each[0].grade == "certain"]
        # Several that are certain are not certain.
        graded = graded if len(graded) == 1 else []
    shown = graded[: count or service.settings.page_max]
    entries = [_entry(service, *each) for each in shown]
    return Answer(200, (), assembled("searchset", (), [*entries, *_explanation(shown)], total=len(graded)))


async def _graded(service: Service, request: Request, wanted: dict[str, Any]) -> list[Graded]:
    candidates: dict[str, Version] = {}
    for pairs in _searches(wanted):
        asked = [*pairs, ("_count", str(_CANDIDATES))]
        search = parse_search("Patient", asked, strict=True, limits=service.limits).search
        page = await service.store.search(request.context, search)
        candidates.update((version.id, version) for version in page.matches)
    graded = [(compared(wanted, orjson.loads(found.body or b"{}")), found) for found in candidates.values()]
    graded = [each for each in graded if each[0].grade != "certainly-not"]
    return sorted(graded, key=lambda each: (-each[0].bits, each[1].id))


def _searches(wanted: dict[str, Any]) -> list[Pairs]:
    """What finds the candidates. Raises BadRequest where there is too little to go by."""
    searches = list(_by_identity(wanted))
    if not searches:
        raise BadRequest(
            "Give an identifier, a telephone number or e-mail, or two of family name, given name and birth date.",
            expression="resource",
        )
    return searches[:_MOST_SEARCHES]


def _by_identity(wanted: dict[str, Any]) -> Iterator[Pairs]:
    for system, value in identifiers_of(wanted):
        yield [("identifier", f"{_escaped(system)}|{_escaped(value)}" if system else _escaped(value))]
    names = [("family", _escaped(text)) for text in families_of(wanted)[:2]]
    givens = [("given", _escaped(text)) for text in givens_of(wanted)[:2]]
    dates = [("birthdate", text) for text in birth_dates_of(wanted)]
    for first, second in ((names, dates), (givens, dates), (names, givens)):
        yield from ([one, other] for one in first for other in second)
    for item in wanted.get("telecom", []) if telecoms_of(wanted) else []:
        if isinstance(item, dict) and isinstance(item.get("value"), str) and item["value"]:
            yield [("telecom", _escaped(item["value"]))]


def _escaped(text: str) -> str:
    return _SYNTAX.sub(r"\\\1", text)


def _entry(service: Service, match: Match, version: Version) -> bytes:
    grade = f'{{"url":"{GRADE_URL}","valueCode":"{match.grade}"}}'
    about = f'"search":{{"extension":[{grade}],"mode":"match","score":{match.score:.4f}}}'
    return entry(service.base_url, version, about)


def _explanation(shown: list[Graded]) -> list[bytes]:
    """How each was weighed: elements and weights, never values."""
    if not shown:
        return []
    issues = [
        Issue("information", "informational", "", f"{found.reference}: {explained(match)}") for match, found in shown
    ]
    return [b'{"resource":' + render(issues) + b',"search":{"mode":"outcome"}}']
