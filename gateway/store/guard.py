"""The predicate that says which rows a context may see or write: scope, consent and care relationships inside SQL.

The one place where access is decided for the database (architecture rules 4 and 5; docs/consent-semantics.md). Deny
overrides, the default is deny, and every patient that a row names must permit. The text depends only on the shape of
the context, so prepared statements are shared; what differs between contexts is in the parameters.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

from gateway.access import AccessContext
from gateway.r4.search_parameters import PARAMETERS

READ, WRITE, DISCLOSE = 1, 2, 4

NOTHING = "1=0"
EVERYTHING = "1=1"

Parameters = dict[str, int | str | float]

# A permit by code is about the resource's own code, a deny about those of its components too.
OWN_CODES = frozenset(
    found["code"].id for found in PARAMETERS.values() if "code" in found and found["code"].kind == "token"
)
INNER_CODES = OWN_CODES | {found["combo-code"].id for found in PARAMETERS.values() if "combo-code" in found}

Of = Literal["current", "past", "new"]


def visible(
    row: str, context: AccessContext, action: int = READ, *, of: Of = "current", partitioned: bool = False
) -> str:
    """
    The predicate over the fact columns of `row`: an alias of Resource (current), of History (past), or of a row that
    is about to be written (new; its codes are bound as `new_own_codes` and `new_inner_codes`: `,12,34,`).

    Bind it with `parameters(context, now)`.

    partitioned  see `gateway.store.dialect.Dialect`
    """
    if context.bypass:
        return EVERYTHING
    return _predicate(
        row, len(context.actors), len(context.named), action, context.patient is not None, of, partitioned
    )


def parameters(context: AccessContext, now_us: int) -> Parameters:
    """The values that `visible` and `granted_patients` refer to, in a new dictionary."""
    return {**_who(context.purpose, context.actors, context.named, context.patient), "guard_now": now_us}


def granted_patients(context: AccessContext) -> str:
    """The patients with some grant for this context now: the rows that a grants-driven query starts from."""
    return (
        "SELECT g.patient FROM grant_row g"
        f" WHERE g.actor IN ({_list('guard_actor', len(context.actors))}) AND (g.purposes & :guard_purposes) <> 0"
        " AND g.valid_from <= :guard_now AND :guard_now < g.valid_to"
    )


@lru_cache(maxsize=1024)
def _predicate(row: str, actors: int, named: int, action: int, confined: bool, of: Of, partitioned: bool) -> str:
    own = _list("guard_actor", actors)
    one = _permits(f"{row}.patient", row, actors, named, action, of, partitioned)
    each = _permits("n.patient", row, actors, named, action, of, partitioned)
    # What names no patient is open to all, or its author's; only its author may change it.
    unnamed = f"{row}.author IN ({own})" if action == WRITE else f"({row}.open = 1 OR {row}.author IN ({own}))"
    predicate = (
        f"(({row}.patients = 1 AND {one})"
        f" OR ({row}.patients = 0 AND {unnamed})"
        f" OR ({row}.patients > 1 AND {row}.patients = (SELECT count(*) FROM named_patient n"
        f" WHERE n.pk = {row}.pk AND n.version = {row}.version AND {each})))"
    )
    if confined:
        predicate = f"({predicate} AND {row}.patients <= 1 AND {row}.patient IN (0, :guard_confined))"
    return predicate


def _permits(patient: str, row: str, actors: int, named: int, action: int, of: Of, partitioned: bool) -> str:
    grant = (
        f"EXISTS (SELECT 1 FROM grant_row g WHERE g.patient = {patient}"
        f" AND g.actor IN ({_list('guard_actor', actors)}) AND (g.purposes & :guard_purposes) <> 0"
        f" AND (g.author = 0 OR g.author = {row}.author)"
        f" AND (g.categories & (1 << CAST({row}.category AS INTEGER))) <> 0"
        f" AND {row}.confidentiality <= g.max_confidentiality"
        f" AND (g.label_mask = 0 OR ({row}.labels <> 0 AND ({row}.labels & ~g.label_mask) = 0))"
        f" AND g.data_from <= {row}.effective_from AND {row}.effective_to <= g.data_to"
        f" AND {_same_subject('g', row, action)}"
        f" AND {_same_code('g', row, 'own', of, partitioned)})"
    )
    deny = (
        f"EXISTS (SELECT 1 FROM deny_row d WHERE d.patient = {patient}"
        f" AND d.actor IN ({_list('guard_named', named)}) AND d.root_actor IN ({_list('guard_named', named)})"
        " AND (d.purpose = 0 OR d.purpose = :guard_purpose)"
        f" AND (d.category = 0 OR d.category = {row}.category)"
        f" AND d.min_confidentiality <= {row}.confidentiality"
        f" AND (d.label_mask = 0 OR (d.label_mask & {row}.labels) <> 0)"
        f" AND d.data_from < {row}.effective_to AND {row}.effective_from < d.data_to"
        f" AND {_same_subject('d', row, action)}"
        f" AND {_same_code('d', row, 'inner', of, partitioned)})"
    )
    return f"({grant} AND NOT {deny})"


def _same_subject(rule: str, row: str, action: int) -> str:
    """The part that grants and denies share: in force, about this action, type and instance."""
    return (
        f"({rule}.actions & {action}) <> 0"
        f" AND {rule}.valid_from <= :guard_now AND :guard_now < {rule}.valid_to"
        f" AND ({rule}.type = 0 OR {rule}.type = {row}.type)"
        f" AND ({rule}.instance = 0 OR {rule}.instance = {row}.pk)"
    )


def _same_code(rule: str, row: str, which: Literal["own", "inner"], of: Of, partitioned: bool) -> str:
    """Whether the version carries the rule's code; versions that are past or deleted have left the token index."""
    if of == "new":
        return f"({rule}.code = 0 OR :new_{which}_codes LIKE '%,' || CAST({rule}.code AS TEXT) || ',%')"
    parameters = ",".join(map(str, sorted(OWN_CODES if which == "own" else INNER_CODES)))
    past = (
        f"EXISTS (SELECT 1 FROM past_code c WHERE c.pk = {row}.pk AND c.version = {row}.version"
        f" AND c.param IN ({parameters}) AND c.code = {rule}.code)"
    )
    if of == "past":
        return f"({rule}.code = 0 OR {past})"
    same_partition = f" AND c.patient = {row}.patient" if partitioned else ""
    now = (
        f"EXISTS (SELECT 1 FROM index_token c WHERE c.pk = {row}.pk{same_partition}"
        f" AND c.param IN ({parameters}) AND c.value - c.system = {rule}.code)"
    )
    return f"({rule}.code = 0 OR {now} OR {past})"


@lru_cache(maxsize=4096)
def _who(purpose: int, actors: tuple[int, ...], named: tuple[int, ...], patient: int | None) -> Parameters:
    bound: Parameters = {"guard_purpose": int(purpose), "guard_purposes": 1 << purpose}
    bound.update(zip(_names("guard_actor", len(actors)), actors, strict=True))
    bound.update(zip(_names("guard_named", len(named)), named, strict=True))
    if patient is not None:
        bound["guard_confined"] = patient
    return bound


@lru_cache(maxsize=256)
def _names(name: str, length: int) -> tuple[str, ...]:
    return tuple(f"{name}_{n}" for n in range(length))


def _list(name: str, length: int) -> str:
    return ",".join(f":{each}" for each in _names(name, length)) or "NULL"
