"""Sign-in while PostgreSQL does not answer: told as such, and over as soon as it answers again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from gateway.store.errors import StorageFailed
from tests.people.conftest import Installation
from tests.postgresql import Server
from tests.smart.conftest import TokenDoor

pytestmark = pytest.mark.parametrize("here", ["postgresql"], indirect=True)


@contextmanager
def cut_off(server: Server, here: Installation) -> Iterator[None]:
    """Every connection to the database ends, and no new one is let in."""
    name = here.settings.database_url.split("@/")[1].split("?")[0]
    server.ask(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    server.ask(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    try:
        yield
    finally:
        server.ask(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


def test_nobody_is_told_that_a_token_is_wrong_while_it_cannot_be_looked_up(door: TokenDoor, server: Server) -> None:
    token = door.ask().json()["access_token"]
    with cut_off(server, door.here), pytest.raises(StorageFailed):
        door.here.authenticator.context(f"Bearer {token}", request_id="r")
    assert door.here.authenticator.context(f"Bearer {token}", request_id="r").actors


def test_the_token_endpoint_says_that_it_cannot_answer_at_present(door: TokenDoor, server: Server) -> None:
    with cut_off(server, door.here):
        refused = door.ask()
        assert (refused.status_code, refused.json()["error"]) == (503, "temporarily_unavailable")
    assert door.ask().status_code == 200
