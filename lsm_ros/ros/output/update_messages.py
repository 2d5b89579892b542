# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""lsm_ros/SemanticVoxelUpdate from and to the update of the core."""
from __future__ import annotations

import struct

import numpy as np
from rclpy.serialization import serialize_message

from lsm_ros.fusion.publish.updates import MapUpdate
from lsm_ros.msg import SemanticVoxelUpdate, VoxelBlock
from lsm_ros.ros.conversions import to_stamp


def to_voxel_update(update: MapUpdate, ns: int, frame_id: str) -> SemanticVoxelUpdate:
    """Changed blocks as a message."""
    out = _without_blocks(update, ns, frame_id)
    for (x, y, z), data in zip(update.index.tolist(), update.data, strict=True):
        block = VoxelBlock(x=x, y=y, z=z, removed=not data)
        block.data.frombytes(data)
        out.blocks.append(block)
    return out


def serialized(update: MapUpdate, ns: int, frame_id: str) -> bytes:
    """The same message, serialised here: rclpy takes 80 ms for a megabyte, which is sent up to ten times a second.

    In CDR the sequence of blocks, which comes last, is its length and then the blocks, each beginning at a multiple of 4.
    """
    empty = bytes(serialize_message(_without_blocks(update, ns, frame_id)))
    order = "<" if empty[1] & 1 else ">"
    if empty[-4:] != b"\0\0\0\0":
        raise RuntimeError("the serialisation of lsm_ros/SemanticVoxelUpdate is not CDR as it is known here")
    parts, head, end = [empty[:-4], struct.pack(f"{order}I", len(update.data))], struct.Struct(f"{order}iii?3xI"), b""
    for (x, y, z), data in zip(update.index.tolist(), update.data, strict=True):
        parts += (end, head.pack(x, y, z, not data, len(data)), data)
        end = bytes(-len(data) % 4)
    return b"".join(parts)


def _without_blocks(update: MapUpdate, ns: int, frame_id: str) -> SemanticVoxelUpdate:
    out = SemanticVoxelUpdate(epoch=update.epoch, seq=update.seq, base_seq=update.base_seq, backlog=update.backlog,
                              graph_version=update.graph_version, voxel_size=update.voxel_size,
                              block_edge=update.block_edge, encoding=update.encoding)
    out.header.stamp, out.header.frame_id = to_stamp(ns), frame_id
    return out


def from_voxel_update(message: SemanticVoxelUpdate) -> MapUpdate:
    """Changed blocks of a message. ValueError if a block is said to be removed and has data, or the other way round; what
    the data hold is checked by who applies them."""
    for block in message.blocks:
        if block.removed == bool(len(block.data)):
            raise ValueError(f"map update {message.seq}: block {block.x}, {block.y}, {block.z} has {len(block.data)} bytes "
                             f"and removed = {block.removed}")
    index = np.array([(b.x, b.y, b.z) for b in message.blocks], np.int32).reshape(-1, 3)
    return MapUpdate(message.epoch, message.seq, message.base_seq, index, tuple(b.data.tobytes() for b in message.blocks),
                     message.voxel_size, message.graph_version, message.backlog, message.block_edge, message.encoding)
