# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Pairs of frames of RGB-D folders with poses, and labels where there are any: for adapting a network to a robot's world."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from lsm_ros.datasets.tum import TumSource, nearest_partners
from lsm_ros.geometry.camera import CameraIntrinsics, Rectifier
from lsm_ros.geometry.lie import se3_inverse
from lsm_ros.training.config import DataConfig
from lsm_ros.types import UNLABELLED, Frame, LabelSpace
from lsm_sim.labels import indoor_labels
from lsm_sim.sampler import PairBatch, visible

_POSE_TOLERANCE_NS = 20_000_000
_TRIES = 30  # draws of a pair before one with another overlap is taken
_COARSE = 4  # by which images are smaller when their overlap is computed


@dataclass(frozen=True)
class _Sequence:
    """Frames of one folder at the network's size: image (N, H, W, 3) uint8, depth (N, H, W) float32 metres, labels
    (N, H, W) uint16, T_world_cam (N, 4, 4)."""

    name: str
    camera: CameraIntrinsics
    image: np.ndarray
    depth: np.ndarray
    labels: np.ndarray
    T_world_cam: np.ndarray


class FolderPairs:
    """A `PairSource` from folders in TUM RGB-D layout with depth.txt, groundtruth.txt and camera.yaml; frames are held in
    memory at the size of the config.

    Labels count by the names of their label_space.yaml; those that the space `indoor` does not have are unlabelled. A batch
    is of one folder. ValueError and FileNotFoundError for folders that lack something.
    """

    def __init__(self, folders: Sequence[str | Path], config: DataConfig, seed: int = 0,
                 device: str | torch.device = "cpu") -> None:
        self.config, self.seed, self.device = config, seed, torch.device(device)
        self.sequences = [_read(Path(f).expanduser(), config.width, config.height) for f in folders]

    def sample(self, n: int) -> PairBatch:
        """Batch number n >= 0, which depends on the folders, the config and the seed alone."""
        if n < 0:
            raise ValueError(f"batches have numbers from 0, got {n}")
        rng = np.random.default_rng([self.seed, n, 4])
        sizes = np.array([len(s.image) for s in self.sequences], dtype=np.float64)
        which = int(rng.choice(len(self.sequences), p=sizes / sizes.sum()))
        sequence = self.sequences[which]
        chosen = np.array([self._pair(sequence, rng) for _ in range(self.config.batch)])
        return self._batch(sequence, which, chosen[:, 0], chosen[:, 1])

    def _pair(self, s: _Sequence, rng: np.random.Generator) -> tuple[int, int]:
        """Two frames within max_apart whose overlap is in the range, or the drawn ones that come nearest to it."""
        low, high = self.config.overlap
        best, off = (0, 1), np.inf
        for _ in range(_TRIES):
            i = int(rng.integers(len(s.image)))
            near = [j for j in range(max(0, i - self.config.max_apart), min(len(s.image), i + self.config.max_apart + 1))
                    if j != i]
            j = int(rng.choice(near))
            overlap = _overlap(s, i, j)
            distance = max(low - overlap, overlap - high, 0.0)
            if distance < off:
                best, off = (i, j), distance
            if distance == 0:
                break
        return best

    def _batch(self, s: _Sequence, which: int, a: np.ndarray, b: np.ndarray) -> PairBatch:
        device = self.device
        T_1_2 = torch.as_tensor(se3_inverse(s.T_world_cam[a]) @ s.T_world_cam[b], dtype=torch.float32, device=device)
        rays = torch.as_tensor(np.array(s.camera.rays(unit=False, dtype=np.float32)), device=device)
        depth1, depth2 = (torch.as_tensor(s.depth[i], device=device) for i in (a, b))
        points1, points2 = depth1[..., None] * rays, depth2[..., None] * rays
        moved2 = (points2.reshape(len(a), -1, 3) @ T_1_2[:, :3, :3].mT + T_1_2[:, None, :3, 3]).view_as(points2)
        overlap = visible(points1, depth1 > 0, torch.linalg.inv(T_1_2), depth2, s.camera).float().mean((1, 2))
        image1, image2 = (torch.as_tensor(s.image[i], device=device).permute(0, 3, 1, 2).float() / 255 for i in (a, b))
        labels1, labels2 = (torch.as_tensor(s.labels[i].astype(np.int32), device=device) for i in (a, b))
        K = torch.as_tensor(s.camera.K, dtype=torch.float32, device=device).expand(len(a), 3, 3).contiguous()
        return PairBatch(image1, image2, points1, moved2, depth1 > 0, depth2 > 0, labels1, labels2, T_1_2, K, overlap,
                         torch.full((len(a),), which, device=device))


