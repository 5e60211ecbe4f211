"""What administration and sign-in can refuse, as facts; the pages turn `code` into words.

PeopleError
├── NotKnown          no such person, organisation or client
├── AlreadyExists     the e-mail, handle or id is taken, or the installation has its first administrator
├── Unacceptable      a value that may not be stored; `code` says which
├── NotAMember        the person does not belong to the organisation now
├── CodeRefused       an activation code or invitation that does not open anything
├── SignInRefused     the account and the secret do not belong together
└── TryLater          too many tries, or too many at once; `retry_after_s` says when
"""

from __future__ import annotations


class PeopleError(Exception):
    """Refused."""

    code = "refused"

    def __init__(self, message: str = "", *, code: str = "") -> None:
        super().__init__(message or (self.__doc__ or "").strip())
        if code:
            self.code = code


class NotKnown(PeopleError):
    """No such person, organisation or client is registered here."""

    code = "not-known"


class AlreadyExists(PeopleError):
    """That is taken already."""

    code = "exists"


class Unacceptable(PeopleError):
    """That value cannot be used."""

    code = "unacceptable"


class NotAMember(PeopleError):
    """The person is not a member of the organisation at present."""

    code = "not-a-member"


class CodeRefused(PeopleError):
    """The code is not valid: mistyped, used already or out of date. Ask for a new one."""

    code = "code"


class SignInRefused(PeopleError):
    """The name or the passphrase is not right."""

    code = "credentials"


class TryLater(PeopleError):
    """Too many tries; wait before the next."""

    code = "wait"

    def __init__(self, retry_after_s: int, message: str = "", *, code: str = "") -> None:
        super().__init__(message, code=code)
        self.retry_after_s = retry_after_s
