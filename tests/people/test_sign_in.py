"""Signing in: who gets a session, who waits, and what a stranger can learn."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from argon2 import PasswordHasher
from sqlmodel import select

from gateway.people import staff
from gateway.people.errors import SignInRefused, TryLater, Unacceptable
from gateway.people.handles import handle, patient_secret, staff_passphrase
from gateway.people.hashing import ARGON2, SecretHasher, sign_in_key
from gateway.people.tables import Attempt, Organisation, StaffAccount

from .conftest import HOUR, PASSPHRASE, Installation


def fail(here: Installation, times: int, email: str = "ada@example.org") -> None:
    for number in range(times):
        with pytest.raises(SignInRefused):
            here.sign_in(email, "wrong wrong wrong", address=f"203.0.113.{number}")


def test_right_passphrase_opens_a_session(here: Installation, clinic: Organisation) -> None:
    account = here.member(clinic, "Ada@Example.org ")
    started = here.sign_in("ada@example.ORG")
    assert started.session.person == account.key
    assert started.session.reference == f"Practitioner/{account.id}"


def test_wrong_passphrase_unknown_account_and_leaver_are_refused_alike(
    here: Installation, clinic: Organisation
) -> None:
    here.member(clinic, "ada@example.org")
    gone = here.member(clinic, "gone@example.org")
    with here.database.writing() as session:
        staff.leave(session, gone.key, here.now_us)
    refusals = set()
    for email, passphrase in [
        ("ada@example.org", "wrong wrong wrong"),
        ("nobody@example.org", PASSPHRASE),
        ("not an e-mail", PASSPHRASE),
        ("gone@example.org", PASSPHRASE),
    ]:
        with pytest.raises(SignInRefused) as refused:
            here.sign_in(email, passphrase)
        refusals.add((str(refused.value), refused.value.code))
    assert len(refusals) == 1


@pytest.mark.parametrize("email", ["ada@example.org", "nobody@example.org", "gone@example.org", "\ud800"])
def test_every_refusal_costs_one_verification(here: Installation, clinic: Organisation, email: str) -> None:
    here.member(clinic, "ada@example.org")
    gone = here.member(clinic, "gone@example.org")
    with here.database.writing() as session:
        staff.leave(session, gone.key, here.now_us)
    before = here.argon2.verified
    with pytest.raises(SignInRefused):
        here.sign_in(email, "wrong wrong wrong")
    assert here.argon2.verified - before == 1


def test_account_that_has_failed_five_times_waits_without_any_hashing(here: Installation, clinic: Organisation) -> None:
    here.member(clinic, "ada@example.org")
    fail(here, 5)
    work = here.argon2.verified
    with pytest.raises(TryLater) as wait:
        here.sign_in("ada@example.org")
    assert wait.value.retry_after_s == 30
    assert here.argon2.verified == work


def test_waits_double_and_end(here: Installation, clinic: Organisation) -> None:
    here.member(clinic, "ada@example.org")
    fail(here, 5)
    for seconds in (30, 60, 120):
        here.wait(seconds - 1)
        with pytest.raises(TryLater):
            here.sign_in("ada@example.org")
        here.wait(1)
        fail(here, 1)
    here.wait(240)
    assert here.sign_in("ada@example.org").token


def test_success_clears_the_failures(here: Installation, clinic: Organisation) -> None:
    here.member(clinic, "ada@example.org")
    fail(here, 4)
    here.sign_in("ada@example.org")
    fail(here, 4)
    assert here.sign_in("ada@example.org").token


def test_unknown_account_locks_like_a_known_one(here: Installation, clinic: Organisation) -> None:
    fail(here, 5, "nobody@example.org")
    with pytest.raises(TryLater):
        here.sign_in("nobody@example.org")


def test_hundred_failures_lock_until_a_new_code(here: Installation, clinic: Organisation) -> None:
    account = here.member(clinic, "ada@example.org")
    for _ in range(100):
        here.wait(3_600)
        fail(here, 1)
    here.wait(24 * 3_600)
    with pytest.raises(TryLater) as locked:
        here.sign_in("ada@example.org")
    assert locked.value.code == "locked"
    with here.database.writing() as session:
        invited = staff.reset(session, person=account.key, asked_by=0, now_us=here.now_us)
    staff.accept(
        here.database,
        here.hasher,
        code=invited.code,
        passphrase="another calm heron",
        address="192.0.2.9",
        now_us=here.now_us,
    )
    assert here.sign_in("ada@example.org", "another calm heron").token


def test_one_address_cannot_try_many_accounts(here: Installation) -> None:
    for number in range(30):
        with pytest.raises(SignInRefused):
            here.sign_in(f"person{number}@example.org", address="203.0.113.5")
    with pytest.raises(TryLater):
        here.sign_in("person99@example.org", address="203.0.113.5")
    with pytest.raises(SignInRefused):
        here.sign_in("person99@example.org", address="203.0.113.6")
    here.wait(15 * 60)
    with pytest.raises(SignInRefused):
        here.sign_in("person98@example.org", address="203.0.113.5")


def test_ipv6_caller_is_limited_by_network(here: Installation) -> None:
    for number in range(30):
        with pytest.raises(SignInRefused):
            here.sign_in(f"person{number}@example.org", address=f"2001:db8::{number:x}")
    with pytest.raises(TryLater):
        here.sign_in("person99@example.org", address="2001:db8::ffff")


def test_sixteen_guesses_at_once_count_as_sixteen(here: Installation, clinic: Organisation) -> None:
    here.member(clinic, "ada@example.org")

    def guess(number: int) -> type[Exception] | None:
        try:
            here.sign_in("ada@example.org", "wrong wrong wrong", address=f"203.0.113.{number}")
        except (SignInRefused, TryLater) as refused:
            return type(refused)
        return None

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(guess, range(16)))
    assert answers.count(SignInRefused) == 5
    assert answers.count(TryLater) == 11


def test_weaker_hash_is_renewed_at_sign_in(here: Installation, clinic: Organisation) -> None:
    account = here.member(clinic, "ada@example.org")
    stronger = SecretHasher(b"k" * 32, PasswordHasher(time_cost=2, memory_cost=16, parallelism=1))
    here.hasher = stronger
    here.sign_in("ada@example.org")
    with here.database.reading() as session:
        stored = session.get_one(StaffAccount, account.key).secret
    assert not stronger.is_outdated(stored)
    assert stronger.matches(stored, PASSPHRASE)


def test_production_hash_is_argon2id_with_owasp_settings() -> None:
    assert ARGON2.hash("x").startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_stolen_hash_is_of_no_use_without_the_key(here: Installation) -> None:
    stored = here.hasher.hash("481926")
    assert here.hasher.matches(stored, "481926")
    assert not SecretHasher(b"x" * 32, here.argon2).matches(stored, "481926")


def test_passphrase_typed_with_combining_accents_is_the_same(here: Installation) -> None:
    assert here.hasher.matches(here.hasher.hash("caf\u00e9 au lait"), "cafe\u0301 au lait")


def test_broken_stored_hash_refuses(here: Installation) -> None:
    assert not here.hasher.matches("$argon2id$broken", "anything")


def test_sign_in_key_is_private_and_stays(here: Installation) -> None:
    folder = here.settings.home / "keys"
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: sign_in_key(folder), range(8)))
    assert len(keys) == 1
    assert len(keys.pop()) == 32
    assert (folder / "sign-in.key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in folder.iterdir()] == ["sign-in.key"]


@pytest.mark.parametrize("secret", ["111111", "123456", "987654", "121212", "12345", "short", "aaaaaaaaaa"])
def test_easy_patient_secret_is_refused(secret: str) -> None:
    with pytest.raises(Unacceptable):
        patient_secret(secret)


@pytest.mark.parametrize("secret", ["481926", "mind the gap", "på gjensyn"])
def test_pin_or_passphrase_is_the_patients_choice(secret: str) -> None:
    assert patient_secret(secret) == secret


def test_staff_passphrase_needs_twelve_characters() -> None:
    with pytest.raises(Unacceptable):
        staff_passphrase("elevenchars")
    assert staff_passphrase("twelve chars") == "twelve chars"


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("+44 7700 900-123", "+447700900123"),
        ("0044 (7700) 900123", "+447700900123"),
        (" Ada@Example.ORG ", "ada@example.org"),
        ("Häns", "häns"),
        ("07700 900123", "07700900123"),
    ],
)
def test_handles_are_compared_in_one_form(typed: str, kept: str) -> None:
    assert handle(typed) == kept


def test_attempts_hold_neither_names_nor_addresses_in_clear(here: Installation) -> None:
    with pytest.raises(SignInRefused):
        here.sign_in("ada@example.org", address="203.0.113.5")
    with here.database.reading() as session:
        rows = list(session.exec(select(Attempt)))
    assert len(rows) == 1
    assert b"ada" not in rows[0].account
    assert b"203" not in rows[0].address


def test_old_attempts_are_forgotten(here: Installation) -> None:
    fail(here, 1)
    here.wait(31 * 24 * HOUR / 1_000_000)
    fail(here, 1, "other@example.org")
    with here.database.reading() as session:
        assert len(list(session.exec(select(Attempt)))) == 1
