"""The main job, in real browsers: prescribe, activate, share, answer, plan, decide, follow, stop sharing.

Every page on the way is checked with axe-core, for sideways scrolling, and for what the content policy refuses.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.journeys import people
from tests.journeys.accessible import small_targets, violations, widest_overflow
from tests.web.installation import Installation

BASELINE = ("red-flag-screen", "pain-nrs", "rmdq-24", "psfs", "phq-8", "goals")
NHS_NUMBER = "9000000009"
Somebody = Callable[..., Page]


def check(page: Page) -> None:
    """The promises that hold on every page."""
    assert violations(page) == []
    assert widest_overflow(page) <= 0
    assert small_targets(page) == []


def test_from_prescription_to_a_followed_plan_and_back_to_not_sharing(
    installation: Installation, somebody: Somebody
) -> None:
    clinician, patient = somebody(phone=False), somebody()
    people.sign_in_as_clinician(clinician)
    check(clinician)
    people.register(clinician, nhs=NHS_NUMBER, given="Anna", family="Example")
    check(clinician)
    code = people.prescribe(clinician)
    check(clinician)

    people.activate(patient, code)
    check(patient)
    people.share_with(patient, installation.clinic.name)
    people.decline(patient, installation.practice.name)
    check(patient)
    for instrument in BASELINE:
        people.answer_all(patient, instrument)
    check(patient)

    patient.goto("/plan")
    expect(patient.get_by_role("heading", name="Your plan is being worked out")).to_be_visible()
    installation.work_off()
    expect(patient.get_by_role("heading", name="Proposed, not started")).to_be_visible(timeout=15_000)
    check(patient)

    clinician.goto("/panel")
    check(clinician)
    clinician.get_by_role("link", name="Review plan – Anna Example").click()
    expect(clinician.get_by_text("backbridge-plan-policy|1.0.0").first).to_be_visible()
    check(clinician)
    clinician.get_by_role("button", name="Activate this plan").click()
    expect(clinician.get_by_role("heading", level=1)).to_have_text("Anna Example")
    check(clinician)

    patient.goto("/today")
    expect(patient.get_by_text("Your goal: 4,000 steps")).to_be_visible()
    check(patient)
    patient.locator(".things a").first.click()
    check(patient)
    patient.get_by_label("Just right").check()
    patient.get_by_role("button", name="Save").click()
    expect(patient.get_by_text("Done today")).to_be_visible()

    patient.goto("/sharing/looks")
    expect(patient.get_by_role("heading", name="Robin Hale")).to_be_visible()
    check(patient)
    patient.goto("/sharing")
    patient.get_by_role("button", name=f"Stop sharing – {installation.clinic.name}").click()
    expect(patient.get_by_text("You stopped sharing with them.")).to_be_visible()
    clinician.reload()
    expect(clinician.get_by_text("No answers or measurements are shared")).to_be_visible()


def registered(installation: Installation, somebody: Somebody) -> str:
    """An activation code, through the clinic's pages."""
    clinician = somebody(phone=False)
    people.sign_in_as_clinician(clinician)
    people.register(clinician, nhs=NHS_NUMBER, given="Anna", family="Example")
    return people.prescribe(clinician)


def test_the_whole_way_of_a_patient_works_without_script(installation: Installation, somebody: Somebody) -> None:
    code = registered(installation, somebody)
    patient = somebody(script=False)
    people.activate(patient, code)
    people.share_with(patient, installation.clinic.name)
    people.answer_all(patient, "pain-nrs")
    patient.goto("/start")
    expect(patient.get_by_role("listitem").filter(has_text="Pain last week").get_by_text("Done")).to_be_visible()


def test_the_qr_code_fills_in_the_code_and_leaves_no_trace_in_the_address(
    installation: Installation, somebody: Somebody
) -> None:
    page = somebody()
    page.goto("/activate#K7QX-M2RD-9HTV")
    expect(page.get_by_label("Activation code")).to_have_value("K7QX-M2RD-9HTV")
    assert page.url.endswith("/activate")


