# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Pixels of image messages, from their bytes to arrays; knows no ROS, so that bags and the node share it.

Names and layouts of encodings are those of sensor_msgs/image_encodings. The metadata of an image is checked
against its bytes: every contradiction is a ValueError that names the encoding and the numbers.
"""
from __future__ import annotations

import re
import struct
from io import BytesIO
from typing import Any

import cv2
import numpy as np

from lsm_ros.images.headers import check_header
from lsm_ros.images.whole import is_cut_off
from lsm_ros.reading import check_pixels

__all__ = ["decode_compressed", "decode_compressed_depth", "decode_compressed_labels",
           "decode_depth", "decode_image", "decode_labels", "encode_jpeg", "encode_png", "is_palette", "label_ids",
           "palette_indices"]

_UNLABELLED = 65535
_PNG = b"\x89PNG\r\n\x1a\n"
# encoding: (element type, channels, indices of red, green and blue; one index is grey). xxUCn is BGR, as in OpenCV.
_PLAIN = {
    "rgb8": ("u1", 3, (0, 1, 2)), "bgr8": ("u1", 3, (2, 1, 0)), "rgba8": ("u1", 4, (0, 1, 2)),
    "bgra8": ("u1", 4, (2, 1, 0)), "mono8": ("u1", 1, (0,)), "8UC1": ("u1", 1, (0,)), "8UC3": ("u1", 3, (2, 1, 0)),
    "8UC4": ("u1", 4, (2, 1, 0)), "rgb16": ("u2", 3, (0, 1, 2)), "bgr16": ("u2", 3, (2, 1, 0)),
    "rgba16": ("u2", 4, (0, 1, 2)), "bgra16": ("u2", 4, (2, 1, 0)), "mono16": ("u2", 1, (0,)),
    "16UC3": ("u2", 3, (2, 1, 0)), "16UC4": ("u2", 4, (2, 1, 0)),
}
# OpenCV names a Bayer pattern by its second row and column, ROS by its first.
_BAYER = {"rggb": cv2.COLOR_BayerBG2RGB, "bggr": cv2.COLOR_BayerRG2RGB, "gbrg": cv2.COLOR_BayerGR2RGB,
          "grbg": cv2.COLOR_BayerGB2RGB}
_YUV422 = {"yuv422": cv2.COLOR_YUV2RGB_UYVY, "uyvy": cv2.COLOR_YUV2RGB_UYVY, "yuv422_yuy2": cv2.COLOR_YUV2RGB_YUY2,
           "yuyv": cv2.COLOR_YUV2RGB_YUY2}
_DEPTH = {"16UC1": "u2", "mono16": "u2", "32FC1": "f4"}
_LABELS = {"8UC1": "u1", "mono8": "u1", "16UC1": "u2", "mono16": "u2", "32SC1": "i4"}


def decode_image(encoding: str, width: int, height: int, step: int, data: Any,
                 is_bigendian: bool = False) -> np.ndarray:
    """Colours of a sensor_msgs/Image: (height, width, 3) uint8 RGB, a copy.

    data: bytes-like or uint8 array; step: bytes of a row with its padding. Grey becomes three equal channels, 16 bits
    are scaled to 8, Bayer patterns are interpolated, YUV is BT.601. ValueError for an encoding that holds no colours
    and for sizes that contradict each other.
    """
    if encoding in _PLAIN:
        kind, channels, order = _PLAIN[encoding]
        pixels = _to_8bit(_rows(encoding, width, height, step, data, kind, channels, is_bigendian))
        if len(order) == 1:
            return cv2.cvtColor(np.ascontiguousarray(pixels[..., 0]), cv2.COLOR_GRAY2RGB)
        return _in_order(pixels, order)
    bayer = re.fullmatch(r"bayer_(rggb|bggr|gbrg|grbg)(8|16)", encoding)
    if bayer:
        kind = "u1" if bayer[2] == "8" else "u2"
        return _demosaic(bayer[1], _rows(encoding, width, height, step, data, kind, 1, is_bigendian)[..., 0], encoding)
    if encoding in _YUV422:
        _even(encoding, width, 2)
        packed = _rows(encoding, width, height, step, data, "u1", 2, is_bigendian)
        return cv2.cvtColor(np.ascontiguousarray(packed), _YUV422[encoding])
    if encoding in ("nv12", "nv21", "nv24"):
        return _decode_semi_planar(encoding, width, height, step, data)
    if encoding in ("16UC1", "32FC1", "64FC1"):
        raise ValueError(f"encoding {encoding!r} is depth, not colours; give this topic as the depth topic")
    raise ValueError(f"unknown image encoding {encoding!r}; republish the image as rgb8 or bgr8 (known are "
                     f"{', '.join(sorted({*_PLAIN, *_YUV422, 'nv12', 'nv21', 'nv24'}))} and bayer_*)")


def decode_depth(encoding: str, width: int, height: int, step: int, data: Any,
                 is_bigendian: bool = False) -> np.ndarray:
    """Depth along z of a sensor_msgs/Image by REP-118: (height, width) float32 metres, 0 where there is none.

    16UC1 and mono16 are millimetres, 32FC1 is metres; NaN, infinite and negative values become 0.
    """
    if encoding not in _DEPTH:
        raise ValueError(f"depth has encoding {encoding!r}; expected 16UC1 (millimetres) or 32FC1 (metres)")
    raw = _rows(encoding, width, height, step, data, _DEPTH[encoding], 1, is_bigendian)[..., 0]
    return _metres(raw)


def decode_labels(encoding: str, width: int, height: int, step: int, data: Any,
                  is_bigendian: bool = False) -> np.ndarray:
    """Class ids of a sensor_msgs/Image: (height, width) uint16, 65535 where there is none.

    8UC1 and mono8 (255 = none), 16UC1 and mono16 (65535 = none), 32SC1 (negative or above 65534 = none).
    """
    if encoding not in _LABELS:
        raise ValueError(f"labels have encoding {encoding!r}; expected one of {', '.join(_LABELS)}")
    raw = _rows(encoding, width, height, step, data, _LABELS[encoding], 1, is_bigendian)[..., 0]
    return label_ids(raw)


def label_ids(raw: np.ndarray) -> np.ndarray:
    """Ids as uint16 of any integer label image (H, W): the largest value of 8 bits, 65535 and negatives are none."""
    if raw.ndim != 2 or raw.dtype.kind not in "ui":
        raise ValueError(f"labels must be one integer for each pixel, got shape {raw.shape}, type {raw.dtype}")
    if raw.dtype == np.uint8:
        return np.where(raw == 255, np.uint16(_UNLABELLED), raw.astype(np.uint16))
    if raw.dtype == np.uint16:
        return raw.copy()
    return np.where((raw < 0) | (raw >= _UNLABELLED), _UNLABELLED, raw).astype(np.uint16)


def decode_compressed(data: Any, format: str = "") -> np.ndarray:
    """Colours of a sensor_msgs/CompressedImage: (H, W, 3) uint8 RGB.

    data: a JPEG or PNG file (what OpenCV reads). format: as image_transport writes it, such as 'jpeg' or
    'rgb8; jpeg compressed bgr8'. Turning by EXIF is left out: intrinsics belong to the stored pixels.
    """
    named, _, stored = format.partition(";")
    if re.search(r"h\.?26[45]|hevc|av1|vp[89]|theora", format.lower()):
        raise ValueError(f"compressed image has format {format!r}, a video stream; republish it as jpeg or raw")
    image = _to_8bit(_imdecode(data, format))
    bayer = re.fullmatch(r"bayer_(rggb|bggr|gbrg|grbg)(8|16)", named.strip())
    if image.ndim == 2 and bayer:
        return _demosaic(bayer[1], image, format)
    if image.ndim == 2:
        return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    if "compressed rgb" in stored:  # written without the swap to BGR that image files are made from
        return np.ascontiguousarray(image[..., :3])
    return np.ascontiguousarray(image[..., 2::-1])


def decode_compressed_depth(data: Any, format: str = "") -> np.ndarray:
    """Depth of a CompressedImage: (H, W) float32 metres, 0 where there is none.

    Either a plain 16-bit PNG in millimetres, or what image_transport calls compressedDepth: a header of 12 bytes (an
    int32 and two floats a, b) before the PNG, and for 32FC1 the quantised inverse depth q, depth = a / (q - b).
    """
    blob = bytes(memoryview(data))
    if "rvl" in format.lower():
        raise ValueError(f"compressed depth has format {format!r}; set the publisher's compressedDepth format to png")
    if blob[:8] == _PNG:
        raw, a, b = _imdecode(blob, format), 0.0, 0.0
    elif blob[12:20] == _PNG:
        a, b = struct.unpack_from("<4xff", blob)
        raw = _imdecode(blob[12:], format)
    else:
        raise ValueError(f"compressed depth (format {format!r}, {len(blob)} bytes) holds no PNG; publish 16UC1 as png")
    if raw.ndim != 2 or raw.dtype != np.uint16:
        raise ValueError(f"compressed depth (format {format!r}) must be one channel of 16 bits, got shape {raw.shape}, "
                         f"type {raw.dtype}")
    if not format.strip().startswith("32FC1"):
        return _metres(raw)
    with np.errstate(divide="ignore"):
        return _metres(np.where(raw > 0, np.float32(a) / (raw.astype(np.float32) - np.float32(b)), np.float32(0)))


def decode_compressed_labels(data: Any, format: str = "") -> np.ndarray:
    """Class ids of a CompressedImage that holds a PNG: (H, W) uint16, 65535 where there is none (255 in 8 bits)."""
    blob = bytes(memoryview(data))
    if blob[:8] != _PNG:
        raise ValueError(f"compressed labels have format {format!r}; ids survive in PNG only")
    image = _imdecode(data, format)
    return label_ids(palette_indices(blob) if is_palette(blob) else image)


def is_palette(blob: bytes) -> bool:
    """Looks into the header of a file: True for a PNG whose pixels are numbers of colours."""
    return blob[:8] == _PNG and blob[25:26] == b"\x03"


def palette_indices(blob: bytes) -> np.ndarray:
    """The numbers (H, W) uint8 of a PNG with a palette, which OpenCV turns into colours. ValueError if it is damaged."""
    from PIL import Image

    try:
        return np.array(Image.open(BytesIO(blob)))
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"image with a palette cannot be decoded: {error}") from error


def encode_jpeg(image: np.ndarray, quality: int = 90) -> bytes:
    """JPEG file of an (H, W, 3) uint8 RGB image; quality 1 to 100."""
    if not 1 <= quality <= 100:
        raise ValueError(f"JPEG quality must be 1 to 100, got {quality}")
    done, blob = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    if not done:
        raise ValueError(f"an image of shape {image.shape} cannot be written as JPEG")
    return blob.tobytes()


def encode_png(image: np.ndarray) -> bytes:
    """PNG file of an (H, W, 3) uint8 RGB, or (H, W) uint8 or uint16 image."""
    pixels = np.ascontiguousarray(image[..., ::-1]) if image.ndim == 3 else image
    done, blob = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not done:
        raise ValueError(f"an image of shape {image.shape}, type {image.dtype} cannot be written as PNG")
    return blob.tobytes()


def _rows(encoding: str, width: int, height: int, step: int, data: Any, kind: str, channels: int,
          is_bigendian: bool) -> np.ndarray:
    """(height, width, channels) of the machine's byte order, a view where possible; padding of rows is cut off."""
    size = np.dtype(kind).itemsize
    used = width * channels * size
    buffer = _bytes(encoding, width, height, step, data, used, height)
    rows = np.lib.stride_tricks.as_strided(buffer, (height, used), (step, 1), writeable=False)
    values = np.ascontiguousarray(rows).view(np.dtype(kind).newbyteorder(">" if is_bigendian else "<"))
    return values.astype(kind, copy=False).reshape(height, width, channels)


