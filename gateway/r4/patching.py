"""What a patch of either kind can meet: it is malformed, or it cannot be applied to this resource (RFC 5789)."""

from __future__ import annotations

MOST_OPERATIONS = 1_000


class PatchProblem(ValueError):
    """
    operation  the index of the operation at fault, None where it is the patch as a whole
    """

    def __init__(self, diagnostics: str, operation: int | None = None) -> None:
        super().__init__(diagnostics)
        self.operation = operation


class PatchMalformed(PatchProblem):
    """Not a patch, whatever it is applied to."""


class PatchFailed(PatchProblem):
    """A patch that this resource, as it is now, does not fit: a path leads nowhere, or a test fails."""
