# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The directions of DESIGN section 1, held by looking at imports and by importing with the heavy things missing."""
import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent / "lsm_ros"
FILES = sorted(ROOT.rglob("*.py"))
FORBIDDEN = {
    "types.py": {"config", "models", "pairs", "slam", "fusion", "pipeline", "ros", "cli", "sim", "datasets"},
    "config.py": {"types", "geometry", "models", "pairs", "slam", "fusion", "pipeline", "ros", "cli", "sim", "datasets"},
    "geometry": {"types", "config", "models", "pairs", "slam", "fusion", "pipeline", "ros", "cli", "sim", "datasets"},
    "models": {"ros", "cli", "commands", "sim", "pipeline"},
    "pairs": {"ros", "cli", "commands", "sim", "pipeline", "slam", "fusion"},
    "slam": {"ros", "cli", "commands", "sim", "pipeline", "fusion", "semantics"},
    "fusion": {"ros", "cli", "commands", "sim", "pipeline", "slam", "semantics"},
    "semantics": {"ros", "cli", "commands", "sim", "pipeline", "slam", "fusion"},
    "pipeline.py": {"ros", "cli", "commands", "sim"},
}
ROS = {"rclpy", "sensor_msgs", "geometry_msgs", "nav_msgs", "std_msgs", "std_srvs", "tf2_ros", "tf2_msgs", "vision_msgs",
       "diagnostic_msgs", "lifecycle_msgs", "rosgraph_msgs", "builtin_interfaces", "rcl_interfaces"}


def imports(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{a.name}" for a in node.names}
    return names


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_nobody_imports_against_the_direction(file):
    place = file.relative_to(ROOT).parts[0]
    found = imports(file)
    ours = {n.split(".")[1] for n in found if n.startswith("lsm_ros.")}
    assert not ours & FORBIDDEN.get(place, set())
    if place not in ("ros", "demo"):
        assert not {n.split(".")[0] for n in found} & ROS, "ROS belongs in lsm_ros/ros"


def test_generated_messages_are_not_shadowed():
    assert not list(ROOT.glob("msg*")) and not list(ROOT.glob("srv*"))


def test_core_imports_without_ros_gpu_or_open3d():
    code = (
        "import sys, importlib\n"
        "class Block:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in {'rclpy', 'sensor_msgs', 'cupy', 'open3d', 'evo', 'rosbags'}:\n"
        "            raise ImportError('blocked: ' + name)\n"
        "sys.meta_path.insert(0, Block())\n"
        "for n in 'types config geometry pairs pairs.depth slam.tracking fusion.voxel_map pipeline worker store cli'.split():\n"
        "    importlib.import_module('lsm_ros.' + n)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT.parent)
    assert done.returncode == 0, done.stderr
