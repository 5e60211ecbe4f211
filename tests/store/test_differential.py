"""The store decides as the Consents read: random worlds written through it, every decision against the oracle.

BACKBRIDGE_DECISIONS asks for more than the 50 000 of an ordinary run.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

from sqlmodel import text

from consent.requests import Request, resource_facts
from consent.vocabulary import PURPOSES, Action
from gateway.access import AccessContext
from gateway.r4.identity import key_of, new_id
from gateway.store import guard
from gateway.store.changes import Create
from gateway.store.errors import NotFound
from gateway.store.query import Search
from gateway.store.store import Store
from tests.consent import worlds
from tests.consent.worlds import World
from tests.store.actors import create
from tests.store.databases import Databases
from tests.store.stored_world import Clock, StoredWorld, completed, context_of, opened, with_component

DECISIONS = int(os.environ.get("BACKBRIDGE_DECISIONS", "50000"))
KINDS = {Action.READ: "read", Action.WRITE: "write", Action.DISCLOSE: "disclose"}
REQUESTS = 60
WRITES = 10


def test_every_decision_of_the_store_is_the_oracles(tmp_path: Path, databases: Databases) -> None:
    seen: Counter[str] = Counter()
    seed = 0
    while seen["read"] + seen["write"] + seen["disclose"] + seen["past"] < databases.examples(DECISIONS):
        found = asyncio.run(mismatches(seed, tmp_path / str(seed), databases, seen))
        assert not found, f"seed {seed}: {len(found)} mismatches, first {found[0]}"
        seed += 1
    # A comparison in which everything is denied, or nothing is by code, would show nothing.
    for kind in ("read", "write", "disclose", "past", "create"):
        assert seen[f"{kind} permitted"] > databases.examples(20), (kind, seen)
        assert seen[f"{kind} refused"] > databases.examples(20), (kind, seen)
    assert seen["gone"] > databases.examples(20), seen


async def mismatches(seed: int, home: Path, databases: Databases, seen: Counter[str]) -> list[str]:
    clock = Clock()
    async with opened(home, databases, clock) as (store, database):
        stored = StoredWorld(World.random(seed), store, database, clock)
        await stored.load()
        found = []
        for _ in range(REQUESTS):
            asked = stored.world.request()
            clock.now = asked.now_us
            found += [f"{asked} {each}" for each in await disagreements(stored, asked, seen)]
        for _ in range(WRITES):
            found += await refused_or_written(stored, seen)
        return found


async def disagreements(stored: StoredWorld, asked: Request, seen: Counter[str]) -> list[str]:
    """Where the store's view of the current rows, and of every version, is not the oracle's."""
    context = context_of(asked)
    given = await current(stored, asked, context)
    found = []
    now_permits: dict[tuple[str, str], bool] = {}
    for key, kept in stored.kept.items():
        permitted = now_permits[key] = stored.permits(asked, kept.versions[-1])
        count(seen, KINDS[asked.action], permitted)
        if given[key_of(*key)] != permitted:
            found.append(f"{key} v{len(kept.versions)}: store {not permitted}, oracle {permitted}")
    if asked.action is not Action.READ:
        return found
    visible = await versions(stored.store, context)
    for key, kept in stored.kept.items():
        for number, facts in enumerate(kept.versions, start=1):
            permitted = now_permits[key] and (number == len(kept.versions) or stored.permits(asked, facts))
            count(seen, "past", permitted)
            seen["gone"] += kept.deleted and permitted
            if ((*key, number) in visible) != permitted:
                found.append(f"{key} v{number} in history: store {not permitted}, oracle {permitted}")
    if searched := await wrongly_searched(stored, context, now_permits):
        found.append(f"searched: {searched}")
    return found


async def current(stored: StoredWorld, asked: Request, context: AccessContext) -> dict[int, bool]:
    """The guard's answer for every row, in one statement."""
    sql = f"SELECT r.pk, {guard.visible('r', context, int(asked.action))} FROM resource r"
    with stored.database.engine.connect() as connection:
        found = connection.execute(text(sql), guard.parameters(context, asked.now_us))
        return {pk: bool(visible) for pk, visible in found}


async def versions(store: Store, context: AccessContext) -> set[tuple[str, str, int]]:
    page = await store.history(context, count=1000)
    assert page.next is None
    return {(entry.type, entry.id, entry.version) for entry in page.entries}


async def wrongly_searched(
    stored: StoredWorld, context: AccessContext, permitted: dict[tuple[str, str], bool]
) -> set[tuple[str, str]]:
    """What a search over all types finds too much or too little; its total is exact."""
    types = tuple(sorted({kind for kind, _ in permitted}))
    page = await stored.store.search(context, Search(types, tuple(() for _ in types), count=1000, total=True))
    assert page.total == len(page.matches)
    expected = {key for key, may in permitted.items() if may and not stored.kept[key].deleted}
    return {(match.type, match.id) for match in page.matches} ^ expected


async def refused_or_written(stored: StoredWorld, seen: Counter[str]) -> list[str]:
    """A new resource is stored where every patient it names permits it, else refused."""
    asked, body = attempt(stored)
    if body["resourceType"] in ("Patient", "Consent"):
        return []
    organization = stored.rng.choice((None, *worlds.ORGANIZATIONS))
    logical_id = new_id()
    # Time does not run backwards in the store, so it is never earlier than what was written last.
    stored.clock.now = max(asked.now_us, stored.last_written)
    asked = replace(asked, now_us=stored.clock.now)
    facts = resource_facts(
        body | {"id": logical_id},
        key_of=key_of,
        author=worlds.key(organization) if organization else 0,
        first_updated_us=asked.now_us,
    )
    expected = not facts.patients or stored.permits(asked, facts)
    try:
        change = Create(body["resourceType"], body, create(body).raw, id=logical_id)
        await stored.store.commit(context_of(asked, organization), [change])
    except NotFound:
        written = False
    else:
        written = True
        stored.last_written = asked.now_us
    count(seen, "create", expected)
    return [f"{asked} creates {body}: store {written}, oracle {expected}"] if written != expected else []


def attempt(stored: StoredWorld) -> tuple[Request, worlds.JSON]:
    """A request to create something: by anybody, by a patient, or by one whom a consent limits by code."""
    rng = stored.rng
    asked = replace(stored.world.request(), action=Action.WRITE)
    body = completed(worlds.resource(rng, "new"))
    del body["id"]
    kind = rng.random()
    if kind < 0.3:
        whose = worlds.key(rng.choice(worlds.PATIENTS))
        asked = Request(frozenset((whose,)), PURPOSES["PATRQT"], Action.WRITE, asked.now_us, whose)
    elif kind < 0.6:
        limited = rng.choice(stored.by_code)
        named = worlds.key(limited["provision"]["actor"][0]["reference"]["reference"])
        asked = Request(frozenset((named,)), PURPOSES["TREAT"], Action.WRITE, asked.now_us)
        body = with_component(rng, limited["patient"]["reference"])
    return asked, body


def count(seen: Counter[str], kind: str, permitted: bool) -> None:
    seen[kind] += 1
    seen[f"{kind} {'permitted' if permitted else 'refused'}"] += 1
