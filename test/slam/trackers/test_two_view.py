# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.textured import CAMERA, Board, picture, room, see

from lsm_ros.config import from_dict
from lsm_ros.geometry import make_se3, se3_inverse, so3_exp, so3_log, transform_points, umeyama
from lsm_ros.mapping.observations import rescaled
from lsm_ros.mapping.pipeline import MappingPipeline
from lsm_ros.slam.graph.keyframes import Keyframe
from lsm_ros.slam.trackers.two_view import TwoViewTracker
from lsm_ros.types import Frame, FrameSet, LabelSpace, TrackingState

CONFIG = from_dict({"pairs.model": "two_view", "fusion.voxel_size": 0.1})
BOARDS = room()
PERIOD_NS = 33_333_333


def walk(count, start=0):
    """Poses of a camera that sways sideways and looks about, in a room."""
    s = (np.arange(count) + start) / 30.0
    return [make_se3(so3_exp([0.05 * np.sin(1.3 * t), 0.25 * np.sin(0.9 * t), 0.03 * np.sin(2 * t)]),
                     [0.6 * np.sin(0.9 * t), 0.1 * np.sin(1.7 * t), 0.35 * t - 0.3 * np.sin(t)]) for t in s]


def frame_set(gray, n, intrinsics=CAMERA):
    """The n-th frame set; the rig is the camera."""
    stamp = 1_000_000_000 + n * PERIOD_NS
    return FrameSet(stamp, (Frame(stamp, "camera", np.repeat(gray[..., None], 3, 2), intrinsics),), {"camera": np.eye(4)})


def fed(pipeline, path, boards=BOARDS, first=0, intrinsics=CAMERA):
    """Updates of the frames along a path; `boards` may be a function of the frame's number."""
    return [pipeline.process(frame_set(see(boards(n) if callable(boards) else boards, T)[0], first + n, intrinsics))
            for n, T in enumerate(path)]


def errors(pipeline, path, first=0):
    """(N,) position errors after alignment by a similarity, metres, and the length of the path."""
    truth = {1_000_000_000 + (first + n) * PERIOD_NS: T for n, T in enumerate(path)}
    poses = [p for p in pipeline.trajectory() if p.stamp_ns in truth]
    ours = np.array([p.T_map_rig[:3, 3] for p in poses])
    true = np.array([truth[p.stamp_ns][:3, 3] for p in poses])
    length = np.linalg.norm(np.diff([T[:3, 3] for T in path], axis=0), axis=1).sum()
    return np.linalg.norm(transform_points(umeyama(ours, true, with_scale=True), ours) - true, axis=1), length


@pytest.fixture(scope="module")
def mapped():
    pipeline, path = MappingPipeline(CONFIG), walk(75)
    updates = fed(pipeline, path)
    pipeline.settle()
    return pipeline, path, updates


def test_maps_a_room_from_colour_alone(mapped):
    pipeline, path, updates = mapped
    error, length = errors(pipeline, path)
    assert len(error) >= 0.95 * len(path)
    assert np.sqrt(np.mean(error**2)) < 0.02 * length
    assert next(n for n, u in enumerate(updates) if u.tracking.T_map_rig is not None) < 40
    status = pipeline.status()
    assert status.state is TrackingState.TRACKING and not status.scale_is_metric and status.scale_source == "none"
    assert status.focal_px["camera"] == pytest.approx(CAMERA.fx, rel=0.05) and not status.focal_is_estimated["camera"]


def seen_from_newest(tracker):
    """Places (N, 3) of the recent frames in the frame of the newest keyframe."""
    T_newest = tracker.graph.newest.T_map_rig
    return np.array([(se3_inverse(T_newest) @ T)[:3, 3] for _, T in tracker._recent])


@pytest.mark.parametrize("change", [lambda tracker: tracker.move_map(make_se3(so3_exp([0.0, 0.15, 0.0]), np.zeros(3))),
                                    lambda tracker: tracker.resize(3.0)], ids=["turned", "grown"])
def test_a_map_that_is_changed_under_way_goes_on(change):
    """As when it is levelled, or grows to metres: depth of new keyframes comes from frames of before."""
    pipeline, path = MappingPipeline(CONFIG), walk(75)
    fed(pipeline, path[:45])
    tracker = pipeline.tracker
    before = seen_from_newest(tracker)
    size = tracker.graph.newest.size
    change(tracker)
    np.testing.assert_allclose(seen_from_newest(tracker), before * tracker.graph.newest.size / size, atol=1e-9)
    fed(pipeline, path[45:], first=45)
    pipeline.settle()
    error, length = errors(pipeline, path)
    assert len(error) >= 0.95 * len(path)
    assert np.sqrt(np.mean(error**2)) < 0.02 * length


