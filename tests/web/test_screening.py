"""Warning signs: shown at once, kept until a clinician has looked."""

from __future__ import annotations

from typing import Any

from gateway.web.forms import Form
from gateway.web.patient import answers as sheet
from gateway.web.screening import flag_of_one_answer, review, screening
from recommender import knowledge

SCREEN = knowledge.instrument("red-flag-screen")


def screen(response_id: str, day: int, **said: str) -> dict[str, Any]:
    given = {
        q.link_id: sheet.read_answer(q, Form({"answer": [said.get(q.link_id.replace("-", "_"), "no")]}))
        for q in sheet.questions(SCREEN)
    }
    made = sheet.response(SCREEN, "Patient/1", given, status="completed", authored=f"2026-11-{day:02}T10:00:00Z")
    return {**made, "id": response_id}


def test_no_warning_sign_leaves_nothing_open() -> None:
    assert screening([screen("a", 1)], []).flags == ()


def test_the_latest_screen_counts_whatever_the_order() -> None:
    old, new = screen("a", 1, rf_saddle_numbness="yes"), screen("b", 2)
    assert screening([new, old], []).flags == ()
    assert screening([old], []).flags[0].tier == "emergency"


def test_a_review_clears_the_answers_it_names_and_no_others() -> None:
    flagged = screen("a", 1, rf_night_pain="yes")
    cleared = review("Patient/1", "QuestionnaireResponse/a", "Practitioner/1", "2026-11-02T10:00:00Z")
    assert screening([flagged], [cleared]).flags == ()
    later = screen("b", 3, rf_night_pain="yes")
    assert screening([flagged, later], [cleared]).source == "QuestionnaireResponse/b"


def test_safety_questions_without_an_answer_are_not_a_no() -> None:
    broken = screen("a", 1)
    broken["item"] = broken["item"][1:]
    found = screening([broken], [])
    assert found.is_unreadable
    assert found.source == "QuestionnaireResponse/a"


def test_one_answer_is_judged_before_the_others_are_given() -> None:
    yes = {"valueCoding": {"system": "https://backbridge.example/fhir/CodeSystem/yes-no-unsure", "code": "yes"}}
    flag = flag_of_one_answer(SCREEN, {"rf-bladder-bowel": [yes]}, "rf-bladder-bowel")
    assert flag is not None
    assert flag.tier == "emergency"
    assert flag_of_one_answer(SCREEN, {}, "rf-bladder-bowel") is None
    assert flag_of_one_answer(knowledge.instrument("pain-nrs"), {}, "pain-average") is None
