# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Interface of all sources of images, and functions that the readers share."""
from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import cv2
import numpy as np

from lsm_ros.geometry.camera import T_BODY_OPTICAL as T_BODY_OPTICAL
from lsm_ros.geometry.camera import CameraIntrinsics
from lsm_ros.geometry.distortion import standard_model
from lsm_ros.geometry.lie import is_se3
from lsm_ros.images.camera_info import without_skew
from lsm_ros.images.codecs import is_palette, palette_indices
from lsm_ros.images.headers import check_header
from lsm_ros.images.whole import is_cut_off
from lsm_ros.reading import no_file, read_text, read_yaml
from lsm_ros.types import FrameSet, LabelSpace, TrajectoryPose

_NANOSECONDS_FROM, _LAST_SECOND = 10**17, 10**10  # a stamp in nanoseconds of 1973, one in seconds of 2286
_ORIENTATION = 0x0112  # of EXIF
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm")


@runtime_checkable
class Source(Protocol):
    """Images in order, with all data that belongs to them.

    `len` is the number of expected frame sets; broken ones may make it fewer. Iterating starts from the first frame set
    each time. Unreadable data is skipped and reported in `warnings`.
    ground_truth: poses of the rig in a world of its own, None if there are none; ground_truth_frame says 'rig'.
    A source may also have `stamp_offset_ns`: nanoseconds that were added to its stamps when it was recorded, so that a
    ground truth in a file of its own is found at the old times (`lsm map --gt`); a source without it counts as 0. It may have
    `taken`: lines that say what of it is used; and `left_out`: what was not, or was assumed, as `what` and `count`.
    """

    name: str
    cameras: list[str]
    ground_truth_frame: str

    @property
    def ground_truth(self) -> list[TrajectoryPose] | None: ...

    @property
    def warnings(self) -> list[str]: ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[FrameSet]: ...

    def close(self) -> None: ...


@runtime_checkable
class SourceKind(Protocol):
    """A class of sources that `open_source` chooses by path: an entry of `lsm_ros.registry.SOURCES`.

    recognizes: a static method; it looks at a path that exists, cheaply and without an error, and says whether this class
    reads it. Called with the path the class gives the source; its keyword-only arguments are the options of
    `open_source` and `--source-option`. FileNotFoundError or ValueError, in one line, for what it cannot read after all.
    """

    __name__: str

    @staticmethod
    def recognizes(path: Path) -> bool: ...

    def __call__(self, path: Path, **options: Any) -> Source: ...


