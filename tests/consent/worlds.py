"""Random small worlds: patients, consents, resources, requests, crowded around the boundaries of the rules.

`World.random(seed)` is deterministic; the consents of a world are those that the compiler accepts. The store's own
differential test loads `consents` and `resources` and compares its answers with `decide`.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from consent import compile as compiler
from consent import standing, times
from consent.decide import Relationship, decide
from consent.errors import Unsupported
from consent.requests import Decision, Request, ResourceFacts, resource_facts
from consent.rows import CompiledConsent, Deny, Grant
from consent.vocabulary import (
    ACT_CODE,
    ACT_REASON,
    CONFIDENTIALITY_SYSTEM,
    HOME,
    PURPOSES,
    RESOURCE_TYPES,
    SHAREABLE,
    SHARING_CATEGORY,
    SHARING_POLICY,
    Action,
)
from gateway.r4.identity import key_of

JSON = dict[str, Any]
T = TypeVar("T")

PATIENTS = ("Patient/00000000000a1", "Patient/00000000000a2", "Patient/feed-3")
ACTORS = (
    "Practitioner/pr1",
    "PractitionerRole/role1",
    "Organization/org1",
    "Organization/org2",
    "CareTeam/team1",
    "RelatedPerson/kin1",
    "Device/app1",
)
ENGINE = "Device/engine"
ORGANIZATIONS = ("Organization/org1", "Organization/org2")
TYPES = (
    *("Appointment", "Bundle", "CarePlan", "CareTeam", "Condition", "Consent", "Device", "DiagnosticReport"),
    *("DocumentReference", "Goal", "MedicationStatement", "Observation", "Organization", "Patient"),
    *("Practitioner", "PractitionerRole", "Provenance", "Questionnaire", "QuestionnaireResponse"),
    *("RelatedPerson", "Task"),
)
TOKENS = (
    ("http://loinc.org", "72514-3"),
    ("http://loinc.org", "41950-7"),
    ("http://loinc.org", "44261-6"),
    (f"{HOME}/fhir/CodeSystem/score", "rmdq-24"),
)
DAYS = ("2026-03-01", "2026-03-02", "2026-03-03", "2026-03-04")
LABEL_CODES = ("PSY", "MH", "BH", "SUD", "SEX", "U", "L", "N", "R", "V")


def type_id(name: str) -> int:
    try:
        return TYPES.index(name) + 1
    except ValueError:
        raise KeyError(name) from None


def hash_token(system: str, code: str) -> int:
    return int.from_bytes(hashlib.blake2b(f"{system}|{code}".encode(), digest_size=7).digest(), "big") | 1


def key(reference: str) -> int:
    return key_of(*reference.split("/"))


def microseconds(date: str) -> int:
    return times.span(date)[0]


@dataclass
class World:
    """Everything a decision depends on, and the rows it compiles to."""

    rng: random.Random
    consents: list[JSON] = field(default_factory=list)
    resources: list[tuple[JSON, ResourceFacts]] = field(default_factory=list)
    relationships: list[Relationship] = field(default_factory=list)
    restricted: set[int] = field(default_factory=set)
    engines: set[tuple[int, int]] = field(default_factory=set)

    @classmethod
    def random(cls, seed: int) -> World:
        rng = random.Random(seed)
        world = cls(rng)
        drafts = [consent(rng, f"c{index}") for index in range(rng.randint(1, 6))]
        world.consents = [each for each in drafts if is_accepted(each)]
        for index in range(12):
            made = resource(rng, f"r{index}")
            author = key(rng.choice(ORGANIZATIONS)) if rng.random() < 0.6 else 0
            facts = resource_facts(made, key_of=key_of, author=author, first_updated_us=microseconds(rng.choice(DAYS)))
            world.resources.append((made, facts))
        if rng.random() < 0.5:
            start, end = sorted(rng.sample(DAYS, 2))
            world.relationships.append(
                Relationship(
                    key(rng.choice(ORGANIZATIONS)),
                    key(rng.choice(PATIENTS)),
                    microseconds(start),
                    microseconds(end),
                )
            )
        if rng.random() < 0.1:
            world.restricted.add(key(rng.choice(PATIENTS)))
        if rng.random() < 0.2:
            world.engines.add((key(rng.choice(PATIENTS)), key(ENGINE)))
        return world

    def request(self) -> Request:
        """A request by the actors whom some consent names, or by anybody; half of them for treatment."""
        asked = request(self.rng)
        if asked.subject is not None or not self.consents or self.rng.random() < 0.3:
            return asked
        root = self.rng.choice(self.consents)["provision"]
        parts = [root, *root.get("provision", ())]
        named = {key(each["reference"]["reference"]) for part in parts for each in part.get("actor", ())}
        actors = frozenset(each for each in sorted(named) if self.rng.random() < 0.7)
        return replace(asked, actors=actors | asked.actors if self.rng.random() < 0.3 else actors)

    def decide(self, asked: Request, about: ResourceFacts) -> Decision:
        """The oracle's answer."""
        return decide(asked, about, self.consents, self.relationships, self.restricted, self.engines, key_of=key_of)

    def rows(self) -> tuple[list[Grant], list[Deny]]:
        """What the store would hold of all patients."""
        grants: list[Grant] = []
        denies: list[Deny] = []
        for each in self.consents:
            compiled = compile_consent(each)
            grants += compiled.grants
            denies += compiled.denies
        for reference in PATIENTS:
            grants += standing.self_grants(key(reference))
        for opened in self.relationships:
            grants += standing.relationship_grants(*_fields(opened))
        for patient, device in self.engines:
            grants += standing.engine_grants(patient, device)
        for patient in self.restricted:
            denies += standing.restriction_denies(patient)
        return grants, denies


