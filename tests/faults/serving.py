"""`backbridge serve` as an operator starts it: real processes on loopback, to be killed, starved, paused and asked."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(is_so: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    ends = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < ends, f"waited in vain: {what}"
        time.sleep(0.02)


@dataclass
class Gateway:
    """
    One installation in `home`; `start` and `kill` as often as wanted, always on the same port.

    settings  by their names in the environment, such as BACKBRIDGE_CLIENT_SECONDS
    prefix    a command that becomes the gateway, such as `unshare …`
    """

    home: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    options: Sequence[str] = ("--open-access",)
    prefix: Sequence[str] = ()
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.home.parent / f"{self.home.name}.log"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self) -> Gateway:
        """Returns once it answers."""
        command = [*self.prefix, sys.executable, "-m", "gateway.cli", "serve", "--port", str(self.port), *self.options]
        environment = compiling_once() | {"BACKBRIDGE_HOME": str(self.home), **self.settings}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=log, stderr=log)
        wait_until(lambda: self.answers() or self.process_ended(), "the gateway starts")
        assert not self.process_ended(), self.log.read_text()
        return self

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/livez", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def process_ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def job_child(self) -> int:
        """The process id of the job child, once there is one."""
        found: list[int] = []

        def is_there() -> bool:
            found[:] = [pid for pid in children(self.pid) if b"worker" in command_of(pid)]
            return bool(found)

        wait_until(is_there, "the job child starts")
        return found[0]

    def kill(self) -> None:
        """kill -9 of the gateway; its job child notices by itself, as it must."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self.process.wait(PATIENCE_SECONDS)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            os.kill(self.pid, signal.SIGTERM)
        return self.process.wait(PATIENCE_SECONDS)

    def client(self, **options: float) -> httpx.Client:
        return httpx.Client(base_url=f"{self.url}/fhir", headers=FHIR, timeout=options.get("timeout", 30.0))

    def peak_memory(self) -> int:
        """The most bytes that were ever resident in the gateway's process."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmHWM")


FHIR = {"content-type": "application/fhir+json"}


@contextlib.contextmanager
def running(
    home: Path, *, prefix: Sequence[str] = (), options: Sequence[str] = ("--open-access",), **settings: str
) -> Iterator[Gateway]:
    """A gateway that answers; stopped at the end, however it is found then."""
    gateway = Gateway(home, settings=settings, prefix=prefix, options=options)
    try:
        yield gateway.start()
    finally:
        end(gateway)


def end(gateway: Gateway) -> None:
    """Whatever state it is in, nothing of it is left."""
    if gateway.process is None or gateway.process.poll() is not None:
        return
    family = [gateway.pid, *children(gateway.pid)]
    for pid in family:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    try:
        gateway.stop()
    except subprocess.TimeoutExpired:
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        gateway.process.wait(PATIENCE_SECONDS)


def compiling_once() -> dict[str, str]:
    """This environment; where it says that no compiled code is kept, starting again and again would take minutes."""
    environment = dict(os.environ)
    if environment.pop("PYTHONDONTWRITEBYTECODE", ""):
        environment["PYTHONPYCACHEPREFIX"] = str(Path(tempfile.gettempdir()) / "backbridge-compiled")
    return environment


def children(pid: int) -> list[int]:
    """The processes that this one started and that still live."""
    try:
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        tasks = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except FileNotFoundError:
        return []
    return sorted({int(each) for text in (listed, *tasks) for each in text.split()})


def command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""
