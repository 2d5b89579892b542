# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A multi-view network as a pair model: pairs that are asked for together are one window, seen at once."""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch

from lsm_ros.config import PairConfig
from lsm_ros.geometry import CameraIntrinsics, se3_inverse, transform_points
from lsm_ros.models.preprocess import Crop, resize
from lsm_ros.pairs.base import POINTS, VIEWS, PointmapPairModel, packed_image
from lsm_ros.pairs.masks import clear_keypoints, cropped, masked, packed, unpacked
from lsm_ros.pairs.point_features.sift import SiftFeatures
from lsm_ros.pairs.views.base import View, ViewModel, ViewPrediction
from lsm_ros.pairs.vlad import compare_signatures, signature_of
from lsm_ros.registry import VIEW_MODELS, load
from lsm_ros.types import Frame, PairPrediction

SIFT = SiftFeatures()


@dataclass(frozen=True, eq=False)
class ViewTokens:
    """A frame as it is kept: image (H, W, 3) uint8 of the network's size. crop: how pixels of the frame became those of the
    image. intrinsics: of the image, None while unknown. mask: (H, W) bool of the image, where predictions have no confidence,
    or None."""

    camera: str
    stamp_ns: int
    image: np.ndarray
    crop: Crop
    intrinsics: CameraIntrinsics | None = None
    mask: np.ndarray | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the image."""
        return self.crop.height, self.crop.width

    @property
    def nbytes(self) -> int:
        return self.image.nbytes


Pair = tuple[ViewTokens, ViewTokens]


class ViewPairModel(PointmapPairModel):
    """Pair model of the multi-view network that `config.model` names. Pairs that are predicted in one call and share frames
    have one unit, and are made of one run over up to `ViewModel.most` frames. views: used as it is. ValueError for settings of
    the networks of the CroCo family."""

    gives = frozenset({POINTS, VIEWS})

    def __init__(self, config: PairConfig, views: ViewModel | None = None) -> None:
        for name, none in (("retrieval", ""), ("precision", "auto")):
            if getattr(config, name) != none:
                raise ValueError(f"pair model {config.model} has no use for pairs.{name} ({getattr(config, name)!r})")
        if views is None:
            if not config.weights:
                raise ValueError(f"pair model {config.model!r} needs weights: set pairs.weights to a folder, or to an id in "
                                 "the local cache of Hugging Face; `lsm weights` lists those that are known")
            views = load(VIEW_MODELS, config.model, "multi-view network")(config.weights)
        self.name, self.config, self.views = config.model, config, views
        self.is_metric = views.is_metric
        if self.is_metric:
            self.scale_source, self.scale_std = "model", views.scale_std

    def encode(self, frames: Sequence[Frame]) -> list[ViewTokens]:
        """Tokens of each frame; the network runs over views together, not here. ValueError for an image too narrow."""
        out = []
        for f in frames:
            image, crop = resize(f.image, self.views.size, square_ok=True, patch=self.views.patch, whole=True)
            out.append(ViewTokens(f.camera, f.stamp_ns, image, crop,
                                  None if f.intrinsics is None else crop.intrinsics(f.intrinsics),
                                  cropped(f.mask, crop)))
        return out

    def predict(self, pairs: Sequence[Pair], priors: Sequence[np.ndarray | None] | None = None) -> list[PairPrediction]:
        """Predictions for pairs (a, b). priors are not used."""
        found: dict[int, PairPrediction] = {}
        for window in windows(pairs, self.views.most):
            found |= zip(window, self._predict([pairs[n] for n in window]), strict=True)
        return [found[n] for n in range(len(pairs))]

    def _predict(self, pairs: Sequence[Pair]) -> Iterator[PairPrediction]:
        tokens = {id(t): t for pair in pairs for t in pair}
        found = dict(zip(tokens, self.views.predict([View(t.image, t.intrinsics) for t in tokens.values()]), strict=True))
        for a, b in pairs:
            made = _pair(found[id(a)], found[id(b)])
            yield replace(made, conf_a=masked(made.conf_a, a.mask), conf_b=masked(made.conf_b, b.mask))

    def signature(self, tokens: Sequence[ViewTokens]) -> np.ndarray:
        """(cameras, bytes) uint8: visual words of RootSIFT."""
        found = [clear_keypoints(t.mask, SIFT.detect(cv2.cvtColor(t.image, cv2.COLOR_RGB2GRAY))) for t in tokens]
        return signature_of([k.descriptors for k in found])

    def alike(self, tokens: Sequence[ViewTokens] | np.ndarray, signatures: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
        """(S,) from -1 to 1 by visual words; see `lsm_ros.pairs.vlad.compare_signatures`."""
        return compare_signatures(tokens if isinstance(tokens, np.ndarray) else self.signature(tokens), signatures)

    def pack(self, tokens: ViewTokens) -> dict[str, np.ndarray]:
        """The image, its crop and its mask, for a map on disk."""
        c = tokens.crop
        return {"image": tokens.image, "crop": np.array([c.width, c.height, *c.resized, c.left, c.top, *c.source]),
                **packed(tokens.mask)}

    def unpack(self, camera: str, stamp_ns: int, intrinsics: CameraIntrinsics, parts: Mapping[str, np.ndarray]) -> ViewTokens:
        """Tokens from what `pack` gave; intrinsics: of the frame. ValueError when they are of another camera."""
        width, height, w, h, left, top, *source = parts["crop"].tolist()
        if tuple(source) != intrinsics.shape[::-1]:
            raise ValueError(f"the network's image was cut from one of {source}, the camera has {list(intrinsics.shape[::-1])}")
        crop = Crop(width, height, (w, h), left, top, (source[0], source[1]))
        image = packed_image(parts, "image", np.uint8, (height, width, 3))
        return ViewTokens(camera, stamp_ns, image, crop, crop.intrinsics(intrinsics), unpacked(parts, (height, width)))


def windows(pairs: Sequence[Pair], most: int) -> list[list[int]]:
    """Numbers of the pairs, in groups that share frames of one size, with at most `most` frames each. A pair joins the newest
    group that has one of its frames, and room."""
    out: list[list[int]] = []
    seen: list[set[int]] = []
    for n, pair in enumerate(pairs):
        both = {id(t) for t in pair}
        fits = [k for k, s in enumerate(seen)
                if s & both and len(s | both) <= most and pairs[out[k][0]][0].size == pair[0].size]
        if not fits:
            out.append([])
            seen.append(set())
        k = fits[-1] if fits else -1
        out[k].append(n)
        seen[k] |= both
    return out


def _pair(a: ViewPrediction, b: ViewPrediction) -> PairPrediction:
    T_a_b = se3_inverse(a.T_first_cam) @ b.T_first_cam
    points_b = transform_points(T_a_b, b.points_cam.reshape(-1, 3).astype(np.float64)).reshape(b.points_cam.shape)

    def tensor(x: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(x, np.float32))

    return PairPrediction(tensor(a.points_cam), tensor(points_b), tensor(a.confidence), tensor(b.confidence),
                          a.is_metric and b.is_metric)
