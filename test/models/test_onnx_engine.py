# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Engines that run ONNX files, and the answers that they are compared with."""
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers.golden_cases import TINY_MAST3R
from helpers.onnx_models import constant, node, write_model
from helpers.optional import imported
from helpers.training_parts import TINY_SMALL

from lsm_ros import models
from lsm_ros.config import PairConfig
from lsm_ros.models import onnx_export
from lsm_ros.models.onnx_engine import CHECK, Engine, difference, store_answer
from lsm_ros.models.onnx_network import OnnxNetwork
from lsm_ros.pairs import make_pair_model
from lsm_ros.pairs.network import NetworkPairModel
from lsm_ros.types import Frame

X = np.random.default_rng(0).random((1, 3, 24, 32), np.float32)
MEAN = X.mean(1, keepdims=True)


class Session:
    """Stands for one of ONNX Runtime: the mean of the colours, times what `spoil` gives for each run."""

    def __init__(self, provider, spoil):
        self.providers, self.spoil, self.runs = [provider], spoil, 0

    def get_providers(self):
        return self.providers

    def get_inputs(self):
        return [SimpleNamespace(name="x", type="tensor(float)", shape=[1, 3, 24, 32])]

    def get_outputs(self):
        return [SimpleNamespace(name="y")]

    def get_modelmeta(self):
        return SimpleNamespace(custom_metadata_map={})

    def run(self, _names, inputs):
        self.runs += 1
        return [inputs["x"].mean(1, keepdims=True) * np.float32(self.spoil(self.runs))]


@pytest.fixture
def runtime(monkeypatch):
    """ONNX Runtime with TensorRT, whose sessions are `Session`; `spoil` and `starts` may be changed."""
    real = imported("onnxruntime")
    there = SimpleNamespace(spoil=lambda run: 1.0, starts=True)
    monkeypatch.setattr(real, "get_available_providers", lambda: ["TensorrtExecutionProvider", "CUDAExecutionProvider",
                                                                  "CPUExecutionProvider"])

    def session(_path, _options, providers):
        first = providers[0][0] if isinstance(providers[0], tuple) else providers[0]
        return Session(first if there.starts else "CPUExecutionProvider", there.spoil)

    monkeypatch.setattr(real, "InferenceSession", session)
    return there


@pytest.fixture
def model(tmp_path):
    path = write_model(tmp_path / "m.onnx")
    store_answer(path, [({"x": X}, {"y": MEAN}), ({"x": 1 - X}, {"y": 1 - MEAN})], 0.01)
    return path


def test_a_model_that_gives_its_stored_answers_is_used(model):
    engine = Engine(model, ["cpu"])
    assert engine.name == "cpu" and np.allclose(engine.run({"x": X})["y"], MEAN, atol=1e-6)


def test_an_engine_with_another_answer_is_refused_by_name(model, runtime):
    assert Engine(model).name == "tensorrt"
    runtime.spoil = lambda run: 1.005
    assert Engine(model).name == "tensorrt"  # within what is stated
    runtime.spoil = lambda run: 1.05
    with pytest.raises(ValueError, match=r"engine tensorrt is refused for .*m\.onnx: its y differs .* by 0\.05 of the largest "
                                         r"value, more than 0\.01; use another engine \(there are: tensorrt, cuda, cpu\)"):
        Engine(model)
    with pytest.raises(ValueError, match="engine cuda is refused"):
        Engine(model, ["cuda"])
    runtime.spoil = lambda run: np.nan
    with pytest.raises(ValueError, match="by inf of the largest"):
        Engine(model)


def test_an_engine_that_changes_its_scale_from_run_to_run_is_refused(model, runtime):
    runtime.spoil = lambda run: 1.0 if run <= 2 else 1.2
    with pytest.raises(ValueError, match="engine tensorrt is refused"):
        Engine(model)


def test_tensorrt_is_not_trusted_with_a_model_that_has_no_answer(model, runtime):
    model.with_name(model.name + CHECK).unlink()
    assert Engine(model).name == "cuda"
    assert Engine(model, ["tensorrt"]).name == "tensorrt"  # the user's word


def test_an_engine_that_does_not_start_is_no_silent_cpu(model, runtime):
    runtime.starts = False
    with pytest.raises(ValueError, match="engine tensorrt does not start .* took CPUExecutionProvider instead"):
        Engine(model)
    with pytest.raises(ValueError, match=r"engines \['gpu'\]: expected some of tensorrt, cuda, cpu"):
        Engine(model, ["gpu"])


def test_engines_and_answers_that_are_not_there(model):
    with pytest.raises(ValueError, match="none of the engines tensorrt is in this ONNX Runtime, which has.* cpu"):
        Engine(model, ["tensorrt"])
    with pytest.raises(FileNotFoundError, match=r"n\.onnx does not exist"):
        Engine(model.with_name("n.onnx"))
    store_answer(model, [({"x": X}, {"y": MEAN[..., :5]})])
    with pytest.raises(ValueError, match=r"check\.npz is of another model than m\.onnx \(output y\)"):
        Engine(model)
    store_answer(model, [])
    with pytest.raises(ValueError, match="holds no input and answer"):
        Engine(model)


def test_a_depth_prior_names_the_engine_that_it_refuses(tmp_path):
    path = write_model(tmp_path / "m.onnx", settings="size: [24, 32]\noutput: metres\nengines: [cpu]\n",
                       nodes=[node("ReduceMean", ["x"], ["m"], axes=[1], keepdims=1), constant(1.5),
                              node("Mul", ["m", "c"], ["y"])])
    store_answer(path, [({"x": X}, {"y": MEAN})])
    with pytest.raises(ValueError, match="engine cpu is refused"):
        make_pair_model(PairConfig(model="two_view", depth_prior="onnx", depth_prior_model=str(path)))


