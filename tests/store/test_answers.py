"""Answers are judged against their questionnaire when they are filed, on the same path as everything else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.store.changes import Create
from gateway.store.errors import Invalid
from gateway.store.store import Store
from tests.store.actors import OPEN

URL = "https://example.org/fhir/Questionnaire/pain"
QUESTIONNAIRE: dict[str, Any] = {
    "resourceType": "Questionnaire",
    "url": URL,
    "version": "1",
    "status": "active",
    "item": [{"linkId": "nrs", "text": "How strong is the pain?", "type": "integer", "required": True}],
}


def response(answer: dict[str, Any], canonical: str = URL) -> dict[str, Any]:
    item = {"linkId": "nrs", "answer": [answer]}
    return {"resourceType": "QuestionnaireResponse", "questionnaire": canonical, "status": "completed", "item": [item]}


def create(resource: dict[str, Any]) -> Create:
    return Create(resource["resourceType"], resource, json.dumps(resource))


async def test_an_answer_of_the_wrong_type_is_refused_with_its_place(store: Store) -> None:
    await store.commit(OPEN, [create(QUESTIONNAIRE)])
    with pytest.raises(Invalid) as refused:
        await store.commit(OPEN, [create(response({"valueString": "strong"}))])
    assert refused.value.entry == 0
    assert all(issue.expression.startswith("QuestionnaireResponse.item[0]") for issue in refused.value.issues)


async def test_answers_that_fit_are_stored(store: Store) -> None:
    await store.commit(OPEN, [create(QUESTIONNAIRE)])
    [stored] = await store.commit(OPEN, [create(response({"valueInteger": 7}, f"{URL}|1"))])
    assert stored.outcome == "created"


async def test_answers_to_a_questionnaire_that_is_not_here_are_stored(store: Store) -> None:
    [stored] = await store.commit(OPEN, [create(response({"valueString": "strong"}))])
    assert stored.outcome == "created"


async def test_answers_are_judged_by_the_questionnaire_that_was_filed_last(store: Store) -> None:
    await store.commit(OPEN, [create(QUESTIONNAIRE)])
    as_text = {**QUESTIONNAIRE, "version": "2", "item": [{**QUESTIONNAIRE["item"][0], "type": "string"}]}
    await store.commit(OPEN, [create(as_text)])
    await store.commit(OPEN, [create(response({"valueString": "strong"}))])
    with pytest.raises(Invalid):
        await store.commit(OPEN, [create(response({"valueString": "strong"}, f"{URL}|1"))])
