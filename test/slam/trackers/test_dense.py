# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The depth that the map takes of an estimate: what is sure, and lies on no edge."""
from types import SimpleNamespace

import numpy as np

from lsm_ros.geometry import CameraIntrinsics
from lsm_ros.slam.trackers.dense import dense_view
from lsm_ros.types import Frame

K = CameraIntrinsics(40, 30, 30.0, 30.0, 19.5, 14.5)


def test_only_what_is_sure_and_on_no_edge_has_depth():
    inverse = np.full((30, 40), 0.5, np.float32)
    inverse[:, 20:] = 0.25  # a step from 2 m to 4 m
    confidence = np.full((30, 40), 0.6, np.float32)
    confidence[5, 5], confidence[6, 6], confidence[7, 7] = 0.5, 0.49, 0.0
    inverse[7, 7] = 0.0
    frame = Frame(1, "front", np.zeros((30, 40, 3), np.uint8), K)
    view = dense_view(frame, K, SimpleNamespace(inverse_depth=inverse, confidence=confidence), 0.5)
    assert view.frame is frame and view.intrinsics is K and not view.measured
    assert view.depth.dtype == view.confidence.dtype == np.float32
    assert view.depth[5, 5] == 2.0 and view.confidence[5, 5] == np.float32(0.5)
    assert view.depth[6, 6] == view.depth[7, 7] == view.confidence[6, 6] == view.confidence[7, 7] == 0.0
    edge = view.depth[15] == 0
    assert edge[19] and edge[20] and not edge[:17].any() and not edge[24:].any()
    assert np.array_equal(view.confidence[15] == 0, edge)
    assert set(np.unique(view.depth)) == {0.0, 2.0, 4.0}
