"""Is this resource valid FHIR R4, and if not, where and why (FHIR R4 validation, section 5.3).

The common answer, yes, comes from one compiled schema and the invariants behind it. Everything else is decided,
and explained, by walking the resource.
"""

from functools import cache
from itertools import islice
from typing import Any

import orjson

from gateway.r4.bundle_links import bundle_issues
from gateway.r4.codes import are_plainly_possible
from gateway.r4.contained import contained_issues, is_plainly_linked
from gateway.r4.definitions import is_resource_type
from gateway.r4.element_ids import are_plainly_distinct
from gateway.r4.fhirpath_logic import Surroundings
from gateway.r4.invariants import (
    HELD_BEFORE,
    Rule,
    Visit,
    Visitor,
    Visitors,
    broken,
    extensible_rules,
    holds,
    load_rules,
)
from gateway.r4.issues import Issue
from gateway.r4.narrative import narrative_problem
from gateway.r4.primitives import may_run
from gateway.r4.schema import compile_schema
from gateway.r4.structure import MOST_ISSUES, Walk, check_structure
from gateway.r4.terminology import specification

# Rules of ours about codes, and the kind of their findings.
_CODES = dict.fromkeys(("bb-code", "bb-known", "bb-form", "bb-unit", "bb-binding"), "code-invalid")


class Validator:
    """The rules of R4, compiled once; keeps nothing of what it judges."""

    def __init__(self) -> None:
        # Read now, so that the first request does not wait for it.
        specification()
        self._schema = compile_schema()
        loaded = load_rules()
        rules = [rule for rule in loaded if rule.refuses]
        self._visitors = Visitors(rules)
        self._mild = Visitors([rule for rule in loaded if not rule.refuses] + extensible_rules())
        self._markers = sorted({rule.marker.encode() for rule in rules if rule.marker})
        remaining = [rule for rule in rules if rule.key not in HELD_BEFORE and not rule.marker]
        self._remaining = Visitors(remaining)
        self._remaining_outside_extensions = Visitors(remaining, in_extensions=False)

    def validate(self, resource: Any, type: str | None = None) -> list[Issue]:
        """
        What is wrong with a resource; empty when it is valid.

        resource  parsed JSON, as parse.parse returns it
        type      the type it must have; None takes any R4 type

        At most MOST_ISSUES, and neither warnings nor best practice. Rules are judged once the structure is right.
        """
        if issue := _type_issue(resource, type):
            return [issue]
        return [] if self._is_plainly_valid(resource) else self._explain(resource)[:MOST_ISSUES]

    def remarks(self, resource: dict[str, Any]) -> list[Issue]:
        """
        What does not make a resource invalid and is worth knowing: warnings, at most MOST_ISSUES.

        resource  one in which `validate` found nothing; those inside it are looked at too

        Best practice, extensible bindings, displays, retired codes. Slower than validate; not for the write path.
        """
        walk = Walk()
        self._remark(Surroundings.of(resource), resource["resourceType"], walk)
        return walk.issues[:MOST_ISSUES]

    def _remark(self, around: Surroundings, path: str, walk: Walk) -> None:
        own = Walk()
        resource = around.resource
        check_structure(resource, resource["resourceType"], path, own)
        found = broken(self._mild.of(resource["resourceType"]), resource, path, around)
        walk.issues += [_broken_issue(*each) for each in islice(found, MOST_ISSUES)]
        for place, inner in own.nested:
            if walk.is_full or _type_issue(inner, None):
                return
            is_contained = place.startswith(f"{path}.contained[")
            self._remark(around.inside(inner) if is_contained else Surroundings.of(inner), place, walk)

    def _is_plainly_valid(self, resource: dict[str, Any], container: Surroundings | None = None) -> bool:
        """Yes is certain; no means that it takes a closer look. container: of a contained resource."""
        name = resource["resourceType"]
        if not self._fits_schema(name, resource):
            return False
        shell = _shell(resource)
        printed = _printed(shell)
        if not printed or may_run(printed):
            return False
        if not (are_plainly_possible(printed, shell) and are_plainly_distinct(printed, shell)):
            return False
        around = container.inside(resource) if container else Surroundings.of(resource)
        if not holds(self._rules_for(name, printed), resource, Visit(around, self._accepts)):
            return False
        if name == "Bundle" and any(bundle_issues(resource, "")):
            return False
        return "contained" not in resource or (container is None and self._has_plain_contained(resource, around))

    def _rules_for(self, name: str, printed: bytes) -> Visitor:
        """What is left to ask about a resource with this JSON text."""
        for marker in self._markers:
            if marker in printed:
                return self._visitors.of(name)
        # Resources inside these have extensions of their own.
        has_extensions = name in ("Bundle", "Parameters") or b'xtension":[' in printed
        return (self._remaining if has_extensions else self._remaining_outside_extensions).of(name)

    def _fits_schema(self, name: str, resource: dict[str, Any]) -> bool:
        try:
            return self._schema.is_valid({name: resource})
        except UnicodeEncodeError:  # a lone surrogate; orjson refuses it, other readers may not
            return False

    def _has_plain_contained(self, resource: dict[str, Any], around: Surroundings) -> bool:
        for inner in resource["contained"]:
            if "meta" in inner or _type_issue(inner, None) or not self._is_plainly_valid(inner, around):
                return False
        return is_plainly_linked(resource)

    def _accepts(self, resource: Any) -> bool:
        """Whether a resource inside another (not a contained one) is valid."""
        return not self.validate(resource)

    def _explain(self, resource: dict[str, Any]) -> list[Issue]:
        walk = Walk()
        self._look_closer(Surroundings.of(resource), resource["resourceType"], walk)
        return walk.issues

    def _look_closer(self, around: Surroundings, path: str, walk: Walk) -> None:
        """Judge one resource and those inside it; findings and local references go to walk."""
        own = Walk()
        resource = around.resource
        name = resource["resourceType"]
        check_structure(resource, name, path, own)
        if not own.issues:
            found = broken(self._visitors.of(name), resource, path, around)
            own.issues = [_broken_issue(*each) for each in islice(found, MOST_ISSUES)]
            if name == "Bundle":
                own.issues += bundle_issues(resource, path)
        for place, inner in own.nested:
            if not own.is_full:
                is_contained = place.startswith(f"{path}.contained[")
                self._look_inside(inner, place, around if is_contained else None, own)
        if around.root is resource:
            own.issues += contained_issues(resource, path, own.local)
        else:
            walk.local += own.local
        walk.issues += own.issues

    def _look_inside(self, inner: Any, place: str, container: Surroundings | None, walk: Walk) -> None:
        if issue := _type_issue(inner, None, place):
            walk.issues.append(issue)
        elif container is not None:
            self._look_closer(container.inside(inner), place, walk)
        elif not self._is_plainly_valid(inner):
            self._look_closer(Surroundings.of(inner), place, walk)


