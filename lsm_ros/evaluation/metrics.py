# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""metrics.json: its keys, their meaning, and the writing of the file. docs/metrics.md is `metrics_page()`."""
from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

import lsm_ros
from lsm_ros.config import Config
from lsm_ros.evaluation.cost import StageTimes, peak_gpu_bytes, peak_rss_bytes
from lsm_ros.evaluation.trajectory import TrajectoryErrors
from lsm_ros.files import write_text
from lsm_ros.types import UNLABELLED, LabelSpace, MapSnapshot, PipelineStatus

FORMAT = 1
FILE = "metrics.json"

_STATISTICS = {"rmse": "root mean square", "mean": "mean", "median": "median", "max": "largest",
               "count": "number of values"}

METRICS: dict[str, tuple[str, str]] = {
    "format": ("", "version of this table"),
    "version": ("", "version of lsm_ros"),
    "source.path": ("", "source as it was given"),
    "source.name": ("", "its name"),
    "source.kind": ("", "class that read it"),
    "source.cameras": ("", "names of the cameras; the first one is that of the trajectories"),
    "source.duration_s": ("s", "time from the first to the last frame, by their stamps"),
    "source.first_stamp_ns": ("ns", "stamp of the first frame"),
    "source.taken": ("", "what of the source was used: images, camera_info, depth, labels, TF, odometry, one line each"),
    "source.left_out": ("", "what was dropped, reordered, left out or assumed: a list of `what` and `count`"),
    "source.stamp_offset_ns": ("ns", "offset that `lsm record` had added to the stamps of the source; 0 if none"),
    "config_hash": ("", "short hash of all parameters; equal parameters have equal hashes"),
    "config": ("", "all parameters, nested as in YAML"),
    "seed": ("", "seed of all random numbers"),
    "pair_model": ("", "network or method that predicted the geometry of image pairs"),
    "trajectory_frame": ("", "frame of the poses in the .tum files: `camera` (optical frame of the first camera) or `rig`"),
    "T_rig_camera": ("m", "pose of the first camera's optical frame in the rig, 4 rows of 4"),
    "frames": ("", "frame sets that were processed"),
    "frames_expected": ("", "frame sets that the source holds, less those that --stride and --max-frames leave out"),
    "frames_with_pose": ("", "those that got a pose"),
    "found_later": ("", "those of them that were found in the map once it was finished; online.tum is without them"),
    "coverage": ("", "share of frames_expected that got a pose, 0 to 1"),
    "keyframes": ("", "keyframes in the graph at the end"),
    "loops": ("", "keyframes that later frames were joined to again"),
    "sessions": ("", "sessions: 1 plus the number of times that mapping had to start again"),
    "scale.is_metric": ("", "true if lengths are metres"),
    "scale.source": ("", "sources of the scale, joined by +, the surest first"),
    "scale.std": ("", "relative standard deviation of the scale; null if unknown"),
    "gravity.known": ("", "true if z of the map is up"),
    "gravity.source": ("", "source of the direction of gravity"),
    "map.voxels": ("", "surface voxels in map.ply"),
    "map.voxel_size_m": ("m", "edge of a voxel"),
    "map.volume_m3": ("m^3", "observed volume, free and occupied"),
    "map.labelled_share": ("", "share of the surface voxels with a label"),
    "map.blocks": ("", "voxel blocks in memory"),
    "map.bytes": ("B", "memory of the voxel map"),
    "map.backend": ("", "backend of the voxel map: cuda, cpu or numpy, with bit-identical results"),
    "map.epoch": ("", "number of changes of the map frame or its scale"),
    "map.graph_version": ("", "number of times that keyframes moved"),
    "objects": ("", "list of the objects: number, class, box, probability that it is there, as of `lsm objects --json`"),
    "label_names.<id>": ("", "name of a label id in map.ply"),
    "focal_px.<camera>": ("px", "focal length that was used"),
    "focal_is_estimated.<camera>": ("", "true if it was estimated because the camera had no calibration"),
    "off_pinhole_share.<camera>": ("", "share of the confidently predicted pixels that no pinhole explains, which are not "
                                       "fused; only for networks"),
    "wall_s": ("s", "time that mapping took, reading included, without the report"),
    "frames_per_s": ("1/s", "frames over wall_s"),
    "stages_ms.<stage>.mean": ("ms", "mean duration of a stage per frame in which it ran"),
    "stages_ms.<stage>.p50": ("ms", "median"),
    "stages_ms.<stage>.p95": ("ms", "95th percentile"),
    "stages_ms.<stage>.total": ("ms", "sum"),
    "stages_ms.<stage>.count": ("", "frames in which the stage ran"),
    "peak_rss_bytes": ("B", "largest resident memory of the process"),
    "peak_gpu_bytes": ("B", "most GPU memory that torch held; 0 without a GPU"),
    "keyframe_bytes": ("B", "memory of keyframes and observations at the end"),
    "warnings": ("", "problems of the run, one line each"),
    "ground_truth": ("", "null without a ground truth; else the following keys"),
    "ground_truth.name": ("", "file or topic it came from"),
    "ground_truth.poses": ("", "poses of the trajectory"),
    "ground_truth.matched": ("", "those with a ground truth close in time"),
    "ground_truth.time_offset_ns": ("ns", "offset that was subtracted from the trajectory's stamps"),
    "ground_truth.path_m": ("m", "length of the matched ground truth"),
    "ground_truth.scale": ("", "factor from the trajectory to the truth (Umeyama); null if not determined"),
    **{f"ground_truth.ate_m.<alignment>.{k}": ("" if k == "count" else "m", f"absolute trajectory error, {text}")
       for k, text in _STATISTICS.items()},
    **{f"ground_truth.rpe_translation_m.<step>.{k}":
       ("" if k == "count" else "m", f"relative pose error over a `metre` of path or a `second`, {text}")
       for k, text in _STATISTICS.items()},
    **{f"ground_truth.rpe_rotation_rad.<step>.{k}":
       ("" if k == "count" else "rad", f"its rotation, {text}") for k, text in _STATISTICS.items()},
}
"""Dotted key: unit and meaning. <camera>, <stage>, <alignment> and <step> stand for names. `config` is not taken apart;
a relative pose error is null where the path is too short for one step."""


