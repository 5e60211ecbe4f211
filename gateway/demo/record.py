"""One invented person's half year, written as it would have been lived: answers, scores, steps, plans, decisions.

What is older goes in by the hundred; the latest weeks are walked through one by
one, with the same planner that works for everybody.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from gateway.access import AccessContext, Purpose
from gateway.demo.answers import CHECK_IN, Given, baseline, check_in, proms, response
from gateway.demo.cast import Person
from gateway.demo.clinic import LOADER, clinician_context
from gateway.demo.walking import walked
from gateway.people.authenticate import SELF_MANAGEMENT
from gateway.r4.identity import key_of, new_id
from gateway.store.changes import Change, Create
from gateway.work import alerts
from gateway.work.engine import engine_context
from gateway.work.planning import propose
from gateway.work.records import every, updated
from gateway.work.scoring import score_observations
from gateway.work.workplace import Workplace
from recommender import knowledge
from recommender.canonical import PLAN_CATEGORY, PLAN_CATEGORY_SYSTEM
from recommender.score import score

JSON = dict[str, Any]

# Enough to see exercises progress; each week planned costs a tenth of a second at the first start.
PLANNED_WEEKS = 4
_CHUNK = 200
_MORNING, _EVENING = time(8, 30), time(19, 15)


@dataclass(frozen=True, slots=True)
class Record:
    """One person with a Patient in the store; `begun` is the day of the baseline."""

    workplace: Workplace
    person: Person
    patient_id: str
    begun: date

    @property
    def reference(self) -> str:
        return f"Patient/{self.patient_id}"

    @property
    def first_planned(self) -> int:
        """The first week that is walked through."""
        return max(0, self.person.last_week - PLANNED_WEEKS)

    def own_context(self) -> AccessContext:
        key = key_of("Patient", self.patient_id)
        return AccessContext(
            actors=(key,),
            agent=self.reference,
            client=LOADER,
            activity=SELF_MANAGEMENT,
            request_id=LOADER,
            purpose=Purpose.PATRQT,
            subject=key,
        )

    def day(self, week: int) -> date:
        return self.begun + timedelta(weeks=week)

    def moment(self, week: int, at: time = _MORNING) -> datetime:
        return datetime.combine(self.day(week), at, self.workplace.zone)

    async def write(self) -> None:
        """All of it."""
        answers = [answer for week in range(self.first_planned) for answer in self._answers(week)]
        await self._commit(answers, self._steps(0, self.first_planned))
        for week in range(self.first_planned, self.person.last_week + 1):
            await self._live(week)
        if self.person.last_week == self.person.weeks:
            await self._walk_until_yesterday()
        await self._raise_alerts()

    async def _live(self, week: int) -> None:
        """A week's answers, the plan that follows, and what became of it."""
        await self._commit(list(self._answers(week)), self._steps(week - 1, week))
        now = self.moment(week, _EVENING)
        await propose(self.workplace.store, engine_context(LOADER), self.reference, now)
        is_latest = week == self.person.last_week
        if self.person.shares != "none" and not (is_latest and self.person.plan == "draft"):
            await self._decide(now.date())

    def _answers(self, week: int) -> Iterator[JSON]:
        """What is answered in a week; the outcome measures follow the report of their week."""
        given: list[tuple[str, Given]] = []
        if week == 0:
            given += baseline(self.person)
        else:
            given.append((CHECK_IN, check_in(self.person, week)))
            given += proms(self.person, week) if week in self.person.prom_weeks else []
        for number, (name, answers) in enumerate(given):
            authored = self.moment(week) + timedelta(minutes=2 * number)
            yield response(name, answers, patient=self.reference, authored=authored)

    def _steps(self, after: int, until: int) -> list[JSON]:
        """The days from one week's report to the day before another's."""
        first, last = self.day(max(after, 0)), self.day(until) - timedelta(days=1)
        return walked(self.person, self.reference, first, last, self.begun, self.workplace.zone)

    async def _walk_until_yesterday(self) -> None:
        first, last = self.day(self.person.last_week), self.workplace.now().date() - timedelta(days=1)
        days = walked(self.person, self.reference, first, last, self.begun, self.workplace.zone)
        await self._commit([], days)

    async def _commit(self, answers: list[JSON], steps: list[JSON]) -> None:
        """Answers and steps in the patient's name, scores in the engine's."""
        responses = [{**each, "id": new_id()} for each in answers]
        await self._create(self.own_context(), [*responses, *steps])
        scores = [observation for each in responses for observation in _scores(each)]
        await self._create(engine_context(LOADER), scores)

    async def _create(self, context: AccessContext, resources: Iterable[JSON]) -> None:
        waiting: list[Change] = [
            Create(resource["resourceType"], resource, json.dumps(resource), id=resource.get("id"))
            for resource in resources
        ]
        for start in range(0, len(waiting), _CHUNK):
            await self.workplace.store.commit(context, waiting[start : start + _CHUNK])

    async def _decide(self, today: date) -> None:
        """The physiotherapist activates the draft and completes the plan before it, as the review page does."""
        store, context = self.workplace.store, clinician_context(LOADER)
        category = f"{PLAN_CATEGORY_SYSTEM}|{PLAN_CATEGORY}"
        plans = await every(store, context, f"CarePlan?subject={self.reference}&category={category}")
        changes: list[Change] = []
        for plan in plans:
            if plan["status"] == "draft":
                changes.append(updated(plan, {**plan, "status": "active"}))
            elif plan["status"] == "active":
                changes.append(updated(plan, {**plan, "status": "completed"}))
        goals = await every(store, context, f"Goal?subject={self.reference}&lifecycle-status=proposed,active")
        for goal in goals:
            state = "active" if goal["startDate"] == today.isoformat() else "completed"
            if goal["lifecycleStatus"] != state:
                changes.append(updated(goal, {**goal, "lifecycleStatus": state}))
        if changes:
            await store.commit(context, changes)

    async def _raise_alerts(self) -> None:
        """The alerts of the latest answers that can raise any."""
        store, context = self.workplace.store, engine_context(LOADER)
        for name in filter(alerts.screens, knowledge.instrument_names()):
            canonical = knowledge.instrument(name)["url"]
            query = f"QuestionnaireResponse?subject={self.reference}&questionnaire={canonical}&_sort=-authored"
            latest = next(iter(await every(store, context, query)), None)
            if latest is None:
                continue
            raised = alerts.alerts_of(name, latest, score(knowledge.instrument(name), latest))
            changes = await alerts.changes(store, context, name, latest, raised or [])
            if changes:
                await store.commit(context, changes)


def _scores(answered: JSON) -> list[JSON]:
    name = answered["questionnaire"].partition("|")[0].rpartition("/")[2]
    return score_observations(answered, score(knowledge.instrument(name), answered))
