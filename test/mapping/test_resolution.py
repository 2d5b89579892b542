# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A camera that changes its resolution and back, as drivers do when they are set anew: new keyframes in the same map."""
from dataclasses import replace

import cv2
import numpy as np
import pytest

from lsm_ros.config import from_dict
from lsm_ros.geometry import se3_inverse
from lsm_ros.mapping.pipeline import MappingPipeline
from lsm_sim.source import RoomSource

CHANGED = range(9, 17)


@pytest.fixture(scope="module")
def source():
    return RoomSource(seed=1, frames=60, noise=False, labels=False)


@pytest.fixture(scope="module")
def frame_sets(source):
    return [source.frame_set(i) for i in range(26)]


def with_frame(frame_set, **changes):
    return replace(frame_set, frames=(replace(frame_set.frames[0], **changes),))


def halved(frame_set):
    f = frame_set.frames[0]
    return with_frame(frame_set, image=cv2.resize(f.image, (160, 120), interpolation=cv2.INTER_AREA),
                      depth=np.ascontiguousarray(f.depth[::2, ::2]), intrinsics=f.intrinsics.resize(160, 120))


def cropped(frame_set):
    """As a wide mode of the sensor: fewer rows."""
    f, rows = frame_set.frames[0], slice(30, 210)
    return with_frame(frame_set, image=np.ascontiguousarray(f.image[rows]), depth=np.ascontiguousarray(f.depth[rows]),
                      intrinsics=replace(f.intrinsics, height=180, cy=f.intrinsics.cy - 30))


def run(frame_sets, change, model, bare):
    pipeline = MappingPipeline(from_dict({"fusion.voxel_size": 0.1, "pairs.model": model}))
    updates = []
    for i, f in enumerate(frame_sets):
        f = change(f) if i in CHANGED else f
        updates.append(pipeline.process(with_frame(f, depth=None) if bare else f))
    return pipeline, updates


@pytest.mark.parametrize("change", [halved, cropped])
def test_with_depth_every_frame_keeps_its_pose(source, frame_sets, change):
    pipeline, updates = run(frame_sets, change, "depth", bare=False)
    first = se3_inverse(source.ground_truth[0].T_map_rig)
    errors = [np.linalg.norm((first @ source.ground_truth[i].T_map_rig)[:3, 3] - u.tracking.T_map_rig[:3, 3])
              for i, u in enumerate(updates)]
    assert max(errors) < 0.1
    assert pipeline.session == 0 and any(updates[i].tracking.new_keyframe is not None for i in CHANGED)
    shapes = {v.intrinsics.shape for k in pipeline.tracker.graph.keyframes.values() for v in k.views.values()}
    assert shapes == {(240, 320)}, "all keyframes are as the first ones were"
    pipeline.settle()
    assert len(pipeline.trajectory()) == len(frame_sets)


@pytest.mark.parametrize("change", [halved, cropped])
def test_from_colour_alone_no_frame_raises_and_the_camera_is_found_again(frame_sets, change):
    pipeline, updates = run(frame_sets, change, "two_view", bare=True)
    posed = [u.tracking.T_map_rig is not None for u in updates]
    assert any(posed[i] for i in CHANGED) or not any(posed[:CHANGED.start]), "the map of before is used"
    pipeline.settle()


def test_a_camera_that_nobody_calibrated_goes_on_in_the_same_map(frame_sets):
    """From colour alone, through the change and back."""
    changed = range(18, 22)
    seen = [with_frame(halved(f) if i in changed else f, intrinsics=None) for i, f in enumerate(frame_sets)]
    pipeline, updates = run(seen, lambda f: f, "two_view", bare=True)
    posed = [u.tracking.T_map_rig is not None for u in updates]
    assert pipeline.session == 0 and all(posed[posed.index(True):]) and posed.index(True) < changed.start
    assert {v.intrinsics.shape for k in pipeline.tracker.graph.keyframes.values() for v in k.views.values()} == {(240, 320)}


@pytest.mark.parametrize("model", ["depth", "two_view"])
def test_a_map_of_two_resolutions_is_saved_and_loaded(frame_sets, model, tmp_path):
    pipeline, _ = run(frame_sets[:14], halved, model, bare=model == "two_view")
    pipeline.save(tmp_path / "map")
    other = MappingPipeline(pipeline.config)
    other.load(tmp_path / "map")
    assert len(other.keyframe_trajectory()) == len(pipeline.keyframe_trajectory())
