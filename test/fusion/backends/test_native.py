# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The kernels are built where there is a compiler, at first use too, and for the GPUs that nobody has here."""
import ctypes
import ctypes.util
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import emulated_cupy
from helpers.fusion_scenes import MIDDLE, ROOM, observe, pose

from lsm_ros.config import FusionConfig
from lsm_ros.fusion.backends import native
from lsm_ros.fusion.backends.cpu import CpuBackend
from lsm_ros.fusion.backends.cuda import KERNELS, OPTIONS, CudaBackend
from lsm_ros.fusion.backends.layout import CameraPose, Layout
from lsm_ros.fusion.backends.view import View
from lsm_ros.fusion.map.pools import Pools, part

needs_cc = pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler (apt-get install gcc libc6-dev)")


@needs_cc
def test_compiled_once_and_again_for_other_flags(tmp_path, monkeypatch):
    first = native.compiled(tmp_path)
    made = first.stat().st_mtime_ns
    assert native.compiled(tmp_path) == first and first.stat().st_mtime_ns == made
    monkeypatch.setattr(native, "FLAGS", (*native.FLAGS, "-DSOMETHING"))
    assert native.compiled(tmp_path) != first
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [".so", ".so"]  # nothing half made
    library = ctypes.CDLL(str(first))
    library.lsm_source.restype = ctypes.c_char_p
    assert library.lsm_source().decode() == native.source_digest()
    assert library.lsm_view_size() == ctypes.sizeof(View)


