# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""One storage file of a bag: its topics and raw messages, by its index where that is whole, else read from its start."""
from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from lsm_ros.datasets.bag_recovery import RecoveredMcap, RecoveredSqlite
from lsm_ros.datasets.bag_storage import Topic, is_zstd, storage_kind
from lsm_ros.datasets.bag_unpacking import unpack_file
from lsm_ros.datasets.base import WarningLog

_OTHER_PROFILE = "Profile is not ros2."  # of rosbags: an MCAP that says nothing about ROS 2


class Part(Protocol):
    """Topics and raw messages of one file; span_ns: the first and the last time of recording, None without messages."""

    topics: list[Topic]
    span_ns: tuple[int, int] | None

    def messages(self, topics: set[str]) -> Iterator[tuple[str, int, bytes]]:
        """Yields (topic, log time in ns, bytes)."""
        ...

    def close(self) -> None:
        """Closes the file."""
        ...


class IndexedPart:
    """A file that rosbags reads. Raises whatever rosbags does on one that it cannot read."""

    def __init__(self, file: Path, kind: str) -> None:
        from rosbags.rosbag2.storage_mcap import McapReader
        from rosbags.rosbag2.storage_sqlite3 import Sqlite3Reader

        self._reader: Any = {"mcap": McapReader, "sqlite3": Sqlite3Reader}[kind](file)
        self._reader.open()
        self.topics = [Topic(c.topic, c.msgtype, c.msgcount, c.ext.serialization_format) for c in self._reader.connections]
        if not all(isinstance(text, str) for t in self.topics for text in (t.name, t.msgtype)):
            raise ValueError("a topic has no name")
        found = self._reader.metadata
        self.span_ns = (found.start_time, found.end_time - 1) if found.message_count else None
        self.is_consistent = found.message_count == sum(t.count for t in self.topics)

    def messages(self, topics: set[str]) -> Iterator[tuple[str, int, bytes]]:
        """Yields (topic, log time in ns, bytes) in the order of log times. Raises what rosbags does where it breaks."""
        connections = [c for c in self._reader.connections if c.topic in topics]
        for connection, log_ns, raw in self._reader.messages(connections) if connections else ():
            yield connection.topic, log_ns, raw

    def close(self) -> None:
        """Closes the file."""
        self._reader.close()


def open_part(file: Path, scratch: Path, log: WarningLog) -> Part | None:
    """Opens a storage file; None, which is logged, if nothing can be read of it. scratch: a folder to unpack into.

    ValueError for a compressed file that cannot be unpacked.
    """
    if file.stat().st_size and is_zstd(file):
        log.add("compressed files are unpacked before they are read", file.name)
        file = unpack_file(file, scratch)
    kind = storage_kind(file)
    if kind is None:
        log.add("file of the bag left out: it starts neither like MCAP nor like SQLite", file.name)
        return None
    write_ahead = Path(f"{file}-wal")
    if kind == "sqlite3" and write_ahead.is_file() and write_ahead.stat().st_size:
        log.add(f"{file.name} was not closed by its recorder: the messages in {write_ahead.name} are read, too")
        return _with_write_ahead(file, scratch)
    try:
        part = IndexedPart(file, kind)
    except Exception as error:  # of rosbags, apsw, struct, zstd, lz4
        return _scanned(file, kind, log, line_of(error))
    if part.is_consistent:
        return part
    part.close()
    return _scanned(file, kind, log, "its index counts other messages than it has")


def _scanned(file: Path, kind: str, log: WarningLog, why: str) -> Part | None:
    part = RecoveredMcap(file) if kind == "mcap" else RecoveredSqlite(file)
    if not part.topics:
        log.add("file of the bag cannot be read", f"{file.name}: {why}")
        return None
    if _OTHER_PROFILE in why:
        log.add(f"{file.name} does not say that it is of ROS 2; it is read from its start to its end")
    else:
        log.add(f"{file.name} is damaged; it is read up to where it breaks", why)
    return part


def _with_write_ahead(file: Path, scratch: Path) -> RecoveredSqlite:
    """The database as its recorder saw it, without a change to its files."""
    if Path(f"{file}-shm").is_file():
        part = RecoveredSqlite(file, "readonly_shm=1")
        if part.span_ns is not None:
            return part
    for source in (file, Path(f"{file}-wal")):  # SQLite makes the third file, which lacks, beside them
        shutil.copyfile(source, scratch / source.name)
    return RecoveredSqlite(scratch / file.name, "")


def line_of(error: BaseException) -> str:
    """Name and text of an error in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
