# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import struct
from dataclasses import replace

import numpy as np
import pytest
from helpers.optional import imported

from lsm_ros.geometry import CameraIntrinsics
from lsm_ros.geometry.lie import make_se3
from lsm_ros.geometry.rotation import so3_exp
from lsm_ros.sfm.colmap_files import FILES, read_cameras, write_model
from lsm_ros.sfm.model import SceneModel

CAMERAS = (CameraIntrinsics(640, 480, 500, 500, 319.5, 239.5), CameraIntrinsics(640, 480, 500, 502, 319, 239),
           CameraIntrinsics(480, 640, 500, 500, 239, 319, "plumb_bob", (-0.1, 0, 0, 0)),
           CameraIntrinsics(640, 480, 500, 501, 319, 239, "plumb_bob", (-0.1, 0.01, 0.001, 0.002)),
           CameraIntrinsics(640, 480, 500, 501, 319, 239, "plumb_bob", (-0.1, 0.01, 0.001, 0.002, 0.03)),
           CameraIntrinsics(640, 480, 300, 301, 319, 239, "equidistant", (0.1, 0.01, 0.001, 0.002)))


def some_model():
    rng = np.random.default_rng(0)
    points = rng.uniform(-1, 1, (30, 3)) + (0, 0, 4)
    poses = np.stack([make_se3(so3_exp(0.05 * rng.normal(size=3)), 0.2 * rng.normal(size=3)) for _ in CAMERAS])
    seen_by, point, pixels = [], [], []
    for n, (camera, T) in enumerate(zip(CAMERAS, poses, strict=True)):
        seen_by += [n] * 30
        point += list(range(30))
        pixels.append(camera.project((points - T[:3, 3]) @ T[:3, :3])[0])
    return SceneModel(np.array([4, 0, 1, 2, 3, 6]), CAMERAS, poses, points, rng.integers(0, 255, (30, 3)).astype(np.uint8),
                      np.array(seen_by), np.array(point), np.concatenate(pixels))


NAMES = ["b.jpg", "c.jpg", "d.jpg", "e.jpg", "a.jpg", "unused.jpg", "größe 6.jpg"]


def test_cameras_come_back(tmp_path):
    model = some_model()
    write_model(tmp_path, model, NAMES)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(FILES)
    found = read_cameras(tmp_path)
    assert [i.name for i in found] == ["a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg", "größe 6.jpg"]
    for image, n in zip(found, range(6), strict=True):
        assert np.allclose(image.pose, model.poses[n], atol=1e-12)
        pixels = [c.project(np.array([[0.3, -0.2, 1.0], [-0.5, 0.4, 1.2]]))[0] for c in (image.camera, CAMERAS[n])]
        assert image.camera.shape == CAMERAS[n].shape and np.allclose(*pixels, atol=1e-9)


def test_text_and_binary_say_the_same(tmp_path):
    model = some_model()
    write_model(tmp_path, model, NAMES)
    lines = [x for x in (tmp_path / "images.txt").read_text().splitlines() if not x.startswith("#")]
    first = lines[0].split()
    assert first[0] == "5" and first[9] == "a.jpg"
    x, y, point = lines[1].split()[:3]
    assert (float(x), float(y)) == pytest.approx(tuple(model.pixels[0] + 0.5), abs=1e-3) and int(point) == 1
    rows = [x.split() for x in (tmp_path / "points3D.txt").read_text().splitlines() if not x.startswith("#")]
    assert len(rows) == 30 and float(rows[0][7]) < 1e-3  # its error
    data = (tmp_path / "points3D.bin").read_bytes()
    number, *X = struct.unpack_from("<Q3d", data, 8)
    assert number == 1 and [float(v) for v in rows[0][1:4]] == X and len(data) == 8 + 30 * (43 + 8 + 6 * 8)
    assert rows[0][8:] == [str(v) for n in model.images for v in (n + 1, 0)]
    cameras = [x.split() for x in (tmp_path / "cameras.txt").read_text().splitlines() if not x.startswith("#")]
    assert [c[1] for c in cameras] == ["SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "OPENCV", "FULL_OPENCV", "OPENCV_FISHEYE"]
    assert float(cameras[0][5]) == 320.0  # counted from the corner


@pytest.mark.parametrize("kind", ["bin", "txt"])
def test_colmap_reads_it(tmp_path, kind):
    pycolmap = imported("pycolmap")
    model = some_model()
    model = replace(model, pixels=model.pixels + np.random.default_rng(1).normal(size=model.pixels.shape))
    names = NAMES if kind == "bin" else [n.replace(" ", "_") for n in NAMES]  # COLMAP's text ends names at a space
    write_model(tmp_path, model, names)
    for path in tmp_path.iterdir():
        if path.suffix != f".{kind}":
            path.unlink()
    found = pycolmap.Reconstruction(tmp_path)
    assert {i.name for i in found.images.values()} == {names[n] for n in model.images} and found.num_points3D() == 30
    assert found.compute_num_observations() == 180
    found.update_point_3d_errors()
    assert found.compute_mean_reprojection_error() == pytest.approx(model.errors().mean(), rel=1e-3)


def test_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match="COLMAP model"):
        read_cameras(tmp_path)
    write_model(tmp_path, some_model(), NAMES)
    whole = (tmp_path / "images.bin").read_bytes()
    for cut in (4, 30, 75, len(whole) - 1):
        (tmp_path / "images.bin").write_bytes(whole[:cut])
        with pytest.raises(ValueError, match="images.bin is truncated"):
            read_cameras(tmp_path)
    cameras = bytearray((tmp_path / "cameras.bin").read_bytes())
    cameras[12:16] = struct.pack("<i", 9)
    (tmp_path / "cameras.bin").write_bytes(cameras)
    with pytest.raises(ValueError, match="COLMAP's model 9"):
        read_cameras(tmp_path)
