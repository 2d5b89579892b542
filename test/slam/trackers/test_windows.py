# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Tracking in windows of keyframes that a multi-view network sees at once: exact runs, and runs that are wrong."""
from dataclasses import replace

import numpy as np
import pytest
from helpers.pointmaps import FakePairModel, on_path, walk
from helpers.textured import CAMERA, room
from helpers.true_views import OFF, TrueViewModel, TrueViews, garbled, misplaced, sharp_frame_set

from lsm_ros.config import PairConfig, from_dict
from lsm_ros.geometry import make_se3, rotation_angle, se3_inverse, so3_exp, transform_points, umeyama
from lsm_ros.mapping.pipeline import MappingPipeline
from lsm_ros.pairs import make_pair_model
from lsm_ros.pairs.base import VIEWS
from lsm_ros.slam.pointmap.loops import LoopCloser
from lsm_ros.slam.pointmap.pose import predict_for
from lsm_ros.slam.pointmap.window import solve_window
from lsm_ros.slam.trackers import make_tracker
from lsm_ros.slam.trackers.pointmap import PointmapTracker
from lsm_ros.slam.trackers.whole_image import contradiction, refutation
from lsm_ros.slam.trackers.windows import WindowLoops, WindowTracker, look
from lsm_ros.types import FrameSet

BOARDS = room()
PATH = walk(90)
FRAMES = [sharp_frame_set(BOARDS, PATH, n) for n in range(len(PATH))]
MANY = {"fusion.voxel_size": 0.1, "pointmap.max_rotation": 0.08, "pointmap.max_translation": 0.06}


def model_of(**options):
    return TrueViewModel(TrueViews(BOARDS, unit_spread=0.3, **options), on_path(PATH))


def mapped(model, frames=FRAMES, **config):
    pipeline = MappingPipeline(from_dict({**MANY, **config}), model)
    reasons = [pipeline.process(f).tracking.reason for f in frames]
    return pipeline, [r for r in reasons if r]


def errors(pipeline):
    """Distances (N,) of positions from the truth after the best similarity, metres."""
    poses = pipeline.trajectory()
    ours = np.array([p.T_map_rig[:3, 3] for p in poses])
    true = np.array([on_path(PATH)(p.stamp_ns)[:3, 3] for p in poses])
    return np.linalg.norm(transform_points(umeyama(ours, true), ours) - true, axis=1)


@pytest.fixture(scope="module")
def known():
    """A tracker with a map of the first frames, and its model."""
    model = model_of()
    pipeline, _ = mapped(model, FRAMES[:70])
    assert len(pipeline.tracker.graph.keyframes) >= 5
    return pipeline.tracker, model


@pytest.fixture
def tracker(known):
    tracker, model = known
    model.views.spoil = None
    yield tracker
    model.views.spoil = None


def windows_of(tracker, n=70):
    """A frame set of n, its rig, and the keyframes that tracking would look at together with the reference."""
    new = tracker.read(FRAMES[n])
    asked = tracker.graph.keyframes[tracker.reference]
    return new, {c: (new.tokens[c], new.T_rig_cam[c]) for c in new.tokens}, [asked, *tracker._beside(new, asked)]


def solved(tracker, spoil, n=70):
    new, rig, window = windows_of(tracker, n)
    tracker.model.views.spoil = spoil
    found = predict_for(tracker.model, [(rig, k) for k in window])
    return new, window, solve_window(rig, window, found, tracker.config, True)


def off(tracker, solution, n=70):
    """Radians, and parts of the median depth, between the pose and that by the exact keyframe."""
    T = solution.keyframe.T_map_rig @ se3_inverse(solution.alignment.T_new_kf)
    keyframe = tracker.graph.keyframes[tracker.reference]
    between = se3_inverse(on_path(PATH)(keyframe.stamp_ns)) @ PATH[n]
    between[:3, 3] *= unit_of(tracker)
    error = se3_inverse(keyframe.T_map_rig @ between) @ T
    return rotation_angle(error[:3, :3]), np.linalg.norm(error[:3, 3]) / keyframe.median_depth


def unit_of(tracker):
    """Units of the map for each metre."""
    a, b = (tracker.graph.keyframes[i] for i in (min(tracker.graph.keyframes), max(tracker.graph.keyframes)))
    ours, true = (np.linalg.norm((se3_inverse(p) @ q)[:3, 3]) for p, q in (
        (a.T_map_rig, b.T_map_rig), (on_path(PATH)(a.stamp_ns), on_path(PATH)(b.stamp_ns))))
    return ours / true


def always(number, *numbers):
    """The views of these numbers, each at a wrong place of its own."""
    def spoil(run, predictions):
        for k, n in enumerate((number, *numbers)):
            there = make_se3(so3_exp([0.0, 0.0, 0.12 * k]), np.zeros(3)) @ OFF if k else OFF
            predictions = [replace(p, T_first_cam=p.T_first_cam @ there) if i == n else p for i, p in enumerate(predictions)]
        return predictions

    return spoil


