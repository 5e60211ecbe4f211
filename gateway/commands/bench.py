"""`backbridge bench`: the benchmarks of the checkout, against floors in the same run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from gateway.commands.terminal import refuse

_CHECKOUT = Path(__file__).resolve().parents[2]


def bench(
    bundles: Annotated[int, typer.Option(min=1, help="100-entry bundles to load first.")] = 100,
    count: Annotated[int, typer.Option(min=100, help="Requests of each read workload.")] = 8_000,
) -> None:
    """Measure this machine: reads, searches, writes and loading, as shares of two floors."""
    if not (_CHECKOUT / "tests" / "benchmarks" / "run.py").exists():
        refuse("the benchmarks are part of the checkout; run this command from there")
    command = [sys.executable, "-m", "tests.benchmarks.run", "--bundles", str(bundles), "--count", str(count)]
    # The command is our own, from our own interpreter.
    raise typer.Exit(subprocess.run(command, cwd=_CHECKOUT, check=False).returncode)  # noqa: S603
