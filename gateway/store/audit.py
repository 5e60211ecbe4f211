"""The audit of reads: who looked at whose data, on the disk before the answer leaves (or within a second, by setting).

It has a writer and an fsync of its own, so that a large transaction never holds a read back. What was read is
never recorded, only whose it was and who asked (research consent-security 3).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.access import AccessContext
from gateway.r4.definitions import type_id
from gateway.store.audit_rows import Row
from gateway.store.errors import StorageFailed
from gateway.store.group_commit import GroupCommit

_DELAY_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Look:
    """One line of "who looked": when (microseconds), who, for which organisation and purpose, at what."""

    at: int
    agent: str
    organization: str
    client: str
    purpose: int
    interaction: str
    type: int
    bypass: bool


class AuditLog(Protocol):
    """Where the rows are kept: a file of its own beside SQLite, a table of PostgreSQL."""

    async def write(self, rows: Sequence[Row]) -> None:
        """On the disk when it returns; StorageFailed where it cannot be."""
        ...

    async def looks(self, patient: int, limit: int) -> list[tuple[int | str, ...]]:
        """The rows of `audit_rows.LOOKS` for a patient."""
        ...

    async def close(self) -> None: ...


class ReadAudit:
    """Records reads; `settings.audit_reads` decides whether the answer waits for the disk."""

    def __init__(self, log: AuditLog, *, before_response: bool) -> None:
        self._log = log
        self._before_response = before_response
        self._commits: GroupCommit[Sequence[Row], None] = GroupCommit(self._write, batch_max=512, name="read-audit")
        self._waiting: list[Row] = []
        self._is_failing = False
        self._flusher: asyncio.Task[None] | None = None

    def start(self) -> None:
        if not self._before_response:
            self._flusher = asyncio.get_running_loop().create_task(self._flush_regularly())

    async def stop(self) -> None:
        if self._flusher is not None:
            self._flusher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._flusher
            await self._flush()
        await self._commits.stop()
        await self._log.close()

    async def record(
        self,
        context: AccessContext,
        interaction: str,
        resource_type: str | None,
        logical_id: str,
        patients: Sequence[int],
        now_us: int,
    ) -> None:
        """One row for each patient whose data was read; one without a patient where there was none."""
        kind = type_id(resource_type) if resource_type else 0
        who = (now_us, context.agent, context.organization or "", context.client, int(context.purpose))
        what = (context.activity, context.request_id, interaction, kind, logical_id)
        where = (context.origin, int(context.bypass))
        rows: list[Row] = [(*who, *what, patient, *where) for patient in patients or (0,)]
        if self._before_response:
            await self._commits.submit(rows)
        elif self._is_failing:
            raise StorageFailed
        else:
            self._waiting.extend(rows)

    async def looks(self, patient: int, limit: int = 200) -> list[Look]:
        """The latest reads of this patient's data, newest first. The store decides who may ask."""
        found: list[Any] = await self._log.looks(patient, limit)
        return [
            Look(at, agent, organization, client, purpose, interaction, kind, bool(bypass))
            for at, agent, organization, client, purpose, interaction, kind, bypass in found
        ]

    async def _flush_regularly(self) -> None:
        while True:
            await asyncio.sleep(_DELAY_SECONDS)
            await self._flush()

    async def _flush(self) -> None:
        """What the disk refuses waits for the next time; until then nothing more is read."""
        if not self._waiting:
            return
        rows, self._waiting = self._waiting, []
        try:
            await self._commits.submit(rows)
        except StorageFailed:
            self._waiting[:0] = rows
            self._is_failing = True
        else:
            self._is_failing = False

    async def _write(self, batches: Sequence[Sequence[Row]]) -> Sequence[None]:
        await self._log.write([row for batch in batches for row in batch])
        return [None] * len(batches)
