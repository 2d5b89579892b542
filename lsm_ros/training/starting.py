# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Start of a training: the network with its first weights, the language targets, device and number format."""
from __future__ import annotations

import inspect
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lsm_ros import models
from lsm_ros.models import checkpoint
from lsm_ros.models.architecture import guess
from lsm_ros.models.blocks import DecoderBlock, EncoderBlock
from lsm_ros.models.factory import network_class
from lsm_ros.models.known import LANGUAGE_FILE
from lsm_ros.registry import NETWORKS
from lsm_ros.semantics.codec import TextCodec, read_codec
from lsm_ros.semantics.text_encoder import TextEncoder, make_text_encoder
from lsm_ros.training.checkpoints import legs, read_leg
from lsm_ros.training.config import TrainConfig
from lsm_ros.training.language import TEXTS, check_classes, fit_codec, read_texts
from lsm_sim.labels import indoor_labels

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def choose_device(name: str) -> torch.device:
    """The device that the config names; 'auto' is a GPU if there is one. ValueError when it is not available."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"device {name!r} does not exist") from error
    if device.type not in ("cpu", "cuda"):
        raise ValueError(f"device {name!r}: training runs on 'cpu' or 'cuda'")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {name!r}: PyTorch finds no GPU")
    return device


def choose_format(precision: str, device: torch.device) -> torch.dtype:
    """The number format of products: bfloat16 on GPUs that have it, float16 on older ones, float32 on a CPU."""
    if precision != "auto":
        return DTYPES[precision]
    if device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float16


def compile_blocks(model: nn.Module, device: torch.device) -> None:
    """Compiles each transformer block at its first use. ValueError on a CPU without a C++ compiler."""
    compiler = os.environ.get("CXX", "g++")
    if device.type == "cpu" and shutil.which(compiler) is None:
        raise ValueError(f"compile: there is no C++ compiler {compiler!r}; install g++, or train with compile: false")
    for module in model.modules():
        if isinstance(module, (EncoderBlock, DecoderBlock)):
            module.compile()


def make_network(config: TrainConfig) -> tuple[nn.Module, dict[str, Any]]:
    """The network for training, on the CPU in float32, and all keywords that it was built with.

    Weights: random ones of the config's seed, or those of model.init: a leg, CroCo weights, or weights of the same network;
    without options the keywords are those of that checkpoint. ValueError for networks that the objective cannot train.
    """
    name, options, init = config.model.name, dict(config.model.options), config.model.init
    wanted = tuple(n for n in NETWORKS if network_class(n).completes_images == (config.objective == "completion"))
    if name not in wanted:
        raise ValueError(f"model.name: objective {config.objective!r} trains {', '.join(wanted)}, not {name!r}")
    leg = find_leg(Path(init).expanduser()) if init else None
    if init and leg is None and not options:
        found, stored, state = checkpoint.read(_existing(init))
        if found is None:
            found, guessed = guess(state)
            stored = stored or guessed
        if found == name:
            options = {**network_class(name).implied_keywords(state),
                       **{k: v for k, v in stored.items() if k in models.keywords(name)}}
    options.setdefault("img_size", [config.data.height, config.data.width])
    options = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}
    torch.manual_seed(config.seed)
    model = models.build(name, **options)
    if leg is not None:
        checkpoint.fill(model, read_leg(leg)[1])
    elif init:
        _fill_from(model, name, _existing(init))
    if "freeze" in options:
        model.freeze(options["freeze"])
    return model.train(), all_keywords(model, options)


def _fill_from(model: nn.Module, name: str, path: Path) -> None:
    found, _, state = checkpoint.read(path)
    found = found or guess(state)[0]
    if found != name and network_class(found).completes_images:
        checkpoint.initialise_from_croco(model, path)
    elif found == name:
        checkpoint.fill(model, state)
    else:
        raise ValueError(f"model.init: {path} is a checkpoint of {found!r}, not of {name!r} or 'croco'")


def _existing(path: str) -> Path:
    """The path, or for the folder of a training the weights in it."""
    found = Path(path).expanduser()
    if not found.exists():
        raise FileNotFoundError(f"model.init: {path} does not exist")
    inside = found / "weights"
    return inside if (inside / "config.json").is_file() and not (found / "config.json").is_file() else found


def find_leg(folder: Path) -> Path | None:
    """`folder` if it is a leg, or the last leg in it; None if there is none."""
    if (folder / "leg.json").is_file():
        return folder
    found = legs(folder) if folder.is_dir() else []
    return found[-1] if found else None


def all_keywords(model: nn.Module, options: Mapping[str, Any]) -> dict[str, Any]:
    """`options` and the defaults of everything else, so that weights stay readable when defaults change."""
    every: dict[str, Any] = {}
    for cls in type(model).__mro__:
        if cls.__module__ == "lsm_ros.models.backbone":
            break
        for p in inspect.signature(cls.__init__).parameters.values():
            if p.kind is p.KEYWORD_ONLY and p.default is not p.empty:
                every.setdefault(p.name, p.default)
    return {**every, **options}


def make_codec(config: TrainConfig, channels: int, encoder: TextEncoder | None = None) -> TextCodec | None:
    """The language targets for features of so many channels; None when the config trains without.

    They come from the file language.codec, else beside the weights of model.init, else they are computed with the text
    encoder (`encoder`, or the one that the config names). ValueError for another encoder, or classes that do not exist.
    """
    c = config.language
    if not c.encoder or not config.loss.language or config.objective == "completion":
        return None
    space = indoor_labels()
    texts = read_texts(c.texts or TEXTS, space)
    check_classes(c.classes, space, "language.classes")
    for place in _codec_files(config):
        codec = read_codec(place)
        try:
            check_codec(codec, config, channels)
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from error
        return codec
    encoder = make_text_encoder(c.encoder) if encoder is None else encoder
    if encoder.identity != c.encoder:
        raise ValueError(f"language.encoder: the config names {c.encoder!r}, the encoder is {encoder.identity!r}")
    return fit_codec(encoder, space, texts, channels, c.classes)


def _codec_files(config: TrainConfig) -> list[Path]:
    if config.language.codec:
        return [Path(config.language.codec).expanduser()]
    if not config.model.init:
        return []
    init = Path(config.model.init).expanduser()
    folder = find_leg(init) or (_existing(config.model.init) if init.is_dir() else init.parent)
    return [folder / LANGUAGE_FILE] if (folder / LANGUAGE_FILE).is_file() else []


def check_codec(codec: TextCodec, config: TrainConfig, channels: int) -> None:
    """ValueError unless targets that were stored fit the config: the same text encoder, channels and classes."""
    codec.check(config.language.encoder)
    if codec.channels != channels:
        raise ValueError(f"the language targets have {codec.channels} numbers, the network's features {channels}")
    wanted = config.language.classes
    if wanted and set(wanted) != set(codec.names):
        odd = sorted(set(wanted) ^ set(codec.names))
        raise ValueError(f"language.classes are not those that were stored: they differ in {', '.join(odd)}")
