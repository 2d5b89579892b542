# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Compares package.xml and CMakeLists.txt with what the sources import, start and declare."""
from __future__ import annotations

import ast
import re
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
OWN = {"lsm_ros", "lsm_sim", "helpers", "setup_env", *(f.stem for d in ("bench", "test") for f in (ROOT / d).glob("*.py"))}
# Modules whose rosdep key has another name. Every other module is a ROS package of its own name.
KEYS = {"cv2": "python3-opencv", "hypothesis": "python3-hypothesis", "numpy": "python3-numpy", "packaging": "python3-packaging",
        "PIL": "python3-pil", "psutil": "python3-psutil", "pytest": "python3-pytest", "scipy": "python3-scipy",
        "tf2_ros": "tf2_ros_py", "tqdm": "python3-tqdm", "yaml": "python3-yaml"}
# What pip brings, lz4 with rosbags: rosdep has no key for it, only one that installs with pip, or one for another build.
PIP = {"ai_edge_litert", "cupy", "evo", "huggingface_hub", "lz4", "matplotlib", "mcp", "mypy", "onnx", "onnxruntime", "open3d",
       "rosbags", "torch", "transformers", "depth_anything_3", "mapanything"}
FOR_MYPY = {"typing_extensions"}  # imported below TYPE_CHECKING alone; mypy brings it
# Needed although no source imports it.
RUNTIME = {"ros2launch": "`ros2 launch lsm_ros ...` of the README",
           "rosbag2_storage_mcap": "`ros2 bag play` of what `lsm record` writes; Humble does not bring it along",
           "rosidl_default_runtime": "the generated messages"}
TESTING = {"ament_cmake_flake8": "CMakeLists.txt", "ament_cmake_pytest": "CMakeLists.txt",
           "python3-pytest-timeout": "the option timeout in pyproject.toml"}


def imported(tree: ast.AST) -> Iterator[str]:
    """Top-level modules that a source imports, lazily or through importorskip or import_module as well."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in (
                "importorskip", "import_module") and node.args and isinstance(node.args[0], ast.Constant):
            yield str(node.args[0].value).partition(".")[0]


def started(tree: ast.AST) -> Iterator[str]:
    """Packages that a launch file starts: `package=` of a node, and `ros2 <command>` as ros2<command>."""
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "package" and isinstance(node.value, ast.Constant):
            yield node.value.value
        elif isinstance(node, ast.List):
            words = [e.value if isinstance(e, ast.Constant) else None for e in node.elts[:2]]
            if words[0:1] == ["ros2"]:
                yield f"ros2{words[1]}"


def sources(*folders: str) -> list[Path]:
    """Python sources below folders of the root, scripts without a suffix included; stand-ins' tests are left out."""
    found = [p for folder in folders for p in sorted((ROOT / folder).rglob("*"))
             if p.is_file() and (p.suffix == ".py" or folder == "scripts") and "__pycache__" not in p.parts]
    return [p for p in found if p.relative_to(ROOT).parts[:2] != ("test", "underlay")]


def keys(modules: Iterable[str]) -> set[str]:
    """Keys of package.xml for modules: neither Python's nor ours nor pip's nor mypy's."""
    known = OWN | PIP | FOR_MYPY | set(sys.stdlib_module_names)
    return {KEYS.get(module, module) for module in modules if module not in known}


def needed_to_run() -> set[str]:
    """Packages that the installed package imports and starts."""
    trees = [ast.parse(p.read_text(encoding="utf-8")) for p in sources("lsm_ros", "lsm_sim", "launch", "scripts")]
    launch = [ast.parse(p.read_text(encoding="utf-8")) for p in sources("launch")]
    return keys(m for t in trees for m in imported(t)) | keys(m for t in launch for m in started(t)) | set(RUNTIME)


def needed_to_build() -> set[str]:
    """Packages of the messages that msg/ and srv/ are made of."""
    files = [*(ROOT / "msg").glob("*.msg"), *(ROOT / "srv").glob("*.srv")]
    fields = re.compile(r"^([a-z][a-z0-9_]*)/[A-Z]\w*(?:\[.*?\])?\s", re.MULTILINE)
    return {package for file in files for package in fields.findall(file.read_text(encoding="utf-8"))} - OWN


