# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import cv2
import numpy as np
import pytest
import torch
from helpers.hand_made import furnished, make_world, shell, walker

from lsm_ros.geometry import se3_inverse, transform_points
from lsm_ros.geometry.camera import CameraIntrinsics
from lsm_ros.types import UNLABELLED
from lsm_sim.caster import RayCaster
from lsm_sim.labels import indoor_labels
from lsm_sim.renderer import Renderer
from lsm_sim.sensor import SensorConfig
from lsm_sim.world import Doorway, Lamp, Material, Part, Shape, Thing, WorldBuilder, Zone

CAMERA = CameraIntrinsics.from_fov(112, 80, 1.3)
DEVICES = ["cpu", pytest.param("cuda", marks=[
    pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")])]


def look(eye, at):
    """T_world_cam (4, 4) of a camera at `eye` that looks at a point, upright."""
    eye = np.array(eye, float)
    z = np.array(at, float) - eye
    z /= np.linalg.norm(z)
    x = np.cross(z, (0, 0, 1))
    x /= np.linalg.norm(x)
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = np.stack([x, np.cross(z, x), z], 1), eye
    return T


VIEWS = np.stack([look((4.4, 0.6, 1.5), (2, 2.4, 0.8)), look((0.8, 3.5, 1.3), (3, 1.5, 0.6)),
                  look((4.5, 2, 0.4), (2.5, 2, 0.7))])


def points_seen(T, camera, depth):
    """World points (H, W, 3) of a depth image."""
    return (camera.rays(unit=False) * depth[..., None]) @ T[:3, :3].T + T[:3, 3]


def box(low, high, material, **faces):
    low, high = np.array(low, float), np.array(high, float)
    return Part(Shape.BOX, (low + high) / 2, (high - low) / 2, material, faces=faces)


def room(*things, lamps=(), ambient=0.35, material=None, size=(4, 4, 2.5)):
    """A world of one zone whose shell is of one material."""
    builder = WorldBuilder(0, "room", indoor_labels())
    builder.zones.append(Zone(np.zeros(3), np.array(size, float), "living", ambient))
    white = material or Material("blank", (0.8, 0.8, 0.8))
    for thing in shell((0, 0, 0), size):
        parts = tuple(Part(p.shape, p.center, p.half, white) for p in thing.parts)
        builder.add(Thing(thing.label, parts), np.eye(4))
    for label, part in things:
        builder.add(Thing(label, (part,)), np.eye(4))
    builder.lamps += lamps
    return builder.build()


@pytest.fixture(scope="module", params=DEVICES)
def seen(request):
    world = furnished()
    renderer = Renderer(world, request.param)
    return world, renderer, renderer.render(VIEWS, CAMERA)


def shift_px(a, b):
    """(2,) pixels by which b is shifted against a: least squares over all pixels, linearised, both a little blurred."""
    a, b = (cv2.GaussianBlur(x, (0, 0), 1.2) for x in (a, b))
    mean = 0.5 * (a + b)
    gy, gx = np.gradient(mean)
    A = np.stack([gx[4:-4, 4:-4].ravel(), gy[4:-4, 4:-4].ravel(), np.ones(gx[4:-4, 4:-4].size)], 1)
    return np.linalg.lstsq(A, (a - b)[4:-4, 4:-4].ravel(), rcond=None)[0][:2]


def test_shift_px_finds_a_known_shift():
    image = cv2.GaussianBlur(np.random.default_rng(0).uniform(0, 255, (80, 80)).astype(np.float32), (0, 0), 2.5)
    moved = cv2.warpAffine(image, np.array([[1, 0, 0.25], [0, 1, -0.125]]), (80, 80), flags=cv2.INTER_LINEAR)
    assert np.allclose(shift_px(image[16:64, 16:64], moved[16:64, 16:64]), (0.25, -0.125), atol=0.02)


class TestTruth:
    def test_points_lie_on_the_part_that_is_named(self, seen):
        world, renderer, rendering = seen
        hits = renderer.caster.cast([0] * len(VIEWS), VIEWS, CAMERA)
        for i, T in enumerate(VIEWS):
            depth = rendering.depth[i].cpu().numpy()
            part = hits.part[i].cpu().numpy()
            assert (part >= 0).all() and len(np.unique(part)) > 6
            points = points_seen(T, CAMERA, depth)
            unit = np.einsum("hwji,hwj->hwi", world.R[part], points - world.center[part]) / world.half[part]
            shape = world.shape[part]
            box_off = np.abs(np.abs(unit).max(-1) - 1)
            ball_off = np.abs(np.linalg.norm(unit, axis=-1) - 1)
            tube_off = np.minimum(np.abs(np.hypot(unit[..., 0], unit[..., 1]) - 1), np.abs(np.abs(unit[..., 2]) - 1))
            off = np.choose(shape, [box_off, tube_off, ball_off]) * world.half[part].min(-1)
            assert off.max() < 1e-4
            assert (rendering.labels[i].cpu().numpy() == world.label[part]).all()
            assert (rendering.instances[i].cpu().numpy() == world.instance[part]).all()

    def test_kinds_and_shapes(self, seen):
        _, _, rendering = seen
        assert rendering.image.shape == (3, 80, 112, 3) and rendering.image.dtype == torch.uint8
        arrays = rendering.numpy()
        assert arrays.image.shape == (3, 80, 112, 3) and arrays.labels.dtype == np.uint16
        assert arrays.depth.dtype == np.float32 and arrays.instances.dtype == np.int32

    def test_pixels_without_a_ray_are_black_and_unlabelled(self):
        fisheye = CameraIntrinsics(96, 96, 20.0, 20.0, 47.5, 47.5, "equidistant", (0.0, 0.0, 0.0, 0.0))
        lost = np.isnan(fisheye.rays(unit=False)).any(-1)
        assert 0 < lost.sum() < lost.size
        rendering = Renderer(furnished()).render(VIEWS[0], fisheye).numpy()
        assert (rendering.image[lost] == 0).all() and (rendering.depth[lost] == 0).all()
        assert (rendering.labels[lost] == UNLABELLED).all() and (rendering.instances[lost] == -1).all()
        assert (rendering.image[~lost].max(-1) > 0).mean() > 0.95  # at the rim surfaces are nearer than the near plane

    def test_finer_rays_keep_the_picture(self):
        renderer = Renderer(furnished())
        plain, fine = renderer.render(VIEWS[0], CAMERA).numpy(), renderer.render(VIEWS[0], CAMERA, supersample=3).numpy()
        assert plain.image.shape == fine.image.shape
        difference = np.abs(plain.image.astype(int) - fine.image).max(-1)
        assert np.median(difference) <= 2 and difference.max() > 4
        assert np.array_equal(plain.depth, fine.depth)


class TestSameness:
    def test_batch_equals_single(self, seen):
        world, renderer, rendering = seen
        config = SensorConfig()
        batch = renderer.render(VIEWS, CAMERA, sensor=config, seeds=[5, 6, 7])
        one = Renderer(world, renderer.device).render(VIEWS[1], CAMERA, sensor=config, seeds=6)
        assert torch.equal(batch.image[1], one.image[0])
        assert torch.equal(rendering.depth[1], one.depth[0])
        assert one.numpy().image.shape == (80, 112, 3)

    def test_seeds_change_noise_alone(self, seen):
        _, renderer, _ = seen
        config = SensorConfig(exposure_ev=0.0, white_balance=0.0)
        a, b, c = (renderer.render(VIEWS[0], CAMERA, sensor=config, seeds=s).image.int() for s in (1, 1, 2))
        assert torch.equal(a, b) and not torch.equal(a, c)
        assert (a - c).abs().float().median() < 6

    def test_a_world_looks_the_same_beside_others(self):
        crate = box((1, 1, 0), (1.5, 1.5, 0.5), Material("wood", (0.6, 0.4, 0.2)))
        other = room(("box", crate), lamps=[Lamp(np.array([2, 2, 2.2]))])
        together = Renderer([other, furnished()]).render(VIEWS[:2], CAMERA, world=[1, 1])
        alone = Renderer(furnished()).render(VIEWS[:2], CAMERA)
        assert torch.equal(together.image, alone.image) and torch.equal(together.labels, alone.labels)


class TestLight:
    LAMP = Lamp(np.array([2.0, 2.0, 2.3]), radius=0.05)

    def level(self, renderer, T, x, y, z=0.0):
        """Mean grey level around a world point, and its depth, checked to be what is seen there."""
        camera = CAMERA
        point = np.array([x, y, z])
        uv, good = camera.project(np.linalg.inv(T)[:3] @ np.r_[point, 1])
        u, v = np.rint(uv).astype(int)
        rendering = renderer.render(T, camera).numpy()
        assert good and np.allclose(points_seen(T, camera, rendering.depth)[v, u], point, atol=0.06)
        return rendering.image[v - 1:v + 2, u - 1:u + 2].astype(float).mean((0, 1))

    @pytest.mark.parametrize("device", DEVICES)
    def test_shadow_is_darker(self, device):
        world = room(("table", box((2.4, 1.4, 0.9), (3.4, 2.6, 0.94), Material("blank"))), lamps=[self.LAMP], ambient=0.1)
        renderer = Renderer(world, device)
        # Both points are as far from the lamp; one lies in the shadow of the board, 1.6 times as far from it as the board.
        T = look((3.6, 2.0, 0.45), (3.0, 2.0, 0.0))
        shaded = self.level(renderer, T, 3.25, 2.0)
        T = look((0.4, 2.0, 0.45), (1.0, 2.0, 0.0))
        lit = self.level(renderer, T, 0.75, 2.0)
        assert (shaded < 0.6 * lit).all()

    def test_ambient_alone_does(self):
        image = Renderer(room(lamps=())).render(look((1, 1, 1.3), (3, 3, 1)), CAMERA).numpy().image
        assert 90 < image.mean() < 235 and image.min() > 20

    def test_no_light_through_walls(self):
        builder = WorldBuilder(0, "rooms", indoor_labels())
        white = Material("blank", (0.8, 0.8, 0.8))
        for x in (0.0, 3.2):
            low, high = (x, 0, 0), (x + 3.0, 3, 2.5)
            builder.zones.append(Zone(np.array(low), np.array(high), "living", 0.0))
            for thing in shell(low, high):
                builder.add(Thing(thing.label, tuple(Part(p.shape, p.center, p.half, white) for p in thing.parts)), np.eye(4))
        builder.lamps.append(Lamp(np.array([2.6, 1.5, 1.5])))
        builder.doorways.append(Doorway((0, 1), np.array([3.1, 1.5, 0]), 0.9, 2.0, 0))  # which stays walled up
        image = Renderer(builder.build()).render(
            np.stack([look((0.5, 0.5, 1.3), (2.5, 2, 0.6)), look((3.8, 0.5, 1.3), (5.5, 2, 0.6))]), CAMERA).numpy().image
        assert image[0].mean() > 80 and image[1].max() <= 2

    def test_lamps_give_their_color(self):
        red = Renderer(room(lamps=[Lamp(np.array([2, 2, 2.2]), (1.0, 0.3, 0.3))], ambient=0.0))
        image = red.render(look((1, 1, 1.3), (3, 3, 0.5)), CAMERA).numpy().image.reshape(-1, 3).astype(float)
        assert image[:, 0].mean() > 1.5 * image[:, 1].mean()

    def test_glow_shines_without_light(self):
        screen = Material("blank", (1, 1, 1), glow=0.9)
        world = room(("television", box((3.8, 1.5, 1), (3.9, 2.5, 1.6), screen)), ambient=0.02)
        renderer = Renderer(world)
        assert (self.level(renderer, look((2, 2, 1.3), (3.8, 2, 1.3)), 3.8, 2.0, 1.3) > 150).all()

    def test_gloss_shows_the_wall_across(self):
        def views(gloss):
            red, mirror = Material("blank", (0.8, 0.05, 0.05)), Material("blank", (0.5, 0.5, 0.5), gloss=gloss)
            world = room(("mirror", box((3.95, 0.5, 0.5), (4, 3.5, 2.0), mirror)),
                         ("curtain", box((0, 0, 0), (0.05, 4, 2.5), red)), lamps=[self.LAMP])
            return self.level(Renderer(world), look((2.5, 2, 1.3), (4, 2, 1.3)), 3.95, 2.0, 1.3)
        dull, shiny = views(0.0), views(1.0)
        assert shiny[0] > 1.6 * shiny[1] and dull[0] < 1.25 * dull[1]


class TestViews:
    """Views of the same place by two cameras."""

    A, B = look((2.0, 1.2, 1.3), (4.0, 2.0, 1.2)), look((2.3, 2.9, 1.1), (4.0, 2.1, 1.3))
    CAMERA = CameraIntrinsics.from_fov(320, 240, 1.2)

    def pair(self, family, scale=1.0):
        poster = Material(family, scale=scale)
        world = room(("picture", box((3.96, 0.8, 0.4), (4, 3.2, 2.2), poster)), lamps=[Lamp(np.array([1.5, 2, 2.2]))])
        rendering = Renderer(world).render(np.stack([self.A, self.B]), self.CAMERA, supersample=3)
        images, depth = rendering.image.numpy().astype(np.float32), rendering.depth.numpy()
        points = points_seen(self.A, self.CAMERA, depth[0])
        uv, good = self.CAMERA.project((points - self.B[:3, 3]) @ self.B[:3, :3])
        uv = uv.astype(np.float32)
        warped = cv2.remap(images[1], uv[..., 0], uv[..., 1], cv2.INTER_LINEAR)
        known = cv2.remap(depth[1], uv[..., 0], uv[..., 1], cv2.INTER_LINEAR)
        expected = ((points - self.B[:3, 3]) @ self.B[:3, :3])[..., 2]
        same = good & (np.abs(known - expected) < 3e-3) & (rendering.labels[0].numpy() == 26)
        return images[0], warped, same, points, world

    def test_depth_agrees(self):
        *_, same, points, world = self.pair("blank")
        chosen = points[same][::97]
        assert len(chosen) > 400
        eye = np.tile(self.B[:3, 3], (len(chosen), 1))
        t, part = RayCaster([world]).cast_rays([0] * len(chosen), eye, chosen - eye)
        assert np.abs(t.numpy() - 1).max() < 1e-4 and len(torch.unique(part)) == 1

    def test_matt_colors_agree(self):
        first, second, same, *_ = self.pair("blank")
        inner = cv2.erode(same.astype(np.uint8), np.ones((7, 7))) > 0
        assert inner.sum() > 15000
        assert np.abs(first - second)[inner].max() <= 2.5
        assert first[inner].std() > 1  # light falls off over the board

    @pytest.mark.parametrize("family", ["poster", "checker", "brick"])
    def test_texture_stays_in_place(self, family):
        first, second, same, *_ = self.pair(family)
        shifts = []
        for y in range(10, 180, 28):
            for x in range(10, 260, 28):
                window = np.s_[y:y + 48, x:x + 48]
                if same[window].all() and first[window].std() > 8:
                    shifts.append(shift_px(first[window].mean(-1), second[window].mean(-1)))
        assert len(shifts) >= 8
        assert np.linalg.norm(shifts, axis=1).max() < 0.1 and np.abs(np.mean(shifts, 0)).max() < 0.03


class TestMovers:
    def test_what_moves_keeps_its_pattern(self):
        mover = walker([(0.0, 0.0), (1.0, 0.0)])
        mover.poses[1, :2, :2] = [[0, -1], [1, 0]]
        part = box((1.5, 1.5, 0), (2, 2, 1), Material("checker", scale=0.4))
        ball = Part(Shape.ELLIPSOID, np.array([1.75, 1.75, 1.3]), np.full(3, 0.3), Material("checker", scale=0.4))
        world = make_world(("person", (part, ball), 0), movers=[mover], zones=(((0, 0, 0), (6, 4, 2.5)),))
        T0 = look((1.7, 0.3, 1.4), (1.7, 1.7, 0.8))
        T1 = mover.pose(2.0) @ T0
        assert not np.allclose(T1[:3, :3], T0[:3, :3]) and not np.allclose(T1[:3, 3], T0[:3, 3])
        out = Renderer(world).render(np.stack([T0, T1, T0]), CAMERA, time_s=[0.0, 2.0, 2.0]).numpy()
        person = out.labels == 46
        assert person[0].sum() > 800 and np.array_equal(person[0], person[1]) and not np.array_equal(person[0], person[2])
        difference = np.abs(out.image[0].astype(int) - out.image[1])[person[0]]
        assert np.percentile(difference, 99) <= 2 and out.image[0][person[0]].std() > 5


class TestErrors:
    def test_wrong_counts(self, seen):
        _, renderer, _ = seen
        with pytest.raises(ValueError, match="world must be one value or 3"):
            renderer.render(VIEWS, CAMERA, world=[0, 0])
        with pytest.raises(ValueError, match="out of range"):
            renderer.render(VIEWS, CAMERA, world=1)
        with pytest.raises(ValueError, match="whole numbers"):
            renderer.render(VIEWS, CAMERA, seeds=0.5)
        with pytest.raises(ValueError, match="supersample"):
            renderer.render(VIEWS, CAMERA, supersample=0)
        with pytest.raises(ValueError, match="rigid"):
            renderer.render(2 * np.eye(4), CAMERA)

    def test_no_worlds(self):
        with pytest.raises(ValueError, match="world"):
            Renderer([])

    def test_unknown_family(self):
        with pytest.raises(ValueError, match="velvet"):
            Renderer(room(material=Material("velvet")))


@pytest.mark.parametrize("device", DEVICES)
def test_two_views_show_a_point_at_the_same_place(device):
    """A point of view 1, looked for on the surface that view 2 shows there, falls back on its own pixel within 0.1."""
    out = Renderer(furnished(), device).render(VIEWS[:2], CAMERA).numpy()
    (depth_1, depth_2), (things_1, things_2) = out.depth, out.instances
    in_2 = transform_points(se3_inverse(VIEWS[1]), points_seen(VIEWS[0], CAMERA, depth_1).reshape(-1, 3))
    pixels, ok = CAMERA.project(in_2)
    rows = np.flatnonzero(ok & (depth_1.ravel() > 0) & CAMERA.contains(pixels, 1))
    x, y = np.floor(pixels[rows]).astype(int).T
    right, down = (pixels[rows] - np.stack([x, y], 1)).T
    corners = [(a, b) for a in (0, 1) for b in (0, 1)]
    inverse = np.stack([1 / depth_2[y + a, x + b] for a, b in corners], 1)  # on a plane it is linear in the pixel
    one_thing = (np.stack([things_2[y + a, x + b] for a, b in corners], 1) == things_1.ravel()[rows, None]).all(1)
    plane = np.abs(inverse[:, 0] + inverse[:, 3] - inverse[:, 1] - inverse[:, 2]) < 1e-4 * inverse[:, 0]
    weights = np.stack([(1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right], 1)
    depth = 1 / (inverse * weights).sum(1)
    seen = one_thing & plane & (np.abs(depth - in_2[rows, 2]) < 0.05)
    surface = transform_points(VIEWS[1], CAMERA.unproject(pixels[rows]) * depth[:, None])
    back, _ = CAMERA.project(transform_points(se3_inverse(VIEWS[0]), surface))
    own = np.stack([rows % CAMERA.width, rows // CAMERA.width], 1)
    error = np.linalg.norm(back - own, axis=1)[seen]
    assert seen.sum() > 1000 and np.percentile(error, 99) < 0.1
