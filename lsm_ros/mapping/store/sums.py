# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Checksums of a saved map, in the form of `sha256sum -c`; they also say which files of a folder are a map's own.

The last line is a comment, which `sha256sum` skips, with the checksum of the lines before it.
"""
from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from lsm_ros.files import write_text

SUMS = "checksums.sha256"
GRID = ("occupancy.pgm", "occupancy.yaml")  # for map_server, beside the map
OWN = ("map.json", "graph.npz", "map/voxel_map.npz", "language.safetensors", "objects.json", SUMS, *GRID)
"""All files that a saved map may have; others in its folder are not the map's."""
NONE, WITHOUT_OWN, WITH_OWN = 0, 1, 2  # how checksums guard a map: not at all, without a checksum of their own, with one
_LINE = re.compile(r"([0-9a-f]{64})  (\S.*)")
_OWN_LINE = b"# sha256 of the lines above: "
_MOST_BYTES = 1_000_000


def write_sums(folder: Path) -> None:
    """Writes the checksums of all files in a folder, in place of those that were there."""
    names = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and p.name != SUMS)
    _write(folder, {name: _digest(folder / name) for name in names})


def rewrite_file(folder: Path, name: str, text: str) -> None:
    """Puts another text into a file of a saved map. The checksums lack it meanwhile, so that the map is whole whenever this
    ends early; those of other files stay as they are. OSError; errors of `read_sums`."""
    if not (folder / SUMS).exists():  # of a map of before
        write_text(folder / name, text)
        return
    others = {n: digest for n, digest in read_sums(folder).items() if n != name}
    _write(folder, others)
    write_text(folder / name, text)
    _write(folder, {**others, name: _digest(folder / name)})


def read_sums(folder: Path) -> dict[str, str]:
    """Checksum by the name of each file. FileNotFoundError without any; ValueError where they are damaged."""
    return _read(folder)[0]


def _read(folder: Path) -> tuple[dict[str, str], int]:
    path = folder / SUMS
    if path.stat().st_size > _MOST_BYTES:
        raise ValueError(f"{path} is damaged: it has {path.stat().st_size} bytes")
    found: dict[str, str] = {}
    content, guard = path.read_bytes(), WITHOUT_OWN
    guarded, own_line, own = content.rpartition(_OWN_LINE)
    if own_line:
        if own != _own_digest(guarded):
            raise ValueError(f"{path} is damaged: its last line is not the checksum of the lines above")
        content, guard = guarded, WITH_OWN
    *lines, rest = content.decode("utf-8", "replace").split("\n")
    for number, line in enumerate([*lines, rest] if rest else lines, 1):
        match = _LINE.fullmatch(line)
        if match is None or Path(match[2]).is_absolute() or ".." in Path(match[2]).parts or match[2] in found:
            raise ValueError(f"{path} is damaged in line {number}")
        found[match[2]] = match[1]
    return found, guard


def check_files(folder: Path, needed: Iterable[str]) -> int:
    """Checks that the files of a map are as they were written, but for the grid, which no map is made of and people retouch.
    Returns how they are guarded: NONE, WITHOUT_OWN or WITH_OWN. ValueError that names the files."""
    if not (folder / SUMS).exists():
        return NONE
    sums, guard = _read(folder)
    missing = sorted(set(needed) - set(sums))
    if missing:
        raise ValueError(f"{folder / SUMS} is damaged: it lacks {', '.join(missing)}")
    changed = [name for name in changed_files(folder) if name not in GRID]
    if changed:
        raise ValueError(f"the map in {folder} is damaged: {', '.join(changed)} changed after it was saved")
    return guard


def changed_files(folder: Path) -> list[str]:
    """Names of the files that are no longer as they were written, or are gone. Errors as of `read_sums`."""
    return [name for name, digest in read_sums(folder).items()
            if not (folder / name).is_file() or _digest(folder / name) != digest]


def _write(folder: Path, sums: dict[str, str]) -> None:
    guarded = "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items())).encode()
    write_text(folder / SUMS, (guarded + _OWN_LINE + _own_digest(guarded)).decode())


def _own_digest(guarded: bytes) -> bytes:
    return f"{hashlib.sha256(guarded).hexdigest()}\n".encode()


def _digest(path: Path) -> str:
    total = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            total.update(block)
    return total.hexdigest()
