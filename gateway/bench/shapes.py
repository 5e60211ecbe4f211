"""The workloads with one kind of request each, and the cycle of all verbs; the mix of searches is in `searches`.

A shape gives the scripts of its users for one turn on one server. Every server gets the same requests.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import orjson

from gateway.bench.corpus import CODES, IDENTIFIER_SYSTEM, LOINC, Corpus, Resource, patient
from gateway.bench.linked import TYPES, linked
from gateway.bench.loader import Script, ask, in_turn
from gateway.bench.servers import Server
from gateway.bench.target import Answer, Check, Request

PAGE = 20
SINCE = "2015-01-01"
# Numbers of new people start here, so that they are not those of the corpus.
_NEW_PEOPLE = 1_000_000


class WrongAnswer(Exception):
    """A server answers a request of the workload wrongly; there is no use in timing it."""


@dataclass(frozen=True)
class Shape:
    """
    name         as on the command line
    title        what it measures, in the table
    connections  how many users ask at once
    unit         what the rate counts: requests, or the entries that they carry
    turn         the users' scripts for one turn: the server, and how many requests came before and shall be sent
    requests     how many requests a run sends to each server
    check        raises WrongAnswer where the server answers wrongly, before anything is timed
    """

    name: str
    title: str
    connections: int
    unit: str
    requests: int
    turn: Callable[[Server, int, int], list[Script]]
    check: Callable[[Server], None] = lambda server: None


def read(corpus: Corpus, requests: int, connections: int) -> Shape:
    def asked(server: Server) -> list[Request]:
        return [server.target.get(references[0], kind="read", check=_is(references[0])) for references in server.loaded]

    return _independent("read", "Patient read by id", connections, requests, asked)


def identifier(corpus: Corpus, requests: int, connections: int) -> Shape:
    def asked(server: Server) -> list[Request]:
        return [
            server.target.get(
                "Patient",
                {"identifier": f"{IDENTIFIER_SYSTEM}|{corpus.run}-p{number}"},
                kind="identifier",
                check=_hits([references[0]]),
            )
            for number, references in enumerate(server.loaded)
        ]

    return _independent("identifier", "Patient by identifier", connections, requests, asked)


def observation(corpus: Corpus, requests: int, connections: int) -> Shape:
    def asked(server: Server) -> list[Request]:
        return [_observations(server, corpus, number, CODES[number % len(CODES)]) for number in range(corpus.bundles)]

    return _independent("observation", "Observation by patient, code, date", connections, requests, asked)


def _observations(server: Server, corpus: Corpus, number: int, code: str) -> Request:
    references = server.loaded[number]
    right = [
        reference
        for reference, resource in zip(references, corpus.entries[number], strict=True)
        if resource["resourceType"] == "Observation"
        and resource["code"]["coding"][0]["code"] == code
        and resource["effectiveDateTime"] >= SINCE
    ]
    query = {"patient": references[0], "code": f"{LOINC}|{code}", "date": f"ge{SINCE}", "_count": str(PAGE)}
    return server.target.get("Observation", query, kind="observation", check=_hits(right))


def create(corpus: Corpus, requests: int, connections: int) -> Shape:
    def turn(server: Server, start: int, count: int) -> list[Script]:
        numbers = range(_NEW_PEOPLE + start, _NEW_PEOPLE + start + count)
        sent = [
            server.target.send("POST", "Patient", patient(corpus.run, number), kind="create", expected=(201,))
            for number in numbers
        ]
        return in_turn(sent, count, connections)

    return Shape("create", "Patient create", connections, "requests", requests, turn)


def ingest(corpus: Corpus, connections: int) -> Shape:
    """The 100-entry transactions of the corpus; the references of what they made are kept, for the other shapes."""

    def turn(server: Server, start: int, count: int) -> list[Script]:
        server.loaded += [[] for _ in range(start + count - len(server.loaded))]
        numbers = iter(range(start, start + count))
        return [_loading(server, corpus, numbers) for _ in range(connections)]

    return Shape("ingest", "100-entry transaction", connections, "entries", corpus.bundles, turn)


def bundles(name: str, title: str, bodies: Sequence[bytes], connections: int) -> Shape:
    """Transactions as they come, such as the histories of real generators."""

    def turn(server: Server, start: int, count: int) -> list[Script]:
        sent = [_transaction(server, body) for body in bodies]
        return in_turn(sent, count, connections, start)

    return Shape(name, title, connections, "entries", len(bodies), turn)


def crud(corpus: Corpus, cycles: int, connections: int) -> Shape:
    """Create, read, update and delete nine types that refer to each other (HealthSamurai's shape)."""
    steps = 4 * len(TYPES)

    def turn(server: Server, start: int, count: int) -> list[Script]:
        numbers = iter(range(start // steps, (start + count) // steps))
        return [_cycles(server, corpus.run, numbers) for _ in range(connections)]

    return Shape("crud", f"CRUD cycle of {len(TYPES)} types", connections, "requests", cycles * steps, turn)


def _independent(
    name: str, title: str, connections: int, requests: int, asked: Callable[[Server], list[Request]]
) -> Shape:
    def turn(server: Server, start: int, count: int) -> list[Script]:
        return in_turn(asked(server), count, connections, start)

    def check(server: Server) -> None:
        for request in itertools.islice(asked(server), 12):
            refuse_unless_right(server, request)

    return Shape(name, title, connections, "requests", requests, turn, check)


def refuse_unless_right(server: Server, request: Request) -> None:
    """Send one request and look at all of the answer; raises WrongAnswer."""
    answer = ask(server.target, request)
    if answer.status not in request.expected:
        raise WrongAnswer(f"{server.name}: {request.kind} gave status {answer.status}")
    complaint = request.check(answer) if request.check is not None else ""
    if complaint:
        raise WrongAnswer(f"{server.name}: {request.kind}: {complaint}")


def _is(reference: str) -> Check:
    def check(answer: Answer) -> str:
        resource = orjson.loads(answer.body)
        found = f"{resource.get('resourceType')}/{resource.get('id')}"
        return "" if found == reference else f"{reference} was asked for, {found} came"

    return check


def _hits(right: Sequence[str]) -> Check:
    """The answer is one page with exactly these resources, or a full page of them where there are more."""

    def check(answer: Answer) -> str:
        found = [f"{each['resourceType']}/{each['id']}" for each in matches(answer)]
        strangers = set(found) - set(right)
        if len(found) == min(len(right), PAGE) and not strangers and len(set(found)) == len(found):
            return ""
        return f"{len(right)} hits were due, {len(found)} came, {len(strangers)} of them others"

    return check


def matches(answer: Answer) -> list[Resource]:
    """The resources of a searchset that match, without those included with them."""
    entries = orjson.loads(answer.body).get("entry", ())
    return [each["resource"] for each in entries if each.get("search", {}).get("mode", "match") == "match"]


def _transaction(server: Server, body: bytes) -> Request:
    entries = len(orjson.loads(body)["entry"])
    return server.target.send("POST", "", body, kind="transaction", entries=entries, check=_all_stored(entries))


def _all_stored(entries: int) -> Check:
    def check(answer: Answer) -> str:
        statuses = [each["response"]["status"][:3] for each in orjson.loads(answer.body).get("entry", ())]
        good = sum(status in ("200", "201") for status in statuses)
        return "" if good == entries else f"{good} of {entries} entries were stored"

    return check


def _loading(server: Server, corpus: Corpus, numbers: Iterator[int]) -> Script:
    for number in numbers:
        answer = yield _transaction(server, corpus.bodies[number])
        if answer.status == 200:
            server.loaded[number] = [
                reference_in(each["response"]["location"]) for each in orjson.loads(answer.body)["entry"]
            ]


def reference_in(location: str) -> str:
    """`Type/id` of a Location, which may be relative or absolute and name a version."""
    parts = location.partition("/_history/")[0].rstrip("/").split("/")
    return "/".join(parts[-2:])


def _cycles(server: Server, run: str, numbers: Iterator[int]) -> Script:
    for number in numbers:
        yield from _cycle(server, run, number)


def _cycle(server: Server, run: str, number: int) -> Script:
    """One cycle: what could not be created is left out of the rest."""
    made: dict[str, str] = {}
    stored: dict[str, Resource] = {}
    for name in TYPES:
        stored[name] = linked(name, run, number, made)
        answer = yield server.target.send("POST", name, stored[name], kind="create", expected=(201,))
        if answer.status == 201:
            made[name] = reference_in(answer.location)
    for reference in made.values():
        yield server.target.get(reference, kind="read", check=_is(reference))
    for name, reference in made.items():
        changed = {**stored[name], "id": reference.partition("/")[2], "language": "en-GB"}
        yield server.target.send("PUT", reference, changed, kind="update")
    for reference in reversed(list(made.values())):
        yield replace(server.target.send("DELETE", reference, kind="delete"), expected=(200, 204))
