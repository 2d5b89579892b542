# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Gaussians of keyframes: they draw the image that they were made from, move with it, and give way to free voxels."""
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.optional import imported

from lsm_ros.fusion.files.feature_file import read_features
from lsm_ros.fusion.files.gaussian_ply import read_gaussians, write_gaussian_features, write_gaussians
from lsm_ros.fusion.read.gaussians import SH_C0, gaussians_of, spread, together
from lsm_ros.geometry import CameraIntrinsics
from lsm_ros.geometry.lie import make_se3, make_sim3, se3_inverse
from lsm_ros.geometry.rotation import quat_to_matrix, so3_exp
from lsm_ros.models.splatting import colours_of, render
from lsm_ros.types import Observation
from lsm_sim.source import RoomSource


def observe(frame, number=0, **change):
    """An observation with the exact depth of a frame of a rendered room."""
    step = 5e-4
    z = np.where(frame.depth > 0, np.rint(frame.depth / step), 0).clip(0, 65535).astype(np.uint16)
    made = Observation(number, number, frame.stamp_ns, frame.camera, np.eye(4), z, step, np.full(z.shape, 255, np.uint8),
                       frame.image, frame.intrinsics)
    return replace(made, **change)


@pytest.fixture(scope="module")
def room():
    """Frames of a room with exact depth, and their poses."""
    source = RoomSource(seed=0, frames=16, width=240, height=180, rate_hz=5.0)
    frames = [s.frames[0] for s in source]
    poses = [p.T_map_rig @ source.T_rig_cam["front"] for p in source.ground_truth]
    return frames, poses


def picture(cloud, T_map_cam, camera):
    parts = [torch.from_numpy(np.ascontiguousarray(a)) for a in (cloud.means, cloud.scales, cloud.rotations, cloud.opacities)]
    T_cam_map = torch.from_numpy(se3_inverse(T_map_cam)).float()
    with torch.inference_mode():
        image, opacity = render(*parts, colours_of(torch.from_numpy(cloud.sh)), T_cam_map, camera)
    return image.clamp(0, 1).numpy(), opacity.numpy()


def psnr(image, expected, where=...):
    return -10 * np.log10(((image - expected / 255.0)[where] ** 2).mean())


def test_an_exact_pointmap_draws_its_image(room):
    frames, poses = room
    cloud = gaussians_of(observe(frames[3]), poses[3])
    image, opacity = picture(cloud, poses[3], frames[3].intrinsics)
    found = psnr(image, frames[3].image)
    print(f"PSNR {found:.1f} dB")
    assert found > 25 and opacity.mean() > 0.95


def test_a_neighbouring_view(room):
    frames, poses = room
    cloud = gaussians_of(observe(frames[3]), poses[3])
    image, opacity = picture(cloud, poses[4], frames[4].intrinsics)
    seen = opacity > 0.95
    print(f"PSNR {psnr(image, frames[4].image, seen):.1f} dB on {seen.mean():.0%}")
    assert seen.mean() > 0.6 and psnr(image, frames[4].image, seen) > 18


def test_they_move_and_grow_with_their_keyframe(room):
    frames, _ = room
    seen = observe(frames[0])
    before = gaussians_of(seen, np.eye(4))
    T = make_sim3(2.0, so3_exp([0.1, 0.2, 0.3]), [1.0, 2.0, 3.0])
    after = gaussians_of(seen, T)
    assert np.allclose(after.means, before.means @ T[:3, :3].T + T[:3, 3], atol=1e-4)
    assert np.allclose(after.scales, 2 * before.scales, rtol=1e-4)
    was, now = (quat_to_matrix(c.rotations[:, [1, 2, 3, 0]]) for c in (before, after))
    turned = now @ np.swapaxes(was, 1, 2)
    assert np.allclose(turned, so3_exp([0.1, 0.2, 0.3]), atol=1e-4)


def test_unknown_pixels_have_none(room):
    frames, _ = room
    seen = observe(frames[0])
    z, confidence = seen.z.copy(), seen.confidence.copy()
    z[:90], confidence[:, :120] = 0, 0
    cloud = gaussians_of(replace(seen, z=z, confidence=confidence), np.eye(4))
    assert len(cloud) == np.count_nonzero((z > 0) & (confidence > 0)) and np.isfinite(cloud.means).all()
    sure = gaussians_of(replace(seen, confidence=np.full(z.shape, 1, np.uint8)), np.eye(4)).opacities
    assert sure.max() < 0.51 and gaussians_of(seen, np.eye(4)).opacities.min() > 0.98


