# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Saved maps that were damaged or made by others: loaded whole, or refused with the file's name while nothing changes."""
import json
import shutil
import subprocess

import numpy as np
import pytest
from helpers.saved_maps import edited, files_of, flip, flips

from lsm_ros.config import from_dict
from lsm_ros.files import write_text
from lsm_ros.mapping import store
from lsm_ros.mapping.pipeline import MappingPipeline
from lsm_ros.mapping.store import sums
from lsm_ros.pairs.base import Matches
from lsm_ros.pairs.surfaces import Surfaces
from lsm_ros.slam.graph.keyframes import Link
from lsm_sim.source import RoomSource

CONFIG = from_dict({"fusion.voxel_size": 0.08})


@pytest.fixture(scope="module")
def frame_sets():
    source = RoomSource(seed=1, frames=40, width=240, height=180, noise=False)
    return [source.frame_set(i) for i in range(0, 24, 3)]


@pytest.fixture(scope="module")
def saved(frame_sets, tmp_path_factory):
    """The folder of a map of a few keyframes that are linked."""
    pipeline = MappingPipeline(CONFIG)
    for f in frame_sets:
        pipeline.process(f)
    assert len(pipeline.tracker.graph.keyframes) >= 3 and pipeline.tracker.graph.links
    planes = np.tile([0.0, 0.6, 0.8, -1.0], (3, 1))
    ends = max(pipeline.tracker.graph.keyframes), "front", 0, "front"
    pipeline.tracker.graph.connect(Link(*ends, Matches.none(), Surfaces(np.ones((3, 3)), planes, np.full(3, 0.01))))
    folder = tmp_path_factory.mktemp("maps") / "kitchen"
    pipeline.save(folder)
    return folder


@pytest.fixture(scope="module")
def running(frame_sets):
    """A pipeline with another map, which has to survive everything."""
    pipeline = MappingPipeline(CONFIG)
    pipeline.process(frame_sets[0])
    return pipeline


def state(pipeline):
    return (pipeline.map, pipeline.tracker, pipeline.session, pipeline.map_epoch, len(pipeline.trajectory()),
            pipeline.label_space, pipeline.localization_only, pipeline.status().state)


def surface(pipeline):
    return pipeline.snapshot().points_map


def test_a_map_has_checksums_that_sha256sum_reads(saved):
    sums = store.read_sums(saved)
    assert set(sums) == {str(p.relative_to(saved)) for p in files_of(saved)} - {store.SUMS}
    import hashlib

    assert all(hashlib.sha256((saved / name).read_bytes()).hexdigest() == digest for name, digest in sums.items())
    assert (saved / store.SUMS).read_text().splitlines()[0] == f"{sums['graph.npz']}  graph.npz"


@pytest.mark.parametrize("count", [40, pytest.param(400, marks=pytest.mark.slow)])
def test_no_flipped_bit_is_loaded_and_nothing_changes(saved, running, tmp_path, count):
    folder = shutil.copytree(saved, tmp_path / "map")
    before = state(running)
    for file, at, bit in flips(folder, count):
        flip(file, at, bit)
        with pytest.raises(ValueError, match=str(folder)) as error:
            running.load(folder)
        assert file.name in str(error.value), error.value
        assert state(running) == before
        flip(file, at, bit)
    other = MappingPipeline(CONFIG)
    other.load(folder)
    assert len(surface(other)) > 100


def test_sha256sum_passes_over_the_line_that_guards_the_checksums(saved, tmp_path):
    folder = shutil.copytree(saved, tmp_path / "map")
    command = ["sha256sum", "--check", "--strict", "--quiet", store.SUMS]
    assert subprocess.run(command, cwd=folder, capture_output=True).returncode == 0
    flip(folder / store.META, 5, 0)
    assert subprocess.run(command, cwd=folder, capture_output=True).returncode == 1


def test_every_bit_of_the_checksums_matters(saved, tmp_path):
    """Those of files that loading does not need, too: the grid's, and other people's."""
    folder = shutil.copytree(saved, tmp_path / "map")
    (folder / "occupancy.pgm").write_bytes(b"P5\n1 1\n255\n\0")
    (folder / "notes.txt").write_text("mine")
    store.write_sums(folder)
    store.read_meta(folder)
    path = folder / store.SUMS
    for at in range(path.stat().st_size):
        flip(path, at, at % 8)
        with pytest.raises(ValueError, match=f"{store.SUMS} is damaged"):
            store.read_meta(folder)
        flip(path, at, at % 8)


@pytest.mark.parametrize("cut", ["a character", "the last line", "the last two lines"])
def test_checksums_that_were_cut_are_refused(saved, running, tmp_path, cut):
    path = shutil.copytree(saved, tmp_path / "map") / store.SUMS
    lines = path.read_text().splitlines(keepends=True)
    path.write_text({"a character": "".join(lines)[:-1], "the last line": "".join(lines[:-1]),
                     "the last two lines": "".join(lines[:-2])}[cut])
    with pytest.raises(ValueError, match=f"{store.SUMS} is damaged"):
        running.load(path.parent)


