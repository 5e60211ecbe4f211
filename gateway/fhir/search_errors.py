"""What a search that cannot be understood raises."""

from __future__ import annotations

import re

_SHOWABLE = re.compile(r"[A-Za-z0-9_.:\-]{1,200}\Z")


class SearchError(Exception):
    """
    The search cannot be understood or is not supported.

    status       HTTP status
    code         IssueType: invalid, not-supported or too-costly
    diagnostics  a sentence that never holds the value sent, which may be about a person
    expression   the name of the search parameter
    """

    def __init__(self, diagnostics: str, *, code: str = "invalid", expression: str = "", status: int = 400) -> None:
        super().__init__(diagnostics)
        self.status = status
        self.code = code
        self.diagnostics = diagnostics
        self.expression = expression

    def of(self, name: str) -> SearchError:
        """This error, said of a parameter of the request; a name that is no name is not repeated."""
        self.expression = name if _SHOWABLE.match(name) else ""
        return self


def not_supported(diagnostics: str) -> SearchError:
    """The request is clear, but this server does not do it."""
    return SearchError(diagnostics, code="not-supported")


def too_costly(diagnostics: str) -> SearchError:
    """The request is clear, but beyond a limit."""
    return SearchError(diagnostics, code="too-costly")
