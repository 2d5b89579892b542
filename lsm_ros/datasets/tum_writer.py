# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Writes any source as a TUM RGB-D folder, which `TumSource` reads back whole."""
from __future__ import annotations

from pathlib import Path

import numpy as np

from lsm_ros.datasets.base import T_BODY_OPTICAL, Source, stamp_to_text
from lsm_ros.datasets.imu import ImuData, write_imu
from lsm_ros.datasets.tum import TUM_DEPTH_SCALE, write_tum
from lsm_ros.geometry.camera import CameraIntrinsics
from lsm_ros.images.codecs import encode_jpeg, encode_png
from lsm_ros.types import Frame, FrameSet, LabelSpace, TrajectoryPose

_LISTS = ("rgb", "depth", "labels")


class TumWriter:
    """A TUM folder in the making: `add` each frame set, then `close`.

    The first camera has the folder itself, each further one a folder of its name in it. Written: rgb/, depth/ (16-bit PNG
    in units of 1/5000 m; 0 beyond 13.1 m), labels/ (16-bit PNG, 65535 unlabelled) with their lists, label_space.yaml,
    camera.yaml with T_rig_cam, groundtruth.txt (optical frame to world), and where the source has them odometry.txt
    (T_odom_base at the stamps of the images) and imu.csv. jpeg_quality: images as JPEG, else as PNG. OSError if the disk is
    full.
    """

    def __init__(self, folder: Path, source: Source, jpeg_quality: int | None = None) -> None:
        if jpeg_quality is not None and not 1 <= jpeg_quality <= 100:
            raise ValueError(f"jpeg_quality must be 1 to 100, got {jpeg_quality}")
        self._folder, self._source, self._quality = folder, source, jpeg_quality
        self._cameras: dict[str, _CameraFolder] = {}
        self._odometry: list[TrajectoryPose] = []
        self._stamps: list[int] = []
        self._rig_is_base = False

    def add(self, frame_set: FrameSet) -> None:
        """Writes the images of one instant."""
        self._stamps.append(frame_set.stamp_ns)
        self._rig_is_base = frame_set.rig_is_base
        for frame in frame_set.frames:
            if frame.camera not in self._cameras:
                first = frame.camera == self._source.cameras[0]
                T_rig_cam = frame_set.T_rig_cam.get(frame.camera, T_BODY_OPTICAL)
                self._cameras[frame.camera] = _CameraFolder(
                    self._folder if first else self._folder / _folder_name(frame.camera), frame.camera, T_rig_cam)
            self._cameras[frame.camera].add(frame, self._quality)
        if frame_set.T_odom_base is not None:
            self._odometry.append(TrajectoryPose(frame_set.stamp_ns, frame_set.T_odom_base))

    def close(self) -> None:
        """Writes lists, cameras and trajectories. ValueError if the first camera never had an image."""
        names, first = list(self._cameras), self._source.cameras[0]
        if first not in self._cameras:
            raise ValueError(f"source {self._source.name} gave no frames of camera {first}")
        others = [_folder_name(n) for n in names if n != first]
        truth = [p for p in self._source.ground_truth or () if self._stamps[0] <= p.stamp_ns <= self._stamps[-1]]
        for name, camera in self._cameras.items():
            camera.close(self._rig_is_base, others if name == first else [])
            if truth:
                poses = [TrajectoryPose(p.stamp_ns, p.T_map_rig @ camera.T_rig_cam) for p in truth]
                write_tum(camera.folder / "groundtruth.txt", poses,
                          f"true poses of {name}'s optical frame in the world; stamp tx ty tz qx qy qz qw")
        if self._odometry:
            write_tum(self._folder / "odometry.txt", self._odometry,
                      "odometry: the base in the odometry frame; stamp tx ty tz qx qy qz qw")
        imu = getattr(self._source, "imu", None)
        if imu is not None:
            rows = (imu.stamps_ns >= self._stamps[0]) & (imu.stamps_ns <= self._stamps[-1])
            write_imu(self._folder / "imu.csv", ImuData(imu.stamps_ns[rows], imu.angular_velocity[rows],
                                                        imu.specific_force[rows], imu.T_rig_imu))


class _CameraFolder:
    """The files of one camera."""

    def __init__(self, folder: Path, name: str, T_rig_cam: np.ndarray) -> None:
        self.folder, self.name, self.T_rig_cam = folder, name, T_rig_cam
        self._lists: dict[str, list[str]] = {kind: [] for kind in _LISTS}
        self._intrinsics: CameraIntrinsics | None = None
        self._space: LabelSpace | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, frame: Frame, quality: int | None) -> None:
        self._intrinsics, self._space = frame.intrinsics or self._intrinsics, frame.label_space or self._space
        stamp = stamp_to_text(frame.stamp_ns)
        image = encode_png(frame.image) if quality is None else encode_jpeg(frame.image, quality)
        self._put("rgb", stamp, image, "png" if quality is None else "jpg")
        if frame.depth is not None:
            self._put("depth", stamp, encode_png(depth_units(frame.depth)))
        if frame.labels is not None:
            self._put("labels", stamp, encode_png(frame.labels))

    def close(self, rig_is_base: bool, others: list[str]) -> None:
        for kind, lines in self._lists.items():
            if lines:
                (self.folder / f"{kind}.txt").write_text(f"# stamp [s], file of {self.name}\n" + "".join(lines))
        if self._space is not None:
            text = {"names": dict(sorted(self._space.names.items())), "threshold": self._space.threshold}
            (self.folder / "label_space.yaml").write_text(_yaml(text))
        if self._intrinsics is not None:
            k = self._intrinsics
            values = {"camera": self.name, "image_width": k.width, "image_height": k.height, "fx": k.fx, "fy": k.fy,
                      "cx": k.cx, "cy": k.cy, "distortion_model": k.distortion_model, "D": list(k.D),
                      "depth_scale": TUM_DEPTH_SCALE, "T_rig_cam": self.T_rig_cam.tolist(), "rig_is_base": rig_is_base}
            (self.folder / "camera.yaml").write_text(_yaml(values | ({"other_cameras": others} if others else {})))

    def _put(self, kind: str, stamp: str, blob: bytes, suffix: str = "png") -> None:
        place = self.folder / kind
        if not self._lists[kind]:
            place.mkdir()
        name = f"{kind}/{stamp}.{suffix}"
        (self.folder / name).write_bytes(blob)
        self._lists[kind].append(f"{stamp} {name}\n")


def depth_units(depth: np.ndarray) -> np.ndarray:
    """Depth (H, W) in metres as uint16 in units of 1/5000 m, rounded; 0 where it is unknown or does not fit."""
    units = np.rint(np.nan_to_num(depth.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0) / TUM_DEPTH_SCALE)
    return np.where((units > 0) & (units <= 65535), units, 0).astype(np.uint16)


def _folder_name(camera: str) -> str:
    return camera.strip("/").replace("/", "_")


def _yaml(values: dict) -> str:
    import yaml

    return yaml.safe_dump(values, sort_keys=False, default_flow_style=None, width=120, allow_unicode=True)
