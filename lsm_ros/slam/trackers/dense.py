# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""From an estimate of inverse depth to the depth of a frame that the map can take."""
from __future__ import annotations

import numpy as np

from lsm_ros.geometry import CameraIntrinsics, depth_discontinuities
from lsm_ros.pairs.dense import DenseDepth
from lsm_ros.slam.trackers.base import FrameDepth
from lsm_ros.types import Frame


def dense_view(frame: Frame, intrinsics: CameraIntrinsics, dense: DenseDepth, least: float) -> FrameDepth:
    """The depth of a frame where its confidence is at least `least` and nothing begins or ends."""
    confidence = dense.confidence
    good = confidence >= least
    depth = np.where(good, 1.0 / np.where(good, dense.inverse_depth, 1.0), 0.0).astype(np.float32)
    good &= ~depth_discontinuities(depth)
    return FrameDepth(frame, intrinsics, np.where(good, depth, np.float32(0.0)), np.where(good, confidence, np.float32(0.0)),
                      measured=False)
