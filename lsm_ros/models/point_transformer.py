# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Point Transformer V3 (Wu et al., CVPR 2024) as the Large Spatial Model has it: attention along space-filling curves, and
blocks in which the points look at what other networks saw in the images.

Adapted from github.com/Pointcept/PointTransformerV3 (MIT, see NOTICE). The curves are taken in a fixed order, so the same
points always give the same features.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import gelu, linear

from lsm_ros.models.blocks import Mlp, attend
from lsm_ros.models.serialization import ORDERS, codes
from lsm_ros.models.sparse_conv import SubmanifoldConv, Voxels

IN_CHANNELS = 6  # x, y, z, red, green, blue
BATCH_NORM = {"eps": 1e-3, "momentum": 0.01}
MLP_RATIO = 4


class Level:
    """Points of one resolution. voxel (N, 3) and codes (4, N) int64; cluster (M,): point of this level that each of the M
    points of the finer level went into, None for the finest."""

    def __init__(self, voxel: torch.Tensor, code: torch.Tensor, depth: int, cluster: torch.Tensor | None = None) -> None:
        self.voxel, self.code, self.depth, self.cluster = voxel, code, depth, cluster
        self.voxels = Voxels(voxel)
        self.order = code.argsort(dim=1, stable=True)
        self.place = self.order.argsort(dim=1)
        self._patches: dict[tuple[int, int], torch.Tensor] = {}

    @classmethod
    def finest(cls, voxel: torch.Tensor) -> Level:
        """The level of voxels (N, 3) int64 of at least 0."""
        depth = int(voxel.max()).bit_length()
        return cls(voxel, codes(voxel, depth), depth)

    def coarser(self) -> Level:
        """The level of voxels twice as large. At depth 0 only points that share a voxel become one."""
        bits = 1 if self.depth else 0
        code = self.code >> 3 * bits
        _, cluster, counts = code[0].unique(return_inverse=True, return_counts=True)
        first = cluster.argsort(stable=True)[counts.cumsum(0) - counts]
        return Level(self.voxel[first] >> bits, code[:, first], self.depth - bits, cluster)

    def patches(self, curve: int, size: int) -> torch.Tensor:
        """(P, size) int64: points along a curve in patches of `size`, or of all points if they are fewer. The last patch is
        filled up with the points that are at those places of the patch before."""
        size = min(size, len(self.voxel))
        if (curve, size) not in self._patches:
            order = self.order[curve]
            rest = len(order) % size
            if rest:
                order = torch.cat([order, order[len(order) - size:len(order) - rest]])
            self._patches[curve, size] = order.view(-1, size)
        return self._patches[curve, size]


class PatchAttention(nn.Module):
    """Attention among the points of each patch of a curve."""

    def __init__(self, dim: int, heads: int, patch: int, curve: int) -> None:
        super().__init__()
        self.heads, self.patch, self.curve = heads, patch, curve
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: torch.Tensor, level: Level) -> torch.Tensor:
        """(N, dim) -> (N, dim)."""
        q, k, v = self.qkv(x)[level.patches(self.curve, self.patch)].unflatten(-1, (3, self.heads, -1)).unbind(2)
        return self.proj(attend(q, k, v).flatten(0, 1)[level.place[self.curve]])


