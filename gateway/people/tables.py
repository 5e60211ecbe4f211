"""Every administrative table of people, clients and tokens, declared once (SQLModel).

Times are microseconds since 1970 UTC; 0 in `used`, `ended`, `revoked` and `disabled` means not yet. Persons
and organisations are named by their keys (gateway.r4.identity.key_of). Tokens, codes and addresses are kept
as hashes only.
"""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import BigInteger, Column, Index, LargeBinary, SmallInteger, Text
from sqlmodel import Field, SQLModel

from gateway.store.tables import FAR_FUTURE, ROW_KEY


class Role(StrEnum):
    """What a member does in an organisation."""

    CLINICIAN = "clinician"
    ADMINISTRATOR = "administrator"
    PRIVACY = "privacy"
    SUPPORT = "support"
    ENGINEER = "engineer"


def _row_key() -> Column[int]:
    return Column(ROW_KEY, primary_key=True, autoincrement=False)


def _serial() -> Column[int]:
    return Column(ROW_KEY, primary_key=True)


def _hash() -> Column[bytes]:
    return Column(LargeBinary, primary_key=True)


class Organisation(SQLModel, table=True):
    """An organisation whose members and clients use this gateway; `id` is its Organization resource's."""

    __tablename__ = "organisation"
    key: int = Field(sa_column=_row_key())
    id: str = Field(sa_type=Text, unique=True)
    name: str = Field(sa_type=Text)
    created: int = Field(sa_type=BigInteger)


class StaffAccount(SQLModel, table=True):
    """A professional who signs in; `secret` is an argon2 hash, empty until the invitation is accepted."""

    __tablename__ = "staff_account"
    key: int = Field(sa_column=_row_key())
    id: str = Field(sa_type=Text, unique=True)
    email: str = Field(sa_type=Text, unique=True)
    name: str = Field(sa_type=Text)
    secret: str = Field(default="", sa_type=Text, repr=False)
    disabled: int = Field(default=0, sa_type=BigInteger)
    created: int = Field(sa_type=BigInteger)

    @property
    def reference(self) -> str:
        return f"Practitioner/{self.id}"


class Membership(SQLModel, table=True):
    """One role of one person in one organisation, for a time [valid_from, valid_to)."""

    __tablename__ = "membership"
    __table_args__ = (
        Index("membership_person", "person", "organisation"),
        Index("membership_organisation", "organisation"),
    )
    id: int | None = Field(default=None, sa_column=_serial())
    person: int = Field(sa_type=BigInteger)
    organisation: int = Field(sa_type=BigInteger)
    role: str = Field(sa_type=Text)
    valid_from: int = Field(sa_type=BigInteger)
    valid_to: int = Field(default=FAR_FUTURE, sa_type=BigInteger)


class Invitation(SQLModel, table=True):
    """A one-time code with which a member of staff chooses a passphrase."""

    __tablename__ = "invitation"
    __table_args__ = (Index("invitation_person", "person"),)
    hash: bytes = Field(sa_column=_hash(), repr=False)
    person: int = Field(sa_type=BigInteger)
    invited_by: int = Field(sa_type=BigInteger)
    created: int = Field(sa_type=BigInteger)
    expires: int = Field(sa_type=BigInteger)
    used: int = Field(default=0, sa_type=BigInteger)


class CareRelationship(SQLModel, table=True):
    """An organisation caring for a patient during [valid_from, valid_to); `key` is its grants' source."""

    __tablename__ = "care_relationship"
    __table_args__ = (
        Index("care_relationship_organisation", "organisation", "patient"),
        Index("care_relationship_patient", "patient"),
    )
    key: int = Field(sa_column=_row_key())
    organisation: int = Field(sa_type=BigInteger)
    patient: int = Field(sa_type=BigInteger)
    valid_from: int = Field(sa_type=BigInteger)
    valid_to: int = Field(default=FAR_FUTURE, sa_type=BigInteger)
    opened_by: int = Field(sa_type=BigInteger)
    reason: str = Field(sa_type=Text)


class PatientAccount(SQLModel, table=True):
    """A patient who signs in; `handle` is the keyed hash of a phone number, e-mail or chosen name."""

    __tablename__ = "patient_account"
    key: int = Field(sa_column=_row_key())
    id: str = Field(sa_type=Text, unique=True)
    handle: bytes = Field(sa_column=Column(LargeBinary, unique=True, nullable=False), repr=False)
    secret: str = Field(sa_type=Text, repr=False)
    disabled: int = Field(default=0, sa_type=BigInteger)
    created: int = Field(sa_type=BigInteger)

    @property
    def reference(self) -> str:
        return f"Patient/{self.id}"


