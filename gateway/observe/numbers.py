"""Numbers of one process, counted in plain Python: about a fifth of the price of the client library's own.

They are read, added up over processes and written in Prometheus' format only when somebody asks
(gateway/observe/exposition.py). Labels are chosen by our code: never ids, never what a client sent.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter

Labels = tuple[str, ...]


class Counter:
    """Only rises. Its name ends in `_total`."""

    def __init__(self, name: str, meaning: str, labels: Labels = ()) -> None:
        self.name, self.meaning, self.labels = name, meaning, labels
        self.series: dict[Labels, float] = {}

    def add(self, *labels: str, by: float = 1) -> None:
        self.series[labels] = self.series.get(labels, 0) + by


class Gauge:
    """A level that rises and falls."""

    def __init__(self, name: str, meaning: str, labels: Labels = ()) -> None:
        self.name, self.meaning, self.labels = name, meaning, labels
        self.series: dict[Labels, float] = {}

    def set(self, value: float, *labels: str) -> None:
        self.series[labels] = value


class Histogram:
    """
    How often values fell into which range.

    bounds  upper bounds of the ranges, each one included; the last range is open
    series  for each set of labels one count a range, then the sum of the values
    """

    def __init__(self, name: str, meaning: str, labels: Labels, bounds: Sequence[float]) -> None:
        self.name, self.meaning, self.labels, self.bounds = name, meaning, labels, tuple(bounds)
        self.series: dict[Labels, list[float]] = {}

    def observe(self, value: float, *labels: str) -> None:
        self.at(labels)[bisect_left(self.bounds, value)] += 1
        self.at(labels)[-1] += value

    def at(self, labels: Labels) -> list[float]:
        """The counts of one series, to be kept by whoever counts into it often."""
        found = self.series.get(labels)
        if found is None:
            found = self.series.setdefault(labels, [0] * (len(self.bounds) + 2))
        return found

    @contextmanager
    def timing(self, *labels: str) -> Iterator[None]:
        """Observe the seconds that the block takes."""
        began = perf_counter()
        try:
            yield
        finally:
            self.observe(perf_counter() - began, *labels)


Measure = Counter | Gauge | Histogram
