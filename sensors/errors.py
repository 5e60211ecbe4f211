"""
What can be wrong with an export; messages are for the person who uploaded it and hold no health data.

    SensorError
    └── UnreadableExport
        ├── NotAnExport
        ├── EncryptedExport
        ├── ExportTooLarge
        └── DamagedExport (bytes_read, records_read)
            ├── TruncatedExport
            └── MalformedExport
"""

from __future__ import annotations


class SensorError(Exception):
    """A signal or an export could not be used."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip())


class UnreadableExport(SensorError):
    """The export cannot be read."""


class NotAnExport(UnreadableExport):
    """The file is not an Apple Health export (export.zip or export.xml)."""


class EncryptedExport(UnreadableExport):
    """The zip file is protected by a password. Export again from the Health app and upload that file."""


class ExportTooLarge(UnreadableExport):
    """The export is larger than this service accepts."""


class DamagedExport(UnreadableExport):
    """
    The export is readable up to a point.

    bytes_read    bytes of XML (unpacked) that were read
    records_read  step records found in them
    """

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message)
        self.bytes_read = 0
        self.records_read = 0

    def __str__(self) -> str:
        return f"{self.args[0]} Read {self.bytes_read:,} bytes and {self.records_read:,} step records."


class TruncatedExport(DamagedExport):
    """The export ends in the middle; it was probably not copied or uploaded completely."""


class MalformedExport(DamagedExport):
    """The export is not well-formed XML."""
