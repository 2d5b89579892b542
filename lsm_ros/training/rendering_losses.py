# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Losses on pictures of predicted Gaussians: colours and language features (Fan et al., Large Spatial Model, 2024)."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch.nn.functional import cosine_similarity

from lsm_ros.geometry.camera import CameraIntrinsics
from lsm_ros.models.splatting import colours_of, render
from lsm_sim.sampler import PairBatch

View = Mapping[str, torch.Tensor]
ROUNDS = 10
TINY = 1e-8
_FIELDS = ("means", "scales", "rotations", "opacities", "sh_coeffs", "gs_feats")


class Expands(Protocol):
    """A network whose Gaussians have semantic vectors."""

    def expanded(self, semantic: torch.Tensor) -> torch.Tensor:
        """(B, 512, H/2, W/2) from semantic vectors (B, C, H, W)."""
        ...

    def feature_target(self, image: torch.Tensor) -> torch.Tensor:
        """(B, 512, H/2, W/2) that they are taught, for images (B, 3, H, W) from 0 to 1."""
        ...


@torch.no_grad()
def camera_scale(predicted: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """The scale s that minimises the sum of |s * true - predicted| over points (N, 3): least squares, then Weiszfeld's steps;
    1 without points."""
    if not len(true):
        return true.new_ones(())
    weight = true.new_ones(len(true))
    scale = true.new_ones(())
    for _ in range(ROUNDS + 1):
        scale = (weight * (true * predicted).sum(1)).sum() / (weight * (true * true).sum(1)).sum().clamp(min=TINY)
        weight = 1 / (scale * true - predicted).norm(dim=1).clamp(min=TINY)
    return scale


def picture_losses(view1: View, view2: View, batch: PairBatch, network: Expands | None) -> dict[str, torch.Tensor]:
    """`image`: mean absolute difference between the images of both views and the pictures that the Gaussians of both give from
    their cameras; with a network also `feature`: 1 - cosine of the pictures' expanded vectors and those that it is taught.

    Means over pairs and views. The cameras are brought to the unit of the predicted points.
    """
    images, features = [], []
    for b in range(len(batch.image1)):
        cloud = [torch.cat([v[f][b].flatten(0, 1) for v in (view1, view2)]).float() for f in _FIELDS]
        means, scales, rotations, opacities, sh, semantic = cloud
        values = torch.cat([colours_of(sh), semantic], 1)
        for T, image in ((torch.eye(4, device=means.device), batch.image1[b]), (_second_camera(view1, view2, batch, b),
                                                                               batch.image2[b])):
            picture, _ = render(means, scales, rotations, opacities[:, 0], values, T, _camera(batch, b))
            images.append((picture[..., :3].permute(2, 0, 1) - image).abs().mean())
            if network is not None:
                got = network.expanded(picture[..., 3:].permute(2, 0, 1)[None])
                features.append(1 - cosine_similarity(got, network.feature_target(image[None]), dim=1).mean())
    found = {"image": torch.stack(images).mean()}
    return found | ({"feature": torch.stack(features).mean()} if features else {})


def _second_camera(view1: View, view2: View, batch: PairBatch, b: int) -> torch.Tensor:
    """T_2_1 (4, 4) in the unit of the predicted points."""
    masks = batch.valid1[b], batch.valid2[b]
    predicted = torch.cat([v[m] for v, m in zip((view1["means"][b], view2["means"][b]), masks, strict=True)])
    true = torch.cat([p[m] for p, m in zip((batch.points1[b], batch.points2[b]), masks, strict=True)])
    T = batch.T_1_2[b].float().clone()
    T[:3, 3] *= camera_scale(predicted, true)
    return torch.linalg.inv(T)


def _camera(batch: PairBatch, b: int) -> CameraIntrinsics:
    height, width = batch.image1.shape[-2:]
    return CameraIntrinsics.from_K(batch.K[b].tolist(), width, height)
