# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Objects of a room that is mapped: found, saved, changed by a person, and found again."""
import json
import shutil
import threading

import numpy as np
import pytest

from lsm_ros import cli
from lsm_ros.commands.objects_run import changing_objects, listed
from lsm_ros.config import from_dict
from lsm_ros.pipeline import MappingPipeline
from lsm_ros.semantics.objects import Box
from lsm_sim.source import RoomSource

CONFIG = from_dict({"fusion.voxel_size": 0.05})


@pytest.fixture(scope="module")
def room():
    return RoomSource(seed=10001, frames=41)


@pytest.fixture(scope="module")
def mapped(room, tmp_path_factory):
    """A pipeline that has mapped a part of a room, and its saved map."""
    pipeline = MappingPipeline(CONFIG)
    for n in range(0, 40, 8):
        pipeline.process(room.frame_set(n))
    folder = tmp_path_factory.mktemp("objects") / "map"
    pipeline.save(folder)
    return pipeline, folder


def ids(objects):
    return {o.id: o.label for o in objects}


def test_objects_are_found_once_and_keep_their_numbers_as_the_map_grows(room, mapped):
    pipeline = MappingPipeline(CONFIG)
    for n in range(0, 24, 8):
        pipeline.process(room.frame_set(n))
    before = {o.id: o for o in pipeline.objects()}
    assert len(before) >= 3 and pipeline.objects() == list(before.values())
    for n in range(24, 40, 8):
        pipeline.process(room.frame_set(n))
    after = {o.id: o for o in pipeline.objects()}
    same = [i for i in before if i in after and np.linalg.norm(before[i].centroid - after[i].centroid) < 0.5]
    assert len(same) >= 0.8 * len(before)
    assert ids(after.values()).items() >= {i: before[i].label for i in same}.items()


def test_objects_move_with_the_map(mapped):
    pipeline, folder = mapped
    again = MappingPipeline(CONFIG)
    again.load(folder)
    before = {o.id: o.centroid for o in again.objects()}
    T = np.eye(4)
    T[:2, :2], T[:3, 3] = [[0, -1], [1, 0]], [3, -2, 0]
    again.tracker.move_map(T)
    again.settle()
    after = {o.id: o.centroid for o in again.objects()}
    kept = [i for i in before if i in after and np.linalg.norm(T[:3, :3] @ before[i] + T[:3, 3] - after[i]) < 0.15]
    assert len(kept) >= 0.9 * len(before)  # voxels lie otherwise in what turned, so a rag may join or part


def test_a_saved_map_has_its_objects(mapped):
    pipeline, folder = mapped
    assert len(pipeline.objects()) >= 3
    again = MappingPipeline(CONFIG)
    again.load(folder)
    assert ids(again.objects()) == ids(pipeline.objects())


def test_a_person_changes_objects_on_the_command_line(mapped, tmp_path, capsys):
    folder = tmp_path / "map"
    shutil.copytree(mapped[1], folder)
    first, second = sorted(o.id for o in mapped[0].objects())[:2]
    assert cli.main(["objects", str(folder), "--rename", str(first), "Ada's", "--lock", str(first), "--delete", str(second),
                     "--add", "dock", "1", "2", "0.2", "0.4", "0.4", "0.4", "--json"]) == 0
    printed = {o["id"]: o for o in json.loads(capsys.readouterr().out)["objects"]}
    assert printed[first]["name"] == "Ada's" and second not in printed
    assert printed[max(printed)]["label"] == "dock" and printed[max(printed)]["origin"] == "person"
    again = MappingPipeline(CONFIG)
    again.load(folder)
    kept = {o.id: o for o in again.objects()}
    assert kept.keys() == printed.keys() and kept[first].locked and kept[first].shown_name == "Ada's"
    assert cli.main(["objects", str(folder)]) == 0
    assert "Ada's" in capsys.readouterr().out


@pytest.mark.parametrize(("arguments", "says"), [
    (["--rename", "999", "x"], "there is no object 999; there are: 1"), (["--rename", "one", "x"], "'one' is no number"),
    (["--add", "dock", "a", "0", "0", "1", "1", "1"], "--add dock: could not convert"),
    (["--add", "dock", "0", "0", "0", "0", "1", "1"], "an object needs a class and a box with a size")])
def test_changes_that_cannot_be_made_are_refused(mapped, capsys, arguments, says):
    before = (mapped[1] / "objects.json").read_text()
    assert cli.main(["objects", str(mapped[1]), *arguments]) == 2
    assert says in capsys.readouterr().err and (mapped[1] / "objects.json").read_text() == before


def test_folders_without_objects_are_refused(mapped, tmp_path, capsys):
    assert cli.main(["objects", str(tmp_path / "nowhere")]) == 2
    assert "is no folder of a map" in capsys.readouterr().err
    assert cli.main(["objects", str(tmp_path)]) == 2
    assert "holds no map" in capsys.readouterr().err


@pytest.mark.parametrize("second", [["objects", "--add", "lamp", "0", "0", "1", "0.2", "0.2", "0.2"],
                                    ["regions", "--name", "POINT", "lab"]])
