# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The life cycle of the node, its parameters, and its end."""
import signal
import time

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from helpers.harness import LATCHED, START_NS
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import DescribeParameters, GetParameters, ListParameters, SetParameters
from sensor_msgs.msg import Image

from lsm_ros.config import Config, walk
from lsm_ros.models.onnx_engine import store_answer
from lsm_ros.msg import MappingStatus
from lsm_ros.ros.parameters import ros_name


def set_parameter(client, name, value):
    """Result of setting one parameter."""
    v = ParameterValue()
    if isinstance(value, bool):
        v.type, v.bool_value = 1, value
    elif isinstance(value, int):
        v.type, v.integer_value = 2, value
    elif isinstance(value, float):
        v.type, v.double_value = 3, value
    elif isinstance(value, str):
        v.type, v.string_value = 4, value
    else:
        v.type, v.string_array_value = 9, value
    request = SetParameters.Request(parameters=[Parameter(name=name, value=v)])
    (result,) = client.call(SetParameters, "/mapping/set_parameters", request).results
    return result


def test_transitions_parameters_and_failure_with_reason(client, room, start):
    node = start(autostart=False, load_map="nowhere")
    client.listen(DiagnosticArray, "/diagnostics")
    client.listen(MappingStatus, "/mapping/status", LATCHED)
    assert client.state() == "unconfigured"
    assert client.transition("configure") is False
    assert client.state() == "unconfigured"
    told = client.wait_message("/diagnostics", lambda m: "configure failed" in m.status[0].message).status[0]
    assert "nowhere" in told.message and "holds no map" in told.message and told.level == b"\x02"
    assert "holds no map" in node.log()

    # two values that do not fit each other
    assert set_parameter(client, "load_map", "").successful
    refused = set_parameter(client, "pairs.min_depth", 9.0)
    assert not refused.successful and "pairs.max_depth" in refused.reason

    assert client.transition("configure") and client.state() == "inactive"
    client.wait_status(lambda s: s.pair_model == "depth" and not s.active)
    client.publisher(Image, "camera/image")
    client.wait_matched("camera/image")
    client.send_frame(room.frame_sets[0].frames[0], START_NS)
    time.sleep(0.5)  # as long as it may take to arrive; a late one would be seen below, as one frame more
    assert client.status().frames_received == 0  # inactive: gated

    assert client.transition("activate")
    for k, frame_set in enumerate(room.frame_sets[1:4]):
        client.send_frame(frame_set.frames[0], START_NS + (k + 1) * 10**8)
        time.sleep(0.1)
    client.wait_status(lambda s: s.active and s.frames_processed == s.frames_received == 3)
    assert client.transition("deactivate")
    client.send_frame(room.frame_sets[4].frames[0], START_NS + 4 * 10**8)
    status = client.wait_status(lambda s: not s.active)
    assert status.frames_processed == 3 and status.keyframes >= 1  # the map stays
    assert client.transition("activate")
    client.send_frame(room.frame_sets[5].frames[0], START_NS + 5 * 10**8)
    client.wait_status(lambda s: s.frames_processed == 4)
    assert client.transition("deactivate") and client.transition("cleanup")
    assert client.state() == "unconfigured"
    client.wait_status(lambda s: not s.pair_model and s.keyframes == 0)

    # from the start again, with a parameter that needs it
    assert set_parameter(client, "fusion.voxel_size", 0.1).successful
    assert client.transition("configure") and client.transition("activate")
    for k, frame_set in enumerate(room.frame_sets[:3]):
        client.send_frame(frame_set.frames[0], START_NS + k * 10**8)
        time.sleep(0.1)
    client.wait_status(lambda s: s.frames_processed == 3 and s.keyframes >= 1)
    assert client.transition("shutdown") and client.state() == "finalized"
    assert node.alive()


