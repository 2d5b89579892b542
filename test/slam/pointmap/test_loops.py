# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Loops with predicted pointmaps: drift goes out of the graph and out of the map, and false loops do not come in."""
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.pointmaps import PERIOD_NS, START_NS, FakePairModel, on_path
from helpers.textured import Board, picture, room

from lsm_ros.config import from_dict
from lsm_ros.geometry import CameraIntrinsics, make_se3, se3_inverse, so3_exp, split_sim3, transform_points, umeyama
from lsm_ros.mapping.pipeline import MappingPipeline
from lsm_ros.slam.pointmap import graph as pointmap_graph
from lsm_ros.slam.pointmap.loops import LoopCloser
from lsm_ros.slam.trackers.pointmap import RELOCALIZE_TRIES
from lsm_ros.types import Frame, FrameSet, TrackingState

SMALL = CameraIntrinsics(160, 120, 130.0, 130.0, 79.5, 59.5)
NETWORK = {"size": 96, "ray_noise": 0.001, "depth_noise": 0.02}


def bend(prediction, stamps, amount=0.004):
    """What networks do wrong: every pointmap is bent a little, smoothly and in its own way."""
    rng = np.random.default_rng([s % 2**31 for s in stamps])
    height, width = prediction.points_a.shape[:2]
    y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    shapes = torch.stack([torch.ones_like(x), x, y, x * y, x * x, y * y], -1)

    def bent(points):
        c = torch.from_numpy(amount * rng.standard_normal((3, 6)).astype(np.float32))
        aside = torch.stack([shapes @ c[0], shapes @ c[1], torch.zeros_like(x)], -1)
        return points * torch.exp(3 * shapes @ c[2])[..., None] + points.norm(dim=-1, keepdim=True) * aside

    return replace(prediction, points_a=bent(prediction.points_a), points_b=bent(prediction.points_b))


def blank(path):
    """Frame sets whose images nobody looks at."""
    stamps = [START_NS + n * PERIOD_NS for n in range(len(path))]
    return [FrameSet(s, (Frame(s, "camera", np.zeros((120, 160, 3), np.uint8)),), {"camera": np.eye(4)}) for s in stamps]


def tour(count, turns=1.2):
    """Around on a circle of 1 m, looking outwards."""
    angles = np.arange(count) / count * 2 * np.pi * turns
    return [make_se3(so3_exp([0.0, t, 0.0]), [np.sin(t), 0.1 * np.sin(3 * t), np.cos(t) - 1.0]) for t in angles]


@pytest.fixture
def make():
    """Function (boards, path, config, model) -> pipeline with that model, or with a fake one that bends its pointmaps."""
    def build(boards, path, config=None, model=None, **options):
        model = model or FakePairModel(boards, on_path(path), **{**NETWORK, "camera": SMALL, "spoil": bend, **options})
        return MappingPipeline(from_dict({"fusion.voxel_size": 0.1, "fusion.stride": 4, "tracking.max_speed": 20.0,
                                          "tracking.max_rate": 20.0, "pointmap.overlap": 0.4, **(config or {})}), model)
    return build


def mapped(pipeline, frames):
    """Updates of all frames; the map is settled."""
    updates = [pipeline.process(f) for f in frames]
    pipeline.settle()
    return updates


def judged(pipeline, path):
    """Root mean square error after alignment by a similarity, and its scale."""
    poses = pipeline.trajectory()
    ours = np.array([p.T_map_rig[:3, 3] for p in poses])
    true = np.array([path[round((p.stamp_ns - START_NS) / PERIOD_NS)][:3, 3] for p in poses])
    S = umeyama(ours, true)
    return np.sqrt(np.mean(np.sum((transform_points(S, ours) - true) ** 2, 1))), float(split_sim3(S)[0])


