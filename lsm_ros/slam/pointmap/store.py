# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A keyframe's camera as arrays for a map on disk, with or without a pointmap, and back."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lsm_ros.geometry import CameraIntrinsics
from lsm_ros.pairs.base import PairModel
from lsm_ros.slam.graph.keyframes import KeyframeView
from lsm_ros.slam.pointmap.view import PointmapView


def pack_view(view: KeyframeView, model: PairModel) -> dict[str, np.ndarray]:
    """All arrays of a view by name; those of its tokens as the pair model packs them."""
    arrays = {**model.pack(view.tokens), "T_rig_cam": view.T_rig_cam, "corners": view.corners, "measured": view.measured,
              "inverse_depth": view.inverse_depth}
    if isinstance(view, PointmapView):
        arrays |= {"points_cam": view.points_cam, "confidence": view.confidence,
                   "pointmap": np.array([view.count, view.calibrated, view.step])}
    return arrays


def unpack_view(camera: str, stamp_ns: int, intrinsics: CameraIntrinsics, guess_std: float | None,
                parts: Mapping[str, np.ndarray], model: Any) -> KeyframeView:
    """The view that `pack_view` made these arrays of. KeyError where one is missing."""
    tokens = model.unpack(camera, stamp_ns, intrinsics, parts)
    common = (camera, tokens, intrinsics, parts["T_rig_cam"], parts["corners"], intrinsics.unproject(parts["corners"]),
              parts["measured"], parts["inverse_depth"], guess_std)
    if "pointmap" not in parts:
        return KeyframeView(*common)
    count, calibrated, step = parts["pointmap"].tolist()
    if not calibrated:
        tokens.intrinsics = None
    return PointmapView(*common, tokens.crop, parts["points_cam"], parts["confidence"], count, bool(calibrated), step)
