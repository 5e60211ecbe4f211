"""Whether this gateway should be sent requests: each part by name, and nothing secret (docs/operations.md, Health)."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import text

from gateway.settings import Settings
from gateway.store import outbox
from gateway.store.database import Database

OK = "ok"
_KEYS = ("root.key", "sign-in.key")
_KEY_BYTES = 32
# Late work is told, but not a reason to send requests elsewhere: every gateway of the installation has the same outbox.
_NEEDED = ("database", "keys", "disk")


def checks(database: Database, settings: Settings, now_us: int) -> dict[str, str]:
    """
    What each part answers: `ok`, or in a word what is wrong. Blocks on the database and the disk.

    database  no answer                work  late, or unknown where the database does not answer
    keys      missing                  disk  full
    """
    lateness = _lateness(database, now_us)
    work = "unknown" if lateness is None else OK if lateness <= settings.late_work_seconds else "late"
    return {
        "database": "no answer" if lateness is None else OK,
        "keys": OK if all(_is_key(settings.home / "keys" / name) for name in _KEYS) else "missing",
        "work": work,
        "disk": OK if _free(settings.home) >= settings.min_free_bytes else "full",
    }


def readiness(database: Database, settings: Settings, clock: Callable[[], int]) -> Callable[[], Awaitable[Response]]:
    """The answer to /readyz: 200 where requests can be served, else 503."""

    async def ready() -> Response:
        found = await asyncio.to_thread(checks, database, settings, clock())
        is_ready = all(found[name] == OK for name in _NEEDED)
        status = "ready" if is_ready else "not ready"
        return JSONResponse({"status": status, **found}, status_code=200 if is_ready else 503)

    return ready


def _lateness(database: Database, now_us: int) -> float | None:
    """Seconds that the oldest piece of work has been due, 0 where none is; None where the database does not answer."""
    try:
        with database.reading() as session:
            oldest = session.connection().execute(text(_OLDEST), {"now": now_us}).scalar()
    except SQLAlchemyError:
        return None
    return 0.0 if oldest is None else (now_us - oldest) / 1_000_000


_OLDEST = f"SELECT MIN(due) FROM outbox WHERE state = {outbox.WAITING} AND due <= :now"


def _is_key(path: Path) -> bool:
    try:
        return len(path.read_bytes()) >= _KEY_BYTES
    except OSError:
        return False


def _free(folder: Path) -> int:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0