def _bytes(encoding: str, width: int, height: int, step: int, data: Any, used: int, rows: int) -> np.ndarray:
    """`data` as flat uint8, after its size has been checked against width, height and step."""
    name = f"image {width}x{height} {encoding}, step {step}"
    if width < 1 or height < 1:
        raise ValueError(f"{name}: the image has no pixels; the publisher must set width and height")
    check_pixels(width, height, name)
    buffer = np.frombuffer(data, np.uint8) if not isinstance(data, np.ndarray) else data.reshape(-1).view(np.uint8)
    if step < used:
        raise ValueError(f"{name}: a row needs {used} bytes; the publisher must set step and encoding to fit its data")
    full, least = step * rows, step * (rows - 1) + used
    if not least <= buffer.size <= full:
        raise ValueError(f"{name}: expected {full} bytes of data, got {buffer.size}; encoding, size or step is wrong")
    return buffer


def _decode_semi_planar(encoding: str, width: int, height: int, step: int, data: Any) -> np.ndarray:
    """NV12, NV21 (chroma at half size) and NV24 (chroma at full size): a plane of Y, then rows of U and V in turn."""
    if encoding == "nv24":
        rows, chroma_step = 3 * height, 2 * step
    else:
        _even(encoding, width, 2)
        _even(encoding, height, 2)
        rows, chroma_step = height + height // 2, step
    buffer = _bytes(encoding, width, height, step, data, width, rows)
    if buffer.size < step * rows:
        buffer = np.pad(buffer, (0, step * rows - buffer.size))
    luma = buffer[:step * height].reshape(height, step)[:, :width]
    chroma = buffer[step * height:].reshape(-1, chroma_step)
    if encoding != "nv24":
        planes = np.ascontiguousarray(np.vstack([luma, chroma[:, :width]]))
        return cv2.cvtColor(planes, cv2.COLOR_YUV2RGB_NV12 if encoding == "nv12" else cv2.COLOR_YUV2RGB_NV21)
    y = 1.164 * (luma.astype(np.float32) - 16)
    u, v = (chroma[:, i:2 * width:2].astype(np.float32) - 128 for i in (0, 1))
    rgb = np.stack([y + 1.596 * v, y - 0.813 * v - 0.391 * u, y + 2.018 * u], -1)  # BT.601, limited range
    return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)