@pytest.mark.parametrize("form", [1, 2, 3])
def test_maps_of_older_formats_load_with_what_checksums_they_have(saved, tmp_path, form):
    new, old = MappingPipeline(CONFIG), MappingPipeline(CONFIG)
    new.load(saved)
    old.load(edited(saved, tmp_path / "old", form))
    assert np.array_equal(surface(new), surface(old))
    assert sorted(new.tracker.graph.links) == sorted(old.tracker.graph.links)


@pytest.mark.parametrize("count", [60, pytest.param(400, marks=pytest.mark.slow)])
def test_flipped_bits_without_checksums_are_refused_by_name_or_do_not_matter(saved, tmp_path, frame_sets, count):
    """Not every bit can be known to be wrong; but nothing raises anything else, and what is loaded can be mapped with."""
    folder = edited(saved, tmp_path / "old", 2)
    pipeline, refused = MappingPipeline(CONFIG), 0
    for file, at, bit in flips(folder, count):
        flip(file, at, bit)
        try:
            pipeline.load(folder)
            pipeline.process(frame_sets[3])
        except ValueError as error:
            assert file.name in str(error), error
            refused += 1
        flip(file, at, bit)
    assert refused > 0.5 * count


def keyframe(change):
    return lambda meta: change(meta["keyframes"][1])


def setting(name, value):
    def change(arrays):
        arrays[name] = value(arrays[name]) if callable(value) else value
    return change


def link(**changes):
    places = {"anchor": 0, "anchor_camera": 1, "observer": 2, "observer_camera": 3}

    def change(meta):
        for name, value in changes.items():
            meta["links"][0][places[name]] = value
    return change


def put(at, value):
    """A change of an array: one place gets another value."""
    def change(array):
        array = array.copy()
        array[at] = value
        return array
    return change


def surface_setting(name, change):
    def edit(arrays):
        key, = (k for k in arrays if k.endswith(f"/{name}"))
        setting(key, change)(arrays)
    return edit


