# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A robot that its own camera sees is no part of the map, and does not hold the camera."""
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from lsm_ros.config import Config, from_dict
from lsm_ros.geometry import CameraIntrinsics, make_se3, so3_exp
from lsm_ros.mapping.camera_masks import CameraMasks, check_cameras, parse_masks, read_mask, without_robot
from lsm_ros.mapping.frames import FramePreparation
from lsm_ros.mapping.pipeline import MappingPipeline
from lsm_ros.mapping.warnings import Warnings
from lsm_ros.slam.trackers import FrameDepth
from lsm_ros.types import UNLABELLED, Frame, FrameSet

K = CameraIntrinsics(320, 240, 260.0, 260.0, 159.5, 119.5)
ROBOT = np.zeros((240, 320), bool)
ROBOT[130:] = True
rng = np.random.default_rng(0)
PICTURE = cv2.normalize(cv2.GaussianBlur(rng.integers(0, 255, (900, 1200, 3), dtype=np.uint8), (0, 0), 3.0), None, 0, 255,
                        cv2.NORM_MINMAX)
BODY = cv2.GaussianBlur(rng.integers(0, 255, (240, 320, 3), dtype=np.uint8), (0, 0), 1.5)


def view(i, mask=None):
    """A wall 2 m away; the lower part of the image is the robot, 0.5 m away, which moves with the camera."""
    T = make_se3(so3_exp([0.0, 0.004 * i, 0.0]), [0.02 * i, 0.005 * i, -2.0])
    rays = K.rays(unit=False) @ T[:3, :3].T
    depth = (2.0 / rays[..., 2]).astype(np.float32)
    points = rays * depth[..., None] + T[:3, 3]
    x, y = ((points[..., k] + offset) * 250 for k, offset in ((0, 2.4), (1, 1.8)))
    image = cv2.remap(PICTURE, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR)
    image[ROBOT], depth[ROBOT] = BODY[ROBOT], 0.5
    return Frame(i * 100_000_000, "c", image, K, depth, np.full((240, 320), 3, np.uint16), mask=mask)


def save(path, mask, alpha=False):
    seen = np.where(mask, 0, 255).astype(np.uint8)
    if alpha:
        Image.fromarray(np.dstack([np.full((*mask.shape, 3), 200, np.uint8), seen])).save(path)
    else:
        Image.fromarray(seen).save(path)
    return path


def mapped(config, frames=14):
    pipeline = MappingPipeline(config)
    for i in range(frames):
        update = pipeline.process(FrameSet(i * 100_000_000, (view(i),)))
    return pipeline, update.tracking.T_map_rig


def prepared(text, frame):
    pipeline = MappingPipeline(Config())
    prepare = FramePreparation(from_dict({"camera_masks": text}), pipeline.model, Warnings())
    return prepare(FrameSet(frame.stamp_ns, (frame,)), pipeline.tracker).frames[0]


class TestMapping:
    def test_the_robot_leaves_no_voxels_and_does_not_hold_the_camera(self, tmp_path):
        file = save(tmp_path / "c.png", ROBOT)
        pipeline, pose = mapped(from_dict({"camera_masks": f"c={file}"}))
        z = pipeline.snapshot().points_map  # in the body frame of the first camera, which looks along x
        assert len(z) > 300 and z[:, 0].min() > 1.5
        truth = np.linalg.norm([0.02 * 13, 0.005 * 13])
        assert np.linalg.norm(pose[:3, 3]) == pytest.approx(truth, abs=0.02)
        pipeline.close()
        bare, _ = mapped(Config())
        assert bare.snapshot().points_map[:, 0].min() < 1.0, "without a mask the robot is in the map"
        bare.close()

    def test_a_saved_map_keeps_masks(self, tmp_path):
        file = save(tmp_path / "c.png", ROBOT)
        pipeline, _ = mapped(from_dict({"camera_masks": f"c={file}"}), 4)
        pipeline.save(tmp_path / "map")
        again = MappingPipeline(Config())
        again.load(tmp_path / "map")
        tokens = again.tracker.graph.newest.views["c"].tokens
        assert tokens.mask[125:].all() and not tokens.mask[:110].any()
        pixels, _ = tokens.features()
        assert len(pixels) > 20 and pixels[:, 1].max() < 120
        again.close()
        pipeline.close()


def test_depth_that_a_pair_model_found_ends_at_the_mask():
    ones = np.ones((240, 320), np.float32)
    found = FrameDepth(view(0, ROBOT), K, ones, ones, measured=False)
    for values in (found.depth, found.confidence):
        assert not values[ROBOT].any() and values[~ROBOT].all() and values.dtype == np.float32
    assert FrameDepth(view(0), K, ones, ones, measured=False).depth is ones