@needs_cc
def test_no_warnings():
    done = subprocess.run(["cc", *native.FLAGS, "-Wall", "-Wextra", "-Werror", str(native.SOURCES / "cpu.c"), "-o",
                           "/dev/null"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


TWO_JOBS = """
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
#define MAX_THREADS 64
#include "cpu_threads.h"

static int done[2][ITEMS], late;
typedef struct { job j; int which, over; } counted;

static void work(job *j, int first, int last) {
    counted *c = (counted *)j;
    for (int i = first; i < last; i++) done[c->which][i]++;
    usleep(first == ITEMS - 1 ? 50000 : 1000); /* the last item, which a helper may have, takes longest */
    if (c->over) late++;
}

static counted jobs[2] = {{{.work = work}, 0, 0}, {{.work = work}, 1, 0}};

static void *caller(void *c) {
    run(&((counted *)c)->j, ITEMS, 1, 4);
    ((counted *)c)->over = 1;
    return NULL;
}

int main(void) {
    pthread_t threads[2];
    alarm(20); /* ends a program that waits for ever */
    for (int round = 1; round <= 20; round++) {
        for (int i = 0; i < 2; i++) jobs[i].over = 0;
        for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, caller, &jobs[i]);
        for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
        for (int i = 0; i < 2 * ITEMS; i++) if (done[i / ITEMS][i % ITEMS] != round) return 1;
    }
    usleep(100000);
    return late ? 2 : 0;
}
"""


@needs_cc
def test_two_that_work_at_once_both_end_and_each_waits_for_the_helpers_of_its_own(tmp_path):
    """As two maps in one process do. The one that comes second works alone."""
    source, program = tmp_path / "two.c", tmp_path / "two"
    source.write_text(TWO_JOBS)
    subprocess.run(["cc", "-O1", "-std=gnu11", "-DITEMS=7", "-pthread", "-I", str(native.SOURCES), str(source), "-o",
                    str(program)], check=True)
    ended = subprocess.run([str(program)]).returncode
    said = {0: "", 1: "an item was not done once", 2: "a helper was at work after the end"}
    assert said.get(ended, "one waits for ever") == ""


@needs_cc
@pytest.mark.parametrize("flags", [("-O0",), ("-DLSM_NARROW",)])
def test_neither_vectors_nor_optimisation_change_the_bits(tmp_path, monkeypatch, flags):
    T, config = pose(0.1, 0, 0.6, 0.3, 0.2), FusionConfig(voxel_size=0.05)
    o = observe(ROOM, T, camera=MIDDLE)
    usual, layout = CpuBackend(1), Layout.of(config)
    monkeypatch.setattr(native, "FLAGS", (*native.FLAGS, *flags))
    other = CpuBackend(1, ctypes.CDLL(str(native.compiled(tmp_path))))
    states = []
    for backend in (usual, other):
        p = part(backend, backend.prepare(o, layout), CameraPose.of(T, o.T_rig_cam), layout)
        pools = Pools(backend, 1000)
        pools.add(p, 1)
        slots = pools.voxels.all_slots()
        on = backend.crossings(pools.voxels, slots, np.full((len(slots), 6), -1), 0.006, 1)
        states.append([p.keys, p.pixels.pixels, p.free.weights, pools.voxels.take("voxels", slots),
                       pools.voxels.take("labels", slots), on.distance, on.slope])
    assert len(states[0][0]) > 50 and len(states[0][5]) > 1000
    assert all((a == b).all() for a, b in zip(*states, strict=True))


@needs_cc
def test_a_stale_installed_library_is_not_used(tmp_path, monkeypatch):
    folder = tmp_path / "kernels"
    shutil.copytree(native.SOURCES, folder)
    monkeypatch.setattr(native, "SOURCES", folder)
    monkeypatch.setenv("LSM_CACHE", str(tmp_path / "cache"))
    shutil.copy(native.compiled(tmp_path), folder / native.INSTALLED)
    fresh = native.library.__wrapped__
    assert Path(fresh()._name) == folder / native.INSTALLED
    (folder / "cpu.c").write_text((folder / "cpu.c").read_text() + "\n/* changed */\n")
    assert Path(fresh()._name).parent == tmp_path / "cache"


def test_the_library_of_the_build_is_of_these_sources():
    """CMake makes the digest too."""
    installed = native.SOURCES / native.INSTALLED
    if not installed.is_file():
        pytest.skip("the package is not installed by its build (make setup)")
    library = ctypes.CDLL(str(installed))
    library.lsm_source.restype = ctypes.c_char_p
    assert library.lsm_source().decode() == native.source_digest()
    assert Path(native.library.__wrapped__()._name) == installed


def test_without_a_compiler_the_error_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match=r"apt-get install gcc libc6-dev.*fusion.backend to numpy"):
        native.compiled(tmp_path)
    monkeypatch.setenv("CC", str(tmp_path / "missing"))
    with pytest.raises(RuntimeError, match="missing cannot run"):
        native.compiled(tmp_path)


def statements(name: str) -> set[str]:
    """Those of a kernel source, without comments, however they are spaced."""
    text = re.sub(r"/\*.*?\*/", "", (native.SOURCES / name).read_text(), flags=re.S)
    return {" ".join(s.split()) for s in re.split("[;{}]", text)}


def test_formulas_stand_in_the_shared_header_alone():
    """The GPU's source has only the walk: no constants to compute with, and no arithmetic that the CPU's has too."""
    gpu = statements("gpu.cu")
    assert set(re.findall(r"\b\d+\.\d*(?:e-?\d+)?f?", " ".join(gpu))) <= {"0.0f", "1.0f"}
    for path in native.SOURCES.glob("cpu_*.h"):
        assert [s for s in gpu & statements(path.name) if re.search(r"= .*[-+*/]", s)] == [], path.name


def test_a_compiler_that_fails_is_quoted(tmp_path, monkeypatch):
    broken = tmp_path / "cc"
    broken.write_text("#!/bin/sh\n[ \"$1\" = --version ] && echo 1 && exit 0\necho no headers >&2\nexit 1\n")
    broken.chmod(broken.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("CC", str(broken))
    with pytest.raises(RuntimeError, match="no headers"):
        native.compiled(tmp_path / "cache")
    assert [p.name for p in tmp_path.iterdir()] == ["cc"]


# the GPU's kernels, with a compiler but no GPU


def nvrtc() -> ctypes.CDLL:
    """NVRTC from PyPI (nvidia-cuda-nvrtc), CuPy's environment or the machine."""
    places = [p for top in sys.path if top for p in sorted(Path(top).glob("nvidia/*/lib/libnvrtc.so.*"))]
    names = [str(p) for p in places if "builtins" not in p.name] + [ctypes.util.find_library("nvrtc") or "libnvrtc.so"]
    for name in names:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    pytest.skip("no NVRTC (pip install nvidia-cuda-nvrtc)")


def compile_for(architecture: str, source: str) -> tuple[int, str, bytes]:
    """Status, log and binary."""
    lib, program = nvrtc(), ctypes.c_void_p()
    assert lib.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"gpu.cu", 0, None, None) == 0
    options = [f"--gpu-architecture={architecture}".encode(), *(o.encode() for o in OPTIONS)]
    status = lib.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    size = ctypes.c_size_t()
    assert lib.nvrtcGetProgramLogSize(program, ctypes.byref(size)) == 0
    log = ctypes.create_string_buffer(size.value)
    assert lib.nvrtcGetProgramLog(program, log) == 0
    binary = ctypes.create_string_buffer(0)
    if status == 0:
        assert lib.nvrtcGetCUBINSize(program, ctypes.byref(size)) == 0
        binary = ctypes.create_string_buffer(size.value)
        assert lib.nvrtcGetCUBIN(program, binary) == 0
    lib.nvrtcDestroyProgram(ctypes.byref(program))
    return status, log.value.decode(), binary.raw


@pytest.mark.parametrize("architecture", ["sm_87", "sm_90"])
def test_cuda_source_compiles(architecture):
    status, log, binary = compile_for(architecture, native.source_text("gpu.cu"))
    assert status == 0, log
    assert "warning" not in log, log
    assert binary[:4] == b"\x7fELF" and all(f"lsm_gpu_{name}".encode() in binary for name in KERNELS)


def test_what_the_cuda_compiler_says_is_told(monkeypatch):
    monkeypatch.setattr(native, "source_text", lambda name: "int nothing;")
    with pytest.raises(RuntimeError, match="CUDA kernels do not compile: there is no kernel"):
        CudaBackend(emulated_cupy)


def test_cuda_compiler_refuses_what_is_wrong():
    status, log, _ = compile_for("sm_90", native.source_text("gpu.cu") + "\nKERNEL lsm_gpu_more() { nothing(); }\n")
    assert status != 0 and "nothing" in log
