# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The rendered room: analytic depth, labels, motion, noise, and that it gives a tracker something to hold on to."""
import math
import time

import cv2
import numpy as np
import pytest

from lsm_ros.geometry.camera import CameraIntrinsics
from lsm_ros.geometry.lie import make_se3, se3_inverse, so3_exp
from lsm_ros.sim import RoomSource
from lsm_ros.sim import textures as tx
from lsm_ros.sim.motion import MAX_RATE, MAX_SPEED, drifting_odometry, loop_poses
from lsm_ros.sim.render import Renderer
from lsm_ros.sim.room import Box, Room, build_room, indoor_labels
from lsm_ros.sim.source import noisy_depth

CAMERA = CameraIntrinsics.from_fov(160, 120, math.radians(75))
FORWARD = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])  # optical frame that looks along world x


def bare_room(*boxes):
    wall = tx.plain((0.6, 0.6, 0.6))
    return Room(boxes, dict.fromkeys(("floor", "ceiling", "-x", "+x", "-y", "+y"), wall), 0, indoor_labels())


def box(label, low, high):
    return Box(label, np.array(low, float), np.array(high, float), tx.plain((0.5, 0.3, 0.2)))


@pytest.fixture(scope="module")
def source():
    return RoomSource(seed=2, frames=150)


