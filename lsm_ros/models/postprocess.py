# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""From the channels that a head gives to points, confidences and descriptors. Always in float32."""
from __future__ import annotations

import math
from collections.abc import Sequence

import torch

Mode = tuple[str, float, float]


def check_mode(mode: Sequence[object], name: str, kinds: tuple[str, ...]) -> Mode:
    """(kind, lowest, highest) checked. ValueError names the error."""
    if isinstance(mode, str) or len(mode) != 3 or mode[0] not in kinds:
        raise ValueError(f"{name} {mode!r}: expected (kind, lowest, highest) with a kind of {', '.join(kinds)}")
    kind, low, high = mode
    if not all(isinstance(v, (int, float)) and not math.isnan(v) for v in (low, high)) or not low < high:
        raise ValueError(f"{name} {mode!r}: the lowest value must be below the highest")
    if name == "depth_mode" and (low, high) != (-math.inf, math.inf):
        raise ValueError(f"{name} {mode!r}: bounds of the depth are not supported, only -inf and inf")
    if name != "depth_mode" and not (math.isfinite(low) and (kind == "exp" or math.isfinite(high))):
        raise ValueError(f"{name} {mode!r}: the bounds must be finite, but for the highest of 'exp'")
    return str(kind), float(low), float(high)


def points_of(xyz: torch.Tensor, mode: Mode) -> torch.Tensor:
    """(..., 3) channels to points: the length d of a channel vector becomes expm1(d) ('exp'), d^2 ('square') or d."""
    xyz = xyz.float()
    if mode[0] == "linear":
        return xyz
    d = xyz.norm(dim=-1, keepdim=True)
    return xyz / d.clamp(min=1e-8) * (d.expm1() if mode[0] == "exp" else d.square())


def confidence_of(x: torch.Tensor, mode: Mode) -> torch.Tensor:
    """Confidence between the mode's bounds: lowest + exp(x), cut at the highest, or a sigmoid between them."""
    kind, low, high = mode
    x = x.float()
    return low + x.exp().clamp(max=high - low) if kind == "exp" else (high - low) * x.sigmoid() + low


def view_of(channels: torch.Tensor, depth_mode: Mode, conf_mode: Mode, desc_dim: int = 0,
            desc_conf_mode: Mode | None = None) -> dict[str, torch.Tensor]:
    """Content of a view dict. channels (B, C, H, W): x, y, z, confidence, then the descriptor and its confidence.

    Returns pts3d (B, H, W, 3), conf (B, H, W) and, with desc_dim, desc (B, H, W, desc_dim) of unit length and desc_conf,
    which is conf without a desc_conf_mode.
    """
    c = channels.permute(0, 2, 3, 1)
    out = {"pts3d": points_of(c[..., :3], depth_mode), "conf": confidence_of(c[..., 3], conf_mode)}
    if desc_dim:
        desc = c[..., 4:4 + desc_dim].float()
        out["desc"] = desc / desc.norm(dim=-1, keepdim=True)
        out["desc_conf"] = (out["conf"].clone() if desc_conf_mode is None
                            else confidence_of(c[..., 4 + desc_dim], desc_conf_mode))
    return out
