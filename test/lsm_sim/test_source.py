# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Simulated worlds as sources: what they give, that it is the truth, and that it is the same each time."""
import json

import numpy as np
import pytest

from lsm_ros.datasets.base import Source
from lsm_ros.geometry import se3_inverse
from lsm_ros.geometry.lie import so3_log
from lsm_ros.types import UNLABELLED
from lsm_sim.events import Event
from lsm_sim.generator import build_world
from lsm_sim.sensor import SensorConfig
from lsm_sim.source import BATCH, RoomSource, SimSource, seed_of
from lsm_sim.viewpoints import camera_poses
from lsm_sim.world import label_id

SMALL = {"width": 64, "height": 48}


@pytest.fixture(scope="module")
def room():
    return RoomSource(seed=2, frames=150)


@pytest.fixture(scope="module")
def world():
    return build_world(4, "room", size=(5.0, 4.0, 2.6), clutter=0.2)


def same(a, b):
    """True if two frame sets are equal to the last bit."""
    assert a.stamp_ns == b.stamp_ns
    np.testing.assert_array_equal(a.T_odom_base, b.T_odom_base)
    for f, g in zip(a.frames, b.frames, strict=True):
        np.testing.assert_array_equal(f.image, g.image)
        np.testing.assert_array_equal(f.depth, g.depth)
        np.testing.assert_array_equal(f.labels, g.labels)


