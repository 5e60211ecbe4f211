"""Care relationships: what opening and closing tells the caller who writes the grants."""

from __future__ import annotations

import pytest

from gateway.people import relationships
from gateway.people.errors import NotKnown
from gateway.people.relationships import Opened, Reason
from gateway.people.tables import Organisation
from gateway.store.tables import FAR_FUTURE

from .conftest import SECOND, Installation

PATIENT = 4711


def begin(here: Installation, clinic: Organisation, valid_to: int = FAR_FUTURE) -> Opened:
    with here.database.writing() as session:
        return relationships.opened(
            session,
            organisation=clinic.key,
            patient=PATIENT,
            opened_by=7,
            reason=Reason.REFERRAL,
            now_us=here.now_us,
            valid_to=valid_to,
        )


def test_opening_twice_is_one_relationship_and_no_new_grants(here: Installation, clinic: Organisation) -> None:
    first = begin(here, clinic)
    here.wait(60)
    second = begin(here, clinic)
    assert (first.is_changed, second.is_changed) == (True, False)
    assert first.key == second.key
    assert first.valid_from == second.valid_from


def test_longer_opening_prolongs_under_the_same_key(here: Installation, clinic: Organisation) -> None:
    first = begin(here, clinic, here.now_us + 60 * SECOND)
    second = begin(here, clinic)
    assert (second.key, second.valid_to, second.is_changed) == (first.key, FAR_FUTURE, True)
    assert begin(here, clinic, here.now_us + SECOND).valid_to == FAR_FUTURE


def test_closing_names_every_source_whose_grants_end(here: Installation, clinic: Organisation) -> None:
    opened = begin(here, clinic)
    with here.database.writing() as session:
        one = {"organisation": clinic.key, "patient": PATIENT, "now_us": here.now_us}
        assert relationships.closed(session, **one).keys == (opened.key,)
        assert relationships.closed(session, **one).keys == ()
        assert relationships.current(session, **one) is None
    here.wait(1)
    again = begin(here, clinic)
    assert again.key != opened.key
    with here.database.reading() as session:
        assert [row.key for row in relationships.of_patient(session, PATIENT)] == [opened.key, again.key]


def test_unknown_organisation_opens_nothing(here: Installation) -> None:
    with here.database.writing() as session, pytest.raises(NotKnown):
        relationships.opened(
            session, organisation=99, patient=PATIENT, opened_by=7, reason=Reason.REFERRAL, now_us=here.now_us
        )


def test_relationships_of_two_clinics_are_apart(here: Installation, clinic: Organisation) -> None:
    other = here.clinic("Hill Clinic")
    begin(here, clinic)
    begin(here, other)
    with here.database.writing() as session:
        relationships.closed(session, organisation=clinic.key, patient=PATIENT, now_us=here.now_us)
        assert relationships.current(session, organisation=other.key, patient=PATIENT, now_us=here.now_us)
