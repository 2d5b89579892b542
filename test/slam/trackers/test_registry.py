# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The choice of a tracker by what the pair model gives."""
import subprocess
import sys

import pytest

from lsm_ros.config import from_dict
from lsm_ros.pairs import make_pair_model
from lsm_ros.slam.trackers import make_tracker


@pytest.mark.parametrize(("model", "tracker"), [("depth", "DepthTracker"), ("two_view", "TwoViewTracker")])
def test_the_first_that_suits(model, tracker):
    config = from_dict({"pairs.model": model})
    assert type(make_tracker(config, make_pair_model(config.pairs))).__name__ == tracker


def test_what_does_not_suit_is_named():
    config = from_dict({"tracking.tracker": "pointmap"})
    with pytest.raises(ValueError, match="pair model 'depth' gives matches and uses measured depth, .* tracker 'pointmap'"):
        make_tracker(config, make_pair_model(config.pairs))


@pytest.mark.parametrize("model", ["depth", "two_view"])
def test_mapping_without_a_network_does_not_load_torch(model):
    """With torch in the process every full garbage collection takes 100 ms, in which no transform goes out."""
    code = ("import sys\nfrom lsm_ros.config import from_dict\nfrom lsm_ros.pipeline import MappingPipeline\n"
            f"MappingPipeline(from_dict({{'pairs.model': {model!r}}}))\nsys.exit('torch' in sys.modules)\n")
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
