"""Prescribing the programme: an activation code to print, show or scan, seen once and never again (product S1)."""

from __future__ import annotations

import asyncio

import segno
from markupsafe import Markup
from sqlmodel import select
from starlette.responses import Response

from gateway.people import patients
from gateway.people.patients import Prescribed
from gateway.people.tables import ActivationCode, PatientAccount
from gateway.r4.identity import key_of
from gateway.web.dates import moment_of
from gateway.web.resources import person
from gateway.web.visit import ClinicVisit


async def form(visit: ClinicVisit) -> Response:
    """What prescribing means, and that suitability was assessed."""
    patient = await visit.reads.read("Patient", visit.path("patient"))
    return visit.page("clinician/prescribe.html", {"person": person(patient)})


async def prescribe(visit: ClinicVisit) -> Response:
    """A fresh code; earlier unused ones end."""
    patient = await visit.reads.read("Patient", visit.path("patient"))
    if not visit.form.has("suitable"):
        values = {"person": person(patient), "errors": {"suitable": "prescribe.missing.suitable"}}
        return visit.page("clinician/prescribe.html", values, status=422)
    prescribed = await asyncio.to_thread(_prescribed, visit, patient["id"])
    address = f"{visit.site.settings.base_url}/activate"
    values = {
        "person": person(patient),
        "code": prescribed.code,
        "address": address,
        "qr": _qr(f"{address}#{prescribed.code}"),
        "expires": visit.dates.long(visit.dates.day_of(moment_of(prescribed.expires))),
    }
    return visit.page("clinician/prescribed.html", values)


def account_state(visit: ClinicVisit, patient_id: str) -> str:
    """activated, prescribed or none, as far as this clinic prescribed it."""
    patient = key_of("Patient", patient_id)
    own = select(ActivationCode).where(
        ActivationCode.patient == patient, ActivationCode.organisation == visit.member.organisation
    )
    with visit.site.database.reading() as session:
        codes = list(session.exec(own))
        if not codes:
            return "none"
        if session.get(PatientAccount, patient) is not None:
            return "activated"
    return "prescribed" if any(not c.used and visit.now_us < c.expires for c in codes) else "none"


def _prescribed(visit: ClinicVisit, patient_id: str) -> Prescribed:
    with visit.site.database.adding() as session:
        return patients.prescribe(
            session,
            patient_id=patient_id,
            organisation=visit.member.organisation,
            prescriber=visit.signed_in.session.person,
            now_us=visit.now_us,
        )


def _qr(text: str) -> Markup:
    """The code stands behind `#`: browsers never send that part, so it is in no log. Error correction for paper."""
    drawn = segno.make(text, error="m", micro=False)
    svg = drawn.svg_inline(scale=5, dark="#000", light="#fff", border=3, svgclass="qr", title=None, omitsize=True)
    return Markup(svg)  # noqa: S704 - drawn here from our own address and code
