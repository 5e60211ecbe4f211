"""The rows that no Consent makes: the patient's own access, care relationships, the plan engine, legal restriction.

Architecture rule 5(b); docs/consent-semantics.md, "Standing rows".
"""

from __future__ import annotations

from consent.rows import FAR_FUTURE, FAR_PAST, Deny, Grant
from consent.vocabulary import (
    ALL_ACTIONS,
    ALL_BUT_CONSENTS,
    ALL_CATEGORIES,
    CATEGORIES,
    DEFAULT_PURPOSES,
    EVERYONE,
    HIGHEST,
    MIXED,
    PURPOSES,
    Action,
    bits,
)

_DEMOGRAPHICS = bits([CATEGORIES["demographics"]])
# What an organisation that cares for a patient may write, and read back.
_OWN_WORK = bits(CATEGORIES[kind] for kind in ("demographics", "record", "consent"))
_MADE_BY_ENGINE = bits([*(CATEGORIES[kind] for kind in ("prom", "prem", "sensor", "plan")), MIXED])
_TREATMENT = bits(DEFAULT_PURPOSES)
_READ_WRITE = Action.READ | Action.WRITE


def self_grants(patient: int) -> list[Grant]:
    """The patient's own access: everything about them, consents included, at their own request."""
    return [_grant(patient, patient, bits([PURPOSES["PATRQT"]]), ALL_CATEGORIES, _READ_WRITE)]


def relationship_grants(organization: int, patient: int, valid_from: int, valid_to: int) -> list[Grant]:
    """
    What a care relationship gives an organisation, for treatment only: reading who the patient is, and what the
    organisation wrote itself: demographics, its part of the health record, consents that it filed with proof.
    """
    valid = (valid_from, valid_to)
    return [
        _grant(patient, organization, _TREATMENT, _DEMOGRAPHICS, Action.READ, valid),
        _grant(patient, organization, _TREATMENT, _OWN_WORK, _READ_WRITE, valid, author=organization),
    ]


def engine_grants(patient: int, device: int) -> list[Grant]:
    """What the plan engine may do once the patient activates: read all but consents, write what it makes."""
    treatment = bits([PURPOSES["TREAT"]])
    return [
        _grant(patient, device, treatment, ALL_BUT_CONSENTS, Action.READ),
        _grant(patient, device, treatment, _MADE_BY_ENGINE, Action.WRITE),
    ]


def restriction_denies(patient: int) -> list[Deny]:
    """A restriction of processing (GDPR Art. 18): nobody, the patient among them, until it is lifted."""
    return [
        Deny(
            patient=patient,
            actor=EVERYONE,
            root_actor=EVERYONE,
            purpose=0,
            type=0,
            category=0,
            code=0,
            min_confidentiality=0,
            label_mask=0,
            data_from=FAR_PAST,
            data_to=FAR_FUTURE,
            valid_from=FAR_PAST,
            valid_to=FAR_FUTURE,
            actions=ALL_ACTIONS,
            instance=0,
        )
    ]


def _grant(
    patient: int,
    actor: int,
    purposes: int,
    categories: int,
    actions: int,
    valid: tuple[int, int] = (FAR_PAST, FAR_FUTURE),
    author: int = 0,
) -> Grant:
    return Grant(
        patient=patient,
        actor=actor,
        purposes=purposes,
        type=0,
        categories=categories,
        code=0,
        max_confidentiality=HIGHEST,
        label_mask=0,
        data_from=FAR_PAST,
        data_to=FAR_FUTURE,
        valid_from=valid[0],
        valid_to=valid[1],
        actions=int(actions),
        author=author,
        instance=0,
    )
