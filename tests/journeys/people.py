"""What people do on the pages, step by step, as a test or a demonstration drives it."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.web.installation import EMAIL, PASSPHRASE

# Everything that is asked in the baseline: the choice for each kind of question unless a journey says otherwise.
NO_WARNING_SIGN = "No"


def sign_in_as_clinician(page: Page) -> None:
    page.goto("/")
    page.get_by_role("link", name="Sign in as staff").click()
    page.get_by_label("E-mail address").fill(EMAIL)
    page.get_by_label("Passphrase").fill(PASSPHRASE)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Patients")


def register(page: Page, *, nhs: str, given: str, family: str) -> None:
    page.get_by_role("link", name="Register a patient").first.click()
    page.get_by_label("NHS number", exact=True).fill(nhs)
    page.get_by_label("First name(s)").fill(given)
    page.get_by_label("Family name").fill(family)
    for part, value in (("Day", "27"), ("Month", "3"), ("Year", "1985")):
        page.get_by_label(part, exact=True).fill(value)
    page.get_by_label("I have checked name").check()
    page.get_by_role("button", name="Register").click()


def prescribe(page: Page) -> str:
    """The activation code as it is shown."""
    page.get_by_label("I have assessed this person").check()
    page.get_by_role("button", name="Make an activation code").click()
    return page.locator(".code").inner_text().strip()


def activate(page: Page, code: str, handle: str = "anna", pin: str = "738291") -> None:
    page.goto("/activate")
    page.get_by_label("Activation code").fill(code)
    page.get_by_label("How do you want to sign in?").fill(handle)
    page.get_by_label("Choose a PIN or passphrase").fill(pin)
    page.get_by_role("button", name="Create my account").click()
    expect(page).to_have_url(re.compile("/start$"))


def share_with(page: Page, organisation: str) -> None:
    page.goto("/sharing")
    page.get_by_role("link", name=f"Choose – {organisation}").click()
    page.get_by_label("Yes, share what I tick below").check()
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="I agree").click()
    expect(page).to_have_url(re.compile("/sharing$"))


def decline(page: Page, organisation: str) -> None:
    page.goto("/sharing")
    page.get_by_role("link", name=f"Choose – {organisation}").click()
    page.get_by_label("No, share nothing").check()
    page.get_by_role("button", name="Continue").click()


def answer_all(page: Page, instrument: str, answers: dict[str, str] | None = None) -> None:
    """Answer every question of an instrument: `answers` by linkId, else what a person with moderate pain may say."""
    page.goto(f"/questions/{instrument}")
    page.locator("main .button").first.click()
    while not page.url.endswith("/check"):
        if page.url.endswith("/advice"):
            page.get_by_role("link", name="Go on with the questions").click()
            continue
        answer_one(page, (answers or {}).get(page.url.rpartition("/")[2], ""))
    page.get_by_role("button", name="Send my answers").click()
    expect(page).to_have_url(re.compile("/done$"))


def answer_one(page: Page, answer: str = "") -> None:
    choices = page.locator("main input[type=radio]")
    boxes = page.locator("main input[type=checkbox]")
    if choices.count():
        wanted = page.locator(f"main input[type=radio][value='{answer or _usual(page)}']")
        wanted.check(force=True)
    elif boxes.count():
        boxes.first.check()
    else:
        text = page.locator("main input[name=answer]:not([type=hidden]), main textarea")
        text.fill(answer or ("3" if text.get_attribute("inputmode") == "numeric" else "Lifting my daughter"))
    page.get_by_role("button", name="Next").click()


def _usual(page: Page) -> str:
    values = [each.get_attribute("value") for each in page.locator("main input[type=radio]").all()]
    for usual in ("no", "several-days", "5", "15", "right", "fair", "3"):
        if usual in values:
            return usual
    return str(values[0])
