"""What must hold between worlds: adding a deny takes away only, unknown codes never widen, and the like."""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent import forms
from consent.errors import ConsentRefused
from consent.requests import Request, resource_facts
from consent.vocabulary import ACT_CODE, ACT_REASON, RESOURCE_TYPES, Action
from gateway.r4.identity import key_of
from tests.consent import worlds
from tests.consent.worlds import World, coding, compile_consent, concept, is_accepted, microseconds

seeds = st.integers(0, 2**32)
few = settings(max_examples=60, deadline=None)


def permitted(world: World, requests: list[Any]) -> set[tuple[int, int]]:
    """The (request, resource) pairs that are permitted, by index."""
    return {
        (i, j)
        for i, asked in enumerate(requests)
        for j, (_, facts) in enumerate(world.resources)
        if world.decide(asked, facts).permit
    }


def draw(seed: int) -> tuple[World, list[Any]]:
    world = World.random(seed)
    return world, [world.request() for _ in range(10)]


@few
@given(seeds)
def test_the_order_of_consents_and_their_rows_is_irrelevant(seed: int) -> None:
    world, requests = draw(seed)
    before = permitted(world, requests)
    world.rng.shuffle(world.consents)
    assert permitted(world, requests) == before


@few
@given(seeds)
def test_adding_a_deny_never_adds_anything(seed: int) -> None:
    world, requests = draw(seed)
    before = permitted(world, requests)
    opt_out = worlds.consent(world.rng, "deny") | {"provision": worlds.provision(world.rng, "deny")}
    world.consents.append(opt_out)
    permits = [each for each in world.consents if each["provision"]["type"] == "permit"]
    if permits:
        root = world.rng.choice(permits)["provision"]
        root["provision"] = [*root.get("provision", ()), worlds.provision(world.rng, "deny")]
    assert permitted(world, requests) <= before


@few
@given(seeds)
def test_adding_a_permit_never_takes_anything_away(seed: int) -> None:
    world, requests = draw(seed)
    before = permitted(world, requests)
    added = worlds.consent(world.rng, "permit")
    if added["provision"]["type"] == "permit":
        added["provision"].pop("provision", None)
        world.consents.append(added)
    assert permitted(world, requests) >= before


UNKNOWN = {
    "purpose": coding(ACT_REASON, "UNHEARD"),
    "class": coding(RESOURCE_TYPES, "Unheard"),
    "securityLabel": coding(ACT_CODE, "UNHEARD"),
    "action": concept("http://terminology.hl7.org/CodeSystem/consentaction", "unheard"),
    "unheard": True,
}


@pytest.mark.parametrize("element", UNKNOWN)
@given(seed=seeds)
@settings(max_examples=30, deadline=None)
def test_a_consent_with_an_unknown_code_has_no_rows_at_all(element: str, seed: int) -> None:
    consent = worlds.consent(random.Random(seed), "c") | {"status": "active"}
    root = consent["provision"]
    place = random.Random(seed).choice([root, *root.get("provision", ())])
    place[element] = [*place.get(element, ()), UNKNOWN[element]]
    with pytest.raises(ConsentRefused):
        compile_consent(consent)


@few
@given(seeds)
def test_filing_the_same_consent_again_changes_nothing(seed: int) -> None:
    world, requests = draw(seed)
    before = permitted(world, requests)
    world.consents += copy.deepcopy(world.consents)
    assert permitted(world, requests) == before
    for consent in world.consents:
        assert compile_consent(copy.deepcopy(consent)) == compile_consent(consent)


@few
@given(seeds)
def test_expiring_is_withdrawing(seed: int) -> None:
    world, requests = draw(seed)
    ended, withdrawn = copy.deepcopy(world.consents), []
    for consent in ended:
        consent["provision"]["period"] = {"end": "2020-01-01"}
        for nested in consent["provision"].get("provision", ()):
            nested.pop("period", None)
        withdrawn.append(forms.withdrawn(consent, microseconds("2026-01-01")))
    world.consents = ended
    after_expiry = permitted(world, requests)
    world.consents = withdrawn
    assert permitted(world, requests) == after_expiry
    assert all(is_accepted(each) for each in withdrawn)


def test_withdrawing_a_consent_whose_exception_blocked_another_can_widen_that_other() -> None:
    """Known and documented: the page must warn before such a withdrawal."""
    world = World(random.Random(0))
    wide = worlds.consent(random.Random(1), "wide") | {"status": "active"}
    wide["patient"] = {"reference": worlds.PATIENTS[0]}
    wide["provision"] = {"type": "permit", "actor": [worlds.actor(worlds.ACTORS[0])]}
    narrow = copy.deepcopy(wide)
    exception = {"type": "deny", "securityLabel": [worlds.label("PSY")]}
    narrow["provision"] = wide["provision"] | {"provision": [exception]}
    answers = {
        "resourceType": "QuestionnaireResponse",
        "id": "1",
        "subject": wide["patient"],
        "questionnaire": "https://backbridge.example/fhir/Questionnaire/phq-8",
    }
    facts = resource_facts(answers, key_of=key_of, author=0, first_updated_us=0)
    asked = Request(frozenset((worlds.key(worlds.ACTORS[0]),)), 1, Action.READ, 0)
    world.consents = [wide, narrow]
    assert world.decide(asked, facts).reason == "denied"
    world.consents = [wide, forms.withdrawn(narrow, 0)]
    assert world.decide(asked, facts).permit
