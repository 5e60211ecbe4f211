"""A byte of the database file that is no longer what was written: found, named, and served to nobody as if sound."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.faults.serving import FHIR, REPOSITORY, compiling_once, free_port, running

PEOPLE = 400
FAMILY = "Undamaged"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A home with many people, everything in the database file itself; and their ids."""
    home = tmp_path_factory.mktemp("sound") / "home"
    with running(home) as gateway, gateway.client() as client:
        ids = [created(client) for _ in range(PEOPLE)]
    with contextlib.closing(sqlite3.connect(home / "backbridge.sqlite")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return home, ids


@pytest.fixture
def home(sound: tuple[Path, list[str]], tmp_path: Path) -> Path:
    copy = tmp_path / "home"
    copy.mkdir()
    for path in sound[0].iterdir():
        if path.is_file() and not path.name.endswith(("-wal", "-shm")):
            (copy / path.name).write_bytes(path.read_bytes())
        elif path.is_dir():
            (copy / path.name).mkdir()
            for each in path.iterdir():
                (copy / path.name / each.name).write_bytes(each.read_bytes())
    return copy


def test_a_sound_database_is_called_sound(home: Path) -> None:
    """Control."""
    assert checked(home) == (0, ["Nothing is damaged."])


def test_a_damaged_page_costs_what_lies_on_it_and_nothing_else(sound: tuple[Path, list[str]], home: Path) -> None:
    """Requests for what is lost are told 5xx, all others are answered as ever; the check names the damage."""
    _, ids = sound
    overwrite_a_page_of("history", home, random.Random(8))
    code, lines = checked(home)
    assert code == 1
    assert any("cannot be read" in line or "database" in line for line in lines), lines
    with running(home) as gateway, gateway.client() as client:
        answers = {logical_id: client.get(f"/Patient/{logical_id}") for logical_id in ids}
        lost = [answer for answer in answers.values() if answer.status_code != 200]
        assert 0 < len(lost) < PEOPLE // 4
        for answer in lost:
            assert answer.status_code in (500, 503)
            assert answer.json()["resourceType"] == "OperationOutcome"
            assert FAMILY not in answer.text
        for logical_id, answer in answers.items():
            assert answer.status_code != 200 or (answer.json()["id"], answer.json()["name"]) == (logical_id, NAME)
        assert created(client)
        assert not gateway.process_ended()


def test_a_version_that_no_longer_is_what_its_row_says_is_named(sound: tuple[Path, list[str]], home: Path) -> None:
    """One byte of a stored text: of the resource's own id, of its meta, of its form."""
    _, ids = sound
    path = home / "backbridge.sqlite"
    content = path.read_bytes()
    for number, (before, after) in enumerate(
        [
            (b'"versionId":"1"', b'"versionId":"3"'),
            (b'"resourceType":"P', b'"resourceType":"Q'),
            (b'"meta":{', b'"meta":['),
        ]
    ):
        at = content.index(before, content.index(b'"id":"' + ids[10 * number + 5].encode()) - 40)
        content = content[:at] + after + content[at + len(before) :]
    path.write_bytes(content)
    code, lines = checked(home)
    assert code == 1
    named = {line.split("/")[1] for line in lines if line.endswith("is not what was written")}
    assert named == {ids[5], ids[15], ids[25]}, lines


@pytest.mark.parametrize("byte", [0, 100])
def test_a_file_that_is_damaged_where_it_begins_is_refused_in_one_line(home: Path, byte: int) -> None:
    path = home / "backbridge.sqlite"
    content = bytearray(path.read_bytes())
    content[byte] ^= 0xFF
    path.write_bytes(content)
    command = [sys.executable, "-m", "gateway.cli", "serve", "--home", str(home), "--port", str(free_port())]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=compiling_once(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "cannot be used" in done.stderr


NAME = [{"family": FAMILY}]


def created(client: httpx.Client) -> str:
    answer = client.post("/Patient", json={"resourceType": "Patient", "name": NAME}, headers=FHIR)
    assert answer.status_code == 201, answer.text
    return answer.headers["location"].split("/")[-3]


def checked(home: Path) -> tuple[int, list[str]]:
    """Exit code and lines of `backbridge check`."""
    command = [sys.executable, "-m", "gateway.cli", "check", "--home", str(home)]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=compiling_once(), capture_output=True, text=True, timeout=60, check=False
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout.strip().splitlines()


def overwrite_a_page_of(table: str, home: Path, chosen: random.Random) -> None:
    """The first bytes of one leaf page of a table: its kind, and where its rows lie."""
    path = home / "backbridge.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        size = connection.execute("PRAGMA page_size").fetchone()[0]
        root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0]
    content = bytearray(path.read_bytes())
    leaves = leaf_pages(content, size, root)
    assert len(leaves) > 8
    page = chosen.choice(leaves[1:-1])
    content[(page - 1) * size] ^= 0xFF
    path.write_bytes(content)


def leaf_pages(content: bytes | bytearray, size: int, page: int) -> list[int]:
    """The leaves of a table's tree, from left to right (SQLite's file format, section 1.6)."""
    start = (page - 1) * size
    if content[start] == 13:
        return [page]
    assert content[start] == 5, "a table's inner page"
    cells = int.from_bytes(content[start + 3 : start + 5], "big")
    pointers = [int.from_bytes(content[at : at + 2], "big") for at in range(start + 12, start + 12 + 2 * cells, 2)]
    children = [int.from_bytes(content[start + at : start + at + 4], "big") for at in pointers]
    children.append(int.from_bytes(content[start + 8 : start + 12], "big"))
    return [leaf for child in children for leaf in leaf_pages(content, size, child)]
