# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Golden cases, tiny configurations, and how errors are measured."""
import ast
import json
import math
from pathlib import Path

import numpy as np
import torch

TINY = {"img_size": (96, 96), "enc_embed_dim": 32, "enc_depth": 2, "enc_num_heads": 2, "dec_embed_dim": 32, "dec_depth": 2,
        "dec_num_heads": 2, "head_type": "linear"}
TINY_DPT = {**TINY, "dec_depth": 10, "head_type": "dpt", "feature_dim": 16, "last_dim": 8, "layer_dims": (6, 8, 10, 12)}
TINY_MAST3R = {**TINY_DPT, "head_type": "catmlp+dpt", "output_mode": "pts3d+desc6", "hidden_dim_factor": 1}
TINY_LSM = {"img_size": (64, 64), "semantic_dim": 8, "dust3r": TINY, "lseg": {
    "embed_dim": 64, "depth": 4, "num_heads": 1, "grid": 3, "hooks": (0, 1, 2, 3), "layer_dims": (6, 8, 10, 12),
    "feature_dim": 8, "out": 24, "clip": {"text_dim": 32, "text_depth": 2, "text_heads": 1, "vocabulary": 600, "image_dim": 0}},
    "point_transformer": {"enc_channels": (16, 32, 48), "enc_depths": (1, 2, 1), "enc_num_head": (1, 2, 3),
                          "enc_patch_size": (100, 100, 100), "dec_channels": (32, 16), "dec_depths": (1, 2),
                          "dec_num_head": (2, 1), "dec_patch_size": (100, 100), "cross_heads": 1, "multi_scale_heads": 1}}


class Case:
    """One golden file: `inp`, `out` and `sd` by name as tensors, `cfg` as keywords, `meta`."""

    def __init__(self, path: Path) -> None:
        with np.load(path) as z:
            self.meta = json.loads(str(z["meta"]))
            arrays = {k: z[k] for k in z.files if k != "meta"}
        self.inp, self.out, self.sd = (
            {k.removeprefix(p): torch.from_numpy(np.asarray(v)) for k, v in arrays.items() if k.startswith(p)
             and np.asarray(v).dtype != np.uint32} for p in ("in/", "out/", "sd/"))
        self.arrays = arrays
        self.cfg = literal(self.meta["cfg"]) if "cfg" in self.meta else {}


def literal(text: str) -> dict:
    """A Python literal with bare `inf`."""
    tree = ast.parse(text, mode="eval")

    class Inf(ast.NodeTransformer):
        def visit_Name(self, node):
            assert node.id == "inf"
            return ast.Constant(math.inf)

        def visit_UnaryOp(self, node):
            operand = self.visit(node.operand)
            return ast.Constant(-operand.value)

    return ast.literal_eval(ast.fix_missing_locations(Inf().visit(tree)))


def relative_error(got: torch.Tensor, expected: torch.Tensor) -> float:
    """Largest difference over the largest expected value."""
    assert got.shape == expected.shape, f"{tuple(got.shape)} instead of {tuple(expected.shape)}"
    return float((got.double() - expected.double()).abs().max() / expected.double().abs().max())
