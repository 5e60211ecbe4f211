"""A random world of the consent tests, lived through in a real store: written, corrected, withdrawn, deleted.

`tests/consent/worlds.py` draws the people, the consents and the resources; here they pass through `Store.commit`, and
what the oracle of `consent.decide` needs to know is kept beside.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from consent import standing
from consent.contents import contents
from consent.decide import Relationship, decide
from consent.requests import Request, ResourceFacts, resource_facts
from consent.vocabulary import SHARING_POLICY
from gateway.access import AccessContext, Purpose
from gateway.r4.identity import is_server_id, key_of
from gateway.settings import Settings
from gateway.store import rules
from gateway.store.changes import Create
from gateway.store.database import Database
from gateway.store.store import Store
from gateway.store.tables import FAR_FUTURE, FAR_PAST
from tests.consent import worlds
from tests.consent.worlds import JSON, World
from tests.store.actors import OPEN, create, delete, patient, update
from tests.store.databases import Databases

TEXT = {"text": "as drawn"}
# What R4 requires besides what a rule may test.
REQUIRED: dict[str, JSON] = {
    "Observation": {"status": "final", "code": TEXT},
    "QuestionnaireResponse": {"status": "completed"},
    "CarePlan": {"status": "draft", "intent": "plan"},
    "MedicationStatement": {"status": "active"},
    "Provenance": {"recorded": "2026-03-01T00:00:00Z", "agent": [{"who": {"display": "somebody"}}]},
    "Consent": {
        "status": "draft",
        "scope": worlds.concept("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
        "category": [worlds.concept("http://loinc.org", "59284-0")],
        "policy": [{"uri": SHARING_POLICY}],
    },
    "Appointment": {"status": "proposed"},
    "Bundle": {"type": "collection"},
    "DiagnosticReport": {"status": "final"},
    "Questionnaire": {"status": "draft"},
    "Task": {"status": "draft", "intent": "plan"},
    "Organization": {"name": "somewhere"},
}


def completed(resource: JSON) -> JSON:
    """The resource with what R4 asks for, inside and out."""
    made = REQUIRED.get(resource["resourceType"], {}) | resource
    for name, values in (("contained", made.get("contained", ())), ("entry", made.get("entry", ()))):
        if values:
            made[name] = [_inside(each, number) for number, each in enumerate(values)]
    if made["resourceType"] == "Appointment":
        made["participant"] = [each | {"status": "accepted"} for each in made["participant"]]
    if made["resourceType"] == "DiagnosticReport" and "contained" in made:
        made["result"] = [{"reference": f"#{each['id']}"} for each in made["contained"]]
    return made


def _inside(carried: JSON, number: int) -> JSON:
    if "resource" in carried:
        address = f"urn:uuid:00000000-0000-4000-8000-00000000000{number}"
        return {"fullUrl": address, "resource": completed(carried["resource"])}
    return completed(carried) | {"id": f"inner{number}"}


def by_code(rng: random.Random) -> JSON:
    """A Consent whose only condition is a code: everything but that, or nothing else."""
    root: JSON = {"type": "permit", "actor": worlds.some(rng, worlds.ACTORS, worlds.actor)}
    root["action"] = [worlds.action(each) for each in ("access", "collect", "disclose")]
    codes = [worlds.concept(*token) for token in rng.sample(worlds.TOKENS, 2)]
    if rng.random() < 0.7:
        root["provision"] = [{"type": "deny", "code": codes}]
    else:
        root["code"] = codes
    whose = {"reference": rng.choice(worlds.PATIENTS)}
    return worlds.consent(rng, "code") | {"status": "active", "patient": whose, "provision": root}


def with_component(rng: random.Random, patient_reference: str) -> JSON:
    """A plain Observation with a code of its own and one of a component."""
    made = worlds.observation(rng, {"reference": patient_reference}, rng.choice(worlds.DAYS))
    return completed(made | {"component": [{"code": worlds.concept(*rng.choice(worlds.TOKENS))}]})


class Clock:
    """The store's clock, set by hand."""

    def __init__(self) -> None:
        self.now = worlds.microseconds("2026-02-01")

    def __call__(self) -> int:
        return self.now


@asynccontextmanager
async def opened(
    home: Path, databases: Databases, clock: Clock, **options: Any
) -> AsyncIterator[tuple[Store, Database]]:
    """A running store on an empty database, in a folder of its own."""
    databases.create(home)
    async with running(home, databases, clock, **options) as both:
        yield both


@asynccontextmanager
async def running(
    home: Path, databases: Databases, clock: Clock, **options: Any
) -> AsyncIterator[tuple[Store, Database]]:
    settings = Settings(home=home, audit_reads="within-1s", public_base_url="http://testserver", **options)
    database = databases.open(home)
    store = Store(database, settings=settings, clock=clock)
    await store.start()
    try:
        yield store, database
    finally:
        await store.stop()
        database.close()


@dataclass(slots=True)
class Kept:
    """A stored resource as the oracle sees it: the facts of each version, oldest first; a deletion repeats them."""

    type: str
    id: str
    author: int
    created: int
    versions: list[ResourceFacts] = field(default_factory=list)
    body: JSON = field(default_factory=dict)
    deleted: bool = False

    def add(self, body: JSON) -> None:
        self.body = body
        stated = body | {"id": self.id}
        self.versions.append(resource_facts(stated, key_of=key_of, author=self.author, first_updated_us=self.created))


