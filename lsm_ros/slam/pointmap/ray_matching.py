# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Matches between two pointmaps in one camera's frame: iterative projective search on rays, refined by descriptors.

The first image's pointmap gives the direction of each of its pixels. A point of the second image, in the same frame,
is looked for where that direction meets it: a few damped Gauss-Newton steps over the smooth image of rays, for all points at
once. Nothing is assumed of the lens (projective matching as in MASt3R-SLAM, Murai et al., CVPR 2025, section 3.2).
"""
from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn.functional import grid_sample

ITERATIONS = 10
DAMPING = 1e-4  # at the start, relative to the curvature
CONVERGED_PX = 1e-3
NEAR_RAD = 0.02  # a search that ends farther from its ray has found nothing
STUCK_RAD = 0.001  # the same for a search that ends at the border
GAP = 0.1  # largest difference of log distance between the two points of a match; else one hides the other
REFINE = ((3, 5), (3, 3), (3, 1))  # radius and step of the search around a match, coarse to fine
BLOCK = 4096  # matches refined at once


@dataclass(frozen=True)
class DenseMatches:
    """Pixels of image b found in image a. index_b (N,) int64 into b's pixels; pixels_a (N, 2) float32, (x, y)."""

    index_b: torch.Tensor
    pixels_a: torch.Tensor

    def __len__(self) -> int:
        return len(self.index_b)

    def where(self, keep: torch.Tensor) -> DenseMatches:
        """Those selected by a mask."""
        return DenseMatches(self.index_b[keep], self.pixels_a[keep])


def unit_rays(points: torch.Tensor) -> torch.Tensor:
    """Directions (..., 3) of points (..., 3); zero where a point is not finite or is the camera itself."""
    length = points.norm(dim=-1, keepdim=True)
    good = torch.isfinite(length) & (length > 1e-9)
    return torch.where(good, points / torch.where(good, length, 1.0), 0.0)


