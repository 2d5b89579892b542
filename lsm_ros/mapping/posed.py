# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Keyframes of images whose camera, pose and depth are known: nothing is tracked, and nothing that is there moves."""
from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from lsm_ros.geometry import T_BODY_OPTICAL, se3_inverse
from lsm_ros.pairs.base import DEPTH, SparsePairModel, finds_points
from lsm_ros.pairs.dense import CONFIDENT, DenseDepth
from lsm_ros.pairs.features import FeatureSum
from lsm_ros.slam.graph.keyframes import Keyframe, KeyframeView
from lsm_ros.slam.trackers import FrameDepth, KeyframeDepth, Tracker
from lsm_ros.slam.trackers.landmark_links import join_all

GUESS_STD = 0.1  # of the logarithm of a landmark's depth: later adjustments, which have the images, may know better
SURE = 0.15  # relative deviation of inverse depth below which a landmark has one
FOCAL_STD = 0.01  # relative, of given cameras: images of the same camera without a calibration begin with it
MOST_CONFIDENT = 0.99  # of a pixel: what is given does not outweigh all that comes


def place(tracker: Tracker, view: FrameDepth, T_map_cam: np.ndarray) -> KeyframeDepth:
    """Adds a keyframe of one camera at T_map_cam (4, 4) to the graph, with landmarks or a pointmap of its depth, so that other
    images are found in it. Returns what it gives to the map. The rig is the camera's body frame."""
    frame, features = view.frame, None
    tokens = tracker.model.encode([replace(frame, depth=view.depth if tracker.model.uses_depth else None)])[0]
    if finds_points(tracker.model):
        made = landmarks_of(tracker.model, tokens, view)
    else:
        made, features = pointmap_of(tracker.model, tokens, view)
    keyframe = Keyframe(tracker.graph.next_id, frame.stamp_ns, T_map_cam @ se3_inverse(T_BODY_OPTICAL), {frame.camera: made},
                        tracker.model.signature([tokens]))
    tracker.graph.add(keyframe)
    if finds_points(tracker.model):
        join_all(tracker.graph, tracker.model, tracker.graph.config.neighbours, tracker.config.tracking.min_inliers,
                 [keyframe.id])  # so that later adjustments hold them together
    tracker.progress.reference = keyframe.id
    if tracker.finds_focal:
        tracker.cameras.focal_px[frame.camera] = view.intrinsics.fx
        tracker.cameras.focal_std_px[frame.camera] = FOCAL_STD * view.intrinsics.fx
    return KeyframeDepth(keyframe.id, T_BODY_OPTICAL, view, features)


def landmarks_of(model: SparsePairModel, tokens: Any, view: FrameDepth) -> KeyframeView:
    """The corners of an image, with the depth that is known there."""
    if DEPTH in model.gives:
        tokens.adopt(as_dense(view), SURE)
    corners, known = tokens.corners.astype(np.float64), tokens.inverse_depth
    typical = float(np.median(known[np.isfinite(known)])) if np.isfinite(known).any() else np.nan
    measured = np.where(np.isfinite(known), known, typical) if DEPTH in model.gives else known
    return KeyframeView(view.frame.camera, tokens, view.intrinsics, T_BODY_OPTICAL, corners, view.intrinsics.unproject(corners),
                        measured, known.copy(), GUESS_STD if DEPTH in model.gives else None)


def as_dense(view: FrameDepth) -> DenseDepth:
    """Depth and confidence as inverse depth and its deviation."""
    good = (view.depth > 0) & (view.confidence > 0)
    inverse = np.where(good, 1 / np.where(good, view.depth, 1), 0).astype(np.float32)
    spread = CONFIDENT * np.sqrt(1 / np.where(good, np.minimum(view.confidence, MOST_CONFIDENT), 1) - 1)
    return DenseDepth(inverse, np.where(good, spread, np.inf).astype(np.float32))


def pointmap_of(model: Any, tokens: Any, view: FrameDepth) -> tuple[KeyframeView, np.ndarray | None]:
    """The pointmap of an image at the size that a network sees, from the depth that is known; and its language features as
    an `Observation` has them, where the network has some."""
    from lsm_ros.slam.pointmap.view import PointmapView, grid_corners

    crop, features = tokens.crop, FeatureSum()
    pinhole = crop.intrinsics(view.intrinsics)
    y, x = np.mgrid[:crop.height, :crop.width]
    at = crop.to_image(np.stack([x.ravel(), y.ravel()], 1).astype(np.float64)).astype(np.float32).reshape(*x.shape, 2)
    depth, sure = (cv2.remap(np.ascontiguousarray(v, np.float32), at[..., 0], at[..., 1], cv2.INTER_NEAREST, borderValue=0)
                   for v in (view.depth, view.confidence))
    good = (depth > 0) & (sure > 0)
    points = np.where(good[..., None], pinhole.rays(unit=False, dtype=np.float32) * depth[..., None], np.nan)
    confidence = np.where(good, 1 / (1 - np.minimum(sure, MOST_CONFIDENT)), 0)
    corners = grid_corners(crop)
    nothing = np.full(len(corners), np.nan)
    made = PointmapView(view.frame.camera, tokens, view.intrinsics, T_BODY_OPTICAL, corners,
                        view.intrinsics.unproject(corners), nothing, nothing, crop=crop, points_cam=points.astype(np.float32),
                        confidence=confidence.astype(np.float32), calibrated=True)
    made.refresh()
    made.compact()  # the map has its depth
    if model.with_features:
        alone = model.predict([(tokens, tokens)])[0]
        features.add(alone.features_a, alone.conf_a)
    return made, features.cells(crop)
