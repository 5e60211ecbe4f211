"""Bundles written by joining stored bytes: no resource is parsed or printed on its way out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import orjson

from gateway.store.changes import Version


def assembled(
    bundle_type: str, links: Iterable[tuple[str, str]], entries: Sequence[bytes], *, total: int | None = None
) -> bytes:
    """The JSON of a Bundle. A Bundle without entries has no `entry` at all, as FHIR knows no empty arrays."""
    head = f'{{"resourceType":"Bundle","type":"{bundle_type}"'
    if total is not None:
        head += f',"total":{total}'
    written = ",".join(f'{{"relation":"{relation}","url":{json_string(url)}}}' for relation, url in links)
    if written:
        head += f',"link":[{written}]'
    if not entries:
        return head.encode() + b"}"
    return b"".join((head.encode(), b',"entry":[', b",".join(entries), b"]}"))


def entry(base_url: str, version: Version, about: str, body: bytes | None = None) -> bytes:
    """
    One entry: fullUrl, the resource where the version has one, and `about` (search, request or response, as JSON text).

    body  stands in for the stored body where only a part of it is shown
    """
    start = f'{{"fullUrl":{json_string(f"{base_url}/{version.reference}")},'
    shown = version.body if body is None else body
    resource = b"" if shown is None else b'"resource":' + shown + b","
    return b"".join((start.encode(), resource, about.encode(), b"}"))


def json_string(text: str) -> str:
    return orjson.dumps(text).decode()
