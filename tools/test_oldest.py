#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Tests without ROS on the oldest versions that are supported, those of Ubuntu 22.04, in an environment of its own.

Arguments are those of pytest; without any, the parts run that old versions of NumPy, OpenCV, Pillow and pytest have broken.
"""
import os
import platform
import subprocess
import sys

from setup_env import ROOT, Setup, SetupError, digest, files_digest, run

VENV = ROOT / ".venv-oldest"
VERSIONS = ROOT / "requirements" / "oldest.txt"
PARTS = ("test/datasets", "test/images", "test/geometry", "test/fusion", "test/live", "test/mapping", "test/semantics",
         "test/evaluation", "test/test_config.py", "test/test_files.py", "test/test_reading.py")


def main(arguments: list[str]) -> int:
    if sys.version_info[:2] != (3, 10):
        print(f"the oldest versions are those of Python 3.10, this is {platform.python_version()}: "
              "make PYTHON_OLDEST=/path/to/python3.10 test-oldest", file=sys.stderr)
        return 1
    setup = Setup(VENV, ROOT / ".ros", symlink=True)
    key = digest(sys.base_prefix, sys.version, str(VENV))
    pip = [str(setup.python), "-m", "pip", "install", "--disable-pip-version-check", "-r", str(VERSIONS)]
    log = setup.work / "log" / "pip_oldest.log"
    try:
        setup.step(VENV, "virtual environment", key, setup.create_venv)
        setup.step(VENV, "packages", digest(key, files_digest([VERSIONS])), lambda: run(pip, log))
    except SetupError as error:
        print(f"\nsetup: {error}", file=sys.stderr)
        return 1
    bare = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "AMENT_PREFIX_PATH", "VIRTUAL_ENV")}
    return subprocess.run([str(setup.python), "-m", "pytest", "-m", "not slow and not ros", *(arguments or PARTS)], cwd=ROOT,
                          env=bare).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
