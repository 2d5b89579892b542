# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Image files that were cut at any place, and whole ones with something behind or within them."""
from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image

from lsm_ros.images.codecs import decode_compressed, decode_compressed_labels
from lsm_ros.images.whole import is_cut_off

NOISE = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)


def saved(kind, **options):
    out = BytesIO()
    Image.fromarray(NOISE).save(out, kind, **options)
    return out.getvalue()


def with_thumbnail():
    """A JPEG with a small JPEG, end and all, in its EXIF segment."""
    blob, small = saved("JPEG"), cv2.imencode(".jpg", NOISE[:8, :8])[1].tobytes()
    return blob[:2] + b"\xff\xe1" + (len(small) + 8).to_bytes(2, "big") + b"Exif\0\0" + small + blob[2:]


WHOLE = {"baseline": saved("JPEG"), "progressive": saved("JPEG", progressive=True), "thumbnail": with_thumbnail(),
         "restarts": saved("JPEG", restart_marker_rows=1), "png": saved("PNG"),
         "grey": cv2.imencode(".jpg", NOISE[..., 0])[1].tobytes()}


@pytest.mark.parametrize("blob", WHOLE.values(), ids=WHOLE)
def test_whole_files(blob):
    assert not is_cut_off(blob)
    assert not is_cut_off(blob + b"what a phone appends" * 1000)
    assert decode_compressed(blob, "jpeg").shape == (60, 80, 3)


@pytest.mark.parametrize("blob", WHOLE.values(), ids=WHOLE)
@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.8, 0.97])
def test_cut_files(blob, share):
    cut = blob[:int(len(blob) * share)]
    assert is_cut_off(cut)
    with pytest.raises(ValueError, match="cut off"):
        decode_compressed(cut, "jpeg")


@pytest.mark.parametrize("blob", [b"", b"RIFF0000WEBP", b"BM"])
def test_other_kinds_are_not_judged(blob):
    assert not is_cut_off(blob)


def test_labels_with_a_palette_are_numbers():
    image, out = Image.fromarray(np.array([[0, 4, 255]], np.uint8), "P"), BytesIO()
    image.putpalette([9, 200, 30] * 256)
    image.save(out, "PNG")
    assert decode_compressed_labels(out.getvalue(), "png").tolist() == [[0, 4, 65535]]
