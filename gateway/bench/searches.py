"""Two published mixes of searches, with parameters drawn from the loaded data, and what an answer must be like.

Each query says by itself which resources fit it. So answers can be checked without trusting any server: every resource
that comes must fit, and as many must come as the loaded data have, up to the page.
"""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import orjson

from gateway.bench.corpus import FIRST_YEAR, LAST_YEAR, LOINC, MADE_UP, Corpus, Resource, repeatable
from gateway.bench.loader import Script, in_turn
from gateway.bench.servers import Server
from gateway.bench.shapes import PAGE, Shape, matches, refuse_unless_right
from gateway.bench.target import Answer, Check, Request

Fits = Callable[[Resource], bool]

_PREFIXES = ("", "eq", "lt", "gt", "ge", "le", "sa", "eb")
_MODIFIERS = ("", ":contains")
_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"


class Draw:
    """Values drawn at random from what a server was loaded with."""

    def __init__(self, server: Server, corpus: Corpus, seed: random.Random) -> None:
        self._server = server
        self._corpus = corpus
        self.seed = seed

    def reference(self) -> str:
        """A Patient."""
        return self.seed.choice(self._server.loaded)[0]

    def patient(self) -> Resource:
        return self._corpus.patient(self.seed.randrange(self._corpus.bundles))

    def made_up(self) -> str:
        return f"c{self.seed.randrange(40)}"

    def day(self, first: int = FIRST_YEAR, last: int = LAST_YEAR) -> str:
        year, month, day = self.seed.randrange(first, last + 1), self.seed.randrange(1, 13), self.seed.randrange(1, 29)
        return f"{year}-{month:02}-{day:02}"


@dataclass(frozen=True)
class Asked:
    """One query with its values: the type, the parameters, and which resources of the type fit."""

    type: str
    params: dict[str, str]
    fits: Fits


@dataclass(frozen=True)
class Query:
    """A query of a mix: the name under which it is counted, and how its values are drawn."""

    name: str
    draw: Callable[[Draw], Asked]


def mix(name: str, title: str, queries: Sequence[Query], corpus: Corpus, requests: int, connections: int) -> Shape:
    """A shape in which the queries take turns; every server is asked with the same draws."""

    def turn(server: Server, start: int, count: int) -> list[Script]:
        seed = repeatable(start)
        draw = Draw(server, corpus, seed)
        sent = []
        for number in range(start, start + count):
            query = queries[number % len(queries)]
            sent.append(_request(server, query.name, query.draw(draw)))
        return in_turn(sent, count, connections)

    def check(server: Server) -> None:
        known = list(_loaded(server, corpus))
        draw = Draw(server, corpus, repeatable(1))
        for query in queries:
            asked = query.draw(draw)
            due = sum(asked.fits(each) for each in known if each["resourceType"] == asked.type)
            refuse_unless_right(server, _request(server, query.name, asked, due))

    return Shape(name, title, connections, "requests", requests, turn, check)


def _loaded(server: Server, corpus: Corpus) -> Iterator[Resource]:
    """The corpus as this server has it: with its ids and references."""
    for references, resources in zip(server.loaded, corpus.entries, strict=True):
        for reference, resource in zip(references, resources, strict=True):
            stored = {**resource, "id": reference.partition("/")[2]}
            yield {**stored, "subject": {"reference": references[0]}} if "subject" in resource else stored


def _request(server: Server, name: str, asked: Asked, due: int = 0) -> Request:
    params = {"_count": str(PAGE), **asked.params}
    return server.target.get(asked.type, params, kind=name, check=_right(asked.fits, params, due))


def _right(fits: Fits, params: dict[str, str], due: int) -> Check:
    page = int(params["_count"])

    def check(answer: Answer) -> str:
        found = matches(answer)
        wrong = sum(not fits(each) for each in found)
        if wrong:
            return f"{wrong} of {len(found)} hits do not fit {params}"
        if len(found) > page or len(found) < min(due, page):
            return f"{len(found)} hits came where {min(due, page)} were due for {params}"
        total = orjson.loads(answer.body).get("total")
        if "_total" in params and (total is None or total < due):
            return f"the total is {total} where {due} were due for {params}"
        return ""

    return check


# -- what fits ---------------------------------------------------------------------------------------------------------


def _all(*tests: Fits) -> Fits:
    return lambda resource: all(test(resource) for test in tests)


def _is(member: str, value: str) -> Fits:
    return lambda resource: resource.get(member) == value


def _codings(resource: Resource, member: str) -> list[Resource]:
    found = resource.get(member, [])
    concepts = found if isinstance(found, list) else [found]
    return [coding for concept in concepts for coding in concept.get("coding", ())]


def _coded(system: str, code: str, *members: str) -> Fits:
    return lambda resource: any(
        coding.get("system") == system and coding.get("code") == code
        for member in members
        for coding in _codings(resource, member)
    )


def _about(reference: str) -> Fits:
    return lambda resource: resource.get("subject", {}).get("reference", "").endswith(reference)


def _plain(text: str) -> str:
    spread = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in spread if not unicodedata.combining(letter))


def _texts(resource: Resource, member: str, parts: Sequence[str]) -> Iterator[str]:
    for each in resource.get(member, ()):
        for part in parts:
            found = each.get(part, ())
            yield from map(_plain, [found] if isinstance(found, str) else found)


