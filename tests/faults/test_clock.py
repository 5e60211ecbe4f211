"""A clock that jumps: ten seconds or an hour, forwards or back, over a change to winter time.

What is promised: order never depends on the clock; what has a time limit (tokens, consent) goes by the clock as it is.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
import pytest

from consent.forms import Choice, sharing_consent
from gateway.people.authenticate import Authenticator, Unauthenticated
from gateway.people.contexts import LOCAL_CLIENT
from gateway.people.local_token import local_token
from gateway.people.tokens import revoke
from gateway.settings import Settings
from gateway.store.errors import NotFound
from gateway.store.sqlite import SQLiteDatabase
from gateway.store.store import Store
from tests.faults.serving import running, wait_until
from tests.store.actors import CLINIC, OPEN, clinic, create, patient, person, update

pytestmark = pytest.mark.anyio

SECOND = 1_000_000
HOUR = 3_600 * SECOND
JUMPS = (-10 * SECOND, -HOUR, HOUR, -2 * HOUR, 10 * SECOND, HOUR)


@dataclass
class Clock:
    now: int = int(datetime(2026, 10, 24, 12, tzinfo=UTC).timestamp()) * SECOND

    def __call__(self) -> int:
        self.now += 1_000
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def jumping(
    database: SQLiteDatabase, settings: Settings, clock: Clock, anyio_backend: str
) -> AsyncIterator[Store]:
    """A store that goes by the test's clock."""
    store = Store(database, settings=settings, clock=clock)
    await store.start()
    yield store
    await store.stop()


async def test_versions_and_the_feed_keep_their_order_whatever_the_clock_does(jumping: Store, clock: Clock) -> None:
    [made] = await jumping.commit(OPEN, [create(person("0"))])
    logical_id, chosen, seen = made.version.id, random.Random(1), [made.version]
    for number in range(1, 40):
        clock.now += chosen.choice(JUMPS)
        [changed] = await jumping.commit(OPEN, [update(logical_id, person(str(number)), if_match=number)])
        seen.append(changed.version)
    assert [version.version for version in seen] == list(range(1, 41))
    moments = [version.updated for version in seen]
    assert moments == sorted(moments)
    assert await followed(jumping) == [(logical_id, number) for number in range(1, 41)]


async def followed(store: Store) -> list[tuple[str, int]]:
    """What a follower of the feed by `_since` gets: each time what came since the last moment it knows."""
    found: list[tuple[str, int]] = []
    since = 0
    while True:
        page = await store.history(OPEN, since=since, count=7, oldest_first=True)
        cursor = page.next
        entries = list(page.entries)
        while cursor is not None:
            page = await store.history(OPEN, since=since, count=7, oldest_first=True, cursor=cursor)
            entries, cursor = entries + list(page.entries), page.next
        new = [(each.id, each.version) for each in entries if (each.id, each.version) not in found]
        if not new:
            return found
        found += new
        since = max(each.updated for each in entries)


@pytest.mark.parametrize("jump", [-10 * SECOND, -HOUR])
async def test_who_registered_a_patient_sees_them_when_the_clock_is_put_back(
    jumping: Store, clock: Clock, jump: int
) -> None:
    [made] = await jumping.commit(clinic(), [create(person())])
    clock.now += jump
    assert (await jumping.read(clinic(), "Patient", made.version.id)).version == 1
    assert (await jumping.read(patient(made.version.id), "Patient", made.version.id)).version == 1


async def test_consent_holds_exactly_as_long_as_the_clock_says(jumping: Store, clock: Clock) -> None:
    seen = await consented(jumping, clock, "2026-10-20", "2026-10-24")
    midnight = int(datetime(2026, 10, 25, tzinfo=UTC).timestamp()) * SECOND
    for moment, expected in ((midnight - HOUR, True), (midnight + 10 * SECOND, False), (midnight - HOUR, True)):
        clock.now = moment
        assert await is_seen(jumping, seen) is expected


async def test_consent_to_the_hour_that_comes_twice_ends_at_the_one_it_names(jumping: Store, clock: Clock) -> None:
    """At 02:00 summer time on 25 October 2026 clocks in London go back to 01:00."""
    summer, winter = "2026-10-25T01:30:00+01:00", "2026-10-25T01:30:00+00:00"
    first, second = [await consented(jumping, clock, "2026-10-20", end) for end in (summer, winter)]
    for clock_says, expected in (("00:29", (True, True)), ("00:31", (False, True)), ("01:31", (False, False))):
        clock.now = int(datetime.fromisoformat(f"2026-10-25T{clock_says}:00+00:00").timestamp()) * SECOND
        assert (await is_seen(jumping, first), await is_seen(jumping, second)) == expected


