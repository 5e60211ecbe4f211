"""The audit of reads as a table of the same database, on a connection of its own (see gateway.store.audit)."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.store.audit_rows import COLUMNS, LOOKS, Row
from gateway.store.errors import StorageFailed
from gateway.store.postgresql.failures import LinkLost, Refused
from gateway.store.postgresql.links import Links
from gateway.store.postgresql.values import Array, Kind

_KINDS: dict[type, Kind] = {int: "bigint", str: "text"}
_SETTINGS = "SET synchronous_commit = on; SET jit = off; SET plan_cache_mode = force_generic_plan"
_LINKS = 2


class AuditTable:
    """The rows of `read_audit`."""

    def __init__(self, conninfo: str) -> None:
        self._links = Links(conninfo, _SETTINGS, lent_max=_LINKS)

    async def write(self, rows: Sequence[Row]) -> None:
        """On the disk when it returns; StorageFailed where it cannot be."""
        columns = [Array(_KINDS[kind], values) for kind, values in zip(_TYPES, zip(*rows, strict=True), strict=True)]
        await self._ask(_INSERT, columns)

    async def looks(self, patient: int, limit: int) -> list[tuple[int | str, ...]]:
        """The rows of LOOKS for a patient."""
        return await self._ask(LOOKS, (patient, limit))

    async def close(self) -> None:
        self._links.close()

    async def _ask(self, sql: str, parameters: Sequence[object]) -> list[tuple[int | str, ...]]:
        try:
            link = await self._links.shared()
            return (await link.send([(sql, parameters)]))[0]
        except (Refused, LinkLost):
            raise StorageFailed from None


_TYPES = tuple(COLUMNS.values())
_INSERT = (
    f"INSERT INTO read_audit ({', '.join(COLUMNS)})"
    f" SELECT * FROM unnest({', '.join(f'?::{_KINDS[kind]}[]' for kind in _TYPES)})"
)
