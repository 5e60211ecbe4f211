"""The audit of reads: who looked at whose data, on the disk before the answer leaves (or within a second, by setting).

It has a file, a writer and an fsync of its own, so that a large transaction never holds a read back. What was read is
never recorded, only whose it was and who asked (research consent-security 3).
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from gateway.access import AccessContext
from gateway.r4.definitions import type_id
from gateway.store.errors import StorageFailed
from gateway.store.group_commit import GroupCommit
from gateway.store.sqlite import Database

Row = tuple[int, str, str, str, int, str, str, str, int, str, int, str, int]

_CREATE = """CREATE TABLE IF NOT EXISTS read_audit (
    id INTEGER PRIMARY KEY, at BIGINT NOT NULL, agent TEXT NOT NULL, organization TEXT NOT NULL, client TEXT NOT NULL,
    purpose SMALLINT NOT NULL, activity TEXT NOT NULL, request_id TEXT NOT NULL, interaction TEXT NOT NULL,
    type SMALLINT NOT NULL, resource_id TEXT NOT NULL, patient BIGINT NOT NULL, origin TEXT NOT NULL,
    bypass SMALLINT NOT NULL)"""
_INDEX = "CREATE INDEX IF NOT EXISTS read_audit_patient ON read_audit (patient, at)"
_COLUMNS = 13
_CHUNK = 64
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


class ReadAudit:
    """Records reads; `settings.audit_reads` decides whether the answer waits for the disk."""

    def __init__(self, path: Path, *, before_response: bool) -> None:
        self._database = Database(path)
        self._connection = self._database.connect(readonly=False)
        self._connection.execute(_CREATE)
        self._connection.execute(_INDEX)
        self._reader = self._database.connect()
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="audit")
        self._before_response = before_response
        self._commits: GroupCommit[Sequence[Row], None] = GroupCommit(self._write, batch_max=512)
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
        self._disk.shutdown()
        self._reader.close()
        self._connection.close()
        self._database.close()

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

    def looks(self, patient: int, limit: int = 200) -> list[Look]:
        """The latest reads of this patient's data, newest first. The store decides who may ask."""
        rows = self._reader.execute(
            "SELECT at, agent, organization, client, purpose, interaction, type, bypass FROM read_audit"
            " WHERE patient = ? ORDER BY at DESC, id DESC LIMIT ?",
            (patient, limit),
        )
        return [
            Look(at, agent, organization, client, purpose, interaction, kind, bool(bypass))
            for at, agent, organization, client, purpose, interaction, kind, bypass in rows
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
        try:
            await self._insert([row for batch in batches for row in batch])
        except sqlite3.OperationalError:
            raise StorageFailed from None
        return [None] * len(batches)

    async def _insert(self, rows: Sequence[Row]) -> None:
        loop = asyncio.get_running_loop()
        async with self._database.lock.held_by_loop(self._disk):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                for start in range(0, len(rows), _CHUNK):
                    chunk = rows[start : start + _CHUNK]
                    self._connection.execute(_insert(len(chunk)), [value for row in chunk for value in row])
                await loop.run_in_executor(self._disk, self._connection.execute, "COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise


def _insert(rows: int) -> str:
    one = f"({','.join('?' * _COLUMNS)})"
    return (
        "INSERT INTO read_audit (at, agent, organization, client, purpose, activity, request_id, interaction, type,"
        f" resource_id, patient, origin, bypass) VALUES {','.join([one] * rows)}"
    )
