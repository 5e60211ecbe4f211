"""The sharing profile of Consent: what is accepted, read into rules; everything else is refused, never ignored.

FHIR R4 Consent; the profile is in docs/consent-semantics.md, "The profile".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from consent import times
from consent.contents import KeyOf
from consent.errors import ConsentIssue, Malformed, Unsupported
from consent.reading import HashToken, Reader, TypeId
from consent.rows import FAR_FUTURE, FAR_PAST
from consent.vocabulary import (
    ACT_CODE,
    ACT_REASON,
    CATEGORIES,
    CONFIDENTIALITY,
    CONFIDENTIALITY_SYSTEM,
    LABELS,
    LABELS_BELOW,
    OTHER_LABEL,
    PURPOSES_BELOW,
    RESOURCE_TYPES,
    SHAREABLE,
    SHARING_CATEGORY,
    SHARING_POLICY,
)

STATUSES = ("draft", "proposed", "active", "rejected", "inactive", "entered-in-error")
MAX_NESTED = 8

_ACTORS = ("Practitioner", "PractitionerRole", "Organization", "CareTeam", "RelatedPerson", "Device")


@dataclass(frozen=True, slots=True)
class Rule:
    """
    One provision, read. An empty set, 0 or the widest range means that the element is absent.

    actors      keys of the actors it names
    purposes    numbers, with everything below them in the hierarchy
    actions     mask of Action
    types       resource type names
    categories  ids of sharing categories
    ranks       of the confidentiality labels; labels is the mask of the sensitivity labels
    codes, instances   hashes of tokens, keys of resources
    valid, data        half-open ranges in microseconds
    """

    actors: frozenset[int]
    purposes: frozenset[int]
    actions: int
    types: frozenset[str]
    categories: frozenset[int]
    ranks: frozenset[int]
    labels: int
    codes: frozenset[int]
    instances: frozenset[int]
    valid: tuple[int, int]
    data: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Policy:
    """An active Consent, read: whose it is, its root rule and the denies nested in it."""

    patient: int
    root_type: str
    root: Rule
    nested: tuple[Rule, ...]


def status_of(consent: Mapping[str, Any]) -> str:
    """The status of the Consent; raises Malformed where R4 does not have it."""
    status = consent.get("status")
    if consent.get("resourceType") != "Consent" or status not in STATUSES:
        raise Malformed([ConsentIssue("code-invalid", "Consent.status", "the status is none that R4 has")])
    return str(status)


def read(consent: Mapping[str, Any], *, key_of: KeyOf, type_id: TypeId, hash_token: HashToken) -> Policy:
    """The rules of an active Consent; raises Malformed or Unsupported with every issue found."""
    reader = _Reader(key_of, type_id, hash_token)
    policy = reader.policy(consent)
    if reader.malformed:
        raise Malformed(reader.malformed)
    if reader.unsupported:
        raise Unsupported(reader.unsupported)
    return policy


class _Reader(Reader):
    """Reads one Consent from its root down."""

    def policy(self, consent: Mapping[str, Any]) -> Policy:
        self.only(consent, "Consent", "Consent")
        patient = self.reference(consent.get("patient"), ("Patient",), "Consent.patient")
        self.concept(consent.get("scope"), "scope", "Consent.scope")
        for path, concept in self.each(consent.get("category"), "Consent.category"):
            self.concept(concept, "category", path)
        base = self._base(consent)
        root = self.object(consent.get("provision"), "Consent.provision")
        root_type = self._root_type(root, base)
        nested = self._nested(root, root_type)
        rule = self._rule(root, "Consent.provision")
        if root_type == "permit" and not rule.actors:
            # Consent is given to recipients that are named (GDPR Art. 7; ICO): there is no permit to all the world.
            self.refuse("Consent.provision.actor", "a permit must name its recipients", "required")
        return Policy(patient, root_type, rule, nested)

    # The base policy and the type of the root

    def _base(self, consent: Mapping[str, Any]) -> str:
        """`permit` or `deny` as policyRule has it, or empty under our own policy."""
        if "policy" not in consent and "policyRule" not in consent:
            self.refuse("Consent.policy", "a policy or a policyRule is required (ppc-1)", "required")
        for path, policy in self.each(consent.get("policy", ()), "Consent.policy", required=False):
            self.only(policy, "policy", path)
            if policy.get("uri") != SHARING_POLICY:
                self.refuse(f"{path}.uri", f"the only policy known here is {SHARING_POLICY}")
        if "policyRule" not in consent:
            return ""
        return self.concept(consent["policyRule"], "policyRule", "Consent.policyRule")

    def _root_type(self, root: Mapping[str, Any], base: str) -> str:
        """R4 leaves the type of the root out, as the exception to its base policy; we ask for one where in doubt."""
        path = "Consent.provision.type"
        stated = root.get("type")
        if stated is None and base == "deny":
            return "permit"
        if stated is None:
            # Under OPTIN it would be an exception to a general permit that this server does not give.
            self.refuse(path, "state whether the rule is permit or deny", "required")
        elif stated not in ("permit", "deny"):
            self.broken(path, "neither permit nor deny", "code-invalid")
        return str(stated)

    def _nested(self, root: Mapping[str, Any], root_type: str) -> tuple[Rule, ...]:
        path = "Consent.provision.provision"
        provisions = list(self.each(root.get("provision", ()), path, required=False))
        if provisions and root_type != "permit":
            self.refuse(path, "a deny has no exceptions here")
        if len(provisions) > MAX_NESTED:
            self.refuse(path, f"more than {MAX_NESTED} exceptions", "too-costly")
            return ()
        for where, provision in provisions:
            if provision.get("type") != "deny":
                self.refuse(f"{where}.type", "an exception to a permit must be a deny")
            if "provision" in provision:
                self.refuse(f"{where}.provision", "exceptions to exceptions are not enforced here")
        return tuple(self._rule(provision, where) for where, provision in provisions)

    # One provision

    def _rule(self, provision: Mapping[str, Any], path: str) -> Rule:
        self.only(provision, "provision", path)
        types, categories = self._classes(provision, path)
        ranks, labels = self._labels(provision, path)
        return Rule(
            actors=frozenset(self._actors(provision, path)),
            purposes=self._purposes(provision, path),
            actions=self._actions(provision, path),
            types=types,
            categories=categories,
            ranks=ranks,
            labels=labels,
            codes=frozenset(self._codes(provision, path)),
            instances=frozenset(self._instances(provision, path)),
            valid=self._period(provision, "period", path),
            data=self._period(provision, "dataPeriod", path),
        )

    def _actors(self, provision: Mapping[str, Any], path: str) -> Iterator[int]:
        for where, actor in self.elements(provision, "actor", path):
            self.only(actor, "actor", where)
            self.concept(actor.get("role"), "role", f"{where}.role")
            yield self.reference(actor.get("reference"), _ACTORS, f"{where}.reference")

    def _purposes(self, provision: Mapping[str, Any], path: str) -> frozenset[int]:
        found: frozenset[int] = frozenset()
        for where, coding in self.elements(provision, "purpose", path):
            system, code = self.coding(coding, where)
            if system != ACT_REASON or code not in PURPOSES_BELOW:
                self.refuse(where, "a purpose that this server does not know", "code-invalid")
            found |= PURPOSES_BELOW.get(code, frozenset())
        return found

    def _actions(self, provision: Mapping[str, Any], path: str) -> int:
        mask = 0
        for where, concept in self.elements(provision, "action", path):
            mask |= int(self.concept(concept, "action", where) or 0)
        return mask

    def _classes(self, provision: Mapping[str, Any], path: str) -> tuple[frozenset[str], frozenset[int]]:
        types, categories = set(), set()
        for where, coding in self.elements(provision, "class", path):
            system, code = self.coding(coding, where)
            if system == SHARING_CATEGORY and code in SHAREABLE:
                categories.add(CATEGORIES[code])
            elif system == RESOURCE_TYPES and self.is_type(code):
                types.add(code)
            else:
                self.refuse(where, "neither a resource type nor a sharing category", "code-invalid")
        return frozenset(types), frozenset(categories)

    def _labels(self, provision: Mapping[str, Any], path: str) -> tuple[frozenset[int], int]:
        ranks, labels = set(), 0
        for where, coding in self.elements(provision, "securityLabel", path):
            system, code = self.coding(coding, where)
            if system == CONFIDENTIALITY_SYSTEM and code in CONFIDENTIALITY:
                ranks.add(CONFIDENTIALITY[code])
            elif system == ACT_CODE and LABELS.get(code, OTHER_LABEL) != OTHER_LABEL:
                labels |= LABELS_BELOW[code]
            else:
                self.refuse(where, "a label that this server does not know", "code-invalid")
        return frozenset(ranks), labels

    def _codes(self, provision: Mapping[str, Any], path: str) -> Iterator[int]:
        for where, concept in self.elements(provision, "code", path):
            self.only(concept, "CodeableConcept", where)
            for at, coding in self.each(concept.get("coding"), f"{where}.coding"):
                yield self.hash_token(*self.coding(coding, at))

    def _instances(self, provision: Mapping[str, Any], path: str) -> Iterator[int]:
        for where, data in self.elements(provision, "data", path):
            self.only(data, "data", where)
            if data.get("meaning") != "instance":
                self.refuse(f"{where}.meaning", "only single instances can be named")
            yield self.reference(data.get("reference"), None, f"{where}.reference")

    def _period(self, provision: Mapping[str, Any], name: str, path: str) -> tuple[int, int]:
        if name not in provision:
            return FAR_PAST, FAR_FUTURE
        value = self.object(provision[name], f"{path}.{name}")
        self.only(value, "Period", f"{path}.{name}")
        try:
            return times.period(value)
        except (ValueError, TypeError):
            self.broken(f"{path}.{name}", "not a period", "value")
            return FAR_PAST, FAR_FUTURE