@pytest.mark.parametrize("metric", [False, True], ids=["any unit", "metric"])
def test_a_loop_takes_the_drift_out(make, metric):
    path, boards = tour(44), room()
    frames = blank(path)
    options = {"metric": metric, "unit_spread": 0.0 if metric else 0.3}
    pipeline = make(boards, path, **options)
    updates = mapped(pipeline, frames)
    assert len(pipeline.trajectory()) == len(path)
    closed = [(u.tracking.new_keyframe, old) for u in updates for old in u.tracking.closed_loops]
    assert len(closed) >= 2 and all(new - old > 5 for new, old in closed)
    assert judged(pipeline, path)[0] < 0.12
    if not metric:  # what it would be without
        open_ended = make(boards, path, {"pointmap.loop_candidates": 0}, **options)
        assert not any(u.tracking.closed_loops for u in mapped(open_ended, frames))
        assert judged(open_ended, path)[0] > 0.18
    graph, observations = pipeline.tracker.graph, pipeline.map.observations
    assert any(abs(i - j) > 5 for i, _, j, _ in graph.links) and len(observations) > 5
    sizes = np.array([k.size for k in graph.keyframes.values()])
    assert np.array_equal(sizes, np.ones(len(sizes))) if metric else np.ptp(sizes) > 0.01
    for seen in observations.values():  # the map has every keyframe where the graph has it, and as large
        keyframe = graph.keyframes[seen.keyframe]
        assert np.allclose(pipeline.map.fused_poses()[seen.id], keyframe.T_map_rig, atol=1e-6)
        assert pipeline.tracker.depth_ratio(keyframe, seen.camera, seen.depth) == pytest.approx(1.0, abs=0.011)


def repeated_wall(period=3.0, count=4):
    """A wall with the same things before it again and again, and a floor."""
    x, y, z = np.eye(3)
    boards = [Board(np.array([-6.0, -1.5, 3.0]), 24 * x, 3 * y, picture(0)), Board(np.array([-6.0, 1.5, 3.0]), 24 * x, -6 * z,
                                                                                  picture(1))]
    for k in range(-1, count + 1):
        at = period * k
        boards += [Board(np.array([at, -0.8, 2.0]), 0.8 * x, 1.2 * y, picture(2)),
                   Board(np.array([at + 1.4, -0.2, 1.7]), 0.6 * x + 0.4 * z, 1.0 * y, picture(3))]
    return boards


class Deceived(FakePairModel):
    """Takes what lies a period farther on for the same, as any network would where all looks alike."""

    period = 3.0

    def signature(self, tokens):
        x = tokens[0].T_world_cam[0, 3] % self.period
        return np.array([np.cos(2 * np.pi * x / self.period), np.sin(2 * np.pi * x / self.period), 1.0])

    def _predict(self, a, b):
        periods = round((a.T_world_cam[0, 3] - b.T_world_cam[0, 3]) / self.period)
        return super()._predict(a, replace(b, T_world_cam=make_se3(np.eye(3), [self.period * periods, 0, 0]) @ b.T_world_cam))


def test_what_only_looks_alike_does_not_bend_the_map(make, monkeypatch):
    path = [make_se3(so3_exp([0.0, 0.1 * np.sin(n / 5), 0.0]), [0.15 * n, 0.05 * np.sin(n / 3), 0.0]) for n in range(36)]
    boards = repeated_wall()
    joined = []
    verified = LoopCloser._verified

    def watched(self, new, old, *predictions):
        keys = verified(self, new, old, *predictions)
        joined.extend((new.id, old.id) for _ in keys if new.id - old.id > 5)
        return keys

    monkeypatch.setattr(LoopCloser, "_verified", watched)
    pipeline = make(boards, path, {"pointmap.max_translation": 0.15},
                    Deceived(boards, on_path(path), metric=True, camera=SMALL, **NETWORK))
    updates = mapped(pipeline, blank(path))
    assert joined, "nothing tempted"
    assert not any(u.tracking.closed_loops for u in updates)
    assert all(abs(i - j) <= 9 for i, _, j, _ in pipeline.tracker.graph.links)
    assert judged(pipeline, path)[0] < 0.05


