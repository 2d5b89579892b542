# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
from dataclasses import replace

import numpy as np
import pytest

from lsm_ros.config import from_dict
from lsm_ros.datasets import open_source
from lsm_ros.geometry import is_se3, se3_inverse, so3_log, transform_points, umeyama
from lsm_ros.mapping.pipeline import MappingPipeline
from lsm_ros.types import UNLABELLED, LabelSpace, TrackingState
from lsm_sim.source import RoomSource

CONFIG = from_dict({"fusion.voxel_size": 0.06, "fusion.budget_ms": 1000.0})
FRAMES = 60


@pytest.fixture(scope="module")
def source():
    return RoomSource(seed=1, frames=150, odometry=True)


@pytest.fixture(scope="module")
def frame_sets(source):
    return [source.frame_set(i) for i in range(FRAMES)]


@pytest.fixture(scope="module")
def mapped(frame_sets):
    pipeline = MappingPipeline(CONFIG)
    updates = [pipeline.process(f) for f in frame_sets]
    pipeline.settle()
    return pipeline, updates


def ate(source, poses, scale=False) -> float:
    """RMSE of positions after rigid alignment, metres."""
    truth = {p.stamp_ns: p.T_map_rig for p in source.ground_truth}
    ours = np.array([p.T_map_rig[:3, 3] for p in poses])
    true = np.array([truth[p.stamp_ns][:3, 3] for p in poses])
    return float(np.sqrt(np.mean(np.sum((transform_points(umeyama(ours, true, with_scale=scale), ours) - true) ** 2, 1))))


def test_every_frame_of_the_room_gets_a_good_pose(source, mapped):
    pipeline, updates = mapped
    assert len(pipeline.trajectory()) == FRAMES
    assert ate(source, pipeline.trajectory()) < 0.02
    assert ate(source, pipeline.online_trajectory()) < 0.03
    assert all(is_se3(u.tracking.T_map_rig) for u in updates)
    assert 3 <= len(pipeline.keyframe_trajectory()) < FRAMES / 2


def test_the_map_starts_at_the_base_with_z_up(mapped):
    pipeline, updates = mapped
    assert np.allclose(updates[0].tracking.T_map_rig, np.eye(4))
    status = pipeline.status()
    assert status.gravity_known and status.gravity_source == "base_link"
    assert status.scale_is_metric and status.state is TrackingState.TRACKING


def test_the_map_is_where_the_room_is_and_knows_its_labels(source, mapped):
    pipeline, _ = mapped
    snapshot = pipeline.snapshot()
    T_world_map = source.ground_truth[0].T_map_rig @ se3_inverse(pipeline.trajectory()[0].T_map_rig)
    from scipy.spatial import cKDTree

    points, labels = source.surface_points(40000)
    distance, index = cKDTree(points).query(transform_points(T_world_map, snapshot.points_map.astype(np.float64)))
    assert np.median(distance) < 0.03 and np.mean(distance < 0.1) > 0.95
    told = (snapshot.labels != UNLABELLED) & (distance < 0.05)
    assert told.sum() > 1000
    assert np.mean(snapshot.labels[told] == labels[index[told]]) > 0.85


def test_occupancy_has_free_floor_and_occupied_walls(mapped):
    grid = mapped[0].occupancy().grid
    assert (grid == 100).sum() > 50 and (grid == 0).sum() > 200 and set(np.unique(grid)) <= {-1, 0, 100}


def test_the_same_input_gives_the_same_map(frame_sets):
    maps = []
    for _ in range(2):
        pipeline = MappingPipeline(from_dict({"fusion.voxel_size": 0.06, "fusion.budget_ms": 1e4}))
        for f in frame_sets[:25]:
            pipeline.process(f)
        pipeline.settle()
        maps.append(pipeline.snapshot())
    for name in ("points_map", "colors", "labels", "weight"):
        assert np.array_equal(getattr(maps[0], name), getattr(maps[1], name)), name


def test_covered_lens_is_lost_without_a_pose_and_found_again(source, frame_sets):
    pipeline = MappingPipeline(CONFIG)
    states = []
    for i, f in enumerate(frame_sets[:40]):
        if 15 <= i < 22:
            frame = f.frames[0]
            f = replace(f, frames=(replace(frame, image=np.zeros_like(frame.image)),), T_odom_base=None)
        update = pipeline.process(f)
        states.append(update.tracking.state)
        assert (update.tracking.T_map_rig is None) == (update.tracking.state is TrackingState.LOST)
    assert set(states[15:22]) == {TrackingState.LOST}
    assert TrackingState.RELOCALIZED in states[22:] and states[-1] is TrackingState.TRACKING
    assert ate(source, pipeline.trajectory()) < 0.03


