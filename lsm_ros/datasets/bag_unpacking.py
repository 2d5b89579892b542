# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Bounded unpacking of bags: rosbags unpacks chunks, messages and files to whatever they come to."""
from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from lsm_ros.datasets.bag_storage import ZSTD_MAGIC
from lsm_ros.reading import MOST_CHUNK_BYTES, MOST_FILE_RATIO, reading

_BLOCK = 1 << 22


def bound(data: bytes, make: Any, most: int) -> bytes:
    """Unpacks `data` with decompressors of `make`, one for each frame in it. ValueError once it comes to more than `most`."""
    parts: list[bytes] = []
    left = most + 1
    while data:
        unpacker = make()
        parts.append(unpacker.decompress(data, max_length=left))
        left -= len(parts[-1])
        if left <= 0:
            raise ValueError(f"a packed part comes to more than {most} bytes, which is refused")
        if not unpacker.eof:
            raise ValueError("a packed part is cut off")
        data = unpacker.unused_data or b""
    return b"".join(parts)


def _of_size(data: bytes, make: Any, size: int) -> bytes:
    if size > MOST_CHUNK_BYTES:
        raise ValueError(f"a chunk claims {size} bytes; more than {MOST_CHUNK_BYTES} are refused")
    return bound(data, make, size)


@cache
def bound_rosbags() -> None:
    """Puts the bounds into rosbags, for this process."""
    from lz4.frame import LZ4FrameDecompressor
    from rosbags.rosbag2 import storage_mcap

    zstd = storage_mcap.zstd
    storage_mcap.DECOMPRESSORS["lz4"] = lambda data, size: _of_size(data, LZ4FrameDecompressor, size)
    storage_mcap.DECOMPRESSORS["zstd"] = lambda data, size: _of_size(data, zstd.ZstdDecompressor, size)


def unpack_file(path: Path, folder: Path) -> Path:
    """Unpacks a storage file, packed as a whole, into a folder. ValueError if it is damaged, or comes to far more than images
    do, which would fill the disk; OSError, naming the folder, if that is full. Then nothing is left of it."""
    out = folder / path.with_suffix("").name
    try:
        with out.open("wb") as target:
            for block in _blocks(path):
                target.write(block)
    except ValueError:
        out.unlink(missing_ok=True)
        raise
    except OSError as error:
        out.unlink(missing_ok=True)
        raise OSError(error.errno, f"{error.strerror}; {path.name} is unpacked there, and TMPDIR names another place",
                      str(folder)) from error
    return out


def _blocks(path: Path) -> Iterator[bytes]:
    """The content of a packed file, part by part. ValueError."""
    from rosbags.rosbag2 import storage_mcap

    left = MOST_CHUNK_BYTES + MOST_FILE_RATIO * path.stat().st_size
    with reading(path), storage_mcap.zstd.open(path, "rb") as source:
        while block := source.read(_BLOCK):
            left -= len(block)
            if left < 0:
                raise ValueError(f"it unpacks to more than {MOST_FILE_RATIO} times its size, which is refused; if it is a "
                                 f"bag after all: zstd -d {path.name}")
            yield block


def unpack_message(data: bytes) -> bytes:
    """A message of a bag, unpacked if it was packed by itself. ValueError if it is damaged, or too large to be one."""
    if not data.startswith(ZSTD_MAGIC):  # which no serialised message begins with
        return data
    from rosbags.rosbag2 import storage_mcap

    try:
        return bound(data, storage_mcap.zstd.ZstdDecompressor, MOST_CHUNK_BYTES)
    except storage_mcap.zstd.ZstdError as error:
        raise ValueError(f"a packed message is damaged: {error}") from error
