"""The few places where the same query is written differently for SQLite and PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, eq=False)
class Dialect:
    """
    among        what a key is where it is one of those that a query lists, and that list drives the query
    probe        an EXISTS that is asked of each row, before the guard, and never turned into a join
    horizon      the condition on a row `h` of History that all changes before it can be seen; empty where they are
    partitioned  whether the tables are divided by patient (decision 0026): a row is then asked for with its patient,
                 which the table `locator` knows, so that one partition is looked into and not all of them
    """

    among: str
    probe: str
    horizon: str
    partitioned: bool = False

    def source(self, row: str) -> str:
        """The FROM of a row of Resource that `at` or `driven` finds."""
        if self.partitioned:
            return f"locator {row}_at CROSS JOIN {self.source_beside(row, f'{row}_at')}"
        return f"resource {row}"

    def source_beside(self, row: str, other: str) -> str:
        """The FROM of a row of Resource that is the `own` of another row, of an index."""
        if not self.partitioned:
            return f"resource {row}"
        # Behind the OFFSET the guard is asked of the row that was found; else each partition would have a guard of its
        # own, which would have to be set up for every statement.
        return f"LATERAL (SELECT * FROM resource p WHERE {self.own('p', other)} OFFSET 0) {row}"

    def at(self, row: str, key: str) -> str:
        """The condition that a `source` has a certain key, written with its comparison: `= :pk`."""
        if self.partitioned:
            return f"{row}_at.pk {key} AND {row}.pk = {row}_at.pk"
        return f"{row}.pk {key}"

    def driven(self, row: str, keys: str) -> str:
        return self.at(row, self.among.format(keys=keys))

    def own(self, one: str, other: str) -> str:
        """The condition that two rows, of Resource or an index, are of the same resource."""
        # Each patient of a resource has all its index rows, so those of the first are enough.
        same_partition = f" AND {one}.patient = {other}.patient" if self.partitioned else ""
        return f"{one}.pk = {other}.pk{same_partition}"

    def head(self, version: str, row: str) -> str:
        """The condition that a row of History is the current version of a row of Resource."""
        # Both carry the facts of the same version.
        same_partition = f" AND {version}.patient = {row}.patient" if self.partitioned else ""
        return f"{version}.seq = {row}.head{same_partition}"

    def probed(self, exists: str) -> str:
        return self.probe.format(exists=exists)


SQLITE = Dialect(among="IN ({keys})", probe="{exists}", horizon="")

# The keys become an array first and rows are fetched in their order, so that a page ends where it is full. An EXISTS by
# itself would be joined after the guard had been asked of every row. A transaction below the oldest running one is
# finished, and numbers rise with places in the feed (migrations/postgresql_foundation.py).
POSTGRESQL = Dialect(
    among="= ANY(ARRAY({keys}))",
    probe="({exists}) IS TRUE",
    horizon="h.xid < (SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint)",
)
PARTITIONED = replace(POSTGRESQL, partitioned=True)
