# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The interface of pair models."""
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeGuard

import numpy as np

from lsm_ros.geometry import CameraIntrinsics
from lsm_ros.pairs.agreement import Agreement
from lsm_ros.pairs.dense import DenseDepth
from lsm_ros.pairs.depth_priors.base import DepthPrior
from lsm_ros.pairs.point_features.base import PointFeatures
from lsm_ros.pairs.surfaces import Surfaces
from lsm_ros.types import Frame, PairPrediction

POINTS, VIEWS, MATCHES, DEPTH, GAUSSIANS = "points", "views", "matches", "depth", "gaussians"


@dataclass(frozen=True)
class Matches:
    """Points of image b found again in image a.

    index_b: (N,) int64, which landmarks of b. pixels_a: (N, 2) float64 where they are in image a. depth_a: (N,) float64
    depth measured there in metres, NaN where there is none.
    """

    index_b: np.ndarray
    pixels_a: np.ndarray
    depth_a: np.ndarray

    @staticmethod
    def none() -> Matches:
        return Matches(np.zeros(0, np.int64), np.zeros((0, 2)), np.zeros(0))

    def __len__(self) -> int:
        return len(self.index_b)

    def where(self, keep: np.ndarray) -> Matches:
        """The matches selected by a mask or by indices."""
        return Matches(self.index_b[keep], self.pixels_a[keep], self.depth_a[keep])


@dataclass(frozen=True)
class Correspondences:
    """Points seen in both images: pixels_a, pixels_b (N, 2) float64; depth_a, depth_b (N,) metres, NaN where unknown."""

    pixels_a: np.ndarray
    pixels_b: np.ndarray
    depth_a: np.ndarray
    depth_b: np.ndarray

    @staticmethod
    def none() -> Correspondences:
        return Correspondences(np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0), np.zeros(0))

    def __len__(self) -> int:
        return len(self.pixels_a)

    def where(self, keep: np.ndarray) -> Correspondences:
        """Those selected by a mask or by indices."""
        return Correspondences(self.pixels_a[keep], self.pixels_b[keep], self.depth_a[keep], self.depth_b[keep])


