"""The guarded query builder for searches: one statement for the page, one for the total, one for each include.

A search takes one of three shapes, which answer alike (tests/store/test_shapes.py):

    index    a selective clause lists the keys, everything else is probed on those rows
    grants   the few patients who granted this actor something list the rows
    walk     rows are walked in sort order and probed until the page is full
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from gateway.access import AccessContext
from gateway.r4.definitions import type_id, type_name
from gateway.r4.identity import key_of
from gateway.store import guard
from gateway.store.changes import PUT, SearchPage, Version
from gateway.store.clauses import TABLES, Builder
from gateway.store.connection import Connection
from gateway.store.cursor import Cursors
from gateway.store.dialect import SQLITE, Dialect
from gateway.store.past_the_net import past_the_net
from gateway.store.query import Clause, Compartment, Include, Match, Reference, Search, Sort
from gateway.store.tables import FAR_FUTURE, FAR_PAST

Shape = Literal["auto", "index", "grants", "walk"]

# Above so many keys a list is no longer better than walking in order; below so many patients grants are.
SELECTIVE_KEYS = 2_000
FEW_PATIENTS = 200
INCLUDED_MAX = 5_000

Row = tuple[int, int, str, int, int, bytes, int, int]
_COLUMNS = "r.pk, r.type, r.id, r.version, r.updated, h.body, r.patient, r.patients"


@dataclass(frozen=True, slots=True)
class Asked:
    """The rows of Resource, as `r`, that a search is about: where they come from and what must be true of them."""

    source: str
    where: str


@dataclass(frozen=True, slots=True)
class Found:
    """A page and the patients whose data is on it (for the audit)."""

    page: SearchPage
    patients: tuple[int, ...]


class Searcher:
    """Runs searches on a connection that holds one snapshot."""

    def __init__(
        self, hash_token: Callable[[str], int], cursors: Cursors, include_depth: int, dialect: Dialect = SQLITE
    ) -> None:
        self.dialect = dialect
        self._hash_token = hash_token
        self._cursors = cursors
        self._include_depth = include_depth

    def search(
        self,
        connection: Connection,
        context: AccessContext,
        search: Search,
        now_us: int,
        *,
        shape: Shape = "auto",
    ) -> Found:
        """One page of matches with what it includes, the total where asked, and the cursor of the next page."""
        builder = Builder(context, now_us, self._hash_token, self.dialect)
        asked = self._asked(connection, builder, search, shape)
        total = self._total(connection, builder, asked) if search.total or search.count == 0 else None
        if search.count == 0:
            return Found(SearchPage([], [], total, None), ())
        keys = _sort_keys(search.sort)
        rows, places = self._page(connection, builder, search, asked, keys)
        more = len(rows) > search.count
        rows = rows[: search.count]
        cursor = self._cursors.write(places[search.count - 1], _fingerprint(search), context) if more else None
        included = self._included(connection, context, search, rows, now_us)
        page = SearchPage([_version(row) for row in rows], [_version(row) for row in included], total, cursor)
        return Found(page, _whose(connection, (*rows, *included)))

    def is_one_statement(self, search: Search) -> bool:
        """Whether the page is all there is to answer: what comes before it only chooses how to ask."""
        return search.count > 0 and not search.total and not search.includes

    def first(
        self, connection: Connection, context: AccessContext, search: Search, now_us: int, limit: int
    ) -> list[Version]:
        """The first matches, without paging or includes: what conditional interactions ask for."""
        builder = Builder(context, now_us, self._hash_token, self.dialect)
        asked = self._asked(connection, builder, search, "auto")
        rows = connection.execute(
            f"SELECT {_COLUMNS} FROM {asked.source} CROSS JOIN history h WHERE {asked.where} AND {self._head}"
            f" ORDER BY r.pk LIMIT {int(limit)}",
            builder.bound,
        )
        return [_version(row) for row in rows]

    # -- the WHERE ---------------------------------------------------------------------------------------------------

    @property
    def _head(self) -> str:
        return self.dialect.head("h", "r")

    def _asked(self, connection: Connection, builder: Builder, search: Search, shape: Shape) -> Asked:
        if len(search.types) != 1:
            return self._of_types(builder, search, shape)
        resource_type = search.types[0]
        clauses = search.of_type(resource_type)
        keys = self._driver(connection, builder, resource_type, clauses, shape)
        if keys is None:
            return Asked("resource r", self._of_type(builder, "r.type", resource_type, clauses))
        # The plus keeps the planner from preferring the index on type to the keys just chosen.
        return self._driven(keys, self._of_type(builder, "+r.type", resource_type, clauses))

    def _driven(self, keys: str, where: str) -> Asked:
        return Asked(self.dialect.source("r"), f"{self.dialect.driven('r', keys)} AND {where}")

    def _of_types(self, builder: Builder, search: Search, shape: Shape) -> Asked:
        """Several types; where all of them are asked for in one patient's compartment, that patient's data drive."""
        compartments = {clause for clauses in search.where for clause in clauses if isinstance(clause, Compartment)}
        of_patient = _about_patients(tuple(compartments)) if len(compartments) == len(search.types) else None
        if of_patient is None or shape == "walk" or len({each.id for each in compartments}) > 1:
            any_type = " OR ".join(self._of_type(builder, "r.type", t, search.of_type(t)) for t in search.types)
            return Asked("resource r", f"({any_type})")
        (patient,) = of_patient[1]
        # Whatever is in the compartment names the patient.
        keys = (
            f"SELECT x.pk FROM resource x WHERE x.patient = {builder.bind(patient)}"
            f" UNION SELECT n.pk FROM named_patient n WHERE n.patient = {builder.bind(patient)}"
        )
        either = " OR ".join(self._of_type(builder, "+r.type", t, search.of_type(t)) for t in search.types)
        return self._driven(keys, f"({either})")

    def _of_type(self, builder: Builder, column: str, resource_type: str, clauses: Sequence[Clause]) -> str:
        conditions = [
            f"{column} = {builder.bind(type_id(resource_type))}",
            "r.deleted = 0",
            *(builder.probe(clause, "r") for clause in clauses),
            # The guard is the dearest test, so it comes last.
            builder.readable("r", resource_type),
        ]
        return f"({' AND '.join(conditions)})"

    def _driver(
        self,
        connection: Connection,
        builder: Builder,
        resource_type: str,
        clauses: Sequence[Clause],
        shape: Shape,
    ) -> str | None:
        """The SELECT of keys that drives the query, or None to walk in order."""
        if shape == "walk":
            return None
        if shape != "grants":
            keys = self._selective(connection, builder, resource_type, clauses, limit=SELECTIVE_KEYS)
            if keys is not None or shape == "index":
                return keys
        context = builder.context
        if not context.bypass and (shape == "grants" or self._few_patients(connection, builder)):
            kind = builder.bind(type_id(resource_type))
            return (
                f"SELECT x.pk FROM (SELECT 0 AS patient UNION {guard.granted_patients(context)}) k"
                f" CROSS JOIN resource x WHERE x.patient = k.patient AND x.type = {kind}"
            )
        return None

    def _selective(
        self,
        connection: Connection,
        builder: Builder,
        resource_type: str,
        clauses: Sequence[Clause],
        limit: int,
    ) -> str | None:
        of_patients = _about_patients(clauses)
        if of_patients is not None:
            # One person's data is few enough; their codes are fewer still, and need no counting.
            clause, patients = of_patients
            tokens = [each for each in clauses if isinstance(each, Match) and each.parameter.kind == "token"]
            return builder.gather(tokens[0] if tokens else clause, resource_type, patients)
        candidates = [keys for clause in clauses if (keys := builder.gather(clause, resource_type))]
        best: tuple[int, str] | None = None
        for keys in candidates:
            bound = limit if best is None else best[0]
            with past_the_net(connection, "count"):
                count = connection.execute(
                    f"SELECT count(*) FROM (SELECT 1 FROM ({keys}) k LIMIT {bound}) c", builder.bound
                ).fetchone()[0]
            if count < bound:
                best = (count, keys)
            if best is not None and best[0] <= 1:
                break
        return best[1] if best else None

    def _few_patients(self, connection: Connection, builder: Builder) -> bool:
        count = connection.execute(
            f"SELECT count(*) FROM (SELECT DISTINCT patient FROM ({guard.granted_patients(builder.context)}) g"
            f" LIMIT {FEW_PATIENTS + 1}) c",
            builder.bound,
        ).fetchone()[0]
        return bool(count <= FEW_PATIENTS)

    # -- page, total, includes ---------------------------------------------------------------------------------------

    def _page(
        self,
        connection: Connection,
        builder: Builder,
        search: Search,
        asked: Asked,
        keys: Sequence[Sort],
    ) -> tuple[list[Row], list[list[int | str | float]]]:
        expressions = [_sort_expression(builder, key) for key in keys]
        after = ""
        if search.cursor:
            place = self._cursors.read(search.cursor, _fingerprint(search), builder.context)
            after = f" AND {_after(builder, expressions, keys, place)}"
        names = [f"k{n}" for n in range(len(keys))]
        selected = ", ".join(f"{expression} AS {name}" for expression, name in zip(expressions, names, strict=True))
        order = ", ".join(f"k{n} {'DESC' if key.descending else 'ASC'}" for n, key in enumerate(keys))
        inner = (
            "SELECT r.pk, r.type, r.id, r.version, r.updated, r.head, r.patient, r.patients,"
            f" {selected} FROM {asked.source}"
            f" WHERE {asked.where}{after} ORDER BY {order} LIMIT {search.count + 1}"
        )
        rows = connection.execute(
            f"SELECT {_COLUMNS}, {', '.join('r.' + name for name in names)}"
            f" FROM ({inner}) r CROSS JOIN history h WHERE {self._head} ORDER BY {order}",
            builder.bound,
        ).fetchall()
        return [row[:8] for row in rows], [list(row[8:]) for row in rows]

    def _total(self, connection: Connection, builder: Builder, asked: Asked) -> int:
        counted = connection.execute(f"SELECT count(*) FROM {asked.source} WHERE {asked.where}", builder.bound)
        count: int = counted.fetchone()[0]
        return count

    def _included(
        self,
        connection: Connection,
        context: AccessContext,
        search: Search,
        matches: Sequence[Row],
        now_us: int,
    ) -> list[Row]:
        known = {row[0] for row in matches}
        found: list[Row] = []
        frontier: Sequence[Row] = matches
        directives: Sequence[Include] = search.includes
        for _ in range(self._include_depth):
            fresh: list[Row] = []
            for directive in directives:
                for row in self._follow(connection, context, directive, frontier, now_us):
                    if row[0] not in known:
                        known.add(row[0])
                        fresh.append(row)
            found.extend(fresh)
            directives = [directive for directive in search.includes if directive.iterate]
            if not fresh or not directives or len(found) >= INCLUDED_MAX:
                break
            frontier = fresh
        return found[:INCLUDED_MAX]

    def _follow(
        self,
        connection: Connection,
        context: AccessContext,
        directive: Include,
        rows: Sequence[Row],
        now_us: int,
    ) -> list[Row]:
        """The rows that one directive adds to these."""
        builder = Builder(context, now_us, self._hash_token, self.dialect)
        if directive.reverse:
            near, found, rows_from = "target", self.dialect.own("r", "x"), self.dialect.source_beside("r", "x")
            source = [row[0] for row in rows]
            kinds = builder.bind_all(sorted({row[1] for row in rows}))
            kind = f"x.target_type IN ({kinds}) AND r.type = {builder.bind(type_id(directive.source_type))}"
        else:
            near, found, rows_from = "pk", self.dialect.at("r", "= x.target"), self.dialect.source("r")
            source = [row[0] for row in rows if type_name(row[1]) == directive.source_type]
            kind = "r.type = x.target_type"
        if not source:
            return []
        conditions = [f"x.{near} IN ({builder.bind_all(source)})", found, kind, "r.deleted = 0"]
        if directive.parameter is not None:
            conditions.append(f"x.param = {builder.bind(directive.parameter.id)}")
        if directive.target is not None:
            conditions.append(f"x.target_type = {builder.bind(type_id(directive.target))}")
        return connection.execute(
            f"SELECT DISTINCT {_COLUMNS} FROM index_reference x CROSS JOIN {rows_from} CROSS JOIN history h"
            f" WHERE {' AND '.join(conditions)} AND {builder.scoped('r.type')} AND {builder.visible('r')}"
            f" AND {self._head}"
            f" ORDER BY r.pk LIMIT {INCLUDED_MAX}",
            builder.bound,
        ).fetchall()


def _about_patients(clauses: Sequence[Clause]) -> tuple[Clause, list[int]] | None:
    """The clause by which every match names one of some patients, and their keys: they narrow the token index."""
    for clause in clauses:
        if isinstance(clause, Match) and clause.parameter.kind == "reference":
            values = [value for value in clause.values if isinstance(value, Reference)]
            if values and all(value.types == ("Patient",) and value.id for value in values):
                return clause, [key_of("Patient", value.id) for value in values if value.id]
        if isinstance(clause, Compartment) and clause.type == "Patient":
            return clause, [key_of("Patient", clause.id)]
    return None


def _sort_keys(sort: Sequence[Sort]) -> list[Sort]:
    """The keys asked for and, last, the row's own key, so that the order is total."""
    return [*sort, Sort("pk", sort[-1].descending if sort else False)]


