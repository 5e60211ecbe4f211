"""Progress: scores over time against the smallest change that matters, and steps (product S4)."""

from __future__ import annotations

import asyncio

from starlette.responses import Response

from gateway.web.figures import score_figure, steps_figure
from gateway.web.patient.today import plans_of
from gateway.web.plans import current
from gateway.web.scores import CODES, trends
from gateway.web.steps import latest_days
from gateway.web.visit import PatientVisit
from recommender.canonical import SCORE_SYSTEM


async def progress(visit: PatientVisit) -> Response:
    """Every trend with a value, then steps."""
    codes = ",".join(f"{SCORE_SYSTEM}|{code}" for code in CODES)
    observations, days, plans = await asyncio.gather(
        visit.reads.every("Observation", subject=visit.reference, code=codes),
        latest_days(visit.reads, visit.reference, visit.dates.today),
        plans_of(visit),
    )
    followed = current(plans, visit.dates.today)
    figures = [
        score_figure(trend, visit.messages, visit.dates) for trend in trends(observations, visit.dates) if trend.points
    ]
    goal = followed.steps if followed else None
    figures.append(steps_figure(days, goal, visit.messages, visit.dates))
    return visit.page("patient/progress.html", {"figures": figures})
