# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Keyframes with their landmarks, the observations between them, and the local optimisation."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import cv2
import numpy as np

from lsm_ros.config import KeyframeConfig, TrackingConfig
from lsm_ros.geometry import CameraIntrinsics, se3_inverse, so3_log, transform_points
from lsm_ros.pairs.base import Matches
from lsm_ros.slam.graph.bundle import BundleProblem, BundleResult, bundle_adjust

if TYPE_CHECKING:
    import typing_extensions  # for a default, which Python has from 3.13 on; what runs does not need it

    View = typing_extensions.TypeVar("View", bound="KeyframeView", default="KeyframeView", covariant=True)
else:
    View = TypeVar("View", covariant=True)

THUMBNAIL = (20, 15)
MOST_ADJUSTED = 600  # the solver's matrix is dense
ADJUST_MATCHES = 60  # of each link; more of them change poses by less than a millimetre


@dataclass
class KeyframeView:
    """One camera of a keyframe: its tokens, and its landmarks as corners (N, 2) with an inverse depth (N,) each.

    rays (N, 3) have z = 1. measured (N,) is what the depth camera said; inverse_depth what the optimisation made of it,
    NaN for a landmark whose depth is not known yet. guess_std: where nothing measures depth, `measured` is a guess, with
    this standard deviation of its logarithm.
    """

    camera: str
    tokens: Any
    intrinsics: CameraIntrinsics
    T_rig_cam: np.ndarray
    corners: np.ndarray
    rays: np.ndarray
    measured: np.ndarray
    inverse_depth: np.ndarray
    guess_std: float | None = None

    @property
    def nbytes(self) -> int:
        return self.tokens.nbytes + self.corners.nbytes * 8

    def points_rig(self) -> np.ndarray:
        """(N, 3) landmarks in the rig frame."""
        return transform_points(self.T_rig_cam, self.rays / self.inverse_depth[:, None])

    def pack(self) -> dict[str, np.ndarray]:
        """The arrays of the view by name, without those of its tokens, for a map on disk."""
        return {"T_rig_cam": self.T_rig_cam, "corners": self.corners, "measured": self.measured,
                "inverse_depth": self.inverse_depth}

    @classmethod
    def unpack(cls, camera: str, tokens: Any, intrinsics: CameraIntrinsics, guess_std: float | None,
               parts: Mapping[str, np.ndarray]) -> KeyframeView:
        """The view that `pack` gave these arrays of. KeyError where one is missing."""
        corners = parts["corners"]
        return cls(camera, tokens, intrinsics, parts["T_rig_cam"], corners, intrinsics.unproject(corners), parts["measured"],
                   parts["inverse_depth"], guess_std)


@dataclass
class Keyframe(Generic[View]):
    """Mutable; owned by the worker. T_map_rig (4, 4). thumbnail: by what images that look alike are found, an array of any
    kind. size: by how much its surroundings have grown since it was made."""

    id: int
    stamp_ns: int
    T_map_rig: np.ndarray
    views: dict[str, View]
    thumbnail: np.ndarray | None = None
    size: float = 1.0

    @property
    def landmark_count(self) -> int:
        return sum(len(v.corners) for v in self.views.values())

    @property
    def median_depth(self) -> float:
        """Median depth of the landmarks in metres; 1 if there is none."""
        rho = np.concatenate([v.inverse_depth for v in self.views.values()]) if self.views else np.zeros(0)
        rho = rho[np.isfinite(rho)]
        return float(1.0 / np.median(rho)) if rho.size else 1.0

    @property
    def nbytes(self) -> int:
        return sum(v.nbytes for v in self.views.values())


@dataclass
class Link:
    """Landmarks of keyframe `anchor`, camera `anchor_camera`, found in keyframe `observer`, camera `observer_camera`."""

    anchor: int
    anchor_camera: str
    observer: int
    observer_camera: str
    matches: Matches


