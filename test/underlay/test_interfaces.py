# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Interface definitions of underlay/: the same type hashes as the originals, or the two would not talk.

The hash (REP 2011, RIHS01) covers names, order and types of all fields, also of nested messages.
"""

import json
from pathlib import Path

import pytest

UNDERLAY = Path(__file__).resolve().parents[2] / "underlay"

# As ROS 2 Jazzy's own packages have them (tf2_msgs 0.36, vision_msgs 4.1.1, nav2_msgs 1.3).
HASHES = {
    "nav2_msgs/msg/CostmapFilterInfo": "61ce391bf7690f76a331c01c9d5ce8ca71e6c99273b9fb75e48380f05c6dfdc8",
    "tf2_msgs/msg/TF2Error": "db2485e7d6a0ec75bf087e058ee45df682acc3a621ca7780503d10aac141809a",
    "tf2_msgs/msg/TFMessage": "e369d0f05a23ae52508854b66f6aa0437f3449d652e8cbf22d5abe85d020f087",
    "vision_msgs/msg/BoundingBox2D": "008eacbb0cf8f26e83795547bed013eec3675485ef386ec056d80eaaf1c1ce2f",
    "vision_msgs/msg/BoundingBox2DArray": "2464e82838009386d371b523211c21c91d74d313fcdd6788223c531d621cf691",
    "vision_msgs/msg/BoundingBox3D": "bbb73a65c163d7f9bb29009c7bde9f7faa576bd2d23299c4511d19230dab4698",
    "vision_msgs/msg/BoundingBox3DArray": "a81938db9576b10c2eecd7c5a5da3eac496efd00221b25ed051dfbc81fb56da6",
    "vision_msgs/msg/Classification": "f74db28d0eaef3afb78f48bf2161cd709a1383a0309d3454383b25be11345143",
    "vision_msgs/msg/Detection2D": "0d12b69df5c593b3455b7346fac8205437a7d4bcb09b9e0e0b2dde787ded38ea",
    "vision_msgs/msg/Detection2DArray": "214274120007f4a683866481336b70310268cfa107aebe9d594a6acf75bda968",
    "vision_msgs/msg/Detection3D": "ddd703be132ab0b69d33121f1bb034132bfbb3b0ac5f9fb1516005ba1c8a265b",
    "vision_msgs/msg/Detection3DArray": "793f5eab9595ac1c0da07873cc859db42eae51f0ee76056db8562515d830e018",
    "vision_msgs/msg/LabelInfo": "3d37df4015cdf660cc851c51897f2acd957e1ca6205ba0a99aebffb9406b0783",
    "vision_msgs/msg/ObjectHypothesis": "51da43cec11c01957a64d1e05a24acd18aae7745ec30b74348ad5f6d634f7f90",
    "vision_msgs/msg/ObjectHypothesisWithPose": "41c12344c0396c48b81df12467c192d99b2a0eb1463c5c37194e4223251c80bc",
    "vision_msgs/msg/Point2D": "eab0e83f44ab4de92ceaf76dd7d0e7638f2bdd1d16ffbe16c7a136c48e407247",
    "vision_msgs/msg/Pose2D": "b0b5d1d7b4c20dd4fcde3ed1d4b289a919290572007d67a97043814db25d3648",
    "vision_msgs/msg/VisionClass": "1e4a11f0fed50b5623cb8ff26ca0e37952a48a9c074d16f804b44e9164c2037a",
    "vision_msgs/msg/VisionInfo": "95d3116a17484ad91c9a2686e1d54890bbfc3ff6c6a2de137738c4950d45d284",
}
SERVICE_AND_ACTION_HASHES = {
    "tf2_msgs/srv/FrameGraph": "0d1fbc6222c018ba5f33822904a2fdd4063705289956d3fdde07cd8c50fe8067",
    "tf2_msgs/action/LookupTransform": "0b8adf6bc0b5958879e3265b41a457e03558fe523890a81252c70eba97a82c5d",
}


@pytest.fixture(scope="module")
def typestore():
    typesys = pytest.importorskip("rosbags.typesys")
    store = typesys.get_typestore(typesys.Stores.ROS2_JAZZY)
    types = {}
    for path in UNDERLAY.glob("*/msg/*.msg"):
        name = f"{path.parts[-3]}/msg/{path.stem}"
        store.fielddefs.pop(name, None)  # rosbags knows some of them already: ours shall count
        types.update(typesys.get_types_from_msg(path.read_text(), name))
    store.register(types)
    return store


def test_no_message_is_missing_or_added():
    found = {f"{path.parts[-3]}/msg/{path.stem}" for path in UNDERLAY.glob("*/msg/*.msg")}
    assert found == set(HASHES)


@pytest.mark.parametrize("name", HASHES)
def test_hash_of_the_definition(typestore, name):
    assert typestore.hash_rihs01(name) == f"RIHS01_{HASHES[name]}"


@pytest.mark.parametrize(("name", "expected"), [*HASHES.items(), *SERVICE_AND_ACTION_HASHES.items()])
def test_hash_of_the_build(name, expected):
    ament = pytest.importorskip("ament_index_python")
    package, kind, interface = name.split("/")
    try:
        share = Path(ament.get_package_share_directory(package))
    except ament.PackageNotFoundError:
        pytest.skip(f"{package} is not built")
    entries = json.loads((share / kind / f"{interface}.json").read_text())["type_hashes"]
    assert {entry["type_name"]: entry["hash_string"] for entry in entries}[name] == f"RIHS01_{expected}"


@pytest.mark.parametrize("package", ["tf2_msgs", "vision_msgs", "nav2_msgs"])
def test_every_definition_is_generated(package):
    cmake = (UNDERLAY / package / "CMakeLists.txt").read_text()
    files = [path for kind in ("msg", "srv", "action") for path in (UNDERLAY / package / kind).glob(f"*.{kind}")]
    assert files
    for path in files:
        assert f'"{path.parent.name}/{path.name}"' in cmake


def test_error_codes():
    """Constants and defaults are not part of the hash."""
    msg = pytest.importorskip("tf2_msgs.msg")
    names = (
        "NO_ERROR",
        "LOOKUP_ERROR",
        "CONNECTIVITY_ERROR",
        "EXTRAPOLATION_ERROR",
        "INVALID_ARGUMENT_ERROR",
        "TIMEOUT_ERROR",
        "TRANSFORM_ERROR",
    )
    assert [getattr(msg.TF2Error, name) for name in names] == list(range(7))
    assert msg.TF2Error().error == 0


def test_vision_messages_survive_the_wire():
    serialization = pytest.importorskip("rclpy.serialization")
    msg = pytest.importorskip("vision_msgs.msg")
    info = msg.LabelInfo(threshold=0.5)
    info.class_map = [msg.VisionClass(class_id=7, class_name="chair"), msg.VisionClass(class_id=65535)]
    info.header.frame_id = "map"
    detection = msg.Detection3D(id="chair 1")
    detection.results = [msg.ObjectHypothesisWithPose()]
    detection.results[0].hypothesis = msg.ObjectHypothesis(class_id="7", score=0.9)
    detection.bbox.size.x = 1.5
    for sent in (info, msg.Detection3DArray(detections=[detection])):
        raw = serialization.serialize_message(sent)
        assert serialization.deserialize_message(raw, type(sent)) == sent
