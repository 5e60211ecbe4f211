"""One question a page: saved, resumable, with a way back, without script."""

from __future__ import annotations

from collections.abc import Callable

from tests.web.browser import Browser


def test_a_page_says_where_one_is(patient: Browser) -> None:
    assert "Question 3 of 24" in patient.open("/questions/rmdq-24/rmdq-03").text


def test_each_answer_is_kept_and_another_device_goes_on_after_it(
    patient: Browser, patient_id: str, visitor: Callable[[], Browser]
) -> None:
    patient.open("/questions/rmdq-24/rmdq-01").submit(answer="yes")
    patient.submit(answer="no")
    assert patient.url == "/questions/rmdq-24/rmdq-03"
    other = visitor()
    other.open("/sign-in/patient").submit(handle=f"ANNA-{patient_id}", secret="738291")
    other.open("/questions/rmdq-24")
    assert "/questions/rmdq-24/rmdq-03" in other.links
    other.open("/questions/rmdq-24/rmdq-01")
    assert other.form().data()["answer"] == ["yes"]


def test_back_leads_to_the_question_before(patient: Browser) -> None:
    assert "/questions/rmdq-24/rmdq-04" in patient.open("/questions/rmdq-24/rmdq-05").links
    assert "/questions/rmdq-24" in patient.open("/questions/rmdq-24/rmdq-01").links


def test_a_required_question_cannot_be_passed_over(patient: Browser) -> None:
    page = patient.open("/questions/pain-nrs/pain-average").submit()
    assert page.status == 422
    assert "Choose a number" in page.text
    assert page.url == "/questions/pain-nrs/pain-average"


def test_answers_can_be_changed_before_they_are_sent_and_not_sent_with_gaps(patient: Browser) -> None:
    patient.open("/questions/pain-nrs/pain-average").submit(answer="4")
    patient.open("/questions/pain-nrs/check")
    assert "1 question is still open" in patient.text
    patient.submit()
    assert patient.url == "/questions/pain-nrs/pain-worst"
    patient.submit(answer="7")
    assert patient.url == "/questions/pain-nrs/check"
    patient.open("/questions/pain-nrs/pain-average?return=check").submit(answer="5")
    assert patient.url == "/questions/pain-nrs/check"
    patient.submit()
    assert patient.url == "/questions/pain-nrs/done"
    assert "Answered on" in patient.open("/questions").text


def test_an_emergency_answer_gets_advice_at_once(patient: Browser) -> None:
    patient.open("/questions/red-flag-screen/rf-bladder-bowel").submit(answer="yes")
    assert patient.url == "/questions/red-flag-screen/rf-bladder-bowel/advice"
    assert "Get help now" in patient.text
    assert "tel:999" in patient.links


def test_a_question_that_does_not_apply_or_exist_is_not_found(patient: Browser) -> None:
    for path in ("/questions/psfs/psfs-1-rating", "/questions/rmdq-24/rmdq-25", "/questions/exercise-feedback"):
        assert patient.open(path).status == 404


def test_what_people_write_is_shown_as_text(patient: Browser) -> None:
    words = "<script>alert('x')</script> & \"lifting\" {{ 7*7 }}"
    patient.open("/questions/goals/goal-text").submit(answer=words)
    patient.open("/questions/goals/check")
    assert "<script>alert" not in patient.html
    assert words in patient.text
