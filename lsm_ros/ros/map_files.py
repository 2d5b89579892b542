# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Saved maps below map_directory: their names, and what is written besides the map itself."""
from __future__ import annotations

from pathlib import Path

import numpy as np

from lsm_ros.files import replacing_folder, tidy
from lsm_ros.mapping import store
from lsm_ros.mapping.interface import Pipeline
from lsm_ros.types import OccupancyMap


def resolve_map(directory: str | Path, name: str) -> Path:
    """Folder of the map `name` below `directory`; where a save was killed, what it had moved away is there again. ValueError
    for anything that is not inside, also by way of links."""
    base = Path(directory).expanduser().resolve()
    if not name or not name.isprintable() or len(name) > 200:
        raise ValueError(f"map name {name!r} is empty, too long, or holds characters that cannot be printed")
    relative = Path(name)
    if relative.is_absolute() or any(part == ".." or part.startswith(".") for part in relative.parts):
        raise ValueError(f"map name {name!r} must be a folder inside of map_directory, without '..' or a leading dot")
    folder = (base / relative).resolve()
    if folder == base or not folder.is_relative_to(base):
        raise ValueError(f"map name {name!r} leads out of map_directory {base}, to {folder}")
    tidy(folder)
    return folder


def save_with_grid(pipeline: Pipeline, folder: Path) -> int:
    """Saves the map, and its grid as occupancy.pgm and .yaml for map_server, all or nothing. Returns bytes written."""
    with replacing_folder(folder, store.OWN) as fresh:
        pipeline.save(fresh)
        occupancy = pipeline.occupancy()
        if occupancy is not None:
            write_pgm(fresh, occupancy)
            store.write_sums(fresh)
    return store.folder_bytes(folder)


def remove_map(folder: Path) -> None:
    """Removes a saved map, and its folder if nothing else is in it. OSError if that fails."""
    for name in store.OWN:
        (folder / name).unlink(missing_ok=True)
    for place in (folder / "map", folder):
        if place.is_dir() and not any(place.iterdir()):
            place.rmdir()


def write_pgm(folder: Path, occupancy: OccupancyMap) -> None:
    """Grid as map_server reads it: dark is occupied, grey unknown, and the first row is the northernmost."""
    shades = np.full(occupancy.grid.shape, 205, np.uint8)
    shades[occupancy.grid == 0] = 254
    shades[occupancy.grid >= 65] = 0
    height, width = shades.shape
    (folder / "occupancy.pgm").write_bytes(f"P5\n{width} {height}\n255\n".encode() + shades[::-1].tobytes())
    (folder / "occupancy.yaml").write_text(
        f"image: occupancy.pgm\nmode: trinary\nresolution: {occupancy.resolution:.6g}\n"
        f"origin: [{occupancy.origin_x:.6f}, {occupancy.origin_y:.6f}, 0.0]\n"
        "negate: 0\noccupied_thresh: 0.65\nfree_thresh: 0.196\n")