DAMAGED = {
    "a list": {"meta": lambda meta: [1]},
    "no observations": {"meta": lambda meta: meta.pop("next_observation") and None},
    "a number that is taken": {"meta": lambda meta: meta.update(next_observation=0)},
    "no number of an observation": {"meta": lambda meta: meta.update(next_observation="7")},
    "unknown gravity": {"meta": lambda meta: meta.update(gravity_source="moon")},
    "scale is a list": {"meta": lambda meta: meta.update(scale=[1])},
    "label space without names": {"meta": lambda meta: meta.update(label_space={"threshold": 0.5})},
    "label that is no text": {"meta": lambda meta: meta.update(label_space={"names": {"1": 5}, "threshold": 0.5})},
    "focal length": {"meta": lambda meta: meta.update(knowledge={"focal_px": {"camera": -5.0}})},
    "format is text": {"meta": lambda meta: meta.update(format="3")},
    "keyframe twice": {"meta": lambda meta: meta["keyframes"].append(meta["keyframes"][0])},
    "keyframe without camera": {"meta": keyframe(lambda k: k.update(views=[]))},
    "camera twice": {"meta": keyframe(lambda k: k["views"].append(k["views"][0]))},
    "stamp": {"meta": keyframe(lambda k: k.update(stamp_ns=10**23))},
    "stamp is no number": {"meta": keyframe(lambda k: k.update(stamp_ns=1.5))},
    "K of another size": {"meta": keyframe(lambda k: k["views"][0]["intrinsics"].__setitem__(0, 999))},
    "focal length of a keyframe": {"meta": keyframe(lambda k: k["views"][0]["intrinsics"].__setitem__(2, 0.0))},
    "guess": {"meta": keyframe(lambda k: k["views"][0].update(guess_std=-1.0))},
    "no such anchor": {"meta": link(anchor=77)},
    "no such camera": {"meta": link(observer_camera="rear")},
    "pose of 3x3": {"arrays": setting("1/T_map_rig", np.eye(3))},
    "pose with NaN": {"arrays": setting("1/T_map_rig", put((0, 3), np.nan))},
    "pose far away": {"arrays": setting("1/T_map_rig", put((0, 3), 1e200))},
    "pose beyond all maps": {"arrays": setting("1/T_map_rig", put((0, 3), 2e6))},
    "pose that is no rotation": {"arrays": setting("1/T_map_rig", put((0, 0), 3.0))},
    "mount of two metres a metre": {"arrays": setting("1/front/T_rig_cam", lambda T: T * np.array([2, 2, 2, 1])[:, None])},
    "corners outside": {"arrays": setting("1/front/corners", put((0, 0), 1e5))},
    "corners of NaN": {"arrays": setting("1/front/corners", put((0, 0), np.nan))},
    "corners are flat": {"arrays": setting("1/front/corners", np.zeros(5))},
    "fewer depths than corners": {"arrays": setting("1/front/inverse_depth", lambda a: a[:-1])},
    "depth below zero": {"arrays": setting("1/front/inverse_depth", put(0, -1.0))},
    "depth without end": {"arrays": setting("1/front/measured", put(0, np.inf))},
    "depth of text": {"arrays": setting("1/front/measured", lambda a: a.astype(str))},
    "depth image of 5x5": {"arrays": setting("1/front/depth_mm", np.zeros((5, 5), np.uint16))},
    "depth image of another type": {"arrays": setting("1/front/depth_mm", lambda a: a.astype(np.float32))},
    "image of another size": {"arrays": setting("1/front/gray", lambda a: a[:-1])},
    "no image": {"arrays": lambda arrays: arrays.pop("1/front/gray").sum() and None},
    "signature of another model": {"arrays": setting("1/thumbnail", np.zeros((4, 4), np.float32))},
    "no such corner": {"arrays": setting("link0/index_b", put(0, 10**6))},
    "corner below zero": {"arrays": setting("link0/index_b", put(0, -1))},
    "corner between numbers": {"arrays": setting("link0/index_b", lambda a: a.astype(float))},
    "fewer pixels than corners": {"arrays": setting("link0/pixels_a", lambda a: a[:-1])},
    "pixel that is none": {"arrays": setting("link0/pixels_a", put((0, 0), np.nan))},
    "pixel far outside": {"arrays": setting("link0/pixels_a", put((0, 0), 1e200))},
    "depth of a link": {"arrays": setting("link0/depth_a", put(0, np.inf))},
    "point of a surface": {"arrays": surface_setting("points", put((0, 0), np.nan))},
    "fewer points than planes": {"arrays": surface_setting("points", lambda a: a[:-1])},
    "plane of three numbers": {"arrays": surface_setting("planes", lambda a: a[:, :3])},
    "normal of another length": {"arrays": surface_setting("planes", put((0, 2), 0.9))},
    "surface without deviation": {"arrays": surface_setting("sigma", put(1, 0.0))},
    "deviation below zero": {"arrays": surface_setting("sigma", put(1, -0.1))},
    "deviation without end": {"arrays": surface_setting("sigma", put(1, np.inf))},
    "point far away": {"arrays": surface_setting("points", put((0, 0), 1e300))},
    "plane far away": {"arrays": surface_setting("planes", put((0, 3), -1e300))},
    "deviation of nothing": {"arrays": surface_setting("sigma", put(0, 1e-9))},
    "one deviation for all": {"arrays": surface_setting("sigma", np.array(0.01))},
    "surface without points": {"arrays": lambda arrays: [arrays.pop(n) for n in [*arrays] if n.endswith("/points")] and None},
    "tied to itself": {"meta": lambda meta: meta["links"][-1].__setitem__(0, 0)},
    "surface without planes": {"arrays": lambda arrays: [arrays.pop(n) for n in [*arrays] if n.endswith("/planes")] and None},
}


def test_surfaces_that_tie_keyframes_come_back(saved):
    other = MappingPipeline(CONFIG)
    other.load(saved)
    found, = (x for x in other.tracker.graph.links.values() if x.surfaces is not None)
    assert found.observer == 0 and len(found.matches) == 0
    assert found.surfaces.points.tolist() == np.ones((3, 3)).tolist() and found.surfaces.sigma.tolist() == [0.01] * 3
    assert found.surfaces.planes.tolist() == [[0.0, 0.6, 0.8, -1.0]] * 3


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=list(DAMAGED))
def test_what_does_not_fit_is_refused_before_anything_changes(saved, running, tmp_path, damage):
    before = state(running)
    folder = edited(saved, tmp_path / "map", **damage)
    file = store.META if "meta" in damage else store.GRAPH
    with pytest.raises(ValueError, match=str(folder)) as error:
        running.load(folder)
    assert file in str(error.value) or store.GRAPH in str(error.value)
    assert state(running) == before


@pytest.mark.parametrize("change", [link(anchor=77), link(observer=77), link(anchor_camera="rear"),
                                    link(observer_camera="rear")])
def test_a_link_to_nowhere_names_the_file_that_has_it(saved, running, tmp_path, change):
    with pytest.raises(ValueError, match=rf"{store.META} cannot be read: link of keyframes .* there is no camera"):
        running.load(edited(saved, tmp_path / "map", meta=change))


