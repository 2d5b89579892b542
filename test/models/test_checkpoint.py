# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Checkpoints in the official layouts, written here with small random weights; damaged and hostile ones."""
import argparse
import json
import os
import pathlib
import pickle
import warnings

import numpy as np
import pytest
import torch
from helpers.golden_cases import TINY, TINY_DPT, TINY_MAST3R
from helpers.optional import needs_safe_reader

from lsm_ros import models
from lsm_ros.models import checkpoint, hub
from lsm_ros.models.constructor import parse_constructor
from lsm_ros.models.tensor_files import read_safetensors, write_safetensors

INF = float("inf")
EXPRESSION = ("AsymmetricCroCo3DStereo(pos_embed='RoPE100', patch_embed_cls='ManyAR_PatchEmbed', img_size=(96, 96), "
              "head_type='linear', output_mode='pts3d', depth_mode=('exp', -inf, inf), conf_mode=('exp', 1, inf), "
              "enc_embed_dim=32, enc_depth=2, enc_num_heads=2, dec_embed_dim=32, dec_depth=2, dec_num_heads=2)")


def official(path, model, expression=EXPRESSION, **more):
    args = argparse.Namespace(model=expression, batch_size=4, output_dir=pathlib.PosixPath("out"))
    torch.save({"args": args, "model": model.state_dict(), "epoch": 3, "best_so_far": np.float64(1.5), **more}, path)
    return path


def same(a, b):
    left, right = a.state_dict(), b.state_dict()
    assert left.keys() == right.keys()
    return all(torch.equal(left[k], right[k]) for k in left)


@pytest.fixture
def linear():
    return models.build("dust3r", **TINY)


@needs_safe_reader
def test_official_pth(tmp_path, linear):
    optimiser = torch.optim.AdamW(linear.parameters())
    path = official(tmp_path / "a.pth", linear, optimizer=optimiser.state_dict())
    loaded = models.load(str(path))
    assert same(loaded, linear) and not loaded.training and not loaded.mixed and not loaded.landscape_only
    image = torch.rand(1, 3, 32, 48) * 2 - 1
    with torch.no_grad():
        assert torch.equal(loaded(image, image)[0]["pts3d"], linear(image, image)[0]["pts3d"])


@pytest.mark.parametrize("names", ["both", "layer_rn", "layer1_rn"])
def test_either_name_of_shared_weights(tmp_path, names):
    model = models.build("mast3r", **TINY_MAST3R)
    state = {k: v for k, v in model.state_dict().items()
             if names == "both" or "scratch.layer" not in k or (".layer_rn." in k) == (names == "layer_rn")}
    assert len(model.state_dict()) - len(state) == (0 if names == "both" else 8)
    write_safetensors(tmp_path / "model.safetensors", state)
    (tmp_path / "config.json").write_text(json.dumps({**TINY_MAST3R, "two_confs": True, "desc_conf_mode": ["exp", 0, INF]}))
    loaded = models.load(str(tmp_path))
    assert same(loaded, model)
    scratch = loaded.downstream_head1.dpt.scratch
    assert scratch.layer1_rn.weight is scratch.layer_rn[0].weight


def test_saved_folder_loads_again(tmp_path):
    config = {**TINY_DPT, "depth_mode": ("exp", -INF, INF)}
    model = models.build("dust3r", **config)
    checkpoint.save(model, tmp_path / "out", config)
    text = (tmp_path / "out" / "config.json").read_text()
    assert "-Infinity" in text and list(json.loads(text)) == sorted(config)
    tensors, notes = read_safetensors(tmp_path / "out" / "model.safetensors")
    assert len(model.state_dict()) - len(tensors) == 8 and len(notes) == 9  # shared ones once, said in the metadata
    assert same(models.load(tmp_path / "out"), model)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_storage(tmp_path, linear, dtype):
    state = {k: v.to(dtype) for k, v in linear.state_dict().items()}
    write_safetensors(tmp_path / "w.safetensors", state)
    loaded = models.load(tmp_path / "w.safetensors", enc_num_heads=2, dec_num_heads=2)
    assert all(torch.equal(v, state[k].float()) for k, v in loaded.state_dict().items())
    assert models.load(tmp_path / "w.safetensors", dtype=dtype).mask_token.dtype == dtype


