"""From a change as sent to a change ready to be written: validated, labelled, indexed, spliced. No database here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from consent import compile as consents
from consent.errors import ConsentRefused
from consent.rows import CompiledConsent
from gateway.access import AccessContext
from gateway.r4.definitions import type_id
from gateway.r4.extract import Extractor, Index
from gateway.r4.identity import is_server_id, key_of
from gateway.r4.issues import Issue
from gateway.r4.json_text import replace_strings, says_the_same, stored_form
from gateway.r4.validate import validator
from gateway.store import facts, registration
from gateway.store.changes import DELETE, POST, PUT, Change, Create, Delete, Update, instant
from gateway.store.errors import Forbidden, Invalid, UnsupportedConsent
from gateway.store.query import Search
from gateway.store.references import Target, targets
from gateway.store.triggers import calls_for

# Rendered from the audit tables when read; nobody writes them (architecture rule 7).
_NEVER_WRITTEN = frozenset({"AuditEvent"})
# An envelope of operations, not something to keep.
_NEVER_STORED = frozenset({"Parameters"})
# Longer or shorter by more than this (the version's stamp among it), a body does not say the same.
_MOST_BLANKS = 2_000


@dataclass(slots=True)
class Prepared:
    """
    A change the writer can apply by running SQL only.

    head, tail    the stored body around its version stamp
    may_assign    whether this client may choose this id, where no such resource exists
    condition     If-None-Exist, searched again inside the transaction
    registers     for a Patient with a verified NHS number: how to find whoever has it already
    calls_for     kinds of work for the job child
    targets       what it refers to on this server, where that must exist
    refuses_match a match of the condition refuses the change instead of standing for it
    must_be_new   so does a resource that is there under this id
    expected      for conditions of a transaction: the key that the match had when references were resolved, 0 for none
    """

    method: int
    type: str
    kind: int
    id: str
    pk: int
    head: bytes = b""
    tail: bytes = b""
    facts: facts.FactRow | None = None
    index: Index = field(default_factory=Index)
    if_match: int | None = None
    may_assign: bool = False
    condition: Search | None = None
    refuses_match: bool = False
    must_be_new: bool = False
    expected: int | None = None
    consent: CompiledConsent | None = None
    registers: registration.Registration | None = None
    calls_for: tuple[str, ...] = ()
    targets: tuple[Target, ...] = ()

    def body(self, version: int, updated: int) -> bytes:
        stamp = f'"versionId":"{version}","lastUpdated":"{instant(updated)}"'
        return self.head + stamp.encode() + self.tail

    def is_body(self, stored: bytes | None, version: int, updated: int) -> bool:
        """Whether the stored version says the same already."""
        if stored is None or abs(len(stored) - len(self.head) - len(self.tail)) > _MOST_BLANKS:
            return False
        return says_the_same(stored.decode(), self.body(version, updated).decode())


class Preparer:
    """Holds what is compiled once: the validator and the index extractor."""

    def __init__(self, hash_token: Callable[[str], int], base_url: str, *, must_refer: bool = False) -> None:
        """must_refer: the targets of literal references are gathered, to be checked."""
        self._validator = validator()
        self._extractor = Extractor(hash_token, base_url)
        self._hash_token = hash_token
        self._base_url = base_url
        self._must_refer = must_refer

    def prepare(
        self, context: AccessContext, change: Change, logical_id: str, references: Mapping[str, str]
    ) -> Prepared:
        """
        logical_id  the id it will have
        references  complete string values to replace: what `urn:uuid:` and conditional references stand for
        raises      Invalid with every issue found, Forbidden
        """
        resource_type = change.type
        if resource_type in _NEVER_WRITTEN:
            raise Forbidden(f"{resource_type} is written by this server itself.")
        if resource_type in _NEVER_STORED:
            raise Invalid([Issue("error", "not-supported", resource_type, f"{resource_type} cannot be stored.")])
        prepared = Prepared(
            method=DELETE,
            type=resource_type,
            kind=type_id(resource_type),
            id=logical_id,
            pk=key_of(resource_type, logical_id),
        )
        if isinstance(change, Delete):
            prepared.if_match = change.if_match
            return prepared
        resource, text = _resolved(change, references)
        issues = self._validator.validate(resource, resource_type)
        if issues:
            raise Invalid(issues)
        prepared.head, prepared.tail = stored_form(text, resource, logical_id)
        prepared.facts = facts.of(resource, resource_type, logical_id)
        prepared.index = self._extractor.rows(resource)
        prepared.calls_for = calls_for(resource)
        if self._must_refer:
            prepared.targets = targets(resource, self._base_url)
        if isinstance(change, Update):
            prepared.method, prepared.if_match, prepared.must_be_new = PUT, change.if_match, change.must_be_new
            prepared.may_assign = _may_assign(context, logical_id)
        else:
            prepared.method, prepared.condition = POST, change.condition
            prepared.refuses_match = change.refuses_match
            if resource_type == "Patient" and context.organization is not None:
                prepared.registers = registration.of(resource)
        if resource_type == "Consent":
            _refuse_unless_theirs(context, resource)
            prepared.consent = self.rules(resource)
        return prepared

    def derived(self, resource_type: str, logical_id: str, body: bytes) -> tuple[facts.FactRow, Index]:
        """The facts and index rows of a stored version: what `backbridge reindex` writes anew."""
        resource = orjson.loads(body)
        return facts.of(resource, resource_type, logical_id), self._extractor.rows(resource)

    def rules(self, consent: dict[str, Any]) -> CompiledConsent:
        """The grants and denies of a Consent; raises UnsupportedConsent for what cannot be enforced."""
        try:
            return consents.compile(consent, key_of=key_of, type_id=type_id, hash_token=self._hash_code)
        except ConsentRefused as refusal:
            raise UnsupportedConsent(
                [Issue("error", issue.code, issue.expression, issue.diagnostics) for issue in refusal.issues]
            ) from None

    def _hash_code(self, system: str, code: str) -> int:
        """One number for a coding, equal to `value - system` of its row in the token index."""
        return self._hash_token("c" + code) - (self._hash_token("s" + system) if system else 0)


def _resolved(change: Create | Update, references: Mapping[str, str]) -> tuple[dict[str, Any], str]:
    text = replace_strings(change.raw, references)
    if text is change.raw or text == change.raw:
        return dict(change.resource), change.raw
    resource: dict[str, Any] = orjson.loads(text)
    return resource, text


def _may_assign(context: AccessContext, logical_id: str) -> bool:
    """Feeds choose ids below their prefix, open access any; nobody an id of the form that this server assigns."""
    if is_server_id(logical_id):
        return False
    if context.bypass:
        return True
    return context.feed_prefix is not None and logical_id.startswith(context.feed_prefix)


def _refuse_unless_theirs(context: AccessContext, consent: Mapping[str, Any]) -> None:
    """The patient files a consent, or the organisation that recorded it with proof; a proxy acts as the patient."""
    if context.bypass or context.subject is not None:
        return
    organizations = {reference.get("reference") for reference in consent.get("organization", ())}
    proven = any(proof.get("verified") for proof in consent.get("verification", ())) or any(
        key in consent for key in ("sourceAttachment", "sourceReference")
    )
    if context.organization is None or context.organization not in organizations or not proven:
        raise Forbidden(
            "A Consent is filed by the patient, or by the organisation that recorded it: name it in organization and"
            " attach the proof in verification or source."
        )
