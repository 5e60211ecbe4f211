"""Which new versions call for work of the job child; the handlers are in gateway/work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TRIGGERS: dict[str, tuple[str, ...]] = {
    "QuestionnaireResponse": ("score", "plan"),
}
# Answers that are still being given are saved one by one and call for nothing.
_ANSWERED = ("completed", "amended")


def calls_for(resource: Mapping[str, Any]) -> tuple[str, ...]:
    """The kinds of work that a new version of this resource calls for."""
    if resource["resourceType"] == "QuestionnaireResponse" and resource["status"] not in _ANSWERED:
        return ()
    return TRIGGERS.get(resource["resourceType"], ())
