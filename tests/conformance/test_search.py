"""Search, as any client of R4 may expect it (R4 section 3.1.1)."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.conformance.peer import Peer, Resource, included, matches, patient, unique

LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"


@dataclass(frozen=True)
class World:
    """
    Three patients with names of their own, and what was measured of two of them.

    word  the beginning of every family name, and the tag that narrows a search to this world
    """

    word: str
    clinic: str
    network: str
    anna: str
    bo: str
    kim: str
    heavy: str
    light: str
    pressure: str

    @property
    def tagged(self) -> str:
        return f"_tag=urn:check|{self.word}"


@pytest.fixture(scope="module")
def world(peer: Peer) -> World:
    word = unique()
    tag = {"tag": [{"system": "urn:check", "code": word}]}

    def made(resource: Resource) -> str:
        logical_id: str = peer.created({**resource, "meta": tag})["id"]
        return logical_id

    network = made({"resourceType": "Organization", "name": f"{word} network"})
    partof = {"partOf": {"reference": f"Organization/{network}"}}
    clinic = made({"resourceType": "Organization", "name": f"{word} clinic", **partof})
    anna = made(
        patient(
            name=[{"family": f"{word}one", "given": ["Anna"]}],
            gender="female",
            birthDate="1980-02-29",
            identifier=[{"system": f"urn:{word}", "value": "1"}],
            managingOrganization={"reference": f"Organization/{clinic}"},
        )
    )
    bo = made(
        patient(
            name=[{"family": f"{word}two", "given": ["Bo"]}],
            gender="male",
            birthDate="1990-06-01",
            identifier=[{"system": f"urn:{word}x", "value": "1"}],
        )
    )
    kim = made(patient(name=[{"family": f"{word}three", "given": ["Kim"]}], birthDate="1990-06-15"))
    heavy, light = (
        made(_weight(anna, kilograms, day)) for kilograms, day in ((90.5, "2026-01-10"), (60, "2026-02-10"))
    )
    return World(word, clinic, network, anna, bo, kim, heavy, light, made(_pressure(bo, 140, 80)))


def _weight(patient_id: str, kilograms: float, day: str) -> Resource:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": "29463-7"}]},
        "subject": {"reference": f"Patient/{patient_id}"},
        "effectiveDateTime": day,
        "valueQuantity": {"value": kilograms, "unit": "kg", "system": UCUM, "code": "kg"},
    }


def _pressure(patient_id: str, systolic: int, diastolic: int) -> Resource:
    def part(code: str, value: int) -> Resource:
        return {
            "code": {"coding": [{"system": LOINC, "code": code}]},
            "valueQuantity": {"value": value, "unit": "mmHg", "system": UCUM, "code": "mm[Hg]"},
        }

    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": "85354-9"}]},
        "subject": {"reference": f"Patient/{patient_id}"},
        "component": [part("8480-6", systolic), part("8462-4", diastolic)],
    }


def test_string_begins(peer: Peer, world: World) -> None:
    assert set(peer.found(f"Patient?family={world.word}")) == {world.anna, world.bo, world.kim}
    assert peer.found(f"Patient?family={world.word.upper()}ONE") == [world.anna]


def test_string_contains(peer: Peer, world: World) -> None:
    assert peer.found(f"Patient?family:contains={world.word[3:]}two") == [world.bo]


def test_string_exact(peer: Peer, world: World) -> None:
    assert peer.found(f"Patient?family:exact={world.word}one") == [world.anna]
    assert peer.found(f"Patient?family:exact={world.word}ONE") == []


def test_missing(peer: Peer, world: World) -> None:
    assert peer.found(f"Patient?family={world.word}&gender:missing=true") == [world.kim]
    assert set(peer.found(f"Patient?family={world.word}&gender:missing=false")) == {world.anna, world.bo}


def test_not(peer: Peer, world: World) -> None:
    assert set(peer.found(f"Patient?family={world.word}&gender:not=female")) == {world.bo, world.kim}


def test_token_of_a_system(peer: Peer, world: World) -> None:
    assert peer.found(f"Patient?identifier=urn:{world.word}|") == [world.anna]
    assert peer.found(f"Patient?identifier=urn:{world.word}|1") == [world.anna]


def test_two_date_prefixes(peer: Peer, world: World) -> None:
    assert set(peer.found(f"Patient?family={world.word}&birthdate=ge1990-06-01&birthdate=lt1990-06-15")) == {world.bo}


def test_quantity(peer: Peer, world: World) -> None:
    assert peer.found(f"Observation?{world.tagged}&value-quantity=gt80|{UCUM}|kg") == [world.heavy]


def test_composite(peer: Peer, world: World) -> None:
    found = peer.found(f"Observation?{world.tagged}&code-value-quantity={LOINC}|29463-7$lt80|{UCUM}|kg")
    assert found == [world.light]


def test_composite_has_no_false_hit_across_components(peer: Peer, world: World) -> None:
    about = f"Observation?{world.tagged}&component-code-value-quantity={LOINC}|"
    assert peer.found(f"{about}8480-6$140") == [world.pressure]
    assert peer.found(f"{about}8480-6$80") == []


def test_chained(peer: Peer, world: World) -> None:
    found = peer.found(f"Observation?{world.tagged}&subject:Patient.family={world.word}one")
    assert set(found) == {world.heavy, world.light}


def test_chained_identifier(peer: Peer, world: World) -> None:
    found = peer.found(f"Observation?patient.identifier=urn:{world.word}|1")
    assert set(found) == {world.heavy, world.light}


def test_has(peer: Peer, world: World) -> None:
    found = peer.found(f"Patient?family={world.word}&_has:Observation:patient:code={LOINC}|85354-9")
    assert found == [world.bo]


def test_include(peer: Peer, world: World) -> None:
    answer = peer.get(f"Observation?{world.tagged}&code=85354-9&_include=Observation:subject").json()
    assert included(answer) == [f"Patient/{world.bo}"]


def test_revinclude(peer: Peer, world: World) -> None:
    answer = peer.get(f"Patient?_id={world.bo}&_revinclude=Observation:subject").json()
    assert included(answer) == [f"Observation/{world.pressure}"]


def test_include_iterate(peer: Peer, world: World) -> None:
    follow = "_include=Patient:organization&_include:iterate=Organization:partof"
    answer = peer.get(f"Patient?_id={world.anna}&{follow}").json()
    assert included(answer) == sorted([f"Organization/{world.clinic}", f"Organization/{world.network}"])


def test_summary_count_has_a_total_and_no_entries(peer: Peer, world: World) -> None:
    answer = peer.get(f"Patient?family={world.word}&_summary=count").json()
    assert (answer["total"], answer.get("entry", [])) == (3, [])


def test_parts_are_tagged_subsetted(peer: Peer, world: World) -> None:
    for part in ("_summary=true", "_elements=gender"):
        (entry,) = matches(peer.get(f"Patient?_id={world.anna}&{part}").json())
        assert "SUBSETTED" in {tag["code"] for tag in entry["resource"]["meta"]["tag"]}
    assert "birthDate" not in entry["resource"]


def test_total_accurate(peer: Peer, world: World) -> None:
    assert peer.get(f"Patient?family={world.word}&_total=accurate&_count=1").json()["total"] == 3


def test_sort_on_two_keys(peer: Peer, world: World) -> None:
    assert peer.found(f"Patient?family={world.word}&_sort=-birthdate,family") == [world.kim, world.bo, world.anna]


def test_next_link(peer: Peer, world: World) -> None:
    url: str | None = f"Patient?family={world.word}&_count=1"
    found = []
    while url:
        page = peer.get(url).json()
        found += [each["resource"]["id"] for each in matches(page)]
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
    assert sorted(found) == sorted([world.anna, world.bo, world.kim])


def test_post_search(peer: Peer, world: World) -> None:
    form = f"family={world.word}one"
    answer = peer.send("POST", "Patient/_search", form, "application/x-www-form-urlencoded")
    assert [each["resource"]["id"] for each in matches(answer.json())] == [world.anna]


def test_search_of_the_system_by_type(peer: Peer, world: World) -> None:
    found = peer.found(f"?_type=Patient,Observation&_id={world.anna},{world.heavy}")
    assert set(found) == {world.anna, world.heavy}


def test_search_of_a_compartment(peer: Peer, world: World) -> None:
    assert set(peer.found(f"Patient/{world.anna}/Observation")) == {world.heavy, world.light}


def test_an_unknown_parameter_is_400_under_strict_handling(peer: Peer) -> None:
    assert peer.get("Patient?colour=red", prefer="handling=strict").status_code == 400


def test_an_unknown_parameter_is_ignored_under_lenient_handling(peer: Peer, world: World) -> None:
    answer = peer.get(f"Patient?family={world.word}one&colour=red", prefer="handling=lenient")
    assert answer.status_code == 200
    (link,) = [link["url"] for link in answer.json()["link"] if link["relation"] == "self"]
    assert "colour" not in link
    assert "family" in link