class WarningLog:
    """Counts skipped data, so that a thousand broken images make one line."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._details: dict[str, str] = {}

    def add(self, kind: str, detail: str = "") -> None:
        """One more event of a kind; the first detail is kept as the example."""
        self._counts[kind] = self._counts.get(kind, 0) + 1
        self._details.setdefault(kind, detail)

    def once(self, kind: str, detail: str = "") -> None:
        """An event that is not counted."""
        if kind not in self._counts:
            self.add(kind, detail)

    def count(self, kind: str) -> int:
        """Number of events of `kind`."""
        return self._counts.get(kind, 0)

    def counts(self) -> list[dict[str, Any]]:
        """Each kind as `what`, with its `count`."""
        return [{"what": kind, "count": n} for kind, n in self._counts.items()]

    def lines(self) -> list[str]:
        """One line for each kind: its name, the count, and the first example."""
        out = []
        for kind, n in self._counts.items():
            times = f" ({n} times)" if n > 1 else ""
            out.append(kind + times + (f": {self._details[kind]}" if self._details[kind] else ""))
        return out


class LoggedSource:
    """Warnings of a source that notes in `_log` what it leaves out and assumes."""

    _log: WarningLog

    @property
    def warnings(self) -> list[str]:
        """Data that was left out, and assumptions, so far: one line for each reason."""
        return self._log.lines()

    @property
    def left_out(self) -> list[dict[str, Any]]:
        """The same, counted."""
        return self._log.counts()


@dataclass(frozen=True)
class CameraFile:
    """Content of a camera.yaml. depth_scale: metres of one unit of a depth image, None if it is not given.

    name: of the camera, '' if it is not given. T_rig_cam: (4, 4) or None; rig_is_base: the rig is a robot's base frame.
    other_cameras: folders beside the file, one for each further camera of the rig. notes: what of it is not used.
    """

    intrinsics: CameraIntrinsics | None
    depth_scale: float | None = None
    rate_hz: float | None = None
    name: str = ""
    T_rig_cam: np.ndarray | None = None
    rig_is_base: bool = False
    other_cameras: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def check_size(self, size: tuple[int, int], path: Path) -> None:
        """ValueError that begins with `path` unless the calibration, if any, is of images of a size (height, width)."""
        model = self.intrinsics
        if model is not None and model.shape != size:
            raise ValueError(f"{path}: the camera is {model.width}x{model.height}, but the images are {size[1]}x{size[0]}")


def read_camera_file(path: Path) -> CameraFile:
    """Reads a camera.yaml: fx, fy, cx, cy, image_width, image_height (and distortion_model, D, rate_hz, depth_scale,
    camera (its name), T_rig_cam as 4 rows of 4, rig_is_base, other_cameras), or the YAML of a ROS calibration (camera_matrix,
    distortion_coefficients); else ValueError.
    """
    values = read_yaml_mapping(path)
    try:
        intrinsics, notes = _ros_camera(values) if "camera_matrix" in values else (_plain_camera(values), [])
        scale, rate = values.get("depth_scale"), values.get("rate_hz")
        others = tuple(str(name) for name in values.get("other_cameras") or ())
        camera = CameraFile(intrinsics, None if scale is None else float(scale), None if rate is None else float(rate),
                            str(values.get("camera") or ""), _mount(values.get("T_rig_cam")),
                            bool(values.get("rig_is_base", False)), others,
                            tuple(f"{path.name}: {note}" for note in notes))
    except KeyError as error:
        raise ValueError(f"{path}: {error.args[0]} is missing; a camera needs image_width, image_height and fx, fy, "
                         "cx, cy or camera_matrix") from error
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ValueError(f"{path}: {error}") from error
    for name, value in (("depth_scale", camera.depth_scale), ("rate_hz", camera.rate_hz)):
        if value is not None and not (math.isfinite(value) and value > 0):
            raise ValueError(f"{path}: {name} must be positive, got {value}")
    if camera.depth_scale is not None and camera.depth_scale > 1:
        raise ValueError(f"{path}: depth_scale is metres of one unit, at most 1, got {camera.depth_scale:g}; for so many "
                         f"units in a metre it is {1 / camera.depth_scale:g}")
    return camera


def _plain_camera(values: dict[str, Any]) -> CameraIntrinsics:
    model, D = standard_model(str(values.get("distortion_model") or ""), tuple(float(d) for d in values.get("D") or ()))
    return CameraIntrinsics(values["image_width"], values["image_height"], float(values["fx"]), float(values["fy"]),
                            float(values["cx"]), float(values["cy"]), model, D)


def _mount(rows: Any) -> np.ndarray | None:
    """T_rig_cam of a camera.yaml; ValueError if it is no pose."""
    if rows is None:
        return None
    T_rig_cam = np.array(rows, dtype=np.float64).reshape(-1)
    if T_rig_cam.shape != (16,) or not is_se3(T_rig_cam.reshape(4, 4), 1e-5):
        raise ValueError(f"T_rig_cam must be 4 rows of 4 numbers, a rotation and a translation, got {rows}")
    return T_rig_cam.reshape(4, 4)


def _ros_camera(values: dict[str, Any]) -> tuple[CameraIntrinsics, list[str]]:
    D = (values.get("distortion_coefficients") or {}).get("data") or ()
    model = str(values.get("distortion_model") or values.get("camera_model") or "plumb_bob")
    K, notes = without_skew(values["camera_matrix"]["data"])
    camera = CameraIntrinsics.from_K(K, values["image_width"], values["image_height"],
                                     *standard_model(model if len(D) else "", tuple(float(d) for d in D)))
    return camera, notes


def read_label_space(path: Path) -> LabelSpace:
    """Reads names of label ids: a YAML of `id: name`, of `names: {id: name}` and `threshold`, or as Hydra has it, of
    `label_names: [{label: id, name: name}]`. 65535 (unlabelled) may be named and is left out.
    """
    values = read_yaml_mapping(path)
    names = values.get("names", values)
    try:
        if "label_names" in values:
            names = {entry["label"]: entry["name"] for entry in values["label_names"]}
        threshold = float(values.get("threshold", 0.0))
        if not math.isfinite(threshold):
            raise ValueError(f"threshold must be a number, got {threshold}")
        return LabelSpace({int(i): str(n) for i, n in names.items() if int(i) != 65535}, threshold)
    except (TypeError, ValueError, AttributeError, KeyError, OverflowError) as error:
        raise ValueError(f"{path}: expected lines `id: name` with ids 0 to 65534: {error}") from error


def read_yaml_mapping(path: Path) -> dict[Any, Any]:
    """The mapping in a YAML file; FileNotFoundError and ValueError name the file."""
    if not path.is_file():
        raise no_file(path)
    text = re.sub(r"^%YAML:1\.0\s*(---)?", "", read_text(path))  # OpenCV's own kind of header
    values = read_yaml(text, str(path))
    if not isinstance(values, dict):
        raise ValueError(f"{path}: expected names and values, got {type(values).__name__}")
    return values


def stamp_from_text(text: str) -> int:
    """Nanoseconds of a decimal number of seconds, without the rounding of floating point.

    Numbers that can only be nanoseconds since 1970 (from 1e17, which is in 1973) are taken as such. ValueError for other text,
    and for what is no time in either.
    """
    match = re.fullmatch(r"\s*([+-]?)(\d+)(?:\.(\d*))?\s*", text)
    if match:
        ns = int(match[2][:30]) * 1_000_000_000 + int((match[3] or "")[:9].ljust(9, "0"))  # longer ones are too large
        ns = -ns if match[1] == "-" else ns
    else:
        value = float(text)  # exponents
        if not math.isfinite(value):
            raise ValueError(f"stamp {text!r} is not finite")
        ns = round(value * 1e9)
    if _NANOSECONDS_FROM <= ns // 1_000_000_000 < 2**63:
        return ns // 1_000_000_000
    if abs(ns) >= _LAST_SECOND * 1_000_000_000:
        raise ValueError(f"stamp {text[:40]!r} is larger than any time in seconds; is it in milliseconds or microseconds?")
    return ns


def stamp_to_text(stamp_ns: int) -> str:
    """Seconds with nine decimals."""
    sign = "-" if stamp_ns < 0 else ""
    return f"{sign}{abs(stamp_ns) // 1_000_000_000}.{abs(stamp_ns) % 1_000_000_000:09d}"


def natural_key(name: str) -> list[Any]:
    """Sort key that puts frame2 before frame10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part.lower()) for part in re.split(r"(\d+)", name) if part]


