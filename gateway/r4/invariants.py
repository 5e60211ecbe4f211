"""The invariants of R4 where they apply (facts/invariants.csv; FHIR R4 conformance rules, section 2.1.0.5).

Each row names the context of its rule: a resource, a data type, a nested element or one element. A visitor per
structure knows the rules of its node and the children that have rules below them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from gateway.r4.code_remarks import BY_HAND as OF_CODES
from gateway.r4.code_remarks import binding_truth, extensible_bindings
from gateway.r4.contained import is_resolved
from gateway.r4.definition_rules import BY_HAND as OF_DEFINITIONS
from gateway.r4.definitions import Slot, rows, structures
from gateway.r4.element_ids import are_distinct
from gateway.r4.fhirpath import compile_truth
from gateway.r4.fhirpath_logic import Surroundings, Truth
from gateway.r4.fhirpath_values import Items, has_member
from gateway.r4.narrative import narrative_problem
from gateway.r4.primitives import PRIMITIVES

# ele-1 is part of the structure; dom-3 needs everything inside and is in contained.py; one reading of a narrative,
# at txt-1, answers for txt-2 as well.
ELSEWHERE = frozenset({"ele-1", "dom-3", "txt-2"})
# What the quick way through schema.py, contained.py, codes.py and element_ids.py accepts breaks none of these.
HELD_BEFORE = frozenset({"ext-1", "dom-2", "dom-4", "dom-5", "bb-code", "bb-id"})


@dataclass(frozen=True, slots=True)
class Rule:
    """
    One invariant at one context.

    says             what the rule asks, in a sentence; empty when its expression must do
    accepts_unknown  an answer that cannot be given (dates of other precision) counts as kept; for all other
                     rules only a plain yes does
    marker           without this in its JSON text no resource breaks the rule; empty: it is always asked
    """

    key: str
    context: str
    severity: str
    is_best_practice: bool
    expression: str
    says: str
    accepts_unknown: bool
    truth: Truth
    marker: str = ""

    def holds(self, focus: Items, around: Surroundings) -> bool:
        answer = self.truth(focus, around)
        return answer is True or (answer is None and self.accepts_unknown)

    @property
    def refuses(self) -> bool:
        return self.severity == "error" and not self.is_best_practice


def load_rules() -> list[Rule]:
    """Every rule of the tables that is evaluated here, compiled."""
    official = [_rule(row) for row in rows("invariants.csv") if row["key"] not in ELSEWHERE]
    return official + [_rule(row) for row in rows("added-rules.csv")]


def extensible_rules() -> list[Rule]:
    """One for each extensible binding: warnings, as a binding of this strength leaves room (R4 section 4.1.5)."""
    return [
        Rule(
            key="bb-binding",
            context=path,
            severity="warning",
            is_best_practice=False,
            expression="(code_remarks.py)",
            says=f"No code is in {url}, which is to be used where it has a code that fits.",
            accepts_unknown=False,
            truth=binding_truth(url),
        )
        for path, url in extensible_bindings().items()
    ]


def _rule(row: dict[str, str]) -> Rule:
    expression = row["expression"]
    return Rule(
        key=row["key"],
        context=row["context"],
        severity=row["severity"],
        is_best_practice=row["best_practice"] == "1",
        expression=expression,
        says=row["says"],
        accepts_unknown=row["when_unknown"] == "pass",
        truth=_BY_HAND[row["key"]] if row["key"] in _BY_HAND else compile_truth(expression),
        marker=row.get("marker", ""),
    )


def _is_safe_narrative(focus: Items, around: Surroundings) -> bool:
    return narrative_problem(focus[0]) is None


def _has_own_component_codes(focus: Items, around: Surroundings) -> bool:
    """obs-7 as a set of codings, where its expression compares each with each."""
    node = focus[0]
    if not has_member(node, "value") or "component" not in node:
        return True
    own = _codings_of(node)
    return all(own.isdisjoint(_codings_of(part)) for part in node["component"])


def _codings_of(node: dict[str, Any]) -> set[bytes]:
    codings = node.get("code", {}).get("coding", ())
    return {orjson.dumps(coding, option=orjson.OPT_SORT_KEYS) for coding in codings}


def _has_own_ids(focus: Items, around: Surroundings) -> bool:
    return are_distinct(focus[0])


_BY_HAND: dict[str, Truth] = {
    **OF_CODES,
    **OF_DEFINITIONS,
    "bb-id": _has_own_ids,
    "txt-1": _is_safe_narrative,
    "ref-1": is_resolved,
    "obs-7": _has_own_component_codes,
}


@dataclass(slots=True, eq=False)
class Visitor:
    """The rules of one node and of what is below it; children by JSON key."""

    rules: tuple[Rule, ...] = ()
    children: dict[str, tuple[Slot, "Visitor"]] = field(default_factory=dict)
    is_resource: bool = False


@dataclass(frozen=True, slots=True)
class Visit:
    """What stays the same during one visit; accepts judges a resource of a Bundle or Parameters."""

    around: Surroundings
    accepts: Callable[[Any], bool]


class Visitors:
    """
    The visitors of all structures for a set of rules, made when first asked for.

    in_extensions  whether they look into extensions; without, whole branches have no rules and are not entered
    """

    def __init__(self, rules: list[Rule], in_extensions: bool = True) -> None:
        self._in_extensions = in_extensions
        self._by_context: dict[str, list[Rule]] = {}
        for rule in rules:
            self._by_context.setdefault(rule.context, []).append(rule)
        self._made: dict[str, Visitor] = {}
        self._nested = Visitor(is_resource=True)

    def of(self, name: str) -> Visitor:
        """The visitor of a resource type, data type or nested element."""
        if name in self._made:
            return self._made[name]
        visitor = self._made[name] = Visitor(tuple(self._rules_of(name)))
        for slot in structures()[name].slots.values():
            if self._is_worth_a_visit(slot, set()) and (child := self._child(slot)) is not None:
                visitor.children[slot.key] = (slot, child)
        return visitor

    def _is_worth_a_visit(self, slot: Slot, seen: set[str]) -> bool:
        """Whether there are rules at a slot or below it."""
        if not self._in_extensions and (slot.is_shadow or slot.type == "Extension"):
            return False
        if slot.element.path in self._by_context or slot.is_shadow or slot.type == "Resource":
            return True
        if slot.type in PRIMITIVES or slot.type in seen:
            return False
        seen.add(slot.type)
        below = structures()[slot.type].slots.values()
        return any(self._rules_of(slot.type)) or any(self._is_worth_a_visit(each, seen) for each in below)

    def _rules_of(self, name: str) -> Iterator[Rule]:
        current = name
        while current:
            yield from self._by_context.get(current, ())
            current = structures()[current].base

    def _child(self, slot: Slot) -> Visitor | None:
        own = tuple(self._by_context.get(slot.element.path, ()))
        if slot.is_shadow:
            return self.of("Element")
        if slot.type == "Resource":
            return None if slot.key == "contained" else self._nested
        if slot.type in PRIMITIVES:
            return Visitor(own) if own else None
        below = self.of(slot.type)
        if not own or slot.type == slot.element.path:
            return below
        return Visitor(own + below.rules, below.children)


def holds(visitor: Visitor, node: Any, visit: Visit) -> bool:
    """Whether every rule is kept in a node and below it; stops at the first that is not."""
    if visitor.is_resource:
        return visit.accepts(node)
    if visitor.rules:
        focus = [node]
        for rule in visitor.rules:
            answer = rule.truth(focus, visit.around)
            if answer is not True and (answer is False or not rule.accepts_unknown):
                return False
    if not visitor.children:
        return True
    children = visitor.children
    for key, value in node.items():
        found = children.get(key)
        if found is None:
            continue
        if isinstance(value, list):
            for item in value:
                if item is not None and not holds(found[1], item, visit):
                    return False
        elif not holds(found[1], value, visit):
            return False
    return True


def broken(visitor: Visitor, node: Any, path: str, around: Surroundings) -> Iterator[tuple[Rule, str, Any]]:
    """Every broken rule with its path and the node; resources inside are not entered."""
    for rule in visitor.rules:
        if not rule.holds([node], around):
            yield rule, path, node
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        if key not in visitor.children:
            continue
        slot, child = visitor.children[key]
        if child.is_resource:
            continue
        place = f"{path}.{slot.element.label}"
        if isinstance(value, list):
            for index, item in enumerate(value):
                if item is not None:
                    yield from broken(child, item, f"{place}[{index}]", around)
        else:
            yield from broken(child, value, place, around)
