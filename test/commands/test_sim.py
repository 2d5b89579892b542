# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""`lsm sim` from end to end."""
import json
import subprocess
import sys

import numpy as np
import pytest

from lsm_ros import cli
from lsm_ros.datasets import open_source
from lsm_sim import export
from lsm_sim.generator import WORLD_KINDS
from lsm_sim.paths import PATH_KINDS
from lsm_sim.rig import DISTORTIONS, RIGS
from lsm_sim.source import SimSource

SMALL = ["--frames", 3, "--size", "64x48", "--world-size", "5x4x2.6", "--quiet"]


def run(capsys, *argv):
    status = cli.main([str(a) for a in argv])
    out, err = capsys.readouterr()
    return status, out, err


def test_both_formats_hold_the_same(tmp_path, capsys):
    status, out, _ = run(capsys, "sim", tmp_path / "o", "--format", "both", "--seed", 3, "--imu", "--rig", "stereo", *SMALL)
    assert status == 0 and "3 frames" in out and "world room 3" in out
    assert sorted(p.name for p in (tmp_path / "o").iterdir()) == ["bag", "scene.json", "tum"]
    assert json.loads((tmp_path / "o" / "scene.json").read_text())["seed"] == 3
    source = SimSource(3, frames=3, width=64, height=48, size=(5.0, 4.0, 2.6), imu=True, rig="stereo")
    tum, bag = open_source(tmp_path / "o" / "tum"), open_source(tmp_path / "o" / "bag")
    assert tum.cameras == bag.cameras == ["left", "right"]
    for a, b, c in zip(source, tum, bag, strict=True):
        for f, g, h in zip(a.frames, b.frames, c.frames, strict=True):
            np.testing.assert_array_equal(g.image, f.image)
            np.testing.assert_array_equal(h.image, f.image)
            np.testing.assert_array_equal(g.labels, f.labels)
            np.testing.assert_array_equal(h.labels, f.labels)
            np.testing.assert_allclose(g.depth, h.depth, atol=1e-3)
            assert g.label_space == h.label_space == f.label_space
        np.testing.assert_allclose(b.T_odom_base, c.T_odom_base, atol=2e-6)
    for a, b in zip(tum.ground_truth, bag.ground_truth, strict=True):
        np.testing.assert_allclose(a.T_map_rig, b.T_map_rig, atol=5e-6)
    assert len(tum.imu.stamps_ns) == 41
    bag.close()


def test_a_progress_bar_and_switches(tmp_path, capsys):
    few = [a for a in SMALL if a != "--quiet"]
    status, _, err = run(capsys, "sim", tmp_path / "o", "--no-labels", "--no-depth", "--no-odometry", "--clean",
                         "--path", "hand", "--jpeg", 90, *few)
    assert status == 0 and "rendering" in err and "3/3" in err
    assert {p.name for p in (tmp_path / "o").iterdir()} == {"camera.yaml", "groundtruth.txt", "rgb", "rgb.txt", "scene.json"}
    frame = next(iter(open_source(tmp_path / "o"))).frames[0]
    assert frame.depth is None and frame.labels is None


def test_events_and_classes(tmp_path, capsys):
    status, out, _ = run(capsys, "sim", tmp_path / "o", "--events", "covered_lens@0.1+0.2,pause@1:front", "--length", 2,
                         "--frames", 4, "--classes", "floor, wall", "--size", "64x48", "--quiet", "--clean")
    assert status == 0 and "covered_lens at 0.1 s" in out and "pause" in out
    frames = [fs.frames[0] for fs in open_source(tmp_path / "o")]
    assert [f.image.mean() < 15 for f in frames] == [False, True, True, False]
    names = frames[0].label_space.names
    assert {names[i] for i in np.unique(frames[0].labels) if i in names} <= {"floor", "wall"}


