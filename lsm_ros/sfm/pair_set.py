# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Predictions of the pairs of an image set, and how a network makes them."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from lsm_ros.models.backbone import check_images
from lsm_ros.models.dust3r import as_view


@dataclass(frozen=True)
class PairSet:
    """Predictions of a network for pairs (i, j). Tensors are on one device.

    edges: (E, 2) int64. points_i, points_j: for each edge (Hi, Wi, 3) and (Hj, Wj, 3), both in camera i. conf_i, conf_j:
    (Hi, Wi) and (Hj, Wj), positive.
    """

    edges: np.ndarray
    points_i: tuple[torch.Tensor, ...]
    points_j: tuple[torch.Tensor, ...]
    conf_i: tuple[torch.Tensor, ...]
    conf_j: tuple[torch.Tensor, ...]

    def __post_init__(self) -> None:
        count = len(self.edges)
        if not count or any(len(x) != count for x in (self.points_i, self.points_j, self.conf_i, self.conf_j)):
            raise ValueError(f"{count} edges need as many predictions, at least one")
        sizes: dict[int, tuple[int, ...]] = {}
        for images, points, conf in zip(self.edges, zip(self.points_i, self.points_j, strict=True),
                                        zip(self.conf_i, self.conf_j, strict=True), strict=True):
            for image, p, c in zip(images, points, conf, strict=True):
                if p.shape != (*c.shape, 3) or sizes.setdefault(int(image), tuple(c.shape)) != tuple(c.shape):
                    raise ValueError(f"image {image}: sizes of its predictions differ: {tuple(p.shape)}, {tuple(c.shape)}, "
                                     f"{sizes.get(int(image))}")
        if sorted(sizes) != list(range(len(sizes))):
            raise ValueError(f"images are numbered from 0 without gaps, and each is in a pair; got {sorted(sizes)}")

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """(H, W) of each image."""
        found = {}
        for (i, j), a, b in zip(self.edges, self.conf_i, self.conf_j, strict=True):
            found[int(i)], found[int(j)] = tuple(a.shape), tuple(b.shape)
        return [found[n] for n in range(len(found))]

    def scores(self) -> np.ndarray:
        """(E,) mean confidence of image i times that of image j."""
        return np.array([float(a.mean() * b.mean()) for a, b in zip(self.conf_i, self.conf_j, strict=True)])

    def image_confidence(self) -> list[torch.Tensor]:
        """(H, W) of each image: the largest that any pair gave it, pixel by pixel."""
        found: dict[int, torch.Tensor] = {}
        for (i, j), a, b in zip(self.edges, self.conf_i, self.conf_j, strict=True):
            for n, c in ((int(i), a), (int(j), b)):
                found[n] = torch.maximum(found[n], c) if n in found else c.clone()
        return [found[n] for n in range(len(found))]

    def index(self, i: int, j: int) -> int:
        """Number of the edge (i, j). ValueError if there is none."""
        at = np.flatnonzero((self.edges == (i, j)).all(1))
        if not len(at):
            raise ValueError(f"there is no pair ({i}, {j})")
        return int(at[0])


@torch.no_grad()
def predict_pairs(model: Any, views: Sequence[Mapping[str, Any]], edges: np.ndarray, batch: int = 1) -> PairSet:
    """Predictions of a DUSt3R or MASt3R for pairs of view dicts; each image is encoded once.

    edges (E, 2) int64. Pairs of equal sizes go through the decoder `batch` at a time. ValueError for images that do not suit
    the network, for no edges, and for edges to images that are not there.
    """
    weights, edges = next(model.parameters()), np.asarray(edges)
    if edges.ndim != 2 or edges.shape[1] != 2 or not len(edges) or edges.min() < 0 or edges.max() >= len(views):
        raise ValueError(f"expected pairs (E, 2) of {len(views)} images, at least one, got {edges.tolist()[:5]}")
    images = [check_images(as_view(view, None)["img"].to(weights.device), f"image {n}", weights.dtype)
              for n, view in enumerate(views)]
    tokens = [model.encode(image) for image in images]
    sizes = [tuple(image.shape[-2:]) for image in images]
    found: list[tuple[torch.Tensor, ...]] = []
    step = batch if len(set(sizes)) == 1 else 1
    for start in range(0, len(edges), step):
        i, j = edges[start:start + step].T
        first, second = (tuple(torch.cat([tokens[n][k] for n in which]) for k in (0, 1)) for which in (i, j))
        a, b = model.predict(*first, sizes[i[0]], *second, sizes[j[0]])
        found += list(zip(a["pts3d"], b["pts3d_in_other_view"], a["conf"], b["conf"], strict=True))
    return PairSet(edges, *(tuple(x) for x in zip(*found, strict=True)))
