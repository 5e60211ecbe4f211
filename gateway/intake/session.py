"""One run of `backbridge import`: progress on the terminal, refusals in a file, a clean end on Ctrl-C."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from gateway.commands.terminal import err, out
from gateway.intake.door import TOKEN_SECONDS, Door, DoorClosed, Result, opened
from gateway.intake.health import NotImported, import_export
from gateway.intake.importing import FileImport
from gateway.intake.journal import Journal
from gateway.intake.units import Unit, UnreadableFile, fingerprint, is_health_export, units
from gateway.people.local_token import local_token
from gateway.settings import Settings
from gateway.store.database import Database
from gateway.store.store import now_us

INTERRUPTED = 130
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Actor:
    """In whose name: a patient or an organisation, as a reference."""

    patient: str | None = None
    organization: str | None = None

    @property
    def scope(self) -> str:
        return "patient/*.cruds" if self.patient else "system/*.cruds"

    def __str__(self) -> str:
        return self.patient or self.organization or ""


class Session:
    """Imports files one after the other; names of resources in one file are known in those after it."""

    def __init__(self, settings: Settings, database: Database, actor: Actor) -> None:
        self._settings = settings
        self._database = database
        self._actor = actor
        self._stopping = threading.Event()
        self._known: dict[str, str] = {}
        self._is_clean = True

    async def run(self, files: Sequence[Path]) -> int:
        """The exit code: 0, 1 where anything was refused, 130 where it was interrupted."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stopping.set)
        async with opened(self._settings, self._database, self._token) as door:
            for path in files:
                if not self._stopping.is_set():
                    await self._file(path, door)
        if self._stopping.is_set():
            err.print("Interrupted; the same command goes on from here.", style="yellow")
            return INTERRUPTED
        return 0 if self._is_clean else 1

    async def _file(self, path: Path, door: Door) -> None:
        try:
            if is_health_export(path):
                await self._export(path)
            else:
                await self._resources(path, door)
        except OSError as failure:
            self._complain(f"{path}: {failure.strerror}")
        except (UnreadableFile, DoorClosed, NotImported) as failure:
            self._complain(f"{path}: {failure}")

    async def _export(self, path: Path) -> None:
        with _progress() as progress:
            task = progress.add_task(path.name, total=None)
            days = await import_export(
                self._settings,
                self._database,
                path,
                patient=self._actor.patient,
                progress=lambda done, total: progress.update(task, completed=done, total=total),
                stopping=self._stopping,
            )
        out.print(f"{path}: {days} days new or changed", markup=False)

    async def _resources(self, path: Path, door: Door) -> None:
        folder = self._settings.home / "imports"
        mark = fingerprint(path, str(self._actor))
        total = sum(1 for _ in units(path))
        refusals = Refusals(path, folder / f"{path.name}.{mark[:8]}.errors.ndjson")
        with Journal(folder, mark) as journal, refusals, _progress() as progress:
            task = progress.add_task(path.name, total=total, completed=len(journal.done))

            def report(results: Sequence[Result]) -> None:
                progress.advance(task, len(results))
                refusals.add(results)

            skipped = await FileImport(door, journal, self._known, report, self._stopping).run(path)
            done = len(journal.done)
        self._is_clean = self._is_clean and not refusals.count
        before = f", {skipped} of them by an earlier run" if skipped else ""
        out.print(f"{path}: {done} of {total} imported{before}", markup=False)
        if refusals.count:
            err.print(f"{path}: {refusals.count} refused, listed in {refusals.file}", style="red", markup=False)

    def _token(self) -> str:
        return local_token(
            self._database,
            scope=self._actor.scope,
            user=self._actor.patient,
            organization=self._actor.organization,
            seconds=TOKEN_SECONDS,
            now_us=now_us(),
        )

    def _complain(self, sentence: str) -> None:
        self._is_clean = False
        err.print(f"backbridge: {sentence}", style="red", markup=False)


class Refusals:
    """What was refused: the first lines on the terminal, all of it in a file; nothing is written where all went in."""

    def __init__(self, path: Path, file: Path) -> None:
        self._path = path
        self.file = file
        self.count = 0

    def __enter__(self) -> Refusals:
        self.file.unlink(missing_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.count > _SHOWN:
            err.print(f"{self._path}: and {self.count - _SHOWN} more", style="red", markup=False)

    def add(self, results: Sequence[Result]) -> None:
        for result in results:
            if result.is_refused:
                self._add(result.unit, result)

    def _add(self, unit: Unit, result: Result) -> None:
        self.count += 1
        if self.count <= _SHOWN:
            err.print(f"{self._path} entry {unit.number} ({unit.label}): {result.reason}", style="red", markup=False)
        row = {"entry": unit.number, "name": unit.label, "status": result.status, "outcome": result.outcome}
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def _progress() -> Progress:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    return Progress(*columns, console=err, transient=True)
