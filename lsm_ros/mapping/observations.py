# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""From frames to what goes on: rectified frames, clouds of a frame, observations for the voxel map."""
from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from lsm_ros.config import Config
from lsm_ros.geometry import CameraIntrinsics, Rectifier, depth_discontinuities, transform_points
from lsm_ros.pairs.base import PairModel
from lsm_ros.slam.graph.keyframes import Keyframe
from lsm_ros.slam.trackers.depth import Tracked, Tracker
from lsm_ros.slam.trackers.two_view import DenseView
from lsm_ros.types import EXACT_SCALE, UNLABELLED, Frame, FrameCloud, FrameSet, Observation

Z_STEP = 0.0005  # metres; 16 bits reach 32.7 m
MODEL_SCALE_STD = 0.1  # relative; metric networks err by about that from scene to scene
ODD_LENS = 0.1  # share of pixels off the pinhole that is worth a warning
RESCALE = 0.01  # relative change of scale or focal length that is worth fusing anew


class FrameRectifier:
    """Takes lens distortion out of frames; keeps the maps of each camera."""

    def __init__(self) -> None:
        self._rectifiers: dict[CameraIntrinsics, Rectifier] = {}

    def __call__(self, frame: Frame) -> Frame:
        """The frame as a pinhole without distortion sees it. Unchanged without intrinsics or distortion."""
        if frame.intrinsics is None or not frame.intrinsics.has_distortion:
            return frame
        r = self.of(frame.intrinsics)
        return replace(frame, image=r.image(frame.image), intrinsics=r.target,
                       depth=None if frame.depth is None else r.depth(frame.depth),
                       labels=None if frame.labels is None else r.labels(frame.labels, fill=UNLABELLED))

    def of(self, intrinsics: CameraIntrinsics) -> Rectifier:
        """The rectifier of a camera. At most eight cameras are remembered."""
        if intrinsics not in self._rectifiers:
            if len(self._rectifiers) >= 8:
                self._rectifiers.pop(next(iter(self._rectifiers)))
            self._rectifiers[intrinsics] = Rectifier(intrinsics)
        return self._rectifiers[intrinsics]

    def known(self) -> list[Rectifier]:
        """The rectifiers made so far."""
        return list(self._rectifiers.values())


def usable_depth(frames: list[Frame], model: PairModel, started: bool, warnings: dict[str, str]) -> list[Frame]:
    """Frames with the depth that the pair model uses: others than `depth` find it themselves, in a scale of their own."""
    if model.name != "depth":
        return [f if f.depth is None else replace(f, depth=None) for f in frames]
    if all(f.depth is None for f in frames) and not started:
        names = ", ".join(f.camera for f in frames)
        warnings["depth"] = f"no depth for camera {names}: pair model 'depth' cannot start without it"
    elif any(f.depth is not None for f in frames):
        warnings.pop("depth", None)
    return frames


def scale_of(model: PairModel, known: bool) -> tuple[str, float]:
    """What the scale of a map comes from, and its relative standard deviation. known: there is a metric map."""
    if not known:
        return "none", float("nan")
    return ("depth", 0.01) if model.name == "depth" else ("model", MODEL_SCALE_STD)


def doubts(tracker: Tracker, model: PairModel) -> dict[str, str]:
    """Warnings about what networks predict: a scale that is not exact, and cameras whose pixels do not fit the pinhole with
    which they are fused."""
    source, std = scale_of(model, model.is_metric)
    found = {"scale": f"lengths are metres to about {std:.0%} only (from the {source})"} if std > EXACT_SCALE else {}
    return found | {
        f"pinhole {camera}": f"{share:.0%} of the pixels predicted for camera {camera!r} do not fit a pinhole and are not "
                             "fused: rectify its images, or give it a calibration"
        for camera, share in tracker.knowledge().get("off_pinhole", {}).items() if share > ODD_LENS}


def reliable_depth(frame: Frame, config: Config) -> np.ndarray:
    """(H, W) float32 metres, 0 where there is none, out of range, or at the edge of something."""
    depth = np.nan_to_num(frame.depth, nan=0.0, posinf=0.0, neginf=0.0)
    good = (depth >= config.pairs.min_depth) & (depth <= config.pairs.max_depth)
    good &= ~depth_discontinuities(depth)
    return np.where(good, depth, np.float32(0.0)).astype(np.float32)


def frame_cloud(frame: Frame, depth: np.ndarray) -> FrameCloud:
    """What one frame with intrinsics shows; `depth` is from `reliable_depth`."""
    return FrameCloud(frame.camera, frame.frame_id, frame.stamp_ns, depth, frame.image, confidence(depth),
                      frame.intrinsics, frame.labels)


def confidence(depth: np.ndarray) -> np.ndarray:
    """(H, W) float32 in [0, 1]: 1 up to 1 m, then falling with depth, as the noise of depth cameras grows; 0 = none."""
    return np.where(depth > 0, np.minimum(1.0, 1.0 / np.maximum(depth, 1e-3)), 0.0).astype(np.float32)


