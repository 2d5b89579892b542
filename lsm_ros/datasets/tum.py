# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""TUM RGB-D folders, and trajectories in TUM's format (stamp tx ty tz qx qy qz qw)."""
from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from lsm_ros.datasets.base import (
    T_BODY_OPTICAL,
    CameraFile,
    WarningLog,
    fit_to,
    read_camera_file,
    read_color,
    read_label_space,
    read_plain,
    stamp_from_text,
    stamp_to_text,
)
from lsm_ros.datasets.imu import read_imu
from lsm_ros.datasets.tf_tree import TransformError, TransformTree
from lsm_ros.files import write_text
from lsm_ros.geometry.lie import make_se3, matrix_to_quat, quat_to_matrix, se3_inverse
from lsm_ros.images.codecs import label_ids
from lsm_ros.types import Frame, FrameSet, TrajectoryPose

TUM_DEPTH_SCALE = 1 / 5000
"""Metres of one unit in the depth images of the TUM benchmark."""


class TumSource:
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
            if Path(other).name != other:
                raise ValueError(f"{self.path / 'camera.yaml'}: other_cameras names folders beside it, got {other!r}")
            self._cameras.append(_Camera(self.path / other, max_dt, None, None, self._log, other))
        self.cameras = [c.name for c in self._cameras]
        if len(set(self.cameras)) < len(self.cameras):
            raise ValueError(f"{self.path}: cameras need names of their own, got {', '.join(self.cameras)}")
        self.camera_file, self.label_space = first.file, first.label_space
        self.T_rig_cam = {c.name: c.T_rig_cam for c in self._cameras}
        stamps = [s for s, _ in first.images]
        self._together = [{i: i for i in range(len(stamps))}] + [
            _nearest_images(stamps, [s for s, _ in c.images], round(max_dt * 1e9)) for c in self._cameras[1:]]
        truth = self.path / "groundtruth.txt"
        T_cam_rig = se3_inverse(first.T_rig_cam)
        self.ground_truth = [TrajectoryPose(p.stamp_ns, p.T_map_rig @ T_cam_rig) for p in read_tum(truth)] \
            if truth.is_file() else None
        self._odometry = self._read_odometry()
        self.imu = read_imu(self.path / "imu.csv") if (self.path / "imu.csv").is_file() else None

    @property
    def warnings(self) -> list[str]:
        """Skipped data so far."""
        return self._log.lines()

    def __len__(self) -> int:
        return len(self._cameras[0].images)

    def __iter__(self) -> Iterator[FrameSet]:
        for i, (stamp_ns, _) in enumerate(self._cameras[0].images):
            found = [c.frame(match[i]) for c, match in zip(self._cameras, self._together, strict=True) if i in match]
            frames = tuple(f for f in found if f is not None)
            if frames:
                yield FrameSet(stamp_ns, frames, dict(self.T_rig_cam), self._odometry_at(stamp_ns),
                               rig_is_base=self.camera_file.rig_is_base)

    def close(self) -> None:
        """Does nothing: no file is held open."""

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
        self.images = read_list(path / "rgb.txt")
        if not self.images:
            raise ValueError(f"{path / 'rgb.txt'} names no images")
        stamps = [s for s, _ in self.images]
        self._depth = self._partners("depth.txt", stamps, max_dt)
        self._labels = self._partners("labels.txt", stamps, max_dt)
        self.file = self._read_camera(camera_file)
        self.name = name or self.file.name or default
        self.T_rig_cam = T_BODY_OPTICAL if self.file.T_rig_cam is None else self.file.T_rig_cam
        space = path / "label_space.yaml"
        self.label_space = read_label_space(space) if space.is_file() else None
        first = read_color(path / self.images[0][1])
        model = self.file.intrinsics
        if model is not None and model.shape != first.shape[:2]:
            raise ValueError(f"{path}: the camera is {model.width}x{model.height}, but "
                             f"{self.images[0][1]} is {first.shape[1]}x{first.shape[0]}")

    def frame(self, index: int) -> Frame | None:
        """The frame of one image; None, which is logged, if it cannot be read."""
        stamp_ns, name = self.images[index]
        try:
            image = read_color(self.path / name)
        except (ValueError, FileNotFoundError) as error:
            self._log.add("image skipped", str(error))
            return None
        camera = self.file.intrinsics
        if camera is not None and camera.shape != image.shape[:2]:
            self._log.add("image skipped: other size than the camera", f"{name}, {image.shape[1]}x{image.shape[0]}")
            return None
        depth = self._partner(self._depth.get(index), image.shape[:2])
        if depth is not None:
            scale = self.file.depth_scale or TUM_DEPTH_SCALE
            depth = depth.astype(np.float32) * np.float32(scale)
        labels = self._partner(self._labels.get(index), image.shape[:2])
        if labels is not None:
            labels = label_ids(labels)
        return Frame(stamp_ns, self.name, image, camera, depth, labels, self.label_space if labels is not None else None)

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
        return nearest_partners(stamps, read_list(path), round(max_dt * 1e9)) if path.is_file() else {}

    def _read_camera(self, given: str | Path | None) -> CameraFile:
        path = Path(given) if given is not None else self.path / "camera.yaml"
        if given is None and not path.is_file():
            return CameraFile(None)
        return read_camera_file(path)


