# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Conversion of an array from one encoding to another, by the original's rules.

Colour models convert among each other; where one side is bare numbers (``16UC1``), both need as many channels, and bare
numbers do not become colours. Between 8 and 16 bits values are scaled by 257, so that white stays white; all else keeps
its value, rounded to even and clipped to the new type.
"""

import cv2
import numpy as np

from cv_bridge.encodings import Encoding, parse

_PLAIN = ("gray", "rgb", "bgr", "rgba", "bgra")
# OpenCV names a Bayer pattern by the second row's second and third pixel, ROS by the first row's first two.
_BAYER = {"bayer_rggb": "BG", "bayer_bggr": "RG", "bayer_gbrg": "GR", "bayer_grbg": "GB"}
_PACKED_YUV = {"uyvy": "UYVY", "yuyv": "YUY2", "nv21": "NV21"}

# BT.601, limited range, as OpenCV's 4:2:0 and 4:2:2 conversions: rows B, G, R; columns Y, U, V, 1.
_BGR_FROM_YUV = np.array([[1.164, 2.018, 0.0], [1.164, -0.391, -0.813], [1.164, 0.0, 1.596]])
_BGR_FROM_YUV = np.hstack([_BGR_FROM_YUV, -_BGR_FROM_YUV @ np.array([[16.0], [128.0], [128.0]])])


def _codes() -> dict[tuple[str, str], int]:
    """Return OpenCV's conversion code for each pair of different colour models that it converts in one step."""
    codes = {}
    for source in _PLAIN:
        for target in _PLAIN:
            if source != target:
                codes[source, target] = getattr(cv2, f"COLOR_{source.upper()}2{target.upper()}")
    for source, name in _BAYER.items():
        for target in ("gray", "rgb", "bgr"):
            codes[source, target] = getattr(cv2, f"COLOR_Bayer{name}2{target.upper()}")
    for source, name in _PACKED_YUV.items():
        for target in _PLAIN:
            codes[source, target] = getattr(cv2, f"COLOR_YUV2{target.upper()}_{name}")
    return codes


_CODES = _codes()


def _from_nv24(image: np.ndarray, target: str) -> np.ndarray:
    """Convert NV24, (3 H, W) uint8 luma then interleaved chroma, to (H, W[, C]); OpenCV has no code for it."""
    rows, width = image.shape
    height = rows // 3
    luma = image[:height]
    if target == "gray":
        return luma.copy()
    chroma = image[height:].reshape(height, width, 2)
    bgr = cv2.transform(np.dstack([luma, chroma]), _BGR_FROM_YUV)
    return bgr if target == "bgr" else cv2.cvtColor(bgr, _CODES["bgr", target])


def check_layout(image: np.ndarray, encoding: Encoding) -> None:
    """Raise RuntimeError if an array is not what its encoding says."""
    channels = 1 if image.ndim == 2 else image.shape[2] if image.ndim == 3 else 0
    if channels != encoding.channels or image.dtype != encoding.dtype:
        raise RuntimeError(f"the array of shape {image.shape} and type {image.dtype} is not [{encoding.name}], "
                           f"which has {encoding.channels} channel(s) of {encoding.dtype}")
    if encoding.is_planar and image.shape[0] % 3:
        raise RuntimeError(f"the array of shape {image.shape} is not [{encoding.name}], whose rows come in threes")


def convert_color(image: np.ndarray, source: Encoding, target: Encoding) -> np.ndarray:
    """Convert between two different colour models at the depth of ``image``; RuntimeError where there is no way."""
    if source.model == "nv24" and target.model in _PLAIN:
        return _from_nv24(image, target.model)
    code = _CODES.get((source.model, target.model))
    if code is None:
        raise RuntimeError(f"Unsupported conversion from [{source.name}] to [{target.name}]")
    try:
        return cv2.cvtColor(image, code)
    except cv2.error as error:
        raise RuntimeError(f"OpenCV cannot convert shape {image.shape} from [{source.name}] to [{target.name}]: "
                           f"{error}") from error


def convert_depth(image: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Convert the samples to ``dtype``; scaled by 257 between 8 and 16 bits, rounded and clipped.

    NaN becomes 0 in an integer type.
    """
    dtype = np.dtype(dtype)
    if image.dtype == dtype:
        return image
    bits = (image.dtype.itemsize * 8, dtype.itemsize * 8)
    if (image.dtype, dtype) == (np.uint8, np.uint16):
        return image.astype(np.uint16) * np.uint16(257)
    if (image.dtype, dtype) == (np.uint16, np.uint8):
        # x / 257 never ends in one half, so adding half of 257 before the division rounds to nearest.
        return ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)
    factor = {(8, 16): 257.0, (16, 8): 1.0 / 257.0}.get(bits, 1.0)
    if dtype.kind == "f" and factor == 1.0:
        return image.astype(dtype)
    values = image.astype(np.float64) * factor
    if image.dtype.kind == "f":
        values = np.nan_to_num(values, nan=0.0, posinf=np.inf, neginf=-np.inf)
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)


def cvtColor2(image: np.ndarray, encoding_in: str, encoding_out: str) -> np.ndarray:  # noqa: N802 (the original's name)
    """Convert an image from one encoding to another.

    Args:
        image: (H, W) or (H, W, C) of the type that ``encoding_in`` names, native byte order.
        encoding_in: its encoding.
        encoding_out: the wanted encoding; empty or the same gives a copy.

    Returns:
        A new array; one channel gives shape (H, W).

    Raises:
        RuntimeError: unknown encoding, an array that is not what its encoding says, or a conversion without sense.
    """
    if encoding_out in ("", encoding_in):
        return np.array(image)
    source, target = parse(encoding_in), parse(encoding_out)
    check_layout(image, source)
    given = image
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    if source.model is None and target.model is not None:
        raise RuntimeError(f"[{encoding_in}] holds bare numbers, [{encoding_out}] colours: say what the channels mean, "
                           "as mono8, mono16, bgr8 or rgb8 do")
    if source.model is None or target.model is None:
        if source.channels != target.channels:
            raise RuntimeError(f"[{encoding_in}] has {source.channels} channel(s), [{encoding_out}] {target.channels}: "
                               "unless both are colours they must have equally many")
    elif source.model != target.model:
        image = convert_color(image, source, target)
    elif source.model.startswith("bayer") and source.bits != target.bits:
        raise RuntimeError(f"Unsupported conversion from [{encoding_in}] to [{encoding_out}]")
    result = convert_depth(image, target.dtype)
    return np.array(result) if np.may_share_memory(result, given) else result
