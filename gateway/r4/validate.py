"""Is this resource valid FHIR R4, and if not, where and why (FHIR R4 validation, section 5.3).

The common answer, yes, comes from one compiled schema and the invariants behind it. Everything else is decided,
and explained, by walking the resource.
"""

from itertools import islice
from typing import Any

import orjson

from gateway.r4.contained import contained_issues, is_plainly_linked
from gateway.r4.definitions import is_resource_type
from gateway.r4.fhirpath_logic import Surroundings
from gateway.r4.invariants import HELD_BEFORE, Rule, Visit, Visitors, broken, holds, load_rules
from gateway.r4.issues import Issue
from gateway.r4.narrative import narrative_problem
from gateway.r4.schema import compile_schema
from gateway.r4.structure import MOST_ISSUES, Walk, check_structure


class Validator:
    """The rules of R4, compiled once; keeps nothing of what it judges."""

    def __init__(self) -> None:
        self._schema = compile_schema()
        rules = [rule for rule in load_rules() if rule.refuses]
        self._visitors = Visitors(rules)
        remaining = [rule for rule in rules if rule.key not in HELD_BEFORE]
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

    def _is_plainly_valid(self, resource: dict[str, Any], container: Surroundings | None = None) -> bool:
        """Yes is certain; no means that it takes a closer look. container: of a contained resource."""
        name = resource["resourceType"]
        if not self._fits_schema(name, resource):
            return False
        around = container.inside(resource) if container else Surroundings.of(resource)
        visit = Visit(around, self._accepts)
        visitors = self._remaining if _has_extensions(resource) else self._remaining_outside_extensions
        if not holds(visitors.of(name), resource, visit):
            return False
        return "contained" not in resource or (container is None and self._has_plain_contained(resource, around))

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


def _has_extensions(resource: dict[str, Any]) -> bool:
    """Whether to look for rules inside extensions; yes also where it is not worth finding out."""
    if resource["resourceType"] in ("Bundle", "Parameters"):
        return True
    try:
        return b'xtension":[' in orjson.dumps(resource)
    except orjson.JSONEncodeError:  # a number beyond 64 bits, which only other readers let through
        return True


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
    return Issue("error", "invariant", path, text)
