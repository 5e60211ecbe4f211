"""AccessContexts from the row of a token; `gateway.people.authenticate` decides which of them a request gets."""

from __future__ import annotations

from gateway.access import AccessContext, Purpose
from gateway.smart.scopes import parse
from gateway.store.database import Record

LOCAL_CLIENT = "local"
"""The client of tokens that an operator mints on this machine."""
OPEN_ACCESS = "open-access"

_PURPOSES = {int(purpose): purpose for purpose in Purpose}


def open_access_context(request_id: str, origin: str = "") -> AccessContext:
    """The one context without a token: open access for development, named and audited as such."""
    return AccessContext(
        actors=(),
        agent=f"Device/{OPEN_ACCESS}",
        client=OPEN_ACCESS,
        activity=OPEN_ACCESS,
        request_id=request_id,
        feed_prefix="",
        bypass=True,
        origin=origin,
    )


def of_system(row: Record) -> AccessContext:
    """A registered client in its own name and its organisation's."""
    return of_token(
        row,
        actors=(row["organisation"], row["key"]),
        organisation_id=row["organisation_id"],
        agent=f"Device/{row['client']}",
    )


def vouched(row: Record) -> AccessContext:
    """For names without an account here the operator who minted the token vouches."""
    named = tuple(key for key in (row["person"], row["organisation"]) if key)
    organisation_id = row["organisation_id"]
    acting = f"Organization/{organisation_id}" if organisation_id else f"Device/{LOCAL_CLIENT}"
    agent = row["reference"] or acting
    return of_token(row, actors=named, organisation_id=organisation_id, agent=agent)


def of_token(
    row: Record,
    *,
    actors: tuple[int, ...],
    organisation_id: str,
    agent: str = "",
    subject: int | None = None,
) -> AccessContext:
    """The context, without a request, of a token whose actors have been looked up; the rest is on the token itself."""
    return AccessContext(
        actors=actors,
        agent=agent or row["reference"],
        client=row["client"],
        activity=row["activity"],
        request_id="",
        purpose=_PURPOSES[row["purpose"]],
        scopes=parse(row["scopes"]),
        organization=f"Organization/{organisation_id}" if organisation_id else None,
        patient=row["patient"] or None,
        subject=subject,
        feed_prefix=row["feed_prefix"],
    )
