"""From a proposed plan to one transaction: a new draft, or the draft that is there brought up to date."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from gateway.access import AccessContext
from gateway.r4.json_text import replace_strings
from gateway.store.changes import Change
from gateway.store.store import Store
from gateway.work.records import created, every, known, labelled_like, says_the_same, updated
from recommender.plan import PlanProposal

JSON = dict[str, Any]
Changes = tuple[list[Change], dict[str, str]]
"""What to commit, and what the proposal's `urn:uuid:` names that exist already stand for."""

# When it was made is not what a plan says.
_TIMES = ("created",)


async def changes_of(
    store: Store,
    context: AccessContext,
    proposal: PlanProposal,
    draft: JSON | None,
    outdated: Sequence[JSON],
    now: datetime,
) -> Changes:
    """
    The transaction that makes the proposal the draft of its week; no changes where it says nothing new.

    draft     the draft of the same week that nobody has activated
    outdated  drafts of other weeks, which end
    """
    patient = proposal.care_plan["subject"]["reference"]
    parts = {entry["fullUrl"]: entry["resource"] for entry in proposal.entries}
    source = json.loads((await store.read(context, *_split(patient))).body or b"{}")
    stored = {urn: await _stored(store, context, resource, draft) for urn, resource in parts.items()}
    references = {urn: _reference(found) for urn, found in stored.items() if found is not None}
    plan_urn = next(urn for urn, resource in parts.items() if resource["resourceType"] == "CarePlan")
    existing = stored[plan_urn]
    if existing is not None and (existing["status"] != "draft" or _is_same(parts, stored, references)):
        return [], {}
    changes: list[Change] = []
    for urn, resource in parts.items():
        changes += _change(urn, _stamped(resource, patient, now), stored[urn], source)
    kept = {_reference(found) for found in stored.values() if found is not None}
    for plan in outdated:
        changes.append(updated(plan, {**plan, "status": "revoked"}))
    changes += await _cancelled_goals(store, context, draft, kept)
    return changes, references


async def _stored(store: Store, context: AccessContext, resource: JSON, draft: JSON | None) -> JSON | None:
    """
    What is there of a part of the plan.

    The draft of the week is one and the same, whatever its kind; so is the Provenance that tells how it was made.
    """
    if "identifier" in resource:
        return draft if resource["resourceType"] == "CarePlan" and draft else await known(store, context, resource)
    if draft is None:
        return None
    found = await every(store, context, f"Provenance?target=CarePlan/{draft['id']}")
    return next((each for each in found if "policy" in each), None)


def _is_same(parts: Mapping[str, JSON], stored: Mapping[str, JSON | None], references: Mapping[str, str]) -> bool:
    """Whether every part but the Provenance is stored already as it is proposed."""
    for urn, resource in parts.items():
        if resource["resourceType"] in ("Provenance", "Device"):
            continue
        found = stored[urn]
        proposed = json.loads(replace_strings(json.dumps(resource), references))
        if found is None or not says_the_same(found, proposed, but=_TIMES):
            return False
    return True


def _change(urn: str, resource: JSON, stored: JSON | None, patient: JSON) -> list[Change]:
    if resource["resourceType"] == "Device":
        return [created(resource, alias=urn)] if stored is None else []
    labelled = labelled_like(patient, resource)
    if stored is not None:
        return [updated(stored, labelled)]
    return [created(labelled, alias=urn, is_conditional="identifier" in resource)]


def _stamped(resource: JSON, patient: str, now: datetime) -> JSON:
    """
    With the time at which it was really made, which may be later than the day the plan begins.

    A Provenance has no patient of its own: it names the one whose record it was made from, so that it belongs to them.
    """
    if resource["resourceType"] == "CarePlan":
        return {**resource, "created": now.isoformat()}
    if resource["resourceType"] == "Provenance":
        record = {"role": "source", "what": {"reference": patient}}
        return {**resource, "recorded": now.isoformat(), "entity": [*resource.get("entity", ()), record]}
    return resource


async def _cancelled_goals(store: Store, context: AccessContext, draft: JSON | None, kept: set[str]) -> list[Change]:
    """Goals that the draft had and the proposal has not."""
    found: list[Change] = []
    for reference in (goal["reference"] for goal in (draft or {}).get("goal", ())):
        if reference in kept:
            continue
        goal = json.loads((await store.read(context, *_split(reference))).body or b"{}")
        found.append(updated(goal, {**goal, "lifecycleStatus": "cancelled"}))
    return found


def _reference(resource: JSON) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def _split(reference: str) -> tuple[str, str]:
    resource_type, _, logical_id = reference.partition("/")
    return resource_type, logical_id
