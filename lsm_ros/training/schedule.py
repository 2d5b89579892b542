# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Learning rate, optimiser and averaged weights."""
from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import nn

from lsm_ros.training.config import OptimConfig


def learning_rate(config: OptimConfig, step: int, since_start: int) -> float:
    """Rate of step 0 <= step < config.steps: a cosine from lr to min_lr, times a linear rise over the first `warmup` steps
    since the optimiser was made."""
    share = min(step / max(1, config.steps - 1), 1.0)
    cosine = config.min_lr + (config.lr - config.min_lr) * (1 + math.cos(math.pi * share)) / 2
    return cosine * min(1.0, (since_start + 1) / (config.warmup + 1))


def make_optimizer(model: nn.Module, config: OptimConfig) -> torch.optim.AdamW:
    """AdamW on what is to be trained; vectors (biases, norms) and the mask token do not decay."""
    trained = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    decayed = [p for n, p in trained if p.ndim > 1 and n != "mask_token"]
    others = [p for n, p in trained if p.ndim <= 1 or n == "mask_token"]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    has_fused = all(p.is_cuda for _, p in trained) or tuple(map(int, torch.__version__.split(".")[:2])) >= (2, 4)  # on a CPU
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=config.lr, betas=tuple(config.betas), fused=has_fused)


class WeightAverage:
    """Exponential moving average of all floating point tensors of a state dict; others are as they are last."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay, self.updates = decay, 0
        copies: dict[int, torch.Tensor] = {}  # a weight with two names is averaged once
        self.state = {k: copies.setdefault(v.data_ptr(), v.detach().clone()) for k, v in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Takes the model's weights in; the first ones count more."""
        self.updates += 1
        keep = min(self.decay, self.updates / (self.updates + 10))
        done: set[int] = set()
        for key, value in model.state_dict().items():
            mean = self.state[key]
            if mean.data_ptr() in done:
                continue
            done.add(mean.data_ptr())
            if value.is_floating_point():
                mean.lerp_(value.detach(), 1 - keep)
            else:
                mean.copy_(value)

    def load(self, state: Mapping[str, torch.Tensor], updates: int) -> None:
        """Goes on from an average; the tensors are copied."""
        for key, value in self.state.items():
            value.copy_(state[key])
        self.updates = updates
