# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Maps of images whose cameras are known: other images are found in them, and mapping goes on in them."""
from dataclasses import replace

import numpy as np
import pytest
from helpers import textured
from helpers.pointmaps import FakePairModel

from lsm_ros.config import from_dict
from lsm_ros.geometry import T_BODY_OPTICAL, rotation_angle, se3_inverse
from lsm_ros.geometry.lie import make_se3
from lsm_ros.geometry.rotation import so3_exp
from lsm_ros.mapping.pipeline import MappingPipeline
from lsm_ros.mapping.posed import GUESS_STD
from lsm_ros.slam.trackers import FrameDepth
from lsm_ros.types import Frame, FrameSet, TrackingState

ROOM = textured.room(0)
SECOND = 10**9
CAMERA = textured.CAMERA


def pose_at(s):
    """Pose (4, 4) of a camera that goes round in the room, at step s, whole or not."""
    return make_se3(so3_exp(np.array([0.02 * s, 0.12 * s - 0.4, 0])),
                    np.array([0.3 * np.sin(0.9 * s) - 0.08 * s, 0.08 * np.cos(s), -1.5 + 0.1 * s]))


def frame_at(s, depth=False):
    image, z = textured.see(ROOM, pose_at(s))
    return Frame(round((s + 100) * SECOND), "camera", np.repeat(image[..., None], 3, 2), CAMERA, z if depth else None)


def pipeline_of(kind, **more):
    """A pipeline and whether its model takes depth as it comes."""
    config = from_dict({"pairs.model": "two_view" if kind == "pointmap" else kind, "fusion.voxel_size": 0.05, **more})
    if kind != "pointmap":
        return MappingPipeline(config)
    return MappingPipeline(config, FakePairModel(ROOM, lambda stamp_ns: pose_at(stamp_ns / SECOND - 100)))


def placed(kind, steps=range(8), **more):
    pipeline = pipeline_of(kind, **more)
    for s in steps:
        frame = frame_at(s)
        depth = textured.see(ROOM, pose_at(s))[1]
        pipeline.place(FrameDepth(frame, CAMERA, depth, np.full(depth.shape, 0.9, np.float32), False), pose_at(s))
    return pipeline


KINDS = ["two_view", "depth", "pointmap"]


@pytest.mark.parametrize("kind", KINDS)
def test_other_images_are_found_in_a_saved_map(kind, tmp_path):
    before = placed(kind)
    assert [np.allclose(p.T_map_rig @ T_BODY_OPTICAL, pose_at(s)) for s, p in enumerate(before.trajectory())] == [True] * 8
    before.save(tmp_path / "map")
    there = pipeline_of(kind)
    there.load(tmp_path / "map", localization_only=True)
    assert np.array_equal(there.snapshot().points_map, before.snapshot().points_map) and len(there.tracker.graph.keyframes) == 8
    found = []
    for s in np.arange(2.4, 4.2, 0.1):
        update = there.process(FrameSet(round((s + 100) * SECOND), (frame_at(s, kind == "depth"),)))
        if update.tracking.T_map_rig is not None:
            T = se3_inverse(pose_at(s)) @ update.tracking.T_map_rig @ T_BODY_OPTICAL
            found.append((np.linalg.norm(T[:3, 3]), rotation_angle(T[:3, :3])))
    assert len(found) >= 9  # some are looked at again before they count
    assert max(d for d, _ in found) < 0.05 and max(a for _, a in found) < np.radians(1.5)


