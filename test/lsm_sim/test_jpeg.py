# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import cv2
import numpy as np
import pytest
import torch

from lsm_sim.jpeg import _inverse, _transform, jpeg, quantisation_tables
from lsm_sim.pictures import library


def psnr(a, b):
    return 10 * np.log10(255 ** 2 / ((np.asarray(a, float) - np.asarray(b, float)) ** 2).mean())


def sample(height, width):
    """A picture with smooth parts, edges and print, (H, W, 3) uint8 sRGB."""
    rows = np.concatenate([np.concatenate([library().pictures[library().index(f, v)] for f in ("poster", "photo")], 1)
                           for v in (1, 2)])
    return np.ascontiguousarray((255 * (rows[:height, :width] / 255.0) ** (1 / 2.2)).astype(np.uint8))


def ours(image, quality):
    return jpeg(torch.from_numpy(image).permute(2, 0, 1)[None].float(), quality)[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize("quality", [10, 40, 75, 92, 100])
@pytest.mark.parametrize("size", [(160, 224), (131, 203)])
def test_agrees_with_a_codec(quality, size):
    image = sample(*size)
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    theirs = cv2.imdecode(cv2.imencode(".jpg", image[..., ::-1], options)[1], cv2.IMREAD_COLOR)[..., ::-1]
    coded = ours(image, quality)
    assert coded.shape == image.shape
    assert psnr(coded, theirs) > 40
    assert abs(psnr(coded, image) - psnr(theirs, image)) < 0.1


def test_loss_grows_as_quality_falls():
    image = sample(160, 224)
    losses = [psnr(ours(image, q), image) for q in (95, 75, 50, 20, 5)]
    assert all(a > b + 0.5 for a, b in zip(losses[:-1], losses[1:], strict=True))


def test_even_colour_stays():
    image = np.full((24, 40, 3), (130, 128, 126), np.uint8)
    assert np.abs(ours(image, 90) - image).max() <= 2


def test_transform_is_the_scaled_cosine_transform():
    x = torch.randn(8, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    k, n = np.mgrid[:8, :8]
    plain = torch.as_tensor(np.cos((2 * n + 1) * k * np.pi / 16)) @ x
    ratio = _transform(x) / plain
    assert torch.allclose(ratio, ratio[:, :1].expand_as(ratio))
    rows = _transform(torch.eye(8, dtype=torch.float64))
    assert torch.allclose(_inverse(torch.eye(8, dtype=torch.float64)), rows.T)
    gram = rows @ rows.T
    assert torch.allclose(gram, torch.diag(gram.diagonal()), atol=1e-12)


def test_known_tables():
    luma, chroma = quantisation_tables(50)
    assert (luma[0, 0], luma[0, 7], luma[7, 7], chroma[0, 0], chroma[7, 7]) == (16, 61, 99, 17, 99)
    luma, chroma = quantisation_tables(90)
    assert (luma[0, 0], luma[7, 7], chroma[0, 3]) == (3, 20, 9)
    assert (quantisation_tables(100)[0] == 1).all()
    assert quantisation_tables(1)[0].max() == 255


def test_a_picture_does_not_depend_on_its_batch():
    batch = torch.from_numpy(np.stack([sample(131, 203), np.fliplr(sample(131, 203))])).permute(0, 3, 1, 2).float()
    assert torch.equal(jpeg(batch, 80)[1], jpeg(batch[1:], 80)[0])


@pytest.mark.parametrize("quality", [0, 101, -5, 90.0, True, "90"])
def test_wrong_quality(quality):
    with pytest.raises(ValueError, match="quality"):
        quantisation_tables(quality)
