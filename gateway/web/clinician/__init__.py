"""Pages of clinicians and their clinic."""

from gateway.web.clinician import panel, patient, prescribe, register, review
from gateway.web.doors import Route
from gateway.web.visit import ClinicVisit

ROUTES = (
    Route("GET", "/panel", ClinicVisit, panel.panel),
    Route("GET", "/patients/new", ClinicVisit, register.form),
    Route("POST", "/patients/new", ClinicVisit, register.register_patient),
    Route("GET", "/patients/{patient}", ClinicVisit, patient.show),
    Route("GET", "/patients/{patient}/code", ClinicVisit, prescribe.form),
    Route("POST", "/patients/{patient}/code", ClinicVisit, prescribe.prescribe),
    Route("POST", "/patients/{patient}/cleared", ClinicVisit, review.clear),
    Route("GET", "/patients/{patient}/plans/{plan}", ClinicVisit, review.show),
    Route("POST", "/patients/{patient}/plans/{plan}", ClinicVisit, review.decide),
)
