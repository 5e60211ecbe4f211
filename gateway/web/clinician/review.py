"""Reviewing a plan: the draft with its reasons and inputs. The clinician activates or declines it (rule 11)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from gateway.r4.identity import key_of
from gateway.store.changes import Change, Version
from gateway.store.errors import NotFound, VersionMismatch
from gateway.web.clinician.record import records
from gateway.web.dates import read_moment
from gateway.web.plans import IS_WEEKLY_PLAN, Plan, plan
from gateway.web.reads import resource
from gateway.web.resources import person
from gateway.web.screening import review
from gateway.web.visit import ClinicVisit
from gateway.web.writes import changed, created
from gateway.work import orders
from recommender import knowledge
from recommender.canonical import RULE_SYSTEM

JSON = dict[str, Any]

REASONS = ("not-suitable", "too-hard", "too-easy", "seen-first", "other")
_LONGEST_NOTE = 1_000


@dataclass(frozen=True, slots=True)
class Basis:
    """What a plan rests on: the generator's Provenance in words."""

    policy: str
    method: str
    recorded: str
    rules: tuple[tuple[str, str], ...]
    inputs: tuple[tuple[str, str], ...]


async def show(visit: ClinicVisit) -> Response:
    """The plan and why."""
    return await _page(visit, {})


async def decide(visit: ClinicVisit) -> Response:
    """Activate the draft, or decline it with a reason."""
    verdict = visit.form.text("decision")
    note = visit.form.text("note")[:_LONGEST_NOTE]
    if verdict == "decline" and visit.form.text("reason") not in REASONS:
        return await _page(visit, {"reason": "review.missing.reason"})
    stored = await visit.site.store.read(visit.context, "CarePlan", visit.path("plan"))
    found = _checked(visit, stored)
    if found.status != "draft" or verdict not in ("activate", "decline"):
        return await _page(visit, {"decision": "review.decided-already"})
    if visit.form.text("version") != str(found.version):
        raise VersionMismatch
    changes = await (_activation(visit, stored, found) if verdict == "activate" else _refusal(visit, stored, found))
    reason = f"review.reason.{visit.form.text('reason')}" if verdict == "decline" else "review.reason.activated"
    words = " ".join(filter(None, (visit.messages(reason), note)))
    try:
        await visit.site.store.commit(visit.context, [*changes, created(_provenance(visit, found, words))])
    except NotFound:
        # It was just read, so what is missing is the permission to change it.
        return await _page(visit, {"decision": "review.not-allowed"})
    return visit.redirect(f"/patients/{visit.path('patient')}")


async def clear(visit: ClinicVisit) -> Response:
    """The warning signs have been looked at, and the plan may go on."""
    patient_id = visit.path("patient")
    found = (await records(visit, [patient_id]))[patient_id].screening
    if found.source is None or visit.form.text("source") != found.source:
        raise NotFound
    agent = visit.signed_in.session.reference
    moment = visit.dates.now.isoformat(timespec="milliseconds")
    made = review(f"Patient/{patient_id}", found.source, agent, moment)
    await visit.site.store.commit(visit.context, [created(made), *await _ended_alerts(visit, patient_id, found.source)])
    answers = await visit.site.store.read(visit.context, *found.source.split("/", 1))
    await asyncio.to_thread(_ask_for_plan, visit, patient_id, answers)
    return visit.redirect(f"/patients/{patient_id}")


def _ask_for_plan(visit: ClinicVisit, patient_id: str, answers: Version) -> None:
    """The job child sees to the rest: it plans anew, now that nothing stands in the way."""
    with visit.site.database.working() as session:
        orders.ask(
            session,
            orders.REVIEW,
            patient=key_of("Patient", patient_id),
            resource_type=answers.type,
            logical_id=answers.id,
            version=answers.version,
            now_us=visit.site.clock(),
        )


async def _ended_alerts(visit: ClinicVisit, patient_id: str, source: str) -> list[Change]:
    """The alerts that were raised from these answers."""
    flags = await visit.reads.every("Flag", subject=f"Patient/{patient_id}")
    raised = [f for f in flags if f["status"] == "active" and source in _sources(f)]
    versions = [await visit.site.store.read(visit.context, "Flag", flag["id"]) for flag in raised]
    return [changed(version, {"status": "inactive"}) for version in versions]


def _sources(flag: JSON) -> list[str]:
    details = (each.get("valueReference", {}).get("reference", "") for each in flag.get("extension", ()))
    return [str(reference).partition("/_history/")[0] for reference in details]


