"""AccessContext: who asks, for whom, for what purpose, with which scopes (architecture rule 2).

There is no way to a clinical query or write without one. It is built at the door from a token, a session or a job's
registration, never from a header, and travels unchanged to the SQL.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from gateway.r4.identity import key_of

# Actor keys below 100 are reserved for actors that are not resources.
ANYONE = 0
"""Named by a rule without an actor: every actor but the patient."""
EVERYONE = 1
"""Named by a legal restriction: every actor, the patient among them."""


class Purpose(IntEnum):
    """Purposes of use (HL7 v3 ActReason); the numbers are stored in grant rows and never reused."""

    TREAT = 1
    ETREAT = 2
    CAREMGT = 3
    PATRQT = 4
    HOPERAT = 5
    HPAYMT = 6
    HRESCH = 7
    PUBHLTH = 8
    HSYSADMIN = 9


@dataclass(frozen=True, slots=True)
class Scope:
    """One SMART scope: level (patient, user, system), resource type or `*`, and the letters of `cruds`."""

    level: str
    type: str
    actions: frozenset[str]
    # `?param=value` of a granular scope; enforced in the query builder when SMART arrives.
    query: str = ""


@dataclass(frozen=True, slots=True)
class ScopeSet:
    """The scopes of a token. An empty set permits nothing."""

    scopes: tuple[Scope, ...]

    def permits(self, resource_type: str, action: str) -> bool:
        """Whether some scope covers the action (one letter of `cruds`) on the type."""
        return any(s.type in ("*", resource_type) and action in s.actions for s in self.scopes)


EVERYTHING = ScopeSet((Scope("system", "*", frozenset("cruds")),))


@dataclass(frozen=True, slots=True)
class Lease:
    """A piece of work in the outbox, leased until a time (microseconds) that no other lease of it has."""

    work: int
    until_us: int


@dataclass(frozen=True, slots=True)
class AccessContext:
    """
    actors        keys of every identity this request acts as: person, organisations, client
    agent         the reference shown in audit and Provenance, such as `Practitioner/06…` or `Device/06…`
    organization  the organisation on whose behalf it acts, as a reference, or None
    client        the registered client's id, or the name of the door (`web`, `cli`, `worker`)
    purpose       a property of the registration or session, never of a request header
    activity      the processing activity (GDPR Art. 30) this falls under
    patient       the key of the one patient this context is confined to (patient/ scopes), or None
    subject       the key of the patient who is asking for themself, or None
    feed_prefix   the prefix of ids that this client may assign, or None where it may assign none
    bypass        open access for development: every patient permits; audited as bypass
    epoch         the number at which a remembered sign-in was read, for the store to compare; None where nothing is
                  to be compared
    lease         the piece of work that this context does: its commits count only while the work is its own
    """

    actors: tuple[int, ...]
    agent: str
    client: str
    activity: str
    request_id: str
    purpose: Purpose = Purpose.TREAT
    scopes: ScopeSet = EVERYTHING
    organization: str | None = None
    patient: int | None = None
    subject: int | None = None
    feed_prefix: str | None = None
    bypass: bool = False
    origin: str = ""
    epoch: int | None = field(default=None, compare=False, repr=False)
    lease: Lease | None = field(default=None, compare=False, repr=False)
    _named: tuple[int, ...] = field(init=False, repr=False, compare=False, default=())

    def __post_init__(self) -> None:
        reserved = (EVERYONE,) if self.subject is not None else (EVERYONE, ANYONE)
        object.__setattr__(self, "_named", (*self.actors, *reserved))

    def of_request(self, request_id: str, origin: str) -> AccessContext:
        """The same identity in another request."""
        return AccessContext(
            self.actors,
            self.agent,
            self.client,
            self.activity,
            request_id,
            self.purpose,
            self.scopes,
            self.organization,
            self.patient,
            self.subject,
            self.feed_prefix,
            self.bypass,
            origin,
            self.epoch,
        )

    @property
    def organization_key(self) -> int:
        """The key of the organisation that authors what this context writes; 0 where there is none."""
        return actor_key(self.organization) if self.organization else 0

    @property
    def named(self) -> tuple[int, ...]:
        """The actor keys that a rule may name to reach this context."""
        return self._named


def actor_key(reference: str) -> int:
    """The key of an actor's `Type/id` reference."""
    resource_type, _, logical_id = reference.partition("/")
    return key_of(resource_type, logical_id)
