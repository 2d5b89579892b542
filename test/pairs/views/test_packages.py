# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Multi-view networks of other packages: by stand-ins with their interface, and by the package itself where it is installed."""
import json
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from helpers.optional import imported

from lsm_ros.config import PairConfig
from lsm_ros.geometry import CameraIntrinsics, make_se3, se3_inverse, so3_exp
from lsm_ros.models.tensor_files import write_safetensors
from lsm_ros.pairs import make_pair_model
from lsm_ros.pairs.views.base import View
from lsm_ros.pairs.views.depth_anything3 import DepthAnything3Views
from lsm_ros.pairs.views.map_anything import MapAnythingViews
from lsm_ros.types import Frame

CAMERA = CameraIntrinsics(28, 14, 20.0, 21.0, 13.5, 6.5)
T_1 = make_se3(so3_exp([0.0, 0.2, 0.1]), [0.3, 0.1, 0.0])
IMAGES = [np.full((14, 28, 3), value, np.uint8) for value in (0, 255)]
K = torch.tensor([[30.0, 0, 14], [0, 30.0, 7], [0, 0, 1]])


class Net3(torch.nn.Module):
    """A network with the interface of Depth Anything 3's: depth 2 everywhere, the second camera at T_1."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, images):
        self.seen = images
        T = torch.from_numpy(np.stack([np.eye(4), se3_inverse(T_1)])[:, :3]).float()[None]
        shape = (1, 2, *images.shape[-2:])
        return {"depth": torch.full(shape, 2.0), "depth_conf": torch.full(shape, 3.0), "extrinsics": T,
                "intrinsics": K.expand(1, 2, 3, 3)}


class Anything(torch.nn.Module):
    """A network with the interface of MapAnything's; `given` is what it was given."""

    encoder = SimpleNamespace(data_norm_type="dinov2")

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def infer(self, views, **options):
        self.given, self.options, out = views, options, []
        for k, view in enumerate(views):
            height, width = view["img"].shape[-2:]
            mask = torch.ones(1, height, width, 1, dtype=torch.bool)
            mask[0, 0, 0] = False
            out.append({"pts3d_cam": torch.full((1, height, width, 3), 1.5), "conf": torch.full((1, height, width), 2.0),
                        "camera_poses": torch.from_numpy([np.eye(4), T_1][k]).float()[None], "intrinsics": K[None],
                        "mask": mask})
        return out


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_name": "da3-tiny"}))
    write_safetensors(tmp_path / "model.safetensors", {"model.weight": torch.ones(1)})
    return tmp_path


@pytest.fixture
def stand_ins(monkeypatch):
    """Modules by the names of the packages."""
    made = SimpleNamespace(net=Net3(), anything=Anything())
    modules = {"depth_anything_3": {}, "depth_anything_3.cfg": {"load_config": lambda path: path,
                                                                "create_object": lambda _config: made.net},
               "depth_anything_3.registry": {"MODEL_REGISTRY": {"da3-tiny": "tiny.yaml"}}, "mapanything": {},
               "mapanything.models": {"MapAnything": SimpleNamespace(from_pretrained=lambda _path: made.anything)}}
    for name, content in modules.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    return made


def test_depth_anything_3_gives_cameras_and_points(folder, stand_ins):
    model = DepthAnything3Views(str(folder))
    assert not model.is_metric and float(stand_ins.net.weight) == 1
    free, known = (model.predict([View(i, c) for i in IMAGES])[1] for c in (None, CAMERA))
    assert np.allclose(free.T_first_cam, T_1, atol=1e-6) and not free.is_metric
    assert (free.intrinsics.fx, free.intrinsics.cx, free.intrinsics.cy) == (30, 13.5, 6.5)  # pixel centres are integers here
    assert np.allclose(free.points_cam[3, 5], 2 * np.array([(5 - 13.5) / 30, (3 - 6.5) / 30, 1]), atol=1e-6)
    assert known.intrinsics == CAMERA and np.allclose(known.points_cam[3, 5, 0], 2 * (5 - 13.5) / 20)
    assert (free.confidence == 3).all()
    seen = stand_ins.net.seen[0]
    assert seen.shape == (2, 3, 14, 28) and torch.allclose(seen[0, :, 0, 0], torch.tensor([-0.485 / 0.229, -0.456 / 0.224,
                                                                                          -0.406 / 0.225]))
    stand_ins.net.da3_metric = True
    nested = DepthAnything3Views(str(folder))
    assert nested.is_metric and nested.predict([View(i) for i in IMAGES])[0].is_metric