class TestRoomSource:
    def test_frame_set(self, room):
        fs = room.frame_set(7)
        (frame,) = fs.frames
        assert isinstance(room, Source) and room.name == "room_2"
        assert frame.image.shape == (240, 320, 3) and frame.stamp_ns == fs.stamp_ns == 700_000_000
        assert frame.depth.shape == frame.labels.shape == (240, 320) and frame.frame_id == "front_optical"
        assert fs.T_odom_base is not None and fs.rig_is_base and len(room) == 150
        assert room.ground_truth[7].stamp_ns == fs.stamp_ns
        assert set(np.unique(frame.labels)) - {UNLABELLED} <= set(frame.label_space.names)

    def test_it_is_a_furnished_room_that_one_sees(self, room):
        low, high = room.world.bounds
        assert np.allclose(sorted(high - low), [2.6, 4, 5], atol=0.01) and len(set(room.world.things)) > 10
        seen = [room.render(i) for i in range(0, 150, 30)]
        assert all(np.isfinite(s.depth).all() and (s.depth > 0).mean() > 0.999 for s in seen)
        assert all(40 < s.image.mean() < 215 and s.image.std() > 20 for s in seen)
        assert len(np.unique(np.concatenate([s.labels.ravel() for s in seen]))) > 8

    def test_the_robot_drives_on_the_floor_and_does_not_jump(self, room):
        T = np.array([p.T_map_rig for p in room.ground_truth])
        assert np.abs(T[:, 2, 3]).max() < 1e-9 and np.allclose(T[:, 2, 2], 1)
        step = se3_inverse(T[:-1]) @ T[1:]
        assert np.linalg.norm(step[:, :3, 3], axis=1).max() < 0.07 and np.abs(step[:, 1, 3]).max() < 0.01
        assert np.abs(so3_log(step[:, :3, :3])).max() < 0.1
        assert np.linalg.norm(np.ptp(T[:, :2, 3], axis=0)) > 1.0

    def test_fewer_frames_are_the_first_part(self, room):
        part = list(RoomSource(seed=2, frames=5))
        assert len(part) == 5
        for a, b in zip(part, room, strict=False):
            same(a, b)

    def test_depth_and_poses_agree(self, room):
        """Depth of one frame, moved by the ground truth, lies on the depth of another: one world, right conventions."""
        (i, j) = (20, 26)
        a, b = room.render(i), room.render(j)
        poses = [room.ground_truth[k].T_map_rig @ room.T_rig_cam["front"] for k in (i, j)]
        T_b_a = se3_inverse(poses[1]) @ poses[0]
        points = (room.intrinsics.rays(unit=False) * a.depth[..., None]).reshape(-1, 3) @ T_b_a[:3, :3].T + T_b_a[:3, 3]
        pixels, valid = room.intrinsics.project(points)
        inside = valid & room.intrinsics.contains(pixels, 1)
        u, v = np.rint(pixels[inside]).astype(int).T
        gap = np.abs(b.depth[v, u] - points[inside, 2])
        assert inside.sum() > 20_000 and np.median(gap) < 0.01
        same_place = gap < 0.02
        assert np.mean(b.labels[v, u][same_place] == a.labels.ravel()[inside][same_place]) > 0.97
        color = np.abs(b.image[v, u].astype(int) - a.image.reshape(-1, 3)[inside])[same_place]
        assert np.median(color) < 8

    def test_odometry_drifts_slightly(self, room):
        T = np.array([p.T_map_rig for p in room.ground_truth])
        odometry = np.array([fs.T_odom_base for fs in (room.frame_set(i) for i in (0, 149))])
        error = np.linalg.norm(odometry[1, :3, 3] - (se3_inverse(T[0]) @ T[149])[:3, 3])
        assert np.allclose(odometry[0], np.eye(4)) and 0.001 < error < 0.5

    def test_surface_points_lie_on_what_is_seen(self, room):
        """Of true surface points in view none lies before what depth says, and most of those in view are what is seen."""
        points, labels = room.surface_points(20000)
        seen = room.render(40)
        T_cam_world = se3_inverse(room.ground_truth[40].T_map_rig @ room.T_rig_cam["front"])
        points_cam = points @ T_cam_world[:3, :3].T + T_cam_world[:3, 3]
        pixels, valid = room.intrinsics.project(points_cam)
        inside = valid & room.intrinsics.contains(pixels, 1)
        u, v = np.rint(pixels[inside]).astype(int).T
        behind = points_cam[inside, 2] - seen.depth[v, u]
        near = np.abs(behind) < 0.02
        assert inside.sum() > 1000 and (behind < -0.05).mean() < 0.02 and near.mean() > 0.3
        assert np.mean(seen.labels[v, u][near] == labels[inside][near]) > 0.95

    def test_two_cameras(self):
        source = RoomSource(frames=1, cameras=2, **SMALL)
        rear = source.T_rig_cam["rear"]
        assert source.cameras == ["front", "rear"] and rear[0, 2] < -0.9 and rear[0, 3] < 0
        front, back = source.frame_set(0).frames
        assert (front.camera, back.camera) == ("front", "rear") and (front.image != back.image).mean() > 0.5

    @pytest.mark.parametrize("options, named", [
        ({"frames": 0}, "frames"), ({"cameras": 3}, "cameras"), ({"width": 2}, "pixels"), ({"rate_hz": 0.0}, "rate_hz"),
        ({"seed": -1}, "seed"), ({"seed": 1.5}, "1.5"), ({"seed": "x"}, "'x'"), ({"seed": True}, "True"),
        ({"frames": 2.5}, "2.5")])
    def test_bad_options(self, options, named):
        with pytest.raises(ValueError, match=named):
            RoomSource(**options)


class TestSameSeedSameBytes:
    @pytest.mark.slow
    def test_whatever_was_asked_before(self):
        """In order, one by one backwards, and from two sources: batches must not show."""
        n = BATCH + 3
        a, b = (RoomSource(seed=5, frames=n, cameras=2, **SMALL) for _ in range(2))
        in_order = list(a)
        for i in reversed(range(n)):
            same(in_order[i], b.frame_set(i))
        a.close()
        same(a.frame_set(-1), in_order[-1])

    def test_seeds_differ(self):
        a, b = (RoomSource(seed=s, frames=1, **SMALL).frame_set(0).frames[0] for s in (0, 1))
        assert (a.image != b.image).mean() > 0.5

    def test_seed_of(self):
        """Known values: worlds made on another machine, or by another Python, are the same ones."""
        assert [seed_of(1, 2, 3), seed_of(1, 3, 2), seed_of(0)] == [
            6498626229777268288, 369936037315138467, 7896617691693857887]

    def test_beyond_the_end(self, room):
        with pytest.raises(IndexError, match="150"):
            room.frame_set(150)


