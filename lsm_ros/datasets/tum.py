# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""TUM RGB-D folders."""
from __future__ import annotations

import bisect
import re
import statistics
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lsm_ros.datasets.base import (
    T_BODY_OPTICAL,
    CameraFile,
    LoggedSource,
    WarningLog,
    fit_to,
    list_text,
    read_camera_file,
    read_color,
    read_label_space,
    read_plain,
    stamp_from_text,
    usual_size,
)
from lsm_ros.datasets.imu import read_imu
from lsm_ros.datasets.tf_tree import TransformError, TransformTree
from lsm_ros.datasets.trajectories import read_tum as read_tum
from lsm_ros.datasets.trajectories import write_tum as write_tum
from lsm_ros.geometry.lie import se3_inverse
from lsm_ros.images.codecs import label_ids
from lsm_ros.types import Frame, FrameSet, TrajectoryPose

_REPEAT = "stamps of {} repeat: only the first line of a stamp counts"
_LONGEST_NAME = 250
TUM_DEPTH_SCALE = 1 / 5000
"""Metres of one unit in the depth images of the TUM benchmark."""


class TumSource(LoggedSource):
    """A folder with rgb.txt and, as there are, depth.txt, labels.txt, groundtruth.txt, odometry.txt, imu.csv, camera.yaml,
    label_space.yaml.

    max_dt: seconds within which depth and labels belong to an image; each goes to its nearest image only, so that they
    may be slower than the images. camera: name of the camera, by default that of camera.yaml, else 'camera'. Without
    camera.yaml there are no intrinsics and depth is in units of 1/5000 m. The rig is the camera's body frame (x forward,
    y left, z up), unless camera.yaml has T_rig_cam; the ground truth, which TUM gives as optical camera to world, is
    turned into poses of that rig, in the world as given. odometry.txt: T_odom_base at stamps about the images'.
    camera.yaml may name folders of further cameras of the rig, each of which is such a folder again.
    """

    ground_truth_frame = "rig"

    @staticmethod
    def recognizes(path: Path) -> bool:
        """True for a folder with rgb.txt."""
        return (path / "rgb.txt").is_file()

    def __init__(self, path: str | Path, *, max_dt: float = 0.02, camera: str | None = None,
                 camera_file: str | Path | None = None) -> None:
        self.path = Path(path)
        self.name = self.path.name
        self._log = WarningLog()
        first = _Camera(self.path, max_dt, camera, camera_file, self._log)
        self._cameras = [first]
        for other in first.file.other_cameras:
            if Path(other).name != other or other in ("", ".."):
                raise ValueError(f"{self.path / 'camera.yaml'}: other_cameras names folders beside it, got {other!r}")
            self._cameras.append(_Camera(self.path / other, max_dt, None, None, self._log, other))
        self.cameras = [c.name for c in self._cameras]
        if len(set(self.cameras)) < len(self.cameras):
            raise ValueError(f"{self.path}: cameras need names of their own, got {', '.join(self.cameras)}")
        self.camera_file, self.label_space = first.file, first.label_space
        self.T_rig_cam = {c.name: c.T_rig_cam for c in self._cameras}
        stamps = [s for s, _ in first.images]
        self._together = [{i: i for i in range(len(stamps))}]
        for c in self._cameras[1:]:
            others = [s for s, _ in c.images]
            self._together.append(_nearest_images(stamps, others, round(max_dt * 1e9)))
            _say_far(f"{c.path.name}/rgb.txt", stamps, others, len(self._together[-1]), round(max_dt * 1e9), self._log)
        T_cam_rig = se3_inverse(first.T_rig_cam)
        truth = self._read_truth()
        self.ground_truth = None if truth is None else [TrajectoryPose(p.stamp_ns, p.T_map_rig @ T_cam_rig) for p in truth]
        self._odometry = self._read_odometry()
        self.imu = read_imu(self.path / "imu.csv") if (self.path / "imu.csv").is_file() else None

    @property
    def taken(self) -> list[str]:
        """Images and what belongs to them, by camera; the other files that are used."""
        files = {"odometry.txt": self._odometry, "imu.csv": self.imu, "groundtruth.txt": self.ground_truth}
        return [c.taken for c in self._cameras] + [f"{name} is used" for name, found in files.items() if found is not None]

    def __len__(self) -> int:
        return self._cameras[0].listed

    def __iter__(self) -> Iterator[FrameSet]:
        last_ns: int | None = None
        for i, (stamp_ns, _) in enumerate(self._cameras[0].images):
            found = [c.frame(match[i]) for c, match in zip(self._cameras, self._together, strict=True) if i in match]
            frames = tuple(f for f in found if f is not None)
            if frames:
                imu = () if self.imu is None else self.imu.between(last_ns, stamp_ns)
                yield FrameSet(stamp_ns, frames, dict(self.T_rig_cam), self._odometry_at(stamp_ns),
                               self.camera_file.rig_is_base, imu, None if self.imu is None else self.imu.T_rig_imu)
                last_ns = stamp_ns

    def close(self) -> None:
        """Does nothing: no file is held open."""

    def _read_truth(self) -> list[TrajectoryPose] | None:
        """The poses of groundtruth.txt; None, which is logged, where it is broken, for the map needs none."""
        path = self.path / "groundtruth.txt"
        try:
            return read_tum(path) if path.is_file() else None
        except ValueError as error:
            self._log.add("the ground truth is left out", str(error))
            return None

    def _read_odometry(self) -> TransformTree | None:
        path = self.path / "odometry.txt"
        if not path.is_file():
            return None
        tree = TransformTree(2**62)
        for pose in read_tum(path):
            tree.add("odom", "base", pose.stamp_ns, pose.T_map_rig)
        return tree if tree.frames else None

    def _odometry_at(self, stamp_ns: int) -> np.ndarray | None:
        if self._odometry is None:
            return None
        try:
            return self._odometry.lookup("odom", "base", stamp_ns)
        except TransformError as error:
            self._log.add("frame set without odometry", str(error))
            return None


