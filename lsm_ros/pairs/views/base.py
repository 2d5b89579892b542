# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The interface of multi-view networks."""
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lsm_ros.geometry import CameraIntrinsics

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of red, green, blue: what DINOv2 was trained with


@dataclass(frozen=True)
class View:
    """An image (H, W, 3) uint8 RGB of the network's size, and what is known of it: its intrinsics, its pose T_world_cam (4, 4),
    its depth (H, W) float32 in metres, 0 = none. Poses are in metres where `is_metric`."""

    image: np.ndarray
    intrinsics: CameraIntrinsics | None = None
    T_world_cam: np.ndarray | None = None
    depth: np.ndarray | None = None
    is_metric: bool = False


@dataclass(frozen=True)
class ViewPrediction:
    """points_cam (H, W, 3) float32 in the view's camera, NaN where unknown; confidence (H, W) float32, from 1 on, as DUSt3R has
    it, 0 where unknown; T_first_cam (4, 4): the view's camera in that of the first view; intrinsics of the image; is_metric:
    lengths are metres. All views of one prediction have one unit."""

    points_cam: np.ndarray
    confidence: np.ndarray
    T_first_cam: np.ndarray
    intrinsics: CameraIntrinsics
    is_metric: bool


class ViewModel(ABC):
    """Predicts the geometry of views. Made once, as kind(weights): a folder, or an id in Hugging Face's cache.

    name: as in messages. is_metric: its lengths are metres, with the relative standard deviation scale_std. size: pixels of the
    longer side of its images, whose sides are multiples of `patch`. most: views at once.
    """

    name: str = ""
    is_metric: bool = False
    scale_std: float = float("nan")
    size: int = 504
    patch: int = 14
    most: int = 8

    @abstractmethod
    def _predict(self, views: Sequence[View]) -> list[ViewPrediction]:
        """As `predict`, for views of one size; the first camera is at the origin or anywhere else."""

    def predict(self, views: Sequence[View]) -> list[ViewPrediction]:
        """One prediction for each view, in the frame of the first. ValueError for views of different sizes, and for a network
        that gives no geometry of them."""
        sizes = {v.image.shape for v in views}
        if len(sizes) != 1:
            raise ValueError(f"{self.name} takes views of one size at once, got {sorted(sizes)}")
        found = self._predict(views)
        if len(found) != len(views):
            raise ValueError(f"{self.name} gave {len(found)} predictions for {len(views)} views")
        T_first = np.linalg.inv(found[0].T_first_cam)
        return [_checked(p, T_first, v, self.name) for p, v in zip(found, views, strict=True)]


def _checked(p: ViewPrediction, T_first: np.ndarray, view: View, name: str) -> ViewPrediction:
    """The prediction in the frame of the first camera. ValueError that says what is wrong with it."""
    shape, T = view.image.shape[:2], T_first @ p.T_first_cam
    if p.points_cam.shape != (*shape, 3) or p.confidence.shape != shape:
        raise ValueError(f"{name} gave points {p.points_cam.shape} and confidence {p.confidence.shape} for an image of {shape}")
    R = T[:3, :3]
    if not np.isfinite(T).all() or np.abs(R @ R.T - np.eye(3)).max() > 1e-2 or np.linalg.det(R) < 0:
        raise ValueError(f"{name} gave a pose that is no rotation and translation: {T.tolist()}")
    T = T.copy()
    U, _, Vt = np.linalg.svd(R)
    T[:3, :3] = U @ Vt
    known = np.isfinite(p.points_cam).all(-1) & (p.points_cam[..., 2] > 0) & np.isfinite(p.confidence)
    if not known.any():
        raise ValueError(f"{name} gave no point in front of the camera; if it runs in half precision, use single precision")
    points = np.where(known[..., None], p.points_cam, np.nan).astype(np.float32)
    return ViewPrediction(points, np.where(known, p.confidence, 0).astype(np.float32), T, p.intrinsics, p.is_metric)
