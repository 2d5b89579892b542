# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Image sets whose truth is known: cameras around boxes of points, with exact or noisy features."""
import numpy as np

from lsm_ros.geometry import CameraIntrinsics, se3_inverse
from lsm_ros.geometry.lie import make_se3
from lsm_ros.geometry.rotation import hat
from lsm_ros.sfm.feature_matching import ImageFeatures, VerifiedPair
from lsm_ros.sfm.model import SetImage

CAMERA = CameraIntrinsics(640, 480, 500.0, 500.0, 319.5, 239.5)


def looking(eye, target, roll=0.0):
    """T_world_cam (4, 4) of a camera at `eye` that looks at `target`, z up, rolled about its axis."""
    z = (target - eye) / np.linalg.norm(target - eye)
    x = np.cross(z, [0, 0, 1.0])
    x /= np.linalg.norm(x)
    R = np.stack([x, np.cross(z, x), z], 1)
    turn = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    return make_se3(R @ turn, eye)


def around(count, radius=4.0, span=2.0):
    """(count, 4, 4) poses on an arc around the origin."""
    angles = np.linspace(-span / 2, span / 2, count)
    return np.stack([looking(np.array([radius * np.cos(a), radius * np.sin(a), 0.6 * np.sin(5 * a)]), np.zeros(3), 0.2 * a)
                     for a in angles])


def seen_features(poses, points, *, camera=CAMERA, noise=0.3, seed=0):
    """Features of all images of points (P, 3); and for each image (P,) row of each point, -1 where it is not in view."""
    rng = np.random.default_rng(seed)
    features, rows = [], []
    for T in poses:
        pixels, front = camera.project((points - T[:3, 3]) @ T[:3, :3])
        inside = front & (pixels > 0).all(1) & (pixels < (camera.width - 1, camera.height - 1)).all(1)
        row = np.full(len(points), -1)
        row[inside] = np.arange(np.count_nonzero(inside))
        features.append(ImageFeatures(pixels[inside] + noise * rng.normal(size=(inside.sum(), 2)),
                                      np.zeros((inside.sum(), 128), np.uint8),
                                      np.full((inside.sum(), 3), len(rows), np.uint8), 2.0))
        rows.append(row)
    return features, rows


def exact_pairs(poses, rows, *, least=30, camera=CAMERA):
    """Verified pairs of all images that share points."""
    found, inverse = [], np.linalg.inv(camera.K)
    for i in range(len(poses)):
        for j in range(i + 1, len(poses)):
            both = (rows[i] >= 0) & (rows[j] >= 0)
            if both.sum() >= least:
                T = se3_inverse(poses[j]) @ poses[i]
                F = inverse.T @ hat(T[:3, 3]) @ T[:3, :3] @ inverse
                found.append(VerifiedPair(i, j, rows[i][both], rows[j][both], F))
    return found


def blank_images(count, camera=CAMERA, known=False):
    """Images without content, for what looks at their features only."""
    def load():
        return np.zeros((camera.height, camera.width, 3), np.uint8)

    return [SetImage(f"{n}.jpg", load, camera, known) for n in range(count)]


def pose_errors(estimate, truth):
    """Largest angle in degrees and largest distance of centres over the scene's size, after the similarity that fits best."""
    from lsm_ros.geometry import umeyama

    a, b = estimate[:, :3, 3], truth[:, :3, 3]
    S = umeyama(a, b)
    R = S[:3, :3] / np.cbrt(np.linalg.det(S[:3, :3]))
    moved = a @ S[:3, :3].T + S[:3, 3]
    cosines = [(np.trace((R @ e[:3, :3]).T @ t[:3, :3]) - 1) / 2 for e, t in zip(estimate, truth, strict=True)]
    size = np.linalg.norm(b.max(0) - b.min(0))
    return np.degrees(np.arccos(np.clip(cosines, -1, 1))).max(), np.linalg.norm(moved - b, axis=1).max() / size
