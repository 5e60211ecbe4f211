"""Valid official examples with one thing wrong: each must be refused, at the place that is wrong."""

from typing import Any

import orjson
import pytest
from mutations import GONE, mutate
from official import example, needs_r4

from gateway.r4.parse import Unreadable, parse
from gateway.r4.validate import Validator

pytestmark = needs_r4

PATIENT = "Patient-ch-example"
OBSERVATION = "Observation-f005"
APGAR = "Observation-5minute-apgar-score"
CARE_PLAN = "CarePlan-f001"
QUESTIONNAIRE = "Questionnaire-f201"
ANSWERS = "QuestionnaireResponse-bb"
CONDITION = "Condition-f205"
PRACTITIONER = "Practitioner-f003"
GOAL = "Goal-example"
TASK = "Task-example5"
CONSENT = "Consent-consent-example-notAuthor"
AUDIT = "AuditEvent-example-rest"
ENCOUNTER = "Encounter-f202"
APPOINTMENT = "Appointment-2docs"
REQUEST = "ServiceRequest-di"
BUNDLE = "Bundle-hla-1"
DOCUMENT = "DocumentReference-example"
DEVICE = "Device-f001"
CONTROLS = (
    PATIENT, OBSERVATION, APGAR, CARE_PLAN, QUESTIONNAIRE, ANSWERS, CONDITION, PRACTITIONER, GOAL, TASK,
    CONSENT, AUDIT, ENCOUNTER, APPOINTMENT, REQUEST, BUNDLE, DOCUMENT, DEVICE,
)  # fmt: skip

X = "http://example.org/x"
DIV = '<div xmlns="http://www.w3.org/1999/xhtml">'
QUANTITY = {"value": 1, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"}
REF = {"reference": "Patient/1"}
ENTERED_IN_ERROR = {
    "coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-ver-status", "code": "entered-in-error"}]
}


def patch_item(**changes: Any) -> dict[str, Any]:
    return {"linkId": "x", "text": "x", "type": "string"} | changes


