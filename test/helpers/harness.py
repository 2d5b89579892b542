# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A mapping node in a process of its own, and a client that plays camera, robot and user."""
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import rclpy
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import LabelInfo

from lsm_ros.geometry import se3_inverse
from lsm_ros.images.codecs import encode_jpeg
from lsm_ros.msg import MappingStatus
from lsm_ros.ros import conversions

ROOT = Path(__file__).resolve().parents[2]
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
MANY = QoSProfile(depth=500)
START_NS = 1_000_000_000_000
MATCHING_S = 0.3  # until a subscriber that a publisher has found has found the publisher, too


class NodeProcess:
    """The node under test."""

    def __init__(self, folder: Path, *, files=(), remap=(), environment=None, **parameters):
        self.folder = folder
        self.maps = folder / "maps"
        values = {"map_directory": str(self.maps), "missing_input_seconds": 1.0, "image_reliability": "reliable",
                  "queue_depth": 50, **parameters}
        arguments = [sys.executable, str(ROOT / "scripts" / "mapping_node"), "--ros-args"]
        for name, value in values.items():
            text = f"'{value}'" if isinstance(value, str) else json.dumps(value)
            arguments += ["-p", f"{name}:={text}"]
        for file in files:
            arguments += ["--params-file", str(file)]
        for rule in remap:
            arguments += ["-r", rule]
        self._log = (folder / "log.txt").open("w")
        env = {**os.environ, "ROS_LOG_DIR": str(folder / "ros"), "OMP_NUM_THREADS": "1", **(environment or {})}
        self.process = subprocess.Popen(arguments, stdout=self._log, stderr=subprocess.STDOUT, cwd=folder, env=env)

    @property
    def pid(self):
        return self.process.pid

    def log(self) -> str:
        return (self.folder / "log.txt").read_text()

    def alive(self) -> bool:
        return self.process.poll() is None

    def resident_bytes(self) -> int:
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def stop(self, number=signal.SIGINT) -> int:
        """Ends it as Ctrl-C does and returns its exit status; it has 45 seconds, for the machine may be busy."""
        if self.alive():
            self.process.send_signal(number)
        try:
            return self.process.wait(45)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return -9
        finally:
            self._log.close()


