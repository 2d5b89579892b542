# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Saved maps that were changed by hand: single bits, values, whole arrays."""
import json
import random
import shutil
import zipfile
from pathlib import Path

import numpy as np

from lsm_ros.mapping import store


def files_of(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file())


def flips(folder: Path, count: int, seed: int = 0):
    """(file, byte, bit) of single bits, as many of each file, the first and the last byte among them."""
    chance = random.Random(seed)
    files = files_of(folder)
    for n in range(count):
        file = files[n % len(files)]
        size = file.stat().st_size
        at = (0, size - 1)[n // len(files)] if n < 2 * len(files) else chance.randrange(size)
        yield file, at, chance.randrange(8)


def flip(file: Path, at: int, bit: int) -> None:
    """Turns one bit over; a second time, back."""
    content = bytearray(file.read_bytes())
    content[at] ^= 1 << bit
    file.write_bytes(content)


def edited(saved: Path, target: Path, form: int = store.FORMAT, meta=None, arrays=None) -> Path:
    """A copy of a saved map in which meta(dict) and arrays(dict) changed something, of a format; its checksums fit, as
    far as maps of that format have them."""
    shutil.copytree(saved, target)
    text = json.loads((target / store.META).read_text())
    text["format"] = form
    if meta is not None:
        text = meta(text) or text
    (target / store.META).write_text(json.dumps(text))
    if arrays is not None:
        with np.load(target / store.GRAPH) as old:
            new = {name: old[name] for name in old.files}
        arrays(new)
        np.savez_compressed(target / store.GRAPH, **new)
    store.write_sums(target)
    if form == 3:
        without_own_check(target)
    elif form < 3:
        (target / store.SUMS).unlink()
    return target


def without_own_check(folder: Path) -> None:
    """Takes the last line of the checksums away, which guards the others."""
    path = folder / store.SUMS
    path.write_text("".join(line for line in path.read_text().splitlines(keepends=True) if not line.startswith("#")))


def write_bomb(path: Path, members: dict[str, int]) -> None:
    """An npz whose arrays are so many bytes of zeros."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as out:
        for name, size in members.items():
            with out.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": (size,)})
                for _ in range(size >> 20):
                    file.write(bytes(1 << 20))
