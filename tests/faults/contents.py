"""What a database must hold whenever it is opened: whole transactions, and in every table the same ones."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from pathlib import Path

from gateway.r4.definitions import type_name
from gateway.r4.identity import key_of
from gateway.store.triggers import TRIGGERS
from tests.faults.process import OBSERVATIONS

RESOURCES = OBSERVATIONS + 2


def patients_of_whole_transactions(path: Path) -> set[int]:
    """
    Checks the file and returns the keys of the patients registered in it.

    Fails where the file is damaged, a transaction is half there, or tables disagree.
    """
    connection = sqlite3.connect(path)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        counted = dict(connection.execute("SELECT patient, count(*) FROM resource GROUP BY patient"))
        assert set(counted.values()) <= {RESOURCES}, "a transaction is half there"
        # SQLite numbers the audit rows and history in the order of writing.
        resources = list(connection.execute("SELECT pk, type, version FROM resource ORDER BY pk"))
        assert resources == list(connection.execute("SELECT pk, type, version FROM history ORDER BY pk"))
        audited = connection.execute("SELECT type, resource_id, version FROM write_audit")
        assert sorted((key_of(type_name(t), i), t, v) for t, i, v in audited) == resources
        called_for = sorted((pk, kind) for pk, number, _ in resources for kind in TRIGGERS.get(type_name(number), ()))
        queued = connection.execute("SELECT type, resource, kind FROM outbox")
        assert sorted((key_of(type_name(t), i), kind) for t, i, kind in queued) == called_for
        indexed = {pk for (pk,) in connection.execute("SELECT DISTINCT pk FROM index_reference")}
        registered = {pk for pk, number, _ in resources if type_name(number) == "Patient"}
        assert indexed == {pk for pk, _, _ in resources} - registered
        assert registered == set(counted)
        return registered
    finally:
        connection.close()


def patient_keys(acknowledged: Collection[Sequence[str]]) -> list[int]:
    """The key of the patient of each acknowledged transaction."""
    return [key_of("Patient", ids[0]) for ids in acknowledged]
