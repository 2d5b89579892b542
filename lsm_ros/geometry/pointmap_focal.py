# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The focal length that a pointmap in its own camera implies."""
from __future__ import annotations

import math

import torch

ITERATIONS = 10


def base_focal(height: int, width: int) -> float:
    """Focal length in pixels of a camera that sees 60 degrees along its longer side."""
    return max(height, width) / (2 * math.tan(math.radians(60) / 2))


def pixel_grid(height: int, width: int, device: torch.device | None = None) -> torch.Tensor:
    """(height, width, 2) float32: x and y of each pixel; pixel centres are integers."""
    y, x = torch.meshgrid(torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij")
    return torch.stack([x, y], -1).float()


def estimate_focal(points_cam: torch.Tensor, centre: torch.Tensor, *, method: str = "weiszfeld", lowest: float = 0.0,
                   highest: float = math.inf) -> torch.Tensor:
    """Focal lengths (B,) in pixels of pointmaps points_cam (B, H, W, 3), with the principal points centre (B, 2).

    'weiszfeld': least sum of pixel distances, by 10 steps from least squares (Weiszfeld 1937). 'median': of u z/x and
    v z/y. Clipped to lowest and highest times `base_focal`. Points on the camera's plane count as lying on the axis.
    """
    b, height, width, three = points_cam.shape
    if three != 3 or centre.shape != (b, 2):
        raise ValueError(f"expected points (B, H, W, 3) and centres (B, 2), got {tuple(points_cam.shape)} and "
                         f"{tuple(centre.shape)}")
    pixels = pixel_grid(height, width, points_cam.device).view(1, -1, 2) - centre.view(b, 1, 2)
    points = points_cam.reshape(b, -1, 3)
    if method == "median":
        focal = (pixels * points[..., 2:] / points[..., :2]).flatten(1).nanmedian(-1).values
    elif method == "weiszfeld":
        ray = (points[..., :2] / points[..., 2:]).nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
        along, square = (ray * pixels).sum(-1), (ray * ray).sum(-1)
        focal = along.mean(1) / square.mean(1)
        for _ in range(ITERATIONS):
            weight = 1 / (pixels - focal.view(-1, 1, 1) * ray).norm(dim=-1).clamp(min=1e-8)
            focal = (weight * along).mean(1) / (weight * square).mean(1)
    else:
        raise ValueError(f"method {method!r} is neither 'weiszfeld' nor 'median'")
    base = base_focal(height, width)
    return focal.clamp(lowest * base, highest * base)
