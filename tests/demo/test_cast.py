"""The invented people: obviously invented, the same on every install, and of every kind."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from gateway.demo.answers import CHECK_IN, baseline, check_in, proms, response
from gateway.demo.cast import Person, people
from gateway.demo.walking import walked
from gateway.r4.validate import Validator
from mappings.demographics import is_synthetic, nhs_number
from recommender import knowledge
from recommender.score import score

EACH = pytest.mark.parametrize("person", people(), ids=lambda person: person.name)
PATIENT = "Patient/example"
VALIDATOR = Validator()
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def test_there_are_two_dozen_of_them_with_numbers_that_no_person_has() -> None:
    numbers = [nhs_number(person.nhs_number) for person in people()]
    assert len(set(numbers)) == 24
    assert all(map(is_synthetic, numbers))
    assert {number[:3] for number in numbers} == {"999"}


def test_some_get_better_some_worse_some_stop_and_not_all_share() -> None:
    change = {p.name: p.at("rmdq", p.last_week) - p.at("rmdq", 0) for p in people()}
    assert sum(value <= -5 for value in change.values()) >= 6
    assert sum(value >= 3 for value in change.values()) >= 2
    assert sum(p.stops is not None for p in people()) >= 2
    shares = Counter(person.shares for person in people())
    assert shares["withdrawn"] == 1
    assert shares["none"] >= 2
    assert sum(person.login != "" for person in people()) == 2


@EACH
def test_every_answer_is_valid_and_can_be_scored(person: Person) -> None:
    given = [*baseline(person)]
    for week in range(1, person.last_week + 1):
        given.append((CHECK_IN, check_in(person, week)))
        given += proms(person, week) if week in person.prom_weeks else []
    for name, answers in given:
        made = response(name, answers, patient=PATIENT, authored=NOON)
        assert VALIDATOR.validate(made, "QuestionnaireResponse") == []
        assert all(each.value is not None for each in score(knowledge.instrument(name), {**made, "id": "x"}))


@EACH
def test_the_outcome_measures_follow_the_course(person: Person) -> None:
    for week in person.prom_weeks:
        totals = {}
        for name, answers in proms(person, week):
            made = response(name, answers, patient=PATIENT, authored=NOON) | {"id": "x"}
            totals |= {each.rule.code: each.value for each in score(knowledge.instrument(name), made)}
        assert totals["rmdq-24"] == round(person.at("rmdq", week))
        assert totals["phq-8"] == round(person.at("phq", week))


def test_the_same_person_walks_the_same_on_every_install() -> None:
    person, zone = people()[0], ZoneInfo("Europe/London")
    first, last = date(2026, 1, 1), date(2026, 3, 31)
    once, again = (walked(person, PATIENT, first, last, first, zone) for _ in range(2))
    assert once == again
    assert 70 < len(once) < 90
    assert all(day["meta"]["tag"][0]["code"] == "synthetic" for day in once)
