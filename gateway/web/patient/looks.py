"""Who looked: reads of the patient's data, grouped by day and person, from the audit of reads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from starlette.responses import Response

from gateway.access import Purpose
from gateway.r4.definitions import type_name
from gateway.store.audit import Look
from gateway.web.dates import moment_of
from gateway.web.messages import Messages
from gateway.web.names import names_of
from gateway.web.visit import PatientVisit

_MOST = 1_000


@dataclass(frozen=True, slots=True)
class Seen:
    """What one person, or a program, looked at on one day."""

    day: date
    who: str
    organisation: str
    purpose: str
    kinds: tuple[str, ...]
    times: int
    latest: str


async def looks(visit: PatientVisit) -> Response:
    """Everybody but the patient; the patient's own looking is counted in one line."""
    found = await visit.site.store.looks(visit.context, _MOST)
    others = [look for look in found if look.agent != visit.reference]
    references = {look.agent for look in others} | {look.organization for look in others}
    names = await names_of(visit.site.database, references, visit.messages)
    values = {"seen": _grouped(others, names, visit), "own": len(found) - len(others)}
    return visit.page("patient/looks.html", values)


def _grouped(found: Iterable[Look], names: dict[str, str], visit: PatientVisit) -> list[Seen]:
    groups: dict[tuple[date, str, str, int], list[Look]] = {}
    for look in found:
        day = visit.dates.day_of(moment_of(look.at))
        groups.setdefault((day, look.agent, look.organization, look.purpose), []).append(look)
    return [
        Seen(
            day=day,
            who=names[agent],
            organisation=names.get(organization, ""),
            purpose=visit.messages(f"purpose.{Purpose(purpose).name}"),
            kinds=_kinds(same, visit.messages),
            times=len(same),
            latest=visit.dates.clock(moment_of(max(look.at for look in same))),
        )
        for (day, agent, organization, purpose), same in groups.items()
    ]


def _kinds(found: Iterable[Look], t: Messages) -> tuple[str, ...]:
    """What was looked at, in the words of the sharing page."""
    words = []
    for look in found:
        name = type_name(look.type) if look.type else ""
        words.append(t(f"kind.{name}") if t.has(f"kind.{name}") else t("kind.other"))
    return tuple(dict.fromkeys(words))
