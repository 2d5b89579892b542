# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Models in COLMAP's files: cameras, images and points3D as text and as binary (colmap.github.io/format.html).

COLMAP counts pixels from the corner of the image, so that the centre of the first is 0.5; here it is 0.
"""
from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lsm_ros.files import replacing_file, write_text
from lsm_ros.geometry import CameraIntrinsics, se3_inverse
from lsm_ros.geometry.lie import make_se3
from lsm_ros.geometry.rotation import matrix_to_quat, quat_to_matrix
from lsm_ros.sfm.model import SceneModel

HALF = 0.5
MODELS = {0: ("SIMPLE_PINHOLE", 3), 1: ("PINHOLE", 4), 2: ("SIMPLE_RADIAL", 4), 3: ("RADIAL", 5), 4: ("OPENCV", 8),
          5: ("OPENCV_FISHEYE", 8), 6: ("FULL_OPENCV", 12)}
FILES = tuple(f"{name}.{kind}" for name in ("cameras", "images", "points3D") for kind in ("txt", "bin"))


def _parameters(camera: CameraIntrinsics) -> tuple[int, list[float]]:
    """COLMAP's number of the camera model, and its parameters."""
    f, c, D = [camera.fx, camera.fy], [camera.cx + HALF, camera.cy + HALF], list(camera.D)
    if not camera.has_distortion:
        return (0, [f[0], *c]) if f[0] == f[1] else (1, [*f, *c])
    if camera.distortion_model == "equidistant":
        return 5, [*f, *c, *D]
    if f[0] == f[1] and not any(D[1:]):
        return 2, [f[0], *c, D[0]]
    if len(D) == 4 or not any(D[4:]):
        return 4, [*f, *c, *D[:4]]
    return 6, [*f, *c, *(D + [0.0] * 8)[:8]]


def _intrinsics(model: int, width: int, height: int, p: Sequence[float]) -> CameraIntrinsics:
    if model in (0, 2, 3):
        p = (p[0], *p)
    fx, fy, cx, cy, *D = p
    name = "" if not D else "equidistant" if model == 5 else "rational_polynomial" if model == 6 else "plumb_bob"
    coefficients = () if not D else tuple(D) + (0.0,) * (4 - len(D))
    return CameraIntrinsics(width, height, fx, fy, cx - HALF, cy - HALF, name, coefficients)


def write_model(folder: Path, model: SceneModel, names: Sequence[str]) -> None:
    """Writes a model as text and as binary into a folder, which is made. names: of all images of the set."""
    folder.mkdir(parents=True, exist_ok=True)
    cameras = list(dict.fromkeys(model.cameras))
    T_cam_world = se3_inverse(model.poses)
    quats = [np.roll(matrix_to_quat(T[:3, :3]), 1) for T in T_cam_world]  # w first
    rows = [np.flatnonzero(model.seen_by == n) for n in range(len(model.images))]
    place = np.empty(len(model.point), np.int64)  # of an observation in its image
    for r in rows:
        place[r] = np.arange(len(r))
    errors = model.errors()
    count = np.bincount(model.point, minlength=len(model.points))
    mean = np.bincount(model.point, errors, len(model.points)) / np.maximum(count, 1)
    order = np.argsort(model.point, kind="stable")
    ends = np.searchsorted(model.point[order], np.arange(len(model.points) + 1))
    tracks = [order[a:b] for a, b in zip(ends[:-1], ends[1:], strict=True)]

    text = ["# Camera list: CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]"]
    data = [struct.pack("<Q", len(cameras))]
    for n, camera in enumerate(cameras):
        kind, values = _parameters(camera)
        text.append(f"{n + 1} {MODELS[kind][0]} {camera.width} {camera.height} {' '.join(map(repr, values))}")
        data.append(struct.pack(f"<iiQQ{len(values)}d", n + 1, kind, camera.width, camera.height, *values))
    _write(folder, "cameras", text, data)

    text = ["# Image list: IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME", "# POINTS2D[] as (X, Y, POINT3D_ID)"]
    data = [struct.pack("<Q", len(model.images))]
    for n, (index, T, q, r) in enumerate(zip(model.images, T_cam_world, quats, rows, strict=True)):
        camera, name = cameras.index(model.cameras[n]) + 1, names[index]
        pose = [*map(float, q), *map(float, T[:3, 3])]
        text.append(f"{index + 1} {' '.join(map(repr, pose))} {camera} {name}")
        pixels, points = model.pixels[r] + HALF, model.point[r] + 1
        text.append(" ".join(f"{x:.3f} {y:.3f} {p}" for (x, y), p in zip(pixels, points, strict=True)))
        seen = np.empty(len(r), [("x", "<f8"), ("y", "<f8"), ("point", "<i8")])
        seen["x"], seen["y"], seen["point"] = *pixels.T, points
        data.append(struct.pack("<i7di", index + 1, *pose, camera) + name.encode() + b"\0" + struct.pack("<Q", len(r)))
        data.append(seen.tobytes())
    _write(folder, "images", text, data)

    text = ["# 3D point list: POINT3D_ID, X, Y, Z, R, G, B, ERROR, TRACK[] as (IMAGE_ID, POINT2D_IDX)"]
    data = [struct.pack("<Q", len(model.points))]
    for n, (X, color, track) in enumerate(zip(model.points, model.colors, tracks, strict=True)):
        ends_of = np.stack([model.images[model.seen_by[track]] + 1, place[track]], 1)
        text.append(f"{n + 1} {' '.join(repr(float(v)) for v in X)} {' '.join(map(str, color))} {mean[n]:.4f} "
                    + " ".join(f"{a} {b}" for a, b in ends_of))
        data.append(struct.pack("<Q3d3BdQ", n + 1, *X, *map(int, color), mean[n], len(track)) + ends_of.astype("<u4").tobytes())
    _write(folder, "points3D", text, data)


