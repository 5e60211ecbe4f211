"""The weekly plan: guard rails that hold for any evidence, reasons for every line, valid FHIR, the same every time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from evidence_builders import (
    MONDAY,
    NOW,
    PATIENT,
    activated,
    all_no,
    answered,
    check_in,
    cleared_by,
    coded,
    last_week,
    past_plan,
    scored,
    steps_of,
    walked,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.r4.validate import Validator
from recommender import knowledge
from recommender.errors import InvalidElement, MissingElement, NaiveTime, WrongPatient
from recommender.exercise_catalogue import catalogue
from recommender.plan import PlanProposal, needs, read_evidence, weekly_plan
from recommender.policy import plan_policy

JSON = dict[str, Any]

GOALS = answered(
    "goals",
    {"goal-text": "Play football with my son", "sessions-per-week": 4, "minutes-per-session": "30"},
    id="goals",
)
SAFE = answered("red-flag-screen", all_no(), id="screen", ago=30)


def plan(*resources: JSON, seed: int = 7, now: datetime = NOW, **more: Any) -> PlanProposal:
    return weekly_plan(read_evidence(PATIENT, resources), now=now, seed=seed, **more)


def rules(proposal: PlanProposal) -> set[str]:
    return {explanation.rule for explanation in proposal.explanations}


def test_plan_lasts_seven_days_from_today() -> None:
    assert plan().care_plan["period"] == {"start": "2026-11-23", "end": "2026-11-29"}


def test_week_begins_on_the_local_day_of_the_person() -> None:
    """Half past one in Oslo is still the day before in UTC."""
    oslo = datetime(2026, 11, 24, 0, 30, tzinfo=timezone(timedelta(hours=1)))
    assert plan(now=oslo).care_plan["period"]["start"] == "2026-11-24"


def test_time_without_an_offset_is_refused() -> None:
    with pytest.raises(NaiveTime):
        plan(now=datetime(2026, 11, 23))  # noqa: DTZ001


def test_plan_is_a_draft_with_steps_three_exercises_and_seven_messages() -> None:
    proposal = plan(SAFE)
    assert (proposal.care_plan["status"], proposal.care_plan["intent"]) == ("draft", "plan")
    kinds = coded(proposal, "plan-activity")
    assert kinds == ["steps", *["exercise"] * 3, *["education"] * 7]


def test_every_line_says_why_in_words_without_placeholders() -> None:
    proposal = plan(SAFE, GOALS, check_in(sleep="poor"), *last_week(*[5000] * 7))
    for activity in proposal.care_plan["activity"]:
        reasons = activity["detail"]["reasonCode"]
        assert reasons
        assert all(reason["text"] and "{" not in reason["text"] for reason in reasons)
        assert all(reason["coding"][0]["code"] in plan_policy().rules for reason in reasons)


def test_messages_are_one_a_day_in_order() -> None:
    days = [
        activity["detail"]["scheduledPeriod"]["start"]
        for activity in plan().care_plan["activity"]
        if "scheduledPeriod" in activity["detail"]
    ]
    assert days == [(MONDAY + timedelta(days=n)).isoformat() for n in range(7)]


def test_person_sees_their_own_goal_and_their_own_time() -> None:
    proposal = plan(SAFE, GOALS)
    assert "Play football with my son" in [goal["description"]["text"] for goal in proposal.goals]
    exercise = proposal.care_plan["activity"][1]["detail"]
    assert exercise["scheduledTiming"]["repeat"]["frequency"] == 4
    assert "on 4 days this week" in exercise["description"]


def test_more_time_gives_more_sets_but_never_more_than_the_exercise_has() -> None:
    def sets(minutes: str) -> list[int]:
        goals = answered("goals", {"goal-text": "x", "sessions-per-week": 3, "minutes-per-session": minutes})
        lines = plan(SAFE, goals).care_plan["activity"][1:4]
        return [int(line["detail"]["description"].split(" Do ")[1].split(" x ")[0]) for line in lines]

    most = [catalogue()[exercise].sets for exercise in coded(plan(SAFE), "exercise")]
    assert sets("15") == [1, 1, 1]
    assert sets("30") == [min(2, limit) for limit in most]
    assert sets("45") == [min(3, limit) for limit in most]


def test_poor_sleep_brings_a_message_about_sleep_and_says_so() -> None:
    proposal = plan(SAFE, past_plan(1), check_in(sleep="poor"))
    themes = {row["message"]: row["theme"] for row in knowledge.table("education")}
    assert themes[coded(proposal, "education-message")[0]] == "sleep"
    assert any("poor sleep" in explanation.text for explanation in proposal.explanations)


def test_first_plan_opens_with_information_about_back_pain() -> None:
    assert coded(plan(), "education-message")[0].startswith("inf-")


def test_steps_follow_last_week_and_the_starting_level_travels_on() -> None:
    first = plan(SAFE, *last_week(*[5000] * 7))
    assert steps_of(first) == 5000
    next_monday = MONDAY + timedelta(days=7)
    days = [walked(MONDAY + timedelta(days=n), 5200) for n in range(7)]
    second = plan(SAFE, activated(first, "one"), *days, now=NOW + timedelta(days=7))
    assert second.care_plan["period"]["start"] == next_monday.isoformat()
    assert steps_of(second) == 5700  # 5200 x 1.1 = 5720
    low = [walked(next_monday + timedelta(days=n), 3000) for n in range(7)]
    third = plan(SAFE, activated(first, "one"), activated(second, "two"), *low, now=NOW + timedelta(days=14))
    assert steps_of(third) == 5000


def test_band_worn_for_a_few_hours_is_not_a_day() -> None:
    days = [walked(MONDAY - timedelta(days=n), 9000, worn_percent=30) for n in range(1, 8)]
    assert "step.first-week" in rules(plan(SAFE, *days))


def test_pain_up_by_two_points_eases_steps_and_levels() -> None:
    earlier = past_plan(1, exercises=("abd-2-curl", "bex-2-hip-hinge", "cor-2-bird-dog", "glu-2-bridge"), steps=5000)
    pain = [scored("week-pain", 3, ago=8), scored("week-pain", 5, ago=1)]
    proposal = plan(SAFE, earlier, *pain, *last_week(*[5000] * 7))
    assert {"step.ease", "exercise.level-down"} <= rules(proposal)
    eased = next(e for e in proposal.explanations if e.rule == "step.ease")
    assert "Observation/week-pain-1" in eased.inputs


def test_old_pain_reports_say_nothing_about_this_week() -> None:
    pain = [scored("week-pain", 3, ago=40), scored("week-pain", 9, ago=30)]
    assert "step.ease" not in rules(plan(SAFE, *pain, *last_week(*[5000] * 7)))


def easy_week(weeks_ago: int, exercise: str) -> list[JSON]:
    """Three sessions done and found easy in the week of that plan."""
    return [
        answered(
            "exercise-feedback",
            {"exercise": exercise, "completed": True, "feedback": "easy"},
            id=f"feedback-{weeks_ago}-{day}",
            ago=7 * weeks_ago - day,
        )
        for day in (1, 2, 3)
    ]


def test_two_easy_weeks_by_single_feedback_move_that_group_up() -> None:
    both = ("abd-1-brace", "bex-1-bridge-low", "cor-1-wall-plank", "glu-1-clam", "fle-1-cat")
    history = [past_plan(2, exercises=both), past_plan(1, exercises=both)]
    reports = [*easy_week(2, "cor-1-wall-plank"), *easy_week(1, "cor-1-wall-plank")]
    proposals = [plan(SAFE, *history, *reports, seed=seed) for seed in range(8)]
    levels = {catalogue()[e].group: catalogue()[e].level for p in proposals for e in coded(p, "exercise")}
    assert levels["core-stability"] == 2
    assert levels["abdominals"] == 1


def test_two_easy_weeks_by_check_in_move_every_group_up() -> None:
    all_groups = ("abd-1-brace", "bex-1-bridge-low", "cor-1-wall-plank", "glu-1-clam", "fle-1-cat", "rel-1-legs-up")
    history = [past_plan(2, exercises=all_groups), past_plan(1, exercises=all_groups)]
    reports = [check_in(id=f"c{ago}", ago=ago, exercise_feedback="easy") for ago in (7.2, 0.2)]
    proposal = plan(SAFE, *history, *reports)
    assert {catalogue()[exercise].level for exercise in coded(proposal, "exercise")} == {2}


ALL_GROUPS = ("abd-1-brace", "bex-1-bridge-low", "cor-1-wall-plank", "glu-1-clam", "fle-1-cat", "rel-1-legs-up")


def test_one_easy_check_in_counts_for_one_week_only() -> None:
    history = [past_plan(2, exercises=ALL_GROUPS), past_plan(1, exercises=ALL_GROUPS)]
    proposal = plan(SAFE, *history, check_in(ago=0.2, exercise_feedback="easy"))
    assert {catalogue()[exercise].level for exercise in coded(proposal, "exercise")} == {1}


def test_easy_weeks_with_too_few_sessions_do_not_move_up() -> None:
    history = [past_plan(2, exercises=ALL_GROUPS), past_plan(1, exercises=ALL_GROUPS)]
    reports = [check_in(id=f"c{ago}", ago=ago, exercise_feedback="easy", sessions=2) for ago in (7.2, 0.2)]
    proposal = plan(SAFE, *history, *reports)
    assert {catalogue()[exercise].level for exercise in coded(proposal, "exercise")} == {1}


@pytest.mark.parametrize(("ended_days_ago", "may_come_back"), [(28, False), (29, True)])
def test_message_may_come_back_after_four_weeks(ended_days_ago: int, may_come_back: bool) -> None:
    """Every message but seven was in the old plan: they are the whole choice while it is remembered."""
    every = tuple(row["message"] for row in knowledge.table("education"))
    end = MONDAY - timedelta(days=ended_days_ago)
    period = {"start": (end - timedelta(days=6)).isoformat(), "end": end.isoformat()}
    old = past_plan(5, messages=every[7:]) | {"period": period}
    taught = {message for seed in range(5) for message in coded(plan(SAFE, old, seed=seed), "education-message")}
    assert (taught != set(every[:7])) is may_come_back


@pytest.mark.parametrize("tier_item", ["saddle_numbness", "fever_unwell", "cancer_history"])
def test_red_flag_of_any_tier_gives_advice_and_no_exercises(tier_item: str) -> None:
    proposal = plan(answered("red-flag-screen", all_no(**{tier_item: "yes"}), id="screen"), *last_week(*[5000] * 7))
    assert proposal.kind == "clinician-first"
    assert proposal.red_flags
    assert set(coded(proposal, "plan-activity")) == {"advice"}
    assert proposal.goals == []
    assert proposal.care_plan["status"] == "draft"
    assert proposal.red_flags[0].advice in proposal.care_plan["activity"][0]["detail"]["description"]


def test_screen_with_an_unanswered_question_counts_as_a_flag() -> None:
    answers = all_no()
    answers.pop("rf-saddle-numbness")
    proposal = plan(answered("red-flag-screen", answers, id="screen"))
    assert proposal.kind == "clinician-first"
    assert "safety.unreadable-screen" in rules(proposal)


def test_later_screen_without_flags_opens_the_way() -> None:
    early = answered("red-flag-screen", all_no(fever_unwell="yes"), id="early", ago=5)
    late = answered("red-flag-screen", all_no(), id="late", ago=1)
    assert plan(early, late).kind == "weekly"


def test_warning_sign_in_a_check_in_after_the_screen_stops_the_plan() -> None:
    assert plan(SAFE, check_in(warning_signs=True)).kind == "clinician-first"


def test_full_screen_settles_an_earlier_warning_sign() -> None:
    screen = answered("red-flag-screen", all_no(), id="screen", ago=0.1)
    assert plan(check_in(warning_signs=True, ago=1), screen).kind == "weekly"


@pytest.mark.parametrize(
    ("performer", "kind"),
    [("Practitioner/1", "weekly"), ("PractitionerRole/1", "weekly"), (PATIENT, "clinician-first")],
)
def test_only_a_clinician_clears_a_flag(performer: str, kind: str) -> None:
    flagged = answered("red-flag-screen", all_no(cancer_history="yes"), id="screen")
    assert plan(flagged, cleared_by(performer, flagged)).kind == kind


def test_clearance_does_not_cover_later_answers() -> None:
    first = answered("red-flag-screen", all_no(cancer_history="yes"), id="first", ago=10)
    later = answered("red-flag-screen", all_no(cancer_history="yes", fever_unwell="yes"), id="later", ago=1)
    assert plan(first, cleared_by("Practitioner/1", first), later).kind == "clinician-first"


def test_missing_screen_is_said_openly() -> None:
    assert "safety.no-screen" in rules(plan())
    assert "safety.no-screen" not in rules(plan(SAFE))


@pytest.mark.parametrize(("phq8", "advised"), [(19, False), (20, True)])
def test_severe_phq_8_adds_advice_and_keeps_the_plan(phq8: int, advised: bool) -> None:
    proposal = plan(SAFE, scored("phq-8", phq8, ago=3))
    assert ("advice" in coded(proposal, "plan-activity")) is advised
    assert len(coded(proposal, "exercise")) == 3


def test_draft_that_nobody_activated_is_not_history() -> None:
    draft = past_plan(1, messages=("inf-1",), steps=9000) | {"status": "draft"}
    assert plan(SAFE, draft).care_plan == plan(SAFE).care_plan


def test_exercises_unknown_to_the_catalogue_are_passed_over() -> None:
    assert len(coded(plan(SAFE, past_plan(1, exercises=("clinician-own", "abd-1-brace"))), "exercise")) == 3


def test_provenance_names_algorithm_policy_inputs_and_rules() -> None:
    day = last_week(5000)[0] | {"meta": {"versionId": "3"}}
    proposal = plan(SAFE, day)
    provenance = proposal.provenance
    who = provenance["agent"][0]["who"]["reference"]
    device = next(entry for entry in proposal.entries if entry["fullUrl"] == who)
    assert device["resource"]["resourceType"] == "Device"
    assert provenance["policy"] == [plan_policy().canonical]
    used = {entity["what"]["reference"] for entity in provenance["entity"]}
    assert used == {"QuestionnaireResponse/screen", f"Observation/{day['id']}/_history/3"}
    assert {reason["coding"][0]["code"] for reason in provenance["reason"]} == rules(proposal)


def test_every_local_reference_leads_to_an_entry() -> None:
    proposal = plan(SAFE, GOALS)
    urls = {entry["fullUrl"] for entry in proposal.entries}
    assert len(urls) == len(proposal.entries)
    assert {reference for reference in _references(proposal.bundle()) if reference.startswith("urn:")} == urls - {
        entry["fullUrl"] for entry in proposal.entries if entry["resource"]["resourceType"] == "Provenance"
    }


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["reference"]] if isinstance(node.get("reference"), str) else []
        return own + [r for value in node.values() for r in _references(value)]
    return [r for value in node for r in _references(value)] if isinstance(node, list) else []


def test_repeating_a_transaction_finds_the_first_plan_by_its_identifier() -> None:
    for entry in plan(SAFE).entries:
        if entry["resource"]["resourceType"] != "Provenance":
            value = entry["resource"]["identifier"][0]["value"]
            assert parse_qs(entry["request"]["ifNoneExist"])["identifier"][0].endswith(f"|{value}")


def test_advice_and_plan_of_one_day_are_two_plans() -> None:
    """Cleared an hour after the advice, a person must not get the advice again."""
    flagged = answered("red-flag-screen", all_no(cancer_history="yes"), id="screen")
    before, after = plan(flagged), plan(flagged, cleared_by("Practitioner/1", flagged))
    assert before.care_plan["identifier"] != after.care_plan["identifier"]


def test_suggestion_chooses_among_candidates() -> None:
    def last_letter_first(slot: str, candidates: Sequence[str]) -> Sequence[str]:
        return sorted(candidates, reverse=True)

    assert coded(plan(SAFE, suggest=last_letter_first), "exercise")[0] == "cor-1-wall-plank"


@pytest.mark.parametrize(
    "suggest",
    [lambda slot, candidates: ["nonsense"], lambda slot, candidates: [], lambda slot, candidates: [candidates[-1]] * 9],
    ids=["unknown ids", "nothing", "one id nine times"],
)
def test_no_suggestion_can_break_the_guard_rails(suggest: Any) -> None:
    proposal = plan(SAFE, past_plan(1, messages=("inf-1", "sle-1")), suggest=suggest)
    assert_guard_rails(proposal, {"inf-1", "sle-1"})


def test_resource_of_another_patient_is_refused() -> None:
    other = walked(MONDAY, 5000) | {"subject": {"reference": "Patient/bo"}}
    with pytest.raises(WrongPatient):
        plan(other)


def test_evidence_comes_in_bundles_with_other_things_in_them() -> None:
    outcome = {"resourceType": "OperationOutcome", "issue": []}
    entries = [{"resource": SAFE}, {"resource": outcome, "search": {"mode": "outcome"}}]
    bundle = {"resourceType": "Bundle", "type": "searchset", "entry": entries}
    empty = {"resourceType": "Bundle", "type": "searchset", "total": 0}
    assert plan(bundle, empty, SAFE).entries == plan(SAFE).entries


@pytest.mark.parametrize(
    ("change", "error"),
    [({"authored": "yesterday"}, InvalidElement), ({"authored": "2026-11-20T10:00:00"}, InvalidElement)],
)
def test_unusable_time_is_a_typed_error(change: JSON, error: type[Exception]) -> None:
    with pytest.raises(error):
        plan(SAFE | change)


def test_answers_without_a_time_are_a_typed_error() -> None:
    with pytest.raises(MissingElement, match="authored"):
        plan({name: value for name, value in SAFE.items() if name != "authored"})


@pytest.mark.parametrize("authored", ["2026", "2026-11", "2026-11-20", "2026-11-20T10:00:00.123Z"])
def test_every_precision_of_a_fhir_date_time_is_read(authored: str) -> None:
    assert "safety.no-screen" not in rules(plan(SAFE | {"authored": authored}))


def test_needs_are_relative_searches_of_this_patient() -> None:
    wanted = needs(PATIENT, NOW)
    assert wanted
    for url in wanted:
        parts = urlsplit(url)
        assert not parts.netloc
        assert parts.path in ("QuestionnaireResponse", "Observation", "CarePlan")
        assert parse_qs(parts.query, strict_parsing=True)["subject"] == [PATIENT]


def test_needs_cover_everything_the_evidence_reads() -> None:
    text = " ".join(parse_qs(urlsplit(url).query).__repr__() for url in needs(PATIENT, NOW))
    for name in ("red-flag-screen", "goals", "weekly-check-in", "exercise-feedback"):
        assert f"Questionnaire/{name}" in text
    for code in ("week-pain", "pain-nrs-average", "phq-8", "41950-7", "red-flag-review", "self-management"):
        assert f"|{code}" in text


messages = st.lists(st.sampled_from([row["message"] for row in knowledge.table("education")]), unique=True, max_size=30)
past_plans = st.builds(
    past_plan,
    st.integers(1, 7),
    exercises=st.lists(st.sampled_from(sorted(catalogue())), max_size=5).map(tuple),
    messages=messages.map(tuple),
    steps=st.one_of(st.none(), st.integers(0, 20000)),
    baseline=st.one_of(st.none(), st.integers(0, 15000)),
    sessions=st.integers(1, 5),
)
reports = st.builds(
    check_in,
    id=st.uuids().map(str),
    ago=st.floats(0, 50),
    pain=st.integers(0, 10),
    confidence=st.integers(0, 10),
    sleep=st.sampled_from(["poor", "fair", "good"]),
    mood=st.sampled_from(["poor", "fair", "good"]),
    sessions=st.integers(0, 7),
    exercise_feedback=st.sampled_from(["easy", "right", "hard", "could-not"]),
    flare_up=st.booleans(),
    warning_signs=st.booleans(),
    barriers=st.lists(st.sampled_from(["time", "pain", "fear", "tired", "none"]), unique=True, min_size=1),
)
screens = st.builds(
    lambda answers, ago: answered("red-flag-screen", answers, id=f"screen-{ago}", ago=ago),
    st.fixed_dictionaries({link: st.sampled_from(["no"] * 12 + ["yes", "unsure"]) for link in all_no()}),
    st.floats(0, 100),
)
evidence = st.builds(
    lambda plans, reports, screens, steps, pains: [
        *{p["id"]: p for p in plans}.values(),
        # A store holds one resource of an id.
        *{r["id"]: r for r in reports}.values(),
        *{s["id"]: s for s in screens}.values(),
        *last_week(*steps),
        *(scored("week-pain", value, ago=n * 7 + 0.5) for n, value in enumerate(pains)),
    ],
    st.lists(past_plans, max_size=4),
    st.lists(reports, max_size=3),
    st.lists(screens, max_size=2),
    st.lists(st.integers(0, 40000), max_size=16),
    st.lists(st.integers(0, 10), max_size=3),
)


def assert_guard_rails(proposal: PlanProposal, recent: set[str]) -> None:
    groups = [catalogue()[exercise].group for exercise in coded(proposal, "exercise")]
    assert len(groups) == len(set(groups)) == 3
    assert {"abdominals", "back-extensors"} <= set(groups) or "core-stability" in groups
    taught = coded(proposal, "education-message")
    assert len(taught) == len(set(taught)) <= 7
    assert not set(taught) & recent
    assert 2000 <= steps_of(proposal) <= 40050


@settings(max_examples=60, deadline=None)
@given(evidence, st.integers(0, 1000))
def test_guard_rails_hold_for_any_evidence(found: list[JSON], seed: int) -> None:
    proposal = plan(*found, seed=seed)
    assert proposal.care_plan["period"] == {"start": "2026-11-23", "end": "2026-11-29"}
    assert proposal.care_plan["status"] == "draft"
    assert all(activity["detail"]["reasonCode"] for activity in proposal.care_plan["activity"])
    if proposal.kind == "clinician-first":
        assert set(coded(proposal, "plan-activity")) == {"advice"}
        return
    assert proposal.red_flags == ()
    plans = [p for p in found if p["resourceType"] == "CarePlan"]
    read = read_evidence(PATIENT, plans).plans
    recent = {m for p in read if p.end >= MONDAY - timedelta(weeks=4) for m in p.messages}
    assert_guard_rails(proposal, recent)


@settings(max_examples=25, deadline=None)
@given(evidence, st.integers(0, 1000), st.randoms(use_true_random=False))
def test_same_evidence_in_any_order_gives_the_same_plan(found: list[JSON], seed: int, random: Any) -> None:
    assert plan(*found, seed=seed).entries == plan(*random.sample(found, len(found)), seed=seed).entries


@pytest.fixture(scope="module")
def validator() -> Validator:
    return Validator()


@settings(max_examples=25, deadline=None)
@given(found=evidence, seed=st.integers(0, 1000))
def test_every_plan_is_a_valid_r4_transaction(validator: Validator, found: list[JSON], seed: int) -> None:
    assert validator.validate(plan(*found, GOALS, seed=seed).bundle(), "Bundle") == []


def test_twelve_weeks_in_a_row_repeat_no_message_within_five_weeks_and_keep_every_rule() -> None:
    """A plan made from its own plans, as in life."""
    past: list[JSON] = []
    taught: list[list[str]] = []
    for week in range(12):
        now = datetime(2026, 11, 23, 8, tzinfo=UTC) + timedelta(weeks=week)
        proposal = plan(SAFE, GOALS, *past, now=now)
        recent = {message for messages in taught[-4:] for message in messages}
        assert_guard_rails(proposal, recent)
        assert len(coded(proposal, "education-message")) == 7
        taught.append(coded(proposal, "education-message"))
        past.append(activated(proposal, f"week-{week}"))
