"""Is this code valid, what is it, and what lies above it (FHIR R4 CodeSystem and ValueSet operations)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.r4.code_systems import CodeSystem, Concept
from gateway.r4.terminology_errors import NotHeld, UnknownCode, UnknownDefinition, Unusable
from gateway.r4.terminology_sources import Definitions
from gateway.r4.value_set_members import is_member

Stated = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    Whether a code is valid.

    display  what the code system calls it; empty where that is not known here
    message  why it is not valid, or what to note; empty otherwise
    """

    result: bool
    display: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """One Coding to judge; empty texts are not given. A system may be left out where the value set implies it."""

    system: str
    code: str
    display: str = ""
    version: str = ""


def questions_of(concept: Stated) -> list[Question]:
    """One for each coding of a CodeableConcept."""
    return [question_of(coding) for coding in concept.get("coding", ()) if "code" in coding]


def question_of(coding: Stated) -> Question:
    """From a Coding."""
    return Question(
        str(coding.get("system", "")),
        str(coding.get("code", "")),
        str(coding.get("display", "")),
        str(coding.get("version", "")),
    )


def best_of(verdicts: Sequence[Verdict]) -> Verdict:
    """That of a CodeableConcept, where one valid coding is enough."""
    if not verdicts:
        return Verdict(False, message="The concept has no code.")
    return next((verdict for verdict in verdicts if verdict.result), verdicts[0])


def in_code_system(question: Question, sources: Definitions, *, allow_abstract: bool = True) -> Verdict:
    """
    Whether the code is one of its system, and the display one of its names.

    raises  Wanted, UnknownDefinition, NotHeld
    """
    judged = sources.judges(question.system, question.code)
    if judged is not None:
        return Verdict(judged, message="" if judged else "The code is not one of the code system.")
    system = sources.code_system(question.system, question.version)
    concept = system.find(question.code)
    if concept is None:
        return _unknown(system)
    return _named(question, concept, allow_abstract)


def _unknown(system: CodeSystem) -> Verdict:
    if not system.is_complete:
        raise NotHeld("This server holds a part of the code system only, and the code is not in it.")
    return Verdict(False, message="The code is not one of the code system.")


def _named(question: Question, concept: Concept, allow_abstract: bool) -> Verdict:
    if concept.is_abstract and not allow_abstract:
        return Verdict(False, concept.display, "The code is abstract: it only groups others.")
    if question.display and concept.display and not has_name(concept, question.display):
        return Verdict(False, concept.display, "The display is not one that the code system gives this code.")
    return Verdict(True, concept.display, "The code is inactive." if concept.is_inactive else "")


def has_name(concept: Concept, display: str) -> bool:
    """Whether a display is one of the names of a concept; neither case nor the kind of blanks matters."""
    wanted = _folded(display)
    if wanted == _folded(concept.display):
        return True
    return any(_folded(str(each.get("value", ""))) == wanted for each in concept.designations)


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()


def in_value_set(
    question: Question, value_set: Stated, sources: Definitions, *, allow_abstract: bool = True
) -> Verdict:
    """
    Whether the code is in the value set and right in its code system, as far as that is known here.

    raises  Wanted, UnknownDefinition, NotHeld, CannotEnumerate, Unusable
    """
    system = question.system or _only_system(value_set)
    if not is_member(value_set, system, question.code, sources):
        return Verdict(False, message="The code is not in the value set.")
    if not system:
        return Verdict(True)
    try:
        return in_code_system(
            Question(system, question.code, question.display, question.version), sources, allow_abstract=allow_abstract
        )
    except (UnknownDefinition, NotHeld):
        return _as_value_set_says(question, value_set)


def _only_system(value_set: Stated) -> str:
    """The one system of a value set; empty where it has several or none of its own."""
    parts = value_set.get("compose", {}).get("include", ())
    systems = {part.get("system", "") for part in parts}
    return str(systems.pop()) if len(systems) == 1 else ""


def _as_value_set_says(question: Question, value_set: Stated) -> Verdict:
    """Valid, with the display of the value set: of the code system itself nothing is known here."""
    note = "The content of the code system is not on this server: the display was not checked."
    for part in value_set.get("compose", {}).get("include", ()):
        for listed in part.get("concept", ()):
            if listed.get("code") == question.code and "display" in listed:
                return Verdict(True, listed["display"], note)
    return Verdict(True, message=note)


def look_up(question: Question, sources: Definitions) -> tuple[CodeSystem, Concept]:
    """
    The concept of a code and the system that defines it.

    raises  Wanted, UnknownDefinition, NotHeld, UnknownCode, Unusable
    """
    if sources.judges(question.system, question.code) is not None:
        raise Unusable("The codes of this system are made by a grammar; there is nothing to look up.")
    system = sources.code_system(question.system, question.version)
    concept = system.find(question.code)
    if concept is None and not system.is_complete:
        raise NotHeld("This server holds a part of the code system only, and the code is not in it.")
    if concept is None:
        raise UnknownCode("The code system has no such code.")
    return system, concept


def subsumption(a: Question, b: Question, sources: Definitions) -> str:
    """
    How two codes of one system stand: equivalent, subsumes (a is above b), subsumed-by or not-subsumed.

    raises  Wanted, UnknownDefinition, NotHeld, UnknownCode, Unusable
    """
    if a.system != b.system:
        raise Unusable("Both codes must be of the same code system.")
    system, first = look_up(a, sources)
    _, second = look_up(b, sources)
    if first.code == second.code:
        return "equivalent"
    if first.code in system.ancestors(second.code):
        return "subsumes"
    return "subsumed-by" if second.code in system.ancestors(first.code) else "not-subsumed"
