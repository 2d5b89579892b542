# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""All faces of a room as one array of lit colours, in several sizes, that a renderer samples.

Light does not depend on the view (Lambert), so it is computed once: lamps under the ceiling with soft shadows, and what
comes from everywhere, less where something is near.
"""
from __future__ import annotations

import cv2
import numpy as np

from lsm_ros.sim.room import Box, Room
from lsm_ros.sim.textures import TEXEL

LEVELS = 4
_LIGHT_GRID = 0.1  # metres between samples of light
_DIRECTIONS = ("-x", "+x", "-y", "+y")


class Surfaces:
    """Colours of faces. Face index: 6 * body + 2 * axis + end; body 0 is the shell, then the boxes.

    lows, highs: (bodies, 3) float64 corners; labels: (faces,) uint16.
    """

    def __init__(self, room: Room) -> None:
        self.lows = np.array([room.low, *(b.low for b in room.boxes)])
        self.highs = np.array([room.high, *(b.high for b in room.boxes)])
        self.labels = np.array([room.face_label(None, a, e) for a in range(3) for e in (0, 1)]
                               + [room.label_id(b.label) for b in room.boxes for _ in range(6)], np.uint16)
        rng = np.random.default_rng([room.seed, 2])
        faces = len(self.labels)
        self._sizes = np.zeros((LEVELS, faces, 2), np.int32)
        self._offsets = np.zeros((LEVELS, faces), np.int64)
        self._origins = np.zeros((faces, 2), np.float32)  # u at column 0, v at row 0
        self._scales = np.zeros((faces, 2), np.float32)
        light = self._light()
        blocks: list[np.ndarray] = []
        total = 0
        for face in range(faces):
            body, axis, end = face // 6, face % 6 // 2, face % 2
            box = room.boxes[body - 1] if body else None
            texture = self._texture(room, box, rng, face, axis, end)
            texture *= cv2.resize(light[face], texture.shape[1::-1], interpolation=cv2.INTER_LINEAR)[..., None]
            u, v = (1, 2) if axis == 0 else (0, 2) if axis == 1 else (0, 1)
            extent = self.highs[body] - self.lows[body]
            self._origins[face] = self.lows[body, u], self.highs[body, v]
            self._scales[face] = 1 / extent[u], 1 / extent[v]
            for level in range(LEVELS):
                if level:
                    size = (max(1, texture.shape[1] // 2), max(1, texture.shape[0] // 2))
                    texture = cv2.resize(texture, size, interpolation=cv2.INTER_AREA)
                self._sizes[level, face] = texture.shape[:2]
                self._offsets[level, face] = total
                blocks.append(texture.reshape(-1, 3).astype(np.float32))
                total += len(blocks[-1])
        self._texels = np.concatenate(blocks)

    def colors(self, face: np.ndarray, points: np.ndarray, footprint: np.ndarray) -> np.ndarray:
        """Lit colours (N, 3) float32 of points (N, 3) on faces (N,); footprint (N,): metres that a pixel sees."""
        axis = face % 6 // 2
        u = np.where(axis == 0, points[:, 1], points[:, 0])
        v = np.where(axis == 2, points[:, 1], points[:, 2])
        level = np.clip(np.log2(np.maximum(footprint, TEXEL) / TEXEL) + 0.3, 0, LEVELS - 1).astype(np.int64)
        rows, columns = self._sizes[level, face].T
        x = (u - self._origins[face, 0]) * self._scales[face, 0] * columns - 0.5
        y = (self._origins[face, 1] - v) * self._scales[face, 1] * rows - 0.5
        x, y = np.clip(x, 0, columns - 1), np.clip(y, 0, rows - 1)
        x0, y0 = x.astype(np.int64), y.astype(np.int64)
        x1, y1 = np.minimum(x0 + 1, columns - 1), np.minimum(y0 + 1, rows - 1)
        fx, fy = (x - x0).astype(np.float32)[:, None], (y - y0).astype(np.float32)[:, None]
        base = self._offsets[level, face]
        top, bottom = base + y0 * columns, base + y1 * columns
        upper = self._texels[top + x0] * (1 - fx) + self._texels[top + x1] * fx
        lower = self._texels[bottom + x0] * (1 - fx) + self._texels[bottom + x1] * fx
        return upper * (1 - fy) + lower * fy

    def _texture(self, room: Room, box: Box | None, rng: np.random.Generator, face: int, axis: int,
                 end: int) -> np.ndarray:
        body = face // 6
        width, height = np.delete(self.highs[body] - self.lows[body], axis)
        if box is None:
            name = ("floor", "ceiling")[end] if axis == 2 else _DIRECTIONS[2 * axis + end]
            return room.shell[name](rng, width, height)
        if axis == 2:
            return (box.top or box.side)(rng, width, height)
        front = box.front if box.facing == _DIRECTIONS[2 * axis + end] else None
        return (front or box.side)(rng, width, height)

    def _light(self) -> list[np.ndarray]:
        """Brightness of the texels of each face, (rows, columns) float32; in one pass, as boxes shade each other."""
        grids, points, normals = [], [], []
        for face in range(len(self.labels)):
            body, axis, end = face // 6, face % 6 // 2, face % 2
            low, high = self.lows[body], self.highs[body]
            u, v = (a for a in range(3) if a != axis)
            nu, nv = (max(2, int((high[a] - low[a]) / _LIGHT_GRID) + 1) for a in (u, v))
            gu, gv = np.meshgrid((np.arange(nu) + 0.5) / nu, 1 - (np.arange(nv) + 0.5) / nv)
            sign = (1 if end else -1) * (1 if body else -1)  # the shell is seen from inside
            where = np.zeros((nu * nv, 3), np.float32)
            where[:, axis] = (high if end else low)[axis] + 0.012 * sign
            where[:, u] = low[u] + gu.ravel() * (high[u] - low[u])
            where[:, v] = low[v] + gv.ravel() * (high[v] - low[v])
            grids.append((nv, nu))
            points.append(where)
            normals.append(np.repeat(sign * np.eye(3, dtype=np.float32)[axis:axis + 1], nu * nv, 0))
        start, normal = np.vstack(points), np.vstack(normals)
        light = self._ambient(start, normal) + self._lamps(start, normal)
        ends = np.cumsum([len(p) for p in points])
        parts = np.split(light.astype(np.float32), ends[:-1])
        return [part.reshape(grid) for part, grid in zip(parts, grids, strict=True)]

    def _ambient(self, points: np.ndarray, normals: np.ndarray) -> np.ndarray:
        """Light from everywhere, in part taken away by what is within half a metre."""
        free, count = np.zeros(len(points)), np.zeros(len(points))
        for corner in np.ndindex(2, 2, 2):
            direction = (2 * np.array(corner, np.float32) - 1) / np.float32(np.sqrt(3))
            facing = normals @ direction > 0
            stop = points[facing] + 0.5 * (direction + 0.4 * normals[facing])
            free[facing] += ~self._blocked(points[facing], stop)
            count += facing
        return 0.3 + 0.25 * free / count

    def _lamps(self, points: np.ndarray, normals: np.ndarray) -> np.ndarray:
        """Light of two square lamps under the ceiling; four points of each make shadows soft."""
        total = np.zeros(len(points))
        lamps = [(x + dx, y + dy, 2.45) for x, y in ((-1.2, -0.3), (1.2, 0.4)) for dx, dy in
                 ((-0.15, -0.15), (0.15, -0.15), (-0.15, 0.15), (0.15, 0.15))]
        for lamp in np.array(lamps, np.float32):
            way = lamp - points
            distance = np.linalg.norm(way, axis=1)
            facing = np.clip((way * normals).sum(1) / np.maximum(distance, 1e-6), 0, 1)
            lit = facing > 0
            lit[lit] = ~self._blocked(points[lit], lamp)
            total += np.where(lit, facing / (0.6 + 0.35 * distance**2), 0.0)
        return 0.75 * total / (len(lamps) / 2)

    def _blocked(self, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
        """Whether a box lies between points (N, 3)."""
        way = stop - start
        inverse = (1 / np.where(np.abs(way) < 1e-9, np.float32(1e-9), way)).T.copy()
        offset = start.T * inverse
        blocked = np.zeros(len(start), bool)
        for low, high in zip(self.lows[1:].astype(np.float32), self.highs[1:].astype(np.float32), strict=True):
            a, b = low[:, None] * inverse - offset, high[:, None] * inverse - offset
            near, far = np.minimum(a, b).max(0), np.maximum(a, b).min(0)
            blocked |= (near < far) & (far > 0) & (near < 1)
        return blocked