class _Camera:
    """Images of one folder with the depth and labels that belong to them."""

    def __init__(self, path: Path, max_dt: float, name: str | None, camera_file: str | Path | None, log: WarningLog,
                 default: str = "camera") -> None:
        self.path, self._log = path, log
        self.images = read_list(path / "rgb.txt", log)
        self.listed = len(self.images) + log.count(_REPEAT.format("rgb.txt"))
        if not self.images:
            raise ValueError(f"{path / 'rgb.txt'} names no images")
        stamps = [s for s, _ in self.images]
        self._depth = self._partners("depth.txt", stamps, max_dt)
        self._labels = self._partners("labels.txt", stamps, max_dt)
        self.file = self._read_camera(camera_file)
        for note in self.file.notes:
            log.once(note)
        self.name = name or self.file.name or default
        self.T_rig_cam = T_BODY_OPTICAL if self.file.T_rig_cam is None else self.file.T_rig_cam
        space = path / "label_space.yaml"
        self.label_space = read_label_space(space) if space.is_file() else None
        self._size = usual_size([path / name for _, name in self.images])
        self.file.check_size(self._size, path)

    @property
    def taken(self) -> str:
        """The part of the folder that is used, in one line."""
        parts = [f"{len(self.images)} images of {self.path.name}/rgb.txt"]
        parts += [f"{len(found)} with {name}" for name, found in (("depth", self._depth), ("labels", self._labels)) if found]
        return f"camera {self.name}: {', '.join(parts)}; {'calibrated' if self.file.intrinsics else 'no calibration'}"

    def frame(self, index: int) -> Frame | None:
        """The frame of one image; None, which is logged, if it cannot be read."""
        stamp_ns, name = self.images[index]
        try:
            image = read_color(self.path / name)
        except (ValueError, FileNotFoundError) as error:
            self._log.add("image skipped", str(error))
            return None
        if image.shape[:2] != self._size:
            self._log.add("image skipped: other size than the others", f"{name}, {image.shape[1]}x{image.shape[0]}")
            return None
        depth = self._partner(self._depth.get(index), image.shape[:2])
        if depth is not None and depth.dtype != np.uint16:
            self._log.add("depth skipped", f"{self._depth[index]} has values of {depth.dtype}; depth needs 16 bits")
            depth = None
        if depth is not None:
            depth = self._metres(depth)
        labels = self._partner(self._labels.get(index), image.shape[:2])
        if labels is not None:
            labels = label_ids(labels)
        space = self.label_space if labels is not None else None
        return Frame(stamp_ns, self.name, image, self.file.intrinsics, depth, labels, space)

    def _metres(self, depth: np.ndarray) -> np.ndarray:
        if self.file.depth_scale is None and np.any(depth):
            units = float(np.median(depth[depth > 0]))
            self._log.once("no camera.yaml gives depth_scale: depth is taken in units of 1/5000 m, as in the TUM benchmark",
                           f"the first image is then {units / 5000:.2g} m away; were it millimetres, {units / 1000:.2g} m")
        return depth.astype(np.float32) * np.float32(self.file.depth_scale or TUM_DEPTH_SCALE)

    def _partner(self, name: str | None, hw: tuple[int, int]) -> np.ndarray | None:
        if name is None:
            return None
        try:
            return fit_to(read_plain(self.path / name), *hw)
        except (ValueError, FileNotFoundError) as error:
            self._log.add("depth or labels skipped", str(error))
            return None

    def _partners(self, list_name: str, stamps: list[int], max_dt: float) -> dict[int, str]:
        path = self.path / list_name
        if not path.is_file():
            return {}
        others, max_dt_ns = read_list(path, self._log), round(max_dt * 1e9)
        found = nearest_partners(stamps, others, max_dt_ns)
        _say_far(f"{self.path.name}/{list_name}", stamps, [s for s, _ in others], len(found), max_dt_ns, self._log)
        return found

    def _read_camera(self, given: str | Path | None) -> CameraFile:
        path = Path(given) if given is not None else self.path / "camera.yaml"
        if given is None and not path.is_file():
            return CameraFile(None)
        return read_camera_file(path)