def needed_to_test() -> set[str]:
    """Packages that the tests import, and those of CMakeLists.txt and pyproject.toml."""
    trees = [ast.parse(p.read_text(encoding="utf-8")) for p in sources("test")]
    return keys(m for t in trees for m in imported(t)) | set(TESTING)


@pytest.fixture(scope="module")
def manifest() -> ElementTree.Element:
    return ElementTree.parse(ROOT / "package.xml").getroot()


def declared(manifest: ElementTree.Element, *tags: str) -> set[str]:
    """Names in elements of these tags; a name that stands twice under them is an error."""
    names = [element.text.strip() for tag in tags for element in manifest.findall(tag)]
    assert len(names) == len(set(names)), f"named twice: {sorted({n for n in names if names.count(n) > 1})}"
    return set(names)


def test_messages_of_msg_and_srv_are_depended_on(manifest):
    assert needed_to_build() >= {"std_msgs", "vision_msgs"}
    assert declared(manifest, "depend", "build_depend") == needed_to_build()


def test_run_time_dependencies_are_exact(manifest):
    assert needed_to_run() >= {"rclpy", "launch_ros", "rviz2", "ros2bag", "tf2_ros_py", "python3-psutil"}
    assert declared(manifest, "depend", "exec_depend") == needed_to_run() | needed_to_build()


def test_test_dependencies_are_exact(manifest):
    running = declared(manifest, "depend", "exec_depend")
    assert declared(manifest, "test_depend") == needed_to_test() - running


def test_cmake_finds_what_the_manifest_names(manifest):
    """Before BUILD_TESTING the build tools and the messages; after it tools of the tests."""
    text = re.sub(r"#.*", "", (ROOT / "CMakeLists.txt").read_text(encoding="utf-8"))
    building, testing = text.split("if(BUILD_TESTING)")
    find = re.compile(r"find_package\((\w+)")
    assert set(find.findall(building)) - {"Threads"} == declared(manifest, "depend", "build_depend", "buildtool_depend")
    assert set(find.findall(testing)) == {n for n in declared(manifest, "test_depend") if n.startswith("ament_")}
    generated = re.search(r"rosidl_generate_interfaces\((.*?)\)", text, re.DOTALL)[1]
    files, dependencies = generated.split("DEPENDENCIES")
    assert set(dependencies.split()) == needed_to_build()
    interfaces = {f"{p.parent.name}/{p.name}" for folder in ("msg", "srv") for p in (ROOT / folder).iterdir()}
    assert set(re.findall(r'"(.*?)"', files)) == interfaces


MANIFESTS = [ROOT / "package.xml", *sorted((ROOT / "underlay").glob("*/package.xml"))]


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda p: p.parent.name)
def test_maintainers_have_an_address_of_a_domain_that_exists(path):
    maintainers = [m.get("email", "") for m in ElementTree.parse(path).getroot().findall("maintainer")]
    assert maintainers and all(re.fullmatch(r"[\w.+-]+@[\w-]+(\.[\w-]+)+", address) for address in maintainers)
    assert not [m for m in maintainers if m.endswith("@lsm-ros.org")], "nobody owns that domain"


def test_the_manifest_says_where_the_project_is(manifest):
    assert {u.get("type") for u in manifest.findall("url")} == {"website", "repository", "bugtracker"}
    assert all(u.text.startswith("https://") for u in manifest.findall("url"))


def test_the_version_is_the_same_everywhere(manifest):
    text = (ROOT / "lsm_ros" / "__init__.py").read_text(encoding="utf-8")
    assert manifest.findtext("version") == re.search(r'__version__ = "(.+?)"', text)[1]


def test_the_scan_reads_lazy_and_indirect_imports():
    tree = ast.parse("def f():\n    import a.b\n    from c.d import e\n    from . import g\n"
                     "pytest.importorskip('h.i')\nimport_module('j')\nimport_module(name)\n")
    assert set(imported(tree)) == {"a", "c", "h", "j"}
    tree = ast.parse("Node(package='p', executable='q')\ncommand = ['ros2', 'bag', 'play', path]\n")
    assert set(started(tree)) == {"p", "ros2bag"}
