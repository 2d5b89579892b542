# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Files of a training. Each is written beside its place, brought to the disk, and put there in one step: an interruption or a
full disk leaves the one before."""
from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch

from lsm_ros.models.checkpoint import CONFIG_FILE, WEIGHTS_FILE
from lsm_ros.models.constructor import class_names
from lsm_ros.models.tensor_files import read_pickle, read_safetensors, write_safetensors
from lsm_ros.semantics.codec import LANGUAGE_FILE, TextCodec, codec_tensors

CHECKPOINT_FILE = "checkpoint.pt"
LEG_FILE_BYTES = 15_000_000  # largest file of a leg
_LEG = "leg-"
_LEG_NAME = re.compile(r"\.?leg-(?P<step>\d{8,})(?P<rest>\.part|\.old)?")
_HEADER_ROOM = 200_000


@contextmanager
def written_whole(target: Path) -> Iterator[Path]:
    """Yields a path beside `target` to write to; afterwards it is on the disk under the name `target`.

    After any exception it is gone and `target` is as before. OSError says which file could not be written and why.
    """
    part, old = _part(target), _old(target)
    _remove(part)
    if old.exists() and not target.exists():  # it was being replaced when the power failed
        old.rename(target)
    _remove(old)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield part
        for path in sorted(part.rglob("*")) if part.is_dir() else [part]:
            _sync(path)
        _put(part, target)
        _sync(target.parent)
    except OSError as error:
        _remove(part)
        raise OSError(error.errno, f"{error.strerror or error}; what was there before is whole", str(target)) from error
    except BaseException:
        _remove(part)
        raise


def _put(part: Path, target: Path) -> None:
    """A file goes over the old one; a folder takes the place of the old one, which is then removed."""
    old = _old(target)
    if part.is_dir() and target.exists():
        try:
            target.rename(old)
            part.rename(target)
        except BaseException:  # also an interruption between the two
            if not target.exists():
                old.rename(target)
            raise
        _remove(old)
    else:
        os.replace(part, target)


def _part(target: Path) -> Path:
    return target.with_name(f".{target.name}.part")


def _old(target: Path) -> Path:
    return target.with_name(f".{target.name}.old")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        with suppress(FileNotFoundError):
            path.unlink()


def save_checkpoint(folder: Path, content: Mapping[str, Any]) -> Path:
    """Writes everything that a resumed training needs: plain values and tensors. OSError leaves the old one whole."""
    target = folder / CHECKPOINT_FILE
    with written_whole(target) as part, part.open("wb") as f:
        try:
            torch.save(dict(content), f)
        except RuntimeError as error:  # the writer's own error hides that of the file, and an interruption
            cause = error.__context__
            if cause is not None and (isinstance(cause, OSError) or not isinstance(cause, Exception)):
                raise cause from None
            raise OSError(None, str(error).split("\n")[0]) from error
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
    with written_whole(target) as part:
        part.mkdir()
        for n, group in enumerate(groups, 1):
            write_safetensors(part / f"{n}-of-{len(groups)}.safetensors", group)
        if codec is not None:
            write_safetensors(part / LANGUAGE_FILE, *codec_tensors(codec))
        (part / "leg.json").write_text(json.dumps({**meta, "step": step, "files": len(groups)}, indent=1))
    for other in folder.iterdir():  # those before, and what an interruption left of some
        name = _LEG_NAME.fullmatch(other.name)
        if name and (int(name["step"]) < step or name["rest"]):
            _remove(other)
    return target


def legs(folder: Path) -> list[Path]:
    """The legs in a folder, by step."""
    return sorted(p for p in folder.glob(f"{_LEG}*") if (p / "leg.json").is_file())


def read_leg(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], dict[str, Any]]:
    """Weights, EMA (float32) and what is told of a leg. ValueError when a file is missing or damaged."""
    try:
        meta = json.loads((folder / "leg.json").read_text())
        files = [folder / f"{n}-of-{meta['files']}.safetensors" for n in range(1, int(meta["files"]) + 1)]
        meta["step"], meta["digest"] = int(meta["step"]), str(meta["digest"])
    except (ValueError, KeyError, TypeError) as error:
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
    with written_whole(folder) as part:
        part.mkdir()
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


def write_text_whole(path: Path, write: Callable[[Any], None]) -> None:
    """Writes a text file that appears when it is complete."""
    with written_whole(path) as part, part.open("w", encoding="utf-8") as f:
        write(f)
