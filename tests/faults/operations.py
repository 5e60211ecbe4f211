"""Clients that work while processes are killed, and the ledger of what they were told.

Each operation is asked again until its outcome is known, as a careful client does, but for the plain create, which
cannot be: there, not knowing is noted.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from recommender import knowledge
from tests.faults.line import Answer, Line, Unknown
from tests.recommender.evidence_builders import answered
from tests.work.people import CALM

JSON = dict[str, Any]

SYSTEM = "urn:ledger"
MARK = "urn:mark"
# One in so many operations answers a questionnaire, which the job child has to score.
ANSWERS_EVERY = 100
_AGAIN_SECONDS = 0.05


@dataclass
class Ledger:
    """
    What clients know. Keys are identifiers, which the resources carry.

    created    id by key, of creates that were acknowledged
    maybe      keys of plain creates whose answer never came
    together   for each transaction its key and the number of its resources
    values     by id of a register, the marks of its versions 1, 2, …
    deleted    ids
    answers    ids of completed questionnaires
    """

    created: dict[str, str] = field(default_factory=dict)
    maybe: set[str] = field(default_factory=set)
    together: dict[str, int] = field(default_factory=dict)
    values: dict[str, list[str]] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    answers: list[str] = field(default_factory=list)
    unknown: int = 0
    done: int = 0


class Client:
    """One careful client with a register of its own, which it alone updates."""

    def __init__(self, number: int, port: int, ledger: Ledger, patients: list[str]) -> None:
        self._ledger = ledger
        self._line = Line(port)
        self._random = random.Random(number)
        self._keys = (f"{number}-{serial}" for serial in itertools.count())
        self._patients = patients
        self._register = ""
        self._deletable: list[str] = []
        self._kinds: dict[Callable[[], Awaitable[None]], int] = {
            self.create: 20,
            self.create_on_condition: 25,
            self.update: 35,
            self.delete: 8,
            self.transaction: 11,
        }

    async def work(self, operations: int) -> None:
        """Until the ledger of all clients has so many operations."""
        await self.open_register()
        kinds, weights = list(self._kinds), list(self._kinds.values())
        while self._ledger.done < operations:
            self._ledger.done += 1
            if self._patients and self._ledger.done % ANSWERS_EVERY == 0:
                await self.answer()
            else:
                await self._random.choices(kinds, weights)[0]()
        self._line.close()

    async def create(self) -> None:
        key = next(self._keys)
        try:
            answer = await self._line.ask("POST", "/Patient", person(key))
        except Unknown:
            self._ledger.unknown += 1
            self._ledger.maybe.add(key)
            return
        if answer.status == 201:
            self._ledger.created[key] = answer.id
            self._deletable.append(answer.id)
        else:
            assert answer.status == 503, answer

    async def create_on_condition(self) -> None:
        key = next(self._keys)
        answer = await self._asked(
            "POST", "/Patient", person(key), If_None_Exist=f"identifier={SYSTEM}|{key}", expected=(200, 201)
        )
        self._ledger.created[key] = answer.id

    async def open_register(self) -> None:
        key, first = next(self._keys), f"{next(self._keys)}-0"
        condition = f"identifier={SYSTEM}|{key}"
        answer = await self._asked("POST", "/Patient", person(key, first), If_None_Exist=condition, expected=(200, 201))
        self._ledger.created[key] = self._register = answer.id
        self._ledger.values[self._register] = [first]

    async def update(self) -> None:
        """If-Match makes it safe to ask again: 412 then means that the first time was done."""
        values = self._ledger.values[self._register]
        mark = next(self._keys)
        resource = person("", mark) | {"id": self._register}
        answer = await self._asked(
            "PUT", f"/Patient/{self._register}", resource, If_Match=f'W/"{len(values)}"', expected=(200, 412)
        )
        if answer.status == 412:
            now = await self._asked("GET", f"/Patient/{self._register}", expected=(200,))
            assert (now.version, mark_of(now.json)) == (len(values) + 1, mark), "somebody else's update"
        values.append(mark)

    async def delete(self) -> None:
        if not self._deletable:
            await self.create()
            return
        logical_id = self._deletable.pop()
        await self._asked("DELETE", f"/Patient/{logical_id}", expected=(200, 204))
        self._ledger.deleted.add(logical_id)

    async def transaction(self) -> None:
        """A patient and what was observed, all of it once."""
        key, size = next(self._keys), self._random.randint(2, 5)
        condition = f"identifier={SYSTEM}|{key}"
        entries = [entry(person(key), "urn:uuid:00000000-0000-4000-8000-000000000001", ifNoneExist=condition)]
        entries += [
            entry(
                observation("urn:uuid:00000000-0000-4000-8000-000000000001", f"{key}-{n}"),
                ifNoneExist=f"{condition}-{n}",
            )
            for n in range(size)
        ]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        await self._asked("POST", "", bundle, expected=(200,))
        self._ledger.together[key] = size

    async def answer(self) -> None:
        patient = self._random.choice(self._patients)
        key = next(self._keys)
        response = answered_by(patient, "pain-nrs")
        response["identifier"] = {"system": SYSTEM, "value": key}
        answer = await self._asked(
            "POST",
            "/QuestionnaireResponse",
            response,
            If_None_Exist=f"identifier={SYSTEM}|{key}",
            expected=(200, 201),
        )
        self._ledger.answers.append(answer.id)

    async def _asked(
        self, method: str, path: str, resource: Any = None, *, expected: tuple[int, ...], **headers: str
    ) -> Answer:
        """Asked again until there is an answer."""
        while True:
            try:
                answer = await self._line.ask(method, path, resource, **headers)
            except Unknown:
                self._ledger.unknown += 1
                await asyncio.sleep(_AGAIN_SECONDS)
                continue
            if answer.status != 503:
                assert answer.status in expected, answer
                return answer
            await asyncio.sleep(_AGAIN_SECONDS)


def person(key: str, mark: str = "") -> JSON:
    """Without a key it is no longer found by it; its id stays."""
    found: JSON = {"resourceType": "Patient", "name": [{"family": "Ledger"}]}
    if key:
        found["identifier"] = [{"system": SYSTEM, "value": key}]
    if mark:
        found.setdefault("identifier", []).append({"system": MARK, "value": mark})
    return found


def observation(subject: str, key: str) -> JSON:
    return {
        "resourceType": "Observation",
        "status": "final",
        "identifier": [{"system": SYSTEM, "value": key}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "8302-2"}]},
        "subject": {"reference": subject},
    }


def entry(resource: JSON, full_url: str = "", **request: str) -> JSON:
    found: JSON = {"resource": resource, "request": {"method": "POST", "url": resource["resourceType"], **request}}
    return found | ({"fullUrl": full_url} if full_url else {})


def answered_by(patient: str, instrument: str) -> JSON:
    """A completed questionnaire of the patient, with calm answers, given just now."""
    links = {item["linkId"] for item in knowledge.instrument(instrument)["item"]}
    response = answered(instrument, {link: value for link, value in CALM[instrument].items() if link in links})
    del response["id"]
    now = datetime.now(UTC).isoformat()
    return response | {"status": "completed", "authored": now, "subject": {"reference": f"Patient/{patient}"}}


def keys_of(resource: JSON, system: str = SYSTEM) -> list[str]:
    """The resource's identifiers in one system."""
    found = resource.get("identifier", [])
    every = found if isinstance(found, list) else [found]
    return [each["value"] for each in every if each.get("system") == system]


def mark_of(resource: JSON) -> str:
    [mark] = keys_of(resource, MARK)
    return mark
