"""Who may, straight from the Consents as written: the oracle that compiled rows and SQL are tested against.

It reads the JSON at every question and shares no code with the compiler beyond dates and vocabulary, so that a
mistake in one is seen by the other. The rules are numbered as in docs/consent-semantics.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from consent import times
from consent.contents import KeyOf
from consent.requests import Decision, Request, ResourceFacts
from consent.vocabulary import (
    ANYONE,
    CATEGORIES,
    CONFIDENTIALITY,
    CONSENT_CATEGORY,
    LABEL_PARENTS,
    LABELS,
    MIXED,
    OTHER_LABEL,
    PURPOSE_PARENTS,
    PURPOSES,
    Action,
)

Node = Mapping[str, Any]

_ACTIONS = {"access": Action.READ, "collect": Action.WRITE, "disclose": Action.DISCLOSE}
_CODE_OF_CATEGORY = {number: code for code, number in CATEGORIES.items()}


@dataclass(frozen=True, slots=True)
class Relationship:
    """A care relationship: organisation and patient by key, valid over a half-open range of microseconds."""

    organization: int
    patient: int
    valid_from: int
    valid_to: int


def decide(
    request: Request,
    resource: ResourceFacts,
    consents: Collection[Node],
    relationships: Collection[Relationship] = (),
    restricted: Collection[int] = (),
    engines: Collection[tuple[int, int]] = (),
    *,
    key_of: KeyOf,
) -> Decision:
    """
    The decision, with its reason.

    consents       as stored, of any patient and status; those that are active fit the profile
    restricted     keys of patients under a restriction of processing
    engines        (patient, device) by key, for each patient who activated the plan engine
    """
    if not resource.patients:
        return _about_nobody(request, resource)
    if any(patient in restricted for patient in resource.patients):
        return Decision(False, "denied")
    world = _World(request, resource, key_of)
    of_each = {patient: [c for c in consents if world.is_active_for(patient, c)] for patient in resource.patients}
    if any(world.denied_by(consent) for active in of_each.values() for consent in active):
        return Decision(False, "denied")
    for patient, active in of_each.items():
        permits = (
            world.is_own(patient),
            any(world.related_by(each, patient) for each in relationships),
            any(world.engine_of(patient, *each) for each in engines),
            any(world.permitted_by(consent) for consent in active),
        )
        if not any(permits):
            return Decision(False, "not-permitted")
    return Decision(True, "permitted")


def _about_nobody(request: Request, resource: ResourceFacts) -> Decision:
    """Rule 8: what concerns no patient is open by its type, or belongs to the organisation that wrote it."""
    if resource.author != 0 and resource.author in request.actors:
        return Decision(True, "own-author")
    if resource.open and request.action is not Action.WRITE:
        return Decision(True, "open")
    return Decision(False, "not-open")


class _World:
    """One request for one resource, against which consents are read."""

    def __init__(self, request: Request, resource: ResourceFacts, key_of: KeyOf) -> None:
        self.request = request
        self.resource = resource
        self.key_of = key_of

    def is_active_for(self, patient: int, consent: Node) -> bool:
        return consent["status"] == "active" and self._key(consent["patient"]) == patient

    # Rules 1 and 5(b): access without a consent

    def is_own(self, patient: int) -> bool:
        """The patient at their own request; what they may do is read and write."""
        return (
            self.request.subject == patient
            and self.request.purpose == PURPOSES["PATRQT"]
            and self.request.action in (Action.READ, Action.WRITE)
        )

    def related_by(self, relationship: Relationship, patient: int) -> bool:
        resource, request = self.resource, self.request
        if relationship.patient != patient or relationship.organization not in request.named:
            return False
        if not relationship.valid_from <= request.now_us < relationship.valid_to:
            return False
        if "TREAT" not in _above(_purpose_code(request.purpose), PURPOSE_PARENTS):
            return False
        if resource.category == CATEGORIES["demographics"] and request.action is Action.READ:
            return True
        is_own = resource.author == relationship.organization and request.action in (Action.READ, Action.WRITE)
        return is_own and resource.category in [CATEGORIES[code] for code in ("demographics", "record", "consent")]

    def engine_of(self, patient: int, activated_by: int, device: int) -> bool:
        """The plan engine reads all but consents and writes answers' scores, sensor data and plans."""
        resource, request = self.resource, self.request
        if activated_by != patient or device not in request.named or request.purpose != PURPOSES["TREAT"]:
            return False
        if request.action is Action.READ:
            return resource.category != CONSENT_CATEGORY
        made = [CATEGORIES[code] for code in ("prom", "prem", "sensor", "plan", "mixed")]
        return request.action is Action.WRITE and resource.category in made

    # Rules 3 and 4: what a consent permits and denies

    def permitted_by(self, consent: Node) -> bool:
        """The root permit describes this request and all of this resource."""
        root = consent["provision"]
        if self._type(root) != "permit":
            return False
        return (
            self._names(root)
            and self._is_for_purpose(root, if_absent=_is_treatment(self.request.purpose))
            and self.request.action in self._actions(root, if_absent=[Action.READ])
            and self._is_in_force(root)
            and self._covers_content(root)
            and self._covers_labels(root)
            and _within(self.resource.effective, _range(root, "dataPeriod"))
        )

    def denied_by(self, consent: Node) -> bool:
        root = consent["provision"]
        if self._type(root) == "deny":
            return self._forbids([root]) and self._touches_labels(root)
        # The root must apply to the request as well; its permit is for treatment where it names no purpose.
        applies = self._is_for_purpose(root, if_absent=_is_treatment(self.request.purpose))
        passed_on = self.request.action in _closed(self._actions(root, if_absent=[Action.READ]))
        return (
            applies
            and passed_on
            and any(
                self._forbids([root, nested]) and self._touches_labels(nested) for nested in root.get("provision", [])
            )
        )

    def _forbids(self, chain: list[Node]) -> bool:
        """Every provision of the chain, read widely, fits the request and touches the resource."""
        innermost = chain[-1]
        if self.request.action not in _closed(self._actions(innermost, if_absent=list(Action))):
            return False
        windows = [_range(each, "dataPeriod") for each in chain]
        window = max(low for low, _ in windows), min(high for _, high in windows)
        return _overlap(self.resource.effective, window) and all(
            self._names(each)
            and self._is_for_purpose(each, if_absent=True)
            and self._is_in_force(each)
            and self._touches_content(each)
            for each in chain
        )

    # Elements about the request

    def _type(self, root: Node) -> str:
        # The profile accepts a root without a type only under an opt-out, whose exception is a permit.
        return str(root.get("type", "permit"))

    def _names(self, provision: Node) -> bool:
        if "actor" not in provision:
            return ANYONE in self.request.named
        return any(self._key(actor["reference"]) in self.request.named for actor in provision["actor"])

    def _is_for_purpose(self, provision: Node, *, if_absent: bool) -> bool:
        if "purpose" not in provision:
            return if_absent
        served = _above(_purpose_code(self.request.purpose), PURPOSE_PARENTS)
        return any(coding["code"] in served for coding in provision["purpose"])

    def _actions(self, provision: Node, *, if_absent: list[Action]) -> list[Action]:
        if "action" not in provision:
            return if_absent
        return [_ACTIONS[concept["coding"][0]["code"]] for concept in provision["action"]]

    def _is_in_force(self, provision: Node) -> bool:
        low, high = _range(provision, "period")
        return low <= self.request.now_us < high

    # Elements about the resource

    def _covers_content(self, provision: Node) -> bool:
        return (
            self._covers_class(provision)
            and ("code" not in provision or not self.resource.codes.isdisjoint(_codes(provision)))
            and ("data" not in provision or self.resource.instance in self._instances(provision))
        )

    def _covers_class(self, provision: Node) -> bool:
        resource = self.resource
        if "class" not in provision:
            return resource.category != CONSENT_CATEGORY
        for coding in provision["class"]:
            if coding["code"] == _CODE_OF_CATEGORY[resource.category]:
                return True
            if coding["code"] == resource.type and (
                resource.category not in (MIXED, CONSENT_CATEGORY)
                or (resource.type, resource.category) in (("Bundle", MIXED), ("Consent", CONSENT_CATEGORY))
            ):
                return True
        return False

    def _touches_content(self, provision: Node) -> bool:
        resource = self.resource
        if resource.category == MIXED:
            return True
        classes = (_CODE_OF_CATEGORY[resource.category], resource.type)
        return (
            ("class" not in provision or any(coding["code"] in classes for coding in provision["class"]))
            and ("code" not in provision or not resource.inner_codes.isdisjoint(_codes(provision)))
            and ("data" not in provision or resource.instance in self._instances(provision))
        )

    def _covers_labels(self, provision: Node) -> bool:
        ranks, named = _labels(provision)
        if ranks and self.resource.confidentiality > max(ranks):
            return False
        carried = _carried(self.resource.labels)
        return not named or (bool(carried) and all(_above(label, LABEL_PARENTS) & named for label in carried))

    def _touches_labels(self, provision: Node) -> bool:
        ranks, named = _labels(provision)
        if not ranks and not named:
            return True
        if ranks and self.resource.confidentiality >= min(ranks):
            return True
        carried = _carried(self.resource.labels)
        return bool(named) and any(
            LABELS[label] == OTHER_LABEL or _above(label, LABEL_PARENTS) & named for label in carried
        )

    def _instances(self, provision: Node) -> set[int]:
        return {self._key(data["reference"]) for data in provision["data"]}

    def _key(self, reference: Node) -> int:
        resource_type, logical_id = reference["reference"].split("/")
        return self.key_of(resource_type, logical_id)


