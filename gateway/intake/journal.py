"""What of a file is imported already: one line for each unit, on the disk before the next is sent."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType


class Journal:
    """The journal of one file: the numbers of the units done, and what their names became here."""

    def __init__(self, folder: Path, fingerprint: str) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / f"{fingerprint}.journal"
        self.done: set[int] = set()
        self.names: dict[str, str] = {}
        if path.exists():
            self._read(path)
        self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8")

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, entries: Sequence[tuple[int, Mapping[str, str]]]) -> None:
        """Note units as done, with the references that their names became."""
        for number, names in entries:
            self.done.add(number)
            self.names.update(names)
            self._file.write(json.dumps([number, names]) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def _read(self, path: Path) -> None:
        for line in path.read_text("utf-8").splitlines():
            try:
                number, names = json.loads(line)
            except ValueError:
                # The last line of a run that was killed while it wrote: that unit is sent again.
                continue
            self.done.add(number)
            self.names.update(names)
