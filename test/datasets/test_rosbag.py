# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Bags written message by message: finding topics, grouping, transforms, and everything that can be wrong in them."""
import numpy as np
import pytest
from helpers.bags import CAMERA, COMPRESSED, IMAGE, INFO, LABELS, OPTICAL, TF, BagMaker, S, image, make, shade, write_images

from lsm_ros.datasets import RosbagSource, open_source
from lsm_ros.geometry.camera import CameraIntrinsics
from lsm_ros.geometry.lie import make_se3, so3_exp
from lsm_ros.images.codecs import encode_jpeg, encode_png
from lsm_ros.types import LabelSpace

pytest.importorskip("rosbags", reason="rosbags is not installed (pip install rosbags)")


@pytest.fixture(params=["mcap", "sqlite3"])
def storage(request):
    return request.param


class TestReading:
    def test_images_and_calibration(self, tmp_path, storage):
        source = open_source(write_images(tmp_path / "bag", storage=storage))
        sets = list(source)
        assert isinstance(source, RosbagSource) and source.cameras == ["front"] and len(source) == 4
        assert source.topics == {"front": {"image": "/front/image", "camera_info": "/front/camera_info"}}
        assert [fs.stamp_ns for fs in sets] == [S * i for i in (1, 2, 3, 4)]
        np.testing.assert_array_equal(sets[2].frames[0].image, shade(3))
        assert sets[0].frames[0].intrinsics == CAMERA and sets[0].frames[0].frame_id == "cam_optical"
        assert source.warnings == [] and source.ground_truth is None
        assert [fs.stamp_ns for fs in source] == [fs.stamp_ns for fs in sets]  # a second time

    @pytest.mark.parametrize("suffix", ["mcap", "db3"])
    def test_a_file_by_itself(self, tmp_path, suffix):
        folder = write_images(tmp_path / "bag", storage="mcap" if suffix == "mcap" else "sqlite3")
        (file,) = folder.glob(f"*.{suffix}")
        assert len(list(open_source(file))) == 4
        (folder / "metadata.yaml").unlink()
        assert len(list(open_source(folder))) == 4
        odd = file.rename(tmp_path / "recording.dat")  # by content, not by name
        source = open_source(odd)
        assert len(list(source)) == 4 and source.warnings == []

    def test_realsense_names(self, tmp_path):
        with BagMaker(tmp_path / "bag") as bag:
            for i in (1, 2):
                mm = np.full((12, 16), 1000 * i, np.uint16)
                bag.put("/camera/infra1/image_rect_raw", IMAGE, S * i, image(i, "mono8", "ir", shade(i)[..., 0]))
                bag.put("/camera/depth/image_rect_raw", IMAGE, S * i, image(i, "16UC1", "depth_optical", mm + 1))
                bag.put("/camera/color/camera_info", INFO, S * i, make.camera_info(S * i, "color_optical", CAMERA))
                bag.put("/camera/color/image_raw", IMAGE, S * i, image(i, frame="color_optical"))
                bag.put("/camera/color/image_raw/compressed", COMPRESSED, S * i,
                        make.compressed(S * i, "color_optical", encode_jpeg(shade(i)), "rgb8; jpeg compressed bgr8"))
                bag.put("/camera/aligned_depth_to_color/image_raw", IMAGE, S * i,
                        image(i, "16UC1", "color_optical", mm))
        source = open_source(tmp_path / "bag")
        assert source.topics == {"camera_color": {
            "image": "/camera/color/image_raw", "depth": "/camera/aligned_depth_to_color/image_raw",
            "camera_info": "/camera/color/camera_info"}}
        assert [fs.frames[0].depth[0, 0] for fs in source] == [1, 2]
        assert any("/camera/depth/image_rect_raw is left out" in w for w in source.warnings)
        chosen = open_source(tmp_path / "bag", depth_topic="/camera/depth/image_rect_raw")
        np.testing.assert_allclose([fs.frames[0].depth[0, 0] for fs in chosen], [1.001, 2.001])

    def test_compressed_depth_and_labels(self, tmp_path):
        mm, ids = np.full((12, 16), 1500, np.uint16), np.full((12, 16), 255, np.uint8)
        ids[:6] = 4
        with BagMaker(tmp_path / "bag") as bag:
            bag.put("/cam/label_info", LABELS, 0, make.label_info(0, "", LabelSpace({4: "chair"}, 0.25)))
            for i in (1, 2):
                bag.put("/cam/image/compressed", COMPRESSED, S * i,
                        make.compressed(S * i, "o", encode_png(shade(i)), "png"))
                bag.put("/cam/depth/compressedDepth", COMPRESSED, S * i,
                        make.compressed(S * i, "o", bytes(12) + encode_png(mm), "16UC1; compressedDepth png"))
                bag.put("/cam/labels", IMAGE, S * i, image(i, "mono8", "o", ids))
        source = open_source(tmp_path / "bag")
        frame = next(iter(source)).frames[0]
        np.testing.assert_array_equal(frame.image, shade(1))
        np.testing.assert_allclose(frame.depth, 1.5)
        assert frame.labels[0, 0] == 4 and frame.labels[11, 0] == 65535
        assert frame.label_space == LabelSpace({4: "chair"}, 0.25) and frame.intrinsics is None

    def test_two_cameras_are_grouped_and_one_may_die(self, tmp_path):
        with BagMaker(tmp_path / "bag") as bag:
            bag.put("/tf_static", TF, 0, make.transforms([make.transform(0, "base_link", "a", OPTICAL),
                                                          make.transform(0, "base_link", "b", OPTICAL)]))
            for i in range(1, 7):
                bag.put("/left/image", IMAGE, S * i, image(i, frame="a"))
                if i <= 3:
                    late = make.image(S * i + 4_000_000, "b", shade(i), "rgb8")
                    bag.put("/right/image", IMAGE, S * i + 50_000_000, late)
        source = open_source(tmp_path / "bag")
        sets = list(source)
        assert source.cameras == ["left", "right"]
        assert [[f.camera for f in fs.frames] for fs in sets] == [["left", "right"]] * 3 + [["left"]] * 3
        np.testing.assert_allclose(sets[0].T_rig_cam["right"], OPTICAL)

    def test_depth_is_slower_and_late(self, tmp_path):
        with BagMaker(tmp_path / "bag") as bag:
            for i in range(1, 9):
                bag.put("/cam/image", IMAGE, S * i, make.image(S * i // 10, "o", shade(i), "rgb8"))
                if i % 2 == 0:
                    mm = np.full((12, 16), 100 * i, np.uint16)
                    bag.put("/cam/depth", IMAGE, S * (i + 2.5), make.image(S * i // 10, "o", mm, "16UC1"))
        sets = list(open_source(tmp_path / "bag"))
        assert [0 if fs.frames[0].depth is None else round(float(fs.frames[0].depth[0, 0]), 3) for fs in sets] == \
            [0, 0.2, 0, 0.4, 0, 0.6, 0, 0.8]

    def test_small_depth_is_brought_to_the_image(self, tmp_path):
        with BagMaker(tmp_path / "bag") as bag:
            bag.put("/cam/image", IMAGE, S, image(1))
            bag.put("/cam/depth", IMAGE, S, image(1, "32FC1", array=np.full((6, 8), 2.0, np.float32)))
        (frame_set,) = open_source(tmp_path / "bag")
        assert frame_set.frames[0].depth.shape == (12, 16)


class TestTransforms:
    def write(self, path, base="base_link", odom=True, stamps=(0.5, 1.5, 2.5, 3.5)):
        with BagMaker(path) as bag:
            bag.put("/tf_static", TF, 0, make.transforms([
                make.transform(0, base, "mast", make_se3(np.eye(3), [0, 0, 1.0])),
                make.transform(0, "mast", "cam_optical", make_se3(OPTICAL[:3, :3], [0.1, 0, 0.1]))]))
            events = [(S * i, "/front/image", IMAGE, image(i)) for i in (1, 2, 3)]
            if odom:
                poses = [(t, make_se3(so3_exp([0, 0, 0.1 * t]), [t, 0, 0])) for t in stamps]
                events += [(int(S * t), "/tf", TF, make.transforms([make.transform(int(S * t), "odom", base, T)]))
                           for t, T in poses]
            for log_ns, topic, msgtype, message in sorted(events, key=lambda e: e[0]):
                bag.put(topic, msgtype, log_ns, message)
        return path

    def test_chain_and_interpolation(self, tmp_path):
        source = open_source(self.write(tmp_path / "bag"))
        sets = list(source)
        assert (source.base_frame, source.odom_frame) == ("base_link", "odom")
        np.testing.assert_allclose(sets[0].T_rig_cam["front"], OPTICAL, atol=1e-9)
        for fs, t in zip(sets, (1, 2, 3), strict=True):
            np.testing.assert_allclose(fs.T_odom_base, make_se3(so3_exp([0, 0, 0.1 * t]), [t, 0, 0]), atol=1e-9)
        assert source.warnings == ["front has no camera_info: it is taken as uncalibrated"]

    def test_nothing_is_extrapolated(self, tmp_path):
        source = open_source(self.write(tmp_path / "bag", stamps=(1.5, 2.5)))
        assert [fs.T_odom_base is not None for fs in source] == [False, True, False]
        assert any("without odometry (2 times)" in w for w in source.warnings)

    def test_images_far_apart_keep_their_odometry(self, tmp_path):
        """TF of a minute is not remembered, so an image does not wait for the next one."""
        with BagMaker(tmp_path / "bag") as bag:
            bag.put("/tf_static", TF, 0, make.transforms([make.transform(0, "base_link", "cam_optical", OPTICAL)]))
            for t in range(5, 1300):
                T = make_se3(np.eye(3), [t / 10, 0, 0])
                bag.put("/tf", TF, S * t // 10, make.transforms([make.transform(S * t // 10, "odom", "base_link", T)]))
                if t % 600 == 10:
                    bag.put("/front/image", IMAGE, S * t // 10 + 1, make.image(S * t // 10, "cam_optical", shade(1), "rgb8"))
        np.testing.assert_allclose([fs.T_odom_base[0, 3] for fs in open_source(tmp_path / "bag")], [1, 61, 121])

    def test_other_names(self, tmp_path):
        source = open_source(self.write(tmp_path / "bag", base="robot"), base_frame="robot")
        np.testing.assert_allclose(next(iter(source)).T_rig_cam["front"], OPTICAL, atol=1e-9)

    def test_without_base_the_rig_is_the_camera_body(self, tmp_path):
        source = open_source(self.write(tmp_path / "bag", base="robot"))
        fs = list(source)[1]
        assert source.base_frame == ""
        np.testing.assert_allclose(fs.T_rig_cam["front"][:3, 3], 0)
        np.testing.assert_allclose(fs.T_rig_cam["front"] @ [0, 0, 1, 0], [1, 0, 0, 0])
        np.testing.assert_allclose(fs.T_odom_base[:3, 3], [2 + 0.1 * np.cos(0.2), 0.1 * np.sin(0.2), 1.1], atol=1e-9)

    @pytest.mark.parametrize("option", ["base_frame", "odom_frame"])
    def test_missing_frames_are_named(self, tmp_path, option):
        self.write(tmp_path / "bag")
        with pytest.raises(ValueError, match="nonsense.*cam_optical|nonsense.*base_link"):
            open_source(tmp_path / "bag", **{option: "nonsense"})


class TestBadMessages:
    def read(self, tmp_path, messages):
        with BagMaker(tmp_path / "bag") as bag:
            for i, (topic, msgtype, message) in enumerate(messages):
                bag.put(topic, msgtype, S * (i + 1), message)
        source = open_source(tmp_path / "bag")
        return list(source), source.warnings

    @pytest.mark.parametrize("change, named", [
        ({"encoding": "rgb9"}, "rgb9"), ({"encoding": "rgba8"}, "rgba8"), ({"step": 7}, "step 7"),
        ({"width": 0}, "no pixels"), ({"height": 24}, "expected 1152"), ({"data": np.zeros(5, np.uint8)}, "got 5"),
    ])
    def test_lying_images_are_skipped_and_counted(self, tmp_path, change, named):
        bad = []
        for i in (2, 3):
            bad.append(image(i))
            for name, value in change.items():
                object.__setattr__(bad[-1], name, value)
        sets, warnings = self.read(tmp_path, [("/c/image", IMAGE, m) for m in (image(1), *bad, image(4))])
        assert [fs.stamp_ns for fs in sets] == [S, 4 * S]
        line = next(w for w in warnings if "/c/image skipped (2 times)" in w)
        assert named in line

    def test_bytes_that_do_not_parse(self, tmp_path):
        sets, warnings = self.read(tmp_path, [("/c/image", IMAGE, m) for m in (image(1), b"\0\1\0\0abc", image(3))])
        assert len(sets) == 2 and any("does not parse" in w for w in warnings)

    def test_stamps_that_go_back_repeat_or_leap(self, tmp_path):
        stamps = [1, 2, 2, 3, 1, 4, 9000, 5]
        messages = [make.image(S * s, "o", shade(s % 10), "rgb8") for s in stamps]
        sets, warnings = self.read(tmp_path, [("/c/image", IMAGE, m) for m in messages])
        assert [fs.stamp_ns // S for fs in sets] == [1, 2, 3, 4, 5]
        assert warnings == ["c has no camera_info: it is taken as uncalibrated",
                            f"image of c dropped: its stamp goes back or repeats: {2 * S} ns",
                            f"image of c dropped: its stamp leaps (2 times): {S} ns, recorded at {5 * S} ns"]

    def test_stamps_that_go_back_a_little_are_put_in_order(self, tmp_path):
        messages = [make.image(S // 10 * t, "o", shade(t), "rgb8") for t in (1, 3, 2, 4, 9, 5, 6)]
        sets, warnings = self.read(tmp_path, [("/c/image", IMAGE, m) for m in messages])
        assert [fs.stamp_ns // (S // 10) for fs in sets] == [1, 2, 3, 4, 5, 6, 9]
        assert not any("dropped" in w for w in warnings)

    def test_what_follows_a_jump_back_is_left_out_and_said(self, tmp_path):
        stamps = [100, 101, 102, 50, 51, 52, 53]
        sets, warnings = self.read(tmp_path, [("/c/image", IMAGE, make.image(S * s, "o", shade(1), "rgb8")) for s in stamps])
        assert [fs.stamp_ns // S for fs in sets] == [100, 101, 102]
        assert "image of c dropped: its stamp goes back or repeats (4 times): 50000000000 ns" in warnings
        assert any("stamps jump back" in w and "by 52.0 s" in w for w in warnings)

    def test_depth_and_labels_without_an_image_are_counted(self, tmp_path):
        with BagMaker(tmp_path / "bag") as bag:
            for i in range(1, 31):
                t = S // 10 * i
                bag.put("/c/image", IMAGE, t, make.image(t, "o", shade(1), "rgb8"))
                bag.put("/c/depth", IMAGE, t, make.image(t + 30_000_000, "o", np.ones((12, 16), np.uint16), "16UC1"))
                if i in (18, 20):  # of the images 1 and 20
                    ids = make.image(S // 10 * (1 if i == 18 else 20), "o", np.zeros((12, 16), np.uint8), "mono8")
                    bag.put("/c/labels", IMAGE, t, ids)
        source = open_source(tmp_path / "bag")
        sets = list(source)
        assert [fs.stamp_ns for fs in sets if fs.frames[0].labels is not None] == [2 * S]
        assert not any(fs.frames[0].depth is not None for fs in sets)
        assert "depth of c dropped: no image within sync_slop_ms lacks it (30 times): 130000000 ns" in source.warnings
        assert "labels of c dropped: it came too late for its image; raise wait_ms: 100000000 ns" in source.warnings
        assert len([fs for fs in open_source(tmp_path / "bag", wait_ms=2000) if fs.frames[0].labels is not None]) == 2
        assert all(fs.frames[0].depth is not None for fs in open_source(tmp_path / "bag", sync_slop_ms=30.0))

    def test_zero_stamps_take_the_time_of_recording(self, tmp_path):
        sets, warnings = self.read(tmp_path, [("/c/image", IMAGE, make.image(0, "o", shade(1), "rgb8"))] * 2)
        assert [fs.stamp_ns for fs in sets] == [S, 2 * S] and any("are 0" in w for w in warnings)

    @pytest.mark.parametrize("change, named", [
        ({"k": np.zeros(9)}, "K of zero"), ({"k": np.full(9, np.nan)}, "not finite"), ({"width": 5}, "another size"),
        ({"distortion_model": "magic", "d": np.ones(3)}, "magic"),
    ])
    def test_bad_calibration_means_uncalibrated(self, tmp_path, change, named):
        info = make.camera_info(S, "o", CAMERA)
        for name, value in change.items():
            object.__setattr__(info, name, value)
        sets, warnings = self.read(tmp_path, [("/c/camera_info", INFO, info), ("/c/image", IMAGE, image(2))])
        assert sets[0].frames[0].intrinsics is None
        assert any(named in w for w in warnings)

    def test_calibration_and_size_may_change(self, tmp_path):
        other = CameraIntrinsics(8, 6, 5.0, 5.0, 3.5, 2.5)
        sets, warnings = self.read(tmp_path, [
            ("/c/camera_info", INFO, make.camera_info(S, "o", CAMERA)), ("/c/image", IMAGE, image(2)),
            ("/c/camera_info", INFO, make.camera_info(3 * S, "o", other)),
            ("/c/image", IMAGE, image(4, array=np.zeros((6, 8, 3), np.uint8)))])
        assert [fs.frames[0].intrinsics for fs in sets] == [CAMERA, other] and warnings == []

    def test_depth_of_another_view_is_left_out(self, tmp_path):
        depth = make.image(S, "o", np.ones((12, 12), np.uint16), "16UC1")
        sets, warnings = self.read(tmp_path, [("/c/image", IMAGE, image(1)), ("/c/depth", IMAGE, depth)])
        assert sets[0].frames[0].depth is None and any("12x12" in w for w in warnings)


class TestBadBags:
    def test_without_images(self, tmp_path):
        with BagMaker(tmp_path / "bag") as bag:
            bag.put("/c/camera_info", INFO, S, make.camera_info(S, "o", CAMERA))
        with pytest.raises(ValueError, match="no camera images.*/c/camera_info"):
            open_source(tmp_path / "bag")

    def test_without_messages(self, tmp_path, storage):
        with BagMaker(tmp_path / "bag", storage) as bag:
            bag.topic("/c/image", IMAGE)
        with pytest.raises(ValueError, match="empty|cannot be read") as error:
            open_source(tmp_path / "bag")
        assert str(tmp_path / "bag") in str(error.value)

    def test_unknown_topic(self, tmp_path):
        write_images(tmp_path / "bag")
        with pytest.raises(ValueError, match="'/rear/image'.*/front/image"):
            open_source(tmp_path / "bag", image_topic="/rear/image")

    @pytest.mark.parametrize("share", [0.6, 0.95])
    @pytest.mark.parametrize("alone", [False, True])
    def test_truncated(self, tmp_path, storage, share, alone):
        folder = tmp_path / "bag"
        with BagMaker(folder, storage) as bag:
            for i in range(1, 41):
                noise = np.random.default_rng(i).integers(0, 255, (120, 160, 3), dtype=np.uint8)
                bag.put("/c/camera_info", INFO, S * i, make.camera_info(S * i, "o", CAMERA.resize(160, 120)))
                bag.put("/c/image", IMAGE, S * i + 1, make.image(S * i, "o", noise, "rgb8"))
        (file,) = [f for f in folder.iterdir() if f.suffix in (".mcap", ".db3")]
        file.write_bytes(file.read_bytes()[:int(file.stat().st_size * share)])
        source = open_source(file if alone else folder)
        sets = list(source)
        assert 40 * share * 0.9 < len(sets) <= 40
        expected = np.random.default_rng(len(sets)).integers(0, 255, (120, 160, 3), dtype=np.uint8)
        np.testing.assert_array_equal(sets[-1].frames[0].image, expected)
        assert sets[0].frames[0].intrinsics is not None
        assert any("damaged" in w and file.stem in w for w in source.warnings)

    @pytest.mark.parametrize("name, head", [("a.mcap", b"\x89MCAP0\r\n"), ("a.db3", b"SQLite format 3\0"),
                                            ("b.mcap", b"hi")])
    def test_rubbish(self, tmp_path, name, head):
        (tmp_path / name).write_bytes(head + bytes(range(256)) * 20)
        with pytest.raises(ValueError, match=name):
            open_source(tmp_path / name)

    def test_broken_metadata(self, tmp_path):
        """The messages are there, so they are read; that metadata.yaml is no use is told."""
        folder = write_images(tmp_path / "bag")
        (folder / "metadata.yaml").write_text("rosbag2_bagfile_information: [")
        source = open_source(folder)
        assert len(list(source)) == 4 and any("damaged" in w for w in source.warnings)

    def test_ros1(self, tmp_path):
        (tmp_path / "old.bag").write_bytes(b"#ROSBAG V2.0\n" + bytes(50))
        with pytest.raises(ValueError, match="ROS 1.*rosbags-convert"):
            open_source(tmp_path / "old.bag")
