# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The pair models `dust3r` and `mast3r`, with random weights from files in the official layouts."""
import argparse

import numpy as np
import pytest
import torch
from helpers.golden_cases import TINY, TINY_DPT, TINY_MAST3R, relative_error
from helpers.optional import needs_safe_reader

from lsm_ros import models
from lsm_ros.config import PairConfig, from_dict
from lsm_ros.geometry import CameraIntrinsics
from lsm_ros.models import checkpoint
from lsm_ros.models.preprocess import preprocess
from lsm_ros.pairs import PairModel, make_pair_model, precision
from lsm_ros.pairs.graphs import GraphedFunction
from lsm_ros.pairs.network import NetworkPairModel
from lsm_ros.pairs.precision import choose_precision
from lsm_ros.types import Frame


def frame(n, width=120, height=90, intrinsics=False):
    rng = np.random.default_rng(n)
    camera = CameraIntrinsics(width, height, 100.0, 100.0, width / 2, height / 2) if intrinsics else None
    return Frame(n, "front", rng.integers(0, 255, (height, width, 3), np.uint8), camera)


@pytest.fixture(params=[("dust3r", TINY), ("dust3r", TINY_DPT), ("mast3r", TINY_MAST3R)], ids=["linear", "dpt", "mast3r"])
def pair_model(request, tmp_path, device):
    name, config = request.param
    network = models.build(name, **config)
    checkpoint.save(network, tmp_path, config)
    return NetworkPairModel(PairConfig(model=name, weights=str(tmp_path), precision="float32"), device=device)


def test_predictions_are_the_networks_own(pair_model):
    a, b = frame(1), frame(2)
    tokens = pair_model.encode([a, b])
    got = pair_model.predict([tuple(tokens)])[0]
    views = [{k: v.to(pair_model.device) if k == "img" else v for k, v in preprocess(f.image, 96).items()} for f in (a, b)]
    with torch.no_grad():
        first, second = pair_model.model(*views)
    # tokens rest in fp16, so that a frame is cheap to keep
    for value, expected in ((got.points_a, first["pts3d"]), (got.points_b, second["pts3d_in_other_view"]),
                            (got.conf_a, first["conf"]), (got.conf_b, second["conf"])):
        assert value.dtype == torch.float32 and relative_error(value, expected[0]) < 5e-3
    assert got.is_metric == (pair_model.name == "mast3r")
    if got.is_metric:
        assert got.desc_a.dtype == torch.float16 and got.desc_a.shape == (*tokens[0].size, 6)
        assert relative_error(got.desc_b.float(), second["desc"][0]) < 1e-2
    else:
        assert got.desc_a is None


def test_a_frame_is_encoded_once_and_pairs_are_one_batch(pair_model, monkeypatch):
    encoded, decoded = [], []
    inner, outer = pair_model.model.run_encoder, pair_model.model.decode
    monkeypatch.setattr(pair_model.model, "run_encoder", lambda t, p: encoded.append(len(t)) or inner(t, p))
    monkeypatch.setattr(pair_model.model, "decode", lambda *x: decoded.append(len(x[0])) or outer(*x))
    if pair_model.device.type == "cuda":
        pytest.skip("what is recorded is not called again")
    a, b, c = pair_model.encode([frame(1), frame(2), frame(3)])
    batch = pair_model.predict([(a, b), (b, a), (c, a)])
    assert encoded == [3] and decoded == [3]
    for got, pair in zip(batch, [(a, b), (b, a), (c, a)], strict=True):
        single = pair_model.predict([pair])[0]
        assert relative_error(got.points_a, single.points_a) < 1e-4
        assert relative_error(got.points_b, single.points_b) < 1e-4
    assert encoded == [3] and decoded == [3, 1, 1, 1]


def test_sizes_and_orientations_may_mix(pair_model):
    wide, tall = pair_model.encode([frame(1), frame(2, 90, 120)])
    assert (wide.size, tall.size) == ((64, 96), (96, 64))  # 72 rows are cut to whole patches
    there, back = pair_model.predict([(wide, tall), (tall, wide)])
    assert there.points_a.shape == (64, 96, 3) and there.points_b.shape == (96, 64, 3)
    assert back.points_a.shape == (96, 64, 3) and pair_model.predict([]) == []


