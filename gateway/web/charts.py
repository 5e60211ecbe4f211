"""Charts as SVG text: pure, no script, coloured by the style sheet so that they follow light and dark.

Every chart has a name and a description for screen readers; the page gives the same figures as a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from html import escape
from math import pi

from markupsafe import Markup

WIDTH, HEIGHT = 340, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 12, 14, 28
_RING = 50


@dataclass(frozen=True, slots=True)
class Axis:
    """The value axis: from low to high with a line at each tick."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM)


@dataclass(frozen=True, slots=True)
class Words:
    """What a chart says in words: name and description for screen readers, first and last label of the day axis."""

    id: str
    name: str
    description: str
    first: str
    last: str


def line_chart(
    points: Sequence[tuple[date, float]], axis: Axis, words: Words, band: tuple[float, float] | None = None
) -> Markup:
    """Values over time, oldest first; the band is where a change is too small to matter."""
    days = [day.toordinal() for day, _ in points]
    places = [(_x(day, days[0], days[-1]), axis.y(value)) for day, (_, value) in zip(days, points, strict=True)]
    parts = [_grid(axis)]
    if band is not None:
        top, bottom = axis.y(band[1]), axis.y(band[0])
        parts.append(
            f'<rect class="chart-band" x="{_LEFT}" y="{top:.1f}" width="{WIDTH - _LEFT - _RIGHT}"'
            f' height="{max(bottom - top, 1):.1f}"/>'
        )
    if len(places) > 1:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline class="chart-line" points="{path}"/>')
    parts += [f'<circle class="chart-dot" cx="{x:.1f}" cy="{y:.1f}" r="4"/>' for x, y in places]
    return _svg("".join(parts), words, is_single=len(points) == 1)


def bar_chart(values: Sequence[float | None], axis: Axis, words: Words, goal: float | None = None) -> Markup:
    """One bar a day; a day without data has none. The goal is a dashed line."""
    room = (WIDTH - _LEFT - _RIGHT) / max(len(values), 1)
    parts = [_grid(axis)]
    for number, value in enumerate(values):
        if value is not None:
            top = axis.y(min(value, axis.high))
            reached = " chart-bar-reached" if goal is not None and value >= goal else ""
            parts.append(
                f'<rect class="chart-bar{reached}" x="{_LEFT + number * room + room * 0.15:.1f}" y="{top:.1f}"'
                f' width="{room * 0.7:.1f}" height="{HEIGHT - _BOTTOM - top:.1f}" rx="1.5"/>'
            )
    if goal is not None:
        at = axis.y(min(goal, axis.high))
        parts.append(f'<line class="chart-goal" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
    return _svg("".join(parts), words)


def ring(share: float, words: Words) -> Markup:
    """A circle filled to a share from 0 to 1."""
    length = 2 * pi * _RING
    filled = length * min(max(share, 0.0), 1.0)
    circle = f'cx="60" cy="60" r="{_RING}" fill="none" stroke-width="12"'
    dashes = f'transform="rotate(-90 60 60)" stroke-dasharray="{filled:.1f} {length:.1f}"'
    done = f'<circle class="ring-share" {circle} {dashes}/>'
    return Markup(  # noqa: S704 - texts are escaped, numbers are formatted
        f'<svg class="ring" viewBox="0 0 120 120" role="img" aria-labelledby="{escape(words.id)}-name">'
        f'<title id="{escape(words.id)}-name">{escape(words.name)}</title><circle class="ring-track" {circle}/>'
        f"{done if filled else ''}"
        f'<text class="ring-words" x="60" y="68" text-anchor="middle">{escape(words.first)}</text></svg>'
    )


def scale(low: float, high: float, parts: int = 4) -> Axis:
    """An axis with evenly spaced ticks."""
    step = (high - low) / parts
    return Axis(low, high, tuple(low + step * n for n in range(parts + 1)))


def rounded_up(value: float) -> float:
    """The next of 1, 2, 4, 5, 6, 8 and 10 times a power of ten, so that four parts have plain labels."""
    size = 1.0
    while size * 10 < value:
        size *= 10
    return next(size * factor for factor in (1, 2, 4, 6, 8, 10) if size * factor >= value)


def _grid(axis: Axis) -> str:
    lines = []
    for tick in axis.ticks:
        at = axis.y(tick)
        label = f"{tick / 1000:g}k" if axis.high >= 2000 and tick else f"{tick:g}"
        lines.append(
            f'<line class="chart-grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
            f'<text class="chart-label" x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{label}</text>'
        )
    return "".join(lines)


def _x(day: int, first: int, last: int) -> float:
    inner = WIDTH - _LEFT - _RIGHT - 16
    return _LEFT + 8 + (inner / 2 if first == last else inner * (day - first) / (last - first))


def _svg(content: str, words: Words, *, is_single: bool = False) -> Markup:
    at = HEIGHT - 8
    if is_single:
        middle = (_LEFT + WIDTH - _RIGHT) / 2
        labels = f'<text class="chart-label" x="{middle:g}" y="{at}" text-anchor="middle">{escape(words.first)}</text>'
    else:
        labels = (
            f'<text class="chart-label" x="{_LEFT}" y="{at}">{escape(words.first)}</text>'
            f'<text class="chart-label" x="{WIDTH - _RIGHT}" y="{at}" text-anchor="end">{escape(words.last)}</text>'
        )
    name, description = f"{escape(words.id)}-name", f"{escape(words.id)}-desc"
    return Markup(  # noqa: S704 - every text is escaped above or here, numbers are formatted
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="{name}"'
        f' aria-describedby="{description}"><title id="{name}">{escape(words.name)}</title>'
        f'<desc id="{description}">{escape(words.description)}</desc>{content}{labels}</svg>'
    )
