# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""~/query_text and ~/set_labels of the running node. The network that describes the keyframes has random weights: what it sees
means nothing, but it goes all the way."""
import time

import numpy as np
import torch
from helpers.harness import LATCHED, START_NS
from helpers.training_parts import TINY_SMALL, RandomEncoder  # noqa: E402
from vision_msgs.msg import LabelInfo, VisionClass

from lsm_ros import models
from lsm_ros.ros.map_subscriber import MapSubscriber
from lsm_ros.srv import QueryText, SetLabels
from lsm_ros.training.checkpoints import export_weights
from lsm_ros.training.language import fit_codec
from lsm_ros.types import UNLABELLED, LabelSpace

POINT = np.dtype([("xyz", "<f4", (3,)), ("score", "<f4")])


def write_weights(folder):
    options = {k: tuple(v) if isinstance(v, list) else v for k, v in TINY_SMALL.items()} | {"img_size": (48, 64)}
    torch.manual_seed(0)
    codec = fit_codec(RandomEncoder(), LabelSpace({1: "wall", 2: "floor", 3: "chair"}), {}, 16)
    return export_weights(folder, "lsm_small", options, models.build("lsm_small", **options).state_dict(), codec, {})


def ask(client, text, **options):
    return client.call(QueryText, "/mapping/query_text", QueryText.Request(text=text, **options), 30)


def name(client, *classes):
    wanted = [VisionClass(class_id=i, class_name=n) for i, n in classes]
    return client.call(SetLabels, "/mapping/set_labels", SetLabels.Request(classes=wanted))


def test_queries_and_names_at_run_time(client, room, start, tmp_path):
    node = start(odom_frame="", **{
        "semantics.features": "always", "semantics.weights": str(write_weights(tmp_path / "weights")),
        "pairs.precision": "float32", "semantics.min_similarity": -1.0, "fusion.voxel_size": 0.1, "map_update_rate_hz": 20.0})
    client.wait_active(node, 60)
    empty = ask(client, "wall")
    assert not empty.success and "no language features" in empty.message
    client.listen(LabelInfo, "/mapping/label_info", LATCHED)
    follower = MapSubscriber(client.node, "/mapping")
    client.offer_camera()
    for k in range(4):
        client.send_frame(room.frame_sets[k].frames[0], START_NS + k * 10**8)
        time.sleep(0.05)
    client.wait_status(lambda s: s.frames_processed == 4 and s.keyframes >= 1, 30)

    def shown():
        return set(np.unique(follower.cloud().labels).tolist()) - {UNLABELLED}  # some cells have no feature

    client.wait(lambda: shown() and shown() <= {1, 2, 3}, 10, "labels of the classes that were trained")
    names = client.wait_message("/mapping/label_info")
    assert {c.class_id: c.class_name for c in names.class_map} == {1: "wall", 2: "floor", 3: "chair"}

    found = ask(client, "wall", threshold=-1.0, max_results=3)
    assert found.success and 1 <= len(found.results.detections) <= 3 and "similarity of -1.00" in found.message
    points = np.frombuffer(found.points.data.tobytes(), POINT)
    assert len(points) == found.points.width == np.count_nonzero(follower.cloud().labels != UNLABELLED)
    assert (np.diff(points["score"]) <= 0).all() and found.points.header.frame_id == "map"
    box = found.results.detections[0]
    assert box.results[0].hypothesis.class_id == "wall" and box.bbox.size.x > 0.1
    low = np.array([getattr(box.bbox.center.position, a) - getattr(box.bbox.size, a) / 2 for a in "xyz"])
    assert (points["xyz"].min(0) > low - 0.2).all()  # the whole room hangs together
    for text, said in (("", "empty"), ("a thing", "'random' does not exist"), ("chair " * 9000, "'random' does not exist")):
        refused = ask(client, text)
        assert not refused.success and said in refused.message and not refused.results.detections
    assert not ask(client, "wall", threshold=7.0).success

    assert name(client, (40, "floor"), (50, "chair")).success
    client.wait(lambda: shown() and shown() <= {40, 50}, 10, "the other names")
    client.wait_message("/mapping/label_info", lambda m: {c.class_id for c in m.class_map} == {40, 50})
    for classes, said in ((((1, "wall"), (1, "floor")), "comes twice"), (((1, "wall"), (2, "wall")), "comes twice"),
                          (((1, "x" * 10000),), "10000 characters"), (((1, ""),), "is empty"),
                          (((65535, "wall"),), "outside"), (((1, "dragon"),), "'random' does not exist")):
        refused = name(client, *classes)
        assert not refused.success and said in refused.message, refused.message
    assert shown() <= {40, 50}
    assert name(client).success
    client.wait(lambda: shown() and shown() <= {1, 2, 3}, 10, "the names of the weights again")