def test_without_depth_it_says_what_is_missing(frame_sets):
    pipeline = MappingPipeline(CONFIG)
    for f in frame_sets[:3]:
        update = pipeline.process(replace(f, frames=(replace(f.frames[0], depth=None),)))
    assert update.tracking.state is TrackingState.INITIALIZING and update.tracking.T_map_rig is None
    assert any("no depth" in w for w in update.warnings)


def test_depth_for_every_third_frame_is_enough(source, frame_sets):
    pipeline = MappingPipeline(CONFIG)
    for i, f in enumerate(frame_sets[:30]):
        pipeline.process(f if i % 3 == 0 else replace(f, frames=(replace(f.frames[0], depth=None),)))
    assert len(pipeline.trajectory()) == 30 and ate(source, pipeline.trajectory()) < 0.02


@pytest.mark.slow
def test_a_camera_without_calibration_finds_its_focal_length(source, frame_sets):
    pipeline = MappingPipeline(CONFIG)
    true = frame_sets[0].frames[0].intrinsics.fx
    for f in frame_sets:
        update = pipeline.process(replace(f, frames=(replace(f.frames[0], intrinsics=None),)))
    name = frame_sets[0].frames[0].camera
    status = pipeline.status()
    assert status.focal_is_estimated[name] and status.focal_px[name] == pytest.approx(true, rel=0.08)
    assert update.tracking.state is TrackingState.TRACKING
    assert any("was estimated" in w for w in status.warnings)


def test_two_cameras_map_more_than_one_and_one_may_die():
    source = RoomSource(seed=1, frames=150, cameras=2)
    sizes = {}
    for cameras in (1, 2):
        pipeline = MappingPipeline(CONFIG)
        for i in range(0, 30):
            f = source.frame_set(i)
            frames = f.frames[:cameras] if i < 20 else f.frames[-1:] if cameras == 2 else f.frames[:1]
            pipeline.process(replace(f, frames=frames))
        assert len(pipeline.trajectory()) == 30
        assert ate(source, pipeline.trajectory()) < 0.03
        sizes[cameras] = len(pipeline.snapshot().points_map)
    assert sizes[2] > 1.2 * sizes[1]


def test_late_labels_reach_the_map(frame_sets):
    bare = [replace(f, frames=(replace(f.frames[0], labels=None, label_space=None),)) for f in frame_sets[:12]]
    pipeline = MappingPipeline(CONFIG)
    keyframe_stamps = [u.stamp_ns for u in map(pipeline.process, bare) if u.tracking.new_keyframe is not None]
    assert (pipeline.snapshot().labels == UNLABELLED).all()
    full = {f.stamp_ns: f.frames[0] for f in frame_sets[:12]}
    first = full[keyframe_stamps[0]]
    assert pipeline.add_labels(first.stamp_ns, first.camera, first.labels, first.label_space)
    assert (pipeline.snapshot().labels != UNLABELLED).any()
    assert not pipeline.add_labels(12345, first.camera, first.labels, None)
    with pytest.raises(ValueError, match="have shape"):
        pipeline.add_labels(first.stamp_ns, first.camera, first.labels[:10], None)


def test_changed_label_names_are_reported():
    pipeline = MappingPipeline(CONFIG)
    pipeline.set_label_space(LabelSpace({1: "wall"}))
    pipeline.set_label_space(LabelSpace({1: "floor", 2: "door"}))
    assert pipeline.label_space.names == {1: "floor", 2: "door"}
    assert any("from 'wall' to 'floor'" in w for w in pipeline.status().warnings)


def test_save_and_load_keep_the_map_and_find_the_camera_in_it(source, mapped, frame_sets, tmp_path):
    pipeline, _ = mapped
    assert pipeline.save(tmp_path / "map") > 1000
    other = MappingPipeline(CONFIG)
    other.load(tmp_path / "map", localization_only=True)
    a, b = pipeline.snapshot(), other.snapshot()
    assert np.array_equal(a.points_map, b.points_map) and np.array_equal(a.labels, b.labels)
    assert other.label_space == pipeline.label_space
    before = other.map.seq
    poses = [other.process(f).tracking.T_map_rig for f in frame_sets[30:45]]
    assert all(p is not None for p in poses[9:]), "the camera is found within ten frames"
    truth = {p.stamp_ns: p.T_map_rig for p in pipeline.trajectory()}
    for f, T in zip(frame_sets[30:45], poses, strict=True):
        if T is not None:
            error = se3_inverse(truth[f.stamp_ns]) @ T
            assert np.linalg.norm(error[:3, 3]) < 0.05 and np.linalg.norm(so3_log(error[:3, :3])) < 0.03
    keyframes = other.keyframe_trajectory()
    other.settle()
    assert all(np.array_equal(a.T_map_rig, b.T_map_rig) for a, b in zip(keyframes, other.keyframe_trajectory(), strict=True))
    assert other.map.seq == before, "localisation must not change the map"