async def consented(store: Store, clock: Clock, start: str, end: str) -> str:
    """An answer that its patient shares with the clinic for a while."""
    [made] = await store.commit(clinic(), [create(person())])
    who = patient(made.version.id)
    whose = f"Patient/{made.version.id}"
    response = {"resourceType": "QuestionnaireResponse", "status": "completed", "subject": {"reference": whose}}
    [answer] = await store.commit(who, [create(response)])
    choice = Choice(CLINIC, "Clinic", ("prom",), ("TREAT",), start, end)
    await store.commit(who, [create(sharing_consent(whose, choice, language="en", now_us=clock.now))])
    return answer.version.id


async def is_seen(store: Store, answer: str) -> bool:
    try:
        await store.read(clinic(), "QuestionnaireResponse", answer)
    except NotFound:
        return False
    return True


async def test_a_token_ends_when_the_clock_says_so(
    database: SQLiteDatabase, settings: Settings, clock: Clock, store: Store
) -> None:
    authenticator = Authenticator(database, settings, clock)
    begun = clock.now
    token = local_token(database, scope="system/*.rs", organization=CLINIC, now_us=begun, seconds=300)
    for moment, expected in (
        (begun + 299 * SECOND, True),
        (begun + 301 * SECOND, False),
        (begun + HOUR, False),
        (begun - 10 * SECOND, True),
        (begun + 301 * SECOND, False),
    ):
        clock.now = moment
        assert is_let_in(authenticator, token) is expected


async def test_a_token_that_was_revoked_stays_revoked_when_the_clock_is_put_back(
    database: SQLiteDatabase, settings: Settings, clock: Clock, store: Store
) -> None:
    authenticator = Authenticator(database, settings, clock)
    token = local_token(database, scope="system/*.rs", organization=CLINIC, now_us=clock.now, seconds=300)
    assert is_let_in(authenticator, token)
    clock.now -= HOUR
    with database.writing() as session:
        assert revoke(session, token, client=LOCAL_CLIENT, now_us=clock.now)
    assert not is_let_in(authenticator, token)


def is_let_in(authenticator: Authenticator, token: str) -> bool:
    try:
        authenticator.context(f"Bearer {token}", request_id="test")
    except Unauthenticated:
        return False
    return True


# -- a real gateway, whose clock an operator corrects ------------------------------------------------------------


@pytest.fixture(scope="module")
def faketime() -> str:
    """The library that tells a process another time; BACKBRIDGE_FAKETIME names it where it lies elsewhere."""
    known = [os.environ.get("BACKBRIDGE_FAKETIME", ""), *map(str, Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))]
    found = next((path for path in known if path and Path(path).exists()), None)
    if found is None:
        pytest.skip("needs libfaketime to set the clock of a process (apt install libfaketime)")
    return found


def test_a_gateway_whose_clock_is_set_goes_on_in_order(faketime: str, tmp_path: Path) -> None:
    """Forwards and back under load: every write is answered, every read finds it, versions stay in order."""
    offset = tmp_path / "offset"
    offset.write_text("+0")
    options = {"FAKETIME_TIMESTAMP_FILE": str(offset), "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    with running(tmp_path / "home", LD_PRELOAD=faketime, **options) as gateway, gateway.client() as client:
        made = client.post("/Patient", json=person("0"))
        path = made.headers["location"].split("/fhir")[1].split("/_history")[0]
        logical_id = path.split("/")[2]
        for number, moved in enumerate(("+3600", "-3600", "-10", "+7200", "+0"), start=1):
            offset.write_text(moved)
            wait_until(lambda moved=moved: is_set(client, moved), "the gateway has the new time")  # type: ignore[misc]
            changed = client.put(
                path, json=person(str(number)) | {"id": logical_id}, headers={"if-match": f'W/"{number}"'}
            )
            assert changed.status_code == 200, changed.text
            assert client.get(path).json()["name"][0]["family"] == str(number)
        history = client.get(f"{path}/_history?_count=100").json()["entry"]
    moments = [entry["resource"]["meta"]["lastUpdated"] for entry in reversed(history)]
    assert len(moments) == 6
    assert moments == sorted(moments)


def is_set(client: httpx.Client, moved: str) -> bool:
    """Whether the gateway's Date header is about as far off as it should be."""
    shown = parsedate_to_datetime(client.get("/metadata").headers["date"]).timestamp()
    return abs(shown - time.time() - int(moved)) < 5
