#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Checks that torch, CuPy, NumPy, OpenCV and cv_bridge of an image fit each other.

`check_stack.py --cuda 12.8` needs no GPU and runs while the image is built: imports, versions, a kernel through NVRTC.
`check_stack.py --gpu` runs in a container and also computes on the GPU. Exit status 1 and one line per failure.
"""
from __future__ import annotations

import argparse
import ctypes
import os
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

KERNEL = r"""
#include <cuda_fp16.h>
extern "C" __global__ void halve(const float* x, float* y, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) y[i] = __half2float(__float2half(x[i] * 0.5f));
}
"""
CUPY_LIBRARIES = ("libnvrtc.so.12", "libcublas.so.12", "libcusolver.so.11", "libcusparse.so.12", "libcurand.so.10",
                  "libcufft.so.11")


def require(condition: bool, message: str) -> None:
    """RuntimeError with `message` unless `condition` holds."""
    if not condition:
        raise RuntimeError(message)


def major(version: str) -> int:
    """First number of a version."""
    return int(version.split(".")[0])


def check_versions() -> str:
    """The triangle: binaries of cv_bridge need NumPy < 2, CuPy 14 needs NumPy >= 2, the package needs 1.26."""
    import cupy
    import numpy as np

    numpy_version = tuple(int(n) for n in np.__version__.split(".")[:2])
    require((1, 26) <= numpy_version < (2, 0), f"NumPy is {np.__version__}, expected 1.26 up to below 2")
    require(major(cupy.__version__) < 14, f"CuPy is {cupy.__version__}, which needs NumPy 2; expected 13")
    return f"NumPy {np.__version__}, CuPy {cupy.__version__}"


def check_torch(cuda: str | None) -> str:
    """torch is built for CUDA, for the release `cuda` where given, and shares memory with NumPy."""
    import numpy as np
    import torch

    built_for = str(torch.version.cuda)
    require(torch.version.cuda is not None, f"torch {torch.__version__} is built without CUDA")
    require(cuda is None or built_for == cuda, f"torch is built for CUDA {built_for}, expected {cuda}")
    x = np.arange(3.0)
    torch.from_numpy(x)[0] = 7.0
    require(x[0] == 7.0, "torch.from_numpy does not share memory with NumPy")
    return f"torch {torch.__version__}, CUDA {built_for}"


def header_folders() -> list[str]:
    """Folders of the CUDA runtime headers: in the wheel that torch brings, else in an installed toolkit."""
    folders = [str(Path(os.environ.get("CUDA_PATH", "/usr/local/cuda")) / "include")]
    try:
        wheel = metadata.distribution("nvidia-cuda-runtime-cu12")
    except metadata.PackageNotFoundError:
        wheel = None
    if wheel is not None:
        folders.insert(0, str(wheel.locate_file("nvidia/cuda_runtime/include")))
    found = [f for f in folders if (Path(f) / "cuda_fp16.h").is_file()]
    require(bool(found), f"no cuda_fp16.h in {folders}: install the CUDA runtime headers")
    return found[:1]


def check_nvrtc(cuda: str | None) -> str:
    """CuPy's libraries load, and NVRTC compiles a kernel that includes a CUDA header."""
    from cupy_backends.cuda.libs import nvrtc

    for library in CUPY_LIBRARIES:
        ctypes.CDLL(library)
    version = "{}.{}".format(*nvrtc.getVersion())
    require(cuda is None or version == cuda, f"NVRTC is of CUDA {version}, expected {cuda}")
    program = nvrtc.createProgram(KERNEL, "halve.cu", (), ())
    options = ["-fmad=false", "--gpu-architecture=compute_80", *(f"-I{f}" for f in header_folders())]
    nvrtc.compileProgram(program, tuple(options))
    require(b"halve" in bytes(nvrtc.getPTX(program)), "NVRTC returned no code for the kernel")
    return f"NVRTC {version}"


def check_opencv() -> str:
    """OpenCV and cv_bridge work with this NumPy: a round trip of an image, with a change of encoding."""
    import cv2
    import numpy as np
    from cv_bridge import CvBridge

    image = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    message = CvBridge().cv2_to_imgmsg(image, encoding="rgb8")
    back = CvBridge().imgmsg_to_cv2(message, desired_encoding="bgr8")
    require(np.array_equal(back[..., ::-1], image), "cv_bridge changed the pixels of an image")
    return f"OpenCV {cv2.__version__}, cv_bridge"


def check_gpu() -> str:
    """torch hands a tensor to CuPy without a copy, and a kernel made by NVRTC computes on it."""
    import cupy
    import torch

    require(torch.cuda.is_available(), "torch finds no GPU: start with --gpus all (Jetson: --runtime nvidia)")
    x = torch.arange(8, dtype=torch.float32, device="cuda")
    y = torch.zeros_like(x)
    torch.cuda.synchronize()
    kernel = cupy.RawKernel(KERNEL, "halve", options=("-fmad=false",))
    kernel((1,), (8,), (cupy.from_dlpack(x), cupy.from_dlpack(y), cupy.int32(8)))
    cupy.cuda.Device().synchronize()
    require(torch.equal(y, x * 0.5), f"the kernel computed {y.tolist()} from {x.tolist()}")
    return f"GPU {torch.cuda.get_device_name()}"


def run(checks: list[Callable[[], str]]) -> int:
    """Runs all checks, prints a line for each; 0 when all passed, else 1."""
    failed = 0
    for check in checks:
        try:
            print(f"ok      {check()}")
        except (ImportError, OSError, RuntimeError, AttributeError) as error:
            failed = 1
            print(f"FAILED  {' '.join(str(error).split())}", file=sys.stderr)
    return failed


def main(argv: list[str] | None = None) -> int:
    """The command line; exit status 0 or 1."""
    parser = argparse.ArgumentParser(description="Checks that the image's torch, CuPy, NumPy and cv_bridge fit.")
    parser.add_argument("--cuda", help="CUDA release that torch and NVRTC must have, as 12.8")
    parser.add_argument("--gpu", action="store_true", help="also compute on the GPU")
    args = parser.parse_args(argv)
    checks = [check_versions, lambda: check_torch(args.cuda), lambda: check_nvrtc(args.cuda), check_opencv]
    return run([*checks, check_gpu] if args.gpu else checks)


if __name__ == "__main__":
    sys.exit(main())
