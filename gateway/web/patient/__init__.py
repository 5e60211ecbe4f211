"""Pages of the person with back or neck pain."""

from gateway.web.doors import Route
from gateway.web.patient import exercise, import_data, looks, progress, questionnaires, sharing, today
from gateway.web.visit import PatientVisit

ROUTES = (
    Route("GET", "/start", PatientVisit, today.start),
    Route("GET", "/today", PatientVisit, today.today),
    Route("GET", "/plan", PatientVisit, today.this_plan),
    Route("GET", "/first-aid", PatientVisit, today.first_aid),
    Route("GET", "/exercises/{exercise}", PatientVisit, exercise.show),
    Route("POST", "/exercises/{exercise}", PatientVisit, exercise.report),
    Route("GET", "/progress", PatientVisit, progress.progress),
    Route("GET", "/questions", PatientVisit, questionnaires.questions),
    Route("GET", "/questions/{name}", PatientVisit, questionnaires.begin),
    Route("GET", "/questions/{name}/check", PatientVisit, questionnaires.check),
    Route("POST", "/questions/{name}/check", PatientVisit, questionnaires.complete),
    Route("GET", "/questions/{name}/done", PatientVisit, questionnaires.done),
    Route("GET", "/questions/{name}/{link_id}", PatientVisit, questionnaires.question),
    Route("POST", "/questions/{name}/{link_id}", PatientVisit, questionnaires.answer),
    Route("GET", "/questions/{name}/{link_id}/advice", PatientVisit, questionnaires.advice),
    Route("GET", "/sharing", PatientVisit, sharing.overview),
    Route("GET", "/sharing/looks", PatientVisit, looks.looks),
    Route("GET", "/sharing/{organisation}", PatientVisit, sharing.choose),
    Route("POST", "/sharing/{organisation}", PatientVisit, sharing.confirm),
    Route("POST", "/sharing/{organisation}/agree", PatientVisit, sharing.agree),
    Route("POST", "/sharing/{organisation}/withdraw", PatientVisit, sharing.withdraw),
    Route("GET", "/import", PatientVisit, import_data.page),
    Route("POST", "/import", PatientVisit, import_data.upload, streams=True),
    Route("POST", "/import/pieces", PatientVisit, import_data.begin, streams=True),
    Route("PUT", "/import/{job}/pieces", PatientVisit, import_data.piece, streams=True),
    Route("GET", "/import/{job}/status", PatientVisit, import_data.status),
    Route("GET", "/import/{job}", PatientVisit, import_data.show),
)
