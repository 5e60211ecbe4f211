"""Registering a patient: NHS number (modulus 11), name, date of birth, how to reach them."""

from __future__ import annotations

from datetime import date

from starlette.responses import Response

from gateway.people import handles
from gateway.people.errors import Unacceptable
from gateway.people.registration import Registration, register
from gateway.web.forms import Errors
from gateway.web.visit import ClinicVisit
from mappings.demographics import NotAnNHSNumber, nhs_number

_OLDEST_YEARS = 120
_YOUNGEST_YEARS = 18
_LONGEST_NAME = 100


async def form(visit: ClinicVisit) -> Response:
    return visit.page("clinician/register.html")


async def register_patient(visit: ClinicVisit) -> Response:
    """Store the patient, or link the one there is; either way the next page is the prescription."""
    errors = Errors()
    entered = _read(visit, errors)
    if entered is None:
        return visit.page("clinician/register.html", {"errors": errors.by_field}, status=422)
    reference = await register(visit.site.store, visit.context, entered)
    return visit.redirect(f"/patients/{reference.partition('/')[2]}/code")


def _read(visit: ClinicVisit, errors: Errors) -> Registration | None:
    number = _number(visit, errors)
    given, family = _name(visit, "given", errors), _name(visit, "family", errors)
    born = _born(visit, errors)
    if not visit.form.has("checked"):
        errors.add("checked", "register.error.checked")
    phone, email = _reached(visit, "phone", errors), _reached(visit, "email", errors)
    if errors or born is None:
        return None
    return Registration(number, given, family, born, phone, email)


def _number(visit: ClinicVisit, errors: Errors) -> str:
    try:
        return nhs_number(visit.form.text("nhs"))
    except NotAnNHSNumber as wrong:
        errors.add("nhs", f"register.error.nhs-{wrong.code}")
        return ""


def _name(visit: ClinicVisit, name: str, errors: Errors) -> str:
    text = " ".join(visit.form.text(name).split())
    if not 0 < len(text) <= _LONGEST_NAME or not text.isprintable():
        errors.add(name, f"register.error.{name}")
    return text


def _born(visit: ClinicVisit, errors: Errors) -> date | None:
    parts = [visit.form.text(f"born-{part}") for part in ("year", "month", "day")]
    if not all(part.isascii() and part.isdigit() and len(part) <= 4 for part in parts):
        errors.add("born-day", "register.error.born")
        return None
    try:
        born = date(*map(int, parts))
    except ValueError:
        errors.add("born-day", "register.error.born")
        return None
    age = visit.dates.age(born)
    if not 0 <= age <= _OLDEST_YEARS:
        errors.add("born-day", "register.error.born")
    elif age < _YOUNGEST_YEARS:
        errors.add("born-day", "register.error.too-young")
    return born


def _reached(visit: ClinicVisit, name: str, errors: Errors) -> str:
    text = visit.form.text(name)
    if not text:
        return ""
    try:
        found = handles.email(text) if name == "email" else handles.handle(text)
    except Unacceptable:
        errors.add(name, f"register.error.{name}")
        return ""
    if name == "phone" and not found.lstrip("+").isdigit():
        errors.add(name, "register.error.phone")
    return found
