"""Two readings of the same consents agree: the oracle over the JSON, and the compiled rows."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from consent.probe import decide_rows
from tests.consent.worlds import World, hash_token, type_id

seeds = st.integers(min_value=0, max_value=2**32)


def mismatches(seed: int, requests: int, seen: Counter[str]) -> list[str]:
    world = World.random(seed)
    grants, denies = world.rows()
    found = []
    for _ in range(requests):
        asked = world.request()
        for resource, facts in world.resources:
            expected = world.decide(asked, facts)
            given_by_rows = decide_rows(asked, facts, grants, denies, type_id=type_id, hash_token=hash_token)
            seen[expected.reason] += 1
            if expected != given_by_rows:
                found.append(f"{asked} {resource} {expected} {given_by_rows}")
    return found


def test_compiled_rows_decide_as_the_consents_read() -> None:
    """At least 20 000 decisions near the boundaries, with every kind of outcome among them."""
    seen: Counter[str] = Counter()

    @settings(max_examples=150, deadline=None, database=None)
    @given(seeds)
    def agree(seed: int) -> None:
        assert mismatches(seed, 12, seen) == []

    agree()
    assert seen.total() >= 20_000
    assert min(seen[each] for each in ("permitted", "denied", "not-permitted", "open", "not-open")) > 200
    assert seen["own-author"] > 20