def test_square_frames_are_whole_patches_at_any_size(pair_model):
    """At 96 three quarters of a square are 72 rows, four and a half patches: tokens and crop told of different sizes."""
    tokens = pair_model.encode([frame(1, 100, 100)])[0]
    assert (tokens.crop.height, tokens.crop.width) == tokens.size == (96, 96)
    assert pair_model.predict([(tokens, tokens)])[0].points_a.shape == (96, 96, 3)


def test_tokens_are_small_and_know_their_camera(pair_model):
    tokens = pair_model.encode([frame(1, intrinsics=True)])[0]
    assert tokens.nbytes == 24 * 32 * 2 and tokens.tokens.dtype == torch.float16
    assert (tokens.intrinsics.width, tokens.intrinsics.height) == (96, 64)
    assert tokens.intrinsics.fx == pytest.approx(80) and pair_model.encode([frame(1)])[0].intrinsics is None


def test_warm_up_and_memory(pair_model):
    pair_model.warm_up(90, 120)
    assert pair_model.weight_megabytes == pytest.approx(sum(p.numel() for p in pair_model.model.parameters()) * 4e-6)


@needs_safe_reader
def test_made_by_name_from_an_official_file(tmp_path):
    network = models.build("dust3r", **TINY)
    text = "AsymmetricCroCo3DStereo(" + ", ".join(f"{k}={v!r}" for k, v in TINY.items()) + ")"
    torch.save({"args": argparse.Namespace(model=text), "model": network.state_dict()}, tmp_path / "w.pth")
    config = from_dict({"pairs.model": "dust3r", "pairs.weights": str(tmp_path / "w.pth")}).pairs
    made = make_pair_model(config)
    assert isinstance(made, PairModel) and made.name == "dust3r" and not made.is_metric


@pytest.mark.slow
def test_official_size_from_an_official_file(tmp_path):
    """2.1 GB in memory, 1.1 GB on disk: the checkpoint's layout, its constructor string, weights stored in half precision."""
    with torch.device("meta"):
        network = models.build("dust3r", head_type="linear")
    network = network.to_empty(device="cpu").half()
    for parameter in network.parameters():
        parameter.data.uniform_(-0.01, 0.01) if parameter.ndim > 1 else parameter.data.fill_(0.01)
    text = ("AsymmetricCroCo3DStereo(pos_embed='RoPE100', patch_embed_cls='ManyAR_PatchEmbed', img_size=(512, 512), "
            "head_type='linear', output_mode='pts3d', depth_mode=('exp', -inf, inf), conf_mode=('exp', 1, inf), "
            "enc_embed_dim=1024, enc_depth=24, enc_num_heads=16, dec_embed_dim=768, dec_depth=12, dec_num_heads=12)")
    torch.save({"args": argparse.Namespace(model=text), "model": network.state_dict()}, tmp_path / "official.pth")
    del network
    made = make_pair_model(PairConfig(model="dust3r", weights=str(tmp_path / "official.pth"), precision="float32"))
    assert made.image_size == 512 and made.weight_megabytes == pytest.approx(4 * 532.342784)
    made.image_size = 96  # the size of the network's image does not change what is loaded
    a, b = made.encode([frame(1), frame(2)])
    predictions = made.predict([(a, b), (b, a)])
    assert all(torch.isfinite(p.points_b).all() and p.points_a.shape == (64, 96, 3) for p in predictions)


def test_short_formats_stay_near(tmp_path):
    network = models.build("mast3r", **TINY_MAST3R)
    pairs = []
    for kind in ("float32", "bfloat16"):
        copy = models.build("mast3r", **TINY_MAST3R)
        copy.load_state_dict(network.state_dict())
        model = NetworkPairModel(PairConfig(model="mast3r", precision=kind), copy, "cpu")
        pairs.append(model.predict([tuple(model.encode([frame(1), frame(2)]))])[0])
    assert pairs[1].points_a.dtype == torch.float32 and 0 < relative_error(pairs[1].points_a, pairs[0].points_a) < 0.1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")
