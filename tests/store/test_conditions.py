"""Conditions on writes hold inside the transaction; versions at a time; a patient's compartment over several types."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from gateway.access import AccessContext
from gateway.fhir.search_syntax import parse_search
from gateway.settings import Settings
from gateway.store.changes import Create, Update
from gateway.store.database import Database
from gateway.store.errors import Invalid, VersionMismatch
from gateway.store.query import Search
from gateway.store.store import Store
from tests.store.actors import OPEN, clinic, create, delete, observation, person, search, update

pytestmark = pytest.mark.anyio

SOMEONE = person(identifier=[{"system": "urn:test", "value": "1"}])


def first_of_its_kind(**more: Any) -> Create:
    """A create for a conditional update that found nothing."""
    return create({**SOMEONE, **more}, condition=search("Patient", "identifier=urn:test|1"), refuses_match=True)


def new(logical_id: str) -> Update:
    body = {**SOMEONE, "id": logical_id}
    return Update("Patient", logical_id, body, create(body).raw, must_be_new=True)


async def test_a_create_that_must_be_first_is_refused_with_all_that_comes_with_it(store: Store) -> None:
    await store.commit(OPEN, [create(SOMEONE)])
    with pytest.raises(VersionMismatch) as refused:
        await store.commit(OPEN, [create(person("Other")), first_of_its_kind()])
    assert refused.value.entry == 1
    assert len((await store.search(OPEN, search("Patient"))).matches) == 1


async def test_of_sixteen_creates_that_must_be_first_one_is(store: Store) -> None:
    made = await asyncio.gather(
        *(store.commit(OPEN, [create(person("With")), first_of_its_kind()]) for _ in range(16)), return_exceptions=True
    )
    assert sorted(type(each).__name__ for each in made) == ["VersionMismatch"] * 15 + ["list"]
    assert len((await store.search(OPEN, search("Patient", "_count=50"))).matches) == 2


async def test_of_eight_updates_that_must_be_new_one_is(store: Store) -> None:
    made = await asyncio.gather(*(store.commit(OPEN, [new("chosen")]) for _ in range(8)), return_exceptions=True)
    assert sorted(type(each).__name__ for each in made) == ["AlreadyExists"] * 7 + ["list"]
    await store.commit(OPEN, [delete("Patient", "chosen")])
    [again] = await store.commit(OPEN, [new("chosen")])
    assert (again.outcome, again.version.version) == ("created", 3)


async def test_history_at_a_time_has_what_was_current_then(database: Database, settings: Settings) -> None:
    now = [1_000]
    store = Store(database, settings=settings, clock=lambda: now[0])
    await store.start()
    [made] = await store.commit(OPEN, [create(person("A"))])
    logical_id = made.version.id
    now[0] = 2_000
    await store.commit(OPEN, [update(logical_id, person("B"))])
    now[0] = 3_000
    await store.commit(OPEN, [delete("Patient", logical_id)])

    async def versions(low: int, high: int, **of: str) -> list[int]:
        page = await store.history(OPEN, type="Patient", at=(low, high), oldest_first=True, **of)
        assert page.total == (len(page.entries) if of else None)
        return [version.version for version in page.entries]

    try:
        expected = {(0, 1_000): [], (0, 1_001): [1], (1_500, 1_501): [1], (1_999, 2_000): [1], (1_999, 2_001): [1, 2],
                    (2_000, 2_001): [2], (2_500, 3_001): [2, 3], (9_000, 9_001): [3]}  # fmt: skip
        for period, found in expected.items():
            assert await versions(*period, id=logical_id) == await versions(*period) == found
    finally:
        await store.stop()


@pytest.fixture
async def strict(database: Database, settings: Settings, anyio_backend: str) -> AsyncIterator[Store]:
    """A store that wants references to lead somewhere."""
    store = Store(database, settings=settings.model_copy(update={"references": "existing"}))
    await store.start()
    yield store
    await store.stop()


async def test_a_reference_must_lead_to_what_the_writer_may_see(strict: Store) -> None:
    here, elsewhere = clinic(), clinic("Organization/other-clinic")
    [mine] = await strict.commit(here, [create(person())])
    private = {"resourceType": "Observation", "status": "final", "code": {"text": "about nobody, seen by its author"}}
    [theirs] = await strict.commit(elsewhere, [create(private)])
    pointing = {**observation(mine.version.id), "derivedFrom": [{"reference": theirs.version.reference}]}
    with pytest.raises(Invalid) as refused:
        await strict.commit(here, [create(pointing)])
    assert [issue.expression for issue in refused.value.issues] == ["Observation.derivedFrom[0]"]
    [own] = await strict.commit(here, [create(private)])
    await strict.commit(here, [create({**pointing, "derivedFrom": [{"reference": own.version.reference}]})])
    with pytest.raises(Invalid):
        await strict.commit(elsewhere, [create(observation(mine.version.id))])


async def test_what_one_request_made_the_next_of_the_same_moment_may_refer_to(strict: Store) -> None:
    device = {"resourceType": "Device", "id": "d"}

    def pointing(n: int) -> Create:
        return create({**observation("p"), "device": {"reference": "Device/d"}, "note": [{"text": str(n)}]})

    await strict.commit(OPEN, [update("p", person()), update("d", device)])
    made = await asyncio.gather(*(strict.commit(OPEN, [pointing(n)]) for n in range(8)))
    assert len(made) == 8


def compartment(patient: str, **more: str) -> Search:
    types = "Patient,Observation,Condition,Group,RelatedPerson"
    pairs = [("_type", types), *more.items()]
    return parse_search(
        None, pairs, strict=True, compartment=("Patient", patient), base_url="http://127.0.0.1:8000/fhir"
    ).search


@pytest.mark.parametrize("context", [lambda: OPEN, clinic, lambda: clinic("Organization/other-clinic")])
async def test_a_compartment_over_several_types_is_the_same_however_it_is_found(
    store: Store, settings: Settings, context: Callable[[], AccessContext]
) -> None:
    base = settings.fhir_base_url
    for logical_id in ("p1", "p2"):
        await store.commit(OPEN, [update(logical_id, person())])
    both = [{"entity": {"reference": f"Patient/{name}"}} for name in ("p1", "p2")]
    resources: list[dict[str, Any]] = [
        observation("p1"),
        observation("p2"),
        {**observation("p1"), "subject": {"reference": f"{base}/Patient/p1"}},
        {**observation("p1"), "subject": {"reference": "Patient/p1/_history/1"}},
        {"resourceType": "Group", "type": "person", "actual": True, "member": both},
        {"resourceType": "Condition", "subject": {"reference": "Patient/p1"}, "asserter": {"reference": "Patient/p2"}},
        {"resourceType": "RelatedPerson", "patient": {"reference": "Patient/p2"}},
        person(link=[{"other": {"reference": "Patient/p1"}, "type": "seealso"}]),
    ]
    for resource in resources:
        await store.commit(OPEN, [create(resource)])
    for patient in ("p1", "p2", "p3"):
        asked = compartment(patient, _total="accurate")
        driven = await store.search(context(), asked)
        walked = await store.search(context(), asked, shape="walk")
        assert [version.reference for version in driven.matches] == [version.reference for version in walked.matches]
        assert driven.total == walked.total == len(driven.matches)
    if context().bypass:
        assert len((await store.search(OPEN, compartment("p1"))).matches) == 7
