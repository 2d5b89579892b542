# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Pictures of a map without a GPU or a window: splats of voxels into a depth buffer, in NumPy."""
from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lsm_ros.geometry.lie import make_se3, se3_inverse, transform_points
from lsm_ros.types import UNLABELLED, MapSnapshot

BACKGROUND = (247, 248, 250)
_SUPERSAMPLING = 2
_RADII_PX = np.array([1, 2, 3, 4, 5, 6, 8, 11, 15, 20, 27, 36])  # few sizes, as each is drawn by itself
_NEAR_M = 0.15
INSIDE_NEAR_M = 0.6
"""Metres; anything nearer is left out of the view from inside."""
_GOLDEN = 0.6180339887  # steps of hue that stay apart for any number of labels
_PALETTE = (0x4e79a7, 0xf28e2b, 0x59a14f, 0xe15759, 0x76b7b2, 0xedc948, 0xb07aa1, 0x9c755f, 0xff9da7,
            0x86bc86, 0xd37295, 0x499894, 0xbcbd22, 0x79706e, 0x8cd17d, 0xf1ce63, 0xa0cbe8, 0xd4a6c8,
            0x1f5f8b, 0xb6992d, 0xfabfd2, 0x2f7d32, 0xc0392b, 0x6a51a3)


@dataclass(frozen=True)
class View:
    """A camera for pictures: pose T_map_view (4, 4, optical axes), size in pixels, and focal_px of a pinhole, or, when
    orthographic, pixels per metre in `focal_px`. near: anything closer than this, metres, is left out, and so is every
    voxel whose normal looks away from the camera: walls are seen from inside only."""

    name: str
    T_map_view: np.ndarray
    width: int
    height: int
    focal_px: float
    orthographic: bool = False
    near: float = _NEAR_M


def label_color(label: int) -> tuple[int, int, int]:
    """RGB of a label id: always the same, grey for UNLABELLED."""
    if label == UNLABELLED:
        return (176, 180, 186)
    if label < len(_PALETTE):
        color = _PALETTE[label]
        return color >> 16, color >> 8 & 255, color & 255
    hue = (label * _GOLDEN + 0.07) % 1.0
    saturation, value = (0.62, 0.86) if label % 2 else (0.50, 0.72)
    hsv = np.array([[[hue * 360.0, saturation, value]]], np.float32)
    r, g, b = (cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0] * 255).round().astype(int)
    return int(r), int(g), int(b)


def label_colors(labels: np.ndarray) -> np.ndarray:
    """(..., 3) uint8 colours of label ids (...)."""
    ids, inverse = np.unique(labels, return_inverse=True)
    palette = np.array([label_color(int(i)) for i in ids], np.uint8).reshape(-1, 3)
    return palette[inverse.reshape(labels.shape)]


def look_at(eye: np.ndarray, target: np.ndarray, up: np.ndarray) -> np.ndarray:
    """T_map_view (4, 4) of a camera at `eye` that looks at `target`, with image up along `up`, all (3,) in the map."""
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(forward, up)
    if np.linalg.norm(right) < 1e-6:  # looking along up: any right will do
        right = np.cross(forward, [0.0, 1.0, 0.0] if abs(forward[1]) < 0.9 else [1.0, 0.0, 0.0])
    right = right / np.linalg.norm(right)
    return make_se3(np.column_stack([right, np.cross(forward, right), forward]), eye)


def render(snapshot: MapSnapshot, view: View, colors: np.ndarray | None = None,
           lines: list[tuple[np.ndarray, tuple[int, int, int]]] | None = None) -> np.ndarray:
    """Picture (H, W, 3) uint8 RGB of the voxels.

    colors: (N, 3) uint8 instead of the snapshot's. lines: polylines (M, 3) in the map with their colours, drawn on top.
    Shaded by the normals and darkened at steps of depth, so that shapes are visible without colour.
    """
    s = _SUPERSAMPLING
    height, width = view.height * s, view.width * s
    points_view = transform_points(se3_inverse(view.T_map_view), snapshot.points_map.astype(np.float64))
    normals_view = snapshot.normals.astype(np.float64) @ view.T_map_view[:3, :3]
    towards = _towards_camera(points_view, normals_view, view)
    keep = towards > -0.05
    if not view.orthographic:
        keep &= points_view[:, 2] > view.near
    index, depth = _splat(points_view, keep, snapshot.voxel_size, view, width, height)
    shade = (0.62 + 0.38 * np.clip(np.abs(towards), 0.0, 1.0))[:, None]
    lit = (snapshot.colors if colors is None else colors) * shade
    hit = index >= 0
    image = np.empty((height, width, 3))
    image[:] = BACKGROUND
    image[hit] = lit[index[hit]] * _depth_edges(depth, hit, snapshot.voxel_size)[hit][:, None]
    picture = np.ascontiguousarray(image.round().clip(0, 255).astype(np.uint8))
    for line, color in lines or []:
        _draw_line(picture, line, color, view)
    return cv2.resize(picture, (view.width, view.height), interpolation=cv2.INTER_AREA)


