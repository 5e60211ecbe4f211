"""Forms as the browser sends them, and what is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qs

from starlette.requests import Request

_MOST_BYTES = 65_536
_MOST_FIELDS = 200


class FormTooLarge(Exception):
    """The form is longer than any form of ours."""


class FormUnreadable(Exception):
    """The body is not a form."""


@dataclass(frozen=True, slots=True)
class Form:
    """Fields with their values in order; text is stripped."""

    fields: dict[str, list[str]] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """The first value without blanks around it; empty when there is none."""
        return self.raw(name).strip()

    def raw(self, name: str) -> str:
        """The first value as typed: passphrases may begin with a blank."""
        return next(iter(self.fields.get(name, ())), "")

    def all(self, name: str) -> list[str]:
        return self.fields.get(name, [])

    def has(self, name: str) -> bool:
        return name in self.fields


@dataclass(slots=True)
class Errors:
    """Message keys by field, in the order of the page; the template shows a summary and a line at each field."""

    by_field: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, key: str) -> None:
        self.by_field.setdefault(name, key)

    def __bool__(self) -> bool:
        return bool(self.by_field)


async def read_form(request: Request) -> Form:
    """The urlencoded form of a request; FormTooLarge, FormUnreadable."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise FormUnreadable
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise FormTooLarge
    try:
        text = body.decode("utf-8")
        return Form(parse_qs(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict"))
    except ValueError:
        raise FormUnreadable from None
