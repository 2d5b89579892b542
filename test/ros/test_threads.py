# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Who touches the pipeline: the worker, and nobody else."""
import gc
import threading
import time
import weakref
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
from geometry_msgs.msg import PoseWithCovarianceStamped
from helpers.fake_pipeline import FakePipeline, Recorder
from helpers.harness import LATCHED, START_NS, image_message
from nav_msgs.msg import OccupancyGrid, Path
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from rclpy.time import Time
from sensor_msgs.msg import Image, PointCloud2
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection3DArray, VisionClass
from visualization_msgs.msg import Marker, MarkerArray

from lsm_ros.msg import SemanticVoxelUpdate
from lsm_ros.ros.executor import MappingExecutor
from lsm_ros.ros.node import MappingNode
from lsm_ros.srv import GetBlocks, GoalNear, LoadMap, QueryText, SaveMap, SetLabels

PLACE = "/threads/mapping"
CALLS = 100
FOR_ANY_THREAD = {"texts", "sentence", "learn"}
PUBLISHED = {"map_cloud": PointCloud2, "occupancy": OccupancyGrid, "distance_field": OccupancyGrid, "mesh": Marker,
             "path": Path, "objects": Detection3DArray, "markers": MarkerArray, "regions": MarkerArray}


@contextmanager
def spun(ros, folder, **changes):
    """A node in this process, spun in a thread as its program does; `touched` has what was used of its pipeline, and where."""
    touched = []
    values = {"map_directory": str(folder), "odom_frame": "", "image_reliability": "reliable", "map_rate_hz": 10.0,
              "mesh_rate_hz": 5.0, **changes}
    node = MappingNode(lambda config: Recorder(FakePipeline(config), touched), namespace="/threads", context=ros,
                       parameter_overrides=[Parameter(n, value=v) for n, v in values.items()])
    executor = MappingExecutor(node.waiting_groups, threads=3, context=ros)
    executor.add_node(node)
    stop = threading.Event()

    def spin():
        while not stop.is_set():
            executor.spin_once(timeout_sec=0.05)

    thread = threading.Thread(target=spin, name="executor")
    thread.start()
    try:
        yield SimpleNamespace(node=node, touched=touched)
    finally:
        stop.set()
        thread.join()
        executor.shutdown(timeout_sec=5.0)
        node.destroy_node()


@pytest.fixture
def running(ros, tmp_path):
    with spun(ros, tmp_path) as made:
        yield made


def test_only_the_worker_touches_the_pipeline(client, running):
    node, touched = running.node, running.touched
    client.wait(lambda: node.report.active, 10, "the node to be active")
    before = len(touched)  # it was made by another thread, before there was a worker
    for name, kind in PUBLISHED.items():
        client.listen(kind, f"{PLACE}/{name}", LATCHED)
    client.listen(SemanticVoxelUpdate, f"{PLACE}/map_update")

    picture = np.zeros((48, 64, 3), np.uint8)
    client.publisher(Image, "/threads/camera/image")
    client.publisher(Image, "/threads/camera/labels")
    client.wait_matched("/threads/camera/image", "/threads/camera/labels")
    client.send(Image, "/threads/camera/image", image_message(picture, START_NS, "optical", "rgb8"))
    client.wait(lambda: "process" in names(touched), 10, "the image to be mapped")
    client.send(Image, "/threads/camera/labels", image_message(picture[..., 0].astype(np.uint16), START_NS, "optical", "16UC1"))
    client.send(PoseWithCovarianceStamped, "/threads/initialpose", pose_in("map"))
    node.set_parameters([Parameter("map_rate_hz", value=9.0)])
    client.wait(lambda: {"add_labels", "set_initial_pose", "apply_runtime"} <= names(touched), 10, "messages to be handled")

    classes = [VisionClass(class_id=1, class_name="wall")]
    for kind, name, request in ((SaveMap, "save_map", SaveMap.Request(name="m")), (GetBlocks, "get_blocks", None),
                                (QueryText, "query_text", QueryText.Request(text="chair")),
                                (SetLabels, "set_labels", SetLabels.Request(classes=classes)),
                                (GoalNear, "goal_near", GoalNear.Request(target="chair")),
                                (LoadMap, "load_map", LoadMap.Request(name="m")), (Trigger, "pause", None),
                                (Trigger, "resume", None), (Trigger, "reset", None)):
        answer = client.call(kind, f"{PLACE}/{name}", request)
        assert answer.success, answer.message
    published = {"mesh_within", "published_cloud", "distance_field", "keyframe_trajectory", "objects"}
    client.wait(lambda: published <= names(touched), 10, "the map to be published")
    node._jumped("time jumped back in a test", True)
    client.wait(lambda: "new_session" in names(touched), 10, "a new session")
    done = len(touched)
    client.wait(lambda: {"status", "refresh_blocks"} <= names(touched[done:]), 10, "the node to look after latched topics")

    used = touched[before:]
    assert {"process", "status", "save", "load", "reset", "find", "set_labels", "label_space", "occupancy", "encoded_blocks",
            "sentence", "learn"} <= names(used)
    others = {(name, thread) for name, thread in used if thread != "mapping"}
    assert {name for name, _ in others} <= FOR_ANY_THREAD, f"another thread than the worker used {sorted(others)}"
    assert {name for name, _ in others} >= {"sentence", "learn"}  # so that a text encoder that loads does not hold up frames


