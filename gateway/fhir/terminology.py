"""The terminology operations: $expand, $validate-code, $lookup, $subsumes, $translate (R4 section 4.6).

The engine is pure (gateway.r4.expansion and its neighbours); here are the inputs and outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from uuid import uuid4

import orjson

from gateway.fhir.errors import BadRequest
from gateway.fhir.exchange import Answer, Handler, Request, Service
from gateway.fhir.operation_input import Inputs, inputs_of
from gateway.fhir.operation_output import parameters_answer
from gateway.fhir.outcomes import render
from gateway.fhir.terminology_answers import lookup_answer, translation_answer, verdict_answer
from gateway.fhir.terminology_subject import asked, has, subject, system_asked
from gateway.r4.code_validation import (
    Question,
    Verdict,
    best_of,
    in_code_system,
    in_value_set,
    look_up,
    question_of,
    questions_of,
    subsumption,
)
from gateway.r4.concept_maps import Match, is_between
from gateway.r4.concept_maps import translate as translations
from gateway.r4.expansion import Wishes
from gateway.r4.expansion import expand as expanded
from gateway.r4.issues import Issue
from gateway.r4.terminology import Resource, specification
from gateway.r4.terminology_errors import TerminologyError
from gateway.r4.terminology_sources import Definitions, split_canonical


def _answering(handler: Handler) -> Handler:
    """A handler whose TerminologyErrors are answered as OperationOutcomes."""

    @wraps(handler)
    async def answered(service: Service, request: Request) -> Answer:
        try:
            return await handler(service, request)
        except TerminologyError as error:
            return Answer(error.status, (), render([Issue("error", error.code, "", str(error))]))

    return answered


@_answering
async def expand(service: Service, request: Request) -> Answer:
    """ValueSet/$expand: the codes of a value set, filtered and paged."""
    inputs = inputs_of(service, request)
    wishes = _wishes(inputs)
    sources, value_set = await subject(service, request, inputs, "valueSet", "valueSetVersion")
    resource = await asked(service, request, sources, lambda: expanded(value_set(), wishes, sources))
    resource["expansion"] = {
        "identifier": f"urn:uuid:{uuid4()}",
        "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
        **resource["expansion"],
    }
    return Answer(200, (), orjson.dumps(resource))


def _wishes(inputs: Inputs) -> Wishes:
    return Wishes(
        text=inputs.text("filter") or "",
        offset=inputs.whole("offset") or 0,
        count=inputs.whole("count"),
        active_only=inputs.flag("activeOnly") or False,
        for_choosing=inputs.flag("excludeNotForUI") or False,
        with_designations=inputs.flag("includeDesignations") or bool(inputs.texts("designation")),
        with_definition=inputs.flag("includeDefinition") or False,
        language=inputs.text("displayLanguage") or "",
        excluded_systems=tuple(split_canonical(text)[0] for text in inputs.texts("exclude-system")),
    )


@_answering
async def validate_in_value_set(service: Service, request: Request) -> Answer:
    """ValueSet/$validate-code: whether a code, Coding or CodeableConcept is in a value set."""
    inputs = inputs_of(service, request)
    questions = _questions(inputs, system=inputs.text("system") or "", version=inputs.text("systemVersion") or "")
    allow = inputs.flag("abstract") is not False
    sources, value_set = await subject(service, request, inputs, "valueSet", "valueSetVersion")

    def judged() -> Verdict:
        return best_of([in_value_set(each, value_set(), sources, allow_abstract=allow) for each in questions])

    return verdict_answer(await asked(service, request, sources, judged))


@_answering
async def validate_in_code_system(service: Service, request: Request) -> Answer:
    """CodeSystem/$validate-code: whether a code, Coding or CodeableConcept is one of a code system."""
    inputs = inputs_of(service, request)
    allow = inputs.flag("abstract") is not False
    sources, url = await system_asked(service, request, inputs)
    questions = _questions(inputs, system=url, version=inputs.text("version") or "")

    def judged() -> Verdict:
        return best_of([in_code_system(each, sources, allow_abstract=allow) for each in questions])

    return verdict_answer(await asked(service, request, sources, judged))


@_answering
async def lookup(service: Service, request: Request) -> Answer:
    """CodeSystem/$lookup: what a code system says of one code."""
    inputs = inputs_of(service, request)
    question = _one_question(inputs, "code", "coding", inputs.text("system") or "", inputs.text("version") or "")
    if not question.system:
        raise BadRequest("Name the code system.", expression="system")
    sources = Definitions()
    system, concept = await asked(service, request, sources, lambda: look_up(question, sources))
    wanted = frozenset(inputs.texts("property"))
    return lookup_answer(system, concept, inputs.text("displayLanguage") or "", wanted)


@_answering
async def subsumes(service: Service, request: Request) -> Answer:
    """CodeSystem/$subsumes: whether one code of a system is above another."""
    inputs = inputs_of(service, request)
    sources, url = await system_asked(service, request, inputs, named_by="system")
    version = inputs.text("version") or ""
    first = _one_question(inputs, "codeA", "codingA", url, version)
    second = _one_question(inputs, "codeB", "codingB", url, version)
    if not (first.system and second.system):
        raise BadRequest("Name the code system.", expression="system")
    outcome = await asked(service, request, sources, lambda: subsumption(first, second, sources))
    return parameters_answer([("outcome", "valueCode", outcome)])


@_answering
async def translate(service: Service, request: Request) -> Answer:
    """ConceptMap/$translate: the codes that stand for a code elsewhere."""
    inputs = inputs_of(service, request)
    questions = _questions(inputs, system=inputs.text("system") or "", version=inputs.text("version") or "")
    into, reverse = inputs.text("targetsystem") or "", inputs.flag("reverse") or False
    sources, maps = await _maps(service, request, inputs)

    def matched() -> list[Match]:
        return [
            match
            for concept_map in maps()
            for each in questions
            for match in translations(
                concept_map, each.system, each.code, sources, target_system=into, is_reverse=reverse
            )
        ]

    return translation_answer(await asked(service, request, sources, matched))


async def _maps(service: Service, request: Request, inputs: Inputs) -> tuple[Definitions, Callable[[], list[Resource]]]:
    """The map that the request is about, or every map of the specification between its value sets."""
    source, target = inputs.text("source") or "", inputs.text("target") or ""
    if request.route.id or inputs.text("url") or has(inputs, "conceptMap"):
        sources, one = await subject(service, request, inputs, "conceptMap", "conceptMapVersion")
        return sources, lambda: [one()]
    if not (source or target):
        raise BadRequest("Name the concept map by its url, or the value sets by source and target.", expression="url")
    fitting = [each for each in specification().concept_maps.values() if is_between(each, source, target)]
    return Definitions(), lambda: fitting


def _questions(inputs: Inputs, system: str, version: str) -> list[Question]:
    """What is to be judged: code with system, coding or codeableConcept, one of the three."""
    concept = inputs.object("codeableConcept")
    if concept is not None:
        return questions_of(concept)
    return [_one_question(inputs, "code", "coding", system, version)]


def _one_question(inputs: Inputs, code: str, coding: str, system: str, version: str) -> Question:
    given = inputs.object(coding)
    if given is not None:
        found = question_of(given)
        return Question(found.system or system, found.code, found.display, found.version or version)
    text = inputs.text(code)
    if not text:
        raise BadRequest(f"Give {code} or {coding}.", expression=code)
    display = "" if code != "code" or not has(inputs, "display") else inputs.text("display") or ""
    return Question(system, text, display, version)
