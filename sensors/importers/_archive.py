"""Finds the Health data inside an upload, a zip or bare XML, and refuses bombs, passwords and other files."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import SEEK_END, PathLike, fspath
from typing import IO, BinaryIO

from sensors.errors import EncryptedExport, ExportTooLarge, NotAnExport, TruncatedExport, UnreadableExport

ROOT = b"<HealthData"
_HEAD_BYTES = 1 << 20
_MAX_CANDIDATES = 50
_SMALL = 16 << 20


@dataclass(frozen=True)
class Bounds:
    """
    How large an export may be.

    max_bytes  of XML, unpacked; ten years of a watch are about 2 GB
    max_ratio  unpacked to packed; Health exports pack about 15 to 40 to 1, bombs 1000 to 1. Not applied to
               members below 16 MB, which can do no harm.
    """

    max_bytes: int = 8 << 30
    max_ratio: float = 200.0


@contextmanager
def open_export(source: str | PathLike[str] | BinaryIO, bounds: Bounds) -> Iterator[tuple[IO[bytes], int]]:
    """
    The stream of XML bytes and its whole length (unpacked), from a path or a seekable binary file.

    The kind of file is told by its content, not by its name. A file object stays open.
    raises  EncryptedExport, ExportTooLarge, NotAnExport, TruncatedExport, UnreadableExport
    """
    if isinstance(source, (str, PathLike)):
        with open(fspath(source), "rb") as file, _open(file, bounds) as opened:
            yield opened
    else:
        with _open(source, bounds) as opened:
            yield opened


@contextmanager
def _open(file: BinaryIO, bounds: Bounds) -> Iterator[tuple[IO[bytes], int]]:
    size = file.seek(0, SEEK_END)
    file.seek(0)
    head = file.read(4)
    file.seek(0)
    if head[:2] != b"PK":
        if size > bounds.max_bytes:
            raise ExportTooLarge
        yield file, size
        return
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        # The directory of a zip stands at its end: an upload that broke off has none.
        raise TruncatedExport from None
    with archive:
        member = _health_data(archive, bounds)
        with archive.open(member) as stream:
            yield stream, member.file_size


def _health_data(archive: zipfile.ZipFile, bounds: Bounds) -> zipfile.ZipInfo:
    """The member whose root is HealthData; its name depends on the language of the phone."""
    members = [m for m in archive.infolist() if m.filename.lower().endswith(".xml")]
    members.sort(key=lambda m: (not m.filename.endswith("/export.xml"), -m.file_size, m.filename))
    for member in members[:_MAX_CANDIDATES]:
        _check(member, bounds)
        if _is_health_data(archive, member):
            return member
    raise NotAnExport


def _check(member: zipfile.ZipInfo, bounds: Bounds) -> None:
    if member.flag_bits & 0x1:
        raise EncryptedExport
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UnreadableExport("The zip file uses a compression that is not supported.")
    if member.file_size > bounds.max_bytes:
        raise ExportTooLarge
    if member.file_size > _SMALL and member.file_size > bounds.max_ratio * member.compress_size:
        raise ExportTooLarge("The zip file unpacks to far more than a Health export does.")


def _is_health_data(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bool:
    try:
        with archive.open(member) as stream:
            return ROOT in stream.read(_HEAD_BYTES)
    except (zipfile.BadZipFile, zlib.error, EOFError):
        raise TruncatedExport from None
