# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Depth priors of keyframes: when they are asked, and what becomes of the answers."""
import threading

import numpy as np
import pytest
from helpers.textured import CAMERA, room, see

from lsm_ros.config import from_dict
from lsm_ros.geometry import make_se3, so3_exp
from lsm_ros.mapping.pipeline import MappingPipeline
from lsm_ros.pairs import Matches, make_pair_model
from lsm_ros.pairs.depth_priors import DepthPrior
from lsm_ros.pairs.depth_priors.fitting import Anchors
from lsm_ros.slam.graph.keyframes import Keyframe, KeyframeGraph, KeyframeView, Link
from lsm_ros.slam.trackers.prior_depth import MOST_WAITING, KeyframePriors, known_landmarks
from lsm_ros.types import Frame, FrameSet

BOARDS, PERIOD_NS = room(), 33_333_333
CONFIG = from_dict({"pairs.model": "two_view", "fusion.voxel_size": 0.1})
POSES = [make_se3(so3_exp([0.05 * np.sin(1.3 * t), 0.25 * np.sin(0.9 * t), 0.03 * np.sin(2 * t)]),
                  [0.6 * np.sin(0.9 * t), 0.1 * np.sin(1.7 * t), 0.35 * t - 0.3 * np.sin(t)]) for t in np.arange(60) / 30]
SEEN = [see(BOARDS, T) for T in POSES]
FRAMES = [Frame(10**9 + n * PERIOD_NS, "camera", np.repeat(gray[..., None], 3, 2), CAMERA) for n, (gray, _) in enumerate(SEEN)]
TRUE = {f.stamp_ns: depth for f, (_, depth) in zip(FRAMES, SEEN, strict=True)}


class TruePrior(DepthPrior):
    """A prior that knows the truth, seen through `spoil`. hold: it waits until that is set."""

    name = "truth"

    def __init__(self, spoil=lambda depth: depth):
        self.spoil, self.hold, self.threads = spoil, None, set()

    def depth(self, frame):
        self._now = TRUE[frame.stamp_ns]
        return super().depth(frame)

    def predict(self, image):
        self.threads.add(threading.current_thread())
        if self.hold is not None:
            assert self.hold.wait(20)
        return self.spoil(self._now)


def mapped(prior, config=CONFIG, background=False, frames=FRAMES):
    """A pipeline that has mapped the frames, and all depth of keyframes that it fused."""
    model = make_pair_model(config.pairs)
    model.depth_prior = prior
    pipeline, got = MappingPipeline(config, model, background), []
    take = pipeline.tracker.take_depth
    pipeline.tracker.take_depth = lambda everything=False: [got.append(d) or d for d in take(everything)]
    for frame in frames:
        pipeline.process(FrameSet(frame.stamp_ns, (frame,), {"camera": np.eye(4)}))
    pipeline.settle()
    return pipeline, got


@pytest.fixture(scope="module")
def without():
    return mapped(None)


def covered(got):
    return np.mean([d.view.depth > 0 for d in got])


def test_a_prior_fills_the_depth_of_keyframes_and_changes_no_pose(without):
    pipeline, got = mapped(TruePrior(lambda d: 2.5 * d + 0.3))
    assert covered(got) > covered(without[1]) + 0.03
    ratios = [np.median(d.view.depth[k] / TRUE[d.view.frame.stamp_ns][k]) for d in got for k in [d.view.depth > 0]]
    scale = np.median(ratios)
    errors = [np.abs(d.view.depth[k] / TRUE[d.view.frame.stamp_ns][k] / scale - 1) for d in got for k in [d.view.depth > 0]]
    assert np.median(np.concatenate(errors)) < 0.04
    ours, before = pipeline.trajectory(), without[0].trajectory()
    assert [p.stamp_ns for p in ours] == [p.stamp_ns for p in before]
    assert all(np.array_equal(a.T_map_rig, b.T_map_rig) for a, b in zip(ours, before, strict=True))
    assert not [w for w in pipeline.warnings.texts if "depth prior" in w]


@pytest.mark.parametrize(("spoil", "reason"), [
    (lambda d: 5 / d, "near and far are not where motion shows them"),
    (lambda d: np.full_like(d, 2.0), "truth gave the same value"),
    (lambda d: np.where(np.arange(d.shape[1]) < 9, np.nan, d), "values that are no numbers")])
