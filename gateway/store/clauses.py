"""Search clauses as SQL: each clause in two shapes, one that gathers keys from an index, one that probes a given row.

Only names of our own tables and bound parameters ever enter the text. Every hop to another resource (chains, `_has`)
carries the guard of that resource, so that nothing can be searched that could not be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from gateway.access import AccessContext
from gateway.r4.definitions import type_id
from gateway.r4.extract import normalised
from gateway.r4.identity import key_of
from gateway.r4.search_parameters import Parameter
from gateway.store import guard
from gateway.store.dialect import SQLITE, Dialect
from gateway.store.query import (
    Chain,
    Clause,
    Compartment,
    Composite,
    Has,
    Ids,
    LastUpdated,
    Match,
    Missing,
    Not,
    Number,
    Period,
    Prefix,
    Quantity,
    Reference,
    Text,
    Token,
    Uri,
    Value,
)

TABLES = {
    "token": "index_token",
    "string": "index_string",
    "date": "index_date",
    "number": "index_number",
    "quantity": "index_quantity",
    "reference": "index_reference",
    "uri": "index_uri",
}
_EXACT_LENGTH = 200
_AFTER_EVERY_TEXT = "\U0010ffff"


class Statement:
    """Collects bound values while the text of one guarded statement grows."""

    def __init__(self, context: AccessContext, now_us: int, dialect: Dialect = SQLITE) -> None:
        self.context = context
        self.dialect = dialect
        self.bound: guard.Parameters = guard.parameters(context, now_us)
        self._aliases = 0

    def bind(self, value: int | str | float) -> str:
        name = f"v{len(self.bound)}"
        self.bound[name] = value
        return ":" + name

    def bind_all(self, values: Iterable[int | str | float]) -> str:
        return ",".join(self.bind(value) for value in values) or "NULL"

    def alias(self) -> str:
        self._aliases += 1
        return f"t{self._aliases}"

    def readable(self, row: str, resource_type: str) -> str:
        """The guard for a row of this type: its scope, then consent."""
        scopes = self.context.scopes
        if not (scopes.permits(resource_type, "s") or scopes.permits(resource_type, "r")):
            return guard.NOTHING
        return self.visible(row)

    def visible(self, row: str, *, of: guard.Of = "current") -> str:
        """The guard for reading a row, whatever its type."""
        return guard.visible(row, self.context, of=of, partitioned=self.dialect.partitioned)

    def scoped(self, column: str) -> str:
        """The condition that the scopes cover rows whose type only the database knows."""
        readable = {scope.type for scope in self.context.scopes.scopes if scope.actions & {"r", "s"}}
        if "*" in readable:
            return guard.EVERYTHING
        return f"{column} IN ({self.bind_all(type_id(kind) for kind in sorted(readable))})"


class Builder(Statement):
    """A statement that can say clauses."""

    def __init__(
        self, context: AccessContext, now_us: int, hash_token: Callable[[str], int], dialect: Dialect = SQLITE
    ) -> None:
        super().__init__(context, now_us, dialect)
        self.hash_token = hash_token

    # -- one clause, as a condition on a row of Resource ---------------------------------------------------------

    def probe(self, clause: Clause, row: str) -> str:
        """A condition that is true where the row fits the clause."""
        match clause:
            case Match():
                x = self.alias()
                table = self._source(clause.parameter, x)
                # A resource has few values of a parameter; IS TRUE keeps planners from walking everybody's instead.
                fits = f"{self._of(clause.parameter, x)} AND ({self._any_value(clause, x)}) IS TRUE"
                own = self.dialect.own(x, row)
                return self.dialect.probed(f"EXISTS (SELECT 1 FROM {table} WHERE {own} AND {fits})")
            case Missing():
                x = self.alias()
                table = self._source(clause.parameter, x)
                own = self.dialect.own(x, row)
                found = f"EXISTS (SELECT 1 FROM {table} WHERE {own} AND {self._of(clause.parameter, x)})"
                return f"NOT {found}" if clause.missing else found
            case Not():
                return f"NOT {self.probe(clause.clause, row)}"
            case Ids():
                return f"{row}.id IN ({self.bind_all(clause.ids)})"
            case LastUpdated():
                return _any(_range(value, f"{row}.updated", f"{row}.updated + 1", self.bind) for value in clause.values)
            case Chain():
                chained = clause.parameter
                return _any(self._chain_probe(chained, kind, inner, row) for kind, inner in clause.alternatives)
            case Has():
                t, x = self.alias(), self.alias()
                return self.dialect.probed(
                    f"EXISTS (SELECT 1 FROM index_reference {x} CROSS JOIN {self.dialect.source_beside(t, x)}"
                    f" WHERE {x}.param = {self.bind(clause.parameter.id)} AND {x}.target = {row}.pk"
                    f" AND {x}.target_type = {row}.type"
                    f" AND {self.dialect.own(t, x)} AND {self._live(t, clause.parameter.type)}"
                    f" AND {self.probe(clause.clause, t)})"
                )
            case Compartment():
                x = self.alias()
                inside = (
                    f"EXISTS (SELECT 1 FROM index_reference {x} WHERE {self.dialect.own(x, row)}"
                    f" AND {self._in_compartment(clause, x)})"
                )
                return f"({inside} OR {row}.pk = {self._compartment_key(clause)})" if clause.includes_self else inside

    def gather(self, clause: Clause, resource_type: str, patients: Sequence[int] = ()) -> str | None:
        """
        A SELECT of the keys of the rows that may fit the clause, or None where no index can list them.

        patients  keys of patients of whom every fitting row is known to name one: narrows the token index, and where
                  the tables are partitioned every index
        """
        match clause:
            case Match():
                x = self.alias()
                narrowed = self._in_partitions(x, patients)
                if patients and clause.parameter.kind == "token" and resource_type != "Patient":
                    people = self.bind_all(patients)
                    narrowed = f" AND {x}.patient IN ({people}) AND {x}.patient <> 0 AND {x}.patient <> {x}.pk"
                table = self._source(clause.parameter, x)
                return f"SELECT {x}.pk FROM {table} WHERE {self._fits(clause, x)}{narrowed}"
            case Ids():
                return _values(self.bind(key_of(resource_type, logical_id)) for logical_id in clause.ids)
            case Chain():
                hops = [self._chain_gather(clause.parameter, kind, inner) for kind, inner in clause.alternatives]
                known = [hop for hop in hops if hop is not None]
                return " UNION ".join(known) if len(known) == len(hops) else None
            case Has():
                t, x = self.alias(), self.alias()
                keys = self.gather(clause.clause, clause.parameter.type)
                if keys is None:
                    return None
                driven = self.dialect.driven(t, keys)
                return (
                    f"SELECT {x}.target FROM {self.dialect.source(t)} CROSS JOIN index_reference {x} WHERE {driven}"
                    f" AND {self.dialect.own(x, t)} AND {x}.param = {self.bind(clause.parameter.id)}"
                    f" AND {x}.target_type = {self.bind(type_id(resource_type))}"
                    f" AND {self._live(t, clause.parameter.type)} AND {self.probe(clause.clause, t)}"
                )
            case Compartment():
                x = self.alias()
                within = self._in_compartment(clause, x) + self._in_partitions(x, patients)
                inside = f"SELECT {x}.pk FROM index_reference {x} WHERE {within}"
                return f"{inside} UNION SELECT {self._compartment_key(clause)}" if clause.includes_self else inside
            case _:
                return None

    # -- parts -----------------------------------------------------------------------------------------------------

    def _in_partitions(self, x: str, patients: Sequence[int]) -> str:
        # Each patient that a resource names has all its index rows.
        if not (patients and self.dialect.partitioned):
            return ""
        return f" AND {x}.patient IN ({self.bind_all(patients)})"

    def _live(self, row: str, resource_type: str) -> str:
        kind = self.bind(type_id(resource_type))
        return f"+{row}.type = {kind} AND {row}.deleted = 0 AND {self.readable(row, resource_type)}"

    def _chain_probe(self, parameter: Parameter, kind: str, inner: Clause, row: str) -> str:
        t, x = self.alias(), self.alias()
        return self.dialect.probed(
            f"EXISTS (SELECT 1 FROM index_reference {x} CROSS JOIN {self.dialect.source(t)}"
            f" WHERE {self.dialect.own(x, row)} AND {x}.param = {self.bind(parameter.id)}"
            f" AND {self.dialect.at(t, f'= {x}.target')} AND {x}.target_type = {t}.type"
            f" AND {self._live(t, kind)} AND {self.probe(inner, t)})"
        )

    def _chain_gather(self, parameter: Parameter, kind: str, inner: Clause) -> str | None:
        t, x = self.alias(), self.alias()
        keys = self.gather(inner, kind)
        if keys is None:
            return None
        driven = self.dialect.driven(t, keys)
        return (
            f"SELECT {x}.pk FROM {self.dialect.source(t)} CROSS JOIN index_reference {x} WHERE {driven}"
            f" AND {x}.param = {self.bind(parameter.id)} AND {x}.target = {t}.pk AND {x}.target_type = {t}.type"
            f" AND {self._live(t, kind)} AND {self.probe(inner, t)}"
        )

    def _in_compartment(self, clause: Compartment, x: str) -> str:
        params = ",".join(str(parameter.id) for parameter in clause.parameters) or "NULL"
        kind = self.bind(type_id(clause.type))
        return f"{x}.param IN ({params}) AND {x}.target = {self._compartment_key(clause)} AND {x}.target_type = {kind}"

    def _compartment_key(self, clause: Compartment) -> str:
        return self.bind(key_of(clause.type, clause.id))

    def _source(self, parameter: Parameter, x: str) -> str:
        """The FROM of a parameter: its index table, or for a composite the tables of its components, row by row."""
        if parameter.kind != "composite":
            return f"{TABLES[parameter.kind]} {x}"
        first, *others = parameter.parts
        joined = "".join(f" CROSS JOIN {TABLES[part.kind]} {x}_{n}" for n, part in enumerate(others, start=1))
        return f"{TABLES[first.kind]} {x}{joined}"

    def _of(self, parameter: Parameter, x: str) -> str:
        """The condition that the source's rows belong to the parameter."""
        if parameter.kind != "composite":
            return f"{x}.param = {self.bind(parameter.id)}"
        first, *others = parameter.parts
        parts = [f"{x}.param = {self.bind(first.id)}"]
        for n, part in enumerate(others, start=1):
            y = f"{x}_{n}"
            parts.append(f"{self.dialect.own(y, x)} AND {y}.item = {x}.item AND {y}.param = {self.bind(part.id)}")
        return " AND ".join(parts)

    def _fits(self, clause: Match, x: str) -> str:
        return f"{self._of(clause.parameter, x)} AND {self._any_value(clause, x)}"

    def _any_value(self, clause: Match, x: str) -> str:
        return _any(self._value(value, x) for value in clause.values)

    def _value(self, value: Value, x: str) -> str:
        match value:
            case Token():
                return self._token(value, x)
            case Text():
                return self._text(value, x)
            case Period():
                return _range(value, f"{x}.low", f"{x}.high", self.bind)
            case Number():
                return _number(value, f"{x}.value", self.bind)
            case Quantity():
                parts = [_number(value.number, f"{x}.value", self.bind)]
                if value.code is not None:
                    parts.append(f"{x}.unit = {self.bind(self.hash_token('c' + value.code))}")
                if value.system:
                    parts.append(f"{x}.system = {self.bind(self.hash_token('s' + value.system))}")
                return f"({' AND '.join(parts)})"
            case Reference():
                return self._reference(value, x)
            case Uri():
                return f"{x}.value = {self.bind(value.value)}"
            case Composite():
                conditions = [self._value(part, x if n == 0 else f"{x}_{n}") for n, part in enumerate(value.parts)]
                return f"({' AND '.join(conditions)})"

    def _token(self, value: Token, x: str) -> str:
        parts = []
        if value.code is not None:
            parts.append(f"{x}.value = {self.bind(self.hash_token('c' + value.code))}")
        if value.system is not None:
            system = self.hash_token("s" + value.system) if value.system else 0
            parts.append(f"{x}.system = {self.bind(system)}")
        return f"({' AND '.join(parts)})"

    def _text(self, value: Text, x: str) -> str:
        if value.mode == "exact":
            return (
                f"({x}.value = {self.bind(normalised(value.value))}"
                f" AND {x}.exact = {self.bind(value.value[:_EXACT_LENGTH])})"
            )
        text = normalised(value.value)
        if value.mode == "contains":
            escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
            return f"{x}.value LIKE {self.bind(f'%{escaped}%')} ESCAPE '\\'"
        return f"({x}.value >= {self.bind(text)} AND {x}.value < {self.bind(text + _AFTER_EVERY_TEXT)})"

    def _reference(self, value: Reference, x: str) -> str:
        if value.url is not None:
            return f"({x}.target_type = 0 AND {x}.target = {self.bind(self.hash_token('u' + value.url))})"
        assert value.id is not None, "a reference value has an id or a url"
        keys = self.bind_all(dict.fromkeys(key_of(kind, value.id) for kind in value.types))
        kinds = self.bind_all(type_id(kind) for kind in value.types)
        return f"({x}.target IN ({keys}) AND {x}.target_type IN ({kinds}))"


