# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Exports that come back whole, and exports that fail and leave nothing."""
import errno
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lsm_ros.datasets import open_source
from lsm_ros.datasets.imu import ImuData
from lsm_ros.datasets.tum_writer import TumWriter, depth_units
from lsm_ros.geometry.camera import T_BODY_OPTICAL, CameraIntrinsics
from lsm_ros.geometry.lie import make_se3, se3_exp
from lsm_ros.types import Frame, FrameSet, LabelSpace, TrajectoryPose
from lsm_sim import export as module
from lsm_sim.export import export

RNG = np.random.default_rng(8)
CAMERA = CameraIntrinsics(24, 18, 20.0, 21.0, 11.0, 9.0, "plumb_bob", (0.1, -0.05, 0.001, 0.0, 0.0))
SPACE = LabelSpace({0: "wall", 300: "chair"}, 0.25)


class Made:
    """Two cameras on a robot, with noise for images; from `broken` on, reading it raises `error`."""

    name, cameras, ground_truth_frame = "made", ["front", "rear"], "rig"

    def __init__(self, frames=4, size=None, broken=None, error=None):
        self.facts = {"seed": 8}
        self.warnings = []
        self.broken, self.error = broken, error
        self.camera = CAMERA if size is None else CameraIntrinsics.from_fov(*size, 1.0)
        self.T_rig_cam = {"front": make_se3(np.eye(3), [0.1, 0.0, 1.1]) @ T_BODY_OPTICAL,
                          "rear": se3_exp(RNG.normal(size=6)) @ T_BODY_OPTICAL}
        stamps = [i * 100_000_000 for i in range(frames)]
        self.ground_truth = [TrajectoryPose(s, se3_exp(RNG.normal(size=6))) for s in stamps]
        self.odometry = [se3_exp(RNG.normal(size=6)) for _ in stamps]
        n = 10 * frames
        self.imu = ImuData(np.arange(n) * 10_000_000, RNG.normal(size=(n, 3)), RNG.normal(size=(n, 3)))
        self.frame_sets = [self._make(i) for i in range(frames)]

    def _make(self, i):
        h, w = self.camera.shape
        stamp_ns = self.ground_truth[i].stamp_ns
        frames = tuple(Frame(stamp_ns, c, RNG.integers(0, 256, (h, w, 3), np.uint8), self.camera,
                             RNG.uniform(0.3, 12, (h, w)).astype(np.float32),
                             RNG.choice(np.array([0, 300, 65535], np.uint16), (h, w)), SPACE) for c in self.cameras)
        return FrameSet(stamp_ns, frames, dict(self.T_rig_cam), self.odometry[i], rig_is_base=True)

    def __len__(self):
        return len(self.frame_sets)

    def __iter__(self):
        for i, frame_set in enumerate(self.frame_sets):
            if i == self.broken:
                raise self.error
            yield frame_set

    def close(self):
        self.frame_sets = []


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


@pytest.mark.parametrize("format, place", [("tum", "."), ("both", "tum")])
def test_a_tum_folder_comes_back_whole(tmp_path, format, place):
    source, seen = Made(), []
    summary = export(source, tmp_path / "o", format, progress=lambda i, n: seen.append((i, n)))
    assert seen == [(i, 4) for i in range(1, 5)] and summary.frame_sets == 4 and names(tmp_path) == ["o"]
    back = open_source(tmp_path / "o" / place)
    assert back.cameras == ["front", "rear"] and len(back) == 4
    for a, b in zip(source, back, strict=True):
        assert b.stamp_ns == a.stamp_ns and b.rig_is_base
        np.testing.assert_allclose(b.T_odom_base, a.T_odom_base, atol=2e-6)
        for fa, fb in zip(a.frames, b.frames, strict=True):
            assert (fb.camera, fb.stamp_ns) == (fa.camera, fa.stamp_ns)
            np.testing.assert_array_equal(fb.image, fa.image)
            np.testing.assert_array_equal(fb.labels, fa.labels)
            np.testing.assert_allclose(fb.depth, fa.depth, atol=1.01e-4)
            np.testing.assert_allclose(b.T_rig_cam[fb.camera], a.T_rig_cam[fa.camera], atol=1e-12)
            assert fb.intrinsics == fa.intrinsics and fb.label_space == SPACE
    for a, b in zip(source.ground_truth, back.ground_truth, strict=True):
        np.testing.assert_allclose(b.T_map_rig, a.T_map_rig, atol=5e-6)
    np.testing.assert_array_equal(back.imu.stamps_ns, source.imu.stamps_ns[source.imu.stamps_ns <= 300_000_000])
    assert json.loads((tmp_path / "o" / "scene.json").read_text()) == {"seed": 8} and back.warnings == []


def test_the_rear_camera_is_a_folder_of_its_own(tmp_path):
    source = Made()
    export(source, tmp_path / "o")
    rear = open_source(tmp_path / "o" / "rear")
    assert rear.cameras == ["rear"]
    np.testing.assert_allclose(rear.ground_truth[2].T_map_rig, source.ground_truth[2].T_map_rig, atol=5e-6)
    np.testing.assert_array_equal(next(iter(rear)).frames[0].image, source.frame_sets[0].frames[1].image)


