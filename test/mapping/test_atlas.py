# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Maps that were begun apart become one when the camera comes back, and are taken apart again when the images contradict it."""
from dataclasses import replace

import numpy as np
import pytest
from helpers.textured import CAMERA, room, see

from lsm_ros.config import from_dict
from lsm_ros.geometry import make_se3, se3_inverse, so3_exp, so3_log
from lsm_ros.mapping.pipeline import MappingPipeline
from lsm_ros.types import Frame, FrameSet, TrackingState

CONFIG = from_dict({"fusion.voxel_size": 0.1, "pairs.max_depth": 10.0, "tracking.lost_session_seconds": 0.5,
                    "scale.gravity": "base_link"})  # nothing levels the map: it stays where it began
STEP_NS = 10**8
FAR = np.array([14.0, 0.0, 0.0])
# Two rooms 14 m apart in one world; the second has other walls.
WORLD = [*room(), *(replace(b, corner=b.corner + FAR) for b in room(5))]


def frame_set(n, T, boards=WORLD, depth=True, T_odom_base=None):
    """The frame set number n of a camera at T (4, 4); T None: in the dark."""
    image, z = (np.zeros((CAMERA.height, CAMERA.width), np.uint8), None) if T is None else see(boards, T)
    stamp = 10**9 + n * STEP_NS
    frame = Frame(stamp, "camera", np.repeat(image[..., None], 3, 2), CAMERA, z if depth else None)
    return FrameSet(stamp, (frame,), {"camera": np.eye(4)}, T_odom_base)


def turning(start, count, turn=0.0, step=0.08, place=(0, 0, 0)):
    """Poses of a camera that turns and moves a little."""
    return [make_se3(so3_exp([0, turn + step * (start + n), 0]), np.asarray(place) + [0.02 * n, 0, 0.02 * n])
            for n in range(count)]


def run(pipeline, poses, first, boards=WORLD):
    return [pipeline.process(frame_set(first + n, T, boards)) for n, T in enumerate(poses)]


def error(T_map_rig, truth, T_map_world=None):
    """Metres and radians by which a pose is off."""
    d = se3_inverse(truth if T_map_world is None else T_map_world @ truth) @ T_map_rig
    return float(np.linalg.norm(d[:3, 3])), float(np.linalg.norm(so3_log(d[:3, :3])))


@pytest.fixture
def two_maps():
    """A pipeline that mapped the first room, was carried in the dark, and has begun to map the second one."""
    pipeline = MappingPipeline(CONFIG)
    home = turning(0, 12)
    run(pipeline, home, 0)
    run(pipeline, [None] * 3, 12)
    away = turning(0, 16, place=FAR)
    updates = run(pipeline, away, 15)
    return pipeline, home, away, updates


def test_a_place_never_seen_begins_a_session_and_the_old_map_is_kept(two_maps):
    pipeline, _, _, updates = two_maps
    assert [u.session for u in updates][-1] == 1 and updates[-1].tracking.state is TrackingState.TRACKING
    assert [s.number for s in pipeline._atlas.others] == [0]
    numbers = [set(s.tracker.graph.keyframes) for s in (pipeline._atlas.here, *pipeline._atlas.others)]
    assert all(numbers) and not numbers[0] & numbers[1]
    assert {p.stamp_ns for p in pipeline.trajectory()} <= {u.stamp_ns for u in updates}




