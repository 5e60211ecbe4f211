"""The rooms of the house: imports point one way, and a gateway process stays light (architecture rules 1 and 9)."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
OURS = ("consent", "gateway", "mappings", "recommender", "sensors")
LIBRARIES = tuple(name for name in OURS if name != "gateway")
HEAVY = ("numpy", "pandas", "scipy", "sklearn", "matplotlib")


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports anywhere in it, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = ".".join(path.relative_to(ROOT).with_suffix("").parts[: -node.level]) if node.level else ""
            base = ".".join(filter(None, (package, node.module)))
            yield base
            yield from (f"{base}.{name.name}" for name in node.names)


def is_inside(module: str, room: str) -> bool:
    return module == room or module.startswith(f"{room}.")


def from_elsewhere(room: str) -> list[str]:
    """What the files of a room import of our other rooms."""
    files = sorted((ROOT / room.replace(".", "/")).rglob("*.py"))
    assert files, f"{room} has no files"
    return [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in files
        for module in imported(path)
        if any(is_inside(module, own) for own in OURS) and not is_inside(module, room)
    ]


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_imports_none_of_our_other_packages(library: str) -> None:
    assert from_elsewhere(library) == []


def test_the_facts_of_r4_import_nothing_of_ours() -> None:
    assert from_elsewhere("gateway.r4") == []


def test_observation_imports_nothing_of_ours_so_that_every_room_may_count_and_log() -> None:
    assert from_elsewhere("gateway.observe") == []


def test_the_store_knows_no_transport_and_no_page() -> None:
    doors = ("fhir", "smart", "web", "commands", "work", "demo", "intake", "people")
    found = [line for line in from_elsewhere("gateway.store") if any(f" gateway.{door}" in line for door in doors)]
    # Migrations know every table there is, whoever declares it.
    assert [line for line in found if not line.startswith("gateway/store/migrations/")] == []


def test_nothing_but_the_commands_and_the_job_child_loads_the_demonstration() -> None:
    allowed = ("gateway/demo/", "gateway/commands/demo.py", "gateway/work/worker.py")
    found = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "gateway").rglob("*.py")
        if any(is_inside(module, "gateway.demo") for module in imported(path))
    ]
    assert [path for path in found if not path.startswith(allowed)] == []


@pytest.mark.parametrize("module", ["gateway.app", "gateway.cli"])
def test_a_gateway_process_imports_no_number_cruncher(module: str) -> None:
    script = f"import sys, {module}; print(*sorted(set({HEAVY!r}) & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_a_forbidden_import_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    (tmp_path / "sensors").mkdir()
    (tmp_path / "sensors" / "day.py").write_text("def f():\n    from gateway.store import store\n", "utf-8")
    assert from_elsewhere("sensors") == [
        "sensors/day.py imports gateway.store",
        "sensors/day.py imports gateway.store.store",
    ]
