"""Every invariant of R4 is judged, and as an independent FHIRPath engine judges it."""

import re
from collections import Counter
from dataclasses import replace
from typing import Any

import fhirpathpy
import orjson
from fhirpathpy.models import models
from official import example_texts, needs_r4

from gateway.r4.code_remarks import BY_HAND as OF_CODES
from gateway.r4.definition_rules import BY_HAND as OF_DEFINITIONS
from gateway.r4.definitions import rows
from gateway.r4.fhirpath_logic import Surroundings
from gateway.r4.fhirpath_values import Items
from gateway.r4.invariants import ELSEWHERE, Rule, Visit, Visitors, holds, load_rules

# Where each rule that is not in the visitors is judged.
JUDGED_IN = {
    "ele-1": "structure.py, with the shape",
    "dom-3": "contained.py, over everything inside a resource",
    "txt-2": "narrative.py, in the same reading as txt-1",
}
# Questions the other engine cannot be asked: it lacks the function, or the rule is not an expression.
NOT_ASKED = {"txt-1", "ref-1", "bb-size", "ctm-1", "bb-id", *OF_CODES, *OF_DEFINITIONS}
# The engines differ in these, and why ours is kept.
_PART = "matches() of the other engine is content with a part of the text"
DIFFERS = dict.fromkeys(("cmd-0", "cpb-0", "nsd-0", "opd-0", "sdf-0"), _PART) | {
    "que-7": "the other engine has an answer where operator is missing, which the structure refuses"
}
EXAMPLES_PER_RULE = 2


def test_every_official_invariant_is_judged_somewhere() -> None:
    """Prints the figures: pytest -s."""
    table = list(rows("invariants.csv"))
    rules = load_rules()
    judged = {(rule.key, rule.context) for rule in rules} | {
        (row["key"], row["context"]) for row in table if row["key"] in JUDGED_IN
    }
    not_covered = sorted({(row["key"], row["context"]) for row in table} - judged)
    refusing = {rule.key for rule in rules if rule.refuses} | set(JUDGED_IN)
    print(f"{len({row['key'] for row in table})} keys, {len(refusing)} refuse, not covered: {not_covered}")
    assert not_covered == []
    assert set(JUDGED_IN) == ELSEWHERE
    assert len({row["key"] for row in table}) == 237


def test_warnings_and_best_practice_are_compiled_and_do_not_refuse() -> None:
    mild = {rule.key for rule in load_rules() if not rule.refuses}
    assert {"dom-6", "con-3", "que-0", "nor-1", "eld-20"} <= mild


def _recording(rule: Rule, seen: dict[str, list[tuple[Any, Surroundings]]]) -> Rule:
    def truth(focus: Items, around: Surroundings) -> bool:
        nodes = seen.setdefault(f"{rule.key} {rule.context}", [])
        if len(nodes) < EXAMPLES_PER_RULE:
            nodes.append((focus[0], around))
        return True

    return replace(rule, truth=truth)


def _nodes_by_rule(rules: list[Rule]) -> dict[str, list[tuple[Any, Surroundings]]]:
    seen: dict[str, list[tuple[Any, Surroundings]]] = {}
    visitors = Visitors([_recording(rule, seen) for rule in rules])
    for text in example_texts().values():
        resource = orjson.loads(text)
        around = Surroundings(resource, resource)
        holds(visitors.of(resource["resourceType"]), resource, Visit(around, lambda _: True))
    return seen


def _ask_other_engine(rule: Rule, node: Any, around: Surroundings) -> bool:
    is_resource = isinstance(node, dict) and "resourceType" in node
    expression = re.sub(r"\.trace\('[^)]*\)", "", rule.expression)
    question = expression if is_resource else {"base": rule.context, "expression": expression}
    answer = fhirpathpy.evaluate(
        node,
        question,
        {"resource": around.resource, "rootResource": around.root},
        models["r4"],
        {"userInvocationTable": {"hasValue": {"fn": _has_value, "arity": {0: []}}}},
    )
    return answer == [True] or (answer == [] and rule.accepts_unknown)


def _has_value(inputs: list[Any]) -> list[bool]:
    return [len(inputs) == 1 and not isinstance(getattr(inputs[0], "data", inputs[0]), dict)]


def _variants(node: Any) -> list[Any]:
    """The node, and the node without each of its first elements: some of these break the rule."""
    if not isinstance(node, dict):
        return [node]
    keys = [key for key in node if key not in ("resourceType", "text", "id")][:5]
    return [node, *({k: v for k, v in node.items() if k != key} for key in keys)]


@needs_r4
def test_the_rules_answer_as_another_fhirpath_engine_does() -> None:
    asked: Counter[str] = Counter()
    differing: dict[str, Any] = {}
    cannot: Counter[str] = Counter()
    rules = [rule for rule in load_rules() if rule.key not in NOT_ASKED]
    nodes = _nodes_by_rule(rules)
    broken: set[str] = set()
    for rule in rules:
        found = nodes.get(f"{rule.key} {rule.context}", ())
        for node, around in [(variant, around) for whole, around in found for variant in _variants(whole)]:
            try:
                theirs = _ask_other_engine(rule, node, around)
            except (NotImplementedError, TypeError, ValueError, KeyError) as error:
                cannot[f"{rule.key}: {error!r:.60}"] += 1
                continue
            asked[rule.key] += 1
            if not theirs:
                broken.add(rule.key)
            if theirs != rule.holds([node], around):
                differing[rule.key] = node
    print(f"asked {asked.total()} times about {len(asked)} rules, {len(broken)} of them also broken; {cannot}")
    assert set(differing) == set(DIFFERS)
    assert len(asked) >= 100
