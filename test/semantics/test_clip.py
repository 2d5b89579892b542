# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""CLIP's text tower from a folder, with small random weights, and what the Large Spatial Model's features mean."""
import json

import numpy as np
import pytest
import torch
from helpers.golden_cases import TINY_LSM
from helpers.semantic_parts import Words
from torch import nn

from lsm_ros import models
from lsm_ros.models.known import CLIP
from lsm_ros.models.tensor_files import write_safetensors
from lsm_ros.semantics.clip_encoder import BEGIN, END, BytePairs, ClipText, byte_signs, split_words
from lsm_ros.semantics.codec import read_codec
from lsm_ros.semantics.language import DEFAULT_CLASSES, Language, codec_of_basis, read_language
from lsm_ros.semantics.text_encoder import make_text_encoder
from lsm_ros.types import LabelSpace

MERGES = ["#version: 0.2", "c h", "ch a", "i r</w>", "cha ir</w>", "t a"]
WIDTH, OUT, LAYERS = 64, 24, 2


def vocabulary():
    signs = list(byte_signs().values())
    pieces = [*signs, *(s + "</w>" for s in signs), *(m.replace(" ", "") for m in MERGES[1:]), BEGIN, END]
    return {p: n for n, p in enumerate(pieces)}


def hugging_face_state(count):
    """Weights under the names of transformers."""
    def random(*shape):
        return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape))) / shape[-1] ** 0.5

    state = {"text_model.embeddings.token_embedding.weight": torch.randn(count, WIDTH),
             "text_model.embeddings.position_embedding.weight": random(77, WIDTH), "text_projection.weight": random(OUT, WIDTH),
             "text_model.embeddings.position_ids": torch.arange(77)[None], "logit_scale": torch.tensor(4.6),
             "vision_model.post_layernorm.weight": torch.ones(3)}
    for name in ["text_model.final_layer_norm"] + [f"text_model.encoder.layers.{i}.{n}" for i in range(LAYERS)
                                                   for n in ("layer_norm1", "layer_norm2")]:
        state |= {f"{name}.weight": 1 + 0.1 * torch.randn(WIDTH), f"{name}.bias": 0.1 * torch.randn(WIDTH)}
    for i in range(LAYERS):
        at = f"text_model.encoder.layers.{i}"
        for name, out, dim in [(f"self_attn.{p}_proj", WIDTH, WIDTH) for p in ("q", "k", "v", "out")] + [
                ("mlp.fc1", 4 * WIDTH, WIDTH), ("mlp.fc2", WIDTH, 4 * WIDTH)]:
            state |= {f"{at}.{name}.weight": torch.randn(out, dim) / dim ** 0.5, f"{at}.{name}.bias": 0.1 * torch.randn(out)}
    return state


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    place = tmp_path / CLIP
    place.mkdir()
    (place / "vocab.json").write_text(json.dumps(vocabulary()))
    (place / "merges.txt").write_text("\n".join(MERGES))
    write_safetensors(place / "model.safetensors", hugging_face_state(len(vocabulary())))
    return place


def reference(state, ids):
    """The tower once more, of PyTorch's own parts."""
    def norm(name, x):
        return nn.functional.layer_norm(x, (WIDTH,), state[f"{name}.weight"], state[f"{name}.bias"])

    def linear(name, x):
        return nn.functional.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])

    x = state["text_model.embeddings.token_embedding.weight"][ids] + state["text_model.embeddings.position_embedding.weight"][
        :len(ids)]
    for i in range(LAYERS):
        at = f"text_model.encoder.layers.{i}"
        y = norm(f"{at}.layer_norm1", x)
        q, k, v = (linear(f"{at}.self_attn.{p}_proj", y).view(len(ids), -1, 64).transpose(0, 1) for p in "qkv")
        later = torch.ones(len(ids), len(ids)).triu(1).bool()
        scores = (q @ k.mT / 8).masked_fill(later, -torch.inf).softmax(-1)
        x = x + linear(f"{at}.self_attn.out_proj", (scores @ v).transpose(0, 1).flatten(1))
        y = linear(f"{at}.mlp.fc1", norm(f"{at}.layer_norm2", x))
        x = x + linear(f"{at}.mlp.fc2", y * torch.sigmoid(1.702 * y))
    return norm("text_model.final_layer_norm", x)[-1] @ state["text_projection.weight"].T


def test_texts_are_what_the_tower_gives_alone(folder):
    encoder, state = ClipText(folder), hugging_face_state(len(vocabulary()))
    torch.manual_seed(0)
    state = hugging_face_state(len(vocabulary()))
    texts = ["chair", "a Chair by the table", ""]
    got = encoder.encode(texts)
    assert got.shape == (3, OUT) and got.dtype == np.float32
    for row, text in zip(got, texts, strict=True):
        expected = nn.functional.normalize(reference(state, BytePairs(vocabulary(), MERGES)(text)), dim=0)
        assert np.allclose(row, expected.numpy(), atol=1e-5)


