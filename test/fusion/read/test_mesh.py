# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
from dataclasses import replace

import numpy as np
import pytest
from helpers.fusion_scenes import MIDDLE, ROOM, observe, plane, pose, sphere

from lsm_ros.config import FusionConfig
from lsm_ros.fusion import VoxelMap, read_ply
from lsm_ros.fusion.files.mesh_ply import write_mesh
from lsm_ros.fusion.read.mesh import MeshReader
from lsm_ros.types import UNLABELLED

CONFIG = FusionConfig(voxel_size=0.05, min_weight=0.2)
NAMES = ("vertices", "colors", "labels", "triangles")
VIEWS = [pose(0, 0, 0.7, 0, 0.1), pose(0.3, 0.6, 0.6, -0.3, 0.1), pose(0.2, -0.5, 0.9, 0.3, 0.2)]


def fused(surfaces, views=VIEWS, config=CONFIG):
    m = VoxelMap(config)
    for i, T in enumerate(views):
        m.add(observe(surfaces, T, i, camera=MIDDLE), T)
    return m


def normals(mesh):
    a, b, c = (mesh.vertices[mesh.triangles[:, i]].astype(float) for i in range(3))
    return np.cross(b - a, c - a)


def edges(mesh):
    """Each directed edge as a row, sorted."""
    t = mesh.triangles.astype(np.int64)
    return np.concatenate([t[:, [0, 1]], t[:, [1, 2]], t[:, [2, 0]]])


@pytest.mark.parametrize(("normal", "offset"), [((1, 0, 0), 1.6), ((1, 0, 0), 1.625), ((1, 0.3, 0.2), 1.5)])
def test_plane(normal, offset):
    m = fused([plane(normal, offset)])
    mesh, n = m.mesh(), np.array(normal) / np.linalg.norm(normal)
    distance = mesh.vertices @ n - offset
    assert abs(np.median(distance)) < 0.05 * CONFIG.voxel_size
    assert np.percentile(np.abs(distance), 99) < 0.3 * CONFIG.voxel_size
    across = normals(mesh) @ -n  # twice the area, seen from the camera
    assert -across[across < 0].sum() < 0.01 * across.sum()  # where voxel centres are on the plane it is rough, by nothing
    assert (mesh.colors == (40, 100, 200)).all() and (mesh.labels == 1).mean() > 0.98
    columns = np.unique(np.floor(m.snapshot().points_map[:, 1:] / CONFIG.voxel_size), axis=0)
    area = len(columns) * CONFIG.voxel_size**2 / n[0]
    assert 0.85 * area < across.sum() / 2 < 1.03 * area  # no holes but at the outline, no second layer


def test_mesh_is_a_surface_without_seams():
    """Across blocks the parts are one: an edge inside the mesh has two triangles, in opposite directions."""
    centre = np.array([1.5, 0.1, 0.6])
    mesh = fused([sphere(tuple(centre), 0.3)], config=replace(CONFIG, voxel_size=0.02)).mesh()
    directed = edges(mesh)
    code = directed[:, 0] * len(mesh.vertices) + directed[:, 1]
    back = directed[:, 1] * len(mesh.vertices) + directed[:, 0]
    assert len(np.unique(code)) > 0.995 * len(code)  # twice in the same direction only where two sheets share a cell
    lonely = ~np.isin(code, back)
    direction = (mesh.vertices - centre) / np.linalg.norm(mesh.vertices - centre, axis=1)[:, None]
    facing = direction @ [-1, 0, 0]
    assert lonely.sum() < 0.1 * len(code)
    assert facing[directed[lonely].ravel()].max() < 0.6  # the border is where nobody looked, not in the middle
    assert np.abs(np.linalg.norm(mesh.vertices - centre, axis=1) - 0.3).max() < 0.02
    assert set(np.unique(mesh.triangles).tolist()) == set(range(len(mesh.vertices)))


def test_room_has_its_colours_and_labels():
    mesh = fused(ROOM).mesh()
    p = mesh.vertices
    d = np.abs(np.stack([p[:, 2], 2.6 - p[:, 0], 1.7 - p[:, 1], 1.7 + p[:, 1],
                         np.linalg.norm(p - [1.7, 0.2, 0.5], axis=1) - 0.35]))
    clear = np.sort(d, 0)[1] > 3 * CONFIG.voxel_size
    assert np.percentile(d.min(0), 99) < 0.35 * CONFIG.voxel_size
    assert np.mean(mesh.labels[clear] == d.argmin(0)[clear] + 1) > 0.96
    assert np.mean(mesh.colors[clear, 0] == 50 * d.argmin(0)[clear] + 40) > 0.9
    assert (mesh.colors[:, 1:] == (100, 200)).all()


