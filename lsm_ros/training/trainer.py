# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Trains a network: `Trainer.run` reads as its steps."""
from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lsm_ros.models import checkpoint
from lsm_ros.models.known import LANGUAGE_FILE
from lsm_ros.semantics.codec import TextCodec, read_codec
from lsm_ros.semantics.text_encoder import TextEncoder
from lsm_ros.training.checkpoints import (
    CHECKPOINT_FILE,
    LEG_FILE_BYTES,
    export_weights,
    legs,
    read_checkpoint,
    read_leg,
    save_checkpoint,
    save_leg,
)
from lsm_ros.training.config import TrainConfig
from lsm_ros.training.data import PairSource, training_source, validation_source
from lsm_ros.training.interrupt import StopRequest
from lsm_ros.training.language import ClassTargets
from lsm_ros.training.log import TrainingLog, write_curves
from lsm_ros.training.objectives import make_objective
from lsm_ros.training.schedule import WeightAverage, learning_rate, make_optimizer
from lsm_ros.training.starting import check_codec, choose_device, choose_format, compile_blocks, make_codec, make_network
from lsm_ros.training.validation import validate

WEIGHTS_FOLDER = "weights"
_BAD_STEPS = 20  # in a row without a finite loss, after which there is no use in going on


@dataclass(frozen=True)
class Outcome:
    """End of a training: steps done, `finished` if these were all, and the signal that stopped it (None: none did)."""

    step: int
    finished: bool
    signal: int | None
    weights: Path


