# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A keyframe's pointmap: fused from many predictions, checked against a pinhole, given to the map."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from lsm_ros.geometry import CameraIntrinsics
from lsm_ros.pairs.dense import CONFIDENT, DenseDepth
from lsm_ros.pairs.features import FeatureSum
from lsm_ros.slam.graph.keyframes import Keyframe, KeyframeView

if TYPE_CHECKING:
    from lsm_ros.models.preprocess import Crop

LANDMARK_STEP = 16  # pixels of the network's image
MOST_CONFIDENT = 1e4  # an exponential of the network may be anything
PINHOLE_PX = 1.5  # at a size of 512: pixels that a pinhole puts farther off are not fused
PLAUSIBLE_SHARE = 0.02  # of the longer side: a pointmap whose points mostly project farther off is none of a camera
FOCAL_RANGE = (0.3, 5.0)  # of the longer side


@dataclass(kw_only=True)
class PointmapView(KeyframeView):
    """One camera of a keyframe with a dense pointmap at the size of the network's image.

    points_cam (h, w, 3) float32, NaN where unknown, in units of the map; confidence (h, w) float32: the sum over `count`
    predictions. crop: how the frame's pixels became those of the network. calibrated: points lie on the camera's rays.
    step: every step-th pixel of the network's in each direction is kept. features: of all predictions, until the map has them.
    Landmarks (corners, in pixels of the frame) are
    samples of the pointmap.
    """

    crop: Crop
    points_cam: np.ndarray
    confidence: np.ndarray
    count: int = 1
    calibrated: bool = False
    step: int = 1
    features: FeatureSum = field(default_factory=FeatureSum)

    @property
    def nbytes(self) -> int:
        return (self.tokens.nbytes + self.points_cam.nbytes + self.confidence.nbytes + self.corners.nbytes * 5
                + self.features.nbytes)

    def pack(self) -> dict[str, np.ndarray]:
        """The arrays of the view by name, without those of its tokens, for a map on disk."""
        return super().pack() | {"points_cam": self.points_cam, "confidence": self.confidence,
                                 "pointmap": np.array([self.count, self.calibrated, self.step])}

    @classmethod
    def unpack(cls, camera: str, tokens: Any, intrinsics: CameraIntrinsics, guess_std: float | None,
               parts: Mapping[str, np.ndarray]) -> PointmapView:
        """The view that `pack` gave these arrays of. KeyError where one is missing, ValueError where one does not fit."""
        count, calibrated, step = parts["pointmap"].tolist()
        size = tokens.crop.height, tokens.crop.width
        if step not in (1, 2) or count < 0:
            raise ValueError(f"a pointmap of {count} predictions with every {step}th pixel is none")
        shape = -(-size[0] // step), -(-size[1] // step)
        if parts["points_cam"].shape != (*shape, 3) or parts["confidence"].shape != shape:
            raise ValueError(f"points_cam is {parts['points_cam'].shape} and confidence {parts['confidence'].shape}, where the "
                             f"network's image needs {shape}")
        if not calibrated:
            tokens.intrinsics = None
        corners = parts["corners"]
        return cls(camera, tokens, intrinsics, parts["T_rig_cam"], corners, intrinsics.unproject(corners), parts["measured"],
                   parts["inverse_depth"], guess_std, crop=tokens.crop, points_cam=parts["points_cam"],
                   confidence=parts["confidence"], count=count, calibrated=bool(calibrated), step=step)

    @property
    def mean_confidence(self) -> np.ndarray:
        """(h, w) float32, average of the predictions."""
        return self.confidence / max(self.count, 1)

    def fuse(self, points_cam: np.ndarray, confidence: np.ndarray) -> None:
        """Adds a prediction of all the network's pixels, points (h, w, 3) in this camera and units of the map, confidence
        (h, w): the mean weighted by confidence."""
        if self.calibrated:
            points_cam = on_rays(points_cam, self.crop.intrinsics(self.intrinsics))
        points_cam = points_cam[::self.step, ::self.step]
        confidence = sane_confidence(confidence[::self.step, ::self.step])
        good = np.isfinite(points_cam).all(-1) & (confidence > 0)
        known = np.isfinite(self.points_cam).all(-1) & (self.confidence > 0)
        total = np.where(known, self.confidence, 0) + np.where(good, confidence, 0)
        share = np.where(good, confidence / np.maximum(total, 1e-12), 0)[..., None].astype(np.float32)
        old = np.where(known[..., None], self.points_cam, 0)
        mixed = old + share * (np.where(good[..., None], points_cam, 0) - old)
        self.points_cam = np.where((known | good)[..., None], mixed, np.float32(np.nan)).astype(np.float32)
        self.confidence = total.astype(np.float32)
        self.count += 1
        self.refresh()

    def refresh(self) -> None:
        """Takes the landmarks' inverse depth from the pointmap anew."""
        x, y = np.rint(self.crop.to_input(self.corners)).astype(np.int64).T
        z = self.points_at(y * self.crop.width + x)[:, 2]
        good = np.isfinite(z) & (z > 1e-6)
        self.inverse_depth = np.where(good, 1.0 / np.where(good, z, 1.0), np.nan)
        self.measured = self.inverse_depth.copy()

    def points_at(self, index: np.ndarray) -> np.ndarray:
        """(N, 3) float64 points of the network's pixels index (N,), counted by rows; the nearest one that is kept."""
        y, x = np.divmod(index, self.crop.width)
        return self.points_cam[y // self.step, x // self.step].astype(np.float64)

    def rays_at(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Unit directions (N, 3) in this camera, and distances (N,), of the pointmap at the network's pixels (N, 2)."""
        index = np.rint(pixels / self.step).astype(np.int64).clip(0, np.array(self.points_cam.shape[1::-1]) - 1)
        distances = np.linalg.norm(self.points_cam[index[:, 1], index[:, 0]].astype(np.float64), axis=1)
        if self.calibrated:
            rays = self.crop.intrinsics(self.intrinsics).unproject(pixels)
        else:
            x, y = np.ascontiguousarray((pixels / self.step).T, np.float32)
            points = self.points_cam / np.linalg.norm(self.points_cam, axis=2, keepdims=True)
            rays = cv2.remap(points, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).reshape(-1, 3).astype(np.float64)
        return rays / np.linalg.norm(rays, axis=1, keepdims=True), distances

    def resize(self, factor: float) -> None:
        """Multiplies all points."""
        self.points_cam = self.points_cam * np.float32(factor)
        self.refresh()

    def compact(self) -> None:
        """Keeps every second pixel: enough to be tracked against, once the map has had its depth."""
        if self.step == 1:
            self.points_cam, self.confidence = (a[::2, ::2].copy() for a in (self.points_cam, self.confidence))
            self.step = 2

    def dense(self, least: float) -> tuple[DenseDepth, float]:
        """Inverse depth at the size of the frame, in units of the map, and the share of confident pixels that a pinhole does
        not explain. Pixels less confident than `least`, or off the pinhole, or outside the network's crop are unknown.
        ValueError once the view is compact."""
        if self.step != 1:
            raise ValueError(f"the pointmap of camera {self.camera!r} has been made compact; its depth was to be taken before")
        return frame_depth(self.points_cam.astype(np.float32), self.mean_confidence.astype(np.float32), self.crop,
                           self.intrinsics, least)


PointmapKeyframe = Keyframe[PointmapView]


def grid_corners(crop: Crop) -> np.ndarray:
    """(N, 2) float64 pixels of the frame at which a pointmap has landmarks: every 16th of the network's in each direction."""
    y, x = np.mgrid[LANDMARK_STEP // 2:crop.height:LANDMARK_STEP, LANDMARK_STEP // 2:crop.width:LANDMARK_STEP]
    return crop.to_image(np.stack([x.ravel(), y.ravel()], 1).astype(np.float64))


def frame_depth(points_cam: np.ndarray, confidence: np.ndarray, crop: Crop, intrinsics: CameraIntrinsics, least: float
                ) -> tuple[DenseDepth, float]:
    """Depth of a frame with these intrinsics from a pointmap (h, w, 3); see `PointmapView.dense`."""
    pinhole = crop.intrinsics(intrinsics)
    good = np.isfinite(points_cam).all(-1) & (confidence >= least)
    good &= np.where(np.isfinite(points_cam[..., 2]), points_cam[..., 2], 0) > 1e-6
    off = good & (pinhole_error(points_cam, pinhole) > PINHOLE_PX * max(pinhole.width, pinhole.height) / 512)
    share = float(np.count_nonzero(off) / max(np.count_nonzero(good), 1))
    good &= ~off
    inverse = np.where(good, 1.0 / np.where(good, points_cam[..., 2], 1.0), 0.0)
    sigma = CONFIDENT / np.sqrt(np.maximum(confidence - 1.0, 0.01))
    inverse, sigma, good = (_to_frame(a.astype(np.float32), crop) for a in (inverse, sigma, good))
    good = good > 0.999
    return DenseDepth(np.where(good, inverse, np.float32(0.0)), np.where(good, sigma, np.float32(np.inf))), share


def _to_frame(values: np.ndarray, crop: Crop) -> np.ndarray:
    """Values (h, w) of the network's pixels at the pixels of the frame (H, W), bilinear, 0 outside the crop."""
    width, height = crop.source
    x = crop.to_input(np.stack([np.arange(width), np.zeros(width)], 1))[:, 0]
    y = crop.to_input(np.stack([np.zeros(height), np.arange(height)], 1))[:, 1]
    grid_x, grid_y = np.meshgrid(x.astype(np.float32), y.astype(np.float32))
    return cv2.remap(values, grid_x, grid_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)


def sane_confidence(confidence: np.ndarray) -> np.ndarray:
    """Confidence with 0 where it is no number, and a bound."""
    return np.where(confidence > 0, np.minimum(confidence, np.float32(MOST_CONFIDENT)), np.float32(0.0))


def on_rays(points_cam: np.ndarray, pinhole: CameraIntrinsics) -> np.ndarray:
    """Points (h, w, 3) moved, at their depth, onto the rays of their pixels."""
    return pinhole.rays(unit=False, dtype=np.float32) * points_cam[..., 2:]


def pinhole_error(points_cam: np.ndarray, pinhole: CameraIntrinsics) -> np.ndarray:
    """(h, w) distance in pixels between where a pinhole puts each point and its own pixel; inf behind the camera."""
    z = points_cam[..., 2]
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        front = np.isfinite(points_cam).all(-1) & (z > 1e-6)
        z = np.where(front, z, 1.0)
        u = pinhole.fx * points_cam[..., 0] / z + pinhole.cx - np.arange(pinhole.width)
        v = pinhole.fy * points_cam[..., 1] / z + pinhole.cy - np.arange(pinhole.height)[:, None]
        return np.where(front, np.hypot(u, v), np.inf)


def find_focal(points_cam: np.ndarray, confidence: np.ndarray, least: float) -> float:
    """Focal length in pixels that the confident points (h, w, 3) of a pointmap imply; nan when there are none."""
    import torch

    from lsm_ros.geometry.pointmap_focal import estimate_focal

    height, width = confidence.shape
    good = (confidence >= least) & np.isfinite(points_cam).all(-1) & (points_cam[..., 2] > 1e-6)
    if np.count_nonzero(good) < 64:
        return float("nan")
    points = torch.from_numpy(np.where(good[..., None], points_cam, np.nan).astype(np.float32))[None]
    return float(estimate_focal(points, torch.tensor([[(width - 1) / 2, (height - 1) / 2]])))


def why_not_a_camera(points_cam: np.ndarray, confidence: np.ndarray, least: float, pinhole: CameraIntrinsics | None) -> str:
    """Why a predicted pointmap cannot be believed to be what a camera sees, or ''. pinhole: of its pixels, if known."""
    sure = (confidence >= least) & np.isfinite(points_cam).all(-1)
    if sure.mean() < 0.05:
        return f"only {sure.mean():.0%} of the pixels were predicted with a confidence of {least:g} or more"
    longer = max(confidence.shape)
    if pinhole is None:
        focal = find_focal(points_cam, confidence, least)
        if not FOCAL_RANGE[0] * longer < focal < FOCAL_RANGE[1] * longer:
            return f"the predicted points fit no camera (focal length {focal:.0f} px)"
        height, width = confidence.shape
        pinhole = CameraIntrinsics(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)
    near = pinhole_error(points_cam, pinhole)[sure] < PLAUSIBLE_SHARE * longer
    if near.mean() < 0.5:
        return f"{1 - near.mean():.0%} of the predicted points do not lie where the camera's pixels look"
    return ""
