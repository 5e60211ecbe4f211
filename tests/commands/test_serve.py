"""`backbridge serve` as an operator meets it: it starts, says what it refuses in one line, and stops cleanly."""

from __future__ import annotations

import datetime
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.people.local_token import local_token
from gateway.store.sqlite import SQLiteDatabase
from gateway.store.store import now_us

PERSON = '{"resourceType":"Patient","name":[{"family":"Sand"}]}'
FHIR = {"content-type": "application/fhir+json"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "gateway.cli", *arguments]


def environment(home: Path, **more: str) -> dict[str, str]:
    return os.environ | {"BACKBRIDGE_HOME": str(home), **more}


@contextmanager
def serving(
    home: Path, *options: str, verify: ssl.SSLContext | bool = True, **more: str
) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
    """A running gateway and a client at its base URL."""
    port = free_port()
    process = subprocess.Popen(command("serve", "--port", str(port), *options), env=environment(home, **more))
    scheme = "http" if verify is True else "https"
    client = httpx.Client(base_url=f"{scheme}://127.0.0.1:{port}", verify=verify, timeout=20)
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                client.get("/livez")
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield process, client
    finally:
        client.close()
        process.terminate()
        process.wait(30)


def refusal(home: Path, *arguments: str, **more: str) -> str:
    done = subprocess.run(
        command(*arguments), env=environment(home, **more), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    return done.stderr.strip()


def test_a_new_home_becomes_a_ready_gateway_that_keeps_what_it_was_given(tmp_path: Path) -> None:
    with serving(tmp_path, "--open-access") as (process, client):
        assert client.get("/livez").json() == {"status": "alive"}
        assert client.get("/readyz").json()["status"] == "ready"
        made = client.post("/fhir/Patient", content=PERSON, headers=FHIR)
        assert made.status_code == 201
        path = made.headers["location"].split("/_history")[0]
    assert process.returncode == 0
    with serving(tmp_path, "--open-access") as (_, client):
        assert client.get(httpx.URL(path).path).json()["name"] == [{"family": "Sand"}]


def test_without_a_token_nothing_clinical_is_answered(tmp_path: Path) -> None:
    with serving(tmp_path) as (_, client):
        refused = client.get("/fhir/Patient")
        assert (refused.status_code, refused.json()["resourceType"]) == (401, "OperationOutcome")
        assert refused.headers["www-authenticate"].startswith("Bearer")
        database = SQLiteDatabase(tmp_path / "backbridge.sqlite")
        token = local_token(database, scope="system/*.rs", organization="Organization/clinic", now_us=now_us())
        database.close()
        assert client.get("/fhir/Patient", headers={"authorization": f"Bearer {token}"}).status_code == 200


def test_sigterm_under_load_loses_no_acknowledged_write(tmp_path: Path) -> None:
    acknowledged: list[str] = []
    with serving(tmp_path, "--open-access") as (process, client):

        def write() -> None:
            with httpx.Client(base_url=client.base_url, timeout=20) as own:
                while True:
                    try:
                        made = own.post("/fhir/Patient", content=PERSON, headers=FHIR)
                    except httpx.TransportError:
                        return
                    if made.status_code != 201:
                        return
                    acknowledged.append(made.headers["location"].split("/")[-3])

        threads = [threading.Thread(target=write) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(1.0)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        for thread in threads:
            thread.join(30)
    assert acknowledged
    with serving(tmp_path, "--open-access") as (_, client):
        stored: set[str] = set()
        url: str | None = "/fhir/Patient?_count=1000"
        while url:
            page = client.get(url).json()
            stored |= {entry["resource"]["id"] for entry in page["entry"]}
            url = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
    assert set(acknowledged) <= stored


def test_tls_files_make_it_speak_https(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    files = {"BACKBRIDGE_TLS_CERTIFICATE": str(certificate), "BACKBRIDGE_TLS_KEY": str(key)}
    with serving(tmp_path, verify=ssl.create_default_context(cafile=str(certificate)), **files) as (_, client):
        statement = client.get("/fhir/metadata").json()
        assert statement["implementation"]["url"].startswith("https://")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1"])
def test_open_access_is_refused_on_any_address_but_this_machines_own(tmp_path: Path, host: str) -> None:
    assert refusal(tmp_path, "serve", "--open-access", "--host", host) == (
        f"backbridge: --open-access listens on this machine only, not on {host}"
    )


def test_a_port_that_is_taken_and_settings_that_are_wrong_are_told_in_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        said = refusal(tmp_path, "serve", "--port", str(taken.getsockname()[1]))
    assert said.startswith("backbridge: cannot listen on 127.0.0.1:")
    assert len(said.splitlines()) == 1
    wrong = refusal(tmp_path, "serve", BACKBRIDGE_PAGE_MAX="many")
    assert wrong.startswith("backbridge: BACKBRIDGE_PAGE_MAX: ")
    assert len(wrong.splitlines()) == 1


def self_signed(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "certificate.pem", folder / "key.pem"