@needs_safe_reader
def test_weights_alone_tell_their_network(tmp_path):
    for name, config in (("dust3r", TINY), ("dust3r", TINY_DPT), ("mast3r", TINY_MAST3R), ("croco", {"img_size": 64, **{
            k: v for k, v in TINY.items() if k not in ("head_type", "img_size")}})):
        model = models.build(name, **config)
        torch.save(model.state_dict(), tmp_path / "w.pth")
        assert same(models.load(tmp_path / "w.pth", enc_num_heads=2, dec_num_heads=2), model)


@needs_safe_reader
def test_croco_starts_a_dust3r(tmp_path, linear):
    kwargs = {k: v for k, v in TINY.items() if k != "head_type"} | {"pos_embed": "RoPE100"}
    croco = models.build("croco", **kwargs)
    torch.save({"model": croco.state_dict(), "croco_kwargs": kwargs}, tmp_path / "c.pth")
    assert same(models.load(tmp_path / "c.pth"), croco)
    head = linear.downstream_head1.proj.weight.clone()
    checkpoint.initialise_from_croco(linear, tmp_path / "c.pth")
    for stack in (linear.dec_blocks, linear.dec_blocks2):
        assert torch.equal(stack[1].mlp.fc1.weight, croco.dec_blocks[1].mlp.fc1.weight)
    assert torch.equal(linear.enc_blocks[0].attn.qkv.weight, croco.enc_blocks[0].attn.qkv.weight)
    assert torch.equal(linear.downstream_head1.proj.weight, head)
    assert linear.dec_blocks[0].mlp.fc1.weight is not linear.dec_blocks2[0].mlp.fc1.weight
    assert linear.dec_blocks[0].mlp.fc1.weight.data_ptr() != linear.dec_blocks2[0].mlp.fc1.weight.data_ptr()
    with pytest.raises(ValueError, match="dust3r"):
        checkpoint.initialise_from_croco(linear, official(tmp_path / "d.pth", linear))


@needs_safe_reader
def test_missing_unexpected_and_wrong_keys_are_listed(tmp_path, linear):
    state = linear.state_dict()
    del state["enc_blocks.1.norm1.bias"]
    state["something.else"] = torch.zeros(1)
    state["mask_token"] = torch.zeros(1, 1, 7)
    torch.save({"model": state, "args": argparse.Namespace(model=EXPRESSION)}, tmp_path / "a.pth")
    with pytest.raises(ValueError) as caught:
        models.load(tmp_path / "a.pth")
    for part in ("a.pth", "enc_blocks.1.norm1.bias", "something.else", "mask_token (1, 1, 7) instead of (1, 1, 32)"):
        assert part in str(caught.value)


@needs_safe_reader
def test_checkpoint_of_another_model(tmp_path, linear):
    path = official(tmp_path / "a.pth", linear)
    with pytest.raises(ValueError, match="'dust3r', not of 'mast3r'"):
        models.load(path, name="mast3r")
    torch.save({"model": {"conv.weight": torch.zeros(3)}}, tmp_path / "b.pth")
    with pytest.raises(ValueError, match="conv.weight"):
        models.load(tmp_path / "b.pth")
    torch.save({"model": {"conv.weight": torch.zeros(3)}, "args": argparse.Namespace(model="FastDust3R(img_size=3)")},
               tmp_path / "c.pth")
    with pytest.raises(ValueError, match="c.pth: the checkpoint is of 'FastDust3R'.*conv.weight"):
        models.load(tmp_path / "c.pth")


@needs_safe_reader
def test_fine_tunes_with_the_keys_of_a_network_load(tmp_path, linear):
    """Those that name a class of their own, and those that were saved with the wrappers of their training."""
    text = EXPRESSION.replace("AsymmetricCroCo3DStereo", "Endo3R").replace("img_size", "memory=True, img_size")
    with pytest.warns(UserWarning) as warned:
        assert same(models.load(official(tmp_path / "a.pth", linear, text)), linear)
    said = [str(w.message) for w in warned]
    assert any("of 'Endo3R', which is not known here; it has the keys of 'dust3r'" in w for w in said)
    assert any("left out: memory" in w for w in said)
    for prefix in ("module.", "module.model.", "dust3r."):
        state = {f"{prefix}{k}": v for k, v in linear.state_dict().items()}
        for content in (state, {"model": state}, {"state_dict": state}):
            torch.save(content, tmp_path / "b.pth")
            assert same(models.load(tmp_path / "b.pth", enc_num_heads=2, dec_num_heads=2), linear)
    write_safetensors(tmp_path / "b.safetensors", state)
    assert same(models.load(tmp_path / "b.safetensors", enc_num_heads=2, dec_num_heads=2), linear)
    torch.save({**state, "memory.weight": torch.zeros(2)}, tmp_path / "c.pth")
    with pytest.raises(ValueError, match=r"c.pth: the keys under 'dust3r.' may be.* 1 others belong to parts .*memory.weight"):
        models.load(tmp_path / "c.pth")


