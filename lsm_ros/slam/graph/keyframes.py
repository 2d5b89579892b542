# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Keyframes with their landmarks, the observations between them, and the local optimisation."""
from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from lsm_ros.config import KeyframeConfig, TrackingConfig
from lsm_ros.geometry import CameraIntrinsics, rotation_angle, se3_inverse, transform_points
from lsm_ros.pairs.base import Matches
from lsm_ros.pairs.surfaces import Surfaces
from lsm_ros.slam.graph.bundle import GATE, BundleProblem, BundleResult, bundle_adjust
from lsm_ros.slam.graph.neighbours import ViewIndex
from lsm_ros.slam.graph.surfaces import surface_terms
from lsm_ros.slam.places import Places

if TYPE_CHECKING:
    import typing_extensions  # for a default, which Python has from 3.13 on; what runs does not need it

    View = typing_extensions.TypeVar("View", bound="KeyframeView", default="KeyframeView", covariant=True)
else:
    View = TypeVar("View", covariant=True)

MOST_ADJUSTED = 600  # the solver's matrix is dense
ADJUST_MATCHES = 60  # of each link; more of them change poses by less than a millimetre
LOOKED_AT = 4, 12  # keyframes whose overlap is measured: for each one that is wanted, and at least


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

    def resize(self, factor: float) -> None:
        """Makes all that is known of depth larger by a factor."""
        self.inverse_depth = self.inverse_depth / factor
        self.measured = self.measured / factor
        self.tokens.resize(factor)

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
    """Mutable; owned by the worker. T_map_rig (4, 4). thumbnail: by what images that look alike are found, the signature
    of the pair model. size: by how much its surroundings have grown since it was made."""

    id: int
    stamp_ns: int
    T_map_rig: np.ndarray
    views: dict[str, View]
    thumbnail: np.ndarray | None = None
    size: float = 1.0

    def resize(self, factor: float) -> None:
        """Makes its surroundings larger by a factor."""
        self.size *= factor
        for view in self.views.values():
            view.resize(factor)

    @property
    def cameras(self) -> dict[str, tuple[CameraIntrinsics, np.ndarray]]:
        """Intrinsics and T_rig_cam (4, 4) by camera."""
        return {c: (v.intrinsics, v.T_rig_cam) for c, v in self.views.items()}

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
    """Landmarks of keyframe `anchor`, camera `anchor_camera`, found in keyframe `observer`, camera `observer_camera`; or
    points of the one on surfaces of the other, in the frames of the rigs, where no landmark is found again."""

    anchor: int
    anchor_camera: str
    observer: int
    observer_camera: str
    matches: Matches
    surfaces: Surfaces | None = None

    @property
    def nbytes(self) -> int:
        return len(self.matches) * 32 + (0 if self.surfaces is None else len(self.surfaces) * 64)


LinkKey = tuple[int, str, int, str]