def _write(folder: Path, name: str, text: list[str], data: list[bytes]) -> None:
    write_text(folder / f"{name}.txt", "\n".join([*text, ""]))
    with replacing_file(folder / f"{name}.bin") as file:
        file.write(b"".join(data))


@dataclass(frozen=True)
class PosedImage:
    """An image of a model: its name, camera and pose T_world_cam (4, 4)."""

    name: str
    camera: CameraIntrinsics
    pose: np.ndarray


def read_cameras(folder: Path) -> list[PosedImage]:
    """Cameras of a binary model, in the order of the images' names. FileNotFoundError when there is none; ValueError, naming
    the file, for a camera model that is not known here and for a file that is damaged."""
    cameras: dict[int, CameraIntrinsics] = {}
    data = _Reader(folder / "cameras.bin")
    for _ in range(data.take("<Q")[0]):
        number, kind, width, height = data.take("<iiQQ")
        if kind not in MODELS:
            raise ValueError(f"{data.path}: camera {number} has COLMAP's model {kind}, which is not known here; convert it "
                             "to PINHOLE (colmap image_undistorter)")
        cameras[number] = _intrinsics(kind, width, height, data.take(f"<{MODELS[kind][1]}d"))
    data = _Reader(folder / "images.bin")
    found = []
    for _ in range(data.take("<Q")[0]):
        _, w, x, y, z, *t, camera = data.take("<i7di")
        name = data.text()
        data.skip(24 * data.take("<Q")[0])
        if camera not in cameras:
            raise ValueError(f"{data.path}: image {name} is of camera {camera}, which cameras.bin does not have")
        found.append(PosedImage(name, cameras[camera], se3_inverse(make_se3(quat_to_matrix([x, y, z, w]), t))))
    return sorted(found, key=lambda image: image.name)


class _Reader:
    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise FileNotFoundError(f"{path} does not exist; expected a COLMAP model, such as DIR/sparse/0 of `lsm sfm`")
        self.path, self.data, self.at = path, path.read_bytes(), 0

    def take(self, form: str) -> tuple:
        try:
            values = struct.unpack_from(form, self.data, self.at)
        except struct.error as error:
            raise ValueError(f"{self.path} is truncated or damaged") from error
        self.at += struct.calcsize(form)
        return values

    def text(self) -> str:
        end = self.data.find(b"\0", self.at)
        if end < 0:
            raise ValueError(f"{self.path} is truncated or damaged")
        found, self.at = self.data[self.at:end], end + 1
        return found.decode("utf-8", "replace")

    def skip(self, count: int) -> None:
        self.at += count
        if self.at > len(self.data):
            raise ValueError(f"{self.path} is truncated or damaged")
