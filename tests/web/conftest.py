"""A served installation, and browsers for the people in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.web.browser import Browser
from tests.web.installation import EMAIL, NHS_NUMBER, PASSPHRASE, Installation
from tests.web.serving import free_port, served


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    """People and an empty record, served."""
    port = free_port()
    made = Installation(tmp_path, f"http://127.0.0.1:{port}")
    with served(made.settings, port):
        yield made
    made.database.close()


@pytest.fixture
def visitor(installation: Installation) -> Iterator[Callable[[], Browser]]:
    """Makes fresh browsers, each with cookies of its own."""
    clients: list[httpx.Client] = []

    def browser() -> Browser:
        clients.append(httpx.Client(base_url=installation.base_url, follow_redirects=True, timeout=30))
        return Browser(clients[-1])

    yield browser
    for client in clients:
        client.close()


@pytest.fixture
def clinician(visitor: Callable[[], Browser]) -> Browser:
    """Signed in."""
    browser = visitor()
    browser.open("/sign-in/staff").submit(email=EMAIL, secret=PASSPHRASE)
    assert browser.url == "/panel"
    return browser


@pytest.fixture
def patient_id(clinician: Browser) -> str:
    """A registered patient."""
    clinician.open("/patients/new").submit(
        nhs=NHS_NUMBER, given="Anna", family="Example", born__day="27", born__month="3", born__year="1985", checked="yes"
    )
    return clinician.url.split("/")[2]


@pytest.fixture
def patient(installation: Installation, visitor: Callable[[], Browser], patient_id: str) -> Browser:
    """Activated and signed in."""
    browser = visitor()
    code = installation.code_for(patient_id)
    browser.open("/activate").submit(code=code, handle="anna", secret="738291")
    assert browser.url == "/start"
    return browser
