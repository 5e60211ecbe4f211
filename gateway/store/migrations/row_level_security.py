"""Row-level security on PostgreSQL: a second net below the guard (docs/decisions/0022-row-level-security.md).

A row passes where it names no patient, or where its patient has granted something to whoever asks, for this purpose and
at this time. That is coarser than the guard and never narrower, so it changes no answer; a statement that has lost its
guard meets it. What a transaction says about itself is in gateway/store/postgresql/net.py; where it says nothing,
asking whether the net is open fails, and the statement with it. The others may be missing, because planning looks at
them too, even for a statement that touches no row.
"""

from __future__ import annotations

import hashlib

from sqlalchemy import Connection
from sqlmodel import text

from gateway.store.clauses import TABLES as INDEXES
from gateway.store.database import DatabaseUnusable
from gateway.store.guard import WRITE
from gateway.store.postgresql.database import PostgreSQLDatabase
from gateway.store.postgresql.net import REPLACED, SEEN, WRITTEN

# Those that hold what is known about people. Grants and denies are not among them: the policies themselves read them,
# and a net that hid a deny would widen what the guard permits.
OF_PATIENTS = ("resource", "history", "named_patient", *INDEXES.values())
TABLES = (*OF_PATIENTS, "past_code")

_PRESENT = text(
    "SELECT c.relname FROM pg_class c WHERE c.relname = ANY(:tables) AND pg_table_is_visible(c.oid)"
    " AND c.relrowsecurity AND c.relforcerowsecurity AND :policies = (SELECT count(*) FROM pg_policy p"
    " WHERE p.polrelid = c.oid AND p.polname = ANY(:names))"
)
_SECURED = text(
    "SELECT 1 FROM pg_class c WHERE c.relname = ANY(:tables) AND pg_table_is_visible(c.oid) AND c.relrowsecurity"
)
_OTHERS = text("SELECT polname FROM pg_policy WHERE polrelid = CAST(:table AS regclass) AND polname LIKE 'net\\_%'")
_BYPASSES = text("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")

_LACKING = "row-level security is on, but the database lacks it; run: backbridge migrate --row-level-security on"
_UNEXPECTED = (
    "the database has row-level security; set BACKBRIDGE_ROW_LEVEL_SECURITY=on, or run: backbridge migrate"
    " --row-level-security off"
)
_BYPASSING = (
    "row-level security is on, but this role bypasses it: connect as one that is no superuser and has no BYPASSRLS"
)

# Tables that the guard names in every statement and hardly ever looks at: a function costs such a statement nothing,
# where an EXISTS in the policy would have to be set up each time. The others are looked at row after row, where an
# EXISTS costs a third of a function.
_SELDOM = ("named_patient", "past_code")
# PostgreSQL turns an EXISTS that only compares keys into a list of all that was ever granted to the actors; the second
# comparison, always true, keeps it to one probe for each row.
_GRANTED = (
    "EXISTS (SELECT FROM grant_row g WHERE g.patient = {table}.patient AND g.patient >= {table}.patient"
    " AND g.actor = ANY (current_setting('backbridge.actors', true)::bigint[])"
    " AND (g.purposes & current_setting('backbridge.purposes', true)::integer) <> 0 AND (g.actions & {actions}) <> 0"
    " AND g.valid_from <= current_setting('backbridge.now', true)::bigint"
    " AND current_setting('backbridge.now', true)::bigint < g.valid_to)"
)
_ANY_ACTION = -1

_FUNCTIONS = {
    "net_granted(whose bigint, wanted integer)": _GRANTED.replace("{table}.patient", "whose").format(actions="wanted"),
    # A code is seen by whoever sees the resource that it was taken from.
    "net_shows(key bigint)": "EXISTS (SELECT FROM resource r WHERE r.pk = key)",
}
_FUNCTION = (
    "CREATE OR REPLACE FUNCTION {head} RETURNS boolean LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN {body}; END $$"
)


def _passes(table: str, always: int, actions: int) -> str:
    is_open = f"(current_setting('backbridge.open')::integer & {always}) <> 0"
    if table == "past_code":
        return f"{is_open} OR net_shows(pk)"
    granted = f"net_granted(patient, {actions})" if table in _SELDOM else _GRANTED.format(table=table, actions=actions)
    fresh = "patient = ANY (current_setting('backbridge.fresh', true)::bigint[])"
    return f"{is_open} OR patient = 0 OR {granted} OR {fresh}"


def _policies(table: str) -> dict[str, str]:
    """For each command what rows it may see or touch, and what rows it may leave behind."""
    seen = _passes(table, SEEN, _ANY_ACTION)
    replaced = _passes(table, REPLACED, WRITE)
    written = _passes(table, WRITTEN, WRITE)
    return {
        "SELECT": f"USING ({seen})",
        "INSERT": f"WITH CHECK ({written})",
        "UPDATE": f"USING ({replaced}) WITH CHECK ({written})",
        "DELETE": f"USING ({replaced})",
    }


def _named(table: str) -> dict[str, str]:
    """The policies by their names, which tell one text from another, the functions' included."""
    return {
        f"net_{command.lower()}_{_digest(rule, *_FUNCTIONS.values())}": f"FOR {command} {rule}"
        for command, rule in _policies(table).items()
    }


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:8]


def install(connection: Connection) -> None:
    """Every table gets the policies of this program, also for its owner; nothing else of the database changes."""
    for head, body in _FUNCTIONS.items():
        connection.exec_driver_sql(_FUNCTION.format(head=head, body=body))
    for table in TABLES:
        _drop(connection, table)
        for name, rule in _named(table).items():
            connection.exec_driver_sql(f"CREATE POLICY {name} ON {table} {rule}")
        connection.exec_driver_sql(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")


def remove(connection: Connection) -> None:
    """The tables are open to their grantees again."""
    for table in TABLES:
        connection.exec_driver_sql(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY")
        _drop(connection, table)
    for head in _FUNCTIONS:
        connection.exec_driver_sql(f"DROP FUNCTION IF EXISTS {head}")


def is_present(connection: Connection) -> bool:
    """Whether some table is secured, with whatever policies."""
    return connection.execute(_SECURED, {"tables": list(TABLES)}).first() is not None


def check(database: PostgreSQLDatabase) -> None:
    """Raises DatabaseUnusable where the net is not as the settings say, or would not hold this role."""
    with database.engine.connect() as connection:
        bypasses = bool(connection.execute(_BYPASSES).scalar())
        if not database.row_level_security:
            if is_present(connection) and not bypasses:
                raise DatabaseUnusable(_UNEXPECTED)
        elif bypasses:
            raise DatabaseUnusable(_BYPASSING)
        elif not all(_is_secured(connection, table) for table in TABLES):
            raise DatabaseUnusable(_LACKING)


def _is_secured(connection: Connection, table: str) -> bool:
    names = list(_named(table))
    present = connection.execute(_PRESENT, {"tables": [table], "names": names, "policies": len(names)})
    return present.first() is not None


def _drop(connection: Connection, table: str) -> None:
    for name in connection.execute(_OTHERS, {"table": table}).scalars().all():
        connection.exec_driver_sql(f"DROP POLICY {name} ON {table}")
