"""The search-parameter table: its ids are stored in every index row, so they may only grow."""

from __future__ import annotations

import hashlib

from gateway.r4.definitions import TYPES
from gateway.r4.search_parameters import (
    DEFINITIONS,
    PARAMETERS,
    Parameter,
    compartment_parameters,
    is_by_url,
)

# The rows of the first edition: a change of these would give stored rows another meaning.
FIRST_EDITION_LAST_ID = 2422
FIRST_EDITION_SHA256 = "28aba87d33a2b37eb71e9a6d94f80d8467740ce569369530e2fb8a9629063f5b"


def _all() -> list[tuple[str, Parameter]]:
    found = []
    for by_code in PARAMETERS.values():
        for parameter in by_code.values():
            found.append((parameter.code, parameter))
            found.extend((f"{parameter.code}#{n}", part) for n, part in enumerate(parameter.parts))
    return found


def test_ids_are_unique_and_fit_a_small_integer() -> None:
    ids = [parameter.id for _, parameter in _all()]
    assert len(set(ids)) == len(ids)
    assert min(ids) >= 1
    assert max(ids) < 30_000


def test_ids_of_the_first_edition_never_change() -> None:
    first = sorted(
        (parameter.id, parameter.type, code, parameter.kind)
        for code, parameter in _all()
        if parameter.id <= FIRST_EDITION_LAST_ID
    )
    assert len(first) == FIRST_EDITION_LAST_ID
    assert hashlib.sha256(repr(first).encode()).hexdigest() == FIRST_EDITION_SHA256


def test_every_type_has_the_common_parameters() -> None:
    assert set(PARAMETERS) == set(TYPES)
    assert all({"_tag", "_profile", "_security", "_source"} <= set(by_code) for by_code in PARAMETERS.values())


def test_table_is_sorted_by_type_and_code() -> None:
    keys = [(resource_type, code) for resource_type, by_code in DEFINITIONS.items() for code in by_code]
    assert keys == sorted(keys)


def test_composites_have_parts_and_others_have_none() -> None:
    for _, parameter in _all():
        assert (parameter.kind == "composite") == bool(parameter.parts)


def test_observation_is_in_a_patients_compartment_by_subject_and_performer() -> None:
    assert [p.code for p in compartment_parameters("Patient", "Observation")] == ["subject", "performer"]
    assert compartment_parameters("Patient", "Medication") == ()


def test_canonical_references_are_told_apart() -> None:
    assert is_by_url(PARAMETERS["QuestionnaireResponse"]["questionnaire"])
    assert not is_by_url(PARAMETERS["QuestionnaireResponse"]["subject"])
