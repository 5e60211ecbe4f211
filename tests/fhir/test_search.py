"""search by GET, POST and HEAD, as a client sees it; what parameters mean is the syntax's and the store's matter."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from fhir_client import BASE, Client

Resource = dict[str, Any]


@pytest.fixture
def ward(client: Client, patient: Resource) -> str:
    """One patient with three observations; the patient's id."""
    logical_id: str = client.created(patient)["id"]
    for day in (1, 2, 3):
        client.created(
            {
                "resourceType": "Observation",
                "status": "final",
                "code": {"coding": [{"system": "http://loinc.org", "code": f"1-{day}"}]},
                "subject": {"reference": f"Patient/{logical_id}"},
                "effectiveDateTime": f"2026-01-0{day}",
            }
        )
    client.created({"resourceType": "Patient", "name": [{"family": "Other"}]})
    return logical_id


def linked(bundle: Resource, relation: str) -> str | None:
    return next((link["url"] for link in bundle["link"] if link["relation"] == relation), None)


def ids(bundle: Resource) -> list[str]:
    return [entry["resource"]["id"] for entry in bundle.get("entry", ())]


def test_search_returns_stored_bytes_with_full_urls_and_modes(client: Client, ward: str) -> None:
    found = client.get(f"Patient?_id={ward}")
    entry = found.json["entry"][0]
    assert found.json["type"] == "searchset"
    assert entry["fullUrl"] == f"{BASE}/Patient/{ward}"
    assert entry["search"] == {"mode": "match"}
    assert client.get(f"Patient/{ward}").content in found.content


def test_a_search_without_matches_has_no_entry(client: Client) -> None:
    assert "entry" not in client.get("Patient?family=nobody").json


def test_the_total_is_told_when_asked_and_the_count_needs_no_entries(client: Client, ward: str) -> None:
    assert "total" not in client.get("Observation").json
    assert client.get("Observation?_total=accurate&_count=1").json["total"] == 3
    counted = client.get("Observation?_summary=count").json
    assert (counted["total"], "entry" in counted) == (3, False)
    assert client.get("Observation?_count=0").json["total"] == 3


def test_paging_by_next_links_visits_each_match_once(client: Client, ward: str) -> None:
    seen: list[str] = []
    following: str | None = "Observation?_count=2&_sort=date"
    while following:
        page = client.get(following).json
        seen += [entry["resource"]["effectiveDateTime"] for entry in page["entry"]]
        following = linked(page, "next")
    assert seen == ["2026-01-01", "2026-01-02", "2026-01-03"]


def test_self_names_the_parameters_that_were_used_and_next_adds_the_cursor(client: Client, ward: str) -> None:
    page = client.get("Observation?code=http://loinc.org|1-1,http://loinc.org|1-2&_count=1&_format=json").json
    used = [("code", "http://loinc.org|1-1,http://loinc.org|1-2"), ("_count", "1"), ("_format", "json")]
    assert parse_qsl(urlsplit(str(linked(page, "self"))).query) == used
    following = str(linked(page, "next"))
    assert [pair for pair in parse_qsl(urlsplit(following).query) if pair[0] != "_cursor"] == used
    second = client.get(following).json
    assert "_cursor" in str(linked(second, "self"))


def test_a_forged_or_borrowed_cursor_is_400(client: Client, ward: str) -> None:
    following = str(linked(client.get("Observation?_count=1").json, "next"))
    assert client.get(following + "x").status == 400
    assert client.get(following.replace("Observation?", "Patient?")).status == 400


def test_post_and_get_answer_alike(client: Client, ward: str) -> None:
    query = "subject=Patient/" + ward + "&_sort=-date&_total=accurate"
    by_get = client.get("Observation?" + query)
    by_form = client.form("Observation/_search", query)
    by_both = client.form("Observation/_search?subject=Patient/" + ward, "_sort=-date&_total=accurate")
    assert by_get.content == by_form.content == by_both.content
    assert client.form("Observation/_search", "").status == 200


def test_head_of_a_search_is_its_headers(client: Client, ward: str) -> None:
    head = client.request("HEAD", "Observation")
    assert (head.status, head.content) == (200, b"")
    assert head.headers["content-length"] == client.get("Observation").headers["content-length"]


def test_a_compartment_holds_what_refers_to_its_patient(client: Client, ward: str) -> None:
    assert len(ids(client.get(f"Patient/{ward}/Observation").json)) == 3
    assert len(ids(client.get(f"Patient/{ward}/Observation?date=gt2026-01-01").json)) == 2
    assert len(ids(client.form(f"Patient/{ward}/Observation/_search", "date=gt2026-01-01").json)) == 2
    assert ward in ids(client.get(f"Patient/{ward}/*").json)
    assert ids(client.get("Patient/absent/Observation").json) == []
    assert client.get(f"Organization/{ward}/Observation").status == 404


def test_the_self_link_of_a_compartment_search_leads_back_to_it(client: Client, ward: str) -> None:
    page = client.get(f"Patient/{ward}/Observation?_count=2").json
    assert linked(page, "self") == f"{BASE}/Patient/{ward}/Observation?_count=2"
    assert len(ids(client.get(str(linked(page, "next"))).json)) == 1


def test_the_system_is_searched_by_type(client: Client, ward: str) -> None:
    assert len(ids(client.get("?_type=Patient,Observation").json)) == 5
    assert len(ids(client.form("_search", "_type=Patient").json)) == 2


def test_included_resources_say_so(client: Client, ward: str) -> None:
    bundle = client.get("Observation?_include=Observation:subject&_count=1").json
    assert [entry["search"]["mode"] for entry in bundle["entry"]] == ["match", "include"]
    assert bundle["entry"][1]["resource"]["id"] == ward


def test_unknown_parameters_are_400_when_strict(client: Client, ward: str) -> None:
    refused = client.get("Patient?colour=red", prefer="handling=strict")
    assert refused.status == 400
    assert refused.issue["expression"] == ["colour"]


def test_unknown_parameters_are_reported_and_left_out_of_self_when_lenient(client: Client, ward: str) -> None:
    bundle = client.get(f"Patient?colour=red&_id={ward}", prefer="handling=lenient").json
    assert linked(bundle, "self") == f"{BASE}/Patient?_id={ward}"
    outcome = bundle["entry"][-1]
    assert outcome["search"] == {"mode": "outcome"}
    assert outcome["resource"]["issue"][0]["severity"] == "warning"
    assert ids({"entry": bundle["entry"][:-1]}) == [ward]


def test_the_setting_decides_where_the_client_has_no_preference(make_client: Any) -> None:
    assert make_client(handling="strict").get("Patient?colour=red").status == 400
    assert make_client(handling="lenient").get("Patient?colour=red").status == 200


def test_elements_and_summary_cut_every_entry(client: Client, ward: str) -> None:
    for entry in client.get("Observation?_elements=subject").json["entry"]:
        assert set(entry["resource"]) == {"resourceType", "id", "meta", "status", "code", "subject"}
        assert entry["resource"]["meta"]["tag"][0]["code"] == "SUBSETTED"
    assert "name" not in client.get("Patient?_summary=text").json["entry"][0]["resource"]


@pytest.mark.parametrize("query", ["name=%ff", "name=%00", "&".join(f"name={n}" for n in range(600)), "_count=x"])
def test_parameters_that_cannot_be_read_are_400(client: Client, query: str) -> None:
    assert client.get(f"Patient?{query}").status == 400


def test_a_search_form_must_be_a_form(client: Client) -> None:
    assert client.request("POST", "Patient/_search", b"{}", content_type="application/json").status == 415