def _sort_expression(builder: Builder, sort: Sort) -> str:
    """The value to sort by; resources without one come last in either direction."""
    if sort.key == "pk":
        return "r.pk"
    if sort.key == "_lastUpdated":
        return "r.updated"
    if sort.key == "_id":
        return "r.id"
    parameter = sort.parameter
    assert parameter is not None, "a sort key is an indexed parameter or one of the above"
    column, last = {
        "date": ("high" if sort.descending else "low", FAR_PAST if sort.descending else FAR_FUTURE),
        "string": ("value", "" if sort.descending else "\U0010ffff"),
        "uri": ("value", "" if sort.descending else "\U0010ffff"),
        "number": ("value", -1e308 if sort.descending else 1e308),
        "quantity": ("value", -1e308 if sort.descending else 1e308),
    }[parameter.kind]
    x = builder.alias()
    best = "max" if sort.descending else "min"
    return (
        f"COALESCE((SELECT {best}({x}.{column}) FROM {TABLES[parameter.kind]} {x}"
        # The plus keeps SQLite from looking for the least of all rows of the parameter instead of this row's.
        f" WHERE {builder.dialect.own(x, 'r')} AND +{x}.param = {builder.bind(parameter.id)}), {builder.bind(last)})"
    )


def _after(
    builder: Builder, expressions: Sequence[str], keys: Sequence[Sort], place: Sequence[int | str | float]
) -> str:
    """Rows that come after the place: the lexicographic comparison, written out for mixed directions."""
    alternatives = []
    bound = [builder.bind(value) for value in place]
    for n, key in enumerate(keys):
        equal = [f"{expressions[m]} = {bound[m]}" for m in range(n)]
        alternatives.append(" AND ".join([*equal, f"{expressions[n]} {'<' if key.descending else '>'} {bound[n]}"]))
    return f"({' OR '.join(f'({alternative})' for alternative in alternatives)})"