class TestSimSource:
    def test_switches(self, world):
        source = SimSource(1, world, frames=2, odometry=False, labels=False, depth=False, **SMALL)
        fs = source.frame_set(1)
        assert fs.T_odom_base is None and fs.frames[0].labels is None and fs.frames[0].depth is None
        assert fs.frames[0].label_space is None and source.imu is None

    def test_clean_is_the_truth_and_noise_is_near_it(self, world):
        clean = SimSource(1, world, frames=2, noise=False, width=96, height=72)
        noisy = SimSource(1, world, frames=2, width=96, height=72)
        a, b, truth = clean.frame_set(1).frames[0], noisy.frame_set(1).frames[0], clean.render(1)
        np.testing.assert_array_equal(a.image, truth.image)
        np.testing.assert_array_equal(a.depth, truth.depth)
        np.testing.assert_array_equal(a.labels, truth.labels)
        both = b.depth > 0
        assert 0.7 < both.mean() < 1 and 0 < np.median(np.abs(b.depth - a.depth)[both]) < 0.02
        assert (a.image != b.image).mean() > 0.2 and (b.labels != a.labels).mean() < 0.05

    def test_a_sensor_of_ones_own(self, world):
        source = SimSource(1, world, frames=1, noise=SensorConfig.clean(), **SMALL)
        np.testing.assert_array_equal(source.frame_set(0).frames[0].image, source.render(0).image)

    def test_in_the_hand_there_are_no_wheels(self, world):
        source = SimSource(1, world, "hand", frames=3, imu=True, **SMALL)
        fs = source.frame_set(2)
        assert fs.T_odom_base is None and not fs.rig_is_base and 1.0 < source.ground_truth[0].T_map_rig[2, 3] < 1.9
        assert source.imu.stamps_ns[0] == 0 and 100_000_000 < source.imu.stamps_ns[-1] <= 200_000_000
        assert 8 < np.linalg.norm(source.imu.specific_force, axis=1).mean() < 12
        with pytest.raises(ValueError, match="no wheels"):
            SimSource(1, world, "hand", frames=3, odometry=True, **SMALL)

    @pytest.mark.parametrize("rig, count", [("stereo", 2), ("ring3", 3)])
    def test_rigs(self, world, rig, count):
        fs = SimSource(1, world, frames=1, rig=rig, **SMALL).frame_set(0)
        assert len(fs.frames) == count and set(fs.T_rig_cam) == {f.camera for f in fs.frames}

    @pytest.mark.parametrize("distortion", ["plumb_bob", "fisheye"])
    def test_lenses(self, world, distortion):
        source = SimSource(1, world, frames=1, distortion=distortion, **SMALL)
        frame = source.frame_set(0).frames[0]
        assert frame.intrinsics.has_distortion and (frame.depth > 0).mean() > 0.7

    def test_length_and_frames(self, world):
        source = SimSource(1, world, length_m=3.0, rate_hz=5.0, **SMALL)
        assert source.path.length_m == pytest.approx(3.0, abs=0.5)
        assert len(source) == int(source.path.duration_s * 5 + 1e-6) + 1
        assert len(SimSource(1, world, length_m=3.0, rate_hz=5.0, frames=4, **SMALL)) == 4
        assert len(SimSource(1, world, frames=23, **SMALL)) == 23

    def test_only_some_classes(self, world):
        source = SimSource(1, world, frames=1, noise=False, classes=["wall", "floor"], width=96, height=72)
        kept = {label_id(world.label_space, n) for n in ("wall", "floor")}
        assert kept <= set(np.unique(source.frame_set(0).frames[0].labels)) <= kept | {UNLABELLED}
        assert set(np.unique(source.surface_points(2000)[1])) <= kept | {UNLABELLED}

    def test_a_covered_lens_sees_nothing_while_the_motion_goes_on(self, world):
        event = Event("covered_lens", 0.35, 0.3, "front")
        source = SimSource(1, world, duration_s=2.0, events=[event], rig="front_rear", **SMALL)
        dark = [[f.image.mean() < 15 and not f.depth.any() and (f.labels == UNLABELLED).all() for f in fs.frames]
                for _, fs in zip(range(9), source, strict=False)]
        assert dark == [[4 <= i <= 6, False] for i in range(9)]
        assert source.facts["events"] == [{"kind": "covered_lens", "start_s": 0.35, "duration_s": 0.3, "camera": "front"}]

    def test_odometry_does_not_notice_a_kidnapping(self):
        source = SimSource(3, "room", length_m=4.0, events=[Event("kidnap", 3.0, 1.0)], size=(6.0, 5.0), **SMALL)
        (jump,) = (e for e in source.path.events if e.kind == "kidnap")
        i = int(np.ceil(jump.start_s * 10 - 1e-6))
        T = np.array([p.T_map_rig for p in source.ground_truth])
        moved = np.linalg.norm(np.diff(T[:, :2, 3], axis=0), axis=1)
        assert int(moved.argmax()) == i - 1 and moved.max() > 0.5
        odometry = source._odometry
        assert np.linalg.norm(np.diff(odometry[:, :2, 3], axis=0), axis=1).max() < 0.1

    def test_people_move_with_the_time_of_the_frames(self, monkeypatch):
        """A camera above the place of a person at the time of frame 20 sees it then, and not at the start, or elsewhere."""
        source = SimSource(0, "room", frames=40, movers=1, size=(7.0, 6.0), noise=False, **SMALL)
        assert len(source.world.movers) == 1 and source.facts["movers"] == 1
        asked = []
        render = source._ready().render
        monkeypatch.setattr(source._ready(), "render",
                            lambda *a, **k: asked.extend(np.atleast_1d(k["time_s"])) or render(*a, **k))
        source.frame_set(20)
        assert asked == [2.0]
        person = label_id(source.world.label_space, "person")
        x, y = source.world.movers[0].pose(2.0)[:2, 3]
        above = camera_poses(np.array([[x, y, 2.3]]), np.zeros(1), np.full(1, -np.pi / 2), np.zeros(1))[0]
        then, before = (source._ready().render(above, source.intrinsics, time_s=t).numpy().labels == person for t in (2.0, 0.0))
        assert then.sum() > 30 and (then != before).sum() > 20

    def test_facts_are_plain(self, room):
        facts = json.loads(json.dumps(room.facts))
        assert facts["world"] == "room" and facts["frames"] == 150 and facts["things"]["floor"] == 1
        assert "room 2" in room.describe() and "m in" in room.describe()

    @pytest.mark.parametrize("options, named", [
        ({"world": "castle"}, "'castle'.*lookalike"), ({"path": "flight"}, "'flight'.*shuttle"),
        ({"rig": "helmet"}, "'helmet'"), ({"classes": ["dragon"]}, "'dragon'.*chair"),
        ({"distortion": "funhouse"}, "'funhouse'"), ({"size": (1.0, 1.0)}, "small"), ({"fov_deg": 190.0}, "fov_deg"),
        ({"movers": -1}, "movers"), ({"device": "abacus"}, "'abacus'"),
        ({"frames": None, "length_m": 3.0, "duration_s": 2.0}, "one of"),
        ({"events": [Event("covered_lens", 0.1, 1.0, "rear")]}, "'rear'"), ({"events": [Event("pause", 99.0)]}, "99"),
    ])
    def test_bad_options(self, options, named):
        with pytest.raises(ValueError, match=named):
            SimSource(**({"frames": 3, **SMALL} | options))