def test_parameters_are_described_checked_and_said_to_need_a_reset(client, start):
    node = start(**{"node.cloud_stride": 2, "fusion.min_weight": 3})
    client.wait_active(node)
    names = client.call(ListParameters, "/mapping/list_parameters").result.names
    expected = {ros_name(n) for n, _, _ in walk(Config())} | {"cameras"}
    assert expected <= set(names)
    wanted = ["fusion.voxel_size", "cloud_rate_hz", "queue_depth", "image_transport", "fusion.min_weight"]
    voxel, rate, depth, transport, weight = client.call(
        DescribeParameters, "/mapping/describe_parameters", DescribeParameters.Request(names=wanted)).descriptors
    assert "edge of a geometry voxel [m]" in voxel.description and "reset needed" in voxel.description
    assert (voxel.floating_point_range[0].from_value, voxel.floating_point_range[0].to_value) == (0.005, 1.0)
    assert "may change at run time" in rate.description and rate.floating_point_range[0].to_value == 100.0
    assert (depth.integer_range[0].from_value, depth.integer_range[0].to_value) == (1, 1000)
    assert "raw, compressed" in transport.additional_constraints and "run time" in weight.description
    given = client.call(GetParameters, "/mapping/get_parameters",
                        GetParameters.Request(names=["cloud_stride", "fusion.min_weight"])).values
    assert (given[0].integer_value, given[1].double_value) == (2, 3.0)

    assert set_parameter(client, "cloud_rate_hz", 5.0).successful
    assert set_parameter(client, "grid.max_height", 1.0).successful
    for name, value, words in (("cloud_rate_hz", 1e6, "100"), ("fusion.voxel_size", 0.1, "reset needed"),
                               ("cameras", ["other"], "reset needed"), ("grid.max_height", 0.05, "grid.min_height"),
                               ("cloud_stride", "four", "type"), ("image_transport", "smoke", "reset needed")):
        result = set_parameter(client, name, value)
        assert not result.successful and words in result.reason, (name, result.reason)
    assert client.state() == "active"


@pytest.mark.parametrize(("parameters", "words"), [
    ({"fusion.voxel_size": 7.0}, ["fusion.voxel_size", "outside 0.005 to 1.0"]),
    ({"cameras": ["front camera"]}, ["cameras", "'front camera'"]),
    ({"localization_only": True}, ["load_map"]),
    ({"load_map": "../../etc"}, ["../../etc", "map_directory"]),
    ({"pairs.model": "magic"}, ["pairs.model", "magic"]),
    ({"camera_masks": "fornt=m.png"}, ["camera_masks", "'fornt'", "camera"]),
    ({"tracking.hubber": 1.0, "fusion.voxel_size": "big"}, ["did you mean 'tracking.huber'", "'big'"]),
], ids=["range", "camera", "localization", "outside", "choice", "mask", "unknown"])
def test_bad_values_at_start_end_in_unconfigured_with_a_reason(client, start, parameters, words):
    node = start(**parameters)
    client.wait(lambda: "configure failed" in node.log(), 15, f"a failure; {node.log()}")
    assert all(w in node.log() for w in words), node.log()
    assert client.state() == "unconfigured"


def test_an_engine_that_computes_something_else_is_refused_by_name_at_configure(client, start, tmp_path):
    """A model with a stored answer that ONNX Runtime's CPU does not give: as TensorRT may be wrong on a robot."""
    from helpers.onnx_models import write_model

    path = write_model(tmp_path / "prior.onnx")
    image = np.random.default_rng(0).random((1, 3, 24, 32), np.float32)
    answer = image.mean(1, keepdims=True)
    given = {"pairs.model": "two_view", "pairs.depth_prior": "onnx", "pairs.depth_prior_model": str(path)}
    store_answer(path, [({"x": image}, {"y": 1.2 * answer})])
    node = start(**given)
    client.wait(lambda: "configure failed" in node.log(), 30, f"a failure; {node.log()}")
    assert f"engine cpu is refused for {path}: its y differs from the stored answer by 0.17" in node.log(), node.log()
    assert client.state() == "unconfigured"
    node.stop()
    store_answer(path, [({"x": image}, {"y": answer})])
    client.wait_active(start(**given))


def test_sigterm_is_a_clean_end(client, room, start):
    node = start()
    client.wait_active(node)
    client.publisher(Image, "camera/image")
    client.wait_matched("camera/image")
    for k, frame_set in enumerate(room.frame_sets[:5]):
        client.send_frame(frame_set.frames[0], START_NS + k * 10**8)
    assert node.stop(signal.SIGTERM) == 0
    assert "Traceback" not in node.log()
