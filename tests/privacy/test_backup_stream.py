"""A sealed stream opens as it was written, or not at all."""

from __future__ import annotations

import io
import os
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.privacy.backup_archive import ArchiveReader, ArchiveWriter
from gateway.privacy.backup_keys import EpochKey
from gateway.privacy.backup_stream import CHUNK, TAG, Opener, Sealer
from gateway.privacy.errors import BackupRefused, Damaged, WrongKey

KEY = EpochKey(1, datetime(2026, 11, 21, tzinfo=UTC), os.urandom(32))
OTHER = EpochKey(1, datetime(2026, 11, 21, tzinfo=UTC), os.urandom(32))
THREE_CHUNKS = os.urandom(2 * CHUNK + 1000)


def sealed(data: bytes, key: EpochKey = KEY) -> bytes:
    out = io.BytesIO()
    sealer = Sealer(out, key)
    sealer.write(data)
    sealer.finish()
    return out.getvalue()


def opened(data: bytes, *keys: EpochKey) -> bytes:
    return b"".join(Opener(io.BytesIO(data), keys or (KEY,)))


SEALED = sealed(THREE_CHUNKS)
# The last chunk is 1000 bytes; what is before the chunks is the header.
START = len(SEALED) - (2 * (CHUNK + TAG) + 1000 + TAG)
SMALL = sealed(b"some data")


def chunk(number: int) -> bytes:
    begins = START + number * (CHUNK + TAG)
    return SEALED[begins : begins + CHUNK + TAG]


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 1])
def test_what_was_sealed_opens_whatever_its_size(size: int) -> None:
    data = THREE_CHUNKS[:size]
    assert opened(sealed(data)) == data


def test_it_is_the_same_in_whatever_pieces_it_was_written() -> None:
    out = io.BytesIO()
    sealer = Sealer(out, KEY)
    for begins in range(0, len(THREE_CHUNKS), 777_777):
        sealer.write(THREE_CHUNKS[begins : begins + 777_777])
    sealer.finish()
    assert opened(out.getvalue()) == THREE_CHUNKS


def test_nothing_of_it_can_be_read_and_no_two_are_alike() -> None:
    assert b"some data" not in SMALL
    assert sealed(b"some data")[START:] != SMALL[START:]


@given(st.integers(0, len(SMALL) * 8 - 1))
def test_a_flipped_bit_anywhere_is_refused(bit: int) -> None:
    altered = bytearray(SMALL)
    altered[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BackupRefused):
        opened(bytes(altered))


@given(st.integers(0, len(SMALL) - 1))
def test_a_file_that_is_cut_anywhere_is_refused(length: int) -> None:
    with pytest.raises(BackupRefused):
        opened(SMALL[:length])


@pytest.mark.parametrize(
    "altered",
    [
        SEALED[:START] + chunk(1) + chunk(0) + chunk(2),
        SEALED[:START] + chunk(0) + chunk(2),
        SEALED[:START] + chunk(0) + chunk(1),
        SEALED[:START] + chunk(0),
        SEALED[:START],
        SEALED[:START] + chunk(0) + chunk(0) + chunk(1) + chunk(2),
        SEALED + chunk(2),
        SEALED + b"x",
        SMALL[:START] + chunk(0) + chunk(1) + chunk(2),
    ],
    ids=[
        "swapped",
        "left out",
        "cut at the last chunk",
        "one chunk left",
        "no chunk left",
        "doubled",
        "last doubled",
        "something behind it",
        "another file's header",
    ],
)
def test_chunks_that_are_not_all_there_in_their_order_are_refused(altered: bytes) -> None:
    with pytest.raises(Damaged):
        opened(altered)


def test_another_key_is_told_apart_from_damage() -> None:
    with pytest.raises(WrongKey, match=f"key {KEY.id} of epoch 1"):
        opened(SMALL, OTHER)
    assert opened(SMALL, OTHER, KEY) == b"some data"


@given(st.binary(max_size=200))
@example(b"")
def test_a_file_that_is_no_backup_is_refused(data: bytes) -> None:
    with pytest.raises(BackupRefused):
        opened(data)


@given(st.lists(st.tuples(st.text(min_size=1, max_size=8), st.lists(st.binary(max_size=300), max_size=4)), max_size=4))
def test_entries_come_out_as_they_were_added(entries: list[tuple[str, list[bytes]]]) -> None:
    out = io.BytesIO()
    archive = ArchiveWriter(Sealer(out, KEY))
    for name, pieces in entries:
        archive.add(name, pieces)
    archive.finish({"entries": len(entries)})
    reader = ArchiveReader(Opener(io.BytesIO(out.getvalue()), [KEY]))
    found = [(name, b"".join(data)) for name, data in reader]
    expected = [(name, b"".join(pieces)) for name, pieces in entries]
    assert found == [*expected, ("manifest.json", b'{\n "entries": %d\n}' % len(entries))]


def test_memory_is_bounded_however_well_it_compresses() -> None:
    out = io.BytesIO()
    archive = ArchiveWriter(Sealer(out, KEY))
    archive.add("zeros", (bytes(1 << 20) for _ in range(64)))
    archive.finish({})
    assert len(out.getvalue()) < 1 << 20
    largest = max(len(piece) for _, data in ArchiveReader(Opener(io.BytesIO(out.getvalue()), [KEY])) for piece in data)
    assert largest <= 1 << 20