def test_loading_over_a_running_session_forgets_its_poses(mapped, frame_sets, tmp_path):
    mapped[0].save(tmp_path / "map")
    other = MappingPipeline(CONFIG)
    with pytest.raises(ValueError, match="needs a map"):
        other.set_initial_pose(np.eye(4))
    for f in frame_sets[:3]:
        other.process(f)
    other.load(tmp_path / "map")
    assert other.trajectory() == [] and len(other.keyframe_trajectory()) == len(mapped[0].keyframe_trajectory())


def test_a_damaged_map_is_refused_and_nothing_changes(mapped, frame_sets, tmp_path):
    pipeline, _ = mapped
    pipeline.save(tmp_path / "map")
    other = MappingPipeline(CONFIG)
    other.process(frame_sets[0])
    with pytest.raises(FileNotFoundError, match="holds no map"):
        other.load(tmp_path / "nowhere")
    graph = tmp_path / "map" / "graph.npz"
    graph.write_bytes(graph.read_bytes()[:2000])
    with pytest.raises(ValueError, match=r"graph\.npz"):
        other.load(tmp_path / "map")
    assert len(other.trajectory()) == 1


def test_a_failed_save_leaves_the_old_map_whole(mapped, tmp_path, monkeypatch):
    pipeline, _ = mapped
    pipeline.save(tmp_path / "map")
    before = {p.name: p.read_bytes() for p in (tmp_path / "map").rglob("*") if p.is_file()}

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(OSError, match="No space"):
        pipeline.save(tmp_path / "map")
    assert {p.name: p.read_bytes() for p in (tmp_path / "map").rglob("*") if p.is_file()} == before
    assert [p.name for p in tmp_path.iterdir()] == ["map"]


def test_reset_forgets_everything(frame_sets):
    pipeline = MappingPipeline(CONFIG)
    pipeline.process(frame_sets[0])
    epoch = pipeline.map_epoch
    pipeline.reset()
    assert not pipeline.trajectory() and not len(pipeline.snapshot().points_map) and pipeline.map_epoch > epoch
    assert pipeline.process(frame_sets[5]).tracking.new_keyframe == 0


@pytest.mark.parametrize("with_odometry", [True, False])
def test_lost_for_long_in_another_place_starts_a_session(frame_sets, with_odometry):
    """Odometry that says that the camera did not leave is not believed either: the images contradict it."""
    pipeline = MappingPipeline(from_dict({"tracking.lost_session_seconds": 1.0}))
    noise = np.random.default_rng(0)
    for i, f in enumerate(frame_sets[:40]):
        if not with_odometry:
            f = replace(f, T_odom_base=None)
        if i >= 5:  # a place that was never seen: the same shapes under other pictures
            image = noise.integers(0, 255, f.frames[0].image.shape, dtype=np.uint8) if i < 20 else np.ascontiguousarray(
                frame_sets[59 - (i - 20) // 2].frames[0].image[::-1])
            f = replace(f, frames=(replace(f.frames[0], image=image),))
        update = pipeline.process(f)
    assert pipeline.session >= 1 and pipeline.map_epoch >= 1 and update.session == pipeline.session
    assert len(pipeline.trajectory()) > 5


def test_keyframe_memory_is_bounded(frame_sets):
    often = {"keyframes.max_rotation": 0.05, "keyframes.max_translation": 0.02}
    pipeline = MappingPipeline(from_dict({"keyframes.max_keyframes": 10, **often}))
    points = 0
    for f in frame_sets:
        update = pipeline.process(f)
        points = max(points, len(pipeline.snapshot().points_map)) if update.tracking.new_keyframe is not None else points
    assert pipeline.tracker.graph.next_id > 12 and len(pipeline.keyframe_trajectory()) == 10, "the limit was reached"
    assert min(pipeline.tracker.graph.keyframes) > 0 and pipeline.map.has_frozen
    assert len(pipeline.trajectory()) == FRAMES, "poses of dropped keyframes stay"
    assert len(pipeline.snapshot().points_map) > 0.9 * points, "the map of dropped keyframes stays"


@pytest.mark.parametrize("frames", [pytest.param(120, id="part"), pytest.param(500, id="whole", marks=pytest.mark.slow)])
def test_a_whole_sequence(sequence, frames):
    source = open_source(sequence)
    frames = min(frames, len(source))
    pipeline = MappingPipeline(from_dict({}))
    for i, f in enumerate(source):
        if i == frames:
            break
        pipeline.process(f)
    pipeline.settle()
    assert len(pipeline.trajectory()) >= 0.98 * frames
    assert ate(source, pipeline.trajectory()) < 0.05
    assert ate(source, pipeline.online_trajectory()) < 0.06
