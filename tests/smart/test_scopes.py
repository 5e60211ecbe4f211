"""Scopes: what the grammar reads, and that nothing is ever read as more than it says."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.access import ScopeSet
from gateway.r4.definitions import TYPES
from gateway.smart.scopes import ScopeRefused, granted, levels, parse

# The grammar once more, written out on its own: the oracle of the properties below.
VERSION_2 = re.compile(r"^(patient|user|system)/([A-Za-z]+|\*)\.(c?r?u?d?s?)\Z")
VERSION_1 = {"read": "rs", "write": "cud", "*": "cruds"}
TYPES_ASKED = ("Patient", "Observation", "Consent", "*")

types = st.sampled_from(TYPES_ASKED)
letters = st.sets(st.sampled_from("cruds"), min_size=1).map(lambda found: "".join(c for c in "cruds" if c in found))
suffixes = letters | st.sampled_from(sorted(VERSION_1))
good = st.builds("{}/{}.{}".format, st.sampled_from(["patient", "user"]), types, suffixes)
system = st.builds("system/{}.{}".format, types, suffixes)
lists = st.lists(system, min_size=1, max_size=4).map(" ".join)
junk = st.text(alphabet="ptieansyusemr/*.crudsPOx?=& \n\t%", max_size=24)


def reading(text: str) -> set[tuple[str, str, str]]:
    """Every (level, type, letter) that the grammar allows the text to mean."""
    meant = set()
    for token in text.split(" "):
        level, _, rest = token.partition("/")
        resource_type, _, suffix = rest.rpartition(".")
        letters = VERSION_1.get(suffix, suffix)
        assert letters
        assert VERSION_2.match(f"{level}/{resource_type}.{letters}")
        meant |= {(level, resource_type, letter) for letter in letters}
    return meant


def permitted(scopes: ScopeSet) -> set[tuple[str, str]]:
    return {(name, letter) for name in (*TYPES, "*") for letter in "cruds" if scopes.permits(name, letter)}


def test_version_1_means_version_2() -> None:
    assert permitted(parse("system/Patient.read")) == permitted(parse("system/Patient.rs"))
    assert permitted(parse("system/Patient.write")) == permitted(parse("system/Patient.cud"))
    assert permitted(parse("system/*.*")) == permitted(parse("system/*.cruds"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "system/Patient.rs ",
        "system/Patient.rs  system/Observation.rs",
        "system/Patient.rs\n",
        "system/Patient.dus",
        "system/Patient.sr",
        "system/Patient.rr",
        "system/Patient.",
        "system/Patient",
        "system/Patient.rsx",
        "system/Patient.read.rs",
        "system/Patient.readwrite",
        "system/patient.rs",
        "system/Pat*.rs",
        "system/**.rs",
        "system/Unicorn.rs",
        "system/Observation,Patient.rs",
        "SYSTEM/Patient.rs",
        "admin/Patient.rs",
        "patient%2fPatient.read",
        "system/Patient.rs?",
        "launch",
        "launch/patient",
        "openid",
        "fhirUser",
        "offline_access",
        "system/*.rs user/*.rs",
        "patient/*.rs system/*.rs",
        "system/Pätient.rs",
        "system/Patient.rs " * 400,
    ],
)
def test_what_is_not_in_the_grammar_is_refused(text: str) -> None:
    with pytest.raises(ScopeRefused) as refused:
        parse(text)
    assert re.fullmatch(r"[ !#-\[\]-~]+", str(refused.value)), "fit for error_description"


def test_granular_scope_is_understood_and_refused_with_the_reason() -> None:
    with pytest.raises(ScopeRefused, match="search parameters are not supported yet"):
        parse("system/Observation.rs?category=laboratory")
    with pytest.raises(ScopeRefused, match="name=value"):
        parse("system/Observation.rs?category")


def test_patient_and_user_may_stand_together() -> None:
    assert levels(parse("patient/Observation.rs user/Practitioner.r")) == {"patient", "user"}


@given(st.lists(good, min_size=1, max_size=4).map(" ".join) | lists)
def test_every_scope_of_the_grammar_is_read_as_exactly_what_it_says(text: str) -> None:
    read = {(s.level, s.type, letter) for s in parse(text).scopes for letter in s.actions}
    assert read == reading(text)


@given(st.lists(junk | good | system, max_size=3).map(" ".join))
def test_parsed_scopes_never_exceed_the_grammars_reading(text: str) -> None:
    try:
        scopes = parse(text)
    except ScopeRefused:
        return
    assert {(s.level, s.type, letter) for s in scopes.scopes for letter in s.actions} <= reading(text)


@given(lists, lists)
def test_granted_is_what_both_permit(asked: str, registered: str) -> None:
    both = permitted(parse(asked)) & permitted(parse(registered))
    try:
        found = permitted(parse(granted(asked, registered)))
    except ScopeRefused:
        found = set()
    assert found == both


@given(lists, lists)
def test_granting_again_changes_nothing(asked: str, registered: str) -> None:
    try:
        once = granted(asked, registered)
    except ScopeRefused:
        return
    assert permitted(parse(granted(once, registered))) == permitted(parse(once))


@pytest.mark.parametrize(
    ("asked", "registered", "expected"),
    [
        ("system/Patient.rs", "system/*.cruds", "system/Patient.rs"),
        ("system/*.cruds", "system/*.rs", "system/*.rs"),
        ("system/*.rs", "system/Patient.r system/Observation.cruds", "system/Patient.r system/Observation.rs"),
        ("system/Patient.read", "system/Patient.cruds", "system/Patient.read"),
        ("system/Patient.*", "system/Patient.read", "system/Patient.read"),
        ("system/Patient.*", "system/Patient.r", "system/Patient.r"),
        ("system/Patient.rs", "system/Patient.*", "system/Patient.rs"),
        ("system/Patient.rs system/Patient.rs", "system/*.*", "system/Patient.rs"),
        ("system/Patient.rs system/Consent.rs", "system/Patient.rs", "system/Patient.rs"),
    ],
)
def test_granted_scope_is_written_as_it_was_asked_for(asked: str, registered: str, expected: str) -> None:
    assert granted(asked, registered) == expected


@pytest.mark.parametrize("asked", ["system/Consent.rs", "user/Patient.rs", "patient/Patient.rs", "system/Patient.d"])
def test_nothing_in_common_is_refused(asked: str) -> None:
    with pytest.raises(ScopeRefused):
        granted(asked, "system/Patient.rs")
