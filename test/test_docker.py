# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Checks of the images without building them: pins that fit each other, sources, arguments, no weights of others."""
from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCKER = ROOT / "docker"
DOCKERFILES = ("Dockerfile", "Dockerfile.jetson")
WEIGHT_SUFFIXES = (".pth", ".pt", ".safetensors", ".ckpt", ".onnx", ".engine", ".trt", ".bin")
# What an image needs of the source tree: to build, to run, and to test in its test stage.
SHIPPED = ("lsm_ros", "lsm_sim", "launch", "config", "msg", "srv", "scripts", "test", "underlay", "CMakeLists.txt",
           "package.xml", "pyproject.toml")
PINNED = re.compile(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.]+)(?:\s*;\s*(.+))?$")


def instructions(name: str) -> list[tuple[str, str]]:
    """(keyword, rest) of each instruction of a Dockerfile; comments dropped, continued lines joined."""
    lines = [line for line in (DOCKER / name).read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    parts = (line.strip().partition(" ") for line in joined.splitlines())
    return [(word, rest.strip()) for word, _, rest in parts if word]


def copied(name: str) -> list[str]:
    """Paths that the Dockerfile copies from the build context, with build arguments as they stand."""
    sources = []
    for keyword, rest in instructions(name):
        if keyword == "COPY" and "--from=" not in rest:
            sources += [word for word in rest.split() if not word.startswith("--")][:-1]
    return sources


def pins(path: Path) -> dict[str, str]:
    """{package: version} of a requirements file and the files that it includes; anything not pinned fails."""
    found: dict[str, str] = {}
    for line in path.read_text().splitlines():
        line = line.split(" #")[0].strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("-r "):
            found |= pins(path.parent / line[3:].strip())
            continue
        match = PINNED.match(line)
        assert match, f"{path.name}: {line!r} is not pinned by =="
        found[match[1].lower().replace("_", "-").replace(".", "-")] = match[2]
    return found


def ignored(path: str) -> bool:
    """True where .dockerignore keeps `path` (relative, POSIX) out of the context: the last matching pattern decides."""
    result = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        keep = pattern.startswith("!")
        pattern = pattern.removeprefix("!").strip("/")
        tokens = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
        table = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
        regex = "".join(table.get(token, re.escape(token)) for token in tokens)
        if re.fullmatch(regex + "(?:/.*)?", path):
            result = not keep
    return result


def version(text: str) -> tuple[int, ...]:
    return tuple(int(n) for n in text.split("."))


@pytest.mark.parametrize("name", ["requirements-desktop.txt", "requirements-jetson.txt",
                                  "constraints-humble.txt", "constraints-jazzy.txt", "constraints-jetson.txt"])
def test_numpy_cupy_cv_bridge_fit(name):
    found = pins(DOCKER / name)
    assert (1, 26) <= version(found["numpy"]) < (2,), "cv_bridge's binaries need NumPy 1, this package 1.26"
    cupy = [v for k, v in found.items() if k.startswith("cupy")]
    assert len(cupy) == 1, "CuPy wheels for two CUDA releases break each other"
    assert (13,) <= version(cupy[0]) < (14,), "CuPy 14 needs NumPy 2"
    assert not [k for k in found if k.startswith("opencv")], "a second OpenCV would shadow the one of cv_bridge"


@pytest.mark.parametrize("name", ["humble", "jazzy"])
def test_cupy_is_built_for_the_cuda_of_torch(name):
    found = pins(DOCKER / f"constraints-{name}.txt")
    runtime = [k for k in found if k.startswith("nvidia-cuda-runtime-cu")]
    cupy = [k for k in found if k.startswith("cupy-cuda")]
    assert [k.removeprefix("nvidia-cuda-runtime-cu") for k in runtime] == [cupy[0].removeprefix("cupy-cuda")[:-1]]
    asked = re.search(r"check_stack\.py --cuda ([\d.]+)", (DOCKER / "Dockerfile").read_text())[1]
    for part in ("nvidia-cuda-runtime-cu12", "nvidia-cuda-nvrtc-cu12"):
        assert version(found[part])[:2] == version(asked)


@pytest.mark.parametrize(("requirements", "constraints"), [
    ("requirements-desktop.txt", "constraints-humble.txt"), ("requirements-desktop.txt", "constraints-jazzy.txt"),
    ("requirements-jetson.txt", "constraints-jetson.txt"), ("requirements-test.txt", "constraints-humble.txt"),
    ("requirements-test.txt", "constraints-jazzy.txt"), ("requirements-test.txt", "constraints-jetson.txt")])
def test_constraints_agree_with_requirements(requirements, constraints):
    locked = pins(DOCKER / constraints)
    other_machine = "open3d" if "jetson" not in constraints else "open3d-cpu"
    for package, pin in pins(DOCKER / requirements).items():
        if package != other_machine:
            assert locked.get(package) == pin, f"{package}: make {constraints} anew (docs/docker.md)"


def test_jetson_takes_torch_and_opencv_from_the_base_image():
    found = pins(DOCKER / "constraints-jetson.txt")
    assert not [k for k in found if k.startswith(("torch", "opencv", "nvidia-"))]


@pytest.mark.parametrize("name", DOCKERFILES)
def test_copied_sources_exist_and_reach_the_context(name):
    sources = copied(name)
    assert sources
    for source in sources:
        for distro in ("humble", "jazzy") if "${ROS_DISTRO}" in source else ("",):
            path = source.replace("${ROS_DISTRO}", distro)
            assert (ROOT / path).exists(), f"{name} copies {path}, which does not exist"
            assert path == "." or not ignored(path), f".dockerignore hides {path}"


def tracked() -> list[str]:
    """Every file that git tracks, relative to the root."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("needs git and a clone: what is shipped is what git tracks")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for path in listed.stdout.split("\0") if path]


@pytest.mark.parametrize("folder", SHIPPED)
def test_context_holds_every_tracked_file(folder):
    paths = [path for path in tracked() if path == folder or path.startswith(f"{folder}/")]
    assert paths, f"git tracks nothing in {folder}"
    assert [path for path in paths if ignored(path)] == []


def test_the_shipped_network_is_among_the_tracked_files():
    """Without weights the check above would be empty where it matters most."""
    weights = [path for path in tracked() if path.startswith("lsm_ros/") and path.endswith(WEIGHT_SUFFIXES)]
    assert {Path(path).name for path in weights} >= {"model.safetensors", "language.safetensors"}


@pytest.mark.parametrize("path", [*(f"{d}model{s}" for d in ("", "lsm_ros/models/", "a/b/") for s in WEIGHT_SUFFIXES),
                                  "weights/x.json", "checkpoints/y/z", ".venv/bin/python", ".git/HEAD", "run.mcap",
                                  "lsm_ros/__pycache__/types.cpython-311.pyc"])
def test_context_holds_no_weights_nor_rubbish(path):
    assert ignored(path)


def test_no_weights_of_the_tree_are_copied():
    for folder, names, files in os.walk(ROOT):
        relative = Path(folder).relative_to(ROOT)
        names[:] = [n for n in names if not ignored((relative / n).as_posix())]
        for file in files:
            path = (relative / file).as_posix()
            if path.endswith(WEIGHT_SUFFIXES) and not path.startswith("lsm_ros/weights/"):
                assert ignored(path), f"{path} would get into the image"


@pytest.mark.parametrize("name", DOCKERFILES)
def test_nothing_is_fetched_past_the_package_managers(name):
    text = "\n".join(f"{k} {r}" for k, r in instructions(name))
    assert not re.search(r"\b(curl|wget|git clone|hf download|huggingface-cli)\b", text)
    assert not [k for k, _ in instructions(name) if k == "ADD"]


@pytest.mark.parametrize("name", DOCKERFILES)
def test_ros_distro_is_declared_and_used(name):
    parsed = instructions(name)
    expected = {"Dockerfile": "jazzy", "Dockerfile.jetson": "humble"}[name]
    declared = [rest for keyword, rest in parsed if keyword == "ARG" and rest.startswith("ROS_DISTRO")]
    assert declared
    assert set(declared) == {f"ROS_DISTRO={expected}"}
    assert any("${ROS_DISTRO}" in rest for keyword, rest in parsed if keyword == "RUN")
    if name == "Dockerfile":
        assert ("FROM", "ros:${ROS_DISTRO}-ros-base AS deps") in parsed
    # an ARG ends with its stage: each stage that uses it must declare it (ENV goes on)
    known = set()
    for keyword, rest in parsed:
        if keyword == "FROM":
            known = {"ROS_DISTRO"} if "deps AS" in rest and name == "Dockerfile.jetson" else set()
        elif keyword in ("ARG", "ENV"):
            known |= {part.split("=")[0] for part in rest.split()}
        elif keyword in ("RUN", "COPY") and "${ROS_DISTRO}" in rest:
            assert "ROS_DISTRO" in known, f"{name}: {keyword} {rest[:60]} uses ROS_DISTRO before its ARG"


@pytest.mark.parametrize("name", DOCKERFILES)
def test_stages_user_and_command(name):
    parsed = instructions(name)
    stages = [rest.split(" AS ")[1] for keyword, rest in parsed if keyword == "FROM"]
    assert stages == ["deps", "build", "test", "runtime"], "the last stage is the default target"
    last = {}
    start = max(i for i, (keyword, _) in enumerate(parsed) if keyword == "FROM")
    for keyword, rest in parsed[start:]:
        last.setdefault(keyword, []).append(rest)
    assert last["USER"] == ["${UID}"]
    assert "UID=1000" in last["ARG"]
    assert last["ENTRYPOINT"] == ['["/opt/lsm_docker/entrypoint.sh"]']
    assert last["CMD"] == ['["ros2", "launch", "lsm_ros", "mapping.launch.py"]']
    assert "NVIDIA_DRIVER_CAPABILITIES" in " ".join(last["ENV"])


def entrypoint(folder: Path, *command: str, **env: str) -> subprocess.CompletedProcess:
    if shutil.which("bash") is None:
        pytest.skip("needs bash")
    environment = {"PATH": os.environ["PATH"], "LSM_WORKSPACE": str(folder / "ws"), "LSM_ROS_ROOT": str(folder / "ros")}
    return subprocess.run(["bash", str(DOCKER / "entrypoint.sh"), *command], env=environment | env, text=True,
                          capture_output=True, timeout=30, check=False)


@pytest.mark.parametrize("where", ["ros/setup.bash", "ros/install/setup.bash"])
def test_entrypoint_sources_ros_then_workspace(tmp_path, where):
    for path, value in ((where, "ros"), ("ws/install/setup.bash", "workspace")):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(f'export SOURCED="${{SOURCED}}{value} "\n')
    command = ("bash", "-c", 'echo "$SOURCED|$1|$2"; exit 7', "x", "two words", "b")
    result = entrypoint(tmp_path, *command, ROS_DISTRO="jazzy")
    assert result.stdout == "ros workspace |two words|b\n", result.stderr
    assert result.returncode == 7


def test_entrypoint_says_that_ros_is_missing(tmp_path):
    result = entrypoint(tmp_path, "true", ROS_DISTRO="humble")
    assert result.returncode == 1
    assert "humble" in result.stderr
    assert str(tmp_path / "ros") in result.stderr


def test_entrypoint_needs_ros_distro(tmp_path):
    result = entrypoint(tmp_path, "true")
    assert result.returncode != 0
    assert "ROS_DISTRO" in result.stderr


@pytest.fixture
def check_stack():
    spec = importlib.util.spec_from_file_location("check_stack", DOCKER / "check_stack.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("numpy", "cupy", "fits"), [("1.26.4", "13.6.0", True), ("2.2.6", "13.6.0", False),
                                                     ("1.26.4", "14.0.1", False), ("1.21.5", "13.6.0", False)])
def test_check_stack_knows_the_triangle(check_stack, monkeypatch, numpy, cupy, fits):
    monkeypatch.setitem(sys.modules, "numpy", SimpleNamespace(__version__=numpy))
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(__version__=cupy))
    if fits:
        assert numpy in check_stack.check_versions()
    else:
        with pytest.raises(RuntimeError, match=numpy if cupy == "13.6.0" else cupy):
            check_stack.check_versions()


def test_check_stack_reports_every_failure(check_stack, capsys):
    def bad() -> str:
        raise ImportError("libnvrtc.so.12 is not here")

    assert check_stack.run([bad, lambda: "fine"]) == 1
    out = capsys.readouterr()
    assert "libnvrtc.so.12" in out.err
    assert "fine" in out.out
    assert check_stack.run([lambda: "fine"]) == 0
