"""Reviewed data: instruments, scores, exercises, education, rules and texts, each row with its source."""

from __future__ import annotations

import csv
import json
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import Any

_HERE: Traversable = resources.files(__name__)

Row = Mapping[str, str]


@cache
def table(name: str) -> tuple[Row, ...]:
    """All rows of `<name>.csv`, in file order."""
    text = _HERE.joinpath(f"{name}.csv").read_text(encoding="utf-8")
    return tuple(MappingProxyType(row) for row in csv.DictReader(text.splitlines(), strict=True))


@cache
def rules(name: str) -> Mapping[str, Any]:
    """The content of `<name>.toml`."""
    return MappingProxyType(tomllib.loads(_HERE.joinpath(f"{name}.toml").read_text(encoding="utf-8")))


@cache
def _instrument_text(name: str) -> str:
    return _HERE.joinpath("instruments", f"{name}.json").read_text(encoding="utf-8")


def instrument_names() -> tuple[str, ...]:
    """The instruments of the manifest, in its order."""
    return tuple(row["name"] for row in table("instruments"))


def instrument(name: str) -> dict[str, Any]:
    """A fresh copy of a FHIR Questionnaire; KeyError when the manifest does not list it."""
    if name not in instrument_names():
        raise KeyError(name)
    questionnaire: dict[str, Any] = json.loads(_instrument_text(name))
    return questionnaire


def text(key: str, **values: object) -> str:
    """A sentence of plan_texts.csv with its {placeholders} filled in; KeyError for an unknown key."""
    return _texts()[key].format(**values).strip()


@cache
def _texts() -> Mapping[str, str]:
    return {row["key"]: row["text"] for row in table("plan_texts")}
