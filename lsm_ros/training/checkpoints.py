# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Files of a training. Each is complete or absent: an interruption or a full disk leaves the one before."""
from __future__ import annotations

import errno
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from lsm_ros.files import replacing, replacing_folder, tidy
from lsm_ros.models.checkpoint import CONFIG_FILE, WEIGHTS_FILE
from lsm_ros.models.constructor import class_names
from lsm_ros.models.known import LANGUAGE_FILE
from lsm_ros.models.tensor_files import read_pickle, read_safetensors, write_safetensors
from lsm_ros.semantics.codec import TextCodec, codec_tensors

CHECKPOINT_FILE = "checkpoint.pt"
LEG_FILE_BYTES = 15_000_000  # largest file of a leg
_LEG = "leg-"
_LEG_NAME = re.compile(rf"{_LEG}(?P<step>\d{{8,}})")
_LEG_LEFT = re.compile(rf"\.(?P<leg>{_LEG}\d{{8,}})\.part-.*")
_HEADER_ROOM = 200_000


def save_checkpoint(folder: Path, content: Mapping[str, Any]) -> Path:
    """Writes everything that a resumed training needs: plain values and tensors. OSError leaves the old one whole."""
    target = folder / CHECKPOINT_FILE
    with replacing(target) as part, part.open("wb") as f:
        try:
            torch.save(dict(content), f)
        except RuntimeError as error:  # the writer's own error hides that of the file, and an interruption
            cause = error.__context__
            if cause is not None and (isinstance(cause, OSError) or not isinstance(cause, Exception)):
                raise cause from None
            raise OSError(errno.EIO, str(error).split("\n")[0], str(part)) from error
    return target


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint, copied from the file. FileNotFoundError; ValueError when it is damaged or is none."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {path} to resume")
    content = read_pickle(path)
    if content.get("kind") != "lsm_ros training":
        raise ValueError(f"{path} is no checkpoint of a training")
    return content


def save_leg(folder: Path, step: int, model: Mapping[str, torch.Tensor], ema: Mapping[str, torch.Tensor],
             meta: Mapping[str, Any], codec: TextCodec | None, largest: int = LEG_FILE_BYTES) -> Path:
    """Writes weights and EMA in half precision as leg-<step>/ with files of at most `largest` bytes, and removes the legs
    before it. ValueError when one tensor alone is larger."""
    tensors = {f"{part}.{k}": v for part, state in (("model", model), ("ema", ema)) for k, v in halved(state).items()}
    groups: list[dict[str, torch.Tensor]] = [{}]
    used = 0
    for name, tensor in tensors.items():
        size = tensor.numel() * tensor.element_size()
        if size > largest - _HEADER_ROOM:
            raise ValueError(f"{name} has {size / 1e6:.1f} MB, more than a file of a leg may have ({largest / 1e6:.0f} MB)")
        if used + size > largest - _HEADER_ROOM:
            groups.append({})
            used = 0
        groups[-1][name] = tensor
        used += size
    target = folder / f"{_LEG}{step:08d}"
    with replacing_folder(target) as part:
        for n, group in enumerate(groups, 1):
            write_safetensors(part / f"{n}-of-{len(groups)}.safetensors", group)
        if codec is not None:
            write_safetensors(part / LANGUAGE_FILE, *codec_tensors(codec))
        (part / "leg.json").write_text(json.dumps({**meta, "step": step, "files": len(groups)}, indent=1))
    for left in {m["leg"] for m in map(_LEG_LEFT.fullmatch, (p.name for p in folder.iterdir())) if m}:
        tidy(folder / left)
    for other in list(folder.iterdir()):
        name = _LEG_NAME.fullmatch(other.name)
        if name and int(name["step"]) < step:
            shutil.rmtree(other)
    return target


def legs(folder: Path) -> list[Path]:
    """The legs in a folder, by step."""
    return sorted(p for p in folder.glob(f"{_LEG}*") if (p / "leg.json").is_file())


def read_leg(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], dict[str, Any]]:
    """Weights, EMA (float32) and the metadata of a leg. ValueError when a file is missing or damaged."""
    try:
        meta = json.loads((folder / "leg.json").read_text())
        files = [folder / f"{n}-of-{meta['files']}.safetensors" for n in range(1, int(meta["files"]) + 1)]
        meta["step"], meta["digest"] = int(meta["step"]), str(meta["digest"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{folder}/leg.json is damaged: {error!r}") from error
    parts: dict[str, dict[str, torch.Tensor]] = {"model": {}, "ema": {}}
    for file in files:
        if not file.is_file():
            raise ValueError(f"leg {folder} is not complete: {file.name} is missing")
        tensors, notes = read_safetensors(file)
        tensors |= {k: tensors[v] for k, v in notes.items() if v in tensors}
        for name, tensor in tensors.items():
            part, _, key = name.partition(".")
            if part not in parts:
                raise ValueError(f"{file} is no file of a leg: it holds {name!r}")
            parts[part][key] = tensor.float() if tensor.is_floating_point() else tensor.clone()
    return parts["model"], parts["ema"], meta


def export_weights(folder: Path, name: str, options: Mapping[str, Any], state: Mapping[str, torch.Tensor],
                   codec: TextCodec | None, about: Mapping[str, Any]) -> Path:
    """Writes the network in half precision as `models.load` reads it: config.json, model.safetensors, with language.safetensors
    and training.json, in a folder that takes the place of an older one."""
    classes = {v: k for k, v in class_names().items()}
    with replacing_folder(folder) as part:
        config = {"architectures": [classes[name]], **{k: v for k, v in options.items() if k != "freeze"}}
        (part / CONFIG_FILE).write_text(json.dumps(config, indent=1))
        write_safetensors(part / WEIGHTS_FILE, halved(state), {"format": "pt"})
        if codec is not None:
            write_safetensors(part / LANGUAGE_FILE, *codec_tensors(codec))
        (part / "training.json").write_text(json.dumps(dict(about), indent=1))
    return folder


def halved(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors in half precision; two names of one weight stay one. ValueError for weights that do not fit."""
    done: dict[int, torch.Tensor] = {}
    for name, value in state.items():
        if value.data_ptr() not in done:
            done[value.data_ptr()] = value.detach().half() if value.is_floating_point() else value.detach()
            if value.is_floating_point() and not bool(torch.isfinite(done[value.data_ptr()]).all()):
                raise ValueError(f"{name} has values that half precision does not hold, or that are not finite")
    return {name: done[value.data_ptr()] for name, value in state.items()}
