# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Export to ONNX, run by ONNX Runtime. Without the extra `onnx` only the errors are tested."""
import sys

import numpy as np
import pytest
import torch
from helpers.golden_cases import TINY, TINY_DPT, TINY_MAST3R

from lsm_ros import cli, models
from lsm_ros.models import checkpoint, onnx_export
from lsm_ros.models.onnx_engine import CHECK


def loaded(*names):
    """Modules that are installed, or the test is skipped."""
    return [pytest.importorskip(n) for n in names]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["linear", pytest.param("dpt", marks=pytest.mark.slow),
                                  pytest.param("mast3r", marks=pytest.mark.slow)])
def test_parts_agree_with_torch_and_chain(kind, tmp_path):
    onnx, runtime, _ = loaded("onnx", "onnxruntime", "onnxscript")
    name, config = {"linear": ("dust3r", TINY), "dpt": ("dust3r", TINY_DPT), "mast3r": ("mast3r", TINY_MAST3R)}[kind]
    torch.manual_seed(0)
    model = models.build(name, **config)
    size = (48, 64)  # an odd number of rows of patches
    for part in onnx_export.PARTS:
        errors = onnx_export.export(model, tmp_path / f"{part}.onnx", part, size)
        assert errors and max(errors.values()) < 1e-4
    assert {p.name for p in tmp_path.iterdir()} == {f"{p}.onnx{s}" for p in onnx_export.PARTS for s in ("", ".data", CHECK)}
    notes = {p.key: p.value for p in onnx.load(str(tmp_path / "decoder.onnx")).metadata_props}
    assert notes["size"] == "64x48" and notes["part"] == "decoder"
    rng = np.random.default_rng(1)
    images = [rng.uniform(-1, 1, (1, 3, *size)).astype(np.float32) for _ in range(2)]
    encoder, decoder = (runtime.InferenceSession(str(tmp_path / f"{p}.onnx"), providers=["CPUExecutionProvider"])
                        for p in onnx_export.PARTS)
    tokens = [encoder.run(["tokens"], {"image": i})[0] for i in images]
    got = decoder.run(None, {"tokens_1": tokens[0], "tokens_2": tokens[1]})
    names = [o.name for o in decoder.get_outputs()]
    assert names == onnx_export.output_names(model)
    with torch.no_grad():
        first, second = model(*(torch.from_numpy(i) for i in images))
    expected = dict(zip(names, got, strict=True))
    for n, view, points in ((1, first, "pts3d"), (2, second, "pts3d_in_other_view")):
        for key, wanted in ((f"points_{n}", view[points]), (f"confidence_{n}", view["conf"])):
            assert np.abs(expected[key] - wanted.numpy()).max() < 1e-4 * wanted.abs().max()


@pytest.mark.timeout(600)
def test_command_writes_nothing_when_the_check_fails(tmp_path, capsys):
    loaded("onnx", "onnxruntime", "onnxscript")
    checkpoint.save(models.build("dust3r", **TINY), tmp_path / "net", TINY)
    begin = ["export", str(tmp_path / "net"), str(tmp_path / "out" / "a.onnx"), "--size", "64x32", "--part", "encoder"]
    assert cli.main([*begin, "--tolerance", "1e-12"]) == 2
    assert "differs from torch" in capsys.readouterr().err and not (tmp_path / "out").exists()
    assert cli.main(begin) == 0
    assert "encoder at 64x32, differs from torch by" in capsys.readouterr().out
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"a.onnx", "a.onnx.data", "a.onnx.check.npz"}


@pytest.mark.parametrize("missing", ["onnx", "onnxscript", "onnxruntime"])
def test_what_is_missing_is_named_before_anything_is_read(missing, monkeypatch, tmp_path, capsys):
    for name in ("onnx", "onnxscript", "onnxruntime"):
        monkeypatch.setitem(sys.modules, name, None if name == missing else sys)
    assert cli.main(["export", str(tmp_path / "absent.pth"), str(tmp_path / "a.onnx")]) == 2
    assert f"exporting needs {missing}: pip install lsm_ros[onnx]" in capsys.readouterr().err


@pytest.mark.parametrize(("change", "message"), [
    ({"part": "head"}, "none of encoder, decoder"), ({"size": (50, 64)}, "64x50"), ({"path": "a.pt"}, "ends with .onnx"),
    ({"model": torch.nn.Linear(2, 2)}, "not Linear")])
def test_what_cannot_be_exported(change, message, tmp_path):
    given = {"model": models.build("dust3r", **TINY), "path": "a.onnx", "part": "encoder", "size": (32, 32), **change}
    with pytest.raises(ValueError, match=message):
        onnx_export.export(given["model"], tmp_path / given["path"], given["part"], given["size"])
