# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Images for people to look at: 8 bits, scaled or coloured, whatever they came as."""

import cv2
import numpy as np

from cv_bridge.conversion import check_layout, cvtColor2
from cv_bridge.encodings import Encoding, parse
from cv_bridge.rgb_colors import label_colours

# Bare OpenCV types taken for the colours they most often hold.
_GUESS = {"8UC1": "mono8", "8UC3": "bgr8", "8UC4": "bgra8", "16UC1": "mono16", "16UC3": "bgr16", "16UC4": "bgra16"}


def _output_encoding(source: Encoding, encoding_out: str) -> Encoding:
    """Return the encoding to show in: bgr8 unless the caller names an 8-bit colour or mono one."""
    if not encoding_out:
        if source.bits > 32:
            raise RuntimeError(f"cvtColorForDisplay: [{source.name}] has {source.bits} bits per sample; name an "
                               "encoding_out such as bgr8 or mono8")
        return parse("bgr8")
    target = parse(encoding_out)
    if target.model is None or target.model.startswith("bayer") or target.bits != 8:
        raise RuntimeError(f"cvtColorForDisplay: encoding_out [{encoding_out}] must be color or mono, with 8 bits")
    return target


def _scaled(source: np.ndarray, low: float, high: float, colormap: int) -> tuple[np.ndarray, str]:
    """Map low..high to 0..255, NaN and infinity to 0, and colour it if asked; returns the image and its encoding."""
    values = np.where(np.isfinite(source), source, low).astype(np.float64)
    gray = np.clip(np.rint((values - low) * 255.0 / (high - low)), 0, 255).astype(np.uint8)
    if colormap == -1:
        return gray, "mono8"
    coloured = cv2.applyColorMap(gray, colormap)
    coloured[np.isnan(source)] = 0
    return coloured, "bgr8"


def cvtColorForDisplay(source: np.ndarray, encoding_in: str, encoding_out: str,  # noqa: N802 (the original's name)
                       do_dynamic_scaling: bool = False, min_image_value: float = 0.0,
                       max_image_value: float = 0.0, colormap: int = -1) -> np.ndarray:
    """Convert an image to one that can be shown.

    Args:
        source: (H, W) or (H, W, C).
        encoding_in: its encoding; 32SC1 is taken for labels, the bare types 8UC1 to 16UC4 for mono, BGR or BGRA.
        encoding_out: an 8-bit colour or mono encoding; empty means bgr8.
        do_dynamic_scaling: stretch the finite values of a one-channel image to the full range.
        min_image_value: with max_image_value, the range to stretch where the two differ.
        max_image_value: see min_image_value.
        colormap: an OpenCV colour map for a stretched image, such as cv2.COLORMAP_JET; -1 for gray.

    Returns:
        (H, W, 3) uint8, or (H, W) for mono8.

    Raises:
        RuntimeError: an unknown encoding, scaling of more than one channel, or a conversion without sense.
    """
    encoding = parse(encoding_in)
    target = _output_encoding(encoding, encoding_out)
    image = np.asarray(source)
    check_layout(image, encoding)
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    if encoding.cv_type == cv2.CV_32SC1 and target.name == "bgr8":
        return label_colours(image)
    low, high = float(min_image_value), float(max_image_value)
    if do_dynamic_scaling or low != high:
        if image.ndim != 2:
            raise RuntimeError(f"cvtColorForDisplay: only one channel can be scaled, not [{encoding_in}]")
        if do_dynamic_scaling:
            finite = image[np.isfinite(image)]
            low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
            if low == high:
                # Nothing to stretch: middle gray, as 127.5 rounds to even.
                return np.full(image.shape if target.channels == 1 else (*image.shape, target.channels), 128, np.uint8)
        image, name = _scaled(image, low, high, colormap)
        return cvtColor2(image, name, target.name)
    return cvtColor2(image, _GUESS.get(encoding_in, encoding_in), target.name)
