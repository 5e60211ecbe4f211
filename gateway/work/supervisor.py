"""The processes beside this one: started with it, started again when they die, stopped with it."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType

from gateway.observe.measures import CHILD_RESTARTS
from gateway.settings import Settings

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
_HEALTHY_SECONDS = 60.0
# What only the first process may tell the service manager.
_ITS_OWN = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Child:
    """
    One process of our own.

    arguments    of the `backbridge` command
    descriptors  open files that it inherits under the same numbers
    """

    arguments: Sequence[str]
    settings: Settings
    descriptors: Sequence[int] = ()

    def start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "gateway.cli", *self.arguments, "--parent", str(os.getpid())]
        return subprocess.Popen(  # noqa: S603 - our own
            command, env=_environment(self.settings), pass_fds=tuple(self.descriptors)
        )


def job_workers(settings: Settings, count: int) -> list[Child]:
    """The job children."""
    return [Child(("worker",), settings)] * count


class Supervisor:
    """Keeps the children running while the context is open; at its end they finish what they have begun."""

    def __init__(self, children: Sequence[Child], drain_seconds: float) -> None:
        self._drain_seconds = drain_seconds
        self._stopping = threading.Event()
        self._keepers = [_Keeper(child, self._stopping) for child in children]

    def __enter__(self) -> Supervisor:
        for keeper in self._keepers:
            keeper.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        for keeper in self._keepers:
            keeper.ask_to_end()
        deadline = time.monotonic() + self._drain_seconds
        for keeper in self._keepers:
            keeper.join_or_kill(deadline)


class _Keeper(threading.Thread):
    """Keeps one child running."""

    def __init__(self, child: Child, stopping: threading.Event) -> None:
        super().__init__(name="supervisor", daemon=True)
        self._child = child
        self._stopping = stopping
        self._starting = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while (process := self._begun()) is not None:
            began = time.monotonic()
            code = process.wait()
            if not self._stopping.is_set():
                CHILD_RESTARTS.add()
                _log.error("child.ended", extra={"code": code})
            healthy = time.monotonic() - began > _HEALTHY_SECONDS
            pause = _FIRST_PAUSE_SECONDS if healthy else min(pause * 2, _LONGEST_PAUSE_SECONDS)
            self._stopping.wait(pause)

    def ask_to_end(self) -> None:
        with self._starting:
            if self._process is not None:
                with contextlib.suppress(ProcessLookupError):
                    self._process.send_signal(signal.SIGTERM)

    def join_or_kill(self, deadline: float) -> None:
        self.join(max(0.0, deadline - time.monotonic()))
        if self.is_alive() and self._process is not None:
            self._process.kill()
        self.join()

    def _begun(self) -> subprocess.Popen[bytes] | None:
        """The child, started; None where the end has come. Nobody starts between that and the asking to end."""
        with self._starting:
            if self._stopping.is_set():
                return None
            self._process = self._child.start()
            return self._process


def _environment(settings: Settings) -> Mapping[str, str]:
    """The parent's environment, with every setting as the parent has it, options of the command line included."""
    values = settings.model_dump(mode="json", exclude_none=True)
    inherited = {name: value for name, value in os.environ.items() if name not in _ITS_OWN}
    return inherited | {f"BACKBRIDGE_{name.upper()}": str(value) for name, value in values.items()}
