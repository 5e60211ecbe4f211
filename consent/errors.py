"""Why a Consent is not accepted, as facts; the gateway answers 422 with an OperationOutcome.

ConsentRefused
├── Malformed    not a Consent that R4 knows
└── Unsupported  a Consent that says something this server cannot enforce
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class ConsentIssue(NamedTuple):
    """One OperationOutcome.issue: its R4 issue type, the FHIRPath of the element, a sentence without values."""

    code: str
    expression: str
    diagnostics: str


class ConsentRefused(Exception):
    """The Consent is not accepted."""

    def __init__(self, issues: Sequence[ConsentIssue]) -> None:
        super().__init__("; ".join(f"{issue.expression}: {issue.diagnostics}" for issue in issues))
        self.issues = tuple(issues)


class Malformed(ConsentRefused):
    """This is not a Consent that R4 knows."""


class Unsupported(ConsentRefused):
    """The Consent says something this server cannot enforce, so it is not accepted."""