@pytest.mark.parametrize("kind", KINDS)
def test_mapping_goes_on_where_the_given_cameras_end(kind, tmp_path):
    placed(kind).save(tmp_path / "map")
    there = pipeline_of(kind, **({"pointmap.overlap": 0.6} if kind == "pointmap" else {}))
    there.load(tmp_path / "map")
    for s in np.arange(6.0, 11.0, 0.125):
        update = there.process(FrameSet(round((s + 100) * SECOND), (frame_at(s, kind == "depth"),)))
    there.settle()
    assert len(there.tracker.graph.keyframes) > 8
    # the old keyframes hold together, and the new ones are beside them
    scale = np.linalg.norm((se3_inverse(there.tracker.graph.keyframes[0].T_map_rig)
                            @ there.tracker.graph.keyframes[7].T_map_rig)[:3, 3])
    assert scale == pytest.approx(np.linalg.norm((se3_inverse(pose_at(0)) @ pose_at(7))[:3, 3]), rel=0.05)
    last = there.tracker.graph.keyframes[7].T_map_rig @ T_BODY_OPTICAL @ se3_inverse(pose_at(7))
    T = se3_inverse(last @ pose_at(s)) @ update.tracking.T_map_rig @ T_BODY_OPTICAL
    assert update.tracking.state is TrackingState.TRACKING and np.linalg.norm(T[:3, 3]) < 0.15


def test_landmarks_have_the_depth_and_are_linked():
    graph = placed("two_view", range(3)).tracker.graph
    view = graph.keyframes[1].views["camera"]
    truth = textured.see(ROOM, pose_at(1))[1]
    x, y = np.rint(view.corners).astype(int).T
    known = np.isfinite(view.inverse_depth)
    assert known.mean() > 0.8 and np.allclose(1 / view.inverse_depth[known], truth[y, x][known], rtol=0.02)
    assert view.guess_std == GUESS_STD and np.isfinite(view.measured).all()
    assert {(0, 1), (1, 0), (1, 2), (2, 1)} <= {(k[0], k[2]) for k in graph.links}


def test_pixels_without_depth_are_no_landmarks_and_no_points():
    for kind in ("two_view", "pointmap"):
        pipeline = pipeline_of(kind)
        depth = textured.see(ROOM, pose_at(0))[1]
        confidence = np.full(depth.shape, 0.9, np.float32)
        confidence[:, :160] = 0
        pipeline.place(FrameDepth(frame_at(0), CAMERA, np.where(confidence > 0, depth, 0), confidence, False), pose_at(0))
        view = pipeline.tracker.graph.keyframes[0].views["camera"]
        left = view.corners[:, 0] < 150
        assert left.any() and np.isnan(view.inverse_depth[left]).all() and np.isfinite(view.inverse_depth[~left]).any()


def test_the_focal_length_of_given_cameras_is_where_uncalibrated_images_begin(tmp_path):
    placed("two_view", range(2)).save(tmp_path / "map")
    there = pipeline_of("two_view")
    there.load(tmp_path / "map")
    frame = replace(frame_at(0.5), intrinsics=None)
    assert there.tracker.cameras.guess(frame).fx == CAMERA.fx


def test_lengths_may_be_metres(tmp_path):
    pipeline = placed("two_view", range(2))
    assert not pipeline.status().scale_is_metric
    pipeline.take_for_metres("model", 0.1)
    pipeline.save(tmp_path / "map")
    again = pipeline_of("two_view")
    again.load(tmp_path / "map")
    assert again.status().scale_is_metric and again.status().scale_std == pytest.approx(0.1)


def test_the_language_features_of_a_network_go_into_the_map(tmp_path):
    pipeline = placed("lsm_small", range(2))
    assert pipeline.map.has_features and pipeline.tracker.graph.keyframes[0].views["camera"].step == 2
    pipeline.save(tmp_path / "map")
    again = pipeline_of("lsm_small")
    again.load(tmp_path / "map")
    assert again.map.has_features and (tmp_path / "map" / "language.safetensors").is_file()


def test_what_is_given_with_certainty_does_not_outweigh_all_that_comes():
    """A confidence of 1 would be an infinite weight in a pointmap, and no deviation at all of a landmark."""
    depth = textured.see(ROOM, pose_at(0))[1]
    for kind in ("two_view", "pointmap"):
        pipeline = pipeline_of(kind)
        pipeline.place(FrameDepth(frame_at(0), CAMERA, depth, np.ones(depth.shape, np.float32), False), pose_at(0))
        view = pipeline.tracker.graph.keyframes[0].views["camera"]
        assert np.isfinite(view.inverse_depth).mean() > 0.8
        if kind == "pointmap":
            assert view.confidence.max() == pytest.approx(100)
