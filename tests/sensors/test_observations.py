"""Daily steps as FHIR R4 Observations: valid, coded from one table, and the same at every import."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from fhir.resources.R4B.observation import Observation
from synthetic_export import MANUAL, ME, PROLOG, record, write_export

from sensors.codes import codes
from sensors.days import DailySteps, summarise
from sensors.importers.apple_health import read
from sensors.observations import daily_steps, daily_steps_identifier, flag_key
from sensors.plausibility import Flag

NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def export(tmp_path_factory) -> str:
    """Thirty days of a watch and a phone."""
    path = tmp_path_factory.mktemp("export") / "export.zip"
    write_export(path, days=30, seed=5, start=date(2026, 1, 1))
    return str(path)


def summaries(export: str, now: datetime = NOW) -> list[DailySteps]:
    return summarise(read(export), now=now)


def observations(export: str, now: datetime = NOW) -> list[dict]:
    return daily_steps(summaries(export, now), patient="Patient/abc")


def test_every_day_is_a_valid_observation(export):
    for resource in observations(export):
        Observation.model_validate(resource)


def test_the_observation_says_steps_per_day_as_the_physical_activity_guide_does(export):
    first = observations(export)[0]
    assert first["code"]["coding"][0]["code"] == "41950-7"
    assert first["valueQuantity"]["system"] == "http://unitsofmeasure.org"
    assert first["valueQuantity"]["code"] == "/d"
    assert first["effectiveDateTime"] == "2026-01-01"
    assert first["subject"] == {"reference": "Patient/abc"}
    assert {c["coding"][0]["code"] for c in first["category"]} == {"activity", "PhysicalActivity"}


def test_a_second_import_gives_the_same_bytes_whenever_it_happens(export):
    later = datetime(2028, 2, 29, 3, 4, 5, tzinfo=UTC)
    assert json.dumps(observations(export)) == json.dumps(observations(export, later))


def test_an_export_made_later_leaves_the_settled_days_as_they_are(tmp_path, export):
    write_export(tmp_path / "later.xml", days=60, seed=5, start=date(2026, 1, 1))
    before, after = observations(export), observations(str(tmp_path / "later.xml"))
    settled = [resource for resource in before if resource["status"] == "final"]
    assert len(settled) >= 27
    assert after[: len(settled)] == settled
    changed = [(a, b) for a, b in zip(before, after, strict=False) if a != b]
    assert all({**a, "status": "final"} == b for a, b in changed)


def test_late_data_change_the_value_and_keep_the_identifier():
    def one(*walks: str) -> dict:
        text = f'{PROLOG}<ExportDate value="2026-02-01 08:00:00 +0000"/>{ME}{"".join(walks)}</HealthData>'
        (resource,) = daily_steps(summarise(read(io.BytesIO(text.encode())), now=NOW), patient="Patient/abc")
        return resource

    nine, ten, eleven = (datetime(2026, 1, 12, hour, tzinfo=UTC) for hour in (9, 10, 11))
    early = record("StepCount", "count", 900, nine, ten, "phone")
    before, after = one(early), one(early, record("StepCount", "count", 50, ten, eleven, "phone"))
    assert (before["valueQuantity"]["value"], after["valueQuantity"]["value"]) == (900, 950)
    assert before["identifier"] == after["identifier"]
    assert {key for key in before if before[key] != after[key]} == {"valueQuantity", "component"}


def test_identifiers_differ_by_patient_platform_and_day_and_hide_the_patient():
    keys = [
        ("Patient/abc", "apple-health", "2026-01-01"),
        ("Patient/abd", "apple-health", "2026-01-01"),
        ("Patient/abc", "health-connect", "2026-01-01"),
        ("Patient/abc", "apple-health", "2026-01-02"),
    ]
    values = {daily_steps_identifier(*key)["value"] for key in keys}
    assert len(values) == 4
    assert not any("abc" in value for value in values)


def test_the_last_two_days_of_an_export_are_preliminary(export):
    assert [resource["status"] for resource in observations(export)][-3:] == [
        "final",
        "preliminary",
        "preliminary",
    ]


def test_a_day_without_a_usable_total_says_so_instead_of_zero():
    nine, ten = datetime(2026, 1, 12, 9, tzinfo=UTC), datetime(2026, 1, 12, 10, tzinfo=UTC)
    by_hand = record("StepCount", "count", 9000, nine, ten, "phone", MANUAL)
    records = read(io.BytesIO(f"{PROLOG}{by_hand}</HealthData>".encode()))
    (resource,) = daily_steps(summarise(records, now=NOW), patient="Patient/abc")
    Observation.model_validate(resource)
    assert "valueQuantity" not in resource
    assert resource["dataAbsentReason"]["coding"][0]["code"] == "unknown"
    entered = [c for c in resource["component"] if c["code"]["coding"][0]["code"] == "steps-entered-by-hand"]
    assert entered[0]["valueQuantity"]["value"] == 9000


def test_a_day_in_the_future_is_not_published(export):
    day = summaries(export)[-1]
    future = replace(day, steps=None, preliminary=True, flags=Flag.FUTURE)
    assert daily_steps([future], patient="Patient/abc") == []


def test_names_of_devices_do_not_reach_the_resource(export):
    assert "Synthetic" not in json.dumps(observations(export))


def test_every_flag_has_a_code(export):
    flagged = replace(summaries(export)[0], flags=Flag(sum(Flag)))
    (resource,) = daily_steps([flagged], patient="Patient/abc")
    Observation.model_validate(resource)
    assert len([c for c in resource["component"] if "valueCodeableConcept" in c]) == len(Flag)
    assert {flag_key(flag) for flag in Flag} == {key for key in codes() if key.startswith("flag-")}


def test_every_code_in_a_resource_is_a_row_of_the_table_with_its_source(export):
    rows = {(code.system, code.code): code for code in codes().values()}
    assert all(code.source for code in rows.values())
    assert len(rows) == len(codes())
    for coding in _codings(observations(export)):
        assert rows[coding["system"], coding["code"]].display == coding["display"]


def _codings(node: object) -> list[dict]:
    if isinstance(node, list):
        return [found for item in node for found in _codings(item)]
    if isinstance(node, dict):
        return [*node.get("coding", []), *(f for value in node.values() for f in _codings(value))]
    return []
