# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A folder in which colour and depth images lie side by side, distinguished by their names, as Replica's and 7-Scenes'."""
from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lsm_ros.datasets.base import (
    T_BODY_OPTICAL,
    CameraFile,
    LoggedSource,
    WarningLog,
    fit_to,
    read_camera_file,
    read_plain,
    usual_size,
)
from lsm_ros.datasets.images import DEFAULT_RATE_HZ, list_images, read_of_size
from lsm_ros.geometry.camera import CameraIntrinsics
from lsm_ros.reading import read_text
from lsm_ros.types import Frame, FrameSet

_DEPTH = re.compile(r"(^|[^a-z])depth([^a-z]|$)")
_OTHER = re.compile(r"(^|[^a-z])(labels?|semantics?|masks?|normals?|instances?|segm\w*)([^a-z]|$)")
_SEVEN_SCENES = re.compile(r"frame-\d+\.depth$")
_NO_DEPTH = 65535  # of 7-Scenes


class ColourDepthSource(LoggedSource):
    """Colour images of a folder with the depth image of the same number, in the order of numbers, counted with rate_hz.

    Depth needs a unit: option depth_scale (metres of one), that of camera.yaml or of cam_params.json (in the folder or the one
    above, as Replica has it), or millimetres for files named as those of 7-Scenes; without any it is left out, which is logged.
    The rig is the camera's body frame.
    """

    ground_truth_frame = "rig"
    ground_truth = None

    @staticmethod
    def recognizes(path: Path) -> bool:
        """True for a folder with images, some of which are depth by their names and have the number of another one."""
        if not path.is_dir():
            return False
        colours, depths = _apart(list_images(path))
        return bool(set(colours) & set(depths))

    def __init__(self, path: str | Path, *, rate_hz: float = DEFAULT_RATE_HZ, camera: str = "camera",
                 camera_file: str | Path | None = None, depth_scale: float | None = None) -> None:
        self.path = Path(path)
        self.name = self.path.name
        self.cameras = [camera]
        self._log = WarningLog()
        files = list_images(self.path)
        self._colours, self._depths = _apart(files)
        if not self._colours or not self._depths:
            raise ValueError(f"folder {self.path} holds no colour images with depth beside them")
        if not 0 < rate_hz < 1e6:
            raise ValueError(f"rate_hz must be positive, got {rate_hz}")
        left = len(files) - len(self._colours) - len(self._depths)
        if left:
            self._log.add(f"{left} images are left out, which are neither colour nor depth by their names, or repeat a number")
        alone = len(set(self._depths) - set(self._colours))
        if alone:
            self._log.add(f"{alone} depth images are left out, which have no colour image of their number")
        self._rate_hz = rate_hz
        self._size = usual_size(list(self._colours.values()))
        self._camera = self._read_camera(camera_file)
        self._camera.check_size(self._size, self.path)
        self.depth_scale = depth_scale or self._camera.depth_scale or self._known_scale()
        if self.depth_scale is not None and not 0 < self.depth_scale < 1:
            raise ValueError(f"depth_scale must be metres of one unit, above 0 and below 1, got {self.depth_scale}")

    @property
    def taken(self) -> list[str]:
        """The images, their depth, and how their stamps are counted."""
        depth = "" if self.depth_scale is None else f", {len(set(self._depths) & set(self._colours))} with depth in units of " \
            f"{self.depth_scale:g} m"
        known = "calibrated" if self._camera.intrinsics else "no calibration"
        stamps = f"stamps counted at {self._rate_hz:g} Hz (option rate_hz)"
        return [f"camera {self.cameras[0]}: {len(self._colours)} images{depth}, {stamps}; {known}"]

    def __len__(self) -> int:
        return len(self._colours)

    def __iter__(self) -> Iterator[FrameSet]:
        for i, (number, file) in enumerate(sorted(self._colours.items())):
            stamp_ns = round(i * 1e9 / self._rate_hz)
            image = read_of_size(file, self._size, self._log, "the others")
            if image is not None:
                frame = Frame(stamp_ns, self.cameras[0], image, self._camera.intrinsics, self._depth(number))
                yield FrameSet(stamp_ns, (frame,), {self.cameras[0]: T_BODY_OPTICAL})

    def close(self) -> None:
        """Does nothing: no file is held open."""

    def _depth(self, number: int) -> np.ndarray | None:
        """Depth (H, W) in metres of the image of a number, 0 where there is none; None, which is logged, without any."""
        file = self._depths.get(number)
        if file is None or self.depth_scale is None:
            return None
        try:
            raw = fit_to(read_plain(file), *self._size)
            if raw.dtype != np.uint16:
                raise ValueError(f"{file} has values of {raw.dtype}; depth needs 16 bits")
        except ValueError as error:
            self._log.add("depth skipped", str(error))
            return None
        return np.where(raw == _NO_DEPTH, np.float32(0), raw.astype(np.float32) * np.float32(self.depth_scale))

    def _known_scale(self) -> float | None:
        if all(_SEVEN_SCENES.search(f.stem) for f in self._depths.values()):
            self._log.add("depth is taken in millimetres, as that of 7-Scenes, by the names of the files")
            return 0.001
        self._log.add(f"{len(self._depths)} depth images lie among {len(self._colours)} colour images and are left out, for "
                      "nothing says their unit: give option depth_scale (metres of one unit, such as 0.001)")
        return None

    def _read_camera(self, given: str | Path | None) -> CameraFile:
        """The camera of the file that was given, else of what lies in the folder or the one above, else none."""
        if given is not None:
            return read_camera_file(Path(given))
        for folder in (self.path, self.path.parent):
            if (folder / "camera.yaml").is_file():
                return read_camera_file(folder / "camera.yaml")
            if (folder / "cam_params.json").is_file():
                return _replica_camera(folder / "cam_params.json")
        return CameraFile(None)


def _apart(files: list[Path]) -> tuple[dict[int, Path], dict[int, Path]]:
    """Colour and depth images by number, the last one in the name. Files without a number or of other kinds are in neither."""
    colours: dict[int, Path] = {}
    depths: dict[int, Path] = {}
    for file in files:
        numbers = re.findall(r"\d+", file.stem)
        stem = file.stem.lower()
        if numbers and not _OTHER.search(stem):
            (depths if _DEPTH.search(stem) else colours).setdefault(int(numbers[-1]), file)
    return colours, depths


def _replica_camera(path: Path) -> CameraFile:
    """Camera of a cam_params.json: {"camera": {w, h, fx, fy, cx, cy, scale}}, scale being units of depth in a metre."""
    try:
        values: dict[str, Any] = json.loads(read_text(path))["camera"]
        k = CameraIntrinsics(values["w"], values["h"], *(float(values[name]) for name in ("fx", "fy", "cx", "cy")))
        return CameraFile(k, 1 / float(values["scale"]))
    except (KeyError, TypeError, ValueError, ZeroDivisionError, RecursionError) as error:
        raise ValueError(f"{path} is no camera: {type(error).__name__}: {error}") from error
