"""Whether a plan may hold exercises at all: rules safety.* of the plan policy (docs/plan-policy.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recommender.errors import AnswerError, WrongQuestionnaire
from recommender.evidence import PlanEvidence, Screen
from recommender.explanations import Explanation, explain
from recommender.policy import Policy
from recommender.red_flags import RedFlag, screen


@dataclass(frozen=True)
class Verdict:
    """is_blocked: no exercises and no step goal until a clinician has looked; flags, most pressing first."""

    is_blocked: bool
    flags: tuple[RedFlag, ...]
    explanations: tuple[Explanation, ...]


def safety(evidence: PlanEvidence) -> Verdict:
    """
    The verdict over the latest screen and, when it is later, the latest check-in.

    A clinician's clearance counts for the response it names, not for answers given later.
    """
    flags: list[RedFlag] = []
    unreadable: list[Explanation] = []
    notes: list[Explanation] = []
    latest = _latest(evidence.screens)
    for answered in latest:
        if answered.reference.partition("/_history/")[0] in evidence.cleared:
            notes.append(explain("safety.cleared", "plan", (answered.reference,)))
            continue
        try:
            found = screen(answered.response)
        except (AnswerError, WrongQuestionnaire):
            unreadable.append(explain("safety.unreadable-screen", "advice:clinician", (answered.reference,)))
            continue
        flags.extend(found)
        notes.extend(_explained(flag, answered.reference) for flag in found)
    if not any(_is_full(answered) for answered in evidence.screens):
        notes.append(explain("safety.no-screen", "plan"))
    return Verdict(bool(flags or unreadable), tuple(flags), (*notes, *unreadable))


def low_mood(evidence: PlanEvidence, policy: Policy) -> Explanation | None:
    """Advice to talk to someone when the latest PHQ-8 is severe; it does not stop the plan."""
    latest = next(iter(evidence.mood), None)
    if latest is None or latest.value < policy.whole("safety.mood", "phq8"):
        return None
    return explain("safety.mood", "advice:mood", (latest.reference,))


def _latest(screens: Sequence[Screen]) -> list[Screen]:
    """A full screen settles whatever a check-in said before it."""
    full = next((answered for answered in screens if _is_full(answered)), None)
    check_in = next((answered for answered in screens if not _is_full(answered)), None)
    if full is None or check_in is None:
        return [answered for answered in (full, check_in) if answered is not None]
    return [full, check_in] if check_in.when > full.when else [full]


def _is_full(answered: Screen) -> bool:
    return "red-flag-screen" in str(answered.response.get("questionnaire"))


def _explained(flag: RedFlag, reference: str) -> Explanation:
    inputs = (reference,)
    return explain("safety.red-flags", f"advice:{flag.code}", inputs, label=flag.label, advice=flag.advice)