@needs_safe_reader
def test_encoders_with_other_patches_are_named(tmp_path, linear):
    for key in ("patch_embed.proj.weight", "encoder.patch_embed.proj.weight"):
        state = {k: v for k, v in linear.state_dict().items() if k != "patch_embed.proj.weight"}
        torch.save({**state, key: torch.zeros(32, 3, 14, 14)}, tmp_path / "a.pth")
        with pytest.raises(ValueError, match=f"{key} has patches of 14x14 pixels.*encoder is missing here.* 16x16"):
            models.load(tmp_path / "a.pth")


@needs_safe_reader
def test_truncated_files(tmp_path, linear):
    whole = official(tmp_path / "a.pth", linear).read_bytes()
    for share in (0.0, 0.001, 0.5, 0.99):
        (tmp_path / "b.pth").write_bytes(whole[:int(len(whole) * share)])
        with pytest.raises(ValueError, match="b.pth is truncated or is no checkpoint"):
            models.load(tmp_path / "b.pth")
    write_safetensors(tmp_path / "a.safetensors", linear.state_dict())
    whole = (tmp_path / "a.safetensors").read_bytes()
    for share in (0.0, 0.0001, 0.5, 0.999):
        (tmp_path / "b.safetensors").write_bytes(whole[:int(len(whole) * share)])
        with pytest.raises(ValueError, match="truncated"):
            models.load(tmp_path / "b.safetensors")


class Hostile:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