def test_frames_before_the_start_get_their_poses_afterwards(mapped):
    pipeline, _, updates = mapped
    waiting = sum(u.tracking.T_map_rig is None for u in updates)
    assert waiting > 1 and len(pipeline.online_trajectory()) == len(updates) - waiting
    assert pipeline.trajectory()[0].stamp_ns == updates[0].stamp_ns  # the first frame too


def test_dense_depth_is_in_the_scale_of_the_trajectory(mapped):
    pipeline, path, _ = mapped
    truth = {1_000_000_000 + n * PERIOD_NS: T for n, T in enumerate(path)}
    poses = pipeline.trajectory()
    S = umeyama(np.array([p.T_map_rig[:3, 3] for p in poses]), np.array([truth[p.stamp_ns][:3, 3] for p in poses]),
                with_scale=True)
    scale, error, share = np.cbrt(np.linalg.det(S[:3, :3])), [], []
    for seen in pipeline.map.observations.values():
        depth = see(BOARDS, truth[seen.stamp_ns])[1]
        known = seen.z > 0
        error.append(seen.z[known] * seen.z_step * scale / depth[known] - 1)
        share.append(known.mean())
    assert len(share) >= 2 and np.mean(share) > 0.3
    assert np.median(np.abs(np.concatenate(error))) < 0.08


def test_observations_follow_a_change_of_scale(mapped):
    pipeline, _, _ = mapped
    tracker = pipeline.tracker
    seen = next(iter(pipeline.map.observations.values()))
    keyframe = tracker.graph.keyframes[seen.keyframe]
    assert rescaled(seen, keyframe, tracker, 7) is None  # just made
    view = keyframe.views["camera"]
    before = view.inverse_depth.copy()
    view.inverse_depth = before / 1.2
    try:
        ratio = tracker.depth_ratio(keyframe, "camera", seen.z * np.float32(seen.z_step))
        assert ratio == pytest.approx(1.2, rel=0.03)
        again = rescaled(seen, keyframe, tracker, 7)
        assert again.id == 7 and again.z_step == pytest.approx(seen.z_step * ratio)
    finally:
        view.inverse_depth = before


def test_labels_that_come_before_the_depth_of_their_keyframe_wait_for_it():
    pipeline = MappingPipeline(CONFIG)
    updates = fed(pipeline, walk(40))
    new = next(u for u in reversed(updates) if u.tracking.new_keyframe is not None)
    fused = {o.stamp_ns for o in pipeline.map.observations.values()}
    assert new.stamp_ns not in fused, "its depth is not final yet"
    labels = np.full((CAMERA.height, CAMERA.width), 7, np.uint16)
    assert pipeline.add_labels(new.stamp_ns, "camera", labels, LabelSpace({7: "wall"}))
    assert not pipeline.add_labels(new.stamp_ns + 1, "camera", labels, None), "no keyframe is of that time"
    with pytest.raises(ValueError, match=r"have shape \(3, 4\), the image has \(240, 320\)"):
        pipeline.add_labels(new.stamp_ns, "camera", np.zeros((3, 4), np.uint16), None)
    pipeline.settle()
    seen = next(o for o in pipeline.map.observations.values() if o.stamp_ns == new.stamp_ns)
    assert seen.labels is not None and (seen.labels == 7).all() and (pipeline.snapshot().labels == 7).any()
    pipeline.map.remove(seen.id)
    assert not pipeline.add_labels(new.stamp_ns, "camera", labels, None), "the map has dropped what it gave"


def test_parameters_that_change_at_run_time_leave_tracking_as_it_was():
    """Taking over any parameter once replaced the values that suit landmarks without measured depth by the general ones."""
    changed, same = MappingPipeline(CONFIG), MappingPipeline(CONFIG)
    fed(changed, walk(40)), fed(same, walk(40))
    changed.apply_runtime(from_dict({"fusion.min_weight": 0.3}, CONFIG))
    assert changed.tracker.config.tracking.sigma_px == CONFIG.two_view.sigma_px != CONFIG.tracking.sigma_px
    assert changed.tracker.config.tracking.references == CONFIG.two_view.references != CONFIG.tracking.references
    later = [fed(p, walk(20, 40), first=40) for p in (changed, same)]
    for a, b in zip(*later, strict=True):
        assert np.array_equal(a.tracking.T_map_rig, b.tracking.T_map_rig) and a.tracking.new_keyframe == b.tracking.new_keyframe


