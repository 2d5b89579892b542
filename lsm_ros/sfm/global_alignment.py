# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Cameras and depth of an image set from pairwise pointmaps, by gradient descent (DUSt3R, CVPR 2024, section 3.4)."""
from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from lsm_ros.geometry.pointmap_focal import pixel_grid
from lsm_ros.sfm.dense import clean
from lsm_ros.sfm.pair_set import PairSet
from lsm_ros.sfm.poses import parameters_of, poses_of

BASE_SCALE = 0.5
FOCAL_STEP = 20.0  # focal lengths are kept as 20 ln(f), so that a step changes them little
CENTRE_STEP = 10.0
LOWEST_RATE = 1e-6


class GlobalAlignment(nn.Module):
    """World points of all images that explain all pairwise predictions, each up to a similarity of its own.

    The unknowns: pose, focal length and depth of each image, a scaled pose of each pair. pairs: at least one. known poses
    (n, 4, 4) to the world and focals (n,) in pixels stay as they are. seed: of the depth before it is initialised.
    """

    def __init__(self, pairs: PairSet, *, poses: np.ndarray | None = None, focals: Sequence[float] | None = None,
                 seed: int = 0) -> None:
        super().__init__()
        self.pairs, self.sizes = pairs, pairs.sizes
        n, device = len(self.sizes), pairs.conf_i[0].device
        if (poses is None) != (focals is None):
            raise ValueError("known poses and known focal lengths come together")
        if poses is not None and (np.shape(poses) != (n, 4, 4) or len(focals) != n):
            raise ValueError(f"{n} images need poses ({n}, 4, 4) and {n} focal lengths, got {np.shape(poses)}, {len(focals)}")
        self.known = poses is not None
        self.area = max(h * w for h, w in self.sizes)
        generator = torch.Generator().manual_seed(seed)
        start = [FOCAL_STEP * math.log(max(s)) for s in self.sizes] if focals is None else \
            [FOCAL_STEP * math.log(f) for f in focals]
        identity = torch.tensor([0.0, 0, 0, 1, 0, 0, 0])
        own = identity.repeat(n, 1) if poses is None else torch.stack([parameters_of(np.asarray(p, float)) for p in poses])
        self.im_poses = nn.Parameter(own.to(device), requires_grad=not self.known)
        self.im_focals = nn.Parameter(torch.tensor(start, device=device)[:, None], requires_grad=not self.known)
        self.im_pp = nn.Parameter(torch.zeros(n, 2, device=device), requires_grad=False)
        self.im_depthmaps = nn.Parameter((torch.randn(n, self.area, generator=generator) / 10 - 3).to(device))
        self.pw_poses = nn.Parameter(torch.cat([identity, torch.zeros(1)]).repeat(len(pairs.edges), 1).to(device))
        self._prepare(device)

    def _prepare(self, device: torch.device) -> None:
        def padded(parts: Sequence[torch.Tensor]) -> torch.Tensor:
            flat = [p.reshape(p.shape[0] * p.shape[1], -1).to(device) for p in parts]
            return torch.stack([nn.functional.pad(f, (0, 0, 0, self.area - len(f))) for f in flat])

        self.register_buffer("pred_i", padded(self.pairs.points_i), persistent=False)
        self.register_buffer("pred_j", padded(self.pairs.points_j), persistent=False)
        for name, conf in (("weight_i", self.pairs.conf_i), ("weight_j", self.pairs.conf_j)):
            self.register_buffer(name, padded([c.log() for c in conf])[..., 0], persistent=False)
        self.register_buffer("pixels", padded([pixel_grid(*s) for s in self.sizes]), persistent=False)
        self.register_buffer("edge", torch.from_numpy(self.pairs.edges).to(device), persistent=False)
        centre = torch.tensor([[w / 2, h / 2] for h, w in self.sizes], device=device)
        self.register_buffer("middle", centre, persistent=False)
        pixels = torch.tensor([h * w for h, w in self.sizes], device=device)
        self.register_buffer("total", pixels[self.edge].sum(0).float(), persistent=False)

    @property
    def focals(self) -> torch.Tensor:
        """(n,) in pixels."""
        return (self.im_focals[:, 0] / FOCAL_STEP).exp()

    @property
    def centres(self) -> torch.Tensor:
        """(n, 2) principal points."""
        return self.middle + CENTRE_STEP * self.im_pp

    @property
    def poses(self) -> torch.Tensor:
        """(n, 4, 4) of the cameras in the world."""
        return poses_of(self.im_poses)

    @property
    def pair_scales(self) -> torch.Tensor:
        """(E,): their geometric mean is fixed, or the world could shrink to nothing; known poses fix it by themselves."""
        log = self.pw_poses[:, 7]
        return log.exp() if self.known else (log + math.log(BASE_SCALE) - log.mean()).exp()

    @property
    def pair_poses(self) -> torch.Tensor:
        """(E, 4, 4): scale times rotation and translation, from camera i of the pair to the world."""
        T = poses_of(self.pw_poses)
        scaled = T[:, :3] * self.pair_scales[:, None, None]
        return torch.cat([scaled, T[:, 3:]], 1)

    def depths(self) -> list[torch.Tensor]:
        """(H, W) along z of each image."""
        return [d[:h * w].view(h, w) for d, (h, w) in zip(self.im_depthmaps.exp(), self.sizes, strict=True)]

    def points(self) -> list[torch.Tensor]:
        """(H, W, 3) of each image in the world."""
        return [p[:h * w].view(h, w, 3) for p, (h, w) in zip(self._world(), self.sizes, strict=True)]

    def masks(self, min_confidence: float = 3.0) -> list[torch.Tensor]:
        """(H, W) bool of each image: pixels whose confidence is above the threshold."""
        return [c > min_confidence for c in self.pairs.image_confidence()]

    def _world(self) -> torch.Tensor:
        depth = self.im_depthmaps.exp()[..., None]
        ray = (self.pixels - self.centres[:, None]) / self.focals[:, None, None]
        T = self.poses
        return torch.cat([depth * ray, depth], -1) @ T[:, :3, :3].mT + T[:, None, :3, 3]

    def loss(self) -> torch.Tensor:
        """Mean distance, weighted by log confidence, between world points and the predictions of all pairs."""
        world, T = self._world(), self.pair_poses
        total = world.new_zeros(())
        for side, pred, weight in ((0, self.pred_i, self.weight_i), (1, self.pred_j, self.weight_j)):
            aligned = pred @ T[:, :3, :3].mT + T[:, None, :3, 3]
            distance = (world[self.edge[:, side]] - aligned).norm(dim=-1)
            total = total + (distance * weight).sum() / self.total[side]
        return total

    def optimise(self, iterations: int = 300, *, rate: float = 0.01, schedule: str = "cosine",
                 progress: Callable[[int, float], None] | None = None) -> float:
        """Adam with a falling rate; returns the loss before the last step. schedule: 'cosine' or 'linear'.

        progress(step, loss) is called before each step. ValueError for another schedule; FloatingPointError when the loss
        is not finite.
        """
        if schedule not in ("cosine", "linear") or iterations < 1:
            raise ValueError(f"schedule {schedule!r} with {iterations} iterations: expected 'cosine' or 'linear', at least 1")
        free = [p for p in self.parameters() if p.requires_grad]
        adam = torch.optim.Adam(free, lr=rate, betas=(0.9, 0.9))
        value = math.nan
        for step in range(iterations):
            t = step / iterations
            share = (1 + math.cos(math.pi * t)) / 2 if schedule == "cosine" else 1 - t
            for group in adam.param_groups:
                group["lr"] = LOWEST_RATE + (rate - LOWEST_RATE) * share
            adam.zero_grad()
            loss = self.loss()
            loss.backward()
            adam.step()
            value = float(loss.detach())
            if not math.isfinite(value):
                raise FloatingPointError(f"the loss of the alignment became {value} at step {step}")
            if progress is not None:
                progress(step, value)
        return value


def clean_confidence(alignment: GlobalAlignment, tolerance: float = 0.001) -> list[torch.Tensor]:
    """Confidence (H, W) of each image, 0 where a point hides a surface that another image sees with more confidence; see
    `lsm_ros.sfm.dense.clean`."""
    with torch.no_grad():
        return clean(alignment.points(), alignment.depths(), alignment.pairs.image_confidence(), alignment.poses,
                     alignment.focals, alignment.centres, tolerance=tolerance)
