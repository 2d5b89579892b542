# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Checks of keyframes and links that are loaded: all that later code relies on. All errors are ValueErrors that name the
keyframe or the link, and the value."""
from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any

import numpy as np

from lsm_ros.fusion.backends.layout import check_pose
from lsm_ros.slam.graph.keyframes import Keyframe, KeyframeGraph, KeyframeView, Link

FARTHEST = 1e6  # from the origin, in units of the map
SUREST = 1e-4  # metres that a point is off its plane at least
UNIT = 1e-6  # by which the length of a normal may differ from 1
MOST = 2**62  # of an id or a stamp


def whole(value: Any, name: str, low: int = 0) -> int:
    """A whole number from `low` on, itself."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value < MOST:
        raise ValueError(f"{name} must be a whole number from {low} on, got {value!r}")
    return value


def pose(T: np.ndarray, name: str, may_scale: bool = True) -> np.ndarray:
    """A transform (4, 4) as float64, of a translation that a map can have."""
    T = check_pose(T, name, may_scale)
    if np.abs(T[:3, 3]).max() > FARTHEST:
        raise ValueError(f"{name} is farther than {FARTHEST:g} from the origin: {T[:3, 3].tolist()}")
    return T


def check_keyframe(keyframe: Keyframe, graph: KeyframeGraph) -> None:
    """Checks a keyframe that is to be added to `graph`. Its poses become float64."""
    name = f"keyframe {keyframe.id!r}"
    if keyframe.id in graph.keyframes:
        raise ValueError(f"{name} comes twice")
    keyframe.T_map_rig = pose(keyframe.T_map_rig, f"T_map_rig of {name}")
    for camera, view in keyframe.views.items():
        _check_view(view, f"camera {camera!r} of {name}")


def _check_view(view: KeyframeView, name: str) -> None:
    view.T_rig_cam = pose(view.T_rig_cam, f"T_rig_cam of {name}", may_scale=False)
    numbers(view.corners, (len(view.corners), 2), f"corners of {name}")
    if not view.intrinsics.contains(view.corners).all():
        raise ValueError(f"corners of {name} lie outside of its image, {view.intrinsics.width}x{view.intrinsics.height}")
    for part in ("measured", "inverse_depth"):
        values = numbers(getattr(view, part), (len(view.corners),), f"{part} of {name}", may_be_unknown=True)
        if (values <= 0).any():
            raise ValueError(f"{part} of {name} must be positive, got {np.nanmin(values)}")


def check_ends(links: Iterable[tuple[int, str, int, str]], cameras: Mapping[int, Container[str]]) -> None:
    """Checks that the keyframes and cameras that links join are there. cameras: names by keyframe."""
    for a, camera_a, b, camera_b in links:
        for i, camera in ((a, camera_a), (b, camera_b)):
            if i not in cameras or camera not in cameras[i]:
                raise ValueError(f"link of keyframes {a!r} and {b!r}: there is no camera {camera!r} of keyframe {i!r}")


def check_link(link: Link, graph: KeyframeGraph) -> None:
    """Checks the matches and surfaces of a link between keyframes of `graph`, which are there."""
    name = f"link of keyframes {link.anchor!r} and {link.observer!r}"
    m, corners = link.matches, len(graph.keyframes[link.anchor].views[link.anchor_camera].corners)
    index = m.index_b
    if index.ndim != 1 or index.dtype.kind not in "iu" or (len(index) and not 0 <= index.min() <= index.max() < corners):
        raise ValueError(f"{name}: index_b must be numbers of the {corners} corners of keyframe {link.anchor}")
    numbers(m.pixels_a, (len(index), 2), f"{name}: pixels_a")
    if not graph.keyframes[link.observer].views[link.observer_camera].intrinsics.contains(m.pixels_a).all():
        raise ValueError(f"{name}: pixels_a lie outside of the image of keyframe {link.observer}")
    numbers(m.depth_a, (len(index),), f"{name}: depth_a", may_be_unknown=True)
    if link.surfaces is not None:
        x, count = link.surfaces, link.surfaces.sigma.size
        points = numbers(x.points, (count, 3), f"{name}: points of surfaces")
        planes = numbers(x.planes, (count, 4), f"{name}: planes")
        if link.anchor == link.observer:
            raise ValueError(f"{name}: a keyframe cannot be tied to itself")
        if max(np.abs(points).max(initial=0.0), np.abs(planes).max(initial=0.0)) > FARTHEST:
            raise ValueError(f"{name}: surfaces are farther than {FARTHEST:g} away")
        if np.abs(np.linalg.norm(planes[:, :3], axis=1) - 1.0).max(initial=0.0) > UNIT:
            raise ValueError(f"{name}: normals of planes must have length 1")
        if numbers(x.sigma, (count,), f"{name}: sigma of surfaces").min(initial=1.0) < SUREST:
            raise ValueError(f"{name}: sigma of surfaces must be at least {SUREST:g}")


def numbers(values: np.ndarray, shape: tuple[int, ...], name: str, may_be_unknown: bool = False) -> np.ndarray:
    """An array of real numbers of a shape, finite but for NaN where that is allowed; itself."""
    if values.shape != shape or values.dtype.kind != "f":
        raise ValueError(f"{name} must be {shape} real numbers, got {values.shape} {values.dtype}")
    if np.isinf(values).any() or (not may_be_unknown and np.isnan(values).any()):
        raise ValueError(f"{name} must be finite")
    return values