def test_a_second_change_waits_for_the_first_and_loses_nothing_of_it(mapped, tmp_path, second):
    folder = shutil.copytree(mapped[1], tmp_path / "map")
    x, y = (f"{v:.2f}" for v in mapped[0].regions().regions[0].centre)
    command, *rest = [b for a in second for b in ([x, y] if a == "POINT" else [a])]
    results = []
    other = threading.Thread(target=lambda: results.append(cli.main([command, str(folder), *rest])))
    with changing_objects(folder) as keeper:
        keeper.add("vase", Box(np.array([1.0, 1.0, 1.0]), np.full(3, 0.2), 0.0))
        other.start()
        other.join(1.5)
        assert other.is_alive()
    other.join(20)
    assert results == [0]
    added = {o.label for o in listed(folder) if o.origin == "person"}
    assert "vase" in added and len(added) == 2


def test_damaged_objects_are_named(mapped, tmp_path):
    folder = tmp_path / "map"
    shutil.copytree(mapped[1], folder)
    (folder / "objects.json").write_text("{}")
    with pytest.raises(ValueError, match="objects.json changed after it was saved"):
        MappingPipeline(CONFIG).load(folder)


def test_a_locked_object_keeps_its_box_while_mapping_goes_on(room, mapped):
    pipeline = MappingPipeline(CONFIG)
    pipeline.load(mapped[1])
    keeper = pipeline._atlas.here.objects.keeper
    added = keeper.add("dock", Box(np.array([0.5, 0.5, 0.2]), np.full(3, 0.3), 0.0))
    for n in range(0, 40, 8):
        pipeline.process(room.frame_set(n))
    assert next(o for o in pipeline.objects() if o.id == added.id).box.size.tolist() == [0.3] * 3


# regions and goals

HERE = np.eye(4)


def test_a_room_is_a_region_named_after_what_stands_in_it_or_by_a_person(mapped, tmp_path, capsys):
    (region, *_) = mapped[0].regions().regions
    assert region.area > 3 and region.name
    folder = tmp_path / "map"
    shutil.copytree(mapped[1], folder)
    x, y = (f"{v:.2f}" for v in region.centre)
    assert cli.main(["regions", str(folder), "--name", x, y, "Ada's lab", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["features"]
    assert "Ada's lab" in [f["properties"].get("name") for f in found]
    again = MappingPipeline(CONFIG)
    again.load(folder)
    assert "Ada's lab" in [r.name for r in again.regions().regions]
    assert ids(again.objects()) == ids(mapped[0].objects())  # a name of a region is no object
    assert cli.main(["regions", str(folder), "--name", x, y, "hall"]) == 0
    printed = capsys.readouterr().out
    assert "hall" in printed and "Ada's lab" not in printed
    assert cli.main(["regions", str(folder), "--name", "500", "0", "x"]) == 2
    assert "the point 500 0 lies in no region" in capsys.readouterr().err
    assert cli.main(["regions", str(folder), "--name", "a", "0", "x"]) == 2
    assert "--name a 0: could not convert" in capsys.readouterr().err


def test_goals_by_class_number_and_region_are_free_and_face_what_is_asked_for(mapped):
    pipeline = mapped[0]
    here = pipeline.keyframe_trajectory()[-1].T_map_rig
    region = pipeline.regions().regions[0]
    said, goal = pipeline.goal(region.name, here)
    assert said == f"region {region.name}" and goal.clearance > 0.3
    reached = 0
    for o in pipeline.objects():
        try:
            said, goal = pipeline.goal(str(o.id), here)
        except ValueError as error:
            assert any(word in str(error) for word in ("free", "way")), error
            continue
        reached += 1
        off = o.box.centre[:2] - (goal.x, goal.y)
        assert said == f"{o.label} {o.id}" and goal.clearance > 0.3 and goal.yaw == pytest.approx(np.arctan2(off[1], off[0]))
        assert pipeline.goal(o.label.upper(), here)[0].startswith(o.label)
    assert reached


@pytest.mark.parametrize(("text", "says"), [
    ("xylophone", "nothing in the map is called 'xylophone'; there are: "), ("", "a target needs 1 to 1000 characters, got 0"),
    ("x" * 10_000, "got 10000"), ("\u6905\u5b50", "nothing in the map is called")])
def test_targets_that_there_are_not_are_refused(mapped, text, says):
    with pytest.raises(ValueError, match=says):
        mapped[0].goal(text, HERE)


def test_no_goals_without_a_grid_or_while_the_map_moves(mapped, monkeypatch):
    with pytest.raises(ValueError, match="there is no grid to drive in"):
        MappingPipeline(CONFIG).goal("chair", HERE)
    assert MappingPipeline(CONFIG).regions() is None
    monkeypatch.setattr(mapped[0]._atlas.here.fuser, "backlog", 3)
    with pytest.raises(ValueError, match="the map is being moved: 3 observations"):
        mapped[0].goal("chair", HERE)