class TestRenderer:
    def test_wall_ahead_is_a_plane_of_constant_depth(self):
        seen = Renderer(bare_room()).render(make_se3(FORWARD, [-0.3, 0.2, 1.2]), CAMERA)
        rays = CAMERA.rays(unit=False)
        z = 2.5 - (-0.3)
        on_wall = (np.abs(0.2 - rays[..., 0] * z) < 1.999) & (1.2 - rays[..., 1] * z > 0.001) \
            & (1.2 - rays[..., 1] * z < 2.599)
        assert on_wall.sum() > 5000
        np.testing.assert_allclose(seen.depth[on_wall], z, atol=1e-5)
        assert set(np.unique(seen.labels[on_wall])) == {1}

    def test_floor_and_ceiling(self):
        height = 1.2
        seen = Renderer(bare_room()).render(make_se3(FORWARD, [-2.0, 0, height]), CAMERA)
        rays = CAMERA.rays(unit=False)
        floor, ceiling = seen.labels == 2, seen.labels == 3
        assert floor.sum() > 1000 and ceiling.sum() > 500
        np.testing.assert_allclose(seen.depth[floor], (height / rays[..., 1])[floor], atol=1e-4)
        np.testing.assert_allclose(seen.depth[ceiling], (-(2.6 - height) / rays[..., 1])[ceiling], atol=1e-4)

    def test_box_from_any_side_is_analytic(self):
        """Each pixel's depth against the nearest root of the ray with the six planes of the box, in float64."""
        low, high = np.array([0.2, -0.4, 0.3]), np.array([0.8, 0.3, 1.1])
        renderer = Renderer(bare_room(box("table", low, high)))
        rng = np.random.default_rng(1)
        for yaw in np.linspace(0, 2 * np.pi, 7, endpoint=False):
            eye = np.array([0.5 - 1.4 * math.cos(yaw), -1.3 * math.sin(yaw), rng.uniform(0.9, 1.6)])
            R = so3_exp([0, 0, yaw]) @ so3_exp([0, 0.25, 0]) @ FORWARD
            seen = renderer.render(make_se3(R, eye), CAMERA)
            rays = CAMERA.rays(unit=False) @ R.T
            with np.errstate(divide="ignore"):
                t = np.stack([(low - eye) / rays, (high - eye) / rays])
            near, far = t.min(0).max(-1), t.max(0).min(-1)
            clear = (far - near > 1e-3) & (near > 0)  # rays that only graze an edge may go either way
            assert clear.sum() > 500
            assert (seen.labels[clear] == 10).all()
            np.testing.assert_allclose(seen.depth[clear], near[clear], atol=1e-4)
            assert (seen.labels[(near > far) | (far < 0)] != 10).all()

    def test_nearer_box_hides_the_farther(self):
        renderer = Renderer(bare_room(box("chair", [1, -0.2, 0.8], [1.2, 0.2, 1.6]),
                                      box("sofa", [0.2, -0.1, 1.0], [0.4, 0.1, 1.4])))
        seen = renderer.render(make_se3(FORWARD, [-1, 0, 1.2]), CAMERA)
        assert seen.labels[60, 80] == 9 and abs(seen.depth[60, 80] - 1.2) < 1e-4
        assert seen.labels[60, 80 - 10] == 8

    def test_box_beside_and_behind(self):
        """Boxes that reach behind the camera fill their part, those behind it none."""
        renderer = Renderer(bare_room(box("bed", [-2, 0.5, 0], [2, 0.9, 2.5]),
                                      box("box", [-2, -0.3, 1], [-1.5, 0.3, 1.5])))
        seen = renderer.render(make_se3(FORWARD, [-1, 0, 1.2]), CAMERA)
        rays = CAMERA.rays(unit=False)
        left = rays[60, :, 0] < -0.2
        np.testing.assert_allclose(seen.depth[60, left], 0.5 / -rays[60, left, 0], atol=1e-4)
        assert (seen.labels != 38).all()

    def test_distorted_camera(self):
        """With a lens that bends lines outwards, a box covers more than the frame around its corners."""
        lens = CameraIntrinsics(160, 120, 100, 100, 79.5, 59.5, "plumb_bob", (-0.25, 0.04, 0, 0, 0))
        seen = Renderer(bare_room(box("table", [0.0, -0.6, 0.7], [0.2, 0.6, 1.7]))).render(
            make_se3(FORWARD, [-1, 0, 1.2]), lens)
        y, z = np.moveaxis(-lens.rays(unit=False)[..., :2], -1, 0) + np.array([0, 1.2])[:, None, None]
        face = (np.abs(y) < 0.599) & (z > 0.701) & (z < 1.699)
        assert (seen.labels[face] == 10).all()
        np.testing.assert_allclose(seen.depth[face], 1.0, atol=1e-5)
        assert (seen.labels[(np.abs(y) > 0.601) | (z < 0.699) | (z > 1.701)] != 10).all()

    def test_pixels_without_a_ray_are_dark(self):
        lens = CameraIntrinsics(160, 120, 90, 90, 79.5, 59.5, "plumb_bob", (-0.35, 0.0, 0, 0, 0))
        none = np.isnan(lens.rays(unit=False)[..., 0])
        seen = Renderer(bare_room()).render(make_se3(FORWARD, [-1, 0, 1.2]), lens)
        assert 100 < none.sum() < none.size / 2
        assert (seen.depth[none] == 0).all() and (seen.labels[none] == 65535).all() and (seen.image[none] == 0).all()
        assert (seen.depth[~none] > 0.5).all() and (seen.labels[~none] != 65535).all()

    def test_outside_of_the_room(self):
        with pytest.raises(ValueError, match="outside"):
            Renderer(bare_room()).render(make_se3(FORWARD, [9, 0, 1]), CAMERA)

    def test_speed(self, source):
        source.render(0)
        times = []
        for i in range(8):
            start = time.process_time()
            source.render(10 * i)
            times.append(time.process_time() - start)
        assert min(times) < 0.08  # well below on a free core