class PointBlock(nn.Module):
    """A convolution that says where a point is, attention, and an MLP, each added to its input."""

    def __init__(self, dim: int, heads: int, patch: int, curve: int, drop: float) -> None:
        super().__init__()
        self.drop = drop
        self.cpe = nn.ModuleList([SubmanifoldConv(dim, dim, 3), nn.Linear(dim, dim), nn.LayerNorm(dim)])
        self.norm1 = nn.Sequential(nn.LayerNorm(dim))
        self.attn = PatchAttention(dim, heads, patch, curve)
        self.norm2 = nn.Sequential(nn.LayerNorm(dim))
        self.mlp = nn.Sequential(Mlp(dim, MLP_RATIO * dim))

    def forward(self, x: torch.Tensor, level: Level, positional: torch.Tensor | None = None) -> torch.Tensor:
        """(N, dim) -> (N, dim). positional (N, dim): input of the convolution, if it is another one than x."""
        conv, project, norm = self.cpe
        x = x + norm(project(conv(x if positional is None else positional, level.voxels)))
        x = x + self._dropped(self.attn(self.norm1(x), level))
        return x + self._dropped(self.mlp(self.norm2(x)))

    def _dropped(self, x: torch.Tensor) -> torch.Tensor:
        """Stochastic depth: in training a share of the points goes without."""
        if not self.training or not self.drop:
            return x
        return x * (torch.rand_like(x[:, :1]) >= self.drop) / (1 - self.drop)


class Pooling(nn.Module):
    """Maximum over the points of a coarser voxel."""

    def __init__(self, dim: int, out: int) -> None:
        super().__init__()
        self.proj = nn.Linear(dim, out)
        self.norm = nn.Sequential(nn.BatchNorm1d(out, **BATCH_NORM))

    def forward(self, x: torch.Tensor, level: Level) -> torch.Tensor:
        """(M, dim) of the finer level -> (N, out) of `level`."""
        x = self.proj(x)
        where = level.cluster[:, None].expand_as(x)
        largest = x.new_zeros(len(level.voxel), x.shape[1]).scatter_reduce(0, where, x, "amax", include_self=False)
        return gelu(self.norm(largest))


class Unpooling(nn.Module):
    """Features of a coarser level, spread over its points, and those that the encoder had for them."""

    def __init__(self, dim: int, skip: int, out: int) -> None:
        super().__init__()
        self.proj, self.proj_skip = (nn.Sequential(nn.Linear(d, out), nn.BatchNorm1d(out, **BATCH_NORM), nn.GELU())
                                     for d in (dim, skip))

    def forward(self, x: torch.Tensor, skip: torch.Tensor, coarse: Level) -> tuple[torch.Tensor, torch.Tensor]:
        """(N, dim) of `coarse` and (M, skip) of the finer level -> (M, out), and the part of it that is the encoder's."""
        own = self.proj_skip(skip)
        return own + self.proj(x)[coarse.cluster], own


class Stage(nn.Module):
    """Blocks of one level, after `down` in the encoder and `up` in the decoder."""

    def __init__(self, dim: int, heads: int, patch: int, drops: Sequence[float], *, down: Pooling | None = None,
                 up: Unpooling | None = None) -> None:
        super().__init__()
        self.down, self.up = down, up
        self.depth = len(drops)
        for i, drop in enumerate(drops):
            self.add_module(f"block{i}", PointBlock(dim, heads, patch, i % len(ORDERS), drop))

    def forward(self, x: torch.Tensor, level: Level, skip: torch.Tensor | None = None, coarse: Level | None = None
                ) -> torch.Tensor:
        """Features of the level before -> (N, dim) of `level`. skip: the encoder's (N, ...) for a decoder's stage."""
        positional = None
        if self.down is not None:
            x = self.down(x, level)
        elif self.up is not None:
            # the reference convolves the encoder's part alone in the first block: its sparse tensor is not renewed
            x, positional = self.up(x, skip, coarse)
        for i in range(self.depth):
            x = getattr(self, f"block{i}")(x, level, positional)
            positional = None
        return x


