"""The calls of README.md, run as they are written against a gateway, answer what README.md shows."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```bash\n(.*?)```\n\n```json\n(.*?)```|```bash\n(.*?)```", README, re.DOTALL)
_MARK = "--- next ---"
# What differs from run to run: ids that the server chose, and moments.
_OWN = re.compile(r"[0-7][0-9a-z]{12}|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def test_readme_has_five_numbered_calls_with_answers() -> None:
    assert re.findall(r"^\*\*(\d)\.", README, re.MULTILINE) == list("12345")
    assert all(answer for _, answer, alone in EXAMPLES if not alone)


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl, with which README.md makes its calls")
def test_readme_calls_answer_what_readme_shows(gateway: tuple[str, dict[str, str]]) -> None:
    base, environment = gateway
    blocks = [call or alone for call, _, alone in EXAMPLES]
    script = f"\necho; echo '{_MARK}'\n".join(blocks)
    script = script.replace("http://127.0.0.1:8000", base)
    script = script.replace(".venv/bin/backbridge", f"{sys.executable} -m gateway.cli")
    ran = subprocess.run(
        ["bash", "-eu"], input=script, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    answers = ran.stdout.split(_MARK)
    for (_, shown, _), answer in zip(EXAMPLES, answers, strict=True):
        assert _is_part(json.loads(shown), json.loads(answer)), f"README.md shows {shown}, the answer is {answer}"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """A gateway on a free port with an empty home; its base URL and the environment of its commands."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"BACKBRIDGE_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "gateway.cli", "serve", "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    base = f"http://127.0.0.1:{port}"
    try:
        _await(f"{base}/readyz", process)
        yield base, environment
    finally:
        process.terminate()
        process.wait(30)


def _await(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert process.poll() is None, "the gateway has ended"
        try:
            with urlopen(url):
                return
        except URLError:
            time.sleep(0.1)
    raise AssertionError("the gateway did not become ready in 30 seconds")


def _is_part(shown: Any, answer: Any) -> bool:
    """Whether all that is shown is in the answer; lists are shortened at their end."""
    if isinstance(shown, dict):
        return isinstance(answer, dict) and all(k in answer and _is_part(v, answer[k]) for k, v in shown.items())
    if isinstance(shown, list):
        return len(shown) <= len(answer) and all(map(_is_part, shown, answer))
    if isinstance(shown, str) and _OWN.fullmatch(shown):
        return isinstance(answer, str) and _OWN.fullmatch(answer) is not None
    return bool(shown == answer)