class TestPreparation:
    def test_depth_and_labels_end_at_the_mask(self, tmp_path):
        frame = prepared(f"c={save(tmp_path / 'c.png', ROBOT)}", view(0))
        assert np.array_equal(frame.mask, ROBOT)
        assert not frame.depth[ROBOT].any() and (frame.labels[ROBOT] == UNLABELLED).all()
        assert frame.depth[:110].all() and (frame.labels[:130] == 3).all()

    def test_masks_follow_the_lens(self, tmp_path):
        bent = replace(K, distortion_model="plumb_bob", D=(-0.3, 0.1, 0.0, 0.0, 0.0))
        frame = prepared(f"c={save(tmp_path / 'c.png', ROBOT)}", replace(view(0), intrinsics=bent))
        assert not np.array_equal(frame.mask, ROBOT)
        dark = replace(view(0), intrinsics=bent, image=np.repeat(np.where(ROBOT, 0, 255).astype(np.uint8)[..., None], 3, 2))
        straight = prepared("", dark).image[..., 0] < 128
        assert np.mean(frame.mask != straight) < 0.01

    def test_masks_follow_a_camera_that_changes_its_size(self, tmp_path):
        warnings = Warnings()
        pipeline = MappingPipeline(Config())
        config = from_dict({"camera_masks": f"c={save(tmp_path / 'c.png', ROBOT)}"})
        prepare = FramePreparation(config, pipeline.model, warnings)
        prepare(FrameSet(0, (view(0),)), pipeline.tracker)
        small = Frame(1, "c", view(1).image[::2, ::2].copy(), K.resize(160, 120))
        frame = prepare(FrameSet(1, (small,)), pipeline.tracker).frames[0]
        assert frame.mask.shape == (240, 320) and np.mean(frame.mask != ROBOT) < 0.01
        assert any("320x240" in t and "160x120" in t and "scaled" in t for t in warnings.texts)

    def test_other_cameras_have_none(self, tmp_path):
        assert prepared(f"rear={save(tmp_path / 'c.png', ROBOT)}", view(0)).mask is None
        assert without_robot(view(0)).depth[200, 100] == 0.5


class TestFiles:
    @pytest.mark.parametrize("alpha", [False, True])
    def test_transparent_or_black_is_masked(self, tmp_path, alpha):
        assert np.array_equal(read_mask(save(tmp_path / "m.png", ROBOT, alpha)), ROBOT)

    def test_opaque_alpha_counts_for_nothing(self, tmp_path):
        grey = np.where(ROBOT, 0, 255).astype(np.uint8)
        Image.fromarray(np.dstack([grey] * 3 + [np.full_like(grey, 255)])).save(tmp_path / "m.png")
        assert np.array_equal(read_mask(tmp_path / "m.png"), ROBOT)

    def test_deep_and_two_valued_images(self, tmp_path):
        Image.fromarray(np.where(ROBOT, 0, 65535).astype(np.uint16)).save(tmp_path / "deep.png")
        Image.fromarray(~ROBOT).save(tmp_path / "bits.png")
        assert all(np.array_equal(read_mask(tmp_path / f"{n}.png"), ROBOT) for n in ("deep", "bits"))

    @pytest.mark.parametrize("mask, text", [(np.ones_like(ROBOT), "every pixel"), (np.zeros_like(ROBOT), "masks nothing")])
    @pytest.mark.parametrize("alpha", [False, True])
    def test_all_or_nothing_is_refused(self, tmp_path, mask, text, alpha):
        with pytest.raises(ValueError, match=f"m.png.*{text}"):
            read_mask(save(tmp_path / "m.png", mask, alpha))

    def test_files_that_are_no_masks(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="m.png does not exist"):
            read_mask(tmp_path / "m.png")
        with pytest.raises(FileNotFoundError, match="is a folder"):
            read_mask(tmp_path)
        (tmp_path / "text.png").write_text("no image")
        with pytest.raises(ValueError, match="text.png cannot be read"):
            read_mask(tmp_path / "text.png")
        Image.fromarray(PICTURE).save(tmp_path / "photo.png")
        with pytest.raises(ValueError, match="photo.png.*colour picture without transparency"):
            read_mask(tmp_path / "photo.png")
        Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "float.tif")
        with pytest.raises(ValueError, match="8 or 16 bits"):
            read_mask(tmp_path / "float.tif")

    def test_another_size_is_refused_with_both(self, tmp_path):
        masks = CameraMasks(f"c={save(tmp_path / 'm.png', ROBOT[:200])}", Warnings())
        with pytest.raises(ValueError, match="m.png of camera 'c' is 320x200, its image 320x240"):
            masks.attach(view(0))


class TestText:
    def test_files_by_camera(self):
        assert parse_masks(" front=a.png, left/rear = b=c.png") == {"front": Path("a.png"), "left/rear": Path("b=c.png")}
        assert parse_masks("") == parse_masks("  ") == {} and parse_masks("c=~/m.png")["c"] == Path.home() / "m.png"

    @pytest.mark.parametrize("text", ["m.png", "c=", "=m.png", "c=m.png,", "c=m.png,d"])
    def test_other_forms_are_refused(self, text):
        with pytest.raises(ValueError, match="expected camera=file"):
            parse_masks(text)

    def test_a_camera_twice(self):
        with pytest.raises(ValueError, match="camera 'c' has two masks"):
            parse_masks("c=a.png,c=b.png")

    def test_a_camera_that_does_not_exist(self, tmp_path):
        check_cameras("front=a.png", ["front", "rear"])
        with pytest.raises(ValueError, match="no camera 'fornt'; there are: front, rear"):
            check_cameras("fornt=a.png", ["rear", "front"])
        warnings = Warnings()
        masks = CameraMasks(f"fornt={save(tmp_path / 'm.png', ROBOT)}", warnings)
        masks.attach(view(0))
        assert any("no image of camera 'fornt' so far" in t and "'c'" in t for t in warnings.texts)
        masks.attach(replace(view(0), camera="fornt"))
        assert not warnings.texts
