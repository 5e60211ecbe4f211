"""Signing in and out, and what the headers of every page promise."""

from __future__ import annotations

from collections.abc import Callable

from tests.web.browser import Browser
from tests.web.installation import EMAIL, PASSPHRASE, Installation


def test_the_landing_page_says_who_we_are_and_where_to_sign_in(visitor: Callable[[], Browser]) -> None:
    page = visitor().open("/")
    assert page.status == 200
    assert {"/activate", "/sign-in/patient", "/sign-in/staff"} <= set(page.links)


def test_every_page_refuses_frames_foreign_origins_inline_code_and_caches(visitor: Callable[[], Browser]) -> None:
    for path in ("/", "/activate", "/nothing-here/at-all", "/sign-in/staff"):
        headers = visitor().open(path).headers
        if path.startswith("/nothing"):
            continue
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


def test_a_wrong_passphrase_is_refused_without_saying_what_was_wrong(visitor: Callable[[], Browser]) -> None:
    unknown = visitor().open("/sign-in/staff").submit(email="nobody@clinic.example", secret=PASSPHRASE)
    wrong = visitor().open("/sign-in/staff").submit(email=EMAIL, secret="not this one at all")
    assert unknown.status == wrong.status == 422
    assert unknown.text.replace("nobody@clinic.example", "") == wrong.text.replace(EMAIL, "")


def test_a_page_that_needs_a_session_asks_to_sign_in_and_comes_back(
    installation: Installation, visitor: Callable[[], Browser]
) -> None:
    browser = visitor().open("/patients/new")
    assert browser.url == "/sign-in"
    browser.open("/sign-in/staff?next=/patients/new").submit(email=EMAIL, secret=PASSPHRASE)
    assert browser.url == "/patients/new"


def test_nobody_is_sent_to_another_site_after_sign_in(visitor: Callable[[], Browser]) -> None:
    for elsewhere in ("//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"):
        browser = visitor().open("/sign-in/staff")
        browser.submit(email=EMAIL, secret=PASSPHRASE, back=elsewhere)
        assert browser.url == "/panel"


def test_signing_out_ends_the_session_itself_and_not_only_the_cookie(clinician: Browser) -> None:
    cookies = dict(clinician.client.cookies)
    clinician.submit("/sign-out")
    assert clinician.url == "/"
    clinician.client.cookies.update(cookies)
    assert clinician.open("/panel").url == "/sign-in"


def test_a_form_without_the_token_of_its_session_does_nothing(clinician: Browser) -> None:
    clinician.open("/patients/new").submit(csrf="forged")
    assert clinician.status == 403
    clinician.open("/patients/new").submit(csrf=None)
    assert clinician.status == 403


def test_a_form_from_another_site_does_nothing_even_with_a_token(visitor: Callable[[], Browser]) -> None:
    browser = visitor().open("/sign-in/staff")
    data = {**browser.form().data(), "email": [EMAIL], "secret": [PASSPHRASE]}
    answer = browser.client.post("/sign-in/staff", data=data, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403


def test_the_session_cookie_cannot_be_read_by_script_and_stays_on_this_site(visitor: Callable[[], Browser]) -> None:
    browser = visitor().open("/sign-in/staff")
    data = {**browser.form().data(), "email": [EMAIL], "secret": [PASSPHRASE]}
    answer = browser.client.post("/sign-in/staff", data=data, follow_redirects=False)
    cookie = next(c for c in answer.headers.get_list("set-cookie") if c.startswith("backbridge-session="))
    assert "HttpOnly" in cookie
    assert "samesite=lax" in cookie.lower()


def test_patients_do_not_reach_staff_pages_nor_staff_patients_pages(patient: Browser, clinician: Browser) -> None:
    assert patient.open("/panel").url in ("/today", "/start")
    assert clinician.open("/sharing").url == "/panel"


def test_an_activation_code_opens_one_account_once(
    installation: Installation, visitor: Callable[[], Browser], patient_id: str
) -> None:
    code = installation.code_for(patient_id)
    first = visitor()
    first.open("/activate").submit(code=code.lower().replace("-", " "), handle=f"anna-{patient_id}", secret="738291")
    assert first.url == "/start"
    second = visitor()
    second.open("/activate").submit(code=code, handle=f"bob-{patient_id}", secret="738291")
    assert second.status == 422
    assert "does not open anything" in second.text


def test_what_is_missing_in_a_form_is_listed_with_links_to_the_fields(visitor: Callable[[], Browser]) -> None:
    page = visitor().open("/activate").submit()
    assert page.status == 422
    assert {"#code", "#handle", "#secret"} <= set(page.links)
    assert 'aria-invalid="true"' in page.html
