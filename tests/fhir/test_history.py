"""history of an instance, a type and the system."""

from __future__ import annotations

import time
from typing import Any

import pytest
from fhir_client import BASE, Client

Resource = dict[str, Any]


@pytest.fixture
def url(client: Client, patient: Resource) -> str:
    """A patient that was created, updated and deleted."""
    stored = client.created(patient)
    address = f"Patient/{stored['id']}"
    client.put(address, {**stored, "gender": "male"})
    client.delete(address)
    return address


def test_history_lists_every_version_newest_first_with_what_was_done(client: Client, url: str) -> None:
    bundle = client.get(f"{url}/_history").json
    assert (bundle["type"], bundle["total"]) == ("history", 3)
    deletion, update, creation = bundle["entry"]
    assert deletion["request"] == {"method": "DELETE", "url": url}
    assert "resource" not in deletion
    assert deletion["response"]["status"] == "204 No Content"
    assert (update["request"]["method"], update["response"]["status"]) == ("PUT", "200 OK")
    assert (creation["request"], creation["response"]["etag"]) == ({"method": "POST", "url": "Patient"}, 'W/"1"')
    assert {entry["fullUrl"] for entry in bundle["entry"]} == {f"{BASE}/{url}"}


def test_history_of_type_and_system_hold_every_change(client: Client, url: str) -> None:
    client.created({"resourceType": "Basic", "code": {"text": "x"}})
    assert len(client.get("Patient/_history").json["entry"]) == 3
    assert len(client.get("_history").json["entry"]) == 4


def test_history_of_what_never_was_is_404(client: Client) -> None:
    assert client.get("Patient/absent/_history").status == 404
    assert client.get("Patient/not_an_id/_history").status == 404


def test_a_reader_of_the_feed_misses_nothing_and_sees_nothing_twice(client: Client) -> None:
    made = [client.created({"resourceType": "Basic", "code": {"text": str(n)}})["id"] for n in range(7)]
    seen = []
    following: str | None = f"{BASE}/_history?_count=2&_sort=_lastUpdated"
    while following:
        page = client.get(following).json
        seen += [entry["resource"]["id"] for entry in page["entry"]]
        following = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
    assert seen == made


def test_since_leaves_out_what_is_older(client: Client, url: str) -> None:
    newest = client.get(f"{url}/_history").json["entry"][0]["response"]["lastModified"]
    assert len(client.get(f"{url}/_history?_since=2000-01-01T00:00:00%2B01:00").json["entry"]) == 3
    assert len(client.get(f"{url}/_history?_since=2000-01-01T00:00:00+01:00").json["entry"]) == 3
    assert client.get(f"{url}/_history?_since={newest}").json["entry"]
    assert "entry" not in client.get("Patient/_history?_since=2999-01-01T00:00:00Z").json


@pytest.mark.parametrize(
    "query",
    ["_since=yesterday", "_since=2020-13-01T00:00:00Z", "_since=2020-01-01", "_count=0", "_count=-1", "_count=x",
     "_sort=name", "_cursor=forged", "colour=red"],
)  # fmt: skip
def test_parameters_of_a_history_that_cannot_be_understood_are_400(client: Client, url: str, query: str) -> None:
    assert client.get(f"Patient/_history?{query}").status == 400


def test_a_cursor_is_bound_to_its_request(client: Client, url: str) -> None:
    page = client.get("Patient/_history?_count=1").json
    following = next(link["url"] for link in page["link"] if link["relation"] == "next")
    assert client.get(following).status == 200
    assert client.get(following.replace("Patient/_history", "_history")).status == 400


def test_at_shows_the_versions_that_were_current_at_some_time_of_a_period(client: Client, patient: Resource) -> None:
    url = f"Patient/{client.created(patient)['id']}"
    moments = [client.get(url).json["meta"]["lastUpdated"]]
    for gender in ("male", "other"):
        time.sleep(0.002)
        updated = client.put(url, {**patient, "id": url.removeprefix("Patient/"), "gender": gender})
        moments.append(updated.json["meta"]["lastUpdated"])
    time.sleep(0.002)
    client.delete(url)

    def versions(at: str, of: str = url) -> list[str]:
        found = client.get(f"{of}/_history?_at={at}&_sort=_lastUpdated")
        assert found.status == 200
        return [entry["response"]["etag"] for entry in found.json.get("entry", ())]

    assert versions("2020") == []
    assert versions(moments[0][:4]) == ['W/"1"', 'W/"2"', 'W/"3"', 'W/"4"']
    assert versions("2999-01-01") == ['W/"4"']
    # A moment of a millisecond: the version made in it, and the one that it replaced, unless that was at its start.
    assert versions(moments[1])[-1] == 'W/"2"'
    assert versions("2999-01-01", "Patient") == versions("2999-01-01", "") == ['W/"4"']


def test_a_history_at_no_time_is_400(client: Client, patient: Resource) -> None:
    url = f"Patient/{client.created(patient)['id']}/_history"
    assert client.get(f"{url}?_at=yesterday").status == 400
    assert client.get(f"{url}?_at=ge2020").status == 400
