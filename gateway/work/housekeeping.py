"""What has to be cleared away now and then: rows of the outbox whose work was finished long ago."""

from __future__ import annotations

import asyncio
import logging
import threading

from gateway.store import outbox
from gateway.work.workplace import Workplace

_EVERY_SECONDS = 3600.0
_LOOK_SECONDS = 0.15
# Other writers get a turn between two batches.
_PAUSE_SECONDS = 0.05
_DAY_US = 86_400_000_000

_log = logging.getLogger(__name__)


async def purge_regularly(workplace: Workplace, stopping: threading.Event) -> None:
    """Purge at the start and then every hour, until told to stop."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    while not stopping.is_set():
        if loop.time() >= due:
            await purge(workplace, stopping)
            due = loop.time() + _EVERY_SECONDS
        await asyncio.sleep(_LOOK_SECONDS)


async def purge(workplace: Workplace, stopping: threading.Event) -> int:
    """Delete rows of finished work that are older than the settings keep them, in small batches; returns how many."""
    before = workplace.store.clock() - int(workplace.settings.outbox_days * _DAY_US)
    total = 0
    while not stopping.is_set() and (deleted := await asyncio.to_thread(_purge_some, workplace, before)):
        total += deleted
        await asyncio.sleep(_PAUSE_SECONDS)
    if total:
        _log.info("outbox.purged", extra={"count": total})
    return total


def _purge_some(workplace: Workplace, before_us: int) -> int:
    with workplace.database.working() as session:
        return outbox.purge(session, before_us)
