# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Quality of predictions on pairs with known truth: the same figures for every loss."""
from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import nn

from lsm_ros.geometry.camera import CameraIntrinsics
from lsm_ros.geometry.pnp import solve_pnp
from lsm_ros.geometry.refine import DegenerateGeometryError, refine_pose
from lsm_ros.geometry.rotation import rotation_angle
from lsm_ros.training.data import PairSource, generator_for, network_images, true_matches
from lsm_ros.training.language import ClassTargets
from lsm_ros.training.matching_losses import average_precision
from lsm_ros.training.objectives import coarse_labels
from lsm_sim.sampler import PairBatch

Figures = dict[str, float]
ROTATION_DEG, TRANSLATION_DEG, BASELINE_M = 5.0, 10.0, 0.15
_PNP_STRIDE = 4  # pixels between the points that a pose is computed from
_PNP_START = 3  # each third of them is enough for a start
_PNP_GATE, _PNP_ROUNDS = 3.0, 3  # points that are off by more than so many medians take no part
_MATCHES = 128


@torch.inference_mode()
def validate(model: nn.Module, source: PairSource, batches: int, objective: Any, targets: ClassTargets | None,
             around: Callable[[], AbstractContextManager[Any]] = nullcontext) -> Figures:
    """Means over batches 0 to batches - 1 of the source: `loss` and, for networks that give points, those of `figures`.

    around: makes the context that the network runs in, such as autocast; the figures themselves are computed outside of it.
    """
    found: list[Figures] = []
    for n in range(batches):
        batch = source.sample(n)
        row: Figures = {}
        if hasattr(model, "prediction_head"):
            with around():
                loss, _ = objective(model, batch, n)
        else:
            with around():
                views = model(*network_images(batch))
            loss, _ = objective.of_views(views, batch, n, model)
            row = figures(views, batch, targets, n)
        found.append({"loss": float(loss), **row})
    names = dict.fromkeys(k for row in found for k in row)
    return {k: float(np.nanmean([row.get(k, math.nan) for row in found])) for k in names
            if any(not math.isnan(row.get(k, math.nan)) for row in found)}


def figures(views: tuple[Mapping, Mapping], batch: PairBatch, targets: ClassTargets | None, number: int = 0) -> Figures:
    """Of predictions (view 1, view 2), means over the pairs.

    depth_relative: mean |z - true z| / true z of image 1 after the median scale; depth_metric: without it; depth_guess: a
    constant depth after its median scale. rotation: share within 5 degrees; translation: share within 10 degrees of those
    whose baseline is at least 15 cm, NaN if none is; by PnP on the points of image 2, no pose counts as wrong.
    match_precision: mean 1/rank of descriptors. classes: share of cells with the right class by nearest text.
    """
    view1, view2 = views
    out: Figures = depth_figures(view1["pts3d"][..., 2], batch.points1[..., 2], batch.valid1)
    out |= pose_figures(view2["pts3d_in_other_view"], batch)
    if "desc" in view1:
        pixels1, pixels2, valid = true_matches(batch, _MATCHES, generator_for(0, number, 3))
        precision = average_precision(view1["desc"], view2["desc"], pixels1, pixels2, valid)
        out["match_precision"] = float(precision.mean()) if len(precision) else math.nan
    if targets is not None and "features" in view1:
        right = total = 0
        for view, labels in ((view1, batch.labels1), (view2, batch.labels2)):
            rows = targets.rows(coarse_labels(labels, *view["features"].shape[1:3]))
            nearest = (view["features"] @ targets.vectors.T).argmax(-1)
            right += int((nearest == rows)[rows >= 0].sum())
            total += int((rows >= 0).sum())
        out["classes"] = right / total if total else math.nan
    return out


def depth_figures(depth: torch.Tensor, true: torch.Tensor, valid: torch.Tensor) -> Figures:
    """Relative errors of depth (B, H, W); see `figures`."""
    relative, metric, guess = [], [], []
    for d, t, v in zip(depth.float(), true, valid, strict=True):
        if not bool(v.any()):
            continue
        d, t = d[v], t[v]
        scale = t.median() / d.median().clamp(min=1e-6)
        relative.append(float(((d * scale - t).abs() / t).mean()))
        metric.append(float(((d - t).abs() / t).mean()))
        guess.append(float(((t.median() - t).abs() / t).mean()))
    names = ("depth_relative", "depth_metric", "depth_guess")
    return {k: float(np.mean(x)) if x else math.nan for k, x in zip(names, (relative, metric, guess), strict=True)}


def pose_figures(points: torch.Tensor, batch: PairBatch) -> Figures:
    """Shares of right rotations and translations from the points (B, H, W, 3) of image 2 in camera 1; see `figures`."""
    height, width = points.shape[1:3]
    grid = np.stack(np.meshgrid(np.arange(0, width, _PNP_STRIDE), np.arange(0, height, _PNP_STRIDE)), -1).reshape(-1, 2)
    rotations, translations = [], []
    for p, K, T in zip(points, batch.K, batch.T_1_2, strict=True):
        camera = CameraIntrinsics.from_K(K.cpu().numpy().astype(np.float64), width, height)
        T_2_1 = pose_of_points(p[::_PNP_STRIDE, ::_PNP_STRIDE].reshape(-1, 3).double().cpu().numpy(), grid, camera)
        true = T.cpu().numpy().astype(np.float64)
        far = np.linalg.norm(true[:3, 3]) >= BASELINE_M
        if T_2_1 is None:
            rotations.append(False)
            translations += [False] if far else []
            continue
        T_1_2 = np.linalg.inv(T_2_1)
        rotations.append(angle_deg(T_1_2[:3, :3].T @ true[:3, :3]) <= ROTATION_DEG)
        if far:
            cosine = T_1_2[:3, 3] @ true[:3, 3] / max(np.linalg.norm(T_1_2[:3, 3]) * np.linalg.norm(true[:3, 3]), 1e-9)
            translations.append(bool(cosine >= math.cos(math.radians(TRANSLATION_DEG))))
    return {"rotation": float(np.mean(rotations)), "translation": float(np.mean(translations)) if translations else math.nan}


def pose_of_points(points: np.ndarray, pixels: np.ndarray, camera: CameraIntrinsics) -> np.ndarray | None:
    """T_cam_map (4, 4) of the camera whose pixels (N, 2) show the predicted points_map (N, 3); None where there is none.

    RANSAC gives a start. A network errs smoothly over an image, not at single pixels: a tight threshold would choose a region
    and fit the pose to its error. So all points take part whose error is within 3 medians of all errors, with Huber weights.
    """
    threshold = max(2.0, camera.width / 32)
    found = solve_pnp(points[::_PNP_START], pixels[::_PNP_START], camera, reprojection_px=threshold)
    if found is None:
        return None
    T = found.T_cam_map
    for _ in range(_PNP_ROUNDS):
        shown, ahead = camera.project(points @ T[:3, :3].T + T[:3, 3])
        error = np.where(ahead, np.linalg.norm(shown - pixels, axis=-1), np.inf)
        median = float(np.median(error[np.isfinite(points).all(-1)]))
        near = error <= max(threshold, _PNP_GATE * median)
        try:
            T = refine_pose(points[near], pixels[near], camera, T, sigma_px=max(1.0, min(median, camera.width))).T_cam_map
        except DegenerateGeometryError:
            return None
    return T


def angle_deg(R: np.ndarray) -> float:
    """Angle of a rotation (3, 3)."""
    return math.degrees(rotation_angle(R))
