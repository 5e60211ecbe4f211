"""An active Consent to grant and deny rows, in the transaction that writes it (docs/consent-semantics.md, "The rows").

Each reading errs on the side of less access: a permit covers only what it fully describes, a deny all it may touch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Any, NamedTuple, TypeVar

from consent.categories import possible_categories
from consent.contents import KeyOf
from consent.errors import ConsentIssue, Unsupported
from consent.profile import Policy, Rule, read, status_of
from consent.reading import HashToken, TypeId
from consent.rows import CompiledConsent, Deny, Grant
from consent.vocabulary import (
    ALL_ACTIONS,
    ALL_BUT_CONSENTS,
    ANYONE,
    DEFAULT_PURPOSES,
    HIGHEST,
    MIXED,
    OTHER_LABEL,
    Action,
    bits,
)

MAX_ROWS = 512
Row = TypeVar("Row", Grant, Deny)


class Content(NamedTuple):
    """What a row is about; 0 = any."""

    type: int
    category: int
    code: int
    instance: int


def compile(consent: Mapping[str, Any], *, key_of: KeyOf, type_id: TypeId, hash_token: HashToken) -> CompiledConsent:
    """
    The rows of a Consent: none unless it is active, so that withdrawing always succeeds.

    key_of      the key of a type and a logical id
    type_id     the number of a resource type; KeyError for an unknown one
    hash_token  the hash of a system and a code, as the token index holds it
    raises      Malformed, Unsupported with their issues
    """
    status = status_of(consent)
    if status != "active":
        return CompiledConsent([], [], status)
    policy = read(consent, key_of=key_of, type_id=type_id, hash_token=hash_token)
    if policy.root_type == "deny":
        return CompiledConsent([], _bounded(_root_denies(policy, type_id)), status, "deny")
    grants = _bounded(_grants(policy, type_id))
    nested = (
        row
        for index, rule in enumerate(policy.nested)
        for row in _nested_denies(policy, rule, f"Consent.provision.provision[{index}]", type_id)
    )
    return CompiledConsent(grants, _bounded(nested, len(grants)), status, "permit")


def _bounded(rows: Iterable[Row], already: int = 0) -> list[Row]:
    """The rows without repeats; Unsupported as soon as there are too many."""
    kept: dict[Row, None] = {}
    for row in rows:
        kept[row] = None
        if len(kept) + already > MAX_ROWS:
            issue = ConsentIssue("too-costly", "Consent.provision", f"it needs more than {MAX_ROWS} rules")
            raise Unsupported([issue])
    return list(kept)


def _grants(policy: Policy, type_id: TypeId) -> Iterator[Grant]:
    rule = policy.root
    contents = product(_covered(rule, type_id), rule.codes or (0,), rule.instances or (0,))
    for actor, ((type_number, categories), code, instance) in product(sorted(rule.actors), list(contents)):
        yield Grant(
            patient=policy.patient,
            actor=actor,
            purposes=bits(rule.purposes or DEFAULT_PURPOSES),
            type=type_number,
            categories=categories,
            code=code,
            max_confidentiality=max(rule.ranks, default=HIGHEST),
            label_mask=rule.labels,
            data_from=rule.data[0],
            data_to=rule.data[1],
            valid_from=rule.valid[0],
            valid_to=rule.valid[1],
            actions=rule.actions or Action.READ,
            author=0,
            instance=instance,
        )


def _covered(rule: Rule, type_id: TypeId) -> list[tuple[int, int]]:
    """The types and sets of categories that a permit covers: of a type, every category that it can have of itself."""
    covered = [(type_id(name), bits(possible_categories(name))) for name in sorted(rule.types)]
    if rule.categories:
        covered.append((0, bits(rule.categories)))
    return covered or [(0, ALL_BUT_CONSENTS)]


def _root_denies(policy: Policy, type_id: TypeId) -> Iterator[Deny]:
    rule = policy.root
    contents = _touched([_selected(rule, type_id)])
    for actor, purpose, content, (rank, mask) in product(
        sorted(rule.actors) or (ANYONE,), sorted(rule.purposes) or (0,), contents, _denied_labels(rule)
    ):
        yield Deny(
            patient=policy.patient,
            actor=actor,
            root_actor=actor,
            purpose=purpose,
            type=content.type,
            category=content.category,
            code=content.code,
            min_confidentiality=rank,
            label_mask=mask,
            data_from=rule.data[0],
            data_to=rule.data[1],
            valid_from=rule.valid[0],
            valid_to=rule.valid[1],
            actions=_denied_actions(rule.actions or ALL_ACTIONS),
            instance=content.instance,
        )


def _nested_denies(policy: Policy, rule: Rule, path: str, type_id: TypeId) -> Iterator[Deny]:
    """An exception applies where its root applies: both sets of conditions hold, some actor matches each."""
    root = policy.root
    permitted = root.purposes or DEFAULT_PURPOSES
    purposes = rule.purposes & permitted if rule.purposes else permitted
    actions = _denied_actions(rule.actions or ALL_ACTIONS) & _denied_actions(root.actions or Action.READ)
    valid, data = _both(root.valid, rule.valid), _both(root.data, rule.data)
    contents = _touched([_selected(root, type_id), _selected(rule, type_id)])
    if root.codes and not rule.codes <= root.codes:
        why = "the codes of an exception must be among those of the permit"
        raise Unsupported([ConsentIssue("not-supported", f"{path}.code", why)])
    if not (purposes and actions and valid[0] < valid[1] and data[0] < data[1] and contents):
        why = "this exception can never apply to the permit it stands in; file an opt-out instead"
        raise Unsupported([ConsentIssue("business-rule", path, why)])
    for root_actor, actor, purpose, content, (rank, mask) in product(
        sorted(root.actors),
        sorted(rule.actors) or (ANYONE,),
        sorted(purposes),
        contents,
        _denied_labels(rule),
    ):
        yield Deny(
            patient=policy.patient,
            actor=actor,
            root_actor=root_actor,
            purpose=purpose,
            type=content.type,
            category=content.category,
            code=content.code,
            min_confidentiality=rank,
            label_mask=mask,
            data_from=data[0],
            data_to=data[1],
            valid_from=valid[0],
            valid_to=valid[1],
            actions=actions,
            instance=content.instance,
        )


def _selected(rule: Rule, type_id: TypeId) -> list[Content]:
    classes = [(type_id(name), 0) for name in sorted(rule.types)]
    classes += [(0, each) for each in sorted(rule.categories)]
    return [
        Content(type_number, category, code, instance)
        for (type_number, category), code, instance in product(
            classes or [(0, 0)], sorted(rule.codes) or (0,), sorted(rule.instances) or (0,)
        )
    ]


def _touched(selections: list[list[Content]]) -> list[Content]:
    """
    What a deny is about: whatever fits every selection.

    A deny about a part of the record holds for `mixed` resources too, since what it denies may be inside them.
    Empty where no resource can fit them all.
    """
    fitting = {met for parts in product(*selections) if (met := _meet(parts)) is not None}
    if not fitting:
        return []
    narrowed = any(part != Content(0, 0, 0, 0) for parts in selections for part in parts)
    return sorted(fitting | {Content(0, MIXED, 0, 0)} if narrowed else fitting)


def _meet(parts: Iterable[Content]) -> Content | None:
    """The selector that holds where all parts hold: dimension by dimension, at most one value besides `any`."""
    values = [set(dimension) - {0} for dimension in zip(*parts, strict=True)]
    if any(len(found) > 1 for found in values):
        return None
    return Content(*(max(found, default=0) for found in values))


def _denied_labels(rule: Rule) -> list[tuple[int, int]]:
    """(lowest rank, label mask) alternatives. An unknown label may be any of those named, so it counts as one."""
    alternatives = [(min(rule.ranks), 0)] if rule.ranks else []
    if rule.labels:
        alternatives.append((0, rule.labels | OTHER_LABEL))
    return alternatives or [(0, 0)]


def _denied_actions(actions: int) -> int:
    """What must not be read must not be passed on either."""
    return actions | Action.DISCLOSE if actions & Action.READ else actions


def _both(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    return max(one[0], other[0]), min(one[1], other[1])
