"""However a search is run, it answers alike: by index, by grants, by walking in order, or as the store chooses."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from typing import get_args

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from consent.requests import Request
from consent.vocabulary import PURPOSES, Action
from gateway.access import AccessContext
from gateway.fhir.search_syntax import parse_search
from gateway.store.changes import SearchPage
from gateway.store.query import Search
from gateway.store.search import Shape
from gateway.store.store import Store
from tests.consent import worlds
from tests.consent.worlds import World
from tests.store import searchable
from tests.store.actors import OPEN, create, search, update
from tests.store.databases import Databases
from tests.store.searchable import IDS, SEARCHED
from tests.store.stored_world import Clock, completed, context_of, opened

NOW = worlds.microseconds("2026-03-03")
SHAPES: tuple[Shape, ...] = get_args(Shape)
Key = tuple[str, str, int]


def reader(*actors: str, purpose: str = "TREAT", subject: str | None = None) -> AccessContext:
    keys = frozenset(worlds.key(each) for each in actors)
    key = worlds.key(subject) if subject else None
    return context_of(Request(keys, PURPOSES[purpose], Action.READ, NOW, key))


READERS = (
    OPEN,
    reader("Practitioner/pr1", "Organization/org1"),
    reader("Organization/org2"),
    reader(worlds.PATIENTS[0], purpose="PATRQT", subject=worlds.PATIENTS[0]),
)


class Filled:
    """A store with a drawn world in it, and the loop that it runs on."""

    def __init__(self, store: Store, loop: asyncio.AbstractEventLoop) -> None:
        self.store = store
        self._loop = loop

    def page(self, context: AccessContext, asked: Search, shape: Shape) -> SearchPage:
        return self._loop.run_until_complete(self.store.search(context, asked, shape=shape))

    def insert(self, resource: worlds.JSON) -> None:
        self._loop.run_until_complete(self.store.commit(OPEN, [create(resource)]))


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Filled]:
    loop = asyncio.new_event_loop()
    clock = Clock()
    # What the shapes answer must not depend on how long they take.
    context = opened(tmp_path_factory.mktemp("shapes") / "home", databases, clock, query_seconds=60.0)
    store, _ = loop.run_until_complete(context.__aenter__())
    loop.run_until_complete(fill(store, clock))
    yield Filled(store, loop)
    loop.run_until_complete(context.__aexit__(None, None, None))
    loop.close()


async def fill(store: Store, clock: Clock) -> None:
    rng = random.Random(4)
    for reference in worlds.PATIENTS:
        made = searchable.resource(rng, reference.split("/")[1])
        logical_id = made.pop("id")
        if reference == "Patient/feed-3":
            await store.commit(OPEN, [update(logical_id, made)])
        else:
            await store.commit(OPEN, [create(made, id=logical_id)])
    for number in range(3):
        for each in IDS:
            clock.now += rng.choice((0, 1, 1_000_000))
            made = searchable.resource(rng, each) | {"id": f"{each}-{number}" if number else each}
            await store.commit(OPEN, [update(made["id"], made)])
    drafts = [document for seed in range(6) for document in World.random(seed).consents]
    broad = {"type": "permit", "actor": [worlds.actor("Organization/org1")]}
    drafts.append(worlds.consent(rng, "c") | {"status": "active", "provision": broad})
    for document in drafts:
        body = {key: value for key, value in completed(document).items() if key != "id"}
        await store.commit(OPEN, [create(body)])
    clock.now = NOW


def keys(page: SearchPage) -> tuple[list[Key], list[Key]]:
    matches = [(each.type, each.id, each.version) for each in page.matches]
    return matches, sorted((each.type, each.id, each.version) for each in page.included)


def asked_for(rng: random.Random) -> tuple[str, list[tuple[str, str]]]:
    kind = rng.choice(SEARCHED)
    return kind, searchable.pairs(rng, kind, conditions=(0, 1, 1, 2, 3))


@given(st.integers(0, 2**32), st.sampled_from(READERS))
@hypothesis(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_all_shapes_of_a_search_answer_alike(filled: Filled, seed: int, context: AccessContext) -> None:
    kind, pairs = asked_for(random.Random(seed))
    asked = parse_search(kind, pairs, strict=True).search
    pages = {shape: filled.page(context, asked, shape) for shape in SHAPES}
    expected = pages.pop("walk")
    for shape, page in pages.items():
        assert keys(page) == keys(expected), (shape, kind, pairs)
        assert page.total == expected.total, (shape, kind, pairs)
        assert (page.next is None) == (expected.next is None), (shape, kind, pairs)


@given(st.integers(0, 2**32), st.sampled_from(READERS))
@hypothesis(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_paging_shows_every_row_once_while_others_are_inserted(
    filled: Filled, seed: int, context: AccessContext
) -> None:
    rng = random.Random(seed)
    kind = rng.choice(SEARCHED)
    pairs = [searchable.condition(rng, kind)] if rng.random() < 0.6 else []
    if rng.random() < 0.7:
        pairs.append(("_sort", searchable.sort(rng, kind)))
    whole = parse_search(kind, [*pairs, ("_total", "accurate"), ("_count", "1000")], strict=True).search
    expected = filled.page(context, whole, "auto")
    assert expected.next is None
    assert expected.total == len(expected.matches)
    shown, cursor = [], None
    size = rng.choice((1, 2, 3, 7)) if len(expected.matches) < 40 else 13
    for _ in range(len(expected.matches) + 1):
        turn = [*pairs, ("_count", str(size)), *([("_cursor", cursor)] if cursor else [])]
        page = filled.page(context, parse_search(kind, turn, strict=True).search, rng.choice(SHAPES))
        assert len(page.matches) == size or page.next is None, "only the last page is short"
        shown += keys(page)[0]
        cursor = page.next
        if cursor is None:
            break
        # A resource of another type that nothing refers to.
        filled.insert({"resourceType": "Basic", "code": {"text": "unrelated"}})
    assert cursor is None
    assert shown == keys(expected)[0]


def test_most_of_the_drawn_searches_find_something_and_not_everything(filled: Filled) -> None:
    """The tests above compare answers; if all answers were empty they would compare nothing."""
    found = []
    for seed in range(200):
        kind, pairs = asked_for(random.Random(seed))
        pairs = [(name, value) for name, value in pairs if name not in ("_count", "_summary")]
        found.append(len(filled.page(OPEN, parse_search(kind, pairs, strict=True).search, "auto").matches))
    assert sum(number > 0 for number in found) > 60, found
    assert len(set(found)) > 5


def test_a_reference_of_another_type_with_the_same_id_is_no_match(filled: Filled) -> None:
    """A server's id has one key whatever the type, so the type is compared too."""
    person = {"resourceType": "Patient", "name": [{"family": "Samekey"}]}
    filled.insert(person)
    [someone] = filled.page(OPEN, search("Patient", "family=Samekey"), "auto").matches
    group = {"reference": f"Group/{someone.id}"}
    filled.insert({"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": group})
    for shape in SHAPES:
        has = search("Patient", "family=Samekey&_has:Observation:subject:status=final")
        assert not filled.page(OPEN, has, shape).matches
        page = filled.page(OPEN, search("Patient", "family=Samekey&_revinclude=Observation:subject"), shape)
        assert not page.included
        inside = parse_search("Observation", [("_count", "9")], strict=True, compartment=("Patient", someone.id)).search
        assert not filled.page(OPEN, inside, shape).matches
    assert json.loads(someone.body or b"{}")["name"] == person["name"]
