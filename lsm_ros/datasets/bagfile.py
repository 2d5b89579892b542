# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Messages of a ROS 2 bag (MCAP, SQLite, or a rosbag2 folder) without ROS; what is left of a broken one, too."""
from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsm_ros.datasets.base import WarningLog

_MCAP_MAGIC = b"\x89MCAP0\r\n"
_SQLITE_MAGIC = b"SQLite format 3\0"

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


@dataclass(frozen=True)
class Topic:
    """A topic in a bag: name, type such as sensor_msgs/msg/Image, and how many messages it has."""

    name: str
    msgtype: str
    count: int


class BagFile:
    """Topics and messages of a bag, in the order of their log times.

    A bag that rosbags refuses is scanned from its start up to where it breaks, which `warnings` then tells. ValueError
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
            kind = DirectoryReader if path.is_dir() else {"mcap": McapReader, "sqlite3": Sqlite3Reader}[_kind(path)]
            reader = kind(path)
            reader.open()
        except Exception as error:  # of rosbags, apsw, the YAML parser, struct, zstd, lz4
            self._recover(_line(error), error)
            return
        self._reader = reader

    def _recover(self, why: str, cause: Exception) -> None:
        from lsm_ros.datasets.bag_recovery import recover

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


def is_bag(path: Path) -> bool:
    """Whether a path looks like a bag by its content: an MCAP or SQLite file, or a folder with such files."""
    if path.is_dir():
        return (path / "metadata.yaml").is_file() or any(path.glob("*.mcap")) or any(path.glob("*.db3"))
    return path.is_file() and (_kind(path) is not None or path.suffix.lower() in (".mcap", ".db3", ".bag"))


def check_bag_path(path: Path) -> None:
    """FileNotFoundError or ValueError in one line if there is no bag at `path`."""
    if not path.exists():
        raise FileNotFoundError(f"bag {path} does not exist")
    files = bag_files(path)
    if not files:
        raise ValueError(f"folder {path} holds no bag: neither .mcap nor .db3 files")
    for file in files:
        if file.stat().st_size == 0:
            raise ValueError(f"bag {file} is empty: the file has no bytes")
    if path.suffix.lower() == ".bag":
        raise ValueError(f"bag {path} is of ROS 1; convert it: rosbags-convert --src {path.name} --dst {path.stem}")
    if path.is_file() and _kind(path) is None:
        raise ValueError(f"{path} is no bag: it starts neither like MCAP nor like SQLite")


def bag_files(path: Path) -> list[Path]:
    """The storage files of a bag; compressed ones (.mcap.zstd, .db3.zstd) included."""
    if path.is_file():
        return [path]
    return sorted(f for f in path.iterdir() if f.is_file() and {".mcap", ".db3"} & set(f.suffixes))


def _kind(path: Path) -> str | None:
    with path.open("rb") as file:
        head = file.read(16)
    return "mcap" if head.startswith(_MCAP_MAGIC) else "sqlite3" if head == _SQLITE_MAGIC else None


def _line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
