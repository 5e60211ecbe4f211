"""Automatic accessibility checks of a page as it is, with axe-core (WCAG 2.0 to 2.2, levels A and AA)."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_axe = Axe()


def violations(page: Page) -> list[str]:
    """One line for each rule that the page breaks, with the places."""
    options: dict[str, Any] = {"runOnly": {"type": "tag", "values": TAGS}, "resultTypes": ["violations"]}
    found = _axe.run(page, options=options).response["violations"]
    return [f"{page.url}: {rule['id']} {[node['target'] for node in rule['nodes']]}" for rule in found]


def widest_overflow(page: Page) -> int:
    """Pixels by which the page is wider than the window: 0 on a page that nobody has to scroll sideways."""
    wide: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return wide


def small_targets(page: Page) -> list[str]:
    """Buttons, tabs and option labels lower than 24 CSS pixels (WCAG 2.5.8)."""
    found: list[str] = page.evaluate(
        """Array.from(document.querySelectorAll('button, .button, .tabs a, .option, .way, .things a, .tasks a'))
           .filter((each) => each.offsetParent && each.getBoundingClientRect().height < 24)
           .map((each) => each.outerHTML.slice(0, 80))"""
    )
    return found
