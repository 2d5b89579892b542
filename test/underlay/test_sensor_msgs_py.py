# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Point clouds read and written: layouts, byte order, padding, NaN, and what is refused."""

import array
import importlib
import importlib.util
import sys
import time
from pathlib import Path

import numpy as np
import pytest

sensor_msgs = pytest.importorskip("sensor_msgs.msg")
std_msgs = pytest.importorskip("std_msgs.msg")
if importlib.util.find_spec("sensor_msgs_py") is None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "underlay" / "sensor_msgs_py"))
if "Stand-in" not in (importlib.import_module("sensor_msgs_py").__doc__ or ""):
    pytest.skip("the original sensor_msgs_py is installed, underlay/ is not in use", allow_module_level=True)
pc2 = importlib.import_module("sensor_msgs_py.point_cloud2")

PointField, PointCloud2 = sensor_msgs.PointField, sensor_msgs.PointCloud2
HEADER = std_msgs.Header(frame_id="map")


def field(name, offset, datatype=PointField.FLOAT32, count=1):
    return PointField(name=name, offset=offset, datatype=datatype, count=count)


XYZ = [field("x", 0), field("y", 4), field("z", 8)]
LABELLED = [*XYZ, field("rgb", 12, PointField.UINT32), field("label", 16, PointField.UINT16), field("confidence", 20)]


def labelled_points(count, byteorder="="):
    points = np.zeros(count, pc2.dtype_from_fields(LABELLED, 24).newbyteorder(byteorder))
    for k, name in enumerate(points.dtype.names):
        points[name] = np.arange(count) + 10 * k
    return points


class TestDtype:
    @pytest.mark.parametrize(("datatype", "dtype"), [
        (PointField.INT8, "i1"), (PointField.UINT8, "u1"), (PointField.INT16, "i2"), (PointField.UINT16, "u2"),
        (PointField.INT32, "i4"), (PointField.UINT32, "u4"), (PointField.FLOAT32, "f4"), (PointField.FLOAT64, "f8")])
    def test_every_datatype(self, datatype, dtype):
        assert pc2.dtype_from_fields([field("a", 3, datatype)])["a"] == np.dtype(dtype)

    def test_offsets_and_step(self):
        dtype = pc2.dtype_from_fields(LABELLED, 24)
        assert dtype.itemsize == 24
        assert {name: dtype.fields[name][1] for name in dtype.names} == {
            "x": 0, "y": 4, "z": 8, "rgb": 12, "label": 16, "confidence": 20}
        assert pc2.dtype_from_fields(XYZ).itemsize == 12

    def test_counts_and_missing_names(self):
        fields = [field("n", 0, count=3), field("", 12)]
        dtype = pc2.dtype_from_fields(fields)
        assert dtype.names == ("n_0", "n_1", "n_2", f"{pc2.DUMMY_FIELD_PREFIX}_1")
        assert [dtype.fields[name][1] for name in dtype.names] == [0, 4, 8, 12]

    @pytest.mark.parametrize("fields", [[field("a", 0), field("a", 4)], [field("a", 0, count=0)], [field("a", 0, 99)]])
    def test_refused(self, fields):
        with pytest.raises(AssertionError, match="'a'"):
            pc2.dtype_from_fields(fields)


