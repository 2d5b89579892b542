# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The encoder and the decoder's entrance, which CroCo, DUSt3R and MASt3R have in common."""
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import torch
from torch import nn

from lsm_ros.models.blocks import NORM_EPS, PATCH, DecoderBlock, EncoderBlock, PatchEmbed
from lsm_ros.models.parts import Part
from lsm_ros.models.positions import Rotation, cosine_embedding, rope_base, rope_rotation


class Backbone(nn.Module):
    """Vision transformer encoder and one stack of decoder blocks (Weinzaepfel et al., CroCo, 2022)."""

    parts: Mapping[str, Part] = {}  # that may come from files of their own
    completes_images = False  # a network that is trained to complete images, from which others may start

    @classmethod
    def implied_keywords(cls, state: Mapping[str, torch.Tensor]) -> dict[str, Any]:
        """Keywords that a checkpoint's weights imply, unless it says otherwise."""
        return {}

    @classmethod
    def official_keywords(cls, stored: Mapping[str, Any]) -> dict[str, Any]:
        """Keywords from those that an official file stores: they are the same."""
        return dict(stored)

    def __init__(self, *, img_size: int | Sequence[int], enc_embed_dim: int, enc_depth: int, enc_num_heads: int,
                 dec_embed_dim: int, dec_depth: int, dec_num_heads: int, pos_embed: str, patch_size: int = PATCH,
                 mlp_ratio: float = 4.0) -> None:
        super().__init__()
        if patch_size != PATCH:
            raise ValueError(f"patch_size {patch_size!r}: only {PATCH} is supported")
        self.img_size = size_pair(img_size)
        self.rope_base = rope_base(pos_embed)
        for name, width, depth, heads in (("enc", enc_embed_dim, enc_depth, enc_num_heads),
                                          ("dec", dec_embed_dim, dec_depth, dec_num_heads)):
            for key, value in (("embed_dim", width), ("depth", depth), ("num_heads", heads)):
                whole(value, f"{name}_{key}")
            step = 4 * heads if self.rope_base is not None else heads
            if width % step:
                raise ValueError(f"{name}_embed_dim {width} does not split into {name}_num_heads {heads}"
                                 + (" with a multiple of 4 channels each" if step != heads else ""))
        positive(mlp_ratio, "mlp_ratio")
        self.enc_heads, self.dec_heads = enc_num_heads, dec_num_heads
        self.enc_dim, self.dec_dim, self.dec_depth = enc_embed_dim, dec_embed_dim, dec_depth
        self.patch_embed = PatchEmbed(enc_embed_dim, patch_size)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, dec_embed_dim))
        self.enc_blocks = nn.ModuleList(EncoderBlock(enc_embed_dim, enc_num_heads, mlp_ratio) for _ in range(enc_depth))
        self.enc_norm = nn.LayerNorm(enc_embed_dim, eps=NORM_EPS)
        self.decoder_embed = nn.Linear(enc_embed_dim, dec_embed_dim)
        self.dec_blocks = self.make_decoder(mlp_ratio)
        self.dec_norm = nn.LayerNorm(dec_embed_dim, eps=NORM_EPS)
        if self.rope_base is None:
            rows, columns = (s // PATCH for s in self.img_size)
            self.register_buffer("enc_pos_embed", cosine_embedding(enc_embed_dim, rows, columns))
            self.register_buffer("dec_pos_embed", cosine_embedding(dec_embed_dim, rows, columns))

    def make_decoder(self, mlp_ratio: float) -> nn.ModuleList:
        """A stack of decoder blocks."""
        return nn.ModuleList(DecoderBlock(self.dec_dim, self.dec_heads, mlp_ratio) for _ in range(self.dec_depth))

    def encoder_rotation(self, positions: torch.Tensor, dtype: torch.dtype) -> Rotation | None:
        """Rotation of the encoder's queries and keys; None with cosine positions, which are added instead."""
        return None if self.rope_base is None else rope_rotation(positions, self.enc_dim // self.enc_heads, self.rope_base,
                                                                 dtype)

    def decoder_rotation(self, positions: torch.Tensor, dtype: torch.dtype) -> Rotation | None:
        """Rotation of the decoder's queries and keys; None with cosine positions."""
        return None if self.rope_base is None else rope_rotation(positions, self.dec_dim // self.dec_heads, self.rope_base,
                                                                 dtype)

    def run_encoder(self, tokens: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Blocks and the last norm: (B, N, D) -> (B, N, D)."""
        rotation = self.encoder_rotation(positions, tokens.dtype)
        for block in self.enc_blocks:
            tokens = block(tokens, rotation)
        return self.enc_norm(tokens)

    def initialise(self) -> None:
        """Random weights for training: truncated normal mask token, Xavier linear layers, zero biases."""
        nn.init.trunc_normal_(self.mask_token, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.xavier_uniform_(self.patch_embed.proj.weight.view(self.enc_dim, -1))


def whole(value: object, name: str) -> None:
    """ValueError unless `value` is a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")


def positive(value: object, name: str) -> None:
    """ValueError unless `value` is a finite number above 0."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < value < math.inf:
        raise ValueError(f"{name} must be a number above 0, got {value!r}")


def size_pair(size: int | Sequence[int]) -> tuple[int, int]:
    """(height, width) from one number or two. ValueError unless both are positive multiples of the patch size."""
    pair = (size, size) if isinstance(size, int) else tuple(size)
    if len(pair) != 2 or any(not isinstance(s, int) or s < PATCH or s % PATCH for s in pair):
        raise ValueError(f"img_size {size!r}: expected one or two positive multiples of {PATCH}")
    return pair


def check_images(image: torch.Tensor, name: str, dtype: torch.dtype) -> torch.Tensor:
    """`image` in the dtype of the weights. ValueError unless it is a finite float tensor (B, 3, H, W) with B >= 1 and
    sides that are multiples of 16."""
    if not isinstance(image, torch.Tensor) or image.ndim != 4 or image.shape[1] != 3 or len(image) < 1:
        got = tuple(image.shape) if hasattr(image, "shape") else type(image).__name__
        raise ValueError(f"{name}: expected a tensor (B, 3, H, W), got {got}")
    if not image.is_floating_point():
        raise ValueError(f"{name}: expected float values from -1 to 1, got {image.dtype}; "
                         "lsm_ros.models.preprocess makes them from uint8 pixels")
    height, width = image.shape[-2:]
    if height < PATCH or width < PATCH or height % PATCH or width % PATCH:
        raise ValueError(f"{name}: height {height} and width {width} must be multiples of {PATCH}; "
                         "lsm_ros.models.preprocess resizes and crops")
    bad = int((~torch.isfinite(image)).sum())
    if bad:
        raise ValueError(f"{name}: {bad} values are NaN or infinite; a single one corrupts the whole prediction")
    return image.to(dtype)