def test_stride(room):
    frames, poses = room
    fine, coarse = (gaussians_of(observe(frames[0], z=np.full((180, 240), 4000, np.uint16)), poses[0], s) for s in (1, 4))
    assert len(coarse) == len(fine) // 16
    assert 2.5 < np.median(coarse.scales[:, 0]) / np.median(fine.scales[:, 0]) < 5
    colour = frames[0].image[:4, :4].mean((0, 1)) / 255
    assert np.allclose(coarse.sh[0, 0] * SH_C0 + 0.5, colour, atol=1e-5)


def test_the_edge_of_a_thing_belongs_to_one_surface():
    seen = wall(1.0, 0)
    seen.z[:, :32] += (10 * np.arange(32)).astype(np.uint16)  # slanted, and then a step to another far behind it
    seen.z[:, 32:] = 4000 + 30 * np.arange(32)
    found = gaussians_of(seen, np.eye(4))
    scales, axes = found.scales.reshape(48, 64, 3), quat_to_matrix(found.rotations[:, [1, 2, 3, 0]]).reshape(48, 64, 3, 3)
    assert scales[:, 32:].max() < 0.7 * 5.0 / 60.0 and scales[:, :32].max() < 0.7 * 1.5 / 60.0
    for column in (31, 32):  # each is as its neighbour on the same side is
        beside = {31: 30, 32: 33}[column]
        facing = np.abs((axes[24, column, :, 2] * axes[24, beside, :, 2]).sum())
        assert facing > 0.999 and np.allclose(scales[24, column], scales[24, beside], rtol=0.05)


def test_another_project_reads_the_file(room, tmp_path):
    o3d = pytest.importorskip("open3d")
    frames, poses = room
    cloud = gaussians_of(observe(frames[0]), poses[0], 4)
    write_gaussians(tmp_path / "a.ply", cloud)
    there = o3d.t.io.read_point_cloud(str(tmp_path / "a.ply"))
    assert np.allclose(there.point.positions.numpy(), cloud.means)
    assert np.allclose(there.point["opacity"].numpy().ravel(), np.log(cloud.opacities / (1 - cloud.opacities)), atol=1e-3)


def test_the_readers_of_viewers_read_the_file(room, tmp_path):
    """By plyfile, as viewers and trainers of 3D Gaussian Splatting read theirs, with the names and units that they use."""
    plyfile = imported("plyfile")
    frames, poses = room
    cloud = gaussians_of(observe(frames[0]), poses[0], 4)
    write_gaussians(tmp_path / "a.ply", cloud)
    vertex = plyfile.PlyData.read(str(tmp_path / "a.ply"))["vertex"]
    columns = [np.stack([np.asarray(vertex[n]) for n in names.split()], 1) for names in (
        "x y z", "scale_0 scale_1 scale_2", "rot_0 rot_1 rot_2 rot_3", "f_dc_0 f_dc_1 f_dc_2")]
    for found, expected in zip(columns, (cloud.means, np.log(cloud.scales), cloud.rotations, cloud.sh[:, 0]), strict=True):
        assert found.dtype == np.float32 and np.allclose(found, expected, atol=1e-5)
    assert np.allclose(1 / (1 + np.exp(-vertex["opacity"])), cloud.opacities, atol=1e-4)


def test_spread_has_the_covariance_of_the_steps():
    u, v = np.random.default_rng(0).normal(size=(2, 50, 3))
    scales, axes = spread(u, v)
    assert np.allclose(np.linalg.det(axes), 1)
    got = axes[:, :, :2] * scales[:, None, :2] ** 2 @ np.swapaxes(axes[:, :, :2], 1, 2) / 0.45 ** 2
    wanted = u[:, :, None] * u[:, None] + v[:, :, None] * v[:, None]
    wide = scales[:, 1] > 1.01 * scales[:, 2]  # the others are lines, which get some width
    assert wide.sum() > 40 and np.allclose(got[wide], wanted[wide], atol=1e-8)
    assert (scales[:, 2] <= scales[:, 1]).all() and (scales[:, 1] <= scales[:, 0]).all()
    assert all(np.isfinite(a).all() for a in spread(np.zeros((1, 3)), np.zeros((1, 3))))


