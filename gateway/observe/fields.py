"""The fields that a log line may have: whatever is not in this table, or does not look as it says, is dropped.

A field holds what our own code or an operator chose (a route template, a class of error, a registration's id), never
what a client sent. So no name, number, query or body can reach a log, whoever calls the logger. See
docs/decisions/0018-observability.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_WORD = r"[a-z0-9]+(?:[-_.][a-z0-9]+)*"
_NAME = r"[A-Za-z_][A-Za-z0-9_.]{0,99}"
_FRAME = r"[\w.<>-]+:\d+ [\w<>.]+"
# A UUID, a trace id of W3C Trace Context, or 16 hex digits as we give them; any other word could be somebody's name or
# number, and so could 16 digits without a letter.
_TRACE = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}|(?=[0-9]*[a-f])[0-9a-f]{16}"


@dataclass(frozen=True, slots=True)
class Field:
    """What a field says, and the form that its value must have to be written."""

    meaning: str
    form: re.Pattern[str]


def _field(meaning: str, form: str) -> Field:
    return Field(meaning, re.compile(form))


FIELDS: Mapping[str, Field] = {
    "time": _field("When, in UTC.", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"),
    "level": _field("debug, info, warning or error.", r"debug|info|warning|error"),
    "event": _field("What happened: a name of the table below.", _WORD),
    "role": _field("Which process says so: gateway or worker.", _WORD),
    "pid": _field("Its process id.", r"\d{1,10}"),
    "request_id": _field(
        "Id of the request: one that we gave, or the client's where it is a UUID or 32 hex digits.", _TRACE
    ),
    "route": _field("Template of the route, such as /fhir/{type}/{id}.", r"/[A-Za-z0-9_{}:./$*-]{0,99}|unrouted"),
    "method": _field("HTTP method.", r"GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|other"),
    "status": _field("HTTP status of the answer.", r"[1-5]\d\d"),
    "ms": _field("Milliseconds it took.", r"\d{1,9}(?:\.\d{1,3})?"),
    "client": _field("Id of the registered system that asked.", r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}"),
    "error": _field("Class of the error.", _NAME),
    "place": _field(
        "Where in the code: file, line and function, outermost first.", rf"{_FRAME}(?: > {_FRAME}){{0,29}}"
    ),
    "logger": _field("The library's logger, where a library speaks.", _NAME),
    "message": _field("A library's message, where it is one of those known to carry no data.", r"[ -~]{1,120}"),
    "kind": _field("Kind of work of the outbox.", _WORD),
    "work": _field("Number of the row in the outbox.", r"\d{1,19}"),
    "job": _field("Id of an import job.", r"[0-9a-z]{13}"),
    "tries": _field("How often it has been tried.", r"\d{1,5}"),
    "count": _field("How many.", r"\d{1,19}"),
    "code": _field("Exit status of a process.", r"-?\d{1,4}"),
    "version": _field("Version of the software.", r"\d+(?:\.\w+){1,3}"),
}


def allowed(fields: Mapping[str, object]) -> dict[str, str | int | float]:
    """The fields that may be written, in the order of the table."""
    return {
        name: value if isinstance(value, int | float) else str(value)
        for name, field in FIELDS.items()
        if (value := fields.get(name)) is not None and field.form.fullmatch(str(value))
    }


def is_harmless_request_id(sent: str) -> bool:
    """Whether an id that a client may have chosen can be logged: it must be of a form that nobody types by hand."""
    return FIELDS["request_id"].form.fullmatch(sent) is not None
