# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""One pointmap of an image from all pairs that it takes part in (MASt3R-SfM, Duisterhof et al., 2024, section 3.3)."""
from __future__ import annotations

from dataclasses import dataclass

import torch

from lsm_ros.geometry.pointmap_focal import estimate_focal

BLOCK = 8  # pixels; the depth of a block is one number, its pixels follow that of the centre
CENTRE = BLOCK // 2
FOCAL_RANGE = (0.5, 3.5)  # of the focal length that sees 60 degrees
_LEAST = 0.999  # of a confidence, which is 1 at least


@dataclass(frozen=True)
class Canonical:
    """An image's own geometry.

    points: (H, W, 3) in its camera. ratio: (H, W), the depth of a pixel divided by that of its block's centre, as the surface
    bends. confidence: (H, W). focal: in pixels, with the principal point in the middle.
    """

    points: torch.Tensor
    ratio: torch.Tensor
    confidence: torch.Tensor
    focal: float

    @property
    def core_depth(self) -> torch.Tensor:
        """(H/8, W/8) depth of the blocks' centres."""
        return self.points[CENTRE::BLOCK, CENTRE::BLOCK, 2]


class CanonicalSum:
    """Sums of one image's pointmaps in its own camera, from which its canonical one is made.

    partners: the images of the pairs that are in it.
    """

    FIELDS = ("points", "weight", "square", "angle", "reach")

    def __init__(self, height: int, width: int) -> None:
        if height % BLOCK or width % BLOCK:
            raise ValueError(f"an image of {width}x{height} pixels is not made of whole blocks of {BLOCK}")
        self.partners: list[int] = []
        self.points = torch.zeros(height, width, 3)
        self.weight, self.square, self.angle, self.reach = (torch.zeros(height, width) for _ in range(4))

    def add(self, partner: int, points: torch.Tensor, confidence: torch.Tensor) -> None:
        """Adds the prediction with one partner: points (H, W, 3) in the own camera, confidence (H, W) of 1 and more."""
        if points.shape != self.points.shape or confidence.shape != self.weight.shape:
            raise ValueError(f"points {tuple(points.shape)} and confidence {tuple(confidence.shape)} do not fit an image of "
                             f"{tuple(self.weight.shape)}")
        weight = (confidence - _LEAST).clamp(min=0)
        centre = spread(points[CENTRE::BLOCK, CENTRE::BLOCK])
        reach = (points[..., :2] - centre[..., :2]).norm(dim=-1).clamp(min=1e-8)
        self.points += weight[..., None] * points
        self.weight += weight
        self.square += weight * weight
        self.angle += weight * torch.arctan((points[..., 2] - centre[..., 2]) / reach)
        self.reach += reach
        self.partners.append(partner)

    def result(self) -> Canonical:
        """The canonical pointmap. ValueError without a prediction, or when none has any confidence or implies a camera."""
        weight = self.weight[..., None]
        if not self.partners or not bool((weight > 0).all()):
            raise ValueError("no prediction has any confidence in some pixel")
        points = self.points / weight
        height, width = self.weight.shape
        focal = float(estimate_focal(points[None], torch.tensor([[width / 2, height / 2]]), lowest=FOCAL_RANGE[0],
                                     highest=FOCAL_RANGE[1]))
        if not focal > 0 or not bool((points[CENTRE::BLOCK, CENTRE::BLOCK, 2] > 0).any()):
            raise ValueError("the predicted points do not lie in front of a camera")
        depth = spread(points[CENTRE::BLOCK, CENTRE::BLOCK, 2:])[..., 0]
        bend = self.reach / len(self.partners) * torch.tan(self.angle / self.weight)
        ratio = 1 + (bend / depth).nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)  # a block at the camera itself bends nowhere
        return Canonical(points, ratio, self.square / self.weight, focal)


def spread(blocks: torch.Tensor) -> torch.Tensor:
    """(H, W, C) from one value (H/8, W/8, C) for each block."""
    return blocks.repeat_interleave(BLOCK, 0).repeat_interleave(BLOCK, 1)
