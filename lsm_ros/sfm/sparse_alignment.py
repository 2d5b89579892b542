# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Cameras and depth of an image set from matches between canonical pointmaps (MASt3R-SfM, Duisterhof et al., 2024)."""
from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from lsm_ros.sfm.canonical import BLOCK, Canonical
from lsm_ros.sfm.kinematic_tree import KinematicTree
from lsm_ros.sfm.poses import quaternions_to_matrices

FOCAL_RANGE = (0.25, 10.0)  # of the image's diagonal
NEAREST = 1e-3
PIXEL_RANGE = (-1000.0, 2000.0)
FALLBACK_WEIGHT = 0.01
MOST_REPEATS = 8
COARSE, FINE, FALLBACK = 1.5, 0.5, 1.1  # exponents of the losses
# standard deviations of an image's principal point (of its size) and focal length (relative): from the middle and from what its
# pointmap implies, and from the other images of its camera
USUAL_STD, SAME_CAMERA_STD = (0.02, 0.05), (0.001, 0.003)


@dataclass(frozen=True)
class Outline:
    """The part of an image's canonical pointmap that is moved. core_depth: (H/8, W/8). size: (H, W)."""

    core_depth: torch.Tensor
    focal: float
    size: tuple[int, int]


@dataclass(frozen=True)
class ImageMatches:
    """Matches of images i and j. pixels_i, pixels_j: (N, 2) whole pixels as (x, y); ratio_i, ratio_j: (N,) of the canonical
    pointmaps there; confidence: (N,)."""

    i: int
    j: int
    pixels_i: torch.Tensor
    pixels_j: torch.Tensor
    ratio_i: torch.Tensor
    ratio_j: torch.Tensor
    confidence: torch.Tensor


@dataclass(frozen=True)
class Cameras:
    """intrinsics (N, 3, 3) and poses (N, 4, 4) in the world, float64; depths: (H/8, W/8) of each image's blocks."""

    intrinsics: np.ndarray
    poses: np.ndarray
    depths: tuple[np.ndarray, ...]


def gamma_loss(x: torch.Tensor, gamma: float) -> torch.Tensor:
    """(x + o)^gamma - o^gamma, whose slope at 0 is 1."""
    offset = (1 / gamma) ** (1 / (gamma - 1))
    return (x + offset) ** gamma - offset**gamma


def _rounded(x: torch.Tensor) -> torch.Tensor:
    """Sum of sqrt(1 + x^2) - 1: half of x^2 near 0, and no more than |x|: a zoom, or another camera, may be far off."""
    return ((1 + x**2).sqrt() - 1).sum()


