"""
What can be wrong with answers and evidence; messages name a linkId and never repeat an answer.

    RecommenderError
    ├── UnknownInstrument (canonical)
    ├── WrongQuestionnaire (expected, found)
    ├── UnfinishedResponse (status)
    ├── MissingElement (path)
    ├── InvalidElement (path)
    ├── AnswerError (link_id)
    │   ├── UnknownItem
    │   ├── InvalidAnswer (reason)
    │   ├── RepeatedAnswer
    │   └── UnansweredItem
    ├── WrongPatient
    └── NaiveTime
"""

from __future__ import annotations


class RecommenderError(Exception):
    """The recommender cannot use its input."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip())


class UnknownInstrument(RecommenderError):
    """No instrument with this canonical is known."""

    def __init__(self, canonical: str) -> None:
        super().__init__(f"No instrument is known as {canonical!r}.")
        self.canonical = canonical


class WrongQuestionnaire(RecommenderError):
    """The response answers another questionnaire, or another version of it."""

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(f"The response answers {found!r}, but {expected!r} was given.")
        self.expected = expected
        self.found = found


class UnfinishedResponse(RecommenderError):
    """Only completed or amended responses are used."""

    def __init__(self, status: str) -> None:
        super().__init__(f"The response has status {status!r}; only completed or amended responses are used.")
        self.status = status


class MissingElement(RecommenderError):
    """An element that is needed here is absent."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} is needed here and absent.")
        self.path = path


class InvalidElement(RecommenderError):
    """An element has a value that cannot be used here."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} has a value that cannot be used here.")
        self.path = path


class AnswerError(RecommenderError):
    """An answer does not fit its questionnaire."""

    def __init__(self, link_id: str, message: str) -> None:
        super().__init__(f"Item {link_id!r}: {message}")
        self.link_id = link_id


class UnknownItem(AnswerError):
    """The questionnaire has no item with this linkId."""

    def __init__(self, link_id: str) -> None:
        super().__init__(link_id, "the questionnaire has no item with this linkId.")


class InvalidAnswer(AnswerError):
    """The answer has the wrong type, is out of range or is not one of the options."""

    def __init__(self, link_id: str, reason: str) -> None:
        super().__init__(link_id, reason)
        self.reason = reason


class RepeatedAnswer(AnswerError):
    """There is more than one answer to an item that takes one."""

    def __init__(self, link_id: str) -> None:
        super().__init__(link_id, "more than one answer was given, the item takes one.")


class UnansweredItem(AnswerError):
    """An item that must be answered has no answer."""

    def __init__(self, link_id: str) -> None:
        super().__init__(link_id, "the item must be answered.")


class WrongPatient(RecommenderError):
    """The evidence holds a resource of another patient."""


class NaiveTime(RecommenderError):
    """The time given has no offset from UTC, so the day it belongs to is unknown."""
