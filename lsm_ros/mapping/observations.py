# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""From the depth of a frame to what goes on: its cloud, and its observation for the voxel map."""
from __future__ import annotations

from dataclasses import replace

import numpy as np

from lsm_ros.config import Config
from lsm_ros.geometry import CameraIntrinsics
from lsm_ros.mapping.frames import FrameRectifier
from lsm_ros.slam.graph.keyframes import Keyframe
from lsm_ros.slam.trackers import FrameDepth, KeyframeDepth, Tracker
from lsm_ros.types import FrameCloud, Observation

Z_STEP = 0.0005  # metres; 16 bits reach 32.7 m
RESCALE = 0.01  # relative change of scale or focal length that is worth fusing anew


def cloud_of(view: FrameDepth) -> FrameCloud:
    """Cloud of one frame."""
    frame = view.frame
    return FrameCloud(frame.camera, frame.frame_id, frame.stamp_ns, view.depth, frame.image, view.confidence, view.intrinsics,
                      frame.labels)


def observation_of(given: KeyframeDepth, number: int, config: Config, features: np.ndarray | None = None) -> Observation:
    """Observation that a keyframe's camera gives to the map; beyond fusion.max_depth nothing is used. Measured depth has noise
    that the map knows; else its confidence counts. features: as an `Observation` has them."""
    view, frame = given.view, given.view.frame
    depth = np.where(view.depth <= min(config.fusion.max_depth, 65535 * Z_STEP), view.depth, 0.0)
    z = (depth / Z_STEP + 0.5).astype(np.uint16)
    sure = 255 if view.measured else np.maximum(np.rint(255 * view.confidence), 1)
    confidence = np.where(z > 0, sure, 0).astype(np.uint8)
    for array in (z, confidence):
        array.setflags(write=False)  # the map need not copy what nobody can change
    return Observation(number, given.keyframe, frame.stamp_ns, frame.camera, given.T_rig_cam, z, Z_STEP, confidence,
                       frame.image, view.intrinsics, frame.labels, features)


def late_labels(seen: Observation, labels: np.ndarray, rectify: FrameRectifier) -> np.ndarray:
    """Labels (H, W) of the image of an observation, as the camera sees it, without the lens's distortion. ValueError for
    another size."""
    check_labels(labels, seen.intrinsics, seen.camera, seen.stamp_ns)
    for rectifier in rectify.known():
        if rectifier.target == seen.intrinsics:
            labels = rectifier.labels(labels)
    return labels


def check_labels(labels: np.ndarray, intrinsics: CameraIntrinsics, camera: str, stamp_ns: int) -> None:
    """ValueError unless labels have the size (H, W) of a camera's image."""
    if labels.shape != (intrinsics.height, intrinsics.width):
        raise ValueError(f"labels of camera {camera!r} at {stamp_ns} ns have shape {labels.shape}, the image has "
                         f"{(intrinsics.height, intrinsics.width)}")


def rescaled(seen: Observation, keyframe: Keyframe, tracker: Tracker, number: int) -> Observation | None:
    """The observation in the scale and with the focal length that its keyframe has by now; None while both are within
    RESCALE of what they were."""
    view = keyframe.views[seen.camera]
    ratio = tracker.depth_ratio(keyframe, seen.camera, seen.z * np.float32(seen.z_step))
    if abs(np.log(ratio)) < RESCALE and abs(np.log(view.intrinsics.fx / seen.intrinsics.fx)) < RESCALE:
        return None
    return replace(seen, id=number, z_step=seen.z_step * ratio, intrinsics=view.intrinsics)
