"""Who may see and write what, asked of the real store: architecture rule 5 and docs/consent-semantics.md."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from consent import forms, standing
from consent.requests import Request
from consent.vocabulary import PURPOSES, Action
from gateway.access import AccessContext, actor_key
from gateway.people import care
from gateway.r4.identity import key_of
from gateway.store import rules
from gateway.store.database import Database
from gateway.store.errors import Forbidden, Gone, IdNotAllowed, Invalid, NotFound, StoreError
from gateway.store.store import Store
from gateway.store.tables import FAR_FUTURE
from tests.consent import test_truth_table as table
from tests.consent import worlds
from tests.consent.worlds import JSON, concept, label
from tests.store.actors import (
    CLINIC,
    OPEN,
    OTHER_CLINIC,
    clinic,
    create,
    delete,
    observation,
    patient,
    person,
    search,
    update,
)
from tests.store.databases import Databases
from tests.store.stored_rows import audit_rows, rows
from tests.store.stored_world import Clock, completed, context_of, opened

pytestmark = pytest.mark.anyio

Resources = dict[str, JSON]


# -- the truth table -----------------------------------------------------------------------------------------


def authors() -> dict[int, str]:
    return {worlds.key(each): each for each in worlds.ORGANIZATIONS}


@pytest.mark.parametrize("row", table.ROWS, ids=lambda row: row["who"])
async def test_the_store_answers_every_cell_of_the_truth_table(
    row: dict[str, str], tmp_path: Path, databases: Databases
) -> None:
    case, clock = table.CASES[row["who"]], Clock()
    clock.now = table.NOW - 10
    async with opened(tmp_path / "home", databases, clock) as (store, database):
        bodies = await stored_for(case, store, database)
        clock.now = table.NOW
        asked = Request(
            frozenset((case.actor,)),
            PURPOSES[case.purpose],
            Action.READ,
            table.NOW,
            case.actor if case.is_patient else None,
        )
        context = context_of(asked, authors().get(case.actor))
        found = {what: await allowed(store, context, body) for what, body in bodies.items()}
    assert found == {what: row[what] for what in table.WHAT}


async def stored_for(case: table.Case, store: Store, database: Database) -> Resources:
    """One resource of each column, the patients, and what the case says of consents and relationships."""
    for logical_id in ("a", "b"):
        await store.commit(OPEN, [update(logical_id, person())])
    bodies: Resources = {}
    for number, (what, (resource, author)) in enumerate(table.RESOURCES.items()):
        body = of_its_own(completed(resource), author) | {"id": f"x{number}"}
        context = replace(OPEN, organization=authors().get(author))
        await store.commit(context, [update(body["id"], body)])
        bodies[what] = body
    for document in case.consents:
        await store.commit(OPEN, [create({key: value for key, value in document.items() if key != "id"})])
    with database.writing() as session:
        for number, each in enumerate(case.relationships):
            grants = standing.relationship_grants(each.organization, each.patient, each.valid_from, each.valid_to)
            rules.replace(session, number + 1, grants)
        for number, engine in enumerate(case.engines):
            rules.replace(session, 1_000 + number, standing.engine_grants(*engine))
        for deny in standing.restriction_denies(table.PATIENT) if case.is_restricted else ():
            row = {**deny._asdict(), "source": 0}
            names, values = ", ".join(row), ", ".join(map(str, row.values()))
            session.connection().exec_driver_sql(f"INSERT INTO deny_row ({names}) VALUES ({values})")
    return bodies


def of_its_own(resource: JSON, author: int) -> JSON:
    """The resource as one that can stand beside the others: of an author, and with the proof that a Consent needs."""
    if resource["resourceType"] == "Patient":
        return {"resourceType": "RelatedPerson", "patient": {"reference": "Patient/a"}}
    if resource["resourceType"] == "Consent" and author:
        filed_by = [{"reference": authors()[author]}]
        return resource | {"organization": filed_by, "verification": [{"verified": True}]}
    return resource


async def allowed(store: Store, context: AccessContext, body: JSON) -> str:
    """`r`, `rw` or `-`: what comes of a read and an update of the resource."""
    found = ""
    try:
        await store.read(context, body["resourceType"], body["id"])
        found += "r"
    except NotFound:
        pass
    try:
        await store.commit(context, [update(body["id"], body | {"language": "en"})])
        found += "w"
    except (NotFound, IdNotAllowed, Forbidden):
        pass
    return found or "-"


# -- consent, relationship, withdrawal -----------------------------------------------------------------------


def sharing(logical_id: str, organization: str = CLINIC, **changes: Any) -> JSON:
    """The patient shares answers and sensor data with an organisation."""
    choice = forms.Choice(organization, "Clinic", ("prom", "sensor"), ("TREAT",), "2026-01-01", "2199-01-01")
    made = forms.sharing_consent(
        f"Patient/{logical_id}", replace(choice, **changes), language="en", now_us=worlds.microseconds("2026-03-01")
    )
    return made


def answers(logical_id: str, **more: Any) -> JSON:
    whose = {"reference": f"Patient/{logical_id}"}
    return {"resourceType": "QuestionnaireResponse", "status": "completed", "subject": whose, **more}


async def registered(store: Store, organization: str = CLINIC) -> str:
    """A new patient of an organisation."""
    [made] = await store.commit(clinic(organization), [create(person())])
    return made.version.id


async def total(store: Store, context: AccessContext, resource_type: str, query: str = "") -> int:
    page = await store.search(context, search(resource_type, query), count_only=True)
    whole = await store.search(context, search(resource_type, f"{query}&_count=1000".lstrip("&")))
    assert page.total == len(whole.matches)
    return page.total


async def test_after_an_acknowledged_withdrawal_nothing_is_found_and_totals_say_so(store: Store) -> None:
    whose = await registered(store)
    self = patient(whose)
    [given] = await store.commit(self, [create(sharing(whose))])
    [[first], [_]] = [await store.commit(self, [create(answers(whose))]) for _ in range(2)]
    [record] = await store.commit(clinic(), [create(observation(whose))])
    assert await total(store, clinic(), "QuestionnaireResponse") == 2
    await store.commit(self, [update(given.version.id, forms.withdrawn(sharing(whose), store.clock()))])
    assert await total(store, clinic(), "QuestionnaireResponse") == 0
    for context in (clinic(), clinic(OTHER_CLINIC)):
        with pytest.raises(NotFound):
            await store.read(context, "QuestionnaireResponse", first.version.id)
        with pytest.raises(NotFound):
            await store.history(context, type="QuestionnaireResponse", id=first.version.id)
    # What follows from the care relationship stays.
    assert (await store.read(clinic(), "Observation", record.version.id)).version == 1
    assert (await store.read(clinic(), "Patient", whose)).version == 1


async def test_deleting_a_consent_withdraws_it(store: Store) -> None:
    whose = await registered(store)
    [given] = await store.commit(patient(whose), [create(sharing(whose))])
    await store.commit(patient(whose), [create(answers(whose))])
    assert await total(store, clinic(), "QuestionnaireResponse") == 1
    await store.commit(patient(whose), [delete("Consent", given.version.id)])
    assert await total(store, clinic(), "QuestionnaireResponse") == 0


async def test_a_page_link_from_before_the_withdrawal_shows_nothing_more(store: Store) -> None:
    whose = await registered(store)
    [given] = await store.commit(patient(whose), [create(sharing(whose))])
    await store.commit(patient(whose), [create(answers(whose)) for _ in range(4)])
    page = await store.search(clinic(), search("QuestionnaireResponse", "_count=2"))
    assert page.next is not None
    await store.commit(patient(whose), [delete("Consent", given.version.id)])
    onward = await store.search(clinic(), search("QuestionnaireResponse", "_count=2", page.next))
    assert (onward.matches, onward.next) == ([], None)


async def test_ending_a_care_relationship_leaves_what_was_consented(store: Store, database: Database) -> None:
    whose = await registered(store)
    await store.commit(patient(whose), [create(sharing(whose)), create(answers(whose))])
    [record] = await store.commit(clinic(), [create(observation(whose))])
    care.end(database, organisation=actor_key(CLINIC), patient=key_of("Patient", whose), now_us=store.clock())
    with pytest.raises(NotFound):
        await store.read(clinic(), "Observation", record.version.id)
    assert await total(store, clinic(), "QuestionnaireResponse") == 1


async def test_a_label_from_a_client_raises_and_never_lowers(store: Store) -> None:
    whose = await registered(store)
    await store.commit(patient(whose), [create(sharing(whose, withheld=("PSY",)))])
    phq = "https://backbridge.example/fhir/Questionnaire/phq-8"
    [plain] = await store.commit(patient(whose), [create(answers(whose))])
    lowered = {"meta": {"security": [label("U")]}}
    await store.commit(patient(whose), [create(answers(whose, questionnaire=phq, **lowered))])
    raised = {"meta": {"security": [label("PSY")]}}
    await store.commit(patient(whose), [create(answers(whose, **raised))])
    found = await store.search(clinic(), search("QuestionnaireResponse"))
    assert [each.id for each in found.matches] == [plain.version.id]


async def test_an_old_version_that_named_a_denied_code_stays_hidden_after_its_correction(store: Store) -> None:
    """Codes of components count too, and a deletion does not uncover what was deleted."""
    whose = await registered(store)
    given = sharing(whose, categories=("record",))
    given["provision"]["provision"] = [{"type": "deny", "code": [concept("http://loinc.org", "44261-6")]}]
    await store.commit(patient(whose), [create(given)])
    mood = {"component": [{"code": concept("http://loinc.org", "44261-6")}]}
    bodies = [observation(whose, value=1.0), observation(whose, value=2.0) | mood]
    [kept], [gone] = [await store.commit(OPEN, [create(each)]) for each in bodies]
    with pytest.raises(NotFound):
        await store.read(clinic(), "Observation", gone.version.id)
    await store.commit(OPEN, [delete("Observation", gone.version.id)])
    with pytest.raises(NotFound):
        await store.read(clinic(), "Observation", gone.version.id)
    with pytest.raises(NotFound):
        await store.vread(clinic(), "Observation", gone.version.id, 1)
    await store.commit(OPEN, [update(kept.version.id, bodies[0] | mood)])
    await store.commit(OPEN, [update(kept.version.id, bodies[0] | {"language": "en"})])
    page = await store.history(clinic(), type="Observation", id=kept.version.id)
    assert ([each.version for each in page.entries], page.total) == ([3, 1], 2)


async def test_a_denied_code_cannot_be_written_either(store: Store) -> None:
    whose = await registered(store)
    given = sharing(whose, categories=("sensor", "record"), actions=("access", "collect"))
    given["provision"]["provision"] = [{"type": "deny", "code": [concept("http://loinc.org", "44261-6")]}]
    await store.commit(patient(whose), [create(given)])
    asking = replace(clinic(), organization=None)
    await store.commit(asking, [create(observation(whose, code="8302-2"))])
    with pytest.raises(NotFound):
        await store.commit(asking, [create(observation(whose, code="44261-6"))])


# -- who files a Consent -------------------------------------------------------------------------------------


async def test_the_patient_files_a_consent_and_nobody_for_another_patient(store: Store) -> None:
    whose, another = await registered(store), await registered(store)
    await store.commit(patient(whose), [create(sharing(whose))])
    with pytest.raises(NotFound):
        await store.commit(patient(another), [create(sharing(whose))])


async def test_an_organisation_files_a_consent_only_with_proof_and_in_its_own_name(store: Store) -> None:
    with pytest.raises(Forbidden):
        await store.commit(clinic(), [create(sharing(await registered(store)))])
    proven = {"organization": [{"reference": CLINIC}], "verification": [{"verified": True}]}
    with pytest.raises(Forbidden):
        await store.commit(clinic(OTHER_CLINIC), [create(sharing(await registered(store)) | proven)])
    unproven = {key: value for key, value in (sharing("x") | proven).items() if key != "sourceAttachment"}
    with pytest.raises(Forbidden):
        await store.commit(clinic(), [create(unproven | {"verification": [{"verified": False}]})])


async def test_with_the_registration_the_organisation_files_the_consent_that_it_recorded(store: Store) -> None:
    proven = {"organization": [{"reference": CLINIC}], "verification": [{"verified": True}]}
    given = sharing("x") | proven | {"patient": {"reference": "urn:uuid:1"}, "performer": [{"reference": "urn:uuid:1"}]}
    made, _ = await store.commit(clinic(), [create(person(), alias="urn:uuid:1"), create(given)])
    await store.commit(patient(made.version.id), [create(answers(made.version.id))])
    assert await total(store, clinic(), "QuestionnaireResponse") == 1


async def test_an_organisation_without_the_patients_permit_files_no_consent_for_them(store: Store) -> None:
    whose = await registered(store)
    proven = {"organization": [{"reference": OTHER_CLINIC}], "verification": [{"verified": True}]}
    with pytest.raises(NotFound) as hidden:
        await store.commit(clinic(OTHER_CLINIC), [create(sharing(whose, OTHER_CLINIC) | proven)])
    with pytest.raises(NotFound) as absent:
        await store.commit(clinic(OTHER_CLINIC), [create(sharing("00000000000zz", OTHER_CLINIC) | proven)])
    assert str(hidden.value) == str(absent.value)


async def test_a_patient_named_under_the_id_in_the_body_is_still_asked(store: Store) -> None:
    """The id that a client writes into a new Patient is not the id it gets, and hides no reference to that one."""
    whose = await registered(store)
    linked = person(link=[{"other": {"reference": f"Patient/{whose}"}, "type": "seealso"}]) | {"id": whose}
    with pytest.raises(NotFound):
        await store.commit(clinic(OTHER_CLINIC), [create(linked)])


# -- the audit of reads --------------------------------------------------------------------------------------


def audited(database: Database, home: Path) -> list[tuple[Any, ...]]:
    """(agent, interaction, patient) of every row that is on record now, read through a connection of its own."""
    return audit_rows(database, home, "SELECT agent, interaction, patient FROM read_audit ORDER BY id")


async def test_every_read_is_on_record_before_its_answer(store: Store, database: Database, tmp_path: Path) -> None:
    whose, other = await registered(store), await registered(store)
    key = key_of("Patient", whose)
    both = [key, key_of("Patient", other)]
    meeting = {
        "resourceType": "Appointment",
        "status": "proposed",
        "participant": [{"actor": {"reference": f"Patient/{w}"}, "status": "accepted"} for w in (whose, other)],
    }
    [met] = await store.commit(OPEN, [create(meeting)])
    someone = search("Patient", f"_id={whose}")
    reads: list[tuple[Callable[[], Any], str, list[int]]] = [
        (lambda: store.read(clinic(), "Patient", whose), "read", [key]),
        (lambda: store.vread(clinic(), "Patient", whose, 1), "vread", [key]),
        (lambda: store.history(clinic(), type="Patient", id=whose), "history", [key]),
        (lambda: store.search(clinic(), someone), "search", [key]),
        (lambda: store.search(clinic(), search("Patient", "family=nobody")), "search", [0]),
        (lambda: store.find(clinic(), someone), "search", [key]),
        (lambda: store.commit(clinic(), [create(person(), condition=someone)]), "read", [key]),
        (lambda: store.read(OPEN, "Appointment", met.version.id), "read", both),
        (lambda: store.search(OPEN, search("Appointment")), "search", both),
        (lambda: store.history(OPEN, type="Appointment"), "history", both),
    ]
    for read, interaction, patients in reads:
        before = len(audited(database, tmp_path))
        await read()
        new = audited(database, tmp_path)[before:]
        assert {row[1] for row in new} == {interaction}
        assert sorted(row[2] for row in new) == sorted(patients), interaction


async def test_a_refused_read_is_on_record_too(store: Store, database: Database, tmp_path: Path) -> None:
    whose = await registered(store)
    await store.commit(OPEN, [delete("Patient", whose)])
    for context, error in ((clinic(OTHER_CLINIC), NotFound), (clinic(), Gone)):
        before = len(audited(database, tmp_path))
        with pytest.raises(error):
            await store.read(context, "Patient", whose)
        assert len(audited(database, tmp_path)) == before + 1


CANARY = "Canary7391"


async def test_what_a_resource_says_is_in_no_audit_row_log_line_or_error(
    store: Store, database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Canaries in every text of a resource; the audit of writes is looked at as well."""
    caplog.set_level(logging.DEBUG)
    whose = await registered(store)
    written = answers(
        whose,
        text={"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{CANARY}</div>'},
        identifier={"system": f"urn:{CANARY}", "value": CANARY},
        questionnaire=f"urn:{CANARY}",
        meta={"tag": [{"system": f"urn:{CANARY}", "code": CANARY, "display": CANARY}]},
        item=[{"linkId": CANARY, "text": CANARY, "answer": [{"valueString": CANARY}]}],
    )
    whom = person(CANARY, telecom=[{"system": "phone", "value": CANARY}], address=[{"city": CANARY}])
    [made], [known] = [await store.commit(OPEN, [create(each)]) for each in (written, whom)]
    texts = []
    for context in (OPEN, clinic(), patient(whose)):
        for ask in (
            store.read(context, "QuestionnaireResponse", made.version.id),
            store.search(context, search("Patient", f"family={CANARY}")),
            store.search(context, search("QuestionnaireResponse", f"identifier={CANARY}")),
            store.history(context, type="Patient", id=known.version.id),
            store.commit(context, [create(written | {"status": CANARY, CANARY: CANARY})]),
            store.commit(context, [create(whom | {"birthDate": CANARY})]),
            store.commit(context, [update(made.version.id, written, if_match=9)]),
            store.commit(context, [create(sharing(whose) | {"policy": [{"uri": f"urn:{CANARY}"}]})]),
        ):
            try:
                await ask
            except StoreError as refusal:
                issues = refusal.issues if isinstance(refusal, Invalid) else ()
                # An element that R4 does not have is shown by its place, which is its name.
                places = [each.expression.replace(f".{CANARY}", "") for each in issues]
                texts += [str(refusal), refusal.expression, *(each.diagnostics for each in issues), *places]
    assert len(texts) > 10
    await store.stop()
    written_rows = rows(database, "SELECT * FROM write_audit") + rows(database, "SELECT * FROM outbox")
    looks = audit_rows(database, tmp_path, "SELECT * FROM read_audit")
    assert CANARY not in json.dumps(texts)
    assert written_rows
    assert looks
    assert CANARY not in json.dumps(written_rows + looks)
    assert CANARY not in caplog.text


async def test_the_relationship_that_registration_opens_has_no_end(store: Store, database: Database) -> None:
    whose = await registered(store)
    relationships = rows(database, "SELECT organisation, patient, valid_to FROM care_relationship")
    assert relationships == [(actor_key(CLINIC), key_of("Patient", whose), FAR_FUTURE)]


async def test_who_looked_is_told_to_the_patient_alone(store: Store) -> None:
    [made] = await store.commit(clinic(), [create(person())])
    await store.read(clinic(), "Patient", made.version.id)
    assert [look.agent for look in await store.looks(patient(made.version.id))] == ["Practitioner/ada"]
    assert await store.looks(patient("somebody-else")) == []
    with pytest.raises(Forbidden):
        await store.looks(clinic())