def _demosaic(pattern: str, raw: np.ndarray, encoding: str) -> np.ndarray:
    if min(raw.shape) < 4:
        raise ValueError(f"image {raw.shape[1]}x{raw.shape[0]} {encoding}: a Bayer pattern needs at least 4x4 pixels")
    return _to_8bit(cv2.cvtColor(np.ascontiguousarray(raw), _BAYER[pattern]))


def _to_8bit(pixels: np.ndarray) -> np.ndarray:
    if pixels.dtype == np.uint16:
        return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if pixels.dtype != np.uint8:
        raise ValueError(f"colours must have 8 or 16 bits, got {pixels.dtype}; is this a depth image?")
    return pixels


def _in_order(pixels: np.ndarray, order: tuple[int, ...]) -> np.ndarray:
    """Three of the 3 or 4 channels of uint8 pixels, a copy; OpenCV is ten times as fast as NumPy's index."""
    if order == (2, 1, 0):
        return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGB)
    return pixels.copy() if pixels.shape[2] == 3 else cv2.cvtColor(pixels, cv2.COLOR_RGBA2RGB)


def _metres(raw: np.ndarray) -> np.ndarray:
    if raw.dtype == np.uint16:
        return raw.astype(np.float32) * np.float32(0.001)
    return np.where(np.isfinite(raw) & (raw > 0), raw, 0).astype(np.float32)


def _imdecode(data: Any, format: str) -> np.ndarray:
    """Stored pixels of an image file in memory, (H, W) or (H, W, 3 or 4) in OpenCV's order."""
    blob = np.frombuffer(data, np.uint8) if not isinstance(data, np.ndarray) else data.reshape(-1).view(np.uint8)
    name = f"compressed image (format {format!r}, {blob.size} bytes)"
    if blob.size == 0:
        raise ValueError(f"{name} is empty")
    whole = blob.tobytes()
    if is_cut_off(whole):
        raise ValueError(f"{name} is cut off: its end is missing")
    check_header(whole, name)
    try:
        image = cv2.imdecode(blob, cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ValueError(f"{name} cannot be decoded: {error.err}") from error
    if image is None:
        raise ValueError(f"{name} is no image that OpenCV reads; publish it as jpeg or png")
    return image


def _even(encoding: str, length: int, unit: int) -> None:
    if length % unit:
        raise ValueError(f"encoding {encoding!r} shares colours between pixels, so sides must be even; got {length}")
