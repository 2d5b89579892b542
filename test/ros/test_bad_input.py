# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Bad input to the running node: it stays alive, says what is wrong by name, and goes on."""
import time

import numpy as np
import pytest
from helpers.harness import START_NS, depth_message, image_message, info_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from lsm_ros.geometry import CameraIntrinsics
from lsm_ros.msg import CameraStatus

FRAME = "bad_lens"
STEP_NS = 100_000_000


@pytest.fixture(scope="module")
def node(client, start_shared):
    """A node that is mapping with one camera."""
    n = start_shared(odom_frame="", missing_input_seconds=2.0, **{"limits.queue_frames": 100})
    client.wait_active(n)
    for kind, topic in ((Image, "image"), (Image, "depth"), (CameraInfo, "camera_info"), (Image, "labels")):
        client.publisher(kind, f"camera/{topic}")
    client.wait_matched("camera/image", "camera/depth", "camera/camera_info", "camera/labels")
    return n


class Stream:
    """Good frames one after the other, with something bad between them."""

    def __init__(self, client, room, node):
        self.client, self.room, self.node = client, room, node
        self.stamp_ns, self.index = START_NS, 0

    def good(self, count=1, info=True):
        """Good frames, forwards and backwards through the first part of the room."""
        for _ in range(count):
            n = len(self.room.frame_sets) - 1
            frame = self.room.frame_sets[n - abs(self.index % (2 * n) - n)].frames[0]
            self.client.send_frame(frame, self.stamp_ns, frame_id=FRAME, info=info)
            self.index += 1
            self.stamp_ns += STEP_NS
            time.sleep(0.06)

    def camera(self, **fields):
        """Publishes a CameraInfo with some fields changed."""
        message = info_message(self.room.source.intrinsics, self.stamp_ns, FRAME)
        for name, value in fields.items():
            setattr(message, name, value)
        self.client.send(CameraInfo, "camera/camera_info", message)
        time.sleep(0.1)

    def image(self, message, topic="image"):
        self.client.send(Image, f"camera/{topic}", message)
        self.stamp_ns += STEP_NS
        time.sleep(0.06)

    def says(self, *words, seconds=8):
        """Waits until a problem of the camera holds all words, and good frames are processed again after it."""
        def said():
            return all(w in self.client.status().cameras[0].problem for w in words)

        self.client.wait(said, seconds, f"{words} in {self.node.log()[-1500:]}")

    def settled(self):
        """The status once every good frame sent so far is processed."""
        last = self.stamp_ns - STEP_NS

        def done(s):
            camera = s.cameras[0]
            stamp_ns = camera.last_stamp.sec * 10**9 + camera.last_stamp.nanosec
            return stamp_ns == last and s.frames_processed + camera.images_invalid == camera.images_received

        return self.client.wait_status(done)

    def goes_on(self):
        """Good frames are processed, and the camera counts as good while they come (on a busy machine they come late)."""
        before = self.client.status().frames_processed
        self.good(3)

        def maps():
            s = self.client.status()
            good = s.state == s.STATE_TRACKING and s.cameras[0].state == CameraStatus.STATE_OK
            if good and s.frames_processed >= before + 3:
                return True
            self.good(1)
            return False

        self.client.wait(maps, 15, "good frames to be mapped")
        assert self.node.alive()


@pytest.fixture(scope="module")
def stream(client, room, node):
    s = Stream(client, room, node)
    s.goes_on()
    return s


def good_image(stream, encoding="rgb8"):
    return image_message(stream.room.frame_sets[0].frames[0].image, stream.stamp_ns, FRAME, encoding)


def lying_step(m):
    m.step = 100


def too_little_data(m):
    m.data = m.data[:-1000]


def too_much_data(m):
    m.data.frombytes(bytes(1000))


def too_large(m):
    m.width, m.height, m.step = 2**31, 2**31, 2**31


def zero_size(m):
    m.width = m.height = m.step = 0
    m.data = m.data[:0]


def one_pixel(m):
    m.width = m.height = 1
    m.step = 3
    m.data = m.data[:3]


@pytest.mark.parametrize(("change", "words"), [
    (lambda m: setattr(m, "encoding", "pink8"), ["pink8"]),
    (lambda m: setattr(m, "encoding", ""), ["unknown image encoding"]),
    (lambda m: setattr(m, "encoding", "rgba8"), ["rgba8", "a row needs 1280"]),
    (lambda m: setattr(m, "encoding", "32FC1"), ["32FC1", "depth"]),
    (lying_step, ["step 100"]),
    (too_little_data, ["expected 230400 bytes of data, got 229400"]),
    (too_much_data, ["expected 230400 bytes of data, got 231400"]),
    (too_large, ["2147483648x2147483648"]),
    (zero_size, ["0x0", "no pixels"]),
    (one_pixel, ["1x1"]),
], ids=["unknown", "empty", "lying", "depth", "step", "short", "long", "large", "zero", "one pixel"])
def test_bad_images_are_refused_by_name(stream, change, words):
    message = good_image(stream)
    change(message)
    stream.good()  # the last image sent may have been a bad one
    invalid = stream.settled().cameras[0].images_invalid
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stream.stamp_ns, 10**9)
    stream.image(message)
    stream.says("camera 'camera'", *words)
    stream.client.wait_status(lambda s: s.cameras[0].images_invalid == invalid + 1)
    stream.goes_on()


