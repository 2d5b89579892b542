# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Recording sources as bags, reading them back, and recordings that fail."""
import errno
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from lsm_ros.datasets import open_source
from lsm_ros.datasets.imu import ImuData
from lsm_ros.datasets.record import TRUTH_TF, millimetres, record
from lsm_ros.datasets.rosbag import stamp_of
from lsm_ros.geometry.lie import make_se3
from lsm_ros.types import Frame, FrameSet, TrajectoryPose
from lsm_sim.source import RoomSource

START = 1_700_000_000_000_000_000


@pytest.fixture(scope="module")
def room():
    return RoomSource(seed=1, frames=6, width=96, height=72, cameras=2)


class ListSource:
    """Frame sets from a list."""

    name, cameras, ground_truth, ground_truth_frame = "list", ["c"], None, "rig"

    def __init__(self, sets):
        self.sets, self.warnings = sets, []

    def __len__(self):
        return len(self.sets)

    def __iter__(self):
        return iter(self.sets)

    def close(self):
        self.sets = []


def frame_set(stamp_ns, **parts):
    return FrameSet(stamp_ns, (Frame(stamp_ns, "c", np.full((4, 6, 3), 9, np.uint8), **parts),))


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("compressed", [False, True])
def test_round_trip(tmp_path, room, storage, compressed):
    seen = []
    summary = record(room, tmp_path / "bag", storage, compressed=compressed, progress=lambda i, n: seen.append((i, n)))
    assert seen == [(i, 6) for i in range(1, 7)]
    assert summary.stamp_offset_ns == START and summary.frame_sets == 6 and summary.path == tmp_path / "bag"
    back = open_source(tmp_path / "bag")
    assert back.cameras == ["front", "rear"] and back.stamp_offset_ns == START and back.base_frame == "base_link"
    sets = list(back)
    assert len(sets) == len(back) == 6
    for a, b in zip(room, sets, strict=True):
        assert b.stamp_ns == a.stamp_ns + START
        np.testing.assert_allclose(b.T_odom_base, a.T_odom_base, atol=1e-9)
        for fa, fb in zip(a.frames, b.frames, strict=True):
            assert (fb.camera, fb.stamp_ns, fb.frame_id) == (fa.camera, fa.stamp_ns + START, f"{fa.camera}_optical")
            np.testing.assert_allclose(b.T_rig_cam[fb.camera], a.T_rig_cam[fa.camera], atol=1e-9)
            error = np.abs(fa.image.astype(int) - fb.image)
            assert error.mean() < 8 if compressed else error.max() == 0
            np.testing.assert_allclose(fb.depth, fa.depth, atol=0.00051)
            np.testing.assert_array_equal(fb.labels, fa.labels)
            assert fb.label_space == fa.label_space and fb.intrinsics == fa.intrinsics
    for a, b in zip(room.ground_truth, back.ground_truth, strict=True):
        assert b.stamp_ns == a.stamp_ns + START
        np.testing.assert_allclose(a.T_map_rig, b.T_map_rig, atol=1e-9)
    assert back.warnings == []


def test_what_the_bag_says(tmp_path, room):
    """Names, counts, order and QoS, as rosbags sees them."""
    from rosbags.interfaces import QosDurability
    from rosbags.rosbag2 import Reader

    summary = record(room, tmp_path / "bag", limit=3)
    with Reader(tmp_path / "bag") as reader:
        counts = {c.topic: c.msgcount for c in reader.connections}
        durability = {c.topic: c.ext.offered_qos_profiles[0].durability for c in reader.connections}
        depth = {c.topic: c.ext.offered_qos_profiles[0].depth for c in reader.connections}
        times = [t for _, t, _ in reader.messages()]
    expected = {"/tf_static": 1, "/tf": 3, "/ground_truth": 3, "/ground_truth/tf": 3}
    for camera in ("front", "rear"):
        expected |= {f"/{camera}/{t}": 3 for t in ("image", "camera_info", "depth", "labels")}
        expected[f"/{camera}/label_info"] = 1
    assert counts == expected == summary.messages
    latched = {t for t, d in durability.items() if d is QosDurability.TRANSIENT_LOCAL}
    assert latched == {"/tf_static", "/front/label_info", "/rear/label_info"}
    assert depth == {topic: 1 if topic in latched else 10 for topic in counts}
    assert times[0] == START and all(a < b for a, b in zip(times[:-1], times[1:], strict=True))
    assert sorted(f.name for f in (tmp_path / "bag").iterdir()) == ["bag.mcap", "metadata.yaml"]