def _any(conditions: Iterable[str]) -> str:
    found = list(conditions)
    return found[0] if len(found) == 1 else f"({' OR '.join(found) or '1=0'})"


def _values(bound: Iterable[str]) -> str:
    return " UNION ALL ".join(f"SELECT {value}" for value in bound) or "SELECT CAST(NULL AS BIGINT)"


def _range(value: Period, low: str, high: str, bind: Callable[[int], str]) -> str:
    """R4 section 3.1.1.4.5: a stored range [low, high) against the range that the client's precision spans."""
    start, end = bind(value.low), bind(value.high)
    within = f"({low} >= {start} AND {low} < {end} AND {high} <= {end})"
    match value.prefix:
        case Prefix.EQ:
            return within
        case Prefix.NE:
            return f"NOT {within}"
        case Prefix.GT:
            return f"{high} > {end}"
        case Prefix.LT:
            return f"{low} < {start}"
        case Prefix.GE:
            # What follows already from the alternatives is said as well, for an index to begin at.
            return f"({high} > {start} AND ({high} > {end} OR {within}) IS TRUE)"
        case Prefix.LE:
            return f"({low} < {end} AND ({low} < {start} OR {within}) IS TRUE)"
        case Prefix.SA:
            return f"{low} >= {end}"
        case Prefix.EB:
            return f"{high} <= {start}"
        case Prefix.AP:
            return f"({low} < {end} AND {high} > {start})"


def _number(value: Number, column: str, bind: Callable[[float], str]) -> str:
    """R4 section 3.1.1.4.6: equality spans the precision given, the other comparisons take the number exactly."""
    match value.prefix:
        case Prefix.EQ | Prefix.AP:
            return f"({column} >= {bind(value.low)} AND {column} < {bind(value.high)})"
        case Prefix.NE:
            return f"({column} < {bind(value.low)} OR {column} >= {bind(value.high)})"
        case Prefix.GT | Prefix.SA:
            return f"{column} > {bind(value.value)}"
        case Prefix.LT | Prefix.EB:
            return f"{column} < {bind(value.value)}"
        case Prefix.GE:
            return f"{column} >= {bind(value.value)}"
        case Prefix.LE:
            return f"{column} <= {bind(value.value)}"
