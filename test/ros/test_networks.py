# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The node with a network: small random weights, which predict no geometry, so that nothing may be believed."""
import time
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.golden_cases import TINY_MAST3R  # noqa: E402
from helpers.harness import START_NS
from sensor_msgs.msg import Image
from tf2_msgs.msg import TFMessage

from lsm_ros import models
from lsm_ros.models import checkpoint
from lsm_ros.msg import MappingStatus
from lsm_ros.ros.output.diagnostics import OK, WARN, Diagnostics
from lsm_ros.types import Frame


@pytest.mark.parametrize(("source", "std", "level", "words"), [
    ("depth", 0.01, OK, "lengths are metres (from depth)"), ("model", 0.1, WARN, "metres to about 10% only (from model)"),
    ("none", float("nan"), WARN, "not metres yet")])
def test_diagnostics_tell_how_far_lengths_can_be_trusted(source, std, level, words):
    told = Diagnostics(SimpleNamespace(create_publisher=lambda *_: None, get_fully_qualified_name=lambda: "/mapping",
                                       get_name=lambda: "mapping"), None)
    found = told._scale(MappingStatus(scale_is_metric=source != "none", scale_source=source, scale_std=std))
    assert found.level == level and words in found.message


def test_a_network_runs_in_the_node_and_random_weights_give_no_pose(client, start, tmp_path):
    checkpoint.save(models.build("mast3r", **TINY_MAST3R), tmp_path, TINY_MAST3R)
    node = start(**{"pairs.model": "mast3r", "pairs.weights": str(tmp_path), "pairs.precision": "float32", "odom_frame": ""})
    client.wait_active(node, 60)
    client.listen(TFMessage, "/tf")
    client.publisher(Image, "camera/image")
    client.wait_matched("camera/image")
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (90, 120, 3), np.uint8)
    for n in range(5):
        stamp_ns = START_NS + n * 200_000_000
        client.send_frame(Frame(stamp_ns, "camera", image), stamp_ns, info=False, depth=False)
        time.sleep(0.2)
    status = client.wait_status(lambda s: s.frames_processed >= 3, 60)
    assert status.pair_model == "mast3r" and status.state == MappingStatus.STATE_INITIALIZING
    assert "predicted" in status.state_reason and not status.scale_is_metric
    assert not [t for m in client.messages("/tf") for t in m.transforms if t.child_frame_id != "map"]


def test_weights_that_are_not_there_are_named(client, start):
    node = start(**{"pairs.model": "dust3r", "pairs.weights": "/nowhere/net.pth"})
    client.wait(lambda: "/nowhere/net.pth" in node.log(), 60, "the node to say what is missing")
    assert node.alive()
