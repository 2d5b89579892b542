# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""TUM RGB-D folders and trajectory files."""
import cv2
import numpy as np
import pytest
from PIL import Image

from lsm_ros.datasets import TumSource, open_source
from lsm_ros.datasets.imu import ImuData, write_imu
from lsm_ros.datasets.tum import nearest_partners, read_tum, write_tum
from lsm_ros.geometry.lie import make_se3, se3_exp
from lsm_ros.types import TrajectoryPose

RNG = np.random.default_rng(3)


@pytest.fixture
def folder(tmp_path):
    """Three images; depth for the first and third, 5 ms late; labels for the second; poses; a camera."""
    (tmp_path / "rgb").mkdir()
    for i in range(3):
        cv2.imwrite(str(tmp_path / f"rgb/{i}.png"), np.full((6, 8, 3), (10 * i, 20, 30), np.uint8))
    cv2.imwrite(str(tmp_path / "d0.png"), np.full((6, 8), 1500, np.uint16))
    cv2.imwrite(str(tmp_path / "d2.png"), np.full((6, 8), 2500, np.uint16))
    cv2.imwrite(str(tmp_path / "l1.png"), np.array([[0, 3, 255, 7] * 2] * 6, np.uint8))
    (tmp_path / "rgb.txt").write_text("# colour\n10.00 rgb/0.png\n10.10 rgb/1.png\n10.20 rgb/2.png\n")
    (tmp_path / "depth.txt").write_text("10.005 d0.png\n10.205 d2.png\n")
    (tmp_path / "labels.txt").write_text("10.10 l1.png\n")
    (tmp_path / "label_space.yaml").write_text("0: wall\n3: chair\n7: table\n65535: unlabelled\n")
    (tmp_path / "groundtruth.txt").write_text("10.0 1 2 3 0 0 0 1\n10.2 1 2 4 0 0 0.70710678 0.70710678\n")
    (tmp_path / "camera.yaml").write_text("{image_width: 8, image_height: 6, fx: 9, fy: 9.5, cx: 4, cy: 3, "
                                          "depth_scale: 0.001}")
    return tmp_path


