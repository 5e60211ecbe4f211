"""A connection to PostgreSQL: values come back as they went, answers in order, failures to those whom they concern."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from gateway.store.errors import Busy
from gateway.store.postgresql import link as links_module
from gateway.store.postgresql.failures import LinkLost, Refused
from gateway.store.postgresql.link import Link, Statement
from gateway.store.postgresql.links import Links
from gateway.store.postgresql.text import translated
from gateway.store.postgresql.values import Array, Kind
from tests.postgresql import Server

pytestmark = pytest.mark.anyio

INT8 = st.integers(-(1 << 63), (1 << 63) - 1)
# PostgreSQL's text has no zero byte, and UTF-8 no lone surrogates.
TEXT = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=50)
FLOAT = st.floats(allow_nan=False)
BYTES = st.binary(max_size=50)
VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    "bigint": INT8,
    "text": TEXT,
    "bytea": BYTES,
    "double precision": FLOAT,
}


@pytest.fixture
async def link(postgresql_url: str, anyio_backend: str) -> AsyncIterator[Link]:
    opened = await Link.open(postgresql_url, "SET jit = off")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def conninfo(server: Server) -> str:
    return server.new_database()


@pytest.mark.parametrize("kind", VALUES)
@hypothesis(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_values_and_arrays_of_them_come_back_as_they_went(conninfo: str, kind: Kind, data: st.DataObject) -> None:
    value = data.draw(VALUES[kind])
    several = data.draw(st.lists(st.none() | VALUES[kind] if kind in ("text", "bytea") else VALUES[kind]))

    async def there_and_back() -> list[list[tuple[Any, ...]]]:
        link = await Link.open(conninfo, "SET jit = off")
        asked: list[Statement] = [
            (f"SELECT CAST(:v AS {kind}), CAST(:n AS {kind})", {"v": value, "n": None}),
            (f"SELECT a FROM unnest(?::{kind}[]) WITH ORDINALITY u (a, n) ORDER BY n", [Array(kind, several)]),
        ]
        try:
            return await link.send(asked)
        finally:
            link.close()

    one, many = asyncio.run(there_and_back())
    assert one == [(value, None)]
    assert [row[0] for row in many] == several
    if kind == "double precision":
        assert math.copysign(1, one[0][0]) == math.copysign(1, value)


def test_names_become_numbered_places_and_quoted_text_and_casts_stay() -> None:
    found = translated("SELECT :b, ':a', x::text, :a, 'it''s :c' FROM t WHERE y = :b")
    assert found.sql == b"SELECT $1, ':a', x::text, $2, 'it''s :c' FROM t WHERE y = $1"
    assert found.values({"a": 1, "b": 2}) == [2, 1]
    assert translated("SELECT ?, '?', ?::bigint[]").sql == b"SELECT $1, '?', $2::bigint[]"


async def test_answers_come_in_order_to_those_who_asked_without_waiting_for_each_other(link: Link) -> None:
    asked = [link.send([("SELECT ?, ?", (n, "x" * (n % 7) * 1000))]) for n in range(500)]
    assert link.waiting == 500
    answers = await asyncio.gather(*asked)
    assert [answer[0][0] for answer in answers] == [(n, "x" * (n % 7) * 1000) for n in range(500)]


async def test_a_refused_statement_takes_back_its_own_batch_and_no_other(link: Link) -> None:
    await link.send([("CREATE TABLE t (n bigint PRIMARY KEY)", ())])
    before = link.send([("INSERT INTO t VALUES (?)", (1,))])
    refused = link.send([("INSERT INTO t VALUES (?)", (2,)), ("INSERT INTO t VALUES (?)", (1,))])
    unclear = link.send([("SELECT nothing", ())])
    after = link.send([("SELECT n FROM t", ())])
    await before
    with pytest.raises(Refused) as clash:
        await refused
    assert clash.value.clashes
    assert str(clash.value) == "23505", "the server's message may quote values"
    with pytest.raises(Refused):
        await unclear
    assert await after == [[(1,)]]


async def test_more_than_fits_the_network_is_sent_as_there_is_room(link: Link) -> None:
    large = b"\1" * 20_000_000
    asked = [link.send([("SELECT length(?::bytea), ?::bytea", (large, large))]) for _ in range(3)]
    for each in asked:
        [[(length, back)]] = await each
        assert length == len(back) == len(large)


async def test_statements_are_forgotten_when_there_are_too_many(link: Link, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links_module, "PREPARED_MAX", 5)
    for _ in range(2):
        for n in range(12):
            assert await link.send([(f"SELECT {n} + ?", (n,))]) == [[(2 * n,)]]
    [[(kept,)]] = await link.send([("SELECT count(*) FROM pg_prepared_statements", ())])
    assert kept <= 5


async def test_who_waits_on_a_connection_that_ends_is_told_and_the_next_one_gets_another(postgresql_url: str) -> None:
    links = Links(postgresql_url, "SET jit = off", lent_max=2)
    link = await links.shared()
    [[(process,)]] = await link.send([("SELECT pg_backend_pid()", ())])
    waiting = link.send([("SELECT pg_sleep(30)", ())])
    async with links.lent() as other:
        await other.send([("SELECT pg_terminate_backend(?::integer)", (process,))])
        with pytest.raises(LinkLost):
            await waiting
        assert not link.is_open
        with pytest.raises(LinkLost):
            await link.send([("SELECT 1", ())])
        assert await (await links.shared()).send([("SELECT 1", ())]) == [[(1,)]]
    links.close()


async def test_no_more_links_are_lent_than_there_are(postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.store.postgresql.links._PATIENCE_SECONDS", 0.05)
    links = Links(postgresql_url, "SET jit = off", lent_max=1)
    async with links.lent() as first:
        with pytest.raises(Busy):
            async with links.lent():
                pass
    async with links.lent() as again:
        assert again is first
    links.close()


async def test_a_server_that_cannot_be_reached_is_a_lost_link() -> None:
    with pytest.raises(LinkLost):
        await Link.open("postgresql://nobody@127.0.0.1:1/nothing", "SET jit = off")
