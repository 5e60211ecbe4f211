"""The panel: every patient of the clinic with last scores, plan and alerts, the most pressing first (product S6)."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import Response

from gateway.web.clinician.record import Record, records
from gateway.web.resources import PersonView, person
from gateway.web.visit import ClinicVisit

_ON_A_PAGE = 50


@dataclass(frozen=True, slots=True)
class Row:
    """One patient of the panel."""

    person: PersonView
    record: Record


async def panel(visit: ClinicVisit) -> Response:
    """A page of patients by family name; within the page the most pressing come first."""
    cursor = visit.query("page") or None
    found, following = await visit.reads.page("Patient", cursor, _ON_A_PAGE, _sort="family")
    people = [person(each) for each in found]
    by_id = await records(visit, [each.id for each in people])
    rows = sorted((Row(each, by_id[each.id]) for each in people), key=lambda row: row.record.urgency)
    values = {
        "rows": rows,
        "next_page": following,
        "alerts": sum(row.record.urgency < 2 for row in rows),
        "drafts": sum(row.record.draft is not None for row in rows),
    }
    return visit.page("clinician/panel.html", values)
