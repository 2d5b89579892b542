# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""From aligned images with dense depth to a model, and the dense views on the disk."""
from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch

from lsm_ros.files import replacing_file
from lsm_ros.geometry import CameraIntrinsics
from lsm_ros.models.preprocess import Crop
from lsm_ros.reading import open_arrays
from lsm_ros.sfm.dense import clean, lifted
from lsm_ros.sfm.feature_matching import ImageFeatures, VerifiedPair
from lsm_ros.sfm.model import SceneModel, SetImage, upright_frame
from lsm_ros.sfm.predictor import camera_at
from lsm_ros.sfm.sparse_alignment import ImageMatches
from lsm_ros.sfm.tracks import make_tracks

LEAST_CONFIDENCE = 1.5  # of a pixel that counts as seen
TYPICAL_DEPTH = 2.0
REJECT = 0.02  # of the longer side: worse matches are no points of a model


@dataclass(frozen=True)
class AlignedView:
    """An image as it was aligned. image: its index in the set. K: (3, 3) of its crop; pose (4, 4); depth, confidence (H, W)."""

    image: int
    K: np.ndarray
    pose: np.ndarray
    depth: torch.Tensor
    confidence: torch.Tensor
    crop: Crop


@dataclass(frozen=True)
class DenseView:
    """A dense view in the model's frame and scale. depth (H, W) float32, 0 where it is not known; confidence (H, W) float32;
    rgb (H, W, 3) uint8; camera: pinhole; pose (4, 4) T_world_cam."""

    depth: np.ndarray
    confidence: np.ndarray
    rgb: np.ndarray
    camera: CameraIntrinsics
    pose: np.ndarray


