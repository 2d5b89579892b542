# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Trackers: the pose of each frame set. A new kind is a file in this folder and a line in `lsm_ros.registry`."""
from __future__ import annotations

from lsm_ros.config import Config
from lsm_ros.pairs.base import PairModel
from lsm_ros.registry import TRACKERS, load
from lsm_ros.slam.trackers.base import FrameDepth, KeyframeDepth, Start, TrackedFrame, Tracker

registry = TRACKERS


def make_tracker(config: Config, model: PairModel) -> Tracker:
    """The tracker that `config.tracking.tracker` names, or the first registered one that suits the pair model. ValueError when
    it does not suit what the model gives, or none does."""
    wanted = config.tracking.tracker
    names = tuple(TRACKERS) if wanted == "auto" else (wanted,)
    # one after the other: what the trackers of networks import makes Python's garbage collection stop a node for 100 ms
    kinds = (load(TRACKERS, name, "tracker") for name in names)
    chosen = next((kind for kind in kinds if kind.suits(model)), None)
    if chosen is None:
        raise ValueError(f"pair model {model.name!r} gives {', '.join(sorted(model.gives)) or 'nothing'}"
                         f"{' and uses measured depth' if model.uses_depth else ''}, which does not suit tracker "
                         f"{' or '.join(repr(n) for n in names)} (tracking.tracker)")
    return chosen(config, model)


__all__ = ["FrameDepth", "KeyframeDepth", "Start", "TrackedFrame", "Tracker", "make_tracker", "registry"]
