# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Tests of the node: it runs in a process of its own, and the test talks to it over real topics."""
import helpers.ros_environment  # noqa: F401
import pytest

rclpy = pytest.importorskip("rclpy")
pytest.importorskip("lsm_ros.msg")

from helpers.harness import Client, NodeProcess  # noqa: E402

from lsm_sim.source import RoomSource  # noqa: E402


@pytest.fixture(scope="session")
def ros():
    """A context of its own, so that what is tested finds the default one as a program does: not initialised."""
    context = rclpy.Context()
    rclpy.init(context=context)
    yield context
    context.try_shutdown()


@pytest.fixture(scope="module")
def client(ros):
    """A node of the test, spun in a thread."""
    c = Client(ros)
    yield c
    c.close()


@pytest.fixture(scope="session")
def room():
    """First frame sets of a rendered room: one camera, 10 Hz, with odometry, depth and labels."""
    return Rendered(RoomSource(frames=150, width=320, height=240), 24)


@pytest.fixture(scope="session")
def two_camera_room():
    return Rendered(RoomSource(frames=150, width=320, height=240, cameras=2), 8)


class Rendered:
    """Frame sets that are rendered once."""

    def __init__(self, source, count):
        self.source = source
        self.frame_sets = [source.frame_set(i) for i in range(count)]
        self.ground_truth = source.ground_truth[:count]


@pytest.fixture
def start(tmp_path_factory):
    """Starts nodes and ends them after the test; each must end by itself and in good order."""
    running = []

    def _start(**parameters):
        node = NodeProcess(tmp_path_factory.mktemp("node"), **parameters)
        running.append(node)
        return node

    yield _start
    codes = [node.stop() for node in running]
    assert codes == [0] * len(running), running[codes.index(next(c for c in codes if c))].log()


@pytest.fixture(scope="module")
def start_shared(tmp_path_factory):
    """As `start`, for a node that several tests use."""
    running = []

    def _start(**parameters):
        node = NodeProcess(tmp_path_factory.mktemp("node"), **parameters)
        running.append(node)
        return node

    yield _start
    for node in running:
        assert node.stop() == 0, node.log()
