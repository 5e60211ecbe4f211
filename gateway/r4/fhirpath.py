"""FHIRPath compiled to Python closures (the subset the R4 invariants use).

An expression becomes a function of the focus, a collection, and of the resources around it. Boolean expressions
compile to functions that answer True, False or None (unknown) without building collections.
"""

from collections.abc import Callable
from dataclasses import replace

from gateway.r4 import fhirpath_values as values
from gateway.r4.fhirpath_functions import BOOLEAN_FUNCTIONS, COLLECTION_FUNCTIONS
from gateway.r4.fhirpath_logic import (
    LOGIC,
    TESTS,
    Collection,
    Surroundings,
    Truth,
    boxed,
    comparison,
    logic,
    negation,
    quantifier,
    singleton,
)
from gateway.r4.fhirpath_syntax import (
    Binary,
    Call,
    Literal,
    Member,
    Name,
    Tree,
    TypeTest,
    Variable,
    parse_expression,
)
from gateway.r4.fhirpath_values import Items


class Unsupported(ValueError):
    """The expression uses something this subset does not have."""


_UCUM = ["http://unitsofmeasure.org"]


def compile_truth(text: str) -> Truth:
    """The yes-or-no question of an expression; SyntaxProblem or Unsupported when it cannot be compiled."""
    truth = _truth(parse_expression(text))
    return _with_context(truth) if "%context" in text else truth


def compile_truth_of(tree: Tree) -> Truth:
    """The same of an expression that was read already; Unsupported."""
    return _truth(tree)


def _with_context(inner: Truth) -> Truth:
    return lambda focus, around: inner(focus, replace(around, context=focus[0]))


def _truth(tree: Tree) -> Truth:
    if isinstance(tree, Binary) and tree.operator in LOGIC:
        return logic(tree.operator, _truth(tree.left), _truth(tree.right))
    if isinstance(tree, Binary) and tree.operator in TESTS:
        return comparison(tree.operator, _collection(tree.left), _collection(tree.right))
    if isinstance(tree, Call):
        return _truth_of_call(tree)
    if isinstance(tree, TypeTest) and tree.operator == "is":
        return _type_test(_collection(tree.left), tree.type)
    return singleton(_collection(tree))


def _truth_of_call(tree: Call) -> Truth:
    name, arguments = tree.name, tree.arguments
    if name == "not":
        return negation(_truth(_left(tree)))
    if name in ("exists", "empty") and not arguments:
        return _existence(_left(tree), wanted=name == "exists")
    if name in ("exists", "all") and len(arguments) == 1:
        return quantifier(_collection(_left(tree)), _truth(arguments[0]), is_all=name == "all")
    if name == "is" and isinstance(arguments[0], Name):
        return _type_test(_collection(_left(tree)), arguments[0].name)
    if name in BOOLEAN_FUNCTIONS:
        return _boolean_function(tree)
    return singleton(_collection(tree))


def _left(tree: Call) -> Tree:
    return Name("$this") if tree.left is None else tree.left


def _existence(tree: Tree, wanted: bool) -> Truth:
    if isinstance(tree, Name) and tree.name[0].islower():
        return _presence(tree.name, wanted)
    items = _collection(tree)
    return lambda focus, around: bool(items(focus, around)) == wanted


def _presence(name: str, wanted: bool) -> Truth:
    has_member = values.has_member

    def truth(focus: Items, around: Surroundings) -> bool:
        return (
            any(has_member(item, name) for item in focus) == wanted
            if len(focus) != 1
            else (has_member(focus[0], name) == wanted)
        )

    return truth


def _type_test(items: Collection, name: str) -> Truth:
    if not values.is_known_type(name):
        raise Unsupported(f"the type {name}")

    def truth(focus: Items, around: Surroundings) -> bool | None:
        found = items(focus, around)
        return values.is_of_type(found[0], name) if len(found) == 1 else None

    return truth