class ActivationCode(SQLModel, table=True):
    """A prescription of the app: the one-time code with which a patient opens, or opens again, an account."""

    __tablename__ = "activation_code"
    __table_args__ = (Index("activation_code_patient", "patient"),)
    hash: bytes = Field(sa_column=_hash(), repr=False)
    patient: int = Field(sa_type=BigInteger)
    patient_id: str = Field(sa_type=Text)
    organisation: int = Field(sa_type=BigInteger)
    prescriber: int = Field(sa_type=BigInteger)
    created: int = Field(sa_type=BigInteger)
    expires: int = Field(sa_type=BigInteger)
    used: int = Field(default=0, sa_type=BigInteger)


class BrowserSession(SQLModel, table=True):
    """One signed-in browser; `organisation` is the one that a member of several has chosen, or 0."""

    __tablename__ = "browser_session"
    __table_args__ = (Index("browser_session_person", "person"), Index("browser_session_expires", "expires"))
    id: int | None = Field(default=None, sa_column=_serial())
    hash: bytes = Field(sa_column=Column(LargeBinary, unique=True, nullable=False), repr=False)
    person: int = Field(sa_type=BigInteger)
    reference: str = Field(sa_type=Text)
    organisation: int = Field(default=0, sa_type=BigInteger)
    csrf: str = Field(sa_type=Text, repr=False)
    created: int = Field(sa_type=BigInteger)
    expires: int = Field(sa_type=BigInteger)
    seen: int = Field(sa_type=BigInteger)
    ended: int = Field(default=0, sa_type=BigInteger)


class Attempt(SQLModel, table=True):
    """One try at a secret: sign-in, code or client assertion; it has failed unless `succeeded` is set."""

    __tablename__ = "sign_in_attempt"
    __table_args__ = (
        Index("sign_in_attempt_account", "account", "at"),
        Index("sign_in_attempt_address", "address", "at"),
        Index("sign_in_attempt_at", "at"),
    )
    id: int | None = Field(default=None, sa_column=_serial())
    at: int = Field(sa_type=BigInteger)
    account: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    address: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    succeeded: int = Field(default=0, sa_type=SmallInteger)


class Client(SQLModel, table=True):
    """A registered system; it acts as its organisation and as the Device of its own id."""

    __tablename__ = "client"
    id: str = Field(sa_column=Column(Text, primary_key=True))
    key: int = Field(sa_column=Column(BigInteger, unique=True, nullable=False))
    name: str = Field(sa_type=Text)
    type: str = Field(sa_type=Text)
    organisation: int = Field(sa_type=BigInteger)
    jwks: str = Field(sa_type=Text)
    scopes: str = Field(sa_type=Text)
    purpose: int = Field(sa_type=SmallInteger)
    activity: str = Field(sa_type=Text)
    feed_prefix: str | None = Field(default=None, sa_type=Text)
    disabled: int = Field(default=0, sa_type=BigInteger)
    created: int = Field(sa_type=BigInteger)


class AccessToken(SQLModel, table=True):
    """
    One bearer token, of a client acting for itself or for a person.

    client        id of the registered client, or `local` where an operator minted it on this machine
    person        key of the Practitioner or Patient it speaks for, 0 where it speaks for no person
    reference     that person's reference, or empty
    organisation  key of the organisation it acts for, 0 where none was named; organisation_id its logical id
    patient       key of the patient in context (patient/ scopes), 0 where there is none
    """

    __tablename__ = "access_token"
    __table_args__ = (
        Index("access_token_client", "client", "issued"),
        Index("access_token_person", "person"),
        Index("access_token_expires", "expires"),
    )
    hash: bytes = Field(sa_column=_hash(), repr=False)
    client: str = Field(sa_type=Text)
    person: int = Field(default=0, sa_type=BigInteger)
    reference: str = Field(default="", sa_type=Text)
    organisation: int = Field(default=0, sa_type=BigInteger)
    organisation_id: str = Field(default="", sa_type=Text)
    patient: int = Field(default=0, sa_type=BigInteger)
    scopes: str = Field(sa_type=Text)
    purpose: int = Field(sa_type=SmallInteger)
    activity: str = Field(sa_type=Text)
    issued: int = Field(sa_type=BigInteger)
    expires: int = Field(sa_type=BigInteger)
    revoked: int = Field(default=0, sa_type=BigInteger)


class UsedAssertion(SQLModel, table=True):
    """The jti of a client assertion that has been used, kept until the assertion itself has expired."""

    __tablename__ = "used_assertion"
    __table_args__ = (Index("used_assertion_expires", "expires"), {"sqlite_with_rowid": False})
    client: str = Field(sa_column=Column(Text, primary_key=True))
    jti: bytes = Field(sa_column=_hash())
    expires: int = Field(sa_type=BigInteger)