def test_a_prior_that_is_wrong_is_left_out_and_that_is_said(without, spoil, reason):
    pipeline, got = mapped(TruePrior(spoil))
    (said,) = [w for w in pipeline.warnings.texts if "depth prior" in w]
    assert reason in said and f"left out of {len(got)} of {len(got)} images" in said
    for ours, before in zip(got, without[1], strict=True):
        assert np.array_equal(ours.view.depth, before.view.depth) and ours.prior_scale is None


def test_inline_nothing_runs_beside_and_in_the_background_it_has_a_thread_of_its_own():
    inline, beside = TruePrior(), TruePrior()
    mapped(inline)
    _, got = mapped(beside, background=True)
    assert inline.threads == {threading.main_thread()}
    assert len(beside.threads) == 1 and threading.main_thread() not in beside.threads
    assert covered(got) > 0.9


def test_frames_do_not_wait_for_a_slow_prior():
    prior = TruePrior()
    prior.hold = threading.Event()
    model = make_pair_model(CONFIG.pairs)
    model.depth_prior = prior
    pipeline = MappingPipeline(CONFIG, model, background=True)
    try:
        added = [n for f in FRAMES for n in
                 pipeline.process(FrameSet(f.stamp_ns, (f,), {"camera": np.eye(4)})).added]
        asked = len(pipeline.keyframe_trajectory())
        assert asked > MOST_WAITING and len(added) < asked  # those that wait for the prior are not fused yet
        assert pipeline.trajectory()[-1].stamp_ns == FRAMES[-1].stamp_ns
    finally:
        prior.hold.set()
    pipeline.settle()
    assert "it is slower than keyframes come" in pipeline.tracker.prior_note()


def test_what_was_asked_is_forgotten_with_its_keyframe():
    prior = TruePrior()
    priors = KeyframePriors(prior)
    priors.ask(7, FRAMES[:1], background=False)
    priors.forget(7)
    assert priors.complete(7, "camera", None, Anchors(np.zeros((0, 2)), np.zeros(0), np.zeros(0))) is None
    assert priors.note == "" and not prior.threads


def test_a_model_that_knows_depth_takes_no_prior():
    config = from_dict({"pairs.model": "depth", "pairs.depth_prior": "onnx"}).pairs
    with pytest.raises(ValueError, match="pairs.depth_prior 'onnx' is of no use to pair model 'depth'"):
        make_pair_model(config)
    with pytest.raises(FileNotFoundError, match="there is no file ''"):
        make_pair_model(from_dict({"pairs.model": "two_view", "pairs.depth_prior": "onnx"}).pairs)


def looking(points, *places):
    """A graph of keyframes at places, all turned alike; the first has the points as landmarks, which each other one sees."""
    graph = KeyframeGraph(CONFIG.keyframes, CONFIG.tracking)
    for i, place in enumerate(places):
        pixels, _ = CAMERA.project(points - place)
        own = pixels if i == 0 else np.zeros((0, 2))
        rho = 1 / points[:len(own), 2]
        view = KeyframeView("camera", None, CAMERA, np.eye(4), own, CAMERA.unproject(own), rho.copy(), rho.copy())
        graph.add(Keyframe(i, i, make_se3(np.eye(3), place), {"camera": view}))
        if i:
            graph.connect(Link(0, "camera", i, "camera", Matches(np.arange(len(points)), pixels, np.full(len(points), np.nan))))
    return graph


def test_a_landmark_is_known_as_well_as_parallax_shows_it():
    points = np.array([[0.1, 0.0, 2.0], [-0.2, 0.1, 4.0]])
    found = known_landmarks(looking(points, [0.0, 0, 0], [0.2, 0, 0], [0, 0.2, 0]), 0, "camera", 0.5)
    one = 0.5 * points[:, 2] / (CAMERA.fx * 0.2)  # depth by disparity, of one pair
    assert np.allclose(found.sigma, one / np.sqrt(2), rtol=1e-3) and np.allclose(found.inverse_depth, 1 / points[:, 2])
    assert np.allclose(found.pixels, CAMERA.project(points)[0])


@pytest.mark.parametrize("places", [([0.0, 0, 0], [0.2, 0, 0]), ([0.0, 0, 0], [0.01, 0, 0], [0, 0.01, 0])],
                         ids=["one keyframe sees it", "hardly any parallax"])
def test_a_landmark_that_is_not_sure_is_left_out(places):
    assert not len(known_landmarks(looking(np.array([[0.1, 0.0, 2.0]]), *places), 0, "camera", 0.5).sigma)