class TestTumSource:
    def test_frames(self, folder):
        source = open_source(folder)
        frames = [fs.frames[0] for fs in source]
        assert isinstance(source, TumSource) and len(source) == 3 and source.cameras == ["camera"]
        assert [f.stamp_ns for f in frames] == [10_000_000_000, 10_100_000_000, 10_200_000_000]
        assert frames[2].image[0, 0].tolist() == [30, 20, 20]
        assert [f.depth is not None for f in frames] == [True, False, True]
        np.testing.assert_allclose(frames[0].depth, 1.5)
        np.testing.assert_allclose(frames[2].depth, 2.5)
        assert (frames[0].intrinsics.fx, frames[0].intrinsics.fy) == (9.0, 9.5)
        assert source.warnings == []

    def test_labels(self, folder):
        frames = [fs.frames[0] for fs in open_source(folder)]
        assert frames[0].labels is None and frames[0].label_space is None
        assert frames[1].labels[0].tolist() == [0, 3, 65535, 7] * 2
        assert frames[1].label_space.names == {0: "wall", 3: "chair", 7: "table"}

    @pytest.mark.parametrize(("stamps", "is_said"), [
        ((10.0, 10.1, 10.2, 10.25), False),  # one of four is far
        ((10.0, 10.03, 10.06, 10.13, 10.16), True),  # one of five is not
        ((10.0, 10.001, 10.002, 10.003, 10.004, 10.005, 10.006), False)])  # all are near, though one image alone has depth
    def test_files_that_find_no_image_are_spoken_of_where_most_are_too_far(self, folder, stamps, is_said):
        (folder / "depth.txt").write_text("".join(f"{s:.3f} d0.png\n" for s in stamps))
        source = open_source(folder)
        assert any("depth.txt find no image" in w for w in source.warnings) == is_said

    def test_depth_of_eight_bits_is_left_out_and_said(self, folder):
        cv2.imwrite(str(folder / "d0.png"), np.full((6, 8), 150, np.uint8))
        source = open_source(folder)
        assert [fs.frames[0].depth is not None for fs in source] == [False, False, True]
        assert any("d0.png has values of uint8; depth needs 16 bits" in w for w in source.warnings)

    def test_depth_without_a_value_says_nothing_of_its_unit(self, folder):
        (folder / "camera.yaml").unlink()
        cv2.imwrite(str(folder / "d0.png"), np.zeros((6, 8), np.uint16))
        source = open_source(folder)
        list(source)
        (said,) = [w for w in source.warnings if "1/5000" in w]
        assert "0.5 m away; were it millimetres, 2.5 m" in said

    def test_odometry_without_a_line_is_none(self, folder):
        (folder / "odometry.txt").write_text("# stamp tx ty tz qx qy qz qw\n")
        source = open_source(folder)
        assert [fs.T_odom_base for fs in source] == [None] * 3 and source.warnings == []

    def test_what_of_a_calibration_is_not_used_is_said(self, folder):
        (folder / "camera.yaml").write_text("{image_width: 8, image_height: 6, depth_scale: 0.001, "
                                            "camera_matrix: {data: [9, 0.4, 4, 0, 9, 3, 0, 0, 1]}}")
        assert [w for w in open_source(folder).warnings if "skew" in w] == ["camera.yaml: its skew of 0.4 px is ignored"]

    def test_ground_truth_is_of_the_body(self, folder):
        source = open_source(folder)
        T = source.ground_truth[0].T_map_rig
        np.testing.assert_allclose(T[:3, 3], [1, 2, 3])
        np.testing.assert_allclose(T[:3, 0], [0, 0, 1], atol=1e-12)  # the body's x axis is the camera's z axis
        rig_cam = next(iter(source)).T_rig_cam["camera"]
        np.testing.assert_allclose(T @ rig_cam, make_se3(np.eye(3), [1, 2, 3]), atol=1e-12)

    def test_without_camera(self, folder):
        (folder / "camera.yaml").unlink()
        frame = next(iter(open_source(folder))).frames[0]
        assert frame.intrinsics is None
        np.testing.assert_allclose(frame.depth, 1500 / 5000)

    def test_ros_calibration(self, folder):
        (folder / "camera.yaml").write_text(
            "image_width: 8\nimage_height: 6\ncamera_matrix: {rows: 3, cols: 3, data: [9, 0, 4, 0, 8, 3, 0, 0, 1]}\n"
            "distortion_model: plumb_bob\ndistortion_coefficients: {data: [0.1, 0, 0, 0, 0]}\n")
        camera = next(iter(open_source(folder))).frames[0].intrinsics
        assert (camera.fy, camera.D) == (8.0, (0.1, 0, 0, 0, 0))

    def test_max_dt(self, folder):
        assert all(fs.frames[0].depth is None for fs in open_source(folder, max_dt=0.001))

    def test_missing_and_broken_images_are_reported(self, folder):
        (folder / "rgb/1.png").unlink()
        (folder / "d2.png").write_bytes(b"no png")
        source = open_source(folder)
        assert len(list(source)) == 2
        assert len(source.warnings) == 2 and "1.png" in source.warnings[0] and "d2.png" in source.warnings[1]

    @pytest.mark.parametrize("name, text, named", [
        ("rgb.txt", "abc rgb/0.png\n", "abc"), ("rgb.txt", "1.0\n", "line 1"), ("rgb.txt", "# none\n", "no images"),
        ("camera.yaml", "{image_width: 640, image_height: 480, fx: 9, fy: 9, cx: 4, cy: 3}", "640x480"),
        ("camera.yaml", "{fx: 9}", "image_width"), ("camera.yaml", "[1", "not YAML"), ("camera.yaml", "3", "expected"),
        ("camera.yaml", "{image_width: 8, image_height: 6, fx: -1, fy: 9, cx: 4, cy: 3}", "fx"),
        ("camera.yaml", "{image_width: 8, image_height: 6, fx: 9, fy: 9, cx: 4, cy: 3, depth_scale: 0}", "depth_scale"),
        ("label_space.yaml", "70000: x\n", "70000"),
    ])
    def test_bad_files(self, folder, name, text, named):
        (folder / name).write_text(text)
        with pytest.raises(ValueError, match=named) as error:
            open_source(folder)
        assert str(folder) in str(error.value)

    @pytest.mark.parametrize("text", ["1 2 3\n", "1 0 0 0 0 0 0 0\n", "\xff"])
    def test_a_broken_truth_is_left_out(self, folder, text):
        (folder / "groundtruth.txt").write_text(text, encoding="latin-1")
        source = open_source(folder)
        assert source.ground_truth is None and len(list(source)) == 3
        assert any("the ground truth is left out" in w and "groundtruth.txt" in w for w in source.warnings)

    def test_names_with_spaces_commas_and_comments(self, folder):
        for i, name in enumerate(("a b.png", "c #1.png", "d, e.png")):
            (folder / f"rgb/{i}.png").rename(folder / "rgb" / name)
        (folder / "rgb.txt").write_text("# list\n\n10.00 rgb/a b.png\n10.10,rgb/c #1.png\n10.20 rgb/d, e.png  # the last\n")
        source = open_source(folder)
        assert len(list(source)) == 3 and source.warnings == []

    def test_further_columns(self, folder):
        (folder / "rgb.txt").write_text("10.00 rgb/0.png 10.005 d0.png\n10.10 rgb/1.png 10.1 x\n")
        assert len(list(open_source(folder))) == 2

    @pytest.mark.parametrize("name", ["rgb.txt", "depth.txt", "groundtruth.txt", "camera.yaml"])
    def test_a_mark_of_the_byte_order(self, folder, name):
        (folder / name).write_bytes(b"\xef\xbb\xbf" + (folder / name).read_bytes())
        source = open_source(folder)
        frames = [fs.frames[0] for fs in source]
        assert len(frames) == 3 and frames[0].depth is not None and source.warnings == []

    def test_bytes_that_are_no_text_name_the_file(self, folder):
        (folder / "rgb.txt").write_bytes(b"10.0 rgb/\xff.png\n")
        with pytest.raises(ValueError, match="rgb.txt is no text in UTF-8"):
            open_source(folder)

    def test_stamps_that_go_back_and_repeat_are_said(self, folder):
        (folder / "rgb.txt").write_text("10.20 rgb/2.png\n10.00 rgb/0.png\n10.10 rgb/1.png\n10.10 rgb/0.png\n")
        source = open_source(folder)
        assert [fs.stamp_ns for fs in source] == [10_000_000_000, 10_100_000_000, 10_200_000_000] and len(source) == 4
        assert any("stamps of rgb.txt go back: line 2" in w for w in source.warnings)
        assert any("stamps of rgb.txt repeat" in w for w in source.warnings)

    def test_stamps_in_nanoseconds(self, folder):
        (folder / "rgb.txt").write_text("1403636579763555584 rgb/0.png\n1403636579813555456.000000 rgb/1.png\n")
        assert [fs.stamp_ns for fs in open_source(folder)] == [1403636579763555584, 1403636579813555456]

    def test_an_assumed_unit_of_depth_is_said(self, folder):
        (folder / "camera.yaml").unlink()
        source = open_source(folder)
        list(source)
        assert any("1/5000 m" in w and "0.3 m" in w and "1.5 m" in w for w in source.warnings)

    def test_an_image_of_another_size(self, folder):
        (folder / "camera.yaml").unlink()
        cv2.imwrite(str(folder / "rgb/0.png"), np.zeros((3, 4, 3), np.uint8))
        source = open_source(folder)
        assert len(list(source)) == 2 and any("other size" in w and "rgb/0.png, 4x3" in w for w in source.warnings)

    def test_labels_with_a_palette_are_numbers(self, folder):
        image = Image.fromarray(np.array([[0, 3, 255, 7] * 2] * 6, np.uint8), "P")
        image.putpalette([200, 10, 30] * 256)
        image.save(folder / "l1.png")
        assert [fs.frames[0] for fs in open_source(folder)][1].labels[0].tolist() == [0, 3, 65535, 7] * 2

    def test_unknown_option(self, folder):
        with pytest.raises(ValueError, match="speed.*max_dt"):
            open_source(folder, speed=3)

    def test_red_kitchen(self, redkitchen):
        source = open_source(redkitchen)
        assert len(source) == 500 and len(source.ground_truth) == 500
        frames = [fs.frames[0] for fs, _ in zip(source, range(4), strict=False)]
        assert [f.depth is not None for f in frames] == [True, False, True, False]
        assert frames[0].image.shape == (480, 640, 3) and frames[0].intrinsics.fx == 525
        known = frames[0].depth[frames[0].depth > 0]
        assert known.size > 50_000 and 0.3 < np.median(known) < 5

    def test_depth_of_a_sequence_agrees_with_its_poses(self, sequence):
        """Depth of a frame, moved by the ground truth, lies on the depth of a later one: frames are right."""
        source = open_source(sequence)
        sets = [fs for i, fs in zip(range(21), source, strict=False) if i in (0, 20)]
        (T_a, T_b) = (source.ground_truth[i].T_map_rig for i in (0, 20))
        a, b = (fs.frames[0] for fs in sets)
        (camera,) = source.cameras
        T_b_a = np.linalg.inv(T_b @ sets[1].T_rig_cam[camera]) @ T_a @ sets[0].T_rig_cam[camera]
        points = (a.intrinsics.rays(unit=False) * a.depth[..., None])[a.depth > 0] @ T_b_a[:3, :3].T + T_b_a[:3, 3]
        pixels, valid = b.intrinsics.project(points)
        inside = valid & b.intrinsics.contains(pixels)
        u, v = np.rint(pixels[inside]).astype(int).T
        seen = b.depth[v, u]
        error = np.abs(seen - points[inside, 2])[seen > 0]
        assert error.size > 10_000 and np.median(error) < 0.03


