"""The audit of reads in a SQLite file of its own, with its own fsync (see gateway.store.audit)."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gateway.store.audit_rows import COLUMNS, LOOKS, Row
from gateway.store.errors import StorageFailed
from gateway.store.sqlite import SQLiteDatabase

_TYPES = {int: "BIGINT", str: "TEXT"}
_CREATE = (
    "CREATE TABLE IF NOT EXISTS read_audit (id INTEGER PRIMARY KEY, "
    + ", ".join(f"{name} {_TYPES[kind]} NOT NULL" for name, kind in COLUMNS.items())
    + ")"
)
_INDEX = "CREATE INDEX IF NOT EXISTS read_audit_patient ON read_audit (patient, at)"
_INSERT = f"INSERT INTO read_audit ({', '.join(COLUMNS)}) VALUES ({','.join('?' * len(COLUMNS))})"
_ROWS_A_STEP = 256


class AuditFile:
    """The rows of `read_audit` in a file."""

    def __init__(self, path: Path) -> None:
        self._database = SQLiteDatabase(path)
        self._connection = self._database.connect(readonly=False)
        self._connection.execute(_CREATE)
        self._connection.execute(_INDEX)
        self._reader = self._database.connect()
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="audit")

    async def write(self, rows: Sequence[Row]) -> None:
        """On the disk when it returns; StorageFailed where it cannot be."""
        try:
            await self._insert(rows)
        except sqlite3.OperationalError:
            raise StorageFailed from None

    async def looks(self, patient: int, limit: int) -> list[tuple[int | str, ...]]:
        """The rows of LOOKS for a patient."""
        return await asyncio.to_thread(lambda: self._reader.execute(LOOKS, (patient, limit)).fetchall())

    async def close(self) -> None:
        self._disk.shutdown()
        self._reader.close()
        self._connection.close()
        self._database.close()

    async def _insert(self, rows: Sequence[Row]) -> None:
        loop = asyncio.get_running_loop()
        async with self._database.lock.held_by_loop(self._disk):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                for start in range(0, len(rows), _ROWS_A_STEP):
                    if start:
                        # Reads that are gathered for a second are many: requests get their turn meanwhile.
                        await asyncio.sleep(0)
                    self._connection.executemany(_INSERT, rows[start : start + _ROWS_A_STEP])
                await loop.run_in_executor(self._disk, self._connection.execute, "COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