def test_incremental_is_the_same_as_anew():
    m = VoxelMap(replace(CONFIG, voxel_size=0.1))
    rng = np.random.default_rng(2)
    for step in range(10):
        T = pose(*rng.uniform(-0.3, 0.3, 2), 0.6, rng.uniform(-0.6, 0.6))
        if step in (4, 6):
            m.remove(step - 3)
        elif step == 5:
            m.move(0, T)
        elif step == 7:
            m.config = replace(m.config, min_weight=0.5)
        else:
            m.add(observe(ROOM if step % 2 else [plane((1, 0, 0), 2.6)], T, step), T)
        mesh, anew = m.mesh(), MeshReader(m.layout).read(m.pools, m.seq, m.config.min_weight)
        for name in NAMES:
            assert np.array_equal(getattr(mesh, name), getattr(anew, name)), (step, name)
        assert m.mesh() is mesh


def test_within_a_budget(monkeypatch):
    """What is not done in time is done by the next calls, also when the map changes meanwhile."""
    monkeypatch.setattr("lsm_ros.fusion.read.mesh._CHUNK", 16)
    m = fused(ROOM)
    calls = 0
    while (mesh := m.mesh_within(0.0)) is None:
        calls += 1
        if calls == 1:
            m.add(observe(ROOM, VIEWS[0], 9, camera=MIDDLE), VIEWS[0])
    assert calls > 1 and m.mesh_within(0.0) is mesh
    whole = m.mesh()
    assert len(whole.vertices) < len(mesh.vertices)  # welded
    for name in ("vertices", "colors", "labels"):
        assert np.array_equal(getattr(whole, name)[whole.triangles], getattr(mesh, name)[mesh.triangles]), name


def test_what_moved_away_is_not_in_the_mesh():
    box, wall, T = sphere((1.2, 0, 0.5), 0.3), plane((1, 0, 0), 2.6), pose(0, 0, 0.5)
    m = VoxelMap(replace(CONFIG, min_weight=0.0))
    m.add(observe([wall, box], T, 0), T)
    before = (m.mesh().vertices[:, 0] < 1.5).sum()
    for i in (1, 2):
        m.add(observe([wall], T, i), T)
    assert before > 50 and (m.mesh().vertices[:, 0] < 1.5).sum() < 0.25 * before


def test_files(tmp_path):
    mesh = fused(ROOM).mesh()
    path = tmp_path / "mesh.ply"
    assert write_mesh(path, mesh) == path.stat().st_size
    cloud = read_ply(path)
    assert np.array_equal(cloud.points, mesh.vertices) and np.array_equal(cloud.colors, mesh.colors)
    assert np.array_equal(cloud.labels, mesh.labels)
    o3d = pytest.importorskip("open3d")
    read = o3d.io.read_triangle_mesh(str(path))
    assert np.array_equal(np.asarray(read.triangles), mesh.triangles)
    assert np.allclose(np.asarray(read.vertices), mesh.vertices)
    assert np.allclose(np.asarray(read.vertex_colors) * 255, mesh.colors)
    before = path.read_bytes()
    with pytest.raises(OSError, match="mesh.ply"):
        write_mesh(path / "inside a file.ply", mesh)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["mesh.ply"]


def test_empty_map(tmp_path):
    mesh = VoxelMap(CONFIG).mesh()
    assert mesh.vertices.shape == mesh.colors.shape == mesh.triangles.shape == (0, 3) and mesh.labels.dtype == np.uint16
    write_mesh(tmp_path / "mesh.ply", mesh)
    assert len(read_ply(tmp_path / "mesh.ply").points) == 0
    m = fused([plane((1, 0, 0), 1.6)], VIEWS[:1])
    assert len(m.mesh().triangles)
    m.remove(0)
    assert not len(m.mesh().triangles)


def test_without_labels():
    m = VoxelMap(CONFIG)
    m.add(observe(ROOM, VIEWS[0], 0, labelled=False), VIEWS[0])
    assert (m.mesh().labels == UNLABELLED).all()
