"""Every clinical table of the store, declared once (SQLModel); hot statements are written from these names.

Times are microseconds since 1970 UTC. A `patient` column holds the key of the patient a row belongs to (0 where it
names none), so that every table can be partitioned by it. See docs/architecture.md, "The tables".
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, SmallInteger, Text, text
from sqlmodel import Field, SQLModel

FAR_PAST = -(1 << 62)
FAR_FUTURE = 1 << 62


# SQLite makes a key the row's own address only where its type is a plain INTEGER.
ROW_KEY = BigInteger().with_variant(Integer, "sqlite")
# Text that is compared and ordered by its bytes, as SQLite does and a prefix search needs.
BYTEWISE = Text().with_variant(Text(collation="C"), "postgresql")


def _row_key() -> Column[int]:
    return Column(ROW_KEY, primary_key=True, autoincrement=False)


def _serial() -> Column[int]:
    return Column(ROW_KEY, primary_key=True)


def _key() -> Column[int]:
    return Column(BigInteger, primary_key=True, autoincrement=False)


def _text_key() -> Column[str]:
    return Column(BYTEWISE, primary_key=True)


def _logical_id() -> Column[str]:
    return Column(BYTEWISE, nullable=False)


def _transaction() -> Column[int]:
    """The transaction that wrote the row: a default of PostgreSQL's, 0 on SQLite, never written by a statement."""
    return Column("xid", BigInteger, nullable=False, server_default="0")


def _small() -> Column[int]:
    return Column(SmallInteger, primary_key=True, autoincrement=False)


class FactColumns(SQLModel):
    """What a rule may test about a version; computed by the one function `gateway.store.facts.of`."""

    patient: int = Field(sa_type=BigInteger)
    patients: int = Field(sa_type=SmallInteger)
    category: int = Field(sa_type=SmallInteger)
    confidentiality: int = Field(sa_type=SmallInteger)
    labels: int = Field(sa_type=BigInteger)
    effective_from: int = Field(sa_type=BigInteger)
    effective_to: int = Field(sa_type=BigInteger)
    author: int = Field(sa_type=BigInteger)
    open: int = Field(sa_type=SmallInteger)


class Resource(FactColumns, table=True):
    """One row a logical id: the current version's facts. `head` is the row of History with its body."""

    __tablename__ = "resource"
    __table_args__ = (
        Index("resource_type", "type", "pk"),
        Index("resource_updated", "type", "updated", "pk"),
        Index("resource_patient", "patient", "type", "pk"),
    )
    pk: int = Field(sa_column=_row_key())
    type: int = Field(sa_type=SmallInteger)
    id: str = Field(sa_column=_logical_id())
    version: int = Field(sa_type=Integer)
    updated: int = Field(sa_type=BigInteger)
    created: int = Field(sa_type=BigInteger)
    deleted: int = Field(sa_type=SmallInteger)
    head: int = Field(sa_type=BigInteger)


class History(FactColumns, table=True):
    """One row a version, in the order of commit (`seq`): the change feed. `method` is POST, PUT or DELETE."""

    __tablename__ = "history"
    __table_args__ = (
        Index("history_version", "pk", "version", unique=True),
        Index("history_type", "type", "seq"),
        Index("history_updated", "updated"),
        {"sqlite_autoincrement": True},
    )
    seq: int | None = Field(default=None, sa_column=_serial())
    pk: int = Field(sa_type=BigInteger)
    type: int = Field(sa_type=SmallInteger)
    id: str = Field(sa_column=_logical_id())
    version: int = Field(sa_type=Integer)
    updated: int = Field(sa_type=BigInteger)
    method: int = Field(sa_type=SmallInteger)
    body: bytes | None = Field(sa_type=LargeBinary)
    xid: int | None = Field(default=None, sa_column=_transaction())


class NamedPatient(SQLModel, table=True):
    """The patients of a version that names more than one: all of them must permit."""

    __tablename__ = "named_patient"
    __table_args__ = (Index("named_patient_patient", "patient", "pk"), {"sqlite_with_rowid": False})
    pk: int = Field(sa_column=_key())
    version: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    patient: int = Field(sa_column=_key())


