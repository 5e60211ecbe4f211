"""
Scores of questionnaires, computed by one engine from the rows of knowledge/scores.csv.

A score is a survey Observation that names its instrument, method and version (FHIR R4, observation.html).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from typing import Any

from recommender import knowledge
from recommender.answers import items_by_link_id, ordinal, read_answers
from recommender.canonical import LOINC, SCORE_IDENTIFIER, SCORE_SYSTEM, UCUM
from recommender.errors import MissingElement, UnknownInstrument

JSON = dict[str, Any]

ALGORITHM_VERSION = "backbridge-score|1.0.0"
SURVEY = "http://terminology.hl7.org/CodeSystem/observation-category"
ABSENT_REASON = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
LOINC_DISPLAYS = {"72514-3": "Pain severity - 0-10 verbal numeric rating [Score] - Reported"}


@dataclass(frozen=True)
class Band:
    """A named part of a score's range; low and high belong to it."""

    low: Decimal
    high: Decimal
    name: str


@dataclass(frozen=True)
class ScoreRule:
    """A row of scores.csv."""

    instrument: str
    code: str
    display: str
    loinc: str
    method: str
    items: tuple[str, ...]
    minimum: Decimal
    maximum: Decimal
    direction: str
    missing_rule: str
    min_answered: int
    bands: tuple[Band, ...]
    bands_source: str
    mic: Decimal | None
    source: str
    certainty: str


@dataclass(frozen=True)
class Score:
    """value is None when too few items were answered; answered counts the items that were."""

    rule: ScoreRule
    title: str
    version: str
    value: Decimal | None
    answered: int

    @property
    def band(self) -> str | None:
        """The name of the band the value lies in, where the instrument has bands."""
        if self.value is None:
            return None
        return next((band.name for band in self.rule.bands if band.low <= self.value <= band.high), None)


@cache
def score_rules(instrument: str) -> tuple[ScoreRule, ...]:
    """The scores of an instrument; none for an instrument that is not scored."""
    return tuple(_rule(row) for row in knowledge.table("scores") if row["instrument"] == instrument)


def score(questionnaire: JSON, response: JSON) -> list[Score]:
    """
    Every score of the instrument, also those that could not be computed.

    raises  UnknownInstrument, and what read_answers raises about the response
    """
    name = instrument_name(str(questionnaire.get("url")))
    answers = read_answers(questionnaire, response)
    items = items_by_link_id(questionnaire)
    scores = []
    for rule in score_rules(name):
        values = {i: ordinal(items[i], answers[i][0]) for i in rule.items if i in answers}
        numbers = [value for value in values.values() if value is not None]
        value = _value(rule, numbers)
        scores.append(Score(rule, questionnaire["title"], questionnaire["version"], value, len(numbers)))
    return scores


def instrument_name(canonical: str) -> str:
    """The name of an instrument in the manifest, its version left aside; UnknownInstrument otherwise."""
    url = canonical.partition("|")[0]
    for row in knowledge.table("instruments"):
        if row["url"] == url:
            return row["name"]
    raise UnknownInstrument(canonical)


def observations(scores: Sequence[Score], response: JSON) -> list[JSON]:
    """
    One final Observation a score, the same for the same response however often it is made.

    The identifier is stable (response id and score code): a second conditional create changes nothing.
    raises  MissingElement when the response has no id, subject or authored
    """
    return [_observation(item, response) for item in scores]


def _rule(row: Mapping[str, str]) -> ScoreRule:
    return ScoreRule(
        instrument=row["instrument"],
        code=row["code"],
        display=row["display"],
        loinc=row["loinc"],
        method=row["method"],
        items=_link_ids(row["items"]),
        minimum=Decimal(row["min"]),
        maximum=Decimal(row["max"]),
        direction=row["direction"],
        missing_rule=row["missing_rule"],
        min_answered=int(row["min_answered"]),
        bands=tuple(_band(part) for part in row["bands"].split(";") if part),
        bands_source=row["bands_source"],
        mic=Decimal(row["mic"]) if row["mic"] else None,
        source=row["source"],
        certainty=row["certainty"],
    )


