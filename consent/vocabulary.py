"""The reviewed tables of this package, read once: purposes, categories, labels, reserved actors.

Every table is a CSV file beside this module; its rows carry their reason or source.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from enum import IntFlag
from pathlib import Path

HOME = "https://backbridge.example"
SHARING_CATEGORY = f"{HOME}/fhir/CodeSystem/sharing-category"
SHARING_POLICY = f"{HOME}/policy/sharing|1.0.0"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
CONFIDENTIALITY_SYSTEM = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
RESOURCE_TYPES = "http://hl7.org/fhir/resource-types"


class Action(IntFlag):
    """What a rule is about; a request asks for exactly one of them."""

    READ = 1
    WRITE = 2
    DISCLOSE = 4


ALL_ACTIONS = Action.READ | Action.WRITE | Action.DISCLOSE


def bits(numbers: Iterable[int]) -> int:
    """A set of small numbers (purposes, categories) as one integer, so that SQL can test membership."""
    return sum({1 << number for number in numbers})


def table(name: str) -> list[dict[str, str]]:
    """The rows of `consent/<name>.csv`."""
    with (Path(__file__).parent / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _below(parents: dict[str, list[str]]) -> dict[str, frozenset[str]]:
    """For each code, itself and every code below it in the hierarchy."""

    def above(code: str) -> set[str]:
        return {code}.union(*(above(parent) for parent in parents[code]))

    return {code: frozenset(other for other in parents if code in above(other)) for code in parents}


def _hierarchy(rows: list[dict[str, str]]) -> dict[str, list[str]]:
    return {row["code"]: row["parents"].split() for row in rows}


_actors = {row["name"]: int(row["key"]) for row in table("reserved_actors")}
ANYONE = _actors["ANYONE"]
EVERYONE = _actors["EVERYONE"]

_purposes = table("purposes")
PURPOSES = {row["code"]: int(row["number"]) for row in _purposes}
PURPOSE_PARENTS = _hierarchy(_purposes)
PURPOSES_BELOW = {code: frozenset(PURPOSES[each] for each in below) for code, below in _below(PURPOSE_PARENTS).items()}
DEFAULT_PURPOSES = PURPOSES_BELOW["TREAT"]
"""A permit that names no purpose is for treatment: the narrower of the two readings R4 leaves open."""

CONFIDENTIALITY = {row["code"]: int(row["rank"]) for row in table("confidentiality")}
NORMAL = CONFIDENTIALITY["N"]
HIGHEST = max(CONFIDENTIALITY.values())

_categories = table("categories")
CATEGORIES = {row["code"]: int(row["id"]) for row in _categories}
CATEGORY_MINIMUM = {int(row["id"]): CONFIDENTIALITY[row["minimum"]] for row in _categories}
NO_CATEGORY, CONSENT_CATEGORY, MIXED = CATEGORIES["none"], CATEGORIES["consent"], CATEGORIES["mixed"]
ALL_CATEGORIES = bits(range(31))
"""Whatever there is, and will be."""
ALL_BUT_CONSENTS = ALL_CATEGORIES & ~bits([CONSENT_CATEGORY])
"""What a permit of everything covers: consents, which tell whom else the patient trusts, must be named."""
SHAREABLE = tuple(code for code in CATEGORIES if code != "none")

_labels = table("labels")
LABELS = {row["code"]: 1 << int(row["bit"]) for row in _labels}
LABEL_PARENTS = _hierarchy(_labels)
LABELS_BELOW = {code: sum(LABELS[each] for each in below) for code, below in _below(LABEL_PARENTS).items()}
LABEL_RAISES = {LABELS[row["code"]]: CONFIDENTIALITY[row["raises to"]] for row in _labels}
OTHER_LABEL = LABELS["OTHER"]