def test_a_question_can_be_answered_with_the_keyboard_alone(installation: Installation, somebody: Somebody) -> None:
    patient = somebody(phone=False)
    people.activate(patient, registered(installation, somebody))
    patient.goto("/questions/pain-nrs/pain-average")
    patient.keyboard.press("Tab")
    expect(patient.locator(":focus")).to_have_text("Skip to main content")
    patient.keyboard.press("Enter")
    for _ in range(4):
        patient.keyboard.press("Tab")
        if patient.locator(":focus").get_attribute("type") == "radio":
            break
    expect(patient.locator(":focus")).to_have_attribute("name", "answer")
    patient.keyboard.press("Space")
    for _ in range(4):
        patient.keyboard.press("ArrowRight")
    expect(patient.locator("main input:checked")).to_have_value("4")
    outline = patient.locator(".option:has(:focus)").evaluate("each => getComputedStyle(each).outlineWidth")
    assert outline == "3px"
    patient.keyboard.press("Enter")
    expect(patient).to_have_url(re.compile("/questions/pain-nrs/pain-worst$"))


def test_an_error_is_announced_and_leads_to_its_field(installation: Installation, somebody: Somebody) -> None:
    page = somebody()
    page.goto("/activate")
    page.get_by_role("button", name="Create my account").click()
    expect(page.get_by_role("alert")).to_be_focused()
    expect(page).to_have_title(re.compile("^Error:"))
    check(page)
    page.get_by_role("link", name="Choose a PIN or passphrase").click()
    expect(page.get_by_label("Choose a PIN or passphrase")).to_be_focused()


def test_every_page_of_a_clinician_is_accessible_on_a_phone(installation: Installation, somebody: Somebody) -> None:
    clinician, patient = somebody(dark=True), somebody(phone=False)
    people.sign_in_as_clinician(clinician)
    check(clinician)
    people.register(clinician, nhs=NHS_NUMBER, given="Anna", family="Example")
    check(clinician)
    code = people.prescribe(clinician)
    check(clinician)
    people.activate(patient, code)
    people.share_with(patient, installation.clinic.name)
    for instrument in BASELINE:
        people.answer_all(patient, instrument, {"rf-night-pain": "yes"})
    installation.work_off()
    clinician.goto("/panel")
    expect(clinician.get_by_text("Pain at night")).to_be_visible()
    check(clinician)
    clinician.get_by_role("link", name="Anna Example", exact=True).click()
    check(clinician)
    clinician.goto("/patients/new")
    clinician.get_by_role("button", name="Register").click()
    check(clinician)


@pytest.mark.parametrize(("phone", "dark"), [(True, True), (False, False)], ids=["phone-dark", "desk-light"])
def test_every_page_of_a_patient_is_accessible(
    installation: Installation, somebody: Somebody, phone: bool, dark: bool
) -> None:
    patient = somebody(phone=phone, dark=dark)
    for path in ("/", "/sign-in", "/sign-in/patient", "/sign-in/staff", "/invitation", "/activate"):
        patient.goto(path)
        check(patient)
    people.activate(patient, registered(installation, somebody))
    patient.goto("/questions/red-flag-screen/rf-bladder-bowel")
    people.answer_one(patient, "yes")
    check(patient)
    people.answer_all(patient, "pain-nrs")
    installation.work_off()
    for path in (
        "/start",
        "/plan",
        "/progress",
        "/questions",
        "/questions/rmdq-24",
        "/questions/rmdq-24/rmdq-01",
        "/questions/rmdq-24/check",
        "/questions/pain-nrs/pain-average",
        "/questions/goals/goal-text",
        "/questions/goals/goal-areas",
        "/sharing",
        f"/sharing/{installation.clinic.id}",
        "/sharing/looks",
        "/import",
        "/first-aid",
        "/exercises/abd-1-brace",
        "/questions/no-such-thing",
    ):
        patient.goto(path)
        check(patient)


def test_a_large_file_goes_in_pieces_with_progress(installation: Installation, somebody: Somebody) -> None:
    patient = somebody()
    people.activate(patient, registered(installation, somebody))
    patient.goto("/import")
    content = b'<?xml version="1.0"?><HealthData locale="en_GB">' + b" " * 9_000_000 + b"</HealthData>"
    file = {"name": "export.xml", "mimeType": "text/xml", "buffer": content}
    patient.get_by_label("Export file").set_input_files(files=[file])
    patient.get_by_role("button", name="Send the file").click()
    expect(patient).to_have_url(re.compile(r"/import/[0-9a-z]{13}$"), timeout=20_000)
    expect(patient.get_by_role("status")).to_contain_text("waits to be read")
    check(patient)