# (what is wrong, example, place of the change, new value, where it is reported)
UNKNOWN_ELEMENT: list[tuple[str, str, str, Any, str]] = [
    ("at the top", PATIENT, "shoeSize", 42, "Patient.shoeSize"),
    ("nested", PATIENT, "name.0.nick", "x", "Patient.name[0].nick"),
    ("in contained", CARE_PLAN, "contained.1.foo", "x", "CarePlan.contained[1].foo"),
    ("misspelt", PATIENT, "birthdate", "1970-01-01", "Patient.birthdate"),
    ("in an extension", PATIENT, "extension", [{"url": X, "valueString": "a", "foo": 1}],
     "Patient.extension[0].foo"),
    ("in a Bundle entry", BUNDLE, "entry.0.resource.foo", 1, "Bundle.entry[0].resource.foo"),
    ("unknown underscored", PATIENT, "_shoeSize", {"id": "a"}, "Patient._shoeSize"),
    ("of a later version", TASK, "statusReasonReference", REF, "Task.statusReasonReference"),
]  # fmt: skip
MISSING: list[tuple[str, str, str, Any, str]] = [
    ("Observation.status", OBSERVATION, "status", GONE, "Observation.status"),
    ("Observation.code", OBSERVATION, "code", GONE, "Observation.code"),
    ("CarePlan.intent", CARE_PLAN, "intent", GONE, "CarePlan.intent"),
    ("CarePlan.subject", CARE_PLAN, "subject", GONE, "CarePlan.subject"),
    ("item.linkId", QUESTIONNAIRE, "item.1.item.0.linkId", GONE, "Questionnaire.item[1].item[0].linkId"),
    ("item.type", QUESTIONNAIRE, "item.0.type", GONE, "Questionnaire.item[0].type"),
    ("answered linkId", ANSWERS, "item.0.linkId", GONE, "QuestionnaireResponse.item[0].linkId"),
    ("Patient.link.other", PATIENT, "link", [{"type": "seealso"}], "Patient.link[0].other"),
    ("Extension.url", PATIENT, "extension", [{"valueString": "a"}], "Patient.extension[0].url"),
    ("Narrative.status", PATIENT, "text.status", GONE, "Patient.text.status"),
    ("AuditEvent.agent", AUDIT, "agent", GONE, "AuditEvent.agent"),
    ("Condition.subject", CONDITION, "subject", GONE, "Condition.subject"),
    ("Encounter.class", ENCOUNTER, "class", GONE, "Encounter.class"),
    ("Goal.description", GOAL, "description", GONE, "Goal.description"),
    ("Bundle.type", BUNDLE, "type", GONE, "Bundle.type"),
    ("participant.status", APPOINTMENT, "participant.0.status", GONE, "Appointment.participant[0].status"),
]
CARDINALITY: list[tuple[str, str, str, Any, str]] = [
    ("name is no array", PATIENT, "name", {"family": "A"}, "Patient.name"),
    ("component is no array", APGAR, "component", {"code": {"text": "x"}}, "Observation.component"),
    ("given is no array", PATIENT, "name.0.given", "A", "Patient.name[0].given"),
    ("gender is an array", PATIENT, "gender", ["male"], "Patient.gender"),
    ("subject is an array", OBSERVATION, "subject", [REF], "Observation.subject"),
    ("two value[x]", OBSERVATION, "valueString", "x", "Observation.value"),
    ("dom-2", CARE_PLAN, "contained.1.contained",
     [{"resourceType": "Patient", "id": "p"}], "CarePlan"),
]  # fmt: skip
JSON_TYPE: list[tuple[str, str, str, Any, str]] = [
    ("boolean as string", PATIENT, "active", "true", "Patient.active"),
    ("number for string", PATIENT, "name.0.text", 5, "Patient.name[0].text"),
    ("string for decimal", OBSERVATION, "valueQuantity.value", "6.3", "Observation.value.value"),
    ("boolean for integer", APGAR, "component.0.valueInteger", True, "Observation.component[0].value"),
    ("float for integer", APGAR, "component.0.valueInteger", 2.0, "Observation.component[0].value"),
    ("string for object", PATIENT, "managingOrganization", "Organization/1", "Patient.managingOrganization"),
    ("object for string", PATIENT, "birthDate", {"value": "1970-01-01"}, "Patient.birthDate"),
    ("number for date", PATIENT, "birthDate", 1970, "Patient.birthDate"),
    ("integer for boolean", PATIENT, "active", 1, "Patient.active"),
]
FORMAT: list[tuple[str, str, str, Any, str]] = [
    ("month 13", PATIENT, "birthDate", "1970-13-01", "Patient.birthDate"),
    ("30 February", PATIENT, "birthDate", "1970-02-30", "Patient.birthDate"),
    ("29 February of a common year", PATIENT, "birthDate", "2100-02-29", "Patient.birthDate"),
    ("date with time", PATIENT, "birthDate", "1970-01-01T10:00:00Z", "Patient.birthDate"),
    ("d/m/y", PATIENT, "birthDate", "01/02/1970", "Patient.birthDate"),
    ("dateTime without zone", REQUEST, "authoredOn", "2020-01-01T10:00:00", "ServiceRequest.authoredOn"),
    ("dateTime with a space", REQUEST, "authoredOn", "2020-01-01 10:00:00Z", "ServiceRequest.authoredOn"),
    ("dateTime without seconds", REQUEST, "authoredOn", "2020-01-01T10:00Z", "ServiceRequest.authoredOn"),
    ("instant without zone", AUDIT, "recorded", "2013-06-20T23:42:24", "AuditEvent.recorded"),
    ("instant of a day", AUDIT, "recorded", "2013-06-20", "AuditEvent.recorded"),
    ("id with underscore", PATIENT, "id", "a_b", "Patient.id"),
    ("id of 65", PATIENT, "id", "a" * 65, "Patient.id"),
    ("id empty", PATIENT, "id", "", "Patient.id"),
    ("code with leading space", OBSERVATION, "code.coding.0.code", " a", "Observation.code.coding[0].code"),
    ("code with double space", OBSERVATION, "code.coding.0.code", "a  b", "Observation.code.coding[0].code"),
    ("uri with space", PATIENT, "identifier.0.system", "http://a b", "Patient.identifier[0].system"),
    ("positiveInt 0", PATIENT, "telecom.1.rank", 0, "Patient.telecom[1].rank"),
    ("unsignedInt -1", APPOINTMENT, "priority", -1, "Appointment.priority"),
    ("base64", PATIENT, "photo", [{"contentType": "image/png", "data": "a*b="}], "Patient.photo[0].data"),
    ("base64 of odd length", PATIENT, "photo", [{"contentType": "image/png", "data": "abc"}],
     "Patient.photo[0].data"),
    ("hour 25", OBSERVATION, "component", [{"code": {"text": "x"}, "valueTime": "25:00:00"}],
     "Observation.component[0].value"),
    ("empty string", PATIENT, "name.0.text", "", "Patient.name[0].text"),
    ("blank string", PATIENT, "name.0.text", " \n", "Patient.name[0].text"),
    ("control character", PATIENT, "name.0.text", "a\u0001b", "Patient.name[0].text"),
    ("too long a string", PATIENT, "name.0.text", "a" * 1_048_577, "Patient.name[0].text"),
    ("bad OID", PATIENT, "identifier.0.system", "urn:oid:3.01", "Patient.identifier[0].system"),
    ("bad valueOid", PATIENT, "extension", [{"url": X, "valueOid": "1.2.3"}], "Patient.extension[0].value"),
    ("bad UUID", PATIENT, "identifier.0.system", "urn:uuid:1234", "Patient.identifier[0].system"),
    ("integer of 33 bits", APGAR, "component.0.valueInteger", 2**31, "Observation.component[0].value"),
]  # fmt: skip
BINDING: list[tuple[str, str, str, Any, str]] = [
    ("gender", PATIENT, "gender", "x", "Patient.gender"),
    ("gender in capitals", PATIENT, "gender", "Male", "Patient.gender"),
    ("Observation.status", OBSERVATION, "status", "done", "Observation.status"),
    ("name.use", PATIENT, "name.0.use", "home", "Patient.name[0].use"),
    ("item.type", QUESTIONNAIRE, "item.0.type", "number", "Questionnaire.item[0].type"),
    ("CarePlan.intent", CARE_PLAN, "intent", "wish", "CarePlan.intent"),
    ("clinicalStatus", CONDITION, "clinicalStatus.coding.0.code", "ill", "Condition.clinicalStatus"),
    ("clinicalStatus as text", CONDITION, "clinicalStatus", {"text": "active"}, "Condition.clinicalStatus"),
    ("telecom.system", PATIENT, "telecom.1.system", "mobile", "Patient.telecom[1].system"),
    ("contentType", PATIENT, "photo", [{"contentType": "png"}], "Patient.photo[0].contentType"),
    ("language", PATIENT, "language", "english_uk", "Patient.language"),
    ("comparator", OBSERVATION, "valueQuantity.comparator", "=", "Observation.value.comparator"),
    ("Narrative.status", PATIENT, "text.status", "ok", "Patient.text.status"),
    ("Bundle.type", BUNDLE, "type", "list", "Bundle.type"),
    ("Appointment.status", APPOINTMENT, "status", "maybe", "Appointment.status"),
    ("AuditEvent.action", AUDIT, "action", "X", "AuditEvent.action"),
    ("Task.intent", TASK, "intent", "wish", "Task.intent"),
    ("currency", PATIENT, "extension", [{"url": X, "valueMoney": {"value": 1, "currency": "EURO"}}],
     "Patient.extension[0].value.currency"),
    ("Encounter.status", ENCOUNTER, "status", "done", "Encounter.status"),
    ("unit of a Duration", ENCOUNTER, "length.code", "kg", "Encounter.length.code"),
]  # fmt: skip
TARGET: list[tuple[str, str, str, Any, str]] = [
    ("organisation is a Patient", PATIENT, "managingOrganization", REF,
     "Patient.managingOrganization.reference"),
    ("encounter is a Patient", OBSERVATION, "encounter", REF, "Observation.encounter.reference"),
    ("goal is a Patient", CARE_PLAN, "goal.0", REF, "CarePlan.goal[0].reference"),
    ("source is a Medication", ANSWERS, "source", {"reference": "Medication/1"},
     "QuestionnaireResponse.source.reference"),
    ("the same as a URL", ANSWERS, "source", {"reference": "https://a.example/fhir/Medication/1"},
     "QuestionnaireResponse.source.reference"),
    ("Reference.type differs", OBSERVATION, "subject", {"reference": "Patient/1", "type": "Group"},
     "Observation.subject.type"),
    ("Reference.type not a target", OBSERVATION, "subject", {"type": "Medication", "display": "x"},
     "Observation.subject.type"),
    ("unknown type", OBSERVATION, "subject", {"reference": "Person1/1"}, "Observation.subject.reference"),
]  # fmt: skip
EMPTY: list[tuple[str, str, str, Any, str]] = [
    ("empty object", PATIENT, "managingOrganization", {}, "Patient.managingOrganization"),
    ("empty array", PATIENT, "name", [], "Patient.name"),
    ("null", PATIENT, "gender", None, "Patient.gender"),
    ("null in an array", PATIENT, "name.0.given", ["A", None], "Patient.name[0].given[1]"),
    ("other length of _given", PATIENT, "name.0",
     {"given": ["A", "B"], "_given": [{"id": "a"}]}, "Patient.name[0].given"),
    ("empty contained", CARE_PLAN, "contained", [], "CarePlan.contained"),
    ("empty name", PATIENT, "name.0", {}, "Patient.name[0]"),
    ("empty component", APGAR, "component.0", {}, "Observation.component[0]"),
]  # fmt: skip
STRUCTURE: list[tuple[str, str, str, Any, str]] = [
    ("unknown resourceType", PATIENT, "resourceType", "Human", "resourceType"),
    ("no resourceType", PATIENT, "resourceType", GONE, "resourceType"),
    ("contained without", CARE_PLAN, "contained.0.resourceType", GONE,
     "CarePlan.contained[0].resourceType"),
    ("entry of unknown type", BUNDLE, "entry.0.resource.resourceType", "Human",
     "Bundle.entry[0].resource.resourceType"),
    ("invalid resource in entry", BUNDLE, "entry.0.resource.id", "a_b", "Bundle.entry[0].resource.id"),
    ("Subscription of R5", BUNDLE, "entry.0.resource",
     {"resourceType": "Subscription", "status": "active", "topic": X, "channelType": {"code": "rest-hook"}},
     "Bundle.entry[0].resource.topic"),
    ("SubscriptionTopic", PATIENT, "resourceType", "SubscriptionTopic", "resourceType"),
    ("Ingredient of R4B", PATIENT, "resourceType", "Ingredient", "resourceType"),
]  # fmt: skip
INVARIANT: list[tuple[str, str, str, Any, str]] = [
    ("obs-3", OBSERVATION, "referenceRange", [{"age": {"low": QUANTITY}}], "Observation.referenceRange[0]"),
    ("obs-6", OBSERVATION, "dataAbsentReason", {"text": "unknown"}, "Observation"),
    ("obs-7", APGAR, "component.0.code", lambda _: example(APGAR)["code"], "Observation"),
    ("pat-1", PATIENT, "contact", [{"gender": "male"}], "Patient.contact[0]"),
    ("per-1", PATIENT, "identifier.0.period.end", "2000-01-01", "Patient.identifier[0].period"),
    ("qty-3", OBSERVATION, "valueQuantity.system", GONE, "Observation.value"),
    ("rng-2", OBSERVATION, "referenceRange.0.age",
     {"low": QUANTITY | {"value": 2}, "high": QUANTITY}, "Observation.referenceRange[0].age"),
    ("cpt-2", PATIENT, "telecom.1.system", GONE, "Patient.telecom[1]"),
    ("att-1", PATIENT, "photo", [{"data": "AAAA"}], "Patient.photo[0]"),
    ("ref-1", PATIENT, "managingOrganization", {"reference": "#nobody"}, "Patient.managingOrganization"),
    ("ext-1", PATIENT, "extension", [{"url": X, "valueString": "a", "extension": [
        {"url": X, "valueString": "b"}]}], "Patient.extension[0]"),
    ("ext-1", PATIENT, "extension", [{"url": X}], "Patient.extension[0]"),
    ("ele-1", PATIENT, "maritalStatus", {"id": "a"}, "Patient.maritalStatus"),
    ("dom-3", PATIENT, "contained", [{"resourceType": "Organization", "id": "o", "name": "O"}],
     "Patient.contained[0]"),
    ("dom-4", CARE_PLAN, "contained.1.meta", {"versionId": "1"}, "CarePlan"),
    ("dom-5", CARE_PLAN, "contained.1.meta", {"security": [{"code": "R"}]}, "CarePlan"),
    ("txt-1", PATIENT, "text.div", DIV + "<script>x</script>x</div>", "Patient.text.div"),
    ("txt-1", PATIENT, "text.div", DIV + "<p onclick='x'>x</p></div>", "Patient.text.div"),
    ("txt-2", PATIENT, "text.div", DIV + " <br/> </div>", "Patient.text.div"),
    ("txt-1", PATIENT, "text.div", DIV + "<p>x</div>", "Patient.text.div"),
    ("txt-1", PATIENT, "text.div", "<p xmlns='http://www.w3.org/1999/xhtml'>x</p>", "Patient.text.div"),
    ("que-1", QUESTIONNAIRE, "item.0.type", "group", "Questionnaire.item[0]"),
    ("que-2", QUESTIONNAIRE, "item.0.linkId", "2.1", "Questionnaire"),
    ("que-3", QUESTIONNAIRE, "item.0", patch_item(type="display", code=[{"code": "a"}]),
     "Questionnaire.item[0]"),
    ("que-4", QUESTIONNAIRE, "item.0",
     patch_item(type="choice", answerValueSet=X, answerOption=[{"valueString": "a"}]),
     "Questionnaire.item[0]"),
    ("que-5", QUESTIONNAIRE, "item.0", patch_item(type="boolean", answerOption=[{"valueString": "a"}]),
     "Questionnaire.item[0]"),
    ("que-6", QUESTIONNAIRE, "item.0", patch_item(type="display", required=True), "Questionnaire.item[0]"),
    ("que-7", QUESTIONNAIRE, "item.0.enableWhen",
     [{"question": "2", "operator": "exists", "answerString": "a"}],
     "Questionnaire.item[0].enableWhen[0]"),
    ("que-8", QUESTIONNAIRE, "item.1.initial", [{"valueString": "a"}], "Questionnaire.item[1]"),
    ("que-9", QUESTIONNAIRE, "item.0", patch_item(type="display", readOnly=True), "Questionnaire.item[0]"),
    ("que-10", QUESTIONNAIRE, "item.0", patch_item(type="date", maxLength=3), "Questionnaire.item[0]"),
    ("que-11", QUESTIONNAIRE, "item.0", patch_item(
        type="choice", answerOption=[{"valueString": "a"}], initial=[{"valueString": "a"}]),
     "Questionnaire.item[0]"),
    ("que-12", QUESTIONNAIRE, "item.0.enableWhen",
     [{"question": "2", "operator": "exists", "answerBoolean": True}] * 2, "Questionnaire.item[0]"),
    ("que-13", QUESTIONNAIRE, "item.0", patch_item(initial=[{"valueString": "a"}, {"valueString": "b"}]),
     "Questionnaire.item[0]"),
    ("qrs-1", ANSWERS, "item.0.answer", [{"valueString": "a"}], "QuestionnaireResponse.item[0]"),
    ("con-4", CONDITION, "abatementString", "yes", "Condition"),
    ("con-5", CONDITION, "verificationStatus", ENTERED_IN_ERROR, "Condition"),
    ("bdl-1", BUNDLE, "total", 1, "Bundle"),
    ("bdl-3", BUNDLE, "entry.0.request", GONE, "Bundle"),
    ("bdl-7", BUNDLE, "entry", lambda entries: [entries[0], entries[0]], "Bundle"),
    ("bdl-8", BUNDLE, "entry.0.fullUrl", "http://a.example/Patient/1/_history/2", "Bundle.entry[0]"),
    ("app-1", APPOINTMENT, "participant.0.actor", GONE, "Appointment.participant[0]"),
    ("app-2", APPOINTMENT, "end", GONE, "Appointment"),
    ("app-3", APPOINTMENT, "start", GONE, "Appointment"),
    ("tim-1", PATIENT, "extension", [{"url": X, "valueTiming": {"repeat": {"duration": 1}}}],
     "Patient.extension[0].value.repeat"),
    ("tim-2", PATIENT, "extension", [{"url": X, "valueTiming": {"repeat": {"period": 1}}}],
     "Patient.extension[0].value.repeat"),
    ("cpl-3", CARE_PLAN, "activity.0.reference", {"reference": "Task/1"}, "CarePlan.activity[0]"),
    ("gol-1", GOAL, "target.0.measure", GONE, "Goal.target[0]"),
    ("comparator of a SimpleQuantity", OBSERVATION, "referenceRange.0.low",
     QUANTITY | {"comparator": "<"}, "Observation.referenceRange[0].low.comparator"),
    ("ppc-1", CONSENT, "policyRule", GONE, "Consent"),
    ("prr-1", CARE_PLAN, "contained.1", {
        "resourceType": "ServiceRequest", "id": "goal", "status": "active", "intent": "order",
        "subject": REF, "orderDetail": [{"text": "fasting"}]}, "CarePlan.contained[1]"),
    ("inv-1", TASK, "lastModified", "1999-01-01T00:00:00Z", "Task"),
    ("sev-1", AUDIT, "entity.0", {"name": "a", "query": "AAAA"}, "AuditEvent.entity[0]"),
    ("bb-fullurl", BUNDLE, "entry.0.fullUrl", "Patient/1", "Bundle.entry[0]"),
    ("bb-size", PATIENT, "photo", [{"contentType": "image/png", "data": "AAAA", "size": 4}],
     "Patient.photo[0]"),
]  # fmt: skip

