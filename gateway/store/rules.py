"""Grants that follow from something other than a Consent: who cares for a patient, who works for them.

They live in the same tables and columns as those of consents, under the key of their source, so that one query decides.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlmodel import Session, text

from consent.rows import Grant

_HOLD = text(
    "SELECT write_locks('{}', '{}', '{}', '{}', ARRAY(SELECT patient FROM grant_row WHERE source = :source"
    " UNION SELECT unnest(CAST(:patients AS bigint[]))), CAST(0 AS smallint))"
)


def replace(session: Session, source: int, grants: Sequence[Grant]) -> None:
    """Let exactly these grants follow from the source, in force with the session's commit; none ends them all."""
    connection = session.connection()
    if connection.dialect.name == "postgresql":
        # Whoever writes about these patients meanwhile does so under the rules of before or of after.
        connection.execute(_HOLD, {"source": source, "patients": [grant.patient for grant in grants]})
    connection.execute(text("DELETE FROM grant_row WHERE source = :source"), {"source": source})
    if grants:
        columns = (*Grant._fields, "source", "n")
        names = ", ".join(columns)
        values = ", ".join(f":{column}" for column in columns)
        connection.execute(
            text(f"INSERT INTO grant_row ({names}) VALUES ({values})"),
            [{**grant._asdict(), "source": source, "n": n} for n, grant in enumerate(grants)],
        )