def test_the_truth_of_map_to_odom_is_apart_from_tf(tmp_path, room):
    """map -> odom -> base of the truth is the ground truth, and /tf says nothing of a map."""
    from lsm_ros.datasets.bagfile import BagFile
    from lsm_ros.datasets.tf_tree import pose_matrix

    record(room, tmp_path / "bag", limit=4)
    bag, poses = BagFile(tmp_path / "bag"), {}
    for topic, _, message in bag.messages(["/tf", TRUTH_TF]):
        (t,) = message.transforms
        poses.setdefault((topic, t.header.frame_id, t.child_frame_id), []).append(
            pose_matrix(t.transform.translation, t.transform.rotation))
    bag.close()
    assert set(poses) == {("/tf", "odom", "base_link"), (TRUTH_TF, "map", "odom")}
    T_map_odom, T_odom_base = poses[TRUTH_TF, "map", "odom"], poses["/tf", "odom", "base_link"]
    for a, b, truth in zip(T_map_odom, T_odom_base, room.ground_truth, strict=False):
        np.testing.assert_allclose(a @ b, truth.T_map_rig, atol=1e-9)


def test_an_imu_is_written_between_the_images(tmp_path):
    from lsm_ros.datasets.bagfile import BagFile

    source = ListSource([frame_set(START), frame_set(START + 100_000_000)])
    stamps = START + np.arange(-3, 30) * 10_000_000
    values = np.arange(stamps.size * 6, dtype=float).reshape(-1, 6)
    T_rig_imu = make_se3(np.eye(3), [0.1, 0.0, 0.2])
    source.imu = ImuData(stamps, values[:, :3], values[:, 3:], T_rig_imu)
    assert record(source, tmp_path / "bag").messages["/imu"] == 11  # none before the first image or after the last
    bag = BagFile(tmp_path / "bag")
    got = list(bag.messages(["/imu"]))
    for (_, log_ns, m), k in zip(got, range(3, 14), strict=True):
        assert stamp_of(m.header) == stamps[k] and abs(log_ns - stamps[k]) < 10**6
        assert m.header.frame_id == "imu_link" and m.orientation_covariance[0] == -1
        w, a = m.angular_velocity, m.linear_acceleration
        assert [w.x, w.y, w.z, a.x, a.y, a.z] == values[k].tolist()
    (static,) = [m for _, _, m in bag.messages(["/tf_static"])]
    mounts = {t.child_frame_id: t.transform.translation for t in static.transforms}
    assert (mounts["imu_link"].x, mounts["imu_link"].z) == (0.1, 0.2)
    assert open_source(tmp_path / "bag").cameras == ["c"]


def test_options(tmp_path, room):
    record(room, tmp_path / "bag", limit=1, odometry=False, start_time_s=5.0)
    back = open_source(tmp_path / "bag")
    (fs,) = list(back)
    assert fs.T_odom_base is None and fs.stamp_ns == 5_000_000_000


def test_stamps_of_today_stay(tmp_path):
    sets = [frame_set(START + i) for i in (0, 100_000_000)]
    assert record(ListSource(sets), tmp_path / "bag").stamp_offset_ns == 0
    assert [fs.stamp_ns for fs in open_source(tmp_path / "bag")] == [s.stamp_ns for s in sets]


def test_a_source_without_extras(tmp_path):
    summary = record(ListSource([frame_set(START)]), tmp_path / "bag")
    assert set(summary.messages) == {"/c/image", "/tf_static"}
    frame = next(iter(open_source(tmp_path / "bag"))).frames[0]
    assert frame.intrinsics is None and frame.depth is None and frame.labels is None