def _above(code: str, parents: Mapping[str, list[str]]) -> set[str]:
    """The code and everything above it."""
    found = {code}
    for parent in parents[code]:
        found |= _above(parent, parents)
    return found


def _purpose_code(number: int) -> str:
    return next(code for code, each in PURPOSES.items() if each == number)


def _is_treatment(purpose: int) -> bool:
    return "TREAT" in _above(_purpose_code(purpose), PURPOSE_PARENTS)


def _closed(actions: Iterable[Action]) -> set[Action]:
    """What must not be read must not be passed on."""
    return {*actions, Action.DISCLOSE} if Action.READ in actions else set(actions)


def _range(provision: Node, element: str) -> tuple[int, int]:
    return times.period(provision.get(element, {}))


def _within(inner: tuple[int, int], outer: tuple[int, int]) -> bool:
    return outer[0] <= inner[0] and inner[1] <= outer[1]


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _codes(provision: Node) -> Iterator[tuple[str, str]]:
    for concept in provision["code"]:
        for coding in concept["coding"]:
            yield coding["system"], coding["code"]


def _labels(provision: Node) -> tuple[list[int], set[str]]:
    """The ranks of the confidentiality labels and the codes of the sensitivity labels that it names."""
    named = [coding["code"] for coding in provision.get("securityLabel", [])]
    ranks = [CONFIDENTIALITY[code] for code in named if code in CONFIDENTIALITY]
    return ranks, {code for code in named if code not in CONFIDENTIALITY}


def _carried(mask: int) -> list[str]:
    return [code for code, bit in LABELS.items() if mask & bit]
