# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The ray-caster against rays computed one part at a time in float64 NumPy, and against itself by brute force."""
import numpy as np
import pytest
import torch
from helpers.exact_rays import CAMERAS, PINHOLE, check, look, make, part, random_part, random_pose, truth
from scipy.spatial.transform import Rotation

from lsm_ros.geometry.camera import T_BODY_OPTICAL, CameraIntrinsics
from lsm_sim import caster as caster_module
from lsm_sim.caster import NEAR, Hits, RayCaster
from lsm_sim.world import Mover, Shape

DEVICES = ["cpu", pytest.param("cuda", marks=[
    pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")])]


@pytest.fixture(params=DEVICES)
def device(request) -> str:
    return request.param


TILTED = Rotation.from_euler("xyz", [0.5, -0.8, 1.1]).as_matrix()
SOLIDS = {
    "sphere": [part("ELLIPSOID", (0, 0, 0), (0.5, 0.5, 0.5))],
    "ellipsoid": [part("ELLIPSOID", (0, 0, 0), (0.7, 0.2, 0.4), TILTED)],
    "box": [part("BOX", (0, 0, 0), (0.5, 0.3, 0.4))],
    "tilted box": [part("BOX", (0, 0, 0), (0.6, 0.4, 0.01), TILTED)],
    "cylinder": [part("CYLINDER", (0, 0, 0), (0.4, 0.4, 0.6))],
    "elliptic cylinder": [part("CYLINDER", (0, 0, 0), (0.5, 0.2, 0.6), TILTED)],
    "frustum": [part("CYLINDER", (0, 0, 0), (0.5, 0.4, 0.5), TILTED, 0.4)],
    "widening": [part("CYLINDER", (0, 0, 0), (0.2, 0.3, 0.4), TILTED, 2.5)],
    "cone": [part("CYLINDER", (0, 0, 0), (0.5, 0.5, 0.6), TILTED, 0.0)],
    "plane": [part("BOX", (0, 0, -1.3), (30, 30, 0.05))],
    "tilted plane": [part("BOX", (0, 0, -0.5), (30, 30, 0.05), Rotation.from_euler("x", 0.3).as_matrix())],
}


class TestAnalytic:
    @pytest.mark.parametrize("camera", CAMERAS)
    @pytest.mark.parametrize("name", SOLIDS)
    def test_depth_is_exact(self, name, camera, device):
        world = make(SOLIDS[name])
        at = [(1.5, 0.3, 0.2), (-0.8, 1.4, 0.7), (0.3, -1.1, 1.3), (0.2, 0.1, 1.9), (-1.2, -1.1, 0.1)]
        T = np.array([look(p, (0.05, 0, 0), roll) for p, roll in zip(at, (0, 0.4, -0.9, 2.0, 3.0), strict=True)])
        hits = RayCaster([world], device).cast([0] * len(T), T, CAMERAS[camera])
        for c in range(len(T)):
            check(hits, c, *truth(world, T[c], CAMERAS[camera]), least=0.002)

    def test_ball_straight_ahead(self, device):
        # Known by hand: the centre's ray meets the ball at its distance less the radius.
        camera = CameraIntrinsics(33, 33, 40.0, 40.0, 16.0, 16.0)
        world = make([part("ELLIPSOID", (25, 0, 1), (0.5, 0.5, 0.5)), part("BOX", (28.1, 0, 1), (0.1, 20, 20))])
        hits = RayCaster([world], device).cast([0], look((22.0, 0, 1), (25, 0, 1))[None], camera)
        assert hits.depth[0, 16, 16].item() == pytest.approx(2.5, abs=1e-6)
        assert hits.depth[0, 0].sub(6.0).abs().max() < 1e-6 and hits.part[0, 16, 16] == 0 and (hits.part[0, 0] == 1).all()

    @pytest.mark.parametrize("distance, height, pitch", [(10.0, 1.1, 0.0), (55.0, 1.1, 0.0), (55.0, 0.25, 0.8)])
    def test_far_away_and_grazing(self, distance, height, pitch, device):
        # A floor that is met at one degree and less, and small things at the far end of a hall of 60 m. With a pitch it
        # is seen at the upper border of a wide image, where single precision is off by half a millimetre.
        rng = np.random.default_rng(5)
        small = [random_part(rng, (distance - 2, -3, 0.1), (distance + 2, 3, 1.5), 0.4) for _ in range(40)]
        world = make([part("BOX", (30, 0, -0.05), (31, 20, 0.05)), *small])
        focal = 11.0 * distance * np.cos(pitch)
        camera = CameraIntrinsics(96, 64, focal, focal, 47.5, 31.5 + focal * np.tan(pitch))
        T = look((0.013, 0.2, height), (distance, 0, 0.6 * height), 0.1)
        T[:3, :3] = T[:3, :3] @ Rotation.from_euler("x", -pitch).as_matrix()
        hits = RayCaster([world], device).cast([0], T[None], camera)
        depth, index = truth(world, T, camera)
        check(hits, 0, depth, index)
        assert (index == 0).mean() > 0.1 and (index > 0).mean() > 0.05
        assert depth[index == 0].max() > distance * np.cos(pitch)

    def test_face_is_the_one_that_is_seen(self, device):
        camera = CameraIntrinsics(9, 9, 40.0, 40.0, 4.0, 4.0)
        world = make([part("BOX", (0, 0, 0), (0.5, 0.4, 0.3), TILTED),
                      part("CYLINDER", (8, 0, 0), (0.3, 0.3, 0.3), TILTED, 0.8), part("ELLIPSOID", (0, 8, 0), (0.3, 0.3, 0.2))])
        axes = [(sign * TILTED[:, i], 0, 2 * i + (sign > 0)) for i in range(3) for sign in (-1, 1)]
        axes += [(-TILTED[:, 2], 1, 1), (TILTED[:, 2], 1, 2), (TILTED[:, 0], 1, 0), (np.array([1.0, 0, 0]), 2, 0)]
        T = np.array([look(world.center[i] + 2 * axis, world.center[i]) for axis, i, _ in axes])
        hits = RayCaster([world], device).cast([0] * len(T), T, camera)
        assert hits.part[:, 4, 4].tolist() == [i for _, i, _ in axes]
        assert hits.face[:, 4, 4].tolist() == [face for *_, face in axes]

    def test_face_agrees_with_where_the_point_lies(self, device):
        rng = np.random.default_rng(11)
        world = make([random_part(rng, -2, 2, 0.8) for _ in range(80)])
        T = look((6.0, 0.5, 1), (0, 0, 0))
        hits = RayCaster([world], device).cast([0], T[None], PINHOLE)
        seen = hits.part[0].cpu().numpy()
        points = (PINHOLE.rays(unit=False) * hits.depth[0].cpu().double().numpy()[..., None])[seen >= 0]
        points = points @ T[:3, :3].T + T[:3, 3]
        rows, face = seen[seen >= 0], hits.face[0].cpu().numpy()[seen >= 0]
        local = np.einsum("nij,ni->nj", world.R[rows], points - world.center[rows]) / world.half[rows]
        shape = world.shape[rows]
        box = shape == Shape.BOX
        value = np.take_along_axis(local, (face // 2)[:, None].astype(int), 1)[:, 0]
        assert np.abs(value - np.where(face % 2, 1, -1))[box].max() < 1e-3
        ends = (shape == Shape.CYLINDER) & (face > 0)
        assert np.abs(local[:, 2] - np.where(face == 2, 1, -1))[ends].max() < 1e-3
        sides = (shape == Shape.CYLINDER) & (face == 0)
        radius = 1 + (world.taper[rows] - 1) * (local[:, 2] + 1) / 2
        assert np.abs(np.hypot(local[:, 0], local[:, 1]) - radius)[sides].max() < 1e-3
        assert box.sum() > 50 and ends.sum() > 10 and sides.sum() > 50


class TestClutter:
    @pytest.mark.parametrize("camera", CAMERAS)
    @pytest.mark.parametrize("seed", range(3))
    def test_no_part_is_lost(self, seed, camera, device):
        # Cameras among parts: some behind, some across the near plane, some nearer than a centimetre or around it.
        rng = np.random.default_rng(seed)
        parts = [random_part(rng, -2, 2, 0.5) for _ in range(150)] + [random_part(rng, -20, 20, 8) for _ in range(10)]
        world = make(parts)
        T = [random_pose(rng, -2.5, 2.5) for _ in range(3)]
        for i in range(3):
            close = random_pose(rng, 0, 0)
            close[:3, 3] = world.center[i] + world.R[i] @ (world.half[i] * rng.choice([-1, 1], 3) * 1.02)
            T.append(close)
        caster, camera = RayCaster([world], device), CAMERAS[camera]
        hits = caster.cast([0] * len(T), np.array(T), camera)
        hits = Hits(*(v[:, ::2, ::2] for v in (hits.depth, hits.part, hits.face)))
        rays = camera.rays(unit=False)[::2, ::2]
        valid = np.isfinite(rays).all(-1)
        for c in range(len(T)):
            d = torch.tensor(np.nan_to_num(rays.reshape(-1, 3)) @ T[c][:3, :3].T)
            t, index = caster.cast_rays([0] * len(d), torch.tensor(T[c][:3, 3]).expand(len(d), 3), d)
            index = np.where(valid, index.cpu().numpy().reshape(valid.shape), -1)
            check(hits, c, t.cpu().numpy().reshape(valid.shape), index, least=0.0)
        assert len(torch.unique(hits.part)) > 15

    def test_brute_force_agrees_with_truth(self, device):
        rng = np.random.default_rng(9)
        world = make([random_part(rng, -2, 2, 0.5) for _ in range(60)])
        T = random_pose(rng, -2, 2)
        d = torch.tensor(PINHOLE.rays(unit=False).reshape(-1, 3) @ T[:3, :3].T)
        t, index = RayCaster([world], device).cast_rays([0] * len(d), torch.tensor(T[:3, 3]).expand(len(d), 3), d)
        depth, expected = truth(world, T, PINHOLE)
        assert np.array_equal(index.cpu().numpy().reshape(expected.shape), expected)
        assert np.allclose(t.cpu().numpy().reshape(depth.shape), depth, atol=1e-7, rtol=0)

    def test_walls_hide_all_that_is_behind(self, device):
        # Whole tiles and blocks are filled by the wall; a part may stand before it or just reach through it.
        rng = np.random.default_rng(3)
        behind = [random_part(rng, (3.2, -4, -4), (9, 4, 4), 0.4) for _ in range(200)]
        before = [random_part(rng, (1.5, -1, -1), (2.2, 1, 1), 0.1) for _ in range(5)]
        through = part("CYLINDER", (2.5, 0.4, 0.2), (0.1, 0.1, 0.2))
        world = make([*behind, part("BOX", (2.5, 0, 0), (0.05, 9, 9)), *before, through])
        T = look((0, 0, 0), (1, 0.1, 0.05), 0.3)
        hits = RayCaster([world], device).cast([0], T[None], PINHOLE)
        depth, index = truth(world, T, PINHOLE)
        check(hits, 0, depth, index)
        assert {200, 206} <= set(np.unique(index)) and index.min() >= 200 and len(np.unique(index)) > 3

    def test_size_of_chunks_changes_nothing(self, device, monkeypatch):
        rng = np.random.default_rng(4)
        world = make([random_part(rng, -2, 2, 0.5) for _ in range(50)])
        T = np.array([random_pose(rng, -2, 2) for _ in range(4)])
        caster = RayCaster([world], device)
        whole = caster.cast([0] * 4, T, PINHOLE)
        for name, size in (("_CHUNK_TILES", 7), ("_CHUNK_BLOCKS", 1), ("_CHUNK_PAIRS", 99)):
            monkeypatch.setattr(caster_module, name, {"cpu": size, "cuda": size})
        small = caster.cast([0] * 4, T, PINHOLE)
        assert torch.equal(whole.part, small.part) and torch.equal(whole.face, small.face)
        assert torch.allclose(whole.depth, small.depth, atol=1e-6, rtol=0)


class TestBatch:
    def test_worlds_and_cameras_equal_one_by_one(self, device):
        rng = np.random.default_rng(6)
        worlds = [make([random_part(rng, -2, 2, 0.6) for _ in range(n)]) for n in (5, 40, 17)]
        which, T = [2, 0, 1, 1, 2, 0], np.array([random_pose(rng, -3, 3) for _ in range(6)])
        caster = RayCaster(worlds, device)
        hits = caster.cast(torch.tensor(which), torch.tensor(T), PINHOLE)
        assert (hits.depth.dtype, hits.part.dtype, hits.face.dtype) == (torch.float32, torch.int32, torch.uint8)
        assert hits.depth.shape == hits.part.shape == hits.face.shape == (6, *PINHOLE.shape)
        for c, w in enumerate(which):
            one = RayCaster([worlds[w]], device).cast([0], T[c:c + 1], PINHOLE)
            first = int(caster.packed.offsets[w])
            assert torch.equal(hits.part[c], torch.where(one.part[0] >= 0, one.part[0] + first, -1))
            assert torch.allclose(hits.depth[c], one.depth[0], atol=1e-6, rtol=0) and torch.equal(hits.face[c], one.face[0])

    def test_packed_rows_are_those_of_the_worlds(self, device):
        rng = np.random.default_rng(7)
        worlds = [make([random_part(rng, -2, 2, 0.6) for _ in range(n)]) for n in (3, 8)]
        packed = RayCaster(worlds, device).packed
        assert packed.offsets.tolist() == [0, 3, 11] and packed.world.tolist() == [0] * 3 + [1] * 8 and len(packed) == 11
        for name in ("center", "R", "half", "label", "instance", "shape"):
            expected = np.concatenate([getattr(w, name) for w in worlds])
            assert np.allclose(getattr(packed, name).cpu().numpy(), expected), name
        seen = [packed.materials[i] for i in packed.material[:, 0].tolist()]
        assert seen == [w.materials[m] for w in worlds for m in w.material[:, 0]]

    def test_same_again(self, device):
        rng = np.random.default_rng(8)
        caster = RayCaster([make([random_part(rng, -2, 2, 0.6) for _ in range(60)])], device)
        T = np.array([random_pose(rng, -2, 2) for _ in range(3)])
        a, b = (caster.cast([0] * 3, T, PINHOLE) for _ in range(2))
        assert torch.equal(a.depth, b.depth) and torch.equal(a.part, b.part) and torch.equal(a.face, b.face)


def walker() -> Mover:
    """Along x for 4 s, a turn of 100 degrees on the way back that crosses half a turn."""
    poses = np.tile(np.eye(4), (3, 1, 1))
    for T, x, yaw in zip(poses, (0.0, 2.0, 0.0), (2.6, -2.6, 2.6), strict=True):
        T[:3, :3] = Rotation.from_euler("z", yaw).as_matrix()
        T[0, 3] = x
    return Mover(np.array([0.0, 4.0, 7.0]), poses)


class TestMovers:
    TIMES = (0.0, 1.7, 4.0, 5.5, 6.999, 7.0, 23.3, -1.2)

    def test_parts_are_where_the_mover_is(self, device):
        still = part("BOX", (0, 3, 0), (9, 0.1, 9))
        world = make([still, part("BOX", (0.3, 0.2, 0.1), (0.4, 0.2, 0.5), TILTED)], [walker()], 0)
        other = make([still])
        T = np.tile(look((1.0, -4, 0.3), (1, 0, 0)), (len(self.TIMES), 1, 1))
        hits = RayCaster([other, world], device).cast([1] * len(T), T, PINHOLE, torch.tensor(self.TIMES))
        for c, time_s in enumerate(self.TIMES):
            depth, index = truth(world, T[c], PINHOLE, time_s)
            assert (index == 1).sum() > 20
            check(hits, c, depth, np.where(index >= 0, index + 1, -1))
        assert not torch.equal(hits.depth[0], hits.depth[1]) and torch.equal(hits.part[0], hits.part[5])

    def test_rays_know_the_time_and_none_is_zero(self, device):
        world = make([part("BOX", (0, 3, 0), (9, 0.1, 9)), part("BOX", (0, 0, 0), (0.2, 0.2, 0.2))], [walker()], 0)
        caster = RayCaster([world], device)
        o, d = torch.tensor([[0.0, -4, 0]] * 3), torch.tensor([[0.0, 1, 0]] * 3)
        assert caster.cast_rays([0] * 3, o, d, [0.0, 3.0, 7.0])[1].tolist() == [1, 0, 1]
        assert caster.cast_rays([0] * 3, o, d)[1].tolist() == [1, 1, 1]
        T = look((0, -4, 0), (0, 0, 0))[None]
        none, zero = caster.cast([0], T, PINHOLE), caster.cast([0], T, PINHOLE, [0.0])
        assert torch.equal(none.depth, zero.depth)


class TestEdges:
    def test_pixels_without_a_ray_see_nothing(self, device):
        camera = CameraIntrinsics(120, 90, 30.0, 30.0, 59.5, 44.5, "plumb_bob", (-0.3, 0.0, 0.0, 0.0))
        none = np.isnan(camera.rays(unit=False)).any(-1)
        assert 0.05 < none.mean() < 0.95, "the lens of this test should leave its corners dark"
        world = make([part("BOX", (3, 0, 0), (0.1, 50, 50))])
        hits = RayCaster([world], device).cast([0], (np.eye(4) @ T_BODY_OPTICAL)[None], camera)
        depth, index, face = (v[0].cpu().numpy() for v in (hits.depth, hits.part, hits.face))
        assert np.isinf(depth[none]).all() and (index[none] == -1).all() and (face[none] == 0).all()
        assert np.abs(depth[~none] - 2.9).max() < 1e-5 and (index[~none] == 0).all()

    def test_nothing_in_sight(self, device):
        world = make([part("BOX", (3, 0, 0), (0.1, 1, 1)), part("CYLINDER", (3, 0, 2), (0.1, 1, 1))])
        hits = RayCaster([world], device).cast([0], look((0, 0, 0), (-1, 0, 0))[None], PINHOLE)
        assert torch.isinf(hits.depth).all() and (hits.part == -1).all() and (hits.face == 0).all()

    @pytest.mark.parametrize("shape", ["BOX", "CYLINDER", "ELLIPSOID"])
    def test_near_plane(self, shape, device):
        camera = CameraIntrinsics(5, 5, 100.0, 100.0, 2.0, 2.0)
        world = make([part(shape, (1, 0, 0), (0.1, 0.1, 0.1)), part("BOX", (3, 0, 0), (0.1, 9, 9))])
        for gap, expected in ((NEAR + 1e-4, 0), (NEAR - 1e-4, 1)):
            hits = RayCaster([world], device).cast([0], look((0.9 - gap, 0, 0), (1, 0, 0))[None], camera)
            assert hits.part[0, 2, 2] == expected

    def test_ray_along_the_side_of_a_cone(self, device):
        # Parallel to a side the quadratic loses its square. The ray meets the other side half way up, at x = 0.5.
        caster = RayCaster([make([part("CYLINDER", (0, 0, 0), (1, 1, 1), taper=0.0)])], device)
        start, ahead = np.array([1.5, 0, 2.0]), np.array([-0.5, 0, -1.0])
        t, index = caster.cast_rays([0], start[None], ahead[None])
        assert index.tolist() == [0] and t.item() == pytest.approx(2.0, abs=1e-9)
        camera = CameraIntrinsics(3, 3, 100.0, 100.0, 1.0, 1.0)
        hits = caster.cast([0], look(start, start + ahead)[None], camera)
        assert hits.part[0, 1, 1] == 0 and hits.depth[0, 1, 1].item() == pytest.approx(2 * np.sqrt(1.25), abs=1e-5)

    def test_least_t_of_single_rays(self, device):
        caster = RayCaster([make([part("BOX", (1, 0, 0), (0.1, 1, 1)), part("BOX", (3, 0, 0), (0.1, 1, 1))])], device)
        o, d = torch.tensor([[0.895, 0, 0]]), torch.tensor([[2.0, 0, 0]])
        assert caster.cast_rays([0], o, d)[1].tolist() == [1]
        t, index = caster.cast_rays([0], o, d, near=1e-4)
        assert index.tolist() == [0] and t.item() == pytest.approx(0.0025, abs=1e-6)

    def test_no_worlds_or_no_parts(self):
        with pytest.raises(ValueError, match="at least one world"):
            RayCaster([])

    @pytest.mark.parametrize("world, message", [
        ([1], "world 1 is out of range, there are 1"), ([-1], "world -1 is out of range"), ([0, 0], "one for each"),
        ([0.5], "whole numbers"), ([True], "whole numbers")])
    def test_bad_world(self, world, message):
        caster = RayCaster([make([part("BOX", (3, 0, 0), (1, 1, 1))])])
        with pytest.raises(ValueError, match=message):
            caster.cast(world, np.eye(4)[None], PINHOLE)
        with pytest.raises(ValueError, match=message):
            caster.cast_rays(world, np.zeros((1, 3)), np.ones((1, 3)))

    def test_bad_pose(self):
        caster = RayCaster([make([part("BOX", (3, 0, 0), (1, 1, 1))])])
        good = np.tile(np.eye(4), (2, 1, 1))
        for spot, value in (((1, 0, 3), np.nan), ((1, 0, 0), 1.1), ((1, 2, 2), -1.0), ((1, 3, 0), 0.5)):
            bad = good.copy()
            bad[spot] = value
            with pytest.raises(ValueError, match=r"T_world_cam\[1\] must be a finite rigid transform"):
                caster.cast([0, 0], bad, PINHOLE)
        with pytest.raises(ValueError, match=r"shape \(C, 4, 4\)"):
            caster.cast([0], np.eye(4), PINHOLE)

    def test_bad_times_and_rays(self):
        caster = RayCaster([make([part("BOX", (3, 0, 0), (1, 1, 1))])])
        with pytest.raises(ValueError, match="time_s must be 1 finite"):
            caster.cast([0], np.eye(4)[None], PINHOLE, [np.inf])
        with pytest.raises(ValueError, match="origins must be finite"):
            caster.cast_rays([0], np.full((1, 3), np.nan), np.ones((1, 3)))
        with pytest.raises(ValueError, match="directions must be finite and of shape"):
            caster.cast_rays([0], np.ones((1, 3)), np.ones((1, 2)))
        with pytest.raises(ValueError, match="as many origins as directions"):
            caster.cast_rays([0], np.ones((1, 3)), np.ones((2, 3)))
