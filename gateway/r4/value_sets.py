"""Value sets of required bindings and of maximum value sets (FHIR R4 terminologies, section 4.1.5)."""

import re
from dataclasses import dataclass, field
from functools import cache

from gateway.r4.definitions import rows

_PREFIX = "http://hl7.org/fhir/ValueSet/"


@dataclass(frozen=True, slots=True)
class ValueSet:
    """
    The codes of one value set, or the shape of its codes where the code system is open.

    by_system  the codes of each code system; empty for an open one
    pattern    a regular expression for an open one; empty otherwise
    """

    name: str
    by_system: dict[str, frozenset[str]] = field(default_factory=dict)
    pattern: str = ""
    system: str = ""

    @property
    def url(self) -> str:
        return self.name if "/" in self.name else _PREFIX + self.name

    @property
    def codes(self) -> frozenset[str]:
        return frozenset().union(*self.by_system.values())

    def has_code(self, code: object) -> bool:
        """Whether a bare code (a `code` element) is a member."""
        if not isinstance(code, str):
            return False
        if self.pattern:
            return re.fullmatch(self.pattern, code) is not None
        return any(code in codes for codes in self.by_system.values())

    def has_coding(self, system: object, code: object) -> bool:
        """Whether a Coding is a member; the system must be named."""
        if self.pattern:
            return system == self.system and self.has_code(code)
        return isinstance(system, str) and code in self.by_system.get(system, ())


@cache
def value_sets() -> dict[str, ValueSet]:
    """All value sets of the fact tables, by short name."""
    codes: dict[str, dict[str, set[str]]] = {}
    for row in rows("value-sets.csv"):
        codes.setdefault(row["value_set"], {}).setdefault(row["system"], set()).add(row["code"])
    closed = {
        name: ValueSet(name, {system: frozenset(members) for system, members in systems.items()})
        for name, systems in codes.items()
    }
    opened = {
        row["value_set"]: ValueSet(row["value_set"], pattern=row["pattern"], system=row["system"])
        for row in rows("open-value-sets.csv")
    }
    return closed | opened