def test_a_whole_sequence(tmp_path, sequence):
    source = open_source(sequence)
    summary = record(source, tmp_path / "bag", limit=9, compressed=True)
    (camera,) = source.cameras
    assert summary.messages[f"/{camera}/image/compressed"] == 9 and summary.messages[f"/{camera}/depth"] == 5
    back = open_source(tmp_path / "bag")
    for a, b in zip(source, back, strict=False):
        assert (a.frames[0].depth is None) == (b.frames[0].depth is None)
        if a.frames[0].depth is not None:
            np.testing.assert_allclose(a.frames[0].depth, b.frames[0].depth, atol=1e-6)
    np.testing.assert_allclose(back.ground_truth[8].T_map_rig, source.ground_truth[8].T_map_rig, atol=1e-9)


def test_millimetres():
    depth = np.array([[np.nan, np.inf, -1, 0, 0.0004, 0.0006, 65.535, 65.6]], np.float32)
    assert millimetres(depth).tolist() == [[0, 0, 0, 0, 0, 1, 65535, 0]]


class TestFailures:
    def empty(self, folder: Path, but=()):
        return sorted(f.name for f in folder.iterdir()) == sorted(but)

    def test_existing_target(self, tmp_path):
        source = ListSource([frame_set(START)])
        record(source, tmp_path / "bag")
        with pytest.raises(FileExistsError, match="exists already"):
            record(source, tmp_path / "bag")
        record(ListSource([frame_set(START), frame_set(START + 10**9)]), tmp_path / "bag", overwrite=True)
        assert len(open_source(tmp_path / "bag")) == 2 and self.empty(tmp_path, ["bag"])

    def test_what_is_no_bag_is_not_overwritten(self, tmp_path):
        (tmp_path / "bag").mkdir()
        (tmp_path / "bag" / "thesis.tex").write_text("years of work")
        with pytest.raises(FileExistsError, match="is not a bag"):
            record(ListSource([frame_set(START)]), tmp_path / "bag", overwrite=True)
        assert (tmp_path / "bag" / "thesis.tex").is_file()

    @pytest.mark.parametrize("options, named", [({"storage": "tape"}, "tape"),
                                                ({"compressed": True, "jpeg_quality": 0}, "jpeg_quality")])
    def test_bad_options(self, tmp_path, options, named):
        with pytest.raises(ValueError, match=named):
            record(ListSource([frame_set(START)]), tmp_path / "bag", **options)
        assert self.empty(tmp_path)

    def test_source_without_frames(self, tmp_path):
        with pytest.raises(ValueError, match="list gave no frames"):
            record(ListSource([]), tmp_path / "bag")
        assert self.empty(tmp_path)

    def test_source_that_breaks(self, tmp_path):
        def broken():
            yield frame_set(START)
            raise RuntimeError("unplugged")

        source = ListSource([])
        source.__class__ = type("Broken", (ListSource,), {"__iter__": lambda self: broken(), "__len__": lambda self: 2})
        with pytest.raises(RuntimeError, match="unplugged"):
            record(source, tmp_path / "bag")
        assert self.empty(tmp_path)

    @pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
    def test_no_room_on_the_disk(self, tmp_path, storage):
        """A process that may not write files beyond 300 kB stands for a full disk; an older bag stays whole."""
        record(ListSource([frame_set(START)]), tmp_path / "bag", storage)
        code = (
            "import sys\nfrom lsm_sim.source import RoomSource\nfrom lsm_ros.datasets.record import record\n"
            "try:\n    record(RoomSource(frames=40, width=160, height=120), sys.argv[1], sys.argv[2], overwrite=True)\n"
            "except OSError as error:\n    print(error)\n    sys.exit(7)\n")
        limit = 300_000
        done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "bag"), storage], capture_output=True,
                              text=True, cwd=Path(__file__).resolve().parents[2],
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
        assert done.returncode == 7, done.stderr
        assert done.stdout.strip().endswith(f"the previous content is intact: '{tmp_path / 'bag'}'")
        assert self.empty(tmp_path, ["bag"]) and len(list(open_source(tmp_path / "bag"))) == 1

    def test_folder_that_cannot_be_made(self, tmp_path):
        (tmp_path / "file").write_text("x")
        with pytest.raises(OSError) as error:
            record(ListSource([frame_set(START)]), tmp_path / "file" / "bag")
        assert error.value.errno in (errno.ENOTDIR, errno.EEXIST)


