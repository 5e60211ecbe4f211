"""What holds a Bundle together: full URLs, search results, documents and messages (FHIR R4 Bundle, section 2.36.4)."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from gateway.r4.definitions import TYPES, is_resource_type
from gateway.r4.issues import Issue
from gateway.r4.references import ID

_TYPE = "|".join(sorted(TYPES, key=len, reverse=True))
_REST = re.compile(rf"(https?://[^\s?#]+/)({_TYPE})/({ID})")
_RELATIVE = re.compile(rf"({_TYPE})/({ID})(?:/_history/({ID}))?")
# What a document carries in itself: every resource that its Composition names (R4 documents, section 3.3.1).
_OF_COMPOSITION = ("subject", "encounter", "author", "attester.party", "custodian", "event.detail")
_OF_SECTION = ("author", "focus", "entry")
_OF_HEADER = ("focus",)
"""What a message carries in itself (R4 MessageHeader.focus)."""


def bundle_issues(bundle: dict[str, Any], path: str) -> Iterator[Issue]:
    """The findings about a Bundle that is right in structure."""
    entries = bundle.get("entry", [])
    for index, entry in enumerate(entries):
        yield from _full_url_issues(entry, f"{path}.entry[{index}]")
    kind = bundle["type"]
    if kind == "searchset":
        yield from _search_issues(bundle, entries, path)
    if kind in ("document", "message") and entries:
        yield from _missing(kind, entries, path)


def _full_url_issues(entry: dict[str, Any], path: str) -> Iterator[Issue]:
    resource = entry.get("resource")
    match = _REST.fullmatch(entry.get("fullUrl", ""))
    if match is None or not isinstance(resource, dict) or "id" not in resource:
        return
    if (match[2], match[3]) != (resource.get("resourceType"), resource["id"]):
        yield Issue("error", "invariant", f"{path}.fullUrl", "fullUrl must end with the type and id of its resource.")


def _search_issues(bundle: dict[str, Any], entries: list[dict[str, Any]], path: str) -> Iterator[Issue]:
    types = _types_asked(bundle)
    for index, entry in enumerate(entries):
        place, resource = f"{path}.entry[{index}].resource", entry.get("resource")
        mode = entry.get("search", {}).get("mode")
        if not isinstance(resource, dict):
            continue
        name = resource.get("resourceType")
        if mode == "outcome" and name != "OperationOutcome":
            yield Issue("error", "invariant", place, "The outcome of a search is an OperationOutcome.")
        if mode in ("match", "include") and "id" not in resource:
            yield Issue("error", "required", f"{place}.id", "A resource found by a search has an id.")
        if mode == "match" and types and name not in types:
            yield Issue("error", "structure", place, "The match is not of the type that the self link searches.")


def _types_asked(bundle: dict[str, Any]) -> frozenset[str]:
    """The types that the self link searches; empty where it does not show."""
    url = next((each["url"] for each in bundle.get("link", ()) if each.get("relation") == "self"), "")
    parts = urlsplit(url)
    last = parts.path.rstrip("/").rpartition("/")[2]
    if "$" in url or last.startswith("_"):
        return frozenset()
    if is_resource_type(last):
        return frozenset({last})
    named = [name for key, value in parse_qsl(parts.query) if key == "_type" for name in value.split(",")]
    return frozenset(name for name in named if is_resource_type(name))


def _missing(kind: str, entries: list[dict[str, Any]], path: str) -> Iterator[Issue]:
    first = entries[0].get("resource")
    if not isinstance(first, dict):
        return
    inside = _Inside(entries)
    for place, reference in _carried(first):
        text = reference.get("reference") if isinstance(reference, dict) else None
        if isinstance(text, str) and not inside.has(text):
            says = f"The {kind} must hold the resource that is referred to here."
            yield Issue("error", "not-found", f"{path}.entry[0].resource.{place}", says)


def _carried(resource: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """(path, Reference) of what a Composition or MessageHeader carries with it."""
    if resource.get("resourceType") == "MessageHeader":
        yield from _references(resource, _OF_HEADER, "")
    if resource.get("resourceType") == "Composition":
        yield from _references(resource, _OF_COMPOSITION, "")
        yield from _of_sections(resource, "")


def _of_sections(node: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for index, section in enumerate(node.get("section", ())):
        place = f"{prefix}section[{index}]."
        yield from _references(section, _OF_SECTION, place)
        yield from _of_sections(section, place)


def _references(node: dict[str, Any], names: tuple[str, ...], prefix: str) -> Iterator[tuple[str, Any]]:
    for name in names:
        step, _, rest = name.partition(".")
        value = node.get(step)
        many = isinstance(value, list)
        for index, item in enumerate(value if isinstance(value, list) else [] if value is None else [value]):
            place = f"{prefix}{step}[{index}]" if many else f"{prefix}{step}"
            if rest and isinstance(item, dict):
                yield from _references(item, (rest,), f"{place}.")
            else:
                yield place, item


class _Inside:
    """The resources of a Bundle as the references of its first one find them (section 2.36.4.1)."""

    def __init__(self, entries: list[dict[str, Any]]) -> None:
        self._full_urls = {entry["fullUrl"] for entry in entries if "fullUrl" in entry}
        self._versions: set[tuple[str, Any]] = set()
        self._names: set[tuple[Any, Any, Any]] = set()
        base = _REST.fullmatch(entries[0].get("fullUrl", ""))
        self._base = base[1] if base else None
        for entry in entries:
            resource = entry.get("resource")
            if isinstance(resource, dict):
                self._add(entry.get("fullUrl"), resource)

    def _add(self, full_url: str | None, resource: dict[str, Any]) -> None:
        version = resource.get("meta", {}).get("versionId")
        if full_url is not None:
            self._versions.add((full_url, version))
        if full_url is None or self._base is None:
            name = resource.get("resourceType"), resource.get("id")
            self._names |= {(*name, version), (*name, None)}

    def has(self, text: str) -> bool:
        """Whether a reference finds its resource; yes if it points elsewhere."""
        relative = _RELATIVE.fullmatch(text)
        if relative is None:
            return not text.startswith("urn:") or text in self._full_urls
        kind, name, version = relative.groups()
        if (kind, name, version) in self._names:
            return True
        full_url = f"{self._base}{kind}/{name}"
        return full_url in self._full_urls if version is None else (full_url, version) in self._versions
