"""One exercise: how to do it, and one tap of feedback afterwards, from which its level is adjusted (product S3)."""

from __future__ import annotations

from starlette.responses import Response

from gateway.store.errors import NotFound
from gateway.web.forms import Form
from gateway.web.patient import answers as sheet
from gateway.web.resources import labelled_like
from gateway.web.visit import PatientVisit
from gateway.web.writes import created
from recommender import knowledge
from recommender.exercise_catalogue import Exercise, catalogue, group_titles

# What one tap says: whether it was done, and how it was.
TAPS = {"easy": True, "right": True, "hard": True, "could-not": False}


async def show(visit: PatientVisit) -> Response:
    exercise = _exercise(visit)
    values = {"exercise": exercise, "group": group_titles()[exercise.group], "taps": TAPS}
    return visit.page("patient/exercise.html", values)


async def report(visit: PatientVisit) -> Response:
    """File the feedback as answers to the exercise-feedback instrument."""
    exercise = _exercise(visit)
    tap = visit.form.text("feedback")
    if tap not in TAPS:
        values = {"exercise": exercise, "group": group_titles()[exercise.group], "taps": TAPS}
        return visit.page("patient/exercise.html", {**values, "errors": {"feedback": "exercise.missing"}}, status=422)
    given = {"exercise": exercise.id, "completed": "yes" if TAPS[tap] else "no", "feedback": tap}
    patient = await visit.reads.read("Patient", visit.patient_id)
    await visit.site.store.commit(visit.context, [created(labelled_like(patient, _response(visit, given)))])
    return visit.redirect("/today")


def _exercise(visit: PatientVisit) -> Exercise:
    found = catalogue().get(visit.path("exercise"))
    if found is None:
        raise NotFound
    return found


def _response(visit: PatientVisit, given: dict[str, str]) -> sheet.JSON:
    instrument = knowledge.instrument("exercise-feedback")
    answers = {
        question.link_id: sheet.read_answer(question, Form({"answer": [given[question.link_id]]}))
        for question in sheet.questions(instrument)
    }
    authored = visit.dates.now.isoformat(timespec="milliseconds")
    return sheet.response(instrument, visit.reference, answers, status="completed", authored=authored)
