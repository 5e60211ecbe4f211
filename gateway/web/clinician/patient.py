"""One patient: alerts, trends against the smallest change that matters, steps, the plan (product S6)."""

from __future__ import annotations

import asyncio

from starlette.responses import Response

from gateway.web.clinician.prescribe import account_state
from gateway.web.clinician.record import records
from gateway.web.figures import score_figure, steps_figure
from gateway.web.resources import person
from gateway.web.steps import latest_days
from gateway.web.visit import ClinicVisit


async def show(visit: ClinicVisit) -> Response:
    """What this patient shares with the clinic."""
    patient = person(await visit.reads.read("Patient", visit.path("patient")))
    by_id, days, account = await asyncio.gather(
        records(visit, [patient.id]),
        latest_days(visit.reads, patient.reference, visit.dates.today),
        asyncio.to_thread(account_state, visit, patient.id),
    )
    record = by_id[patient.id]
    figures = [
        score_figure(trend, visit.messages, visit.dates, words="score.clinic")
        for trend in record.trends
        if trend.points
    ]
    goal = record.active.steps if record.active else None
    if any(day.steps is not None for day in days):
        figures.append(steps_figure(days, goal, visit.messages, visit.dates))
    values = {"person": patient, "record": record, "figures": figures, "account": account}
    return visit.page("clinician/patient.html", values)