def _overlap(s: _Sequence, i: int, j: int) -> float:
    camera = s.camera.resize(s.camera.width // _COARSE, s.camera.height // _COARSE)
    at = _COARSE // 2
    depth1, depth2 = (torch.from_numpy(np.ascontiguousarray(s.depth[k][at::_COARSE, at::_COARSE]))[None] for k in (i, j))
    points = depth1[..., None] * torch.from_numpy(np.array(camera.rays(unit=False, dtype=np.float32)))
    T_2_1 = torch.as_tensor(se3_inverse(s.T_world_cam[j]) @ s.T_world_cam[i], dtype=torch.float32)[None]
    return float(visible(points, depth1 > 0, T_2_1, depth2, camera).float().mean())


def _read(folder: Path, width: int, height: int) -> _Sequence:
    if not folder.is_dir():
        raise FileNotFoundError(f"data.folders: {folder} does not exist")
    source = TumSource(folder)
    if source.ground_truth is None:
        raise ValueError(f"data.folders: {folder} has no groundtruth.txt, which training needs")
    camera = source.camera_file.intrinsics
    if camera is None:
        raise ValueError(f"data.folders: {folder} has no camera.yaml, which training needs")
    frames = [(s.stamp_ns, s.frames[0]) for s in source if s.frames[0].depth is not None]
    poses = {p.stamp_ns: p.T_map_rig for p in source.ground_truth}
    near = nearest_partners([t for t, _ in frames], [(t, str(t)) for t in poses], _POSE_TOLERANCE_NS) if frames else {}
    used = [(frame, poses[int(near[k])] @ source.T_rig_cam[frame.camera]) for k, (_, frame) in enumerate(frames) if k in near]
    if len(used) < 2:
        raise ValueError(f"data.folders: {folder} has {len(used)} frames with depth and a pose; a pair needs two")
    rectifier = Rectifier(camera)
    sized = [_sized(frame, rectifier, width, height) for frame, _ in used]
    return _Sequence(folder.name, sized[0][0], *(np.stack([s[k] for s in sized]) for k in (1, 2, 3)),
                     np.stack([T for _, T in used]))


def _sized(frame: Frame, rectifier: Rectifier, width: int, height: int
           ) -> tuple[CameraIntrinsics, np.ndarray, np.ndarray, np.ndarray]:
    """Camera, image, depth and labels without distortion, scaled to cover width x height, and cut around the centre."""
    assert frame.depth is not None
    camera, image = rectifier.target, rectifier.image(frame.image)
    depth = rectifier.depth(np.nan_to_num(frame.depth))
    labels = np.full(depth.shape, UNLABELLED, np.uint16)
    if frame.labels is not None and frame.label_space is not None:
        labels = rectifier.labels(_as_indoor(frame.label_space)[frame.labels])
    scale = max(width / camera.width, height / camera.height)
    size = max(width, round(camera.width * scale)), max(height, round(camera.height * scale))
    x, y = (size[0] - width) // 2, (size[1] - height) // 2
    image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    depth, labels = (_nearest(v, size) for v in (depth, labels))
    window = np.s_[y:y + height, x:x + width]
    return camera.resize(*size).crop(x, y, width, height), image[window], depth[window].astype(np.float32), labels[window]


def _nearest(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """`values` (H, W) at `size` (width, height), each from under the middle of its pixel, where `image` and camera have it;
    OpenCV's INTER_NEAREST takes it from under the corner."""
    columns, rows = (((np.arange(n) + 0.5) * old / n).astype(int) for n, old in zip(size, values.shape[::-1], strict=True))
    return values[rows[:, None], columns]


def _as_indoor(space: LabelSpace) -> np.ndarray:
    """(65536,) uint16: ids of the space `indoor` by the ids of another one with the same names."""
    ids = {name: i for i, name in indoor_labels().names.items()}
    table = np.full(65536, UNLABELLED, np.uint16)
    for i, name in space.names.items():
        table[i] = ids.get(name, UNLABELLED)
    return table
