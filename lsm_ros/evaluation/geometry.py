# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The map against measured depth at given poses."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from lsm_ros.evaluation.trajectory import associate
from lsm_ros.geometry.camera import CameraIntrinsics, Rectifier
from lsm_ros.geometry.lie import se3_inverse, transform_points
from lsm_ros.types import UNLABELLED, FrameSet, TrajectoryPose

BEHIND_M = 0.1
"""A map point this far behind the measured surface was hidden from the camera and is not compared in that frame."""
_FAR_M = 1.0  # distances are cut here, so that one stray point does not decide the mean


@dataclass(frozen=True)
class DepthView:
    """Depth (H, W) float32 in metres, 0 = none, of a pinhole camera at T_world_cam (4, 4); labels (H, W) or None."""

    depth: np.ndarray
    intrinsics: CameraIntrinsics
    T_world_cam: np.ndarray
    labels: np.ndarray | None = None


@dataclass(frozen=True)
class Distances:
    """Distances in metres (at most 1 m) and the share of them below 2 cm and 5 cm; points: their number."""

    median: float
    mean: float
    rmse: float
    below_2cm: float
    below_5cm: float
    points: int


@dataclass(frozen=True)
class GeometryErrors:
    """map_to_depth: accuracy of the map; depth_to_map: completeness. *_icp: the same after the map was moved rigidly
    to the depth by ICP, None without icp. views: depth images used."""

    map_to_depth: Distances
    depth_to_map: Distances
    views: int
    map_to_depth_icp: Distances | None = None
    depth_to_map_icp: Distances | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def depth_views(frame_sets: Iterable[FrameSet], poses: Sequence[TrajectoryPose], *, max_dt_ns: int = 20_000_000,
                max_depth: float = 5.0, every: int = 1, limit: int = 100) -> list[DepthView]:
    """Depth images at given poses.

    frame_sets: a source; only the first camera of each is used. poses: T_world_camera in TrajectoryPose.T_map_rig.
    Depth beyond max_depth is dropped, distortion must be none or is rectified. every: takes each n-th image with depth;
    at most `limit` of them are kept, evenly spread. ValueError if no depth image has a pose and calibration.
    """
    views: list[DepthView] = []
    rectifiers: dict[CameraIntrinsics, Rectifier] = {}
    seen = 0
    for frame_set in frame_sets:
        frame = frame_set.frames[0]
        if frame.depth is None or frame.intrinsics is None:
            continue
        pairs = associate([TrajectoryPose(frame.stamp_ns, np.eye(4))], poses, max_dt_ns)
        if not pairs:
            continue
        seen += 1
        if (seen - 1) % every:
            continue
        depth, labels, camera = frame.depth, frame.labels, frame.intrinsics
        if camera.has_distortion:
            rectifier = rectifiers.setdefault(camera, Rectifier(camera))
            depth, camera = rectifier.depth(depth), rectifier.target
            labels = None if labels is None else rectifier.labels(labels)
        good = np.isfinite(depth) & (depth > 0) & (depth <= max_depth)
        views.append(DepthView(np.where(good, depth, np.float32(0)), camera, poses[pairs[0][1]].T_map_rig, labels))
        if len(views) > 2 * limit:  # keeps memory bounded: half as dense from here on
            views, every = views[::2], every * 2
    if not views:
        raise ValueError("no depth image has both a calibration and a pose of the ground truth near its stamp")
    return [views[i] for i in np.unique(np.linspace(0, len(views) - 1, min(limit, len(views))).round().astype(int))]