def test_settling_fuses_the_new_scale():
    pipeline = MappingPipeline(CONFIG)
    fed(pipeline, walk(60))
    pipeline.settle()
    numbers = set(pipeline.map.observations)
    for keyframe in pipeline.tracker.graph.keyframes.values():
        keyframe.T_map_rig[:3, 3] *= 1.1
        for view in keyframe.views.values():
            view.inverse_depth /= 1.1
    pipeline._fuser.rescale(pipeline.tracker)
    assert pipeline.map.observations and not numbers & set(pipeline.map.observations)


def test_turning_on_the_spot_keeps_the_pose_and_invents_no_way():
    pipeline, there = MappingPipeline(CONFIG), walk(60)
    turning = [there[-1] @ make_se3(so3_exp([0.0, 0.03 * n, 0.0]), np.zeros(3)) for n in range(1, 41)]
    updates = fed(pipeline, there + turning)
    known = [u.tracking.T_map_rig for u in updates[60:]]
    assert sum(T is not None for T in known) >= 38
    error, length = errors(pipeline, there + turning)
    assert np.sqrt(np.mean(error**2)) < 0.05 * length
    last = se3_inverse(updates[59].tracking.T_map_rig) @ next(T for T in known[::-1] if T is not None)
    assert np.linalg.norm(so3_log(last[:3, :3])) == pytest.approx(1.2, abs=0.1)


def never_believed(pipeline, updates):
    """The reason of the last frame, when no frame got a pose."""
    assert all(u.tracking.T_map_rig is None and u.tracking.state is TrackingState.INITIALIZING for u in updates)
    assert not pipeline.trajectory() and not pipeline.map.observations
    return updates[-1].tracking.reason


def test_pure_rotation_from_the_start_gives_no_pose():
    pipeline = MappingPipeline(CONFIG)
    updates = fed(pipeline, [make_se3(so3_exp([0.0, 0.015 * n, 0.0]), np.zeros(3)) for n in range(40)])
    assert never_believed(pipeline, updates)


def test_identical_frames_give_no_pose():
    pipeline = MappingPipeline(CONFIG)
    assert never_believed(pipeline, fed(pipeline, [np.eye(4)] * 8)) == "waiting for the camera to move"


def test_a_blank_wall_gives_no_pose():
    pipeline = MappingPipeline(CONFIG)
    updates = [pipeline.process(frame_set(np.full((240, 320), 90, np.uint8), n)) for n in range(5)]
    assert "corners" in never_believed(pipeline, updates)


def test_two_frames_only():
    pipeline = MappingPipeline(CONFIG)
    fed(pipeline, [np.eye(4), make_se3(np.eye(3), [0.01, 0.0, 0.0])])
    pipeline.settle()
    assert not pipeline.trajectory() and pipeline.status().state_reason
    pipeline = MappingPipeline(CONFIG)  # apart enough for a map of two keyframes
    updates = fed(pipeline, [np.eye(4), make_se3(np.eye(3), [0.15, 0.0, 0.0])])
    pipeline.settle()
    if updates[-1].tracking.T_map_rig is None:
        assert updates[-1].tracking.reason
    else:
        step = se3_inverse(pipeline.trajectory()[0].T_map_rig) @ pipeline.trajectory()[1].T_map_rig
        assert step[0, 3] / np.linalg.norm(step[:3, 3]) > 0.98


def test_something_large_that_moves_does_not_carry_the_camera_along():
    def boards(n):  # a poster that fills half of the image wanders through the room beside the camera's own motion
        x, y, _ = np.eye(3)
        at = path[n] @ np.array([-1.05 + 0.004 * n, -0.9, 1.2, 1.0])
        return [*BOARDS, Board(at[:3], 1.05 * x, 1.8 * y, picture(55))]

    path, pipeline = walk(60), MappingPipeline(CONFIG)
    updates = fed(pipeline, path, boards)
    if any(u.tracking.T_map_rig is not None for u in updates):
        error, length = errors(pipeline, path)
        assert np.sqrt(np.mean(error**2)) < 0.08 * length
    else:
        assert updates[-1].tracking.reason


