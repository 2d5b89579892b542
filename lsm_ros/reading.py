# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Files that anybody may have made: what they may unpack to is bounded before anything is unpacked, and errors name them."""
from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MOST_SIDE_PX = 32_768
MOST_PIXELS = 50_000_000  # of an image, whatever it comes in
MOST_CHUNK_BYTES = 128_000_000  # of a packed part of a bag; recorders write parts of 1 to 16 MB
MOST_FILE_RATIO = 50  # of a bag that is packed as a whole; images are packed 1 to 10 times
MOST_TEXT_BYTES = 8_000_000  # of a YAML file; those with thousands of names have some hundred kilobytes
MOST_DEPTH = 50  # of lists within lists
_FREE_BYTES, _MOST_RATIO = 64_000_000, 100  # arrays of a map are packed 1.5 to 4 times, zeros of an attack 1000 times


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns every error of the block into a ValueError that names the file. FileNotFoundError passes."""
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:  # bytes that lie raise anything in zipfile, zlib, NumPy, json and what uses the content
        what = str(error) if isinstance(error, (ValueError, OSError)) and str(error) else f"{type(error).__name__}: {error}"
        raise ValueError(f"{path} cannot be read: {what}") from error


def no_file(path: Path, kind: str = "", wanted: str = "a file") -> FileNotFoundError:
    """The error for a path of some kind that is no file, and perhaps a folder."""
    name = f"{kind} {path}".strip()
    return FileNotFoundError(f"{name} is a folder; name {wanted} in it" if path.is_dir() else f"{name} does not exist")


def no_folder(path: Path) -> FileNotFoundError:
    """The error for a path that is no folder, and perhaps a file."""
    return FileNotFoundError(f"{path} is a file; name its folder" if path.exists() else f"folder {path} does not exist")


def check_pixels(width: int, height: int, name: str) -> None:
    """Refuses an image of more pixels than any camera of a robot has. ValueError that begins with `name`."""
    if width > MOST_SIDE_PX or height > MOST_SIDE_PX or width * height > MOST_PIXELS:
        raise ValueError(f"{name} claims {width}x{height} pixels; more than {MOST_SIDE_PX} a side or {MOST_PIXELS} in all "
                         "are refused: scale it down")


def check_archive(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuses a zip file (npz) that would unpack to far more than arrays of a map do. ValueError."""
    stated, packed = sum(i.file_size for i in archive.infolist()), path.stat().st_size
    if stated > _FREE_BYTES + _MOST_RATIO * packed:
        raise ValueError(f"its {packed} bytes would unpack to {stated}; more than {_MOST_RATIO} times as much is refused")


@contextmanager
def open_arrays(path: Path) -> Iterator[Any]:
    """The arrays of an npz file, by name, each read when it is asked for. Errors as of `reading`."""
    import numpy as np  # `lsm doctor` runs without it

    with reading(path):
        with zipfile.ZipFile(path) as archive:
            check_archive(archive, path)
        with np.load(path, allow_pickle=False) as arrays:
            yield arrays


def read_yaml(text: str, name: str) -> Any:
    """The plain values in a YAML text. ValueError that begins with `name` for what is no YAML, is too long or too deep, or
    has aliases, a few of which stand for any amount of data."""
    import yaml

    if len(text) > MOST_TEXT_BYTES:
        raise ValueError(f"{name} has {len(text)} characters; more than {MOST_TEXT_BYTES} are refused")
    depth = 0
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            line = event.start_mark.line + 1
            if isinstance(event, yaml.AliasEvent):
                raise ValueError(f"{name}, line {line}: the alias *{event.anchor} is refused; write out what it stands for")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MOST_DEPTH:
                raise ValueError(f"{name}, line {line}: lists or names are nested more than {MOST_DEPTH} deep")
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"{name} is not YAML: {' '.join(str(error).split())}") from error


def read_yaml_file(path: Path, name: str = "") -> Any:
    """The plain values in a YAML file; name: how errors call it, by default its path. Errors as of `read_yaml`, and OSError."""
    return read_yaml(read_text(path, name), name or str(path))


def read_text(path: Path, name: str = "") -> str:
    """A short text file in UTF-8, without the mark at its start. ValueError that begins with `name`, by default the path, for
    a long one or what is no text; OSError."""
    size = path.stat().st_size
    if size > MOST_TEXT_BYTES:
        raise ValueError(f"{name or path} has {size} bytes; more than {MOST_TEXT_BYTES} are refused")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{name or path} is no text in UTF-8: {error}") from error