def surface_points(views: Sequence[DepthView], cell: float = 0.01, stride: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Measured surface: points (N, 3) in the world, metres, at most one for each cell, and labels (N,) uint16."""
    points, labels = np.zeros((0, 3)), np.zeros(0, np.uint16)
    for view in views:
        small = view.depth[::stride, ::stride]
        rows, columns = np.nonzero(small)
        rays = view.intrinsics.rays(unit=False)[::stride, ::stride][rows, columns]
        new = transform_points(view.T_world_cam, rays * small[rows, columns][:, None])
        given = np.full(len(new), UNLABELLED, np.uint16) if view.labels is None \
            else view.labels[::stride, ::stride][rows, columns]
        points, labels = np.concatenate([points, new]), np.concatenate([labels, given])
        first = np.sort(np.unique(_cells(points, cell), return_index=True)[1])
        points, labels = points[first], labels[first]
    return points, labels


def _cells(points: np.ndarray, cell: float) -> np.ndarray:
    """One number for each cell of a grid, 21 bits an axis."""
    x, y, z = (np.floor(points / cell).astype(np.int64) & 0x1FFFFF).T
    return (x << 42) | (y << 21) | z


def seen_by(points_world: np.ndarray, views: Sequence[DepthView]) -> np.ndarray:
    """True (N,) for points (N, 3) where a view measured depth, in front of the surface or at most BEHIND_M behind it."""
    seen = np.zeros(len(points_world), bool)
    for view in views:
        rest = np.flatnonzero(~seen)
        points_cam = transform_points(se3_inverse(view.T_world_cam), points_world[rest])
        pixels, valid = view.intrinsics.project(points_cam)
        valid &= view.intrinsics.contains(pixels)
        u, v = np.rint(pixels[valid]).astype(int).T
        u, v = np.clip(u, 0, view.intrinsics.width - 1), np.clip(v, 0, view.intrinsics.height - 1)
        measured = view.depth[v, u]
        seen[rest[valid]] = (measured > 0) & (points_cam[valid, 2] <= measured + BEHIND_M)
    return seen


def evaluate(points_map: np.ndarray, views: Sequence[DepthView], T_world_map: np.ndarray,
             surface_world: np.ndarray | None = None, icp: bool = False) -> GeometryErrors:
    """Distances between the map's points (N, 3) and the surface that `views` measured.

    T_world_map: (4, 4) rigid, from the alignment of the trajectory; the map itself is not fitted to the depth, except
    for the second figures with icp. Distances are those between points, so half their spacing (a voxel of the map, 1 cm
    of the depth) is in them. Only map points in space that the depth saw count. ValueError for an empty map, and
    without Open3D if icp is set.
    """
    surface = surface_points(views)[0] if surface_world is None else surface_world
    points = transform_points(T_world_map, np.asarray(points_map, np.float64))
    points = points[seen_by(points, views)] if len(points) else points
    if not len(points) or not len(surface):
        raise ValueError(f"nothing to compare: {len(points_map)} map points, {len(points)} of them where depth was "
                         f"measured, {len(surface)} measured points")
    to_depth, to_map = _both(points, surface)
    out = GeometryErrors(to_depth, to_map, len(views))
    if icp:
        moved = transform_points(_icp(points, surface), points)
        to_depth, to_map = _both(moved, surface)
        out = replace(out, map_to_depth_icp=to_depth, depth_to_map_icp=to_map)
    return out


def _both(points: np.ndarray, surface: np.ndarray) -> tuple[Distances, Distances]:
    return (_distances(cKDTree(surface).query(points, distance_upper_bound=_FAR_M)[0]),
            _distances(cKDTree(points).query(surface, distance_upper_bound=_FAR_M)[0]))


def _distances(d: np.ndarray) -> Distances:
    d = np.minimum(d, _FAR_M)
    return Distances(float(np.median(d)), float(d.mean()), float(np.sqrt(np.mean(d**2))), float(np.mean(d < 0.02)),
                     float(np.mean(d < 0.05)), int(d.size))


def _icp(points: np.ndarray, surface: np.ndarray, reach: float = 0.1) -> np.ndarray:
    """Rigid T_surface_points by Open3D's point-to-point ICP."""
    try:
        import open3d
    except ImportError as error:
        raise ValueError("ICP needs Open3D: pip install lsm_ros[eval]") from error
    clouds = [open3d.geometry.PointCloud(open3d.utility.Vector3dVector(p)) for p in (points, surface)]
    return np.array(open3d.pipelines.registration.registration_icp(*clouds, reach).transformation)
