"""The endpoint that is checked, whoever wrote it: requests over HTTP, and data that nobody else has."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx

Resource = dict[str, Any]
FHIR = "application/fhir+json"
JSON_PATCH = "application/json-patch+json"


def unique() -> str:
    """A word that no other test and no other run uses; letters only, so that it can be a name."""
    return "".join(chr(ord("a") + int(digit, 16)) for digit in uuid4().hex[:14])


class Peer:
    def __init__(self, client: httpx.Client, base_url: str) -> None:
        self._client = client
        self.base_url = base_url

    def send(self, method: str, url: str, body: Any = None, content_type: str = FHIR, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            named["Content-Type"] = content_type
        content = body if isinstance(body, (bytes, str, type(None))) else json.dumps(body)
        # An absolute URL, as links have it, is taken as it is.
        return self._client.request(method, url, content=content, headers=named)

    def get(self, url: str, **headers: str) -> httpx.Response:
        return self.send("GET", url, **headers)

    def post(self, url: str, body: Any, **headers: str) -> httpx.Response:
        return self.send("POST", url, body, **headers)

    def put(self, url: str, body: Any, **headers: str) -> httpx.Response:
        return self.send("PUT", url, body, **headers)

    def delete(self, url: str, **headers: str) -> httpx.Response:
        return self.send("DELETE", url, **headers)

    def created(self, resource: Resource) -> Resource:
        answer = self.post(resource["resourceType"], resource, prefer="return=representation")
        assert answer.status_code == 201, answer.text
        stored: Resource = answer.json()
        return stored

    def found(self, query: str) -> list[str]:
        """The ids of the matches of a search, on its first page."""
        answer = self.get(query)
        assert answer.status_code == 200, answer.text
        return [each["resource"]["id"] for each in matches(answer.json())]

    def side_by_side(self, send: Callable[[int], httpx.Response], times: int) -> list[int]:
        """The statuses of requests sent at the same time."""
        with ThreadPoolExecutor(times) as pool:
            return [answer.status_code for answer in pool.map(send, range(times))]


def matches(bundle: Resource) -> list[Resource]:
    entries: list[Resource] = bundle.get("entry", [])
    return [entry for entry in entries if entry.get("search", {}).get("mode", "match") == "match"]


def included(bundle: Resource) -> list[str]:
    """Type and id of each included resource."""
    entries = [entry["resource"] for entry in bundle.get("entry", []) if entry["search"]["mode"] == "include"]
    return sorted(f"{resource['resourceType']}/{resource['id']}" for resource in entries)


def patient(**more: Any) -> Resource:
    return {"resourceType": "Patient", **more}


def bundle(kind: str, *entries: Resource) -> Resource:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def entry(method: str, url: str, resource: Resource | None = None, **more: Any) -> Resource:
    asked = {"request": {"method": method, "url": url, **more}}
    return asked if resource is None else {**asked, "resource": resource}
