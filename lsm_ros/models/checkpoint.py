# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Networks from checkpoints: official .pth, .safetensors, Hugging Face folders and ids; and back to a folder."""
from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lsm_ros.files import replacing
from lsm_ros.models.architecture import alias, complete, explain, guess, unwrapped
from lsm_ros.models.constructor import UnknownClassError, class_names, parse_constructor
from lsm_ros.models.factory import build, keywords, network_class
from lsm_ros.models.hub import find_in_hub
from lsm_ros.models.parts import with_parts
from lsm_ros.models.tensor_files import read_pickle, read_safetensors, write_safetensors
from lsm_ros.registry import NETWORKS

CONFIG_FILE, WEIGHTS_FILE, PICKLE_FILE = "config.json", "model.safetensors", "pytorch_model.bin"
# Fields that the hub's tools write beside the keywords.
_HUB_FIELDS = {"_name_or_path", "architectures", "dtype", "model_type", "torch_dtype", "transformers_version"}


def load(path_or_hub_id: str | Path, *, name: str | None = None, device: str | torch.device = "cpu",
         dtype: torch.dtype = torch.float32, download: bool = False, ignore: Sequence[str] = (),
         parts: Mapping[str, str | Path] | None = None, **config: Any) -> nn.Module:
    """A network with the weights of a checkpoint, ready for inference.

    path_or_hub_id: a .pth or .safetensors file, a folder with config.json and model.safetensors, or a Hugging Face id
    such as 'naver/MASt3R_ViTLarge_BaseDecoder_512_catmlpdpt_metric', which is looked for in the local cache and fetched
    only with download=True. name and config: what the file does not say, or says otherwise. dtype: of the weights in
    memory, whatever the file holds. ignore: names of config fields, and beginnings of keys, that are to be left out.
    parts: checkpoints, by the names of parts of the network, that replace what the file has of them (`LSM.parts`); a part
    that the file lacks is taken from its known checkpoint, if that is on this machine.
    FileNotFoundError when there is no checkpoint; ValueError when the file is damaged, hostile or of another network: keys that
    are missing or unexpected are listed.
    """
    path = _place(path_or_hub_id, download)
    found, stored, state = read(path)
    stored = {k: v for k, v in stored.items() if k not in ignore}
    state = {k: v for k, v in state.items() if not any(k.startswith(i) for i in ignore)}
    if found is None:
        try:
            found, guessed = guess(state)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        stored = stored or guessed
    name = name or found
    if name == found and name in NETWORKS:
        stored = _known(path, name, stored)
    if name != found:
        raise ValueError(f"{path} is a checkpoint of {found!r}, not of {name!r}")
    cls = network_class(name)
    state = with_parts(path, cls.parts, state, parts or {}, lambda source: read(_place(source, download))[2])
    stored = _merged(cls.implied_keywords(state), stored)
    try:
        with torch.device("meta"):
            model = build(name, **_merged(stored, config))
        return fill(model, state, dtype).to(device)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _place(path_or_hub_id: str | Path, download: bool) -> Path:
    path = Path(path_or_hub_id).expanduser()
    return path if path.exists() else find_in_hub(str(path_or_hub_id), download)


