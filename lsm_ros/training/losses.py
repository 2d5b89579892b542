# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Losses on the geometry of pairs (DUSt3R, CVPR 2024, section 3.2; MASt3R, ECCV 2024, section 3.2).

Truth is a dict for each view: pts3d (B, H, W, 3) in the world, camera_pose (B, 4, 4) to the world, valid_mask (B, H, W), and
optionally sky_mask (B, H, W) and is_metric_scale (B,). Predictions are the view dicts of the networks.
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch

View = Mapping[str, torch.Tensor]
TINY = 1e-8


class Regression(NamedTuple):
    """Distances of the valid pixels of both views, (n,) each, and where they are, (B, H, W) bool each."""

    distances: tuple[torch.Tensor, torch.Tensor]
    masks: tuple[torch.Tensor, torch.Tensor]

    def mean(self) -> torch.Tensor:
        """Mean distance of view 1 plus that of view 2; a view without a valid pixel counts as 0."""
        return _mean(self.distances[0]) + _mean(self.distances[1])


def _mean(x: torch.Tensor) -> torch.Tensor:
    return x.mean() if x.numel() else x.sum()


def points_in_first(truth1: View, truth2: View) -> tuple[torch.Tensor, torch.Tensor]:
    """The truth of both views (B, H, W, 3) in the frame of camera 1."""
    inverse = torch.linalg.inv(truth1["camera_pose"])

    def bring(points: torch.Tensor) -> torch.Tensor:
        return torch.einsum("bij,bhwj->bhwi", inverse[:, :3, :3], points) + inverse[:, None, None, :3, 3]

    return bring(truth1["pts3d"]), bring(truth2["pts3d"])


def average_distance(points1: torch.Tensor, points2: torch.Tensor, valid1: torch.Tensor, valid2: torch.Tensor) -> torch.Tensor:
    """(B,) mean distance to the origin of the valid points of both views together, at least 1e-8."""
    total = count = 0
    for points, valid in ((points1, valid1), (points2, valid2)):
        distance = torch.where(valid[..., None], points, 0.0).norm(dim=-1)  # what is not valid may be NaN
        total, count = total + distance.flatten(1).sum(1), count + valid.flatten(1).sum(1)
    return (total / (count + TINY)).clamp(min=TINY)


def regression(truth1: View, truth2: View, view1: View, view2: View, *, norm_mode: str = "avg_dis", gt_scale: bool = False,
               sky_loss: float | None = None) -> Regression:
    """Euclidean distances between predicted and true points in camera 1.

    norm_mode 'avg_dis': prediction and truth are divided by their own mean distance, the truth not with gt_scale;
    '?avg_dis': in samples with is_metric_scale the prediction is divided by the truth's. sky_loss: sky pixels without a
    true point count with this distance. ValueError for another norm_mode.
    """
    if norm_mode not in ("avg_dis", "?avg_dis"):
        raise ValueError(f"norm_mode {norm_mode!r} is neither 'avg_dis' nor '?avg_dis'")
    valid1, valid2 = truth1["valid_mask"], truth2["valid_mask"]
    true1, true2 = points_in_first(truth1, truth2)
    points1, points2 = view1["pts3d"], view2["pts3d_in_other_view"]
    true_factor = average_distance(true1, true2, valid1, valid2)
    factor = average_distance(points1, points2, valid1, valid2)
    if norm_mode == "?avg_dis":
        factor = torch.where(truth1["is_metric_scale"], true_factor, factor)
    if gt_scale:
        true_factor = torch.ones_like(true_factor)
        if norm_mode == "?avg_dis":
            factor = torch.where(truth1["is_metric_scale"], torch.ones_like(factor), factor)
    distances, masks = [], []
    for points, true, truth, valid in ((points1, true1, truth1, valid1), (points2, true2, truth2, valid2)):
        sky = truth["sky_mask"] & ~valid if sky_loss is not None and "sky_mask" in truth else torch.zeros_like(valid)
        mask = valid | sky
        # chosen before they are measured: what is not valid may be NaN, and must not reach the gradient
        true = torch.where(valid[..., None], true, 0.0) / _per_sample(true_factor)
        apart = (points / _per_sample(factor))[mask] - true[mask]
        distances.append(apart.norm(dim=-1) if sky_loss is None else torch.where(sky[mask], sky_loss, apart.norm(dim=-1)))
        masks.append(mask)
    return Regression((distances[0], distances[1]), (masks[0], masks[1]))


def confident(loss: Regression, conf1: torch.Tensor, conf2: torch.Tensor, alpha: float = 0.2) -> torch.Tensor:
    """Mean of distance * conf - alpha * log conf over the pixels of `loss`, view 1 plus view 2."""
    total = loss.distances[0].new_zeros(())
    for distance, mask, conf in zip(loss.distances, loss.masks, (conf1, conf2), strict=True):
        c = conf[mask]
        total = total + _mean(distance * c - alpha * c.log())
    return total


def _per_sample(x: torch.Tensor) -> torch.Tensor:
    return x[:, None, None, None]
