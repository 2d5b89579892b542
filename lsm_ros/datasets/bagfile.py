# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Messages of a ROS 2 bag (MCAP, SQLite, or a rosbag2 folder) without ROS; what is left of a broken one, too."""
from __future__ import annotations

import heapq
import struct
from collections.abc import Collection, Iterator
from itertools import chain, pairwise
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lsm_ros.datasets.bag_metadata import BagMetadata
from lsm_ros.datasets.bag_parts import Part, line_of, open_part
from lsm_ros.datasets.bag_storage import Topic, bag_files, check_bag_path
from lsm_ros.datasets.bag_unpacking import bound_rosbags, unpack_message
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
    bound_rosbags()
    store = get_typestore(Stores.ROS2_JAZZY)
    for name, text in _VISION_TYPES.items():
        store.register(get_types_from_msg(text, name))
    return store


class BagFile:
    """Topics and messages of a bag, in the order of their log times.

    The storage files say what is there; where metadata.yaml says something else, that is logged. Files that rosbags refuses
    are scanned from their start up to where they break, which `log` then reports. ValueError in one line, naming the file,
    for what is no bag or holds no messages of ROS 2; FileNotFoundError where there is nothing.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.log = WarningLog()
        self.store = typestore()
        check_bag_path(self.path)
        self._metadata = BagMetadata(self.path, self.log)
        self._scratch = TemporaryDirectory(prefix="lsm_bag_")
        self._parts: list[Part] = []
        try:
            self._open()
            self.topics = self._list_topics()
        except BaseException:
            self.close()
            raise

    @property
    def stamp_offset_ns(self) -> int:
        """Nanoseconds that were added to the stamps, as the bag's metadata says."""
        return self._metadata.stamp_offset_ns

    def messages(self, topics: Collection[str]) -> Iterator[tuple[str, int, Any]]:
        """Yields (topic, log time in ns, message) of the topics named; what does not parse is skipped and counted."""
        types = {t.name: t.msgtype for t in self.topics}
        for topic, stamp_ns, raw in self.raw(topics):
            try:
                message = self.store.deserialize_cdr(raw, types[topic])
            except Exception as error:  # the parser of rosbags raises anything at all on bytes that lie
                self.log.add(f"message of {topic} skipped: it does not parse as {types[topic]}", line_of(error))
                continue
            yield topic, stamp_ns, message

    def raw(self, topics: Collection[str]) -> Iterator[tuple[str, int, bytes]]:
        """Yields (topic, log time in ns, serialised message) of the topics named; what cannot be unpacked is skipped and
        counted."""
        wanted = set(topics) & {t.name for t in self.topics}
        parts = [self._of_part(part, wanted) for part in self._parts]
        for topic, stamp_ns, data in heapq.merge(*parts, key=itemgetter(1)) if self._overlap() else chain(*parts):
            try:
                yield topic, stamp_ns, unpack_message(data)
            except ValueError as error:
                self.log.add(f"message of {topic} skipped", str(error))

    @property
    def duration_s(self) -> float:
        """Time from the first to the last message, by their recording."""
        spans = [p.span_ns for p in self._parts if p.span_ns is not None]
        return (max(s[1] for s in spans) - min(s[0] for s in spans)) * 1e-9 if spans else 0.0

    def named(self, msgtype: str, name: str) -> list[str]:
        """The topic of this name and type, or nothing."""
        return [t.name for t in self.topics if t.msgtype == msgtype and t.name == name]

    def close(self) -> None:
        """Closes the files."""
        for part in self._parts:
            part.close()
        self._parts = []
        self._scratch.cleanup()

    def _open(self) -> None:
        """Opens the files, in the order of their first messages."""
        files = bag_files(self.path)
        found = [open_part(file, Path(self._scratch.name), self.log) for file in files]
        self._parts = sorted((p for p in found if p is not None), key=lambda p: p.span_ns or (2**63, 0))
        if not self._parts:
            raise ValueError("; ".join([f"bag {self.path} cannot be read", *self.log.lines()]))
        if len(files) > 1 and not self._metadata.is_known:
            self.log.add(f"bag {self.path.name} has no metadata.yaml: its files are read in the order of their times",
                         f"{len(files)} files")
        self._metadata.compare(files, sum(t.count for p in self._parts for t in p.topics))

    def _overlap(self) -> bool:
        spans = [p.span_ns for p in self._parts if p.span_ns is not None]
        return any(after[0] < before[1] for before, after in pairwise(spans))

    def _list_topics(self) -> list[Topic]:
        merged: dict[str, Topic] = {}
        for t in (t for part in self._parts for t in part.topics):
            before = merged[t.name].count if t.name in merged else 0
            merged[t.name] = Topic(t.name, t.msgtype, before + t.count, t.encoding)
        topics = [t for t in merged.values() if t.encoding == "cdr"]
        if merged and not topics:
            raise ValueError(f"bag {self.path} {_foreign(list(merged.values()))}")
        for t in merged.values():
            if t.encoding != "cdr":
                self.log.add(f"{t.name} is left out: its {t.count} messages are {t.encoding}, not cdr as those of ROS 2")
        return topics

    def _of_part(self, part: Part, topics: set[str]) -> Iterator[tuple[str, int, bytes]]:
        messages = part.messages(topics)
        while True:
            try:
                message = next(messages)
            except StopIteration:
                return
            except Exception as error:  # of rosbags: a damaged chunk or page in the middle
                self.log.add(f"bag {self.path.name} breaks off in the middle", line_of(error))
                return
            if isinstance(message[1], int) and not isinstance(message[2], (str, int, float, type(None))):
                yield message
            else:  # SQLite keeps any kind of value in any column
                self.log.add(f"message of {message[0]} skipped: its row holds no time or no bytes")


def _foreign(topics: list[Topic]) -> str:
    """States which messages a bag holds that are none of ROS 2, and what to do."""
    kinds = ", ".join(sorted({t.encoding or "unnamed" for t in topics}))
    if kinds == "ros1":
        return "holds messages of ROS 1; convert the .bag that it was made from: rosbags-convert --src OLD.bag --dst NEW"
    return f"holds no messages of ROS 2 (cdr) but {kinds}: {topics[0].name} is {topics[0].msgtype}; record with ros2 bag"


def stamp_of(header: Any) -> int:
    """Nanoseconds of a std_msgs/Header's stamp."""
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)


def raw_stamp(raw: bytes) -> int | None:
    """Nanoseconds of the time that a serialised message with a header, or a Clock, begins with; None for one too short."""
    if len(raw) < 12:
        return None
    sec, nanosec = struct.unpack_from("<iI" if raw[1] & 1 else ">iI", raw, 4)
    return sec * 1_000_000_000 + nanosec