def _nearest_images(stamps: list[int], others: list[int], max_dt_ns: int) -> dict[int, int]:
    """For indices of sorted `stamps`, the index of the nearest of sorted `others` within max_dt_ns."""
    partners = nearest_partners(stamps, [(s, str(k)) for k, s in enumerate(others)], max_dt_ns)
    return {i: int(k) for i, k in partners.items()}


def read_list(path: Path) -> list[tuple[int, str]]:
    """Lines `stamp file` of rgb.txt and the like as (stamp_ns, file), sorted; ValueError names a bad line."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    out = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        fields = line.split("#", 1)[0].replace(",", " ").split()
        if not fields:
            continue
        if len(fields) < 2:
            raise ValueError(f"{path}, line {number}: expected a stamp and a file, got {line!r}")
        try:
            out.append((stamp_from_text(fields[0]), fields[1]))
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {fields[0]!r} is not a stamp in seconds") from error
    return sorted(out)


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


def read_tum(path: str | Path) -> list[TrajectoryPose]:
    """Poses of a TUM trajectory file in order of stamps, in the frames of the file; ValueError names a bad line."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"trajectory {path} does not exist")
    poses = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        fields = line.split("#", 1)[0].replace(",", " ").split()
        if not fields:
            continue
        try:
            stamp_ns = stamp_from_text(fields[0])
            values = np.array([float(v) for v in fields[1:]])
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: not numbers: {line!r}") from error
        if values.shape != (7,) or not np.isfinite(values).all() or np.linalg.norm(values[3:]) < 1e-6:
            raise ValueError(f"{path}, line {number}: expected stamp tx ty tz qx qy qz qw, got {line!r}")
        quat = values[3:] / np.linalg.norm(values[3:])
        poses.append(TrajectoryPose(stamp_ns, make_se3(quat_to_matrix(quat), values[:3])))
    return sorted(poses, key=lambda p: p.stamp_ns)


def write_tum(path: str | Path, poses: Iterable[TrajectoryPose], comment: str = "") -> None:
    """Writes poses as lines `stamp tx ty tz qx qy qz qw`: seconds to the nanosecond, metres to the micrometre."""
    lines = [f"# {comment}"] if comment else []
    for pose in poses:
        t, q = pose.T_map_rig[:3, 3], matrix_to_quat(pose.T_map_rig[:3, :3])
        lines.append(" ".join([stamp_to_text(pose.stamp_ns), *(f"{v:.6f}" for v in t), *(f"{v:.8f}" for v in q)]))
    write_text(path, "\n".join(lines) + ("\n" if lines else ""))