async def _page(visit: ClinicVisit, errors: dict[str, str]) -> Response:
    stored, patient = await asyncio.gather(
        visit.site.store.read(visit.context, "CarePlan", visit.path("plan")),
        visit.reads.read("Patient", visit.path("patient")),
    )
    found = _checked(visit, stored)
    by_id, basis = await asyncio.gather(records(visit, [patient["id"]]), _basis(visit, found))
    values = {
        "person": person(patient),
        "plan": found,
        "record": by_id[patient["id"]],
        "basis": basis,
        "reasons": REASONS,
        "errors": errors,
    }
    return visit.page("clinician/review.html", values, status=422 if errors else 200)


def _checked(visit: ClinicVisit, stored: Version) -> Plan:
    """The plan, when it is a plan of the patient in the address."""
    found = resource(stored)
    if found.get("subject", {}).get("reference") != f"Patient/{visit.path('patient')}":
        raise NotFound
    return plan(found)


async def _activation(visit: ClinicVisit, stored: Version, found: Plan) -> list[Change]:
    """The plan and its goals become active; the one before is completed."""
    changes: list[Change] = [changed(stored, {"status": "active"})]
    for reference in found.goals:
        kind, _, logical_id = reference.partition("/")
        goal = await visit.site.store.read(visit.context, kind, logical_id)
        changes.append(changed(goal, {"lifecycleStatus": "active"}))
    before = await visit.reads.every(
        "CarePlan", subject=f"Patient/{visit.path('patient')}", category=IS_WEEKLY_PLAN, status="active"
    )
    for each in before:
        version = await visit.site.store.read(visit.context, "CarePlan", each["id"])
        changes.append(changed(version, {"status": "completed"}))
    return changes


async def _refusal(visit: ClinicVisit, stored: Version, found: Plan) -> list[Change]:
    changes: list[Change] = [changed(stored, {"status": "revoked"})]
    for reference in found.goals:
        kind, _, logical_id = reference.partition("/")
        goal = await visit.site.store.read(visit.context, kind, logical_id)
        changes.append(changed(goal, {"lifecycleStatus": "rejected"}))
    return changes


def _provenance(visit: ClinicVisit, found: Plan, words: str) -> JSON:
    """Who decided, when and why; the version decided upon is the source."""
    system = "http://terminology.hl7.org/CodeSystem/v3-DataOperation"
    who: JSON = {"who": {"reference": visit.signed_in.session.reference}}
    if visit.context.organization:
        who["onBehalfOf"] = {"reference": visit.context.organization}
    return {
        "resourceType": "Provenance",
        "target": [{"reference": found.reference}],
        "recorded": visit.dates.now.isoformat(timespec="milliseconds"),
        "reason": [{"text": words}],
        "activity": {"coding": [{"system": system, "code": "UPDATE"}], "text": "Decision on a proposed plan"},
        "agent": [who],
        "entity": [
            {"role": "revision", "what": {"reference": f"{found.reference}/_history/{found.version}"}},
            # A Provenance has no patient of its own: naming them makes it part of their record.
            {"role": "source", "what": {"reference": f"Patient/{visit.path('patient')}"}},
        ],
    }


async def _basis(visit: ClinicVisit, found: Plan) -> Basis | None:
    """The Provenance of the generator: the one that names rules. None where it may not be seen."""
    every = await visit.reads.every("Provenance", target=found.reference)
    made = next((p for p in every if any(_rule(reason) for reason in p.get("reason", ()))), None)
    if made is None:
        return None
    references = [entity["what"].get("reference", "") for entity in made.get("entity", ())]
    inputs = await asyncio.gather(*(visit.reads.find(reference) for reference in references))
    return Basis(
        policy=next(iter(made.get("policy", ())), "").rpartition("/")[2],
        method=made.get("activity", {}).get("text", ""),
        recorded=visit.dates.moment(read_moment(made["recorded"])),
        rules=tuple((_rule(reason), reason.get("text", "")) for reason in made["reason"]),
        inputs=tuple(dict.fromkeys(_named(each, visit) for each in inputs if each and _is_input(each))),
    )


def _is_input(found: JSON) -> bool:
    """Not the person, whom a Provenance names only so that it belongs to them."""
    return bool(found["resourceType"] != "Patient")


def _rule(reason: JSON) -> str:
    return next((c["code"] for c in reason.get("coding", ()) if c.get("system") == RULE_SYSTEM), "")


def _named(found: JSON, visit: ClinicVisit) -> tuple[str, str]:
    """What an input is, and of which day."""
    moment = found.get("authored") or found.get("effectiveDateTime") or found.get("created") or ""
    day = visit.dates.long(visit.dates.day_of(read_moment(moment))) if moment else ""
    kind = found["resourceType"]
    if kind == "QuestionnaireResponse":
        return _title(str(found.get("questionnaire", ""))), day
    text = found.get("code", {}).get("text") or found.get("title") or visit.messages("review.input.other")
    return str(text), day


def _title(canonical: str) -> str:
    name = canonical.partition("|")[0].rpartition("/")[2]
    return str(knowledge.instrument(name)["title"]) if name in knowledge.instrument_names() else name