def sample(image: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
    """Values (N, C) of image (H, W, C) at pixels (N, 2), bilinear; the border continues."""
    height, width = image.shape[:2]
    span = torch.tensor([max(width - 1, 1), max(height - 1, 1)], dtype=image.dtype, device=image.device)
    grid = (2 * pixels.to(image.dtype) / span - 1)[None, None]
    return grid_sample(image.permute(2, 0, 1)[None], grid, align_corners=True, padding_mode="border")[0, :, 0].T


def grid_indices(height: int, width: int, stride: int, device: torch.device | None = None) -> torch.Tensor:
    """(N,) int64 indices of every stride-th pixel in each direction, from the middle of the first cell."""
    y = torch.arange(stride // 2, height, stride, device=device)
    x = torch.arange(stride // 2, width, stride, device=device)
    return (y[:, None] * width + x).flatten()


def search_rays(points_a: torch.Tensor, points_b: torch.Tensor, index_b: torch.Tensor, start: torch.Tensor | None = None
                ) -> tuple[DenseMatches, torch.Tensor]:
    """Finds points of b in image a. Returns the matches in the order of index_b, and a mask (N,) of those that are good.

    points_a (Ha, Wa, 3), points_b (Hb, Wb, 3): both in camera a, in one unit. index_b (N,): pixels of b to look for.
    start (N, 2): pixels of a to start from, by default the same place in the image. Good: the ray is met inside the image
    to within 0.02 rad, and the points are equally far to about a tenth.
    """
    height, width = points_a.shape[:2]
    rays = unit_rays(points_a.float())
    gradient = torch.cat([rays, *_gradients(rays)], -1)
    points = points_b.flatten(0, 1)[index_b].float()
    target = unit_rays(points)
    last = torch.tensor([width - 1, height - 1], dtype=torch.float32, device=rays.device)
    if start is None:
        scale = last / torch.tensor([max(points_b.shape[1] - 1, 1), max(points_b.shape[0] - 1, 1)], device=rays.device)
        start = torch.stack([index_b % points_b.shape[1], index_b // points_b.shape[1]], 1) * scale
    pixels = torch.minimum(start.float().clamp(min=0), last)
    here = sample(gradient, pixels)
    error = (here[:, :3] - target).square().sum(1)
    damping = torch.full_like(error, DAMPING)
    for _ in range(ITERATIONS):
        step = _step(here, target, damping)
        trial = torch.minimum((pixels + step).clamp(min=0), last)
        there = sample(gradient, trial)
        trial_error = (there[:, :3] - target).square().sum(1)
        better = trial_error < error
        moved = torch.where(better, (trial - pixels).abs().amax(1), step.abs().amax(1))
        pixels = torch.where(better[:, None], trial, pixels)
        here = torch.where(better[:, None], there, here)
        error = torch.where(better, trial_error, error)
        damping = torch.where(better, damping * 0.1, damping * 10).clamp(1e-8, 1e4)
        if float(moved.amax() if len(moved) else 0.0) < CONVERGED_PX:
            break
    return DenseMatches(index_b, pixels), _good(points_a, points, pixels, error, target)


def _gradients(image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Central differences of image (H, W, C) along x and y, one-sided at the border."""
    dx, dy = torch.gradient(image, dim=(1, 0)) if min(image.shape[:2]) > 1 else (torch.zeros_like(image),) * 2
    return dx, dy


def _step(here: torch.Tensor, target: torch.Tensor, damping: torch.Tensor) -> torch.Tensor:
    """Gauss-Newton step (N, 2) of pixels towards the target rays; damping multiplies the curvature."""
    residual, jx, jy = here[:, :3] - target, here[:, 3:6], here[:, 6:]
    a, b, c = (jx * jx).sum(1), (jx * jy).sum(1), (jy * jy).sum(1)
    a, c = a * (1 + damping) + 1e-12, c * (1 + damping) + 1e-12
    gx, gy = (jx * residual).sum(1), (jy * residual).sum(1)
    determinant = (a * c - b * b).clamp(min=1e-20)
    return torch.stack([(b * gy - c * gx) / determinant, (b * gx - a * gy) / determinant], 1).nan_to_num(0.0, 0.0, 0.0)


def _good(points_a: torch.Tensor, points: torch.Tensor, pixels: torch.Tensor, error: torch.Tensor, target: torch.Tensor
          ) -> torch.Tensor:
    """Mask of matches that met their ray, and whose points are near each other."""
    nearest = pixels.round().long()
    found = points_a[nearest[:, 1], nearest[:, 0]].float()
    last = torch.tensor([points_a.shape[1] - 1, points_a.shape[0] - 1], device=pixels.device)
    stuck = ((pixels <= 0) | (pixels >= last)).any(1)  # at the border: the ray lies outside, unless it is met
    limit = torch.where(stuck, STUCK_RAD, NEAR_RAD)
    met = (error < limit ** 2) & (target.abs().amax(1) > 0)
    ratio = (found.norm(dim=1) / points.norm(dim=1)).log()
    met &= torch.isfinite(ratio)
    if not met.any():
        return met
    common = ratio[met].median().clamp(-GAP, GAP)  # the two pointmaps may be off by a common factor, a little
    return met & ((ratio - common).abs() < GAP)


def refine_by_descriptors(matches: DenseMatches, desc_a: torch.Tensor, desc_b: torch.Tensor) -> DenseMatches:
    """Moves each match to the pixel near it whose descriptor is most like that of its point, coarse to fine.

    desc_a (Ha, Wa, D), desc_b (Hb, Wb, D) of unit length. Pixels of the result are integers.
    """
    height, width = desc_a.shape[:2]
    pixels = matches.pixels_a.round().long()
    for begin in range(0, len(pixels), BLOCK):
        here = slice(begin, begin + BLOCK)
        wanted = desc_b.flatten(0, 1)[matches.index_b[here]].float()
        for radius, step in REFINE:
            span = torch.arange(-radius, radius + 1, device=pixels.device) * step
            y = pixels[here, 1, None, None] + span[:, None]
            x = pixels[here, 0, None, None] + span
            outside = (x < 0) | (y < 0) | (x >= width) | (y >= height)
            around = desc_a[y.clamp(0, height - 1), x.clamp(0, width - 1)].float().flatten(1, 2)
            alike = (around @ wanted[:, :, None])[..., 0].masked_fill(outside.flatten(1), -torch.inf)
            best = alike.argmax(1)
            across = len(span)
            pixels[here] += torch.stack([span[best % across], span[best // across]], 1)
    return DenseMatches(matches.index_b, pixels.float())
