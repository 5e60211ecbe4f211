"""The FHIRPath of a patch operation: the part of the language that names elements of a resource (R4 fhirpatch.html)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.r4.definitions import Structure, structures
from gateway.r4.fhirpath import Unsupported, compile_truth_of
from gateway.r4.fhirpath_logic import TESTS, Surroundings, Truth
from gateway.r4.fhirpath_syntax import (
    Binary,
    Call,
    Literal,
    Member,
    Name,
    SyntaxProblem,
    Tree,
    TypeTest,
    parse_expression,
)
from gateway.r4.json_tree import plain
from gateway.r4.patch_places import Object, Place, children, slots_of

LONGEST_PATH = 1_000
# Elements that the paths of one patch may lead over, in all.
MOST_VISITED = 100_000
# Each level of an expression is a call inside a call while it runs.
DEEPEST_PATH = 50
# What a criterion may call, and with how many arguments. `matches` is left out: a pattern can run for ever.
_CALLS = {
    "where": (1,), "exists": (0, 1), "all": (1,), "empty": (0,), "not": (0,), "is": (1,), "as": (1,), "ofType": (1,),
    "first": (0,), "tail": (0,), "count": (0,), "hasValue": (0,), "startsWith": (1,), "contains": (1,),
}  # fmt: skip


# A criterion has no variables, so it cannot ask what is around the element.
_NOTHING_AROUND = Surroundings.of({})


class NoSuchPath(ValueError):
    """The path cannot be understood, or names what the resource's type does not have."""


@dataclass(frozen=True, slots=True)
class Step:
    """An element while a path is walked: a place, or the resource itself (place None)."""

    object: Object
    structure: Structure | None
    place: Place | None = None


@dataclass(slots=True)
class Walk:
    """A resource that paths are walked in, and how many elements may still be visited: a patch must not take long."""

    resource: Object
    left: int = MOST_VISITED

    def visit(self, steps: list[Step]) -> list[Step]:
        """The same steps, counted. Raises NoSuchPath where the patch has looked at too many."""
        self.left -= len(steps)
        if self.left < 0:
            raise NoSuchPath("The paths of the patch lead over too many elements.")
        return steps


@dataclass(frozen=True, slots=True)
class PatchPath:
    """A path that was read, to be walked in resources of a type."""

    tree: Tree

    def found(self, walk: Walk) -> list[Step]:
        """The elements that the path leads to. Raises NoSuchPath."""
        return _walk(self.tree, walk)

    def parents(self, walk: Walk) -> tuple[list[Step], str]:
        """The elements whose children the path names, and the children's name. Raises NoSuchPath."""
        if isinstance(self.tree, Member):
            return _walk(self.tree.left, walk), self.tree.name
        if isinstance(self.tree, Name) and not _is_type(self.tree.name):
            return [_root(walk.resource)], self.tree.name
        raise NoSuchPath("The path must end with the name of an element that repeats.")


def read_path(text: str) -> PatchPath:
    """Raises NoSuchPath where the text is not FHIRPath, or is longer than LONGEST_PATH."""
    if len(text) > LONGEST_PATH:
        raise NoSuchPath(f"A path has at most {LONGEST_PATH} characters.")
    try:
        tree = parse_expression(text)
    except (SyntaxProblem, RecursionError):
        raise NoSuchPath("The path is not FHIRPath.") from None
    if _depth(tree) > DEEPEST_PATH:
        raise NoSuchPath("The path is too long.")
    return PatchPath(tree)


def _depth(tree: Tree | None) -> int:
    match tree:
        case Binary(_, left, right):
            return 1 + max(_depth(left), _depth(right))
        case Call(left, _, arguments):
            return 1 + max(map(_depth, (left, *arguments)))
        case Member(left, _) | TypeTest(_, left, _):
            return 1 + _depth(left)
    return 0


def _walk(tree: Tree, walk: Walk) -> list[Step]:
    match tree:
        case Name(name):
            return _named(name, walk)
        case Member(left, name):
            return _children(_walk(left, walk), name, walk)
        case TypeTest("as", left, name):
            return _of_type(_walk(left, walk), name)
        case Call(left, name, arguments) if left is not None:
            return _called(_walk(left, walk), name, arguments, walk)
    raise NoSuchPath("The path may name elements, and choose among them with where(), [n], first(), last() and as.")


def _root(resource: Object) -> Step:
    return Step(resource, structures()[resource["resourceType"]])


def _is_type(name: str) -> bool:
    return name[0].isupper()


def _named(name: str, walk: Walk) -> list[Step]:
    resource = walk.resource
    if not _is_type(name):
        return _children([_root(resource)], name, walk)
    if name not in (resource["resourceType"], "Resource", "DomainResource"):
        raise NoSuchPath("The path begins with another type than the resource has.")
    return [_root(resource)]


def _children(steps: Sequence[Step], name: str, walk: Walk) -> list[Step]:
    for step in steps:
        if not slots_of(step.structure, name):
            raise NoSuchPath("The path names an element that does not exist in R4.")
    places = (place for step in steps for place in children(step.object, step.structure, name, step.place))
    return walk.visit([Step(place.inner, place.structure, place) for place in places])


def _called(steps: list[Step], name: str, arguments: tuple[Tree, ...], walk: Walk) -> list[Step]:
    match name, arguments:
        case "[]", (Literal(int(index)),) if not isinstance(index, bool):
            return steps[index : index + 1]
        case "where", (criterion,):
            return _where(walk.visit(steps), criterion)
        case "first", ():
            return steps[:1]
        case "last", ():
            return steps[-1:]
        case "tail", ():
            return steps[1:]
        case (("ofType" | "as"), (Name(wanted),)):
            return _of_type(steps, wanted)
        case "extension", (Literal(str(url)),):
            return [step for step in _children(steps, "extension", walk) if step.object.get("url") == url]
    raise NoSuchPath("The path uses a function that cannot name an element here.")


def _where(steps: list[Step], criterion: Tree) -> list[Step]:
    truth = _criterion(criterion)
    return [step for step in steps if truth([_seen(step)], _NOTHING_AROUND) is True]


def _criterion(tree: Tree) -> Truth:
    _check(tree)
    try:
        return compile_truth_of(tree)
    except (Unsupported, RecursionError):
        raise NoSuchPath("A criterion of the path uses what this server does not know.") from None


def _check(tree: Tree) -> None:
    """Raises NoSuchPath for what a criterion may not use."""
    match tree:
        case Literal() | Name():
            return
        case Member(left, _) | TypeTest(_, left, _):
            _check(left)
        case Binary(operator, left, right) if operator in TESTS:
            _check(left)
            _check(right)
        case Call(left, "[]", (Literal(int()),)) if left is not None:
            _check(left)
        case Call(left, name, arguments) if len(arguments) in _CALLS.get(name, ()):
            for inner in (*arguments, *(() if left is None else (left,))):
                _check(inner)
        case _:
            raise NoSuchPath("A criterion of the path uses what this server does not know.")


def _seen(step: Step) -> object:
    place = step.place
    if place is None or isinstance(place.value, dict):
        return plain(step.object)
    return plain(place.inner if place.value is None else place.value)


def _of_type(steps: list[Step], wanted: str) -> list[Step]:
    return [step for step in steps if _type_of(step).lower() == wanted.lower()]


def _type_of(step: Step) -> str:
    if step.place is not None and step.place.slot.type != "Resource":
        return step.place.slot.type
    return str(step.object.get("resourceType"))
