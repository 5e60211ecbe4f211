"""Patients' accounts: prescribed by a clinician's activation code, opened by the patient (product S1)."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlmodel import Session, col, select, update

from gateway.people import attempts, handles, sessions, tokens
from gateway.people.codes import code_hash, new_code
from gateway.people.errors import AlreadyExists, CodeRefused, NotKnown, Unacceptable
from gateway.people.hashing import SecretHasher, token_hash
from gateway.people.organisations import by_key
from gateway.people.tables import ActivationCode, PatientAccount
from gateway.r4.identity import LOGICAL_ID, key_of
from gateway.store.database import Database

# Two weeks: the letter arrives, the phone is found. An unused code is a key to a record, so not longer.
_CODE_US = 14 * 24 * 3_600 * 1_000_000


@dataclass(frozen=True, slots=True)
class Prescribed:
    """An activation code as it is printed or sent; it is never seen again."""

    patient: int
    expires: int
    code: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Activated:
    """An account that its patient has opened, or opened again (`is_new` False), with a code."""

    account: PatientAccount
    organisation: int
    prescriber: int
    is_new: bool


def prescribe(session: Session, *, patient_id: str, organisation: int, prescriber: int, now_us: int) -> Prescribed:
    """A new activation code for the patient; earlier codes that are still unused end."""
    if not LOGICAL_ID.match(patient_id):
        raise Unacceptable("This is not a logical id.", code="id")
    by_key(session, organisation)
    patient = key_of("Patient", patient_id)
    withdraw_codes(session, patient, now_us)
    code, expires = new_code(), now_us + _CODE_US
    session.add(
        ActivationCode(
            hash=token_hash(code.replace("-", "")),
            patient=patient,
            patient_id=patient_id,
            organisation=organisation,
            prescriber=prescriber,
            created=now_us,
            expires=expires,
        )
    )
    session.flush()
    return Prescribed(patient, expires, code)


def redeem(
    database: Database,
    hasher: SecretHasher,
    *,
    code: str,
    handle: str,
    secret: str,
    address: str,
    now_us: int,
) -> Activated:
    """
    Open the patient's account with a code, a name to sign in with and a passphrase or PIN of their choice.

    A second code for the same patient sets both anew, ends every session and lifts a lock-out.

    raises  CodeRefused, Unacceptable (handle, secret), AlreadyExists (handle of somebody else),
            TryLater (too many wrong codes from this address)
    """
    with database.adding() as session:
        source = attempts.address_hash(hasher, address)
        number = attempts.begin(session, account=attempts.NO_ACCOUNT, address=source, now_us=now_us)
    with database.reading() as session:
        _open_code(session, code, now_us)
    name = handle_hash(hasher, handles.handle(handle))
    hashed = hasher.hash(handles.patient_secret(secret))
    with database.writing() as session:
        attempts.succeed(session, number)
        attempts.forgive(session, name)
        return _activate(session, code, name, hashed, now_us)


def disable(session: Session, patient: int, now_us: int) -> None:
    """Close the account: sessions, tokens and unused codes end at once. NotKnown when there is none."""
    account = session.get(PatientAccount, patient)
    if account is None:
        raise NotKnown
    account.disabled = now_us
    session.add(account)
    withdraw_codes(session, patient, now_us)
    _end_access(session, patient, now_us)


def withdraw_codes(session: Session, patient: int, now_us: int) -> None:
    """End the patient's unused activation codes."""
    unused = col(ActivationCode.patient) == patient, col(ActivationCode.used) == 0
    session.exec(update(ActivationCode).where(*unused).values(used=now_us))


def handle_hash(hasher: SecretHasher, handle: str) -> bytes:
    """The stored form of a normalised handle, under which attempts are counted too."""
    return hasher.blind("patient", handle)


def _activate(session: Session, code: str, handle: bytes, secret: str, now_us: int) -> Activated:
    prescription = _open_code(session, code, now_us)
    prescription.used = now_us
    session.add(prescription)
    holder = session.exec(select(PatientAccount).where(PatientAccount.handle == handle)).first()
    if holder is not None and holder.key != prescription.patient:
        raise AlreadyExists("Somebody else signs in with this name; choose another.")
    account = session.get(PatientAccount, prescription.patient)
    is_new = account is None
    account = account or PatientAccount(
        key=prescription.patient, id=prescription.patient_id, handle=handle, secret=secret, created=now_us
    )
    account.handle, account.secret, account.disabled = handle, secret, 0
    session.add(account)
    _end_access(session, account.key, now_us)
    return Activated(account, prescription.organisation, prescription.prescriber, is_new)


def _open_code(session: Session, code: str, now_us: int) -> ActivationCode:
    found = session.get(ActivationCode, code_hash(code))
    if found is None or found.used or now_us >= found.expires:
        raise CodeRefused
    return found


def _end_access(session: Session, patient: int, now_us: int) -> None:
    sessions.end_all(session, patient, now_us)
    tokens.revoke_person(session, patient, now_us)
