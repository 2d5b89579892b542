# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The files of a ROS 2 bag: which paths hold one, of what kind they are, and the topics inside."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_MCAP_MAGIC = b"\x89MCAP0\r\n"
_SQLITE_MAGIC = b"SQLite format 3\0"


@dataclass(frozen=True)
class Topic:
    """A topic in a bag: name, type such as sensor_msgs/msg/Image, and how many messages it has."""

    name: str
    msgtype: str
    count: int


def is_bag(path: Path) -> bool:
    """Recognizes a bag by its content: an MCAP or SQLite file, or a folder with such files."""
    if path.is_dir():
        return (path / "metadata.yaml").is_file() or any(path.glob("*.mcap")) or any(path.glob("*.db3"))
    return path.is_file() and (storage_kind(path) is not None or path.suffix.lower() in (".mcap", ".db3", ".bag"))


def check_bag_path(path: Path) -> None:
    """Raises FileNotFoundError or ValueError, in one line, if there is no bag at `path`."""
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
    if path.is_file() and storage_kind(path) is None:
        raise ValueError(f"{path} is no bag: it starts neither like MCAP nor like SQLite")


def bag_files(path: Path) -> list[Path]:
    """The storage files of a bag; compressed ones (.mcap.zstd, .db3.zstd) included."""
    if path.is_file():
        return [path]
    return sorted(f for f in path.iterdir() if f.is_file() and {".mcap", ".db3"} & set(f.suffixes))


def storage_kind(path: Path) -> str | None:
    """'mcap' or 'sqlite3' by the first bytes of a file; None if it is neither."""
    with path.open("rb") as file:
        head = file.read(16)
    return "mcap" if head.startswith(_MCAP_MAGIC) else "sqlite3" if head == _SQLITE_MAGIC else None
