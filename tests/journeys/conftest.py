"""A running gateway with its job child's work, and real browsers on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.web.installation import Installation
from tests.web.serving import free_port, served

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PHONE, DESK = {"width": 360, "height": 780}, {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for all journeys."""
    if not CHROMIUM.exists():
        pytest.skip(f"Chromium is not installed at {CHROMIUM}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    """A clinic with a clinician, served."""
    port = free_port()
    made = Installation(tmp_path, f"http://127.0.0.1:{port}")
    with served(made.settings, port):
        yield made
    made.database.close()


@pytest.fixture
def somebody(chromium: Browser, installation: Installation) -> Iterator[Callable[..., Page]]:
    """Opens a browser of their own for somebody; whatever the content policy refuses fails the test."""
    contexts: list[BrowserContext] = []
    refused: list[str] = []

    def opened(*, phone: bool = True, script: bool = True, dark: bool = False) -> Page:
        context = chromium.new_context(
            base_url=installation.base_url,
            viewport=PHONE if phone else DESK,
            java_script_enabled=script,
            color_scheme="dark" if dark else "light",
            locale="en-GB",
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda said: refused.append(said.text) if "Content Security" in said.text else None)
        page.on("pageerror", lambda error: refused.append(str(error)))
        return page

    yield opened
    for context in contexts:
        context.close()
    assert refused == []