def test_bad_depth_and_labels_cost_only_themselves(stream):
    stream.good()  # the last image sent may have been a bad one
    before = stream.settled().frames_processed
    image = stream.room.frame_sets[0].frames[0].image
    depth = depth_message(np.ones((10, 20), np.float32), stream.stamp_ns, FRAME)
    labels = image_message(np.zeros((240, 320, 3), np.uint8), stream.stamp_ns, FRAME, "rgb8")
    stream.client.send(Image, "camera/depth", depth)
    stream.client.send(Image, "camera/labels", labels)
    stream.image(image_message(image, stream.stamp_ns, FRAME, "rgb8"))
    stream.says("depth of camera 'camera' is refused: it is 20x10, the image 320x240")
    stream.says("labels of camera 'camera'", "rgb8")
    stream.client.wait_status(lambda s: s.frames_processed == before + 1)
    stream.goes_on()


@pytest.mark.parametrize(("k", "words"), [
    ([float("nan")] * 9, ["camera_info", "not finite"]),
    ([-200.0, 0, 160, 0, -200, 120, 0, 0, 1], ["camera_info", "fx must be positive"]),
    ([0.0] * 9, ["camera_info", "K of zero"]),
], ids=["NaN", "negative", "zero"])
def test_bad_camera_info_is_named_and_the_last_good_one_stays(stream, k, words):
    stream.camera(k=np.array(k, dtype=np.float64))
    stream.good(2, info=False)
    stream.says(*words, "the last usable one stays")
    stream.client.wait_status(lambda s: s.cameras[0].calibrated)
    stream.goes_on()
    stream.client.wait(lambda: "K of zero" not in stream.client.status().cameras[0].problem)


def test_changing_resolution_and_camera_info(stream):
    # the image changes, camera_info does not
    small = np.ascontiguousarray(stream.room.frame_sets[0].frames[0].image[::2, ::2])
    stream.image(image_message(small, stream.stamp_ns, FRAME, "rgb8"))
    stream.says("it is 160x120, but camera_info is for 320x240")
    # both change
    half = stream.room.source.intrinsics.resize(160, 120)
    stream.good()
    before = stream.settled().frames_processed
    frame = stream.room.frame_sets[0].frames[0]
    stream.client.send(CameraInfo, "camera/camera_info", info_message(half, stream.stamp_ns, FRAME))
    for _ in range(3):
        stream.client.send(Image, "camera/depth", depth_message(frame.depth[::2, ::2], stream.stamp_ns, FRAME))
        stream.image(image_message(small, stream.stamp_ns, FRAME, "rgb8"))
    stream.client.wait_status(lambda s: s.frames_processed >= before + 2 and s.cameras[0].width == 160
                              and s.cameras[0].state == CameraStatus.STATE_OK)
    # another K of the same size, then the right one again
    other = CameraIntrinsics(320, 240, 150.0, 150.0, 160.0, 120.0)
    stream.client.send(CameraInfo, "camera/camera_info", info_message(other, stream.stamp_ns, FRAME))
    time.sleep(0.1)
    stream.good(2, info=False)
    stream.goes_on()


def test_stamps_that_repeat_go_back_or_leap(stream):
    stream.good()  # the last image sent may have been a bad one
    invalid = stream.settled().cameras[0].images_invalid
    for offset_ns, words in ((-STEP_NS, "its stamp repeats"), (-5 * STEP_NS, "its stamp goes back"),
                             (-3600 * 10**9, "far from those before and after"),
                             (10**6 * 10**9, "far from those before and after")):
        message = good_image(stream)
        ns = stream.stamp_ns + offset_ns
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(ns, 10**9)
        stream.client.send(Image, "camera/image", message)
        time.sleep(0.1)
        stream.good(1)
        stream.says(words)
    assert stream.client.wait_status(lambda s: s.cameras[0].images_invalid == invalid + 4).session == 0
    stream.goes_on()
    stream.stamp_ns += 5 * 10**9  # forward is fine, but said
    stream.good(1)
    stream.says("went forward by 5.1 s")
    stream.goes_on()


def test_garbage_in_compressed_images(client, start):
    node = start(odom_frame="", image_transport="compressed")
    client.wait_active(node)
    client.publisher(CompressedImage, "camera/image/compressed")
    client.wait_matched("camera/image/compressed")
    for k, (data, words) in enumerate(((b"", "is empty"), (b"no image at all" * 10, "no image that can be read"),
                                       (b"\xff\xd8\xff\xe0" + bytes(500), "cut off"))):
        message = CompressedImage(format="jpeg")
        message.header.stamp.sec, message.header.frame_id = 1000 + k, "garbage_lens"
        message.data.frombytes(data)
        client.send(CompressedImage, "camera/image/compressed", message)
        client.wait_status(lambda s, words=words: words in s.cameras[0].problem)
    client.wait_status(lambda s: s.cameras[0].images_invalid == 3 and s.cameras[0].state == CameraStatus.STATE_INVALID)
    assert node.alive()
