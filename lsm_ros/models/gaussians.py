# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""One 3D Gaussian for each pixel of a pair of images (Kerbl et al., 2023; Fan et al., Large Spatial Model, 2024)."""
from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import normalize

SH_DEGREE = 3
SH_COUNT = (SH_DEGREE + 1) ** 2
SH_C0 = 0.28209479177387814
SMALLEST_SCALE, LARGEST_SCALE = 0.1, 3.0  # of the median distance to neighbours
NEAREST = 3
LEAST_SQUARE = 1e-7
_CHUNK = 128
Gaussians = dict[str, torch.Tensor]


class GaussianHead(nn.Module):
    """Features of points to Gaussians: scale 3, rotation 4, opacity 1, spherical harmonics 16 x 3, semantics."""

    def __init__(self, dim: int = 64, semantic_dim: int = 64) -> None:
        super().__init__()
        self.parts = (3, 4, 1, 3 * SH_COUNT, semantic_dim)
        self.gaussian_proj = nn.Linear(dim, sum(self.parts))

    def forward(self, features: torch.Tensor, points: torch.Tensor, colours: torch.Tensor, residual: torch.Tensor,
                spacing: torch.Tensor) -> Gaussians:
        """Gaussians of points, float32; all arguments have the same leading shape (...).

        features (..., dim); points (..., 3); colours (..., 3) from 0 to 1; residual (..., semantic_dim), added to the
        semantics; spacing (...): see `spacing_of`, of all points of the scene. Returns means (..., 3); scales (..., 3) in the
        unit of the points; rotations (..., 4), unit quaternions w, x, y, z; opacities (..., 1); sh_coeffs (..., 16, 3), of
        which renderers use the first; gs_feats (..., semantic_dim).
        """
        raw = self.gaussian_proj(features).float()
        scale, rotation, opacity, sh, semantic = raw.split(self.parts, -1)
        median = spacing.median()
        sh = sh.unflatten(-1, (SH_COUNT, 3))
        colour = (colours.float() - 0.5) / SH_C0
        sh = torch.cat([sh[..., :1, :] + colour[..., None, :], sh[..., 1:, :]], -2) * sh_mask(sh.device)[:, None]
        return {"means": points.float(),
                "scales": (scale.exp() * spacing[..., None]).clamp(SMALLEST_SCALE * median, LARGEST_SCALE * median),
                "rotations": normalize(rotation, dim=-1), "opacities": opacity.sigmoid(), "sh_coeffs": sh,
                "gs_feats": semantic + residual.float()}


def sh_mask(device: torch.device) -> torch.Tensor:
    """(16,): factors of the coefficients; the higher the degree, the smaller they begin."""
    return torch.cat([torch.full((2 * d + 1,), 1.0 if d == 0 else 0.5 * 0.25 ** d, device=device)
                      for d in range(SH_DEGREE + 1)])


def spacing_of(points: torch.Tensor) -> torch.Tensor:
    """(P,) float32: root of the mean squared distance of each point (P, 3) to its three nearest others. Without gradient."""
    points = points.detach().float()
    squares = _nearest_squares(points)
    return squares.mean(1).clamp(min=LEAST_SQUARE).sqrt()


def _nearest_squares(points: torch.Tensor) -> torch.Tensor:
    count = min(NEAREST, len(points) - 1)
    if count < 1:
        raise ValueError("the spacing of a single point is not defined")
    if points.device.type == "cpu":
        from scipy.spatial import cKDTree

        own = points.numpy()
        distance = cKDTree(own).query(own, count + 1)[0][:, 1:]
        return torch.from_numpy(distance).square().float()
    parts = []
    for chunk in points.split(_CHUNK):
        squares = (chunk[:, None] - points).square().sum(-1)
        parts.append(squares.topk(count + 1, 1, largest=False).values[:, 1:])
    return torch.cat(parts)