@pytest.mark.parametrize("format, place", [("bag", "."), ("both", "bag")])
def test_a_bag_comes_back(tmp_path, format, place):
    source = Made()
    export(source, tmp_path / "o", format)
    back = open_source(tmp_path / "o" / place)
    for a, b in zip(source, back, strict=True):
        np.testing.assert_array_equal(a.frames[1].image, b.frames[1].image)
        np.testing.assert_allclose(b.T_odom_base, a.T_odom_base, atol=1e-9)
    back.close()
    assert (tmp_path / "o" / "scene.json").is_file()


def test_jpeg(tmp_path):
    source = Made(size=(64, 48))
    for frame_set in source.frame_sets:  # noise is not what JPEG is for
        for frame in frame_set.frames:
            frame.image[:] = np.linspace(0, 200, 64)[None, :, None]
    export(source, tmp_path / "o", "both", jpeg_quality=80)
    for place in ("tum", "bag"):
        frame = next(iter(open_source(tmp_path / "o" / place))).frames[0]
        error = np.abs(frame.image.astype(int) - source.frame_sets[0].frames[0].image)
        assert 0 < error.max() < 12
    assert (tmp_path / "o" / "tum" / "rgb" / "0.000000000.jpg").is_file()


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "o").mkdir()
    export(Made(2), tmp_path / "o")
    assert (tmp_path / "o" / "rgb.txt").is_file() and names(tmp_path) == ["o"]


def test_depth_units():
    depth = np.array([[np.nan, np.inf, -1, 0, 0.00009, 0.00011, 13.107, 13.2]], np.float32)
    assert depth_units(depth).tolist() == [[0, 0, 0, 0, 0, 1, 65535, 0]]


class TestNothingIsLeft:
    @pytest.mark.parametrize("format", ["tum", "bag", "both"])
    @pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("unplugged"), MemoryError("all gone")])
    def test_of_what_breaks(self, tmp_path, format, error):
        with pytest.raises(type(error)):
            export(Made(4, broken=2, error=error), tmp_path / "deep" / "er" / "o", format)
        assert names(tmp_path) == []

    @pytest.mark.parametrize("format", ["tum", "both"])
    def test_of_a_full_disk(self, tmp_path, monkeypatch, format):
        write = Path.write_bytes

        def full(path, data):
            if "labels" in path.parts and path.name.startswith("0.1"):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            return write(path, data)

        monkeypatch.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match="No space left on device") as found:
            export(Made(), tmp_path / "o", format)
        assert found.value.errno == errno.ENOSPC and str(tmp_path / "o") in str(found.value)
        assert ".o." not in str(found.value) and names(tmp_path) == []

    @pytest.mark.parametrize("format", ["tum", "bag", "both"])
    def test_of_a_disk_that_fills_up(self, tmp_path, format):
        """A process that may not write files beyond 200 kB stands for a full disk."""
        code = ("import sys\nsys.path[:0] = sys.argv[3:]\nfrom test_export import Made\n"
                "from lsm_sim.export import export\n"
                "try:\n    export(Made(6, size=(320, 240)), sys.argv[1], sys.argv[2])\n"
                "except OSError as error:\n    print(error)\n    sys.exit(7)\n")
        here = Path(__file__).resolve()
        done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "o"), format, str(here.parent),
                               str(here.parents[2])], capture_output=True, text=True,
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000)))
        assert done.returncode == 7, done.stderr
        assert done.stdout.strip().endswith(f"the previous content is intact: '{tmp_path / 'o'}'") and names(tmp_path) == []

    def test_what_is_there_stays(self, tmp_path):
        (tmp_path / "o").mkdir()
        (tmp_path / "o" / "thesis.tex").write_text("years of work")
        with pytest.raises(FileExistsError, match="is not empty"):
            export(Made(), tmp_path / "o")
        with pytest.raises(FileExistsError, match="is a file"):
            export(Made(), tmp_path / "o" / "thesis.tex")
        assert names(tmp_path) == ["o"] and (tmp_path / "o" / "thesis.tex").read_text() == "years of work"

    def test_an_empty_folder_stays(self, tmp_path):
        (tmp_path / "o").mkdir()
        with pytest.raises(RuntimeError):
            export(Made(4, broken=2, error=RuntimeError()), tmp_path / "o")
        assert names(tmp_path) == ["o"] and names(tmp_path / "o") == []

    @pytest.mark.parametrize("options, named", [({"format": "tape"}, "tape"), ({"jpeg_quality": 0}, "jpeg_quality"),
                                                ({"jpeg_quality": 0, "format": "bag"}, "jpeg_quality"),
                                                ({"storage": "tape", "format": "bag"}, "tape")])
    def test_bad_options(self, tmp_path, options, named):
        with pytest.raises(ValueError, match=named):
            export(Made(), tmp_path / "o", **options)
        assert names(tmp_path) == []

    def test_a_source_without_frames(self, tmp_path):
        with pytest.raises(ValueError, match="made gave no frames"):
            export(Made(0), tmp_path / "o")
        assert names(tmp_path) == []

    def test_the_target_appears_at_the_end(self, tmp_path):
        seen = []
        export(Made(), tmp_path / "o", progress=lambda done, total: seen.append((tmp_path / "o").exists()))
        assert seen == [False] * 4 and names(tmp_path) == ["o"]


def test_writer_says_which_camera_has_no_images(tmp_path):
    source = Made(1)
    source.frame_sets[0] = FrameSet(0, source.frame_sets[0].frames[1:], dict(source.T_rig_cam))
    writer = TumWriter(tmp_path, source)
    writer.add(source.frame_sets[0])
    with pytest.raises(ValueError, match="camera front"):
        writer.close()
    assert module.FORMATS == ("tum", "bag", "both")