def test_loops_that_bend_the_chain_are_taken_back(make, monkeypatch):
    """Were false loops always trusted, the others would have to give way: then all is left as it was."""
    path, boards = tour(44), room()
    pipeline = make(boards, path, metric=True)
    monkeypatch.setattr(pointmap_graph, "NARROWEST", 0.05)  # nothing is so exact: any loop bends the chain
    monkeypatch.setattr(pointmap_graph, "BENT", 0.0)
    updates = mapped(pipeline, blank(path))
    assert not any(u.tracking.closed_loops for u in updates) and len(pipeline.trajectory()) == len(path)
    assert all(abs(i - j) <= 9 for i, _, j, _ in pipeline.tracker.graph.links)


def test_a_camera_that_was_carried_away_is_found_by_what_it_sees(make):
    """After darkness the camera is back where it began: the keyframes there look like it, the last ones do not."""
    path = tour(40, 0.5)
    path = path + [path[-1]] * 3 + path[1:6]
    boards, dark = room(), range(40, 43)

    def spoil(prediction, stamps):
        numbers = [round((s - START_NS) / PERIOD_NS) for s in stamps]
        return replace(prediction, conf_a=0 * prediction.conf_a, conf_b=0 * prediction.conf_b) if max(numbers) in dark \
            else prediction

    pipeline = make(boards, path, unit_spread=0.3, spoil=spoil)
    updates = [pipeline.process(f) for f in blank(path)]
    states = [u.tracking.state for u in updates[39:]]
    assert states[:5] == [TrackingState.TRACKING, *[TrackingState.LOST] * 3, TrackingState.RELOCALIZED]
    assert all(s is TrackingState.TRACKING for s in states[5:])
    between = se3_inverse(updates[1].tracking.T_map_rig) @ updates[43].tracking.T_map_rig
    assert np.linalg.norm(between[:3, 3]) < 0.02
    assert len(pipeline.tracker.graph.keyframes) > 2 * RELOCALIZE_TRIES  # and only three of them were looked at


class Measured(FakePairModel):
    """Predicts from true depth; `measured` by stamp."""

    measured = {}

    def depth(self, frame, crop, _pinhole, _T):
        full = self.measured[frame.stamp_ns]
        y, x = (np.minimum(np.arange(n) * m // n, m - 1) for n, m in zip((crop.height, crop.width), full.shape, strict=True))
        return full[y][:, x].astype(np.float64)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_ring_of_corridors_is_closed(make):
    """A robot that goes once around a ring of corridors, with pointmaps of any unit that are bent."""
    from lsm_ros.evaluation import trajectory
    from lsm_sim.source import SimSource

    source = SimSource(4, "loop", frames=300, width=256, height=192, rate_hz=5.0, noise=False, odometry=False, labels=False)
    sets, errors = list(source), []
    truth = {p.stamp_ns: p.T_map_rig @ sets[0].T_rig_cam["front"] for p in source.ground_truth}
    for candidates in (0, 3):
        model = Measured(None, truth.__getitem__, size=128, ray_noise=0.001, depth_noise=0.03, unit_spread=0.3,
                         spoil=lambda p, s: bend(p, s, 0.002), camera=sets[0].frames[0].intrinsics)
        model.measured = {s.stamp_ns: s.frames[0].depth for s in sets}
        pipeline = make(None, None, {"pointmap.loop_candidates": candidates, "pointmap.overlap": 0.333}, model)
        updates = mapped(pipeline, [replace(s, frames=(replace(s.frames[0], depth=None, intrinsics=None),)) for s in sets])
        found = trajectory.evaluate(pipeline.trajectory(), source.ground_truth, alignments=("sim3",))
        errors.append(found.ate_m["sim3"].rmse)
        loops = [(u.tracking.new_keyframe, *u.tracking.closed_loops) for u in updates if u.tracking.closed_loops]
        print(f"candidates {candidates}: ATE {errors[-1]:.3f} m of {found.path_m:.1f} m, loops {loops}")
        assert len(pipeline.trajectory()) == len(sets) and bool(loops) == bool(candidates)
    assert errors[1] < 0.03 and errors[0] > 3 * errors[1]
