# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""LSeg's features: for each pixel a vector that can be compared with CLIP's texts (Li et al., Language-driven semantic
segmentation, ICLR 2022). A vision transformer with a class token, and a DPT with batch normalisation."""
from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import interpolate

from lsm_ros.models.blocks import PATCH, EncoderBlock, PatchEmbed
from lsm_ros.models.clip import Clip
from lsm_ros.models.dpt import upsample

NORM_EPS = 1e-6
CLASSES = 1000  # of the classifier, which checkpoints hold
LOGIT_SCALE = 1 / 0.07  # of cosines with texts; no weight holds it


class VisionTransformer(nn.Module):
    """A transformer with a class token and learnt positions of a square of `grid` x `grid` patches."""

    def __init__(self, dim: int, depth: int, heads: int, grid: int) -> None:
        super().__init__()
        self.grid = grid
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.randn(1, 1 + grid ** 2, dim) * 0.02)
        self.patch_embed = PatchEmbed(dim)
        self.blocks = nn.ModuleList(EncoderBlock(dim, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(dim, eps=NORM_EPS)  # this and the head are in the checkpoints and not used
        self.head = nn.Linear(dim, CLASSES)

    def forward(self, image: torch.Tensor, hooks: Sequence[int]) -> list[torch.Tensor]:
        """Tokens (B, 1 + N, dim), the class token first, after each of the blocks `hooks`."""
        x, _ = self.patch_embed(image)
        rows, columns = (s // PATCH for s in image.shape[-2:])
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1) + self.positions(rows, columns)
        found = []
        for n, block in enumerate(self.blocks[:hooks[-1] + 1]):
            x = block(x, None)
            if n in hooks:
                found.append(x)
        return found

    def positions(self, rows: int, columns: int) -> torch.Tensor:
        """(1, 1 + rows * columns, dim): the positions, resized bilinearly."""
        own, rest = self.pos_embed[:, :1], self.pos_embed[:, 1:]
        square = rest.transpose(1, 2).unflatten(2, (self.grid, self.grid))
        resized = interpolate(square, (rows, columns), mode="bilinear", align_corners=False)
        return torch.cat([own, resized.flatten(2).transpose(1, 2)], 1)


class Readout(nn.Module):
    """Puts what the class token knows into each patch."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.project = nn.Sequential(nn.Linear(2 * dim, dim), nn.GELU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 1 + N, dim) -> (B, N, dim)."""
        return self.project(torch.cat([x[:, 1:], x[:, :1].expand_as(x[:, 1:])], -1))


class ResidualUnit(nn.Module):
    """Two 3x3 convolutions with batch normalisation, each after a ReLU, added to the input."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(dim, dim, 3, padding=1, bias=False) for _ in range(2))
        self.bn1, self.bn2 = nn.BatchNorm2d(dim), nn.BatchNorm2d(dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, dim, H, W) -> the same shape."""
        return self.bn2(self.conv2(self.bn1(self.conv1(x.relu())).relu())) + x


