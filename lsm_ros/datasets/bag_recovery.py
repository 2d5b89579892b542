# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The part that can still be read of a bag that was cut off while it was written or copied.

MCAP (specification at mcap.dev) is a chain of records: an opcode, a length, the content. Reading it from the start
needs no index. SQLite keeps messages in pages that a cut leaves behind; they are read in their order until one is
missing.
"""
from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from lsm_ros.datasets.bag_storage import Topic

_SCHEMA, _CHANNEL, _MESSAGE, _CHUNK = 0x03, 0x04, 0x05, 0x06
_MAX_RECORD = 256_000_000  # one message, or one packed chunk


_Span = tuple[int, int] | None  # of log times


def _longer(span: _Span, stamp_ns: int) -> tuple[int, int]:
    """A span of time that holds one more stamp."""
    return (stamp_ns, stamp_ns) if span is None else (min(span[0], stamp_ns), max(span[1], stamp_ns))


class RecoveredMcap:
    """Topics and messages of an MCAP file, read record by record until it breaks."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.span_ns: _Span = None
        counts: dict[tuple[str, str, str], int] = {}
        for kind, stamp_ns, _ in self._scan(with_data=False):
            counts[kind] = counts.get(kind, 0) + 1
            self.span_ns = _longer(self.span_ns, stamp_ns)
        self.topics = [Topic(name, msgtype, n, encoding) for (name, msgtype, encoding), n in counts.items()]

    def messages(self, topics: set[str]) -> Iterator[tuple[str, int, bytes]]:
        """Yields (topic, log time in ns, CDR bytes) in the order of the file."""
        for (topic, _, _), stamp_ns, data in self._scan(with_data=True):
            if topic in topics:
                yield topic, stamp_ns, data

    def close(self) -> None:
        """Does nothing: the file is open only while it is read."""

    def _scan(self, with_data: bool) -> Iterator[tuple[tuple[str, str, str], int, bytes]]:
        """Yields ((topic, type, encoding), log time in ns, content)."""
        schemas: dict[int, str] = {}
        channels: dict[int, tuple[str, str, str]] = {}
        with self._path.open("rb") as file:
            file.seek(8)
            try:
                for opcode, content in _all_records(file):
                    if opcode == _SCHEMA:
                        (key,) = struct.unpack_from("<H", content)
                        schemas[key] = _text(content, 2)[0]
                    elif opcode == _CHANNEL:
                        key, schema = struct.unpack_from("<HH", content)
                        topic, at = _text(content, 4)
                        channels[key] = (topic, schemas.get(schema, ""), _text(content, at)[0])
                    elif opcode == _MESSAGE:
                        key, _, stamp_ns, _ = struct.unpack_from("<HIQQ", content)
                        if key in channels:
                            yield channels[key], stamp_ns, content[22:] if with_data else b""
            except (struct.error, UnicodeDecodeError, EOFError):
                return  # bytes are missing or make no sense: the break that the caller has already reported


def _all_records(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Records of the file and of its chunks, in their order."""
    for opcode, content in _records(file):
        if opcode == _CHUNK:
            yield from _chunk_records(content)
        else:
            yield opcode, content


def _chunk_records(content: bytes) -> Iterator[tuple[int, bytes]]:
    (size,) = struct.unpack_from("<Q", content, 16)
    compression, at = _text(content, 28)
    (stored,) = struct.unpack_from("<Q", content, at)
    data = content[at + 8:at + 8 + stored]
    if compression:
        if len(data) < stored:
            raise EOFError("a compressed chunk is cut")
        data = _decompress(data, compression, size)
    yield from _records(BytesIO(data))


def _decompress(data: bytes, compression: str, size: int) -> bytes:
    from rosbags.rosbag2.storage_mcap import decompress

    try:
        return decompress(data, compression, size, 0)
    except Exception as error:  # of rosbags, lz4 and zstd, which share no kind
        raise EOFError(str(error)) from error


def _records(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """(opcode, content) of whole records; the last may be a chunk that is cut, whose first messages can be read."""
    while True:
        head = file.read(9)
        if len(head) < 9:
            return
        opcode, length = struct.unpack("<BQ", head)
        if opcode == 0 or length > _MAX_RECORD:
            return
        content = file.read(length)
        whole = len(content) == length
        if whole or opcode == _CHUNK:
            yield opcode, content
        if not whole:
            return


def _text(content: bytes, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("<I", content, at)
    end = at + 4 + length
    if end > len(content):
        raise EOFError("a text is cut")
    return content[at + 4:end].decode(), end


class RecoveredSqlite:
    """Topics and messages of a .db3 file, read in the order of rows until a page is missing.

    options: of SQLite's URI, beside mode=ro.
    """

    def __init__(self, path: Path, options: str = "immutable=1") -> None:
        self._uri = f"{path.resolve().as_uri()}?mode=ro&{options}"
        self._path = path
        self.span_ns: _Span = None
        self._names: dict[int, tuple[str, str]] = {}
        counts: dict[int, int] = {}
        for topic_id, stamp_ns, _ in self._rows("length(data)"):
            counts[topic_id] = counts.get(topic_id, 0) + 1
            if isinstance(stamp_ns, int):  # SQLite keeps any kind of value in any column
                self.span_ns = _longer(self.span_ns, stamp_ns)
        self.topics = [Topic(*self._names[i], n) for i, n in counts.items() if i in self._names]

    def messages(self, topics: set[str]) -> Iterator[tuple[str, int, bytes]]:
        """Yields (topic, log time in ns, CDR bytes) in the order of the rows; in a damaged file they may be of any kind."""
        for topic_id, stamp_ns, data in self._rows("data"):
            name = self._names.get(topic_id, ("", ""))[0]
            if name in topics:
                yield name, stamp_ns, data

    def close(self) -> None:
        """Does nothing: the file is open only while it is read."""

    def _rows(self, column: str) -> Iterator[tuple[int, int, bytes]]:
        """All rows, less the last one where the file ends within a page: SQLite fills that up with zeros."""
        with self._path.open("rb") as file:
            page_size = int.from_bytes(file.read(18)[16:], "big") or 1
        kept_back = self._path.stat().st_size % max(page_size, 2) != 0
        before: tuple[int, int, bytes] | None = None
        for row in self._all_rows(column):
            if not kept_back:
                yield row
            elif before is not None:
                yield before
            before = row

    def _all_rows(self, column: str) -> Iterator[tuple[int, int, bytes]]:
        connection = sqlite3.connect(self._uri, uri=True)
        try:
            # SQLite refuses a file that is shorter than its header says, except while its schema is being repaired.
            connection.execute("PRAGMA writable_schema=ON")
            if not self._names:
                self._names = {i: (n, t) for i, n, t in connection.execute("SELECT id, name, type FROM topics")
                               if isinstance(n, str) and isinstance(t, str)}
            yield from connection.execute(f"SELECT topic_id, timestamp, {column} FROM messages ORDER BY id")
        except (sqlite3.DatabaseError, OverflowError, UnicodeDecodeError):
            return  # the break that the caller has already reported
        finally:
            connection.close()
