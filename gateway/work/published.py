"""Knowledge as FHIR resources: every instrument a Questionnaire that clients can read, once a version (rule 10)."""

from __future__ import annotations

import json

from gateway.people.registry import REGISTRY
from gateway.r4.search_parameters import PARAMETERS
from gateway.store.changes import Create
from gateway.store.query import Match, Search, Token, Uri
from gateway.store.store import Store
from recommender import knowledge


async def publish_knowledge(store: Store) -> int:
    """Store what is not there yet in this version; earlier versions stay. Returns how many were new."""
    new = 0
    for name in knowledge.instrument_names():
        questionnaire = knowledge.instrument(name)
        condition = _same_version("Questionnaire", questionnaire["url"], questionnaire["version"])
        change = Create("Questionnaire", questionnaire, json.dumps(questionnaire), condition=condition)
        [committed] = await store.commit(REGISTRY, [change])
        new += committed.outcome == "created"
    return new


def _same_version(resource_type: str, url: str, version: str) -> Search:
    parameters = PARAMETERS[resource_type]
    wanted = (Match(parameters["url"], (Uri(url),)), Match(parameters["version"], (Token(version),)))
    return Search(types=(resource_type,), where=(wanted,), count=2)
