# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Bags with an IMU that is not as it should be."""
import numpy as np
import pytest

from lsm_ros.datasets import open_source
from lsm_ros.datasets.bag_messages import MessageMaker
from lsm_ros.datasets.bagfile import typestore
from lsm_ros.geometry import make_se3

S = 1_000_000_000
IMAGE, IMU, TF = "sensor_msgs/msg/Image", "sensor_msgs/msg/Imu", "tf2_msgs/msg/TFMessage"
OPTICAL = np.array([[0.0, 0, 1, 0.1], [-1, 0, 0, 0], [0, -1, 0, 1.1], [0, 0, 0, 1]])
pytest.importorskip("rosbags", reason="rosbags is not installed (pip install rosbags)")
STORE = typestore()
make = MessageMaker(STORE)


def write(path, messages):
    """A bag of (topic, type, log time in ns, message or bytes)."""
    from rosbags.rosbag2 import StoragePlugin, Writer

    with Writer(path, version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        topics = {}
        for topic, kind, log_ns, message in messages:
            if topic not in topics:
                topics[topic] = writer.add_connection(topic, kind, typestore=STORE)
            raw = message if isinstance(message, bytes) else STORE.serialize_cdr(message, kind)
            writer.write(topics[topic], int(log_ns), raw)
    return path


def image(stamp_ns):
    return make.image(stamp_ns, "cam_optical", np.full((12, 16, 3), 100, np.uint8), "rgb8")


def recorded(path, topics=("/imu",), mount=True, stamps=lambda k: k):
    """Readings in each tenth of a second from the first second to the fifth, and an image in each second."""
    edges = [make.transform(0, "base_link", "cam_optical", OPTICAL)]
    edges += [make.transform(0, "base_link", "imu", make_se3(np.eye(3), [0.0, 0.0, 0.5]))] if mount else []
    messages = [("/tf_static", TF, 0, make.transforms(edges))]
    for k in range(10, 51):
        now = k * S // 10
        for topic in topics:
            sample = make.imu(stamps(now), "imu", np.array([0.0, 0, k]), np.array([0.0, 0, 9.8]))
            messages.append((topic, IMU, now, sample))
        if k % 10 == 0:
            messages.append(("/front/image", IMAGE, now + 1000, image(now)))
    return write(path, messages)


def test_readings_go_with_the_next_image(tmp_path):
    sets = list(open_source(recorded(tmp_path / "bag")))
    assert [[round(s.angular_velocity[2]) for s in f.imu] for f in sets] == [
        [10], *([k - 9 + i for i in range(10)] for k in (20, 30, 40, 50))]
    assert sets[0].T_rig_imu[2, 3] == 0.5


def test_several_and_none_is_named(tmp_path):
    source = open_source(recorded(tmp_path / "bag", topics=("/imu/a", "/imu/b")))
    assert any("no IMU is taken: the bag has several" in w and "/imu/a, /imu/b" in w for w in source.warnings)
    assert all(not f.imu for f in source)
    assert all(f.imu for f in open_source(tmp_path / "bag", imu="/imu/b"))


def test_tf_does_not_have_its_frame(tmp_path):
    source = open_source(recorded(tmp_path / "bag", mount=False))
    assert any("its frame 'imu' is not joined to the rig" in w for w in source.warnings)
    assert all(not f.imu and f.T_rig_imu is None for f in source)
    with pytest.raises(ValueError, match="IMU /imu cannot be used: its frame 'imu' is not joined to the rig"):
        open_source(tmp_path / "bag", imu="/imu")


def test_on_the_body_of_a_camera(tmp_path):
    """Without a base the rig is the body frame of the camera: x ahead, z up."""
    T = next(iter(open_source(recorded(tmp_path / "bag"), base_frame=""))).T_rig_imu
    np.testing.assert_allclose(T, make_se3(np.eye(3), [-0.1, 0.0, -0.6]), atol=1e-12)


def test_stamps_of_zero(tmp_path):
    source = open_source(recorded(tmp_path / "bag", stamps=lambda k: 0))
    assert [len(f.imu) for f in source] == [1, 10, 10, 10, 10]
    assert any("stamps of /imu are 0" in w for w in source.warnings)


def test_readings_from_the_future_hold_nothing_up(tmp_path):
    source = open_source(recorded(tmp_path / "bag", stamps=lambda k: k + (100 * S if k == 12 * S // 10 else 0)))
    assert [len(f.imu) for f in source] == [1, 9, 10, 10, 10]


def test_broken_messages_are_skipped(tmp_path):
    source = open_source(write(tmp_path / "bag", [("/front/image", IMAGE, S, image(S)), ("/imu", IMU, S, b"\x00\x01\x00\x00")]))
    assert len(list(source)) == 1 and any("/imu" in w for w in source.warnings)
