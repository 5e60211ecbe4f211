"""Errors as OperationOutcomes: the one table from error class to HTTP status and issue code (R4 section 3.1.0.4).

The table is walked along the base classes of the error. Codes are those of http://hl7.org/fhir/issue-type. Diagnostics
are sentences of ours and names of elements; they never hold a value of a resource.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson

from gateway.fhir import errors as door
from gateway.fhir.search_syntax import SearchError
from gateway.people.authenticate import Unauthenticated
from gateway.r4.issues import Issue
from gateway.r4.parse import Unreadable
from gateway.store import errors as store

Header = tuple[bytes, bytes]

OUTCOMES: dict[type[Exception], tuple[int, str]] = {
    door.BadRequest: (400, "invalid"),
    Unauthenticated: (401, "login"),
    door.NotPermitted: (403, "forbidden"),
    door.UnknownPath: (404, "not-supported"),
    door.UnknownType: (404, "not-supported"),
    door.MethodNotAllowed: (405, "not-supported"),
    door.NotAcceptable: (406, "not-supported"),
    door.UnsupportedMediaType: (415, "not-supported"),
    door.BodyTooLarge: (413, "too-long"),
    door.BodyTooSlow: (408, "timeout"),
    door.TooManyEntries: (413, "too-costly"),
    door.NoMatch: (412, "not-found"),
    door.PatchRefused: (422, "processing"),
    door.Incomplete: (422, "incomplete"),
    store.NotFound: (404, "not-found"),
    store.Gone: (410, "deleted"),
    store.Forbidden: (403, "forbidden"),
    store.IdNotAllowed: (405, "not-supported"),
    store.VersionMismatch: (412, "conflict"),
    store.AlreadyExists: (412, "conflict"),
    store.SeveralMatches: (412, "multiple-matches"),
    store.CursorInvalid: (400, "value"),
    store.TooCostly: (422, "too-costly"),
    store.Busy: (503, "throttled"),
    store.StorageFailed: (503, "no-store"),
    # The door tries again by itself, and jobs have no door; should they come so far, the client may try again.
    store.SignInMoved: (503, "throttled"),
    store.LeaseLost: (503, "throttled"),
    # These two list their own issues; the code here stands in where the list is empty.
    store.UnsupportedConsent: (422, "not-supported"),
    store.Invalid: (422, "invalid"),
}
# These carry the status that their parser found; the code stands in where they list no issue.
CARRY_THEIR_STATUS: dict[type[Exception], str] = {SearchError: "invalid", Unreadable: "structure"}

REFUSALS: tuple[type[Exception], ...] = (Unauthenticated, door.ProtocolError, store.StoreError, *CARRY_THEIR_STATUS)
EXPECTED: tuple[type[Exception], ...] = (*REFUSALS, door.EntryRefused)
"""What a handler may raise; anything else is a fault of ours, answered 500."""

FAULT = Issue("fatal", "exception", "", "The server failed; the fault is logged under this request's X-Request-Id.")


@dataclass(frozen=True, slots=True)
class Failure:
    """One error as an answer: status, issues and the headers that its status asks for."""

    status: int
    issues: tuple[Issue, ...]
    headers: tuple[Header, ...] = ()

    @property
    def body(self) -> bytes:
        return render(self.issues)


def failure_of(error: Exception) -> Failure:
    """The answer to an error of EXPECTED."""
    if isinstance(error, door.EntryRefused):
        inner = failure_of(error.cause)
        return Failure(inner.status, tuple(_placed(i, error.index) for i in inner.issues), inner.headers)
    status, code = _row(error)
    return Failure(status, _issues(error, code), _headers(error))


def render(issues: Sequence[Issue]) -> bytes:
    """An OperationOutcome as JSON."""
    return orjson.dumps(as_resource(issues))


def as_resource(issues: Sequence[Issue]) -> dict[str, Any]:
    """An OperationOutcome as a plain dict."""
    return {"resourceType": "OperationOutcome", "issue": [_issue(issue) for issue in issues]}


def informational(text: str) -> bytes:
    """The OperationOutcome of a success."""
    return render((Issue("information", "informational", "", text),))


def status_line(status: int) -> str:
    """`Bundle.entry.response.status`: the code and its phrase."""
    return f"{status} {HTTPStatus(status).phrase}"


def _row(error: Exception) -> tuple[int, str]:
    if isinstance(error, (SearchError, Unreadable)):
        return error.status, CARRY_THEIR_STATUS[type(error)]
    for base in type(error).__mro__:
        if (row := OUTCOMES.get(base)) is not None:
            return row
    return 500, FAULT.code


def _issues(error: Exception, code: str) -> tuple[Issue, ...]:
    if isinstance(error, SearchError):
        return (Issue("error", error.code, error.expression, error.diagnostics),)
    listed: Sequence[Issue] = getattr(error, "issues", ())
    if listed:
        return tuple(listed)
    return (Issue("error", code, getattr(error, "expression", ""), str(error)),)


def _placed(issue: Issue, entry: int) -> Issue:
    """The issue with its place given from the Bundle's root: `Bundle.entry[3].resource.name[0].given[1]`."""
    root = f"Bundle.entry[{entry}]"
    place, dot, inside = issue.expression.partition(".")
    if place == "Bundle":
        place = f"{root}{dot}{inside}"
    elif place:
        place = f"{root}.resource{dot}{inside}"
    return Issue(issue.severity, issue.code, place or root, issue.diagnostics)


def _headers(error: Exception) -> tuple[Header, ...]:
    if isinstance(error, door.MethodNotAllowed):
        return ((b"allow", error.allow.encode()),)
    if isinstance(error, store.IdNotAllowed):
        return ((b"allow", b"DELETE, GET, HEAD, PATCH"),)
    if isinstance(error, Unauthenticated):
        return ((b"www-authenticate", error.challenge.encode("latin-1", "replace")),)
    if _row(error)[0] == 503:
        return ((b"retry-after", b"1"),)
    return ()


def _issue(issue: Issue) -> dict[str, Any]:
    written: dict[str, Any] = {
        "severity": issue.severity,
        "code": issue.code,
        "details": {"text": issue.diagnostics},
        "diagnostics": issue.diagnostics,
    }
    if issue.expression:
        written["expression"] = [issue.expression]
    return written
