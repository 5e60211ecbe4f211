"""What PostgreSQL refused, by its SQLSTATE (PostgreSQL manual, appendix A), as the store's own refusals."""

from __future__ import annotations

from gateway.store.errors import Busy, StorageFailed, StoreError, TooCostly

_CANCELLED = "57014"
_LOCK_NOT_AVAILABLE = "55P03"
_OUT_OF_LOCKS = "53200"


class Refused(Exception):
    """A statement failed on the server. The text is the SQLSTATE alone: messages may quote values."""

    def __init__(self, state: str) -> None:
        super().__init__(state)
        self.state = state

    @property
    def clashes(self) -> bool:
        """Whether somebody else wrote the same key first (class 23: unique_violation)."""
        return self.state == "23505"

    @property
    def may_pass(self) -> bool:
        """Whether the same transaction may succeed at once: serialisation failure, deadlock (class 40)."""
        return self.state.startswith("40")

    def as_store_error(self) -> StoreError:
        if self.state == _CANCELLED:
            return TooCostly()
        if self.may_pass or self.state in (_LOCK_NOT_AVAILABLE, _OUT_OF_LOCKS):
            return Busy()
        return StorageFailed()


class LinkLost(Exception):
    """The connection ended; what was not answered may or may not have happened."""
