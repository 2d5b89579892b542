# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""State and sizes of the pipeline at a moment."""
from __future__ import annotations

from lsm_ros.mapping.atlas import Atlas
from lsm_ros.mapping.counts import FrameCounts
from lsm_ros.types import PipelineStatus, TrackingUpdate


def status_of(atlas: Atlas, counts: FrameCounts, last: TrackingUpdate, focal_px: dict[str, float], estimated: dict[str, bool],
              warnings: tuple[str, ...], localization_only: bool) -> PipelineStatus:
    """The status after the newest frame set `last`. focal_px and whether it is an estimate: by camera."""
    last = counts.state(last)
    here, voxels = atlas.here, atlas.here.fuser.map
    graph = here.tracker.graph
    scale = here.scale.status(bool(graph.keyframes))
    return PipelineStatus(
        last.state, last.reason, here.number, atlas.count.epoch, graph.version, scale.is_metric, scale.source, scale.std,
        here.levelling.is_known, here.levelling.source, len(graph.keyframes), last.match_fraction,
        len(voxels.observations), here.fuser.backlog, voxels.block_count, voxels.nbytes,
        graph.nbytes + voxels.observation_bytes, counts.frames, counts.without_pose, focal_px, estimated, warnings,
        localization_only, dict(here.tracker.cameras.off_pinhole), voxels.backend.name)