def _fields(relationship: Relationship) -> tuple[int, int, int, int]:
    each = relationship
    return each.organization, each.patient, each.valid_from, each.valid_to


def compile_consent(document: JSON) -> CompiledConsent:
    return compiler.compile(document, key_of=key_of, type_id=type_id, hash_token=hash_token)


def is_accepted(document: JSON) -> bool:
    try:
        compile_consent(document)
    except Unsupported:
        return False
    return True


# Consents


def consent(rng: random.Random, logical_id: str) -> JSON:
    """A Consent of the sharing profile; the compiler may still refuse an exception that can never apply."""
    rule = "permit" if rng.random() < 0.8 else "deny"
    root = provision(rng, rule, eagerness=0.5 if rule == "permit" else 1.0)
    if rule == "permit":
        root.setdefault("actor", some(rng, ACTORS, actor))
    if root["type"] == "permit" and rng.random() < 0.6:
        root["provision"] = [provision(rng, "deny") for _ in range(rng.randint(1, 3))]
    return {
        "resourceType": "Consent",
        "id": logical_id,
        "status": rng.choices(("active", "inactive", "draft"), (10, 1, 1))[0],
        "scope": concept("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
        "category": [concept("http://loinc.org", "59284-0")],
        "patient": {"reference": rng.choice(PATIENTS)},
        "policy": [{"uri": SHARING_POLICY}],
        "provision": root,
    }


def provision(rng: random.Random, rule: str, eagerness: float = 1.0) -> JSON:
    """A provision; eagerness below 1 leaves more elements out, so that it holds more often."""
    node: JSON = {"type": rule}
    optional: list[tuple[str, float, Callable[[random.Random], object]]] = [
        ("actor", 0.7, lambda r: some(r, ACTORS, actor)),
        ("purpose", 0.4, lambda r: some(r, tuple(PURPOSES)[:5], lambda code: coding(ACT_REASON, code))),
        ("period", 0.3, period),
        ("dataPeriod", 0.3, period),
        ("action", 0.3, lambda r: some(r, ("access", "collect", "disclose"), action)),
        ("class", 0.5, lambda r: some(r, (*SHAREABLE, *TYPES[:15]), data_class)),
        ("code", 0.15, lambda r: some(r, TOKENS, lambda token: concept(*token))),
        ("securityLabel", 0.3, lambda r: some(r, LABEL_CODES, label)),
        ("data", 0.08, lambda r: some(r, range(12), lambda index: instance(r, index))),
    ]
    for name, likelihood, make in optional:
        if rng.random() < likelihood * eagerness:
            node[name] = make(rng)
    return node


def some(rng: random.Random, pool: Any, make: Callable[[Any], T]) -> list[T]:
    return [make(each) for each in rng.sample(tuple(pool), rng.choice((1, 1, 2, 3)))]


def coding(system: str, code: str) -> JSON:
    return {"system": system, "code": code}


def concept(system: str, code: str) -> JSON:
    return {"coding": [coding(system, code)]}


def actor(reference: str) -> JSON:
    role = concept("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "IRCP")
    return {"role": role, "reference": {"reference": reference}}


def action(code: str) -> JSON:
    return concept("http://terminology.hl7.org/CodeSystem/consentaction", code)


def data_class(code: str) -> JSON:
    return coding(SHARING_CATEGORY if code in SHAREABLE else RESOURCE_TYPES, code)


def label(code: str) -> JSON:
    return coding(CONFIDENTIALITY_SYSTEM if len(code) == 1 else ACT_CODE, code)


def instance(rng: random.Random, index: int) -> JSON:
    return {"meaning": "instance", "reference": {"reference": f"{rng.choice(TYPES)}/r{index}"}}


def period(rng: random.Random) -> JSON:
    start, end = sorted(rng.choices(DAYS, k=2))
    return rng.choice(({"start": start, "end": end}, {"start": start}, {"end": end}))


# Resources


def resource(rng: random.Random, logical_id: str) -> JSON:
    """A resource of one of many kinds, with labels and dates near those of the consents."""
    subject = {"reference": rng.choice(PATIENTS)}
    day = rng.choice((*DAYS, f"{rng.choice(DAYS)}T23:59:59.999Z", "2026-03"))
    kinds: list[JSON] = [
        {"resourceType": "Patient"},
        observation(rng, subject, day),
        observation(rng, subject, day) | {"component": [{"code": concept(*rng.choice(TOKENS))}]},
        {"resourceType": "QuestionnaireResponse", "subject": subject, "authored": day}
        | {"questionnaire": f"{HOME}/fhir/Questionnaire/{rng.choice(('phq-8', 'rmdq-24', 'prem-1', 'odi'))}"},
        {"resourceType": "CarePlan", "subject": subject, "period": period(rng)},
        {"resourceType": "Condition", "subject": subject, "recordedDate": day}
        | {"code": concept("http://hl7.org/fhir/sid/icd-10", rng.choice(("M54.5", "F32.1", "F10.2")))},
        {"resourceType": "MedicationStatement", "subject": subject, "effectivePeriod": period(rng)}
        | {"medicationCodeableConcept": concept(*rng.choice(TOKENS))},
        {"resourceType": "Provenance", "target": [{"reference": f"{rng.choice(TYPES)}/x"}, subject]},
        {"resourceType": "Consent", "patient": subject},
        appointment(rng),
        {"resourceType": "Bundle", "entry": [{"resource": observation(rng, subject, day)}]},
        {"resourceType": "DiagnosticReport", "subject": subject, "code": concept(*rng.choice(TOKENS))}
        | {"contained": [observation(rng, subject, day)]},
        {"resourceType": rng.choice(("Organization", "Questionnaire", "Task", "Device"))},
    ]
    made = rng.choice(kinds) | {"id": logical_id}
    if rng.random() < 0.4:
        made["meta"] = {"security": some(rng, (*LABEL_CODES, "UNHEARD"), label)}
    return made


def observation(rng: random.Random, subject: JSON, day: str) -> JSON:
    made: JSON = {"resourceType": "Observation", "subject": subject, "effectiveDateTime": day}
    made["code"] = concept(*rng.choice(TOKENS))
    if rng.random() < 0.7:
        system = "http://terminology.hl7.org/CodeSystem/observation-category"
        made["category"] = [concept(system, rng.choice(("survey", "activity", "exam")))]
    return made


def appointment(rng: random.Random) -> JSON:
    two = rng.sample(PATIENTS, 2)
    return {"resourceType": "Appointment", "participant": [{"actor": {"reference": each}} for each in two]}


# Requests


def request(rng: random.Random) -> Request:
    """A request at or one microsecond beside a boundary, by one, several or no actors, or by a patient."""
    now = microseconds(rng.choice((*DAYS, "2026-03-05"))) + rng.choice((-1, 0, 0, 1))
    purpose = rng.choices((*PURPOSES.values(),), (16, 3, 3, 3, 2, 1, 1, 1, 1))[0]
    what = rng.choices(tuple(Action), (6, 2, 2))[0]
    if rng.random() < 0.12:
        subject = key(rng.choice(PATIENTS))
        return Request(frozenset((subject,)), rng.choice((PURPOSES["PATRQT"], purpose)), what, now, subject)
    named = rng.sample((*ACTORS, ENGINE), rng.choice((0, 1, 1, 2, 3, 5)))
    return Request(frozenset(key(each) for each in named), purpose, what, now)
