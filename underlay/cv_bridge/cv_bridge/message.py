# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The samples of a sensor_msgs/Image as an array, with what the message says of itself checked."""

from typing import Any

import numpy as np

from cv_bridge.encodings import Encoding, parse


def _bytes_of(data: Any) -> np.ndarray:
    """Return message data (array.array, bytes, uint8 array or a list of byte values) as (N,) uint8."""
    if isinstance(data, (list, tuple)):
        data = bytes(data)
    return np.frombuffer(data, dtype=np.uint8)


def _buffer_rows(encoding: Encoding, height: int, step: int, size: int) -> int:
    """Return how many rows the buffer has: ``height``, or more where chroma planes follow; RuntimeError if none fits.

    For nv21 and nv24 both customs are read: height of the picture, with the chroma behind, or height of the buffer.
    """
    heights = [height]
    if encoding.model == "nv21" and height % 2 == 0:
        heights.append(height * 3 // 2)
    elif encoding.model == "nv24":
        heights.append(height * 3)
    for rows in heights:
        if rows * step == size:
            return rows
    raise RuntimeError(f"Image is wrongly formed: height * step is {height} * {step} = {height * step}, "
                       f"but data has {size} bytes")


def image_array(msg: Any) -> np.ndarray:
    """Return the samples of an image message in its own encoding.

    Args:
        msg: with height, width, encoding, is_bigendian, step (bytes per row, padding included) and data.

    Returns:
        (H, W) for one channel, else (H, W, C), native byte order, contiguous; a view of the data where it can be.

    Raises:
        RuntimeError: unknown encoding, a row longer than step, or data of another size than height * step.
    """
    encoding = parse(msg.encoding)
    dtype = encoding.dtype.newbyteorder(">" if msg.is_bigendian else "<")
    height, width, step, channels = int(msg.height), int(msg.width), int(msg.step), encoding.channels
    row = width * channels * dtype.itemsize
    if step < row:
        raise RuntimeError(f"Image is wrongly formed: step is {step} bytes, but a row of {width} pixels in "
                           f"[{msg.encoding}] takes {width} * {channels} * {dtype.itemsize} = {row}")
    data = _bytes_of(msg.data)
    rows = _buffer_rows(encoding, height, step, data.size)
    shape, strides = (rows, width, channels), (step, channels * dtype.itemsize, dtype.itemsize)
    image = np.ndarray(shape, dtype, buffer=data, strides=strides)
    if channels == 1:
        image = image[:, :, 0]
    return np.ascontiguousarray(image.astype(encoding.dtype, copy=False))