def test_differences_are_over_the_largest_value():
    assert difference(np.array([1.0, -4.0]), np.array([1.0, -5.0])) == pytest.approx(0.2)
    assert difference(np.array([np.nan]), np.array([1.0])) == np.inf


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["mast3r", "lsm_small"])
@pytest.mark.slow
def test_exported_parts_map_as_the_network_does(name, tmp_path):
    for module in ("onnx", "onnxscript", "onnxruntime"):
        imported(module)
    torch.manual_seed(0)
    options = TINY_MAST3R if name == "mast3r" else {**TINY_SMALL, "img_size": (48, 64)}
    network = models.build(name, **options)
    frames = [Frame(n, "c", np.random.default_rng(n).integers(0, 255, (96, 128, 3), np.uint8)) for n in range(2)]
    wanted = NetworkPairModel(PairConfig(model=name, precision="float32"), network, "cpu")
    for part in onnx_export.PARTS:
        onnx_export.export(network, tmp_path / f"net_{part}.onnx", part, wanted.encode(frames)[0].size)
    made = make_pair_model(PairConfig(model=name, weights=str(tmp_path / "net_encoder.onnx"), precision="float32"))
    assert (made.is_metric, made.feature_dim, made.image_size) == (wanted.is_metric, wanted.feature_dim, wanted.image_size)
    pairs = []
    for model in (made, wanted):
        model.with_features = bool(model.feature_dim)
        a, b = model.encode(frames)
        pairs.append(model.predict([(a, b), (b, a)])[1])
    for field in ("points_a", "points_b", "conf_a", "conf_b", "desc_a", *(["features_b"] if made.feature_dim else [])):
        got, right = (getattr(p, field).float().numpy() for p in pairs)
        assert difference(got, right) < 0.01, field


class Parts:
    """Stands for the engines of both parts of a network, which torch runs."""

    def __init__(self, network, size):
        self.network, self.size, self.changed = network, size, {}

    def __call__(self, path):
        part = path.stem.rpartition("_")[2]
        graph, cases, names = onnx_export._prepared(self.network, part, self.size, 1)

        def run(inputs):
            with torch.no_grad():
                out = graph(*(torch.from_numpy(inputs[n]) for n in names[0]))
            return dict(zip(names[1], (o.numpy() for o in (out if isinstance(out, tuple) else (out,))), strict=True))

        details = {**onnx_export._details(self.network, part, self.size), **self.changed.get(part, {})}
        return SimpleNamespace(path=path, details=details, run=run)


@pytest.fixture
def parts(monkeypatch):
    torch.manual_seed(0)
    made = Parts(models.build("lsm_small", **{**TINY_SMALL, "img_size": (48, 64)}), (48, 64))
    monkeypatch.setattr("lsm_ros.models.onnx_network.Engine", made)
    return made


def test_two_files_are_a_network(parts, tmp_path):
    config = PairConfig(model="lsm_small", weights=str(tmp_path / "net_encoder.onnx"), precision="float32")
    made, wanted = make_pair_model(config), NetworkPairModel(config, parts.network, "cpu")
    assert made.is_metric and made.feature_dim == wanted.feature_dim > 0 and made.image_size == wanted.image_size
    frames = [Frame(n, "c", np.random.default_rng(n).integers(0, 255, (96, 128, 3), np.uint8)) for n in range(2)]
    got, right = (m.predict([(a, b), (b, a)]) for m in (made, wanted) for a, b in [m.encode(frames)])
    for one, other in zip(got, right, strict=True):
        assert torch.allclose(one.points_b, other.points_b, rtol=1e-4) and torch.allclose(one.conf_a, other.conf_a, rtol=1e-4)
    with pytest.raises(ValueError, match="exported for images of 64x48, this one is 64x64: export the network again"):
        made.model.encode(torch.zeros(1, 3, 64, 64))


def test_a_network_of_squares_sees_images_as_it_was_trained(monkeypatch, tmp_path):
    made = Parts(models.build("mast3r", **TINY_MAST3R), (48, 64))
    monkeypatch.setattr("lsm_ros.models.onnx_network.Engine", made)
    network = OnnxNetwork(tmp_path / "net_encoder.onnx")
    assert network.size == (48, 64) and network.img_size == (64, 64)


def test_files_that_are_no_two_parts_of_the_network_are_refused(parts, tmp_path):
    with pytest.raises(ValueError, match="is of LsmSmall, where pair model 'mast3r' needs MASt3R"):
        make_pair_model(PairConfig(model="mast3r", weights=str(tmp_path / "net_decoder.onnx")))
    with pytest.raises(ValueError, match="expected one of the two files NAME_encoder.onnx"):
        OnnxNetwork(tmp_path / "net.onnx")
    parts.changed = {"decoder": {"size": "64x64"}}
    with pytest.raises(ValueError, match=r"not the parts of one network \(size\)"):
        OnnxNetwork(tmp_path / "net_encoder.onnx")


def test_warnings_of_the_exporter_about_its_own_code_do_not_reach_people(recwarn):
    with onnx_export._quiet():
        warnings.warn("`isinstance(treespec, LeafSpec)` is deprecated", FutureWarning, stacklevel=1)
        warnings.warn("this one is worth a look", UserWarning, stacklevel=1)
    assert [str(w.message) for w in recwarn] == ["this one is worth a look"]
