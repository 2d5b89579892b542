# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Geometry: Lie groups, cameras, pointmaps, alignment. Imports nothing else of the package."""

from lsm_ros.geometry.align import (
    AlignResult,
    DegenerateGeometryError,
    PnPResult,
    PoseRefinement,
    refine_pose,
    solve_pnp,
    umeyama,
    umeyama_ransac,
)
from lsm_ros.geometry.camera import T_BODY_OPTICAL, CameraIntrinsics, Rectifier
from lsm_ros.geometry.epipolar import TwoViewPose, relative_pose, triangulate_inverse_depth
from lsm_ros.geometry.lie import (
    hat,
    interpolate_se3,
    is_se3,
    make_se3,
    make_sim3,
    matrix_to_quat,
    normalize_rotation,
    quat_to_matrix,
    rigid,
    rotation_angle,
    se3_adjoint,
    se3_exp,
    se3_inverse,
    se3_log,
    sim3_adjoint,
    sim3_exp,
    sim3_inverse,
    sim3_log,
    slerp,
    so3_exp,
    so3_left_jacobian,
    so3_left_jacobian_inverse,
    so3_log,
    split_sim3,
    transform_points,
    vee,
)
from lsm_ros.geometry.pointmap import (
    depth_discontinuities,
    depth_to_pointmap,
    downsample_depth,
    downsample_pointmap,
    normals_from_pointmap,
    pointmap_to_depth,
    ray_from_pointmap,
    resize_pointmap,
    splat_depth,
    valid_depth,
)

__all__ = [
    'AlignResult', 'CameraIntrinsics', 'DegenerateGeometryError', 'PnPResult', 'PoseRefinement', 'Rectifier',
    'T_BODY_OPTICAL', 'TwoViewPose', 'relative_pose', 'triangulate_inverse_depth', 'depth_discontinuities',
    'depth_to_pointmap', 'downsample_depth', 'downsample_pointmap', 'hat', 'interpolate_se3', 'is_se3', 'make_se3',
    'make_sim3', 'matrix_to_quat', 'normalize_rotation', 'normals_from_pointmap', 'pointmap_to_depth', 'quat_to_matrix',
    'rigid', 'rotation_angle', 'ray_from_pointmap', 'refine_pose', 'resize_pointmap', 'se3_adjoint', 'se3_exp',
    'se3_inverse', 'se3_log', 'sim3_adjoint', 'sim3_exp', 'sim3_inverse', 'sim3_log', 'slerp', 'so3_exp',
    'so3_left_jacobian', 'so3_left_jacobian_inverse', 'so3_log', 'solve_pnp', 'splat_depth', 'split_sim3',
    'transform_points', 'umeyama', 'umeyama_ransac', 'valid_depth', 'vee',
]
