# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Cameras on a base: their mounting poses and their lenses."""
from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from lsm_ros.geometry.camera import T_BODY_OPTICAL, CameraIntrinsics
from lsm_ros.geometry.distortion import distort, max_radius_squared
from lsm_ros.geometry.lie import make_se3

RIGS = ("front", "front_rear", "stereo", "ring3", "ring4", "mast")
"""One camera ahead; one ahead and one behind; two side by side; three or four around; one ahead at the mast's top."""

DISTORTIONS = {
    "none": ("", ()),
    "plumb_bob": ("plumb_bob", (-0.28, 0.09, 0.0004, -0.0003, -0.012)),
    "rational": ("rational_polynomial", (0.9, 0.12, 0.0003, -0.0002, 0.002, 1.2, 0.3, 0.012)),
    "fisheye": ("equidistant", (-0.02, 0.004, -0.002, 0.0003)),
}
"""Lenses by name: distortion model and its coefficients. A webcam's barrel, a wide camera, a mild fisheye."""

BASELINE = 0.12
"""Metres between the cameras of a stereo pair."""

_TILT, _HEIGHT, _FORWARD = math.radians(14.0), 1.1, 0.1
_MAST_TILT, _MAST_HEIGHT = math.radians(20.0), 1.25
_HELD_OFFSET = 0.03  # metres from the middle of a device in the hand to its cameras


@dataclass(frozen=True)
class Rig:
    """Cameras by name: T_rig_cam (4, 4), the pose of each optical frame in the base; intrinsics of each."""

    T_rig_cam: dict[str, np.ndarray]
    intrinsics: dict[str, CameraIntrinsics]

    @property
    def cameras(self) -> list[str]:
        """Names, in order."""
        return list(self.T_rig_cam)


def build_rig(name: str = "front", width: int = 320, height: int = 240, fov: float = math.radians(75.0),
              distortion: str = "none", handheld: bool = False) -> Rig:
    """A rig of RIGS with equal cameras of width x height pixels that span `fov` radians from side to side.

    distortion: a name of DISTORTIONS. handheld: the rig is a device in the hand, its cameras about its middle and level,
    instead of on a mast of a robot. ValueError for unknown names, and a view that the lens cannot have.
    """
    if name not in RIGS:
        raise ValueError(f"unknown rig {name!r}; there are: {', '.join(RIGS)}")
    camera = lens(width, height, fov, distortion)
    at = {"height": 0.0, "tilt": 0.0, "forward": _HELD_OFFSET} if handheld else {}
    if name == "front":
        mounts = {"front": mount(**at)}
    elif name == "front_rear":
        mounts = {"front": mount(**at), "rear": mount(math.pi, **at)}
    elif name == "stereo":
        mounts = {"left": mount(left=BASELINE / 2, **at), "right": mount(left=-BASELINE / 2, **at)}
    elif name == "mast":
        mounts = {"front": mount(**at) if handheld else mount(height=_MAST_HEIGHT, tilt=_MAST_TILT)}
    else:
        count = int(name[-1])
        names = ("front", "left", "right") if count == 3 else ("front", "left", "rear", "right")
        mounts = {n: mount(2 * math.pi * k / count, **at) for k, n in enumerate(names)}
    return Rig(mounts, dict.fromkeys(mounts, camera))


def mount(yaw: float = 0.0, tilt: float = _TILT, height: float = _HEIGHT, forward: float = _FORWARD,
          left: float = 0.0) -> np.ndarray:
    """T_rig_cam (4, 4) of a camera on a mast: turned by yaw to the left, tilted down, in radians.

    `forward` metres from the mast's middle in the direction that it looks, `left` across that, `height` above the base.
    """
    cy, sy, ct, st = math.cos(yaw), math.sin(yaw), math.cos(tilt), math.sin(tilt)
    turned = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1.0]])
    tilted = np.array([[ct, 0, st], [0, 1.0, 0], [-st, 0, ct]])
    return make_se3(turned @ tilted, turned @ np.array([forward, left, height])) @ T_BODY_OPTICAL


def lens(width: int, height: int, fov: float = math.radians(75.0), distortion: str = "none") -> CameraIntrinsics:
    """Camera whose rays at the left and right edge are `fov` radians apart through a lens of DISTORTIONS.

    ValueError for an unknown lens, an angle outside of (0, pi), and one at which the lens folds the image over.
    """
    if distortion not in DISTORTIONS:
        raise ValueError(f"unknown distortion {distortion!r}; there are: {', '.join(DISTORTIONS)}")
    camera = CameraIntrinsics.from_fov(width, height, fov)
    model, D = DISTORTIONS[distortion]
    if not model:
        return camera
    edge = np.array([math.tan(fov / 2)])
    limit = max_radius_squared(model, D)
    bent = float(distort(model, D, edge, np.zeros(1))[0][0]) if edge[0] ** 2 < limit else math.nan
    focal = 0.5 * width / bent if bent > 0 else math.nan
    if not math.isfinite(focal):
        raise ValueError(f"a lens of kind {distortion!r} cannot span {math.degrees(fov):.0f} degrees; take less, or 'fisheye'")
    camera = replace(camera, fx=focal, fy=focal, distortion_model=model, D=D)
    corner = camera.unproject(np.array([[0.0, 0.0], [width - 1.0, height - 1.0]]))
    if model != "equidistant" and np.isnan(corner).any():
        raise ValueError(f"a lens of kind {distortion!r} has no rays for the corners of {width}x{height} pixels that span "
                         f"{math.degrees(fov):.0f} degrees; take less, or 'fisheye'")
    return camera
