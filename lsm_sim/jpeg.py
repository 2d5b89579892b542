# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Effect of JPEG on a picture, in PyTorch: YCbCr, chroma at half size, cosine transform of 8x8 blocks, quantisation.

ITU-T T.81 (baseline), its example tables of Annex K scaled as libjpeg does. Entropy coding loses nothing and is left
out. Sums are written out rather than left to matrix products, so that a picture's result does not depend on its batch.
"""
from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch

_LUMA = (16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
         14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
         49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99)
_CHROMA_ROWS = ((17, 18, 24, 47), (18, 21, 26, 66), (24, 26, 56, 99), (47, 66, 99, 99))


def quantisation_tables(quality: int) -> tuple[np.ndarray, np.ndarray]:
    """Luma and chroma tables (8, 8) int of a quality 1 to 100; ValueError for another."""
    if isinstance(quality, bool) or not isinstance(quality, int) or not 1 <= quality <= 100:
        raise ValueError(f"JPEG quality must be a whole number from 1 to 100, got {quality!r}")
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    chroma = np.full((8, 8), 99)
    chroma[:4, :4] = _CHROMA_ROWS
    return tuple(np.clip((t * scale + 50) // 100, 1, 255) for t in (np.array(_LUMA).reshape(8, 8), chroma))


def jpeg(image: torch.Tensor, quality: int) -> torch.Tensor:
    """(C, 3, H, W) float32 sRGB 0 to 255, whole numbers, as after coding at a quality with 4:2:0 chroma and decoding."""
    luma_tables, chroma_tables = _tables(quality, str(image.device))
    height, width = image.shape[-2:]
    image = torch.nn.functional.pad(image, (0, -width % 16, 0, -height % 16), mode="replicate")
    r, g, b = image.unbind(1)
    luma = (0.299 * r + 0.587 * g + 0.114 * b).round_()
    blue = (-0.168735892 * r - 0.331264108 * g + 0.5 * b).round_()
    red = (0.5 * r - 0.418687589 * g - 0.081312411 * b).round_()
    luma = _blocks_coded(luma - 128, luma_tables).add_(128).clamp_(0, 255)
    chroma = _halved(torch.stack((blue, red), 1)).flatten(0, 1)
    chroma = _doubled(_blocks_coded(chroma, chroma_tables).clamp_(-128, 127)).unflatten(0, (-1, 2))
    blue, red = chroma.unbind(1)
    out = torch.stack((luma + 1.402 * red, luma - 0.344136286 * blue - 0.714136286 * red, luma + 1.772 * blue), 1)
    return out[..., :height, :width].round_().clamp_(0, 255)


def _halved(planes: torch.Tensor) -> torch.Tensor:
    """Means of 2x2 texels, whole."""
    rows = planes[..., ::2, :] + planes[..., 1::2, :]
    return ((rows[..., ::2] + rows[..., 1::2]) * 0.25).round_()


def _doubled(planes: torch.Tensor) -> torch.Tensor:
    """Twice as many rows and columns, 3 : 1 of the two nearest, as decoders do ("fancy upsampling"); (N, H, W)."""
    for axis in (1, 2):
        n = planes.shape[axis]
        before = torch.cat((planes.narrow(axis, 0, 1), planes.narrow(axis, 0, n - 1)), axis)
        after = torch.cat((planes.narrow(axis, 1, n - 1), planes.narrow(axis, n - 1, 1)), axis)
        near = planes * 0.75
        planes = torch.stack((near + 0.25 * before, near + 0.25 * after), axis + 1).flatten(axis, axis + 1)
    return planes


def _blocks_coded(planes: torch.Tensor, tables: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Planes (N, H, W) through transform, quantisation and back, whole numbers."""
    n, height, width = planes.shape
    to_levels, from_levels = tables
    blocks = planes.reshape(n, height // 8, 8, width // 8, 8).permute(2, 4, 0, 1, 3).reshape(8, 8, -1).contiguous()
    coefficients = _transform(_transform(blocks).transpose(0, 1)).transpose(0, 1)
    coefficients = (coefficients * to_levels).round_().mul_(from_levels)
    back = _inverse(_inverse(coefficients).transpose(0, 1)).transpose(0, 1).round_()
    return back.reshape(8, 8, n, height // 8, width // 8).permute(2, 3, 0, 4, 1).reshape(n, height, width)


# The cosine transform by the flow graph of Arai, Agui and Nakajima (1988): five products, its outputs scaled; the scales
# are part of the quantisation. The transform is orthogonal but for them, so its inverse is the graph run backwards.
_HALF, _P, _Q, _R = (math.cos(math.pi / 4), math.cos(math.pi / 8) - math.sin(math.pi / 8),
                     math.cos(math.pi / 8) + math.sin(math.pi / 8), math.sin(math.pi / 8))


def _transform(x: torch.Tensor) -> torch.Tensor:
    """Scaled DCT-II along the first axis of (8, ...)."""
    out = torch.empty_like(x)
    mirrored = x[4:].flip(0)
    sums, (d0, d1, d2, d3) = x[:4] + mirrored, x[:4] - mirrored
    b0, b1, b2, b3 = sums[0] + sums[3], sums[1] + sums[2], sums[1] - sums[2], sums[0] - sums[3]
    torch.add(b0, b1, out=out[0])
    torch.sub(b0, b1, out=out[4])
    z = (b2 + b3).mul_(_HALF)
    torch.add(b3, z, out=out[2])
    torch.sub(b3, z, out=out[6])
    e0, e1, e2 = d3 + d2, (d2 + d1).mul_(_HALF), d1 + d0
    turn = (e0 - e2).mul_(_R)
    z2, z4 = e0.mul_(_P).add_(turn), e2.mul_(_Q).add_(turn)
    z11, z13 = d0 + e1, d0 - e1
    torch.add(z13, z2, out=out[5])
    torch.sub(z13, z2, out=out[3])
    torch.add(z11, z4, out=out[1])
    torch.sub(z11, z4, out=out[7])
    return out


def _inverse(y: torch.Tensor) -> torch.Tensor:
    """The transposed graph of `_transform`."""
    out = torch.empty_like(y)
    b0, b1 = y[0] + y[4], y[0] - y[4]
    b2 = (y[2] - y[6]).mul_(_HALF)
    b3 = (y[2] + y[6]).add_(b2)
    z13, z2, z11, z4 = y[5] + y[3], y[5] - y[3], y[1] + y[7], y[1] - y[7]
    e1 = (z11 - z13).mul_(_HALF)
    turn = (z2 + z4).mul_(_R)
    e0, e2 = z2.mul_(_P).add_(turn), z4.mul_(_Q).sub_(turn)
    odd = (z11.add_(z13).add_(e2), e1 + e2, e0 + e1, e0)
    even = (b0 + b3, b1 + b2, b1 - b2, b0 - b3)
    for k in range(4):
        torch.add(even[k], odd[k], out=out[k])
        torch.sub(even[k], odd[k], out=out[7 - k])
    return out


@lru_cache(maxsize=64)
def _tables(quality: int, device: str) -> tuple[tuple[torch.Tensor, torch.Tensor], ...]:
    """For luma and chroma, what turns coefficients (8, 8, blocks) of the graph into levels, and levels back."""
    scale = 1 / torch.linalg.norm(_transform(torch.eye(8, dtype=torch.float64)), dim=1)
    scale = scale[:, None] * scale
    tables = (torch.as_tensor(t, dtype=torch.float64) for t in quantisation_tables(quality))
    return tuple(tuple(v.to(torch.float32)[..., None].to(device) for v in (scale / t, scale * t)) for t in tables)
