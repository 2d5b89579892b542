# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Configuration of a training, read strictly from YAML: unknown fields, wrong types and wrong values are named."""
from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from lsm_ros.reading import read_yaml_file

OBJECTIVES = ("completion", "pairs")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")
_LARGEST = 2**31 - 1  # of whole numbers, as generators of random numbers and tensors take them
HELD_OUT_SEED = 10000  # worlds from this seed on are never trained on


@dataclass(frozen=True)
class ModelConfig:
    """name: in `lsm_ros.registry.NETWORKS`. options: its keywords. init: source of the weights before the first step:
    a leg, a CroCo file, a checkpoint of the same network; '' for random ones."""

    name: str = "lsm_small"
    options: dict = field(default_factory=dict)
    init: str = ""


@dataclass(frozen=True)
class DataConfig:
    """Pairs of views: those of simulated worlds, or of the frames in the TUM RGB-D folders `folders`, when there are any.

    seeds: first seed of the worlds and the seed after the last one. builders: processes that build worlds ahead, or on a
    CPU one that renders whole batches ahead; 0: each is made when it is needed. worlds: how many are held at
    once, for batches_each batches. overlap: share of image 1 that image 2 shows. max_apart: frames of a folder that may
    lie between those of a pair.
    """

    width: int = 256
    height: int = 192
    batch: int = 32
    seeds: tuple[int, ...] = (0, 10000)
    kinds: tuple[str, ...] = ("room", "corridor", "rooms", "loop", "lookalike")
    worlds: int = 8
    batches_each: int = 64
    builders: int = 0
    overlap: tuple[float, ...] = (0.3, 0.95)
    fov_deg: tuple[float, ...] = (55.0, 90.0)
    noise: bool = True
    folders: tuple[str, ...] = ()
    max_apart: int = 40


@dataclass(frozen=True)
class LossConfig:
    """Weights of the parts of the loss; 0 leaves a part out. matches: pixels with their partner, for each pair.

    points: DUSt3R's confident regression with its alpha. matching: MASt3R's. language: cosine distance to the class's text,
    and language_contrast times the cross-entropy over all classes at that temperature. metric: points are compared in
    metres (divided by the true mean distance), else each up to its own scale; then `scale` weighs the logarithm of the ratio
    of the mean distances, which teaches metres apart from shape. image, feature: of pictures that predicted Gaussians give,
    where a network predicts some (`lsm`): their colours, and their features against those of its LSeg.
    """

    points: float = 1.0
    alpha: float = 0.2
    metric: bool = True
    scale: float = 0.0
    matching: float = 0.075
    matches: int = 512
    language: float = 0.5
    language_contrast: float = 0.2
    language_temperature: float = 0.1
    image: float = 1.0
    feature: float = 0.2


@dataclass(frozen=True)
class OptimConfig:
    """AdamW; the rate rises for `warmup` steps after each start with a fresh optimiser and falls along a cosine to min_lr at
    the last step. accumulate: batches for each step. clip: largest norm of the gradient. ema: decay of the averaged weights."""

    steps: int = 20000
    lr: float = 4e-4
    min_lr: float = 1e-6
    warmup: int = 500
    betas: tuple[float, ...] = (0.9, 0.95)
    weight_decay: float = 0.05
    accumulate: int = 1
    clip: float = 1.0
    ema: float = 0.999


@dataclass(frozen=True)
class LanguageConfig:
    """Classes are those of the label space indoor, or only `classes` of them. encoder: the text encoder's name; '' trains
    without language. texts: YAML with synonyms and descriptions of classes; '' is that of the package. codec: a file
    language.safetensors that is used instead of computing the targets, on machines without the text encoder."""

    encoder: str = "all-minilm-l6-v2"
    codec: str = ""
    classes: tuple[str, ...] = ()
    texts: str = ""


@dataclass(frozen=True)
class ValidationConfig:
    """Every `every` steps, `batches` batches of worlds from first_seed on (10000 or more). 0: never."""

    every: int = 1000
    batches: int = 8
    first_seed: int = HELD_OUT_SEED
    worlds: int = 40


