# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Tracking with predicted pointmaps, on a pair model that knows the truth and spoils it as a network would."""
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.pointmaps import PERIOD_NS, START_NS, FakePairModel, frame_set, on_path, walk
from helpers.textured import CAMERA, room

from lsm_ros.config import from_dict
from lsm_ros.geometry import make_se3, se3_inverse, so3_exp, so3_log, split_sim3, transform_points, umeyama
from lsm_ros.mapping.pipeline import MappingPipeline
from lsm_ros.slam.trackers.pointmap import PointmapTracker
from lsm_ros.types import TrackingState

BOARDS = room()
NETWORK = {"size": 128, "ray_noise": 0.001, "depth_noise": 0.02, "unit_spread": 0.3}


@pytest.fixture
def make():
    """Function (path, config, fake's options) -> pipeline with a fake pair model."""
    def build(path, config=None, **options):
        model = FakePairModel(BOARDS, on_path(path), **{**NETWORK, **options})
        return MappingPipeline(from_dict({"fusion.voxel_size": 0.1, **(config or {})}), model)
    return build


def fed(pipeline, path, first=0, last=None, intrinsics=CAMERA):
    return [pipeline.process(frame_set(BOARDS, path, n, intrinsics)) for n in range(first, last or len(path))]


def judged(pipeline, path):
    """Root mean square error after alignment by a similarity, the scale of that, and the number of poses."""
    poses = pipeline.trajectory()
    ours = np.array([p.T_map_rig[:3, 3] for p in poses])
    true = np.array([path[round((p.stamp_ns - START_NS) / PERIOD_NS)][:3, 3] for p in poses])
    S = umeyama(ours, true)
    return np.sqrt(np.mean(np.sum((transform_points(S, ours) - true) ** 2, 1))), float(split_sim3(S)[0]), len(poses)


def tour(count):
    """Once around, on a circle of 1 m, looking outwards."""
    turns = np.arange(count) / count * 2 * np.pi
    return [make_se3(so3_exp([0.0, t, 0.0]), [np.sin(t), 0.1 * np.sin(3 * t), np.cos(t) - 1.0]) for t in turns]


def garbage(prediction, _stamps):
    """What random weights predict."""
    rng = np.random.default_rng(0)
    noise = [torch.from_numpy(rng.standard_normal(p.shape).astype(np.float32)) for p in (prediction.points_a,
                                                                                         prediction.points_b)]
    return replace(prediction, points_a=noise[0], points_b=noise[1])


@pytest.mark.parametrize("intrinsics", [None, CAMERA], ids=["uncalibrated", "calibrated"])
def test_follows_a_camera_whose_predictions_have_any_unit(make, intrinsics):
    path = walk(50)
    pipeline = make(path)
    updates = fed(pipeline, path, intrinsics=intrinsics)
    pipeline.settle()
    error, scale, count = judged(pipeline, path)
    assert count == len(path) and error < 0.005  # of 0.6 m
    assert all(u.tracking.state is TrackingState.TRACKING for u in updates)
    status = pipeline.status()
    assert not status.scale_is_metric and status.scale_source == "none"
    assert status.focal_px["camera"] == pytest.approx(CAMERA.fx, rel=0.01)
    assert status.focal_is_estimated["camera"] == (intrinsics is None)
    first = pipeline.tracker.graph.keyframes[0]
    assert first.median_depth == pytest.approx(2.0, rel=0.1) and 1.2 < scale < 1.8
    for update in updates[1:]:
        assert np.linalg.eigvalsh(update.tracking.covariance).min() > 0
        assert 1e-4 < np.sqrt(update.tracking.covariance[0, 0]) < 0.05


@pytest.mark.parametrize("matching", ["projective", "reciprocal"])
def test_metric_model_with_descriptors_gives_metres(make, matching):
    path = walk(24)[::2]
    pipeline = make(path, {"pointmap.matching": matching}, metric=True, descriptors=True, unit_spread=0.0)
    fed(pipeline, path, intrinsics=None)
    pipeline.settle()
    error, scale, count = judged(pipeline, path)
    assert count == len(path) and error < 0.01 and scale == pytest.approx(1.0, abs=0.04)
    status = pipeline.status()
    assert status.scale_is_metric and status.scale_source == "model" and status.scale_std == 0.1
    assert any("metres to about 10% only" in w for w in status.warnings)  # a robot's owner is told how far to trust them


def test_goes_around_with_keyframes_and_keeps_its_scale(make):
    path = tour(90)
    pipeline = make(path, {"pointmap.overlap": 0.4})
    fed(pipeline, path)
    error, _, count = judged(pipeline, path)
    graph = pipeline.tracker.graph
    assert count == len(path) and error < 0.06 and 6 < len(graph.keyframes) < 45
    kept = [v for i, k in graph.keyframes.items() if i != pipeline.tracker.reference for v in k.views.values()]
    assert all(v.count > 1 for v in kept)  # every one took predictions in
    sizes = [v.points_cam.shape[:2] for v in kept]
    assert sizes.count((48, 64)) >= len(sizes) - 1  # what is not tracked against any more is kept small


