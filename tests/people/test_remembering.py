"""What a gateway remembers of a sign-in, and until when: nothing that the tables no longer say is ever used unseen."""

from __future__ import annotations

import pytest
from sqlmodel import col, update

from gateway.access import AccessContext
from gateway.people import organisations
from gateway.people.authenticate import Unauthenticated
from gateway.people.local_token import local_token
from gateway.people.tables import Membership, Organisation

from .conftest import Installation

pytestmark = pytest.mark.anyio


async def known(here: Installation, token: str, *, afresh: bool = False) -> AccessContext:
    return await here.authenticator.known(f"Bearer {token}", "r", "192.0.2.1", afresh=afresh)


def staff_token(here: Installation, clinic: Organisation) -> str:
    account = here.member(clinic, "ada@example.org")
    return local_token(here.database, scope="user/*.rs", user=account.reference, now_us=here.now_us)


async def test_a_remembered_sign_in_carries_the_number_that_the_store_compares(
    here: Installation, clinic: Organisation
) -> None:
    token = staff_token(here, clinic)
    contexts = [await known(here, token), await known(here, token), await known(here, token, afresh=True)]
    number = None if here.database.answers_at_once else here.database.epoch_number()
    assert [context.epoch for context in contexts] == [None, number, None]
    assert contexts[0] == contexts[1] == contexts[2]


async def test_the_number_moves_with_what_may_end_a_sign_in_and_with_nothing_else(here: Installation) -> None:
    before = here.database.epoch_number()
    with here.database.working(), here.database.reading():
        pass
    with here.database.adding():
        pass
    assert here.database.epoch_number() == before
    with here.database.writing() as session:
        organisations.add(session, name="Riverside Clinic", now_us=here.now_us)
    assert here.database.epoch_number() > before


async def test_a_number_that_is_not_committed_has_not_moved(here: Installation) -> None:
    before = here.database.epoch_number()
    with pytest.raises(KeyError), here.database.writing():
        raise KeyError
    assert here.database.epoch_number() == before


async def test_a_membership_that_ends_by_the_clock_is_not_remembered_longer(
    here: Installation, clinic: Organisation
) -> None:
    token = staff_token(here, clinic)
    with here.database.writing() as session:
        soon = update(Membership).values(valid_to=here.now_us + 500_000)
        session.exec(soon.where(col(Membership.organisation) == clinic.key))
    assert clinic.key in (await known(here, token)).actors
    here.wait(0.4)
    assert clinic.key in (await known(here, token)).actors
    here.wait(0.1)
    with pytest.raises(Unauthenticated):
        await known(here, token)
