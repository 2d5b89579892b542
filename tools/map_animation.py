# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Animation of a rendered room being mapped: `python tools/map_animation.py docs/images/mapping.gif`.

The left column shows what the camera sees, colour above depth; the right side shows the voxel map as it grows, with the
camera and its path; at the end the map turns to the colours of its labels.
"""
from __future__ import annotations

import argparse
import io
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lsm_ros.config import from_dict
from lsm_ros.evaluation.picture import BACKGROUND, View, label_colors, look_at, render
from lsm_ros.files import replacing_file
from lsm_ros.mapping.pipeline import MappingPipeline
from lsm_ros.types import Frame, MapSnapshot
from lsm_sim.source import SimSource

WIDTH, HEIGHT = 640, 400
COLUMN, MARGIN = 220, 10  # pixels of the left column, and of the space around pictures
PATH_COLOR, CAMERA_COLOR = (214, 90, 30), (30, 90, 200)
INK, FAINT = (40, 46, 54), (120, 126, 134)
FAR_M = 5.0  # depth that is shown as the farthest
RATE_HZ = 8.0  # of the images
LABELS_AT_END, STEP_MS, LAST_MS = 6, 120, 2500
MOST_BYTES = 3_000_000


@dataclass(frozen=True)
class Moment:
    """The map after one frame: what the camera saw, surface voxels, path of the camera (N, 4, 4), and counts."""

    frame: Frame
    snapshot: MapSnapshot
    path: np.ndarray
    keyframes: int


def map_room(source: SimSource, moments: int, voxel_size: float) -> list[Moment]:
    """Maps all of a source and keeps the map at equal distances of time. ValueError where nothing can be mapped."""
    pipeline = MappingPipeline(from_dict({"fusion.voxel_size": voxel_size}))
    kept = set(np.linspace(0, len(source) - 1, moments).round().astype(int).tolist())
    path, out = [], []
    for i, frame_set in enumerate(source):
        update = pipeline.process(frame_set)
        if update.tracking.T_map_rig is not None:
            path.append(update.tracking.T_map_rig @ source.T_rig_cam[source.cameras[0]])
        if i in kept and path:
            keyframes = len(pipeline.tracker.graph.keyframes)
            out.append(Moment(frame_set.frames[0], pipeline.snapshot(), np.array(path), keyframes))
    if not out:
        raise ValueError(f"{source.name}: no frame got a pose")
    return out


def view_of(last: MapSnapshot, azimuth: float, width: int, height: int) -> View:
    """A view from above at an angle in which the whole map fits. azimuth: direction to the eye about z, radians."""
    points = last.points_map.astype(np.float64)
    low, high = np.percentile(points, 0.2, axis=0), np.percentile(points, 99.8, axis=0)
    middle, radius = (low + high) / 2, 0.5 * float(np.linalg.norm(high - low))
    away = np.array([0.62 * np.cos(azimuth), 0.62 * np.sin(azimuth), 0.78])
    T = look_at(middle + 3.4 * radius * away, middle, np.array([0.0, 0, 1]))
    p = (points - T[:3, 3]) @ T[:3, :3]
    x, y = np.percentile(np.abs(p[:, :2] / p[:, 2:]), 99.9, axis=0)
    return View("from above at an angle", T, width, height, 0.485 * min(width / x, height / y))


def camera_lines(T_map_cam: np.ndarray, size: float = 0.32) -> list[np.ndarray]:
    """Edges (M, 3) of a pyramid that shows where a camera stands and looks."""
    corners = np.array([[-0.8, -0.6, 1], [0.8, -0.6, 1], [0.8, 0.6, 1], [-0.8, 0.6, 1]]) * size
    tips = corners @ T_map_cam[:3, :3].T + T_map_cam[:3, 3]
    eye = T_map_cam[:3, 3]
    return [tips[[0, 1, 2, 3, 0]], np.array([tips[0], eye, tips[2]]), np.array([tips[1], eye, tips[3]])]


def draw_lines(picture: np.ndarray, view: View, lines: list[np.ndarray], color: tuple[int, int, int]) -> None:
    """Draws polylines (M, 3) of the map, all before the camera, into a picture of `view`, with a light rim."""
    points = [(line - view.T_map_view[:3, 3]) @ view.T_map_view[:3, :3] for line in lines]
    pixels = [p[:, :2] / p[:, 2:] * view.focal_px + np.array([view.width, view.height]) / 2 - 0.5 for p in points]
    fine = [(16 * p).round().astype(np.int32) for p in pixels]  # OpenCV takes sixteenths of a pixel
    for thickness, paint in ((4, (255, 255, 255)), (2, color)):
        cv2.polylines(picture, fine, False, paint, thickness, cv2.LINE_AA, shift=4)


def depth_picture(depth: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 RGB of depth (H, W) in metres; grey where there is none."""
    near = np.clip(1.0 - depth / FAR_M, 0.0, 1.0)
    picture = cv2.cvtColor(cv2.applyColorMap((near * 255).astype(np.uint8), cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB)
    picture[~(depth > 0)] = (90, 94, 100)
    return picture


def compose(moment: Moment, view: View, by_label: float) -> Image.Image:
    """One picture of the animation. by_label: 0 shows the map's colours, 1 those of its labels."""
    canvas = Image.new("RGB", (WIDTH, HEIGHT), BACKGROUND)
    draw = ImageDraw.Draw(canvas)
    wide = COLUMN - MARGIN
    tall = round(wide * moment.frame.image.shape[0] / moment.frame.image.shape[1])
    small, large = ImageFont.load_default(12), ImageFont.load_default(15)
    depth = moment.frame.depth if moment.frame.depth is not None else np.zeros(moment.frame.image.shape[:2], np.float32)
    for row, (name, picture) in enumerate((("camera image", moment.frame.image), ("depth", depth_picture(depth)))):
        top = MARGIN + row * (tall + 26)
        canvas.paste(Image.fromarray(picture).resize((wide, tall), Image.Resampling.LANCZOS), (MARGIN, top))
        draw.text((MARGIN, top + tall + 4), name, INK, small)
    shown = moment.snapshot
    mixed = shown.colors.astype(float) * (1 - by_label) + label_colors(shown.labels).astype(float) * by_label
    picture = render(shown, view, mixed.round().astype(np.uint8))
    draw_lines(picture, view, [moment.path[:, :3, 3]], PATH_COLOR)
    draw_lines(picture, view, camera_lines(moment.path[-1]), CAMERA_COLOR)
    canvas.paste(Image.fromarray(picture), (COLUMN + MARGIN, 36))
    title = "voxel map, coloured by label" if by_label > 0.5 else "voxel map"
    draw.text((COLUMN + 2 * MARGIN, MARGIN), title, INK, large)
    keyframes = "1 keyframe" if moment.keyframes == 1 else f"{moment.keyframes} keyframes"
    counts = f"{keyframes}  {len(shown.points_map):,} voxels".replace(",", " ")
    draw.text((WIDTH - MARGIN, MARGIN + 3), counts, FAINT, small, anchor="ra")
    return canvas


def gif_of(pictures: list[Image.Image], colors: int) -> bytes:
    """An endless GIF in one palette without dithering, so that what stands still costs nothing; the last picture stays."""
    sheet = Image.new("RGB", (WIDTH, HEIGHT * 4))
    for row, picture in enumerate(pictures[:: max(1, len(pictures) // 3)][:3] + pictures[-1:]):
        sheet.paste(picture, (0, row * HEIGHT))
    palette = sheet.quantize(colors, Image.Quantize.MEDIANCUT)
    indexed = [p.quantize(palette=palette, dither=Image.Dither.NONE) for p in pictures]
    file = io.BytesIO()
    indexed[0].save(file, "GIF", save_all=True, append_images=indexed[1:], loop=0, optimize=False,
                    duration=[STEP_MS] * (len(indexed) - 1) + [LAST_MS])
    return file.getvalue()


def animate(source: SimSource, moments: int, voxel_size: float, azimuth: float) -> list[Image.Image]:
    """Pictures of a room being mapped, and of its labels at the end."""
    mapped = map_room(source, moments, voxel_size)
    view = view_of(mapped[-1].snapshot, azimuth, WIDTH - COLUMN - 2 * MARGIN, HEIGHT - 36 - MARGIN)
    pictures = [compose(m, view, 0.0) for m in mapped]
    return pictures + [compose(mapped[-1], view, (i + 1) / LABELS_AT_END) for i in range(LABELS_AT_END)]


def main(arguments: list[str] | None = None) -> int:
    """Writes the GIF; 2 and a line on standard error if it cannot be written or is too large."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="GIF to write")
    parser.add_argument("--seed", type=int, default=3, help="of the room")
    parser.add_argument("--world", default="room", help="kind of the world: room, corridor, rooms, loop, lookalike")
    parser.add_argument("--path", default="hand", help="kind of the camera's path: robot or hand")
    parser.add_argument("--seconds", type=float, default=32.0, help="of the camera's path")
    parser.add_argument("--pictures", type=int, default=36, help="pictures of the map as it grows")
    parser.add_argument("--voxel-size", type=float, default=0.03, help="metres")
    parser.add_argument("--azimuth", type=float, default=60.0, help="direction from which the map is seen, degrees about z")
    parser.add_argument("--colors", type=int, default=192, help="of the palette")
    parser.add_argument("--stills", type=Path, help="folder for every eighth picture as a PNG")
    given = parser.parse_args(arguments)
    try:
        source = SimSource(given.seed, given.world, given.path, duration_s=given.seconds, width=320, height=240,
                           rate_hz=RATE_HZ, noise=False)
        pictures = animate(source, given.pictures, given.voxel_size, np.deg2rad(given.azimuth))
        content = gif_of(pictures, given.colors)
        if len(content) > MOST_BYTES:
            raise ValueError(f"the animation has {len(content)} bytes, more than {MOST_BYTES}: ask for fewer --pictures")
        with replacing_file(given.out) as file:
            file.write(content)
        if given.stills is not None:
            given.stills.mkdir(parents=True, exist_ok=True)
            for i in sorted({*range(0, len(pictures), 8), len(pictures) - 1}):
                pictures[i].save(given.stills / f"{i:03d}.png")
    except (OSError, ValueError) as error:
        print(f"map_animation: {error}", file=sys.stderr)
        return 2
    print(f"{given.out}: {len(pictures)} pictures, {len(content) / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