def _link_ids(listed: str) -> tuple[str, ...]:
    """`a b` is two items, `q-01..q-24` twenty-four with the same number of digits."""
    first, dots, last = listed.partition("..")
    if not dots:
        return tuple(listed.split())
    stem, start = first[: len(first) - _digits(first)], first[len(first) - _digits(first) :]
    end = int(last[len(stem) :])
    return tuple(f"{stem}{number:0{len(start)}d}" for number in range(int(start), end + 1))


def _digits(link_id: str) -> int:
    return len(link_id) - len(link_id.rstrip("0123456789"))


def _band(part: str) -> Band:
    limits, _, name = part.partition(" ")
    low, _, high = limits.partition("-")
    return Band(Decimal(low), Decimal(high), name)


def _value(rule: ScoreRule, numbers: Sequence[Decimal]) -> Decimal | None:
    if len(numbers) < rule.min_answered or (rule.missing_rule == "refuse" and len(numbers) < len(rule.items)):
        return None
    value = _METHODS[rule.method](numbers)
    if rule.missing_rule == "prorate":
        scaled = value * len(rule.items) / len(numbers)
        return scaled.quantize(Decimal(1), rounding=ROUND_HALF_UP)
    return value


def _mean(numbers: Sequence[Decimal]) -> Decimal:
    """Two decimals, half up: finer than any published change threshold and the same on every machine."""
    return (_sum(numbers) / len(numbers)).quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)


def _sum(numbers: Sequence[Decimal]) -> Decimal:
    return sum(numbers, Decimal(0))


_METHODS: Mapping[str, Callable[[Sequence[Decimal]], Decimal]] = {
    "raw": _sum,
    "sum": _sum,
    "count-yes": _sum,
    "mean": _mean,
}


def _observation(item: Score, response: JSON) -> JSON:
    rule = item.rule
    for element in ("id", "subject", "authored"):
        if element not in response:
            raise MissingElement(f"QuestionnaireResponse.{element}")
    return {
        "resourceType": "Observation",
        "identifier": [{"system": SCORE_IDENTIFIER, "value": f"{response['id']}/{rule.code}"}],
        "status": "final",
        "category": [{"coding": [{"system": SURVEY, "code": "survey", "display": "Survey"}]}],
        "code": {"coding": _codings(rule), "text": rule.display},
        "subject": response["subject"],
        "effectiveDateTime": response["authored"],
        **_result(item),
        "note": [{"text": _note(item)}],
        "method": {"text": _method_text(rule)},
        "derivedFrom": [{"reference": f"QuestionnaireResponse/{response['id']}"}],
    }


def _codings(rule: ScoreRule) -> list[JSON]:
    codings = [{"system": SCORE_SYSTEM, "code": rule.code, "display": rule.display}]
    if rule.loinc:
        codings.append({"system": LOINC, "code": rule.loinc, "display": LOINC_DISPLAYS[rule.loinc]})
    return codings


def _result(item: Score) -> JSON:
    if item.value is None:
        absent = {"system": ABSENT_REASON, "code": "asked-unknown", "display": "Asked But Unknown"}
        return {"dataAbsentReason": {"coding": [absent], "text": "too few items were answered"}}
    number = int(item.value) if item.value == int(item.value) else float(item.value)
    result: JSON = {"valueQuantity": {"value": number, "unit": "score", "system": UCUM, "code": "{score}"}}
    if item.band:
        result["interpretation"] = [{"text": f"{item.band} ({item.rule.bands_source})"}]
    return result


def _method_text(rule: ScoreRule) -> str:
    return f"{rule.method} of {len(rule.items)} item(s); missing answers: {rule.missing_rule}"


def _note(item: Score) -> str:
    rule = item.rule
    return (
        f"{item.title}, instrument {rule.instrument}|{item.version}, computed by {ALGORITHM_VERSION}. "
        f"Range {rule.minimum}-{rule.maximum}, {rule.direction}. "
        f"{item.answered} of {len(rule.items)} item(s) answered. Source: {rule.source} ({rule.certainty})."
    )
