"""Does a QuestionnaireResponse answer its Questionnaire (FHIR R4 QuestionnaireResponse, section 12.18)?

Pure: the Questionnaire is an argument. Both are valid resources; the validator has judged them before.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any

from gateway.r4.answer_values import CHOICES, Finding, answer_findings, extensions
from gateway.r4.enable_when import Scope, is_enabled, same_value, value_of
from gateway.r4.issues import Issue
from gateway.r4.references import read_reference
from gateway.r4.structure import MOST_ISSUES
from gateway.r4.terminology_sources import Definitions

Node = Mapping[str, Any]
_SD = "http://hl7.org/fhir/StructureDefinition/"
_MIN_OCCURS, _MAX_OCCURS = _SD + "questionnaire-minOccurs", _SD + "questionnaire-maxOccurs"
_EXCLUSIVE = _SD + "questionnaire-optionExclusive"
# Only an answer sheet that is handed in must be complete, and free of what does not apply.
_FINISHED = frozenset({"completed", "amended"})


def answer_issues(response: Node, questionnaire: Node, sources: Definitions | None = None) -> list[Issue]:
    """
    What in the response does not fit the questionnaire; at most MOST_ISSUES.

    response, questionnaire  valid resources of these types
    sources                  value sets and code systems that options are taken from, beside those of the specification
    raises                   Wanted, for one that is not in sources: add it, or None where there is none, and ask again
    """
    check = _Check(questionnaire, response.get("status") in _FINISHED, sources or Definitions())
    items = response.get("item", ())
    found = check.items(items, questionnaire.get("item", ()), "QuestionnaireResponse", (Scope(items),))
    return [*_subject_issues(response, questionnaire), *islice(found, MOST_ISSUES)][:MOST_ISSUES]


def _subject_issues(response: Node, questionnaire: Node) -> Iterator[Issue]:
    types = questionnaire.get("subjectType", ())
    text = response.get("subject", {}).get("reference")
    target = read_reference(text) if isinstance(text, str) else None
    if types and target and target.type and target.type not in types:
        yield _error(
            "structure", "QuestionnaireResponse.subject", "The questionnaire is not about this type of subject."
        )


def _error(code: str, path: str, text: str) -> Issue:
    return Issue("error", code, path, text)


Scopes = tuple[Scope, ...]


@dataclass(slots=True)
class _Check:
    questionnaire: Node
    is_finished: bool
    sources: Definitions

    def items(self, items: Sequence[Node], asked: Sequence[Node], path: str, scopes: Scopes) -> Iterator[Issue]:
        """The items at one place of the response, beside those that the questionnaire has there."""
        by_link = {item["linkId"]: item for item in asked if "linkId" in item}
        yield from _unknown_issues(items, by_link, path)
        yield from _order_issues(items, by_link, path)
        given: dict[str, list[tuple[int, Node]]] = {}
        for index, each in enumerate(items):
            given.setdefault(each.get("linkId", ""), []).append((index, each))
        for link_id, item in by_link.items():
            present = given.get(link_id, [])
            if is_enabled(item, scopes):
                yield from self._of_enabled(item, present, path, scopes)
            else:
                yield from self._of_disabled(present, path)

    def _of_disabled(self, present: Sequence[tuple[int, Node]], path: str) -> Iterator[Issue]:
        for index, each in present:
            if self.is_finished and _has_answers(each):
                says = "The item is not enabled by the other answers, so it must not be answered."
                yield _error("business-rule", f"{path}.item[{index}]", says)

    def _of_enabled(
        self, item: Node, present: Sequence[tuple[int, Node]], path: str, scopes: Scopes
    ) -> Iterator[Issue]:
        is_asked = item.get("required") and item.get("type") != "display"
        if self.is_finished and is_asked and not any(_has_answers(each) for _, each in present):
            yield _error("required", f"{path}.item", f"The item {_label(item)} is required and not answered.")
        yield from self._count_issues(item, present, path)
        for index, each in present:
            yield from self._of_item(each, item, f"{path}.item[{index}]", scopes)

    def _count_issues(self, item: Node, present: Sequence[tuple[int, Node]], path: str) -> Iterator[Issue]:
        """How often a group occurs, or how many answers a question has."""
        if not present:
            return
        place = f"{path}.item[{present[-1][0]}]"
        is_group = item.get("type") == "group"
        if len(present) > 1 and not is_group:
            yield _error("structure", place, "A question is one item, which holds all of its answers.")
        count = len(present) if is_group else sum(len(each.get("answer", ())) for _, each in present)
        most = 1 if not item.get("repeats") else min(extensions(item, _MAX_OCCURS), default=None)
        if most is not None and count > most:
            yield _error("structure", place, f"At most {most} of this item may be given.")
        for least in extensions(item, _MIN_OCCURS):
            if self.is_finished and count < least:
                yield _error("required", place, f"At least {least} of this item must be given.")

    def _of_item(self, given: Node, item: Node, path: str, scopes: Scopes) -> Iterator[Issue]:
        answers = given.get("answer", ())
        inner = given.get("item", ())
        asked = item.get("item", ())
        kind = item.get("type")
        if kind in ("group", "display") and answers:
            yield _error("structure", path, f"A {kind} has no answer.")
        elif kind not in ("group", "display"):
            if inner:
                yield _error("structure", path, "Items below a question stand inside its answer.")
            yield from self._of_answers(answers, item, path, scopes)
        elif kind == "group":
            yield from self.items(inner, asked, path, (Scope(inner), *scopes))

    def _of_answers(self, answers: Sequence[Node], item: Node, path: str, scopes: Scopes) -> Iterator[Issue]:
        asked = item.get("item", ())
        for index, answer in enumerate(answers):
            place = f"{path}.answer[{index}]"
            for code, says in self._answer_findings(answer, item):
                yield _error(code, f"{place}.value", says)
            inner = answer.get("item", ())
            if inner or asked:
                yield from self.items(inner, asked, place, (Scope(inner), *scopes))
        if item.get("type") in CHOICES and len(answers) > 1 and _has_exclusive(answers, item):
            yield _error("business-rule", path, "One of the answers excludes all others.")

    def _answer_findings(self, answer: Node, item: Node) -> Iterator[Finding]:
        return answer_findings(answer, item, self.questionnaire, self.sources)


def _unknown_issues(items: Sequence[Node], by_link: Mapping[str, Node], path: str) -> Iterator[Issue]:
    for index, each in enumerate(items):
        if each.get("linkId") not in by_link:
            yield _error(
                "not-found", f"{path}.item[{index}].linkId", "The questionnaire has no such item at this place."
            )


def _order_issues(items: Sequence[Node], links: Iterable[str], path: str) -> Iterator[Issue]:
    order = {link_id: place for place, link_id in enumerate(links)}
    places = [(order[each["linkId"]], i) for i, each in enumerate(items) if each.get("linkId") in order]
    for (before, _), (after, index) in pairwise(places):
        if after < before:
            yield _error("structure", f"{path}.item[{index}]", "The items must be in the order of the questionnaire.")


def _has_answers(item: Node) -> bool:
    """Whether there is an answer in an item or below it."""
    if any(value_of(answer) is not None for answer in item.get("answer", ())):
        return True
    return any(_has_answers(each) for each in item.get("item", ()))


def _has_exclusive(answers: Sequence[Node], item: Node) -> bool:
    exclusive = [value_of(option) for option in item.get("answerOption", ()) if True in extensions(option, _EXCLUSIVE)]
    return any(same_value(value_of(answer), option) for answer in answers for option in exclusive)


def _label(item: Node) -> str:
    """The linkId: it is of the questionnaire, not of the person who answers."""
    return str(item.get("linkId", ""))
