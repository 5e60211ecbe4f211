"""What a client writes, and the search it stands for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.fhir.search_syntax import ParsedSearch, SearchError, SearchLimits, parse_search
from gateway.r4.extract_dates import date_range
from gateway.r4.search_parameters import PARAMETERS
from gateway.store.query import (
    Chain,
    Clause,
    Compartment,
    Composite,
    Has,
    Ids,
    Include,
    LastUpdated,
    Match,
    Missing,
    Not,
    Number,
    Period,
    Prefix,
    Quantity,
    Reference,
    Sort,
    Text,
    Token,
    Uri,
    Value,
)

NOW_US = int(datetime(2026, 1, 1, 15, tzinfo=UTC).timestamp()) * 1_000_000
DAY = 86_400_000_000


def parse(resource_type: str | None, *pairs: tuple[str, str], strict: bool = True, **options: Any) -> ParsedSearch:
    return parse_search(resource_type, pairs, strict=strict, now_us=NOW_US, **options)


def clause(resource_type: str, name: str, value: str, **options: Any) -> Clause:
    (found,) = parse(resource_type, (name, value), **options).search.where[0]
    return found


def values(resource_type: str, name: str, value: str, **options: Any) -> tuple[Value, ...]:
    found = clause(resource_type, name, value, **options)
    assert isinstance(found, Match)
    return found.values


def refusal(resource_type: str | None, *pairs: tuple[str, str], **options: Any) -> SearchError:
    with pytest.raises(SearchError) as caught:
        parse(resource_type, *pairs, **options)
    return caught.value


# -- tokens, strings, uris, escapes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("a", Token("a")),
        ("http://s|a", Token("a", "http://s")),
        ("|a", Token("a", "")),
        ("http://s|", Token(None, "http://s")),
        (r"a\|b", Token("a|b")),
        (r"s|a\,b\$c\\", Token(r"a,b$c" + "\\", "s")),
    ],
)
def test_token_forms(text: str, token: Token) -> None:
    assert values("Observation", "code", text) == (token,)


def test_commas_separate_alternatives() -> None:
    assert values("Observation", "code", r"a,s|b,c\,d") == (Token("a"), Token("b", "s"), Token("c,d"))


def test_repeated_parameters_are_all_required() -> None:
    search = parse("Observation", ("category", "a"), ("category", "b")).search
    assert len(search.of_type("Observation")) == 2


@pytest.mark.parametrize(("name", "mode"), [("name", "starts"), ("name:exact", "exact"), ("name:contains", "contains")])
def test_string_modes(name: str, mode: str) -> None:
    assert values("Patient", name, "Ann | Bob $5") == (Text("Ann | Bob $5", mode),)


def test_uri_is_taken_as_it_is() -> None:
    assert values("Questionnaire", "url", "http://q|1") == (Uri("http://q|1"),)


def test_not_turns_the_whole_match_round() -> None:
    found = clause("Observation", "status:not", "final,amended")
    assert found == Not(Match(PARAMETERS["Observation"]["status"], (Token("final"), Token("amended"))))


def test_missing_asks_whether_there_is_a_value() -> None:
    assert clause("Patient", "birthdate:missing", "true") == Missing(PARAMETERS["Patient"]["birthdate"], True)
    assert refusal("Patient", ("birthdate:missing", "yes")).expression == "birthdate:missing"


# -- dates -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", list(Prefix))
def test_every_prefix_is_read_on_dates_numbers_and_quantities(prefix: Prefix) -> None:
    (period,) = values("Observation", "date", prefix.value + "2020")
    (quantity,) = values("Observation", "value-quantity", prefix.value + "5")
    (number,) = values("RiskAssessment", "probability", prefix.value + "0.5")
    assert isinstance(period, Period)
    assert isinstance(quantity, Quantity)
    assert isinstance(number, Number)
    assert period.prefix is quantity.number.prefix is number.prefix is prefix


@pytest.mark.parametrize(
    "text",
    ["2020", "2020-02", "2020-02-29", "2020-02-29T10:30", "2020-02-29T10:30:00Z", "2020-02-29T10:30:00.123+01:00"],
)
def test_date_means_the_range_of_its_precision(text: str) -> None:
    assert values("Observation", "date", text) == (Period(Prefix.EQ, *date_range(text)),)


def test_plus_that_arrived_as_a_space_is_a_time_zone() -> None:
    assert values("Observation", "date", "ge2020-02-29T10:30:00 02:00") == values(
        "Observation", "date", "ge2020-02-29T10:30:00+02:00"
    )


def test_approximate_date_reaches_out_by_a_tenth_of_the_time_to_today() -> None:
    low, high = date_range("2025-12-22")
    # Ten days lie between the end of 22 December and the start of today, 1 January.
    today = date_range("2026-01-01")[0]
    margin = (today - high) // 10
    assert margin == 9 * DAY // 10
    assert values("Observation", "date", "ap2025-12-22") == (Period(Prefix.AP, low - margin, high + margin),)
    assert values("Observation", "date", "ap2026-01") == (Period(Prefix.AP, *date_range("2026-01")),)


def test_pages_of_one_day_read_an_approximate_date_alike() -> None:
    later = parse_search("Observation", [("date", "ap2020")], strict=True, now_us=NOW_US + 3_600_000_000)
    assert later.search == parse("Observation", ("date", "ap2020")).search


def test_last_updated_is_a_date() -> None:
    expected = LastUpdated((Period(Prefix.GT, *date_range("2020-01-01")),))
    assert clause("Patient", "_lastUpdated", "gt2020-01-01") == expected


# -- numbers and quantities --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [("100", 99.5, 100.5), ("100.00", 99.995, 100.005), ("1e2", 95, 105), ("-3", -3.5, -2.5), ("5.40", 5.395, 5.405)],
)
def test_number_spans_its_written_precision(text: str, low: float, high: float) -> None:
    assert values("RiskAssessment", "probability", text) == (Number(Prefix.EQ, float(text), low, high),)


def test_approximately_is_ten_per_cent() -> None:
    assert values("RiskAssessment", "probability", "ap200") == (Number(Prefix.AP, 200, 180, 220),)


@pytest.mark.parametrize(
    ("text", "code", "system"),
    [("5.4|http://u|mg", "mg", "http://u"), ("5.4||mg", "mg", None), ("5.4", None, None)],
)
def test_quantity_forms(text: str, code: str | None, system: str | None) -> None:
    number = Number(Prefix.EQ, 5.4, 5.35, 5.45)
    assert values("Observation", "value-quantity", text) == (Quantity(number, code, system),)


# -- references, chains, _has ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("Patient/1", Reference("1", ("Patient",))),
        ("Patient/1/_history/2", Reference("1", ("Patient",))),
        ("https://here.example/fhir/Patient/1", Reference("1", ("Patient",))),
        ("1", Reference("1", PARAMETERS["Observation"]["subject"].targets)),
        ("https://there.example/fhir/Patient/1", Reference(None, url="https://there.example/fhir/Patient/1")),
        ("urn:uuid:1", Reference(None, url="urn:uuid:1")),
    ],
)
def test_reference_forms(text: str, reference: Reference) -> None:
    assert values("Observation", "subject", text, base_url="https://here.example/fhir") == (reference,)


def test_type_modifier_says_what_an_id_stands_for() -> None:
    assert values("Observation", "subject:Patient", "1") == (Reference("1", ("Patient",)),)
    assert values("Observation", "subject:Patient", "Patient/1") == (Reference("1", ("Patient",)),)
    assert refusal("Observation", ("subject:Patient", "Group/1")).code == "invalid"
    assert refusal("Observation", ("subject:Practitioner", "1")).code == "invalid"


def test_chain_with_a_type_has_one_alternative() -> None:
    name = Match(PARAMETERS["Patient"]["name"], (Text("ann", "exact"),))
    expected = Chain(PARAMETERS["Observation"]["subject"], (("Patient", name),))
    assert clause("Observation", "subject:Patient.name:exact", "ann") == expected


def test_chain_without_a_type_runs_through_every_type_that_has_the_parameter() -> None:
    found = clause("Observation", "subject.name", "ann")
    assert isinstance(found, Chain)
    assert [target for target, _ in found.alternatives] == ["Location", "Patient"]
    assert ("Patient", Match(PARAMETERS["Patient"]["name"], (Text("ann"),))) in found.alternatives


def test_chain_ends_in_an_id() -> None:
    found = clause("Observation", "patient._id", "7")
    assert found == Chain(PARAMETERS["Observation"]["patient"], (("Patient", Ids(("7",))),))


def test_has_asks_for_resources_that_refer_here() -> None:
    inner = Match(PARAMETERS["Observation"]["code"], (Token("1"),))
    assert clause("Patient", "_has:Observation:patient:code", "1") == Has(PARAMETERS["Observation"]["patient"], inner)


def test_chains_and_has_mix_to_any_allowed_depth() -> None:
    found = clause("Encounter", "patient._has:Group:member:_has:List:item:status", "current")
    status = Match(PARAMETERS["List"]["status"], (Token("current"),))
    has = Has(PARAMETERS["Group"]["member"], Has(PARAMETERS["List"]["item"], status))
    assert found == Chain(PARAMETERS["Encounter"]["patient"], (("Patient", has),))


def test_chain_deeper_than_the_limit_is_too_costly() -> None:
    name = "partof:Location." * 5 + "name"
    assert refusal("Location", (name, "x")).code == "too-costly"
    assert isinstance(clause("Location", name, "x", limits=SearchLimits(chain_depth=5)), Chain)


def test_chain_that_branches_without_end_is_too_costly() -> None:
    assert refusal("Task", ("focus.focus.focus._id", "1")).code == "too-costly"


@pytest.mark.parametrize(
    ("resource_type", "name"),
    [
        ("Patient", "_has:Observation:code:status"),
        ("Patient", "_has:Observation:patient"),
        ("Patient", "_has:Nothing:patient:code"),
        ("Encounter", "_has:Observation:patient:code"),
        ("Observation", "code.name"),
        ("Observation", "subject:Practitioner.name"),
        ("Observation", "subject.nothing"),
        ("QuestionnaireResponse", "questionnaire.title"),
    ],
)
def test_chain_that_leads_nowhere_is_refused_even_when_lenient(resource_type: str, name: str) -> None:
    assert refusal(resource_type, (name, "1"), strict=False).expression == name


# -- composites --------------------------------------------------------------------------------------------------------


def test_composite_value_has_a_value_for_each_part() -> None:
    number = Number(Prefix.GT, 90, 89.5, 90.5)
    expected = Composite((Token("8480-6", "http://loinc.org"), Quantity(number, "mm[Hg]", None)))
    assert values("Observation", "component-code-value-quantity", "http://loinc.org|8480-6$gt90||mm[Hg]") == (expected,)
    assert refusal("Observation", ("component-code-value-quantity", "8480-6")).code == "invalid"


# -- result parameters -------------------------------------------------------------------------------------------------


def test_count_has_a_default_a_maximum_and_zero_asks_for_the_total_only() -> None:
    assert parse("Patient").search.count == 20
    clamped = parse("Patient", ("_count", "99999"))
    assert (clamped.search.count, clamped.self_pairs) == (1000, (("_count", "1000"),))
    counted = parse("Patient", ("_count", "0"))
    assert (counted.search.count, counted.search.total, counted.summary) == (0, True, "count")
    assert parse("Patient", ("_summary", "count")).search == counted.search


def test_sort_keys_are_read_in_order() -> None:
    search = parse("Observation", ("_sort", "-date,_lastUpdated,_id")).search
    date = Sort("date", True, PARAMETERS["Observation"]["date"])
    assert search.sort == (date, Sort("_lastUpdated", False), Sort("_id", False))


@pytest.mark.parametrize("key", ["code", "subject", "code-value-quantity", "nothing", ""])
def test_sort_by_what_has_no_order_is_not_supported(key: str) -> None:
    assert refusal("Observation", ("_sort", f"-{key}")).code == "not-supported"


def test_total_summary_elements_and_cursor_are_passed_on() -> None:
    parsed = parse("Patient", ("_total", "accurate"), ("_elements", "id,name"), ("_cursor", "abc"), ("_pretty", "true"))
    assert (parsed.total, parsed.search.total, parsed.elements) == ("accurate", True, ("id", "name"))
    assert parsed.search.cursor == "abc"
    assert [name for name, _ in parsed.self_pairs] == ["_total", "_elements", "_cursor"]


def test_includes_are_read_with_target_direction_and_iteration() -> None:
    subject, target = PARAMETERS["Observation"]["subject"], PARAMETERS["Provenance"]["target"]
    partof = PARAMETERS["Organization"]["partof"]
    found = parse(
        "Observation",
        ("_include", "Observation:subject:Patient"),
        ("_revinclude", "Provenance:target"),
        ("_include:iterate", "Organization:partof"),
        ("_include", "*"),
    ).search.includes
    assert found == (
        Include("Observation", subject, "Patient"),
        Include("Provenance", target, reverse=True),
        Include("Organization", partof, iterate=True),
        Include("Observation", None),
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("_count", "-1"), ("_count", "ten"), ("_count", "٣"), ("_total", "some"), ("_summary", "some"),
        ("_elements", "a b"), ("_include", "Observation"), ("_include", "Observation:code"),
        ("_include", "Observation:subject:Practitioner"), ("_include", "Nothing:subject"), ("_revinclude", "*"),
        ("_include", "QuestionnaireResponse:questionnaire"),
    ],
)  # fmt: skip
def test_malformed_result_parameter_is_refused(name: str, value: str) -> None:
    error = refusal("Observation", (name, value), strict=False)
    assert (error.status, error.expression) == (400, name)


def test_result_parameters_that_contradict_each_other_are_refused() -> None:
    assert refusal("Patient", ("_count", "1"), ("_count", "2")).expression == "_count"
    assert refusal("Patient", ("_summary", "text"), ("_include", "Patient:link")).expression == "_summary"


# -- types and compartments --------------------------------------------------------------------------------------------


def test_system_search_takes_types_and_what_all_of_them_have() -> None:
    search = parse(None, ("_type", "Patient,Observation"), ("identifier", "1"), ("_id", "a,b")).search
    assert search.types == ("Patient", "Observation")
    identifier, ids = search.of_type("Observation")
    assert identifier == Match(PARAMETERS["Observation"]["identifier"], (Token("1"),))
    assert ids == Ids(("a", "b"))
    assert refusal(None, ("_type", "Patient,Observation"), ("code", "1"), strict=False).expression == "code"
    assert refusal(None, ("_type", "Patient,Nothing")).expression == "_type"


def test_compartment_search_is_confined_to_it() -> None:
    search = parse("Observation", ("code", "1"), compartment=("Patient", "7")).search
    assert search.where[0][0] == Compartment(
        "Patient", "7", (PARAMETERS["Observation"]["subject"], PARAMETERS["Observation"]["performer"]), False
    )
    assert refusal("Medication", compartment=("Patient", "7")).code == "not-supported"


def test_whole_compartment_holds_the_patient_and_every_type_that_can_refer_to_one() -> None:
    search = parse(None, compartment=("Patient", "7")).search
    assert {"Patient", "Observation", "CarePlan", "QuestionnaireResponse"} <= set(search.types)
    assert "Medication" not in search.types
    (own,) = search.of_type("Patient")
    assert isinstance(own, Compartment)
    assert own.includes_self


# -- what is not understood --------------------------------------------------------------------------------------------


def test_unknown_parameter_is_an_error_when_strict_and_listed_when_lenient() -> None:
    assert refusal("Patient", ("colour", "red")).expression == "colour"
    parsed = parse("Patient", ("colour", "red"), ("gender", "female"), ("name", ""), strict=False)
    assert parsed.ignored == ("colour", "name")
    assert parsed.self_pairs == (("gender", "female"),)


@pytest.mark.parametrize("name", ["_filter", "_text", "_content", "_list", "_query", "_contained"])
def test_unsupported_filter_is_refused_even_when_lenient(name: str) -> None:
    assert refusal("Patient", (name, "x"), strict=False).code == "not-supported"


@pytest.mark.parametrize(
    "name",
    [
        "gender:text", "gender:in", "gender:above", "identifier:of-type", "general-practitioner:identifier",
        "birthdate:exact", "name:not", "_id:not", "_lastUpdated:missing", "gender:Patient",
    ],
)  # fmt: skip
def test_modifier_that_is_not_supported_is_named(name: str) -> None:
    error = refusal("Patient", (name, "x"), strict=False)
    assert (error.code, error.expression) == ("not-supported", name)
    assert name.partition(":")[2] in error.diagnostics or name.startswith("_")


@pytest.mark.parametrize("name", ["gender:", "gender:x y", "gender::not"])
def test_modifier_that_is_no_word_is_refused(name: str) -> None:
    assert refusal("Patient", (name, "x"), strict=False).status == 400


CANARY = "canary-4711"


@pytest.mark.parametrize(
    ("resource_type", "name", "value"),
    [
        ("Patient", "birthdate", CANARY),
        ("Patient", "birthdate", "2020-13"),
        ("Patient", "birthdate", "zz2020"),
        ("Patient", "identifier", f"a|b|{CANARY}"),
        ("Patient", "identifier", "|"),
        ("Patient", "name", f"a,,{CANARY}"),
        ("Patient", "name", f"{CANARY}\x00"),
        ("Patient", "name", f"{CANARY}\ud800"),
        ("Patient", "_id", f"{CANARY}/x"),
        ("Patient", "_id", "a,"),
        ("Patient", "general-practitioner", f"Nobody/{CANARY}"),
        ("Patient", "general-practitioner", f"a b {CANARY}"),
        ("Observation", "value-quantity", CANARY),
        ("Observation", "value-quantity", "5|mg"),
        ("Observation", "value-quantity", "1e999"),
        ("Observation", "value-quantity", "9" * 41),
        ("Observation", "value-quantity", "nan"),
        ("Observation", "code-value-quantity", f"{CANARY}$x"),
        ("Patient", "_has:Observation:patient:date", CANARY),
        ("Observation", "subject:Patient.birthdate", CANARY),
    ],
)
def test_malformed_value_is_400_with_the_parameter_and_without_the_value(
    resource_type: str, name: str, value: str
) -> None:
    error = refusal(resource_type, (name, value), strict=False)
    assert (error.status, error.expression) == (400, name)
    assert CANARY not in str(error)
    assert CANARY not in error.diagnostics


def test_too_many_parameters_or_values_are_too_costly() -> None:
    assert refusal("Patient", *[("name", "a")] * 101).code == "too-costly"
    assert refusal("Patient", ("name", ",".join("a" * 501))).code == "too-costly"


def test_name_that_is_no_name_is_not_repeated() -> None:
    assert refusal("Patient", ("<script>", "x")).expression == ""


NAMES = st.sampled_from(
    [
        *PARAMETERS["Observation"], "_id", "_lastUpdated", "_count", "_sort", "_include", "_revinclude:iterate",
        "_summary", "_total", "_elements", "subject.name", "patient.birthdate", "subject:Patient.name:exact",
        "_has:Provenance:target:recorded", "_has:Provenance", "subject:Patient", "code:not", "date:missing", "_type",
    ]
)  # fmt: skip
PIECES = st.sampled_from(
    ["ap", "ge", "ne", "2020", "-02", "-30", "T10:30", ":00", "Z", " 02:00", "|", "$", ",", "\\", "http://x", "/",
     "Patient", "1", "1e5", "e", ".", "-", "+", "*", ":", "\x00", "é", "\ud800", "9" * 50, "true"]
)  # fmt: skip
NAME_TEXT = NAMES | st.text(max_size=20) | st.lists(NAMES, min_size=1, max_size=3).map(":".join)
VALUE_TEXT = st.text(max_size=40) | st.lists(PIECES, max_size=6).map("".join)


def _parsed_or_refused(
    resource_type: str | None, pairs: list[tuple[str, str]], strict: bool
) -> ParsedSearch | SearchError:
    try:
        return parse(resource_type, *pairs, strict=strict)
    except SearchError as error:
        return error


@given(st.lists(st.tuples(NAME_TEXT, VALUE_TEXT), max_size=4), st.booleans(), st.sampled_from(["Observation", None]))
@example([("date", "ap0001")], True, "Observation")
@example([("date", "ap9999-12-31T23:59:59.999999-14:00")], True, "Observation")
@example([("value-quantity", ".")], True, "Observation")
def test_any_request_is_understood_or_refused_with_400(
    pairs: list[tuple[str, str]], strict: bool, resource_type: str | None
) -> None:
    parsed = _parsed_or_refused(resource_type, pairs, strict)
    if isinstance(parsed, SearchError):
        assert parsed.status == 400
        assert parsed.code in ("invalid", "not-supported", "too-costly")
        assert parsed.diagnostics
        return
    assert parsed.search.count <= 1000
    assert set(parsed.self_pairs) <= set(pairs) | {("_count", str(parsed.search.count))}
    assert not (strict and parsed.ignored)
    again = parse(resource_type, *parsed.self_pairs, strict=True)
    assert again.search == parsed.search