class TestRig:
    """A folder whose camera sits on a robot, with odometry, an IMU and a second camera."""

    MOUNT = np.array([[0, -0.2, 0.98, 0.1], [-1, 0, 0, 0], [0, -0.98, -0.2, 1.1], [0, 0, 0, 1]])

    @pytest.fixture
    def rig(self, folder):
        self.MOUNT[:3, :3] = np.linalg.svd(self.MOUNT[:3, :3])[0] @ np.linalg.svd(self.MOUNT[:3, :3])[2]
        rear = self.MOUNT.copy()
        rear[:3, :3] = np.diag([-1, -1, 1]) @ rear[:3, :3]
        plain = "{image_width: 8, image_height: 6, fx: 9, fy: 9.5, cx: 4, cy: 3, depth_scale: 0.001"
        (folder / "rear").mkdir()
        for i in (0, 2):
            cv2.imwrite(str(folder / f"rear/{i}.png"), np.full((6, 8, 3), 50 + i, np.uint8))
        (folder / "rear" / "rgb.txt").write_text("10.003 0.png\n10.201 2.png\n")
        (folder / "rear" / "camera.yaml").write_text(f"{plain}, T_rig_cam: {rear.tolist()}}}")
        (folder / "camera.yaml").write_text(f"{plain}, camera: front, rig_is_base: true, other_cameras: [rear], "
                                            f"T_rig_cam: {self.MOUNT.tolist()}}}")
        (folder / "odometry.txt").write_text("10.0 0 0 0 0 0 0 1\n10.2 2 0 0 0 0 0 1\n")
        return folder, rear

    def test_poses_are_of_the_base(self, rig):
        source = open_source(rig[0])
        assert source.cameras == ["front", "rear"]
        T_world_cam = make_se3(np.eye(3), [1, 2, 3])  # as in groundtruth.txt
        np.testing.assert_allclose(source.ground_truth[0].T_map_rig @ self.MOUNT, T_world_cam, atol=1e-12)
        first = next(iter(source))
        assert first.rig_is_base
        np.testing.assert_allclose(first.T_rig_cam["front"], self.MOUNT)
        np.testing.assert_allclose(first.T_rig_cam["rear"], rig[1])

    def test_odometry_is_interpolated_and_not_extrapolated(self, rig):
        (rig[0] / "rgb.txt").write_text("10.00 rgb/0.png\n10.05 rgb/1.png\n10.30 rgb/2.png\n")
        source = open_source(rig[0])
        found = [fs.T_odom_base for fs in source]
        np.testing.assert_allclose(found[1][:3, 3], [0.5, 0, 0], atol=1e-9)
        assert found[2] is None and any("without odometry" in w for w in source.warnings)

    def test_cameras_of_one_instant_come_together(self, rig):
        sets = list(open_source(rig[0]))
        assert [[f.camera for f in fs.frames] for fs in sets] == [["front", "rear"], ["front"], ["front", "rear"]]
        assert sets[2].frames[1].image[0, 0, 0] == 52 and sets[2].frames[1].stamp_ns == 10_201_000_000
        (rig[0] / "rgb/0.png").unlink()
        source = open_source(rig[0])
        assert [[f.camera for f in fs.frames] for fs in source] == [["rear"], ["front"], ["front", "rear"]]
        assert any("0.png" in w for w in source.warnings)

    @pytest.mark.parametrize("text, named", [("T_rig_cam: [1, 2]", "T_rig_cam"), ("other_cameras: [../x]", r"\.\./x"),
                                             ("other_cameras: [rear], camera: rear", "names of their own")])
    def test_bad_rigs(self, rig, text, named):
        (rig[0] / "camera.yaml").write_text(f"{{image_width: 8, image_height: 6, fx: 9, fy: 9, cx: 4, cy: 3, {text}}}")
        with pytest.raises(ValueError, match=named):
            open_source(rig[0])

    def test_imu(self, rig):
        stamps = 10**18 + np.arange(7) * 5_000_001
        T_rig_imu = se3_exp(RNG.normal(size=6))
        imu = ImuData(stamps, RNG.normal(size=(7, 3)), RNG.normal(size=(7, 3)), T_rig_imu)
        write_imu(rig[0] / "imu.csv", imu)
        back = open_source(rig[0]).imu
        np.testing.assert_array_equal(back.stamps_ns, stamps)
        np.testing.assert_allclose(back.angular_velocity, imu.angular_velocity, rtol=1e-8)
        np.testing.assert_allclose(back.specific_force, imu.specific_force, rtol=1e-8)
        np.testing.assert_allclose(back.T_rig_imu, T_rig_imu, atol=1e-8)

    @pytest.mark.parametrize("line", ["1.5,0,0,0,0,0,0", "1,0,0,0", "1,0,0,0,0,0,nan", "stamp,a,b,c,d,e,f"])
    def test_bad_imu(self, rig, line):
        (rig[0] / "imu.csv").write_text(f"# {line}\n{line}\n")
        with pytest.raises(ValueError, match="line 2"):
            open_source(rig[0])


