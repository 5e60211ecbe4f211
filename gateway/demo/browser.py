"""A browser without a screen: pages, links and forms as people meet them, over real HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlsplit

import httpx

_CLICKED = ("submit", "button", "image", "reset", "file")


class UnexpectedPage(Exception):
    """The page is not the one that the story needs; the sentence says what was missing."""


@dataclass
class Form:
    """A form with the values that it has when the page opens."""

    action: str
    fields: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Page:
    """A page as the browser shows it: its address, its words, its links and its forms."""

    path: str
    status: int
    text: str = ""
    links: list[str] = field(default_factory=list)
    forms: list[Form] = field(default_factory=list)

    def form(self, action: str) -> Form:
        """The first form that goes to this path."""
        found = next((form for form in self.forms if form.action == action), None)
        if found is None:
            raise UnexpectedPage(f"{self.path} (status {self.status}) has no form for {action}")
        return found

    def link(self, start: str) -> str | None:
        """The first link whose path begins so."""
        return next((link for link in self.links if link.startswith(start)), None)


class Browser:
    """One person's browser, with its cookies."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, follow_redirects=True, timeout=30)

    def close(self) -> None:
        self._client.close()

    def open(self, path: str) -> Page:
        return _page(self._client.get(path))

    def submit(self, form: Form, values: Mapping[str, str | Sequence[str]]) -> Page:
        """Fill the form in and send it; `values` stand in for what the form had under the same names."""
        kept = [(name, value) for name, value in form.fields if name not in values]
        given = [(n, each) for n, v in values.items() for each in ([v] if isinstance(v, str) else v)]
        data: dict[str, list[str]] = {}
        for name, value in (*kept, *given):
            data.setdefault(name, []).append(value)
        return _page(self._client.post(form.action, data=data))

    def upload(self, form: Form, name: str, content: bytes) -> Page:
        """Send the form with a file."""
        return _page(self._client.post(form.action, data=dict(form.fields), files={"file": (name, content)}))

    def json(self, path: str) -> dict[str, object]:
        answer = self._client.get(path)
        if answer.status_code != 200:
            raise UnexpectedPage(f"{path} answered {answer.status_code}")
        found: dict[str, object] = answer.json()
        return found


def _page(answer: httpx.Response) -> Page:
    page = Page(answer.url.path, answer.status_code)
    reader = _Reader(page)
    reader.feed(answer.text)
    page.text = " ".join(" ".join(reader.words).split())
    return page


class _Reader(HTMLParser):
    """Collects what a page offers."""

    def __init__(self, page: Page) -> None:
        super().__init__()
        self._page = page
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in given:
            self._page.links.append(given["href"])
        elif tag == "form":
            self._page.forms.append(Form(urlsplit(given.get("action", self._page.path)).path))
        elif tag == "input" and self._page.forms and given.get("type") not in _CLICKED:
            self._field(given)

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def _field(self, given: dict[str, str]) -> None:
        is_choice = given.get("type") in ("radio", "checkbox")
        if "name" in given and (not is_choice or "checked" in given):
            self._page.forms[-1].fields.append((given["name"], given.get("value", "on" if is_choice else "")))
