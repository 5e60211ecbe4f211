"""Signing in and out, activation, invitations."""

from gateway.web.account import activate, invitation, organisation, sign_in
from gateway.web.doors import Route
from gateway.web.visit import SignedInVisit, StaffVisit, Visit

ROUTES = (
    Route("GET", "/sign-in", Visit, sign_in.choose),
    Route("GET", "/sign-in/patient", Visit, sign_in.patient_form),
    Route("POST", "/sign-in/patient", Visit, sign_in.patient),
    Route("GET", "/sign-in/staff", Visit, sign_in.staff_form),
    Route("POST", "/sign-in/staff", Visit, sign_in.staff),
    Route("POST", "/sign-out", SignedInVisit, sign_in.sign_out),
    Route("GET", "/activate", Visit, activate.form),
    Route("POST", "/activate", Visit, activate.activate),
    Route("GET", "/invitation", Visit, invitation.form),
    Route("POST", "/invitation", Visit, invitation.choose_passphrase),
    Route("GET", "/organisation", StaffVisit, organisation.form),
    Route("POST", "/organisation", StaffVisit, organisation.choose),
)
