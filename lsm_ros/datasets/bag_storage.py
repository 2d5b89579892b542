# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The files of a ROS 2 bag: which paths hold one, of what kind they are, and the topics inside."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lsm_ros.datasets.base import natural_key

_MCAP_MAGIC = b"\x89MCAP0\r\n"
_SQLITE_MAGIC = b"SQLite format 3\0"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_SUFFIXES = (".mcap", ".db3")
ZSTD_SUFFIXES = (".zstd", ".zst")


@dataclass(frozen=True)
class Topic:
    """A topic in a bag: name, type such as sensor_msgs/msg/Image, how many messages it has, and how they are encoded."""

    name: str
    msgtype: str
    count: int
    encoding: str = "cdr"


def is_bag(path: Path) -> bool:
    """Recognizes a bag by its content: an MCAP or SQLite file, or a folder with such files, also compressed by zstd."""
    if path.is_dir():
        return (path / "metadata.yaml").is_file() or bool(bag_files(path))
    return path.is_file() and (storage_kind(path) is not None or _is_named_bag(path) or path.suffix.lower() == ".bag")


def check_bag_path(path: Path) -> None:
    """Raises FileNotFoundError or ValueError, in one line, if there is no bag at `path`."""
    if not path.exists():
        raise FileNotFoundError(f"bag {path} does not exist")
    files = bag_files(path)
    if not files:
        raise ValueError(f"folder {path} holds no bag: neither .mcap nor .db3 files")
    if len(files) == 1 and files[0].stat().st_size == 0:
        raise ValueError(f"bag {files[0]} is empty: the file has no bytes")
    if path.suffix.lower() == ".bag":
        raise ValueError(f"bag {path} is of ROS 1; convert it: rosbags-convert --src {path.name} --dst {path.stem}")
    if path.is_file() and storage_kind(path) is None and not is_zstd(path):
        raise ValueError(f"{path} is no bag: it starts neither like MCAP nor like SQLite")


def bag_files(path: Path) -> list[Path]:
    """The storage files of a bag, rec_2 before rec_10; a compressed one (.mcap.zstd) only where it was not unpacked."""
    if path.is_file():
        return [path]
    found = {f for f in path.iterdir() if f.is_file() and _is_named_bag(f)}
    return sorted((f for f in found if f.suffix.lower() not in ZSTD_SUFFIXES or f.with_suffix("") not in found),
                  key=lambda f: natural_key(f.name))


def _is_named_bag(file: Path) -> bool:
    name = file.with_suffix("") if file.suffix.lower() in ZSTD_SUFFIXES else file
    return name.suffix.lower() in _SUFFIXES and not file.name.startswith(".")


def storage_kind(path: Path) -> str | None:
    """'mcap' or 'sqlite3' by the first bytes of a file; None if it is neither."""
    with path.open("rb") as file:
        head = file.read(16)
    return "mcap" if head.startswith(_MCAP_MAGIC) else "sqlite3" if head == _SQLITE_MAGIC else None


def is_zstd(path: Path) -> bool:
    """Compares the first bytes of a file: True if it was compressed by zstd."""
    with path.open("rb") as file:
        return file.read(4) == ZSTD_MAGIC
