# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Losses on descriptors (MASt3R, Leroy et al., ECCV 2024, section 3.2)."""
from __future__ import annotations

import torch

ALPHA = 10.0


def at_matches(maps: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
    """Values (B, M, ...) of maps (B, H, W, ...) at pixels (B, M, 2), (x, y)."""
    sample = torch.arange(len(maps), device=maps.device)[:, None]
    return maps[sample, pixels[..., 1], pixels[..., 0]]


def info_nce(desc1: torch.Tensor, desc2: torch.Tensor, pixels1: torch.Tensor, pixels2: torch.Tensor, valid: torch.Tensor,
             temperature: float = 0.05) -> torch.Tensor:
    """(n,) contrastive loss of each valid match, over both ways.

    desc (B, H, W, D) of unit length; pixels (B, M, 2) of matches; valid (B, M). Every match of a sample, invalid ones too,
    is a negative for the others; ratios are cut below at 1e-8.
    """
    similarity = (at_matches(desc1, pixels1) @ at_matches(desc2, pixels2).mT / temperature).exp()
    positive = similarity.diagonal(dim1=1, dim2=2)
    loss = -sum((positive / similarity.sum(d)).clamp(min=1e-8).log() for d in (1, 2))
    return loss[valid]


def average_precision(desc1: torch.Tensor, desc2: torch.Tensor, pixels1: torch.Tensor, pixels2: torch.Tensor,
                      valid: torch.Tensor, negatives: int = 32) -> torch.Tensor:
    """(n,) 1/rank of the true match of each valid match of view 1; a measure, 1 is best.

    Candidates in view 2: all matches of the sample and the first `negatives` pixels in reading order that are no match. A
    rank has no gradient.
    """
    precisions = []
    height, width = desc2.shape[1:3]
    for b in range(len(desc1)):
        queries = at_matches(desc1[b:b + 1], pixels1[b:b + 1])[0]
        free = torch.ones(height * width, dtype=torch.bool, device=desc2.device)
        free[pixels2[b, :, 1] * width + pixels2[b, :, 0]] = False
        others = desc2[b].flatten(0, 1)[free.nonzero()[:negatives, 0]]
        candidates = torch.cat([at_matches(desc2[b:b + 1], pixels2[b:b + 1])[0], others])
        similarity = queries @ candidates.T
        own = similarity.diagonal()[:, None]
        rank = 1 + (similarity > own).sum(1)
        precisions.append((1 / rank.to(desc1.dtype))[valid[b]])
    return torch.cat(precisions)


def confident_matches(loss: torch.Tensor, conf1: torch.Tensor, conf2: torch.Tensor, pixels1: torch.Tensor,
                      pixels2: torch.Tensor, valid: torch.Tensor, alpha: float = ALPHA) -> torch.Tensor:
    """Mean of loss * c - alpha * log c over the valid matches; c is the mean of the two descriptors' confidences (B, H, W)."""
    c = ((at_matches(conf1, pixels1) + at_matches(conf2, pixels2)) / 2)[valid]
    return (loss * c - alpha * c.log()).mean() if len(loss) else loss.sum()
