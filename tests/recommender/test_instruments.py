"""Every instrument can be published, shown and scored."""

from __future__ import annotations

import csv
from importlib import resources

import pytest

from gateway.r4.validate import Validator
from recommender import knowledge
from recommender.answers import items_by_link_id, ordinal
from recommender.score import score_rules

NAMES = knowledge.instrument_names()


@pytest.fixture(scope="module")
def validator() -> Validator:
    return Validator()


@pytest.mark.parametrize("name", NAMES)
def test_instrument_is_a_valid_r4_questionnaire(name: str, validator: Validator) -> None:
    assert validator.validate(knowledge.instrument(name), "Questionnaire") == []


@pytest.mark.parametrize("row", knowledge.table("instruments"), ids=lambda row: row["name"])
def test_manifest_says_what_the_questionnaire_says(row: knowledge.Row) -> None:
    questionnaire = knowledge.instrument(row["name"])
    assert (questionnaire["url"], questionnaire["version"], questionnaire["title"]) == (
        row["url"],
        row["version"],
        row["title"],
    )
    assert questionnaire["copyright"]


def test_manifest_lists_every_file() -> None:
    folder = resources.files("recommender.knowledge").joinpath("instruments")
    assert {file.name.removesuffix(".json") for file in folder.iterdir()} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_question_is_shown_only_after_the_one_it_depends_on(name: str) -> None:
    order = list(items_by_link_id(knowledge.instrument(name)))
    for link_id, item in items_by_link_id(knowledge.instrument(name)).items():
        for condition in item.get("enableWhen", ()):
            assert order.index(condition["question"]) < order.index(link_id)


@pytest.mark.parametrize("name", NAMES)
def test_question_fits_a_phone_page(name: str) -> None:
    assert all(len(item["text"]) <= 200 for item in items_by_link_id(knowledge.instrument(name)).values())


def test_every_scored_item_exists_and_counts_a_number() -> None:
    scored = [(name, link_id) for name in NAMES for rule in score_rules(name) for link_id in rule.items]
    assert scored
    for name, link_id in scored:
        item = items_by_link_id(knowledge.instrument(name))[link_id]
        options = [option["valueCoding"]["code"] for option in item.get("answerOption", ())]
        assert all(ordinal(item, answer) is not None for answer in options or [True])


def test_only_loinc_codes_named_in_the_score_table_are_used() -> None:
    """A code we are not sure of is worse than none."""
    allowed = {row["loinc"] for row in knowledge.table("scores") if row["loinc"]}
    used = {
        code["code"]
        for name in NAMES
        for item in items_by_link_id(knowledge.instrument(name)).values()
        for code in item.get("code", ())
        if code["system"] == "http://loinc.org"
    }
    assert used <= allowed


def test_phq_8_has_eight_questions_of_four_ordered_answers() -> None:
    questions = [i for i in knowledge.instrument("phq-8")["item"] if i["type"] == "choice"]
    assert len(questions) == 8
    assert all([ordinal(q, o["valueCoding"]["code"]) for o in q["answerOption"]] == [0, 1, 2, 3] for q in questions)


def test_legacy_item_count_of_the_roland_morris_is_kept() -> None:
    assert sum(item["type"] == "boolean" for item in knowledge.instrument("rmdq-24")["item"]) == 24


def test_tables_have_no_ragged_rows() -> None:
    """A comma that was not quoted shifts a source into another column."""
    folder = resources.files("recommender.knowledge")
    for file in folder.iterdir():
        if file.name.endswith(".csv"):
            rows = list(csv.reader(file.read_text(encoding="utf-8").splitlines(), strict=True))
            assert {len(row) for row in rows} == {len(rows[0])}, file.name
