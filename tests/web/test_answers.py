"""The instruments as pages ask them."""

from __future__ import annotations

import pytest

from gateway.web.forms import Form
from gateway.web.patient import answers as sheet
from gateway.web.patient.answers import NotAnswered, Question
from recommender import knowledge
from recommender.answers import read_answers


def question(instrument: str, link_id: str) -> Question:
    return next(q for q in sheet.questions(knowledge.instrument(instrument)) if q.link_id == link_id)


def answered(instrument: str, link_id: str, *values: str) -> list[sheet.JSON]:
    return sheet.read_answer(question(instrument, link_id), Form({"answer": list(values)}))


@pytest.mark.parametrize("name", knowledge.instrument_names())
def test_every_instrument_is_a_flat_list_of_questions_that_pages_can_ask(name: str) -> None:
    questionnaire = knowledge.instrument(name)
    assert all("item" not in item for item in questionnaire["item"])
    assert sheet.questions(questionnaire)


def test_the_activity_of_psfs_decides_whether_its_rating_is_asked() -> None:
    psfs = knowledge.instrument("psfs")
    assert [q.link_id for q in sheet.asked(psfs, {})] == ["psfs-1-activity", "psfs-2-activity", "psfs-3-activity"]
    given = {"psfs-1-activity": [{"valueString": "Sitting"}], "psfs-2-activity": []}
    assert [q.link_id for q in sheet.asked(psfs, given)][:3] == ["psfs-1-activity", "psfs-1-rating", "psfs-2-activity"]


def test_answers_to_questions_that_no_longer_apply_are_left_out() -> None:
    psfs = knowledge.instrument("psfs")
    given = {"psfs-1-activity": [], "psfs-1-rating": [{"valueInteger": 3}]}
    made = sheet.response(psfs, "Patient/1", given, status="completed", authored="2026-11-21T10:00:00Z")
    assert [item["linkId"] for item in made["item"]] == ["psfs-1-activity"]


@pytest.mark.parametrize(
    ("instrument", "link_id", "value", "key"),
    [
        ("pain-nrs", "pain-average", "11", "question.out-of-range"),
        ("pain-nrs", "pain-average", "-1", "question.out-of-range"),
        ("pain-nrs", "pain-average", "five", "question.missing.number"),
        ("pain-nrs", "pain-average", "٣", "question.missing.number"),
        ("pain-nrs", "pain-average", "", "question.missing.scale"),
        ("phq-8", "phq-1", "always", "question.invalid"),
        ("phq-8", "phq-1", "", "question.missing.choice"),
        ("rmdq-24", "rmdq-01", "maybe", "question.invalid"),
        ("goals", "goal-text", "x" * 301, "question.too-long"),
    ],
)
def test_what_is_no_answer_is_refused_with_the_reason(instrument: str, link_id: str, value: str, key: str) -> None:
    with pytest.raises(NotAnswered) as refusal:
        answered(instrument, link_id, value)
    assert refusal.value.key == key


def test_a_statement_of_rmdq_may_be_passed_over_and_that_is_remembered() -> None:
    rmdq = knowledge.instrument("rmdq-24")
    given = {"rmdq-01": answered("rmdq-24", "rmdq-01", ""), "rmdq-02": answered("rmdq-24", "rmdq-02", "yes")}
    made = sheet.response(rmdq, "Patient/1", given, status="in-progress", authored="2026-11-21T10:00:00Z")
    assert sheet.answers_of(made) == {"rmdq-01": [], "rmdq-02": [{"valueBoolean": True}]}


def test_several_barriers_can_be_chosen_but_only_one_sleep_rating() -> None:
    assert len(answered("weekly-check-in", "week-barriers", "time", "pain")) == 2
    with pytest.raises(NotAnswered):
        answered("weekly-check-in", "week-sleep", "poor", "good")


@pytest.mark.parametrize("name", knowledge.instrument_names())
def test_what_the_pages_make_is_what_scoring_can_read(name: str) -> None:
    """The recommender's own reader is the oracle: it takes every first option of every question."""
    questionnaire = knowledge.instrument(name)
    given: dict[str, list[sheet.JSON]] = {}
    for each in sheet.questions(questionnaire):
        value = each.options[0][0] if each.options else str(each.low or 1) if each.kind == "number" else "Sitting"
        given[each.link_id] = sheet.read_answer(each, Form({"answer": [value]}))
    made = sheet.response(questionnaire, "Patient/1", given, status="completed", authored="2026-11-21T10:00:00Z")
    assert set(read_answers(questionnaire, made)) == {item["linkId"] for item in made["item"]}