def standard_views(snapshot: MapSnapshot, T_map_cams: np.ndarray, width: int = 720, height: int = 540) -> list[View]:
    """Top, two oblique views and one from inside; T_map_cams (N, 4, 4): poses of the camera, N may be 0. z is up."""
    points = snapshot.points_map.astype(np.float64)
    path = T_map_cams[:, :3, 3] if len(T_map_cams) else points[:0]
    low, high = (np.percentile(points, q, axis=0) for q in (0.05, 99.95))
    low, high = np.vstack([low, path]).min(axis=0), np.vstack([high, path]).max(axis=0)
    middle, size = (low + high) / 2, np.maximum(high - low, 4 * snapshot.voxel_size)
    views = [_top_view(middle, size, width, height)]
    radius = 0.5 * float(np.linalg.norm(size))
    for name, azimuth in (("from the south-west", -2.2), ("from the north-east", 0.94)):
        away = np.array([np.cos(azimuth) * 0.80, np.sin(azimuth) * 0.80, 0.60])
        T = look_at(middle + away * 2.6 * radius, middle, np.array([0.0, 0, 1]))
        views.append(View(name, T, width, height, _fitting_focal(points, T, width, height)))
    if len(T_map_cams):
        inside = _fullest(points, T_map_cams, width, height)
        views.append(View("from inside, as the camera stood", inside, width, height, 0.62 * width, near=INSIDE_NEAR_M))
    return views


