"""Sharing: per recipient, by category, with the exact text before agreeing; withdrawn in one step (product S9)."""

from __future__ import annotations

from calendar import monthrange
from datetime import date
from typing import Any

from starlette.responses import Response

from consent.forms import Choice, sharing_consent, statement, withdrawn
from gateway.store.changes import Change
from gateway.web.forms import Errors
from gateway.web.patient.recipients import Recipient, recipient, recipients
from gateway.web.visit import PatientVisit
from gateway.web.writes import created, replaced, version_of

JSON = dict[str, Any]

CATEGORIES = ("prom", "plan", "sensor", "record")
MONTHS = ("3", "6", "12")
_FIELDS = ("share", "category", "write", "months")
_ALIAS = "urn:uuid:8d5c3c5e-3f4b-4b53-9d0c-6f8f3a1b7c11"


async def overview(visit: PatientVisit) -> Response:
    """What I share, with whom."""
    return visit.page("patient/sharing.html", {"recipients": await recipients(visit)})


async def choose(visit: PatientVisit) -> Response:
    """Yes or no, and of what."""
    found = await recipient(visit, visit.path("organisation"))
    picked = found.categories or frozenset(CATEGORIES if found.is_carer else ())
    return _choice_page(visit, found, picked, Errors())


async def confirm(visit: PatientVisit) -> Response:
    """A yes is shown as the text that will be filed; a no is filed at once."""
    found = await recipient(visit, visit.path("organisation"))
    if visit.form.text("share") == "no":
        await _decline(visit, found)
        return visit.redirect("/sharing")
    errors = _errors(visit)
    if errors:
        return _choice_page(visit, found, frozenset(visit.form.all("category")), errors)
    choice = _choice(visit, found)
    values = {
        "recipient": found,
        "statement": statement(choice, "1", visit.messages.language),
        "fields": [(name, value) for name in _FIELDS for value in visit.form.all(name)],
    }
    return visit.page("patient/sharing_confirm.html", values)


async def agree(visit: PatientVisit) -> Response:
    """File the consent; an earlier one for the same recipient ends in the same transaction."""
    found = await recipient(visit, visit.path("organisation"))
    if _errors(visit):
        return visit.redirect(f"/sharing/{found.id}")
    language = visit.messages.language
    made = sharing_consent(visit.reference, _choice(visit, found), language=language, now_us=visit.now_us)
    changes = [created(made, alias=_ALIAS), *_ended(visit, found)]
    if found.consents:
        changes.append(created(_provenance(visit, [_ALIAS, *_references(found)], "UPDATE")))
    await visit.site.store.commit(visit.context, changes)
    return visit.redirect("/sharing")


async def withdraw(visit: PatientVisit) -> Response:
    """Nothing is shared with this recipient from the commit on."""
    found = await recipient(visit, visit.path("organisation"))
    if found.consents:
        provenance = created(_provenance(visit, _references(found), "ABORT"))
        await visit.site.store.commit(visit.context, [*_ended(visit, found), provenance])
    return visit.redirect("/sharing")


async def _decline(visit: PatientVisit, found: Recipient) -> None:
    """What was offered and not agreed to is kept as a rejected Consent: it grants nothing, and nobody asks again."""
    choice = Choice(
        recipient=found.reference,
        recipient_name=found.name,
        categories=CATEGORIES,
        purposes=("TREAT",),
        start=visit.dates.today.isoformat(),
        end=_months_later(visit.dates.today, int(MONTHS[-1])).isoformat(),
    )
    offered = sharing_consent(visit.reference, choice, language=visit.messages.language, now_us=visit.now_us)
    changes = [created({**offered, "status": "rejected"}), *_ended(visit, found)]
    await visit.site.store.commit(visit.context, changes)


def _ended(visit: PatientVisit, found: Recipient) -> list[Change]:
    return [replaced(withdrawn(c, visit.now_us), version_of(c)) for c in found.consents]


def _references(found: Recipient) -> list[str]:
    return [f"Consent/{c['id']}" for c in found.consents]


def _provenance(visit: PatientVisit, targets: list[str], operation: str) -> JSON:
    system = "http://terminology.hl7.org/CodeSystem/v3-DataOperation"
    return {
        "resourceType": "Provenance",
        "target": [{"reference": target} for target in targets],
        "recorded": visit.dates.now.isoformat(timespec="milliseconds"),
        "activity": {"coding": [{"system": system, "code": operation}]},
        "agent": [{"who": {"reference": visit.reference}}],
    }


def _errors(visit: PatientVisit) -> Errors:
    errors = Errors()
    if visit.form.text("share") not in ("yes", "no"):
        errors.add("share", "sharing.missing.share")
    picked = visit.form.all("category")
    if not picked or not set(picked) <= set(CATEGORIES):
        errors.add("category", "sharing.missing.category")
    if visit.form.text("months") not in MONTHS:
        errors.add("months", "sharing.missing.months")
    return errors


def _choice(visit: PatientVisit, found: Recipient) -> Choice:
    picked = visit.form.all("category")
    today = visit.dates.today
    return Choice(
        recipient=found.reference,
        recipient_name=found.name,
        categories=[code for code in CATEGORIES if code in picked],
        purposes=("TREAT",),
        start=today.isoformat(),
        end=_months_later(today, int(visit.form.text("months"))).isoformat(),
        actions=("access", "collect") if visit.form.has("write") else ("access",),
    )


def _choice_page(visit: PatientVisit, found: Recipient, picked: frozenset[str], errors: Errors) -> Response:
    values = {
        "recipient": found,
        "categories": CATEGORIES,
        "picked": picked,
        "share": visit.form.text("share") or ("yes" if found.consents else ""),
        "write": visit.form.has("write") if errors else (found.may_write or (found.is_carer and not found.consents)),
        "months": visit.form.text("months") or MONTHS[-1],
        "all_months": MONTHS,
        "errors": errors.by_field,
    }
    return visit.page("patient/sharing_choose.html", values, status=422 if errors else 200)


def _months_later(day: date, months: int) -> date:
    """The same day of a later month, or its last day."""
    year, month = divmod(day.month - 1 + months, 12)
    last = monthrange(day.year + year, month + 1)[1]
    return date(day.year + year, month + 1, min(day.day, last))
