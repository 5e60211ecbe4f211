"""The installation's keys: made once, and on the disk with their names before anything is written with them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAKERS = {
    "root.key": "from gateway.store.keys import root_key as make; make(Path(sys.argv[1]))",
    "sign-in.key": "from gateway.people.hashing import sign_in_key as make; make(Path(sys.argv[1]) / 'keys')",
}


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_a_new_key_and_its_name_are_synced(tmp_path: Path, name: str) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("needs strace to see what is synced (apt install strace)")
    log = tmp_path / "calls"
    script = f"import sys; from pathlib import Path; {MAKERS[name]}"
    command = [strace, "-f", "-y", "-e", "trace=link,linkat,fsync", "-o", str(log), sys.executable, "-c", script]
    done = subprocess.run([*command, str(tmp_path / "home")], cwd=ROOT, capture_output=True, text=True, check=False)
    if "PTRACE" in done.stderr or "ptrace" in done.stderr:
        pytest.skip("this machine does not let strace look at processes")
    assert done.returncode == 0, done.stderr
    calls = re.findall(r"(fsync|link|linkat)\((.*)\)\s+= 0", log.read_text())
    linked = next(number for number, (call, what) in enumerate(calls) if call != "fsync" and name in what)
    assert any(call == "fsync" and "/keys/." in what for call, what in calls[:linked]), "the file itself"
    assert any(call == "fsync" and what.endswith("/keys>") for call, what in calls[linked:]), "the folder with its name"
