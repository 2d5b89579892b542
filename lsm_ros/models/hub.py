# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Places of checkpoints on this machine. Downloads only on request."""
from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from http.client import HTTPException
from pathlib import Path

from lsm_ros.files import replacing_file
from lsm_ros.models.known import KNOWN, NOT_HERE, Known


def weights_folder() -> Path:
    """Folder of single files: $LSM_WEIGHTS, or lsm_ros in the user's cache."""
    own = os.environ.get("LSM_WEIGHTS")
    return Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "lsm_ros" / "weights"


def find_known(name: str) -> Known | None:
    """The known checkpoint of this name or hub id; None if there is none."""
    return next((k for k in KNOWN if name in (k.name, k.hub_id)), None)


def split_pin(name: str) -> tuple[str, str]:
    """(name, pin) of `name` or `name@pin`: the SHA-256 of a single file, or the commit of a repository. ValueError for a pin
    that is neither, such as a branch, which may move."""
    plain, at, pin = name.partition("@")
    if at and not re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", pin):
        raise ValueError(f"{name}: {pin!r} is no pin; give the 64 digits of a file's SHA-256 or the 40 of a commit")
    return plain, pin


def pin_of(place: Path) -> str:
    """The pin of what lies there: the commit of a copy from the hub, the SHA-256 of a file; empty for another folder."""
    for part in (place, place.parent):
        if part.parent.name == "snapshots" and re.fullmatch("[0-9a-f]{40}", part.name):
            return part.name
    if not place.is_file():
        return ""
    digest = hashlib.sha256()
    with place.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def where(known: Known) -> Path | None:
    """The file or folder of a checkpoint on this machine: among the files, or in Hugging Face's cache; else None. ValueError
    for a file of another SHA-256 than its pin."""
    if known.shipped is not None:
        return _as_pinned(known.shipped, known) if known.shipped.exists() else None
    for suffix in (".pth", ".safetensors", ""):
        place = weights_folder() / f"{known.name}{suffix}"
        if place.exists():
            return _as_pinned(place, known)
    if known.package:
        place = file_of_package(known.package, f"weights/{known.name}")
        if place is not None:
            return _as_pinned(place, known)
    return cached_snapshot(known.hub_id, known.pin) if known.hub_id else None


def _as_pinned(place: Path, known: Known) -> Path:
    found = pin_of(place) if known.pin else ""
    if found != known.pin:
        raise ValueError(f"{place} is not the file that is meant: its SHA-256 is {found or 'unknown'}, not {known.pin}")
    return place


def file_of_package(module: str, path: str) -> Path | None:
    """A file of an installed package, which is not imported; None without the package or the file."""
    spec = importlib.util.find_spec(module)
    places = [Path(p) / path for p in (spec.submodule_search_locations or ())] if spec else []
    return next((p for p in places if p.exists()), None)


def cached_snapshot(hub_id: str, commit: str = "") -> Path | None:
    """The newest complete copy of `owner/name`, or that of a commit, in Hugging Face's cache, found without its library; None
    if there is none.

    The cache: hub/models--owner--name/refs/main names the folder in snapshots/. A copy that is a single .pth file is that file.
    """
    home = os.environ.get("HF_HUB_CACHE") or str(Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser() / "hub")
    folder = Path(home).expanduser() / f"models--{hub_id.replace('/', '--')}"
    main = folder / "refs" / "main"
    if not commit and not main.is_file():
        return None
    return _content(folder / "snapshots" / (commit or main.read_text().strip()))


def _content(snapshot: Path) -> Path | None:
    """The folder with a configuration and weights, or the only .pth file in it; None if it is incomplete."""
    weights = [snapshot / n for n in ("model.safetensors", "pytorch_model.bin")]
    if (snapshot / "config.json").is_file() and any(w.is_file() for w in weights):
        return snapshot
    single = sorted(snapshot.glob("*.pth"))
    return single[0] if len(single) == 1 else None


def find_in_hub(name: str, download: bool = False) -> Path:
    """The local copy of a known name or hub id `owner/name`, as it is pinned by `@pin`; fetched if it is missing and download
    is set.

    FileNotFoundError when it is missing and is not to be fetched, or when the name is neither a path nor an id. ValueError for
    what is no pin, and for a file that has another.
    """
    plain = name.partition("@")[0]
    known = find_known(plain)
    if known is None and not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", plain):
        raise FileNotFoundError(f"checkpoint {name} does not exist; `lsm weights` lists the known names")
    name, pin = split_pin(name)
    known = replace(known or Known(name.split("/")[1], "", 0, hub_id=name, licence="see its page"), pin=pin)
    place, at = where(known), f"@{pin}" if pin else ""
    if place is None and not download:
        raise FileNotFoundError(f"checkpoint {name} is not on this machine; `lsm weights --download {known.name}{at}` or "
                                "load(..., download=True) fetches it")
    return place or fetch(known)


def fetch(known: Known, progress: Callable[[int, int], None] | None = None) -> Path:
    """Downloads a checkpoint, as it is pinned, and returns its place. progress(done, total) receives bytes, total 0 if unknown.

    ImportError when the hub's library is missing, OSError when the download fails or is another file than its pin.
    """
    if known.network == NOT_HERE:
        raise OSError(f"{known.name} is of no use here: this package has no network for it, {known.needs} is missing")
    if known.by_hand:
        raise OSError(f"{known.name} is not fetched by this program; it is in {known.by_hand} (docs/two_view.md says how it is "
                      "used)")
    if known.hub_id:
        try:
            from huggingface_hub import snapshot_download
        except ImportError as error:
            raise ImportError(f"downloading {known.hub_id} needs huggingface_hub: pip install lsm_ros[weights]") from error
        try:
            commit = {"revision": known.pin} if known.pin else {}
            folder = Path(snapshot_download(known.hub_id, allow_patterns=list(known.files), **commit))
            return _content(folder) or folder
        except Exception as error:  # of the library, of what it is built on, or of the network
            raise OSError(f"{known.hub_id} could not be fetched from https://{known.origin}: {_reason(error)}; a folder with "
                          "its config.json and model.safetensors from elsewhere serves as well") from error
    place = weights_folder() / (known.name if known.name.endswith(".pkl") else f"{known.name}.pth")
    try:
        with replacing_file(place) as out:
            _copy(known.url, out, progress, known.pin)
    except (OSError, HTTPException) as error:
        raise OSError(f"{known.name} could not be fetched from {known.url}: {_reason(error)}; the file may also be put at "
                      f"{place} by hand") from error
    return place


def _reason(error: BaseException) -> str:
    """The first line of an error's message, or its name if the message is empty."""
    return (str(getattr(error, "reason", error)).strip().splitlines() or [type(error).__name__])[0]


def _copy(url: str, out, progress: Callable[[int, int], None] | None, pin: str) -> None:
    digest = hashlib.sha256()
    with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 (the addresses are ours)
        total = int(answer.headers.get("Content-Length", 0))
        done = 0
        while chunk := answer.read(1 << 20):
            out.write(chunk)
            digest.update(chunk)
            done += len(chunk)
            if progress is not None:
                progress(done, total)
        if total and done != total:
            raise OSError(f"{url} broke off after {done} of {total} bytes")
    if pin and digest.hexdigest() != pin:
        raise OSError(f"its SHA-256 is {digest.hexdigest()}, not {pin}")