@dataclass
class KeyframeGraph(Generic[View]):
    """All keyframes and links. `version` is raised whenever a pose changes. places: finds keyframes that look like an image,
    where tracking keeps them. sigma_px: standard deviation of a match as it turned out, None for that of `tracking`."""

    config: KeyframeConfig
    tracking: TrackingConfig
    keyframes: dict[int, Keyframe[View]] = field(default_factory=dict)
    links: dict[LinkKey, Link] = field(default_factory=dict)
    version: int = 0
    next_id: int = 0
    adjusted_at: int = 0  # `next_id` when all keyframes were last adjusted
    places: Places | None = None
    sigma_px: float | None = None
    _links_of: dict[int, set[LinkKey]] = field(default_factory=dict)
    _index: ViewIndex = field(default_factory=ViewIndex)

    def add(self, keyframe: Keyframe[View]) -> None:
        self.keyframes[keyframe.id] = keyframe
        self.next_id = max(self.next_id, keyframe.id + 1)
        if self.places is not None and keyframe.thumbnail is not None:
            self.places.add(keyframe.id, keyframe.thumbnail)
        self.version += 1

    @property
    def match_sigma_px(self) -> float:
        """Standard deviation of a match in pixels."""
        return self.tracking.sigma_px if self.sigma_px is None else self.sigma_px

    def copied(self) -> KeyframeGraph[View]:
        """A graph of its own with the same content, but for places. Images and tokens are shared."""
        keyframes = {i: replace(k, views={c: copy(v) for c, v in k.views.items()}) for i, k in self.keyframes.items()}
        return replace(self, keyframes=keyframes, links=dict(self.links), places=None, _index=copy(self._index),
                       _links_of={i: set(keys) for i, keys in self._links_of.items()})

    def sign(self, keyframe_id: int, signature: np.ndarray) -> None:
        """Gives a keyframe the signature by which it is found."""
        self.keyframes[keyframe_id].thumbnail = signature
        if self.places is not None:
            self.places.add(keyframe_id, signature)

    def alike(self, signature: np.ndarray, count: int, exclude: Iterable[int] = ()) -> list[int]:
        """At most `count` keyframes that look most like a frame set with this signature, the most alike first."""
        if self.places is None or not len(self.places):
            return []
        return [i for i, _ in self.places.candidates(signature, count, exclude)]

    def remove(self, keyframe_id: int) -> None:
        del self.keyframes[keyframe_id]
        if self.places is not None and keyframe_id in self.places:
            self.places.remove(keyframe_id)
        for key in list(self._links_of.get(keyframe_id, ())):
            self.disconnect(key)
        self._links_of.pop(keyframe_id, None)
        self.version += 1

    def connect(self, link: Link) -> None:
        key = link.anchor, link.anchor_camera, link.observer, link.observer_camera
        self.links[key] = link
        for i in (link.anchor, link.observer):
            self._links_of.setdefault(i, set()).add(key)

    def take(self, other: KeyframeGraph[View], ids: Iterable[int]) -> None:
        """Takes keyframes out of another graph, with the links among them. ValueError if an id is in this graph already."""
        moved = set(ids)
        if moved & set(self.keyframes):
            raise ValueError(f"keyframes {sorted(moved & set(self.keyframes))[:5]} are in both graphs")
        links = [x for x in other.links.values() if x.anchor in moved and x.observer in moved]
        keyframes = [other.keyframes[i] for i in sorted(moved)]
        for keyframe in keyframes:
            other.remove(keyframe.id)
        for keyframe in keyframes:
            self.add(keyframe)
        self.keyframes = dict(sorted(self.keyframes.items()))
        for link in links:
            self.connect(link)
        self.version += 1

    def renumber(self, by: int) -> None:
        """Gives all keyframes numbers higher by `by`, so that they differ from those of another graph."""
        keyframes, links = [k for _, k in sorted(self.keyframes.items())], list(self.links.values())
        for keyframe in keyframes:
            self.remove(keyframe.id)
        for keyframe in keyframes:
            keyframe.id += by
            self.add(keyframe)
        for link in links:
            self.connect(replace(link, anchor=link.anchor + by, observer=link.observer + by))

    def disconnect(self, key: LinkKey) -> None:
        del self.links[key]
        for i in (key[0], key[2]):
            self._links_of.get(i, set()).discard(key)

    def links_of(self, keyframe_id: int) -> list[Link]:
        """Links that begin or end at a keyframe, in the order of their keys."""
        return [self.links[key] for key in sorted(self._links_of.get(keyframe_id, ()))]

    def linked(self, keyframe_id: int) -> set[int]:
        """Keyframes that share landmarks with one."""
        return {i for key in self._links_of.get(keyframe_id, ()) for i in (key[0], key[2])} - {keyframe_id}

    def depth_of(self, keyframe_id: int | None) -> float:
        """Median depth of a keyframe; 1 for one that is not there."""
        return self.keyframes[keyframe_id].median_depth if keyframe_id in self.keyframes else 1.0

    @property
    def median_depth(self) -> float:
        """Median of the keyframes' median depths; 1 without any."""
        return float(np.median([k.median_depth for k in self.keyframes.values()])) if self.keyframes else 1.0

    @property
    def newest(self) -> Keyframe[View] | None:
        return self.keyframes[max(self.keyframes)] if self.keyframes else None

    @property
    def nbytes(self) -> int:
        return sum(k.nbytes for k in self.keyframes.values()) + sum(x.nbytes for x in self.links.values())

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

    def nearest(self, T_map_rig: np.ndarray, cameras: dict[str, tuple[CameraIntrinsics, np.ndarray]], count: int,
                before: int | None = None) -> list[int]:
        """Ids of the keyframes that stand and look nearest to cameras of a rig at T_map_rig; see `ViewIndex.near`."""
        self._index.refresh(self.keyframes, self.version)
        return self._index.near({c: T_map_rig @ T_rig_cam for c, (_, T_rig_cam) in cameras.items()}, count, before)

    def looking_at_the_same(self, keyframe: Keyframe, reach: float, before: int) -> list[int]:
        """Ids of keyframes older than `before` that look at about what a keyframe looks at, from whatever side, the nearest
        first. reach: median depths between what the two look at."""
        self._index.refresh(self.keyframes, self.version)
        return self._index.aimed_near(keyframe, reach, before)

    def candidates(self, T_map_rig: np.ndarray, cameras: dict[str, tuple[CameraIntrinsics, np.ndarray]], count: int,
                   min_overlap: float = 0.2, exclude: Iterable[int] = (), before: int | None = None) -> list[int]:
        """Ids of the keyframes that see most of the same, best first. before: only of those older than this one."""
        skip = set(exclude)
        each, least = LOOKED_AT
        near = self.nearest(T_map_rig, cameras, max(each * count, least) + len(skip), before)
        scored = [(self.overlap(self.keyframes[i], T_map_rig, cameras), i) for i in near if i not in skip]
        return [i for s, i in sorted(scored, key=lambda x: (-x[0], -x[1])) if s >= min_overlap][:count]

    def optimize(self, free: set[int], iterations: int = 6, focal_std: float | None = None,
                 max_matches: int | None = None) -> BundleResult | None:
        """Bundle adjustment of the keyframes `free`; those linked with them stay fixed, and so does the very first one.
        None when there is nothing to move. Observations that disagree are dropped.

        focal_std: see `BundleProblem`; what the result says of focal lengths is left to the caller. max_matches: of each
        link; then landmarks are moved but no observation is dropped."""
        free = {i for i in free if i in self.keyframes} - {min(self.keyframes)}
        found = [self.links[key] for key in sorted({key for i in free for key in self._links_of.get(i, ())})]
        links = [x for x in found if len(x.matches)]
        ties = [(x.anchor, x.observer, x.surfaces) for x in found if x.surfaces is not None]
        if not free or not links:
            return None
        ids = sorted({i for x in links for i in (x.anchor, x.observer)} | {i for a, b, _ in ties for i in (a, b)})
        if not set(ids) - free:
            free -= {ids[0]}
            if not free:
                return None
        if max_matches is not None:
            links = [replace(x, matches=x.matches.where(spread(len(x.matches), max_matches))) for x in links]
        problem, owners = self._problem(ids, free, links)
        problem.focal_std, problem.surfaces = focal_std, surface_terms(ids, ties)
        t = self.tracking
        result = bundle_adjust(problem, self.match_sigma_px, t.depth_sigma, t.huber, iterations, GATE * t.sigma_px)
        for i, T in zip(ids, result.T_map_rig, strict=True):
            self.keyframes[i].T_map_rig = T
        for (i, camera), (begin, end, used) in owners.items():
            view = self.keyframes[i].views[camera]
            view.inverse_depth = view.inverse_depth.copy()  # who reads the graph meanwhile has the old one whole
            view.inverse_depth[used] = result.inverse_depth[begin:end]
        begin = 0
        for x in links if max_matches is None else ():
            end = begin + len(x.matches)
            self.connect(replace(x, matches=x.matches.where(result.inliers[begin:end])))
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


def motion(T_a: np.ndarray, T_b: np.ndarray) -> tuple[float, float]:
    """Distance in metres and angle in radians between two poses."""
    return math.dist(T_a[:3, 3], T_b[:3, 3]), rotation_angle(T_a[:3, :3].T @ T_b[:3, :3])