@dataclass(frozen=True)
class TrainConfig:
    """A training. objective: 'completion' (CroCo) or 'pairs' (points, matching and language together).

    save_every, log_every: in steps. device: 'auto', 'cpu', 'cuda'. precision: of the products; weights stay float32.
    compile: transformer blocks go through torch.compile: steps are faster after a minute (a CPU needs a C++ compiler).
    """

    objective: str = "pairs"
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    compile: bool = False
    save_every: int = 500
    log_every: int = 10
    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    loss: LossConfig = LossConfig()
    optim: OptimConfig = OptimConfig()
    language: LanguageConfig = LanguageConfig()
    validation: ValidationConfig = ValidationConfig()

    def __post_init__(self) -> None:
        """ValueError for invalid values, named as in the file."""
        _one_of("objective", self.objective, OBJECTIVES)
        _one_of("precision", self.precision, PRECISIONS)
        d, o, v, n = self.data, self.optim, self.validation, self.loss
        lows = {"save_every": (self.save_every, 1), "log_every": (self.log_every, 1), "data.width": (d.width, 16),
                "data.height": (d.height, 16), "data.batch": (d.batch, 1), "data.worlds": (d.worlds, 1),
                "data.batches_each": (d.batches_each, 1), "data.builders": (d.builders, 0),
                "data.max_apart": (d.max_apart, 1), "optim.steps": (o.steps, 1),
                "optim.warmup": (o.warmup, 0), "optim.accumulate": (o.accumulate, 1), "loss.matches": (n.matches, 2),
                "validation.every": (v.every, 0), "validation.batches": (v.batches, 1), "validation.worlds": (v.worlds, 1),
                "validation.first_seed": (v.first_seed, HELD_OUT_SEED), "seed": (self.seed, 0),
                "optim.min_lr": (o.min_lr, 0), "optim.weight_decay": (o.weight_decay, 0),
                **{f"loss.{k}": (getattr(n, k), 0)
                   for k in ("points", "alpha", "scale", "matching", "language", "language_contrast")}}
        for name, (value, low) in lows.items():
            if value < low:
                raise ValueError(f"{name}: {value!r} is below {low}")
        for name, value in (("optim.lr", o.lr), ("optim.clip", o.clip), ("loss.language_temperature", n.language_temperature)):
            if not value > 0:
                raise ValueError(f"{name}: {value!r} is not above 0")
        for name, value in (("data.width", d.width), ("data.height", d.height)):
            if value % 16:
                raise ValueError(f"{name}: {value} is not a multiple of 16")
        for name, value in (("data.seeds", d.seeds), ("data.overlap", d.overlap), ("data.fov_deg", d.fov_deg),
                            ("optim.betas", o.betas)):
            if len(value) != 2:
                raise ValueError(f"{name}: expected two numbers, got {list(value)}")
        if not 0 <= d.seeds[0] < d.seeds[1] <= HELD_OUT_SEED:
            raise ValueError(f"data.seeds: {list(d.seeds)} is no range within 0 to {HELD_OUT_SEED}; later ones are held out")
        if not all(0 <= b < 1 for b in o.betas):
            raise ValueError(f"optim.betas: {list(o.betas)} are not within 0 to 1")
        if not 0 <= d.overlap[0] < d.overlap[1] <= 1:
            raise ValueError(f"data.overlap: {list(d.overlap)} is no range within 0 to 1")
        if not 0 <= o.ema < 1:
            raise ValueError(f"optim.ema: {o.ema} is not within 0 to 1")

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values, as in YAML."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    def digest(self) -> str:
        """Short hash of all values that decide the course of the training, without saving, logging and validation."""
        decisive = {k: v for k, v in self.to_dict().items()
                if k not in ("save_every", "log_every", "validation", "device", "compile")}
        decisive["model"].pop("init")
        decisive["language"].pop("codec")
        decisive["data"].pop("builders")
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:12]


def load_train_config(path: str | Path, changes: Mapping[str, Any] | None = None) -> TrainConfig:
    """Reads a YAML file; changes: dotted names with values that override it. FileNotFoundError, or ValueError that names
    the field."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"training config {path} " + ("is no file" if path.exists() else "does not exist"))
    values = read_yaml_file(path, f"training config {path}") or {}
    if not isinstance(values, dict):
        raise ValueError(f"training config {path}: expected names and values, got {type(values).__name__}")
    for name, value in (changes or {}).items():
        *parents, leaf = name.split(".")
        place = values
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise ValueError(f"{name}: {parent} is no group of fields")
        place[leaf] = value
    try:
        return train_config(values)
    except ValueError as error:
        raise ValueError(f"training config {path}: {error}") from error


def train_config(values: Mapping[str, Any]) -> TrainConfig:
    """The defaults with nested `values` put over them. ValueError names a field that does not exist or does not fit."""
    return _make(TrainConfig, values, "")


def _make(cls: type, values: Mapping[str, Any], prefix: str) -> Any:
    if not isinstance(values, Mapping):
        raise ValueError(f"{prefix.rstrip('.')}: expected fields with values, got {values!r}")
    hints, known = get_type_hints(cls), {f.name for f in fields(cls)}
    made = {}
    for name, value in values.items():
        if name not in known:
            close = difflib.get_close_matches(str(name), known, 1)
            raise ValueError(f"unknown field {prefix}{name}" + (f"; did you mean {prefix}{close[0]}?" if close else ""))
        made[name] = (_make(hints[name], value, f"{prefix}{name}.") if is_dataclass(hints[name])
                      else _value(f"{prefix}{name}", hints[name], value))
    return cls(**made)


def _value(name: str, kind: Any, value: Any) -> Any:
    """`value` as `kind`, which is int, float, str, bool, dict or a tuple of one of them."""
    if get_origin(kind) is tuple:
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"{name}: expected a list, got {value!r}")
        return tuple(_value(f"{name}[{i}]", get_args(kind)[0], v) for i, v in enumerate(value))
    if kind is float and isinstance(value, str):  # YAML reads 1e-4 as text
        try:
            value = float(value)
        except ValueError as error:
            raise ValueError(f"{name}: expected a number, got {value!r}") from error
    good = isinstance(value, (int, float) if kind is float else kind) and (kind is bool or not isinstance(value, bool))
    if not good or (kind is float and not abs(value) < math.inf):
        raise ValueError(f"{name}: expected {kind.__name__}, got {value!r}")
    if kind in (int, float) and isinstance(value, int) and abs(value) > _LARGEST:
        raise ValueError(f"{name}: {str(value)[:20]} is beyond {_LARGEST}")
    return float(value) if kind is float else value


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name}: {value!r} is none of {', '.join(choices)}")