def test_what_is_sure_enough_to_be_fused_is_its_own_parameter(make):
    """A parameter of `two_view` once decided it here, too."""
    path = walk(12)

    def fused(**config):
        pipeline = make(path, config)
        fed(pipeline, path)
        pipeline.settle()
        return sum(int((o.z > 0).sum()) for o in pipeline.map.observations.values())

    usual = fused()
    assert fused(**{"two_view.min_confidence": 1.0}) == usual > 0
    assert fused(**{"pointmap.min_depth_confidence": 1.0}) == 0


def test_the_map_is_where_the_walls_are(make):
    path = walk(40)
    pipeline = make(path, {"fusion.min_weight": 0.05})
    updates = fed(pipeline, path, intrinsics=None)
    pipeline.settle()
    assert updates[20].clouds["camera"].depth.shape == (240, 320) and (updates[20].clouds["camera"].depth > 0).mean() > 0.8
    points = pipeline.snapshot().points_map
    poses = pipeline.trajectory()
    true = [path[round((p.stamp_ns - START_NS) / PERIOD_NS)] for p in poses]
    S = umeyama(np.array([p.T_map_rig[:3, 3] for p in poses]), np.array([T[:3, 3] for T in true]))
    world = transform_points(S, points.astype(float))
    to_wall = np.stack([3 - np.abs(world[:, 0]), 1.5 - np.abs(world[:, 1]), 3 - np.abs(world[:, 2])]).min(0)
    assert len(world) > 200 and np.median(np.abs(to_wall)) < 0.1 and world[:, 1].max() < 1.7
    assert pipeline.tracker.cameras.off_pinhole["camera"] < 0.02


@pytest.mark.parametrize("what", ["unsure", "nan", "garbage", "far"])
def test_frames_that_cannot_be_believed_have_no_pose(make, what):
    path = walk(40)

    def spoil(prediction, stamps):
        if not 10 <= (max(stamps) - START_NS) // PERIOD_NS < 14:
            return prediction
        if what == "unsure":
            return replace(prediction, conf_a=torch.ones_like(prediction.conf_a), conf_b=torch.ones_like(prediction.conf_b))
        if what == "nan":
            return replace(prediction, points_a=prediction.points_a * torch.nan, conf_b=prediction.conf_b * torch.nan)
        if what == "far":
            return replace(prediction, points_b=prediction.points_b + torch.tensor([50.0, 0.0, 0.0]))
        return garbage(prediction, stamps)

    pipeline = make(path, spoil=spoil)
    updates = fed(pipeline, path, last=24)
    assert [u.tracking.T_map_rig is None for u in updates] == [10 <= n < 14 for n in range(24)]
    assert all(u.tracking.state is TrackingState.LOST and u.tracking.reason for u in updates[10:14])
    assert updates[14].tracking.state is TrackingState.RELOCALIZED
    assert updates[15].tracking.state is TrackingState.TRACKING
    assert judged(pipeline, path)[0] < 0.005


def test_random_weights_start_nothing(make):
    path = walk(6)
    pipeline = make(path, spoil=garbage)
    updates = fed(pipeline, path, intrinsics=None)
    assert all(u.tracking.state is TrackingState.INITIALIZING and u.tracking.T_map_rig is None for u in updates)
    assert "camera" in updates[-1].tracking.reason and not pipeline.trajectory()


def test_a_kidnapped_camera_is_found_where_it_was_before(make):
    path = walk(12) + [make_se3(so3_exp([0.0, 2.9, 0.0]), [0.0, 0.0, -1.5])] * 4 + walk(9)[5:]
    pipeline = make(path)
    updates = fed(pipeline, path)
    assert all(u.tracking.T_map_rig is None for u in updates[12:16])
    assert updates[16].tracking.state is TrackingState.RELOCALIZED
    again, before = updates[16].tracking.T_map_rig, updates[5].tracking.T_map_rig
    apart = se3_inverse(before) @ again
    assert np.linalg.norm(apart[:3, 3]) < 0.02 and np.linalg.norm(so3_log(apart[:3, :3])) < 0.01


def test_pixels_that_no_pinhole_explains_are_not_fused_and_their_share_is_told(make):
    path = walk(8)

    def bend(prediction, _stamps):
        """The right half looks a little farther down: three pixels."""
        def bent(points):
            points = points.clone()
            half = points.shape[1] // 2
            points[:, half:, 1] += points[:, half:, 2] * 3 / 104
            return points
        return replace(prediction, points_a=bent(prediction.points_a))

    pipeline = make(path, spoil=bend)
    fed(pipeline, path, intrinsics=None)
    pipeline.settle()
    status = pipeline.status()
    assert 0.3 < status.off_pinhole["camera"] <= 1.0 and any("do not fit a pinhole" in w for w in status.warnings)
    z = next(iter(pipeline.map.observations.values())).z
    assert np.count_nonzero(z[:, 200:]) < 0.1 * z[:, 200:].size


