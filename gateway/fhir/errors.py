"""What the door itself refuses, before or beside the store; `outcomes` turns each into a status and an issue code.

    ProtocolError
    ├── BadRequest             the request cannot be understood
    ├── NotPermitted           the token's scopes do not cover this interaction
    ├── UnknownPath            no such endpoint
    ├── UnknownType            not a resource type of R4
    ├── MethodNotAllowed       the endpoint exists, the method does not; carries Allow
    ├── NotAcceptable          the client wants a format that is not JSON of FHIR 4.0
    ├── UnsupportedMediaType   the client sent one
    ├── BodyTooLarge, BodyTooSlow, TooManyEntries
    ├── Incomplete             a document one of whose parts cannot be had
    ├── PatchRefused           a patch that does not fit the resource as it is
    └── NoMatch                a conditional reference that matches nothing

Who is not let in at all is `gateway.people.authenticate.Unauthenticated`.
"""

from __future__ import annotations


class ProtocolError(Exception):
    """The request was refused at the door."""

    def __init__(self, diagnostics: str = "", *, expression: str = "") -> None:
        super().__init__(diagnostics or (self.__doc__ or "").strip())
        self.expression = expression


class BadRequest(ProtocolError):
    """The request cannot be understood."""


class NotPermitted(ProtocolError):
    """The scopes of this token do not cover this interaction."""


class UnknownPath(ProtocolError):
    """There is no such endpoint."""


class UnknownType(ProtocolError):
    """That is not a resource type of FHIR R4."""


class MethodNotAllowed(ProtocolError):
    """This endpoint does not take that method; see the Allow header."""

    def __init__(self, diagnostics: str = "", *, allow: str) -> None:
        super().__init__(diagnostics)
        self.allow = allow


class NotAcceptable(ProtocolError):
    """This server answers in JSON of FHIR 4.0 only: ask for application/fhir+json."""


class UnsupportedMediaType(ProtocolError):
    """Send application/fhir+json of FHIR 4.0 in UTF-8, not compressed."""


class BodyTooLarge(ProtocolError):
    """The request body is larger than this server takes."""


class BodyTooSlow(ProtocolError):
    """The request body did not arrive in time."""


class TooManyEntries(ProtocolError):
    """The Bundle has more entries than this server takes; send several."""


class Incomplete(ProtocolError):
    """Something that belongs to this cannot be had, so it is not made without it."""


class PatchRefused(ProtocolError):
    """The patch cannot be applied to this resource as it is now."""


class NoMatch(ProtocolError):
    """A conditional reference matches no resource that you may see."""


class EntryRefused(Exception):
    """One entry of a Bundle was refused; the cause says why."""

    def __init__(self, index: int, cause: Exception) -> None:
        super().__init__(index)
        self.index = index
        self.cause = cause


class ClientGone(Exception):
    """The client hung up before the request was complete; nobody is left to answer."""
