"""Value sets of required bindings and of maximum value sets (FHIR R4 terminologies, section 4.1.5)."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

from gateway.r4.definitions import rows
from gateway.r4.languages import is_language_tag, usual_tags
from gateway.r4.ucum import is_unit

_PREFIX = "http://hl7.org/fhir/ValueSet/"
# Open code systems whose codes a registry or a grammar decides.
_JUDGES: dict[str, Callable[[str], bool]] = {"all-languages": is_language_tag, "ucum-units": is_unit}


@dataclass(frozen=True, slots=True)
class ValueSet:
    """
    The codes of one value set, or the shape of its codes where the code system is open.

    by_system  the codes of each code system; empty for an open one
    pattern    a regular expression for an open one; empty otherwise
    usual      a pattern of codes that are members for certain; empty where only has_code can tell
    """

    name: str
    by_system: dict[str, frozenset[str]] = field(default_factory=dict)
    pattern: str = ""
    system: str = ""
    usual: str = ""

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
            judge = _JUDGES.get(self.name)
            return re.fullmatch(self.pattern, code) is not None and (judge is None or judge(code))
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
        row["value_set"]: ValueSet(
            row["value_set"],
            pattern=row["pattern"],
            system=row["system"],
            usual=_usual(row["value_set"], row["pattern"]),
        )
        for row in rows("open-value-sets.csv")
    }
    return closed | opened


def _usual(name: str, pattern: str) -> str:
    if name == "all-languages":
        return usual_tags()
    return "" if name in _JUDGES else pattern
