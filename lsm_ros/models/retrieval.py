# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Similarity of images from encoder tokens: local features and a binary aggregated selective match kernel (ASMK).

Tolias, Avrithis, Jegou, ICCV 2013; Duisterhof et al., MASt3R-SfM, 2024.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from lsm_ros.models.blocks import NORM_EPS
from lsm_ros.models.tensor_files import read_pickle

ALPHA, LEAST_SIMILARITY, QUERY_WORDS = 3.0, 0.0, 5


class Whitening(nn.Module):
    """(x - m) p in float64; m (1, D), p (D, D')."""

    def __init__(self, dim: int, out: int | None = None) -> None:
        super().__init__()
        self.register_buffer("m", torch.zeros(1, dim, dtype=torch.float64))
        self.register_buffer("p", torch.eye(dim, out or dim, dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., D) -> (..., D') in the dtype of x."""
        return ((x.double() - self.m) @ self.p).to(x.dtype)


class LocalFeatures(nn.Module):
    """Features of image patches from encoder tokens, and the attention of each.

    dim: of the tokens. hidden: widths of the projector's layers; none: there is no projector. residual: its input is added
    to its output. prewhiten, postwhiten: dimensions that come out, or None without.
    """

    def __init__(self, dim: int, *, hidden: Sequence[int] = (), residual: bool = False, prewhiten: bool = True,
                 postwhiten: int | None = None, count: int = 300) -> None:
        super().__init__()
        if residual and hidden and hidden[-1] != dim:
            raise ValueError(f"a residual projector gives {dim} channels, not {hidden[-1]}")
        self.residual, self.count = residual, count
        self.prewhiten = Whitening(dim) if prewhiten else nn.Identity()
        layers: list[nn.Module] = []
        width = dim
        for n, out in enumerate(hidden):
            layers.append(nn.Linear(width, out))
            width = out
            if n < len(hidden) - 1:
                layers += [nn.LayerNorm(out, eps=NORM_EPS), nn.GELU()]
        self.projector = nn.Sequential(*layers)
        self.postwhiten = nn.Identity() if postwhiten is None else Whitening(width, postwhiten)

    def forward(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """tokens (B, N, D) -> features (B, N, D') and attention (B, N), their length before the last whitening."""
        x = self.prewhiten(tokens)
        features = self.projector(x)
        if self.residual:
            features = features + x
        return self.postwhiten(features), features.norm(dim=-1)

    def strongest(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The `count` features (B, K, D') with most attention, their attention (B, K) and indices (B, K)."""
        features, attention = self(tokens)
        best, index = attention.topk(min(self.count, attention.shape[1]), dim=1)
        return features.gather(1, index[..., None].expand(-1, -1, features.shape[2])), best, index


def global_feature(features: torch.Tensor, attention: torch.Tensor) -> torch.Tensor:
    """(B, D) of unit length: the sum of features (B, N, D) times attention (B, N)."""
    return nn.functional.normalize((features * attention[..., None]).sum(1), dim=-1)


def pca_whitening(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (1, D) and projection (D, D) that whiten x (N, D); columns by falling variance, covariance over N."""
    mean = x.mean(0, keepdims=True)
    centred = x - mean
    values, vectors = np.linalg.eigh(centred.T @ centred / len(x))
    return mean, (vectors / np.sqrt(values))[:, ::-1]


def load_local_features(path: str | Path) -> LocalFeatures:
    """The retrieval head of an official checkpoint (`..._retrieval_trainingfree.pth`); the backbone is loaded apart.

    ValueError when the file is damaged, or when its keys are not those of a retrieval head.
    """
    content = read_pickle(Path(path))
    state, args = content.get("model"), content.get("args")
    if not isinstance(state, Mapping) or args is None:
        raise ValueError(f"{path} is no checkpoint of a retrieval model: it has {', '.join(map(str, content))}")
    options = vars(args)
    state = {k: v for k, v in state.items() if not k.startswith("backbone.")}
    widths = [int(v.shape[0]) for k, v in state.items() if k.startswith("projector.") and v.ndim == 2]
    hdims = str(options.get("hdims", ""))
    if [int(h) for h in hdims.split("_") if h] != widths:
        raise ValueError(f"{path}: its arguments name a projector {hdims!r}, its weights have widths {widths}")
    if "prewhiten.m" not in state and not widths:
        raise ValueError(f"{path} is no checkpoint of a retrieval model: it has {', '.join(list(state)[:5])}")
    dim = state["prewhiten.m"].shape[-1] if "prewhiten.m" in state else \
        next(v for k, v in state.items() if k.startswith("projector.") and v.ndim == 2).shape[1]
    post = state["postwhiten.p"].shape[1] if "postwhiten.p" in state else None
    model = LocalFeatures(dim, hidden=widths, residual=bool(options.get("residual")), prewhiten="prewhiten.m" in state,
                          postwhiten=post, count=int(options.get("nfeat") or 300))
    missing, unexpected = model.load_state_dict(state, strict=False)
    if missing or unexpected:
        raise ValueError(f"{path} does not fit: keys missing {sorted(missing)}, unexpected {sorted(unexpected)}")
    return model.eval()


@dataclass(frozen=True)
class VisualWords:
    """An image as visual words: their numbers (W,) and the signs of the residual sums (W, D) as +-1."""

    words: np.ndarray
    signs: np.ndarray

    def pack(self) -> np.ndarray:
        """(W, 4 + ceil(D / 8)) uint8."""
        words = self.words.astype("<u4").view(np.uint8).reshape(-1, 4)
        return np.concatenate([words, np.packbits(self.signs > 0, axis=1)], 1)

    @staticmethod
    def unpack(packed: np.ndarray, dim: int) -> VisualWords:
        """Inverse of `pack` for signs with `dim` columns."""
        words = np.ascontiguousarray(packed[:, :4]).view("<u4")[:, 0].astype(np.int64)
        return VisualWords(words, np.where(np.unpackbits(packed[:, 4:], axis=1, count=dim) > 0, 1, -1).astype(np.int8))


class AsmkDatabase:
    """Images by their visual words. centroids (W, D) are the codebook."""

    def __init__(self, centroids: np.ndarray) -> None:
        self.centroids = np.ascontiguousarray(centroids, np.float32)
        if self.centroids.ndim != 2 or not len(self.centroids):
            raise ValueError(f"a codebook has shape (W, D), got {self.centroids.shape}")
        self.images: list[VisualWords] = []
        self._by_word: dict[int, list[tuple[int, np.ndarray]]] = {}

    def add(self, features: np.ndarray) -> int:
        """Adds an image by its local features (K, D) and returns its number."""
        return self.add_words(self.words_of(features))

    def words_of(self, features: np.ndarray) -> VisualWords:
        """An image by its local features (K, D), as it is kept."""
        return self._aggregate(features, 1)

    def add_words(self, image: VisualWords) -> int:
        """Adds an image by its words and returns its number."""
        self.images.append(image)
        for word, signs in zip(image.words, image.signs, strict=True):
            self._by_word.setdefault(int(word), []).append((len(self.images) - 1, signs))
        return len(self.images) - 1

    def query(self, features: np.ndarray) -> np.ndarray:
        """(images,) float64 scores of all images for local features (K, D)."""
        return self.query_words(self._aggregate(features, QUERY_WORDS))

    def query_words(self, asked: VisualWords) -> np.ndarray:
        """(images,) float64 scores of all images for the words of one."""
        scores = np.zeros(len(self.images))
        for word, signs in zip(asked.words, asked.signs, strict=True):
            entries = self._by_word.get(int(word))
            if entries:
                numbers = np.array([n for n, _ in entries])
                similarity = np.stack([s for _, s in entries]).astype(np.float32) @ signs / self.centroids.shape[1]
                scores[numbers] += np.where(similarity >= LEAST_SIMILARITY, similarity, 0.0) ** ALPHA
        norms = np.sqrt([len(i.words) for i in self.images])
        return scores / norms / np.sqrt(len(asked.words)) if len(self.images) else scores

    def _aggregate(self, features: np.ndarray, assignments: int) -> VisualWords:
        features = np.asarray(features, np.float32)
        if features.ndim != 2 or features.shape[1] != self.centroids.shape[1] or not len(features):
            raise ValueError(f"expected features (K, {self.centroids.shape[1]}), got {features.shape}")
        squared = (self.centroids ** 2).sum(1)[None] - 2 * features @ self.centroids.T
        count = min(assignments, len(self.centroids))
        near = np.argpartition(squared, count - 1, axis=1)[:, :count] if count > 1 else squared.argmin(1)[:, None]
        words, inverse = np.unique(near, return_inverse=True)
        residuals = (features[:, None] - self.centroids[near]).reshape(-1, features.shape[1])
        sums = np.zeros((len(words), features.shape[1]), np.float32)
        np.add.at(sums, inverse.reshape(-1), residuals)
        return VisualWords(words, np.where(sums > 0, 1, -1).astype(np.int8))


def similarity_matrix(features: Sequence[np.ndarray], centroids: np.ndarray) -> np.ndarray:
    """(N, N) scores of all images against all; row: the query."""
    database = AsmkDatabase(centroids)
    for f in features:
        database.add(f)
    return np.stack([database.query(f) for f in features])


def load_codebook(path: str | Path) -> np.ndarray:
    """Centroids (W, D) float32 from an official codebook .pkl; only arrays in it are read. ValueError if there are none."""
    from lsm_ros.models.codebook import read_arrays

    state: Any = read_arrays(Path(path))
    while isinstance(state, Mapping) and "centroids" not in state:
        inner = state.get("codebook", state.get("state"))
        if inner is None or inner is state:
            break
        state = inner
    centroids = state.get("centroids") if isinstance(state, Mapping) else None
    if not isinstance(centroids, np.ndarray) or centroids.ndim != 2:
        raise ValueError(f"{path} holds no codebook: there are no centroids (W, D) in it")
    return np.asarray(centroids).astype(np.float32)
