"""Codes, identifiers and contact points as index values (R4 section 3.1.1.4.10): hashes of code and system.

Identifiers, phone numbers and e-mail addresses never leave here in clear: the hash is the caller's and keyed.
A code bound to one code system carries that system, a contact point its kind (`phone|555 0100`), a boolean no
system.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

Token = tuple[int, int]
Hash = Callable[[str], int]
Convert = Callable[[Any], Sequence[Token]]

# A store meets a few hundred systems and a few thousand codes; nothing personal is remembered.
_SYSTEMS = 1024
_CODES = 8192


class TokenConverters:
    """The converters of one keyed hash."""

    def __init__(self, hash_token: Hash) -> None:
        self._hash = hash_token
        self._code: Hash = lru_cache(_CODES)(self._secret)
        self._system: Hash = lru_cache(_SYSTEMS)(lambda system: hash_token("s" + system))

    def of(self, type_name: str, argument: str) -> Convert:
        """
        The converter of a type to (code, system) hashes.

        argument  for the type code: the system it is bound to
        raises    KeyError when the type cannot be a token
        """
        system = self._system(argument) if argument else 0
        return {
            "boolean": lambda value: ((self._code("true" if value else "false"), 0),),
            "canonical": self._plain,
            "code": lambda value: ((self._code(value), system),),
            "CodeableConcept": self._concept,
            "Coding": self._coding,
            "ContactPoint": self._contact_point,
            "id": self._plain,
            "Identifier": self._identifier,
            "PatientDeceased": self._deceased,
            "string": self._plain,
            "uri": self._plain,
        }[type_name]

    def _secret(self, code: str) -> int:
        return self._hash("c" + code)

    def _plain(self, value: str) -> Sequence[Token]:
        return ((self._secret(value), 0),)

    def _coding(self, coding: Any) -> Sequence[Token]:
        code, system = coding.get("code"), coding.get("system")
        return ((self._code(code) if code else 0, self._system(system) if system else 0),)

    def _concept(self, concept: Any) -> Sequence[Token]:
        codings = concept.get("coding")
        # A concept of text alone is there (for :missing), but has no code to find it by.
        return [self._coding(coding)[0] for coding in codings] if codings else ((0, 0),)

    def _identifier(self, identifier: Any) -> Sequence[Token]:
        value, system = identifier.get("value"), identifier.get("system")
        return ((self._secret(value) if value else 0, self._system(system) if system else 0),)

    def _contact_point(self, contact: Any) -> Sequence[Token]:
        value, system = contact.get("value"), contact.get("system")
        return ((self._secret(value), self._system(system) if system else 0),) if value else ()

    def _deceased(self, patient: Any) -> Sequence[Token]:
        dead = patient.get("deceasedBoolean", False) or "deceasedDateTime" in patient
        return ((self._code("true" if dead else "false"), 0),)
