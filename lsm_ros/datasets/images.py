# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A folder of images from one camera."""
from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lsm_ros.datasets.base import (
    IMAGE_SUFFIXES,
    T_BODY_OPTICAL,
    CameraFile,
    LoggedSource,
    WarningLog,
    natural_key,
    read_camera_file,
    read_color,
    stamp_from_text,
    usual_size,
)
from lsm_ros.reading import no_folder
from lsm_ros.types import Frame, FrameSet

DEFAULT_RATE_HZ = 30.0
OTHER_SUFFIXES = (".heic", ".heif", ".avif", ".jxl", ".gif", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf")
_NANOSECONDS_FROM = 10**17  # 1973 in nanoseconds; a plain counter or seconds stay below
# Nanoseconds of a unit, and whole numbers that are times in it: micro- and milliseconds of 2001 to 2286.
_UNITS = {1: (_NANOSECONDS_FROM, 2**63), 1_000: (10**15, 10**16), 1_000_000: (10**12, 10**13)}


class ImageFolderSource(LoggedSource):
    """Images of a folder in natural order (frame2 before frame10).

    Stamps: the file names where all of them are seconds with a fraction (1305031102.1753), nanoseconds (1305031102175304000),
    or micro- or milliseconds since 1970, between the same words; else counted with rate_hz, which defaults to that of
    camera.yaml, then to 30. Images are turned by their EXIF orientation. The rig is the camera's body frame. Broken files,
    those of another size than most, those that repeat the numbers of others under another name (right_1 beside left_1), and
    files of formats that are not read are left out and reported.
    """

    ground_truth_frame = "rig"
    ground_truth = None

    @staticmethod
    def recognizes(path: Path) -> bool:
        """True for a folder with images in it."""
        return path.is_dir() and bool(list_images(path))

    def __init__(self, path: str | Path, *, rate_hz: float | None = None, camera: str = "camera",
                 camera_file: str | Path | None = None) -> None:
        self.path = Path(path)
        self.name = self.path.name
        self.cameras = [camera]
        self._log = WarningLog()
        if not self.path.is_dir():
            raise no_folder(self.path)
        self._files = list_images(self.path)
        if not self._files:
            raise ValueError(f"folder {self.path} holds no images ({', '.join(IMAGE_SUFFIXES)})")
        found = Path(camera_file) if camera_file is not None else self.path / "camera.yaml"
        self.camera_file = read_camera_file(found) if camera_file is not None or found.is_file() else CameraFile(None)
        for note in self.camera_file.notes:
            self._log.once(note)
        self.rate_hz = DEFAULT_RATE_HZ if rate_hz is None and self.camera_file.rate_hz is None \
            else float(rate_hz if rate_hz is not None else self.camera_file.rate_hz)
        if not 0 < self.rate_hz < 1e6:
            raise ValueError(f"rate_hz must be positive, got {self.rate_hz}")
        self._files = self._of_one_camera()
        stamps = stamps_from_names([f.stem for f in self._files]) if rate_hz is None else None
        if stamps is not None and len(set(stamps)) < len(stamps):
            self._log.add(f"names look like stamps, but {len(stamps) - len(set(stamps))} of them repeat: stamps are counted")
            stamps = None
        self.stamps_from_names = stamps is not None
        if stamps is not None:  # "1.1753" comes before "1.2", which natural order does not know
            order = sorted(range(len(stamps)), key=stamps.__getitem__)
            self._files = [self._files[i] for i in order]
            stamps = [stamps[i] for i in order]
        self._stamps = stamps or [round(i * 1e9 / self.rate_hz) for i in range(len(self._files))]
        try:
            self._size = usual_size(self._files)
        except ValueError as error:
            raise ValueError(f"folder {self.path}: {error}") from error
        self.camera_file.check_size(self._size, self.path)
        if is_depth_like(self._files[0]):
            self._log.add("images are grey with 16 bits, as depth is, but taken as pictures: map the folder of colour images")
        for suffix, count in Counter(f.suffix.lower() for f in self.path.iterdir()).items():
            if suffix in OTHER_SUFFIXES:
                self._log.add(f"{count} files {suffix} are left out, which OpenCV does not read: convert them to JPEG or PNG")

    @property
    def taken(self) -> list[str]:
        """The images, and where their stamps come from."""
        stamps = "stamps from their names" if self.stamps_from_names else \
            f"stamps counted at {self.rate_hz:g} Hz (option rate_hz)"
        known = "calibrated" if self.camera_file.intrinsics else "no calibration"
        return [f"camera {self.cameras[0]}: {len(self._files)} images, {stamps}; {known}"]

    def __len__(self) -> int:
        return len(self._files)

    def __iter__(self) -> Iterator[FrameSet]:
        camera = self.camera_file.intrinsics
        for stamp_ns, file in zip(self._stamps, self._files, strict=True):
            image = read_of_size(file, self._size, self._log, f"most, which are {self._size[1]}x{self._size[0]}")
            if image is not None:
                frame = Frame(stamp_ns, self.cameras[0], image, camera)
                yield FrameSet(stamp_ns, (frame,), {self.cameras[0]: T_BODY_OPTICAL})

    def close(self) -> None:
        """Does nothing: no file is held open."""

    def _of_one_camera(self) -> list[Path]:
        """The files without those whose numbers others have that are named in other words, which is logged."""
        kinds: dict[str, dict[str, Path]] = {}
        for file in self._files:
            kinds.setdefault(re.sub(r"\d+", "#", file.stem), {})["/".join(re.findall(r"\d+", file.stem))] = file
        first, *others = kinds
        left = [k for k in others if "#" in k and 2 * len(set(kinds[k]) & set(kinds[first])) >= max(2, len(kinds[k]))]
        for kind in left:
            self._log.add(f"{len(kinds[kind])} images {kind} are left out, which have the numbers of {first}, as those of a "
                          "second camera: map each camera in a folder of its own")
        gone = {file for kind in left for file in kinds[kind].values()}
        return [f for f in self._files if f not in gone]


def is_depth_like(file: Path) -> bool:
    """True for an image of one channel of more than 8 bits, by its header."""
    from PIL import Image

    try:
        with Image.open(file) as image:
            return image.mode.startswith(("I", "F"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False


def list_images(path: Path) -> list[Path]:
    """Image files directly in a folder, in natural order; hidden files are left out."""
    files = [f for f in path.iterdir() if f.suffix.lower() in IMAGE_SUFFIXES and not f.name.startswith(".")]
    return sorted(files, key=lambda f: natural_key(f.name))


def stamps_from_names(stems: list[str]) -> list[int] | None:
    """Nanoseconds of file names without suffix if all of them are one stamp between the same words, else None."""
    found = [re.fullmatch(r"(\D*?)(\d+(?:\.\d+)?)(\D*)", s) for s in stems]
    parts = [m.groups() for m in found if m is not None]
    if len(stems) < 2 or len(parts) < len(stems) or len({(a, b) for a, _, b in parts}) > 1:
        return None
    numbers, is_bare = [n for _, n, _ in parts], parts[0][0] == parts[0][2] == ""
    if all("." in n for n in numbers) and all(len(n.split(".")[0]) <= 10 for n in numbers):
        stamps = [stamp_from_text(n) for n in numbers]
        return stamps if is_bare or min(stamps) >= _NANOSECONDS_FROM else None
    if all(n.isdigit() for n in numbers):
        for unit, (first, end) in _UNITS.items():
            if all(first <= int(n) < end for n in numbers):
                return [int(n) * unit for n in numbers]
    return None


def read_of_size(file: Path, size: tuple[int, int], log: WarningLog, others: str) -> np.ndarray | None:
    """Image file as `read_color` gives it; None, which is logged, if it cannot be read or is not of `size` (height, width),
    that of the others."""
    try:
        image = read_color(file)
    except ValueError as error:
        log.add("image skipped", str(error))
        return None
    if image.shape[:2] != size:
        log.add(f"image skipped: other size than {others}", f"{file.name}, {image.shape[1]}x{image.shape[0]}")
        return None
    return image
