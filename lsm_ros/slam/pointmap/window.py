# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Pose of a frame set in a window of keyframes that a multi-view network saw in one run.

One run has one unit. Keyframes that the window shares with the map say where it lies: each by itself, and as a rule all alike.
One that puts it elsewhere is outvoted; where no majority agrees, the run is not believed. The pose is the mean of all who
agree, weighted by what they say of themselves and by how far they are apart. What a run gets wrong about the new view as a
whole shows in no geometry of that run: it is looked for in the images (`looks`).
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import cv2
import numpy as np

from lsm_ros.config import Config
from lsm_ros.geometry import CameraIntrinsics, rigid, rotation_angle, se3_exp, se3_inverse, se3_log
from lsm_ros.pairs.agreement import Agreement, compare
from lsm_ros.slam.pointmap.pose import PairPose, Rig, solve_pair
from lsm_ros.slam.pointmap.view import PointmapKeyframe, PointmapView
from lsm_ros.types import PairPrediction

SAME_TURN, SAME_PLACE = 0.1, 0.15  # radians, and median depths: two keyframes put the frame at one place
Predictions = dict[str, PairPrediction]


def solve_window(rig: Rig, keyframes: Sequence[PointmapKeyframe], predictions: Sequence[Predictions], config: Config,
                 free_scale: bool, starts: Mapping[str, np.ndarray | None] | None = None) -> PairPose | str:
    """Pose of a frame set against keyframes whose poses in the map are known, or why there is none.

    predictions: of (frame set, keyframe) for each, of one run for each camera, so in one unit. The first keyframe is the one
    that was asked for; the result is of it, or, where it is outvoted, of the one of which most was found. starts: `pixels` of
    the last call with the same first keyframe."""
    base = keyframes[0]
    found = [solve_pair(rig, k, p, config, free_scale, starts if k is base else None)
             for k, p in zip(keyframes, predictions, strict=True)]
    parts = [f for f in found if not isinstance(f, str)]
    if not parts:
        return next(f for f in found if isinstance(f, str))
    places = [_in(base, p) for p in parts]
    agree = _together(places, base.median_depth)
    if 2 * len(agree) <= len(parts):
        return f"only {len(agree)} of {len(parts)} keyframes in the window agree on a pose"
    held = [parts[i] for i in agree]
    best = max(held, key=lambda p: (p.keyframe is base, p.fraction))
    T_new_base, covariance = _mean(held, [places[i] for i in agree], base.median_depth)
    # rigid anew: the pose of one window goes into the next one thrice, and what it lacks of a rotation would grow as much
    T_new_best = rigid(T_new_base @ se3_inverse(base.T_map_rig) @ best.keyframe.T_map_rig)
    units = {c: float(np.exp(np.mean([np.log(p.units[c]) for p in held if c in p.units]))) for c in best.units}
    return replace(best, alignment=replace(best.alignment, T_new_kf=T_new_best, covariance=covariance), units=units, cells=1.0,
                   others={(p.keyframe.id, c): m for p in held if p is not best for c, m in p.matches.items()})


def _in(base: PointmapKeyframe, part: PairPose) -> np.ndarray:
    """T_new_base (4, 4) by another keyframe."""
    return part.alignment.T_new_kf @ se3_inverse(part.keyframe.T_map_rig) @ base.T_map_rig


def _together(places: Sequence[np.ndarray], depth: float) -> list[int]:
    """The largest group around one of the places T_new_base (4, 4); of equal ones the first."""
    def near(a: np.ndarray, b: np.ndarray) -> bool:
        between = se3_inverse(a) @ b
        return rotation_angle(between[:3, :3]) < SAME_TURN and float(np.linalg.norm(between[:3, 3])) < SAME_PLACE * depth

    return max(([k for k, b in enumerate(places) if near(a, b)] for a in places), key=len)


def _mean(parts: Sequence[PairPose], places: Sequence[np.ndarray], depth: float) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean of places T_new_base (4, 4), and its covariance (6, 6) as of `Alignment`. Each counts by its own covariance
    and by how far all are apart, which is what a network errs by from view to view."""
    middle = places[0]
    steps = np.array([se3_log(T @ se3_inverse(middle)) for T in places])
    apart = steps - np.median(steps, axis=0)
    scatter = np.mean(apart[:, :3]**2), np.mean(apart[:, 3:]**2)
    between = np.diag(np.repeat(np.maximum(scatter, ((1e-6 * depth)**2, 1e-12)), 3))
    weights = [np.linalg.inv(p.alignment.covariance * p.cells + between) for p in parts]
    covariance = np.linalg.inv(np.sum(weights, axis=0))
    mean = covariance @ np.sum([w @ s for w, s in zip(weights, steps, strict=True)], axis=0)
    return se3_exp(mean) @ middle, covariance


def looks(image: np.ndarray, pinhole: CameraIntrinsics, mask: np.ndarray | None, view: PointmapView, T_image_view: np.ndarray
          ) -> Agreement:
    """Agreement of an image (H, W, 3) uint8 of the network's size with what a keyframe's view looks like from there, by the
    depth of the view. T_image_view (4, 4); mask (H, W): what the image cannot see."""
    depth = np.where(np.isfinite(view.points_cam[..., 2]) & (view.confidence > 0), view.points_cam[..., 2], 0.0)
    size = view.tokens.image.shape[1::-1]
    if depth.shape[::-1] != size:
        depth = cv2.resize(depth, size, interpolation=cv2.INTER_NEAREST)
    grays = [cv2.cvtColor(i, cv2.COLOR_RGB2GRAY) for i in (view.tokens.image, image)]
    return compare(grays[0], np.maximum(depth, 0.0), view.crop.intrinsics(view.intrinsics), grays[1], None, pinhole,
                   T_image_view, mask_a=mask)
