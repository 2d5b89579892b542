# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Image files that were cut off: decoders fill what is missing with grey or black, without an error."""
from __future__ import annotations

import re
import struct

__all__ = ["is_cut_off"]

_JPEG, _PNG = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])", re.DOTALL)  # the others stand within the data of pixels
_END = 0xD9


def is_cut_off(blob: bytes) -> bool:
    """Walks through a JPEG or PNG file: True if its end is missing. What cameras append after the end does not matter, nor do
    small pictures within it. False for files of other kinds."""
    if blob.startswith(_JPEG):
        return not _jpeg_ends(blob)
    return blob.startswith(_PNG) and not _png_ends(blob)


def _jpeg_ends(blob: bytes) -> bool:
    at = 2
    while (found := _MARKER.search(blob, at)) is not None:
        kind, at = found[1][0], found.end()
        if kind == _END:
            return True
        if at + 2 > len(blob):
            return False
        if kind != 0x01:  # all others are followed by their length; pixels follow the segment of a scan
            at += struct.unpack_from(">H", blob, at)[0]
    return False


def _png_ends(blob: bytes) -> bool:
    at = len(_PNG)
    while at + 12 <= len(blob):
        (length,) = struct.unpack_from(">I", blob, at)
        if blob[at + 4:at + 8] == b"IEND":
            return True
        at += 12 + length
    return False