def test_coming_back_joins_the_maps(two_maps):
    pipeline, home, _, _ = two_maps
    blocks = pipeline.map.block_count
    run(pipeline, [None] * 3, 31)  # carried again, to a part of the first room that borders on what it knows
    back = turning(-8, 30)
    updates = run(pipeline, back, 34)
    assert updates[-1].session == 0 and updates[-1].tracking.state is TrackingState.TRACKING
    joined = [u for u in updates if u.session == 0]
    for u in joined:
        truth = back[(u.stamp_ns - 10**9) // STEP_NS - 34]
        off = error(u.tracking.T_map_rig, truth, se3_inverse(home[0]))
        assert off[0] < 0.05 and off[1] < 0.02
    assert pipeline.map_epoch > 1 and pipeline.map.block_count > blocks


def test_voxels_of_both_maps_are_in_the_joined_one(two_maps):
    """The map that is left after a join is the one that fusing all observations at their keyframes' poses gives."""
    pipeline, *_ = two_maps
    run(pipeline, [None] * 3, 31)
    run(pipeline, turning(-8, 30), 34)
    assert pipeline.session == 0
    pipeline.settle()
    scratch = type(pipeline.map)(pipeline.map.config)
    for seen in pipeline.map.observations.values():
        scratch.add(seen, pipeline.tracker.graph.keyframes[seen.keyframe].T_map_rig)
    a, b = pipeline.map.surface(), scratch.surface()
    assert len(a.points_map) > 100 and np.array_equal(np.sort(a.voxel, 0), np.sort(b.voxel, 0))
    keyframes = {o.keyframe for o in pipeline.map.observations.values()}
    assert max(keyframes) - min(keyframes) > 3


# A room that is like the first one where the camera comes in, with other walls behind.
LIKE = room()
COPY = [LIKE[0], *(replace(b, corner=1.5 * b.corner, u=1.5 * b.u, v=1.5 * b.v) for b in room(9)[1:4]), *LIKE[4:8]]


@pytest.fixture
def in_a_copy():
    """A pipeline that mapped all around in the first room, was carried into the copy, and takes it for the first one."""
    pipeline = MappingPipeline(CONFIG)
    around = turning(0, 40, step=0.16)
    run(pipeline, around, 0, LIKE)
    run(pipeline, [None] * 12, 40)
    before = {i: k.T_map_rig.copy() for i, k in pipeline.tracker.graph.keyframes.items()}
    updates = run(pipeline, turning(-2, 8, step=0.05), 52, COPY)
    assert updates[-1].session == 0 and updates[-1].tracking.state in (TrackingState.RELOCALIZED, TrackingState.TRACKING)
    return pipeline, before


def test_a_copy_of_a_room_is_left_when_the_images_contradict_it(in_a_copy):
    pipeline, before = in_a_copy
    observations = set(pipeline.map.observations)
    updates = run(pipeline, turning(4, 30, step=0.1), 60, COPY)
    wrong = [u for u in updates if u.session == 0 and u.tracking.T_map_rig is not None]
    assert updates[-1].session != 0 and updates[-1].tracking.state is TrackingState.TRACKING
    first_other = next(n for n in range(30) if 0.4 + 0.1 * n > 0.95)  # the other wall fills a good part of the image
    assert len(wrong) * STEP_NS < first_other * STEP_NS + 15 * 10**8
    left = next(s for s in pipeline._atlas.others if s.number == 0)
    assert {i for i in left.tracker.graph.keyframes if i <= max(before)} == set(before)
    assert set(left.tracker.graph.keyframes) == set(before)
    assert {o.keyframe for o in left.fuser.map.observations.values()} <= set(before)
    assert not set(pipeline.map.observations) & observations & set(left.fuser.map.observations)
    assert any("not where it belongs" in w for u in updates for w in u.warnings)


def test_what_was_wrong_leaves_no_pose_in_the_old_map(in_a_copy):
    pipeline, _ = in_a_copy
    run(pipeline, turning(4, 30, step=0.1), 60, COPY)
    left = next(s for s in pipeline._atlas.others if s.number == 0)
    assert max(p.stamp_ns for p in left.history.final(left.tracker.graph)) <= 10**9 + 41 * STEP_NS
    assert len(pipeline.trajectory()) >= 30


def test_a_loop_back_to_the_truth_finds_the_old_map_again(in_a_copy):
    pipeline, before = in_a_copy
    run(pipeline, turning(4, 30, step=0.1), 60, COPY)
    run(pipeline, [None] * 8, 90)
    updates = run(pipeline, turning(10, 30, step=0.16), 98, LIKE)
    assert updates[-1].session == 0 and updates[-1].tracking.state is TrackingState.TRACKING
    off = error(updates[-1].tracking.T_map_rig, turning(10, 30, step=0.16)[-1], se3_inverse(turning(0, 1)[0]))
    assert off[0] < 0.05 and off[1] < 0.02


def test_odometry_carries_the_map_on_through_the_dark():
    pipeline = MappingPipeline(CONFIG)
    seen, unseen = turning(0, 10), turning(0, 12, turn=3.0)
    for n, T in enumerate(seen):
        pipeline.process(frame_set(n, T, T_odom_base=T))
    for n in range(10, 18):
        pipeline.process(frame_set(n, None, T_odom_base=unseen[0]))
    updates = [pipeline.process(frame_set(18 + n, T, T_odom_base=T)) for n, T in enumerate(unseen)]
    assert updates[-1].session == 1 and updates[-1].map_epoch == 0 and not pipeline._atlas.others
    off = error(updates[-1].tracking.T_map_rig, unseen[-1], se3_inverse(seen[0]))
    assert off[0] < 0.03 and off[1] < 0.01
    assert list(pipeline.tracker.attached) == [min(i for i, k in pipeline.tracker.graph.keyframes.items()
                                                   if k.stamp_ns > 10**9 + 10 * STEP_NS)]


def test_maps_are_joined_when_no_more_frames_come(two_maps):
    """What was never found while it was built is found when everything is looked at again."""
    pipeline, home, *_ = two_maps
    run(pipeline, [None] * 3, 31)
    pipeline._atlas._joiner.look = lambda *_: None
    run(pipeline, turning(-3, 12), 34)
    assert sorted(s.number for s in pipeline._atlas.others) == [0, 1]
    assert pipeline._atlas.join_all() == 1
    assert pipeline.session == 0 and [s.number for s in pipeline._atlas.others] == [1]
    pipeline.settle()
    poses = {p.stamp_ns: p.T_map_rig for p in pipeline.trajectory()}
    for n, T in enumerate(turning(-3, 12)):
        if 10**9 + (34 + n) * STEP_NS in poses:
            assert error(poses[10**9 + (34 + n) * STEP_NS], T, se3_inverse(home[0]))[0] < 0.05
    assert len(poses) > 18