class PairModel(ABC):
    """Predicts the geometry of two images. `encode` runs once for each frame, `predict` once for each pair.

    The attributes say what a model is; nobody asks for its name or type. gives: some of `POINTS` (dense pointmaps of a pair),
    `VIEWS` (those of pairs that share frames and are asked for at once are of one run and have one unit; tokens have their
    `image`), `MATCHES` (single points found again), `DEPTH` (dense depth once poses are known), `GAUSSIANS` (3D Gaussians of a
    pair).
    uses_depth: it needs the depth of a camera. is_metric: its lengths are metres, from `scale_source` and with the relative
    standard deviation `scale_std`.
    feature_dim: language features for each pixel, 0 for none; language_file: what they mean (`lsm_ros.semantics.codec`);
    language_basis (C, D): without such a file, the orthonormal rows along which features are coordinates in the space of the
    embeddings of `text_encoder`; with_features: predictions have them. identity: tokens of another identity cannot be compared
    with its own. depth_prior: guesses the depth of single images, beside the model. features: by which one that gives `DEPTH`
    knows images again.
    """

    name: str = ""
    gives: frozenset[str] = frozenset()
    uses_depth: bool = False
    is_metric: bool = False
    scale_source: str = "none"
    scale_std: float = float("nan")
    feature_dim: int = 0
    language_file: Path | None = None
    language_basis: np.ndarray | None = None
    text_encoder: str = ""
    with_features: bool = False
    depth_prior: DepthPrior | None = None
    features: PointFeatures

    @property
    def has_language(self) -> bool:
        """True for features whose meaning is known."""
        return self.language_file is not None or self.language_basis is not None

    @property
    def identity(self) -> str:
        """Name of what tokens and maps of this model are made with."""
        return self.name

    @abstractmethod
    def encode(self, frames: Sequence[Frame]) -> list[Any]:
        """Tokens of each frame; they may be cached."""

    @abstractmethod
    def predict(self, pairs: Sequence[tuple[Any, Any]], priors: Sequence[np.ndarray | None] | None = None
                ) -> list[PairPrediction]:
        """Predictions for pairs of tokens (a, b) as one batch. priors: guesses of T_a_b (4, 4), or None."""

    @abstractmethod
    def signature(self, tokens: Sequence[Any]) -> np.ndarray:
        """Array that is kept of a frame set for `alike`; tokens: of its cameras in order of their names."""

    @abstractmethod
    def alike(self, tokens: Sequence[Any] | np.ndarray, signatures: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
        """(S,) similarity of a frame set, given by its tokens or its own signature, to others by their signatures. Greater is
        more alike; -inf where one of the two shows nothing to compare, nan for a signature of another kind. signatures: any
        number of them, also as one array (S, ...) when all have one shape."""

    @abstractmethod
    def pack(self, tokens: Any) -> dict[str, np.ndarray]:
        """The arrays of tokens that cannot be made again, by name, for a map on disk."""

    @abstractmethod
    def unpack(self, camera: str, stamp_ns: int, intrinsics: CameraIntrinsics, parts: Mapping[str, np.ndarray]) -> Any:
        """Tokens from what `pack` gave; `parts` also has their `corners` (N, 2). KeyError where an array is missing, ValueError
        where one does not fit the camera."""


def packed_image(parts: Mapping[str, np.ndarray], name: str, kind: type, *shapes: tuple[int, ...]) -> np.ndarray:
    """An array of `parts`, for `PairModel.unpack`. ValueError, naming it, unless it is of this type and one of these shapes."""
    found = parts[name]
    if found.dtype != kind or found.shape not in shapes:
        raise ValueError(f"{name} is {found.shape} {found.dtype}, where the camera needs {shapes[0]} {np.dtype(kind)}")
    return found


class PointmapPairModel(PairModel):
    """A pair model whose predictions are dense pointmaps."""

    gives = frozenset({POINTS})


class GaussianPairModel(Protocol):
    """A pair model that predicts 3D Gaussians."""

    def gaussians(self, pairs: Sequence[tuple[Any, Any]]) -> list[dict[str, np.ndarray]]:
        """Gaussians of the pixels of image a for pairs of tokens (a, b), float32, in camera a: means and scales (H, W, 3),
        rotations (H, W, 4) w, x, y, z, opacities (H, W), colours (H, W, 3) as coefficients of degree 0."""
        ...


def predicts_gaussians(model: Any) -> TypeGuard[GaussianPairModel]:
    """True for a model that predicts 3D Gaussians."""
    return GAUSSIANS in model.gives


class SparsePairModel(PairModel):
    """A pair model that finds single points again. Its tokens have landmarks: `corners` (N, 2) pixels and the
    `inverse_depth` (N,) measured there, 1/m, NaN where there is none."""

    gives = frozenset({MATCHES})

    @abstractmethod
    def match(self, tokens_a: Any, tokens_b: Any, guess_a: np.ndarray) -> Matches:
        """Finds the landmarks of b in a near `guess_a` (N, 2); a landmark whose guess is NaN is not looked for."""

    @abstractmethod
    def follow(self, tokens_a: Any, tokens_b: Any, pixels_b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Finds pixels_b (N, 2) of b in a, an image taken shortly after: index (M,) of those found, and pixels (M, 2)."""

    @abstractmethod
    def correspond(self, tokens_a: Any, tokens_b: Any) -> Correspondences:
        """Finds points that both images show, without a guess and not only landmarks."""

    @abstractmethod
    def agreement(self, tokens_a: Any, tokens_b: Any, T_a_b: np.ndarray) -> Agreement:
        """Agreement of the whole image a with image b, whose depth is known, for a relative pose (4, 4)."""

    def surfaces(self, tokens_a: Any, tokens_b: Any, T_a_b: np.ndarray, depth_sigma: float) -> Surfaces | None:
        """Points of b on surfaces of a, for a relative pose (4, 4) known to some centimetres; None where they share too
        little, or for a model without measured depth. depth_sigma: metres at 1 m, growing with depth squared."""
        return None


def finds_points(model: PairModel) -> TypeGuard[SparsePairModel]:
    """True for a model that finds single points again."""
    return MATCHES in model.gives


class DensePairModel(SparsePairModel):
    """A pair model that finds single points again and gives dense depth once poses are known. Its tokens take the depth
    of their landmarks by `adopt(dense, max_relative_sigma)`; until then it is NaN."""

    gives = frozenset({MATCHES, DEPTH})

    @abstractmethod
    def dense(self, tokens: Any, partners: Sequence[tuple[Any, np.ndarray]], typical: float, quick: bool = False) -> DenseDepth:
        """Dense depth of an image from others (tokens, T_partner_image (4, 4)), in the scale of the poses. typical: inverse
        depth of much of the image; quick: less exact in less time."""
