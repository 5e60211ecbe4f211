"""What every page has at hand: the store, the people, the settings, the templates."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import PurePosixPath
from typing import TypeVar
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.requests import Request
from starlette.responses import Response

from gateway.people.authenticate import Authenticator
from gateway.people.hashing import SecretHasher
from gateway.settings import Settings
from gateway.store.database import Database
from gateway.store.store import Store
from gateway.web.dates import moment_of
from gateway.web.icons import icon
from mappings.demographics import written

V = TypeVar("V")

MEDIA_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file of `static/`, read once; its address changes with its content, so that browsers may keep it."""

    name: str
    content: bytes

    @property
    def url(self) -> str:
        return f"/static/{self.name}?v={hashlib.sha256(self.content).hexdigest()[:12]}"

    def response(self) -> Response:
        kind = MEDIA_TYPES[PurePosixPath(self.name).suffix]
        return Response(self.content, headers={"Content-Type": kind, "Cache-Control": _FOREVER})


@dataclass(frozen=True)
class Site:
    """One installation's pages."""

    store: Store
    database: Database
    settings: Settings
    authenticator: Authenticator
    hasher: SecretHasher
    clock: Callable[[], int]
    static: dict[str, StaticFile]
    templates: Environment

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.settings.time_zone)

    @property
    def is_https(self) -> bool:
        return self.settings.base_url.startswith("https://")

    async def entered(self, kind: Callable[[Site, Request], V], request: Request) -> V:
        """A visit of this kind, which looks up who it is: in a thread where a server has to be asked."""
        if self.database.answers_at_once:
            return kind(self, request)
        return await asyncio.to_thread(kind, self, request)

    def session_life_us(self) -> int:
        return int(self.settings.session_hours * 3_600_000_000)


def static_files() -> dict[str, StaticFile]:
    """Every file of `static/`, by name."""
    folder = resources.files(__package__).joinpath("static")
    return {
        each.name: StaticFile(each.name, each.read_bytes())
        for each in folder.iterdir()
        if PurePosixPath(each.name).suffix in MEDIA_TYPES
    }


def environment(static: dict[str, StaticFile]) -> Environment:
    """The templates; everything is escaped, and a name that a template does not know is an error."""
    made = Environment(
        loader=PackageLoader(__package__ or "gateway.web"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["static"] = lambda name: static[name].url
    made.globals |= {"icon": icon, "written": written, "moment_of": moment_of}
    return made