@pytest.mark.parametrize("options, named", [
    (["--seed", "seven"], "seven"), (["--seed", "1.5"], "1.5"), (["--seed", "-3"], "-3"), (["--world", "castle"], "castle"),
    (["--path", "flight"], "flight"), (["--rig", "helmet"], "helmet"), (["--classes", "chair,dragon"], "dragon"),
    (["--distortion", "funhouse"], "funhouse"), (["--size", "64"], "64"), (["--size", "axb"], "axb"),
    (["--world-size", "1x1"], "small"), (["--events", "party@3"], "party"), (["--events", "kidnap"], "KIND@START"),
    (["--frames", "0"], "0"), (["--rate", "0"], "0"), (["--jpeg", "0"], "jpeg"), (["--device", "abacus"], "abacus"),
    (["--noise", "--clean"], "not allowed"), (["--format", "tape"], "tape"), (["--length", "2", "--rounds", "1"], "one of"),
    (["--movers", "-1"], "-1"), (["--clutter", "7"], "7"), (["--fov", "0"], "fov"),
])
def test_bad_input_is_one_line_and_leaves_nothing(tmp_path, capsys, options, named):
    status, _, err = run(capsys, "sim", tmp_path / "o", *SMALL, *options)
    assert status == 2 and named in err, err
    assert len(err.strip().splitlines()) == 1 and list(tmp_path.iterdir()) == []


def test_a_world_too_small_for_the_path(tmp_path, capsys):
    status, _, err = run(capsys, "sim", tmp_path / "o", "--world", "room", "--rounds", 2, "--quiet", "--size", "64x48")
    assert status == 2 and "m" in err and len(err.strip().splitlines()) == 1 and list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_touched(tmp_path, capsys, monkeypatch):
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / "cat.jpg").write_text("meow")
    monkeypatch.setattr(SimSource, "__init__", pytest.fail)  # it is said before any work
    status, _, err = run(capsys, "sim", tmp_path / "o", *SMALL)
    assert status == 2 and "not empty" in err and (tmp_path / "o" / "cat.jpg").read_text() == "meow"


def test_a_full_disk(tmp_path, capsys, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export.TumWriter, "add", full)
    status, _, err = run(capsys, "sim", tmp_path / "o", *SMALL)
    assert status == 2 and "No space left on device" in err and str(tmp_path / "o") in err
    assert len(err.strip().splitlines()) == 1 and list(tmp_path.iterdir()) == []


def test_interrupted(tmp_path, capsys, monkeypatch):
    def stop(*_args, **_kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(export.TumWriter, "close", stop)
    assert run(capsys, "sim", tmp_path / "o", *SMALL)[0] == 130 and list(tmp_path.iterdir()) == []


def test_the_help_names_all_kinds_and_is_quick(capsys):
    _, out, _ = run(capsys, "sim", "--help")
    for name in (*WORLD_KINDS, *PATH_KINDS, *RIGS, *DISTORTIONS):
        assert name in out
    code = "import sys\nfrom lsm_ros.cli import make_parser\nmake_parser()\nsys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.slow
def test_another_day_of_the_same_world(tmp_path, capsys):
    options = ("--world", "room", "--frames", "3", "--size", "64x48", "--seed", "5", "--quiet")
    for name, change in (("plain", ()), ("zero", ("--change", "0")), ("other", ("--change", "2"))):
        status, out, _ = run(capsys, "sim", tmp_path / name, *options, *change)
        assert status == 0 and ("change 2" in out) == (name == "other")
    files = {p.relative_to(tmp_path / "plain"): p.read_bytes() for p in (tmp_path / "plain").rglob("*") if p.is_file()}
    assert files == {p.relative_to(tmp_path / "zero"): p.read_bytes() for p in (tmp_path / "zero").rglob("*") if p.is_file()}
    for path, content in files.items():
        alike = path.parts[0] not in ("rgb", "depth", "labels", "odometry.txt", "scene.json")
        assert (content == (tmp_path / "other" / path).read_bytes()) == alike, path
    assert json.loads((tmp_path / "other" / "scene.json").read_text())["change"] == 2
    status, _, err = run(capsys, "sim", tmp_path / "bad", *options, "--change", "-1")
    assert status == 2 and "change" in err and not (tmp_path / "bad").exists()