@dataclass
class KeyframeGraph(Generic[View]):
    """All keyframes and links. `version` is raised whenever a pose changes."""

    config: KeyframeConfig
    tracking: TrackingConfig
    keyframes: dict[int, Keyframe[View]] = field(default_factory=dict)
    links: dict[tuple[int, str, int, str], Link] = field(default_factory=dict)
    version: int = 0
    next_id: int = 0
    adjusted_at: int = 0  # `next_id` when all keyframes were last adjusted

    def add(self, keyframe: Keyframe[View]) -> None:
        self.keyframes[keyframe.id] = keyframe
        self.next_id = max(self.next_id, keyframe.id + 1)
        self.version += 1

    def remove(self, keyframe_id: int) -> None:
        del self.keyframes[keyframe_id]
        self.links = {k: v for k, v in self.links.items() if keyframe_id not in (v.anchor, v.observer)}

    def connect(self, link: Link) -> None:
        self.links[link.anchor, link.anchor_camera, link.observer, link.observer_camera] = link

    @property
    def newest(self) -> Keyframe[View] | None:
        return self.keyframes[max(self.keyframes)] if self.keyframes else None

    @property
    def nbytes(self) -> int:
        return sum(k.nbytes for k in self.keyframes.values()) + sum(len(x.matches) * 32 for x in self.links.values())

    def overlap(self, a: Keyframe, T_map_rig: np.ndarray, cameras: dict[str, tuple[CameraIntrinsics, np.ndarray]]) -> float:
        """Share of a's landmarks that cameras {name: (intrinsics, T_rig_cam)} of a rig at T_map_rig would see from a
        direction within 60 degrees of a's."""
        seen = total = 0
        for view in a.views.values():
            if view.camera not in cameras or not len(view.corners):
                continue
            intrinsics, T_rig_cam = cameras[view.camera]
            points_map = transform_points(a.T_map_rig, view.points_rig())
            points_map = points_map[np.isfinite(points_map[:, 2])]
            T_map_cam = T_map_rig @ T_rig_cam
            pixels, ok = intrinsics.project(transform_points(se3_inverse(T_map_cam), points_map))
            here = points_map - T_map_cam[:3, 3]
            there = points_map - (a.T_map_rig @ view.T_rig_cam)[:3, 3]
            cosine = np.sum(here * there, 1) / np.maximum(np.linalg.norm(here, axis=1) * np.linalg.norm(there, axis=1), 1e-9)
            near = np.abs(np.log(np.linalg.norm(here, axis=1) / np.linalg.norm(there, axis=1) + 1e-9)) < 0.9
            seen += np.count_nonzero(ok & (cosine > 0.5) & near & intrinsics.contains(pixels))
            total += len(points_map)
        return seen / total if total else 0.0

    def candidates(self, T_map_rig: np.ndarray, cameras: dict[str, tuple[CameraIntrinsics, np.ndarray]], count: int,
                   min_overlap: float = 0.2, exclude: Iterable[int] = ()) -> list[int]:
        """Ids of the keyframes that see most of the same, best first."""
        skip = set(exclude)
        scored = [(self.overlap(k, T_map_rig, cameras), i) for i, k in self.keyframes.items() if i not in skip]
        return [i for s, i in sorted(scored, key=lambda x: (-x[0], -x[1])) if s >= min_overlap][:count]

    def optimize(self, free: set[int], iterations: int = 6, focal_std: float | None = None,
                 max_matches: int | None = None) -> BundleResult | None:
        """Bundle adjustment of the keyframes `free`; those linked with them stay fixed, and so does the very first one.
        None when there is nothing to move. Observations that disagree are dropped.

        focal_std: see `BundleProblem`; what the result says of focal lengths is left to the caller. max_matches: of each
        link; then landmarks are moved but no observation is dropped."""
        first = min(self.keyframes)
        free = {i for i in free if i in self.keyframes} - {first}
        links = [x for x in self.links.values() if (x.anchor in free or x.observer in free) and len(x.matches)]
        if not free or not links:
            return None
        ids = sorted({i for x in links for i in (x.anchor, x.observer)})
        if not set(ids) - free:
            free -= {ids[0]}
            if not free:
                return None
        if max_matches is not None:
            links = [replace(x, matches=x.matches.where(spread(len(x.matches), max_matches))) for x in links]
        problem, owners = self._problem(ids, free, links)
        problem.focal_std = focal_std
        sigma = self.tracking
        result = bundle_adjust(problem, sigma.sigma_px, sigma.depth_sigma, sigma.huber, iterations)
        for i, T in zip(ids, result.T_map_rig, strict=True):
            self.keyframes[i].T_map_rig = T
        for (i, camera), (begin, end, used) in owners.items():
            self.keyframes[i].views[camera].inverse_depth[used] = result.inverse_depth[begin:end]
        begin = 0
        for x in links if max_matches is None else ():
            end = begin + len(x.matches)
            x.matches = x.matches.where(result.inliers[begin:end])
            begin = end
        self.version += 1
        return result

    def adjust_all(self) -> None:
        """Bundle adjustment of all keyframes, or of the newest MOST_ADJUSTED."""
        self.optimize(set(sorted(self.keyframes)[-MOST_ADJUSTED:]), iterations=10, max_matches=ADJUST_MATCHES)
        self.adjusted_at = self.next_id

    def _problem(self, ids: list[int], free: set[int], links: list[Link]
                 ) -> tuple[BundleProblem, dict[tuple[int, str], tuple[int, int, np.ndarray]]]:
        row = {i: n for n, i in enumerate(ids)}
        used: dict[tuple[int, str], np.ndarray] = {}
        for x in links:
            mask = used.setdefault((x.anchor, x.anchor_camera),
                                   np.zeros(len(self.keyframes[x.anchor].views[x.anchor_camera].corners), bool))
            mask[x.matches.index_b] = True
        owners: dict[tuple[int, str], tuple[int, int, np.ndarray]] = {}
        number: dict[tuple[int, str], np.ndarray] = {}
        count = 0
        for key, mask in used.items():
            n = int(mask.sum())
            owners[key] = (count, count + n, np.flatnonzero(mask))
            number[key] = np.cumsum(mask) - 1 + count
            count += n
        views = {key: self.keyframes[key[0]].views[key[1]] for key in used}

        def gather(get: Callable[[tuple[int, str], KeyframeView], np.ndarray]) -> np.ndarray:
            return np.concatenate([get(key, views[key])[owners[key][2]] for key in used])

        observers = [self.keyframes[x.observer].views[x.observer_camera] for x in links]
        sizes = [len(x.matches) for x in links]
        each = np.repeat(np.arange(len(links)), sizes)
        focal = np.array([(v.intrinsics.fx, v.intrinsics.fy) for v in observers])[each]
        centre = np.array([(v.intrinsics.cx, v.intrinsics.cy) for v in observers])[each]
        mounts, mount = np.unique(np.stack([v.T_rig_cam.ravel() for v in [*observers, *views.values()]]), axis=0,
                                  return_inverse=True)
        mount = mount.ravel()
        mount_of = dict(zip(views, mount[len(observers):], strict=True))
        return BundleProblem(
            T_map_rig=np.stack([self.keyframes[i].T_map_rig for i in ids]),
            fixed=np.array([i not in free for i in ids]),
            T_rig_cam=mounts.reshape(-1, 4, 4),
            anchor=gather(lambda key, v: np.full(len(v.corners), row[key[0]])),
            anchor_camera=gather(lambda key, v: np.full(len(v.corners), mount_of[key])),
            rays=gather(lambda key, v: v.rays),
            inverse_depth=gather(lambda key, v: v.inverse_depth),
            measured=gather(lambda key, v: v.measured),
            guess_std=gather(lambda key, v: np.full(len(v.corners), np.nan if v.guess_std is None else v.guess_std)),
            landmark=np.concatenate([number[x.anchor, x.anchor_camera][x.matches.index_b] for x in links]),
            keyframe=np.array([row[x.observer] for x in links])[each],
            camera=mount[:len(observers)][each],
            normalized=(np.concatenate([x.matches.pixels_a for x in links]) - centre) / focal,
            focal=focal,
            depth=np.concatenate([x.matches.depth_a for x in links]),
        ), owners


def spread(count: int, most: int) -> np.ndarray:
    """At most `most` indices, spread evenly over `count`."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))


def thumbnail(grays: Sequence[np.ndarray]) -> np.ndarray:
    """A unit vector of small, contrast-normalised images (H, W) uint8, for finding images that look alike."""
    parts = []
    for gray in grays:
        small = cv2.resize(gray, THUMBNAIL, interpolation=cv2.INTER_AREA).astype(np.float64)
        blurred = cv2.GaussianBlur(small, (0, 0), 1.0).ravel()
        parts.append(blurred - blurred.mean())
    vector = np.concatenate(parts)
    return vector / max(float(np.linalg.norm(vector)), 1e-9)


def motion(T_a: np.ndarray, T_b: np.ndarray) -> tuple[float, float]:
    """Distance in metres and angle in radians between two poses."""
    relative = se3_inverse(T_a) @ T_b
    return float(np.linalg.norm(relative[:3, 3])), float(np.linalg.norm(so3_log(relative[:3, :3])))
