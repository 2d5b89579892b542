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
SKY_LOSS = 2.0
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


def scale_shift_invariant(truth1: View, truth2: View, view1: View, view2: View, *, gt_scale: bool = True) -> Regression:
    """Distances after the prediction is brought to the truth in depth and scale: for tests, not for training.

    The joint median of z is taken off both; then both are divided by the median distance to their median centre, or, with
    gt_scale, the prediction is brought to the truth's. Scales of the prediction are clipped to 1e-3 and 1e3.
    """
    valid1, valid2 = truth1["valid_mask"], truth2["valid_mask"]
    true = points_in_first(truth1, truth2)
    points = view1["pts3d"], view2["pts3d_in_other_view"]
    if not gt_scale:
        true = _divide(true, average_distance(*true, valid1, valid2))
    points = _divide(points, average_distance(*points, valid1, valid2))
    points, true = (_without_depth(p, valid1, valid2) for p in (points, true))
    true_scale = _spread(true, valid1, valid2)
    scale = _spread(points, valid1, valid2).clamp(1e-3, 1e3)
    if gt_scale:
        points = _divide(points, scale / true_scale)
    else:
        points, true = _divide(points, scale), _divide(true, true_scale)
    a, b = ((p - t).norm(dim=-1)[m] for p, t, m in zip(points, true, (valid1, valid2), strict=True))
    return Regression((a, b), (valid1, valid2))


def _per_sample(x: torch.Tensor) -> torch.Tensor:
    return x[:, None, None, None]


def _divide(points: tuple[torch.Tensor, torch.Tensor], by: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return points[0] / _per_sample(by), points[1] / _per_sample(by)


def _joint(points: tuple[torch.Tensor, torch.Tensor], valid1: torch.Tensor, valid2: torch.Tensor) -> torch.Tensor:
    nan = points[0].new_tensor(float("nan"))
    valid = zip(points, (valid1, valid2), strict=True)
    return torch.cat([torch.where(v[..., None], p, nan).flatten(1, 2) for p, v in valid], 1)


def _without_depth(points: tuple[torch.Tensor, torch.Tensor], valid1: torch.Tensor, valid2: torch.Tensor
                   ) -> tuple[torch.Tensor, torch.Tensor]:
    shift = _joint(points, valid1, valid2)[..., 2].nanmedian(1).values
    away = torch.stack([torch.zeros_like(shift), torch.zeros_like(shift), shift], -1)[:, None, None]
    return points[0] - away, points[1] - away


def _spread(points: tuple[torch.Tensor, torch.Tensor], valid1: torch.Tensor, valid2: torch.Tensor) -> torch.Tensor:
    joint = _joint(points, valid1, valid2)
    centre = joint.nanmedian(1, keepdim=True).values
    return (joint - centre).norm(dim=-1).nanmedian(1).values


def best_scale(true: tuple[torch.Tensor, torch.Tensor], points: tuple[torch.Tensor, torch.Tensor], valid1: torch.Tensor,
               valid2: torch.Tensor, *, steps: int = 10, lowest: float = 1e-3) -> torch.Tensor:
    """(B,) the factor s that minimises the sum of |s * true - points| over the valid pixels of both views.

    Least squares, then Weiszfeld steps; at least `lowest`.
    """
    t, p = (_joint(x, valid1, valid2).nan_to_num(nan=0.0) for x in (true, points))
    along, square = (t * p).sum(-1), (t * t).sum(-1)
    scale = along.mean(1) / square.mean(1)
    for _ in range(steps):
        weight = 1 / (p - scale[:, None, None] * t).norm(dim=-1).clamp(min=TINY)
        scale = (weight * along).mean(1) / (weight * square).mean(1)
    return scale.clamp(min=lowest)
