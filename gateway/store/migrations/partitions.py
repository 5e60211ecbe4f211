"""Tables divided by patient on PostgreSQL: a deployment's choice, made once on an empty database (decision 0026).

What the versions of the schema have made is made anew with partitions, from the server's own description of it. A key
is unique within a partition only, so that of a resource is kept once more in `locator`, with its patient.
"""

from __future__ import annotations

from sqlalchemy import Connection
from sqlmodel import text

from gateway.store.clauses import TABLES as INDEXES
from gateway.store.database import DatabaseUnusable
from gateway.store.migrations.postgresql_foundation import LOCKS

# Everything that names a patient in each row; past_code, which does not, stays whole.
TABLES = (
    "resource",
    "history",
    *INDEXES.values(),
    "named_patient",
    "write_audit",
    "read_audit",
    "grant_row",
    "deny_row",
)
FEWEST, MOST = 2, 256

# Partitions are out of the way of `GRANT … ON ALL TABLES IN SCHEMA`: named directly, one would have no policies.
_SCHEMA = text("SELECT quote_ident(current_schema() || '_partitions')")
_PARTITIONED = text("SELECT 1 FROM pg_partitioned_table WHERE partrelid = to_regclass('resource')")
_INDEXES = text(
    "SELECT pg_get_indexdef(i.indexrelid), i.indisprimary, i.indisunique,"
    " ARRAY(SELECT a.attname::text FROM unnest(i.indkey::smallint[]) WITH ORDINALITY k (number, place)"
    " JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number ORDER BY k.place)"
    " FROM pg_index i WHERE i.indrelid = CAST(:table AS regclass) ORDER BY i.indexrelid"
)
# The columns that number their rows, whether by a default (a serial) or by themselves (an identity).
_NUMBERED = text(
    "SELECT a.attname, s.relname, d.deptype = 'i' FROM pg_depend d JOIN pg_class s ON s.oid = d.objid"
    " AND s.relkind = 'S' JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid"
    " WHERE d.refobjid = CAST(:table AS regclass) AND d.deptype IN ('a', 'i')"
)
_LOCATE = """
CREATE FUNCTION locate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO locator (pk, patient) VALUES (NEW.pk, NEW.patient);
    ELSIF TG_OP = 'UPDATE' THEN
        UPDATE locator SET patient = NEW.patient WHERE pk = NEW.pk;
    ELSE
        DELETE FROM locator WHERE pk = OLD.pk;
    END IF;
    RETURN NULL;
END $$
"""
# A row that moves to another partition leaves by a deletion and arrives by an insertion, in that order.
_LOCATOR = (
    "CREATE TABLE locator (pk bigint PRIMARY KEY, patient bigint NOT NULL)",
    _LOCATE,
    "CREATE TRIGGER locate AFTER INSERT OR DELETE ON resource FOR EACH ROW EXECUTE FUNCTION locate()",
    "CREATE TRIGGER relocate AFTER UPDATE ON resource FOR EACH ROW WHEN (OLD.patient <> NEW.patient)"
    " EXECUTE FUNCTION locate()",
    LOCKS.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION").replace(
        "JOIN resource r ON r.pk = k",
        "JOIN locator l ON l.pk = k JOIN resource r ON r.pk = l.pk AND r.patient = l.patient",
    ),
)


def is_present(connection: Connection) -> bool:
    """Whether the tables are divided."""
    return connection.execute(_PARTITIONED).first() is not None


def install(connection: Connection, number: int) -> None:
    """Divide the tables into so many partitions. DatabaseUnusable where there is something in them."""
    if is_present(connection):
        raise DatabaseUnusable("the tables are partitioned already; their number is chosen once, for an empty database")
    # A gateway that runs already must not write between the look and the division.
    connection.exec_driver_sql(f"LOCK TABLE {', '.join(TABLES)} IN ACCESS EXCLUSIVE MODE")
    if any(connection.exec_driver_sql(f"SELECT 1 FROM {table} LIMIT 1").first() for table in TABLES):
        raise DatabaseUnusable("the tables are not empty; partitions are made in an empty database only")
    schema = connection.execute(_SCHEMA).scalar_one()
    connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
    for table in TABLES:
        _divide(connection, table, schema, number)
    for statement in _LOCATOR:
        connection.exec_driver_sql(statement)


def refuse_the_way_back(connection: Connection) -> None:
    """A version of the schema is taken back table by table, as it was made; not so what belongs to partitions."""
    if is_present(connection):
        raise DatabaseUnusable("a partitioned database has no way back; drop it and begin with an empty one")


def _divide(connection: Connection, table: str, schema: str, number: int) -> None:
    indexes = connection.execute(_INDEXES, {"table": table}).all()
    numbered = connection.execute(_NUMBERED, {"table": table}).all()
    connection.exec_driver_sql(f"ALTER TABLE {table} RENAME TO {table}_whole")
    connection.exec_driver_sql(
        f"CREATE TABLE {table} (LIKE {table}_whole INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)"
        " PARTITION BY HASH (patient)"
    )
    for column, sequence, is_identity in numbered:
        if not is_identity:
            connection.exec_driver_sql(f"ALTER SEQUENCE {sequence} OWNED BY {table}.{column}")
    connection.exec_driver_sql(f"DROP TABLE {table}_whole")
    for column, sequence, is_identity in numbered:
        if is_identity:
            # Before PostgreSQL 17 a partitioned table has no identity.
            connection.exec_driver_sql(f"CREATE SEQUENCE {sequence} OWNED BY {table}.{column}")
            connection.exec_driver_sql(f"ALTER TABLE {table} ALTER {column} SET DEFAULT nextval('{sequence}')")
    for remainder in range(number):
        connection.exec_driver_sql(
            f"CREATE TABLE {schema}.{table}_{remainder} PARTITION OF {table}"
            f" FOR VALUES WITH (MODULUS {number}, REMAINDER {remainder})"
        )
    for definition, is_primary, is_unique, columns in indexes:
        connection.exec_driver_sql(_index(table, definition, is_primary, is_unique, columns))


def _index(table: str, definition: str, is_primary: bool, is_unique: bool, columns: list[str]) -> str:
    """The same index of the divided table; one that is unique must have the patient among its columns."""
    more = "" if "patient" in columns else ", patient"
    if is_primary:
        return f"ALTER TABLE {table} ADD PRIMARY KEY ({', '.join(columns)}{more})"
    return definition.replace(")", f"{more})", 1) if is_unique else definition
