"""One file through the door: in order, in batches, references between its resources resolved, nothing sent twice."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from gateway.intake.door import Door, Result
from gateway.intake.journal import Journal
from gateway.intake.units import Unit, UnreadableLine, units
from gateway.r4.json_text import replace_strings

BATCH = 50
_BATCH_BYTES = 2_000_000
_ABSENT = "refers to a resource of the file that was not imported"

Report = Callable[[Sequence[Result]], None]
"""Told of every unit that was sent, or could not be."""


class FileImport:
    """
    known     what the names of resources became, in this file and those before it
    report    told of results as they come
    stopping  set to end after the batch under way
    """

    def __init__(
        self, door: Door, journal: Journal, known: dict[str, str], report: Report, stopping: threading.Event
    ) -> None:
        self._door = door
        self._journal = journal
        self._known = known
        self._report = report
        self._stopping = stopping
        self._names: set[str] = set()
        self._waiting: list[tuple[Unit, str]] = []
        self._bytes = 0

    async def run(self, path: Path) -> int:
        """Import what is missing; the number of units that an earlier run had imported. UnreadableFile."""
        self._known.update(self._journal.names)
        self._names = {name for unit in _readable(path) for name in unit.names}
        skipped = 0
        later: list[Unit] = []
        for unit in units(path):
            if self._stopping.is_set():
                return skipped
            if isinstance(unit, UnreadableLine):
                self._report([_refused(Unit(unit.number, "", "line"), "this line holds no FHIR resource")])
            elif unit.number in self._journal.done:
                skipped += 1
            elif not await self._take(unit):
                later.append(unit)
        await self._flush()
        await self._take_deferred(later)
        return skipped

    async def _take_deferred(self, later: list[Unit]) -> None:
        """Units that refer to what came after them, for as long as each round gets some of them in."""
        while later and not self._stopping.is_set():
            left = [unit for unit in later if not await self._take(unit)]
            await self._flush()
            if len(left) == len(later):
                self._report([_refused(unit, _ABSENT) for unit in left])
                return
            later = left

    async def _take(self, unit: Unit) -> bool:
        """Queue the unit; False where something that it refers to is not there yet."""
        wanted = unit.references() & self._names - self._known.keys()
        if wanted & {name for each, _ in self._waiting for name in each.names}:
            await self._flush()
            wanted -= self._known.keys()
        if wanted:
            return False
        if unit.kind == "transaction":
            await self._flush()
            self._settle([await self._door.transaction(unit, replace_strings(unit.text, self._known))])
            return True
        text = replace_strings(unit.text, self._known)
        if len(self._waiting) == BATCH or self._bytes + len(text) > _BATCH_BYTES:
            await self._flush()
        self._waiting.append((unit, text))
        self._bytes += len(text)
        return True

    async def _flush(self) -> None:
        waiting, self._waiting, self._bytes = self._waiting, [], 0
        if waiting and not self._stopping.is_set():
            self._settle(await self._door.batch(waiting))

    def _settle(self, results: Sequence[Result]) -> None:
        done = [result for result in results if not result.is_refused]
        self._journal.add([(result.unit.number, result.names) for result in done])
        for result in done:
            self._known.update(result.names)
        self._report(results)


def _readable(path: Path) -> Iterator[Unit]:
    return (unit for unit in units(path) if isinstance(unit, Unit))


def _refused(unit: Unit, why: str) -> Result:
    outcome = {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": "processing", "diagnostics": why}],
    }
    return Result(unit, {}, "not sent", outcome)