class PastCode(SQLModel, table=True):
    """The codes of a version that has left the token index, for rules by code: kept when it is replaced or deleted."""

    __tablename__ = "past_code"
    __table_args__ = ({"sqlite_with_rowid": False},)
    pk: int = Field(sa_column=_key())
    version: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    param: int = Field(sa_column=_small())
    code: int = Field(sa_column=_key())


_OF_A_PATIENT = text("patient <> 0 AND patient <> pk")
# A row of an index has no key of its own: one would be another tree to write for each of them.
_UNKEYED = {"primary_key": ["pk", "param", "item"]}


class IndexColumns(SQLModel):
    """What every search index holds: the resource, the parameter, the item of a composite, the patient."""

    pk: int = Field(sa_type=BigInteger)
    param: int = Field(sa_type=SmallInteger)
    item: int = Field(sa_type=SmallInteger)
    patient: int = Field(sa_type=BigInteger)


class TokenIndex(IndexColumns, table=True):
    """Token values by keyed hash, so that identifiers, phones and e-mails are never in clear."""

    __tablename__ = "index_token"
    __mapper_args__ = _UNKEYED
    __table_args__ = (
        Index("index_token_pk", "pk", "param"),
        Index("index_token_value", "param", "value", "pk"),
        # Of one person's data; who they are themselves is found by key.
        Index(
            "index_token_patient",
            "patient",
            "param",
            "value",
            "pk",
            sqlite_where=_OF_A_PATIENT,
            postgresql_where=_OF_A_PATIENT,
        ),
    )
    value: int = Field(sa_type=BigInteger)
    system: int = Field(sa_type=BigInteger)


class StringIndex(IndexColumns, table=True):
    """Text values: normalised for prefix and contains, as written for `:exact`."""

    __tablename__ = "index_string"
    __mapper_args__ = _UNKEYED
    __table_args__ = (Index("index_string_pk", "pk", "param"), Index("index_string_value", "param", "value", "pk"))
    value: str = Field(sa_type=Text)
    exact: str = Field(sa_type=Text)


class DateIndex(IndexColumns, table=True):
    """Half-open ranges [low, high) in microseconds."""

    __tablename__ = "index_date"
    __mapper_args__ = _UNKEYED
    __table_args__ = (
        Index("index_date_pk", "pk", "param"),
        Index("index_date_low", "param", "low", "pk"),
        Index("index_date_high", "param", "high", "pk"),
    )
    low: int = Field(sa_type=BigInteger)
    high: int = Field(sa_type=BigInteger)


class NumberIndex(IndexColumns, table=True):
    """Numbers as double precision."""

    __tablename__ = "index_number"
    __mapper_args__ = _UNKEYED
    __table_args__ = (Index("index_number_pk", "pk", "param"), Index("index_number_value", "param", "value", "pk"))
    value: float


class QuantityIndex(IndexColumns, table=True):
    """Numbers with a unit; `unit` and `system` are keyed hashes, 0 where there is none."""

    __tablename__ = "index_quantity"
    __mapper_args__ = _UNKEYED
    __table_args__ = (Index("index_quantity_pk", "pk", "param"), Index("index_quantity_value", "param", "value", "pk"))
    value: float
    unit: int = Field(sa_type=BigInteger)
    system: int = Field(sa_type=BigInteger)


class ReferenceIndex(IndexColumns, table=True):
    """References by the key of their target; `target_type` 0 marks the hash of a foreign or canonical url."""

    __tablename__ = "index_reference"
    __mapper_args__ = _UNKEYED
    __table_args__ = (
        Index("index_reference_pk", "pk", "param"),
        Index("index_reference_target", "param", "target", "pk"),
    )
    target: int = Field(sa_type=BigInteger)
    target_type: int = Field(sa_type=SmallInteger)


class UriIndex(IndexColumns, table=True):
    """Uris and canonicals, as written."""

    __tablename__ = "index_uri"
    __mapper_args__ = _UNKEYED
    __table_args__ = (Index("index_uri_pk", "pk", "param"), Index("index_uri_value", "param", "value", "pk"))
    value: str = Field(sa_type=Text)