def build(source: dict[str, Any], config: Config, snapshot: MapSnapshot, status: PipelineStatus, stages: StageTimes, *,
          T_rig_camera: np.ndarray, trajectory_frame: str, frames: int, frames_with_pose: int, loops: int,
          wall_s: float, warnings: list[str], frames_expected: int = 0, found_later: int = 0,
          label_space: LabelSpace | None = None, errors: TrajectoryErrors | None = None, truth_name: str = "",
          objects: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """The content of metrics.json from a finished run; source: the keys `source.*`."""
    expected = max(frames, frames_expected)  # cameras that are not together give more frame sets than one has images
    labelled = float(np.mean(snapshot.labels != UNLABELLED)) if len(snapshot.labels) else 0.0
    found = None if errors is None else {"name": truth_name, **errors.to_dict()}
    return {
        "format": FORMAT, "version": lsm_ros.__version__, "source": source,
        "config_hash": config.digest(), "seed": config.seed, "pair_model": config.pairs.model,
        "trajectory_frame": trajectory_frame, "T_rig_camera": T_rig_camera.tolist(),
        "frames": frames, "frames_expected": expected, "frames_with_pose": frames_with_pose,
        "found_later": found_later,
        "coverage": frames_with_pose / expected if expected else 0.0,
        "keyframes": status.keyframes, "loops": loops, "sessions": status.session + 1,
        "scale": {"is_metric": status.scale_is_metric, "source": status.scale_source, "std": status.scale_std},
        "gravity": {"known": status.gravity_known, "source": status.gravity_source},
        "map": {"voxels": len(snapshot.points_map), "voxel_size_m": snapshot.voxel_size,
                "volume_m3": snapshot.volume_m3, "labelled_share": labelled,
                "blocks": status.voxel_blocks, "bytes": status.map_bytes, "backend": status.map_backend,
                "epoch": status.map_epoch, "graph_version": status.graph_version},
        "objects": list(objects),
        "label_names": {} if label_space is None else dict(label_space.names),
        "focal_px": dict(status.focal_px),
        "focal_is_estimated": dict(status.focal_is_estimated),
        "off_pinhole_share": dict(status.off_pinhole),
        "wall_s": wall_s, "frames_per_s": frames / wall_s if wall_s > 0 else 0.0,
        "stages_ms": {name: asdict(cost) for name, cost in stages.summary().items()},
        "peak_rss_bytes": peak_rss_bytes(), "peak_gpu_bytes": peak_gpu_bytes(), "keyframe_bytes": status.keyframe_bytes,
        "warnings": warnings, "ground_truth": found, "config": config.to_dict(),
    }


def write(path: str | Path, metrics: dict[str, Any]) -> None:
    """Writes JSON that any parser reads: values that are not finite become null."""
    write_text(path, json.dumps(plain(metrics), indent=2, allow_nan=False) + "\n")


def read(path: str | Path) -> dict[str, Any]:
    """Reads a metrics.json; FileNotFoundError, or ValueError in one line for a file of another kind."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path}: expected keys and values, got {type(values).__name__}")
    return values


def plain(value: Any) -> Any:
    """`value` with NumPy numbers as Python's and non-finite ones as None."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def metrics_page() -> str:
    """docs/metrics.md."""
    rows = ["# metrics.json", "",
            "`lsm map` writes one beside every map. This page is made by `lsm_ros.evaluation.metrics.metrics_page()`;",
            "a test keeps the two equal. Values that are unknown are null. `<id>`, `<camera>`, `<stage>`,",
            "`<alignment>` (`sim3`, `se3`, `none`, `origin`) and `<step>` (`metre`, `second`) stand for names; a",
            "`<step>` is null where the path is too short for it.", "",
            "| key | unit | meaning |", "|---|---|---|"]
    rows += [f"| `{key}` | {unit} | {meaning} |" for key, (unit, meaning) in METRICS.items()]
    return "\n".join(rows) + "\n"
