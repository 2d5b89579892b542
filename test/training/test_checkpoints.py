# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import errno
import json
import os
import resource

import pytest
import torch
from helpers.optional import needs_safe_reader
from helpers.training_parts import TINY_SMALL

from lsm_ros import models
from lsm_ros.files import replacing
from lsm_ros.training import checkpoints
from lsm_ros.training.checkpoints import (
    CHECKPOINT_FILE,
    export_weights,
    halved,
    legs,
    read_checkpoint,
    read_leg,
    save_checkpoint,
    save_leg,
)

CONTENT = {"kind": "lsm_ros training", "step": 1, "model": {"w": torch.arange(50000.0)}}


def hidden(folder):
    return [p.name for p in folder.iterdir() if p.name.startswith(".")]


@needs_safe_reader
def test_a_checkpoint_comes_back(tmp_path):
    save_checkpoint(tmp_path, CONTENT)
    back = read_checkpoint(tmp_path / CHECKPOINT_FILE)
    assert back["step"] == 1 and torch.equal(back["model"]["w"], CONTENT["model"]["w"])
    save_checkpoint(tmp_path, {**CONTENT, "step": 2})
    assert read_checkpoint(tmp_path / CHECKPOINT_FILE)["step"] == 2 and not hidden(tmp_path)


@needs_safe_reader
@pytest.mark.parametrize("room", [0, 1000, 150000])
def test_a_real_limit_of_the_file_system_leaves_the_old_one(tmp_path, room):
    save_checkpoint(tmp_path, CONTENT)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))  # larger files cannot be written, as on a full disk
    try:
        with pytest.raises(OSError, match="the previous content is intact"):
            save_checkpoint(tmp_path, {**CONTENT, "step": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert read_checkpoint(tmp_path / CHECKPOINT_FILE)["step"] == 1 and not hidden(tmp_path)


@needs_safe_reader
def test_a_disk_that_is_full_when_it_is_brought_there(tmp_path, monkeypatch):
    save_checkpoint(tmp_path, CONTENT)

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as error:
        save_checkpoint(tmp_path, {**CONTENT, "step": 2})
    assert error.value.errno == errno.ENOSPC and error.value.filename.endswith(CHECKPOINT_FILE)
    assert read_checkpoint(tmp_path / CHECKPOINT_FILE)["step"] == 1 and not hidden(tmp_path)


@needs_safe_reader
def test_an_interruption_leaves_the_old_one(tmp_path):
    save_checkpoint(tmp_path, CONTENT)
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / CHECKPOINT_FILE) as part:
        part.write_bytes(b"half")
        raise KeyboardInterrupt
    assert read_checkpoint(tmp_path / CHECKPOINT_FILE)["step"] == 1 and not hidden(tmp_path)


class Interrupted:
    """A file whose third write is interrupted."""

    def __init__(self, file):
        self.file, self.writes = file, 0

    def write(self, data):
        self.writes += 1
        if self.writes == 3:
            raise KeyboardInterrupt
        return self.file.write(data)

    def __getattr__(self, name):
        return getattr(self.file, name)


@needs_safe_reader
def test_an_interruption_in_the_middle_of_saving_is_no_error_of_the_file(tmp_path, monkeypatch):
    save_checkpoint(tmp_path, CONTENT)
    real = torch.save
    monkeypatch.setattr(checkpoints.torch, "save", lambda content, f: real(content, Interrupted(f)))
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(tmp_path, {**CONTENT, "step": 2})
    assert read_checkpoint(tmp_path / CHECKPOINT_FILE)["step"] == 1 and not hidden(tmp_path)


@needs_safe_reader
def test_what_is_no_checkpoint(tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        read_checkpoint(tmp_path / "none.pt")
    torch.save({"model": {}}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match="no checkpoint of a training"):
        read_checkpoint(tmp_path / "other.pt")
    save_checkpoint(tmp_path, CONTENT)
    whole = (tmp_path / CHECKPOINT_FILE).read_bytes()
    (tmp_path / CHECKPOINT_FILE).write_bytes(whole[:len(whole) // 2])
    with pytest.raises(ValueError, match="truncated"):
        read_checkpoint(tmp_path / CHECKPOINT_FILE)


def test_legs(tmp_path):
    state = {f"w{i}": torch.full((20000,), float(i)) for i in range(9)} | {"n": torch.tensor([3])}
    ema = {k: v + 1 for k, v in state.items()}
    save_leg(tmp_path, 5, state, ema, {"digest": "d"}, None, largest=300_000)
    leg = save_leg(tmp_path, 7, state, ema, {"digest": "d"}, None, largest=300_000)
    assert legs(tmp_path) == [leg]
    assert all(f.stat().st_size <= 300_000 for f in leg.iterdir()) and len(list(leg.glob("*.safetensors"))) > 4
    model, average, about = read_leg(leg)
    assert about["step"] == 7 and model.keys() == state.keys()
    assert all(torch.equal(model[k], state[k]) and torch.equal(average[k], ema[k]) for k in state)
    with pytest.raises(ValueError, match="w0 has"):
        save_leg(tmp_path, 8, {"model": torch.zeros(1), "w0": torch.zeros(300_000)}, {}, {}, None, largest=300_000)
    for text in ("{", "[]", '{"files": 5, "step": 7}', '{"files": "x", "step": 7, "digest": "d"}'):
        (leg / "leg.json").write_text(text)
        with pytest.raises(ValueError, match="damaged"):
            read_leg(leg)


def test_what_a_killed_training_left_of_legs_goes_with_the_next(tmp_path):
    for name in (".leg-00000003.part-77-abcdefgh", ".leg-00000009.part-77-abcdefgh", "leg-00000002", "leg-mine"):
        (tmp_path / name).mkdir()
    (tmp_path / ".leg-00000004.part-77-abcdefgh" / ".leg-00000004.old-000000").mkdir(parents=True)  # taken away, not put back
    state = {"w": torch.zeros(3)}
    leg = save_leg(tmp_path, 5, state, state, {}, None)
    assert sorted(p.name for p in tmp_path.iterdir()) == [leg.name, "leg-mine"]


def test_a_leg_that_does_not_fit_the_disk_leaves_the_one_before(tmp_path):
    state = {"w": torch.zeros(200_000)}
    first = save_leg(tmp_path, 1, state, state, {}, None)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, before[1]))
    try:
        with pytest.raises(OSError, match="intact"):
            save_leg(tmp_path, 2, state, state, {}, None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert legs(tmp_path) == [first] and os.listdir(tmp_path) == [first.name]


def test_shared_weights_stay_one_and_infinite_ones_are_refused():
    w = torch.ones(4)
    both = halved({"a": w, "b": w})
    assert both["a"] is both["b"] and both["a"].dtype == torch.float16
    with pytest.raises(ValueError, match="^c has values"):
        halved({"a": w, "c": torch.tensor([1e6])})


def test_exported_weights_are_read_by_name(tmp_path):
    options = {k: tuple(v) if isinstance(v, list) else v for k, v in TINY_SMALL.items()}
    model = models.build("lsm_small", **options)
    export_weights(tmp_path / "w", "lsm_small", TINY_SMALL, model.state_dict(), None, {"step": 1})
    back = models.load(tmp_path / "w", name="lsm_small")
    assert all(torch.allclose(v, model.state_dict()[k], atol=1e-3) for k, v in back.state_dict().items())
    assert json.loads((tmp_path / "w" / "training.json").read_text()) == {"step": 1}
    with pytest.raises(ValueError, match="'lsm_small', not of 'mast3r'"):
        models.load(tmp_path / "w", name="mast3r")
