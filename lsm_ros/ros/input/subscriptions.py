# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Subscriptions of the cameras. Callbacks only enqueue; a feeder thread groups, waits for TF, and hands on."""
from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from vision_msgs.msg import LabelInfo

from lsm_ros.config import Config
from lsm_ros.live.gaps import PartnerGaps
from lsm_ros.live.grouping import (
    DEPTH,
    IMAGE,
    LABELS,
    UNPAIRED,
    Assembler,
    Dropped,
    Event,
    Group,
    Item,
    LateLabels,
    Recovered,
    Stale,
    TimeGap,
    TimeJump,
)
from lsm_ros.live.items import OVERFLOW
from lsm_ros.ros.conversions import stamp_ns
from lsm_ros.ros.input.cameras import Bundle, Camera
from lsm_ros.ros.input.inertial import InertialInput
from lsm_ros.ros.input.reader import Reader
from lsm_ros.ros.input.silence import why_silent
from lsm_ros.ros.input.transforms import OdometryState, TransformInput
from lsm_ros.ros.launch_arguments import transported
from lsm_ros.ros.problems import Problems

IDLE_S = 0.005  # how long the feeder sleeps while something waits for a partner or a transform
REPLAY_DEPTH = 100
REPLAY_WAIT_S = 2.0  # in replay an image waits for what the bag still holds, however slowly that is played
BRIEF_S = 10.0  # how long a single event stays among the problems


