"""SMART scopes, versions 1 and 2, read strictly (SMART App Launch 2.2, "Scopes and Launch Context").

    v2   patient|user|system / Type|* . c?r?u?d?s?   the letters in this order, at least one
    v1   patient|user|system / Type|* . read|write|*     read = rs, write = cud, * = cruds

Everything else is refused, not ignored: a scope that is misread is a door.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import parse_qsl

from gateway.access import Scope, ScopeSet
from gateway.r4.definitions import is_resource_type

_SCOPE = re.compile(r"(patient|user|system)/(\*|[A-Z][A-Za-z]{1,63})\.([a-z*]{1,5})(?:\?([!-~]+))?")
_LETTERS = re.compile(r"c?r?u?d?s?")
_VERSION_1 = {"read": frozenset("rs"), "write": frozenset("cud"), "*": frozenset("cruds")}
_LONGEST_TEXT = 4_096


class ScopeRefused(ValueError):
    """The scope is not one that this server grants; the message says why, in characters OAuth allows."""


@lru_cache(maxsize=1_024)
def parse(text: str) -> ScopeSet:
    """
    The scopes of a space-separated list.

    raises  ScopeRefused for an empty list, a malformed or unknown scope, a granular one (`?category=…`), and
            a list that mixes system/ with patient/ or user/
    """
    scopes = tuple(_read(token) for token in _tokens(text))
    if len({scope.level == "system" for scope in scopes}) > 1:
        raise ScopeRefused("system/ scopes cannot be mixed with patient/ or user/ scopes")
    return ScopeSet(scopes)


def granted(asked: str, registered: str) -> str:
    """
    What a client gets: asked ∩ registered, each scope in the version in which it was asked for.

    raises  ScopeRefused when either list is refused or nothing is left
    """
    parse(asked)
    allowed = parse(registered).scopes
    found = [
        _written(common, is_version_1=_is_version_1(token))
        for token in _tokens(asked)
        for one in allowed
        if (common := _common(_read(token), one)) is not None
    ]
    if not found:
        raise ScopeRefused("none of these scopes is registered for this client")
    return " ".join(dict.fromkeys(found))


def levels(scopes: ScopeSet) -> frozenset[str]:
    """The levels that occur: patient, user, system."""
    return frozenset(scope.level for scope in scopes.scopes)


def _tokens(text: str) -> list[str]:
    if not text:
        raise ScopeRefused("the scope is missing")
    if len(text) > _LONGEST_TEXT:
        raise ScopeRefused(f"the scope is longer than {_LONGEST_TEXT} characters")
    return text.split(" ")


def _read(token: str) -> Scope:
    match = _SCOPE.fullmatch(token)
    if match is None:
        raise ScopeRefused(f"not a scope of this server: {_shown(token)}")
    level, resource_type, suffix, query = match.groups()
    if resource_type != "*" and not is_resource_type(resource_type):
        raise ScopeRefused(f"not a resource type of FHIR R4: {_shown(token)}")
    scope = Scope(level, resource_type, _actions(suffix, token), query or "")
    if scope.query:
        _refuse_granular(scope, token)
    return scope


def _actions(suffix: str, token: str) -> frozenset[str]:
    if suffix in _VERSION_1:
        return _VERSION_1[suffix]
    if not _LETTERS.fullmatch(suffix):
        raise ScopeRefused(f"the letters after the dot are c, r, u, d, s in this order: {_shown(token)}")
    return frozenset(suffix)


def _refuse_granular(scope: Scope, token: str) -> None:
    pairs = parse_qsl(scope.query, keep_blank_values=True)
    if not pairs or not all(name and value for name, value in pairs):
        raise ScopeRefused(f"the part after ? is name=value: {_shown(token)}")
    raise ScopeRefused(f"scopes with search parameters are not supported yet: {_shown(token)}")


def _common(asked: Scope, allowed: Scope) -> Scope | None:
    """The greatest scope that both contain, or None."""
    actions = asked.actions & allowed.actions
    if asked.level != allowed.level or not actions:
        return None
    if allowed.type in ("*", asked.type):
        return Scope(asked.level, asked.type, actions)
    if asked.type == "*":
        return Scope(asked.level, allowed.type, actions)
    return None


def _written(scope: Scope, *, is_version_1: bool) -> str:
    names = {actions: name for name, actions in _VERSION_1.items()} if is_version_1 else {}
    letters = "".join(letter for letter in "cruds" if letter in scope.actions)
    return f"{scope.level}/{scope.type}.{names.get(scope.actions, letters)}"


def _is_version_1(token: str) -> bool:
    return token.rpartition(".")[2] in _VERSION_1


def _shown(token: str) -> str:
    """The start of a refused scope, in characters that error_description may hold (RFC 6749, A.8)."""
    return re.sub(r"[^ !#-\[\]-~]", "?", token[:80])
