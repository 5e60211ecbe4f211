"""Names to sign in with, and what a passphrase or PIN must be (NIST SP 800-63B-4, section 3.1.1)."""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

from gateway.people.errors import Unacceptable

_EMAIL = re.compile(r"[^\s@<>\"']{1,64}@[^\s@<>\"']{1,253}\.[^\s@<>\"'.]{2,63}")
_PHONE = re.compile(r"\+[1-9]\d{6,14}")
_HANDLE = re.compile(r"[^\s@]{3,64}")
_PHONE_PUNCTUATION = re.compile(r"[\s().\-/\u2010-\u2015]+")
_LONGEST_SECRET = 256
_SHORTEST_PASSPHRASE = {"staff": 12, "patient": 8}
_SHORTEST_PIN = 6


def email(text: str) -> str:
    """The e-mail address in the one form in which it is stored and compared. Unacceptable when it is none."""
    found = unicodedata.normalize("NFKC", text).strip().lower()
    if not _EMAIL.fullmatch(found):
        raise Unacceptable("This is not an e-mail address.", code="email")
    return found


def handle(text: str) -> str:
    """
    A patient's sign-in name in one form: phone number with its country (+44…), e-mail address or chosen name.

    00 is read as +. A national number (07…) is kept as a chosen name: its country is not known here.
    """
    plain = unicodedata.normalize("NFKC", text).strip()
    digits = re.sub(r"\A00", "+", _PHONE_PUNCTUATION.sub("", plain))
    if _PHONE.fullmatch(digits):
        return digits
    if "@" in plain:
        return email(plain)
    name = digits if digits.isdigit() else plain.casefold()
    if not _HANDLE.fullmatch(name):
        raise Unacceptable("Use a phone number, an e-mail address or 3 to 64 characters.", code="handle")
    return name


def staff_passphrase(text: str) -> str:
    """The passphrase, when a member of staff may use it; Unacceptable otherwise."""
    return _passphrase(text, _SHORTEST_PASSPHRASE["staff"])


def patient_secret(text: str) -> str:
    """The passphrase or PIN, when a patient may use it; Unacceptable otherwise."""
    if text.isascii() and text.isdigit():
        return _pin(text)
    return _passphrase(text, _SHORTEST_PASSPHRASE["patient"])


def _passphrase(text: str, shortest: int) -> str:
    if not shortest <= len(text) <= _LONGEST_SECRET:
        raise Unacceptable(f"Use {shortest} to {_LONGEST_SECRET} characters.", code="secret-length")
    if len(set(text)) < 4:
        raise Unacceptable("This is too easy to guess: use more different characters.", code="secret-simple")
    return text


def _pin(text: str) -> str:
    if not _SHORTEST_PIN <= len(text) <= _LONGEST_SECRET:
        raise Unacceptable(f"Use at least {_SHORTEST_PIN} digits.", code="secret-length")
    steps = {(int(b) - int(a)) % 10 for a, b in pairwise(text)}
    # 111111, 123456, 987654 and 121212 are what guessers try first.
    if len(steps) == 1 or len(set(text)) < 3:
        raise Unacceptable("This PIN is too easy to guess: avoid runs and repeats.", code="secret-simple")
    return text