def read_color(path: Path, turn: bool = True) -> np.ndarray:
    """Image file as (H, W, 3) uint8 RGB; `turn`: by its EXIF orientation. ValueError if it cannot be read or is cut off."""
    flags = cv2.IMREAD_COLOR | (0 if turn else cv2.IMREAD_IGNORE_ORIENTATION)
    return cv2.cvtColor(_decoded(path, _read_bytes(path), flags), cv2.COLOR_BGR2RGB)


def read_plain(path: Path) -> np.ndarray:
    """Stored values of an image file with one channel, (H, W), those of a palette by number; ValueError if it cannot be read,
    is cut off, or has more channels."""
    blob = _read_bytes(path)
    image = _decoded(path, blob, cv2.IMREAD_UNCHANGED)
    if is_palette(blob):
        return palette_indices(blob)
    if image.ndim != 2:
        raise ValueError(f"{path}: expected one channel, got {image.shape[2]}")
    return image


def image_size(path: Path) -> tuple[int, int] | None:
    """(height, width) of an image file as `read_color` gives it, by its header alone; None if that cannot be read."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
    return (width, height) if turned else (height, width)


def usual_size(files: Sequence[Path]) -> tuple[int, int]:
    """(height, width) that most image files have, of those that can be read; ValueError with the reason if none can."""
    sizes = Counter(size for file in files if (size := image_size(file)) is not None)
    reason = "there is none"
    for file in files:
        try:
            image = read_color(file)
        except (ValueError, FileNotFoundError) as error:
            reason = str(error)
            continue
        return sizes.most_common(1)[0][0] if sizes else image.shape[:2]
    raise ValueError(f"none of {len(files)} images can be read: {reason}")


def list_text(path: Path) -> str:
    """Text of a list of any length in UTF-8, with or without a mark of its byte order; ValueError, naming the file, for other
    bytes."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8: {error.reason} at byte {error.start}") from error


def _read_bytes(path: Path) -> bytes:
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    return path.read_bytes()


def _decoded(path: Path, blob: bytes, flags: int) -> np.ndarray:
    if is_cut_off(blob):
        raise ValueError(f"{path} is cut off: its end is missing")
    check_header(blob, str(path))
    try:
        image = cv2.imdecode(np.frombuffer(blob, np.uint8), flags) if blob else None
    except cv2.error as error:
        raise ValueError(f"{path} cannot be read: {error.err}") from error
    if image is None:
        raise ValueError(f"{path} is no image that OpenCV reads")
    return image


def fit_to(array: np.ndarray, height: int, width: int) -> np.ndarray:
    """Depth or labels (h, w) brought to (height, width) by nearest neighbours, if both cover the same view.

    ValueError when the sides' proportions differ by more than a pixel, for then they do not.
    """
    h, w = array.shape
    if (h, w) == (height, width):
        return array
    if abs(h * width - w * height) > max(width, height):
        raise ValueError(f"it is {w}x{h}, the image {width}x{height}, of other proportions; it must be registered to the image")
    return cv2.resize(array, (width, height), interpolation=cv2.INTER_NEAREST)