class TestCreate:
    def test_layout_of_a_simple_cloud(self):
        cloud = pc2.create_cloud_xyz32(HEADER, [(1, 2, 3), (4, 5, 6)])
        assert (cloud.height, cloud.width, cloud.point_step, cloud.row_step) == (1, 2, 12, 24)
        assert (cloud.header.frame_id, cloud.is_dense, cloud.is_bigendian) == ("map", False, sys.byteorder == "big")
        assert [(f.name, f.offset, f.datatype, f.count) for f in cloud.fields] == [
            ("x", 0, 7, 1), ("y", 4, 7, 1), ("z", 8, 7, 1)]
        assert isinstance(cloud.data, array.array)
        assert cloud.data.tobytes() == np.array([1, 2, 3, 4, 5, 6], np.float32).tobytes()

    @pytest.mark.parametrize("make", [list, tuple, iter, np.array, lambda p: np.array(p, order="F"),
                                      lambda p: np.array(p, np.float32), lambda p: np.array(p)[::-1][::-1]])
    def test_all_forms_of_points_give_the_same(self, make):
        points = [(1.0, 2.0, 3.0), (4.0, 5.0, float("nan"))]
        assert pc2.create_cloud(HEADER, iter(XYZ), make(points)) == pc2.create_cloud_xyz32(HEADER, points)

    def test_padding_between_points(self):
        points = np.arange(15.0).reshape(5, 3)
        cloud = pc2.create_cloud(HEADER, XYZ, points, point_step=20)
        assert (cloud.point_step, cloud.row_step, len(cloud.data)) == (20, 100, 100)
        assert bytes(cloud.data[12:20]) == bytes(8)
        np.testing.assert_array_equal(pc2.read_points_numpy(cloud), points)

    def test_structured_with_gaps(self):
        points = labelled_points(4)
        cloud = pc2.create_cloud(HEADER, LABELLED, points, 24)
        assert cloud.data.tobytes() == points.tobytes()
        np.testing.assert_array_equal(pc2.read_points(cloud), points)

    def test_organized_has_width_first(self):
        points = np.arange(24, dtype=np.float32).reshape(4, 2, 3)
        cloud = pc2.create_cloud_xyz32(HEADER, points)
        assert (cloud.width, cloud.height, cloud.row_step) == (4, 2, 48)
        np.testing.assert_array_equal(pc2.read_points_numpy(cloud, reshape_organized_cloud=True), points)
        np.testing.assert_array_equal(pc2.read_points_numpy(cloud), points.reshape(8, 3))

    @pytest.mark.parametrize("points", [[], np.zeros((0, 3)), np.zeros(0, pc2.dtype_from_fields(XYZ))])
    def test_no_points(self, points):
        cloud = pc2.create_cloud(HEADER, XYZ, points)
        assert (cloud.width, len(cloud.data)) == (0, 0)
        assert pc2.read_points(cloud).shape == (0,)
        assert pc2.read_points_list(cloud) == []

    @pytest.mark.parametrize(("fields", "points"), [
        (XYZ, np.zeros((2, 4))), (XYZ, np.zeros(3)), (XYZ, np.zeros((2, 2, 2, 3))), (LABELLED, np.zeros((2, 6))),
        (XYZ, labelled_points(2)), (XYZ, np.zeros(2, [("x", "f4"), ("z", "f4"), ("y", "f4")]))])
    def test_points_that_do_not_fit(self, fields, points):
        with pytest.raises(AssertionError):
            pc2.create_cloud(HEADER, fields, points)

    def test_a_full_image_of_points_is_quick(self):
        points = np.random.default_rng(0).random((640 * 480, 3), dtype=np.float32)
        start = time.perf_counter()
        cloud = pc2.create_cloud_xyz32(HEADER, points)
        # Element by element this takes a second; a copy takes a few milliseconds.
        assert time.perf_counter() - start < 0.3
        np.testing.assert_array_equal(pc2.read_points_numpy(cloud), points)


