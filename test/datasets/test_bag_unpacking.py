# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Small bags that unpack to gigabytes: refused before the memory, or the disk, is full."""
import resource
import struct
from io import BytesIO

import lz4.frame
import pytest
from helpers.memory import refused_within
from rosbags.rosbag2 import storage_mcap

from lsm_ros.datasets import bag_unpacking
from lsm_ros.datasets.bag_unpacking import bound, bound_rosbags, unpack_file, unpack_message
from lsm_ros.reading import MOST_CHUNK_BYTES

zstd = storage_mcap.zstd
HUGE = 1 << 29


def text(value):
    return struct.pack("<I", len(value)) + value.encode()


def record(opcode, content):
    return struct.pack("<BQ", opcode, len(content)) + content


def packed_zeros(kind, size):
    out, block = BytesIO(), bytes(1 << 24)
    opened = lz4.frame.open(out, "wb") if kind == "lz4" else zstd.open(out, "wb")
    with opened as file:
        for _ in range(size >> 24):
            file.write(block)
    return out.getvalue()


def mcap(kind, data, claimed):
    """A bag of one chunk that claims to come to so many bytes."""
    chunk = struct.pack("<QQQI", 0, 2**62, claimed, 0) + text(kind) + struct.pack("<Q", len(data)) + data
    magic = b"\x89MCAP0\r\n"
    head, end = record(1, text("ros2") + text("")), record(0x0F, bytes(4)) + record(2, bytes(20))
    return magic + head + record(6, chunk) + end + magic


@pytest.mark.parametrize("kind", ["lz4", "zstd"])
def test_a_bag_of_one_huge_chunk_is_refused_within_the_memory(tmp_path, kind):
    data = packed_zeros(kind, HUGE)
    assert len(data) < 6e6
    for name, claimed in (("honest", HUGE), ("lying", 1000)):
        (tmp_path / f"{name}.mcap").write_bytes(mcap(kind, data, claimed))
    refused_within("from lsm_ros.datasets.rosbag import RosbagSource", "",
                   [f"RosbagSource({str(tmp_path / name)!r})" for name in ("honest.mcap", "lying.mcap")])


@pytest.mark.parametrize("make", [lz4.frame.LZ4FrameDecompressor, zstd.ZstdDecompressor])
def test_what_fits_comes_out_whole(make):
    kind = "lz4" if "LZ4" in make.__name__ else "zstd"
    data = packed_zeros(kind, 1 << 24)
    assert bound(data, make, 1 << 24) == bytes(1 << 24)
    with pytest.raises(ValueError, match="more than 16777215 bytes"):
        bound(data, make, (1 << 24) - 1)
    with pytest.raises(ValueError, match="cut off"):
        bound(data[:-8], make, 1 << 24)


def test_rosbags_unpacks_with_these_bounds():
    bound_rosbags()
    for kind in ("lz4", "zstd"):
        data = packed_zeros(kind, 1 << 24)
        assert storage_mcap.decompress(data, kind, 1 << 24, 0) == bytes(1 << 24)
        with pytest.raises(ValueError, match="claims"):
            storage_mcap.decompress(data, kind, MOST_CHUNK_BYTES + 1, 0)
        with pytest.raises(ValueError, match="more than 1000 bytes"):
            storage_mcap.decompress(data, kind, 1000, 0)


def test_packed_messages_are_bounded_too():
    assert unpack_message(packed_zeros("zstd", 1 << 24)) == bytes(1 << 24)
    with pytest.raises(ValueError, match=f"more than {MOST_CHUNK_BYTES} bytes"):
        unpack_message(packed_zeros("zstd", 1 << 28))


def test_a_file_that_is_packed_as_a_whole_does_not_fill_the_disk(tmp_path, monkeypatch):
    path, folder = tmp_path / "bag.mcap.zstd", tmp_path / "scratch"
    folder.mkdir()
    path.write_bytes(packed_zeros("zstd", 1 << 28))
    with pytest.raises(ValueError, match=r"bag\.mcap\.zstd cannot be read: it unpacks to more than 50 times"):
        unpack_file(path, folder)
    assert not list(folder.iterdir()), "nothing is left of it"
    monkeypatch.setattr(bag_unpacking, "MOST_CHUNK_BYTES", 1 << 28)
    assert unpack_file(path, folder).stat().st_size == 1 << 28


def test_a_chunk_of_zstd_that_is_cut_is_no_traceback(tmp_path):
    from lsm_ros.datasets.bag_recovery import RecoveredMcap

    data = packed_zeros("zstd", 1 << 24)
    (tmp_path / "cut.mcap").write_bytes(mcap("zstd", data[:-9] + bytes(9), 1 << 24))
    assert RecoveredMcap(tmp_path / "cut.mcap").topics == []


def test_a_full_disk_names_the_folder_that_is_full(tmp_path):
    """A process that may not write files beyond 1 MB stands for a full disk."""
    path, folder = tmp_path / "bag.mcap.zstd", tmp_path / "scratch"
    folder.mkdir()
    path.write_bytes(packed_zeros("zstd", 1 << 24))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        with pytest.raises(OSError, match=r"bag\.mcap\.zstd is unpacked there, and TMPDIR names") as error:
            unpack_file(path, folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert error.value.filename == str(folder) and not list(folder.iterdir())
