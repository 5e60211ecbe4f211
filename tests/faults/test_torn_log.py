"""A power cut: the write-ahead log may end anywhere, torn or not; what opens is whole, and holds all that was promised.

kill -9 cannot show a missing fsync, because the page cache survives it. So the promise is shown in two halves:

1. Whatever prefix of the log survives, the database opens sound and holds a prefix of the transactions: all those whose
   log records lie below the cut (`test_any_cut…`).
2. At each acknowledgement nothing of the log was written but not yet synced, by the system calls of a process under
   strace (`test_every_acknowledgement…`). With synchronous NORMAL or OFF the same check fails, so it has teeth.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.contents import patient_keys, patients_of_whole_transactions
from tests.faults.process import opened, registration
from tests.store.actors import OPEN

TRANSACTIONS = 80
CUTS = 80
SECTOR = 4096
COMMITS = 12
REPOSITORY = Path(__file__).resolve().parents[2]


def test_any_cut_of_the_log_leaves_a_prefix_of_the_transactions(home: Path, tmp_path: Path) -> None:
    rng = random.Random(60)
    acknowledged, ends = asyncio.run(written_with_all_of_the_log(home, tmp_path / "copy"))
    log = (tmp_path / "copy-wal").read_bytes()
    assert ends[-1] <= len(log)
    prefixes = set()
    for number in range(CUTS):
        cut = rng.randrange(len(log) + 1)
        torn = number % 2 == 1
        found = patients_after_cut(tmp_path, log[:cut], rng if torn else None)
        keys = patient_keys(acknowledged)
        assert found == set(keys[: len(found)]), "not a prefix of what was acknowledged"
        promised = sum(end <= cut - (SECTOR if torn else 0) for end in ends)
        assert len(found) >= promised
        prefixes.add(len(found))
    assert len(prefixes) > CUTS // 4


async def written_with_all_of_the_log(home: Path, copy: Path) -> tuple[list[list[str]], list[int]]:
    """
    Writes transactions one by one, then copies the files while the store is open.

    Returns their ids and the length of the log after each.
    """
    path = home / "backbridge.sqlite"
    log = path.with_name(path.name + "-wal")
    async with opened(home) as store:
        # A reader of the state before all this keeps the log from being moved into the database.
        reader = sqlite3.connect(path, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM resource").fetchone()
        acknowledged, ends = [], []
        for _ in range(TRANSACTIONS):
            ids, changes = registration()
            await store.commit(OPEN, changes)
            acknowledged.append(ids)
            ends.append(log.stat().st_size)
        shutil.copy(path, copy)
        shutil.copy(log, copy.with_name("copy-wal"))
        reader.close()
    return acknowledged, ends


def patients_after_cut(folder: Path, log: bytes, torn: random.Random | None) -> set[int]:
    """Opens a copy with this log; torn: some of its last sector is overwritten."""
    path = folder / "cut.sqlite"
    for leftover in folder.glob("cut.sqlite*"):
        leftover.unlink()
    shutil.copy(folder / "copy", path)
    if torn is not None and log:
        start = max(0, len(log) - torn.randint(1, SECTOR))
        log = log[:start] + torn.randbytes(min(64, len(log) - start)) + log[start + 64 :]
    path.with_name("cut.sqlite-wal").write_bytes(log)
    return patients_of_whole_transactions(path)


# -- what is on the disk at each acknowledgement -------------------------------------------------------------


@pytest.fixture(scope="module")
def strace() -> str:
    found = shutil.which("strace")
    if found is None:
        pytest.skip("needs strace to see what is synced (apt install strace)")
    if subprocess.run([found, "-o", os.devnull, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let strace look at processes")
    return found


@pytest.mark.parametrize(("synchronous", "kept"), [("FULL", True), ("NORMAL", False), ("OFF", False)])
def test_every_acknowledgement_comes_after_the_sync_of_its_log(
    home: Path, strace: str, synchronous: str, kept: bool
) -> None:
    trace = home / "trace"
    command = [sys.executable, "-m", "tests.faults.process", str(home), synchronous, str(COMMITS)]
    calls = ["-f", "-y", "-e", "trace=pwrite64,write,fsync,fdatasync", "-o", str(trace)]
    subprocess.run([strace, *calls, *command], cwd=REPOSITORY, check=True, capture_output=True, timeout=120)
    unsynced = unsynced_at_acknowledgements(trace.read_text(errors="replace"))
    assert len(unsynced) == COMMITS
    assert all(count == 0 for count in unsynced) == kept, unsynced
    if not kept:
        assert sum(count > 0 for count in unsynced) > COMMITS // 2


CALL = re.compile(r"(?P<pid>\d+) +(?P<call>pwrite64|write|fsync|fdatasync)\(\d+<(?P<path>[^>]*)>(?P<rest>.*)")
RESUMED = re.compile(r"(?P<pid>\d+) +<\.\.\. (?P<call>\w+) resumed>")
LOG = "backbridge.sqlite-wal"


def unsynced_at_acknowledgements(trace: str) -> list[int]:
    """
    For each acknowledgement, how many writes to the log had not been followed by a finished sync of it.

    A sync covers the writes before it began, and counts from where it ended.
    """
    written, synced, counts = 0, 0, []
    syncing: dict[str, int] = {}
    for line in trace.splitlines():
        if (resumed := RESUMED.match(line)) and resumed["pid"] in syncing:
            synced = max(synced, syncing.pop(resumed["pid"]))
        call = CALL.match(line)
        if call is None:
            continue
        if call["call"] == "write" and '"acknowledged ' in call["rest"]:
            counts.append(written - synced)
        elif not call["path"].endswith(LOG):
            continue
        elif call["call"] == "pwrite64":
            written += 1
        elif "<unfinished" in call["rest"]:
            syncing[call["pid"]] = written
        else:
            synced = written
    return counts
