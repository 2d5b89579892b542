# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import numpy as np
import pytest
from PIL import Image

from lsm_ros.datasets.photographs import read_photographs


def photograph(path, size=(120, 80), focal_35mm=None, orientation=None, model="A1"):
    """A file of this size (width, height)."""
    exif = Image.Exif()
    exif[0x0110] = model
    if orientation is not None:
        exif[0x0112] = orientation
    if focal_35mm is not None:
        exif[0x8769] = {0xA405: focal_35mm}
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3)).astype(np.uint8)).save(path, exif=exif)


def test_sizes_focal_lengths_and_cameras(tmp_path):
    photograph(tmp_path / "img2.jpg", focal_35mm=26)
    photograph(tmp_path / "img10.jpg", focal_35mm=26)
    photograph(tmp_path / "img3.jpg", focal_35mm=52)
    photograph(tmp_path / "img4.jpg", focal_35mm=26, orientation=6)
    photograph(tmp_path / "img5.jpg", focal_35mm=26, model="B2")
    photograph(tmp_path / "img6.jpg")
    photograph(tmp_path / "img7.jpg", focal_35mm=0)
    found, broken = read_photographs(tmp_path)
    assert [p.path.stem for p in found] == ["img2", "img3", "img4", "img5", "img6", "img7", "img10"] and not broken
    assert [p.stamp_ns for p in found] == [n * 10**9 for n in range(7)]
    wide = 26 / 43.27 * np.hypot(120, 80)
    focals = {p.path.stem: p.focal_px for p in found}
    assert focals["img2"] == pytest.approx(wide) and focals["img3"] == pytest.approx(2 * wide)
    assert focals["img6"] is None and focals["img7"] is None
    assert found[2].size == found[2].load().shape[:2] == (120, 80) and found[0].size == (80, 120)
    camera = {p.path.stem: p.camera for p in found}
    assert camera["img2"] == camera["img10"]
    assert len({camera[n] for n in ("img2", "img3", "img4", "img5", "img6")}) == 5


def test_names_that_are_times_are_stamps_and_what_cannot_be_read_is_named(tmp_path):
    for name in ("1.5", "10.25", "2.0"):
        photograph(tmp_path / f"{name}.jpg")
    found, broken = read_photographs(tmp_path)
    assert [p.stamp_ns for p in found] == [1_500_000_000, 2_000_000_000, 10_250_000_000] and not broken
    (tmp_path / "3.0.jpg").write_bytes((tmp_path / "2.0.jpg").read_bytes()[:500])
    done = []
    found, broken = read_photographs(tmp_path, lambda n, total: done.append((n, total)))
    assert list(broken) == ["3.0.jpg"] and "cannot be read" in broken["3.0.jpg"] and len(found) == 3
    assert [p.stamp_ns for p in found][-1] == 10_250_000_000 and done == [(n, 4) for n in range(4)]


def test_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_photographs(tmp_path / "no")
    with pytest.raises(ValueError, match="holds no images"):
        read_photographs(tmp_path)
