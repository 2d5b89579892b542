# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Folders of images and videos, and the choice of a source by its content."""
import struct

import cv2
import numpy as np
import pytest
from PIL import Image

from lsm_ros.datasets import ImageFolderSource, open_source


def paint(path, value, shape=(6, 8)):
    cv2.imwrite(str(path), np.full((*shape, 3), (0, 0, value), np.uint8))


class TestImageFolder:
    def test_natural_order_and_rate(self, tmp_path):
        for i in (10, 2, 1):
            paint(tmp_path / f"frame{i}.png", i)
        source = open_source(tmp_path, rate_hz=20.0)
        sets = list(source)
        assert isinstance(source, ImageFolderSource) and len(source) == 3
        assert [fs.frames[0].image[0, 0, 0] for fs in sets] == [1, 2, 10]
        assert [fs.stamp_ns for fs in sets] == [0, 50_000_000, 100_000_000]
        np.testing.assert_array_equal(sets[0].T_rig_cam["camera"] @ [0, 0, 1, 0], [1, 0, 0, 0])

    @pytest.mark.parametrize("names, stamps", [
        (["1305031102.1753", "1305031102.2"], [1305031102175300000, 1305031102200000000]),
        (["1305031102175300001", "1305031102200000000"], [1305031102175300001, 1305031102200000000]),
        (["0001", "0002"], [0, 33333333]), (["1305031102175300001", "x"], [0, 33333333]),
    ])
    def test_stamps_from_names(self, tmp_path, names, stamps):
        for i, name in enumerate(names):
            paint(tmp_path / f"{name}.png", i)
        assert [fs.stamp_ns for fs in open_source(tmp_path)] == stamps

    def test_exif_orientation(self, tmp_path):
        """A JPEG that is to be turned by 90 degrees clockwise (orientation 6) comes upright."""
        image = np.zeros((16, 32, 3), np.uint8)
        image[:, :8] = 255
        blob = cv2.imencode(".jpg", image)[1].tobytes()
        tiff = b"II*\0" + struct.pack("<IHHHIII", 8, 1, 0x0112, 3, 1, 6, 0)
        exif = b"Exif\0\0" + tiff
        (tmp_path / "a.jpg").write_bytes(blob[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + blob[2:])
        turned = next(iter(open_source(tmp_path))).frames[0].image
        assert turned.shape == (32, 16, 3) and turned[2].mean() > 240 and turned[-2].mean() < 15

    def test_camera(self, tmp_path):
        paint(tmp_path / "a.png", 1)
        (tmp_path / "camera.yaml").write_text("{image_width: 8, image_height: 6, fx: 9, fy: 9, cx: 4, cy: 3, "
                                              "rate_hz: 5}")
        source = open_source(tmp_path)
        assert next(iter(source)).frames[0].intrinsics.fx == 9 and source.rate_hz == 5

    def test_the_odd_size_is_left_out(self, tmp_path):
        for i in range(4):
            paint(tmp_path / f"{i}.png", i, (6, 8) if i else (3, 4))
        source = open_source(tmp_path)
        assert [fs.frames[0].image.shape for fs in source] == [(6, 8, 3)] * 3 and len(source) == 4
        assert source.warnings == ["image skipped: other size than most, which are 8x6: 0.png, 4x3"]

    def test_one_that_exif_turns_is_of_another_size(self, tmp_path):
        for i in range(3):
            image = Image.new("RGB", (32, 16), (i, 0, 0))
            exif = image.getexif()
            exif[0x0112] = 6 if i == 1 else 1
            image.save(tmp_path / f"{i}.jpg", exif=exif)
        source = open_source(tmp_path)
        assert len(list(source)) == 2 and "1.jpg, 16x32" in source.warnings[0]

    @pytest.mark.parametrize("suffix", [".jpg", ".png"])
    def test_cut_files_are_left_out(self, tmp_path, suffix):
        noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
        for i in range(4):
            cv2.imwrite(str(tmp_path / f"{i}{suffix}"), noise)
        cut = tmp_path / f"2{suffix}"
        cut.write_bytes(cut.read_bytes()[:3000])
        source = open_source(tmp_path)
        assert len(list(source)) == 3 and f"2{suffix} is cut off" in source.warnings[0]

    def test_formats_that_are_not_read_are_counted(self, tmp_path):
        paint(tmp_path / "a.png", 1)
        for name in ("b.HEIC", "c.heic", "d.gif", "notes.txt"):
            (tmp_path / name).write_bytes(b"x")
        warnings = open_source(tmp_path).warnings
        assert len(warnings) == 2 and any("2 files .heic are left out" in w for w in warnings)

    def test_broken_images_are_reported(self, tmp_path):
        paint(tmp_path / "a.png", 1)
        (tmp_path / "b.png").write_bytes(b"nothing")
        source = open_source(tmp_path)
        assert len(list(source)) == 1 and "b.png" in source.warnings[0]

    def test_only_broken_images(self, tmp_path):
        (tmp_path / "b.png").write_bytes(b"nothing")
        with pytest.raises(ValueError, match="none of 1 images"):
            open_source(tmp_path)

    def test_other_size_than_the_camera(self, tmp_path):
        paint(tmp_path / "a.png", 1, (4, 4))
        (tmp_path / "camera.yaml").write_text("{image_width: 8, image_height: 6, fx: 9, fy: 9, cx: 4, cy: 3}")
        with pytest.raises(ValueError, match="8x6.*4x4"):
            open_source(tmp_path)

    def test_bad_rate(self, tmp_path):
        paint(tmp_path / "a.png", 1)
        with pytest.raises(ValueError, match="rate_hz"):
            open_source(tmp_path, rate_hz=-1.0)


class TestOpenSource:
    def test_missing(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="nowhere"):
            open_source(tmp_path / "nowhere")

    def test_unknown_file(self, tmp_path):
        (tmp_path / "a.xyz").write_bytes(b"hello, world" * 100)
        with pytest.raises(ValueError, match="a.xyz"):
            open_source(tmp_path / "a.xyz")

    @pytest.mark.parametrize("name", ["a.mcap", "a.db3", "a.mp4", "a.bin"])
    def test_file_without_bytes(self, tmp_path, name):
        (tmp_path / name).touch()
        with pytest.raises(ValueError, match=f"{name} is empty"):
            open_source(tmp_path / name)

    def test_folder_of_other_things(self, tmp_path):
        (tmp_path / "notes.md").write_text("x")
        with pytest.raises(ValueError, match="notes.md"):
            open_source(tmp_path)

    def test_text_with_the_name_of_a_video(self, tmp_path):
        (tmp_path / "a.mp4").write_text("not a film")
        with pytest.raises(ValueError, match="a.mp4"):
            open_source(tmp_path / "a.mp4")
