"""The service and the container as files: what can be checked of them without starting either."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.observe.fields import FIELDS
from gateway.observe.logs import EVENTS
from gateway.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "docs" / "deploy"
UNITS = sorted(DEPLOY.glob("*.service")) + sorted(DEPLOY.glob("*.timer"))
CONTAINER = (DEPLOY / "Containerfile").read_text("utf-8")
# systemd calls up to 2 "OK"; what is left is the network and the files that the service needs.
MOST_EXPOSURE = "20"


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The units with a program that is on this machine."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze (apt install systemd)")
    folder = tmp_path_factory.mktemp("units")
    for unit in UNITS:
        text = unit.read_text("utf-8").replace("/opt/backbridge/.venv/bin/backbridge", sys.executable)
        (folder / unit.name).write_text(text, "utf-8")
    return [str(folder / unit.name) for unit in UNITS]


def analysed(*words: str) -> str:
    done = subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_systemd_finds_nothing_wrong_with_the_units(units: list[str]) -> None:
    assert analysed("verify", *units) == ""


def test_systemd_finds_something_wrong_with_a_wrong_unit(units: list[str], tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.service"
    wrong.write_text(
        Path(units[0]).read_text("utf-8").replace("ProtectSystem=strict", "ProtectSystem=perhaps"), "utf-8"
    )
    done = subprocess.run(["systemd-analyze", "verify", wrong], capture_output=True, text=True, check=False)
    assert "Failed to parse" in done.stderr


@pytest.mark.parametrize("name", ["backbridge.service", "backbridge-backup.service"])
def test_the_services_are_locked_in(units: list[str], name: str) -> None:
    (unit,) = (each for each in units if each.endswith(f"/{name}"))
    analysed("security", "--offline=true", f"--threshold={MOST_EXPOSURE}", unit)


def test_what_the_container_copies_is_there_and_every_package_of_ours_is_copied() -> None:
    copied = re.findall(r"^COPY (?!--from)(\S+) ", CONTAINER, re.MULTILINE)
    assert all((ROOT / each).exists() for each in copied)
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert packages <= set(copied)


def test_the_container_installs_locked_wheels_and_runs_as_nobody_in_particular() -> None:
    assert "--require-hashes --only-binary :all: -r /build/requirements.txt" in CONTAINER
    last = CONTAINER[CONTAINER.rindex("\nFROM ") :]
    (user,) = re.findall(r"^USER (\d+):\d+$", last, re.MULTILINE)
    assert int(user) >= 1000
    assert "HEALTHCHECK" in last
    assert "pip" not in last


def test_neither_names_a_host_to_fetch_from() -> None:
    for path in [*UNITS, DEPLOY / "Containerfile"]:
        text = re.sub(r"http://127\.0\.0\.1:\d+", "", path.read_text("utf-8"))
        assert not re.findall(r"https?://|\b[\w-]+\.(?:io|org|com)\b", text), path.name


def test_settings_that_they_name_exist() -> None:
    known = {f"BACKBRIDGE_{name.upper()}" for name in Settings.model_fields}
    for path in [*UNITS, DEPLOY / "Containerfile"]:
        assert set(re.findall(r"BACKBRIDGE_[A-Z_]+[A-Z]", path.read_text("utf-8"))) <= known, path.name


def test_every_event_and_field_of_the_log_is_in_the_operators_page() -> None:
    page = (ROOT / "docs" / "operations.md").read_text("utf-8")
    assert [name for name in (*EVENTS, *FIELDS) if f"| `{name}` |" not in page] == []
