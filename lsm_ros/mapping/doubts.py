# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Warnings about geometry that a model predicts."""
from __future__ import annotations

from lsm_ros.pairs.base import PairModel
from lsm_ros.slam.trackers import Tracker
from lsm_ros.types import EXACT_SCALE

ODD_LENS = 0.1  # share of pixels off the pinhole that is worth a warning


def doubts(model: PairModel, tracker: Tracker) -> dict[str, str]:
    """Warnings by name: a scale that is not exact, a depth prior that does not fit, and cameras whose pixels do not fit the
    pinhole they are fused with."""
    found = {}
    if model.is_metric and model.scale_std > EXACT_SCALE:
        found["scale"] = f"lengths are metres to about {model.scale_std:.0%} only (from the {model.scale_source})"
    if tracker.prior_note():
        found["depth prior"] = tracker.prior_note()
    return found | {
        f"pinhole {camera}": f"{share:.0%} of the pixels predicted for camera {camera!r} do not fit a pinhole and are not "
                             "fused: rectify its images, or give it a calibration"
        for camera, share in tracker.cameras.off_pinhole.items() if share > ODD_LENS}