class TestRoom:
    def test_furniture(self):
        room = build_room(0)
        assert len({b.label for b in room.boxes}) >= 8
        for b in room.boxes:
            assert (b.low < b.high).all() and (b.low >= room.low - 1e-9).all() and (b.high <= room.high + 1e-9).all()
            room.label_id(b.label)

    def test_label_space(self):
        names = indoor_labels().names
        assert len(names) >= 40 and len(set(names.values())) == len(names)
        assert {"floor", "wall", "ceiling", "table", "chair"} <= set(names.values())

    def test_seeds_differ(self):
        a, b = (RoomSource(seed=s, frames=1, width=64, height=48, noise=False).frame_set(0).frames[0] for s in (0, 1))
        assert (a.image != b.image).mean() > 0.3

    def test_surface_points_are_on_what_is_seen(self, source):
        """Points in front of the camera are at the rendered depth or hidden, and have the rendered label."""
        points, labels = source.surface_points(20_000)
        assert points.shape == (20_000, 3) and labels.dtype == np.uint16
        seen = source.render(40)
        T_cam_world = se3_inverse(source.ground_truth[40].T_map_rig @ source.T_rig_cam["front"])
        points_cam = points @ T_cam_world[:3, :3].T + T_cam_world[:3, 3]
        pixels, valid = source.intrinsics.project(points_cam)
        inside = valid & source.intrinsics.contains(pixels, 2)
        u, v = np.rint(pixels[inside]).astype(int).T
        gap = points_cam[inside, 2] - seen.depth[v, u]
        visible = np.abs(gap) < 0.02
        assert visible.sum() > 800
        assert np.quantile(gap, 0.02) > -0.05  # nothing floats in front of the surfaces
        assert (labels[inside][visible] == seen.labels[v, u][visible]).mean() > 0.97

    def test_surface_points_are_open_to_the_air(self, source):
        """Neither walls behind cupboards, nor their backs, nor what stands on something: no point is in or at a box."""
        points, labels = source.surface_points(30_000)
        room = source.room
        for b in room.boxes:
            inside = ((points > b.low + 1e-6) & (points < b.high - 1e-6)).all(1)
            assert not inside.any(), b.label
            below = (np.abs(points[:, 2] - b.low[2]) < 1e-9) & ((points > b.low) & (points < b.high))[:, :2].all(1)
            if b.low[2] == 0:
                assert not below.any(), b.label
        case = next(b for b in room.boxes if b.label == "bookcase")
        behind = (points[:, 1] > 1.999) & (points[:, 0] > case.low[0]) & (points[:, 0] < case.high[0])
        assert points[behind, 2].min() > case.high[2] and behind.sum() > 50
        assert (labels[behind] == room.label_id("wall")).all()

    def test_surface_points_are_spread_by_area(self, source):
        points, labels = source.surface_points(40_000)
        ceiling = (labels == source.room.label_id("ceiling")).mean()
        assert abs(ceiling - (np.abs(points[:, 2] - 2.6) < 1e-9).mean()) < 1e-12
        walls = (labels == source.room.label_id("wall")).mean()
        assert 1.6 < walls / ceiling < 46.8 / 20  # the room's proportions, less what furniture covers

    def test_tracker_finds_corners(self, source):
        for i in (0, 40, 80, 120):
            grey = cv2.cvtColor(source.frame_set(i).frames[0].image, cv2.COLOR_RGB2GRAY)
            corners = cv2.goodFeaturesToTrack(grey, 400, 0.02, 6)
            assert len(corners) > 150


class TestMotion:
    @pytest.mark.parametrize("frames", [30, 150, 320])
    def test_limits(self, frames):
        T = loop_poses(np.arange(frames) / 10)
        speed = np.linalg.norm(np.diff(T[:, :3, 3], axis=0), axis=1) * 10
        yaw = np.unwrap(np.arctan2(T[:, 1, 0], T[:, 0, 0]))
        assert speed.max() <= MAX_SPEED and np.abs(np.diff(yaw)).max() * 10 <= MAX_RATE
        assert (T[:, 2, 3] == 0).all() and (T[:, 2, :3] == [0, 0, 1]).all()

    @pytest.mark.parametrize("frames", [150, 151, 320])
    def test_returns(self, frames):
        T = loop_poses(np.arange(frames) / 10)
        np.testing.assert_allclose(T[-1], T[0], atol=1e-9)
        assert np.linalg.norm(T[:, :3, 3] - T[0, :3, 3], axis=1).max() > 1.5

    def test_robot_does_not_drive_through_furniture(self, source):
        position = np.array([p.T_map_rig[:2, 3] for p in source.ground_truth])
        for b in source.room.boxes:
            if b.label != "carpet":
                outside = np.maximum(np.maximum(b.low[:2] - position, position - b.high[:2]), 0)
                assert np.linalg.norm(outside, axis=1).min() > 0.15, b.label

    def test_one_frame(self):
        assert loop_poses(np.zeros(1)).shape == (1, 4, 4)

    def test_odometry_drifts_slightly(self, source):
        T = np.array([p.T_map_rig for p in source.ground_truth])
        odometry = drifting_odometry(T, np.random.default_rng(0))
        true = se3_inverse(T[0]) @ T
        error = np.linalg.norm(odometry[:, :3, 3] - true[:, :3, 3], axis=1)
        assert error[0] == 0 and 0.005 < error.max() < 0.3
        np.testing.assert_allclose(drifting_odometry(T, np.random.default_rng(0), 0, 0, 0), true, atol=1e-9)