def _shell(resource: dict[str, Any]) -> dict[str, Any]:
    """A Bundle without its entries, which are judged on their own; any other resource as it is."""
    if resource["resourceType"] != "Bundle":
        return resource
    return {key: value for key, value in resource.items() if key != "entry"}


def _printed(resource: dict[str, Any]) -> bytes:
    """The compact JSON of a resource, empty where it cannot be written."""
    try:
        return orjson.dumps(resource)
    except orjson.JSONEncodeError:  # a number beyond 64 bits, which only other readers let through
        return b""


def _type_issue(resource: Any, type: str | None, path: str = "") -> Issue | None:
    if not isinstance(resource, dict):
        return Issue("error", "structure", path, "A resource must be a JSON object.")
    name = resource.get("resourceType")
    place = f"{path}.resourceType" if path else "resourceType"
    if name is None:
        return Issue("error", "required", place, "resourceType is missing.")
    if not is_resource_type(name):
        return Issue("error", "structure", place, "resourceType is not a resource type of FHIR R4.")
    if type is not None and name != type:
        return Issue("error", "structure", place, f"The resource is not a {type}.")
    return None


def _broken_issue(rule: Rule, path: str, node: Any) -> Issue:
    if rule.context == "Narrative.div":
        text = narrative_problem(node) or rule.key
    else:
        text = f"{rule.key}: {rule.says or 'this does not hold: ' + rule.expression}"
    return Issue("error" if rule.refuses else "warning", _CODES.get(rule.key, "invariant"), path, text)


@cache
def validator() -> Validator:
    """The one of this process; compiling it takes half a second."""
    return Validator()
