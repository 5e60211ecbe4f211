"""Reading Apple Health exports: real files, damaged files, hostile files."""

from __future__ import annotations

import csv
import io
import struct
import zipfile
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from synthetic_export import MANUAL, ME, PROLOG, record, write_export

from sensors.days import summarise
from sensors.errors import (
    EncryptedExport,
    ExportTooLarge,
    MalformedExport,
    NotAnExport,
    TruncatedExport,
    UnreadableExport,
)
from sensors.importers._archive import Bounds
from sensors.importers.apple_health import read
from sensors.records import StepRecords

NINE = datetime(2026, 1, 12, 9, tzinfo=UTC)
TEN = datetime(2026, 1, 12, 10, tzinfo=UTC)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
SAMPLE = Path(__file__).parents[3] / "shared/data/sensors/apple-health/tdda_applehealthdata"


def xml(*elements: str, prolog: str = PROLOG) -> bytes:
    body = "".join(elements)
    return f'{prolog} <ExportDate value="2026-01-20 08:00:00 +0000"/>\n{ME}{body}</HealthData>'.encode()


def walk(steps: float = 100, source: str = "watch", inside: str = "", unit: str = "count") -> str:
    return record("StepCount", unit, steps, NINE, TEN, source, inside)


def zipped(members: dict[str, bytes]) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file


def steps(data: bytes) -> list[float]:
    return read(io.BytesIO(data)).steps.tolist()


@pytest.mark.skipif(not SAMPLE.exists(), reason="the public sample export is not beside the repository")
def test_the_public_sample_gives_the_records_published_with_it():
    records = read(SAMPLE / "export6s3sample.xml")
    with (SAMPLE / "StepCount.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    published = [
        (datetime.strptime(row["startDate"], "%Y-%m-%d %H:%M:%S %z").timestamp() * 1000, float(row["value"]))
        for row in rows
    ]
    assert list(zip(records.start_ms.tolist(), records.steps.tolist(), strict=True)) == published
    per_day = Counter[str]()
    for row in rows:
        per_day[row["startDate"][:10]] += int(row["value"])
    assert {day.date.isoformat(): day.steps for day in summarise(records, now=NOW)} == per_day


@pytest.mark.parametrize("name", ["export.zip", "export.xml"])
def test_watch_and_phone_together_give_the_true_steps_of_every_day(tmp_path, name):
    truth = write_export(tmp_path / name, days=40, seed=7, start=date(2026, 3, 1))
    records = read(tmp_path / name)
    summary = {day.date: day.steps for day in summarise(records, now=NOW)}
    assert summary == truth
    assert sum(truth.values()) < records.steps.sum()


def test_zip_and_xml_hold_the_same_days(tmp_path):
    for name in ("a.zip", "a.xml"):
        write_export(tmp_path / name, days=5, seed=1, start=date(2026, 1, 1))
    assert summarise(read(tmp_path / "a.zip"), now=NOW) == summarise(read(tmp_path / "a.xml"), now=NOW)


def test_offsets_and_the_date_of_the_export_are_kept():
    text = xml(walk()).replace(b"09:00:00 +0000", b"09:00:00 -0330")
    records = read(io.BytesIO(text))
    assert records.start_offset_s.tolist() == [-12600]
    assert records.start_ms.tolist() == [datetime(2026, 1, 12, 12, 30, tzinfo=UTC).timestamp() * 1000]
    assert records.exported_at == datetime(2026, 1, 20, 8, tzinfo=UTC)


def test_entries_by_hand_are_marked():
    assert read(io.BytesIO(xml(walk(inside=MANUAL), walk()))).manual.tolist() == [True, False]


def test_other_types_workouts_and_summaries_are_passed_over():
    workout = '<Workout workoutActivityType="x" sourceName="y"><MetadataEntry key="HKWasUserEntered" value="1"/>'
    other = record("HeartRate", "count/min", 60, NINE, NINE, "watch")
    assert steps(xml(other, walk(7), workout + "</Workout>", '<ActivitySummary dateComponents="2026-01-12"/>')) == [7]


