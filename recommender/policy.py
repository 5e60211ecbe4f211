"""The weekly plan policy: the figures of knowledge/plan_rules.toml, by rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

from recommender import knowledge
from recommender.canonical import BASE


@dataclass(frozen=True)
class Policy:
    """A version of the rules; a Provenance names it."""

    id: str
    version: str
    title: str
    rules: Mapping[str, Mapping[str, Any]]

    @property
    def name(self) -> str:
        """`id|version`."""
        return f"{self.id}|{self.version}"

    @property
    def canonical(self) -> str:
        """The PlanDefinition that publishes this policy."""
        return f"{BASE}/PlanDefinition/{self.name}"

    def whole(self, rule: str, figure: str) -> int:
        """A whole number of a rule."""
        return int(self.rules[rule][figure])

    def exact(self, rule: str, figure: str) -> Fraction:
        """A decimal of a rule without binary rounding: 1.10 is eleven tenths."""
        return Fraction(str(self.rules[rule][figure]))


@cache
def plan_policy() -> Policy:
    """The policy in force."""
    content = knowledge.rules("plan_rules")
    return Policy(content["id"], content["version"], content["title"], content["rule"])