class Trainer:
    """A training in the folder `out`.

    encoder, source, held_out: used instead of those that the config names. resume: goes on from out/checkpoint.pt, or from
    the last leg in it with a fresh optimiser. weights_only: leaves legs (half precision, at most leg_bytes a file) instead
    of checkpoints. seconds: ends after this time. say: gets lines for people. ValueError and FileNotFoundError for arguments
    that do not fit together.
    """

    def __init__(self, config: TrainConfig, out: Path, *, resume: bool = False, weights_only: bool = False,
                 seconds: float = math.inf, encoder: TextEncoder | None = None, source: PairSource | None = None,
                 held_out: PairSource | None = None, leg_bytes: int = LEG_FILE_BYTES,
                 say: Callable[[str], None] = print) -> None:
        self.config, self.out, self.say = config, out, say
        self.weights_only, self.leg_bytes, self.seconds = weights_only, leg_bytes, seconds
        saved = self._saved(resume)
        self.device = choose_device(config.device)
        self.format = choose_format(config.precision, self.device)
        if self.device.type == "cuda":
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        model, self.keywords = make_network(config)
        self.codec = self._codec(saved, getattr(model, "feature_channels", 0), encoder)
        self.model = model.to(self.device)
        self.optimizer = make_optimizer(self.model, config.optim)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.format == torch.float16)
        self.average = WeightAverage(self.model, config.optim.ema)
        self.averaged = copy.deepcopy(self.model).eval().requires_grad_(False)
        self.step = self.start = self.skipped = 0
        if saved is not None:
            self._restore(saved)
        self._own_source = source is None
        self.source = training_source(config, self.device) if source is None else source
        self.held_out = held_out
        if held_out is None and config.validation.every:
            self.held_out = validation_source(config, self.device)
        self.objective = make_objective(config, self.codec, self.device)
        self.targets = None if self.codec is None else ClassTargets(self.codec, self.device)
        if config.compile:
            compile_blocks(self.model, self.device)

    def run(self) -> Outcome:
        """Trains until the last step, the end of the time, or a signal; saves; and exports the averaged weights (with
        weights_only after the last step alone, for a leg has them)."""
        try:
            return self._run()
        finally:
            if self._own_source and hasattr(self.source, "close"):
                self.source.close()

    def _run(self) -> Outcome:
        config, began = self.config, time.monotonic()
        log = TrainingLog(self.out, self.step if self.step else None)
        parts: dict[str, float] = {}
        since, last_saved = time.monotonic(), self.step
        with StopRequest() as stop:
            while self.step < config.optim.steps and stop.signal is None and time.monotonic() - began < self.seconds:
                add(parts, self.train_step())
                if self.step % config.log_every == 0:
                    pairs = parts["count"] * config.data.batch * config.optim.accumulate
                    log.add(self._row(parts) | {"pairs_per_s": round(pairs / max(1e-9, time.monotonic() - since), 2)})
                    parts, since = {}, time.monotonic()
                if config.validation.every and self.step % config.validation.every == 0:
                    self._validate(log)
                    since = time.monotonic()
                if self.step % config.save_every == 0:
                    self.save()
                    last_saved = self.step
            if self.step > last_saved or not self._has_state():
                self.save()
            finished = self.step >= config.optim.steps
            if finished or not self.weights_only:
                self.export()
            write_curves(self.out)
        return Outcome(self.step, finished, stop.signal, self.out / WEIGHTS_FOLDER)

    def train_step(self) -> dict[str, float]:
        """One step of the optimiser; the loss, its parts, the rate and the gradient's norm. A step whose loss or gradient is
        not finite changes nothing. ValueError after 20 of them in a row."""
        c = self.config.optim
        rate = learning_rate(c, self.step, self.step - self.start)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        out: dict[str, float] = {}
        for k in range(c.accumulate):
            number = self.step * c.accumulate + k
            batch = self.source.sample(number)
            with self._autocast():
                loss, parts = self.objective(self.model, batch, number)
            self.scaler.scale(loss / c.accumulate).backward()
            for name, value in {"loss": loss.detach(), **parts}.items():
                out[name] = out.get(name, 0.0) + float(value) / c.accumulate
        self.scaler.unscale_(self.optimizer)
        trained = [p for g in self.optimizer.param_groups for p in g["params"]]
        norm = float(torch.nn.utils.clip_grad_norm_(trained, c.clip))
        finite = math.isfinite(out["loss"]) and math.isfinite(norm)
        if finite or (self.scaler.is_enabled() and math.isfinite(out["loss"])):
            self.scaler.step(self.optimizer)  # it looks at the gradients itself and leaves out what overflowed
            self.average.update(self.model)
            self.skipped = 0
        else:
            self.skipped += 1
            if self.skipped >= _BAD_STEPS:
                raise ValueError(f"the loss or its gradient has not been finite since step {self.step - _BAD_STEPS + 1}: "
                                 "lower optim.lr, or raise optim.warmup")
        self.scaler.update()
        self.step += 1
        return out | {"lr": rate, "gradient": norm} if finite else {"bad_steps": 1.0}

    def save(self) -> Path:
        """Writes a checkpoint, or with weights_only a leg. OSError leaves the one before whole."""
        if self.weights_only:
            return save_leg(self.out, self.step, self.model.state_dict(), self.average.state, self._about(), self.codec,
                            self.leg_bytes)
        return save_checkpoint(self.out, {
            "kind": "lsm_ros training", **self._about(), "step": self.step, "start": self.start,
            "model": _plain(self.model.state_dict()), "ema": _plain(self.average.state), "updates": self.average.updates,
            "optimizer": self.optimizer.state_dict(), "scaler": self.scaler.state_dict(),
            "language": None if self.codec is None else self.codec.state()})

    def export(self) -> Path:
        """Writes the averaged weights as `models.load` reads them."""
        about = {**self._about(), "step": self.step, "config": self.config.to_dict()}
        return export_weights(self.out / WEIGHTS_FOLDER, self.config.model.name, self.keywords, self.average.state, self.codec,
                              about)

    def _validate(self, log: TrainingLog) -> None:
        assert self.held_out is not None
        self.averaged.load_state_dict(self.average.state)
        found = validate(self.averaged, self.held_out, self.config.validation.batches, self.objective, self.targets,
                         self._autocast)
        log.add({"step": self.step, "validation": found})
        self.say(f"step {self.step}: " + ", ".join(f"{k} {v:.3f}" for k, v in found.items()))

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.format == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, self.format)

    def _about(self) -> dict[str, Any]:
        return {"digest": self.config.digest(), "network": self.config.model.name,
                "text_encoder": "" if self.codec is None else self.codec.encoder}

    def _row(self, parts: Mapping[str, float]) -> dict[str, float]:
        """Means over the steps since the last row."""
        count = parts["count"] - parts.get("bad_steps", 0)
        row = {k: v / max(1, count) for k, v in parts.items() if k not in ("count", "bad_steps")}
        return {"step": self.step, **row, **({"skipped": int(parts["bad_steps"])} if parts.get("bad_steps") else {})}

    def _has_state(self) -> bool:
        return bool(legs(self.out)) if self.weights_only else (self.out / CHECKPOINT_FILE).is_file()

    def _saved(self, resume: bool) -> dict[str, Any] | None:
        """State to resume from: the content of the checkpoint or of the last leg, the one with more steps. None for a new
        training."""
        file, found = self.out / CHECKPOINT_FILE, legs(self.out)
        if not resume:
            if file.exists() or found:
                raise ValueError(f"{self.out} holds a training already: --resume goes on with it; else choose another folder")
            return None
        content = read_checkpoint(file) if file.is_file() or not found else None
        if found:
            model, ema, about = read_leg(found[-1])
            if content is None or content["step"] < about["step"]:
                language = found[-1] / LANGUAGE_FILE
                content = {**about, "model": model, "ema": ema, "updates": about["step"],
                           "language": read_codec(language).state() if language.is_file() else None}
        assert content is not None
        if content["digest"] != self.config.digest():
            raise ValueError(f"{self.out} was trained with another config ({content['digest']}, this is "
                             f"{self.config.digest()}); start again from its weights with model.init")
        return content

    def _codec(self, saved: Mapping[str, Any] | None, channels: int, encoder: TextEncoder | None) -> TextCodec | None:
        if not channels:
            return None
        if saved is None:
            return make_codec(self.config, channels, encoder)
        if saved["language"] is None:
            return None
        codec = TextCodec.from_state(saved["language"])
        check_codec(codec, self.config, channels)
        if encoder is not None:
            codec.check(encoder.identity)
        return codec

    def _restore(self, saved: Mapping[str, Any]) -> None:
        trainable = {k: p.requires_grad for k, p in self.model.named_parameters()}
        checkpoint.fill(copy.deepcopy(self.averaged), saved["model"])  # names what does not fit
        self.model.load_state_dict(saved["model"])
        for key, parameter in self.model.named_parameters():
            parameter.requires_grad_(trainable[key])
        self.average.load(saved["ema"], saved["updates"])
        self.step = saved["step"]
        self.start = saved.get("start", self.step)  # a leg starts the optimiser, and its warm-up, anew
        if "optimizer" in saved:
            self.optimizer.load_state_dict(saved["optimizer"])
            if saved["scaler"]:
                self.scaler.load_state_dict(saved["scaler"])


def add(total: dict[str, float], part: Mapping[str, float]) -> None:
    """Adds the values of `part`, and one to the count."""
    for name, value in {**part, "count": 1.0}.items():
        total[name] = total.get(name, 0.0) + value


def _plain(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {k: v.detach() for k, v in state.items()}
