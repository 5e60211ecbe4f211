"""Is a text FHIRPath? The whole grammar of the language, syntax only (http://hl7.org/fhirpath/N1, section 13)."""

import re
from collections.abc import Iterator

from gateway.r4.fhirpath_syntax import SyntaxProblem

_TOKEN = re.compile(
    r"(?P<blank>\s+|//[^\n]*|/\*.*?\*/)"
    r"|(?P<time>@T?[0-9][0-9:.\-]*(?:T(?:[0-9][0-9:.]*)?(?:Z|[+-][0-9]{2}:[0-9]{2})?)?)"
    r"|(?P<number>[0-9]+(?:\.[0-9]+)?)|(?P<string>'(?:[^'\\]|\\.)*')|(?P<quoted>`(?:[^`\\]|\\.)*`)"
    r"|(?P<special>\$(?:this|index|total))|(?P<variable>%(?:[A-Za-z_][A-Za-z0-9_-]*|`[^`]+`|'[^']+'))"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<symbol><=|>=|!=|!~|[=~<>|+\-*/&.,()\[\]{}])",
    re.DOTALL,
)
_SIGNS = frozenset(("*", "/", "+", "-", "&", "|", "<=", ">=", "<", ">", "=", "~", "!=", "!~"))
_WORDS = frozenset(("div", "mod", "is", "as", "in", "contains", "and", "or", "xor", "implies"))
_BINARY = _SIGNS | _WORDS
# These words may be names as well (section 13, identifier).
_ALSO_NAMES = frozenset(("is", "as", "in", "contains"))
_UNITS = frozenset(("year", "month", "week", "day", "hour", "minute", "second", "millisecond"))
_MOST_NESTED = 64


def is_expression(text: str) -> bool:
    """Whether a text is an expression of FHIRPath; says nothing about names, functions and types."""
    try:
        reader = _Reader([token for token in _tokens(text) if token[0] != "blank"])
        reader.expression()
        return reader.is_at_end()
    except SyntaxProblem:
        return False


def variables_of(text: str) -> frozenset[str]:
    """The names of the %variables in a text, without the sign and quotes."""
    try:
        return frozenset(value[1:].strip("`'") for kind, value in _tokens(text) if kind == "variable")
    except SyntaxProblem:
        return frozenset()


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise SyntaxProblem("a sign that FHIRPath does not have")
        yield match.lastgroup, match[match.lastgroup]
        at = match.end()


class _Reader:
    """Operators are read without their precedence: for what is well formed it makes no difference."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    def is_at_end(self) -> bool:
        return self._at == len(self._tokens)

    def expression(self) -> None:
        self._depth += 1
        if self._depth > _MOST_NESTED:
            raise SyntaxProblem("nested too deep")
        self._operand()
        while self._value() in _BINARY:
            operator = self._take()[1]
            self._type() if operator in ("is", "as") else self._operand()
        self._depth -= 1

    def _operand(self) -> None:
        while self._value() in ("+", "-"):
            self._take()
        self._term()
        while self._value() in (".", "["):
            if self._take()[1] == ".":
                self._invocation()
            else:
                self.expression()
                self._expect("]")

    def _term(self) -> None:
        kind, value = self._take()
        if kind == "number":
            self._unit()
        elif value == "(":
            self.expression()
            self._expect(")")
        elif value == "{":
            self._expect("}")
        elif kind == "symbol" or (kind == "name" and value in _WORDS - _ALSO_NAMES):
            raise SyntaxProblem("an operand is missing")
        elif kind in ("name", "quoted"):
            self._arguments()

    def _unit(self) -> None:
        kind, value = self._peek()
        if kind == "string" or (kind == "name" and value.removesuffix("s") in _UNITS):
            self._take()

    def _invocation(self) -> None:
        kind, _ = self._take()
        if kind not in ("name", "quoted", "special"):
            raise SyntaxProblem("a name must follow the point")
        self._arguments()

    def _arguments(self) -> None:
        if self._value() != "(":
            return
        self._take()
        if self._value() != ")":
            self.expression()
            while self._value() == ",":
                self._take()
                self.expression()
        self._expect(")")

    def _type(self) -> None:
        self._invocation()
        while self._value() == ".":
            self._take()
            self._invocation()

    def _peek(self) -> tuple[str, str]:
        return ("end", "") if self.is_at_end() else self._tokens[self._at]

    def _value(self) -> str:
        kind, value = self._peek()
        return "" if kind in ("string", "quoted") else value

    def _take(self) -> tuple[str, str]:
        if self.is_at_end():
            raise SyntaxProblem("the expression ends early")
        self._at += 1
        return self._tokens[self._at - 1]

    def _expect(self, symbol: str) -> None:
        if self._take()[1] != symbol:
            raise SyntaxProblem(f"{symbol} is missing")