def _merged(keywords: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Keywords with more of them, which prevail; those of a part are merged too."""
    return {**keywords, **{k: _merged(keywords[k], v) if isinstance(v, Mapping) and isinstance(keywords.get(k), Mapping) else v
                           for k, v in more.items()}}


def _known(path: Path, name: str, stored: dict[str, Any]) -> dict[str, Any]:
    """The keywords that the network has. Files of newer tools and of fine-tunes hold others: they are named and left out;
    keys and shapes decide if the weights fit."""
    stored = network_class(name).official_keywords(stored)
    unknown = sorted(set(stored) - set(keywords(name)))
    if unknown:
        warnings.warn(f"{path}: fields that network {name!r} does not know are left out: {', '.join(unknown)}", stacklevel=3)
    return {k: v for k, v in stored.items() if k not in unknown}


def read(path: Path) -> tuple[str | None, dict[str, Any], dict[str, torch.Tensor]]:
    """Name (None if it is not stored), keywords and state dict of a file or a folder, as they are stored."""
    if path.is_dir():
        return _read_folder(path)
    if not path.is_file():
        raise FileNotFoundError(f"checkpoint {path} does not exist")
    if path.suffix == ".safetensors":
        config = path.parent / CONFIG_FILE
        name, keywords = read_config(config) if config.is_file() else (None, {})
        return name, keywords, unwrapped(read_safetensors(path)[0])
    content = read_pickle(path)
    state = content.get("model", content.get("state_dict"))
    if state is None and _is_state(content):
        return None, {}, unwrapped(content)
    if not _is_state(state):
        raise ValueError(f"{path} has no state dict under 'model'; it has {', '.join(map(str, list(content)[:8]))}")
    state = unwrapped(state)
    args = content.get("args")
    text = vars(args).get("model") if isinstance(args, argparse.Namespace) else None
    if "croco_kwargs" in content:
        kwargs = content["croco_kwargs"]
        if not isinstance(kwargs, Mapping) or not all(isinstance(k, str) for k in kwargs):
            raise ValueError(f"{path}: expected keywords under 'croco_kwargs', got {str(kwargs)[:80]}")
        return "croco", _inference(dict(kwargs)), dict(state)
    if isinstance(text, str) and "(" in text:
        try:
            name, keywords = parse_constructor(text)
        except UnknownClassError as unknown:
            name, keywords = _kin(path, unknown, state)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        return name, _inference(keywords), dict(state)
    return None, {}, dict(state)


def _kin(path: Path, unknown: UnknownClassError, state: Mapping[str, torch.Tensor]) -> tuple[str, dict[str, Any]]:
    """Network and keywords of a fine-tune that names a class of its own, if its keys are those of a network. ValueError."""
    try:
        name, guessed = guess(state)
    except ValueError as error:
        raise ValueError(f"{path}: {unknown}; {error}") from error
    warnings.warn(f"{path} is of {unknown.name!r}, which is not known here; it has the keys of {name!r} and is taken for one: "
                  "what else that class does is left out", stacklevel=4)
    return name, {**guessed, **unknown.config}


def _is_state(content: Any) -> bool:
    return isinstance(content, Mapping) and bool(content) and all(
        isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in content.items())


def _read_folder(folder: Path) -> tuple[str | None, dict[str, Any], dict[str, torch.Tensor]]:
    if not (folder / CONFIG_FILE).is_file():
        raise FileNotFoundError(f"folder {folder} has no {CONFIG_FILE}")
    name, keywords = read_config(folder / CONFIG_FILE)
    if (folder / WEIGHTS_FILE).is_file():
        return name, keywords, unwrapped(read_safetensors(folder / WEIGHTS_FILE)[0])
    if (folder / PICKLE_FILE).is_file():
        return name, keywords, unwrapped(read_pickle(folder / PICKLE_FILE))
    raise FileNotFoundError(f"folder {folder} has neither {WEIGHTS_FILE} nor {PICKLE_FILE}")


def read_config(path: Path) -> tuple[str | None, dict[str, Any]]:
    """Name (None if it is not stored) and keywords from config.json. ValueError when it is no JSON object."""
    try:
        config = json.loads(path.read_text())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise ValueError(f"{path}: expected an object with the keywords of a network, got {type(config).__name__}")
    classes, known = config.get("architectures"), class_names()
    names = {known[c] for c in (classes if isinstance(classes, list) else ()) if isinstance(c, str) and c in known}
    keywords = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items() if k not in _HUB_FIELDS}
    return (names.pop() if len(names) == 1 else None), _inference(keywords)


def _inference(keywords: dict[str, Any]) -> dict[str, Any]:
    """The keywords of a network that was trained, for inference: images as they are, nothing transposed."""
    if isinstance(keywords.get("patch_embed_cls"), str):
        keywords["patch_embed_cls"] = keywords["patch_embed_cls"].replace("ManyAR_PatchEmbed", "PatchEmbedDust3R")
    if keywords.get("landscape_only"):
        keywords["landscape_only"] = False
    keywords.pop("freeze", None)  # the trained parts do not matter for inference
    return keywords


def fill(model: nn.Module, state: Mapping[str, torch.Tensor], dtype: torch.dtype = torch.float32) -> nn.Module:
    """Puts the weights of `state` into a model, which may be on the meta device, and returns it.

    Shared weights may have either name or both, and a second decoder that is missing is copied from the first.
    ValueError lists the keys that are missing, unexpected or of another shape.
    """
    wanted = model.state_dict()
    state = complete(state, wanted)
    wrong = [f"{k} {tuple(v.shape)} instead of {tuple(wanted[k].shape)}" for k, v in state.items()
             if k in wanted and v.shape != wanted[k].shape]
    problem = explain([k for k in wanted if k not in state], [k for k in state if k not in wanted], wrong)
    if problem:
        raise ValueError(f"the checkpoint does not fit the network {type(model).__name__}: {problem}")
    copies: dict[str, torch.Tensor] = {}
    for key, value in state.items():
        twin = alias(key)
        copies[key] = copies[twin] if twin in copies else _copy(value, dtype)
    model.load_state_dict(copies, assign=True)
    for parameter in model.parameters():
        parameter.requires_grad_(parameter.is_floating_point())
    return model.eval()


def _copy(value: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return value.to(dtype if value.is_floating_point() else value.dtype, copy=True).contiguous()


def initialise_from_croco(model: nn.Module, path: str | Path) -> nn.Module:
    """Gives a DUSt3R or MASt3R the encoder and decoders of a CroCo v2 checkpoint; its heads keep what they have.

    Both decoders start from CroCo's one. ValueError when the file is of another network or of another size.
    """
    name, _, state = read(Path(path))
    if (name or guess(state)[0]) != "croco":
        raise ValueError(f"{path} is a checkpoint of {name or guess(state)[0]!r}, not of 'croco'")
    if "enc_pos_embed" in state:
        raise ValueError(f"{path} is CroCo v1, whose positions are added; a network with rotary positions starts from v2")
    body = {k: v for k, v in complete(state, model.state_dict()).items() if not k.startswith("prediction_head.")}
    heads = {k: v for k, v in model.state_dict().items() if k.startswith("downstream_head")}
    own = next(model.parameters())
    trainable = {k: p.requires_grad for k, p in model.named_parameters()}
    training = model.training
    fill(model, {**heads, **body}, own.dtype).to(own.device).train(training)
    for key, parameter in model.named_parameters():
        parameter.requires_grad_(trainable[key])
    return model


def save(model: nn.Module, folder: str | Path, config: Mapping[str, Any]) -> Path:
    """Writes config.json and model.safetensors as the hub lays them out; config: the keywords `build` was called with."""
    folder = Path(folder)
    with replacing(folder / CONFIG_FILE) as described, replacing(folder / WEIGHTS_FILE) as weights:  # both, then the names
        described.write_text(json.dumps(dict(sorted(config.items())), indent=2))
        write_safetensors(weights, model.state_dict(), {"format": "pt"})
    return folder
