"""From trends and steps to figures: a chart, its sentence and its table, in the reader's language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from gateway.web import charts
from gateway.web.dates import Dates
from gateway.web.messages import Messages
from gateway.web.scores import Trend
from gateway.web.steps import StepDay

_STEP_AXIS = 8_000.0


@dataclass(frozen=True, slots=True)
class Figure:
    """rows are (day, value) as people read them, latest first; chart is None without data."""

    id: str
    title: str
    summary: str
    verdict: str
    chart: Markup | None
    rows: tuple[tuple[str, str], ...]
    legend: str = ""


def score_figure(trend: Trend, t: Messages, dates: Dates, *, words: str = "score") -> Figure:
    """A score over time with the band of changes too small to matter; `words` is for whom: score or score.clinic."""
    rule = trend.rule
    title = t(f"{words}.{rule.code}")
    if not trend.points:
        return Figure(rule.code, title, t("score.none"), "unknown", None, ())
    said = charts.Words(
        id=rule.code,
        name=t("chart.score-name", title=title),
        description=summary(trend, t, dates),
        first=dates.axis(trend.points[0].day),
        last=dates.axis(trend.points[-1].day),
    )
    axis = charts.scale(float(rule.minimum), float(rule.maximum), 5 if rule.maximum == 10 else 4)
    chart = charts.line_chart([(p.day, p.value) for p in trend.points], axis, said, trend.band)
    rows = tuple((dates.long(p.day), t.number(p.value)) for p in reversed(trend.points))
    legend = t("chart.band", points=t.number(float(rule.mic))) if rule.mic is not None else ""
    return Figure(rule.code, title, summary(trend, t, dates), trend.verdict, chart, rows, legend)


def summary(trend: Trend, t: Messages, dates: Dates) -> str:
    """Where the score is, and whether the change since the first one matters."""
    latest = trend.latest
    if latest is None:
        return t("score.none")
    direction = t("score.high-is-better" if trend.is_better_high else "score.high-is-worse")
    now = t("score.latest", value=t.number(latest.value), maximum=t.number(float(trend.rule.maximum)))
    if trend.change is None:
        return f"{now} {direction}"
    without_mic = "more" if trend.change > 0 else "less"
    verdict = without_mic if trend.verdict == "unknown" else trend.verdict
    return f"{now} {direction} {t(f'score.verdict.{verdict}', change=t.number(abs(trend.change)))}"


def steps_figure(days: Sequence[StepDay], goal: int | None, t: Messages, dates: Dates) -> Figure:
    """Steps by day with the goal."""
    known = [day.steps for day in days if day.steps is not None]
    if not known:
        return Figure("steps", t("steps.title"), t("steps.none"), "unknown", None, ())
    mean = sum(known) / len(known)
    text = t("steps.summary", mean=t.number(round(mean)), days=len(known))
    if goal is not None:
        reached = sum(steps >= goal for steps in known)
        text += " " + t("steps.reached", goal=t.number(goal), reached=reached)
    words = charts.Words("steps", t("steps.chart-name"), text, dates.axis(days[0].day), dates.axis(days[-1].day))
    axis = charts.scale(0, charts.rounded_up(max(*known, goal or 0, _STEP_AXIS)))
    chart = charts.bar_chart([day.steps for day in days], axis, words, goal)
    rows = tuple((dates.long(d.day), t.number(d.steps)) for d in reversed(days) if d.steps is not None)
    legend = t("steps.legend") if goal is not None else ""
    return Figure("steps", t("steps.title"), text, "unknown", chart, rows, legend)


def steps_ring(so_far: int | None, goal: int, t: Messages) -> Markup:
    """Today's steps as a share of the goal."""
    words = t("today.steps.ring", steps=t.number(so_far or 0), goal=t.number(goal))
    share = (so_far or 0) / goal
    percent = "–" if so_far is None else t("today.steps.percent", percent=int(100 * share))
    return charts.ring(share, charts.Words("ring", words, "", percent, ""))
