# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""ONNX files run by ONNX Runtime on a chosen engine, which is refused by name if it computes something else than was exported.

Beside a model `X.onnx` there may be `X.onnx.check.npz`: inputs, and the outputs that they had in torch. They are compared each
time a model is opened, since engines are built for a machine and its driver, and some are known to be wrong there.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lsm_ros.reading import open_arrays

ENGINES = {"tensorrt": "TensorrtExecutionProvider", "cuda": "CUDAExecutionProvider", "cpu": "CPUExecutionProvider"}
"""Engines by name, the fastest first."""
CHECK = ".check.npz"
TOLERANCE = 0.02  # of the largest value; TensorRT and tensor cores compute in fewer digits than torch did
ROUNDS = 2  # a wrong engine may be right at first


class Engine:
    """An ONNX model of fixed shapes. name: of the engine. details: what the file says of itself. inputs: name, type and shape
    of each.

    engines: those that may be used; the first that ONNX Runtime has here is. By default all, but TensorRT only where there is a
    stored answer. ImportError without ONNX Runtime; FileNotFoundError; ValueError for what is no model, for an engine that does
    not start, and for one whose outputs differ from the stored answer.
    """

    def __init__(self, path: Path, engines: Sequence[str] = ()) -> None:
        self.path = path
        if not engines:
            checked = path.with_name(path.name + CHECK).is_file()
            engines = [e for e in ENGINES if checked or e != "tensorrt"]
        self._session, self.name = _opened(path, engines)
        self.inputs = [(str(i.name), str(i.type), list(i.shape)) for i in self._session.get_inputs()]
        self.outputs = [str(o.name) for o in self._session.get_outputs()]
        self.details = dict(self._session.get_modelmeta().custom_metadata_map)
        check_answer(self, path)

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Outputs by name. ValueError where the model fails."""
        try:
            return dict(zip(self.outputs, self._session.run(None, dict(inputs)), strict=True))
        except Exception as error:  # ONNX Runtime's own kinds have no common base
            raise ValueError(f"{self.path} does not run on engine {self.name}: {error}") from error


def check_answer(engine: Engine, path: Path) -> None:
    """Compares an engine with the answers stored beside its model, if there are some. ValueError that names the engine."""
    file = path.with_name(path.name + CHECK)
    if not file.is_file():
        return
    with open_arrays(file) as arrays:
        stored = {name: arrays[name] for name in arrays.files}
    tolerance = float(stored.pop("tolerance", TOLERANCE))
    cases = sorted({name.split("/")[1] for name in stored if name.count("/") == 2})
    if not cases:
        raise ValueError(f"{file} holds no input and answer; export the model again")
    for case in cases * ROUNDS:  # one after the other, so that what an engine keeps from one to the next shows
        got = engine.run({n: stored[f"in/{case}/{n}"] for n, _, _ in engine.inputs if f"in/{case}/{n}" in stored})
        for name, values in got.items():
            wanted = stored.get(f"out/{case}/{name}")
            if wanted is None or wanted.shape != values.shape:
                raise ValueError(f"{file} is of another model than {path.name} (output {name}); export it again")
            off = difference(values, wanted)
            if not off <= tolerance:
                raise ValueError(f"engine {engine.name} is refused for {path}: its {name} differs from the stored answer by "
                                 f"{off:.2g} of the largest value, more than {tolerance:g}; use another engine (there are: "
                                 f"{', '.join(ENGINES)}), or export the model again if it was changed")


def difference(values: np.ndarray, wanted: np.ndarray) -> float:
    """Largest difference of two arrays over the largest value; inf where one has values that are no numbers."""
    off = np.abs(values.astype(np.float64) - wanted.astype(np.float64))
    return float(off.max() / max(float(np.abs(wanted).max()), 1e-30)) if np.isfinite(off).all() else float("inf")


def store_answer(path: Path, cases: Sequence[tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray]]],
                 tolerance: float = TOLERANCE) -> Path:
    """Writes inputs and outputs of a model beside it, and returns the file."""
    arrays: dict[str, Any] = {"tolerance": np.float64(tolerance)}
    for k, (inputs, outputs) in enumerate(cases):
        arrays |= {f"in/{k}/{n}": v for n, v in inputs.items()} | {f"out/{k}/{n}": v for n, v in outputs.items()}
    file = path.with_name(path.name + CHECK)
    np.savez_compressed(file, **arrays)
    return file


def _opened(path: Path, engines: Sequence[str]) -> tuple[Any, str]:
    """A session, and the engine that runs it."""
    unknown = [e for e in engines if e not in ENGINES]
    if unknown:
        raise ValueError(f"engines {list(engines)}: expected some of {', '.join(ENGINES)}")
    if not path.is_file():
        raise FileNotFoundError(f"ONNX model {path} does not exist")
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(f"{path.name} needs ONNX Runtime: pip install onnxruntime (or onnxruntime-gpu)") from error
    there = onnxruntime.get_available_providers()
    name = next((e for e in engines if ENGINES[e] in there), None)
    if name is None:
        raise ValueError(f"{path}: none of the engines {', '.join(engines)} is in this ONNX Runtime, which has "
                         f"{', '.join(e for e, p in ENGINES.items() if p in there)}")
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, cv2.getNumThreads()  # as `limits.threads` has it
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=_providers(name, path))
    except Exception as error:  # ONNX Runtime's own kinds have no common base
        raise ValueError(f"{path} cannot be used as an ONNX model: {error}") from error
    if session.get_providers()[0] != ENGINES[name]:
        raise ValueError(f"engine {name} does not start for {path}; ONNX Runtime took {session.get_providers()[0]} instead: "
                         "mend its installation, or name another engine")
    return session, name


def _providers(name: str, path: Path) -> list[Any]:
    """Providers for a session: the engine, and for operations that it lacks those after it."""
    if name == "cpu":
        return [ENGINES["cpu"]]
    cache = {"trt_engine_cache_enable": True, "trt_engine_cache_path": str(path.parent / "engines")}
    return [(ENGINES[name], cache) if name == "tensorrt" else ENGINES[name],
            *[ENGINES[e] for e in ("cuda", "cpu") if e != name]]
