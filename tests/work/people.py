"""A patient as the job child meets one: answers are given, plans appear, clinicians and systems look."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from consent.forms import Choice, sharing_consent
from gateway.access import AccessContext
from gateway.people import care
from gateway.r4.identity import key_of
from gateway.store.changes import Committed
from gateway.work.engine import engine_context
from gateway.work.planning import BASELINE
from gateway.work.records import every
from gateway.work.workplace import Workplace
from recommender import knowledge
from tests.recommender.evidence_builders import QUIET_WEEK, all_no, answered
from tests.store.actors import CLINIC, clinic, create, patient, person, update

JSON = dict[str, Any]

CALM: dict[str, dict[str, Any]] = {
    "red-flag-screen": all_no(),
    "pain-nrs": {"pain-average": 6, "pain-worst": 8},
    "rmdq-24": {f"rmdq-{n:02d}": n <= 9 for n in range(1, 25)},
    "psfs": {"psfs-1-activity": "Gardening", "psfs-1-rating": 4},
    "phq-8": {f"phq-{n}": "several-days" for n in range(1, 9)},
    "goals": {"goal-text": "Walk to the lake", "sessions-per-week": 3, "minutes-per-session": "30"},
    "weekly-check-in": QUIET_WEEK,
}
"""Answers that raise no alert, by instrument."""


@dataclass
class Person:
    workplace: Workplace
    id: str

    @classmethod
    async def activated(cls, workplace: Workplace, **more: Any) -> Person:
        """A patient of the clinic whose activation admitted the plan engine."""
        [made] = await workplace.store.commit(clinic(), [create(person("Sand", **more))])
        care.admit_plan_engine(workplace.database, key_of("Patient", made.version.id))
        return cls(workplace, made.version.id)

    @property
    def reference(self) -> str:
        return f"Patient/{self.id}"

    @property
    def context(self) -> AccessContext:
        return patient(self.id)

    @property
    def key(self) -> int:
        return key_of("Patient", self.id)

    async def answers(
        self, name: str, *, days_ago: float = 0, status: str = "completed", meta: JSON | None = None, **changed: Any
    ) -> str:
        """Give the calm answers to an instrument, with changes; the id of the response."""
        response = self._response(name, days_ago, status, changed) | ({"meta": meta} if meta else {})
        [made] = await self.workplace.store.commit(self.context, [create(response)])
        return made.version.id

    async def amends(self, response_id: str, name: str, **changed: Any) -> Committed:
        """Answer an instrument differently after all."""
        response = self._response(name, 0, "amended", changed)
        [made] = await self.workplace.store.commit(self.context, [update(response_id, response)])
        return made

    async def answers_baseline(self, *, meta: JSON | None = None, **changed: Any) -> None:
        """Answer everything that comes before the first plan, a while ago; changes are of the red-flag screen."""
        for name in BASELINE:
            await self.answers(name, days_ago=0.01, meta=meta, **(changed if name == "red-flag-screen" else {}))

    async def shares(self, *categories: str, actions: tuple[str, ...] = ("access",)) -> None:
        """Permit the clinic these categories."""
        choice = Choice(CLINIC, "Clinic", categories, ("TREAT",), "2020-01-01", "2100-01-01", actions)
        permit = sharing_consent(self.reference, choice, language="en", now_us=self.workplace.store.clock())
        await self.workplace.store.commit(self.context, [create(permit)])

    async def sees(self, query: str, context: AccessContext | None = None) -> list[JSON]:
        return await every(self.workplace.store, context or self.context, query)

    async def plans(self) -> list[JSON]:
        return await self.sees(f"CarePlan?subject={self.reference}", engine_context("test"))

    async def rewrites(self, resource: JSON, **members: Any) -> JSON:
        """The resource with some members changed, as the patient stores it."""
        changed = {**resource, **members}
        [made] = await self.workplace.store.commit(self.context, [update(resource["id"], changed)])
        stored: JSON = json.loads(made.version.body or b"{}")
        return stored

    def _response(self, name: str, days_ago: float, status: str, changed: dict[str, Any]) -> JSON:
        links = {link.replace("-", "_"): link for link in (i["linkId"] for i in knowledge.instrument(name)["item"])}
        given = CALM[name] | {links[key]: value for key, value in changed.items()}
        response = answered(name, given)
        del response["id"]
        return response | {
            "status": status,
            "subject": {"reference": self.reference},
            "authored": self._time(days_ago).isoformat(),
        }

    def _time(self, days_ago: float) -> datetime:
        return self.workplace.now() - timedelta(days=days_ago)
