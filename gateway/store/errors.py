"""What the store can refuse, as facts; `gateway.fhir.outcomes` turns each into a status and an issue code.

StoreError
├── NotFound            no such resource in the reader's world
├── Gone                deleted, and the reader may know it
├── Invalid             the resource breaks R4; carries the issues
├── Forbidden           the context may never do this, whatever the resource
├── IdNotAllowed        a client chose an id that it may not choose
├── VersionMismatch     If-Match names a version that is not the current one
├── AlreadyExists       something is there, and the request asks that nothing is
├── SeveralMatches      a conditional interaction found more than one resource
├── CursorInvalid       a page link that this server did not write for this request
├── TooCostly           the query ran longer than the time limit
├── Busy                the queue is full, or the server is shutting down
├── SignInMoved         who may sign in changed since this caller did: sign in afresh, ask again
├── LeaseLost           the work was given to another worker meanwhile; nothing was written
├── UnsupportedConsent  a Consent that the compiler does not fully understand
└── StorageFailed       the disk refused (full, read-only, failing)
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from gateway.r4.issues import Issue

UNAVAILABLE = (OperationalError, PoolTimeout)
"""What a session of `gateway.store.database` raises where the database cannot answer at present."""


class StoreError(Exception):
    """The store refused."""

    def __init__(self, diagnostics: str = "", *, expression: str = "", entry: int | None = None) -> None:
        super().__init__(diagnostics or (self.__doc__ or "").strip())
        self.expression = expression
        self.entry = entry


class NotFound(StoreError):
    """No such resource, or none that you may see."""


class Gone(StoreError):
    """The resource was deleted."""


class Forbidden(StoreError):
    """This client may not do that."""


class IdNotAllowed(StoreError):
    """This server assigns logical ids; create with POST, or register the client as a feed with a prefix."""


class VersionMismatch(StoreError):
    """The version in If-Match is not the current version."""


class AlreadyExists(StoreError):
    """The resource exists, and the request asks that it does not."""


class SeveralMatches(StoreError):
    """The condition matches more than one resource."""


class CursorInvalid(StoreError):
    """This page link is not valid for this request."""


class TooCostly(StoreError):
    """The query took longer than this server allows; narrow it."""


class Busy(StoreError):
    """The server is busy; try again shortly."""


class StorageFailed(StoreError):
    """The server cannot store anything at present; nothing was written."""


class Invalid(StoreError):
    """The resource is not valid FHIR R4."""

    def __init__(self, issues: Sequence[Issue], *, entry: int | None = None) -> None:
        super().__init__(entry=entry)
        self.issues = tuple(issues)


class UnsupportedConsent(Invalid):
    """The Consent says something this server cannot enforce, so it is not accepted."""


class SignInMoved(StoreError):
    """Sign in again: who may sign in has changed meanwhile."""


class LeaseLost(StoreError):
    """Another worker has taken this work over."""
