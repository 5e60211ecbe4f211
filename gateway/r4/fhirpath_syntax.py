"""FHIRPath text to a tree (FHIRPath 1.0 as used by the R4 invariants; grammar of http://hl7.org/fhirpath)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass


class SyntaxProblem(ValueError):
    """The text is not FHIRPath."""


@dataclass(frozen=True, slots=True)
class Literal:
    value: str | int | float | bool


@dataclass(frozen=True, slots=True)
class Name:
    """A member step without a left side: `name`, or `$this`."""

    name: str


@dataclass(frozen=True, slots=True)
class Variable:
    """%resource, %ucum, ..."""

    name: str


@dataclass(frozen=True, slots=True)
class Member:
    left: "Tree"
    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """A function; left is None when it applies to the focus itself."""

    left: "Tree | None"
    name: str
    arguments: tuple["Tree", ...]


@dataclass(frozen=True, slots=True)
class Binary:
    operator: str
    left: "Tree"
    right: "Tree"


@dataclass(frozen=True, slots=True)
class TypeTest:
    """left is Type, or left as Type."""

    operator: str
    left: "Tree"
    type: str


Tree = Literal | Name | Variable | Member | Call | Binary | TypeTest

_TOKEN = re.compile(
    r"\s*(?:(?P<number>[0-9]+(?:\.[0-9]+)?)|(?P<string>'(?:[^'\\]|\\.)*')|(?P<quoted>`[^`]+`)"
    r"|(?P<name>[$A-Za-z_][A-Za-z0-9_]*)|(?P<variable>%[A-Za-z]+)"
    r"|(?P<symbol><=|>=|!=|[=<>|+\-&.,()\[\]]))"
)
_LEVELS: tuple[frozenset[str], ...] = (
    frozenset({"implies"}),
    frozenset({"or", "xor"}),
    frozenset({"and"}),
    frozenset({"in", "contains"}),
    frozenset({"=", "!="}),
    frozenset({"<", "<=", ">", ">="}),
    frozenset({"|"}),
    frozenset({"is", "as"}),
    frozenset({"+", "-", "&"}),
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "f": "\f"}


def parse_expression(text: str) -> Tree:
    """The tree of an expression; SyntaxProblem when it is not one."""
    reader = _Reader(list(_tokens(text)))
    tree = reader.level(0)
    if reader.peek() is not None:
        raise SyntaxProblem(f"unexpected {reader.peek()} in: {text}")
    return tree


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    position, text = 0, text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise SyntaxProblem(f"cannot read from position {position}: {text}")
        yield match.lastgroup, match[match.lastgroup]
        position = match.end()


class _Reader:
    """Precedence climbing over the tokens; each level of _LEVELS binds tighter than the one before."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0

    def peek(self) -> str | None:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else None

    def take(self) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise SyntaxProblem("the expression ends early")
        self._at += 1
        return self._tokens[self._at - 1]

    def expect(self, symbol: str) -> None:
        if self.take()[1] != symbol:
            raise SyntaxProblem(f"expected {symbol}")

    def level(self, depth: int) -> Tree:
        if depth == len(_LEVELS):
            return self.path()
        left = self.level(depth + 1)
        while self.peek() in _LEVELS[depth]:
            operator = self.take()[1]
            if operator in ("is", "as"):
                left = TypeTest(operator, left, self.take()[1])
            else:
                left = Binary(operator, left, self.level(depth + 1))
        return left

    def path(self) -> Tree:
        tree = self.term()
        while self.peek() in (".", "["):
            if self.take()[1] == "[":
                tree = Call(tree, "[]", (self.level(0),))
                self.expect("]")
                continue
            name = self.take()[1].strip("`")
            tree = Call(tree, name, self.arguments()) if self.peek() == "(" else Member(tree, name)
        return tree

    def term(self) -> Tree:
        kind, text = self.take()
        if kind == "number":
            return Literal(float(text) if "." in text else int(text))
        if kind == "string":
            return Literal(_unescape(text[1:-1]))
        if kind == "variable":
            return Variable(text[1:])
        if kind == "symbol":
            return self.group(text)
        if text in ("true", "false"):
            return Literal(text == "true")
        return Call(None, text, self.arguments()) if self.peek() == "(" else Name(text.strip("`"))

    def group(self, symbol: str) -> Tree:
        if symbol != "(":
            raise SyntaxProblem(f"unexpected {symbol}")
        tree = self.level(0)
        self.expect(")")
        return tree

    def arguments(self) -> tuple[Tree, ...]:
        self.expect("(")
        found: list[Tree] = []
        while self.peek() != ")":
            found.append(self.level(0))
            if self.peek() == ",":
                self.take()
        self.expect(")")
        return tuple(found)


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), text)
