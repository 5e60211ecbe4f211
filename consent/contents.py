"""One walk over a resource: which patients it names, which resources it carries, what its codes give away.

The walk sees everything: contained resources, extensions, Bundle entries, answers, components.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from consent.vocabulary import HOME, LABELS, table

KeyOf = Callable[[str, str], int]

_PATIENT = re.compile(r"(?:^|/)Patient/([A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?(?:#.*)?$")
_ICD_10 = "http://hl7.org/fhir/sid/icd-10"


class Contents(NamedTuple):
    """
    patients   keys of every patient named, ascending
    carried    the resources inside: Bundle entries and contained ones, at any depth
    contained  the identities (`id()`) of those that are contained and have no id of this server
    labels     the sensitivity labels that codes, link ids and canonicals call for
    """

    patients: tuple[int, ...]
    carried: list[Mapping[str, Any]]
    contained: set[int]
    labels: int


def contents(resource: Mapping[str, Any], key_of: KeyOf) -> Contents:
    """What the resource names and carries; it walks iteratively, so depth costs no stack."""
    references: set[str] = set()
    carried: list[Mapping[str, Any]] = []
    contained: set[int] = set()
    labels = 0
    stack: list[Any] = [resource]
    while stack:
        node = stack.pop()
        # Lists are pushed whole, so what comes off may be a plain value; this is the hot loop of every write.
        if type(node) is not dict:
            continue
        if "reference" in node and type(node["reference"]) is str:
            references.add(node["reference"])
        if "code" in node and type(node["code"]) is str:
            labels |= _code_labels(node.get("system"), node["code"])
        if "linkId" in node:
            labels |= _instrument_labels(node["linkId"])
        if "resourceType" in node:
            carried.append(node)
            contained.update(map(id, node.get("contained", ())))
            references.update(_own_names(node, contained))
            if "questionnaire" in node:
                labels |= _questionnaire_labels(node["questionnaire"])
        for value in node.values():
            kind = type(value)
            if kind is dict:
                stack.append(value)
            elif kind is list:
                stack += value
    patients = {key_of("Patient", found) for text in references if (found := _patient_id(text))}
    return Contents(tuple(sorted(patients)), carried[1:], contained, labels)


def _own_names(resource: Mapping[str, Any], contained: set[int]) -> Iterable[str]:
    """A Patient names itself; a Bundle names patients in the addresses of its entries."""
    if resource["resourceType"] == "Patient" and "id" in resource and id(resource) not in contained:
        return (f"Patient/{resource['id']}",)
    if resource["resourceType"] == "Bundle":
        return _addresses(resource)
    return ()


def _addresses(bundle: Mapping[str, Any]) -> Iterator[str]:
    for entry in bundle.get("entry", ()):
        request, response = entry.get("request", {}), entry.get("response", {})
        yield from filter(None, (entry.get("fullUrl"), request.get("url"), response.get("location")))


@lru_cache(maxsize=4096)
def _patient_id(reference: str) -> str:
    """The id in a reference to a Patient, on this server or any other; empty where it names none."""
    match = _PATIENT.search(reference)
    return match[1] if match else ""


_sensitivity = table("sensitivity")
_CODES = {(row["system"], row["value"]): LABELS[row["label"]] for row in _sensitivity if row["kind"] == "code"}
_PREFIXES = {row["value"]: LABELS[row["label"]] for row in _sensitivity if row["kind"] == "prefix"}
_INSTRUMENTS = {row["value"]: LABELS[row["label"]] for row in _sensitivity if row["kind"] == "instrument"}
_QUESTIONNAIRES = {row["value"]: LABELS[row["label"]] for row in _sensitivity if row["kind"] == "questionnaire"}
# `phq-8`, `phq-8-total` and `phq-8/1` name the instrument, `phq-80` does not.
_INSTRUMENT = re.compile(rf"({'|'.join(sorted(_INSTRUMENTS, key=len, reverse=True))})(?![a-z0-9])")


@lru_cache(maxsize=4096)
def _code_labels(system: object, code: str) -> int:
    if isinstance(system, str) and system.startswith(_ICD_10):
        return _PREFIXES.get(code[:2], 0) | _PREFIXES.get(code[:3], 0)
    if isinstance(system, str) and system.startswith(HOME):
        return _instrument_labels(code)
    return _CODES.get((str(system), code), 0)


@lru_cache(maxsize=4096)
def _instrument_labels(name: str) -> int:
    """Local codes and link ids begin with the name of their instrument; LOINC link ids are `/` + code."""
    match = _INSTRUMENT.match(name.lower())
    found = _INSTRUMENTS[match[1]] if match else 0
    return found | _CODES.get(("http://loinc.org", name.lstrip("/")), 0)


def _questionnaire_labels(canonical: object) -> int:
    if not isinstance(canonical, str):
        return 0
    name = canonical.partition("|")[0].rstrip("/").rpartition("/")[2]
    return _instrument_labels(name) | _QUESTIONNAIRES.get(name.lower(), 0)
