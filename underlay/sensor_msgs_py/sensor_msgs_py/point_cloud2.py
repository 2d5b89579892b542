# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Reads and writes sensor_msgs/PointCloud2 as NumPy arrays.

Wrong arguments raise AssertionError, as callers of the original expect.
"""

import array
import sys
from collections import namedtuple
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.recfunctions import structured_to_unstructured
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

DUMMY_FIELD_PREFIX = "unnamed_field"

_DATATYPES = {
    PointField.INT8: np.dtype(np.int8), PointField.UINT8: np.dtype(np.uint8),
    PointField.INT16: np.dtype(np.int16), PointField.UINT16: np.dtype(np.uint16),
    PointField.INT32: np.dtype(np.int32), PointField.UINT32: np.dtype(np.uint32),
    PointField.FLOAT32: np.dtype(np.float32), PointField.FLOAT64: np.dtype(np.float64),
}


def _require(condition: bool, complaint: str) -> None:
    """Raise AssertionError with the complaint unless the condition holds, with ``python -O`` too."""
    if not condition:
        raise AssertionError(complaint)


def dtype_from_fields(fields: Iterable[PointField], point_step: int | None = None) -> np.dtype:
    """Return the structured type of one point.

    Args:
        fields: the cloud's fields; one with count n becomes n columns ``name_0`` to ``name_<n-1>``, one without a
            name ``unnamed_field_<index>``.
        point_step: bytes from point to point; by default up to the end of the last field.

    Raises:
        AssertionError: an unknown datatype, a count of zero, or a name that comes twice.
    """
    names, formats, offsets = [], [], []
    for index, field in enumerate(fields):
        base = field.name or f"{DUMMY_FIELD_PREFIX}_{index}"
        _require(field.datatype in _DATATYPES, f"field '{base}' has the unknown datatype {field.datatype}")
        _require(field.count > 0, f"field '{base}' has count = 0")
        dtype = _DATATYPES[field.datatype]
        for k in range(field.count):
            name = base if field.count == 1 else f"{base}_{k}"
            _require(name not in names, f"the field name '{name}' comes twice")
            names.append(name)
            formats.append(dtype)
            offsets.append(field.offset + k * dtype.itemsize)
    layout: dict[str, Any] = {"names": names, "formats": formats, "offsets": offsets}
    if point_step is not None:
        layout["itemsize"] = point_step
    return np.dtype(layout)


def _all_points(cloud: PointCloud2) -> np.ndarray:
    """Return every point as a structured (H * W,) array; a view of the data unless rows are padded."""
    dtype = dtype_from_fields(cloud.fields, cloud.point_step)
    if bool(cloud.is_bigendian) != (sys.byteorder == "big"):
        dtype = dtype.newbyteorder()
    row = cloud.width * cloud.point_step
    step = cloud.row_step if cloud.height > 1 and cloud.row_step > row else row
    needed = (cloud.height - 1) * step + row if cloud.height else 0
    _require(len(cloud.data) >= needed,
             f"{cloud.height} x {cloud.width} points of {cloud.point_step} bytes take {needed} bytes, "
             f"but the data has {len(cloud.data)}")
    points = np.ndarray((cloud.height, cloud.width), dtype, buffer=cloud.data, strides=(step, cloud.point_step))
    return points.reshape(-1)


def read_points(cloud: PointCloud2, field_names: Iterable[str] | None = None, skip_nans: bool = False,
                uvs: Iterable[int] | None = None, reshape_organized_cloud: bool = False) -> np.ndarray:
    """Read a cloud as a structured array.

    Args:
        cloud: the message; big-endian data and padded rows are understood.
        field_names: the columns wanted, in that order; all by default.
        skip_nans: leave out points with a NaN in a wanted column, unless the cloud says that it is dense.
        uvs: indices of the points wanted, counted after those that ``skip_nans`` left out.
        reshape_organized_cloud: give a cloud of several rows the shape (width, height), as the original does.

    Returns:
        (N,) structured array in native byte order; a view of the message's data where nothing was left out or swapped.

    Raises:
        AssertionError: not a PointCloud2, an unknown column, or fewer bytes than the points take.
    """
    _require(isinstance(cloud, PointCloud2), f"the cloud is a {type(cloud).__name__}, not a PointCloud2")
    points = _all_points(cloud)
    if field_names is not None:
        wanted = list(field_names)
        unknown = [name for name in wanted if name not in points.dtype.names]
        _require(not unknown, f"the cloud has no fields {unknown}; it has {list(points.dtype.names)}")
        points = points[wanted]
    if not all(points.dtype[name].isnative for name in points.dtype.names):
        points = points.astype(points.dtype.newbyteorder("="))
    if skip_nans and not cloud.is_dense:
        keep = np.ones(len(points), dtype=bool)
        for name in points.dtype.names:
            if points.dtype[name].kind == "f":
                keep &= ~np.isnan(points[name])
        points = points[keep]
    if uvs is not None:
        points = points[uvs if isinstance(uvs, np.ndarray) else np.fromiter(uvs, int)]
    if reshape_organized_cloud and cloud.height > 1:
        points = points.reshape(cloud.width, cloud.height)
    return points


def read_points_numpy(cloud: PointCloud2, field_names: Iterable[str] | None = None, skip_nans: bool = False,
                      uvs: Iterable[int] | None = None, reshape_organized_cloud: bool = False) -> np.ndarray:
    """Read columns of one common type as a plain (N, C) array, or (width, height, C); arguments as in read_points.

    Raises:
        AssertionError: the columns have different types; or as read_points.
    """
    points = read_points(cloud, field_names, skip_nans, uvs, reshape_organized_cloud)
    kinds = {points.dtype[name].str for name in points.dtype.names}
    _require(len(kinds) <= 1, f"the fields {list(points.dtype.names)} have different types; use read_points()")
    return structured_to_unstructured(points)


def read_points_list(cloud: PointCloud2, field_names: Iterable[str] | None = None, skip_nans: bool = False,
                     uvs: Iterable[int] | None = None) -> list[NamedTuple]:
    """Read a cloud as a list of namedtuples ``Point``; arguments as in read_points, which is far faster."""
    points = read_points(cloud, field_names, skip_nans, uvs)
    point_type = namedtuple("Point", points.dtype.names, rename=True)
    return [point_type._make(values) for values in points.tolist()]


def _structured(points: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return a plain array (..., C) as a structured array (...) with one column per field; padding bytes are zero."""
    names = dtype.names or ()
    _require(points.ndim >= 2 and points.shape[-1] == len(names),
             f"points of shape {points.shape} do not have one column for each of the fields {list(names)}")
    base = dtype[names[0]]
    if dtype == np.dtype([(name, base) for name in names]):
        return np.ascontiguousarray(points, dtype=base).view(dtype)[..., 0]
    result = np.zeros(points.shape[:-1], dtype)
    for column, name in enumerate(names):
        result[name] = points[..., column]
    return result