class TestRoomSource:
    def test_frame_set(self, source):
        fs = source.frame_set(7)
        (frame,) = fs.frames
        assert frame.image.shape == (240, 320, 3) and frame.stamp_ns == fs.stamp_ns == 700_000_000
        assert frame.depth.shape == frame.labels.shape == (240, 320) and frame.frame_id == "front_optical"
        assert fs.T_odom_base is not None and len(source) == 150 and source.ground_truth[7].stamp_ns == fs.stamp_ns
        assert set(np.unique(frame.labels)) - {65535} <= set(frame.label_space.names)

    def test_same_seed_gives_the_same_bytes(self):
        a, b = (list(RoomSource(seed=5, frames=3, width=64, height=48, cameras=2)) for _ in range(2))
        for x, y in zip(a, b, strict=True):
            np.testing.assert_array_equal(x.T_odom_base, y.T_odom_base)
            for f, g in zip(x.frames, y.frames, strict=True):
                np.testing.assert_array_equal(f.image, g.image)
                np.testing.assert_array_equal(f.depth, g.depth)
                np.testing.assert_array_equal(f.labels, g.labels)

    def test_depth_and_poses_agree(self, source):
        """Depth of one frame, moved by the ground truth, lies on the depth of another: one world, right conventions."""
        (i, j) = (20, 26)
        a, b = source.render(i), source.render(j)
        poses = [source.ground_truth[k].T_map_rig @ source.T_rig_cam["front"] for k in (i, j)]
        T_b_a = se3_inverse(poses[1]) @ poses[0]
        points_a = (source.intrinsics.rays(unit=False) * a.depth[..., None]).reshape(-1, 3)
        points = points_a @ T_b_a[:3, :3].T + T_b_a[:3, 3]
        pixels, valid = source.intrinsics.project(points)
        inside = valid & source.intrinsics.contains(pixels, 1)
        u, v = np.rint(pixels[inside]).astype(int).T
        gap = np.abs(b.depth[v, u] - points[inside, 2])
        assert inside.sum() > 20_000 and np.median(gap) < 0.01
        same = gap < 0.02
        color = np.abs(b.image[v, u].astype(int) - a.image.reshape(-1, 3)[inside])[same]
        assert np.median(color) < 8

    def test_camera_sits_on_the_robot(self, source):
        T = source.T_rig_cam["front"]
        assert T[2, 3] == pytest.approx(1.1) and 0 > T[2, 2] > -0.4 and T[0, 2] > 0.9  # forward, a little down

    def test_rear_camera_looks_back(self):
        rear = RoomSource(frames=1, width=32, height=24, cameras=2).T_rig_cam["rear"]
        assert rear[0, 2] < -0.9 and rear[0, 3] < 0

    def test_depth_noise(self):
        depth = np.full((240, 320), 2.0, np.float32)
        depth[:, 160:] = 4.0
        out = noisy_depth(depth, np.random.default_rng(0))
        near, far = out[:, :150], out[:, 170:]
        assert 0.005 < (near == 0).mean() < 0.08
        sigma = [np.std(half[half > 0]) for half in (near, far)]
        assert sigma[0] == pytest.approx(0.0012 * 4, rel=0.1) and sigma[1] == pytest.approx(0.0012 * 16, rel=0.1)
        assert np.allclose(out * 1000, np.rint(out * 1000), atol=1e-3)
        assert (out[:, 158:162] == 0).mean() > 0.2

    def test_switches(self):
        source = RoomSource(frames=2, width=32, height=24, odometry=False, labels=False, depth=False)
        fs = source.frame_set(1)
        assert fs.T_odom_base is None and fs.frames[0].labels is None and fs.frames[0].depth is None

    @pytest.mark.parametrize("options", [{"frames": 0}, {"cameras": 3}, {"width": 2}, {"rate_hz": 0.0}])
    def test_bad_options(self, options):
        with pytest.raises(ValueError, match=next(iter(options)).replace("width", "pixels")):
            RoomSource(**options)