def _fitting_focal(points: np.ndarray, T_map_view: np.ndarray, width: int, height: int) -> float:
    """Focal length in pixels with which nearly all points are in the picture."""
    p = transform_points(se3_inverse(T_map_view), points[:: max(1, len(points) // 20000)])
    x, y = np.percentile(np.abs(p[:, :2] / np.maximum(p[:, 2:], _NEAR_M)), 99.9, axis=0)
    return 0.47 * min(width / max(x, 1e-3), height / max(y, 1e-3))


def _top_view(middle: np.ndarray, size: np.ndarray, width: int, height: int) -> View:
    turn = size[1] > size[0]  # the longer side lies along the picture's width
    right = np.array([0.0, 1, 0]) if turn else np.array([1.0, 0, 0])
    down = np.array([1.0, 0, 0]) if turn else np.array([0.0, -1, 0])
    across, along = (size[1], size[0]) if turn else (size[0], size[1])
    eye = middle + [0, 0, size[2]]
    scale = 0.92 * min(width / across, height / along)
    T = make_se3(np.column_stack([right, down, [0, 0, -1]]), eye)
    return View("from above", T, width, height, scale, orthographic=True)


def _fullest(points: np.ndarray, T_map_cams: np.ndarray, width: int, height: int) -> np.ndarray:
    """The camera pose, drawn back a little, from which most of the map between 0.5 m and 6 m is in view."""
    some = points[:: max(1, len(points) // 20000)]
    best, most = T_map_cams[0], -1
    for T in T_map_cams[np.unique(np.linspace(0, len(T_map_cams) - 1, 24).astype(int))]:
        p = transform_points(se3_inverse(T), some)
        inside = (p[:, 2] > 0.5) & (p[:, 2] < 6.0)
        inside &= (np.abs(p[:, 0]) < 0.8 * p[:, 2]) & (np.abs(p[:, 1]) < 0.8 * p[:, 2] * height / width)
        if np.count_nonzero(inside) > most:
            best, most = T, int(np.count_nonzero(inside))
    back = best.copy()
    back[:3, 3] -= 0.3 * best[:3, 2]
    return back


def _towards_camera(points_view: np.ndarray, normals_view: np.ndarray, view: View) -> np.ndarray:
    """Cosine between each normal and the direction to the camera; 1 where there is no normal."""
    if view.orthographic:
        cosine = -normals_view[:, 2]
    else:
        length = np.maximum(np.linalg.norm(points_view, axis=1), 1e-9)
        cosine = -(normals_view * points_view).sum(1) / length
    return np.where(np.linalg.norm(normals_view, axis=1) > 0.5, cosine, 1.0)


def _pixels(points_view: np.ndarray, view: View) -> tuple[np.ndarray, np.ndarray]:
    """Supersampled pixel positions (N, 2), and pixels per metre (N,) at each point."""
    scale = np.full(len(points_view), view.focal_px) if view.orthographic \
        else view.focal_px / np.maximum(points_view[:, 2], _NEAR_M)
    scale = scale * _SUPERSAMPLING
    centre = np.array([view.width, view.height]) * _SUPERSAMPLING / 2 - 0.5
    return points_view[:, :2] * scale[:, None] + centre, scale


def _splat(points_view: np.ndarray, keep: np.ndarray, voxel_size: float, view: View, width: int,
           height: int) -> tuple[np.ndarray, np.ndarray]:
    """Index of the nearest voxel (H, W), -1 = none, and its depth. Each voxel is a disc as large as itself."""
    pixels, scale = _pixels(points_view, view)
    z = points_view[:, 2]
    keep = keep & (np.abs(pixels - [width / 2, height / 2]) < [width, height]).all(1)
    ids = np.flatnonzero(keep)
    # depth in steps of 0.1 mm above, number below: the smallest key is the nearest voxel, ties go to the first
    offset = z[ids].min() if ids.size else 0.0
    keys = (np.round((z[ids] - offset) * 1e4).astype(np.uint64) << np.uint64(32)) | ids.astype(np.uint64)
    wanted = scale[ids] * max(voxel_size, 0.005) * 0.75
    radius = _RADII_PX[np.minimum(np.searchsorted(_RADII_PX, wanted), len(_RADII_PX) - 1)]
    u, v = np.rint(pixels[ids]).astype(np.int64).T
    empty = np.iinfo(np.uint64).max
    buffer = np.full(width * height, empty, np.uint64)
    for r in np.unique(radius):
        of_r = radius == r
        u_r, v_r, keys_r = u[of_r], v[of_r], keys[of_r]
        for dy in range(-r, r + 1):
            for dx in range(-r, r + 1):
                if dx * dx + dy * dy <= r * r + 1:
                    x, y = u_r + dx, v_r + dy
                    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
                    np.minimum.at(buffer, y[inside] * width + x[inside], keys_r[inside])
    hit = buffer != empty
    index = np.where(hit, (buffer & np.uint64(0xFFFFFFFF)).astype(np.int64), -1).reshape(height, width)
    depth = np.where(hit, (buffer >> np.uint64(32)).astype(np.float64) * 1e-4 + offset, np.inf)
    return index, depth.reshape(height, width)


def _depth_edges(depth: np.ndarray, hit: np.ndarray, voxel_size: float) -> np.ndarray:
    """Factor (H, W) that darkens what lies behind its neighbours in the picture."""
    far = depth[hit].max() if hit.any() else 0.0
    filled = np.where(hit, depth, far).astype(np.float32)
    dark = np.zeros_like(filled)
    for step in (2, 5):
        around = cv2.erode(filled, np.ones((2 * step + 1, 2 * step + 1), np.uint8))
        dark += np.clip((filled - around - 2.0 * voxel_size) / 0.5, 0.0, 1.0)
    return 1.0 - 0.28 * cv2.GaussianBlur(np.minimum(dark, 1.4), (0, 0), 1.2)


def _draw_line(picture: np.ndarray, line_map: np.ndarray, color: tuple[int, int, int], view: View) -> None:
    """Polyline with a light rim, its start as a ring; parts behind the camera are left out."""
    points = transform_points(se3_inverse(view.T_map_view), np.asarray(line_map, np.float64))
    front = np.ones(len(points), bool) if view.orthographic else points[:, 2] > _NEAR_M
    pixels = np.rint(np.clip(_pixels(points, view)[0], -30000, 30000)).astype(np.int32)
    parts = np.split(np.arange(len(points)), np.flatnonzero(~front))
    runs = [pixels[part[front[part]]] for part in parts]
    for thickness, paint in ((7, (255, 255, 255)), (3, color)):
        for run in runs:
            if len(run) > 1:
                cv2.polylines(picture, [run], False, paint, thickness, cv2.LINE_AA)
    if len(points) and front[0]:
        cv2.circle(picture, tuple(int(c) for c in pixels[0]), 9, (255, 255, 255), -1, cv2.LINE_AA)
        cv2.circle(picture, tuple(int(c) for c in pixels[0]), 7, color, -1, cv2.LINE_AA)
