# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The machine that bench/gpu_check.py runs on: GPU, driver and versions. Run as a script it prints them as JSON, so that a
driver that hangs can be given up."""
from __future__ import annotations

import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

MODULES = {"torch": "torch", "cupy": "cupy", "numpy": "numpy", "scipy": "scipy", "cv2": "opencv", "yaml": "PyYAML",
           "psutil": "psutil", "pytest": "pytest", "hypothesis": "hypothesis"}


def described(seconds: float) -> dict[str, Any]:
    """Findings of a process of its own within so many seconds: gpu is None without one, error says what went wrong."""
    try:
        done = subprocess.run([sys.executable, __file__], capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return {"gpu": None, "error": f"the machine was not described within {seconds:.0f} s"}
    if done.returncode:
        return {"gpu": None, "error": done.stderr.strip()[-2000:]}
    return json.loads(done.stdout.splitlines()[-1])


def lines(machine: dict[str, Any]) -> str:
    """The description as text."""
    order = ("gpu", "driver", "cuda", "torch", "cupy", "numpy", "python", "processor", "cores", "missing", "error")
    return "\n".join(f"{name:10} {machine[name]}" for name in order if name in machine)


def found() -> dict[str, Any]:
    """Description of this machine: the GPU by torch, versions by CuPy."""
    absent = [package for module, package in MODULES.items() if importlib.util.find_spec(module) is None]
    out: dict[str, Any] = {"gpu": None, "driver": _smi("driver_version"), "cuda": None, "torch": None, "cupy": None,
                           "numpy": _version("numpy"), "python": platform.python_version(),
                           "processor": platform.machine(), "cores": os.cpu_count(), "load": os.getloadavg(),
                           "missing": absent}
    if "torch" not in absent:
        import torch

        out["torch"], out["cuda"] = torch.__version__, torch.version.cuda
        if torch.cuda.is_available():
            properties = torch.cuda.get_device_properties(0)
            out["gpu"], out["gpus"] = properties.name, torch.cuda.device_count()
            out["gpu_bytes"], out["capability"] = properties.total_memory, list(torch.cuda.get_device_capability(0))
    if "cupy" not in absent:
        out.update(_cupy())
    return out


def _cupy() -> dict[str, Any]:
    import cupy

    try:
        runtime, driver = cupy.cuda.runtime.runtimeGetVersion(), cupy.cuda.runtime.driverGetVersion()
    except Exception as error:  # noqa: BLE001 - any error of its CUDA libraries is reported
        return {"cupy": cupy.__version__, "cupy_error": str(error)}
    return {"cupy": cupy.__version__, "cupy_runtime": runtime, "cupy_driver": driver}


def _smi(field: str) -> str | None:
    if shutil.which("nvidia-smi") is None:
        return None
    try:
        done = subprocess.run(["nvidia-smi", f"--query-gpu={field}", "--format=csv,noheader"], capture_output=True,
                              text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip().splitlines()[0] if done.returncode == 0 and done.stdout.strip() else None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


if __name__ == "__main__":
    print(json.dumps(found()))