class Inputs:
    """All inputs of mapping.

    submit: takes a Bundle (may block in replay). late_labels: takes an Item and the stamp of its image. jumped: takes
    the reason when stamps jumped back. They are called from the feeder thread, late_labels also from callbacks.
    """

    def __init__(self, node: Node, reader: Reader, config: Config, names: list[str], transforms: TransformInput,
                 problems: Problems, submit: Callable[[Bundle], object], late_labels: Callable[[Item, int], object],
                 jumped: Callable[[str], object]) -> None:
        self._node, self._reader, self._transforms, self._problems = node, reader, transforms, problems
        self._submit, self._late_labels, self._jumped = submit, late_labels, jumped
        self.cameras = {name: Camera(name) for name in names}
        self._changed = threading.Condition()
        self._open, self._opened = False, 0.0
        self._generation = 0
        self._thread: threading.Thread | None = None
        self.worst_callback_ms = 0.0
        self.configure(config)
        self._topics: dict[tuple[str, str], str] = {}
        for name in names:
            self._subscribe(name)
        self.inertial = InertialInput(node, config.node, transforms, problems, reader)

    def configure(self, config: Config) -> None:
        """Takes over settings; nothing is kept of what waited."""
        n = config.node
        self._config = config
        with self._changed:
            self._assembler = Assembler(
                list(self.cameras), slop_ns=int(n.sync_slop_ms * 1e6),
                wait_s=max(n.sync_wait_ms * 1e-3, REPLAY_WAIT_S) if n.replay else n.sync_wait_ms * 1e-3,
                stale_s=n.missing_input_seconds, capacity_bytes=int(config.limits.input_megabytes * 1e6),
                patient=n.replay)
            self._gaps = PartnerGaps(int(n.sync_slop_ms * 1e6))
            for camera in self.cameras.values():
                camera.forget()

    def _subscribe(self, name: str) -> None:
        n = self._config.node
        reliable = n.image_reliability == "reliable"
        images = QoSProfile(history=HistoryPolicy.KEEP_LAST, durability=DurabilityPolicy.VOLATILE,
                            depth=max(n.queue_depth, REPLAY_DEPTH) if n.replay else n.queue_depth,
                            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT)
        one = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        compressed = n.image_transport == "compressed"
        for what, message, callback, qos in (
                (IMAGE, CompressedImage if compressed else Image, partial(self._on_item, name, IMAGE), images),
                (DEPTH, Image, partial(self._on_item, name, DEPTH), images),
                (LABELS, Image, partial(self._on_item, name, LABELS), images),
                ("camera_info", CameraInfo, partial(self._on_info, name), one),
                ("camera_info", CameraInfo, partial(self._on_info, name), latched),  # said once, before the node was there
                ("label_info", LabelInfo, partial(self._on_label_info, name), latched)):
            topic = self._node.resolve_topic_name(f"{name}/{what}")
            if what == IMAGE:
                topic = transported(topic, n.image_transport)
            self._topics[name, what] = topic
            self._read(message, topic, callback, qos)
        leaf = self._topics[name, IMAGE].removesuffix("/compressed").rsplit("/", 1)[-1]
        self.cameras[name].rectified = "_rect" in leaf

    def _read(self, message: type, topic: str, callback: Callable[[Any], None], qos: QoSProfile) -> None:
        self._reader.read(self._node.create_subscription(message, topic, callback, qos, callback_group=self._reader.group))

    # callbacks

    def _on_item(self, name: str, kind: str, message: Any) -> None:
        if not self._open:
            return
        now, start = time.monotonic(), time.thread_time()
        camera = self.cameras[name]
        item = Item(name, kind, stamp_ns(message.header.stamp), len(message.data), message)
        is_first = False
        if kind == IMAGE:
            is_first = camera.count_image(now)
            self._transforms.saw_image(name, message.header.frame_id, now)
        elif kind == DEPTH:
            camera.count_depth()
        else:
            camera.count_labels()
        with self._changed:
            if is_first:
                self._expect_published(now)
            if self._config.node.replay:
                while self._open and self._assembler.is_full(item.nbytes):
                    self._changed.wait(0.1)
                now = time.monotonic()
            events = self._assembler.add(item, now)
            self._gaps.add([item])
            self._note(events)
            self._changed.notify_all()
        self._tell(events)
        self.worst_callback_ms = max(self.worst_callback_ms, (time.thread_time() - start) * 1e3)

    def _on_info(self, name: str, message: CameraInfo) -> None:
        self.cameras[name].info = message

    def _on_label_info(self, name: str, message: LabelInfo) -> None:
        self.cameras[name].label_info = message

    @property
    def image_topics(self) -> list[str]:
        """Topics of the images, by camera."""
        return [self._topics[name, IMAGE] for name in self.cameras]

    # open and closed

    def open(self) -> None:
        """Starts to take messages."""
        self._open, self._opened = True, time.monotonic()
        if self._thread is None:
            self._thread = threading.Thread(target=self._feed, name="feeder", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Takes nothing more, drops what waits, and joins the feeder. The receiver must not block for ever."""
        with self._changed:
            self._open = False
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.clear()

    def clear(self) -> None:
        """Forgets what waits and all stamps."""
        with self._changed:
            self._generation += 1
            self._assembler.clear()
            self._gaps = PartnerGaps(int(self._config.node.sync_slop_ms * 1e6))
            self._changed.notify_all()
        self.inertial.clear()

    @property
    def waiting_bytes(self) -> int:
        """Bytes of images that wait to be grouped."""
        return self._assembler.nbytes

    def poll(self) -> None:
        """Once a second: finds inputs that exist but are silent, and names what went stale."""
        now = time.monotonic()
        with self._changed:
            events = self._assembler.poll(now) if self._open else []
            self._note(events)
            far = self._gaps.problems()
            if self._open:
                self._expect_published(now)
        self._tell(events)
        for camera, kind in ((c, k) for c in self.cameras for k in (DEPTH, LABELS)):
            if (camera, kind) in far:
                self._problems.say(f"{camera} far {kind}", far[camera, kind])
            else:
                self._problems.over(f"{camera} far {kind}", f"{kind} of camera {camera!r} is paired with its images")
        if self._open:
            self.inertial.poll()
            self._miss_images(now)

    def _miss_images(self, now: float) -> None:
        """Says of cameras that never sent an image why that may be."""
        n = self._config.node
        wanted = f"sensor_msgs/msg/{'CompressedImage' if n.image_transport == 'compressed' else 'Image'}"
        for name, camera in self.cameras.items():
            topic, key = self._topics[name, IMAGE], f"{name} no image"
            if camera.received:
                self._problems.over(key, f"images of camera {name!r} come")
            elif now - self._opened >= n.missing_input_seconds:
                own = f"{self._node.get_fully_qualified_name()}/"
                why = why_silent(self._node, topic, wanted, n.image_reliability == "reliable", (own,))
                self._problems.say(key, f"no image of camera {name!r} came yet on {topic!r}: {why}")

    def _expect_published(self, now: float) -> None:
        """Inputs that somebody publishes are waited for from the first image on."""
        for (name, what), topic in self._topics.items():
            if what in (IMAGE, DEPTH, LABELS) and self._node.count_publishers(topic):
                self._assembler.expect(name, what, now)

    # the feeder

    def _feed(self) -> None:
        while self._open:
            with self._changed:
                generation, out = self._generation, self._assembler.pop(time.monotonic())
                if out is None:
                    self._changed.wait(IDLE_S if self._assembler.nbytes else 0.1)
                    continue
                if isinstance(out, TimeJump):
                    self._expect_published(time.monotonic())  # from the first images of the new time on
                else:
                    self._gaps.paired(out)
                self._changed.notify_all()
            if isinstance(out, TimeJump):
                self._jumped(f"stamps jumped back by {-out.seconds:.1f} s")
                continue
            bundle = self._complete(out, generation)
            if bundle is not None:
                self._submit(bundle)

    def _complete(self, group: Group, generation: int) -> Bundle | None:
        """Waits until TF and camera_info of a group are there, or cannot be waited for any longer."""
        wait_s = self._config.node.sync_wait_ms * 1e-3
        start = time.monotonic()
        while self._open and generation == self._generation:
            waited = time.monotonic() - (start if self._config.node.replay else group.arrived)
            T_rig_cam = {name: T for name, item in group.images.items()
                         if (T := self._transforms.rig(name, item.payload.header.frame_id)) is not None}
            T_odom_base, odometry_due = self._odometry(group, T_rig_cam)
            missing = len(T_rig_cam) < len(group.images) or odometry_due
            if (not missing or waited >= wait_s) and not self._info_due(group):
                return self._bundle(group, T_rig_cam, T_odom_base)
            time.sleep(IDLE_S)
        return None

    def _odometry(self, group: Group, T_rig_cam: dict[str, np.ndarray]) -> tuple[np.ndarray | None, bool]:
        """T_odom_base at the group's stamp if TF has it, and whether it is worth waiting for."""
        state = self._transforms.odometry
        if state in (OdometryState.NONE, OdometryState.ABSENT):
            return None, False
        T = self._transforms.odometry_at(group.stamp_ns, T_rig_cam.get(next(iter(self.cameras))))
        return T, T is None and (state is OdometryState.UNKNOWN or self._transforms.odometry_is_fresh)

    def _info_due(self, group: Group) -> bool:
        """True if a camera_info is still to come: its topic is published, and the camera's first images are young."""
        now = time.monotonic()
        for name in group.images:
            camera = self.cameras[name]
            age = now - (camera.first_image or now)
            if camera.info is not None:
                continue
            if age < min(0.5, self._config.node.missing_input_seconds):
                return True
            topic = self._topics[name, "camera_info"]
            if age < self._config.node.missing_input_seconds and self._node.count_publishers(topic):
                return True
            self._problems.say(f"{name} info", f"no camera_info on {topic!r}: the focal length of camera {name!r} is "
                               "estimated")
        return False

    def _bundle(self, group: Group, T_rig_cam: dict[str, np.ndarray], T_odom_base: np.ndarray | None) -> Bundle | None:
        for name in [n for n in group.images if n not in T_rig_cam]:
            self.cameras[name].count_dropped()
            del group.images[name]
        if not group.images:
            return None
        return Bundle(group, {n: self.cameras[n].info for n in group.images},
                      {n: self.cameras[n].label_info for n in group.images}, T_rig_cam, T_odom_base,
                      bool(self._config.node.base_frame))

    def count_dropped(self, bundle: Bundle) -> None:
        """The worker could not keep up: this bundle made room for newer ones."""
        for name in bundle.group.images:
            self.cameras[name].count_dropped()

    def _tell(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, LateLabels):
                self._late_labels(event.item, event.stamp_ns)
            elif isinstance(event, Dropped):
                self._tell_dropped(event)
            elif isinstance(event, TimeGap):
                self._problems.say(f"{event.camera} gap", f"stamps of camera {event.camera!r} went forward by "
                                   f"{event.seconds:.1f} s", BRIEF_S)

    def _note(self, events: list[Event]) -> None:
        """Inputs that went silent or are back, and what found no image: with the lock of the assembler held, so that the news
        keep their order."""
        for event in events:
            if isinstance(event, Dropped) and event.reason == UNPAIRED:
                self._gaps.unpaired(event.item)
            if isinstance(event, Stale | Recovered) and event.kind == IMAGE:
                self.cameras[event.camera].stale = isinstance(event, Stale)
            if isinstance(event, Stale):
                topic = self._topics[event.camera, event.kind]
                self._problems.say(f"{event.camera} silent {event.kind}", f"no {event.kind} of camera {event.camera!r} "
                                   f"for {event.seconds:.1f} s on {topic!r}")
            elif isinstance(event, Recovered):
                self._problems.over(f"{event.camera} silent {event.kind}",
                                    f"{event.kind} of camera {event.camera!r} is back")

    def _tell_dropped(self, event: Dropped) -> None:
        item, camera = event.item, self.cameras[event.item.camera]
        if event.reason == UNPAIRED:
            return  # nothing is wrong with depth that comes more often than images; `poll` says if none finds one
        what = f"{item.kind} of camera {item.camera!r}"
        if item.kind == IMAGE and event.reason == OVERFLOW:
            camera.count_dropped()
        elif item.kind == IMAGE:
            camera.count_invalid()
        reasons = {"repeated": "its stamp repeats the last one", "late": "its stamp goes back",
                   "leap": "its stamp is far from those before and after",
                   "overflow": "limits.input_megabytes is reached while it waits for other inputs"}
        if item.kind == DEPTH and event.reason == "late":
            text = f"{what} came too late for its image; raise sync_wait_ms"
        else:
            text = f"{what} with stamp {item.stamp_ns * 1e-9:.3f} was dropped: {reasons[event.reason]}"
        self._problems.say(f"{item.camera} {item.kind} stamps", text, BRIEF_S)
