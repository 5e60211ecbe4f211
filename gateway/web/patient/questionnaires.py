"""Questionnaires, one question a page, saved after every answer and resumable on any device (product S2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from gateway.store.errors import NotFound
from gateway.web.dates import read_moment
from gateway.web.patient import answers as sheet
from gateway.web.patient.answers import NotAnswered, Question
from gateway.web.resources import labelled_like
from gateway.web.screening import flag_of_one_answer, flags_of
from gateway.web.visit import PatientVisit
from gateway.web.writes import created, replaced, version_of
from recommender import knowledge
from recommender.canonical import questionnaire as canonical
from recommender.red_flags import RedFlag

JSON = dict[str, Any]

BASELINE = ("red-flag-screen", "pain-nrs", "rmdq-24", "psfs", "phq-8", "goals")
CHECK_IN = "weekly-check-in"
OFFERED = (*BASELINE, CHECK_IN)


@dataclass(frozen=True, slots=True)
class Progress:
    """
    Where one person is with one instrument.

    state   new, begun or done; done only while no later response has been begun
    when    the day it was completed, in words; empty otherwise
    """

    name: str
    title: str
    questions: int
    answered: int = 0
    state: str = "new"
    when: str = ""


async def overview(visit: PatientVisit, names: tuple[str, ...] = OFFERED) -> list[Progress]:
    """The state of every instrument, from one search."""
    canonicals = ",".join(canonical(name) for name in names)
    responses = await visit.reads.every(
        "QuestionnaireResponse", subject=visit.reference, questionnaire=canonicals, _sort="-authored"
    )
    return [_progress(visit, name, responses) for name in names]


async def questions(visit: PatientVisit) -> Response:
    """Every questionnaire of the programme, done or to do."""
    return visit.page("patient/questions.html", {"instruments": await overview(visit)})


async def begin(visit: PatientVisit) -> Response:
    """What the questionnaire is about, how long it is, and where to go on."""
    questionnaire = _instrument(visit)
    draft = await _draft(visit, questionnaire)
    given = sheet.answers_of(draft)
    applying = sheet.asked(questionnaire, given)
    following = next((q for q in applying if q.link_id not in given), None)
    values = {
        "questionnaire": questionnaire,
        "introduction": sheet.introduction(questionnaire),
        "length": len(applying),
        "answered": sum(q.link_id in given for q in applying),
        "go_on": _path(questionnaire, following.link_id if following else "check"),
    }
    return visit.page("patient/questionnaire.html", values)


async def question(visit: PatientVisit) -> Response:
    """One question."""
    questionnaire = _instrument(visit)
    given = sheet.answers_of(await _draft(visit, questionnaire))
    return _question_page(visit, questionnaire, given, _asked(visit, questionnaire, given))


async def answer(visit: PatientVisit) -> Response:
    """Save the answer; go to the next question, to the check of all answers, or to urgent advice."""
    questionnaire = _instrument(visit)
    draft = await _draft(visit, questionnaire)
    given = sheet.answers_of(draft)
    current = _asked(visit, questionnaire, given)
    try:
        given[current.link_id] = sheet.read_answer(current, visit.form)
    except NotAnswered as wrong:
        return _question_page(visit, questionnaire, given, current, error=wrong.key)
    await _save(visit, questionnaire, given, draft, "in-progress")
    flag = flag_of_one_answer(questionnaire, given, current.link_id)
    if flag is not None and flag.tier == "emergency":
        return visit.redirect(_path(questionnaire, current.link_id) + "/advice")
    if visit.form.text("return") == "check":
        return visit.redirect(_path(questionnaire, "check"))
    return visit.redirect(_next_path(questionnaire, given, current))


async def advice(visit: PatientVisit) -> Response:
    """An answer that cannot wait for the other questions."""
    questionnaire = _instrument(visit)
    given = sheet.answers_of(await _draft(visit, questionnaire))
    current = _asked(visit, questionnaire, given)
    flag = flag_of_one_answer(questionnaire, given, current.link_id)
    if flag is None:
        raise NotFound
    values = {"flags": [flag], "go_on": _next_path(questionnaire, given, current), "is_early": True}
    return visit.page("patient/advice.html", values)


async def check(visit: PatientVisit) -> Response:
    """All answers before they are sent."""
    questionnaire = _instrument(visit)
    given = sheet.answers_of(await _draft(visit, questionnaire))
    rows = [(q, sheet.chosen(q, given), q.link_id in given) for q in sheet.asked(questionnaire, given)]
    missing = [q for q, _, is_seen in rows if not is_seen]
    return visit.page("patient/check.html", {"questionnaire": questionnaire, "rows": rows, "missing": missing})


async def complete(visit: PatientVisit) -> Response:
    """The answers are final: scores and the plan are made from them."""
    questionnaire = _instrument(visit)
    draft = await _draft(visit, questionnaire)
    given = sheet.answers_of(draft)
    missing = next((q for q in sheet.asked(questionnaire, given) if q.link_id not in given), None)
    if missing is not None:
        return visit.redirect(_path(questionnaire, missing.link_id))
    await _save(visit, questionnaire, given, draft, "completed")
    return visit.redirect(_path(questionnaire, "done"))


async def done(visit: PatientVisit) -> Response:
    """Thanks, advice where an answer calls for it, and what comes next."""
    questionnaire = _instrument(visit)
    latest = await visit.reads.first(
        "QuestionnaireResponse",
        subject=visit.reference,
        questionnaire=questionnaire["url"],
        status="completed",
        _sort="-authored",
    )
    if latest is None:
        raise NotFound
    flags: list[RedFlag] = flags_of(latest)
    left = [each for each in await overview(visit, BASELINE) if each.state != "done"]
    values = {"questionnaire": questionnaire, "flags": flags, "next": next(iter(left), None)}
    return visit.page("patient/questionnaire_done.html", values)


def _instrument(visit: PatientVisit) -> JSON:
    name = visit.path("name")
    if name not in OFFERED:
        raise NotFound
    return knowledge.instrument(name)


def _asked(visit: PatientVisit, questionnaire: JSON, given: sheet.Answers) -> Question:
    """The question of the address; NotFound when it does not apply to this person."""
    link_id = visit.path("link_id")
    found = next((q for q in sheet.asked(questionnaire, given) if q.link_id == link_id), None)
    if found is None:
        raise NotFound
    return found


async def _draft(visit: PatientVisit, questionnaire: JSON) -> JSON | None:
    return await visit.reads.first(
        "QuestionnaireResponse",
        subject=visit.reference,
        questionnaire=questionnaire["url"],
        status="in-progress",
        _sort="-authored",
    )


async def _save(
    visit: PatientVisit, questionnaire: JSON, given: sheet.Answers, draft: JSON | None, status: str
) -> None:
    made = sheet.response(
        questionnaire,
        visit.reference,
        given,
        status=status,
        authored=visit.dates.now.isoformat(timespec="milliseconds"),
        previous=draft,
    )
    if draft is not None:
        await visit.site.store.commit(visit.context, [replaced(labelled_like(draft, made), version_of(draft))])
        return
    patient = await visit.reads.read("Patient", visit.patient_id)
    await visit.site.store.commit(visit.context, [created(labelled_like(patient, made))])


def _question_page(
    visit: PatientVisit, questionnaire: JSON, given: sheet.Answers, current: Question, *, error: str = ""
) -> Response:
    applying = sheet.asked(questionnaire, given)
    at = applying.index(current)
    back = _path(questionnaire, applying[at - 1].link_id) if at else _path(questionnaire, "")
    values = {
        "questionnaire": questionnaire,
        "introduction": sheet.introduction(questionnaire),
        "question": current,
        "chosen": visit.form.all("answer") if error else sheet.chosen(current, given),
        "number_of": at + 1,
        "total": len(applying),
        "back": _path(questionnaire, "check") if visit.query("return") == "check" else back,
        "return_to": visit.query("return") or visit.form.text("return"),
        "errors": {"answer": error} if error else {},
    }
    return visit.page("patient/question.html", values, status=422 if error else 200)


def _next_path(questionnaire: JSON, given: sheet.Answers, current: Question) -> str:
    applying = sheet.asked(questionnaire, given)
    after = applying[[q.link_id for q in applying].index(current.link_id) + 1 :]
    return _path(questionnaire, after[0].link_id if after else "check")


def _path(questionnaire: JSON, rest: str) -> str:
    return f"/questions/{questionnaire['id']}" + (f"/{rest}" if rest else "")


def _progress(visit: PatientVisit, name: str, responses: list[JSON]) -> Progress:
    questionnaire = knowledge.instrument(name)
    own = [r for r in responses if str(r.get("questionnaire", "")).partition("|")[0] == questionnaire["url"]]
    begun = next((r for r in own if r["status"] == "in-progress"), None)
    finished = next((r for r in own if r["status"] in ("completed", "amended")), None)
    given = sheet.answers_of(begun)
    total = len(sheet.asked(questionnaire, given))
    if begun is not None:
        return Progress(name, questionnaire["title"], total, len(given), "begun")
    if finished is not None:
        day = visit.dates.day_of(read_moment(finished["authored"]))
        return Progress(name, questionnaire["title"], total, total, "done", visit.dates.long(day))
    return Progress(name, questionnaire["title"], total)