class SparseAlignment(nn.Module):
    """Poses, sizes, focal lengths, principal points and block depths of images that matches connect.

    fallback: for ordered pairs (a, b) the points (H/8, W/8, 3) of the first pixels of image a's blocks in camera b, and their
    confidence (H/8, W/8), as predicted: for pairs without a match above the threshold. shared: one focal length and principal
    point, in units of the image, for all. intrinsics (N, 3, 3): they are known and stay. cameras (N,): number of the camera
    that took each image, whose intrinsics then stay near each other and near what is usual, as far as matches say nothing
    else: those of a single image are known so badly that its pose would follow the noise of the matches.
    """

    def __init__(self, outlines: Sequence[Outline], matches: Sequence[ImageMatches], tree: KinematicTree, *,
                 fallback: Mapping[tuple[int, int], tuple[torch.Tensor, torch.Tensor]] | None = None, threshold: float = 5.0,
                 shared: bool = False, intrinsics: np.ndarray | None = None, weights: Sequence[float] | None = None,
                 cameras: Sequence[int] | None = None) -> None:
        super().__init__()
        self.sizes, self.tree, self.shared, self.known = [o.size for o in outlines], tree, shared, intrinsics is not None
        n = len(outlines)
        size = torch.tensor([[w, h] for h, w in self.sizes], dtype=torch.float32)
        blocks = [o.core_depth.numel() for o in outlines]
        starts = np.concatenate([[0], np.cumsum(blocks)[:-1]])
        median = torch.stack([o.core_depth.median() for o in outlines])
        if not bool((median > 0).all()):
            raise ValueError(f"image {int(median.argmin())} lies behind its camera: its median depth is {median.min():g}")
        base = torch.tensor([o.focal for o in outlines])
        focal = base if intrinsics is None else torch.from_numpy(intrinsics[:, 0, 0]).float()
        centre = torch.full((n, 2), 0.5) if intrinsics is None else torch.from_numpy(intrinsics[:, :2, 2]).float() / size
        if shared:
            weight = torch.ones(n) if weights is None else torch.tensor(weights, dtype=torch.float32)
            focal = (focal * weight).sum(0, keepdim=True) / weight.sum()
            centre = (centre * weight[:, None]).sum(0, keepdim=True) / weight.sum()
        for name, value in (("size", size), ("median", median), ("base", base),
                            ("image_of", torch.repeat_interleave(torch.arange(n), torch.tensor(blocks)))):
            self.register_buffer(name, value, persistent=False)
        self.quats = nn.Parameter(torch.tensor([0.0, 0, 0, 1]).repeat(n, 1))
        self.trans = nn.Parameter(torch.zeros(n, 3))
        self.log_size = nn.Parameter(torch.zeros(n))
        self.centre = nn.Parameter(centre.clone())
        self.log_focal = nn.Parameter(focal.log())
        self.core = nn.Parameter(torch.cat([(o.core_depth / m).flatten() for o, m in zip(outlines, median, strict=True)]))
        self._camera = None if cameras is None else torch.from_numpy(np.unique(np.asarray(cameras), return_inverse=True)[1])
        self._take(matches, starts, fallback or {}, threshold)

    def _take(self, matches: Sequence[ImageMatches], starts: np.ndarray,
              fallback: Mapping[tuple[int, int], tuple[torch.Tensor, torch.Tensor]], threshold: float) -> None:
        sides: list[list[torch.Tensor]] = [[] for _ in range(4)]
        strong = []
        for m in matches:
            sure = len(m.confidence) > 0 and float(m.confidence.max()) > threshold
            strong.append(torch.full((len(m.confidence),), sure))
            for image, pixels, ratio in ((m.i, m.pixels_i, m.ratio_i), (m.j, m.pixels_j, m.ratio_j)):
                across = self.sizes[image][1] // BLOCK
                block = pixels[:, 1] // BLOCK * across + pixels[:, 0] // BLOCK
                for part, value in zip(sides, (torch.full_like(block, image), block + int(starts[image]), pixels, ratio),
                                       strict=True):
                    part.append(value)
        self.anchor_image, self.anchor_block, self.anchor_pixel, self.anchor_ratio = (
            (torch.cat(a[0::2]), torch.cat(a[1::2])) for a in sides)
        self.strong = torch.cat(strong)
        self.confidence = torch.cat([m.confidence for m in matches])
        weak = {(m.i, m.j) for m, s in zip(matches, strong, strict=True) if not bool(s.any())}
        self._fall_back({p: v for p, v in fallback.items() if p in weak or p[::-1] in weak}, starts)

    def _fall_back(self, fallback: Mapping[tuple[int, int], tuple[torch.Tensor, torch.Tensor]], starts: np.ndarray) -> None:
        """Anchors of images in weak pairs, and where the prediction in the other camera has them."""
        image, block = torch.cat(self.anchor_image), torch.cat(self.anchor_block)
        rows, targets, weights, cameras = [], [], [], []
        for (a, b), (points, confidence) in fallback.items():
            mine = torch.nonzero(image == a)[:, 0]
            at = block[mine] - int(starts[a])
            rows.append(mine)
            targets.append(points.reshape(-1, 3)[at])
            weights.append(confidence.reshape(-1)[at])
            cameras.append(torch.full_like(mine, b))
        self.weak = (torch.cat(rows), torch.cat(targets), torch.cat(weights), torch.cat(cameras)) if rows else None

    @property
    def focals(self) -> torch.Tensor:
        """(N,) in pixels."""
        diagonal = self.size.norm(dim=1)
        return torch.minimum(torch.maximum(self.log_focal.exp(), FOCAL_RANGE[0] * diagonal), FOCAL_RANGE[1] * diagonal)

    @property
    def centres(self) -> torch.Tensor:
        """(N, 2) principal points in pixels."""
        return self.centre * self.size

    def geometry(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Rotations (N, 3, 3) and centres (N, 3) of the cameras, and the depths of all blocks."""
        focal, scale = self.focals, self.log_size.exp()
        unit = 1 / scale.min()
        middle = scale * self.median * focal / self.base  # where the scene's middle lies
        depth = middle[self.image_of] + (self.core - 1) * (self.median * scale)[self.image_of]
        R = quaternions_to_matrices(self.quats)
        rotations, places = [torch.empty(0)] * len(R), [torch.empty(0)] * len(R)
        rotations[self.tree.root], places[self.tree.root] = R[self.tree.root], unit * self.trans[self.tree.root]
        for parent, child in self.tree.edges.tolist():
            rotations[child] = rotations[parent] @ R[child]
            places[child] = rotations[parent] @ (unit * self.trans[child]) + places[parent]
        turned, place = torch.stack(rotations), torch.stack(places)
        # translations are those of the scene's middle, so that a turn or a new focal length leaves it in view
        shift = torch.cat([self.size / focal[:, None] * (0.5 - self.centre), torch.ones(len(R), 1)], 1)
        offset = (unit * middle)[:, None] * shift
        return turned, place - (turned @ offset[..., None])[..., 0], unit * depth

    def _points(self, R: torch.Tensor, t: torch.Tensor, depth: torch.Tensor, side: int) -> torch.Tensor:
        """(M, 3) world points of the anchors of one side of all matches."""
        image, focal = self.anchor_image[side], self.focals
        bend = 1 + (self.anchor_ratio[side] - 1) * (self.base / focal)[image]
        z = depth[self.anchor_block[side]] * bend
        ray = (self.anchor_pixel[side] - self.centres[image]) / focal[image][:, None]
        local = torch.cat([ray * z[:, None], z[:, None]], 1)
        return (R[image] @ local[..., None])[..., 0] + t[image]

    def coarse_loss(self) -> torch.Tensor:
        """Distances in space between matched points."""
        geometry = self.geometry()
        first, second = (self._points(*geometry, side) for side in (0, 1))
        distance = (first - second)[self.strong].norm(dim=1)
        weight = self.confidence[self.strong]
        loss = (weight * gamma_loss(distance, COARSE)).sum() / weight.sum().clamp(min=1e-12)
        return loss + self._fallback_loss(geometry, first, second)

    def fine_loss(self) -> torch.Tensor:
        """Distances in both images between matched pixels."""
        geometry = self.geometry()
        sides = [self._points(*geometry, side) for side in (0, 1)]
        weight = self.confidence[self.strong]
        total = weight.new_zeros(())
        for own, other in ((0, 1), (1, 0)):
            pixels = self._project(*geometry[:2], sides[other], self.anchor_image[own])
            distance = (pixels - self.anchor_pixel[own])[self.strong].norm(dim=1)
            total = total + (weight * gamma_loss(distance, FINE)).sum()
        total = total / (2 * weight.sum()).clamp(min=1e-12) + self._fallback_loss(geometry, *sides)
        return total if self._camera is None or self.known else total + self._intrinsics_loss()

    def _intrinsics_loss(self) -> torch.Tensor:
        """Squares, less far out, of what intrinsics are off the usual and off those of their camera, in standard deviations.
        The losses of matches are means; so this counts as much as it should beside their number."""
        usual = torch.cat([self.centre - 0.5, (self.log_focal - self.base.log().mean() if self.shared else
                                               self.log_focal - self.base.log())[:, None]], 1)
        loss = _rounded(usual / usual.new_tensor([USUAL_STD[0], USUAL_STD[0], USUAL_STD[1]]))
        if not self.shared and self._camera is not None:
            own = torch.cat([self.centre, self.log_focal[:, None]], 1)
            count = torch.bincount(self._camera).to(own)
            mean = own.new_zeros(len(count), 3).index_add(0, self._camera, own) / count[:, None]
            beside = (own - mean[self._camera]) / own.new_tensor([SAME_CAMERA_STD[0], SAME_CAMERA_STD[0], SAME_CAMERA_STD[1]])
            loss = loss + _rounded(beside)
        return loss / (2 * max(int(self.strong.sum()), 1))

    def _project(self, R: torch.Tensor, t: torch.Tensor, points: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        local = (R.mT[image] @ (points - t[image])[..., None])[..., 0]
        flat = local[:, :2] / local[:, 2:].clamp(min=NEAREST)
        return (self.focals[image][:, None] * flat + self.centres[image]).clamp(*PIXEL_RANGE)

    def _fallback_loss(self, geometry: tuple[torch.Tensor, ...], first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        if self.weak is None:
            return first.new_zeros(())
        rows, target, weight, camera = self.weak
        R, t = geometry[:2]
        points = torch.cat([first, second])[rows]
        goal = (R[camera] @ target[..., None])[..., 0] + t[camera]
        distance = (points - goal).norm(dim=1)
        return FALLBACK_WEIGHT * (weight * gamma_loss(distance, FALLBACK)).sum() / weight.sum()

    def optimise(self, stage: str, iterations: int = 300, rate: float | None = None,
                 progress: Callable[[int, float], None] | None = None) -> tuple[float, Cameras]:
        """Adam with a rate that falls to 0; returns the loss before the last step, and the cameras of that moment.

        stage 'coarse' (rate 0.07): poses and sizes; 'fine' (0.01): also depths and, unless they are known, intrinsics.
        progress(step, loss) is called before each step. FloatingPointError when the loss is not finite.
        """
        loss_of = {"coarse": self.coarse_loss, "fine": self.fine_loss}[stage]
        rate = {"coarse": 0.07, "fine": 0.01}[stage] if rate is None else rate
        free = [self.quats, self.trans, self.log_size]
        if stage == "fine":
            # published numbers step what is shared once for each image; for many images that would be a rate beyond all reason
            repeat = min(len(self.sizes), MOST_REPEATS) if self.shared else 1
            free += [self.core] + ([] if self.known else repeat * [self.centre, self.log_focal])
        for p in self.parameters():
            p.requires_grad_(any(p is f for f in free))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="optimizer contains a parameter group with duplicate")
            adam = torch.optim.Adam(free, lr=rate, betas=(0.9, 0.9), foreach=False)
        value, before = math.nan, self.cameras()
        for step in range(iterations):
            for group in adam.param_groups:
                group["lr"] = rate * 0.5 * (1 + math.cos(math.pi * step / iterations))
            adam.zero_grad()
            loss = loss_of()
            loss.backward()
            value = float(loss.detach())
            if not math.isfinite(value):
                raise FloatingPointError(f"the loss of the {stage} alignment became {value} at step {step}")
            if step == iterations - 1:
                before = self.cameras()
            adam.step()
            with torch.no_grad():
                self.quats /= self.quats.norm(dim=1, keepdim=True)
            if progress is not None:
                progress(step, value)
        return value, before

    @torch.no_grad()
    def cameras(self) -> Cameras:
        """The cameras as they are now."""
        R, t, depth = self.geometry()
        n = len(R)
        K, T = torch.eye(3).repeat(n, 1, 1), torch.eye(4).repeat(n, 1, 1)
        K[:, 0, 0] = K[:, 1, 1] = self.focals
        K[:, :2, 2] = self.centres
        T[:, :3, :3], T[:, :3, 3] = R, t
        parts = [depth[self.image_of == k].reshape(h // BLOCK, w // BLOCK).double().numpy()
                 for k, (h, w) in enumerate(self.sizes)]
        return Cameras(K.double().numpy(), T.double().numpy(), tuple(parts))


def outline_of(canonical: Canonical) -> Outline:
    """The part of a canonical pointmap that is moved."""
    height, width = canonical.confidence.shape
    return Outline(canonical.core_depth.clone(), canonical.focal, (height, width))
