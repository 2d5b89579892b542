# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The C library of the voxel map: the one that the package's build installed, else one that is compiled at first use."""
from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import shlex
import shutil
import subprocess
from pathlib import Path

from lsm_ros.files import replacing
from lsm_ros.fusion.backends.view import View

SOURCES = Path(__file__).parent / "kernels"
FLAGS = ("-O3", "-std=c11", "-ffp-contract=off", "-fno-trapping-math", "-fno-math-errno", "-fPIC",
         "-fvisibility=hidden", "-shared", "-pthread")
INSTALLED = "liblsm_fusion.so"
_COMPILE_SECONDS = 300


@functools.lru_cache(maxsize=1)
def library() -> ctypes.CDLL:
    """The loaded library. RuntimeError, saying what to install, if there is none and none can be made."""
    installed = SOURCES / INSTALLED
    found = _load(installed) if installed.is_file() else None
    if found is None or found.lsm_source() != source_digest().encode():
        found = _load(compiled())
    if found.lsm_view_size() != ctypes.sizeof(View):
        raise RuntimeError(f"{found._name} lays out its arguments differently; it was built for another machine")
    return found


def source_text(name: str) -> str:
    """A kernel source, with what it includes from beside it put in: for compilers that read no files."""
    lines = (SOURCES / name).read_text().splitlines()
    return "\n".join(source_text(n.split('"')[1]) if n.startswith('#include "') else n for n in lines) + "\n"


def source_digest() -> str:
    """Digest of the C sources, which a library carries so that a stale one is not used; CMakeLists.txt makes the same."""
    names = sorted(p.name for p in SOURCES.iterdir() if p.suffix in (".c", ".h"))
    each = [hashlib.sha256((SOURCES / name).read_bytes()).hexdigest() for name in names]
    return hashlib.sha256("".join(each).encode()).hexdigest()[:16]


def compiled(folder: Path | None = None) -> Path:
    """Path of the library made from the sources, in the cache folder of the user; it is compiled if it is not there.

    The name has a digest of source, compiler and flags. RuntimeError if there is no compiler or it fails.
    """
    compiler = shlex.split(os.environ.get("CC", "")) or [_compiler()]
    flags = [*FLAGS, f'-DLSM_SOURCE="{source_digest()}"']
    try:
        version = subprocess.run([*compiler, "--version"], capture_output=True, text=True, timeout=60).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RuntimeError(f"the C compiler {compiler[0]} cannot run: {error}") from error
    digest = hashlib.sha256("\0".join([version, *compiler, *flags]).encode()).hexdigest()[:16]
    folder = folder or cache_folder()
    path = folder / f"lsm_fusion-{digest}.so"
    if not path.is_file():
        _compile([*compiler, *flags], path)
    return path


def cache_folder() -> Path:
    """$LSM_CACHE, else lsm_ros below $XDG_CACHE_HOME or ~/.cache."""
    own = os.environ.get("LSM_CACHE")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lsm_ros"


def _compiler() -> str:
    for name in ("cc", "gcc", "clang"):
        if shutil.which(name):
            return name
    raise RuntimeError("there is no C compiler for the voxel map's kernels: install one (apt-get install gcc libc6-dev), "
                       "or build the package with colcon, or set fusion.backend to numpy, which is slower")


def _compile(command: list[str], path: Path) -> None:
    """Compiles to `path`, where nobody ever finds half a library."""
    try:
        with replacing(path) as made:
            done = subprocess.run([*command, str(SOURCES / "cpu.c"), "-o", str(made)], capture_output=True, text=True,
                                  timeout=_COMPILE_SECONDS)
            if done.returncode:
                raise RuntimeError(f"`{shlex.join(command)} cpu.c` failed: {done.stderr.strip()[-2000:]}\n"
                                   "Install a C11 compiler (apt-get install gcc libc6-dev) or set fusion.backend to numpy.")
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RuntimeError(f"cannot compile the voxel map's kernels into {path.parent}: {error}; set LSM_CACHE to a folder "
                           "that can be written, or fusion.backend to numpy") from error


def _load(path: Path) -> ctypes.CDLL:
    try:
        found = ctypes.CDLL(str(path))
        found.lsm_source.restype = ctypes.c_char_p
        return found
    except (OSError, AttributeError) as error:
        raise RuntimeError(f"cannot load {path}: {error}; remove it to have it made again") from error
