"""Which Consents are accepted, what is refused and with which issue, and the rows that come out."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent.errors import ConsentRefused, Malformed, Unsupported
from consent.rows import FAR_FUTURE
from consent.times import span
from consent.vocabulary import (
    ACT_CODE,
    ACT_REASON,
    ANYONE,
    CATEGORIES,
    CONFIDENTIALITY_SYSTEM,
    LABELS,
    MIXED,
    OTHER_LABEL,
    PURPOSES,
    RESOURCE_TYPES,
    SHARING_CATEGORY,
    Action,
    bits,
)
from tests.consent import worlds
from tests.consent.worlds import action, actor, coding, compile_consent, concept, hash_token, key, type_id

JSON = dict[str, Any]
ORG, PRACTITIONER = "Organization/org1", "Practitioner/pr1"


def permit(*nested: JSON, **elements: Any) -> JSON:
    """An active sharing consent; `class_` stands for `class`."""
    root = rule("permit", **({"actor": [actor(ORG)]} | elements))
    if nested:
        root["provision"] = list(nested)
    return document(root)


def rule(kind: str, **elements: Any) -> JSON:
    return {"type": kind, **{name.rstrip("_"): value for name, value in elements.items()}}


def document(root: JSON) -> JSON:
    made = worlds.consent(random.Random(1), "c")
    return made | {"status": "active", "patient": {"reference": "Patient/a"}, "provision": root}


def category(code: str) -> JSON:
    return coding(SHARING_CATEGORY, code)


# Rows


def test_a_permit_without_purpose_or_action_is_for_reading_in_treatment() -> None:
    grants = compile_consent(permit()).grants
    assert {row.purposes for row in grants} == {bits([PURPOSES["TREAT"], PURPOSES["ETREAT"]])}
    assert {row.actions for row in grants} == {Action.READ}
    assert {(row.actor, row.patient, row.type) for row in grants} == {(key(ORG), key("Patient/a"), 0)}
    every = bits(CATEGORIES.values())
    assert {row.categories & every for row in grants} == {every - bits([CATEGORIES["consent"]])}


def test_values_of_one_element_are_alternatives_and_elements_combine() -> None:
    consent = permit(
        actor=[actor(ORG), actor(PRACTITIONER)],
        purpose=[coding(ACT_REASON, "TREAT"), coding(ACT_REASON, "HRESCH")],
        class_=[category("prom"), category("plan")],
    )
    grants = compile_consent(consent).grants
    assert {row.actor for row in grants} == {key(ORG), key(PRACTITIONER)}
    assert {row.purposes for row in grants} == {bits(PURPOSES[code] for code in ("TREAT", "ETREAT", "HRESCH"))}
    assert {row.categories for row in grants} == {bits(CATEGORIES[code] for code in ("prom", "plan"))}


def test_periods_end_with_their_last_day() -> None:
    [first, *_] = compile_consent(permit(period={"start": "2026-01-01", "end": "2026-01-31"})).grants
    assert (first.valid_from, first.valid_to) == (span("2026-01-01")[0], span("2026-02-01")[0])
    assert first.data_to == FAR_FUTURE


def test_a_permit_of_a_type_covers_what_that_type_can_be_but_not_mixed_ones() -> None:
    grants = compile_consent(permit(class_=[coding(RESOURCE_TYPES, "Observation")])).grants
    assert {row.type for row in grants} == {type_id("Observation")}
    covered = bits(CATEGORIES[each] for each in ("prom", "prem", "sensor", "record"))
    assert {row.categories for row in grants} == {covered}


def test_a_permit_of_restricted_covers_restricted_and_lower() -> None:
    [row, *_] = compile_consent(permit(securityLabel=[coding(CONFIDENTIALITY_SYSTEM, "R")])).grants
    assert row.max_confidentiality == 4


def test_a_deny_of_restricted_holds_for_restricted_and_higher() -> None:
    root = rule("deny", securityLabel=[coding(CONFIDENTIALITY_SYSTEM, "R")])
    [row] = compile_consent(document(root)).denies
    assert row.min_confidentiality == 4
    assert (row.actor, row.root_actor, row.purpose, row.actions) == (ANYONE, ANYONE, 0, 7)


def test_a_deny_of_a_label_holds_for_those_below_it_and_for_unknown_ones() -> None:
    root = rule("deny", securityLabel=[coding(ACT_CODE, "BH")])
    [row] = compile_consent(document(root)).denies
    assert row.label_mask & LABELS["PSY"]
    assert row.label_mask & OTHER_LABEL
    assert not row.label_mask & LABELS["SEX"]


def test_a_nested_deny_keeps_the_actor_of_its_root() -> None:
    consent = permit(rule("deny", actor=[actor(PRACTITIONER)]))
    denies = compile_consent(consent).denies
    assert {(row.root_actor, row.actor) for row in denies} == {(key(ORG), key(PRACTITIONER))}


def test_a_deny_about_a_part_of_the_record_holds_for_mixed_documents() -> None:
    denies = compile_consent(permit(rule("deny", class_=[category("prom")]))).denies
    assert {row.category for row in denies} == {CATEGORIES["prom"], MIXED}


def test_a_deny_of_reading_is_a_deny_of_passing_on() -> None:
    root = rule("deny", action=[action("access")])
    [row] = compile_consent(document(root)).denies
    assert row.actions == Action.READ | Action.DISCLOSE


def test_a_code_becomes_the_hash_that_the_index_holds() -> None:
    [row, *_] = compile_consent(permit(code=[concept("http://loinc.org", "72514-3")])).grants
    assert row.code == hash_token("http://loinc.org", "72514-3")


def test_under_an_opt_out_a_root_without_a_type_is_a_permit() -> None:
    consent = permit()
    del consent["provision"]["type"], consent["policy"]
    consent["policyRule"] = concept(ACT_CODE, "OPTOUT")
    compiled = compile_consent(consent)
    assert compiled.root_type == "permit"
    assert compiled.grants == compile_consent(permit()).grants


@pytest.mark.parametrize("status", ["draft", "proposed", "rejected", "inactive", "entered-in-error"])
def test_only_an_active_consent_has_rows_and_any_other_is_always_accepted(status: str) -> None:
    consent = permit() | {"status": status, "modifierExtension": [{"url": "x"}]}
    assert compile_consent(consent) == ([], [], status, "")


# Refusals

Change = Callable[[JSON], object]


def root_with(**elements: Any) -> Change:
    return lambda consent: consent["provision"].update({n.rstrip("_"): v for n, v in elements.items()})


def with_(**elements: Any) -> Change:
    return lambda consent: consent.update(elements)


def without(*names: str) -> Change:
    return lambda consent: [consent.pop(name) for name in names]


def nested(*rules: JSON) -> Change:
    return root_with(provision=list(rules))


ROOT = "Consent.provision"
REFUSED: list[tuple[str, Change, str, str]] = [
    ("modifier extension", with_(modifierExtension=[{"url": "x"}]), "Consent.modifierExtension", "not-supported"),
    ("implicit rules", with_(implicitRules="https://x.example"), "Consent.implicitRules", "not-supported"),
    ("contained resources", with_(contained=[]), "Consent.contained", "not-supported"),
    ("data absent extension", with_(_status={"extension": []}), "Consent._status", "not-supported"),
    (
        "other scope",
        with_(scope=concept("http://terminology.hl7.org/CodeSystem/consentscope", "treatment")),
        "Consent.scope.coding[0]",
        "code-invalid",
    ),
    (
        "emergency only",
        with_(category=[concept(ACT_CODE, "EMRGONLY")]),
        "Consent.category[0].coding[0]",
        "code-invalid",
    ),
    ("no policy", without("policy"), "Consent.policy", "required"),
    ("unknown policy", with_(policy=[{"uri": "https://x.example/policy"}]), "Consent.policy[0].uri", "not-supported"),
    (
        "policy of another version",
        with_(policy=[{"uri": "https://backbridge.example/policy/sharing|2"}]),
        "Consent.policy[0].uri",
        "not-supported",
    ),
    (
        "policy by authority alone",
        with_(policy=[{"authority": "https://x.example"}]),
        "Consent.policy[0].uri",
        "not-supported",
    ),
    (
        "unknown policy rule",
        with_(policyRule=concept(ACT_CODE, "GDPR")),
        "Consent.policyRule.coding[0]",
        "code-invalid",
    ),
    ("root without type", lambda c: c["provision"].pop("type"), f"{ROOT}.type", "required"),
    (
        "root without type under opt-in",
        lambda c: (c["provision"].pop("type"), c.update(policyRule=concept(ACT_CODE, "OPTIN"))),
        f"{ROOT}.type",
        "required",
    ),
    ("permit to all the world", lambda c: c["provision"].pop("actor"), f"{ROOT}.actor", "required"),
    (
        "foreign actor",
        root_with(actor=[actor("https://x.example/Organization/org1")]),
        f"{ROOT}.actor[0].reference.reference",
        "not-supported",
    ),
    ("group", root_with(actor=[actor("Group/g")]), f"{ROOT}.actor[0].reference.reference", "not-supported"),
    (
        "patient as actor",
        root_with(actor=[actor("Patient/b")]),
        f"{ROOT}.actor[0].reference.reference",
        "not-supported",
    ),
    (
        "version of an actor",
        root_with(actor=[actor("Organization/org1/_history/1")]),
        f"{ROOT}.actor[0].reference.reference",
        "not-supported",
    ),
    ("contained actor", root_with(actor=[actor("#org")]), f"{ROOT}.actor[0].reference.reference", "not-supported"),
    (
        "actor by identifier",
        root_with(actor=[actor(ORG) | {"reference": {"identifier": {"value": "1"}}}]),
        f"{ROOT}.actor[0].reference.reference",
        "not-supported",
    ),
    (
        "role of a custodian",
        root_with(
            actor=[actor(ORG) | {"role": concept("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "CST")}]
        ),
        f"{ROOT}.actor[0].role.coding[0]",
        "code-invalid",
    ),
    ("extension in the rule", root_with(extension=[{"url": "x"}]), f"{ROOT}.extension", "not-supported"),
    ("unknown purpose", root_with(purpose=[coding(ACT_REASON, "COC")]), f"{ROOT}.purpose[0]", "code-invalid"),
    (
        "purpose of another system",
        root_with(purpose=[coding("https://x.example", "TREAT")]),
        f"{ROOT}.purpose[0]",
        "code-invalid",
    ),
    ("unknown action", root_with(action=[action("correct")]), f"{ROOT}.action[0].coding[0]", "code-invalid"),
    ("unknown class", root_with(class_=[coding(RESOURCE_TYPES, "Spaceship")]), f"{ROOT}.class[0]", "code-invalid"),
    (
        "class by profile",
        root_with(class_=[coding("urn:ietf:rfc:3986", "http://x")]),
        f"{ROOT}.class[0]",
        "code-invalid",
    ),
    ("the category of nothing", root_with(class_=[category("none")]), f"{ROOT}.class[0]", "code-invalid"),
    (
        "unknown label",
        root_with(securityLabel=[coding(ACT_CODE, "UNHEARD")]),
        f"{ROOT}.securityLabel[0]",
        "code-invalid",
    ),
    (
        "our mark for unknown labels",
        root_with(securityLabel=[coding(ACT_CODE, "OTHER")]),
        f"{ROOT}.securityLabel[0]",
        "code-invalid",
    ),
    (
        "related data",
        root_with(data=[{"meaning": "related", "reference": {"reference": "Task/1"}}]),
        f"{ROOT}.data[0].meaning",
        "not-supported",
    ),
    (
        "unknown type of data",
        root_with(data=[{"meaning": "instance", "reference": {"reference": "Spaceship/1"}}]),
        f"{ROOT}.data[0].reference.reference",
        "not-supported",
    ),
    ("nested permit", nested(rule("permit")), f"{ROOT}.provision[0].type", "not-supported"),
    ("nested without type", nested({"actor": [actor(ORG)]}), f"{ROOT}.provision[0].type", "not-supported"),
    (
        "second level",
        nested(rule("deny") | {"provision": [rule("deny")]}),
        f"{ROOT}.provision[0].provision",
        "not-supported",
    ),
    ("nine exceptions", nested(*[rule("deny")] * 9), f"{ROOT}.provision", "too-costly"),
    ("exceptions to a deny", root_with(type="deny", provision=[rule("deny")]), f"{ROOT}.provision", "not-supported"),
    (
        "exception for another purpose",
        nested(rule("deny", purpose=[coding(ACT_REASON, "HRESCH")])),
        f"{ROOT}.provision[0]",
        "business-rule",
    ),
    (
        "exception outside the period",
        root_with(period={"end": "2026-01-01"}, provision=[rule("deny", period={"start": "2026-02-01"})]),
        f"{ROOT}.provision[0]",
        "business-rule",
    ),
    (
        "exception about another class",
        root_with(
            class_=[category("plan")], code=[concept("s", "a")], provision=[rule("deny", code=[concept("s", "b")])]
        ),
        f"{ROOT}.provision[0].code",
        "not-supported",
    ),
    ("too many combinations", root_with(actor=[actor(f"Organization/o{n}") for n in range(600)]), ROOT, "too-costly"),
]


@pytest.mark.parametrize(
    ("change", "expression", "code"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_what_the_compiler_does_not_understand_is_refused(change: Change, expression: str, code: str) -> None:
    consent = copy.deepcopy(permit())
    change(consent)
    with pytest.raises(Unsupported) as refused:
        compile_consent(consent)
    assert (code, expression) in {issue[:2] for issue in refused.value.issues}


MALFORMED: list[tuple[str, Change, str]] = [
    ("no status", without("status"), "Consent.status"),
    ("status of another kind", with_(status="superseded"), "Consent.status"),
    ("no patient", without("patient"), "Consent.patient"),
    ("no scope", without("scope"), "Consent.scope"),
    ("no category", without("category"), "Consent.category"),
    ("no provision", without("provision"), "Consent.provision"),
    ("neither permit nor deny", root_with(type="maybe"), f"{ROOT}.type"),
    ("empty list", root_with(actor=[]), f"{ROOT}.actor"),
    ("no date", root_with(period={"start": "soon"}), f"{ROOT}.period"),
    ("reversed period", root_with(dataPeriod={"start": "2026-02-01", "end": "2026-01-01"}), f"{ROOT}.dataPeriod"),
    ("coding without system", root_with(purpose=[{"code": "TREAT"}]), f"{ROOT}.purpose[0]"),
]


@pytest.mark.parametrize(("change", "expression"), [row[1:] for row in MALFORMED], ids=[row[0] for row in MALFORMED])
def test_what_is_no_consent_is_malformed(change: Change, expression: str) -> None:
    consent = copy.deepcopy(permit())
    change(consent)
    with pytest.raises(Malformed) as refused:
        compile_consent(consent)
    assert expression in {issue.expression for issue in refused.value.issues}


def test_all_issues_are_told_at_once_and_none_repeats_what_the_client_sent() -> None:
    consent = permit(purpose=[coding(ACT_REASON, "CANARY")], class_=[coding(RESOURCE_TYPES, "CANARY")])
    with pytest.raises(Unsupported) as refused:
        compile_consent(consent)
    assert len(refused.value.issues) == 2
    assert "CANARY" not in str(refused.value)


def test_a_thousand_levels_of_provisions_are_refused_without_recursion() -> None:
    consent = permit()
    node = consent["provision"]
    for _ in range(1000):
        node["provision"] = [rule("deny")]
        node = node["provision"][0]
    with pytest.raises(Unsupported):
        compile_consent(consent)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 10_000), st.data())
def test_junk_anywhere_in_a_consent_is_refused_or_accepted_but_never_an_accident(
    seed: int, data: st.DataObject
) -> None:
    consent = worlds.consent(random.Random(seed), "c") | {"status": "active"}
    places = list(_places(consent))
    node, name = data.draw(st.sampled_from(places))
    node[name] = data.draw(JUNK)
    # Any other exception would be the accident.
    with suppress(ConsentRefused):
        compile_consent(consent)


def _places(node: Any) -> list[tuple[Any, Any]]:
    inside = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [place for name, value in inside for place in [(node, name), *_places(value)]]