def test_multi_view_networks_are_tracked_in_windows_and_others_in_pairs():
    model = model_of()
    assert type(make_tracker(from_dict({}), model)) is WindowTracker
    assert type(make_tracker(from_dict({"tracking.tracker": "pointmap"}), model)) is PointmapTracker
    pairs = FakePairModel(BOARDS, on_path(PATH))
    assert type(make_tracker(from_dict({}), pairs)) is PointmapTracker
    with pytest.raises(ValueError, match="pair model 'fake' gives points, which does not suit tracker 'windows'"):
        make_tracker(from_dict({"tracking.tracker": "windows"}), pairs)
    assert VIEWS not in make_pair_model(PairConfig(model="lsm_small")).gives


def test_a_window_is_one_run_and_its_keyframes_agree(tracker):
    before = len(tracker.model.views.runs)
    _, window, found = solved(tracker, None)
    assert tracker.model.views.runs[before:] == [4] and len(window) == 3
    angle, distance = off(tracker, found)
    assert angle < 1e-3 and distance < 2e-3
    assert {i for i, _ in found.others} == {k.id for k in window[1:]} and found.keyframe is window[0]
    for link in (*found.matches.values(), *found.others.values()):
        assert len(link) >= tracker.config.tracking.min_inliers


@pytest.mark.parametrize("asked", [0, 1, 2])
def test_the_pose_is_in_terms_of_the_keyframe_that_was_asked_for(tracker, asked):
    _, rig, window = windows_of(tracker)
    window = [window[asked], *(k for k in window if k is not window[asked])]
    found = solve_window(rig, window, predict_for(tracker.model, [(rig, k) for k in window]), tracker.config, True)
    assert found.keyframe is window[0] and {i for i, _ in found.others} == {k.id for k in window[1:]}


def test_what_a_pose_lacks_of_a_rotation_does_not_grow(tracker):
    """The pose of one window goes into the next one several times."""
    _, rig, window = windows_of(tracker)
    bent = [replace(k, T_map_rig=k.T_map_rig @ np.diag([1 + 1e-6 * (n + 1), 1, 1, 1])) for n, k in enumerate(window)]
    found = solve_window(rig, bent, predict_for(tracker.model, [(rig, k) for k in bent]), tracker.config, True)
    R = found.alignment.T_new_kf[:3, :3]
    assert np.abs(R @ R.T - np.eye(3)).max() < 1e-9


def test_only_keyframes_that_are_linked_are_looked_at_together(tracker):
    new, _, window = windows_of(tracker)
    for keyframe in window[1:]:
        assert keyframe.id in tracker.graph.linked(window[0].id)
    cut = [k for k in tracker.graph.links if window[1].id in (k[0], k[2]) and window[0].id in (k[0], k[2])]
    held = {k: tracker.graph.links[k] for k in cut}
    for key in cut:
        tracker.graph.disconnect(key)
    assert window[1].id not in [k.id for k in tracker._beside(new, window[0])]
    for link in held.values():
        tracker.graph.connect(link)
    assert window[1].id in [k.id for k in tracker._beside(new, window[0])]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_keyframe_that_the_run_has_elsewhere_is_outvoted(tracker, number):
    _, window, found = solved(tracker, always(number))
    angle, distance = off(tracker, found)
    assert angle < 2e-3 and distance < 2e-3
    wrong = window[number - 1]
    assert found.keyframe is not wrong and not any(i == wrong.id for i, _ in found.others)
    assert (found.keyframe is window[0]) == (number != 1)


def test_a_keyframe_whose_points_are_noise_has_no_vote(tracker):
    def noise(run, predictions):
        rng = np.random.default_rng(run)
        return [*predictions[:-1], replace(predictions[-1], points_cam=rng.uniform(0.5, 3, predictions[-1].points_cam.shape))]

    _, window, found = solved(tracker, noise)
    angle, distance = off(tracker, found)
    assert angle < 2e-3 and distance < 2e-3 and {i for i, _ in found.others} == {window[1].id}


def test_a_run_without_a_majority_is_not_believed(tracker):
    assert solved(tracker, always(1, 2))[2] == "only 1 of 3 keyframes in the window agree on a pose"


def test_a_view_that_is_misplaced_as_a_whole_is_seen_in_the_images(tracker):
    """All keyframes agree, for what is wrong is the new view."""
    new, window, found = solved(tracker, always(0))
    assert off(tracker, found)[0] > 0.1
    T = found.keyframe.T_map_rig @ se3_inverse(found.alignment.T_new_kf)
    assert "of the image looks as the map says" in refutation(look(new, window, T))
    right = solved(tracker, None)[2]
    found = look(new, window, right.keyframe.T_map_rig @ se3_inverse(right.alignment.T_new_kf))
    assert found.patches > 100 and contradiction(found) == ""
    seen = tracker.read(FRAMES[70])
    tracker.model.views.spoil = always(0)
    assert tracker.confirm(seen, T) is None
    tracker.model.views.spoil = None
    assert tracker.confirm(seen, right.keyframe.T_map_rig @ se3_inverse(right.alignment.T_new_kf)) is not None