class StoredWorld:
    """Writes a world and answers for it."""

    draw = staticmethod(worlds.resource)

    def __init__(self, world: World, store: Store, database: Database, clock: Clock) -> None:
        self.world, self.rng = world, world.rng
        self.store, self.database, self.clock = store, database, clock
        self.kept: dict[tuple[str, str], Kept] = {}
        self.consents: dict[str, JSON] = {}
        self.relationships = list(world.relationships)
        self.by_code: list[JSON] = []
        self.last_written = 0

    async def load(self) -> None:
        for reference in worlds.PATIENTS:
            await self.write({"resourceType": "Patient"}, reference.split("/")[1], organization=None)
        self.by_code = [by_code(self.rng) for _ in range(3)]
        self.world.consents += self.by_code
        # A Consent about an instance may name another patient, who would have to permit it.
        ours = [each for each in self.world.consents if len(contents(each, key_of).patients) == 1]
        for document in ours:
            await self.consent(document)
        for number, document in enumerate(self.by_code):
            coded = with_component(self.rng, document["patient"]["reference"])
            await self.write(coded, f"coded{number}", organization=None)
        for resource, facts in sorted(self.world.resources, key=lambda pair: pair[0]["id"]):
            self.clock.now = max(self.clock.now, facts.effective[0] if facts.effective[0] > 0 else 0) % 2**60
            author = next((each for each in worlds.ORGANIZATIONS if worlds.key(each) == facts.author), None)
            await self.write(resource, resource["id"], organization=author)
        await self.change_some()
        self.stand()
        self.last_written = self.clock.now

    # -- writing -------------------------------------------------------------------------------------------------

    async def write(self, resource: JSON, logical_id: str, organization: str | None) -> None:
        """The first version, by open access on behalf of the organisation."""
        body = {key: value for key, value in completed(resource).items() if key != "id"}
        context = replace(OPEN, organization=organization)
        if is_server_id(logical_id):
            change: Any = Create(body["resourceType"], body, create(body).raw, id=logical_id)
        else:
            change = update(logical_id, body)
        [made] = await self.store.commit(context, [change])
        author = worlds.key(organization) if organization else 0
        self._keep(body, logical_id, author, made.version.updated)
        if body["resourceType"] == "Patient" and author:
            key = key_of("Patient", logical_id)
            self.relationships.append(Relationship(author, key, FAR_PAST, FAR_FUTURE))

    async def consent(self, document: JSON) -> None:
        """Filed by the patient; then perhaps withdrawn, or deleted."""
        body = {key: value for key, value in document.items() if key != "id"}
        whose = patient(body["patient"]["reference"].split("/")[1])
        [made] = await self.store.commit(whose, [create(body)])
        logical_id = made.version.id
        self._keep(body, logical_id, 0, made.version.updated)
        self.consents[logical_id] = body
        if self.rng.random() < 0.15:
            self.consents[logical_id] = body | {"status": "inactive"}
            await self.store.commit(whose, [update(logical_id, self.consents[logical_id])])
            self.kept["Consent", logical_id].add(self.consents[logical_id])
        elif self.rng.random() < 0.1:
            await self.remove(self.kept["Consent", logical_id])
            del self.consents[logical_id]

    async def change_some(self) -> None:
        """Some resources get other labels, codes, dates or patients; some are deleted; some come back."""
        for kept in [each for each in self.kept.values() if each.type != "Consent"]:
            if self.rng.random() < 0.35:
                drawn = (self.draw(self.rng, kept.id) for _ in range(60))
                await self.correct(kept, next((each for each in drawn if each["resourceType"] == kept.type), kept.body))
            if self.rng.random() < 0.2:
                await self.remove(kept)
                if self.rng.random() < 0.3:
                    await self.correct(kept, kept.body)

    async def correct(self, kept: Kept, resource: JSON) -> None:
        body = {key: value for key, value in completed(resource).items() if key != "id"}
        [done] = await self.store.commit(OPEN, [update(kept.id, body)])
        if done.outcome != "unchanged":
            kept.add(body)
            kept.deleted = False

    async def remove(self, kept: Kept) -> None:
        await self.store.commit(OPEN, [delete(kept.type, kept.id)])
        kept.versions.append(kept.versions[-1])
        kept.deleted = True

    def stand(self) -> None:
        """The rows that no Consent makes, as the gateway's other parts write them."""
        with self.database.writing() as session:
            for number, each in enumerate(self.world.relationships):
                grants = standing.relationship_grants(each.organization, each.patient, each.valid_from, each.valid_to)
                rules.replace(session, number + 1, grants)
            for number, (whose, device) in enumerate(self.world.engines):
                rules.replace(session, 1_000 + number, standing.engine_grants(whose, device))
            for whose in self.world.restricted:
                for deny in standing.restriction_denies(whose):
                    row = {**deny._asdict(), "source": 0}
                    names, values = ", ".join(row), ", ".join(map(str, row.values()))
                    session.connection().exec_driver_sql(f"INSERT INTO deny_row ({names}) VALUES ({values})")

    def _keep(self, body: JSON, logical_id: str, author: int, created: int) -> None:
        kept = Kept(body["resourceType"], logical_id, author, created)
        kept.add(body)
        self.kept[kept.type, logical_id] = kept

    # -- asking --------------------------------------------------------------------------------------------------

    def permits(self, asked: Request, facts: ResourceFacts) -> bool:
        """What the oracle says, from the Consents as they stand now."""
        world = self.world
        return decide(
            asked,
            facts,
            list(self.consents.values()),
            self.relationships,
            world.restricted,
            world.engines,
            key_of=key_of,
        ).permit


def context_of(asked: Request, organization: str | None = None) -> AccessContext:
    """The access context of a request of the oracle."""
    return AccessContext(
        actors=tuple(sorted(asked.actors)),
        agent="Practitioner/asker",
        client="tests",
        activity="tests",
        request_id="tests",
        purpose=Purpose(asked.purpose),
        organization=organization,
        subject=asked.subject,
    )
