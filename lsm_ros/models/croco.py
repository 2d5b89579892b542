# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""CroCo v1 and v2: completion of a masked image from a second view (Weinzaepfel et al., NeurIPS 2022 and ICCV 2023)."""
from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from lsm_ros.models.backbone import Backbone, check_images
from lsm_ros.models.blocks import PATCH


class CroCo(Backbone):
    """Cross-view completion. pos_embed 'cosine' is v1, 'RoPE100' v2. Images are normalised by the ImageNet statistics."""

    completes_images = True

    def __init__(self, *, img_size: int | Sequence[int] = 224, patch_size: int = PATCH, mask_ratio: float = 0.9,
                 enc_embed_dim: int = 768, enc_depth: int = 12, enc_num_heads: int = 12, dec_embed_dim: int = 512,
                 dec_depth: int = 8, dec_num_heads: int = 16, mlp_ratio: float = 4.0, pos_embed: str = "cosine") -> None:
        super().__init__(img_size=img_size, patch_size=patch_size, enc_embed_dim=enc_embed_dim, enc_depth=enc_depth,
                         enc_num_heads=enc_num_heads, dec_embed_dim=dec_embed_dim, dec_depth=dec_depth,
                         dec_num_heads=dec_num_heads, pos_embed=pos_embed, mlp_ratio=mlp_ratio)
        if not 0 < mask_ratio < 1:
            raise ValueError(f"mask_ratio {mask_ratio!r} is not between 0 and 1")
        self.mask_ratio = mask_ratio
        self.prediction_head = nn.Linear(dec_embed_dim, 3 * PATCH * PATCH)
        self.initialise()

    def random_mask(self, batch: int, tokens: int, generator: torch.Generator | None = None) -> torch.Tensor:
        """(batch, tokens) bool, True where masked: the same number in each row."""
        noise = torch.rand(batch, tokens, generator=generator, device=self.mask_token.device)
        return noise.argsort(1) < int(self.mask_ratio * tokens)

    def encode(self, image: torch.Tensor, mask: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens (B, N, D) of an image (B, 3, H, W), or of its patches that are not masked, and all positions (B, P, 2)."""
        tokens, positions = self.patch_embed(image)
        if self.rope_base is None:
            tokens = tokens + self.enc_pos_embed.to(tokens.dtype)
        visible = positions
        if mask is not None:
            tokens = tokens[~mask].view(len(tokens), -1, tokens.shape[-1])
            visible = positions[~mask].view(len(tokens), -1, 2)
        return self.run_encoder(tokens, visible), positions

    def decode(self, tokens1: torch.Tensor, mask: torch.Tensor | None, positions1: torch.Tensor, tokens2: torch.Tensor,
               positions2: torch.Tensor) -> torch.Tensor:
        """(B, P, E): decoded tokens of all patches of image 1, masked ones included."""
        x, y = self.decoder_embed(tokens1), self.decoder_embed(tokens2)
        if mask is not None:
            whole = self.mask_token.to(x.dtype).repeat(*mask.shape, 1)
            whole[~mask] = x.flatten(0, 1)
            x = whole
        if self.rope_base is None:
            embedding = self.dec_pos_embed.to(x.dtype)
            x, y = x + embedding, y + embedding
        rotation1, rotation2 = (self.decoder_rotation(p, x.dtype) for p in (positions1, positions2))
        for block in self.dec_blocks:
            x = block(x, y, rotation1, rotation2)
        return self.dec_norm(x)

    def forward(self, img1: torch.Tensor, img2: torch.Tensor, mask: torch.Tensor | None = None
                ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Predicts the patches of img1 from a tenth of them and from img2.

        img1, img2 (B, 3, H, W). mask (B, P) bool, True where masked, the same number in each row; drawn at random when
        not given. Returns prediction (B, P, 768), mask, and target (B, P, 768), the patches of img1. ValueError for
        bad images or masks.
        """
        dtype = self.mask_token.dtype
        img1, img2 = check_images(img1, "img1", dtype), check_images(img2, "img2", dtype)
        if self.rope_base is None:
            for name, image in (("img1", img1), ("img2", img2)):
                if tuple(image.shape[-2:]) != self.img_size:
                    raise ValueError(f"{name} is {tuple(image.shape[-2:])}, but cosine positions are for {self.img_size}")
        patches = img1.shape[-2] * img1.shape[-1] // PATCH ** 2
        if mask is None:
            mask = self.random_mask(len(img1), patches)
        if mask.dtype != torch.bool or mask.shape != (len(img1), patches) or len(mask.sum(1).unique()) != 1:
            raise ValueError(f"mask: expected bool ({len(img1)}, {patches}) with as many True in each row, "
                             f"got {mask.dtype} {tuple(mask.shape)}")
        tokens1, positions1 = self.encode(img1, mask)
        tokens2, positions2 = self.encode(img2)
        decoded = self.decode(tokens1, mask, positions1, tokens2, positions2)
        return self.prediction_head(decoded), mask, patchify(img1)


def patchify(image: torch.Tensor) -> torch.Tensor:
    """(B, 3, H, W) -> (B, P, 768): the values of each patch in order row, column, channel."""
    b, c, height, width = image.shape
    x = image.reshape(b, c, height // PATCH, PATCH, width // PATCH, PATCH)
    return x.permute(0, 2, 4, 3, 5, 1).reshape(b, -1, PATCH * PATCH * c)


def unpatchify(patches: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """The inverse of `patchify`: (B, P, 768) -> (B, 3, height, width)."""
    x = patches.reshape(len(patches), height // PATCH, width // PATCH, PATCH, PATCH, 3)
    return x.permute(0, 5, 1, 3, 2, 4).reshape(len(patches), 3, height, width)


def patch_statistics(target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation (B, P, 1) of each patch of target (B, P, 768); unbiased, with a floor of 1e-3."""
    return target.mean(-1, keepdim=True), (target.var(-1, keepdim=True) + 1e-6).sqrt()


def completion_loss(prediction: torch.Tensor, mask: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean squared error over the masked patches, against patches normalised by their own statistics. A scalar."""
    mean, std = patch_statistics(target)
    return ((prediction - (target - mean) / std) ** 2).mean(-1)[mask].mean()


def reconstruct(prediction: torch.Tensor, target: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Image (B, 3, height, width) from a prediction, with the statistics of the target's patches."""
    mean, std = patch_statistics(target)
    return unpatchify(prediction * std + mean, height, width)