class Grant(SQLModel, table=True):
    """
    One compiled permit, the n-th of its source. Zero means any in type, code, author and instance; purposes and
    categories are sets (consent/rows.py).
    """

    __tablename__ = "grant_row"
    __table_args__ = (
        Index("grant_row_actor", "actor", "patient"),
        Index("grant_row_source", "source"),
        {"sqlite_with_rowid": False},
    )
    patient: int = Field(sa_column=_key())
    actor: int = Field(sa_column=_key())
    source: int = Field(sa_column=_key())
    n: int = Field(sa_column=_small())
    purposes: int = Field(sa_type=Integer)
    type: int = Field(sa_type=SmallInteger)
    categories: int = Field(sa_type=Integer)
    code: int = Field(sa_type=BigInteger)
    max_confidentiality: int = Field(sa_type=SmallInteger)
    label_mask: int = Field(sa_type=BigInteger)
    data_from: int = Field(sa_type=BigInteger)
    data_to: int = Field(sa_type=BigInteger)
    valid_from: int = Field(sa_type=BigInteger)
    valid_to: int = Field(sa_type=BigInteger)
    actions: int = Field(sa_type=SmallInteger)
    author: int = Field(sa_type=BigInteger)
    instance: int = Field(sa_type=BigInteger)


class Deny(SQLModel, table=True):
    """One compiled prohibition; it applies where both `root_actor` and `actor` are among the actors who ask."""

    __tablename__ = "deny_row"
    __table_args__ = (Index("deny_row_patient", "patient", "actor"), Index("deny_row_source", "source"))
    id: int | None = Field(default=None, sa_column=_serial())
    patient: int = Field(sa_type=BigInteger)
    actor: int = Field(sa_type=BigInteger)
    root_actor: int = Field(sa_type=BigInteger)
    purpose: int = Field(sa_type=SmallInteger)
    type: int = Field(sa_type=SmallInteger)
    category: int = Field(sa_type=SmallInteger)
    code: int = Field(sa_type=BigInteger)
    min_confidentiality: int = Field(sa_type=SmallInteger)
    label_mask: int = Field(sa_type=BigInteger)
    data_from: int = Field(sa_type=BigInteger)
    data_to: int = Field(sa_type=BigInteger)
    valid_from: int = Field(sa_type=BigInteger)
    valid_to: int = Field(sa_type=BigInteger)
    actions: int = Field(sa_type=SmallInteger)
    instance: int = Field(sa_type=BigInteger)
    source: int = Field(sa_type=BigInteger)


class WriteAudit(SQLModel, table=True):
    """Who wrote what, in the transaction that wrote it. Never the content."""

    __tablename__ = "write_audit"
    __table_args__ = (Index("write_audit_patient", "patient", "at"),)
    id: int | None = Field(default=None, sa_column=_serial())
    at: int = Field(sa_type=BigInteger)
    agent: str = Field(sa_type=Text)
    organization: str = Field(sa_type=Text)
    client: str = Field(sa_type=Text)
    purpose: int = Field(sa_type=SmallInteger)
    activity: str = Field(sa_type=Text)
    request_id: str = Field(sa_type=Text)
    interaction: str = Field(sa_type=Text)
    type: int = Field(sa_type=SmallInteger)
    id_: str = Field(sa_column=Column("resource_id", Text, nullable=False))
    version: int = Field(sa_type=Integer)
    patient: int = Field(sa_type=BigInteger)
    bypass: int = Field(sa_type=SmallInteger)


class Outbox(SQLModel, table=True):
    """Work that a commit calls for: at least once, in order for each patient, kept by id and never by content."""

    __tablename__ = "outbox"
    __table_args__ = (Index("outbox_due", "state", "due"), Index("outbox_patient", "patient", "id"))
    id: int | None = Field(default=None, sa_column=_serial())
    kind: str = Field(sa_type=Text)
    patient: int = Field(sa_type=BigInteger)
    type: int = Field(sa_type=SmallInteger)
    resource: str = Field(sa_type=Text)
    version: int = Field(sa_type=Integer)
    state: int = Field(sa_type=SmallInteger)
    due: int = Field(sa_type=BigInteger)
    tries: int = Field(sa_type=Integer)
    leased_until: int = Field(sa_type=BigInteger)
    note: str = Field(sa_type=Text)
    created: int = Field(sa_type=BigInteger)
    xid: int | None = Field(default=None, sa_column=_transaction())