def test_map_anything_is_given_what_is_known(folder, stand_ins):
    model = MapAnythingViews(str(folder))
    depth = np.full((14, 28), 2.5, np.float32)
    first, second = model.predict([View(IMAGES[0], CAMERA, np.eye(4), depth, is_metric=True), View(IMAGES[1])])
    a, b = stand_ins.anything.given
    assert a["img"].shape == (1, 3, 14, 28) and a["data_norm_type"] == ["dinov2"]
    assert torch.allclose(b["img"][0, :, 0, 0], torch.tensor([0.515 / 0.229, 0.544 / 0.224, 0.594 / 0.225]))
    assert torch.allclose(a["intrinsics"], torch.tensor([[[20.0, 0, 14], [0, 21, 7], [0, 0, 1]]]))
    assert a["depth_z"].shape == (1, 14, 28, 1) and a["camera_poses"].shape == (1, 4, 4)
    assert a["is_metric_scale"].tolist() == [True]
    assert set(b) == {"img", "data_norm_type"} and not stand_ins.anything.options["use_amp"]
    assert second.is_metric and np.allclose(second.T_first_cam, T_1, atol=1e-6) and second.intrinsics.fx == 30
    assert first.intrinsics == CAMERA and np.isnan(first.points_cam[0, 0]).all() and first.confidence[0, 0] == 0
    model.predict([View(IMAGES[0], None, None, depth), View(IMAGES[1], CAMERA, T_1)])
    a, b = stand_ins.anything.given
    assert set(a) == {"img", "data_norm_type"}  # depth needs intrinsics
    assert set(b) == {"img", "data_norm_type", "intrinsics"}  # a pose needs that of the first view
    model.predict([View(IMAGES[0], CAMERA, np.eye(4), None), View(IMAGES[1], CAMERA, T_1, depth)])
    assert stand_ins.anything.given[1]["is_metric_scale"].tolist() == [False]


@pytest.mark.parametrize("name", ["depth_anything3", "map_anything"])
def test_it_maps_as_a_pair_model(folder, stand_ins, name):
    model = make_pair_model(PairConfig(model=name, weights=str(folder)))
    tokens = model.encode([Frame(n, "c", np.full((60, 80, 3), 99 + n, np.uint8)) for n in range(2)])
    assert all(s % 14 == 0 for s in tokens[0].size) and max(tokens[0].size) in (504, 518)
    found = model.predict([tuple(tokens)])[0]
    assert found.is_metric == (name == "map_anything") == model.is_metric
    assert found.points_a.shape == (*tokens[0].size, 3)


@pytest.mark.parametrize(("kind", "package"), [(DepthAnything3Views, "pip install --no-deps depth-anything-3==0.1.1"),
                                               (MapAnythingViews, "package mapanything")])
def test_what_is_missing_is_named(folder, monkeypatch, kind, package):
    for name in ("depth_anything_3", "mapanything", "depth_anything_3.cfg", "mapanything.models"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=package):
        kind(str(folder))
    with pytest.raises(FileNotFoundError, match="checkpoint nowhere/model is not on this machine"):
        kind("nowhere/model")
    (folder / "config.json").unlink()
    with pytest.raises(ValueError, match="holds no config.json"):
        kind(str(folder))


def test_weights_of_something_else_are_refused(folder, stand_ins):
    write_safetensors(folder / "model.safetensors", {"model.other": torch.ones(1)})
    with pytest.raises(ValueError, match="model.safetensors does not fit da3-tiny: missing or unexpected weight, other"):
        DepthAnything3Views(str(folder))
    (folder / "config.json").write_text('{"model_name": "vggt"}')
    with pytest.raises(ValueError, match="its model_name is 'vggt', known are da3-tiny"):
        DepthAnything3Views(str(folder))
    (folder / "config.json").write_text("[]x")
    with pytest.raises(ValueError, match="config.json cannot be read"):
        DepthAnything3Views(str(folder))


def test_depth_anything_3_itself_with_random_weights(tmp_path):
    """The whole road but for real weights: its smallest network, saved as its authors do, loaded, run at a small size."""
    cfg, registry = imported("depth_anything_3.cfg"), imported("depth_anything_3.registry")
    torch.manual_seed(0)
    network = cfg.create_object(cfg.load_config(registry.MODEL_REGISTRY["da3-small"])).eval()
    write_safetensors(tmp_path / "model.safetensors", {f"model.{k}": v.contiguous() for k, v in network.state_dict().items()})
    (tmp_path / "config.json").write_text(json.dumps({"model_name": "da3-small"}))
    model = DepthAnything3Views(str(tmp_path))
    rng = np.random.default_rng(0)
    views = [View(rng.integers(0, 255, (56, 84, 3), np.uint8), CameraIntrinsics(84, 56, 70.0, 70.0, 41.5, 27.5))
             for _ in range(3)]
    found = model.predict(views)
    assert np.allclose(found[0].T_first_cam, np.eye(4), atol=1e-6)
    for p in found:
        assert p.points_cam.shape == (56, 84, 3) and np.isfinite(p.points_cam).all() and (p.confidence >= 1).all()
        assert np.allclose(p.T_first_cam[:3, :3] @ p.T_first_cam[:3, :3].T, np.eye(3), atol=1e-6)
        assert p.points_cam[3, 5, 0] / p.points_cam[3, 5, 2] == pytest.approx((5 - 41.5) / 70, abs=1e-6)


def test_a_model_of_single_images_is_no_multi_view_network(folder, stand_ins, monkeypatch):
    monkeypatch.setattr(Net3, "forward", lambda self, images: {"depth": torch.ones(1, 2, 14, 28)})
    with pytest.raises(ValueError, match="gives no poses, it is for single images"):
        DepthAnything3Views(str(folder)).predict([View(i) for i in IMAGES])
