# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A folder of images from one camera."""
from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from lsm_ros.datasets.base import (
    IMAGE_SUFFIXES,
    T_BODY_OPTICAL,
    CameraFile,
    WarningLog,
    natural_key,
    read_camera_file,
    read_color,
    stamp_from_text,
)
from lsm_ros.types import Frame, FrameSet

DEFAULT_RATE_HZ = 30.0
_NANOSECONDS_FROM = 10**17  # 1973 in nanoseconds; a plain counter or seconds stay below


class ImageFolderSource:
    """Images of a folder in natural order (frame2 before frame10).

    Stamps: the file names where all of them are seconds with a fraction (1305031102.1753) or nanoseconds
    (1305031102175304000); else counted with rate_hz, which defaults to that of camera.yaml, then to 30. Images are
    turned by their EXIF orientation. The rig is the camera's body frame. Broken files are skipped and reported.
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
            raise FileNotFoundError(f"folder {self.path} does not exist")
        self._files = list_images(self.path)
        if not self._files:
            raise ValueError(f"folder {self.path} holds no images ({', '.join(IMAGE_SUFFIXES)})")
        found = Path(camera_file) if camera_file is not None else self.path / "camera.yaml"
        self.camera_file = read_camera_file(found) if camera_file is not None or found.is_file() else CameraFile(None)
        self.rate_hz = DEFAULT_RATE_HZ if rate_hz is None and self.camera_file.rate_hz is None \
            else float(rate_hz if rate_hz is not None else self.camera_file.rate_hz)
        if not 0 < self.rate_hz < 1e6:
            raise ValueError(f"rate_hz must be positive, got {self.rate_hz}")
        stamps = stamps_from_names([f.stem for f in self._files]) if rate_hz is None else None
        self.stamps_from_names = stamps is not None
        if stamps is not None:  # "1.1753" comes before "1.2", which natural order does not know
            order = sorted(range(len(stamps)), key=stamps.__getitem__)
            self._files = [self._files[i] for i in order]
            stamps = [stamps[i] for i in order]
        self._stamps = stamps or [round(i * 1e9 / self.rate_hz) for i in range(len(self._files))]
        self._check_first()

    @property
    def warnings(self) -> list[str]:
        """Skipped data so far."""
        return self._log.lines()

    def __len__(self) -> int:
        return len(self._files)

    def __iter__(self) -> Iterator[FrameSet]:
        camera = self.camera_file.intrinsics
        for stamp_ns, file in zip(self._stamps, self._files, strict=True):
            try:
                image = read_color(file)
            except ValueError as error:
                self._log.add("image skipped", str(error))
                continue
            if camera is not None and camera.shape != image.shape[:2]:
                self._log.add("image skipped: other size than the camera",
                              f"{file.name}, {image.shape[1]}x{image.shape[0]}")
                continue
            frame = Frame(stamp_ns, self.cameras[0], image, camera)
            yield FrameSet(stamp_ns, (frame,), {self.cameras[0]: T_BODY_OPTICAL})

    def close(self) -> None:
        """Does nothing: no file is held open."""

    def _check_first(self) -> None:
        """Fails early if no image can be read, or if the camera belongs to another size."""
        reason: ValueError | None = None
        for file in self._files:
            try:
                image = read_color(file)
            except ValueError as error:
                reason = error
                continue
            camera = self.camera_file.intrinsics
            if camera is not None and camera.shape != image.shape[:2]:
                raise ValueError(f"{self.path}: the camera is {camera.width}x{camera.height}, but {file.name} is "
                                 f"{image.shape[1]}x{image.shape[0]}")
            return
        raise ValueError(f"folder {self.path}: none of {len(self._files)} images can be read: {reason}") from reason


def list_images(path: Path) -> list[Path]:
    """Image files directly in a folder, in natural order; hidden files are left out."""
    files = [f for f in path.iterdir() if f.suffix.lower() in IMAGE_SUFFIXES and not f.name.startswith(".")]
    return sorted(files, key=lambda f: natural_key(f.name))


def stamps_from_names(stems: list[str]) -> list[int] | None:
    """Nanoseconds of file names without suffix if all of them are stamps and differ, else None."""
    if len(stems) > 1 and all(re.fullmatch(r"\d+\.\d+", s) for s in stems):
        stamps = [stamp_from_text(s) for s in stems]
    elif len(stems) > 1 and all(s.isdigit() and int(s) >= _NANOSECONDS_FROM for s in stems):
        stamps = [int(s) for s in stems]
    else:
        return None
    return stamps if len(set(stamps)) == len(stamps) else None
