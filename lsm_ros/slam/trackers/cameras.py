# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Knowledge about cameras that tracking gains: focal lengths, and pixels that no pinhole explains."""
from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lsm_ros.geometry import CameraIntrinsics
from lsm_ros.types import Frame

COMMON_FOCAL = 0.85  # of the width, before anything is known
FOCALS_KEPT = 50
WRONG_FOCAL = 0.1  # relative; a calibration that is farther off is reported


@dataclass
class CameraKnowledge:
    """Knowledge about each camera by name. focal_px: found so far; focal_std_px: its standard deviation, once there is one.
    off_pinhole: share of pixels that no pinhole explains. uncalibrated: cameras that came without calibration. given_px: focal
    length of those that came with one."""

    focal_px: dict[str, float] = field(default_factory=dict)
    focal_std_px: dict[str, float] = field(default_factory=dict)
    off_pinhole: dict[str, float] = field(default_factory=dict)
    uncalibrated: set[str] = field(default_factory=set)
    given_px: dict[str, float] = field(default_factory=dict)
    _seen: dict[str, list[float]] = field(default_factory=dict)

    def guess(self, frame: Frame) -> CameraIntrinsics:
        """Pinhole with the focal length found so far, or a common one, for a camera without calibration."""
        self.uncalibrated.add(frame.camera)
        height, width = frame.image.shape[:2]
        focal = self.focal_px.get(frame.camera, COMMON_FOCAL * width)
        return CameraIntrinsics(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)

    def corrected(self, frame: Frame) -> Frame:
        """The frame with the focal length found so far."""
        if frame.camera not in self.focal_px or frame.intrinsics is None:
            return frame
        return replace(frame, intrinsics=with_focal(frame.intrinsics, self.focal_px[frame.camera]))

    def learn(self, camera: str, focal_px: float, width: int) -> None:
        """Takes in the focal length that one image implies, nan for none, of a camera with images `width` wide."""
        before = self._seen.get(camera)
        if before is None:  # what a session or a map before found counts as three
            before = [self.focal_px[camera]] * 3 if camera in self.focal_px else []
        self._seen[camera] = [*before[1 - FOCALS_KEPT:], focal_px] if np.isfinite(focal_px) else before
        found = np.array(self._seen[camera] or [COMMON_FOCAL * width])
        self.focal_px[camera] = focal = float(np.median(found))
        spread = 1.4826 * float(np.median(np.abs(found - focal))) if len(found) > 2 else np.inf
        self.focal_std_px[camera] = min(max(spread / np.sqrt(len(found)), 0.005 * focal), 0.1 * focal)

    def wrong_calibration(self) -> dict[str, tuple[float, float, float]]:
        """Cameras whose calibration does not fit their images: focal length given, found, and its deviation, pixels."""
        return {c: (given, self.focal_px[c], self.focal_std_px[c]) for c, given in self.given_px.items()
                if c in self.focal_std_px and abs(np.log(self.focal_px[c] / given)) > WRONG_FOCAL}

    def to_dict(self) -> dict[str, Any]:
        """Values that are sure enough, in plain types; a new session or a saved map goes on with it."""
        return {"focal_px": {c: self.focal_px[c] for c in self.focal_std_px}, "focal_std_px": dict(self.focal_std_px),
                "off_pinhole": dict(self.off_pinhole), "uncalibrated": sorted(self.uncalibrated)}

    def recall(self, known: dict[str, Any]) -> None:
        """Takes over what `to_dict` gave. ValueError for what it never gives."""
        for name in ("focal_px", "focal_std_px", "off_pinhole"):
            for camera, value in known.get(name, {}).items():
                if not (math.isfinite(value) and (value > 0 or (value == 0 and name == "off_pinhole"))):
                    raise ValueError(f"{name} of camera {camera!r} must be a positive number, got {value!r}")
                getattr(self, name)[camera] = float(value)
        self.uncalibrated.update(known.get("uncalibrated", ()))


def with_focal(intrinsics: CameraIntrinsics, focal_px: float) -> CameraIntrinsics:
    """The same pinhole with another focal length; pixels keep their shape."""
    ratio = intrinsics.fy / intrinsics.fx
    return CameraIntrinsics(intrinsics.width, intrinsics.height, focal_px, focal_px * ratio, intrinsics.cx, intrinsics.cy)