TABLES: dict[str, list[tuple[str, str, str, Any, str]]] = {
    "unknown element": UNKNOWN_ELEMENT,
    "missing required": MISSING,
    "cardinality": CARDINALITY,
    "JSON type": JSON_TYPE,
    "primitive format": FORMAT,
    "required binding": BINDING,
    "reference target": TARGET,
    "empty or null": EMPTY,
    "structure": STRUCTURE,
    "invariant": INVARIANT,
}
MUTANTS = [pytest.param(*row, id=f"{table}: {row[0]} ({row[1]})") for table, rows in TABLES.items() for row in rows]
VALIDATOR = Validator()


@pytest.mark.parametrize("name", CONTROLS)
def test_the_example_itself_is_valid(name: str) -> None:
    assert VALIDATOR.validate(example(name)) == []


@pytest.mark.parametrize(("wrong", "name", "path", "value", "place"), MUTANTS)
def test_a_mutant_is_refused_where_it_is_wrong(wrong: str, name: str, path: str, value: Any, place: str) -> None:
    mutant = mutate(example(name), path, value)
    issues = VALIDATOR.validate(mutant)
    here = [issue for issue in issues if issue.expression == place]
    assert any(issue.code != "invariant" or issue.diagnostics.startswith(wrong + ":") for issue in here)


@pytest.mark.parametrize(("wrong", "name", "path", "value", "place"), MUTANTS)
def test_a_mutant_is_refused_inside_a_bundle(wrong: str, name: str, path: str, value: Any, place: str) -> None:
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": example(name)}]}
    bundle["entry"][0]["resource"] = mutate(example(name), path, value)
    issues = VALIDATOR.validate(bundle)
    assert issues
    assert all(issue.expression.startswith("Bundle.entry[0].resource") for issue in issues)


def test_a_key_that_occurs_twice_is_refused_before_validation() -> None:
    text = orjson.dumps(example(PATIENT)).replace(b'"gender":', b'"gender":"female","gender":')
    with pytest.raises(Unreadable) as refusal:
        parse(text)
    assert [issue.expression for issue in refusal.value.issues] == ["Patient.gender"]
