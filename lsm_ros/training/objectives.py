# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Objectives of a training: a loss, and its parts by name."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from lsm_ros.models.croco import completion_loss
from lsm_ros.semantics.codec import TextCodec
from lsm_ros.training.config import LossConfig, TrainConfig
from lsm_ros.training.data import generator_for, network_images, true_matches, truth
from lsm_ros.training.language import ClassTargets
from lsm_ros.training.losses import average_distance, confident, regression
from lsm_ros.training.matching_losses import confident_matches, info_nce
from lsm_ros.training.rendering_losses import picture_losses
from lsm_sim.sampler import PairBatch

View = Mapping[str, torch.Tensor]
Parts = dict[str, torch.Tensor]


class Objective(Protocol):
    """Computes the loss of a batch. `number`: of the batch, the seed of all random draws."""

    def __call__(self, model: nn.Module, batch: PairBatch, number: int) -> tuple[torch.Tensor, Parts]:
        """The loss, a scalar, and its parts, scalars without gradient."""
        ...


class Completion:
    """CroCo: the masked patches of image 1 from the others and from image 2. Images from -1 to 1, as the networks that start
    from these weights see them."""

    def __init__(self, config: TrainConfig) -> None:
        self.seed = config.seed

    def __call__(self, model: nn.Module, batch: PairBatch, number: int) -> tuple[torch.Tensor, Parts]:
        """The mean squared error of normalised patches."""
        image1, image2 = network_images(batch)
        tokens = image1.shape[-2] * image1.shape[-1] // 256
        noise = torch.rand(len(image1), tokens, generator=generator_for(self.seed, number, 1))
        mask = (noise.argsort(1) < int(model.mask_ratio * tokens)).to(image1.device)
        prediction, mask, target = model(image1, image2, mask)
        loss = completion_loss(prediction.float(), mask, target.float())
        return loss, {"completion": loss.detach()}


class Pairs:
    """Points with confidence, descriptors and language features, as far as the network gives them and the weights say.

    codec: the language targets; None trains without.
    """

    def __init__(self, config: TrainConfig, codec: TextCodec | None, device: torch.device) -> None:
        self.config, self.seed = config.loss, config.seed
        self.targets = None if codec is None else ClassTargets(codec, device)

    def __call__(self, model: nn.Module, batch: PairBatch, number: int) -> tuple[torch.Tensor, Parts]:
        """The weighted sum of the parts."""
        return self.of_views(model(*network_images(batch)), batch, number, model)

    def of_views(self, views: tuple[View, View], batch: PairBatch, number: int, model: nn.Module | None = None
                 ) -> tuple[torch.Tensor, Parts]:
        """The loss of predictions (view 1, view 2) for the pairs of a batch; always computed in float32. model: that made them;
        without it the features of Gaussians are not compared."""
        with torch.autocast(batch.points1.device.type, enabled=False):
            return self._of_views(*views, batch, number, model)

    def _of_views(self, view1: View, view2: View, batch: PairBatch, number: int, model: nn.Module | None
                  ) -> tuple[torch.Tensor, Parts]:
        c = self.config
        losses: Parts = {}
        if c.points:
            losses["points"] = c.points * points_loss(view1, view2, batch, c)
        if c.scale and not c.metric:
            losses["scale"] = c.scale * scale_loss(view1, view2, batch)
        if c.matching and "desc" in view1:
            losses["matching"] = c.matching * matching_loss(view1, view2, batch, c, generator_for(self.seed, number, 2))
        if c.language and self.targets is not None and "features" in view1:
            for n, (view, labels) in enumerate(((view1, batch.labels1), (view2, batch.labels2)), 1):
                losses[f"language{n}"] = c.language / 2 * language_loss(view["features"], labels, self.targets, c)
        if (c.image or c.feature) and "gs_feats" in view1:
            drawn = picture_losses(view1, view2, batch, model if c.feature else None)
            losses |= {name: getattr(c, name) * loss for name, loss in drawn.items() if getattr(c, name)}
        if not losses:
            raise ValueError("nothing to train: every part of the loss has weight 0, or the network does not give it")
        return torch.stack(list(losses.values())).sum(), {k: v.detach() for k, v in losses.items()}


def points_loss(view1: View, view2: View, batch: PairBatch, config: LossConfig) -> torch.Tensor:
    """DUSt3R's confident regression of both views' points; metric where config says so."""
    found = regression(*truth(batch), view1, view2, norm_mode="?avg_dis" if config.metric else "avg_dis")
    return confident(found, view1["conf"], view2["conf"], config.alpha)


def scale_loss(view1: View, view2: View, batch: PairBatch) -> torch.Tensor:
    """Mean of |log(predicted / true mean distance)| over the pairs that have valid pixels."""
    masks = batch.valid1, batch.valid2
    found = average_distance(view1["pts3d"], view2["pts3d_in_other_view"], *masks)
    true = average_distance(batch.points1, batch.points2, *masks)
    known = (masks[0] | masks[1]).flatten(1).any(1)
    return (found / true).log().abs().sum() / known.sum().clamp(min=1)  # without a valid pixel both are equally tiny


def matching_loss(view1: View, view2: View, batch: PairBatch, config: LossConfig, generator: torch.Generator) -> torch.Tensor:
    """MASt3R's confident contrastive loss of the descriptors at true matches."""
    pixels1, pixels2, valid = true_matches(batch, config.matches, generator)
    loss = info_nce(view1["desc"], view2["desc"], pixels1, pixels2, valid)
    return confident_matches(loss, view1["desc_conf"], view2["desc_conf"], pixels1, pixels2, valid)


def coarse_labels(labels: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """(B, rows, columns): the label in the middle of each cell of labels (B, H, W)."""
    height, width = labels.shape[1:]
    y = (torch.arange(rows, device=labels.device) * 2 + 1) * height // (2 * rows)
    x = (torch.arange(columns, device=labels.device) * 2 + 1) * width // (2 * columns)
    return labels[:, y[:, None], x[None]]


def language_loss(features: torch.Tensor, labels: torch.Tensor, targets: ClassTargets, config: LossConfig) -> torch.Tensor:
    """Cosine distance of features (B, h, w, C) to the text of their class, and the contrast to the other classes' texts."""
    rows = targets.rows(coarse_labels(labels, *features.shape[1:3]))
    known = rows >= 0
    if not bool(known.any()):
        return features.sum() * 0
    similarity = features[known] @ targets.vectors.T
    right = rows[known]
    distance = 1 - similarity.gather(1, right[:, None]).mean()
    return distance + config.language_contrast * cross_entropy(similarity / config.language_temperature, right)


def make_objective(config: TrainConfig, codec: TextCodec | None, device: torch.device) -> Objective:
    """The objective that the config names."""
    return Completion(config) if config.objective == "completion" else Pairs(config, codec, device)
