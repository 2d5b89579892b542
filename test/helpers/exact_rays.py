# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Rays computed one part at a time in float64 NumPy, which the ray-caster is compared with; worlds and poses for that."""
import numpy as np
from scipy.spatial.transform import Rotation

from lsm_ros.geometry.camera import CameraIntrinsics
from lsm_sim.caster import NEAR
from lsm_sim.labels import indoor_labels
from lsm_sim.world import Material, Part, Shape, Thing, World, WorldBuilder, Zone

PINHOLE = CameraIntrinsics(75, 53, 60.0, 61.0, 36.2, 27.1)  # no multiples of the tiles' size
CAMERAS = {
    "pinhole": PINHOLE,
    "plumb_bob": CameraIntrinsics(75, 53, 60.0, 61.0, 36.2, 27.1, "plumb_bob", (-0.25, 0.08, 0.001, -0.002, 0.0)),
    "rational": CameraIntrinsics(75, 53, 60.0, 61.0, 36.2, 27.1, "rational_polynomial",
                                 (0.4, 0.1, 0.0005, -0.0003, 0.01, 0.7, 0.2, 0.02)),
    "equidistant": CameraIntrinsics(75, 53, 33.0, 33.0, 36.2, 27.1, "equidistant", (0.02, -0.005, 0.001, 0.0)),
}


def make(parts, movers=(), mover=-1) -> World:
    """A world of parts, the first of which do not move."""
    builder = WorldBuilder(0, "room", indoor_labels())
    builder.zones.append(Zone(np.full(3, -30.0), np.full(3, 30.0), "living"))
    builder.movers.extend(movers)
    for i, part in enumerate(parts):
        builder.add(Thing("box", (part,)), np.eye(4), mover if i == len(parts) - 1 else -1)
    return builder.build()


def part(shape, center, half, R=None, taper=1.0) -> Part:
    return Part(Shape[shape], np.array(center, float), np.array(half, float), Material(),
                np.eye(3) if R is None else R, taper)


def look(position, target, roll=0.0) -> np.ndarray:
    """T_world_cam (4, 4) at a position that looks at a target."""
    z = np.subtract(target, position).astype(float)
    z /= np.linalg.norm(z)
    x = np.cross(z, [0, 0, 1.0] if abs(z[2]) < 0.99 else [0, 1.0, 0])
    x /= np.linalg.norm(x)
    T = np.eye(4)
    T[:3, :3] = np.stack([x, np.cross(z, x), z], 1) @ Rotation.from_euler("z", roll).as_matrix()
    T[:3, 3] = position
    return T


def random_part(rng, low, high, size) -> Part:
    shape = rng.choice(["BOX", "CYLINDER", "ELLIPSOID"])
    R = Rotation.random(random_state=int(rng.integers(1 << 30))).as_matrix()
    taper = rng.choice([0.0, 0.4, 1.0, 1.0, 2.5]) if shape == "CYLINDER" else 1.0
    return part(shape, rng.uniform(low, high, 3), size * rng.uniform(0.05, 1.0, 3) ** 2 + 0.002, R, taper)


def random_pose(rng, low, high) -> np.ndarray:
    T = np.eye(4)
    T[:3, :3] = Rotation.random(random_state=int(rng.integers(1 << 30))).as_matrix()
    T[:3, 3] = rng.uniform(low, high, 3)
    return T


def truth_of_part(shape, o, d, taper) -> np.ndarray:
    """Least t (N,) of entry into a unit solid, by trying all of its surfaces: o (3,), d (N, 3), NumPy float64."""
    found = []
    with np.errstate(all="ignore"):
        if shape == Shape.BOX:
            for axis in range(3):
                for sign in (-1, 1):
                    t = (sign - o[axis]) / d[:, axis]
                    rest = np.delete(o + t[:, None] * d, axis, 1)
                    found.append(np.where((np.abs(rest) <= 1).all(1) & (sign * d[:, axis] < 0), t, np.inf))
        else:
            flat = np.diag([1.0, 1, 1 if shape == Shape.ELLIPSOID else 0])
            slope, middle = (0.0, 1.0) if shape == Shape.ELLIPSOID else ((taper - 1) / 2, (taper + 1) / 2)
            a = np.einsum("ni,ij,nj->n", d, flat, d) - (slope * d[:, 2]) ** 2
            radius = middle + slope * o[2]
            b = 2 * (d @ flat @ o - slope * radius * d[:, 2])
            c = o @ flat @ o - radius**2
            for sign in (-1, 1):
                t = (-b + sign * np.sqrt(b * b - 4 * a * c)) / (2 * a)
                p = o + t[:, None] * d
                outward = np.einsum("ni,ij,nj->n", p, flat, d) - slope * (middle + slope * p[:, 2]) * d[:, 2]
                inside = np.abs(p[:, 2]) <= 1 if shape == Shape.CYLINDER else np.isfinite(t)
                found.append(np.where(inside & (outward < 0), t, np.inf))
            for end, rim in ((-1, 1.0), (1, taper)) if shape == Shape.CYLINDER else ():
                t = (end - o[2]) / d[:, 2]
                p = o + t[:, None] * d
                found.append(np.where((np.hypot(p[:, 0], p[:, 1]) <= rim) & (end * d[:, 2] < 0), t, np.inf))
    found = np.array(found)
    return np.where(found >= NEAR, found, np.inf).min(0)


def truth(world, T_world_cam, camera, time_s=0.0):
    """Depth and part (H, W) that a camera sees, in float64."""
    rays = camera.rays(unit=False).reshape(-1, 3)
    d = np.nan_to_num(rays) @ T_world_cam[:3, :3].T
    R, center = world.poses(time_s)
    t = np.array([truth_of_part(Shape(s), (T_world_cam[:3, 3] - c) @ r / h, d @ r / h, float(taper))
                  for s, r, c, h, taper in zip(world.shape, R, center, world.half, world.taper, strict=True)])
    t[:, ~np.isfinite(rays).all(1)] = np.inf
    depth = t.min(0)
    return depth.reshape(camera.shape), np.where(np.isfinite(depth), t.argmin(0), -1).reshape(camera.shape)


def check(hits, c, depth, index, most_off=0.002, least=0.02):
    """The c-th image of hits is the true one: parts but for a few rims, and depth to 1e-4 wherever parts agree."""
    got, same = hits.depth[c].cpu().double().numpy(), hits.part[c].cpu().numpy() == index
    assert (index >= 0).mean() > least, "the camera of this test sees nothing"
    assert (~same).mean() <= most_off
    hit = same & (index >= 0)
    assert np.abs(got[hit] - depth[hit]).max() < 1e-4
    assert np.isinf(got[same & (index < 0)]).all()
