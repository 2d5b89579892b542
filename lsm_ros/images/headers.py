# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Sizes that image files claim in their headers, checked before their pixels take memory."""
from __future__ import annotations

import io
import struct
import warnings
from pathlib import Path

from lsm_ros.reading import check_pixels

_TILE_WIDTH, _TILE_LENGTH = 322, 323  # tags of TIFF; a tile may claim more than its image


def check_header(file: Path | bytes, name: str) -> None:
    """Refuses an image file, or its bytes, that claims more pixels than `check_pixels` allows. ValueError that begins with
    `name`, also for what is no image."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow's own, larger limit
            with Image.open(file if isinstance(file, Path) else io.BytesIO(file)) as image:
                tags = getattr(image, "tag_v2", {})
                sizes = [image.size, (tags.get(_TILE_WIDTH, 1), tags.get(_TILE_LENGTH, 1))]
    except Image.DecompressionBombError as error:
        raise ValueError(f"{name} claims too many pixels: {error}") from error
    except UnidentifiedImageError as error:
        raise ValueError(f"{name} is no image that can be read, such as JPEG or PNG") from error
    except (OSError, SyntaxError, ValueError, KeyError, IndexError, TypeError, OverflowError, EOFError, struct.error) as error:
        raise ValueError(f"{name} is no image: its header is damaged: {error}") from error
    for width, height in sizes:
        check_pixels(width, height, name)