class DenseStore:
    """Dense views in a folder, one file for each image, by the images' names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, view: DenseView) -> None:
        """Writes one view."""
        self.folder.mkdir(parents=True, exist_ok=True)
        K = np.array([view.camera.fx, view.camera.fy, view.camera.cx, view.camera.cy])
        with replacing_file(self.folder / f"{name}.npz") as file:
            np.savez_compressed(file, depth=view.depth, confidence=view.confidence.astype(np.float16), rgb=view.rgb, K=K,
                                pose=view.pose)

    def read(self, name: str) -> DenseView | None:
        """The view of an image, None where there is none. ValueError, naming the file, for one that is damaged."""
        path = self.folder / f"{name}.npz"
        if not path.is_file():
            return None
        with open_arrays(path) as parts:
            depth, K = parts["depth"], parts["K"]
            return DenseView(depth, parts["confidence"].astype(np.float32), parts["rgb"],
                             CameraIntrinsics(depth.shape[1], depth.shape[0], *K.tolist()), parts["pose"])


class _Points(Sequence[torch.Tensor]):
    """World points of views, made when they are asked for: all of a large set would not fit into the memory."""

    def __init__(self, views: Sequence[AlignedView], poses: torch.Tensor, focals: torch.Tensor, centres: torch.Tensor) -> None:
        self._parts = views, poses, focals, centres

    def __len__(self) -> int:
        return len(self._parts[0])

    def __getitem__(self, n: int) -> torch.Tensor:
        views, poses, focals, centres = self._parts
        return lifted(views[n].depth, poses[n], focals[n], centres[n])

    def __iter__(self) -> Iterator[torch.Tensor]:
        return (self[n] for n in range(len(self)))


def scene_model(views: Sequence[AlignedView], images: Sequence[SetImage], matches: Sequence[ImageMatches],
                partners: Sequence[Collection[int]], store: DenseStore, is_metric: bool) -> SceneModel:
    """The model of aligned views, upright, and its dense views into the store. matches: by rows of `views`. partners: rows with
    which the depth of each is compared."""
    poses = torch.from_numpy(np.stack([v.pose for v in views])).float()
    K = torch.from_numpy(np.stack([v.K for v in views])).float()
    points = _Points(views, poses, K[:, 0, 0], K[:, :2, 2])
    confidence = clean(points, [v.depth for v in views], [v.confidence for v in views], poses, K[:, 0, 0], K[:, :2, 2],
                       partners=partners)
    features, pairs = _as_features(views, points, images, matches)
    tracks = make_tracks([f for f, _ in features], pairs)
    at = np.concatenate([p for _, p in features])[tracks.feature]
    count = np.maximum(np.bincount(tracks.track, minlength=tracks.count), 1)
    mean = np.stack([np.bincount(tracks.track, at[:, k], tracks.count) for k in range(3)], 1) / count[:, None]
    first = np.unique(tracks.track, return_index=True)[1]
    model = SceneModel(np.array([v.image for v in views]), tuple(camera_at(v.K, v.crop) for v in views),
                       np.stack([v.pose for v in views]), mean, tracks.colors[first], tracks.image, tracks.track, tracks.pixels,
                       is_metric)
    model = _without_bad(model)
    frame = upright_frame(model, TYPICAL_DEPTH)
    moved, scale = model.moved(*frame), frame[0]
    for n, view in enumerate(views):
        sure = confidence[n] > LEAST_CONFIDENCE
        camera = CameraIntrinsics(view.crop.width, view.crop.height, view.K[0, 0], view.K[1, 1], view.K[0, 2], view.K[1, 2])
        depth = torch.where(sure & (view.depth > 0), view.depth * scale, torch.zeros(())).numpy()
        rgb = _pixels(images[view.image], view.crop)
        store.write(images[view.image].name, DenseView(depth, confidence[n].numpy(), rgb, camera, moved.poses[n]))
    return moved


def _as_features(views: Sequence[AlignedView], points: Sequence[torch.Tensor], images: Sequence[SetImage],
                 matches: Sequence[ImageMatches]) -> tuple[list[tuple[ImageFeatures, np.ndarray]], list[VerifiedPair]]:
    """Each matched pixel of a view as a feature, with its world point; and the matches between them."""
    width = [v.crop.width for v in views]
    flat = [tuple((p[:, 1] * width[n] + p[:, 0]).numpy() for n, p in ((m.i, m.pixels_i), (m.j, m.pixels_j))) for m in matches]
    ends: list[list[np.ndarray]] = [[np.zeros(0, np.int64)] for _ in views]
    for m, (a, b) in zip(matches, flat, strict=True):
        ends[m.i].append(a)
        ends[m.j].append(b)
    used = [np.unique(np.concatenate(e)) for e in ends]
    features = []
    for n, view in enumerate(views):
        y, x = np.divmod(used[n], width[n])
        image = _pixels(images[view.image], view.crop)
        pixels = view.crop.to_image(np.stack([x, y], 1).astype(np.float64))
        features.append((ImageFeatures(pixels, np.zeros((len(x), 0), np.uint8), image[y, x], 0.0),
                         points[n][y, x].double().numpy()))
    pairs = [VerifiedPair(m.i, m.j, np.searchsorted(used[m.i], a), np.searchsorted(used[m.j], b), np.eye(3))
             for m, (a, b) in zip(matches, flat, strict=True)]
    return features, pairs


def _pixels(image: SetImage, crop: Crop) -> np.ndarray:
    """(h, w, 3) uint8: an image as the network saw it."""
    full = cv2.resize(image.load(), crop.resized, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(full[crop.top:crop.top + crop.height, crop.left:crop.left + crop.width])


def _without_bad(model: SceneModel) -> SceneModel:
    """The model without observations that lie beside their point, and without points that are seen less than twice."""
    limit = REJECT * np.array([max(c.shape) for c in model.cameras])
    good = model.errors() < limit[model.seen_by]
    good &= (np.bincount(model.point[good], minlength=len(model.points)) >= 2)[model.point]
    used, point = np.unique(model.point[good], return_inverse=True)
    return replace(model, points=model.points[used], colors=model.colors[used], seen_by=model.seen_by[good], point=point,
                   pixels=model.pixels[good])