def test_pieces_of_words():
    tokens, known = BytePairs(vocabulary(), MERGES), vocabulary()
    assert tokens.pieces("chair") == [known["chair</w>"]]
    assert tokens.pieces("table") == [known[p] for p in ("ta", "b", "l", "e</w>")]
    assert tokens.pieces("é") == [known[byte_signs()[0xC3]], known[byte_signs()[0xA9] + "</w>"]]
    assert tokens("chair") == [known[BEGIN], known["chair</w>"], known[END]]
    assert len(tokens("x" * 500)) == 77 and tokens("x" * 500)[-1] == known[END]
    assert split_words("The man's  2 chairs, (wide_ones)!") == ["the", "man", "'s", "2", "chairs", ",", "(", "wide", "_",
                                                                "ones", ")!"]
    with pytest.raises(ValueError, match=r"lacks <\|startoftext\|>"):
        BytePairs({"a": 1, END: 2}, [])
    with pytest.raises(ValueError, match="no piece for 'b</w>'"):
        BytePairs({"a": 1, BEGIN: 2, END: 3}, []).pieces("ab")


def test_reading_counts_what_is_taken(folder):
    encoder = ClipText(folder)
    assert tuple(encoder.reading("a chair")) == (2, 0, 2, 2)
    assert tuple(encoder.reading("x" * 100)) == (1, 0, 100, 75)


def test_it_is_found_where_weights_lie(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("LSM_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    assert make_text_encoder(CLIP).identity == CLIP
    monkeypatch.setenv("LSM_WEIGHTS", str(tmp_path / "elsewhere"))
    with pytest.raises(ImportError, match=f"lsm weights --download {CLIP}"):
        make_text_encoder(CLIP)
    with pytest.raises(ValueError, match=f"'odd' does not exist; there are: all-minilm-l6-v2, {CLIP}"):
        make_text_encoder("odd")


def test_incomplete_folders(folder):
    state = hugging_face_state(len(vocabulary()))
    write_safetensors(folder / "model.safetensors", {k: v for k, v in state.items() if "fc1" not in k})
    with pytest.raises(ValueError, match="(?s)no text tower of CLIP.*c_fc"):
        ClipText(folder)
    write_safetensors(folder / "model.safetensors", {"a": torch.zeros(1)})
    with pytest.raises(ValueError, match="no text tower of CLIP"):
        ClipText(folder)
    write_safetensors(folder / "model.safetensors", hugging_face_state(20))
    with pytest.raises(ValueError, match="519 word pieces for 20"):
        ClipText(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="neither model.safetensors nor"):
        ClipText(folder)
    torch.save(state, folder / "pytorch_model.bin")
    if tuple(int(n) for n in torch.__version__.split(".")[:2]) >= (2, 6):
        assert ClipText(folder).encode(["chair"]).shape == (1, OUT)
    else:
        with pytest.raises(ValueError, match="needs torch 2.6"):
            ClipText(folder)
    (folder / "merges.txt").unlink()
    with pytest.raises(FileNotFoundError, match="merges.txt"):
        ClipText(folder)


@pytest.fixture
def language():
    """The language of a small network with random weights, texts by a stand-in for CLIP; and the network."""
    torch.manual_seed(1)
    network = models.build("lsm", **TINY_LSM)
    torch.nn.init.normal_(network.feature_expansion[1].bias)
    words = Words(["chair", "table", "wall", "floor"], CLIP, dim=24)
    return Language(codec_of_basis(network.language_basis(), network.text_encoder), lambda name: words), network


@torch.no_grad()
def test_similarities_are_cosines_in_the_space_of_texts(language):
    said, network = language
    semantic = torch.randn(1, 8, 8, 8).repeat_interleave(2, 1)[:, ::2]
    feature = network.map_features(semantic)[0, 0, 0].numpy()
    expanded = network.feature_expansion[1](semantic.mean((1, 2))[..., None, None])[0, :, 0, 0].numpy()
    for n, text in enumerate(("chair", "table", "wall")):
        vector = said.sentence(text).vector
        assert vector.shape == (network.feature_channels,) and np.isclose(np.linalg.norm(vector), 1, atol=1e-5)
        assert np.isclose(vector @ feature, expanded[n] / np.linalg.norm(expanded), atol=1e-5)


def test_names_are_embedded_when_they_are_needed(language):
    said, _ = language
    assert tuple(said.trained_space.names.values()) == DEFAULT_CLASSES
    names = said.names(LabelSpace({3: "chair", 7: "floor"}), -1.0)
    assert names.ids.tolist() == [3, 7]
    assert np.allclose(names.vectors, [said.sentence(t).vector for t in ("chair", "floor")])


def test_it_is_kept_with_a_map(language, tmp_path):
    said, network = language
    said.write(tmp_path / "language.safetensors")
    again = read_codec(tmp_path / "language.safetensors")
    assert again.same_as(said.codec) and again.complete and again.channels == network.feature_channels
    assert read_language(tmp_path / "language.safetensors").digest == said.digest
