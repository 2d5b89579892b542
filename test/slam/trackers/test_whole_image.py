# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A camera that is carried elsewhere is not found where only a part of its image fits."""
from dataclasses import replace

import numpy as np
import pytest
from helpers.textured import CAMERA, Board, picture, room, see

from lsm_ros.config import from_dict
from lsm_ros.geometry import make_se3, se3_inverse, so3_exp
from lsm_ros.mapping.pipeline import MappingPipeline
from lsm_ros.pairs.agreement import Agreement
from lsm_ros.slam.trackers.whole_image import AGREE, ALIKE, LEAST_MEASURED, LEAST_PATCHES, confirms, contradiction
from lsm_ros.types import Frame, FrameSet, TrackingState

CONFIG = from_dict({"fusion.voxel_size": 0.1, "pairs.max_depth": 10.0})
HOME = room()
# The same window, with the same view, in another room: as far from the camera, with other walls around it.
WINDOW = Board(np.array([-0.35, -0.4, 1.5]), np.array([0.8, 0.0, 0.0]), np.array([0.0, 0.6, 0.0]), picture(77))
OTHER = [replace(b, corner=1.4 * b.corner, u=1.4 * b.u, v=1.4 * b.v) for b in room(9)[:6]]


def frame_set(boards, n, T=None):
    T = make_se3(so3_exp([0.0, 0.05 * np.sin(n / 4), 0.0]), [0.02 * n, 0.0, 0.01 * n]) if T is None else T
    image, depth = see(boards, T)
    stamp = 10**9 + n * 10**8
    frame = Frame(stamp, "camera", np.repeat(image[..., None], 3, 2), CAMERA, depth)
    return FrameSet(stamp, (frame,), {"camera": np.eye(4)})


@pytest.fixture
def at_home():
    """A pipeline that has mapped a room with a window, and was then shown the dark."""
    pipeline = MappingPipeline(CONFIG)
    for n in range(12):
        update = pipeline.process(frame_set([*HOME, WINDOW], n))
    assert update.tracking.state is TrackingState.TRACKING
    for n in range(12, 14):
        stamp = 10**9 + n * 10**8
        dark = Frame(stamp, "camera", np.zeros((CAMERA.height, CAMERA.width, 3), np.uint8), CAMERA)
        update = pipeline.process(FrameSet(stamp, (dark,), {"camera": np.eye(4)}))
    assert update.tracking.state is TrackingState.LOST
    return pipeline


def test_a_window_alone_is_no_place(at_home):
    for n in range(14, 24):
        update = at_home.process(frame_set([*OTHER, WINDOW], n, make_se3(np.eye(3), [0.02 * (n - 14), 0.0, 0.0])))
        assert update.session > 0 or update.tracking.T_map_rig is None  # another map is begun, apart from the old one
    assert at_home.tracker.attached == {}


def test_back_home_it_is_found_at_once(at_home):
    update = at_home.process(frame_set([*HOME, WINDOW], 14, make_se3(so3_exp([0.0, 0.08, 0.0]), [0.1, 0.0, 0.1])))
    assert update.tracking.state is TrackingState.RELOCALIZED
    error = se3_inverse(make_se3(so3_exp([0.0, 0.08, 0.0]), [0.1, 0.0, 0.1])) @ at_home.trajectory()[0].T_map_rig
    assert np.linalg.norm((error @ update.tracking.T_map_rig)[:3, 3]) < 0.2


def test_without_depth_the_looks_decide(at_home):
    for n in range(14, 20):
        seen = frame_set([*OTHER, WINDOW], n, make_se3(np.eye(3), [0.02 * (n - 14), 0.0, 0.0]))
        update = at_home.process(replace(seen, frames=(replace(seen.frames[0], depth=None),)))
        assert update.tracking.T_map_rig is None


@pytest.mark.parametrize(("found", "reason"), [
    (Agreement(2000, 1000, round(1000 * AGREE) + 1, 0, 0, 0), ""),
    (Agreement(2000, 1000, round(1000 * AGREE) - 1, 0, 0, 0), "as far away as the map says"),
    (Agreement(2000, 0, 0, 0, 1000, round(1000 * ALIKE) + 1), ""),
    (Agreement(2000, 0, 0, 0, 1000, round(1000 * ALIKE) - 1), "looks as the map says"),
    (Agreement(2000, 1000, 1000, 0, 1000, 10), "looks as the map says"),
    (Agreement(2000, 1000, 10, 0, 1000, 1000), "as far away as the map says"),
])
def test_what_contradicts(found, reason):
    assert (reason in contradiction(found)) if reason else contradiction(found) == ""
    assert confirms(found) == (not reason)


def test_too_little_to_compare_neither_contradicts_nor_confirms():
    few = Agreement(50, LEAST_MEASURED - 1, 0, 0, LEAST_PATCHES - 1, 0)
    assert contradiction(few) == "" and not confirms(few)


def test_keyframes_without_depth_cannot_be_asked():
    assert confirms(Agreement())
