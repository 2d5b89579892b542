# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Trajectory files of other programs: columns by their header, stamps in other units."""
import numpy as np
import pytest

from lsm_ros.datasets.trajectories import read_tum
from lsm_ros.geometry.lie import matrix_to_quat

Q = (0.5, -0.5, 0.1, 0.7)  # x y z w, not of unit length


def read(path, text):
    path.write_text(text)
    (pose,) = read_tum(path)
    return pose.stamp_ns, pose.T_map_rig[:3, 3].tolist(), matrix_to_quat(pose.T_map_rig[:3, :3])


@pytest.mark.parametrize("text", [
    "1.5 1 2 3 0.5 -0.5 0.1 0.7", "1.5,1,2,3,0.5,-0.5,0.1,0.7",
    "# timestamp tx ty tz qx qy qz qw\n1.5 1 2 3 0.5 -0.5 0.1 0.7",
    "#timestamp [s], p_RS_R_x [m], p_RS_R_y [m], p_RS_R_z [m], q_RS_w [], q_RS_x [], q_RS_y [], q_RS_z []\n"
    "1.5,1,2,3,0.7,0.5,-0.5,0.1",
    "#timestamp [ns], p_RS_R_x [m], p_RS_R_y [m], p_RS_R_z [m], q_RS_w [], q_RS_x [], q_RS_y [], q_RS_z [], v_RS_R_x [m s^-1], "
    "b_w_RS_S_x [rad s^-1]\n1500000000,1,2,3,0.7,0.5,-0.5,0.1,9,9",
    "# stamp tx ty tz qw qx qy qz\n1.5 1 2 3 0.7 0.5 -0.5 0.1", "time,qw,qx,qy,qz,x,y,z\n1.5,0.7,0.5,-0.5,0.1,1,2,3",
    "timestamp [ms],x,y,z,qx,qy,qz,qw\n"
    "1500,1,2,3,0.5,-0.5,0.1,0.7",
    "# written for the first camera in the map; stamp tx ty tz qx qy qz qw\n1.5 1 2 3 0.5 -0.5 0.1 0.7",
], ids=["tum", "commas", "named", "euroc s", "euroc", "w first", "csv", "milliseconds", "sentence"])
def test_columns(tmp_path, text):
    stamp_ns, position, quat = read(tmp_path / "a.txt", text)
    assert stamp_ns == 1_500_000_000 and position == [1, 2, 3]
    expected = np.array(Q) / np.linalg.norm(Q)
    np.testing.assert_allclose(quat * np.sign(quat @ expected), expected, atol=1e-12)


@pytest.mark.parametrize("stamp", ["1403636579763555584", "1403636579763555584.000000"])
def test_nanoseconds_are_recognized(tmp_path, stamp):
    assert read(tmp_path / "a.txt", f"{stamp} 1 2 3 0 0 0 1")[0] == 1403636579763555584


@pytest.mark.parametrize("stamp", ["1403636579763", "1403636579763555", "1e30", "99999999999999999999"])
def test_what_is_no_time_is_refused_with_its_line(tmp_path, stamp):
    (tmp_path / "a.txt").write_text(f"# x\n{stamp} 1 2 3 0 0 0 1\n")
    with pytest.raises(ValueError, match=f"a.txt, line 2.*{stamp}"):
        read_tum(tmp_path / "a.txt")


def test_more_columns_without_names_are_refused(tmp_path):
    (tmp_path / "a.txt").write_text("1.5 1 2 3 0.7 0.5 -0.5 0.1 9 9 9\n")
    with pytest.raises(ValueError, match="line 1"):
        read_tum(tmp_path / "a.txt")


class TestRules:
    def write(self, path, *lines):
        path.write_text("\n".join(lines) + "\n")
        return path

    def test_poses_are_in_order_of_stamps(self, tmp_path):
        file = self.write(tmp_path / "t.tum", "2 2 0 0 0 0 0 1", "1 1 0 0 0 0 0 1", "3 3 0 0 0 0 0 1")
        assert [(p.stamp_ns, p.T_map_rig[0, 3]) for p in read_tum(file)] == [(n * 10**9, float(n)) for n in (1, 2, 3)]

    @pytest.mark.parametrize("stamp", ["inf", "1e400", "-inf", "nan", "1e10", "-1e10", "99999999999999999999999"])
    def test_a_stamp_that_is_none_names_its_line(self, tmp_path, stamp):
        file = self.write(tmp_path / "t.tum", "1 0 0 0 0 0 0 1", f"{stamp} 0 0 0 0 0 0 1")
        with pytest.raises(ValueError, match=r"t\.tum, line 2: expected stamp tx ty tz"):
            read_tum(file)

    def test_a_row_shorter_than_the_header_names_its_line(self, tmp_path):
        file = self.write(tmp_path / "t.csv", "#timestamp [ns],x,y,z,qw,qx,qy,qz", "1000,1,2,3,1,0,0,0", "2000,1,2,3")
        with pytest.raises(ValueError, match=r"t\.csv, line 3: .*it is no pose"):
            read_tum(file)

    def test_a_comment_between_poses_is_no_header(self, tmp_path):
        file = self.write(tmp_path / "t.tum", "1 1 2 3 0 0 0.6 0.8", "# time x y z qw qx qy qz", "2 1 2 3 0 0 0.6 0.8")
        first, second = read_tum(file)
        np.testing.assert_allclose(first.T_map_rig, second.T_map_rig)
