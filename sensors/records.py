"""Step records as columns: about 31 bytes a record, so that a million of them are some tens of megabytes."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from sensors.sources import Source

Ints = npt.NDArray[np.signedinteger[Any]]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, repr=False)
class StepRecords:
    """
    What an importer read; all columns have the same length.

    platform                       e.g. apple-health; part of the identifier of what is derived
    start_ms, end_ms               int64, UTC, milliseconds since 1970, in the years 1970 to 2199
    start_offset_s, end_offset_s   int32, local minus UTC, seconds, as the source wrote it
    steps                          float64, as the source wrote it
    source                         int16, index into sources
    manual                         entered by hand
    exported_at                    when the export was made, if it says so
    rejected                       records with an unreadable date, number or unit, left out
    complete                       False when the export was damaged and only its beginning was kept
    """

    platform: str
    start_ms: Ints
    end_ms: Ints
    start_offset_s: Ints
    end_offset_s: Ints
    steps: Floats
    source: Ints
    manual: Bools
    sources: tuple[Source, ...]
    exported_at: datetime | None = None
    rejected: int = 0
    complete: bool = True

    def __len__(self) -> int:
        return len(self.start_ms)

    def __repr__(self) -> str:
        # A log of this object must not hold what a person did.
        return f"<StepRecords {self.platform}: {len(self)} records, {len(self.sources)} sources>"

    def take(self, rows: Ints | Bools) -> StepRecords:
        """The records at these positions (indices or a mask), in that order."""
        return replace(
            self,
            start_ms=self.start_ms[rows],
            end_ms=self.end_ms[rows],
            start_offset_s=self.start_offset_s[rows],
            end_offset_s=self.end_offset_s[rows],
            steps=self.steps[rows],
            source=self.source[rows],
            manual=self.manual[rows],
        )

    def with_sources(self, order: list[Source]) -> StepRecords:
        """The same records with sources numbered in this order (which holds every source)."""
        number = {source: i for i, source in enumerate(order)}
        renumbered = np.array([number[source] for source in self.sources], dtype=np.int16)
        return replace(self, sources=tuple(order), source=renumbered[self.source])

    def distinct(self) -> StepRecords:
        """
        Sorted by source, start, longest first; exact duplicates (source, start, end, steps) once.

        Of two duplicates the one marked as entered by hand stays. Depends only on the set of records, not on
        their order, as long as sources are numbered in a fixed order.
        """
        keys = (self.start_offset_s, ~self.manual, -self.steps, -self.end_ms, self.start_ms, self.source)
        ordered = self.take(np.lexsort(keys))
        same = np.zeros(len(self), dtype=np.bool_)
        same[1:] = (
            (ordered.source[1:] == ordered.source[:-1])
            & (ordered.start_ms[1:] == ordered.start_ms[:-1])
            & (ordered.end_ms[1:] == ordered.end_ms[:-1])
            & (ordered.steps[1:] == ordered.steps[:-1])
        )
        return ordered.take(~same) if same.any() else ordered


class StepColumns:
    """Grows record by record while an importer reads; then becomes StepRecords without copying."""

    def __init__(self) -> None:
        self._start_ms = array("q")
        self._end_ms = array("q")
        self._start_offset_s = array("i")
        self._end_offset_s = array("i")
        self._steps = array("d")
        self._source = array("h")
        self._manual = array("b")
        self._sources: dict[Source, int] = {}

    def __len__(self) -> int:
        return len(self._start_ms)

    @property
    def sources(self) -> int:
        """Number of different sources so far."""
        return len(self._sources)

    def add(self, source: Source, start: tuple[int, int], end: tuple[int, int], steps: float, manual: bool) -> None:
        """start and end are (UTC milliseconds, offset in seconds)."""
        self._start_ms.append(start[0])
        self._end_ms.append(end[0])
        self._start_offset_s.append(start[1])
        self._end_offset_s.append(end[1])
        self._steps.append(steps)
        self._source.append(self._sources.setdefault(source, len(self._sources)))
        self._manual.append(manual)

    def records(
        self, platform: str, *, exported_at: datetime | None = None, rejected: int = 0, complete: bool = True
    ) -> StepRecords:
        """All records added so far, in that order."""
        return StepRecords(
            platform=platform,
            start_ms=np.frombuffer(self._start_ms, dtype=np.int64),
            end_ms=np.frombuffer(self._end_ms, dtype=np.int64),
            start_offset_s=np.frombuffer(self._start_offset_s, dtype=np.int32),
            end_offset_s=np.frombuffer(self._end_offset_s, dtype=np.int32),
            steps=np.frombuffer(self._steps, dtype=np.float64),
            source=np.frombuffer(self._source, dtype=np.int16),
            manual=np.frombuffer(self._manual, dtype=np.bool_),
            sources=tuple(self._sources),
            exported_at=exported_at,
            rejected=rejected,
            complete=complete,
        )
