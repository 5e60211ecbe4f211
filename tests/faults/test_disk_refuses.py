"""A disk that takes nothing more, seen by clients of a running gateway: 503, nothing lost, and on without a restart.

Three ways to it, because no one of them works everywhere: a limit on the length of files (anybody may set it on their
own processes), a small file system of one's own (needs user namespaces), files made immutable (needs root).
"""

from __future__ import annotations

import contextlib
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import httpx
import pytest

from gateway.people import care
from gateway.r4.identity import key_of
from gateway.settings import Settings
from gateway.store.database import open_database
from tests.faults.operations import answered_by
from tests.faults.serving import REPOSITORY, Gateway, children, compiling_once, running, wait_until

PERSON = {"resourceType": "Patient", "name": [{"family": "Disk"}]}
# Room for the files of a new installation, and for not much more.
SMALL, LARGE = "size=24m", "size=512m"


@contextlib.contextmanager
def no_file_may_grow(gateway: Gateway) -> Iterator[None]:
    """No byte is written to any file by the gateway or its job child."""
    pids = [gateway.pid, *children(gateway.pid)]
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for pid in pids:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
    yield
    for pid in [gateway.pid, *children(gateway.pid)]:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))


@contextlib.contextmanager
def files_are_immutable(gateway: Gateway) -> Iterator[None]:
    """What root can do to a database file under a running gateway; permissions would not bind open files."""
    files = [str(path) for path in gateway.home.iterdir() if path.name.endswith((".sqlite", ".sqlite-wal"))]
    chattr = shutil.which("chattr")
    if chattr is None or subprocess.run([chattr, "+i", *files], capture_output=True, check=False).returncode:
        pytest.skip("needs root and a file system that knows immutable files")
    try:
        yield
    finally:
        subprocess.run([chattr, "-i", *files], check=True)


@pytest.mark.parametrize("refusing", [no_file_may_grow, files_are_immutable])
def test_when_nothing_can_be_written_clients_are_told_and_all_goes_on_when_it_can(
    tmp_path: Path, refusing: Callable[[Gateway], contextlib.AbstractContextManager[None]]
) -> None:
    with running(tmp_path / "home") as gateway, gateway.client() as client:
        gateway.job_child()
        acknowledged = [created(client) for _ in range(20)]
        with refusing(gateway):
            for _ in range(5):
                told_nothing_is_stored(client.post("/Patient", json=PERSON))
            # A read that cannot be recorded is not answered either.
            told_nothing_is_stored(client.get(f"/Patient/{acknowledged[0]}"))
            assert client.get("/metadata").status_code == 200
        acknowledged += [created(client) for _ in range(5)]
        assert stored(client) == set(acknowledged)
        assert gateway.process_ended() is False
        the_job_child_works(gateway, client)


def test_a_full_file_system_is_told_and_work_goes_on_when_there_is_room(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with running(home, prefix=on_a_file_system(home, SMALL)) as gateway, gateway.client() as client:
        acknowledged, answer = [], client.get("/metadata")
        filler = PERSON | {
            "text": {"status": "generated", "div": f"<div xmlns='http://www.w3.org/1999/xhtml'>{'x' * 50_000}</div>"}
        }
        while answer.status_code != 503:
            answer = client.post("/Patient", json=filler)
            if answer.status_code == 201:
                acknowledged.append(answer.headers["location"].split("/")[-3])
        told_nothing_is_stored(answer)
        assert len(acknowledged) > 20, "there was room for some"
        remount(gateway, LARGE)
        acknowledged += [created(client) for _ in range(5)]
        assert stored(client) == set(acknowledged)


def test_a_read_only_home_refuses_to_start_in_one_line(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    command = [*on_a_file_system(home, "ro"), sys.executable, "-m", "gateway.cli", "serve", "--port", "1024"]
    environment = compiling_once() | {"BACKBRIDGE_HOME": str(home)}
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "Read-only file system" in done.stderr


def on_a_file_system(home: Path, options: str) -> Sequence[str]:
    """The beginning of a command that sees a file system of its own at `home`."""
    alone = ["unshare", "--user", "--map-root-user", "--mount"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*alone, "mount", "-t", "tmpfs", "none", str(home)], check=False).returncode
    ):
        pytest.skip("this machine gives nobody a file system of their own (unshare --user --mount)")
    return (*alone, "sh", "-c", f'mount -t tmpfs -o {options} none "{home}" && exec "$@"', "sh")


def remount(gateway: Gateway, options: str) -> None:
    inside = ["nsenter", f"--target={gateway.pid}", "--user", "--mount", "--preserve-credentials"]
    subprocess.run([*inside, "mount", "-o", f"remount,{options}", str(gateway.home)], check=True)


def told_nothing_is_stored(answer: httpx.Response) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.json()["issue"][0]["code"] == "no-store"
    assert int(answer.headers["retry-after"]) >= 1


def created(client: httpx.Client) -> str:
    answer = client.post("/Patient", json=PERSON)
    assert answer.status_code == 201, answer.text
    return answer.headers["location"].split("/")[-3]


def stored(client: httpx.Client) -> set[str]:
    found: set[str] = set()
    url: str | None = "/Patient?family=Disk&_count=100"
    while url:
        page = client.get(url).json()
        found |= {entry["resource"]["id"] for entry in page["entry"]}
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
    return found


def the_job_child_works(gateway: Gateway, client: httpx.Client) -> None:
    """An answered questionnaire is scored, by the same child or by its successor."""
    patient = created(client)
    database = open_database(Settings(home=gateway.home))
    care.admit_plan_engine(database, key_of("Patient", patient))
    database.close()
    assert client.post("/QuestionnaireResponse", json=answered_by(patient, "pain-nrs")).status_code == 201
    scores = f"/Observation?subject=Patient/{patient}&_summary=count"
    wait_until(lambda: client.get(scores).json()["total"] > 0, "the answers are scored")
