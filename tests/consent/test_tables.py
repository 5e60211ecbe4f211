"""The reviewed tables agree with the gateway's numbers, with R4 and with each other."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from consent import vocabulary
from consent.categories import OPEN_TYPES
from consent.wording import TEXTS, languages
from gateway import access


def test_purposes_have_the_numbers_that_grant_rows_store() -> None:
    assert {each.name: each.value for each in access.Purpose} == vocabulary.PURPOSES


def test_reserved_actors_are_those_of_the_gateway() -> None:
    assert (vocabulary.ANYONE, vocabulary.EVERYONE) == (access.ANYONE, access.EVERYONE)


def test_naming_a_purpose_includes_those_below_it() -> None:
    numbers = vocabulary.PURPOSES
    assert vocabulary.PURPOSES_BELOW["TREAT"] == {numbers["TREAT"], numbers["ETREAT"]}
    assert vocabulary.PURPOSES_BELOW["HOPERAT"] >= {numbers["CAREMGT"], numbers["HSYSADMIN"]}
    assert vocabulary.PURPOSES_BELOW["ETREAT"] == {numbers["ETREAT"]}


def test_labels_fit_a_signed_64_bit_column_and_no_two_share_a_bit() -> None:
    masks = vocabulary.LABELS.values()
    assert len(set(masks)) == len(masks)
    assert all(0 < mask < 1 << 62 for mask in masks)


def test_naming_a_label_includes_those_below_it() -> None:
    assert vocabulary.LABELS_BELOW["BH"] & vocabulary.LABELS["OPIOIDUD"]
    assert not vocabulary.LABELS_BELOW["PSY"] & vocabulary.LABELS["SUD"]


def test_open_types_are_outside_the_patient_compartment(shared_data: Path) -> None:
    with (shared_data / "fhir-r4/facts/compartment-patient.csv").open() as file:
        rows = list(csv.DictReader(file))
    in_compartment = {row["resource"] for row in rows if row["search_parameter"]}
    assert {row["resource"] for row in rows} >= OPEN_TYPES
    assert not OPEN_TYPES & in_compartment


def test_ruled_types_exist_in_r4(shared_data: Path) -> None:
    with (shared_data / "fhir-r4/facts/compartment-patient.csv").open() as file:
        known = {row["resource"] for row in csv.DictReader(file)}
    ruled = {row["type"] for name in ("category_rules", "dates") for row in vocabulary.table(name)}
    assert ruled <= known


def test_every_language_has_every_text_with_the_same_parts() -> None:
    english = TEXTS["1", "en"]
    assert "en" in languages()
    for language in languages():
        texts = TEXTS["1", language]
        assert texts.keys() == english.keys()
        for key, text in texts.items():
            assert set(re.findall(r"{(.*?)}", text)) == set(re.findall(r"{(.*?)}", english[key]))


def test_every_category_purpose_and_action_can_be_put_in_words() -> None:
    english = TEXTS["1", "en"]
    assert all(f"category.{code}" in english for code in vocabulary.SHAREABLE)
    assert all(f"purpose.{code}" in english for code in vocabulary.PURPOSES)