def test_a_saved_map_is_tracked_in(make, tmp_path):
    path = walk(30)
    pipeline = make(path)
    fed(pipeline, path, last=20)
    pipeline.save(tmp_path / "map")
    before = pipeline.trajectory()[-1].T_map_rig
    other = make(path)
    other.load(tmp_path / "map", localization_only=True)
    assert isinstance(other.tracker, PointmapTracker)
    updates = fed(other, path, 19, 24)
    assert updates[0].tracking.state is TrackingState.RELOCALIZED
    assert np.linalg.norm((se3_inverse(before) @ updates[0].tracking.T_map_rig)[:3, 3]) < 0.02
    assert len(other.tracker.graph.keyframes) == len(pipeline.tracker.graph.keyframes)


def test_two_cameras_with_a_metric_model(make):
    """The second camera looks backwards; both are predicted, and one pose fits both."""
    from lsm_ros.types import FrameSet

    path = walk(16)[::2]
    back = make_se3(so3_exp([0.0, np.pi, 0.0]), [0.0, 0.0, -0.2])
    pipeline = make(path, metric=True, unit_spread=0.0)
    model = pipeline.model
    plain = model.truth
    both = []
    for n in range(len(path)):
        ahead = frame_set(BOARDS, path, n, None)
        behind = frame_set(BOARDS, [T @ back for T in path], n, None, "rear")
        shifted = replace(behind.frames[0], stamp_ns=ahead.stamp_ns + 1)
        both.append(FrameSet(ahead.stamp_ns, (*ahead.frames, shifted), {"camera": np.eye(4), "rear": back}))
    model.truth = lambda stamp: plain(stamp) if stamp == START_NS + round((stamp - START_NS) / PERIOD_NS) * PERIOD_NS \
        else plain(stamp) @ back
    updates = [pipeline.process(f) for f in both]
    assert all(u.tracking.T_map_rig is not None for u in updates)
    assert set(pipeline.tracker.graph.keyframes[0].views) == {"camera", "rear"}
    error, scale, _ = judged(pipeline, path)
    assert error < 0.01 and scale == pytest.approx(1.0, abs=0.03)


def test_one_image_and_images_that_are_all_the_same(make):
    path = walk(1) * 4
    pipeline = make(path)
    first = fed(pipeline, path, last=1, intrinsics=None)
    assert first[0].tracking.new_keyframe == 0 and np.allclose(first[0].tracking.T_map_rig, np.eye(4))
    pipeline.settle()
    assert len(pipeline.trajectory()) == 1 and len(pipeline.map.observations) == 1
    fed(pipeline, path, 1, intrinsics=None)
    assert len(pipeline.trajectory()) == 4 and len(pipeline.tracker.graph.keyframes) == 1
    assert all(np.linalg.norm(p.T_map_rig[:3, 3]) < 0.01 for p in pipeline.trajectory())


def test_images_may_change_their_size(make):
    path = walk(12)
    pipeline = make(path, camera=CAMERA)
    fed(pipeline, path, last=6, intrinsics=None)
    for n in range(6, 12):
        frames = frame_set(BOARDS, path, n, None)
        cut = replace(frames.frames[0], image=np.ascontiguousarray(frames.frames[0].image[24:216]))
        pipeline.model.camera = replace(CAMERA, height=192, cy=CAMERA.cy - 24)
        update = pipeline.process(replace(frames, frames=(cut,)))
        assert update.tracking.state is TrackingState.TRACKING
    assert judged(pipeline, path)[0] < 0.005


def test_a_pose_needs_half_of_the_matches(make):
    """Two thirds of the keyframe's pixels are found at places of other pixels: plenty agree, but not enough."""
    path = walk(8)

    def shuffle(prediction, stamps):
        if max(stamps) < START_NS + 5 * PERIOD_NS or stamps[0] == stamps[1]:
            return prediction
        rng = np.random.default_rng(0)
        flat = prediction.points_b.flatten(0, 1).clone()
        wrong = torch.from_numpy(rng.permutation(len(flat))[:2 * len(flat) // 3])
        flat[wrong] = flat[wrong[torch.from_numpy(rng.permutation(len(wrong)))]]
        return replace(prediction, points_b=flat.reshape(prediction.points_b.shape))

    pipeline = make(path, spoil=shuffle)
    updates = fed(pipeline, path)
    assert [u.tracking.T_map_rig is None for u in updates] == [False] * 5 + [True] * 3
    other = make(path, {"pointmap.min_inlier_share": 0.1, "pointmap.relocalize_match_fraction": 0.1}, spoil=shuffle)
    assert fed(other, path)[5].tracking.T_map_rig is not None


def test_a_lost_pose_is_regained_only_in_both_directions(make):
    path = walk(24)

    def one_way(prediction, stamps):
        first, second = ((s - START_NS) // PERIOD_NS for s in stamps)
        if 10 <= max(first, second) < 12 or (12 <= second < 16 and first < second):
            return garbage(prediction, stamps)
        return prediction

    updates = fed(make(path, spoil=one_way), path)
    assert [u.tracking.T_map_rig is None for u in updates] == [10 <= n < 16 for n in range(24)]
