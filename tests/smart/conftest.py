"""A token endpoint over a fresh installation, and a registered client that signs as it should."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from fastapi import FastAPI, Request
from httpx import ASGITransport, AsyncClient, Response

from gateway.people.tables import Client, Organisation
from gateway.smart import clients, jose
from gateway.smart.jose import SigningKey
from gateway.smart.routes import router
from gateway.smart.token import ASSERTION_TYPE, TokenServer
from tests.people.conftest import SECOND, Installation
from tests.people.conftest import clinic as clinic
from tests.people.conftest import here as here

SCOPES = "system/Patient.rs system/Observation.cruds"


@pytest.fixture(scope="session")
def rsa_key() -> SigningKey:
    """One RSA key for the whole run; making one takes a moment."""
    return jose.generate("RS384", "rsa-1")


@pytest.fixture(scope="session")
def ec_key() -> SigningKey:
    return jose.generate("ES384", "ec-1")


class Web:
    """A plain caller of the application; every request runs on a loop of its own, so threads may share it."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def get(self, path: str, **more: object) -> Response:
        return asyncio.run(self._send("GET", path, **more))

    def post(self, path: str, **more: object) -> Response:
        return asyncio.run(self._send("POST", path, **more))

    async def _send(self, method: str, path: str, **more: object) -> Response:
        transport = ASGITransport(self._app)
        async with AsyncClient(transport=transport, base_url="http://elsewhere.example") as client:
            return await client.request(method, path, **more)  # type: ignore[arg-type]


@dataclass
class TokenDoor:
    """The endpoint as a client sees it."""

    here: Installation
    web: Web
    server: TokenServer
    client: Client
    key: SigningKey
    address: str = "198.51.100.7"
    numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def now_s(self) -> int:
        return self.here.now_us // SECOND

    def claims(self, **changed: object) -> dict[str, object]:
        """Good claims with some changed; None leaves one out."""
        usual = {
            "iss": self.client.id,
            "sub": self.client.id,
            "aud": self.server.token_url,
            "exp": self.now_s + 300,
            "jti": f"jti-{next(self.numbers)}",
        }
        return {name: value for name, value in {**usual, **changed}.items() if value is not None}

    def assertion(self, **changed: object) -> str:
        return jose.sign(self.claims(**changed), self.key.pem, self.key.algorithm, self.key.kid)

    def form(self, assertion: str | None = None, **changed: str | None) -> dict[str, str]:
        usual: dict[str, str | None] = {
            "grant_type": "client_credentials",
            "scope": "system/Patient.rs",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self.assertion() if assertion is None else assertion,
        }
        return {name: value for name, value in {**usual, **changed}.items() if value is not None}

    def ask(self, assertion: str | None = None, **changed: str | None) -> Response:
        return self.web.post("/auth/token", data=self.form(assertion, **changed))


@pytest.fixture
def register(here: Installation, clinic: Organisation) -> Callable[..., Client]:
    """Register another client."""

    def registered(*keys: SigningKey, scopes: str = SCOPES, activity: str = "direct-care", **more: object) -> Client:
        jwks = json.dumps({"keys": [key.jwk for key in keys]})
        with here.database.writing() as session:
            return clients.register(
                session,
                name="Ward System",
                organisation=clinic.key,
                jwks=jwks,
                scopes=scopes,
                activity=activity,
                now_us=here.now_us,
                **more,  # type: ignore[arg-type]
            )

    return registered


@pytest.fixture
def door(here: Installation, register: Callable[..., Client], ec_key: SigningKey, rsa_key: SigningKey) -> TokenDoor:
    """The endpoint with one client that has registered an EC and an RSA key and signs with the EC key."""
    server = TokenServer(here.database, here.hasher, here.settings, lambda: here.now_us)
    found: list[TokenDoor] = []

    def address_of(_: Request) -> str:
        return found[0].address

    app = FastAPI()
    app.include_router(router(server, address_of))
    found.append(TokenDoor(here, Web(app), server, register(ec_key, rsa_key), ec_key))
    return found[0]