def test_a_grid_that_people_retouched_does_not_matter(saved, tmp_path):
    folder = shutil.copytree(saved, tmp_path / "map")
    (folder / "occupancy.pgm").write_bytes(b"P5\n1 1\n255\n\0")
    store.write_sums(folder)
    (folder / "occupancy.pgm").write_bytes(b"P5\n1 1\n255\n\1")
    assert store.changed_files(folder) == ["occupancy.pgm"]
    MappingPipeline(CONFIG).load(folder)


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_map_is_whole_whenever_a_change_of_its_objects_is_killed(saved, tmp_path, monkeypatch, step):
    folder, calls = tmp_path / "map", []
    shutil.copytree(saved, folder)
    (folder / "notes.txt").write_text("mine")

    def killed(target, text):
        calls.append(target)
        if len(calls) == step:
            raise KeyboardInterrupt
        write_text(target, text)

    monkeypatch.setattr(sums, "write_text", killed)
    with pytest.raises(KeyboardInterrupt):
        store.rewrite_file(folder, "objects.json", "{}")
    store.read_meta(folder)
    monkeypatch.undo()
    store.rewrite_file(folder, "objects.json", '{"a": 1}')
    assert store.read_sums(folder).keys() == store.read_sums(saved).keys() and not store.changed_files(folder)


def test_a_map_without_its_checksums_is_refused(saved, running, tmp_path):
    folder = shutil.copytree(saved, tmp_path / "map")
    (folder / store.SUMS).unlink()
    with pytest.raises(ValueError, match=rf"^{folder}/checksums\.sha256 is missing"):
        running.load(folder)


def test_checksums_that_leave_a_file_out_are_refused(saved, running, tmp_path):
    folder = shutil.copytree(saved, tmp_path / "map")
    (folder / store.GRAPH).rename(tmp_path / "elsewhere")
    store.write_sums(folder)
    (tmp_path / "elsewhere").rename(folder / store.GRAPH)
    with pytest.raises(ValueError, match="lacks graph.npz"):
        running.load(folder)


@pytest.mark.parametrize("name", ["/etc/passwd", "../other/graph.npz"])
def test_checksums_lead_nowhere_else(saved, running, tmp_path, name):
    folder = edited(saved, tmp_path / "map", 3)  # whose checksums anybody may write by hand
    with (folder / store.SUMS).open("a") as file:
        file.write(f"{'0' * 64}  {name}\n")
    with pytest.raises(ValueError, match="damaged in line"):
        running.load(folder)


def test_voxels_that_the_ledger_does_not_explain_are_refused(saved, running, tmp_path):
    """All of it is taken away again one day: then blocks that are not there would end it."""
    folder = shutil.copytree(saved, tmp_path / "map")
    path = folder / store.VOXELS
    with np.load(path) as old:
        arrays = {name: old[name] for name in old.files}
    arrays["voxels/users"] = arrays["voxels/users"] + 1
    np.savez_compressed(path, **arrays)
    store.write_sums(folder)
    with pytest.raises(ValueError, match=r"voxel_map\.npz cannot be read: the users"):
        running.load(folder)
    arrays["voxels/users"] -= 1
    first = json.loads(arrays["meta"].tobytes())["ledger"][0]["id"]
    arrays[f"observation{first}/keys"] = arrays[f"observation{first}/keys"] + 10**6
    np.savez_compressed(path, **arrays)
    store.write_sums(folder)
    with pytest.raises(ValueError, match=r"voxel_map\.npz cannot be read: observation \d+ touches blocks"):
        running.load(folder)


def test_a_map_that_a_killed_save_had_moved_away_is_found(saved, tmp_path):
    """Between two renames there is none under the name, where folders cannot be exchanged in one step."""
    work = tmp_path / ".kitchen.part-1-abcdefgh"
    shutil.copytree(saved, work / ".kitchen.old-000000")
    (work / f"{work.name}.lock").touch()
    pipeline = MappingPipeline(CONFIG)
    pipeline.load(tmp_path / "kitchen")
    assert pipeline.keyframe_trajectory() and [p.name for p in tmp_path.iterdir()] == ["kitchen"]


def test_saving_again_replaces_the_map_alone(saved, running, tmp_path):
    floor = tmp_path / "floor1"
    shutil.copytree(saved, floor)
    shutil.copytree(saved, floor / "kitchen")
    (floor / "notes.txt").write_text("theirs")
    (floor / "language.safetensors").write_text("of the map that was there")
    written = running.save(floor)
    assert (floor / "notes.txt").read_text() == "theirs" and not (floor / "language.safetensors").exists()
    assert written == sum((floor / name).stat().st_size for name in [*store.read_sums(floor), store.SUMS])
    for folder in (floor, floor / "kitchen"):
        MappingPipeline(CONFIG).load(folder)


def test_a_map_has_no_files_but_its_own(saved):
    assert {str(p.relative_to(saved)) for p in files_of(saved)} <= set(store.OWN)