def test_each_of_a_hundred_calls_at_once_is_answered(ros, client, running):
    """One works, the others are refused by name; none is lost while the node does not come to read them."""
    client.wait(lambda: running.node.report.active, 10, "the node to be active")
    go_on = threading.Event()
    running.node.mapper.worker.call(lambda: go_on.wait(30))
    with client.lock:
        asking = client.node.create_client(LoadMap, f"{PLACE}/load_map", qos_profile=QoSProfile(depth=CALLS))
    assert asking.wait_for_service(timeout_sec=10.0)
    held = threading.Event()
    running.node.executor.create_task(held.wait, 30)  # the node is busy: what is called meanwhile has to wait for it
    futures = [asking.call_async(LoadMap.Request(name="floor")) for _ in range(CALLS)]
    time.sleep(0.5)
    held.set()
    client.wait(lambda: sum(f.done() for f in futures) == CALLS - 1, 10, "the refusals")
    go_on.set()
    client.wait(lambda: all(f.done() for f in futures), 10, "the answer of the call that works")
    answers = [f.result() for f in futures]
    assert sum(a.success for a in answers) == 1
    assert {a.message for a in answers if not a.success} == {"another service call is at work; call again"}


def test_tf_is_read_while_a_camera_waits_for_room(ros, client, tmp_path):
    """In a replay an image waits until there is room for it, and what would make room may wait for TF."""
    with spun(ros, tmp_path, **{"replay": True, "limits.queue_frames": 1, "limits.input_megabytes": 8.0}) as running:
        client.wait(lambda: running.node.report.active, 10, "the node to be active")
        client.publisher(Image, "/threads/camera/image")
        client.publisher(TFMessage, "/tf")
        client.wait_matched("/threads/camera/image", "/tf")
        inputs, go_on = running.node.connections.inputs, threading.Event()
        running.node.mapper.worker.call(lambda: go_on.wait(30))
        picture = np.zeros((480, 640, 3), np.uint8)
        for i in range(14):
            client.send(Image, "/threads/camera/image", image_message(picture, START_NS + i * 10**8, "optical", "rgb8"))
        worker = running.node.mapper.worker
        client.wait(lambda: worker.counts.waiting == 1 and inputs.waiting_bytes > 7e6, 10, "all that has room")
        time.sleep(0.2)  # the next image waits in the callback of its topic
        client.send_odometry(np.eye(4), START_NS)
        buffer = running.node.connections.tf_in.buffer
        try:
            client.wait(lambda: buffer.can_transform("odom", "base_link", Time()), 5, "TF")
            assert inputs.cameras["camera"].received < 14
        finally:
            go_on.set()


def test_the_recorder_notes_who_looks_up_and_who_calls():
    touched = []
    recorded = Recorder(SimpleNamespace(part=SimpleNamespace(value=3), act=lambda: 4), touched, ("part",))
    act = recorded.act
    thread = threading.Thread(target=act, name="other")
    thread.start()
    thread.join()
    assert recorded.part is recorded.part and recorded.part.value == 3
    here = threading.current_thread().name
    assert touched[:2] == [("act", here), ("act", "other")] and touched[-1] == ("value", here)


def names(touched):
    return {name for name, _ in list(touched)}


def pose_in(frame):
    message = PoseWithCovarianceStamped()
    message.header.frame_id = frame
    message.pose.pose.orientation.w = 1.0
    return message


def test_a_pipeline_that_refers_to_itself_is_gone_after_cleanup(ros, tmp_path):
    """Without waiting for the collection of garbage, which may come after many cycles."""
    pipelines = []

    def make(config):
        pipeline = FakePipeline(config)
        pipeline.itself = pipeline
        pipelines.append(weakref.ref(pipeline))
        return pipeline

    node = MappingNode(make, namespace="/memory", context=ros, parameter_overrides=[
        Parameter("map_directory", value=str(tmp_path)), Parameter("autostart", value=False)])
    gc.disable()
    try:
        node.trigger_configure()
        assert pipelines[0]() is not None
        node.trigger_cleanup()
        assert pipelines[0]() is None
    finally:
        gc.enable()
        node.destroy_node()