class RefineBlock(nn.Module):
    """Adds the skip connection, refines, doubles the resolution."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.out_conv = nn.Conv2d(dim, dim, 1)
        self.resConfUnit1, self.resConfUnit2 = ResidualUnit(dim), ResidualUnit(dim)  # the coarsest block uses the second only

    def forward(self, x: torch.Tensor, skip: torch.Tensor | None = None) -> torch.Tensor:
        """(B, dim, H, W) -> (B, dim, 2H, 2W)."""
        if skip is not None:
            x = x + self.resConfUnit1(skip)
        return upsample(self.out_conv(self.resConfUnit2(x)))  # a 1x1 convolution commutes with interpolation


class LSegScratch(nn.Module):
    """The convolutions after the transformer."""

    def __init__(self, dims: Sequence[int], dim: int, out: int) -> None:
        super().__init__()
        for i, d in enumerate(dims, 1):
            self.add_module(f"layer{i}_rn", nn.Conv2d(d, dim, 3, padding=1, bias=False))
            self.add_module(f"refinenet{i}", RefineBlock(dim))
        self.head1 = nn.Conv2d(dim, out, 1)


class LSegBackbone(nn.Module):
    """The transformer, and its tokens of four depths as maps of 4, 2, 1 and 1/2 times their resolution."""

    def __init__(self, dim: int, depth: int, heads: int, grid: int, dims: Sequence[int]) -> None:
        super().__init__()
        self.model = VisionTransformer(dim, depth, heads, grid)
        a, b, c, d = dims
        scaling = ([nn.ConvTranspose2d(a, a, 4, 4)], [nn.ConvTranspose2d(b, b, 2, 2)], [], [nn.Conv2d(d, d, 3, 2, 1)])
        for i, (width, more) in enumerate(zip(dims, scaling, strict=True), 1):
            # between the readout and the convolution the tokens become a map; checkpoints count that as two steps
            self.add_module(f"act_postprocess{i}", nn.Sequential(Readout(dim), nn.Identity(), nn.Identity(),
                                                                 nn.Conv2d(dim, width, 1), *more))

    def forward(self, image: torch.Tensor, hooks: Sequence[int]) -> list[torch.Tensor]:
        """Four maps (B, dims[i], ...) of images (B, 3, H, W)."""
        size = tuple(s // PATCH for s in image.shape[-2:])
        maps = []
        for i, tokens in enumerate(self.model(image, hooks), 1):
            readout, _, _, *convolutions = getattr(self, f"act_postprocess{i}")
            x = readout(tokens).transpose(1, 2).unflatten(2, size)
            for convolution in convolutions:
                x = convolution(x)
            maps.append(x)
        return maps


class LSeg(nn.Module):
    """LSeg's image network with ViT-L/16; CLIP, whose text tower gives what features are compared with, is beside it.

    embed_dim, depth, num_heads, grid: of the transformer; hooks: its four depths; layer_dims, feature_dim: widths after it;
    out: length of the features; clip: keywords of `Clip`. ValueError for widths or depths that do not fit.
    """

    def __init__(self, *, embed_dim: int = 1024, depth: int = 24, num_heads: int = 16, grid: int = 24,
                 hooks: Sequence[int] = (5, 11, 17, 23), layer_dims: Sequence[int] = (256, 512, 1024, 1024),
                 feature_dim: int = 256, out: int = 512, clip: dict | None = None) -> None:
        super().__init__()
        if embed_dim % num_heads:
            raise ValueError(f"embed_dim {embed_dim} does not split into num_heads {num_heads}")
        if len(hooks) != 4 or list(hooks) != sorted(set(hooks)) or hooks[0] < 0 or hooks[-1] >= depth:
            raise ValueError(f"hooks {list(hooks)}: expected four increasing blocks below depth {depth}")
        if len(layer_dims) != 4:
            raise ValueError(f"layer_dims {list(layer_dims)}: expected four widths")
        self.hooks, self.out = tuple(hooks), out
        self.clip_pretrained = Clip(**{"out": out, **(clip or {})})
        self.pretrained = LSegBackbone(embed_dim, depth, num_heads, grid, layer_dims)
        self.scratch = LSegScratch(layer_dims, feature_dim, out)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(B, out, H/2, W/2) features of images (B, 3, H, W) from -1 to 1, sides multiples of 16."""
        s, maps = self.scratch, self.pretrained(image, self.hooks)
        l1, l2, l3, l4 = (getattr(s, f"layer{i}_rn")(m) for i, m in enumerate(maps, 1))
        # with an odd number of patches the coarsest map is rounded up, and its double is one too large
        x = s.refinenet4(l4)[..., :l3.shape[-2], :l3.shape[-1]]
        return s.head1(s.refinenet1(s.refinenet2(s.refinenet3(x, l3), l2), l1))


def text_logits(features: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
    """(B, n, h, w) LSeg's scores of features (B, C, h, w) for the embeddings (n, C) of n texts."""
    features, texts = (t / t.norm(dim=1, keepdim=True) for t in (features, texts))
    return LOGIT_SCALE * torch.einsum("bchw,nc->bnhw", features, texts)