def test_memory_does_not_grow(tmp_path):
    """Memory after many frames is about that after few; 300 frames of 48 kB would be 14 MB."""
    import tracemalloc

    peaks = []
    for n in (30, 300):
        def sets(n=n):
            for i in range(n):
                stamp_ns = START + i * 10**8
                yield FrameSet(stamp_ns, (Frame(stamp_ns, "c", np.full((100, 160, 3), i % 256, np.uint8)),))
        source = ListSource([])
        source.__class__ = type("Long", (ListSource,), {"__iter__": lambda self, s=sets: s(),
                                                        "__len__": lambda self, n=n: n})
        tracemalloc.start()
        record(source, tmp_path / f"bag{n}")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        tracemalloc.start()
        assert sum(1 for _ in open_source(tmp_path / f"bag{n}")) == n
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < peaks[0] + 3e6 and peaks[3] < peaks[1] + 3e6


class TestRules:
    def messages(self, bag, topic):
        from lsm_ros.datasets.bagfile import BagFile

        file = BagFile(bag)
        found = [(log_ns, message) for _, log_ns, message in file.messages([topic])]
        file.close()
        return found

    def test_the_quality_of_jpeg_does_not_matter_without_jpeg(self, tmp_path):
        assert record(ListSource([frame_set(START)]), tmp_path / "bag", jpeg_quality=0).frame_sets == 1

    def test_progress_and_length_of_a_limited_recording(self, tmp_path):
        calls = []
        source = ListSource([frame_set(START + k * 10**9) for k in range(5)])
        done = record(source, tmp_path / "bag", limit=3, progress=lambda *a: calls.append(a))
        assert calls == [(1, 3), (2, 3), (3, 3)] and done.frame_sets == 3
        assert (done.duration_s, done.stamp_offset_ns) == (2.0, 0)

    def test_true_poses_from_before_the_first_image_are_left_out_and_those_between_are_kept(self, tmp_path):
        source = ListSource([frame_set(START + k * 10**9) for k in range(2)])
        source.ground_truth = [TrajectoryPose(START + ms * 10**6, np.eye(4)) for ms in (-500, 0, 500, 1000, 1500)]
        record(source, tmp_path / "bag")
        written = self.messages(tmp_path / "bag", "/ground_truth")
        assert [stamp_of(m.header) - START for _, m in written] == [0, 5 * 10**8, 10**9]

    def test_what_has_one_stamp_has_growing_times_of_recording(self, tmp_path, room):
        record(room, tmp_path / "bag")
        from lsm_ros.datasets.bagfile import BagFile

        file = BagFile(tmp_path / "bag")
        times = [log_ns for _, log_ns, _ in file.messages([t.name for t in file.topics])]
        file.close()
        assert len(times) > 20 and all(a < b for a, b in zip(times, times[1:], strict=False))

    def test_fixed_frames_and_names_are_latched_and_come_once(self, tmp_path, room):
        record(room, tmp_path / "bag")
        assert len(self.messages(tmp_path / "bag", "/tf_static")) == 1
        assert len(self.messages(tmp_path / "bag", "/front/label_info")) == 1
        about = yaml.safe_load((tmp_path / "bag" / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
        topics = [t["topic_metadata"] for t in about["topics_with_message_count"]]
        durability = {t["name"]: yaml.safe_load(t["offered_qos_profiles"])[0]["durability"] for t in topics}
        assert {name for name, value in durability.items() if value == 1} == {  # transient local
            "/tf_static", "/front/label_info", "/rear/label_info"}
