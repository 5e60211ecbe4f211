"""The FHIR endpoint as an import reaches it: over HTTP where a gateway runs, else the same application in-process."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from gateway.fhir.app import FHIRApplication
from gateway.intake.units import Unit
from gateway.people.authenticate import Authenticator
from gateway.settings import Settings
from gateway.store.database import Database
from gateway.store.store import Store, now_us
from gateway.work.running import find

JSON = dict[str, Any]

_FHIR_JSON = "application/fhir+json"
_TRIES = 6
_LONGEST_SECONDS = 120.0


class DoorClosed(Exception):
    """The gateway does not answer."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a unit: `names` by which it can be referred to from now on, or an `outcome` that refuses it."""

    unit: Unit
    names: dict[str, str]
    status: str
    outcome: JSON | None = None

    @property
    def is_refused(self) -> bool:
        return not self.status.startswith("2")

    @property
    def reason(self) -> str:
        """The refusal in one line. Diagnostics never hold a value of a resource."""
        issues = (self.outcome or {}).get("issue", [])
        said = [" ".join(filter(None, (*i.get("expression", ()), i.get("diagnostics", "")))) for i in issues[:3]]
        return f"{self.status}: {'; '.join(said)}" if said else self.status


@asynccontextmanager
async def opened(settings: Settings, database: Database, token: Callable[[], str]) -> AsyncIterator[Door]:
    """The door of this installation; `token` makes a fresh access token whenever one is needed."""
    running = find(settings.home)
    if running is not None:
        async with httpx.AsyncClient(base_url=f"{running.url}/fhir", timeout=_LONGEST_SECONDS) as client:
            yield Door(client, token)
        return
    store = Store(database, settings=settings)
    await store.start()
    try:
        application = FHIRApplication(store, Authenticator(database, settings, now_us).known, settings)
        transport = httpx.ASGITransport(application, root_path="/fhir")
        async with httpx.AsyncClient(transport=transport, base_url=settings.fhir_base_url) as client:
            yield Door(client, token)
    finally:
        await store.stop()


class Door:
    """Sends units and reads what became of them."""

    def __init__(self, client: httpx.AsyncClient, token: Callable[[], str]) -> None:
        self._client = client
        self._token = token
        self._bearer = token()
        self._minted = time.monotonic()

    async def batch(self, units: Sequence[tuple[Unit, str]]) -> list[Result]:
        """Each unit on its own, in one request; the texts have their references resolved."""
        entries = ",".join(_entry(unit, text) for unit, text in units)
        status, answer = await self._post(f'{{"resourceType":"Bundle","type":"batch","entry":[{entries}]}}')
        if status != 200:
            return [Result(unit, {}, str(status), answer) for unit, _ in units]
        responses = [entry["response"] for entry in answer["entry"]]
        return [_result(unit, response) for (unit, _), response in zip(units, responses, strict=True)]

    async def transaction(self, unit: Unit, text: str) -> Result:
        """All entries of the unit or none; its entries' names become known."""
        status, answer = await self._post(text)
        if status != 200:
            return Result(unit, {}, str(status), answer)
        names: dict[str, str] = {}
        for entry, answered in zip(json.loads(text).get("entry", ()), answer.get("entry", ()), strict=True):
            names |= dict.fromkeys(_names(entry), _reference(answered["response"]))
        return Result(unit, {name: found for name, found in names.items() if found}, "200")

    async def _post(self, body: str) -> tuple[int, JSON]:
        for attempt in range(_TRIES):
            try:
                answer = await self._client.post("", content=body.encode(), headers=self._headers())
            except httpx.TransportError as failure:
                raise DoorClosed(f"the gateway does not answer ({type(failure).__name__})") from failure
            if answer.status_code not in (429, 503):
                return answer.status_code, _parsed(answer)
            await asyncio.sleep(float(answer.headers.get("retry-after", 2**attempt / 4)))
        return answer.status_code, _parsed(answer)

    def _headers(self) -> dict[str, str]:
        if time.monotonic() - self._minted > TOKEN_SECONDS / 2:
            self._bearer, self._minted = self._token(), time.monotonic()
        return {"Authorization": f"Bearer {self._bearer}", "Content-Type": _FHIR_JSON, "Accept": _FHIR_JSON}


TOKEN_SECONDS = 600


def _entry(unit: Unit, text: str) -> str:
    request = unit.request or {"method": "POST", "url": unit.kind}
    resource = f'"resource":{text},' if text else ""
    return f'{{{resource}"request":{json.dumps(request)}}}'


def _result(unit: Unit, response: JSON) -> Result:
    found = _reference(response)
    names = dict.fromkeys(unit.names, found) if found else {}
    return Result(unit, names, response.get("status", ""), response.get("outcome"))


def _reference(response: JSON) -> str:
    """`Type/id` of what an entry made or found."""
    return str(response.get("location", "")).partition("/_history/")[0]


def _names(entry: JSON) -> list[str]:
    resource = entry.get("resource", {})
    own = [f"{resource['resourceType']}/{resource['id']}"] if "id" in resource else []
    return [*own, entry["fullUrl"]] if "fullUrl" in entry else own


def _parsed(answer: httpx.Response) -> JSON:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