def observation(cloud: FrameCloud, number: int, keyframe: int, T_rig_cam: np.ndarray, config: Config,
                measured: bool = True, features: np.ndarray | None = None) -> Observation:
    """What a keyframe's camera gives to the map; beyond fusion.max_depth nothing is used. measured: the depth is a
    camera's, whose noise the map knows; else the cloud's confidence counts. features: as an `Observation` has them."""
    depth = np.where(cloud.depth <= min(config.fusion.max_depth, 65535 * Z_STEP), cloud.depth, 0.0)
    z = (depth / Z_STEP + 0.5).astype(np.uint16)
    sure = 255 if measured else np.maximum(np.rint(255 * cloud.confidence), 1)
    confidence = np.where(z > 0, sure, 0).astype(np.uint8)
    for array in (z, confidence):
        array.setflags(write=False)  # the map need not copy what nobody can change
    return Observation(number, keyframe, cloud.stamp_ns, cloud.camera, T_rig_cam, z, Z_STEP, confidence, cloud.image,
                       cloud.intrinsics, cloud.labels, features)


def late_labels(seen: Observation, labels: np.ndarray, rectify: FrameRectifier) -> np.ndarray:
    """Labels (H, W) of the image of an observation, as the camera sees it, without the lens's distortion. ValueError for
    another size."""
    if labels.shape != seen.z.shape:
        raise ValueError(f"labels of camera {seen.camera!r} at {seen.stamp_ns} ns have shape {labels.shape}, the image has "
                         f"{seen.z.shape}")
    for rectifier in rectify.known():
        if rectifier.target == seen.intrinsics:
            labels = rectifier.labels(labels)
    return labels


def rescaled(seen: Observation, keyframe: Keyframe, tracker: Tracker, number: int) -> Observation | None:
    """The observation in the scale and with the focal length that its keyframe has by now; None while both are within
    RESCALE of what they were."""
    view = keyframe.views[seen.camera]
    ratio = tracker.depth_ratio(keyframe, seen.camera, seen.z * np.float32(seen.z_step))
    if abs(np.log(ratio)) < RESCALE and abs(np.log(view.intrinsics.fx / seen.intrinsics.fx)) < RESCALE:
        return None
    return replace(seen, id=number, z_step=seen.z_step * ratio, intrinsics=view.intrinsics)


def dense_cloud(view: DenseView, config: Config) -> FrameCloud:
    """The cloud of a keyframe's camera whose depth tracking found."""
    frame, confidence = view.tracked.frames[view.camera], view.dense.confidence
    good = confidence >= config.two_view.min_confidence
    depth = np.where(good, 1.0 / np.where(good, view.dense.inverse_depth, 1.0), 0.0).astype(np.float32)
    good &= ~depth_discontinuities(depth)
    return FrameCloud(frame.camera, frame.frame_id, frame.stamp_ns, np.where(good, depth, np.float32(0.0)), frame.image,
                      np.where(good, confidence, np.float32(0.0)), view.tracked.intrinsics[view.camera], frame.labels)


@dataclass(frozen=True)
class Prepared:
    """A frame set ready for tracking, and the cloud of every frame that has depth and intrinsics.

    predicted: clouds of frames whose depth tracking found.
    """

    frame_set: FrameSet
    clouds: dict[str, FrameCloud]
    predicted: dict[str, FrameCloud] = field(default_factory=dict)


def predicted_clouds(tracker: Tracker, tracked: Tracked, config: Config) -> dict[str, FrameCloud]:
    """The clouds of a frame set whose depth tracking found itself, in units of the map."""
    return {camera: dense_cloud(DenseView(-1, tracked, camera, dense), config)
            for camera, dense in tracker.frame_depth(tracked).items()}


def prepare(frame_set: FrameSet, frames: list[Frame], rectify: FrameRectifier, config: Config) -> Prepared:
    """Rectifies frames and makes their clouds; the depth that tracking sees is the reliable one."""
    out, clouds = [], {}
    for frame in frames:
        frame = rectify(frame)
        if frame.depth is not None:
            depth = reliable_depth(frame, config)
            frame = replace(frame, depth=depth)
            if frame.intrinsics is not None:
                clouds[frame.camera] = frame_cloud(frame, depth)
        out.append(frame)
    return Prepared(replace(frame_set, frames=tuple(out)), clouds)


def seen_points(prepared: Prepared, stride: int = 8) -> np.ndarray:
    """(N, 3) points in the rig frame that the clouds of a frame set show; every stride-th pixel in each direction."""
    points = [np.zeros((0, 3))]
    for camera, cloud in {**prepared.clouds, **prepared.predicted}.items():
        small = cloud.depth[::stride, ::stride]
        rows, columns = np.nonzero(small)
        rays = cloud.intrinsics.unproject(np.column_stack([columns * stride, rows * stride]).astype(np.float64))
        points.append(transform_points(prepared.frame_set.T_rig_cam[camera],
                                       rays * small[rows, columns].astype(np.float64)[:, None]))
    return np.concatenate(points)
