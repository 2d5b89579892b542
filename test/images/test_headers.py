# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Small files that claim to be huge, through every reader of images: refused before their pixels take memory."""
import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from helpers.memory import refused_within
from PIL import Image

from lsm_ros.images.headers import check_header
from lsm_ros.reading import MOST_PIXELS

SIDE = 32767


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height):
    row = zlib.compress(bytes(10_000))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) + chunk(b"IDAT", row)
            + chunk(b"IEND", b""))


def jpeg(width, height):
    """A grey picture of 64x64 whose frame header says another size."""
    blob = bytearray(cv2.imencode(".jpg", np.full((64, 64, 3), 90, np.uint8))[1].tobytes())
    at = blob.index(b"\xff\xc0")
    blob[at + 5:at + 9] = struct.pack(">HH", height, width)
    return bytes(blob)


def webp(width, height):
    """The extended header with a canvas of this size, then a picture of 16x16."""
    body = cv2.imencode(".webp", np.full((16, 16, 3), 90, np.uint8))[1].tobytes()[12:]
    size = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    content = b"WEBP" + b"VP8X" + struct.pack("<I", 10) + bytes(4) + size + body
    return b"RIFF" + struct.pack("<I", len(content)) + content


def tiff(width, height, tile=None):
    tags = [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, height), (279, 8)]
    tags += [] if tile is None else [(322, tile), (323, tile)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags)) + entries + bytes(4) + bytes(64)


def bmp(width, height):
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)


def pnm(width, height):
    return f"P5\n{width} {height}\n255\n".encode() + bytes(100)


BOMBS = {"jpeg": jpeg(SIDE, SIDE), "png": png(SIDE, SIDE), "webp": webp(16_000, 16_000), "tiff": tiff(SIDE, SIDE),
         "tile of a tiff": tiff(64, 64, SIDE), "bmp": bmp(SIDE, SIDE), "pgm": pnm(SIDE, SIDE),
         "of one row": png(10**6, 10), "just above": png(MOST_PIXELS // 5000 + 1, 5000)}


@pytest.mark.parametrize("blob", BOMBS.values(), ids=list(BOMBS))
def test_the_header_alone_refuses_it(blob, tmp_path):
    said = "claims|is no image" if blob.startswith(b"RIFF") else "claims"  # Pillow 9 reads the picture inside
    with pytest.raises(ValueError, match=f"^that one ({said})"):
        check_header(blob, "that one")
    (tmp_path / "bomb").write_bytes(blob)
    with pytest.raises(ValueError, match=said):
        check_header(tmp_path / "bomb", "that one")


def test_large_pictures_of_cameras_pass():
    check_header(png(8064, 6048), "that one")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif", ".webp", ".ppm"])
def test_flipped_bytes_are_refused_by_name_or_pass(suffix):
    """Whatever Pillow makes of them."""
    rng, buffer = np.random.default_rng(3), io.BytesIO()
    Image.fromarray(rng.integers(0, 255, (40, 60, 3)).astype(np.uint8)).save(buffer, Image.registered_extensions()[suffix])
    whole = buffer.getvalue()
    refused = 0
    for _ in range(300):
        blob = bytearray(whole)
        for at in rng.integers(0, min(len(blob), 200), rng.integers(1, 4)):
            blob[at] = rng.integers(0, 256)
        try:
            check_header(bytes(blob), "that one")
        except ValueError as error:
            refused += 1
            assert str(error).startswith("that one ")
    assert refused >= 10


def test_what_is_no_image_at_all_is_said_so():
    with pytest.raises(ValueError, match="no image that can be read, such as JPEG or PNG"):
        check_header(b"hello", "that one")


@pytest.mark.parametrize("blob", [b"", b"hello", BOMBS["png"][:20], BOMBS["tiff"][:9], b"\xff\xd8\xff\xe0"])
def test_no_image_is_a_plain_refusal(blob):
    with pytest.raises(ValueError, match="^that one is no image"):
        check_header(blob, "that one")


READERS = ("decode_compressed(blob, 'jpeg')", "decode_compressed_depth(blob, '16UC1; compressedDepth png')",
           "decode_compressed_depth(bytes(12) + blob, '32FC1; compressedDepth png')", "decode_compressed_labels(blob, 'png')",
           "read_color(path)", "read_plain(path)", "ImageFolderSource(path.parent)", "load_images([path])")


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_every_reader_refuses_within_the_memory(tmp_path, kind):
    path = tmp_path / f"bomb.{kind}"
    path.write_bytes(BOMBS[kind])
    calls = [c for c in READERS if kind == "png" or not ("depth" in c or "labels" in c)]
    for text in refused_within("""
        from pathlib import Path
        from lsm_ros.datasets.base import read_color, read_plain
        from lsm_ros.datasets.images import ImageFolderSource
        from lsm_ros.images.codecs import decode_compressed, decode_compressed_depth, decode_compressed_labels
        from lsm_ros.models.preprocess import load_images
        """, f"path = Path({str(path)!r})\nblob = path.read_bytes()", calls):
        assert "claims" in text and ("bomb" in text or "compressed image" in text)
