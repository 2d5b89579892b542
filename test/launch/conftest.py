# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Fixtures of the tests that start launch files."""
import helpers.ros_environment  # noqa: F401
import pytest
from helpers.launching import LaunchProcess


@pytest.fixture
def client():
    """A node of the test, spun in a thread."""
    import rclpy
    from helpers.harness import Client

    context = rclpy.Context()
    rclpy.init(context=context)
    c = Client(context)
    yield c
    c.close()
    context.try_shutdown()


@pytest.fixture
def start(tmp_path):
    """Starts launch files and ends them after the test, also after a failure."""
    running = []

    def _start(name, **arguments):
        folder = tmp_path / f"launch{len(running)}"
        folder.mkdir()
        running.append(LaunchProcess(folder, name, **arguments))
        return running[-1]

    yield _start
    for launch in running:
        launch.stop()
