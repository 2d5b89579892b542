# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import math
from pathlib import Path

import pytest
import torch

from lsm_ros.training.config import OptimConfig, TrainConfig, load_train_config, train_config
from lsm_ros.training.schedule import WeightAverage, learning_rate, make_optimizer
from lsm_ros.training.starting import choose_device, choose_format, make_network

CONFIGS = sorted((Path(__file__).resolve().parents[2] / "config").glob("train_*.yaml"))


@pytest.mark.parametrize(("values", "said"), [
    ({"objectiv": "pairs"}, "unknown field objectiv; did you mean objective?"),
    ({"optim": {"lrr": 1.0}}, "unknown field optim.lrr; did you mean optim.lr?"),
    ({"data": {"batch": "four"}}, "data.batch: expected int, got 'four'"), ({"data": {"batch": True}}, "data.batch"),
    ({"data": {"batch": 0}}, "data.batch: 0 is below 1"), ({"data": {"width": 100}}, "data.width: 100 is not a multiple"),
    ({"data": {"seeds": [0, 10001]}}, "held out"), ({"data": {"seeds": [3]}}, "data.seeds: expected two"),
    ({"data": 3}, "data: expected fields"), ({"optim": {"lr": "fast"}}, "optim.lr: expected a number"),
    ({"optim": {"lr": 0}}, "optim.lr: 0.0 is not above 0"), ({"optim": {"lr": math.nan}}, "optim.lr"),
    ({"optim": {"ema": 1.0}}, "optim.ema"), ({"validation": {"first_seed": 9999}}, "validation.first_seed: 9999"),
    ({"objective": "dream"}, "objective: 'dream' is none of completion, pairs"), ({"precision": "int8"}, "precision"),
    ({"language": {"classes": "chair"}}, "language.classes: expected a list"),
    ({"optim": {"lr": 10**400}}, "optim.lr: 1"), ({"seed": 2**70}, "seed: 1180591620717411303"),
    ({"optim": {"accumulate": 2**31}}, "optim.accumulate"), ({"optim": {"betas": [0.9, 1.0]}}, "optim.betas"),
    ({"data": {"overlap": [0.9, 0.1]}}, "data.overlap")])
def test_what_does_not_fit_is_named(values, said):
    with pytest.raises(ValueError, match=said.replace("?", r"\?")):
        train_config(values)


def test_files_and_changes(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("optim: {lr: 1e-4, steps: 7}\n")  # YAML 1.1 reads 1e-4 as text
    config = load_train_config(file, {"optim.steps": 9, "seed": 3})
    assert (config.optim.lr, config.optim.steps, config.seed) == (1e-4, 9, 3)
    for text, said in (("[1, 2]", "expected names"), ("a: [", "not YAML"), ("optim: {x: 1}", "optim.x")):
        file.write_text(text)
        with pytest.raises(ValueError, match=said):
            load_train_config(file)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="c.yaml is no text in UTF-8"):
        load_train_config(file)
    with pytest.raises(FileNotFoundError, match="nowhere.yaml does not exist"):
        load_train_config(tmp_path / "nowhere.yaml")
    with pytest.raises(FileNotFoundError, match="is no file"):
        load_train_config(tmp_path)


def test_the_digest_covers_what_decides_the_course():
    base = TrainConfig()
    assert train_config({"log_every": 3, "model": {"init": "x"}, "language": {"codec": "y"}}).digest() == base.digest()
    assert train_config({"optim": {"lr": 1.0}}).digest() != base.digest()
    assert train_config(base.to_dict()) == base


@pytest.mark.parametrize("file", CONFIGS, ids=lambda f: f.stem)
def test_the_configs_that_come_along(file):
    config = load_train_config(file)
    with torch.device("meta"):
        model, keywords = make_network(config)
    weights = sum(p.numel() for p in model.parameters())
    assert weights <= 12e6
    assert keywords["img_size"] == (config.data.height, config.data.width) and 128 <= config.data.width <= 256


def test_there_are_configs():
    assert {"train_completion", "train_lsm_small"} <= {f.stem for f in CONFIGS}


def test_the_rate_rises_and_falls():
    c = OptimConfig(steps=100, lr=1.0, min_lr=0.1, warmup=9)
    assert learning_rate(c, 0, 0) == pytest.approx(0.1)
    assert learning_rate(c, 99, 99) == pytest.approx(0.1)
    assert learning_rate(c, 49, 49) == pytest.approx(0.55, abs=0.01)
    assert learning_rate(c, 49, 0) == pytest.approx(0.055, abs=0.001)  # after a fresh start
    rates = [learning_rate(c, s, s) for s in range(100)]
    assert max(rates) == rates[9] and rates[9:] == sorted(rates[9:], reverse=True)


def test_vectors_do_not_decay():
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4))
    model[1].bias.requires_grad_(False)
    decayed, others = make_optimizer(model, OptimConfig(weight_decay=0.3)).param_groups
    assert decayed["weight_decay"] == 0.3 and [p.shape for p in decayed["params"]] == [(4, 3)]
    assert others["weight_decay"] == 0 and len(others["params"]) == 2


def test_the_average_follows_and_keeps_shared_weights_once():
    model = torch.nn.Linear(1, 1, bias=False)
    model.twin = model.weight
    model.weight.data.fill_(1.0)
    average = WeightAverage(model, 0.9)
    model.weight.data.fill_(2.0)
    average.update(model)
    assert average.state["weight"].item() == pytest.approx(1 + 10 / 11)  # the first ones count more
    for _ in range(200):
        average.update(model)
    assert average.state["weight"].item() == pytest.approx(2.0, abs=1e-6)
    assert average.state["twin"].data_ptr() == average.state["weight"].data_ptr()


def test_devices_and_formats():
    cpu = torch.device("cpu")
    assert choose_format("auto", cpu) == torch.float32 and choose_format("bfloat16", cpu) == torch.bfloat16
    assert choose_device("cpu") == cpu
    for name in ("warp", "meta", "mps", ""):
        with pytest.raises(ValueError, match=f"device '{name}'"):
            choose_device(name)
