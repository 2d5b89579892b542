# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Stand-in for tf_transformations on machines without a ROS installation: quaternions x, y, z, w and 4x4 matrices."""

from tf_transformations.arcball import (
    Arcball,
    arcball_constrain_to_axis,
    arcball_map_to_sphere,
    arcball_nearest_axis,
)
from tf_transformations.decomposition import compose_matrix, decompose_matrix, superimposition_matrix
from tf_transformations.matrices import (
    ROTATION_IDENTITY,
    SHEAR_IDENTITY,
    TRANSLATION_IDENTITY,
    ZOOM_IDENTITY,
    concatenate_matrices,
    identity_matrix,
    inverse_matrix,
    is_same_transform,
    orthogonalization_matrix,
    reflection_from_matrix,
    reflection_matrix,
    rotation_from_matrix,
    rotation_matrix,
    scale_from_matrix,
    scale_matrix,
    shear_from_matrix,
    shear_matrix,
    translation_from_matrix,
    translation_matrix,
)
from tf_transformations.projection import clip_matrix, projection_from_matrix, projection_matrix
from tf_transformations.quaternions import (
    _AXES2TUPLE,
    _NEXT_AXIS,
    _TUPLE2AXES,
    euler_from_matrix,
    euler_from_quaternion,
    euler_matrix,
    quaternion_about_axis,
    quaternion_conjugate,
    quaternion_from_euler,
    quaternion_from_matrix,
    quaternion_inverse,
    quaternion_matrix,
    quaternion_multiply,
    quaternion_slerp,
    random_quaternion,
    random_rotation_matrix,
)
from tf_transformations.vectors import _EPS, random_vector, unit_vector, vector_norm

# The underscored tables are imported by callers of the original.
__all__ = [
    "Arcball", "ROTATION_IDENTITY", "SHEAR_IDENTITY", "TRANSLATION_IDENTITY", "ZOOM_IDENTITY", "_AXES2TUPLE", "_EPS",
    "_NEXT_AXIS", "_TUPLE2AXES", "arcball_constrain_to_axis", "arcball_map_to_sphere", "arcball_nearest_axis",
    "clip_matrix", "compose_matrix", "concatenate_matrices", "decompose_matrix", "euler_from_matrix",
    "euler_from_quaternion", "euler_matrix", "identity_matrix", "inverse_matrix", "is_same_transform",
    "orthogonalization_matrix", "projection_from_matrix", "projection_matrix", "quaternion_about_axis",
    "quaternion_conjugate", "quaternion_from_euler", "quaternion_from_matrix", "quaternion_inverse",
    "quaternion_matrix", "quaternion_multiply", "quaternion_slerp", "random_quaternion", "random_rotation_matrix",
    "random_vector", "reflection_from_matrix", "reflection_matrix", "rotation_from_matrix", "rotation_matrix",
    "scale_from_matrix", "scale_matrix", "shear_from_matrix", "shear_matrix", "superimposition_matrix",
    "translation_from_matrix", "translation_matrix", "unit_vector", "vector_norm",
]
