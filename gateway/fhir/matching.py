"""How likely two Patient resources are about one person: weighed agreement, element by element.

Each element that both have agrees (same, similar) or differs (other); `match-weights.csv` says how many bits of
evidence that is. The bits are added (Fellegi and Sunter, A Theory for Record Linkage, JASA 64, 1969) and turned into a
score between 0 and 1, which `match-grades.csv` grades. The weights are assumptions for review, not estimates from data.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

from gateway.r4.extract_text import normalised

Patient = Mapping[str, Any]
_FOLDER = Path(__file__).parent
SAME, SIMILAR, OTHER = "same", "similar", "other"


@dataclass(frozen=True, slots=True)
class Finding:
    """One element that both records have: how it agrees, and what that weighs in bits."""

    element: str
    agreement: str
    bits: float


@dataclass(frozen=True, slots=True)
class Match:
    """
    findings  in the order of the table
    bits      their sum and the prior
    score     the probability that these bits stand for, between 0 and 1
    grade     certain, probable, possible or certainly-not (R4 value set match-grade)
    """

    findings: tuple[Finding, ...]
    bits: float
    score: float
    grade: str


def compared(wanted: Patient, found: Patient) -> Match:
    """How far two patients agree. Elements that one of them lacks say nothing."""
    weights = _weights()
    findings = []
    for element, comparison in _COMPARISONS.items():
        agreement = comparison(wanted, found)
        if (bits := weights.get((element, agreement))) is not None:
            findings.append(Finding(element, agreement, bits))
    total = weights["prior", ""] + sum(finding.bits for finding in findings)
    score = 1 / (1 + 2**-total)
    agreeing = {finding.element for finding in findings if finding.agreement == SAME}
    return Match(tuple(findings), total, score, _grade(score, agreeing))


def explained(match: Match) -> str:
    """The sum in words, without any value of a record."""
    parts = [f"{finding.element} {finding.agreement} {finding.bits:+g}" for finding in match.findings]
    return f"{', '.join(parts)}; prior {_weights()['prior', '']:+g}; together {match.bits:+.1f} bits: {match.grade}"


@cache
def _weights() -> dict[tuple[str, str], float]:
    return {(row["element"], row["agreement"]): float(row["bits"]) for row in _rows("match-weights.csv")}


@cache
def _grades() -> tuple[tuple[str, float, frozenset[str]], ...]:
    """Each grade with its least score and the elements one of which must be the same, the best grade first."""
    rows = _rows("match-grades.csv")
    return tuple((row["grade"], float(row["score"]), frozenset(row["needs"].split())) for row in rows)


def _rows(name: str) -> list[dict[str, str]]:
    with (_FOLDER / name).open(encoding="utf-8", newline="") as table:
        return list(csv.DictReader(table))


def _grade(score: float, agreeing: set[str]) -> str:
    reached = (grade for grade, least, needs in _grades() if score >= least and (not needs or needs & agreeing))
    return next(reached, "certainly-not")


# -- comparing one element -----------------------------------------------------------------------------------


def _identifiers(wanted: Patient, found: Patient) -> str:
    ours, theirs = set(identifiers_of(wanted)), set(identifiers_of(found))
    if ours & theirs:
        return SAME
    return OTHER if {system for system, _ in ours if system} & {system for system, _ in theirs} else ""


def _best(values: Callable[[Patient], list[str]], similar: Callable[[str, str], bool]) -> Callable[..., str]:
    """The comparison of an element that may have several values: the best agreement of any two."""

    def comparison(wanted: Patient, found: Patient) -> str:
        pairs = list(product(values(wanted), values(found)))
        if any(ours == theirs for ours, theirs in pairs):
            return SAME
        if any(similar(ours, theirs) for ours, theirs in pairs):
            return SIMILAR
        return OTHER if pairs else ""

    return comparison


def identifiers_of(patient: Patient) -> list[tuple[str, str]]:
    """Each identifier with a value, as (system, value)."""
    listed = _objects(patient, "identifier")
    return [(_text(item, "system"), _text(item, "value")) for item in listed if _text(item, "value")]


def families_of(patient: Patient) -> list[str]:
    return [family for name in _objects(patient, "name") if (family := normalised(_text(name, "family")))]


def givens_of(patient: Patient) -> list[str]:
    """The first given name of each name."""
    firsts = (name.get("given") for name in _objects(patient, "name"))
    return [text for given in firsts if isinstance(given, list) and given and (text := _normal(given[0]))]


def birth_dates_of(patient: Patient) -> list[str]:
    day = _text(patient, "birthDate")
    return [day] if re.fullmatch(r"\d{4}-\d\d-\d\d", day) else []


def telecoms_of(patient: Patient) -> list[str]:
    """Telephone numbers by their last nine digits, e-mail addresses in lower case."""
    return [
        _number(value) if _text(item, "system") != "email" else value.casefold()
        for item in _objects(patient, "telecom")
        if (value := _text(item, "value")) and _text(item, "system") in ("phone", "sms", "email")
    ]


def _genders(patient: Patient) -> list[str]:
    gender = _text(patient, "gender")
    return [gender] if gender in ("male", "female", "other") else []


def _postcodes(patient: Patient) -> list[str]:
    codes = (_text(item, "postalCode") for item in _objects(patient, "address"))
    return [re.sub(r"\W", "", code).casefold() for code in codes if code]


def _begins(ours: str, theirs: str) -> bool:
    return ours.startswith(theirs) or theirs.startswith(ours)


def _nearly(ours: str, theirs: str) -> bool:
    """Two birth dates of which two parts agree, or whose day and month have changed places."""
    (year, month, day), (other_year, other_month, other_day) = ours.split("-"), theirs.split("-")
    agreeing = (year == other_year) + (month == other_month) + (day == other_day)
    return agreeing == 2 or (year == other_year and (month, day) == (other_day, other_month))


def _never(_ours: str, _theirs: str) -> bool:
    return False


_COMPARISONS: dict[str, Callable[[Patient, Patient], str]] = {
    "identifier": _identifiers,
    "family": _best(families_of, _begins),
    "given": _best(givens_of, _begins),
    "birthDate": _best(birth_dates_of, _nearly),
    "gender": _best(_genders, _never),
    "telecom": _best(telecoms_of, _never),
    "postalCode": _best(_postcodes, _never),
}


def _objects(patient: Patient, name: str) -> Iterator[Mapping[str, Any]]:
    listed = patient.get(name)
    return (item for item in (listed if isinstance(listed, list) else ()) if isinstance(item, dict))


def _text(item: Mapping[str, Any], name: str) -> str:
    found = item.get(name)
    return found if isinstance(found, str) else ""


def _normal(text: Any) -> str:
    return normalised(text) if isinstance(text, str) else ""


def _number(text: str) -> str:
    return re.sub(r"\D", "", text)[-9:]
