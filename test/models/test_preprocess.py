# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import zlib

import numpy as np
import pytest
import torch

from lsm_ros.geometry import CameraIntrinsics
from lsm_ros.models.preprocess import load_images, plan_crop, preprocess


@pytest.mark.parametrize("variant, size, square_ok", [("512", 512, False), ("512_sq", 512, True), ("224", 224, False)])
def test_golden(golden, keyed, tmp_path, variant, size, square_ok):
    from PIL import Image

    case = golden("preproc")
    for w, h in case.meta["sizes_WxH"]:
        path = tmp_path / f"{w}x{h}.png"
        Image.fromarray(keyed.synth_photo(w, h)).save(path)
        view = load_images([path], size, square_ok=square_ok)[0]
        name = f"out/{w}x{h}/{variant}"
        assert np.array_equal(view["true_shape"], case.arrays[f"{name}/true_shape"])
        image = view["img"][0]
        u8 = ((image * 0.5 + 0.5) * 255).round().to(torch.uint8).numpy()
        assert zlib.crc32(u8.tobytes()) == int(case.arrays[f"{name}/crc_u8"])
        assert np.array_equal(image[:, :8, :8].numpy(), case.arrays[f"{name}/corner8"])
        assert np.array_equal(image[:, ::16, ::16].numpy(), case.arrays[f"{name}/sub16"])
        assert float(image.double().sum()) == pytest.approx(float(case.arrays[f"{name}/sum"]), abs=1e-6)


@pytest.mark.parametrize("w, h, size, expected", [
    (640, 480, 512, (512, 384)), (1000, 1000, 512, (512, 384)), (1920, 1080, 512, (512, 288)), (200, 500, 512, (192, 512)),
    (640, 480, 224, (224, 224))])
def test_sizes(w, h, size, expected):
    crop = plan_crop(w, h, size)
    assert (crop.width, crop.height) == expected


def test_pixels_and_intrinsics_follow_the_crop():
    crop = plan_crop(701, 523, 512)
    pixels = np.array([[0.0, 0.0], [350.0, 261.0], [700.0, 522.0]])
    assert np.allclose(crop.to_image(crop.to_input(pixels)), pixels)
    camera = CameraIntrinsics(701, 523, 600.0, 610.0, 345.0, 270.0)
    point = np.array([[0.3, -0.2, 2.0]])
    before, _ = camera.project(point)
    after, _ = crop.intrinsics(camera).project(point)
    assert np.allclose(crop.to_input(before), after)


def test_exif_orientation_is_obeyed(tmp_path):
    from PIL import Image

    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 100, 3), np.uint8))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.png", exif=exif)
    assert load_images([tmp_path / "a.png"])[0]["true_shape"].tolist() == [[512, 304]]


def test_errors(tmp_path):
    with pytest.raises(ValueError, match="uint8"):
        preprocess(np.zeros((48, 64, 3), np.float32))
    with pytest.raises(ValueError, match="3000x10"):
        preprocess(np.zeros((10, 3000, 3), np.uint8))
    with pytest.raises(FileNotFoundError, match="none.png"):
        load_images([tmp_path / "none.png"])
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match="a.png"):
        load_images([tmp_path / "a.png"])


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "CMYK"])
def test_pil_images_of_other_modes_are_seen_as_rgb(mode):
    """A grey one was a RuntimeError, one with transparency came out with four channels."""
    from PIL import Image

    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)).convert(mode)
    assert torch.equal(preprocess(image, 64)["img"], preprocess(np.array(image.convert("RGB")), 64)["img"])
    with pytest.raises(ValueError, match="str"):
        preprocess("a.png")
