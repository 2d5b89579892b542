# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A few input images from a run of unknown length, for the report."""
from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lsm_ros.evaluation.picture import label_colors
from lsm_ros.types import UNLABELLED, Frame, FrameSet


@dataclass(frozen=True)
class Sample:
    """A small copy of one input: image (H, W, 3) uint8, and pictures of its labels and depth, None if it has none."""

    stamp_ns: int
    camera: str
    image: np.ndarray
    labels: np.ndarray | None
    depth: np.ndarray | None


class SampleKeeper:
    """Keeps between n and 2 n samples, evenly spread over all frames so far, in constant memory."""

    def __init__(self, n: int = 4, width: int = 320) -> None:
        self._n, self._width = n, width
        self._every, self._count = 1, 0
        self._kept: list[Sample] = []

    def add(self, frame_set: FrameSet) -> None:
        """Offers a frame set; its first camera that has all that any of them has is taken."""
        take = self._count % self._every == 0
        self._count += 1
        if not take:
            return
        frame = max(frame_set.frames, key=lambda f: (f.labels is not None) + (f.depth is not None))
        self._kept.append(shrink(frame, self._width))
        if len(self._kept) > 2 * self._n:
            self._kept = self._kept[::2]
            self._every *= 2

    def samples(self) -> list[Sample]:
        """At most n samples in order of time."""
        picks = np.unique(np.linspace(0, len(self._kept) - 1, min(self._n, len(self._kept))).round().astype(int))
        return [self._kept[i] for i in picks] if self._kept else []


def shrink(frame: Frame, width: int) -> Sample:
    """A sample of at most `width` pixels across."""
    height, full = frame.image.shape[:2]
    scale = min(1.0, width / full)
    size = (max(1, round(full * scale)), max(1, round(height * scale)))
    image = cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA)
    labels = depth = None
    if frame.labels is not None:
        small = cv2.resize(frame.labels, size, interpolation=cv2.INTER_NEAREST)
        tint = label_colors(small).astype(np.float32)
        mixed = np.where((small == UNLABELLED)[..., None], image * 0.55 + 60.0, 0.35 * image + 0.65 * tint)
        labels = mixed.clip(0, 255).astype(np.uint8)
    if frame.depth is not None:
        depth = depth_picture(cv2.resize(frame.depth, size, interpolation=cv2.INTER_NEAREST))
    return Sample(frame.stamp_ns, frame.camera, image, labels, depth)


def depth_picture(depth: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 colours of depth (H, W) in metres, near is bright; white where it is unknown."""
    known = np.isfinite(depth) & (depth > 0)
    out = np.full((*depth.shape, 3), 255, np.uint8)
    if known.any():
        near, far = np.percentile(depth[known], [1, 99])
        level = np.where(known, (far - depth) / max(far - near, 1e-6), 0.0).clip(0, 1)
        out[known] = cv2.applyColorMap((level * 255).astype(np.uint8), cv2.COLORMAP_VIRIDIS)[..., ::-1][known]
    return out
