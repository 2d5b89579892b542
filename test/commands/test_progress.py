# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Progress bars: they appear with the first step, so that an error before it is the only line."""
import time

import cv2
import numpy as np
import pytest

from lsm_ros import cli
from lsm_ros.commands import weights
from lsm_ros.commands.progress import DELAY_S, progress_bar
from lsm_ros.commands.sfm_run import Bar


def test_a_bar_without_a_step_is_not_there(capsys):
    with progress_bar(total=3, desc="mapping"):
        pass
    with pytest.raises(ValueError, match="bad"), progress_bar(desc="mapping"):
        raise ValueError("bad")
    assert capsys.readouterr() == ("", "")


def test_it_is_there_from_the_first_step_on(capsys):
    with progress_bar(total=3, desc="mapping", mininterval=0) as bar:
        time.sleep(2 * DELAY_S)
        bar.update(1)
        out, err = capsys.readouterr()
    assert out == "" and "mapping" in err and "1/3" in err


def test_each_stage_of_structure_from_motion_has_the_line(capsys):
    bar = Bar(quiet=False)
    for stage in ("reading", "pairs"):
        bar(stage, 0, 2)
        time.sleep(0.15)
        bar(stage, 1, 2)
    bar.close()
    err = capsys.readouterr().err
    assert "reading:  50%" in err and "pairs:  50%" in err and "\n" not in err and err.endswith("\r")


def only_line(capsys, *arguments):
    status = cli.main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    assert (status, out) == (2, "") and err.startswith("lsm: error: ") and err.count("\n") == 1, err
    return err


@pytest.fixture
def images(tmp_path):
    """A folder with an image that is none."""
    (tmp_path / "images").mkdir()
    for n in range(3):
        (tmp_path / "images" / f"{n}.png").write_bytes(b"no picture")
    return tmp_path / "images"


def test_record_where_a_bag_is(capsys, tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "images").mkdir()
    for n in range(2):
        cv2.imwrite(str(tmp_path / "images" / f"{n}.png"), np.zeros((48, 64, 3), np.uint8))
    assert "exists already" in only_line(capsys, "record", tmp_path / "images", tmp_path / "there")


@pytest.mark.parametrize("command", [["record", "SOURCE", "OUT"], ["map", "SOURCE", "--out", "OUT"],
                                     ["sfm", "SOURCE", "--out", "OUT"]], ids=lambda c: c[0])
def test_images_that_cannot_be_read(capsys, images, tmp_path, command):
    names = {"SOURCE": images, "OUT": tmp_path / "out"}
    only_line(capsys, *[names.get(word, word) for word in command])
    assert not (tmp_path / "out").exists()


def test_a_world_that_cannot_be_written(capsys, monkeypatch, tmp_path):
    def fail(*_args, **_options):
        raise OSError(28, "No space left on device", str(tmp_path / "world"))

    monkeypatch.setattr("lsm_sim.export.export", fail)
    assert "No space left" in only_line(capsys, "sim", tmp_path / "world", "--frames", "2")


def test_weights_that_cannot_be_fetched(capsys, monkeypatch, tmp_path):
    def fail(*_args):
        raise OSError(28, "No space left on device", str(tmp_path))

    monkeypatch.setattr(weights, "fetch", fail)
    name = next(k.name for k in weights.KNOWN if k.url)
    assert cli.main(["weights", "--download", name]) == 2  # its licence is printed before
    err = capsys.readouterr().err
    assert err.startswith("lsm: error: No space left") and err.count("\n") == 1