def test_a_record_repeated_inside_a_correlation_counts_once():
    inside = f'<Correlation type="x" sourceName="y">{walk(50)}</Correlation>'
    (day,) = summarise(read(io.BytesIO(xml(inside, walk(50)))), now=NOW)
    assert day.steps == 50


def test_the_order_of_attributes_does_not_matter():
    plain = walk(50)
    head, tail = plain.split(' unit="count"')
    turned = head.replace("<Record", '<Record unit="count"') + tail
    assert steps(xml(turned)) == steps(xml(plain)) == [50]


def test_the_malformed_document_type_of_ios_16_is_no_obstacle():
    broken = PROLOG.replace("]>", "<!ATTLIST Record\n  type CDATA #REQUIRED\n<!ELEMENT >>\n]>")
    assert steps(xml(walk(50), prolog=broken)) == [50]


@pytest.mark.parametrize("bad", ["\x0b", "&#11;", "&#x0B;", "\x00\x1f"])
def test_control_characters_are_dropped(bad):
    assert steps(xml(walk(50).replace("Synthetic", f"Synth{bad}etic"))) == [50]


def test_attribute_names_with_spaces_in_the_header_are_no_obstacle():
    assert steps(xml(walk(50)).replace(b"<Me ", b'<Me HKCardio FitnessMedicationsUse="" ')) == [50]


def test_two_records_of_one_device_are_one_source_although_its_address_changes():
    changed = walk(60).replace("HKDevice: 0x28", "HKDevice: 0x99").replace("software:17.1", "software:17.2")
    assert len(read(io.BytesIO(xml(walk(50), changed))).sources) == 1


@pytest.mark.parametrize(
    "spoiled",
    [
        walk().replace("2026-01-12 09:00:00 +0000", "yesterday"),
        walk().replace("2026-01-12 09:00:00 +0000", "2026-02-30 09:00:00 +0000"),
        walk().replace("2026-01-12 09:00:00 +0000", "9999-12-31 23:00:00 +0000"),
        walk().replace("2026-01-12 09:00:00 +0000", "2026-01-12 09:00:00 +9900"),
        walk().replace('value="100"', 'value="many"'),
        walk().replace('value="100"', 'value="nan"'),
        walk().replace('value="100"', 'value="1e300"'),
        walk().replace(' value="100"', ""),
        walk(unit="furlong"),
    ],
)
def test_an_unreadable_record_is_left_out_and_reported(spoiled):
    records = read(io.BytesIO(xml(spoiled, walk(50))))
    assert (records.steps.tolist(), records.rejected) == ([50], 1)


def test_progress_runs_from_nothing_to_everything(tmp_path):
    path = tmp_path / "export.zip"
    write_export(path, days=30, seed=3, start=date(2026, 1, 1), heart_rates_per_day=100)
    seen: list[tuple[int, int, int]] = []
    records = read(path, progress=lambda *state: seen.append(state))
    assert seen == sorted(seen)
    assert len(seen) > 3
    read_bytes, all_bytes, found = seen[-1]
    assert (read_bytes, found) == (all_bytes, len(records))


def test_a_truncated_export_says_how_far_it_got():
    whole = xml(walk(1), walk(2), walk(3))
    cut = whole[: whole.rindex(b"<Record") + 20]
    with pytest.raises(TruncatedExport) as refusal:
        read(io.BytesIO(cut))
    assert (refusal.value.bytes_read, refusal.value.records_read) == (len(cut), 2)


def test_what_was_read_of_a_truncated_export_can_be_kept():
    whole = xml(walk(1), walk(2), walk(3))
    records = read(io.BytesIO(whole[: whole.rindex(b"<Record") + 20]), keep_partial=True)
    assert (records.steps.tolist(), records.complete) == ([1, 2], False)