def test_features_come_along(room):
    frames, poses = room
    features = np.arange(11 * 15 * 2).reshape(11, 15, 2).astype(np.int8)
    z = np.full((180, 240), 4000, np.uint16)
    cloud = gaussians_of(observe(frames[0], features=features, z=z), poses[0], 2)
    full = ((np.arange(90) * 2 + 1) * 11 // 180)[:, None] * 15 + (np.arange(120) * 2 + 1) * 15 // 240
    assert len(cloud) == full.size and np.array_equal(cloud.cell, full.ravel())
    both = together([cloud, gaussians_of(observe(frames[1]), poses[1], 2), cloud])
    last = both.features[both.cell[-len(cloud):]]
    assert np.array_equal(last, cloud.features[cloud.cell]) and (both.cell == -1).sum() == len(both) - 2 * len(cloud)
    other = gaussians_of(observe(frames[0], features=features[..., :1].copy()), poses[0], 2)
    with pytest.raises(ValueError, match=r"features of \[1, 2\] numbers"):
        together([cloud, other])
    with pytest.raises(ValueError, match="no Gaussians"):
        together([])


def wall(depth, number):
    """A camera that looks at a wall at a depth in metres."""
    camera = CameraIntrinsics(64, 48, 60.0, 60.0, 31.5, 23.5)
    z = np.full((48, 64), round(depth / 1e-3), np.uint16)
    return Observation(number, number, number, "front", np.eye(4), z, 1e-3, np.full(z.shape, 255, np.uint8),
                       np.full((48, 64, 3), 100, np.uint8), camera)


@pytest.mark.parametrize("degree", [0, 3])
def test_files(room, tmp_path, degree):
    frames, poses = room
    features = np.full((11, 15, 4), 60, np.int8)
    cloud = gaussians_of(observe(frames[0], features=features), poses[0], 4)
    more = np.random.default_rng(0).normal(size=(len(cloud), (degree + 1) ** 2 - 1, 3)).astype(np.float32)
    cloud = replace(cloud, sh=np.concatenate([cloud.sh, more], 1))
    assert write_gaussians(tmp_path / "a.ply", cloud) == (tmp_path / "a.ply").stat().st_size
    again = read_gaussians(tmp_path / "a.ply")
    for name in ("means", "scales", "rotations", "opacities", "sh"):
        assert np.allclose(getattr(again, name), getattr(cloud, name), rtol=1e-4, atol=1e-5), name
    write_gaussian_features(tmp_path / "a.npz", cloud, 0.05)
    beside = read_features(tmp_path / "a.npz")
    assert np.array_equal(beside.points_map, cloud.means) and np.array_equal(beside.cell, cloud.cell)


def test_coefficients_lie_colour_by_colour(tmp_path):
    cloud = gaussians_of(wall(1.0, 0), np.eye(4), 16)
    more = np.zeros((len(cloud), 15, 3), np.float32)
    more[:, 2, 1] = 7.0  # the third coefficient of green
    write_gaussians(tmp_path / "a.ply", replace(cloud, sh=np.concatenate([cloud.sh, more], 1)))
    data = (tmp_path / "a.ply").read_bytes()
    header, body = data.split(b"end_header\n", 1)
    names = [line.split()[2].decode() for line in header.split(b"\n") if line.startswith(b"property")]
    row = dict(zip(names, np.frombuffer(body, "<f4").reshape(len(cloud), -1)[0], strict=True))
    assert row["f_rest_17"] == 7.0 and sum(abs(row[f"f_rest_{i}"]) for i in range(45)) == 7.0
    assert row["opacity"] == pytest.approx(np.log(0.99 / 0.01), rel=1e-3) and row["nx"] == 0


def test_files_of_something_else(tmp_path):
    cloud = gaussians_of(wall(1.0, 0), np.eye(4), 16)
    write_gaussians(tmp_path / "a.ply", cloud)
    whole = (tmp_path / "a.ply").read_bytes()
    for name, data, message in (("cut", whole[:-8], "truncated"), ("nothing", b"abc", "no PLY file"),
                                ("other", whole.replace(b" opacity", b" opaquely"), "lacks opacity")):
        (tmp_path / f"{name}.ply").write_bytes(data)
        with pytest.raises(ValueError, match=message):
            read_gaussians(tmp_path / f"{name}.ply")
    with pytest.raises(FileNotFoundError):
        read_gaussians(tmp_path / "b.ply")
    write_gaussians(tmp_path / "c.ply", replace(cloud, means=cloud.means * np.nan))
    with pytest.raises(ValueError, match="not finite"):
        read_gaussians(tmp_path / "c.ply")


def test_a_turned_camera_sees_the_same(room):
    frames, poses = room
    T = make_se3(so3_exp([0.0, 0.3, 0.0]), [0.4, 0.0, 0.1])
    image, _ = picture(gaussians_of(observe(frames[3]), poses[3]), poses[3], frames[3].intrinsics)
    moved, _ = picture(gaussians_of(observe(frames[3]), T @ poses[3]), T @ poses[3], frames[3].intrinsics)
    assert np.abs(image - moved).mean() < 1e-3