def _fingerprint(search: Search) -> str:
    return repr((search.types, search.where, search.sort, search.includes))


def _version(row: Row) -> Version:
    return Version(type=type_name(row[1]), id=row[2], version=row[3], updated=row[4], method=PUT, body=row[5])


def _whose(connection: Connection, rows: Sequence[Row]) -> tuple[int, ...]:
    """The patients on a page. What a version names never changes, so the later question needs no snapshot."""
    found = {row[6] for row in rows if row[7]}
    for row in rows:
        if row[7] > 1:
            named = "SELECT patient FROM named_patient WHERE pk = ? AND version = ?"
            found |= {each[0] for each in connection.execute(named, (row[0], row[3]))}
    return tuple(found)


def patients_of(connection: Connection, keys: Sequence[int]) -> tuple[int, ...]:
    """The patients that the current versions of these resources name."""
    if not keys:
        return ()
    bound = ",".join("?" * len(keys))
    rows = connection.execute(
        f"SELECT patient FROM resource WHERE pk IN ({bound}) AND patient <> 0 UNION"
        " SELECT n.patient FROM named_patient n CROSS JOIN resource r"
        f" WHERE n.pk IN ({bound}) AND r.pk = n.pk AND n.version = r.version",
        [*keys, *keys],
    )
    return tuple(row[0] for row in rows)
