"""The job child beside the gateway: started with it, started again when it dies, stopped with it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from types import TracebackType

from gateway.settings import Settings

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
_HEALTHY_SECONDS = 60.0


class Supervisor:
    """Keeps one `backbridge worker` running while the context is open."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._child: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep_running, name="supervisor", daemon=True)

    def __enter__(self) -> Supervisor:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        child = self._child
        if child is not None:
            with contextlib.suppress(ProcessLookupError):
                child.send_signal(signal.SIGTERM)
            try:
                child.wait(self._settings.drain_seconds)
            except subprocess.TimeoutExpired:
                child.kill()
        self._thread.join()

    def _keep_running(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while not self._stopping.is_set():
            began = time.monotonic()
            self._child = subprocess.Popen(_command(), env=_environment(self._settings))  # noqa: S603 - our own
            self._child.wait()
            healthy = time.monotonic() - began > _HEALTHY_SECONDS
            pause = _FIRST_PAUSE_SECONDS if healthy else min(pause * 2, _LONGEST_PAUSE_SECONDS)
            self._stopping.wait(pause)


def _command() -> list[str]:
    return [sys.executable, "-m", "gateway.cli", "worker", "--parent", str(os.getpid())]


def _environment(settings: Settings) -> dict[str, str]:
    """The parent's environment, with every setting as the parent has it, options of the command line included."""
    values = settings.model_dump(mode="json", exclude_none=True)
    return os.environ | {f"BACKBRIDGE_{name.upper()}": str(value) for name, value in values.items()}
