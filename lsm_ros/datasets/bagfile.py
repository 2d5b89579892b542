# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Messages of a ROS 2 bag (MCAP, SQLite, or a rosbag2 folder) without ROS; what is left of a broken one, too."""
from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from lsm_ros.datasets.bag_recovery import recover
from lsm_ros.datasets.bag_storage import Topic, bag_files, check_bag_path, storage_kind
from lsm_ros.datasets.base import WarningLog

_VISION_TYPES = {
    "vision_msgs/msg/VisionClass": "uint16 class_id\nstring class_name\n",
    "vision_msgs/msg/LabelInfo": "std_msgs/Header header\nvision_msgs/VisionClass[] class_map\nfloat32 threshold\n",
}


def typestore() -> Any:
    """The message types of ROS 2 Jazzy (those used here are the same in Humble), and vision_msgs/LabelInfo."""
    try:
        from rosbags.typesys import Stores, get_types_from_msg, get_typestore
    except ImportError as error:
        raise ValueError("reading and writing bags needs rosbags: pip install rosbags") from error
    store = get_typestore(Stores.ROS2_JAZZY)
    for name, text in _VISION_TYPES.items():
        store.register(get_types_from_msg(text, name))
    return store


class BagFile:
    """Topics and messages of a bag, in the order of their log times.

    A bag that rosbags refuses is scanned from its start up to where it breaks, which `log` then reports. ValueError
    in one line, naming the file, for what is no bag; FileNotFoundError where there is nothing.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.log = WarningLog()
        self.store = typestore()
        self._reader: Any = None
        self._recovered: Any = None
        check_bag_path(self.path)
        self._open()
        self.topics = self._list_topics()

    @property
    def custom_data(self) -> dict[str, str]:
        """The notes in the bag's metadata."""
        if self._reader is None:
            return {}
        return dict(self._reader.metadata.custom or {})

    def messages(self, topics: Collection[str]) -> Iterator[tuple[str, int, Any]]:
        """Yields (topic, log time in ns, message) of the topics named; what does not parse is skipped and counted."""
        wanted = set(topics)
        types = {t.name: t.msgtype for t in self.topics}
        for topic, stamp_ns, raw in self._raw(wanted):
            try:
                message = self.store.deserialize_cdr(raw, types[topic])
            except Exception as error:  # the parser of rosbags raises anything at all on bytes that lie
                self.log.add(f"message of {topic} skipped: it does not parse as {types[topic]}", _line(error))
                continue
            yield topic, stamp_ns, message

    def named(self, msgtype: str, name: str) -> list[str]:
        """The topic of this name and type, or nothing."""
        return [t.name for t in self.topics if t.msgtype == msgtype and t.name == name]

    def close(self) -> None:
        """Closes the file."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()

    def _open(self) -> None:
        from rosbags.rosbag2.reader import DirectoryReader
        from rosbags.rosbag2.storage_mcap import McapReader
        from rosbags.rosbag2.storage_sqlite3 import Sqlite3Reader

        path, files = self.path, bag_files(self.path)
        if path.is_dir() and not (path / "metadata.yaml").is_file() and len(files) == 1:
            path = files[0]
        try:
            kind = DirectoryReader if path.is_dir() else {"mcap": McapReader, "sqlite3": Sqlite3Reader}[storage_kind(path)]
            reader = kind(path)
            reader.open()
        except Exception as error:  # of rosbags, apsw, the YAML parser, struct, zstd, lz4
            self._recover(_line(error), error)
            return
        self._reader = reader

    def _recover(self, why: str, cause: Exception) -> None:
        self._recovered = recover(self.path)
        if not self._recovered.topics:
            raise ValueError(f"bag {self.path} cannot be read: {why}") from cause
        self.log.add(f"bag {self.path.name} is damaged; reading it up to where it breaks", why)

    def _list_topics(self) -> list[Topic]:
        if self._recovered is not None:
            return self._recovered.topics
        merged: dict[str, Topic] = {}
        for c in self._reader.connections:
            before = merged[c.topic].count if c.topic in merged else 0
            merged[c.topic] = Topic(c.topic, c.msgtype, before + c.msgcount)
        return list(merged.values())

    def _raw(self, topics: set[str]) -> Iterator[tuple[str, int, bytes]]:
        if self._recovered is not None:
            yield from self._recovered.messages(topics)
            return
        connections = [c for c in self._reader.connections if c.topic in topics]
        if not connections:
            return
        messages = self._reader.messages(connections)
        while True:
            try:
                connection, stamp_ns, raw = next(messages)
            except StopIteration:
                return
            except Exception as error:  # a damaged chunk or page in the middle
                self.log.add(f"bag {self.path.name} breaks off in the middle", _line(error))
                return
            yield connection.topic, stamp_ns, raw


def stamp_of(header: Any) -> int:
    """Nanoseconds of a std_msgs/Header's stamp."""
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)


def _line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