@needs_safe_reader
@pytest.mark.parametrize("where", ["args", "model", "epoch"])
@pytest.mark.parametrize("zipped", [True, False])
def test_hostile_pickle_is_refused_and_named(tmp_path, linear, where, zipped):
    content = {"args": argparse.Namespace(model=EXPRESSION), "model": linear.state_dict(), "epoch": 1}
    content[where] = Hostile(tmp_path / "owned")
    torch.save(content, tmp_path / "evil.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(ValueError, match=r"evil.pth is refused.*(posix|nt)\.mkdir"):
        models.load(tmp_path / "evil.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(content))
    with pytest.raises(ValueError, match="plain.pth"):
        models.load(tmp_path / "plain.pth")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("text", [
    "__import__('os').mkdir('owned')", "AsymmetricMASt3R(head_type=open('x'))", "AsymmetricMASt3R(x=().__class__)",
    "AsymmetricMASt3R(**{'a': 1})", "AsymmetricMASt3R('a')", "AsymmetricMASt3R(a=nan)", "AsymmetricMASt3R(a=[b for b in (1,)])",
    "os.system('x')", "Unknown(a=1)", "AsymmetricMASt3R(a=1", "AsymmetricMASt3R(a=-'x')", "", "(" * 5000,
    "AsymmetricMASt3R" + "x" * 20000])
def test_hostile_constructors_are_refused(tmp_path, monkeypatch, linear, text):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="constructor|checkpoint is of"):
        parse_constructor(text)
    assert not (tmp_path / "owned").exists()


def test_constructor_strings():
    name, config = parse_constructor(EXPRESSION)
    assert name == "dust3r" and config["depth_mode"] == ("exp", -INF, INF) and config["img_size"] == (96, 96)
    name, config = parse_constructor("AsymmetricMASt3R(two_confs=True, desc_conf_mode=('exp', 0, inf), dec_depth=12)")
    assert name == "mast3r" and config == {"two_confs": True, "desc_conf_mode": ("exp", 0, INF), "dec_depth": 12}


def test_config_with_unknown_and_missing_fields(tmp_path, linear):
    """Files of newer tools and of fine-tunes hold unknown fields; keys and shapes decide if weights fit."""
    config = {k: v for k, v in TINY.items() if k != "img_size"}
    checkpoint.save(linear, tmp_path, {**config, "two_decoders": True, "desc_mode": ["norm"]})
    with pytest.warns(UserWarning, match="left out: desc_mode, two_decoders"):
        assert same(models.load(tmp_path), linear)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert same(models.load(tmp_path, ignore=["two_decoders", "desc_mode"]), linear)
    checkpoint.save(linear, tmp_path, {**{k: v for k, v in TINY.items() if k != "enc_depth"}, "enc_detph": 2})
    with pytest.warns(UserWarning, match="enc_detph"), pytest.raises(ValueError, match="keys missing: enc_blocks"):
        models.load(tmp_path)


def test_config_of_the_hubs_tools_and_of_nobody(tmp_path, linear):
    checkpoint.save(linear, tmp_path, {**TINY, "architectures": ["AsymmetricCroCo3DStereo"], "torch_dtype": "float32"})
    assert same(models.load(tmp_path), linear)
    (tmp_path / "config.json").write_text("[1, 2]")
    with pytest.raises(ValueError, match="expected an object"):
        models.load(tmp_path)


def test_bad_safetensors_headers(tmp_path):
    write_safetensors(tmp_path / "a.safetensors", {"a": torch.arange(6.0), "b": torch.ones(2, 3, dtype=torch.bfloat16)})
    tensors, _ = read_safetensors(tmp_path / "a.safetensors")
    assert torch.equal(tensors["a"], torch.arange(6.0)) and tensors["b"].dtype == torch.bfloat16
    raw = (tmp_path / "a.safetensors").read_bytes()
    for old, new in ((b'[0, 24]', b'[0, 20]'), (b'"F32"', b'"F99"'), (b'[6]', b'[7]'), (b'{', b'(')):
        (tmp_path / "b.safetensors").write_bytes(raw.replace(old, new, 1))
        with pytest.raises(ValueError, match="b.safetensors"):
            read_safetensors(tmp_path / "b.safetensors")


def test_nothing_is_fetched_unasked(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("LSM_WEIGHTS", str(tmp_path / "w"))
    monkeypatch.setattr(hub, "fetch", lambda *a: pytest.fail("downloaded without being asked"))
    for name in ("naver/DUSt3R_ViTLarge_BaseDecoder_512_dpt", "someone/else", "/nowhere/a.pth", "CroCo"):
        with pytest.raises(FileNotFoundError, match=name):
            models.load(name)


def test_hub_cache_is_found(tmp_path, monkeypatch, linear):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    folder = tmp_path / "hub" / "models--someone--tiny"
    checkpoint.save(linear, folder / "snapshots" / "abc", TINY)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("abc")
    assert same(models.load("someone/tiny"), linear)


def test_known_names_are_found_among_the_files(tmp_path, monkeypatch):
    monkeypatch.setenv("LSM_WEIGHTS", str(tmp_path))
    torch.save({"model": {}}, tmp_path / "CroCo.pth")
    assert hub.find_in_hub("CroCo") == tmp_path / "CroCo.pth"
    assert all(k.licence and k.origin for k in hub.KNOWN)
    assert all(("NON-COMMERCIAL" in k.licence) != ("may be used in a product" in k.licence) for k in hub.KNOWN)


@needs_safe_reader
@pytest.mark.parametrize("layout", ["pth", "folder"])
@pytest.mark.parametrize("name, config", [("dust3r", TINY_DPT), ("mast3r", {**TINY_MAST3R, "hidden_dim_factor": 1.7})])
def test_widths_of_heads_that_official_files_do_not_name(tmp_path, layout, name, config):
    """Only files that named feature_dim and the like could be read at other widths; no official tool writes these."""
    model = models.build(name, **config)
    named = {k: v for k, v in config.items() if k not in ("feature_dim", "last_dim", "layer_dims", "hidden_dim_factor")}
    if layout == "folder":
        checkpoint.save(model, tmp_path / "w", named)
    else:
        cls = {"dust3r": "AsymmetricCroCo3DStereo", "mast3r": "AsymmetricMASt3R"}[name]
        official(tmp_path / "w", model, f"{cls}({', '.join(f'{k}={v!r}' for k, v in named.items())})")
    assert same(models.load(tmp_path / "w"), model)
    state = model.state_dict()
    state["downstream_head1.dpt.head.0.weight"] = torch.zeros(1, 2, 3, 3)
    if layout == "folder":
        checkpoint.write_safetensors(tmp_path / "w" / "model.safetensors", state)
        with pytest.raises(ValueError, match=r"downstream_head1.dpt.head.0.weight \(1, 2, 3, 3\)"):
            models.load(tmp_path / "w", **config)


@needs_safe_reader
def test_weights_alone_have_the_official_descriptor_confidence(tmp_path):
    """Without its config an official MASt3R was read with the confidence of points: 1 + exp(x) in place of exp(x)."""
    model = models.build("mast3r", **TINY_MAST3R)
    torch.save(model.state_dict(), tmp_path / "w.pth")
    assert models.load(tmp_path / "w.pth", enc_num_heads=2, dec_num_heads=2).desc_conf_mode == ("exp", 0, INF)


@needs_safe_reader
@pytest.mark.parametrize("protocol", [0, 1, 2, 4, 5])
def test_hostile_plain_pickle_of_any_protocol_is_named(tmp_path, protocol):
    """Those of protocols that torch does not read were called truncated."""
    (tmp_path / "plain.pth").write_bytes(pickle.dumps({"model": Hostile(tmp_path / "owned")}, protocol))
    with warnings.catch_warnings(), pytest.raises(ValueError, match=r"plain.pth is refused.*(posix|nt)\.mkdir"):
        warnings.simplefilter("error")
        models.load(tmp_path / "plain.pth")
    assert not (tmp_path / "owned").exists()


@needs_safe_reader
@pytest.mark.filterwarnings("ignore:.*left out")
@pytest.mark.parametrize("zipped", [True, False])
def test_damage_anywhere_is_the_files_fault(tmp_path, linear, zipped):
    """Truncated or corrupted at some places a file gave OSError, struct.error, AssertionError or UnpicklingError."""
    torch.save({"args": argparse.Namespace(model=EXPRESSION), "model": linear.state_dict()}, tmp_path / "a.pth",
               _use_new_zipfile_serialization=zipped)
    whole = (tmp_path / "a.pth").read_bytes()
    rng = np.random.default_rng(0)
    for cut in (4, 12, 28, 56, 4793, 5000, 58895, *rng.integers(0, len(whole), 20)):
        (tmp_path / "b.pth").write_bytes(whole[:cut])
        with pytest.raises(ValueError, match="b.pth is truncated or is no checkpoint"):
            models.load(tmp_path / "b.pth")
    for _ in range(40):
        corrupted = bytearray(whole)
        corrupted[rng.integers(0, 2000)] = rng.integers(0, 256)
        (tmp_path / "b.pth").write_bytes(corrupted)
        try:
            models.load(tmp_path / "b.pth")
        except ValueError as error:
            assert "b.pth" in str(error)


@needs_safe_reader
@pytest.mark.parametrize("change, message", [
    ({"model": {1: torch.zeros(1)}}, "no state dict"), ({"croco_kwargs": [1]}, "croco_kwargs"),
    ({"croco_kwargs": {1: 2}}, "croco_kwargs"), ({"croco_kwargs": "x"}, "croco_kwargs")])
def test_contents_of_a_wrong_kind(tmp_path, linear, change, message):
    torch.save({"model": linear.state_dict(), **change}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=f"a.pth.*{message}"):
        models.load(tmp_path / "a.pth")


def test_config_fields_of_a_wrong_kind(tmp_path, linear):
    for field, value in (("patch_embed_cls", None), ("patch_embed_cls", 3), ("pos_embed", [1])):
        checkpoint.save(linear, tmp_path, {**TINY, field: value})
        with pytest.raises(ValueError, match=field):
            models.load(tmp_path)
    for classes in (3, [[1]], "x", [None]):
        checkpoint.save(linear, tmp_path, {**TINY, "architectures": classes})
        assert same(models.load(tmp_path), linear)


def test_safetensors_without_its_data_is_truncated(tmp_path):
    """Cut off right after the header it was read as a file without tensors; text for numbers was a TypeError."""
    write_safetensors(tmp_path / "a.safetensors", {"a": torch.arange(6.0)})
    raw = (tmp_path / "a.safetensors").read_bytes()
    for content in (raw[:-24], raw.replace(b"[0, 24]", b'["","x"]').replace(b" }", b"}"), raw.replace(b"[6]", b"1e9")):
        (tmp_path / "b.safetensors").write_bytes(content)
        with pytest.raises(ValueError, match="b.safetensors"):
            read_safetensors(tmp_path / "b.safetensors")
