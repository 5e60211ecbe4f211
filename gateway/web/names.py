"""References of people and organisations as names, from the administrative tables."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from sqlmodel import col, select

from gateway.people.care import PLAN_ENGINE_ID
from gateway.people.tables import Client, Organisation, StaffAccount
from gateway.store.database import Database
from gateway.web.messages import Messages


async def names_of(database: Database, references: Iterable[str], t: Messages) -> dict[str, str]:
    """A name for each `Type/id`; what is not registered here is called by a general word."""
    wanted = {reference for reference in references if reference}
    return await asyncio.to_thread(_names, database, wanted, t)


def _names(database: Database, wanted: set[str], t: Messages) -> dict[str, str]:
    by_type: dict[str, set[str]] = {}
    for reference in wanted:
        kind, _, logical_id = reference.partition("/")
        by_type.setdefault(kind, set()).add(logical_id)
    found = {f"Device/{PLAN_ENGINE_ID}": t("name.plan-engine")}
    with database.reading() as session:
        staff = select(StaffAccount.id, StaffAccount.name)
        for logical_id, name in session.exec(staff.where(col(StaffAccount.id).in_(by_type.get("Practitioner", ())))):
            found[f"Practitioner/{logical_id}"] = name
        organisations = select(Organisation.id, Organisation.name)
        chosen = organisations.where(col(Organisation.id).in_(by_type.get("Organization", ())))
        for logical_id, name in session.exec(chosen):
            found[f"Organization/{logical_id}"] = name
        clients = select(Client.id, Client.name).where(col(Client.id).in_(by_type.get("Device", ())))
        for logical_id, name in session.exec(clients):
            found[f"Device/{logical_id}"] = name
    return {reference: found.get(reference) or _general(reference, t) for reference in wanted}


def _general(reference: str, t: Messages) -> str:
    key = f"name.{reference.partition('/')[0]}"
    return t(key) if t.has(key) else t("name.other")
