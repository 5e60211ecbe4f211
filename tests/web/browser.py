"""A browser without script: follows redirects, keeps cookies, fills in the forms of the page it is on."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

import httpx


@dataclass
class Control:
    name: str
    value: str
    kind: str
    is_checked: bool = False


@dataclass
class PageForm:
    action: str
    method: str
    controls: list[Control] = field(default_factory=list)

    def data(self) -> dict[str, list[str]]:
        """What the browser would send if nothing were changed."""
        sent: dict[str, list[str]] = {}
        for control in self.controls:
            if control.kind in ("radio", "checkbox") and not control.is_checked:
                continue
            if control.kind not in ("submit", "button", "file"):
                sent.setdefault(control.name, []).append(control.value)
        return sent


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[PageForm] = []
        self.links: list[str] = []
        self.texts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(PageForm(found.get("action", ""), found.get("method", "get")))
        elif tag in ("input", "button", "textarea") and self.forms and "name" in found:
            kind = found.get("type", "submit" if tag == "button" else "text")
            value = found.get("value", "on" if kind == "checkbox" else "")
            self.forms[-1].controls.append(Control(found["name"], value, kind, "checked" in found))
        elif tag == "a":
            self.links.append(found.get("href", ""))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@dataclass
class Browser:
    """One person's browser."""

    client: httpx.Client
    status: int = 0
    html: str = ""
    url: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def open(self, path: str) -> Browser:
        return self._took(self.client.get(path))

    def submit(self, action: str | None = None, **fields: str | list[str] | None) -> Browser:
        """Send the form with this action (else the page's main one) with some fields set; None leaves a field out."""
        form = self.form(action)
        data = form.data()
        for name, value in fields.items():
            key = name.replace("__", "-")
            if value is None:
                data.pop(key, None)
            else:
                data[key] = value if isinstance(value, list) else [value]
        return self._took(self.client.post(form.action, data=data))

    def form(self, action: str | None = None) -> PageForm:
        forms = [form for form in self.forms if form.action != "/sign-out" or action == "/sign-out"]
        return next(form for form in forms if action is None or form.action == action)

    @property
    def forms(self) -> list[PageForm]:
        return self._read().forms

    @property
    def links(self) -> list[str]:
        return self._read().links

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self._read().texts)).strip()

    def _read(self) -> _Reader:
        reader = _Reader()
        reader.feed(self.html)
        return reader

    def _took(self, response: httpx.Response) -> Browser:
        self.status = response.status_code
        self.html = response.text
        self.url = response.url.path
        self.headers = dict(response.headers)
        return self