class Stem(nn.Module):
    """First convolution."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv = SubmanifoldConv(IN_CHANNELS, dim, 5, bias=False)
        self.norm = nn.BatchNorm1d(dim, **BATCH_NORM)

    def forward(self, x: torch.Tensor, level: Level) -> torch.Tensor:
        """(N, 6) -> (N, dim)."""
        return gelu(self.norm(self.conv(x, level.voxels)))


class PlainAttention(nn.Module):
    """Multi-head attention without biases and positions, under the names of `nn.MultiheadAttention`."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dim, dim))
        self.out_proj = nn.Linear(dim, dim, bias=False)
        nn.init.xavier_uniform_(self.in_proj_weight)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Queries from x (B, N, dim), keys and values from y (B, M, dim) -> (B, N, dim)."""
        q, k, v = (linear(t, w).unflatten(-1, (self.heads, -1))
                   for t, w in zip((x, y, y), self.in_proj_weight.chunk(3), strict=True))
        return self.out_proj(attend(q, k, v))


class CrossBlock(nn.Module):
    """All points look at each other, then at tokens of the images."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2, self.norm3, self.norm_y = (nn.LayerNorm(dim) for _ in range(4))
        self.attn, self.cross_attn = PlainAttention(dim, heads), PlainAttention(dim, heads)
        self.mlp = Mlp(dim, MLP_RATIO * dim)

    def forward(self, x: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """x (N, dim) looks at tokens (M, dim); returns the new x."""
        x, tokens = x[None], self.norm_y(tokens)[None]
        own = self.norm1(x)
        x = x + self.attn(own, own)
        x = x + self.cross_attn(self.norm2(x), tokens)
        return (x + self.mlp(self.norm3(x)))[0]


@dataclass(frozen=True)
class Cloud:
    """Points of a pair of images as the transformer takes them. coord (P, 3): centred, the largest coordinate 1; feat (P, 6):
    coord and colour from -1 to 1; centre (3,), scale (): points = coord * scale + centre."""

    coord: torch.Tensor
    feat: torch.Tensor
    centre: torch.Tensor
    scale: torch.Tensor


def merge_points(points: torch.Tensor, colours: torch.Tensor) -> Cloud:
    """The cloud of points (P, 3) of both views, one view after the other, with colours (P, 3) from -1 to 1. Nothing flows back
    through it to the network that made the points."""
    points = points.detach().float()
    centre = points.mean(0)
    scale = (points - centre).abs().max().clamp(min=1e-8)
    coord = (points - centre) / scale
    return Cloud(coord, torch.cat([coord, colours.float()], 1), centre, scale)


class PointTransformer(nn.Module):
    """Encoder and decoder over five resolutions of a cloud. The keywords are those of the official configuration.

    cross_dust, cross_lseg: the coarsest points look at DUSt3R's tokens (dust_dim numbers each) and at LSeg's (lseg_dim);
    cross_multi_scale: those of the decoder's first stage look at LSeg's again. grid_size: side of the finest voxels.
    ValueError for lists of lengths that do not fit each other.
    """

    def __init__(self, *, cross_dust: bool = True, cross_lseg: bool = True, cross_multi_scale: bool = True,
                 enc_depths: Sequence[int] = (1, 1, 1, 3, 1), enc_channels: Sequence[int] = (32, 64, 128, 256, 512),
                 enc_num_head: Sequence[int] = (2, 4, 8, 16, 32), enc_patch_size: Sequence[int] = (1024,) * 5,
                 dec_depths: Sequence[int] = (1, 1, 1, 1), dec_channels: Sequence[int] = (64, 64, 128, 256),
                 dec_num_head: Sequence[int] = (4, 4, 8, 16), dec_patch_size: Sequence[int] = (1024,) * 4,
                 cross_heads: int = 8, multi_scale_heads: int = 4, dust_dim: int = 1024, lseg_dim: int = 512,
                 drop_path: float = 0.3, grid_size: float = 0.01) -> None:
        super().__init__()
        stages = len(enc_channels)
        for name, values, wanted in (("enc_depths", enc_depths, stages), ("enc_num_head", enc_num_head, stages),
                                     ("enc_patch_size", enc_patch_size, stages), ("dec_depths", dec_depths, stages - 1),
                                     ("dec_channels", dec_channels, stages - 1), ("dec_num_head", dec_num_head, stages - 1),
                                     ("dec_patch_size", dec_patch_size, stages - 1)):
            if len(values) != wanted:
                raise ValueError(f"{name} {list(values)}: expected {wanted} numbers with {stages} enc_channels")
        check_heads(enc_channels, enc_num_head, "enc")
        check_heads(dec_channels, dec_num_head, "dec")
        self.grid_size, self.channels = grid_size, dec_channels[0]
        self.embedding = nn.ModuleDict({"stem": Stem(enc_channels[0])})
        self.enc, self.dec = nn.ModuleDict(), nn.ModuleDict()
        drops = spread_drops(drop_path, enc_depths)
        for s, (dim, heads, patch) in enumerate(zip(enc_channels, enc_num_head, enc_patch_size, strict=True)):
            down = Pooling(enc_channels[s - 1], dim) if s else None
            self.enc[f"enc{s}"] = Stage(dim, heads, patch, drops[s], down=down)
        below, drops = [*dec_channels, enc_channels[-1]], spread_drops(drop_path, dec_depths)
        for s in reversed(range(stages - 1)):
            up = Unpooling(below[s + 1], enc_channels[s], dec_channels[s])
            self.dec[f"dec{s}"] = Stage(dec_channels[s], dec_num_head[s], dec_patch_size[s], drops[s][::-1], up=up)
        self.cross_dust, self.cross_lseg, self.cross_multi_scale = cross_dust, cross_lseg, cross_multi_scale
        deep = enc_channels[-1]
        for wanted, name, dim, width, heads in (
                (cross_dust, "dust", dust_dim, deep, cross_heads), (cross_lseg, "lseg", lseg_dim, deep, cross_heads),
                (cross_multi_scale, "multi_scale", lseg_dim, dec_channels[-1], multi_scale_heads)):
            if wanted:
                check_heads([width], [heads], name)
                self.add_module("multi_scale_proj" if name == "multi_scale" else f"{name}_feat_proj", nn.Linear(dim, width))
                self.add_module(f"decoder_block_{name}", CrossBlock(width, heads))

    def forward(self, cloud: Cloud, dust: torch.Tensor, lseg: torch.Tensor) -> torch.Tensor:
        """(P, channels) features of a cloud of P points.

        dust (M, dust_dim) and lseg (K, lseg_dim): tokens of both views, one view after the other.
        """
        x = cloud.feat.to(self.embedding["stem"].conv.weight.dtype)
        low = cloud.coord.min(0).values
        levels = [Level.finest(torch.div(cloud.coord - low, self.grid_size, rounding_mode="trunc").long())]
        x = self.embedding["stem"](x, levels[0])
        skips = []
        for s, stage in enumerate(self.enc.values()):
            if s:
                skips.append(x)
                levels.append(levels[-1].coarser())
            x = stage(x, levels[-1])
        if self.cross_dust:
            x = self.decoder_block_dust(x, self.dust_feat_proj(dust))
        if self.cross_lseg:
            x = self.decoder_block_lseg(x, self.lseg_feat_proj(lseg))
        for s, stage in enumerate(self.dec.values()):
            coarse = levels.pop()
            x = stage(x, levels[-1], skips.pop(), coarse)
            if s == 0 and self.cross_multi_scale:
                x = self.decoder_block_multi_scale(x, self.multi_scale_proj(lseg))
        return x


def check_heads(channels: Sequence[int], heads: Sequence[int], name: str) -> None:
    """ValueError unless each width splits into its number of heads."""
    for dim, count in zip(channels, heads, strict=True):
        if count < 1 or dim < 1 or dim % count:
            raise ValueError(f"{name}: {dim} channels do not split into {count} heads")


def spread_drops(largest: float, depths: Sequence[int]) -> list[list[float]]:
    """Rates of stochastic depth of each stage's blocks, from 0 at the first block of all to `largest` at the last."""
    last = max(1, sum(depths) - 1)
    return [[largest * (sum(depths[:s]) + i) / last for i in range(d)] for s, d in enumerate(depths)]