class Client:
    """Publishes what a robot publishes, and keeps what the node publishes."""

    def __init__(self, context):
        self.node = rclpy.create_node("client", context=context)
        self.lock = threading.RLock()
        self.received = {}
        self._publishers, self._subscriptions, self._clients = {}, {}, {}
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self.node)
        self._running = True
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self):
        while self._running:
            self._executor.spin_once(timeout_sec=0.05)

    def close(self):
        self._running = False
        self._thread.join()
        self._executor.shutdown()
        self.node.destroy_node()

    # receiving

    def listen(self, kind, topic, qos=MANY):
        """Keeps all messages of a topic from now on; returns the list."""
        with self.lock:
            self.received[topic] = []
            if topic in self._subscriptions:
                self.node.destroy_subscription(self._subscriptions[topic])
            self._subscriptions[topic] = self.node.create_subscription(
                kind, topic, lambda m: self.received[topic].append((time.monotonic(), m)), qos)
        return self.received[topic]

    def ignore(self, *topics):
        """Unsubscribes."""
        with self.lock:
            for topic in topics:
                self.node.destroy_subscription(self._subscriptions.pop(topic))

    def messages(self, topic):
        return [m for _, m in list(self.received[topic])]

    def wait(self, condition, seconds=10.0, what="", step=0.02):
        """Waits until `condition()` is true and returns its value."""
        deadline = time.monotonic() + seconds
        while not (value := condition()):
            assert time.monotonic() < deadline, f"waited {seconds} s for {what or 'a condition'}"
            time.sleep(step)
        return value

    def wait_message(self, topic, condition=lambda m: True, seconds=10.0):
        """The newest message of a topic that fulfils the condition."""
        def find():
            return next((m for m in reversed(self.messages(topic)) if condition(m)), None)

        return self.wait(find, seconds, f"a message on {topic}; got {len(self.messages(topic))}")

    def wait_stamps(self, topic, stamps, seconds=10.0):
        """All messages of a topic, once there is one of each of these stamps [ns]: what is published on several topics at
        once arrives on them in any order."""
        def all_there():
            got = self.messages(topic)
            return got if {conversions.stamp_ns(m.header.stamp) for m in got} >= set(stamps) else None

        return self.wait(all_there, seconds, f"{len(set(stamps))} stamps on {topic}; got {len(self.messages(topic))}")

    # sending

    def publisher(self, kind, topic, qos=MANY):
        if topic not in self._publishers:
            self._publishers[topic] = self.node.create_publisher(kind, topic, qos)
        return self._publishers[topic]

    def retire(self, *topics):
        """Removes publishers."""
        for topic in topics:
            self.node.destroy_publisher(self._publishers.pop(topic))

    def send(self, kind, topic, message, qos=MANY):
        self.publisher(kind, topic, qos).publish(message)

    def send_static(self, transforms):
        """transforms: (T_parent_child, parent, child)."""
        messages = [conversions.to_transform(T, 0, parent, child) for T, parent, child in transforms]
        self.send(TFMessage, "/tf_static", TFMessage(transforms=messages), LATCHED)

    def send_odometry(self, T_odom_base, stamp_ns, odom="odom", base="base_link"):
        self.send(TFMessage, "/tf", TFMessage(transforms=[conversions.to_transform(T_odom_base, stamp_ns, odom, base)]))

    def send_frame(self, frame, stamp_ns, topic="camera", *, info=True, depth=True, labels=False, compressed=False,
                   frame_id="camera_optical_frame"):
        """One frame of a camera, depth and labels first so that nothing has to wait."""
        if info:
            self.send(CameraInfo, f"{topic}/camera_info", info_message(frame.intrinsics, stamp_ns, frame_id))
        if depth and frame.depth is not None:
            self.send(Image, f"{topic}/depth", depth_message(frame.depth, stamp_ns, frame_id))
        if labels:
            info = conversions.to_label_info(frame.label_space, stamp_ns, frame_id)
            self.send(LabelInfo, f"{topic}/label_info", info, LATCHED)
            self.send(Image, f"{topic}/labels", image_message(frame.labels, stamp_ns, frame_id, "16UC1"))
        if compressed:
            message = CompressedImage(format="jpeg")
            message.header.stamp, message.header.frame_id = conversions.to_stamp(stamp_ns), frame_id
            message.data.frombytes(encode_jpeg(frame.image, 95))
            self.send(CompressedImage, f"{topic}/image/compressed", message)
        else:
            self.send(Image, f"{topic}/image", image_message(frame.image, stamp_ns, frame_id, "rgb8"))

    def wait_matched(self, *topics, seconds=10.0):
        """Waits until another process listens to these topics, and has had time to learn who publishes there: what is sent
        before stays with Fast DDS until the next message."""
        for topic in topics:
            own = topic in self._subscriptions
            self.wait(lambda topic=topic, own=own: self._publishers[topic].get_subscription_count() > own, seconds,
                      f"a subscriber of {topic}")
        time.sleep(MATCHING_S)

    def offer_camera(self):
        """Publishers of image, depth and camera_info of the usual camera, once the node listens to them."""
        for kind, topic in ((Image, "image"), (Image, "depth"), (CameraInfo, "camera_info")):
            self.publisher(kind, f"camera/{topic}")
        self.wait_matched("camera/image", "camera/depth", "camera/camera_info")

    # calling

    def call(self, kind, name, request=None, seconds=15.0):
        """Answer of a service."""
        key = (kind, name)
        if key not in self._clients:
            self._clients[key] = self.node.create_client(kind, name)
        service = self._clients[key]
        assert service.wait_for_service(timeout_sec=10.0), f"no service {name}"
        future = service.call_async(request or kind.Request())
        self.wait(future.done, seconds, f"the answer of {name}")
        return future.result()

    def state(self):
        return self.call(GetState, "/mapping/get_state").current_state.label

    def transition(self, label):
        request = ChangeState.Request()
        request.transition.label = label
        return self.call(ChangeState, "/mapping/change_state", request).success

    def wait_active(self, node, seconds=20.0):
        """Waits for the node and for the match of status."""
        self.listen(MappingStatus, "/mapping/status", LATCHED)

        def active():
            assert node.alive(), node.log()
            return any(m.active for m in self.messages("/mapping/status"))

        self.wait(active, seconds, "the node to be active")

    def status(self):
        return self.messages("/mapping/status")[-1]

    def wait_status(self, condition, seconds=10.0):
        """The newest status, once it fulfils the condition."""
        def newest():
            got = self.messages("/mapping/status")
            return got[-1] if got and condition(got[-1]) else None

        try:
            return self.wait(newest, seconds)
        except AssertionError:
            last = (self.messages("/mapping/status") or [None])[-1]
            raise AssertionError(f"status after {seconds} s: {last}") from None


def points(cloud):
    """(N, 3) points of a PointCloud2 of the node, and all of its fields."""
    data = np.frombuffer(bytes(cloud.data), np.dtype({
        "names": ["x", "y", "z", "rgb", "label", "confidence"], "formats": ["f4", "f4", "f4", "u4", "u2", "f4"],
        "offsets": [0, 4, 8, 12, 16, 20], "itemsize": 24}))
    return np.column_stack([data["x"], data["y"], data["z"]]), data


def image_message(array, stamp_ns, frame_id, encoding):
    """Image of a C-contiguous array."""
    array = np.ascontiguousarray(array)
    message = Image(height=array.shape[0], width=array.shape[1], encoding=encoding, is_bigendian=0,
                    step=array.strides[0])
    message.header.stamp, message.header.frame_id = conversions.to_stamp(stamp_ns), frame_id
    message.data.frombytes(array.tobytes())
    return message


def depth_message(depth, stamp_ns, frame_id):
    return image_message(np.rint(depth * 1000).astype(np.uint16), stamp_ns, frame_id, "16UC1")


def info_message(intrinsics, stamp_ns, frame_id):
    message = CameraInfo(width=intrinsics.width, height=intrinsics.height, distortion_model="plumb_bob")
    message.header.stamp, message.header.frame_id = conversions.to_stamp(stamp_ns), frame_id
    message.k, message.d = intrinsics.K.reshape(-1), [0.0] * 5
    return message


def pose_error(T_a, T_b):
    """Metres and radians between two transforms."""
    T = se3_inverse(T_a) @ T_b
    return float(np.linalg.norm(T[:3, 3])), float(np.arccos(np.clip((np.trace(T[:3, :3]) - 1) / 2, -1, 1)))