def _say_far(name: str, stamps: list[int], others: list[int], paired: int, max_dt_ns: int, log: WarningLog) -> None:
    """Logs that most of what a list names finds no image, or most images nothing in it, since its stamps are too far."""
    gaps = [min(abs(stamps[j] - s) for j in (i - 1, i) if 0 <= j < len(stamps))
            for s in others for i in [bisect.bisect_left(stamps, s)]]
    far = [gap for gap in gaps if gap > max_dt_ns]
    if 2 * paired < min(len(stamps), len(others)) and far:
        log.add(f"{len(others) - paired} of {len(others)} files of {name} find no image: their stamps are "
                f"{statistics.median(far) * 1e-6:.3g} ms from those of the nearest, and max_dt is {max_dt_ns * 1e-6:g} ms; "
                "raise it, or mend the stamps")


def _nearest_images(stamps: list[int], others: list[int], max_dt_ns: int) -> dict[int, int]:
    """For indices of sorted `stamps`, the index of the nearest of sorted `others` within max_dt_ns."""
    partners = nearest_partners(stamps, [(s, str(k)) for k, s in enumerate(others)], max_dt_ns)
    return {i: int(k) for i, k in partners.items()}


def read_list(path: Path, log: WarningLog | None = None) -> list[tuple[int, str]]:
    """Lines `stamp file` of rgb.txt and the like as (stamp_ns, file), in the order of stamps and each stamp once.

    Names may hold spaces. Stamps that go back or repeat are logged; ValueError names a bad line.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    log, out = log or WarningLog(), []
    for number, line in enumerate(list_text(path).splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        fields = re.split(r"\s*,\s*|\s+", line.strip(), maxsplit=1)
        if len(fields) < 2:
            raise ValueError(f"{path}, line {number}: expected a stamp and a file, got {line!r}")
        try:
            out.append((stamp_from_text(fields[0]), _file_name(path.parent, fields[1])))
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {fields[0][:40]!r} is not a stamp in seconds: {error}") from error
        if len(out[-1][1]) > _LONGEST_NAME:
            raise ValueError(f"{path}, line {number}: the file name has {len(out[-1][1])} characters")
        if Path(out[-1][1]).is_absolute() or ".." in Path(out[-1][1]).parts:
            raise ValueError(f"{path}, line {number}: {out[-1][1]!r} leads out of the folder; name files inside of it")
        if len(out) > 1 and out[-1][0] < out[-2][0]:
            log.add(f"stamps of {path.name} go back",
                    f"line {number}; what it lists is put in the order of stamps, which is wrong if they are")
    known: dict[int, str] = {}
    for stamp_ns, name in out:
        if stamp_ns in known and known[stamp_ns] == name:
            log.add(f"lines of {path.name} repeat: each counts once", name)
        elif known.setdefault(stamp_ns, name) != name:
            log.add(_REPEAT.format(path.name), f"{name} left out")
    return sorted(known.items())


def _file_name(folder: Path, rest: str) -> str:
    """The file that the rest of a line names: all of it, what is before a comment, or, where other columns follow, its first
    word."""
    if len(rest) > _LONGEST_NAME:  # the system would not look it up
        return rest
    choices = [rest, rest.split(" #", 1)[0].rstrip(), rest.replace(",", " ").split()[0], rest.replace("\\", "/")]
    return next((name for name in choices if (folder / name).is_file()), choices[1])


def nearest_partners(stamps: list[int], others: list[tuple[int, str]], max_dt_ns: int) -> dict[int, str]:
    """For indices of sorted `stamps`, the file of `others` that is nearest within max_dt_ns; none is given twice."""
    best: dict[int, tuple[int, str]] = {}
    for stamp, name in others:
        i = bisect.bisect_left(stamps, stamp)
        near = [(abs(stamps[j] - stamp), j) for j in (i - 1, i) if 0 <= j < len(stamps)]
        gap, j = min(near)
        if gap <= max_dt_ns and (j not in best or gap < best[j][0]):
            best[j] = (gap, name)
    return {j: name for j, (_, name) in best.items()}
