# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The set-up that `make` does, and the build as a release does it."""
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SETUP = [sys.executable, str(ROOT / "tools" / "setup_env.py")]


def test_unsupported_pythons_are_refused_by_name(tmp_path):
    code = ("import sys; sys.version_info = (3, 9, 1, 'final', 0); sys.argv = ['setup']\n"
            "import setup_env; sys.exit(setup_env.main())")
    env = dict(os.environ, PYTHONPATH=str(ROOT / "tools"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, cwd=tmp_path)
    assert done.returncode == 1 and "use 3.10, 3.11 or 3.12" in done.stderr


def test_everything_that_is_released_is_in_the_build():
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        import setup_env
    finally:
        sys.path.pop(0)
    assert all((ROOT / name).exists() for name in setup_env.PACKAGE_FILES)
    cmake = (ROOT / "CMakeLists.txt").read_text()
    for kind in ("msg", "srv"):
        assert all(f'"{kind}/{f.name}"' in cmake for f in (ROOT / kind).iterdir())
    assert (ROOT / "underlay" / "COLCON_IGNORE").is_file()


@pytest.mark.slow
@pytest.mark.ros
def test_builds_without_links_and_runs_from_there(tmp_path):
    """As a release: files are copied, nothing of the source tree is needed, messages and Python share one package."""
    pytest.importorskip("rclpy")
    venv = Path(sys.prefix)
    if venv != ROOT / ".venv" or not (venv / ".lsm_ros-mends").is_file():
        pytest.skip("not in the environment that `make` built")
    done = subprocess.run([*SETUP, "--venv", str(venv), "--work", str(tmp_path / "work"), "--no-symlink"],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    installed = tmp_path / "work" / "install"
    assert not [p for p in installed.rglob("*") if p.is_symlink()]
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "AMENT_PREFIX_PATH")}
    env.update(LSM_VENV=str(venv), LSM_WORK=str(tmp_path / "work"))
    code = ("import lsm_ros, lsm_ros.pipeline; from lsm_ros.msg import MappingStatus; from lsm_ros.srv import SaveMap; "
            "print(lsm_ros.__file__)")
    script = (f". {ROOT}/tools/env.sh && python -c '{code}' && lsm --version && "
              "test -x $(dirname $(which lsm))/../lib/lsm_ros/mapping_node")
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=env, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(installed))
