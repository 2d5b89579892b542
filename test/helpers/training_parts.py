# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A tiny network, few batches of one simulated room, and a text encoder of random numbers, for tests of training."""
import hashlib

import numpy as np

TINY_SMALL = {"enc_embed_dim": 64, "enc_depth": 2, "enc_num_heads": 2, "dec_embed_dim": 64, "dec_depth": 2, "dec_num_heads": 2,
              "feature_dim": 16, "last_dim": 16, "layer_dims": [8, 16, 32, 32], "output_mode": "pts3d+desc8",
              "feature_channels": 16}


def tiny(**changes):
    """Values of a config of seconds; changes: groups or fields that go before them."""
    values = {"objective": "pairs", "device": "cpu", "log_every": 1, "save_every": 1000,
              "model": {"name": "lsm_small", "options": dict(TINY_SMALL)},
              "data": {"width": 64, "height": 48, "batch": 4, "seeds": [0, 1], "kinds": ["room"], "worlds": 1},
              "loss": {"matches": 48}, "optim": {"steps": 8, "lr": 2e-3, "warmup": 3, "ema": 0.9},
              "language": {"encoder": "random"}, "validation": {"every": 0}}
    for name, value in changes.items():
        values[name] = {**values[name], **value} if isinstance(value, dict) else value
    return values


class RandomEncoder:
    """A unit vector for each text that depends on nothing but the text."""

    def __init__(self, identity="random", dim=96):
        self.identity, self.dim, self.asked = identity, dim, []

    def encode(self, texts):
        self.asked += texts
        rows = [np.random.default_rng(list(hashlib.sha256(t.encode()).digest())).standard_normal(self.dim) for t in texts]
        return np.stack([r / np.linalg.norm(r) for r in rows]).astype(np.float32)


class Repeated:
    """A few batches over and over; `at` maps numbers of batches to functions that are called when they are sampled."""

    def __init__(self, batches, at=None):
        self.batches, self.at, self.asked = batches, at or {}, []

    def sample(self, n):
        self.asked.append(n)
        if n in self.at:
            self.at[n]()
        return self.batches[n % len(self.batches)]