@pytest.mark.parametrize("factor", [0.8, 1.2])
def test_a_wrong_calibration_is_noticed(factor):
    wrong = replace(CAMERA, fx=factor * CAMERA.fx, fy=factor * CAMERA.fy)
    pipeline = MappingPipeline(CONFIG)
    fed(pipeline, walk(110), intrinsics=wrong)
    pipeline.settle()
    pipeline.process(frame_set(see(BOARDS, walk(111)[-1])[0], 110, wrong))
    status = pipeline.status()
    assert status.focal_px["camera"] == pytest.approx(CAMERA.fx, rel=0.08) and status.focal_is_estimated["camera"]
    told = [w for w in status.warnings if "calibration" in w]
    assert len(told) == 1 and f"{wrong.fx:.0f} px" in told[0] and f"{status.focal_px['camera']:.0f} px" in told[0]


def test_without_calibration_the_focal_length_is_found_and_said():
    pipeline = MappingPipeline(CONFIG)
    fed(pipeline, walk(110), intrinsics=None)
    pipeline.settle()
    status = pipeline.status()
    assert status.focal_is_estimated["camera"] and status.focal_px["camera"] == pytest.approx(CAMERA.fx, rel=0.08)
    assert any("no calibration" in w for w in status.warnings)
    error, length = errors(pipeline, walk(110))
    assert len(error) > 60 and np.sqrt(np.mean(error**2)) < 0.04 * length
    before = pipeline.tracker.cameras.to_dict()
    pipeline.new_session()  # knows the camera already
    assert pipeline.tracker.cameras.to_dict() == before and before["focal_px"]
    pipeline.reset()
    assert not pipeline.tracker.cameras.to_dict()["focal_px"]


def test_lost_soon_after_the_start_it_starts_again_soon():
    pipeline = MappingPipeline(CONFIG)
    fed(pipeline, walk(25))
    assert pipeline.status().state is TrackingState.TRACKING
    other = [make_se3(so3_exp([0.0, 2.6 + 0.2 * np.sin(n / 30), 0.0]), [0.5 * np.sin(n / 30), 0.05, -0.012 * n])
             for n in range(90)]
    updates = fed(pipeline, other, room(5), first=25)
    assert updates[0].tracking.state is TrackingState.LOST and updates[0].tracking.T_map_rig is None
    assert pipeline.session == 1 and updates[-1].tracking.state is TrackingState.TRACKING
    regained = next(n for n, u in enumerate(updates) if u.tracking.T_map_rig is not None)
    assert regained < 75  # frames of 30 Hz
    error, length = errors(pipeline, other[regained:], first=25 + regained)
    assert len(error) == len(other) - regained and np.sqrt(np.mean(error**2)) < 0.05 * length


def test_a_saved_map_is_found_again(mapped, tmp_path):
    pipeline, path, _ = mapped
    pipeline.save(tmp_path / "map")
    again = MappingPipeline(CONFIG)
    again.load(tmp_path / "map", localization_only=True)
    assert isinstance(again.tracker, TwoViewTracker)
    assert again.tracker.cameras.focal_px == pytest.approx(pipeline.tracker.cameras.focal_px)
    for i, keyframe in pipeline.tracker.graph.keyframes.items():
        ours, theirs = keyframe.views["camera"], again.tracker.graph.keyframes[i].views["camera"]
        assert np.array_equal(ours.inverse_depth, theirs.inverse_depth, equal_nan=True)
        assert theirs.guess_std == ours.guess_std and np.array_equal(ours.corners, theirs.corners)
    truth = {p.stamp_ns: p.T_map_rig for p in pipeline.trajectory()}
    found = 0
    for n in (20, 45, 70):
        update = again.process(frame_set(see(BOARDS, path[n])[0], n))
        if update.tracking.T_map_rig is not None:
            found += 1
            error = se3_inverse(truth[update.stamp_ns]) @ update.tracking.T_map_rig
            assert np.linalg.norm(error[:3, 3]) < 0.05 and np.linalg.norm(so3_log(error[:3, :3])) < 0.03
    assert found >= 2
    other = MappingPipeline(from_dict({"pairs.model": "depth"}))
    with pytest.raises(ValueError, match="two_view"):
        other.load(tmp_path / "map")


@pytest.mark.parametrize(("background", "count"), [(False, "all_neighbours"), (True, "neighbours")])
def test_live_fewer_neighbours_are_linked_at_once(background, count):
    tracker = MappingPipeline(from_dict({"pairs.model": "two_view", "keyframes.neighbours": 4, "keyframes.all_neighbours": 9}),
                              background=background).tracker
    keyframe = Keyframe(99, 0, np.eye(4), {})
    graph = SimpleNamespace(candidates=lambda T, cameras, most, before: list(range(most)))
    assert len(tracker._neighbours(graph, keyframe, SimpleNamespace(cameras={}))) == getattr(tracker.config.keyframes, count)
