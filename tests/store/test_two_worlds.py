"""What a reader may not see does not exist for them: the same requests to a store with and without the hidden rows.

The second world is a copy of the first, of which everything was cut out that the oracle hides from the reader. Every
answer through the HTTP layer must be the same, byte for byte (research consent-security 1.7, first master test).
BACKBRIDGE_REQUESTS asks for more than the 300 of an ordinary run.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import shutil
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlmodel import text

from consent.requests import Request
from consent.vocabulary import PURPOSES, Action
from gateway.access import AccessContext
from gateway.fhir.app import FHIRApplication
from gateway.r4.identity import key_of
from gateway.settings import Settings
from gateway.store.clauses import TABLES
from gateway.store.database import Database
from tests.consent import worlds
from tests.consent.worlds import World
from tests.store import searchable
from tests.store.databases import Databases
from tests.store.searchable import IDS, SEARCHED, query, type_of
from tests.store.stored_world import Clock, StoredWorld, context_of, opened, running

REQUESTS = int(os.environ.get("BACKBRIDGE_REQUESTS", "300"))
REQUESTS_A_WORLD = 60
PAGES = 6
# Later than anything was written: time never runs backwards in the feed of changes.
NOW = worlds.microseconds("2026-03-05")
CLINIC = "Organization/org1"
ASKED = Request(frozenset((worlds.key("Practitioner/pr1"), worlds.key(CLINIC))), PURPOSES["TREAT"], Action.READ, NOW)
READER = context_of(ASKED, CLINIC)


class SearchableWorld(StoredWorld):
    draw = staticmethod(searchable.resource)


def drawn(seed: int) -> World:
    """Consents as random as ever, and one of each kind that matters here; resources with something to search for."""
    world = World.random(seed)
    rng = world.rng
    allowed = {"type": "permit", "actor": [worlds.actor(CLINIC)]}
    allowed["action"] = [worlds.action(each) for each in ("access", "collect")]
    except_mood = allowed | {"provision": [{"type": "deny", "securityLabel": [worlds.label("PSY")]}]}
    for whose, provision in zip(worlds.PATIENTS, (allowed, except_mood), strict=False):
        base = worlds.consent(rng, "c")
        world.consents.append(base | {"status": "active", "patient": {"reference": whose}, "provision": provision})
    # Broad random denies would leave nothing to compare.
    world.consents = [each for each in world.consents if each["provision"]["type"] == "permit"]
    world.restricted.clear()
    author = replace(world.resources[0][1], author=worlds.key(CLINIC))
    world.resources = [
        (searchable.resource(rng, each), author if rng.random() < 0.5 else replace(author, author=0)) for each in IDS
    ]
    return world


# -- the second world ----------------------------------------------------------------------------------------


def without_hidden(database: Database, stored: StoredWorld) -> Counter[str]:
    """Cuts out of the database all that the oracle hides from the reader; counts what was hidden and not."""
    seen: Counter[str] = Counter()
    with database.engine.begin() as connection:
        for (kind, logical_id), kept in stored.kept.items():
            pk = key_of(kind, logical_id)
            if not stored.permits(ASKED, kept.versions[-1]):
                seen["hidden"] += 1
                for table in ("resource", "history", "named_patient", "past_code", *TABLES.values()):
                    connection.execute(text(f"DELETE FROM {table} WHERE pk = :pk"), {"pk": pk})
                continue
            seen["visible"] += 1
            for number, facts in enumerate(kept.versions[:-1], start=1):
                if not stored.permits(ASKED, facts):
                    seen["hidden version"] += 1
                    for table in ("history", "named_patient", "past_code"):
                        version = {"pk": pk, "version": number}
                        connection.execute(text(f"DELETE FROM {table} WHERE pk = :pk AND version = :version"), version)
    database.close()
    return seen


# -- one side of the comparison ------------------------------------------------------------------------------


Answer = tuple[int, tuple[tuple[str, str], ...], bytes]
_CREATED = re.compile(rb'(?:"201 Created","location":"|^http://testserver/fhir/)\w+/([0-9a-z]{13})/_history/1')
_CURSOR = re.compile(rb"_cursor=[^\"&]+")


class Side:
    """One of the two worlds, behind its HTTP layer."""

    def __init__(self, app: FHIRApplication) -> None:
        self._app = app
        # Ids that this world gave to what the reader created, in order: they differ between the worlds.
        self._made: list[bytes] = []

    async def ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        """Status, headers and body, with what may differ made equal."""
        status, sent, content = await self._raw(method, path, body, headers)
        self._made += _CREATED.findall(dict(sent).get("location", "").encode() if status == 201 else content)
        kept = [(name, self._equalised(value.encode()).decode()) for name, value in sent if name != "x-request-id"]
        return status, tuple(kept), self._equalised(content)

    async def next_of(self, path: str) -> str | None:
        """The path of the next page, where the answer to a GET of the path has one."""
        status, _, content = await self._raw("GET", path, b"", {})
        bundle = json.loads(content) if status == 200 else {}
        links = bundle.get("link", ()) if bundle.get("resourceType") == "Bundle" else ()
        following = next((each["url"] for each in links if each["relation"] == "next"), None)
        return None if following is None else following.removeprefix("http://testserver/fhir")

    def _equalised(self, content: bytes) -> bytes:
        for number, made in enumerate(self._made):
            content = content.replace(made, b"NEW%010d" % number)
        return _CURSOR.sub(b"_cursor=*", content)

    async def _raw(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        target, _, asked = path.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": f"/fhir{target}",
            "raw_path": f"/fhir{target}".encode(),
            "root_path": "/fhir",
            "query_string": asked.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("192.0.2.1", 50000),
        }
        messages: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            messages.append(message)

        await self._app(scope, receive, send)
        start, end = messages
        sent = [(name.decode(), value.decode()) for name, value in start["headers"] if name != b"date"]
        return start["status"], sent, end["body"]


# -- requests ------------------------------------------------------------------------------------------------

FORM = {"content-type": "application/x-www-form-urlencoded"}
JSON_TYPE = {"content-type": "application/fhir+json"}
Call = tuple[str, str, bytes, dict[str, str]]


def call(rng: random.Random, consents: list[str]) -> Call:
    """A request of any kind, about anything: half of them searches."""
    kind = rng.choice(SEARCHED)
    asked = query(searchable.pairs(rng, kind))
    one = rng.choice([*(f"/{type_of(each)}/{each}" for each in IDS), *(f"/{p}" for p in worlds.PATIENTS), *consents])
    absent = rng.choice((one, one, one, "/Patient/00000000000zz", "/Observation/r99"))
    match rng.choices(range(13), (14, 6, 3, 3, 2, 3, 2, 4, 2, 2, 2, 1, 3))[0]:
        case 0:
            return "GET", f"/{kind}?{asked}", b"", {}
        case 1:
            return "POST", f"/{kind}/_search", asked.encode(), FORM
        case 2:
            return "HEAD", f"/{kind}?{asked}", b"", {}
        case 3:
            return "GET", f"/{rng.choice(worlds.PATIENTS)}/{rng.choice(('Observation', '*'))}?_count=3", b"", {}
        case 4:
            return "GET", f"/?_type=Observation,Patient,Consent&_total=accurate&_count={rng.choice('39')}", b"", {}
        case 5:
            return rng.choice(("GET", "HEAD")), absent, b"", _known(rng)
        case 6:
            return "GET", f"{absent}/_history/{rng.choice('123')}", b"", _known(rng)
        case 7:
            level = rng.choice((f"{absent}/_history", f"{one}/_history", f"/{kind}/_history", "/_history"))
            return "GET", f"{level}?_count={rng.choice('249')}{rng.choice(('', '&_sort=_lastUpdated'))}", b"", {}
        case 8:
            condition = query([searchable.condition(rng, "Observation")])
            return "POST", "/Observation", _new(rng, "Observation"), JSON_TYPE | {"if-none-exist": condition}
        case 9:
            return "POST", "/Condition", _new(rng, "Condition"), JSON_TYPE
        case 10:
            target, logical_id = absent.removeprefix("/").split("/")
            body = json.loads(_new(rng, target if target in searchable.TYPES else "Encounter"))
            version = rng.choice(({}, {"if-match": f'W/"{rng.choice("12")}"'}))
            written = json.dumps(body | {"resourceType": target, "id": logical_id}).encode()
            return "PUT", absent, written, JSON_TYPE | version
        case 11:
            return "DELETE", absent, b"", rng.choice(({}, {"if-match": 'W/"1"'}))
        case _:
            return "POST", "/", json.dumps(_bundle(rng, absent, f"{kind}?{asked}")).encode(), JSON_TYPE


def _known(rng: random.Random) -> dict[str, str]:
    return rng.choice(({}, {"if-none-match": 'W/"1"'}, {"if-modified-since": "Wed, 01 Jul 2026 00:00:00 GMT"}))


def _new(rng: random.Random, kind: str) -> bytes:
    examples = [each for each in IDS if type_of(each) == kind]
    made = searchable.resource(rng, rng.choice(examples))
    return json.dumps({key: value for key, value in made.items() if key != "id"}).encode()


def _bundle(rng: random.Random, one: str, asked: str) -> dict[str, Any]:
    if rng.random() < 0.5:
        urls = (one.removeprefix("/"), asked, f"{one.removeprefix('/')}/_history/1")
        return {
            "resourceType": "Bundle",
            "type": "batch",
            "entry": [{"request": {"method": "GET", "url": url}} for url in urls],
        }
    made = json.loads(_new(rng, "Observation"))
    made["subject"] = {"reference": f"Patient?identifier={searchable.SYSTEM}|{rng.randrange(8)}"}
    request = {"method": "POST", "url": "Observation"}
    return {"resourceType": "Bundle", "type": "transaction", "entry": [{"resource": made, "request": request}]}


# -- the test ------------------------------------------------------------------------------------------------


def test_hidden_rows_change_no_answer(tmp_path: Path, databases: Databases) -> None:
    seen: Counter[str] = Counter()
    for seed in range(-(-REQUESTS // REQUESTS_A_WORLD)):
        asyncio.run(compared(seed, tmp_path / str(seed), databases, seen))
        shutil.rmtree(tmp_path / str(seed))
    assert seen["requests"] >= REQUESTS
    # Worlds without anything to hide or to see, or requests that are all refused, would show nothing.
    for what in ("hidden", "visible", "hidden version", "found", "next pages", "201", "404", "410"):
        assert seen[what] > 0, (what, seen)
    assert seen["500"] == 0
    assert seen["200"] > REQUESTS // 3, seen


async def compared(seed: int, home: Path, databases: Databases, seen: Counter[str]) -> None:
    clock = Clock()
    async with opened(home / "all", databases, clock) as (store, database):
        stored = SearchableWorld(drawn(seed), store, database, clock)
        await stored.load()
    databases.copy(home / "all", home / "seen")
    seen.update(without_hidden(databases.open(home / "seen"), stored))
    clock.now = NOW
    rng = random.Random(seed)
    consents = [f"/Consent/{logical_id}" for kind, logical_id in stored.kept if kind == "Consent"]
    async with AsyncExitStack() as stack:
        sides = []
        for name in ("all", "seen"):
            store, _ = await stack.enter_async_context(running(home / name, databases, clock))
            settings = Settings(home=home / name, public_base_url="http://testserver")
            sides.append(Side(FHIRApplication(store, authenticate, settings)))
        for number in range(REQUESTS_A_WORLD):
            await same(sides[0], sides[1], call(rng, consents), f"seed {seed}, request {number}", seen)


async def authenticate(
    authorization: str | None, request_id: str, origin: str, *, afresh: bool = False
) -> AccessContext:
    return READER


async def same(one: Side, other: Side, asked: Call, place: str, seen: Counter[str]) -> None:
    """Fails where the worlds answer differently, on the first page or on any that follows."""
    seen["requests"] += 1
    given, expected = await one.ask(*asked), await other.ask(*asked)
    assert given == expected, f"{place}: {asked[:3]}"
    seen[str(given[0])] += 1
    seen["found"] += b'"entry":[{' in given[2]
    if asked[0] != "GET":
        return
    paths = await one.next_of(asked[1]), await other.next_of(asked[1])
    for _ in range(PAGES):
        if paths[0] is None or paths[1] is None:
            break
        seen["next pages"] += 1
        given, expected = await one.ask("GET", paths[0], b"", {}), await other.ask("GET", paths[1], b"", {})
        assert given == expected, f"{place}: {asked[:3]}, a later page"
        paths = await one.next_of(paths[0]), await other.next_of(paths[1])
    assert (paths[0] is None) == (paths[1] is None), f"{place}: {asked[:3]}, the last page"
