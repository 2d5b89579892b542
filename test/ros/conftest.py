# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Fixtures of the tests of the node: it runs in a process of its own. Importing this needs no ROS."""
import helpers.ros_environment  # noqa: F401
import pytest

from lsm_sim.source import RoomSource


@pytest.fixture(scope="session")
def ros():
    """A context of its own, so that what is tested finds the default one as a program does: not initialised."""
    import rclpy

    context = rclpy.Context()
    rclpy.init(context=context)
    yield context
    context.try_shutdown()


@pytest.fixture(scope="module")
def client(ros):
    """A node of the test, spun in a thread."""
    from helpers.harness import Client

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
    from helpers.harness import NodeProcess

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
    from helpers.harness import NodeProcess

    running = []

    def _start(**parameters):
        node = NodeProcess(tmp_path_factory.mktemp("node"), **parameters)
        running.append(node)
        return node

    yield _start
    for node in running:
        assert node.stop() == 0, node.log()
