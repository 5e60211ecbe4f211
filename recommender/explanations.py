"""Why the plan says what it says: one explanation for each rule that fired."""

from __future__ import annotations

from dataclasses import dataclass

from recommender import knowledge


@dataclass(frozen=True)
class Explanation:
    """
    rule    id in plan_rules.toml
    item    what it explains: steps, exercise:<id>, education:<id>, advice:<code>, goal:<code> or plan
    text    one or two sentences for the person
    inputs  references of the resources the rule looked at
    """

    rule: str
    item: str
    text: str
    inputs: tuple[str, ...] = ()


def explain(
    rule: str, item: str, inputs: tuple[str, ...] = (), *, key: str | None = None, **values: object
) -> Explanation:
    """The explanation whose sentence is plan_texts.csv row `key`, by default the row named like the rule."""
    return Explanation(rule, item, knowledge.text(key or rule, **values), inputs)
