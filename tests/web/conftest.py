"""A served installation, and browsers for the people in it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import httpx
import pytest

from mappings.demographics import check_digit
from tests.web.browser import Browser
from tests.web.installation import EMAIL, PASSPHRASE, Installation
from tests.web.serving import free_port, served

_numbers = itertools.count(900_000_000)


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """People and a record, served once; every test brings patients of its own."""
    port = free_port()
    made = Installation(tmp_path_factory.mktemp("web"), f"http://127.0.0.1:{port}")
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
def person() -> dict[str, str]:
    """What a clinic writes down about somebody whom no other test knows."""
    nine = str(next(n for n in _numbers if check_digit(str(n)) is not None))
    return {
        "nhs": f"{nine}{check_digit(nine)}",
        "given": "Anna",
        "family": f"Example {nine}",
        "born__day": "27",
        "born__month": "3",
        "born__year": "1985",
        "checked": "yes",
    }


@pytest.fixture
def patient_id(clinician: Browser, person: dict[str, str]) -> str:
    """A registered patient."""
    clinician.open("/patients/new").submit(**person)
    return clinician.url.split("/")[2]


@pytest.fixture
def patient(installation: Installation, visitor: Callable[[], Browser], patient_id: str) -> Browser:
    """Activated and signed in; the name to sign in with is `anna-` and the id."""
    browser = visitor()
    code = installation.code_for(patient_id)
    browser.open("/activate").submit(code=code, handle=f"anna-{patient_id}", secret="738291")
    assert browser.url == "/start"
    return browser