class TestTrajectoryFiles:
    def test_round_trip(self, tmp_path):
        start = 1_700_000_000_123_456_789
        poses = [TrajectoryPose(start + i * 100_000_007, se3_exp(RNG.normal(size=6))) for i in range(9)]
        write_tum(tmp_path / "t.tum", poses, "poses")
        back = read_tum(tmp_path / "t.tum")
        assert [p.stamp_ns for p in back] == [p.stamp_ns for p in poses]
        for a, b in zip(poses, back, strict=True):
            np.testing.assert_allclose(a.T_map_rig, b.T_map_rig, atol=2e-6)

    def test_order_of_columns(self, tmp_path):
        (tmp_path / "t.tum").write_text("2.5 1 2 3 0 0 1 0\n")  # half a turn about z
        (pose,) = read_tum(tmp_path / "t.tum")
        assert pose.stamp_ns == 2_500_000_000
        expected = [[-1, 0, 0, 1], [0, -1, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]]
        np.testing.assert_allclose(pose.T_map_rig, expected, atol=1e-12)

    def test_missing(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="no.tum"):
            read_tum(tmp_path / "no.tum")


def test_nearest_partners_are_given_once():
    stamps = [0, 33, 66]
    assert nearest_partners(stamps, [(20, "a"), (30, "b"), (50, "c"), (200, "d")], 20) == {1: "b", 2: "c"}
    assert nearest_partners(stamps, [(31, "a"), (34, "b")], 20) == {1: "b"}