def _says(member: str, parts: Sequence[str], text: str, modifier: str = "") -> Fits:
    wanted = _plain(text)

    def fits(resource: Resource) -> bool:
        texts = list(_texts(resource, member, parts))
        return any(wanted in each if modifier else each.startswith(wanted) for each in texts)

    return fits


_NAME = ("family", "given", "prefix", "suffix", "text")
_ADDRESS = ("line", "city", "district", "state", "postalCode", "country", "text")


def _dated(place: Callable[[Resource], str], prefix: str, day: str) -> Fits:
    """R4 section 3.1.1.4.5, for moments within a day against a whole day."""

    def fits(resource: Resource) -> bool:
        found = place(resource)[:10]
        if prefix in ("lt", "eb"):
            return found < day
        if prefix in ("gt", "sa"):
            return found > day
        if prefix == "le":
            return found <= day
        return found >= day if prefix == "ge" else found == day

    return fits


# -- the mixes ---------------------------------------------------------------------------------------------------------


def _observations(**params: str) -> Query:
    """Observations, all or by one LOINC code, fixed for all requests."""
    code = params.get("code", "")
    fits: Fits = _coded(LOINC, code, "code") if code else (lambda resource: True)
    asked = {**params, "code": f"{LOINC}|{code}"} if code else params
    return Query("observation-" + (code or "page"), lambda draw: Asked("Observation", asked, fits))


def _of_patient(kind: str, **params: str) -> Query:
    def draw(values: Draw) -> Asked:
        reference = values.reference()
        return Asked(kind, {"patient": reference, **params}, _about(reference))

    return Query(f"{kind.lower()}-of-patient", draw)


def _by_made_up_code(kind: str) -> Query:
    def draw(values: Draw) -> Asked:
        code = values.made_up()
        return Asked(kind, {"code": f"{MADE_UP}|{code}", "_count": "5"}, _coded(MADE_UP, code, "code"))

    return Query(f"{kind.lower()}-by-code", draw)


def _people(name: str, **params: str) -> Query:
    """Patients by gender and the beginning of a name, fixed for all requests."""
    tests: list[Fits] = []
    if "gender" in params:
        tests.append(_is("gender", params["gender"]))
    tests += [_says("name", (part,), params[part]) for part in ("family", "given") if part in params]
    return Query(name, lambda draw: Asked("Patient", {"_count": "5", **params}, _all(*tests)))


def _by_whole_family(draw: Draw) -> Asked:
    family = draw.patient()["name"][0]["family"]
    return Asked("Patient", {"family": family, "_count": "5"}, _says("name", ("family",), family))


def _recent(draw: Draw) -> Asked:
    return Asked("Observation", {"date": "ge2020-01-01", "_count": "5"}, _dated(_effective, "ge", "2020-01-01"))


def _effective(resource: Resource) -> str:
    return str(resource.get("effectiveDateTime", ""))


CLINIC = (
    _observations(_count="10"),
    _observations(_count="1", _total="accurate"),
    _observations(code="8480-6", _count="1", _total="accurate"),
    _observations(code="8302-2", _count="5", _total="accurate"),
    _observations(code="29463-7", _count="5", _total="accurate"),
    _observations(code="72514-3", _count="5", _total="accurate"),
    Query("observation-recent", _recent),
    _people("patient-by-gender", gender="male", _total="accurate"),
    _people("patient-by-family-prefix", family="S"),
    _people("patient-by-given-prefix", given="A"),
    _people("patient-by-gender-and-family", gender="female", family="B"),
    Query("patient-by-family", _by_whole_family),
    _of_patient("Observation", _count="20"),
    _of_patient("Condition"),
    _of_patient("Encounter", _count="10"),
    _of_patient("MedicationRequest", _count="10"),
    _by_made_up_code("Condition"),
    _by_made_up_code("Procedure"),
)
"""After mock.health's fhir-server-compare: what a clinic's screens ask (config/queries.yaml, 2026)."""


def _by_text(member: str, parts: Sequence[str], pick: Callable[[Draw], str]) -> Query:
    def draw(values: Draw) -> Asked:
        text, modifier = pick(values), values.seed.choice(_MODIFIERS)
        return Asked("Patient", {f"{member}{modifier}": text}, _says(member, parts, text, modifier))

    return Query(f"patient-{member}", draw)


def _by_date(kind: str, parameter: str, place: Callable[[Resource], str], years: tuple[int, int]) -> Query:
    def draw(values: Draw) -> Asked:
        prefix, day = values.seed.choice(_PREFIXES), values.day(*years)
        return Asked(kind, {parameter: prefix + day}, _dated(place, prefix, day))

    return Query(f"{kind.lower()}-{parameter}", draw)


SEARCH = (
    _by_text("name", _NAME, lambda draw: str(draw.patient()["name"][0]["family"][:4])),
    _by_text("address", _ADDRESS, lambda draw: str(draw.patient()["address"][0]["city"])),
    _by_date("Patient", "birthdate", lambda resource: str(resource.get("birthDate", "")), (1930, 1998)),
    _by_date("Observation", "date", _effective, (FIRST_YEAR, LAST_YEAR)),
    _by_date("Encounter", "date", lambda resource: str(resource["period"]["start"]), (FIRST_YEAR, LAST_YEAR)),
    Query(
        "observation-category",
        lambda draw: Asked(
            "Observation", {"category": f"{_CATEGORY}|vital-signs"}, _coded(_CATEGORY, "vital-signs", "category")
        ),
    ),
)
"""After HealthSamurai's benchmark: six families, with modifiers and prefixes (search.js, 2026)."""