def _boolean_function(tree: Call) -> Truth:
    function, items = BOOLEAN_FUNCTIONS[tree.name], _collection(_left(tree))
    arguments = [_collection(argument) for argument in tree.arguments]

    def truth(focus: Items, around: Surroundings) -> bool | None:
        return function(items(focus, around), *[argument(focus, around) for argument in arguments])

    return truth


def _collection(tree: Tree) -> Collection:
    if isinstance(tree, Literal):
        constant = [tree.value]
        return lambda focus, around: constant
    if isinstance(tree, Name):
        return _name(tree.name)
    if isinstance(tree, Variable):
        return _variable(tree.name)
    if isinstance(tree, Member):
        return _member(_collection(tree.left), tree.name)
    if isinstance(tree, TypeTest) and tree.operator == "as":
        return _cast(_collection(tree.left), tree.type)
    if isinstance(tree, Call) and not _is_boolean(tree):
        return _call(tree)
    if isinstance(tree, Binary) and tree.operator not in TESTS:
        return _operator(tree)
    return boxed(_truth(tree))


def _is_boolean(tree: Call) -> bool:
    return tree.name in ("not", "exists", "empty", "all", "is") or tree.name in BOOLEAN_FUNCTIONS


def _name(name: str) -> Collection:
    # A type name at the start of a path, as in Appointment.status, is the focus itself.
    if name == "$this" or name[0].isupper():
        return lambda focus, around: focus
    return _member(lambda focus, around: focus, name)


def _member(left: Collection, name: str) -> Collection:
    members = values.members

    def items(focus: Items, around: Surroundings) -> Items:
        found = left(focus, around)
        if len(found) == 1:
            return members(found[0], name)
        return [child for item in found for child in members(item, name)]

    return items


def _variable(name: str) -> Collection:
    if name == "resource":
        return lambda focus, around: [around.resource]
    if name == "context":
        return lambda focus, around: [around.context]
    if name == "rootResource":
        return lambda focus, around: [around.root]
    if name == "ucum":
        return lambda focus, around: _UCUM
    raise Unsupported(f"the variable %{name}")


def _cast(items: Collection, name: str) -> Collection:
    if not values.is_known_type(name):
        raise Unsupported(f"the type {name}")
    return lambda focus, around: [item for item in items(focus, around) if values.is_of_type(item, name)]


def _operator(tree: Binary) -> Collection:
    left, right = _collection(tree.left), _collection(tree.right)
    function = COLLECTION_FUNCTIONS[tree.operator]
    return lambda focus, around: function(left(focus, around), right(focus, around))


def _call(tree: Call) -> Collection:
    items, arguments = _collection(_left(tree)), tree.arguments
    if tree.name in ("as", "ofType") and isinstance(arguments[0], Name):
        return _cast(items, arguments[0].name)
    if tree.name == "where":
        return _filter(items, _truth(arguments[0]))
    if tree.name == "select":
        return _projection(items, _collection(arguments[0]))
    if tree.name == "iif":
        return _conditional(items, arguments)
    if tree.name not in COLLECTION_FUNCTIONS:
        raise Unsupported(f"the function {tree.name}()")
    return _function(COLLECTION_FUNCTIONS[tree.name], items, arguments)


def _function(function: Callable[..., Items], items: Collection, arguments: tuple[Tree, ...]) -> Collection:
    compiled = [_collection(argument) for argument in arguments]
    return lambda focus, around: function(items(focus, around), *[each(focus, around) for each in compiled])


def _filter(items: Collection, criterion: Truth) -> Collection:
    return lambda focus, around: [item for item in items(focus, around) if criterion([item], around) is True]


def _projection(items: Collection, each: Collection) -> Collection:
    return lambda focus, around: [found for item in items(focus, around) for found in each([item], around)]


def _conditional(items: Collection, arguments: tuple[Tree, ...]) -> Collection:
    criterion, *branches = arguments
    test = _truth(criterion)
    then = _collection(branches[0])
    otherwise = _collection(branches[1]) if len(branches) > 1 else None

    def found(focus: Items, around: Surroundings) -> Items:
        inner = items(focus, around)
        if test(inner, around) is True:
            return then(inner, around)
        return otherwise(inner, around) if otherwise else []

    return found
