"""What only PostgreSQL needs beside the tables: locks and tickets of writers, the audit of reads (decision 0016)."""

from __future__ import annotations

# Classes of advisory locks: the first of their two numbers.
TICKET, ONCE, RESOURCE, PATIENT = 1, 2, 3, 4
# Keys share so many locks a class, so that a transaction of any size fits the server's table of locks.
STRIPES = 1024

# One after the other, all writers take: their transaction's number, the next places in the feed, and a time that never
# runs backwards. So these three rise together, and a follower who stops before the oldest running transaction
# misses nothing. The transaction must not have a number yet: whoever locks or writes rows first spoils the order.
_TICKET = f"""
CREATE FUNCTION write_ticket(clock bigint, places integer, OUT number text, OUT first bigint, OUT at bigint)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_lock({TICKET}, 0);
    number := pg_current_xact_id()::text;
    SELECT greatest(clock, last_value) INTO at FROM feed_time;
    PERFORM setval('feed_time', at);
    first := nextval('history_seq_seq');
    PERFORM setval('history_seq_seq', first + greatest(places, 1) - 1);
    PERFORM pg_advisory_unlock({TICKET}, 0);
END $$
"""

# Every statement in here sees what was committed while the one before it waited, which one plain statement would not.
# once     things of which there may be one (a condition, a registered number)
# beside   things that must not change meanwhile, though others may hold them as well
# changed  resources that are replaced or deleted; their patients are found here, once the resources stand still
# named    patients about whom is written: their rules must hold until the commit
# ruled    patients whose rules change, as do those of each changed resource of the type `rules_type`
LOCKS = f"""
CREATE FUNCTION write_locks(
    once bigint[], beside bigint[], changed bigint[], named bigint[], ruled bigint[], rules_type smallint
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    stripe integer;
    alone boolean;
BEGIN
    FOR stripe, alone IN
        SELECT (t.key & {STRIPES - 1})::integer, bool_or(t.alone) FROM (
            SELECT k AS key, true AS alone FROM unnest(once) k UNION ALL SELECT k, false FROM unnest(beside) k
        ) t GROUP BY 1 ORDER BY 1
    LOOP
        IF alone THEN
            PERFORM pg_advisory_xact_lock({ONCE}, stripe);
        ELSE
            PERFORM pg_advisory_xact_lock_shared({ONCE}, stripe);
        END IF;
    END LOOP;
    FOR stripe IN SELECT DISTINCT (k & {STRIPES - 1})::integer FROM unnest(changed) k ORDER BY 1 LOOP
        PERFORM pg_advisory_xact_lock({RESOURCE}, stripe);
    END LOOP;
    FOR stripe, alone IN
        SELECT (p.patient & {STRIPES - 1})::integer, bool_or(p.rules) FROM (
            SELECT k AS patient, false AS rules FROM unnest(named) k
            UNION ALL SELECT k, true FROM unnest(ruled) k
            UNION ALL SELECT r.patient, r.type = rules_type FROM unnest(changed) k JOIN resource r ON r.pk = k
            UNION ALL SELECT n.patient, r.type = rules_type FROM unnest(changed) k JOIN resource r ON r.pk = k
                JOIN named_patient n ON n.pk = r.pk AND n.version = r.version
        ) p GROUP BY 1 ORDER BY 1
    LOOP
        IF alone THEN
            PERFORM pg_advisory_xact_lock({PATIENT}, stripe);
        ELSE
            PERFORM pg_advisory_xact_lock_shared({PATIENT}, stripe);
        END IF;
    END LOOP;
END $$
"""

_READ_AUDIT = """
CREATE TABLE read_audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at bigint NOT NULL, agent text NOT NULL,
    organization text NOT NULL, client text NOT NULL, purpose smallint NOT NULL, activity text NOT NULL,
    request_id text NOT NULL, interaction text NOT NULL, type smallint NOT NULL, resource_id text NOT NULL,
    patient bigint NOT NULL, origin text NOT NULL, bypass smallint NOT NULL)
"""

# One row, changed in the commit of everything that changes who may sign in (gateway.store.database.Database.writing).
_EPOCH = (
    "CREATE TABLE administration_epoch (number bigint NOT NULL)",
    "CREATE UNIQUE INDEX administration_epoch_is_one ON administration_epoch ((true))",
    "INSERT INTO administration_epoch (number) VALUES (1)",
)
_XID = "ALTER TABLE {} ALTER COLUMN xid SET DEFAULT pg_current_xact_id()::text::bigint"

CREATE: tuple[str, ...] = (
    *_EPOCH,
    _XID.format("history"),
    _XID.format("outbox"),
    "CREATE SEQUENCE feed_time MINVALUE 0 START 0",
    _TICKET,
    LOCKS,
    _READ_AUDIT,
    "CREATE INDEX read_audit_patient ON read_audit (patient, at)",
)
DROP: tuple[str, ...] = (
    "DROP TABLE administration_epoch",
    "DROP TABLE read_audit",
    "DROP FUNCTION write_locks(bigint[], bigint[], bigint[], bigint[], bigint[], smallint)",
    "DROP FUNCTION write_ticket(bigint, integer)",
    "DROP SEQUENCE feed_time",
)
