# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import dataclasses
import os
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch

from lsm_ros.geometry.camera import CameraIntrinsics, Rectifier
from lsm_ros.training.builders import AheadBatches, AheadSampler
from lsm_ros.training.config import DataConfig, train_config
from lsm_ros.training.data import (
    Kept,
    generator_for,
    network_images,
    training_source,
    true_matches,
    truth,
    validation_source,
)
from lsm_ros.training.folders import FolderPairs, _sized
from lsm_ros.training.losses import regression
from lsm_ros.types import Frame
from lsm_sim.export import export
from lsm_sim.sampler import PairBatch, PairSampler
from lsm_sim.source import SimSource


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("frames") / "tum"
    source = SimSource(3, "room", "hand", frames=12, width=96, height=64, rate_hz=5.0, noise=False, distortion="plumb_bob")
    export(source, out, "tum")
    source.close()
    return out


def matched_points(batch, count=200):
    pixels1, pixels2, valid = true_matches(batch, count, generator_for(0, 1))
    row = torch.arange(len(valid))[:, None]
    return (batch.points1[row, pixels1[..., 1], pixels1[..., 0]], batch.points2[row, pixels2[..., 1], pixels2[..., 0]], valid,
            pixels1, pixels2)


def test_matches_show_the_same_points(batches):
    points1, points2, valid, pixels1, _ = matched_points(batches[0])
    assert valid.float().mean() > 0.9  # there is overlap enough for 200 matches
    assert (points1 - points2)[valid].norm(dim=-1).max() <= 0.02 * max(1, float(points1[..., 2].max())) + 1e-6
    flat = pixels1[0, :, 1] * 64 + pixels1[0, :, 0]
    assert len(flat.unique()) == len(flat)


