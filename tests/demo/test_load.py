"""Loading the demonstration clinic, for some of its people: everything labelled, nothing twice, consent respected."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from gateway.access import AccessContext
from gateway.demo import load as loading
from gateway.demo.cast import people
from gateway.demo.clinic import CLINIC_ID, PRACTICE_ID, clinician_context
from gateway.people import sign_in
from gateway.people.hashing import SecretHasher, sign_in_key
from gateway.people.sign_in import Browser
from gateway.r4.identity import key_of
from gateway.work.records import every
from gateway.work.workplace import Workplace

pytestmark = pytest.mark.anyio

JSON = dict[str, Any]
# Early improver, warning sign, severe mood, somebody who withdrew, somebody who shares nothing.
FEW = ("Ines Example", "Freya Figment", "Leila Pretend", "Chiara Storybook", "Viktor Template")


@pytest.fixture
async def clinic(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    """The clinic with a few of its people."""
    few = tuple(person for person in people() if person.name in FEW)
    monkeypatch.setattr(loading, "people", lambda: few)
    async for _ in loading.load(workplace):
        pass
    return workplace


def practice() -> AccessContext:
    return AccessContext(
        actors=(key_of("Practitioner", "demo-farah"), key_of("Organization", PRACTICE_ID)),
        agent="Practitioner/demo-farah",
        client="web",
        activity="direct-care",
        request_id="test",
        organization=f"Organization/{PRACTICE_ID}",
    )


def bodies(workplace: Workplace) -> list[JSON]:
    """Every resource that is stored, whoever may see it."""
    connection = workplace.database.connect()
    rows = connection.execute("SELECT h.body FROM resource r JOIN history h ON h.seq = r.head WHERE r.deleted = 0")
    found = [json.loads(row[0]) for row in rows]
    connection.close()
    return found


async def seen(workplace: Workplace, context: AccessContext, query: str) -> dict[str, list[JSON]]:
    """What somebody finds, by the name of the person it is about."""
    found = await every(workplace.store, context, query)
    patients = [resource for resource in bodies(workplace) if resource["resourceType"] == "Patient"]
    names = {f"Patient/{each['id']}": each["name"][0]["given"][0] for each in patients}
    by_name: dict[str, list[JSON]] = {name: [] for name in names.values()}
    for resource in found:
        by_name[names[resource["subject"]["reference"]]].append(resource)
    return by_name


async def test_the_clinic_shows_what_it_promises_and_a_second_start_loads_nothing(clinic: Workplace) -> None:
    stored = bodies(clinic)
    unmarked = {r["resourceType"] for r in stored if "synthetic" not in {t["code"] for t in r["meta"].get("tag", ())}}
    assert unmarked <= {"Device", "Questionnaire"}

    answers = await seen(clinic, clinician_context("test"), "QuestionnaireResponse")
    assert len(answers["Ines"]) == 6 + 26 + 3 * 4
    assert answers["Chiara"] == answers["Viktor"] == []
    plans = await seen(clinic, clinician_context("test"), "CarePlan?status=active,draft")
    assert [plan["status"] for plan in plans["Ines"]] == ["active"]
    assert [sum(plan["status"] == "draft" for plan in plans[name]) for name in ("Freya", "Leila")] == [1, 1]
    alerts = await seen(clinic, clinician_context("test"), "Flag")
    assert [flag["status"] for flag in alerts["Freya"] + alerts["Leila"]] == ["active"] * 2
    assert len((await seen(clinic, practice(), "Observation?code=41950-7"))["Ines"]) > 150
    assert (await seen(clinic, practice(), "Observation"))["Leila"] == []

    assert [step async for step in loading.load(clinic)] == []
    assert bodies(clinic) == stored


async def test_a_start_that_was_interrupted_is_completed_without_doubles(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = tuple(person for person in people() if person.name == "Freya Figment")
    monkeypatch.setattr(loading, "people", lambda: few)

    async def cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(loading, "_mark_loaded", cut)
        with pytest.raises(KeyboardInterrupt):
            async for _ in loading.load(workplace):
                pass
    async for _ in loading.load(workplace):
        pass
    kinds = Counter(resource["resourceType"] for resource in bodies(workplace))
    assert kinds["Patient"] == 1
    assert kinds["QuestionnaireResponse"] == 6 + 5


async def test_the_passwords_are_shown_once_work_and_are_nowhere_in_the_files(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(loading, "people", lambda: people()[:1])
    async for _ in loading.load(workplace):
        pass
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if "/sign-in/" in line]
    assert len(lines) == 4
    hasher = SecretHasher(sign_in_key(workplace.settings.home / "keys"))
    stored = b"".join(path.read_bytes() for path in workplace.settings.home.rglob("*") if path.is_file())
    for where, name, secret, *_ in lines:
        browser, now = Browser("192.0.2.1", 1, None), workplace.store.clock()
        if where.endswith("/staff"):
            sign_in.staff(workplace.database, hasher, email=name, passphrase=secret, browser=browser, now_us=now)
        else:
            sign_in.patient(workplace.database, hasher, handle=name, secret=secret, browser=browser, now_us=now)
        assert secret.encode() not in stored
    assert CLINIC_ID.encode() in stored
