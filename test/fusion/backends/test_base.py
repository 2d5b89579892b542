# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""All backends against the one in NumPy: the same bits for any input."""
from dataclasses import replace

import numpy as np
import pytest
from helpers.fusion_backends import make_backend
from helpers.fusion_scenes import MIDDLE, ROOM, SMALL, observe, pose, state_of
from helpers.properties import HealthCheck, given, settings, st

from lsm_ros.config import FusionConfig
from lsm_ros.fusion import VoxelMap
from lsm_ros.fusion.backends import base as backends
from lsm_ros.fusion.backends.layout import CameraPose, Layout
from lsm_ros.fusion.backends.reference import NumpyBackend
from lsm_ros.fusion.map.pools import part
from lsm_ros.geometry import CameraIntrinsics

FAST = ["cpu", "emulated", pytest.param("cuda", marks=pytest.mark.gpu)]


def with_features(o, dim=64, seed=0):
    f = np.random.default_rng(seed).integers(-127, 128, (max(o.z.shape[0] // 16, 1), max(o.z.shape[1] // 16, 1), dim))
    return replace(o, features=f.astype(np.int8))


def mapped(backend, config, observations, poses):
    m = VoxelMap(config)
    m.backend = backend
    m.pools = type(m.pools)(backend, config.max_blocks, config.labels)
    for o, T in zip(observations, poses, strict=True):
        m.add(o, T)
    return m


def noisy(seed, width, height, labels):
    """An observation as no camera makes it: every value possible, holes, steps, confidence of all kinds."""
    rng = np.random.default_rng(seed)
    z = rng.integers(0, 5000, (height, width))
    smooth = np.add.outer(np.arange(height), 3 * np.arange(width)) + 2000
    z = np.where(rng.random(z.shape) < 0.7, smooth, z) * (rng.random(z.shape) < 0.9)
    camera = CameraIntrinsics(width, height, *rng.uniform(0.4, 2, 2) * width, *rng.uniform(0, 1, 2) * (width, height))
    return replace(observe(ROOM, pose(), seed), z=z.astype(np.uint16), z_step=float(10 ** rng.uniform(-4, -2)),
                   confidence=rng.choice([0, 1, 100, 255], z.shape).astype(np.uint8), intrinsics=camera,
                   rgb=rng.integers(0, 256, (*z.shape, 3)).astype(np.uint8),
                   labels=rng.choice([3, 9, 500, 65534, 65535], z.shape).astype(np.uint16) if labels else None)


@pytest.mark.parametrize("name", FAST)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**20), size=st.sampled_from([(1, 1), (3, 2), (37, 23), (64, 48), (80, 60)]),
       voxel=st.sampled_from([0.05, 0.1, 0.37]), truncation=st.sampled_from([1.0, 2.5, 3.0, 10.0]),
       stride=st.integers(0, 4), depth=st.sampled_from([0.5, 3.0, 8.0]), scale=st.sampled_from([0.3, 1.0, 1.7]),
       labels=st.sampled_from(["", "auto", "codes"]), dim=st.sampled_from([0, 1, 64]))
def test_any_observation_gives_the_same_bits(name, seed, size, voxel, truncation, stride, depth, scale, labels, dim):
    config = FusionConfig(voxel_size=voxel, truncation_voxels=truncation, stride=stride, max_depth=depth, max_blocks=10**6,
                          labels=labels or "auto")
    o = noisy(seed, *size, bool(labels))
    if dim:
        o = with_features(o, dim)
    rng = np.random.default_rng(seed)
    T = pose(*rng.uniform(-30, 30, 3), *rng.uniform(-3, 3, 2))
    T[:3, :3] *= scale
    one, other = (mapped(b, config, [o], [T]) for b in (NumpyBackend(), make_backend(name)))
    assert state_of(one) == state_of(other)
    assert (one.touched_blocks(o.id) == other.touched_blocks(o.id)).all()
    other.remove(o.id)
    assert state_of(other) == ({}, {}) and not any(
        pool.rows(a).any() for pool, arrays in ((other.pools.voxels, ("voxels", "labels", "features")),
                                                (other.pools.free, ("weight",))) for a in arrays)


@pytest.mark.parametrize("name", FAST)
@pytest.mark.parametrize("camera", [SMALL, MIDDLE])
def test_pixels_are_the_same(name, camera):
    layout, backend = Layout.of(FusionConfig()), make_backend(name)
    for o in (observe(ROOM, pose(0.1, 0, 0.6, 0.3, 0.2), camera=camera), noisy(5, 61, 43, True)):
        want, got = NumpyBackend().prepare(o, layout), backend.prepare(o, layout)
        raw = np.ascontiguousarray(np.asarray(got.pixels)).view(np.uint32).reshape(-1, 2)
        depth = (raw[:, 0] & 0xFFFF).astype(np.float32) * np.float32(want.view.z_step)
        assert (depth == want.depth.ravel()).all() and got.farthest == want.farthest
        assert (raw[:, 0] >> 16 == want.slope).all() and (raw[:, 1] >> 24 == want.weight).all()
        assert (np.stack([raw[:, 1] >> s & 255 for s in (0, 8, 16)], -1) == want.rgb).all()
        assert (got.near == want.near).all() and (got.known == want.known).all()
        assert (got.label_ids == want.label_ids).all() and len(want.label_ids)


@pytest.mark.parametrize("name", FAST)
def test_parts_are_the_same(name):
    layout = Layout.of(FusionConfig(voxel_size=0.05))
    T = pose(0.1, 0.2, 0.7, 0.2, 0.3)
    o = observe(ROOM, T, camera=MIDDLE)
    parts = [part(b, b.prepare(o, layout), CameraPose.of(T, o.T_rig_cam), layout) for b in (NumpyBackend(),
                                                                                            make_backend(name))]
    a, b = parts
    assert (a.keys == b.keys).all() and len(a.keys) > 50
    assert (a.free.keys == b.free.keys).all() and len(a.free.keys) > 1
    assert (a.free.weights[a.free.rows] == np.asarray(b.free.weights)[b.free.rows]).all()


@pytest.mark.parametrize("name", FAST)
@pytest.mark.parametrize("min_weight", [0.0, 0.3])
def test_surfaces_are_the_same(name, min_weight):
    config, views = FusionConfig(voxel_size=0.05, min_weight=min_weight), [pose(0.1 * i, 0, 0.6, 0.2 * i) for i in range(3)]
    seen = [observe(ROOM, T, i, camera=MIDDLE) for i, T in enumerate(views)] + [noisy(7, 80, 60, True)]
    one, other = (mapped(b, config, seen, [*views, pose(0.3, 0.2, 0.5)]) for b in (NumpyBackend(), make_backend(name)))
    a, b = one.snapshot(), other.snapshot()
    assert len(a.points_map) > 3000
    for field in ("points_map", "colors", "labels", "confidence", "weight", "normals"):
        assert (getattr(a, field) == getattr(b, field)).all(), field
    assert a.volume_m3 == b.volume_m3


def test_threads_do_not_matter():
    make_backend("cpu")
    config, views = FusionConfig(voxel_size=0.04), [pose(0.05 * i, 0, 0.6, 0.1 * i) for i in range(3)]
    seen = [with_features(observe(ROOM, T, i, camera=MIDDLE), seed=i) for i, T in enumerate(views)]
    from lsm_ros.fusion.backends.cpu import CpuBackend

    states = [state_of(mapped(CpuBackend(n), config, seen, views)) for n in (1, 2, 7, 64)]
    assert all(s == states[0] for s in states[1:])


def test_auto_takes_the_fastest_that_runs(monkeypatch, caplog):
    def make(kind, threads):
        if kind != "numpy":
            raise RuntimeError(f"{kind} is missing")
        return NumpyBackend()

    monkeypatch.setattr(backends, "_make", make)
    with caplog.at_level("INFO"):
        assert backends.choose("auto").name == "numpy"
    assert "backend cpu cannot run: cpu is missing" in caplog.text and "backend numpy" in caplog.text
    with pytest.raises(RuntimeError, match="cpu is missing"):
        backends.choose("cpu")
    with pytest.raises(ValueError, match="'vulkan'"):
        backends.choose("vulkan")
