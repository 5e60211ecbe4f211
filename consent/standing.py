"""The rows that no Consent makes: the patient's own access, care relationships, the plan engine, legal restriction.

Architecture rule 5(b); docs/consent-semantics.md, "Standing rows".
"""

from __future__ import annotations

from consent.rows import FAR_FUTURE, FAR_PAST, Deny, Grant
from consent.vocabulary import (
    ALL_ACTIONS,
    CATEGORIES,
    CONSENT_CATEGORY,
    DEFAULT_PURPOSES,
    EVERYONE,
    HIGHEST,
    MIXED,
    PURPOSES,
    Action,
)

# What an organisation that cares for a patient may write, and read back.
OWN_WORK = ("demographics", "record", "consent")
_READ_WRITE = Action.READ | Action.WRITE


def self_grants(patient: int) -> list[Grant]:
    """The patient's own access: everything about them, consents included, at their own request."""
    return [_grant(patient, patient, PURPOSES["PATRQT"], category, _READ_WRITE) for category in (0, CONSENT_CATEGORY)]


def relationship_grants(organization: int, patient: int, valid_from: int, valid_to: int) -> list[Grant]:
    """
    What a care relationship gives an organisation, for treatment only: reading who the patient is, and what the
    organisation wrote itself: demographics, its part of the health record, consents that it filed with proof.
    """
    rows = []
    for purpose in sorted(DEFAULT_PURPOSES):
        rows.append(_grant(patient, organization, purpose, CATEGORIES["demographics"], Action.READ))
        own = [_grant(patient, organization, purpose, CATEGORIES[kind], _READ_WRITE) for kind in OWN_WORK]
        rows += [row._replace(author=organization) for row in own]
    return [row._replace(valid_from=valid_from, valid_to=valid_to) for row in rows]


def engine_grants(patient: int, device: int) -> list[Grant]:
    """What the plan engine may do once the patient activates: read all but consents, write what it makes."""
    written = [CATEGORIES[code] for code in ("prom", "prem", "sensor", "plan")]
    return [_grant(patient, device, PURPOSES["TREAT"], 0, Action.READ)] + [
        _grant(patient, device, PURPOSES["TREAT"], category, Action.WRITE) for category in (*written, MIXED)
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


def _grant(patient: int, actor: int, purpose: int, category: int, actions: int) -> Grant:
    return Grant(
        patient=patient,
        actor=actor,
        purpose=purpose,
        type=0,
        category=category,
        code=0,
        max_confidentiality=HIGHEST,
        label_mask=0,
        data_from=FAR_PAST,
        data_to=FAR_FUTURE,
        valid_from=FAR_PAST,
        valid_to=FAR_FUTURE,
        actions=actions,
        author=0,
        instance=0,
    )