def test_recorded_graphs_are_the_function_and_keep_results_apart():
    calls = []
    graphed = GraphedFunction(lambda x, k: calls.append(1) or ({"y": x * k}, x + k), limit=2)
    first = graphed(torch.ones(3, device="cuda"), extra=(2,))
    second = graphed(torch.full((3,), 5.0, device="cuda"), extra=(2,))
    assert first[0]["y"].tolist() == [2] * 3 and second[1].tolist() == [7] * 3
    made = len(calls)
    graphed(torch.ones(3, device="cuda"), extra=(2,))
    assert len(calls) == made  # played again, not called again
    for n in (4, 5, 3):
        assert graphed(torch.ones(n, device="cuda"), extra=(2,))[1].tolist() == [3] * n


def test_a_graph_without_a_gpu_is_the_function():
    assert GraphedFunction(lambda x, k: x + k)(torch.ones(2), extra=(3,)).tolist() == [4, 4]


def test_errors(tmp_path):
    with pytest.raises(ValueError, match="needs weights.*lsm weights"):
        make_pair_model(PairConfig(model="mast3r"))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        make_pair_model(PairConfig(model="mast3r", weights="/nowhere/a.pth"))
    checkpoint.save(models.build("dust3r", **TINY), tmp_path, TINY)
    with pytest.raises(ValueError, match="'dust3r', not of 'mast3r'"):
        make_pair_model(PairConfig(model="mast3r", weights=str(tmp_path)))
    with pytest.raises(ValueError, match="int8"):
        choose_precision("int8", torch.device("cpu"))


def test_a_format_that_the_device_does_not_have_is_refused_by_name(monkeypatch):
    monkeypatch.setitem(precision.DTYPES, "float8", torch.float8_e4m3fn)
    with pytest.raises(ValueError, match="precision float8 does not run on cpu with torch .*: use float32"):
        choose_precision("float8", torch.device("cpu"))


@pytest.mark.parametrize(("product", "block", "error", "expected"), [
    (2.0, 2.0, 0.01, torch.bfloat16), (1.4, 2.0, 0.01, torch.float32), (2.0, 1.4, 0.01, torch.float32),
    (9.0, 9.0, 0.03, torch.float32), (9.0, 9.0, float("nan"), torch.float32)])
def test_a_short_format_must_win_clearly_and_be_exact(monkeypatch, product, block, error, expected):
    monkeypatch.setattr(precision, "attempt", lambda dtype, *_: precision.Trial(dtype, product, block, error))
    precision._fastest.cache_clear()
    assert choose_precision("auto", torch.device("cpu")) == expected
    precision._fastest.cache_clear()


def test_precision_is_measured(monkeypatch):
    cpu = torch.device("cpu")
    trial = precision.attempt(torch.bfloat16, cpu, 0.0)
    assert 1e-3 < trial.error < precision.LARGEST_ERROR and trial.product > 0 and trial.block > 0
    times = {torch.float32: 1.0, torch.bfloat16: 7.0}
    monkeypatch.setattr(precision, "product_seconds", lambda dtype, _: times[dtype])
    monkeypatch.setattr(precision, "shortest", lambda *_: pytest.fail("a block was run though the product is slow"))
    assert precision.attempt(torch.bfloat16, cpu, 1.5) == precision.Trial(torch.bfloat16, 1 / 7, 0.0, float("inf"))


def test_there_is_no_confidence_under_a_mask(pair_model):
    mask = np.zeros((90, 120), bool)
    mask[:, 60:] = True
    plain = frame(1)
    a, b = pair_model.encode([Frame(1, "front", plain.image, mask=mask), frame(2)])
    got, back = pair_model.predict([(a, b), (b, a)])
    for confidence in (got.conf_a, back.conf_b):
        assert not confidence[:, 48:].any() and (confidence[:, :47] > 0).all()
    assert (got.conf_b > 0).all()
    camera = CameraIntrinsics(120, 90, 100.0, 100.0, 60.0, 45.0)
    assert np.array_equal(pair_model.unpack("front", 1, camera, pair_model.pack(a)).mask, a.mask)
