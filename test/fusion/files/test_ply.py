# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import errno
import os
import resource

import numpy as np
import pytest
from helpers.optional import imported

from lsm_ros.fusion import read_ply, write_ply
from lsm_ros.types import UNLABELLED, MapSnapshot


def snapshot(n=100, seed=0):
    rng = np.random.default_rng(seed)
    return MapSnapshot(rng.normal(size=(n, 3)).astype(np.float32), rng.integers(0, 256, (n, 3), dtype=np.uint8),
                       rng.integers(0, 65536, n).astype(np.uint16), rng.random(n, dtype=np.float32),
                       np.ones(n, np.float32), np.zeros((n, 3), np.float32), 0.05, 1.0)


@pytest.mark.parametrize("n", [0, 1, 1000])
def test_round_trip(tmp_path, n):
    s, path = snapshot(n), tmp_path / "map.ply"
    assert write_ply(path, s) == path.stat().st_size
    cloud = read_ply(path)
    assert (cloud.points == s.points_map).all() and (cloud.colors == s.colors).all()
    assert (cloud.labels == s.labels).all() and (cloud.confidence == s.confidence).all()
    assert [p.name for p in tmp_path.iterdir()] == ["map.ply"]


def test_layout_of_the_file(tmp_path):
    s, path = snapshot(3), tmp_path / "map.ply"
    write_ply(path, s)
    header, body = path.read_bytes().split(b"end_header\n")
    names = [line.split()[2] for line in header.decode().splitlines() if line.startswith("property")]
    assert names == ["x", "y", "z", "red", "green", "blue", "label", "confidence"]
    assert len(body) == 3 * 21
    assert np.frombuffer(body[:12], "<f4").tolist() == s.points_map[0].tolist()


def test_tensor_readers_get_the_labels(tmp_path):
    open3d = imported("open3d")
    s, path = snapshot(50), tmp_path / "map.ply"
    write_ply(path, s)
    assert open3d.t.io.read_point_cloud(str(path)).point["label"].numpy().ravel().tolist() == s.labels.tolist()


def test_other_programs_read_it(tmp_path):
    open3d = imported("open3d")
    s, path = snapshot(50), tmp_path / "map.ply"
    write_ply(path, s)
    cloud = open3d.io.read_point_cloud(str(path))
    assert np.allclose(np.asarray(cloud.points), s.points_map)
    assert np.allclose(np.asarray(cloud.colors) * 255, s.colors)


def test_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "map.ply"
    write_ply(path, snapshot(10))
    old = path.read_bytes()

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_ply(path, snapshot(20))
    assert caught.value.errno == errno.ENOSPC and str(path) in str(caught.value)
    assert path.read_bytes() == old and [p.name for p in tmp_path.iterdir()] == ["map.ply"]


def test_really_full_disk(tmp_path):
    path = tmp_path / "map.ply"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))  # larger files cannot be written
    try:
        with pytest.raises(OSError, match="map.ply") as caught:
            write_ply(path, snapshot(1000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.errno == errno.EFBIG and not list(tmp_path.iterdir())


def test_a_missing_folder_is_made_and_a_file_in_its_place_is_named(tmp_path):
    write_ply(tmp_path / "new" / "map.ply", snapshot(1))
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["map.ply"]
    with pytest.raises(OSError) as caught:
        write_ply(tmp_path / "new" / "map.ply" / "below.ply", snapshot(1))
    assert caught.value.filename.endswith("below.ply")
    with pytest.raises(FileNotFoundError):
        read_ply(tmp_path / "map.ply")



def test_files_of_others(tmp_path):
    path = tmp_path / "o.ply"
    vertices = np.zeros(2, [("x", "<f8"), ("y", "<f8"), ("z", "<f8"), ("nx", "<f4")])
    vertices["y"] = 1, 2
    path.write_bytes(b"ply\nformat binary_little_endian 1.0\nelement vertex 2\nproperty double x\nproperty double y\n"
                     b"property double z\nproperty float nx\nelement face 0\nproperty list uchar int vertex_indices\n"
                     b"end_header\n" + vertices.tobytes())
    cloud = read_ply(path)
    assert cloud.points.tolist() == [[0, 1, 0], [0, 2, 0]] and (cloud.labels == UNLABELLED).all()
    assert (cloud.confidence == 1).all()


@pytest.mark.parametrize(("spoil", "match"), [
    (lambda b: b[:-1], "truncated"),
    (lambda b: b[:60], "no PLY file"),
    (lambda b: b"", "no PLY file"),
    (lambda b: b.replace(b"little", b"big"), "binary_little_endian"),
    (lambda b: b.replace(b"vertex 10", b"vertex x"), "header"),
    (lambda b: b.replace(b"vertex 10", b"vertex -1"), "no vertices"),
    (lambda b: b.replace(b"float z", b"float w"), "no vertex property"),
    (lambda b: b.replace(b"float y", b"float x"), "header"),
    (lambda b: b.replace(b"float y", b"quad y"), "quad"),
])
def test_damaged_files(tmp_path, spoil, match):
    path = tmp_path / "map.ply"
    write_ply(path, snapshot(10))
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(ValueError, match=match) as caught:
        read_ply(path)
    assert str(path) in str(caught.value)
