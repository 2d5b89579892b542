# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Programs and agents ask a saved map: JSON-RPC and MCP, on standard input and output, and on a socket."""
import base64
import contextlib
import io
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import threading
import time

import cv2
import numpy as np
import pytest
from helpers.rpc import ask, echo_server, error, result
from helpers.semantic_parts import TrueFeatures, Words, codec_of

from lsm_ros import cli
from lsm_ros.commands import serve_run
from lsm_ros.commands.objects_run import listed
from lsm_ros.commands.serve_run import MOST_CLIENTS, MOST_LINE, serve_socket, talk
from lsm_ros.commands.serve_tools import server_of
from lsm_ros.config import from_dict
from lsm_ros.pipeline import MappingPipeline
from lsm_ros.semantics import language as language_module
from lsm_ros.semantics.describing import Describer
from lsm_sim.source import RoomSource

WORDS = ("wall", "floor", "ceiling", "door", "window", "table", "surface", "chair", "thing", "sofa", "bed", "shelf")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A saved map of a room with labels."""
    room = RoomSource(seed=10001, frames=41)
    pipeline = MappingPipeline(from_dict({"fusion.voxel_size": 0.05}))
    for n in range(0, 40, 8):
        pipeline.process(room.frame_set(n))
    folder = tmp_path_factory.mktemp("serve") / "map"
    pipeline.save(folder)
    return folder


@pytest.fixture(scope="module")
def server(saved):
    return server_of(saved)


class TestTools:
    def test_objects_are_those_of_the_map(self, server, saved):
        found = result(server, "list_objects")
        kept = {o.id: o.to_dict() for o in listed(saved) if o.existence >= 0.5}
        assert {o["id"]: o for o in found["objects"]} == kept and len(kept) >= 3
        assert found["regions"]["type"] == "FeatureCollection" and found["regions"]["features"]
        label = found["objects"][0]["label"]
        some = result(server, "list_objects", label=label.upper())["objects"]
        assert some and {o["label"] for o in some} == {label}
        assert result(server, "list_objects", label="dragon")["objects"] == []

    def test_things_are_found_by_class_and_by_number(self, server):
        things = result(server, "list_objects")["objects"]
        label = things[0]["label"]
        found = result(server, "find", text=label, top=3)["found"]
        assert {f["object"]["label"] for f in found} == {label} and {f["by"] for f in found} == {"class"}
        scores = [f["score"] for f in found]
        assert scores == sorted(scores, reverse=True) and 0 < scores[0] <= 1
        assert all((f["goal"] is None) == ("no_goal" in f) for f in found)
        (one,) = result(server, "find", text=str(things[1]["id"]))["found"]
        assert one["object"]["id"] == things[1]["id"] and one["by"] == "name"
        assert len(result(server, "find", text=label, top=1)["found"]) == 1

    def test_nothing_found_is_an_answer(self, server):
        found = result(server, "find", text="dragon")
        assert found["found"] == [] and "nothing in the map is called 'dragon'" in found["remarks"][0]

    def test_goals_are_those_of_the_node(self, server, saved):
        pipeline = MappingPipeline(from_dict({"fusion.voxel_size": 0.05}))
        pipeline.load(saved)
        here, compared = pipeline.keyframe_trajectory()[-1].T_map_rig, 0
        robot = here[:2, 3].tolist()
        for thing in pipeline.objects():
            try:
                name, goal = pipeline.goal(str(thing.id), here)
            except ValueError as reason:
                assert error(server, "goal_near", target=str(thing.id), robot=robot)["message"] == str(reason)
                continue
            compared += 1
            got = result(server, "goal_near", target=str(thing.id), robot=robot)
            wanted = {"x": goal.x, "y": goal.y, "yaw": goal.yaw, "clearance": goal.clearance}
            assert got["target"] == name and got["goal"] == pytest.approx(wanted, abs=0.1)  # saved boxes are rounded
            assert result(server, "find", text=str(thing.id), robot=robot)["found"][0]["goal"] == got["goal"]
            assert np.allclose(result(server, "goal_near", target=str(thing.id))["from"], robot, atol=1e-3)
        assert compared
        region = result(server, "list_objects")["regions"]["features"][0]["properties"]["name"]
        assert result(server, "goal_near", target=region)["target"] == f"region {region}"
        assert "stands where the map shows no free way" in error(server, "goal_near", target=region, robot=[99, 99])["message"]

    def test_where_a_point_is(self, server):
        feature = result(server, "list_objects")["regions"]["features"][0]
        goal = result(server, "goal_near", target=feature["properties"]["name"])["goal"]
        found = result(server, "where_am_i", position=[goal["x"], goal["y"], 0.3])
        assert found["region"]["name"] == feature["properties"]["name"] and found["region"]["number"] == feature["id"]
        away = [n["distance_m"] for n in found["near"]]
        assert away and away == sorted(away)
        assert result(server, "where_am_i", position=[99, 99])["region"] is None

    def test_pictures_show_the_thing(self, server):
        things, seen = result(server, "list_objects")["objects"], 0
        for thing in things:
            answer = ask(server, "picture", id=thing["id"])
            if "error" in answer:
                assert "no image that the map keeps shows" in answer["error"]["message"]
                continue
            seen += 1
            got = answer["result"]
            image = cv2.imdecode(np.frombuffer(base64.b64decode(got["png_base64"]), np.uint8), cv2.IMREAD_COLOR)
            assert image.shape == (got["height"], got["width"], 3) and image.std() > 0
        assert seen >= 0.3 * len(things)
        assert "there is no object 9999; there are: " in error(server, "picture", id=9999)["message"]

    def test_sentences_where_the_map_has_features(self, tmp_path, monkeypatch):
        source = RoomSource(seed=1, frames=60, width=320, height=240)
        frames = [source.frame_set(3 * i) for i in range(6)]
        labels = {f.stamp_ns: f.frames[0].labels for f in frames}
        names = source.world.label_space.names
        seen = {i: names[i] for i in np.unique(np.stack(list(labels.values()))).tolist() if names.get(i) in WORDS}
        monkeypatch.setattr(Describer, "load", lambda *_: TrueFeatures(labels, codec_of(seen, Words(WORDS))))
        monkeypatch.setattr(language_module, "make_text_encoder", lambda identity: Words(WORDS))
        pipeline = MappingPipeline(from_dict({"fusion.voxel_size": 0.05, "semantics.features": "always"}))
        for f in frames:
            pipeline.process(f)
        pipeline.save(tmp_path / "map")
        server = server_of(tmp_path / "map")
        thing = next(o for o in result(server, "list_objects")["objects"] if o["label"] in seen.values())
        found = result(server, "find", text=f"a {thing['label']}")
        assert found["found"][0]["by"] == "description" and found["found"][0]["object"]["label"] == thing["label"]
        assert found["found"][0]["similarity"] > 0.5 and not any("nothing" in r for r in found["remarks"])
        floor = result(server, "find", text="the floor")["found"][0]
        assert floor["object"] is None and floor["box"]["high"][2] < 0.3
        things = [f["object"] for f in result(server, "find", text="the floor")["found"]]
        assert not any(t and t["label"] == "cabinet" for t in things), "the floor at its feet is no cabinet"
        found = result(server, "find", text="the floor", unwanted=["the wall"])["found"]
        assert found and found[0]["box"] == floor["box"]
        found = result(server, "find", text="the floor", unwanted=["the wall", "this floor"])
        assert found["found"] == [] and "and not rather like 'the wall' or 'this floor'" in found["remarks"][-1]
        unseen = next(w for w in WORDS if w not in seen.values())
        empty = result(server, "find", text=f"one {unseen}")
        assert empty["found"] == [] and "nothing in the map is like" in empty["remarks"][-1]
        assert "knows no word" in error(server, "find", text="xylophone")["message"]


class TestChanges:
    @pytest.fixture
    def copy(self, saved, tmp_path):
        shutil.copytree(saved, tmp_path / "map")
        return tmp_path / "map"

    def test_a_map_that_somebody_changed_is_read_anew(self, copy, capsys):
        server = server_of(copy)
        first = result(server, "list_objects")["objects"][0]["id"]
        assert cli.main(["objects", str(copy), "--rename", str(first), "Ada's"]) == 0
        assert result(server, "find", text="Ada's")["found"][0]["object"]["id"] == first

    def test_a_map_is_not_read_again_for_nothing(self, copy, monkeypatch):
        server = server_of(copy)
        monkeypatch.setattr("lsm_ros.commands.serve_map.load", pytest.fail)
        assert result(server, "list_objects")["objects"]

    def test_a_map_that_is_gone_or_damaged_is_an_error_until_it_is_back(self, copy):
        server = server_of(copy)
        copy.rename(copy.with_name("away"))
        assert "is no folder of a map" in error(server, "list_objects")["message"]
        copy.with_name("away").rename(copy)
        assert result(server, "list_objects")["objects"]
        whole = (copy / "objects.json").read_text()
        (copy / "objects.json").write_text(whole[:50])
        assert "objects.json" in error(server, "list_objects")["message"]
        (copy / "objects.json").write_text(whole)
        assert result(server, "list_objects")["objects"]

    def test_a_map_that_never_stands_still_is_refused(self, copy, monkeypatch):
        from lsm_ros.commands import serve_map

        server, load = server_of(copy), serve_map.load
        os.utime(copy / "objects.json")

        def disturbed(folder):
            loaded = load(folder)
            os.utime(folder / "objects.json", ns=(time.time_ns(), time.time_ns()))
            return loaded

        monkeypatch.setattr(serve_map, "load", disturbed)
        assert "is being changed; ask again" in error(server, "list_objects")["message"]

    def test_what_is_no_map_is_refused_at_once(self, tmp_path, capsys):
        for folder, says in ((tmp_path / "nowhere", "is no folder of a map"), (tmp_path, "holds no map")):
            assert cli.main(["serve", str(folder)]) == 2
            assert says in capsys.readouterr().err


@pytest.fixture
def echo():
    return echo_server()


class TestTransports:
    def test_lines(self, echo):
        ping = b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}'
        out = io.BytesIO()
        talk(echo, io.BytesIO(b"\n" + ping + b"\n" + b"x" * (2 * MOST_LINE + 5) + b"\n" + ping), out)
        got = [json.loads(line) for line in out.getvalue().splitlines()]
        assert [g.get("result") for g in got] == [{}, None, {}] and "at most 1000000 bytes" in got[1]["error"]["message"]

    def test_standard_input_and_output_have_nothing_else(self, saved):
        asked = "".join(json.dumps({"jsonrpc": "2.0", "id": n, "method": m}) + "\n"
                        for n, m in enumerate(("ping", "list_objects")))
        done = subprocess.run([sys.executable, "-m", "lsm_ros.cli", "serve", str(saved)], input=asked, capture_output=True,
                              text=True, timeout=120)
        got = [json.loads(line) for line in done.stdout.splitlines()]
        assert done.returncode == 0 and [g["id"] for g in got] == [0, 1] and got[1]["result"]["objects"]

    @contextlib.contextmanager
    def listening(self, server, path, monkeypatch):
        made = []
        kind = serve_run._Listener

        class Known(kind):
            def __init__(self, *args):
                super().__init__(*args)
                made.append(self)

        monkeypatch.setattr(serve_run, "_Listener", Known)
        thread = threading.Thread(target=serve_socket, args=(server, path))
        thread.start()
        while not made:
            time.sleep(0.01)
        try:
            yield
        finally:
            made[0].shutdown()
            thread.join(10)
        assert not path.exists()

    def test_a_socket_is_its_owners_and_serves_several(self, echo, tmp_path, monkeypatch):
        path = tmp_path / "s"
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))  # left behind by somebody who was killed
        with self.listening(echo, path, monkeypatch), contextlib.ExitStack() as stack:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            clients = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(3)]
            for n, c in enumerate(clients):
                c.settimeout(10)
                c.connect(str(path))
                c.sendall(json.dumps({"jsonrpc": "2.0", "id": n, "method": "echo", "params": {"text": "x"}}).encode() + b"\n")
            for n, c in enumerate(clients):
                assert json.loads(c.makefile("rb").readline())["id"] == n
            with pytest.raises(FileExistsError, match="is in use"):
                serve_socket(echo, path)

    def test_beyond_the_most_clients_are_sent_away(self, echo, tmp_path, monkeypatch):
        path, ping = tmp_path / "s", b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}\n'
        with self.listening(echo, path, monkeypatch), contextlib.ExitStack() as stack:
            for n in range(MOST_CLIENTS + 1):
                c = stack.enter_context(socket.socket(socket.AF_UNIX))
                c.settimeout(10)
                c.connect(str(path))
                got = b""
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    c.sendall(ping)
                    got = c.recv(1000)
                assert bool(got) == (n < MOST_CLIENTS)

    def test_paths_that_no_socket_can_have(self, echo, tmp_path):
        (tmp_path / "file").write_text("mine")
        for path, kind, says in ((tmp_path / "file", FileExistsError, "is no socket"),
                                 (tmp_path / ("x" * 100), ValueError, "at most 100"),
                                 (tmp_path / "no" / "s", FileNotFoundError, "there is no folder")):
            with pytest.raises(kind, match=says):
                serve_socket(echo, path)
        assert (tmp_path / "file").read_text() == "mine"


def test_the_official_client_understands_it(saved):
    """With the package `mcp` where it is installed."""
    pytest.importorskip("mcp")
    import asyncio

    from mcp import ClientSession, StdioServerParameters
    from mcp.client.stdio import stdio_client

    async def talk_to_it():
        how = StdioServerParameters(command=sys.executable, args=["-m", "lsm_ros.cli", "serve", str(saved)],
                                    env=dict(os.environ))
        async with stdio_client(how) as (read, write), ClientSession(read, write) as session:
            await session.initialize()
            tools = await session.list_tools()
            objects = await session.call_tool("list_objects", {})
            wrong = await session.call_tool("picture", {"id": 9999})
            return [t.name for t in tools.tools], objects, wrong

    names, objects, wrong = asyncio.run(talk_to_it())
    assert names == ["list_objects", "find", "goal_near", "where_am_i", "picture"]
    assert json.loads(objects.content[0].text)["objects"]
    assert "there is no object 9999" in wrong.content[0].text
