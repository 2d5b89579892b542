# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Choice of `lsm map --pairs auto`: the best for these images of what is on this machine, and why.

Only what a product may use is taken; weights for non-commercial use have to be named.
"""
from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsm_ros.datasets import open_source
from lsm_ros.models.hub import where
from lsm_ros.models.known import KNOWN, Known

AUTO = "auto"
LOOKED_AT = 10  # frame sets of a source: depth may come more slowly than images
# Depth priors, best first: those that give metres, then those that do not.
PRIORS = ("Depth-Anything-V2-Metric-Indoor-Small-hf", "zoedepth-nyu", "fastdepth_7.onnx", "Depth-Anything-V2-Small-hf")
POINTS = ("xfeat.pt", "xfeat-lighterglue.pt")


@dataclass(frozen=True)
class Machine:
    """gpu: its name, or empty. packages: importable modules. places: known models that are here, by name."""

    gpu: str
    packages: frozenset[str]
    places: Mapping[str, Path]


@dataclass(frozen=True)
class Choice:
    """settings: parameters by dotted name; reasons: lines for people, the choice first."""

    settings: Mapping[str, Any]
    reasons: tuple[str, ...]


def this_machine(find: Callable[[Known], Path | None] = where) -> Machine:
    """Packages and models that are here; of them torch alone is imported."""
    import torch

    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else ""
    packages = frozenset(n for n in ("onnxruntime", "transformers") if importlib.util.find_spec(n) is not None)
    found = {k.name: find(k) for k in KNOWN}
    return Machine(gpu, packages, {name: place for name, place in found.items() if place is not None})


def has_depth(path: Path, **options: Any) -> bool:
    """True if one of the first frame sets of a source has measured depth; arguments as of `open_source`. It is opened for
    itself, so that what is left out of it is not counted twice."""
    with closing(open_source(path, **options)) as source:
        return any(f.depth is not None for frame_set in itertools.islice(source, LOOKED_AT) for f in frame_set.frames)


def choose(machine: Machine, depth: bool) -> Choice:
    """The best pair model, and what goes with it, for images with measured depth or without."""
    if depth:
        return Choice({"pairs.model": "depth"}, ("pair model depth: the source has measured depth, which no network beats",))
    settings: dict[str, Any] = {"pairs.model": "two_view"}
    reasons = ["pair model two_view: colour alone; poses by geometry are the most exact"]
    prior, passed = _prior(machine)
    if prior is not None:
        kind = "onnx" if prior.name.endswith(".onnx") else "transformers"
        settings |= {"pairs.depth_prior": kind, "pairs.depth_prior_model": str(machine.places[prior.name])}
        reasons.append(f"depth prior {prior.name}: fills what motion does not show"
                       f"{', and gives the size' if prior.metric else ''}; {prior.licence}")
    else:
        reasons.append("no depth prior: none of the known ones is ready here (`lsm weights` lists them)")
    reasons += passed
    if all(name in machine.places for name in POINTS):
        settings["two_view.features"] = "xfeat_lightglue"
        reasons.append("points xfeat_lightglue: they know more views again than sift does")
    known = {k.name: k for k in KNOWN}
    named = [n for n in machine.places if known[n].network in ("mast3r", "dust3r", "lsm")]
    if named:
        reasons.append(f"not taken: {', '.join(named)}, for NON-COMMERCIAL use only; --pairs {known[named[0]].network} "
                       f"--weights {named[0]} uses it")
    return Choice(settings, tuple(reasons))


def _prior(machine: Machine) -> tuple[Known | None, list[str]]:
    """The best depth prior that can run here, and lines about better ones that are here but cannot."""
    known, passed = {k.name: k for k in KNOWN}, []
    for name in PRIORS:
        if name not in machine.places:
            continue
        missing = _missing(known[name], machine)
        if not missing:
            return known[name], passed
        passed.append(f"not taken: {name}, {missing}")
    return None, passed


def _missing(prior: Known, machine: Machine) -> str:
    """Why a prior whose file is here cannot be used; empty if it can."""
    if prior.needs not in machine.packages:
        return f"which needs {prior.needs}: pip install {prior.needs}"
    if prior.needs == "transformers" and not machine.gpu:
        return f"slow without a GPU (--set pairs.depth_prior=transformers --set pairs.depth_prior_model={prior.name} uses it)"
    settings = machine.places[prior.name].with_suffix(".yaml")
    if prior.name.endswith(".onnx") and not settings.is_file():
        return f"which needs {settings} beside it (docs/two_view.md)"
    return ""