def test_matches_are_those_of_the_generator(batches):
    one, same, other = (true_matches(batches[0], 50, generator_for(0, n))[0] for n in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_matches_where_nothing_is_seen_twice_are_not_valid(batches):
    batch = dataclasses.replace(batches[0], valid2=torch.zeros_like(batches[0].valid2))
    _, pixels2, valid = true_matches(batch, 50, generator_for(0, 1))
    assert not valid.any() and pixels2.min() >= 0 and pixels2[..., 0].max() < 64 and pixels2[..., 1].max() < 48


def test_the_truth_has_no_loss(batches):
    one, two = truth(batches[0])
    views = {"pts3d": batches[0].points1}, {"pts3d_in_other_view": batches[0].points2}
    assert regression(one, two, *views, norm_mode="?avg_dis").mean() < 1e-6
    wrong = {"pts3d": 1.1 * batches[0].points1}, {"pts3d_in_other_view": 1.1 * batches[0].points2}
    assert regression(one, two, *wrong, norm_mode="?avg_dis").mean() > 0.05  # metres count
    assert regression(one, two, *wrong, norm_mode="avg_dis").mean() < 1e-5
    image, _ = network_images(batches[0])
    assert -1 <= image.min() < -0.5 and 0 < image.max() <= 1


def test_training_and_validation_see_different_worlds():
    data = {"width": 32, "height": 32, "batch": 2, "worlds": 1, "kinds": ["room"], "seeds": [5, 6]}
    config = train_config({"data": data, "device": "cpu", "validation": {"worlds": 1, "batches": 1}})
    assert set(training_source(config, torch.device("cpu")).sample(0).world.tolist()) == {5}
    assert set(validation_source(config, torch.device("cpu")).sample(0).world.tolist()) == {10000}


def test_validation_renders_each_batch_once():
    asked = []

    class Counted:
        def sample(self, n):
            asked.append(n)
            return PairBatch(*(torch.full((2,), float(n)) for _ in fields(PairBatch)))

    kept = Kept(Counted(), torch.device("cpu"))
    assert [float(kept.sample(n).image1[0]) for n in (0, 1, 0, 1)] == [0, 1, 0, 1] and asked == [0, 1]


@pytest.mark.parametrize(("kind", "numbers"), [  # another world each time, the last one not the next; and the next batch
    (lambda *a, **o: AheadSampler(1, *a, **o), (0, 2, 5)), (lambda *a, **o: AheadBatches(*a, ahead=1, **o), (0, 1))],
    ids=["worlds", "batches"])
def test_what_is_made_ahead_is_the_same(kind, numbers):
    options = {"kinds": ("room",), "worlds": 1, "batches_each": 2, "seed": 3}
    plain = PairSampler([4, 5], 2, 32, 32, **options)
    ahead = kind([4, 5], 2, 32, 32, **options)
    try:
        for n in numbers:
            one, other = plain.sample(n), ahead.sample(n)
            assert torch.equal(one.image1, other.image1) and torch.equal(one.points2, other.points2)
            assert one.world.tolist() == other.world.tolist()
        builder, = ahead._pool._processes.values()
        os.kill(builder.pid, signal.SIGTERM)  # as `timeout` and systemd do with all of a group: it is for the training alone
        time.sleep(0.2)
        assert _runs(builder.pid)
        builder.kill()
        with pytest.raises(ChildProcessError, match="was ended"):
            for n in range(20, 40):
                ahead.sample(n)
    finally:
        ahead.close()


def test_builders_end_when_the_training_was_killed(tmp_path):
    script = tmp_path / "training.py"
    script.write_text("""
import os, signal
from lsm_ros.training.builders import AheadBatches
if __name__ == "__main__":
    print(AheadBatches([4], 1, 32, 32)._pool.submit(os.getpid).result(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
""")
    said = subprocess.run([sys.executable, str(script)], stdout=subprocess.PIPE, text=True, timeout=120).stdout
    end = time.monotonic() + 10
    while _runs(int(said)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not _runs(int(said))


def _runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_nothing_can_be_made_ahead_of_bad_arguments():
    with pytest.raises(ValueError, match="builders"):
        AheadSampler(0, [4], 2, 32, 32)
    with pytest.raises(ValueError, match="batch must be at least 1"):
        AheadBatches([4], 0, 32, 32)


def test_pairs_of_a_folder_are_like_those_of_rooms(folder):
    source = FolderPairs([folder], DataConfig(width=64, height=48, batch=4, overlap=(0.2, 0.95)), seed=1)
    batch = source.sample(3)
    assert batch.image1.shape == (4, 3, 48, 64) and batch.labels1.dtype == torch.int32
    assert 0.1 <= float(batch.overlap.min()) <= float(batch.overlap.max()) <= 1
    points1, points2, valid, _, _ = matched_points(batch, 100)
    assert valid.float().mean() > 0.5  # wrong poses, cameras or depth would leave nothing
    assert (batch.labels1 != 65535).float().mean() > 0.5
    again = FolderPairs([folder], DataConfig(width=64, height=48, batch=4, overlap=(0.2, 0.95)), seed=1).sample(3)
    assert torch.equal(batch.image1, again.image1) and torch.equal(batch.T_1_2, again.T_1_2)
    assert not np.allclose(batch.T_1_2, source.sample(4).T_1_2)


def test_depth_of_a_folder_lies_where_its_image_does():
    columns = np.tile(np.arange(1.0, 161.0, dtype=np.float32), (120, 1))  # each pixel has its own place as its depth
    camera = CameraIntrinsics(160, 120, 100, 100, 79.5, 59.5)
    frame = Frame(0, "cam", np.repeat(columns.astype(np.uint8)[..., None], 3, 2), camera, columns)
    _, image, depth, _ = _sized(frame, Rectifier(camera), 64, 48)
    assert abs(np.mean(depth - image[..., 0].astype(np.float64))) < 0.3  # of 2.5 pixels; OpenCV's nearest is 1 off


@pytest.mark.parametrize(("missing", "said"), [("groundtruth.txt", "groundtruth"), ("camera.yaml", "camera.yaml"),
                                               ("depth.txt", "0 frames with depth")])
def test_folders_that_lack_something(folder, tmp_path, missing, said):
    for path in folder.iterdir():
        if path.name != missing:
            (tmp_path / path.name).symlink_to(path)
    with pytest.raises(ValueError, match=said):
        FolderPairs([tmp_path], DataConfig(width=64, height=48, batch=2))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        FolderPairs([tmp_path / "nowhere"], DataConfig())