def test_images_under_a_mask_contradict_nothing(tracker):
    new, window, found = solved(tracker, always(0))
    T = found.keyframe.T_map_rig @ se3_inverse(found.alignment.T_new_kf)
    hidden = replace(new.tokens["camera"], mask=np.ones(new.tokens["camera"].size, bool))
    assert look(replace(new, tokens={"camera": hidden}), window, T).patches == 0


def test_a_loop_that_both_directions_of_one_wrong_run_confirm_is_not_closed(tracker):
    ids = sorted(tracker.graph.keyframes)
    old, new = (tracker.graph.keyframes[i] for i in (ids[0], ids[2]))
    links = dict(tracker.graph.links)

    def closed(kind, spoil):
        tracker.model.views.spoil = spoil
        closer = kind(tracker.config, tracker.model, tracker.graph)
        rig = {c: (v.tokens, v.T_rig_cam) for c, v in new.views.items()}
        back = {c: (v.tokens, v.T_rig_cam) for c, v in old.views.items()}
        here, there = predict_for(tracker.model, [(rig, old), (back, new)])
        found = closer._verified(new, old, here, there)
        for key in set(tracker.graph.links) - set(links):
            tracker.graph.disconnect(key)
        for link in links.values():
            tracker.graph.connect(link)
        return found

    assert len(closed(WindowLoops, None)) == 2
    assert len(closed(LoopCloser, always(0))) == 2 and closed(WindowLoops, always(0)) == []
    assert tracker.loop_closer is WindowLoops and type(tracker._loops) is WindowLoops


@pytest.mark.parametrize(("options", "most"), [
    ({"spoil": misplaced(0)}, 0.002), ({"spoil": misplaced(1)}, 0.002),
    *(pytest.param(*case, marks=pytest.mark.slow) for case in (
        ({}, 0.002), ({"ray_noise": 0.002, "depth_noise": 0.03}, 0.03), ({"spoil": garbled}, 0.002),
        ({"spoil": misplaced(2)}, 0.002)))],
    ids=["frame misplaced", "keyframe misplaced", "exact", "noisy", "garbled", "other misplaced"])
def test_tracks_through_a_room(options, most):
    """With each seventh run wrong, where something is."""
    model = model_of(**options)
    pipeline, _ = mapped(model)
    pipeline.settle()
    found = errors(pipeline)
    assert len(found) == len(PATH) and np.sqrt(np.mean(found**2)) < most and max(model.views.runs) >= 4


def test_pairs_believe_a_view_that_is_misplaced_slowly():
    """What windows are for: the same network, tracked in pairs."""
    pipeline, _ = mapped(model_of(spoil=misplaced(0)), **{"tracking.tracker": "pointmap"})
    pipeline.settle()
    assert np.sqrt(np.mean(errors(pipeline)**2)) > 0.02


@pytest.mark.parametrize("size", [2, 6])
def test_windows_have_as_many_images_as_is_set(size):
    model = model_of()
    pipeline, _ = mapped(model, FRAMES[:60], **{"pointmap.window": size, "pointmap.loop_candidates": 0})
    assert len(pipeline.tracker.graph.keyframes) > 4
    new, _, window = windows_of(pipeline.tracker, 60)
    assert len(window) == size - 1 if size < 6 else 3 <= len(window) <= 5


def test_each_camera_of_a_metric_rig_has_windows_of_its_own():
    path = walk(40)
    turn = make_se3(so3_exp([0.0, 0.4, 0.0]), [0.1, 0.0, 0.0])

    class Rig(TrueViewModel):
        def encode(self, frames):
            tokens = super(TrueViewModel, self).encode(frames)
            for f, t in zip(frames, tokens, strict=True):
                there = on_path(path)(f.stamp_ns) @ (turn if f.camera == "right" else np.eye(4))
                self.views.known[t.image.tobytes()] = there, t.crop.intrinsics(CAMERA)
            return tokens

    model = Rig(TrueViews(BOARDS, metric=True), on_path(path))
    both = [sharp_frame_set(BOARDS, path, n) for n in range(40)]
    right = [sharp_frame_set(BOARDS, [p @ turn for p in path], n, "right") for n in range(40)]
    frames = [FrameSet(a.stamp_ns, (*a.frames, *b.frames), {"camera": np.eye(4), "right": turn})
              for a, b in zip(both, right, strict=True)]
    pipeline, reasons = mapped(model, frames)
    assert not reasons
    before = len(model.views.runs)
    pipeline.tracker.track(frames[-1])
    assert model.views.runs[before:] == [4, 4]
    poses = pipeline.trajectory()
    true = [se3_inverse(path[0]) @ path[n] for n in range(40)]
    ours = [se3_inverse(poses[0].T_map_rig) @ p.T_map_rig for p in poses]
    assert max(np.abs(a - b).max() for a, b in zip(ours, true, strict=True)) < 0.01
