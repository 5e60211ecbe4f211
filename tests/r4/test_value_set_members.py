"""Expansion and membership of value sets, against the official expansions and a naive closure."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.r4.code_systems import read_code_system
from gateway.r4.expansion import Wishes, expand
from gateway.r4.terminology import specification
from gateway.r4.terminology_errors import CannotEnumerate, NotHeld, TerminologyError, Unusable, Wanted
from gateway.r4.terminology_sources import Definitions
from gateway.r4.value_set_members import MOST_MEMBERS, is_member, members
from gateway.r4.value_sets import value_sets

SYSTEM = "http://example.org/system"
FHIR = "http://hl7.org/fhir/"


def definitions(*resources: dict[str, Any]) -> Definitions:
    """The resources, and the knowledge that nothing else is to be had."""
    brought: dict[Any, Any] = {(each["resourceType"], each["url"], ""): each for each in resources}
    return Definitions(brought)


def code_system(concepts: list[Any], **changes: Any) -> dict[str, Any]:
    return {"resourceType": "CodeSystem", "url": SYSTEM, "content": "complete", "concept": concepts, **changes}


def value_set(*include: Any, exclude: Any = (), url: str = "http://example.org/vs") -> dict[str, Any]:
    compose: dict[str, Any] = {"include": list(include)}
    if exclude:
        compose["exclude"] = list(exclude)
    return {"resourceType": "ValueSet", "url": url, "status": "active", "compose": compose}


def codes(value_set: dict[str, Any], sources: Definitions) -> list[str]:
    return [member.concept.code for member in members(value_set, sources)]


TREE = code_system(
    [
        {"code": "body", "display": "Body", "property": [{"code": "notSelectable", "valueBoolean": True}], "concept": [
            {"code": "back", "display": "Back", "designation": [{"language": "nl-BE", "value": "Rug"}], "concept": [
                {"code": "lumbar", "display": "Lower back"}]},
            {"code": "neck", "display": "Neck"},
            {"code": "nape", "display": "Nape", "property": [{"code": "inactive", "valueBoolean": True}]}]},
        {"code": "mind", "display": "Mind"},
    ]
)  # fmt: skip


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        (("concept", "is-a", "back"), ["back", "lumbar"]),
        (("concept", "descendent-of", "body"), ["back", "lumbar", "neck", "nape"]),
        (("concept", "is-not-a", "body"), ["mind"]),
        (("concept", "generalizes", "lumbar"), ["body", "back", "lumbar"]),
        (("code", "regex", "n.*"), ["neck", "nape"]),
        (("code", "in", "neck, mind"), ["neck", "mind"]),
        (("code", "not-in", "neck,mind"), ["body", "back", "lumbar", "nape"]),
        (("notSelectable", "=", "true"), ["body"]),
        (("notSelectable", "=", "false"), ["back", "lumbar", "neck", "nape", "mind"]),
        (("inactive", "exists", "true"), ["nape"]),
        (("parent", "=", "back"), ["lumbar"]),
        (("display", "=", "Neck"), ["neck"]),
    ],
)
def test_a_filter_chooses(filter: tuple[str, str, str], expected: list[str]) -> None:
    asked = value_set({"system": SYSTEM, "filter": [dict(zip(("property", "op", "value"), filter, strict=True))]})
    sources = definitions(TREE)
    assert codes(asked, sources) == expected
    for concept in ("body", "back", "lumbar", "neck", "nape", "mind", "nothing"):
        assert is_member(asked, SYSTEM, concept, sources) == (concept in expected)


def test_filters_of_one_include_are_all_asked() -> None:
    filters = [
        {"property": "concept", "op": "is-a", "value": "body"},
        {"property": "code", "op": "regex", "value": ".*e.*"},
    ]
    assert codes(value_set({"system": SYSTEM, "filter": filters}), definitions(TREE)) == ["neck", "nape"]


def test_an_unknown_filter_is_said_to_be_unknown() -> None:
    strange = {"system": SYSTEM, "filter": [{"property": "concept", "op": "child-of", "value": "body"}]}
    with pytest.raises(Unusable):
        codes(value_set(strange), definitions(TREE))


@pytest.mark.parametrize("pattern", ["(", "[", "a{2,1}"])
def test_a_pattern_that_is_none_is_said_to_be_unusable(pattern: str) -> None:
    strange = {"system": SYSTEM, "filter": [{"property": "code", "op": "regex", "value": pattern}]}
    with pytest.raises(Unusable):
        codes(value_set(strange), definitions(TREE))


def test_a_pattern_made_to_take_for_ever_is_answered() -> None:
    slow = code_system([{"code": "a" * 60 + "!"}])
    asked = value_set({"system": SYSTEM, "filter": [{"property": "code", "op": "regex", "value": "(a+)+"}]})
    assert codes(asked, definitions(slow)) == []


def test_what_is_excluded_is_not_a_member() -> None:
    asked = value_set({"system": SYSTEM}, exclude=[{"system": SYSTEM, "concept": [{"code": "neck"}]}])
    sources = definitions(TREE)
    assert "neck" not in codes(asked, sources)
    assert not is_member(asked, SYSTEM, "neck", sources)


def test_an_include_of_value_sets_takes_what_is_in_all_of_them() -> None:
    one = value_set({"system": SYSTEM, "concept": [{"code": "back"}, {"code": "neck"}]}, url="http://example.org/1")
    two = value_set({"system": SYSTEM, "concept": [{"code": "neck"}, {"code": "mind"}]}, url="http://example.org/2")
    both = value_set({"valueSet": [one["url"], two["url"]]})
    sources = definitions(TREE, one, two)
    assert codes(both, sources) == ["neck"]
    assert is_member(both, SYSTEM, "neck", sources)
    assert not is_member(both, SYSTEM, "mind", sources)


def test_a_value_set_that_imports_itself_is_refused() -> None:
    circle = value_set({"valueSet": ["http://example.org/vs"]})
    with pytest.raises(Unusable):
        codes(circle, definitions(circle))
    with pytest.raises(Unusable):
        is_member(circle, SYSTEM, "a", definitions(circle))


def test_a_circle_in_a_code_system_is_walked_once() -> None:
    circle = code_system([{"code": "a", "property": [{"code": "parent", "valueCode": "b"}]},
                          {"code": "b", "property": [{"code": "parent", "valueCode": "a"}]}])  # fmt: skip
    system = read_code_system(circle)
    assert system.descendants("a") == {"a", "b"}


def test_a_definition_that_is_not_known_is_asked_for() -> None:
    with pytest.raises(Wanted) as wanted:
        codes(value_set({"system": SYSTEM, "version": "2"}), Definitions())
    assert (wanted.value.type, wanted.value.url, wanted.value.version) == ("CodeSystem", SYSTEM, "2")


@pytest.mark.parametrize("system", ["http://unitsofmeasure.org", "urn:ietf:bcp:47", "urn:ietf:bcp:13"])
def test_an_open_system_cannot_be_enumerated_but_asked(system: str) -> None:
    everything = value_set({"system": system})
    with pytest.raises(CannotEnumerate):
        codes(everything, Definitions())
    good = {"http://unitsofmeasure.org": "mm[Hg]", "urn:ietf:bcp:47": "en-GB", "urn:ietf:bcp:13": "text/plain"}[system]
    assert is_member(everything, system, good, Definitions())
    assert not is_member(everything, system, "no such thing", Definitions())


def test_snomed_ct_is_said_not_to_be_here() -> None:
    back_pain = {"system": "http://snomed.info/sct", "filter": [{"property": "concept", "op": "is-a", "value": "1"}]}
    sources = Definitions({("CodeSystem", "http://snomed.info/sct", ""): None})
    with pytest.raises(CannotEnumerate):
        codes(value_set(back_pain), sources)
    with pytest.raises(NotHeld):
        is_member(value_set(back_pain), "http://snomed.info/sct", "279039007", sources)


def test_definitions_of_the_specification_expand_as_it_published_them() -> None:
    """The official expansions of required bindings are an oracle: they were made by another program."""
    compared = 0
    systems = specification().code_systems
    for official in value_sets().values():
        parts = specification().value_sets.get(official.url, {}).get("compose", {}).get("include", ())
        if not official.by_system or any("concept" in part or part["system"] not in systems for part in parts):
            continue
        definition = specification().value_sets[official.url]
        found: dict[str, set[str]] = {}
        for member in members(definition, Definitions()):
            found.setdefault(member.system, set()).add(member.concept.code)
        assert found == official.by_system, official.url
        compared += 1
    assert compared >= 49


def test_every_definition_of_the_specification_is_expanded_or_says_why_not() -> None:
    expanded = unexplained = 0
    for definition in specification().value_sets.values():
        sources = _Nothing()
        try:
            found = members(definition, sources)
        except TerminologyError as reason:
            unexplained += not str(reason)
            continue
        expanded += 1
        for member in found[:3]:
            assert is_member(definition, member.system, member.concept.code, sources)
    assert expanded > 450
    assert unexplained == 0


class _Nothing(Definitions):
    """Whatever is wanted, there is none."""

    def __init__(self) -> None:
        super().__init__(_Absent())


class _Absent(dict[Any, Any]):
    def __contains__(self, key: object) -> bool:
        return True

    def __getitem__(self, key: object) -> None:
        return None


PARENTS = st.lists(st.integers(0, 20), min_size=1, max_size=20)


@given(PARENTS, st.integers(0, 19))
def test_descendants_are_those_whose_way_up_leads_here(parents: list[int], start: int) -> None:
    concepts = [
        {"code": str(i), "property": [{"code": "parent", "valueCode": str(up)}]} for i, up in enumerate(parents)
    ]
    system = read_code_system(code_system(concepts))
    top = str(start % len(parents))

    def leads_up(code: int) -> bool:
        for _ in range(len(parents)):
            code = parents[code] if code < len(parents) else code
            if str(code) == top:
                return True
        return False

    assert system.descendants(top) == {str(i) for i in range(len(parents)) if leads_up(i)}


def test_an_expansion_is_filtered_by_the_beginnings_of_words() -> None:
    asked = value_set({"system": SYSTEM})
    found = expand(asked, Wishes(text="low ba"), definitions(TREE))
    assert [each["code"] for each in found["expansion"]["contains"]] == ["lumbar"]


def test_pages_of_an_expansion_are_disjoint_and_whole() -> None:
    asked = value_set({"system": SYSTEM})
    pages = [expand(asked, Wishes(offset=offset, count=2), definitions(TREE))["expansion"] for offset in (0, 2, 4)]
    listed = [each["code"] for page in pages for each in page.get("contains", ())]
    assert listed == ["body", "back", "lumbar", "neck", "nape", "mind"]
    assert {page["total"] for page in pages} == {6}


def test_count_zero_asks_for_the_total_alone() -> None:
    found = expand(value_set({"system": SYSTEM}), Wishes(count=0), definitions(TREE))["expansion"]
    assert found["total"] == 6
    assert "contains" not in found


def test_retired_and_abstract_codes_are_marked_and_left_out_on_request() -> None:
    asked = value_set({"system": SYSTEM})
    everything = {each["code"]: each for each in expand(asked, Wishes(), definitions(TREE))["expansion"]["contains"]}
    assert everything["nape"]["inactive"] is True
    assert everything["body"]["abstract"] is True
    wishes = Wishes(active_only=True, for_choosing=True)
    fewer = [each["code"] for each in expand(asked, wishes, definitions(TREE))["expansion"]["contains"]]
    assert fewer == ["back", "lumbar", "neck", "mind"]


def test_a_display_is_given_in_the_language_asked_for() -> None:
    found = expand(value_set({"system": SYSTEM}), Wishes(language="nl"), definitions(TREE))["expansion"]["contains"]
    assert {each["code"]: each["display"] for each in found}["back"] == "Rug"


def test_imports_that_meet_again_and_again_are_read_once() -> None:
    """Each of twelve value sets imports the next one twice."""
    url = "http://example.org/level/{}".format
    levels = [value_set({"valueSet": [url(i + 1)]}, {"valueSet": [url(i + 1)]}, url=url(i)) for i in range(12)]
    last = value_set({"system": SYSTEM, "concept": [{"code": "back"}]}, url=url(12))
    sources = definitions(TREE, last, *levels)
    assert codes(levels[0], sources) == ["back"]
    assert is_member(levels[0], SYSTEM, "back", sources)


def test_more_codes_than_anybody_can_use_are_not_listed() -> None:
    many = [{"code": str(number)} for number in range(MOST_MEMBERS + 1)]
    for asked in (value_set({"system": SYSTEM, "concept": many}), value_set({"system": SYSTEM})):
        with pytest.raises(CannotEnumerate):
            codes(asked, definitions(code_system(many)))
        assert is_member(asked, SYSTEM, "7", definitions(code_system(many)))
