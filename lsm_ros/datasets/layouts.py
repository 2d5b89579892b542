# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Folders and files that are no source by themselves: what they look like, and the next step."""
from __future__ import annotations

from pathlib import Path

from lsm_ros.datasets.base import IMAGE_SUFFIXES
from lsm_ros.datasets.images import OTHER_SUFFIXES

_PACKED = {".zip": "unzip", ".gz": "tar -xzf (or gunzip)", ".tgz": "tar -xzf", ".tar": "tar -xf", ".xz": "tar -xJf (or unxz)",
           ".bz2": "tar -xjf (or bunzip2)", ".7z": "7z x", ".rar": "unrar x", ".lz4": "lz4 -d"}
_MOST = 2000  # entries of a folder that are looked at


def next_step(path: Path) -> str:
    """States what a folder or file that no source reads looks like, and what to do; '' if it looks like nothing known."""
    if path.is_file():
        return _file(path)
    names = {f.name for f in path.iterdir()}
    suffixes = [f.suffix.lower() for f in path.iterdir()]

    def has(*wanted: str) -> bool:
        return all((path / name).exists() for name in wanted)

    def images(folder: str) -> str:
        return f"lsm map {path / folder} --pairs two_view"

    if has("mav0/cam0/data") or has("cam0/data"):
        folder = "mav0/cam0" if has("mav0/cam0/data") else "cam0"
        return (f"it looks like EuRoC or TUM-VI: map one camera, {images(folder + '/data')} (its stamps are the names; write "
                f"{folder}/sensor.yaml as camera.yaml), and evaluate with --gt of its state_groundtruth_estimate0/data.csv")
    if has("sparse") and has("images"):
        return f"it looks like a COLMAP project: {images('images')}"
    if has("color", "depth") and (has("pose") or has("intrinsic")) or ".sens" in suffixes:
        return ("it looks like ScanNet: export its .sens (SensReader), then list the files in rgb.txt and depth.txt (stamp "
                "file) and write camera.yaml with depth_scale: 0.001")
    camera = next((n for n in ("image_2", "image_0", "image_02", "image_00") if n in names), "")
    if camera:
        folder = f"{camera}/data" if has(f"{camera}/data") else camera
        return f"it looks like KITTI: map one camera, {images(folder)} --source-option rate_hz=10"
    if has("rgb", "depth"):
        return ("it looks like TUM RGB-D or ICL-NUIM without its lists: write rgb.txt and depth.txt with lines `stamp file` "
                "(for ICL-NUIM from associations.txt), and camera.yaml with depth_scale")
    if has("results") and (has("traj.txt") or has("cam_params.json")):
        return f"it looks like a scene of Replica: lsm map {path / 'results'}"
    if any(n.startswith("seq-") for n in names):
        first = min(n for n in names if n.startswith("seq-"))
        return f"it looks like 7-Scenes: map one sequence, lsm map {path / first}"
    if ".bag" in suffixes:
        bag = min(f.name for f in path.iterdir() if f.suffix.lower() == ".bag")
        return f"it holds a bag of ROS 1; convert it: rosbags-convert --src {path / bag} --dst {path / Path(bag).stem}"
    other = [s for s in suffixes if s in OTHER_SUFFIXES]
    if other:
        return f"it holds {len(other)} files {other[0]}, which OpenCV does not read: convert them to JPEG or PNG"
    packed = next((f for f in path.iterdir() if f.suffix.lower() in _PACKED), None)
    if packed is not None:
        return _file(packed)
    return _below(path)


def _below(path: Path) -> str:
    """Names folders inside that hold images, bags or videos."""
    for folder in sorted(f for f in path.iterdir() if f.is_dir()):
        inside = [f for f, _ in zip(folder.iterdir(), range(_MOST), strict=False)]
        images = sum(f.suffix.lower() in IMAGE_SUFFIXES for f in inside)
        if images:
            return f"its folder {folder.name} holds images ({images}): lsm map {folder}"
        if any(f.suffix.lower() in (".mcap", ".db3") for f in inside) or (folder / "rgb.txt").is_file():
            return f"its folder {folder.name} is a source: lsm map {folder}"
    return ""


def _file(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix in _PACKED:
        return f"{path.name} is packed; unpack it first: {_PACKED[suffix]} {path.name}"
    if suffix == ".sens":
        return "it looks like ScanNet: export it with SensReader"
    if suffix in (".svo", ".svo2", ".oni", ".klg"):
        return f"it is a recording of a camera's own software ({suffix}); export it as a bag or as images"
    return ""