def test_a_truncated_zip_is_named_as_such(tmp_path):
    write_export(tmp_path / "export.zip", days=5, seed=3, start=date(2026, 1, 1))
    content = (tmp_path / "export.zip").read_bytes()
    with pytest.raises(TruncatedExport):
        read(io.BytesIO(content[: len(content) // 2]))


def test_a_zip_with_damaged_content_is_named_as_such(tmp_path):
    write_export(tmp_path / "export.zip", days=200, seed=3, start=date(2026, 1, 1), heart_rates_per_day=60)
    content = bytearray((tmp_path / "export.zip").read_bytes())
    content[len(content) // 2] ^= 0xFF
    with pytest.raises((TruncatedExport, MalformedExport)) as refusal:
        read(io.BytesIO(content))
    assert refusal.value.bytes_read > 0


def test_the_file_name_inside_depends_on_the_language_of_the_phone():
    file = zipped(
        {
            "apple_health_export/导出_cda.xml": b"<ClinicalDocument/>",
            "apple_health_export/导出.xml": xml(walk(50)),
        }
    )
    assert read(file).steps.tolist() == [50]


def test_an_encrypted_zip_is_refused_with_advice():
    content = bytearray(zipped({"apple_health_export/export.xml": xml(walk())}).getvalue())
    for signature, flags_at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        struct.pack_into("<H", content, content.index(signature) + flags_at, 0x1)
    with pytest.raises(EncryptedExport, match="password"):
        read(io.BytesIO(content))


def test_a_zip_bomb_is_refused_before_it_is_unpacked():
    file = zipped({"apple_health_export/export.xml": xml("\n" * (32 << 20))})
    with pytest.raises(ExportTooLarge):
        read(file)


@pytest.mark.parametrize("wrapped", [True, False])
def test_an_export_above_the_limit_is_refused(wrapped):
    content = xml(walk())
    file = zipped({"export.xml": content}) if wrapped else io.BytesIO(content)
    with pytest.raises(ExportTooLarge):
        read(file, bounds=Bounds(max_bytes=100))


@pytest.mark.parametrize("content", [b"", b"hello", b"<html/>", b"\x89PNG" * 1000])
def test_other_files_are_refused(content):
    with pytest.raises(NotAnExport):
        read(io.BytesIO(content))


def test_a_zip_without_health_data_is_refused():
    with pytest.raises(NotAnExport):
        read(zipped({"photo.jpg": b"x", "export_cda.xml": b"<ClinicalDocument/>"}))


def test_entities_are_never_expanded():
    bomb = '<!DOCTYPE HealthData [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>\n<HealthData>'
    with pytest.raises(MalformedExport):
        steps(xml(walk().replace("Synthetic", "&b;"), prolog=bomb))


@pytest.mark.parametrize(
    "hostile",
    [
        "<a>" * 100_000,
        "".join(f"<n{i}/>" for i in range(50_000)),
        f'<Record type="{"x" * (12 << 20)}"/>',
        f'<Record type="{"x>" * (6 << 20)}"/>',
        "".join(walk().replace("Synthetic", f"Synthetic {i}") for i in range(5_100)),
    ],
    ids=["depth", "names", "attribute", "attribute with tags", "sources"],
)
def test_content_made_to_fill_the_memory_is_refused(hostile):
    with pytest.raises(MalformedExport):
        steps(xml(hostile))


def outcome(content: bytes) -> type:
    try:
        return type(read(io.BytesIO(content)))
    except UnreadableExport as refusal:
        return type(refusal)


def test_any_content_gives_an_export_or_a_typed_refusal():
    whole = xml(walk(1), walk(2, inside=MANUAL), walk(3))
    cuts = range(0, len(whole), 7)
    assert {outcome(whole[:at]) for at in cuts} == {NotAnExport, TruncatedExport}
    inserted = {outcome(whole[:at] + b"<" + whole[at:]) for at in cuts}
    assert {StepRecords, MalformedExport} <= inserted
    overwritten = {outcome(whole[:at] + b"\xff" + whole[at + 1 :]) for at in cuts}
    assert MalformedExport in overwritten


def test_neither_names_nor_steps_show_in_logs_of_the_records():
    shown = repr(read(io.BytesIO(xml(walk(4711)))))
    assert "Synthetic" not in shown
    assert "4711" not in shown
