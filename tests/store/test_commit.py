"""Writing: what is acknowledged is stored, once, with its history; races have one winner."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from gateway.r4.identity import is_server_id, key_of, new_id
from gateway.r4.json_text import entry_resources, replace_strings, stored_form
from gateway.store.errors import Gone, IdNotAllowed, Invalid, NotFound, SeveralMatches, VersionMismatch
from gateway.store.registration import NHS_NUMBER_SYSTEM, verified
from gateway.store.store import Store
from tests.store.actors import CLINIC, OPEN, clinic, create, delete, observation, patient, person, search, update

pytestmark = pytest.mark.anyio


async def test_a_created_resource_reads_back_byte_for_byte_with_its_numbers_as_written(store: Store) -> None:
    raw = '{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":105.00}}'
    change = create(json.loads(raw))
    [made] = await store.commit(OPEN, [type(change)("Observation", json.loads(raw), raw)])
    found = await store.read(OPEN, "Observation", made.version.id)
    assert found.body == made.version.body
    assert b"105.00" in (found.body or b"")


async def test_an_update_makes_a_version_and_keeps_the_old_one(store: Store) -> None:
    [made] = await store.commit(OPEN, [create(person("Old"))])
    [changed] = await store.commit(OPEN, [update(made.version.id, person("New"), if_match=1)])
    assert (changed.outcome, changed.version.version) == ("updated", 2)
    assert b"Old" in ((await store.vread(OPEN, "Patient", made.version.id, 1)).body or b"")
    page = await store.history(OPEN, type="Patient", id=made.version.id)
    assert [entry.version for entry in page.entries] == [2, 1]
    assert page.total == 2


async def test_an_update_that_says_the_same_makes_no_version(store: Store) -> None:
    [made] = await store.commit(OPEN, [create(person())])
    [again] = await store.commit(OPEN, [update(made.version.id, person())])
    assert (again.outcome, again.version.version) == ("unchanged", 1)


async def test_a_deleted_resource_is_gone_and_its_search_rows_with_it(store: Store) -> None:
    [made] = await store.commit(OPEN, [create(person("Away"))])
    await store.commit(OPEN, [delete("Patient", made.version.id)])
    with pytest.raises(Gone):
        await store.read(OPEN, "Patient", made.version.id)
    assert not (await store.search(OPEN, search("Patient", "family=away"))).matches


async def test_sixteen_identical_conditional_creates_make_one_resource(store: Store) -> None:
    someone = person(identifier=[{"system": "urn:test", "value": "1"}])
    condition = search("Patient", "identifier=urn:test|1")
    made = await asyncio.gather(*(store.commit(OPEN, [create(someone, condition=condition)]) for _ in range(16)))
    outcomes = [committed[0].outcome for committed in made]
    assert (outcomes.count("created"), outcomes.count("matched")) == (1, 15)
    assert len({committed[0].version.id for committed in made}) == 1


async def test_of_eight_updates_of_one_version_exactly_one_succeeds(store: Store) -> None:
    [made] = await store.commit(OPEN, [create(person())])
    results = await asyncio.gather(
        *(store.commit(OPEN, [update(made.version.id, person(f"N{n}"), if_match=1)]) for n in range(8)),
        return_exceptions=True,
    )
    assert sum(not isinstance(result, BaseException) for result in results) == 1
    assert sum(isinstance(result, VersionMismatch) for result in results) == 7


async def test_a_transaction_with_one_bad_entry_leaves_nothing(store: Store) -> None:
    with pytest.raises(Invalid) as refused:
        await store.commit(OPEN, [create(person("Good")), create({"resourceType": "Patient", "gender": "foo"})])
    assert refused.value.entry == 1
    assert not (await store.search(OPEN, search("Patient", "family=good"))).matches


async def test_a_transaction_whose_last_check_fails_leaves_nothing(store: Store) -> None:
    with pytest.raises(NotFound):
        await store.commit(OPEN, [create(person("Good")), delete("Patient", "nobody")])
    assert not (await store.search(OPEN, search("Patient", "family=good"))).matches


async def test_a_conditional_create_in_a_transaction_gives_its_id_to_those_that_refer_to_it(store: Store) -> None:
    someone = person(identifier=[{"system": "urn:test", "value": "7"}])
    [known] = await store.commit(OPEN, [create(someone)])
    first = create(someone, condition=search("Patient", "identifier=urn:test|7"), alias="urn:uuid:1")
    weight = observation("x") | {"subject": {"reference": "urn:uuid:1"}}
    matched, made = await store.commit(OPEN, [first, create(weight)])
    assert (matched.outcome, made.outcome) == ("matched", "created")
    assert f'"Patient/{known.version.id}"'.encode() in (made.version.body or b"")


async def test_a_condition_that_fits_several_is_refused(store: Store) -> None:
    someone = person("Twin")
    await store.commit(OPEN, [create(someone), create(someone)])
    with pytest.raises(SeveralMatches):
        await store.commit(OPEN, [create(someone, condition=search("Patient", "family=twin"))])


async def test_only_a_feed_chooses_ids_and_only_below_its_prefix(store: Store) -> None:
    with pytest.raises(IdNotAllowed):
        await store.commit(clinic(), [update("mine", person())])
    [made] = await store.commit(clinic(feed_prefix="ehr1-"), [update("ehr1-7", person())])
    assert (made.outcome, made.version.reference) == ("created", "Patient/ehr1-7")
    with pytest.raises(IdNotAllowed):
        await store.commit(clinic("Organization/other-clinic", feed_prefix="ehr2-"), [update("ehr1-7", person())])


async def test_nobody_writes_into_the_record_of_a_patient_who_did_not_permit_it(store: Store) -> None:
    [made] = await store.commit(clinic(CLINIC), [create(person())])
    with pytest.raises(NotFound) as hidden:
        await store.commit(clinic("Organization/other-clinic"), [create(observation(made.version.id))])
    with pytest.raises(NotFound) as absent:
        await store.commit(clinic("Organization/other-clinic"), [create(observation(new_id()))])
    assert str(hidden.value) == str(absent.value)
    await store.commit(clinic(CLINIC), [create(observation(made.version.id))])
    await store.commit(patient(made.version.id), [create(observation(made.version.id))])


async def test_the_feed_of_changes_has_no_gaps_under_concurrent_writes(store: Store) -> None:
    seen: list[tuple[str, int]] = []

    async def write(number: int) -> None:
        for _ in range(5):
            await store.commit(OPEN, [create(person(f"P{number}"))])

    async def follow() -> None:
        cursor = None
        while True:
            finished = done.is_set()
            page = await store.history(OPEN, type="Patient", count=7, cursor=cursor, oldest_first=True)
            seen.extend((entry.id, entry.version) for entry in page.entries)
            if page.next is None:
                seen[:] = seen[: len(seen) - len(page.entries)]
                if finished:
                    seen.extend((entry.id, entry.version) for entry in page.entries)
                    return
                await asyncio.sleep(0.002)
            cursor = page.next or cursor

    done = asyncio.Event()
    follower = asyncio.create_task(follow())
    await asyncio.gather(*(write(number) for number in range(8)))
    done.set()
    await follower
    everything = await store.history(OPEN, type="Patient", count=1000, oldest_first=True)
    assert seen == [(entry.id, entry.version) for entry in everything.entries]
    assert len(seen) == 40


JSON_TEXT = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=20)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=15,
)


@given(st.dictionaries(st.text(max_size=8), JSON_TEXT, max_size=6), st.sampled_from([None, 1, "\t"]))
@hypothesis(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
def test_the_stored_form_says_what_the_client_said(resource: dict[str, object], indent: int | str | None) -> None:
    resource["resourceType"] = "Patient"
    meta = resource.get("meta")
    if not isinstance(meta, dict):
        resource.pop("meta", None)
    head, tail = stored_form(json.dumps(resource, indent=indent), resource, "a")
    stored = json.loads(head + b'"versionId":"1"' + tail)
    expected = {**resource, "resourceType": "Patient", "id": "a"}
    kept = {k: v for k, v in (meta if isinstance(meta, dict) else {}).items() if k not in ("versionId", "lastUpdated")}
    assert stored == {**expected, "meta": {"versionId": "1", **kept}}


def test_numbers_keep_their_digits_when_references_are_put_in() -> None:
    text = '{"a": 1.50, "b": "urn:uuid:1", "c": "say \\"urn:uuid:1\\""}'
    assert replace_strings(text, {"urn:uuid:1": "Patient/9"}) == text.replace('"urn:uuid:1",', '"Patient/9",')
    assert entry_resources('{"entry": [{"resource": {"x": 1.50}}, {"request": {}}]}') == ['{"x": 1.50}', None]


@given(st.text(alphabet="0123456789abcdefghjkmnpqrstvwxyzAZ-.", min_size=1, max_size=64))
def test_ids_and_keys_agree_whoever_assigned_them(logical_id: str) -> None:
    assert key_of("Patient", logical_id) == key_of("Patient", logical_id) < 1 << 63
    if not is_server_id(logical_id):
        assert key_of("Patient", logical_id) != key_of("Observation", logical_id)


def test_fresh_ids_rise_and_never_repeat() -> None:
    ids = [new_id() for _ in range(5_000)]
    assert ids == sorted(set(ids))
    assert all(map(is_server_id, ids))


def registered(number: str = "9990000018", **more: object) -> dict[str, object]:
    identifier = {"extension": [verified()], "system": NHS_NUMBER_SYSTEM, "value": number}
    return {"resourceType": "Patient", "identifier": [identifier], "birthDate": "1970-01-02", **more}


async def test_a_person_registered_by_two_organisations_is_one_patient_in_the_care_of_both(store: Store) -> None:
    first, second = clinic(CLINIC), clinic("Organization/other-clinic")
    made = await asyncio.gather(*(store.commit(who, [create(registered())]) for who in [first, second] * 8))
    assert {committed[0].outcome for committed in made} == {"created"}
    [logical_id] = {committed[0].version.id for committed in made}
    for who in (first, second):
        assert (await store.read(who, "Patient", logical_id)).version == 1
        note = {"resourceType": "Condition", "subject": {"reference": f"Patient/{logical_id}"}}
        await store.commit(who, [create(note)])
        assert len((await store.search(who, search("Condition", f"patient={logical_id}"))).matches) == 1


async def test_a_transaction_about_a_person_who_is_known_writes_to_their_record(store: Store) -> None:
    [known] = await store.commit(clinic(CLINIC), [create(registered())])
    note = create({"resourceType": "Condition", "subject": {"reference": "urn:uuid:1"}})
    [made, linked] = await store.commit(
        clinic("Organization/other-clinic"), [note, create(registered(), alias="urn:uuid:1")]
    )
    assert linked.version.id == known.version.id
    assert f'"Patient/{known.version.id}"'.encode() in (made.version.body or b"")


async def test_a_refused_transaction_does_not_link_the_organisation(store: Store) -> None:
    [known] = await store.commit(clinic(CLINIC), [create(registered())])
    other = clinic("Organization/other-clinic")
    with pytest.raises(NotFound):
        await store.commit(other, [create(registered()), create(observation(new_id()))])
    with pytest.raises(NotFound):
        await store.read(other, "Patient", known.version.id)


async def test_a_number_that_belongs_to_somebody_born_on_another_day_registers_nobody(store: Store) -> None:
    [known] = await store.commit(clinic(CLINIC), [create(registered())])
    other = clinic("Organization/other-clinic")
    for born in ("1970-01-03", ""):
        mistyped = {key: value for key, value in registered(birthDate=born).items() if value}
        with pytest.raises(Invalid):
            await store.commit(other, [create(mistyped)])
    with pytest.raises(NotFound):
        await store.read(other, "Patient", known.version.id)


async def test_an_unverified_number_links_nobody(store: Store) -> None:
    bare = {"resourceType": "Patient", "identifier": [{"system": NHS_NUMBER_SYSTEM, "value": "9990000018"}]}
    [one] = await store.commit(clinic(CLINIC), [create(bare)])
    [two] = await store.commit(clinic("Organization/other-clinic"), [create(bare)])
    assert one.version.id != two.version.id
