# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Retrieval of images that show the same, by a network's tokens. An image is kept for that as an array, its signature."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from lsm_ros.models.retrieval import AsmkDatabase, LocalFeatures, VisualWords, load_codebook, load_local_features

HEAD, CODEBOOK = "_trainingfree.pth", "_codebook.pkl"


class Retrieval(Protocol):
    """Compares images by their tokens. tokens: (N, D) of each camera of a frame set; in their place `alike` takes their
    signature too."""

    def signature(self, tokens: Sequence[torch.Tensor]) -> np.ndarray:
        """Array that is kept of a frame set."""
        ...

    def alike(self, tokens: Sequence[torch.Tensor] | np.ndarray, signatures: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
        """(S,) similarity of a frame set to those with these signatures; nan for one of another kind."""
        ...


class MeanTokens:
    """Compares mean tokens. What they have in common is taken out, and roots keep single channels from outvoting the rest;
    nothing has to be trained."""

    def signature(self, tokens: Sequence[torch.Tensor]) -> np.ndarray:
        """(cameras * D,) float32."""
        return np.concatenate([t.float().mean(0).cpu().numpy() for t in tokens])

    def alike(self, tokens: Sequence[torch.Tensor] | np.ndarray, signatures: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
        """(S,) from -1 to 1."""
        return compare_means(tokens if isinstance(tokens, np.ndarray) else self.signature(tokens), signatures)


def compare_means(own: np.ndarray, others: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    """(S,) cosines of vectors, after their mean is taken out, between signed square roots; nan where the length differs."""
    fits = np.array([o.shape == own.shape for o in others], bool)
    scores = np.full(len(others), np.nan)
    if fits.any():
        rows = np.stack([own, *(o for o, f in zip(others, fits, strict=True) if f)]).astype(np.float64)
        rows -= rows.mean(0)
        rows = np.sign(rows) * np.sqrt(np.abs(rows))
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        scores[fits] = rows[1:] @ rows[0]
    return scores


class AsmkRetrieval:
    """Compares visual words (ASMK), with the retrieval head and the codebook that belong to a network."""

    def __init__(self, head: LocalFeatures, centroids: np.ndarray) -> None:
        self.head, self.centroids = head, centroids

    def _features(self, tokens: Sequence[torch.Tensor]) -> np.ndarray:
        with torch.inference_mode():
            return np.concatenate([self.head.strongest(t.float().cpu()[None])[0][0].numpy() for t in tokens])

    def signature(self, tokens: Sequence[torch.Tensor]) -> np.ndarray:
        """(W, 4 + ceil(D / 8)) uint8: words and signs."""
        return AsmkDatabase(self.centroids).words_of(self._features(tokens)).pack()

    def alike(self, tokens: Sequence[torch.Tensor] | np.ndarray, signatures: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
        """(S,) scores from 0 to 1. Tokens find more than their signature, which has one word a feature instead of several."""
        database, dim = AsmkDatabase(self.centroids), self.centroids.shape[1]
        fits = np.array([self._is_ours(s) for s in signatures], bool)
        for s, good in zip(signatures, fits, strict=True):
            if good:
                database.add_words(VisualWords.unpack(s, dim))
        scores = np.full(len(signatures), np.nan)
        if not isinstance(tokens, np.ndarray):
            scores[fits] = database.query(self._features(tokens))
        elif self._is_ours(tokens):
            scores[fits] = database.query_words(VisualWords.unpack(tokens, dim))
        return scores

    def _is_ours(self, signature: np.ndarray) -> bool:
        width = 4 + -(-self.centroids.shape[1] // 8)
        return signature.dtype == np.uint8 and signature.ndim == 2 and signature.shape[1] == width


def load_retrieval(path: str, dim: int) -> Retrieval:
    """ASMK from an official retrieval checkpoint with its codebook beside it; mean tokens where `path` is empty.

    dim: of the network's tokens. ValueError or FileNotFoundError, which names the file, when one does not fit.
    """
    if not path:
        return MeanTokens()
    if not path.endswith(HEAD):
        raise ValueError(f"{path}: expected a retrieval checkpoint, ...{HEAD}, with ...{CODEBOOK} beside it")
    if not Path(path).is_file():
        raise FileNotFoundError(f"retrieval checkpoint {path} does not exist")
    head, centroids = load_local_features(path), load_codebook(path.removesuffix(HEAD) + CODEBOOK)
    with torch.inference_mode():
        try:
            width = head(torch.zeros(1, 1, dim))[0].shape[2]
        except RuntimeError as error:
            raise ValueError(f"{path} is not for a network with tokens of {dim} channels") from error
    if width != centroids.shape[1]:
        raise ValueError(f"{path} gives features of {width} channels, its codebook has {centroids.shape[1]}")
    return AsmkRetrieval(head, centroids)
