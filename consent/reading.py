"""The data types inside a Consent, read strictly: what is not in the tables of the profile is refused.

FHIR R4 datatypes; profile_elements.csv and accepted_codes.csv.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from consent.contents import KeyOf
from consent.errors import ConsentIssue
from consent.vocabulary import table

TypeId = Callable[[str], int]
"""The number of a resource type; raises KeyError for a type that R4 does not have."""
HashToken = Callable[[str, str], int]
"""The hash of a system and a code, as the token index holds it."""

_LOCAL = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})")
_ELEMENTS: dict[str, set[str]] = {}
for _row in table("profile_elements"):
    _ELEMENTS.setdefault(_row["node"], set()).add(_row["element"])
_ACCEPTED: dict[str, dict[tuple[str, str], str]] = {}
for _row in table("accepted_codes"):
    _ACCEPTED.setdefault(_row["element"], {})[_row["system"], _row["code"]] = _row["meaning"]


class Reader:
    """Reads elements and collects what is wrong with them; what it returns counts only if nothing is."""

    def __init__(self, key_of: KeyOf, type_id: TypeId, hash_token: HashToken) -> None:
        self.key_of = key_of
        self.type_id = type_id
        self.hash_token = hash_token
        self.malformed: list[ConsentIssue] = []
        self.unsupported: list[ConsentIssue] = []

    def concept(self, concept: Any, element: str, path: str) -> str:
        """The one meaning of the codings of a CodeableConcept; a coding without a meaning here is refused."""
        concept = self.object(concept, path)
        self.only(concept, "CodeableConcept", path)
        meanings = set()
        for where, coding in self.each(concept.get("coding"), f"{path}.coding"):
            meaning = _ACCEPTED[element].get(self.coding(coding, where))
            if meaning is None:
                self.refuse(where, f"a code that this server does not know for {element}", "code-invalid")
            meanings.add(meaning)
        if len(meanings) > 1:
            self.refuse(path, "the codings of one concept must mean the same")
        return (meanings.pop() if meanings else "") or ""

    def coding(self, coding: Mapping[str, Any], path: str) -> tuple[str, str]:
        self.only(coding, "Coding", path)
        system, code = coding.get("system"), coding.get("code")
        if not (isinstance(system, str) and isinstance(code, str) and system and code):
            self.broken(path, "a system and a code are required", "required")
        return str(system), str(code)

    def reference(self, reference: Any, types: tuple[str, ...] | None, path: str) -> int:
        """The key of what a relative reference `Type/id` names; 0 where it is refused."""
        reference = self.object(reference, path)
        self.only(reference, "Reference", path)
        match = _LOCAL.fullmatch(str(reference.get("reference", "")))
        if match is None or not self.is_type(match[1]) or (types is not None and match[1] not in types):
            allowed = ", ".join(types) if types else "resource"
            self.refuse(f"{path}.reference", f"it must name a {allowed} of this server as Type/id")
            return 0
        return self.key_of(match[1], match[2])

    def is_type(self, name: str) -> bool:
        try:
            self.type_id(name)
        except KeyError:
            return False
        return True

    def elements(self, provision: Mapping[str, Any], name: str, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        return self.each(provision.get(name, ()), f"{path}.{name}", required=False)

    def each(self, values: Any, path: str, *, required: bool = True) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """The objects of a list, each with its path."""
        if values == () and not required:
            return
        if not isinstance(values, list) or not values:
            self.broken(path, "a list with at least one element is required", "structure")
            return
        for index, value in enumerate(values):
            yield f"{path}[{index}]", self.object(value, f"{path}[{index}]")

    def object(self, value: Any, path: str) -> Mapping[str, Any]:
        if isinstance(value, dict):
            return value
        self.broken(path, "the element is required and must be an object", "structure")
        return {}

    def only(self, value: Mapping[str, Any], node: str, path: str) -> None:
        for name in value.keys() - _ELEMENTS[node]:
            self.refuse(f"{path}.{name}", "this element is not enforced here")

    def refuse(self, path: str, why: str, code: str = "not-supported") -> None:
        self.unsupported.append(ConsentIssue(code, path, why))

    def broken(self, path: str, why: str, code: str) -> None:
        self.malformed.append(ConsentIssue(code, path, why))