class TestRead:
    @pytest.fixture
    def cloud(self):
        return pc2.create_cloud(HEADER, LABELLED, labelled_points(5), 24)

    def test_columns_in_the_wanted_order(self, cloud):
        points = pc2.read_points(cloud, ("label", "x"))
        assert points.dtype.names == ("label", "x")
        assert points["label"].tolist() == [40, 41, 42, 43, 44]
        assert pc2.read_points_numpy(cloud, field_names=["z", "confidence"])[1].tolist() == [21.0, 51.0]

    def test_list_of_named_tuples(self, cloud):
        points = pc2.read_points_list(cloud, field_names=["x", "label"])
        assert points[2] == (2.0, 42)
        assert (points[2].x, points[2].label) == (2.0, 42)
        assert pc2.read_points_list(cloud)[0]._fields == ("x", "y", "z", "rgb", "label", "confidence")

    def test_list_of_counted_and_unnamed_fields(self):
        cloud = pc2.create_cloud(HEADER, [field("n", 0, count=2), field("", 8)], [(1, 2, 3)])
        assert pc2.read_points_list(cloud)[0]._fields == ("n_0", "n_1", "unnamed_field_1")

    def test_uvs_are_indices(self, cloud):
        for uvs in ([3, 1], iter([3, 1]), np.array([3, 1])):
            assert pc2.read_points(cloud, uvs=uvs)["x"].tolist() == [3.0, 1.0]

    def test_nan_is_skipped_in_wanted_columns_only(self):
        cloud = pc2.create_cloud_xyz32(HEADER, [(1, np.nan, 3), (4, 5, 6), (7, 8, np.nan)])
        assert pc2.read_points(cloud, skip_nans=True)["x"].tolist() == [4.0]
        assert pc2.read_points(cloud, ["x", "y"], skip_nans=True)["x"].tolist() == [4.0, 7.0]
        assert pc2.read_points(cloud, skip_nans=True, uvs=[0])["x"].tolist() == [4.0]
        cloud.is_dense = True
        assert len(pc2.read_points(cloud, skip_nans=True)) == 3

    def test_integers_with_skip_nans(self, cloud):
        assert len(pc2.read_points(cloud, skip_nans=True)) == 5

    def test_other_byte_order(self, cloud):
        swapped = PointCloud2(height=1, width=5, fields=LABELLED, point_step=24, row_step=120,
                              is_bigendian=sys.byteorder == "little", data=labelled_points(5, "S").tobytes())
        before = swapped.data.tobytes()
        points = pc2.read_points(swapped)
        np.testing.assert_array_equal(points, labelled_points(5))
        assert points.dtype == pc2.read_points(cloud).dtype
        assert swapped.data.tobytes() == before

    def test_padded_rows(self):
        rows = np.arange(12, dtype=np.float32).reshape(2, 6)
        data = np.pad(rows, ((0, 0), (0, 2)), constant_values=-1).tobytes()
        cloud = PointCloud2(height=2, width=2, fields=XYZ, point_step=12, row_step=32, data=data,
                            is_bigendian=sys.byteorder == "big")
        np.testing.assert_array_equal(pc2.read_points_numpy(cloud), rows.reshape(4, 3))

    def test_reading_does_not_copy(self, cloud):
        pc2.read_points(cloud)["x"][0] = 99.0
        assert pc2.read_points(cloud)["x"][0] == 99.0

    def test_mixed_types_are_refused_as_plain_array(self, cloud):
        with pytest.raises(AssertionError, match="different types"):
            pc2.read_points_numpy(cloud)

    def test_truncated(self, cloud):
        cloud.data = cloud.data[:-1]
        with pytest.raises(AssertionError, match="take 120 bytes, but the data has 119"):
            pc2.read_points(cloud)

    def test_unknown_column(self, cloud):
        with pytest.raises(AssertionError, match="intensity"):
            pc2.read_points(cloud, ["x", "intensity"])

    def test_not_a_cloud(self):
        with pytest.raises(AssertionError, match="Image"):
            pc2.read_points(sensor_msgs.Image())


def test_numpy_compat_round_trip():
    compat = importlib.import_module("sensor_msgs_py.numpy_compat")
    plain = np.arange(6.0).reshape(2, 3)
    named = compat.unstructured_to_structured(plain, names=["a", "b", "c"])
    assert named["c"].tolist() == [2.0, 5.0]
    np.testing.assert_array_equal(compat.structured_to_unstructured(named), plain)
