# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Sources of a map's scale: odometry, the camera's lever on a base, its height over the floor, the baseline of a rig, a depth
prior.

Each is a function of what was seen so far, so that it follows when the map is corrected or grown: a measurement of
ln(metres per map unit), or the reason why there is none.
"""
from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from lsm_ros.geometry import se3_inverse, so3_log
from lsm_ros.slam.robust import robust_mean
from lsm_ros.slam.scale import ScaleMeasurement

WINDOW_M = 0.5  # metres between the two ends of a window of odometry, the camera's way as the crow flies
FEWEST_WINDOWS = 8
MAX_TWIST = 0.1  # radians, and as a share of the turn, by which odometry and camera may differ over a window: wheels that slip
MAX_ASKEW = 0.35  # radians between their directions of motion
STOPPED = 0.2  # of a window: odometry that goes less while the camera goes all of it says that the base stands
NEWEST_WINDOWS, MOST_DRIFT = 4, 0.12  # that all are off by more than this in ln(scale) are no outliers: the map has drifted
MAX_SCATTER = 0.25  # of the logarithms of a source's single values; beyond it they say nothing together
FEWEST_HEIGHTS = 5
FLOOR_STD = 0.005  # relative; floors are not quite flat
FEWEST_DEPTHS = 30
FEWEST_PRIORS = 10  # images
BASELINE_STD = 0.01  # relative; of what a calibration of two cameras to each other gets wrong
LEVER_STD_M = 0.005  # metres; of where a camera sits on its base
MIN_TURNS = 4  # pairs of poses between which the lever swings
MIN_SWING = 0.05  # of the lever, sideways, for a pair to count as a turn
MAX_TURN = 1.0  # radians between two poses; beyond that the way between them is not known
MAX_STD = 0.1  # relative; a map whose scale is not known so well keeps its own
SCALES = (0.1, 10.0)  # map units per metre that are believed of a lever


@dataclass(frozen=True)
class SourceReport:
    """Result of one source: a measurement, or None and the reason, which is '' where there is merely not enough yet. drift: how
    far the newest part of the map is off the measurement, in ln(scale), where it has another scale than the rest; then the
    reason says so."""

    measurement: ScaleMeasurement | None
    reason: str = ""
    drift: float = 0.0


NOTHING = SourceReport(None)


def from_model(source: str, std: float) -> SourceReport:
    """A pair model whose lengths are metres with a relative deviation of std; nothing of one that does not know it."""
    return SourceReport(ScaleMeasurement(source, 0.0, std)) if math.isfinite(std) and std > 0 else NOTHING


def from_odometry(T_map_cam: np.ndarray, T_odom_cam: np.ndarray, segment: np.ndarray, std: float) -> SourceReport:
    """Ratio of the ways that odometry and the map give to a camera: poses (N, 4, 4) of successive keyframes in both.

    segment (N,): odometry goes on without a break between poses of one number. std: relative deviation of odometry as a whole
    (the size of its wheels). The way is cut into windows. Those in which the two turn or move otherwise, beyond what rolling
    wheels do, are of wheels that slip, and those in which only the camera moves of odometry that has stopped; where these are
    the rule there is no measurement. The others are averaged robustly, for a slip straight on only shows as an outlier.
    """
    ends = _windows(T_map_cam, T_odom_cam, segment)
    if len(ends) < FEWEST_WINDOWS:
        return NOTHING
    a, b = np.array(ends).T
    move_map, move_odom = se3_inverse(T_map_cam[a]) @ T_map_cam[b], se3_inverse(T_odom_cam[a]) @ T_odom_cam[b]
    way_map, way_odom = (np.linalg.norm(T[:, :3, 3], axis=1) for T in (move_map, move_odom))
    stopped = way_odom < STOPPED * WINDOW_M
    turn = np.linalg.norm(so3_log(move_map[:, :3, :3]), axis=1)
    twist = np.linalg.norm(so3_log(np.swapaxes(move_map[:, :3, :3], 1, 2) @ move_odom[:, :3, :3]), axis=1)
    along = np.einsum("ni,ni->n", move_map[:, :3, 3], move_odom[:, :3, 3]) / np.maximum(way_map * way_odom, 1e-12)
    slipped = ~stopped & ((twist > MAX_TWIST * (1 + turn)) | (along < math.cos(MAX_ASKEW)))
    good = ~stopped & ~slipped
    if 2 * np.count_nonzero(good) < len(a):
        what = ("stands still while the camera moves" if np.count_nonzero(stopped) > np.count_nonzero(slipped)
                else "turns or moves otherwise than the camera")
        return SourceReport(None, f"odometry is not used for the scale: in {np.count_nonzero(~good)} of {len(a)} stretches it "
                                  f"{what}")
    if np.count_nonzero(good) < FEWEST_WINDOWS:
        return NOTHING
    ratios = np.log(way_odom[good] / way_map[good])
    return _drifting(_averaged("odometry", ratios, way_odom[good], std), ratios)


def _drifting(found: SourceReport, ratios: np.ndarray) -> SourceReport:
    """The report on the ratios (N,) of windows, in the order of time; says if the newest ones are far from the others."""
    if found.measurement is None:
        return found
    off = ratios - found.measurement.log_scale
    newest = off[-NEWEST_WINDOWS:]
    drift = float(np.median(newest))
    if min(abs(drift), float(np.min(np.abs(newest)))) <= MOST_DRIFT:
        return found
    return replace(found, drift=drift, reason="the scale of the map has drifted: by odometry, lengths in its newest part are "
                   f"{math.exp(-drift):.2f} times those in the rest")


def _windows(T_map_cam: np.ndarray, T_odom_cam: np.ndarray, segment: np.ndarray) -> list[tuple[int, int]]:
    """First and last pose of each window: WINDOW_M apart by odometry, or by the map in the unit that fits best."""
    way_odom, way_map = (np.linalg.norm(np.diff(T[:, :3, 3], axis=0), axis=1) for T in (T_odom_cam, T_map_cam))
    moving = (way_map > 0) & (np.diff(segment) == 0)
    if not moving.any():
        return []
    unit = float(np.median(way_odom[moving] / way_map[moving])) or math.inf  # metres; odometry that never moved has none
    out, start = [], 0
    for end in range(1, len(segment)):
        if segment[end] != segment[start]:
            start = end
            continue
        by_odom, by_map = (float(np.linalg.norm(T[end, :3, 3] - T[start, :3, 3])) for T in (T_odom_cam, T_map_cam))
        if max(by_odom, by_map * unit) >= WINDOW_M and by_map > 0:
            out.append((start, end))
            start = end
    return out


def from_lever(T_map_rig: np.ndarray, T_rig_cam: np.ndarray) -> SourceReport:
    """The lever of a camera on a base with wheels, see `map_units_per_metre`."""
    found = map_units_per_metre(T_map_rig, T_rig_cam)
    if found is None:
        return NOTHING
    systematic = LEVER_STD_M / max(float(np.linalg.norm(T_rig_cam[:2, 3])), 1e-3)
    return SourceReport(ScaleMeasurement("lever", -math.log(found[0]), math.hypot(found[1] / found[0], systematic)))


def from_heights(heights: np.ndarray, height_m: float, std_m: float) -> SourceReport:
    """Heights (N,) of a camera over the floor in map units, found from N keyframes, and in metres with its deviation."""
    good = heights[np.isfinite(heights) & (heights > 0)]
    if len(good) < FEWEST_HEIGHTS:
        return NOTHING
    return _averaged("camera_height", np.log(height_m / good), np.ones(len(good)), math.hypot(std_m / height_m, FLOOR_STD))


def from_baseline(log_ratios: np.ndarray, stds: np.ndarray) -> SourceReport:
    """ln(metres per map unit) (N,) of single points by `baseline_ratios`, and their deviations (N,)."""
    good = np.isfinite(log_ratios) & (stds > 0)
    if np.count_nonzero(good) < FEWEST_DEPTHS:
        return NOTHING
    return _averaged("baseline", log_ratios[good], stds[good] ** -2.0, BASELINE_STD)


def from_prior(log_ratios: np.ndarray, errors: np.ndarray) -> SourceReport:
    """ln(metres per map unit) (N,) of images by a depth prior in metres, in the order of time, and what it errs by within each
    (N,), as ln(depth).

    More images do not make it surer: what it gets wrong in all of them nobody sees, and is taken to be as large as what it gets
    wrong from one to the next, and half of what it gets wrong within them.
    """
    if len(log_ratios) < FEWEST_PRIORS:
        return NOTHING
    mean = robust_mean(log_ratios, np.ones(len(log_ratios)))
    if mean is None or mean.scatter > MAX_SCATTER:
        return SourceReport(None, "the depth prior is not used for the scale: what it says differs by more than "
                                  f"{MAX_SCATTER:.0%} from one image to the next")
    return SourceReport(ScaleMeasurement("depth_prior", mean.value, math.hypot(mean.scatter, 0.5 * float(np.median(errors)))))


def baseline_ratios(rays_a: np.ndarray, rays_b: np.ndarray, depth_a: np.ndarray, T_a_b: np.ndarray,
                    sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """ln(metres per map unit) (N,) and its deviation (N,) of points that two cameras of a rig see at the same instant.

    rays_a, rays_b: (N, 3) with z = 1. depth_a: (N,) along z in map units. T_a_b: (4, 4) with its baseline in metres. sigma:
    of a ray, in units of the plane z = 1. NaN for points that the baseline does not place, or whose rays miss each other.
    The depth in metres is that of the midpoint of both rays (Hartley and Zisserman, Multiple View Geometry, 12.2).
    """
    turned, t = rays_b @ T_a_b[:3, :3].T, T_a_b[:3, 3]
    aa, bb, ab = np.sum(rays_a**2, 1), np.sum(turned**2, 1), np.sum(rays_a * turned, 1)
    at, bt = rays_a @ t, turned @ t
    determinant = np.maximum(aa * bb - ab * ab, 1e-12)
    z_a, z_b = (bb * at - ab * bt) / determinant, (ab * at - aa * bt) / determinant
    gap = np.linalg.norm(rays_a * z_a[:, None] - turned * z_b[:, None] - t, axis=1)
    std = sigma * math.sqrt(2) * np.maximum(z_a, 1e-6) / max(float(np.linalg.norm(t)), 1e-6)  # disparity: sigma z / baseline
    good = (z_a > 0) & (z_b > 0) & (depth_a > 0) & (gap < 4 * sigma * z_a) & (std < MAX_SCATTER)
    ratio = np.full(len(depth_a), np.nan)
    ratio[good] = np.log(z_a[good] / depth_a[good])
    return ratio, std


def _averaged(source: str, values: np.ndarray, weight: np.ndarray, systematic: float) -> SourceReport:
    mean = robust_mean(values, weight)
    if mean is None:
        return NOTHING
    if mean.scatter > MAX_SCATTER:
        return SourceReport(None, f"{source} is not used for the scale: what it says differs by {mean.scatter:.0%} from one "
                                  "time to the next")
    return SourceReport(ScaleMeasurement(source, mean.value, math.hypot(mean.std, systematic)))


def map_units_per_metre(T_map_rig: np.ndarray, T_rig_cam: np.ndarray) -> tuple[float, float] | None:
    """Scale of the map and its standard deviation from successive poses (N, 4, 4) of a base, camera at T_rig_cam.

    A base on wheels moves along its heading, so its middle has no way to go sideways. The camera in front of it swings when
    the base turns; how far it swings in the map, for a lever of so many metres, is the map's scale.
    The camera's way is in map units, the lever in metres. Between two poses the base goes along its mean heading (exact for
    an arc), so across it the camera's way d and the swing s of the lever obey d = scale * s. Pairs between which it drove
    first and then turned disagree, and lose their weight. None where the camera has no lever, the base hardly turns, or the
    poses contradict such a base.
    """
    lever = T_rig_cam[:3, 3]
    R, camera = T_map_rig[:, :3, :3], (T_map_rig @ T_rig_cam)[:, :3, 3]
    across = R[1:, :, 1] + R[:-1, :, 1]
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-9)
    swing = np.sum(across * ((R[1:] - R[:-1]) @ lever), axis=1)
    way = np.sum(across * np.diff(camera, axis=0), axis=1)
    cosine = (np.einsum("nij,nij->n", R[1:], R[:-1]) - 1) / 2
    good = cosine > np.cos(MAX_TURN)
    swing, way = swing[good], way[good]
    if np.count_nonzero(np.abs(swing) > MIN_SWING * max(float(np.linalg.norm(lever[:2])), 1e-3)) < MIN_TURNS:
        return None
    order = np.argsort(way / np.where(swing == 0, 1e-12, swing))
    half = np.cumsum(np.abs(swing[order]))
    middle = order[np.searchsorted(half, 0.5 * half[-1])]
    scale = float(way[middle] / swing[middle])  # weighted median, then least squares with Cauchy weights
    for _ in range(10):
        error = way - scale * swing
        sigma = max(1.5 * float(np.median(np.abs(error))), 1e-9)
        weight = 1.0 / (1.0 + (error / (2 * sigma)) ** 2)
        scale = float((weight * swing) @ way / ((weight * swing) @ swing))
    std = float(np.sqrt((weight @ error**2) / (weight.sum() - 1) / ((weight * swing) @ swing)))
    if not SCALES[0] < scale < SCALES[1] or std > MAX_STD * scale:
        return None
    return scale, std
