"""Organisations and professionals as FHIR resources: what is registered here is published in the store."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from gateway.access import AccessContext, Purpose
from gateway.people.tables import Organisation, StaffAccount
from gateway.settings import Settings
from gateway.store.changes import Create
from gateway.store.database import Database
from gateway.store.errors import Gone, NotFound
from gateway.store.store import Store

REGISTRY = AccessContext(
    actors=(),
    agent="Device/registry",
    client="registry",
    activity="administration",
    request_id="registry",
    purpose=Purpose.HSYSADMIN,
)


def organization(row: Organisation) -> dict[str, Any]:
    """The Organization resource of a registered organisation."""
    return {"resourceType": "Organization", "id": row.id, "active": True, "name": row.name}


def practitioner(account: StaffAccount) -> dict[str, Any]:
    """The Practitioner resource of a member of staff: a name, and nothing private."""
    return {"resourceType": "Practitioner", "id": account.id, "active": True, "name": [{"text": account.name}]}


def publish_organisation(database: Database, settings: Settings, row: Organisation) -> None:
    asyncio.run(_publish(database, settings, organization(row)))


def publish_practitioner(database: Database, settings: Settings, account: StaffAccount) -> None:
    asyncio.run(_publish(database, settings, practitioner(account)))


async def publish(store: Store, resource: dict[str, Any]) -> None:
    """Store the resource under its own id, once; what is there already stays as it is."""
    try:
        await store.read(REGISTRY, resource["resourceType"], resource["id"])
    except (NotFound, Gone):
        change = Create(resource["resourceType"], resource, json.dumps(resource), id=resource["id"])
        await store.commit(REGISTRY, [change])


async def _publish(database: Database, settings: Settings, resource: dict[str, Any]) -> None:
    store = Store(database, settings=settings)
    await store.start()
    try:
        await publish(store, resource)
    finally:
        await store.stop()
