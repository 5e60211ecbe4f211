"""What every kind of work has at hand, and the shape of a handler."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from gateway.settings import Settings
from gateway.store.database import Database
from gateway.store.outbox import Work
from gateway.store.store import Store


@dataclass(frozen=True, slots=True)
class Workplace:
    """One installation as the job child sees it."""

    database: Database
    store: Store
    settings: Settings

    @property
    def zone(self) -> ZoneInfo:
        """Where the people are: in it, today begins."""
        return ZoneInfo(self.settings.time_zone)

    def now(self) -> datetime:
        """The time of the store's clock, in the people's zone, whole seconds."""
        return datetime.fromtimestamp(self.store.clock() // 1_000_000, UTC).astimezone(self.zone)


Handler = Callable[[Workplace, Work], Awaitable[None]]
"""Does one piece of work. It may be called again for the same piece, so a second time changes nothing."""
