# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Predictions of both orders of a pair, and the matches in them."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol
from zlib import crc32

import numpy as np
import torch
from scipy.spatial import cKDTree

from lsm_ros.geometry import CameraIntrinsics
from lsm_ros.models.preprocess import Crop
from lsm_ros.pairs.network import NetworkPairModel
from lsm_ros.pairs.reciprocal import converged, merge_matches, symmetric_matches
from lsm_ros.sfm.model import SetImage
from lsm_ros.types import Frame

STRIDE = 8  # pixels from match to match
APART = 0.05  # of the depth: points that are farther apart are not the same, though nobody is nearer


@dataclass(frozen=True)
class SymmetricPrediction:
    """A pair (i, j) in both cameras, float32 on the CPU.

    own: points (H, W, 3) of i in camera i and of j in camera j; other: of i in camera j and of j in camera i; own_conf,
    other_conf: (H, W) of each, 1 at least. Matches: pixels_i, pixels_j (N, 2) int64 as (x, y), confidence (N,).
    """

    own: tuple[torch.Tensor, torch.Tensor]
    other: tuple[torch.Tensor, torch.Tensor]
    own_conf: tuple[torch.Tensor, torch.Tensor]
    other_conf: tuple[torch.Tensor, torch.Tensor]
    pixels_i: torch.Tensor
    pixels_j: torch.Tensor
    confidence: torch.Tensor


class PairPredictor(Protocol):
    """Predicts pairs of an image set. crops: how pixels of each image became those of predictions. is_metric: points are in
    metres. identity: predictions of another identity are others."""

    crops: Sequence[Crop]
    is_metric: bool
    identity: str

    def likeness(self) -> np.ndarray:
        """(N, N) similarity of the images, greater for those that are more alike."""
        ...

    def predict(self, i: int, j: int) -> SymmetricPrediction:
        """Both orders of a pair."""
        ...


class NetworkPredictor:
    """Predictions of a network; each image is encoded once, and its tokens stay in memory (1.6 MB for 512 x 384 pixels).

    done(count): called after each image.
    """

    def __init__(self, model: NetworkPairModel, images: Sequence[SetImage],
                 done: Callable[[int], None] = lambda count: None) -> None:
        self.model, self.is_metric = model, model.is_metric
        self._tokens, contents = [], []
        for n, image in enumerate(images):
            pixels = image.load()
            contents.append(crc32(pixels.tobytes()))
            self._tokens += model.encode([Frame(n, "camera", pixels)])
            done(n)
        self.identity = f"{model.name} {model.config.weights} {model.dtype} {contents}"
        self.crops = [t.crop for t in self._tokens]

    def likeness(self) -> np.ndarray:
        """(N, N) similarity by what the network's tokens say."""
        signatures = tuple(self.model.signature([t]) for t in self._tokens)
        found = np.stack([self.model.alike([t], signatures) for t in self._tokens])
        return np.nan_to_num(found, nan=-1.0, neginf=-1.0)

    def predict(self, i: int, j: int) -> SymmetricPrediction:
        """Both orders of a pair, in one batch where both images have one size."""
        a, b = self._tokens[i], self._tokens[j]
        forth, back = self.model.predict([(a, b), (b, a)])
        own, other = (forth.points_a, back.points_a), (back.points_b, forth.points_b)
        own_conf, other_conf = (forth.conf_a, back.conf_a), (back.conf_b, forth.conf_b)
        if forth.desc_a is not None:
            desc = [d.float() for d in (forth.desc_a, forth.desc_b, back.desc_a, back.desc_b)]
            sure = [c.float() for c in (forth.desc_conf_a, forth.desc_conf_b, back.desc_conf_a, back.desc_conf_b)]
            matches = symmetric_matches(desc, sure, STRIDE)
        else:
            matches = point_matches(own, other, own_conf, other_conf)
        return SymmetricPrediction(*(tuple(x.float().cpu() for x in pair) for pair in (own, other, own_conf, other_conf)),
                                   *(m.cpu() for m in matches))


def point_matches(own: Sequence[torch.Tensor], other: Sequence[torch.Tensor], own_conf: Sequence[torch.Tensor],
                  other_conf: Sequence[torch.Tensor], stride: int = STRIDE) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pixels (N, 2) of images i and j whose points lie at one place in the one camera or the other, and their confidence (N,),
    for networks without descriptors. Arguments as in `SymmetricPrediction`."""
    own, other, own_conf, other_conf = ([x.float().cpu() for x in pair] for pair in (own, other, own_conf, other_conf))
    found = []
    for a, b, qa, qb in ((own[0], other[1], own_conf[0], other_conf[1]), (other[0], own[1], other_conf[0], own_conf[1])):
        search = _PointSearch(a, b)
        for forward in (True, False):
            xy_a, xy_b = search.matches(stride, forward)
            weight = (qa[xy_a[:, 1], xy_a[:, 0]] * qb[xy_b[:, 1], xy_b[:, 0]]).sqrt()
            found.append((xy_a, xy_b, weight))
    return merge_matches(*(torch.cat(parts) for parts in zip(*found, strict=True)), own[0].shape[:2], own[1].shape[:2])


class _PointSearch:
    """Nearest points of two pointmaps (H, W, 3) in one frame."""

    def __init__(self, points1: torch.Tensor, points2: torch.Tensor) -> None:
        self._shapes = [p.shape[:2] for p in (points1, points2)]
        self._flat = [np.nan_to_num(p.reshape(-1, 3).double().numpy(), nan=1e9) for p in (points1, points2)]
        self._trees = [cKDTree(f, compact_nodes=False, balanced_tree=False) for f in self._flat]

    def matches(self, stride: int, forward: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """Pixels (N, 2) of both that are each other's nearest, and near for their depth, from a grid in the first or second."""
        here, there = (0, 1) if forward else (1, 0)
        (height, width), other_width = self._shapes[here], self._shapes[there][1]
        y, x = np.meshgrid(np.arange(stride // 2, height, stride), np.arange(stride // 2, width, stride), indexing="ij")

        def hop(to: int, start: torch.Tensor) -> torch.Tensor:
            return torch.from_numpy(self._trees[to].query(self._flat[1 - to][start.numpy()])[1])

        first, second = converged(torch.from_numpy((y * width + x).ravel()), lambda i: hop(there, i), lambda i: hop(here, i))
        apart = np.linalg.norm(self._flat[here][first] - self._flat[there][second], axis=1)
        near = torch.from_numpy(apart < APART * np.abs(self._flat[here][first, 2]))
        pairs = torch.stack([first, second], 1)[near].unique(dim=0)
        ends = ((pairs[:, 0], width), (pairs[:, 1], other_width))
        mine, other = (torch.stack([index % w, index // w], 1) for index, w in ends)
        return (mine, other) if forward else (other, mine)


def camera_at(intrinsics: np.ndarray, crop: Crop) -> CameraIntrinsics:
    """The camera of an image from K (3, 3) of the network's crop of it."""
    (sx, sy), (width, height) = np.array(crop.source) / np.array(crop.resized), crop.source
    cx, cy = crop.to_image(intrinsics[:2, 2])
    return CameraIntrinsics(width, height, intrinsics[0, 0] * sx, intrinsics[1, 1] * sy, float(cx), float(cy))