def create_cloud(header: Header, fields: Iterable[PointField], points: Iterable,
                 point_step: int | None = None) -> PointCloud2:
    """Make a cloud.

    Args:
        header: stamp and frame.
        fields: the columns; for a plain array all of one datatype.
        points: a structured array of exactly these fields, (N,) or organized (width, height); a plain array with a last
            axis of C columns; or an iterable of one sequence of values per point (slow).
        point_step: bytes from point to point; by default up to the end of the last field.

    Returns:
        A PointCloud2, not dense, in native byte order; for a two-dimensional array width is the first axis.

    Raises:
        AssertionError: points that do not fit the fields.
    """
    fields = list(fields)
    dtype = dtype_from_fields(fields, point_step)
    if not isinstance(points, np.ndarray):
        points = np.array([tuple(point) for point in points], dtype=dtype)
    elif points.dtype.names is None:
        _require(len({field.datatype for field in fields}) == 1,
                 "fields of different datatypes need a structured array, not a plain one")
        points = _structured(points, dtype)
    else:
        _require(points.dtype == dtype, f"the array's type {points.dtype} is not that of the fields, {dtype}: "
                                        "names, order, types, offsets and point_step must agree")
    _require(1 <= points.ndim <= 2, f"a cloud has one or two dimensions, not shape {points.shape}")
    width, height = points.shape if points.ndim == 2 else (points.shape[0], 1)
    cloud = PointCloud2(header=header, height=height, width=width, fields=fields, is_dense=False,
                        is_bigendian=sys.byteorder == "big", point_step=dtype.itemsize, row_step=dtype.itemsize * width)
    data = array.array("B")
    data.frombytes(np.ascontiguousarray(points).reshape(-1).view(np.uint8))
    # By the property: it takes an array.array('B') as it is, while the constructor looks at every element.
    cloud.data = data
    return cloud


def create_cloud_xyz32(header: Header, points: Iterable) -> PointCloud2:
    """Make a cloud of float32 x, y, z from (N, 3) or (width, height, 3) points or an iterable of triples."""
    fields = [PointField(name=name, offset=4 * k, datatype=PointField.FLOAT32, count=1)
              for k, name in enumerate("xyz")]
    return create_cloud(header, fields, points)
