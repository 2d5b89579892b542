# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import dataclasses
import errno
import os
import signal

import numpy as np
import pytest
import torch
import yaml
from helpers.training_parts import RandomEncoder, Repeated, tiny

from lsm_ros import cli, models
from lsm_ros.models import checkpoint
from lsm_ros.semantics.codec import read_codec
from lsm_ros.training import checkpoints
from lsm_ros.training.checkpoints import CHECKPOINT_FILE, legs, read_checkpoint
from lsm_ros.training.config import train_config
from lsm_ros.training.log import read_log
from lsm_ros.training.schedule import learning_rate
from lsm_ros.training.trainer import Trainer
from lsm_sim.export import export
from lsm_sim.source import SimSource


def trainer(out, source, resume=False, encoder=None, held_out=None, weights_only=False, leg_bytes=15_000_000, **changes):
    return Trainer(train_config(tiny(**changes)), out, resume=resume, source=source, held_out=held_out,
                   encoder=encoder or RandomEncoder(), weights_only=weights_only, leg_bytes=leg_bytes, say=lambda _: None)


def losses(out):
    return [r["loss"] for r in read_log(out) if "loss" in r]


@pytest.mark.slow
def test_the_loss_of_a_tiny_network_falls_by_half(tmp_path, batches):
    done = trainer(tmp_path, Repeated(batches), optim={"steps": 90, "lr": 3e-3, "warmup": 5}).run()
    curve = losses(tmp_path)
    assert done.finished and len(curve) == 90
    assert np.mean(curve[-6:]) < 0.5 * np.mean(curve[:3])
    rows = [r for r in read_log(tmp_path) if "points" in r]
    for part in ("points", "matching", "language1", "language2"):  # all of them are learnt, not only the largest
        assert rows[-1][part] < rows[0][part], part


def test_completion_is_learnt_and_starts_the_pairs(tmp_path, batches):
    body = {k: v for k, v in tiny()["model"]["options"].items() if k.startswith(("enc", "dec"))}
    croco = {"name": "croco", "options": {**body, "pos_embed": "RoPE100"}}
    done = trainer(tmp_path / "a", Repeated(batches), objective="completion", model=croco,
                   optim={"steps": 25, "ema": 0.0}).run()
    curve = losses(tmp_path / "a")
    assert np.mean(curve[-5:]) < 0.9 * np.mean(curve[:3])
    second = trainer(tmp_path / "b", Repeated(batches), model={"init": str(done.weights)})
    started = models.load(done.weights)
    for theirs, ours in ((started.enc_blocks, second.model.enc_blocks), (started.dec_blocks, second.model.dec_blocks),
                         (started.dec_blocks, second.model.dec_blocks2)):
        assert all(torch.equal(a, b) for a, b in zip(theirs.parameters(), ours.parameters(), strict=True))
    with pytest.raises(ValueError, match="objective 'completion' trains croco"):
        trainer(tmp_path / "c", Repeated(batches), objective="completion")


def test_a_resumed_run_continues_the_same_curve(tmp_path, batches):
    trainer(tmp_path / "whole", Repeated(batches)).run()
    source = Repeated(batches, {4: lambda: os.kill(os.getpid(), signal.SIGTERM)})
    stopped = trainer(tmp_path / "parts", source).run()
    assert stopped.signal == signal.SIGTERM and not stopped.finished and stopped.step == 5
    with pytest.raises(ValueError, match="--resume"):
        trainer(tmp_path / "parts", Repeated(batches))
    rest = Repeated(batches)
    done = trainer(tmp_path / "parts", rest, resume=True).run()
    assert done.finished and rest.asked == [5, 6, 7]
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")  # to the last bit
    one, other = (read_checkpoint(tmp_path / d / CHECKPOINT_FILE) for d in ("whole", "parts"))
    for part in ("model", "ema"):
        assert all(torch.equal(v, other[part][k]) for k, v in one[part].items())


def test_signals_are_handled_as_before_afterwards(tmp_path, batches):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    source = Repeated(batches, {2: lambda: os.kill(os.getpid(), signal.SIGINT)})
    assert trainer(tmp_path, source).run().signal == signal.SIGINT
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_rows_after_the_checkpoint_are_logged_once(tmp_path, batches):
    def crash():
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        trainer(tmp_path, Repeated(batches, {5: crash}), save_every=3).run()
    assert len(losses(tmp_path)) == 5
    with (tmp_path / "log.jsonl").open("a") as f:
        f.write('{"step": 6, "lo')  # half a line
    trainer(tmp_path, Repeated(batches), resume=True, save_every=3).run()
    assert [r["step"] for r in read_log(tmp_path)] == list(range(1, 9))


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path, batches, monkeypatch):
    trainer(tmp_path, Repeated(batches, {3: lambda: os.kill(os.getpid(), signal.SIGTERM)})).run()
    before = (tmp_path / CHECKPOINT_FILE).read_bytes()
    real = torch.save

    def half(content, f):
        f.write(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoints.torch, "save", half)
    with pytest.raises(OSError, match="No space left on device; the previous content is intact"):
        trainer(tmp_path, Repeated(batches), resume=True, save_every=1).run()
    assert (tmp_path / CHECKPOINT_FILE).read_bytes() == before
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]
    monkeypatch.setattr(checkpoints.torch, "save", real)
    assert trainer(tmp_path, Repeated(batches), resume=True).run().finished


def test_legs_are_small_files_and_start_the_optimiser_anew(tmp_path, batches):
    stop = Repeated(batches, {3: lambda: os.kill(os.getpid(), signal.SIGTERM)})
    first = trainer(tmp_path, stop, weights_only=True, leg_bytes=600_000)
    first.run()
    leg, = legs(tmp_path)
    files = sorted(leg.glob("*.safetensors"))
    assert not (tmp_path / CHECKPOINT_FILE).exists() and len(files) > 3
    assert all(f.stat().st_size <= 600_000 for f in files)
    second = trainer(tmp_path, Repeated(batches), resume=True, weights_only=True, leg_bytes=600_000)
    assert second.step == second.start == 4 and not second.optimizer.state
    for key, value in first.model.state_dict().items():
        assert torch.allclose(value, second.model.state_dict()[key], atol=1e-3), key
    optim = second.config.optim
    assert second.train_step()["lr"] == learning_rate(optim, 4, 0) < 0.5 * learning_rate(optim, 4, 4)  # it warms up again
    second.run()
    assert [p.name for p in legs(tmp_path)] == ["leg-00000008"]
    files[0].unlink(missing_ok=True)
    next(legs(tmp_path)[0].glob("1-of-*")).unlink()
    with pytest.raises(ValueError, match="not complete"):
        trainer(tmp_path, Repeated(batches), resume=True, weights_only=True)


def test_what_is_exported_is_the_averaged_network(tmp_path, batches):
    made = trainer(tmp_path, Repeated(batches))
    done = made.run()
    network = models.load(done.weights)
    assert type(network).__name__ == "LsmSmall"
    for key, value in network.state_dict().items():
        assert torch.allclose(value, made.average.state[key], atol=1e-3), key
    assert read_codec(done.weights / "language.safetensors").same_as(made.codec)


def test_weights_of_another_text_encoder_are_refused(tmp_path, batches):
    done = trainer(tmp_path / "a", Repeated(batches)).run()
    with pytest.raises(ValueError, match="text encoder 'random', not to 'other'"):
        trainer(tmp_path / "a", Repeated(batches), resume=True, encoder=RandomEncoder("other"))
    with pytest.raises(ValueError, match="text encoder 'random', not to 'other'"):
        trainer(tmp_path / "b", Repeated(batches), encoder=RandomEncoder("other"), language={"encoder": "other"},
                model={"init": str(done.weights)})
    unasked = RandomEncoder()
    trainer(tmp_path / "b", Repeated(batches), encoder=unasked, model={"init": str(done.weights)})
    assert not unasked.asked  # the targets came with the weights


def test_another_config_does_not_go_on(tmp_path, batches):
    trainer(tmp_path, Repeated(batches, {1: lambda: os.kill(os.getpid(), signal.SIGTERM)})).run()
    with pytest.raises(ValueError, match="another config"):
        trainer(tmp_path, Repeated(batches), resume=True, loss={"matching": 0.5})


def test_accumulated_batches_are_one_large_step(tmp_path, batches):
    source = Repeated(batches)
    made = trainer(tmp_path, source, optim={"accumulate": 3, "steps": 2})
    made.run()
    assert source.asked == [0, 1, 2, 3, 4, 5]


def test_steps_without_a_finite_loss_change_nothing_and_end(tmp_path, batches):
    made = trainer(tmp_path, Repeated(batches), optim={"steps": 50})
    made.objective = lambda model, batch, n: (model.enc_norm.weight.sum() * float("nan"), {})
    before = {k: v.clone() for k, v in made.model.state_dict().items()}
    with pytest.raises(ValueError, match="since step 0: lower optim.lr"):
        made.run()
    assert all(torch.equal(v, before[k]) for k, v in made.model.state_dict().items())


def test_validation_is_on_averaged_weights_and_logged(tmp_path, batches):
    held_out = Repeated(batches)
    trainer(tmp_path, Repeated(batches), held_out=held_out, validation={"every": 4, "batches": 2}).run()
    rows = [r["validation"] for r in read_log(tmp_path) if "validation" in r]
    assert len(rows) == 2 and held_out.asked == [0, 1, 0, 1]
    assert {"loss", "depth_relative", "depth_metric", "depth_guess", "rotation", "match_precision", "classes"} <= set(rows[0])
    assert (tmp_path / "log.csv").read_text().startswith("step,loss,points,")


@pytest.mark.parametrize(("change", "said"), [
    ({"language": {"encoder": "all-minilm-l6-v2", "classes": ["chair", "spaceship"]}}, "class 'spaceship' does not exist"),
    ({"model": {"name": "lsm_smal"}}, "lsm_smal"), ({"model": {"init": "/nowhere/w"}}, "/nowhere/w does not exist"),
    ({"optim": {"stepps": 3}}, "optim.stepps; did you mean optim.steps?"), ({"data": {"kinds": ["cave"]}}, "cave"),
    ({"device": "cuda:99"}, "cuda:99")])
def test_bad_configs_end_with_one_line(tmp_path, change, said, capsys):
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(tiny(**{"language": {"encoder": ""}, **change})))
    assert cli.main(["train", str(tmp_path / "c.yaml"), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err.strip()
    assert said in error and len(error.splitlines()) == 1
    assert not (tmp_path / "out" / CHECKPOINT_FILE).exists()


def test_the_command_trains_stops_goes_on_and_exports(tmp_path, capsys):
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(tiny(language={"encoder": ""}, data={"batch": 2}, optim={"steps": 4})))
    command = ["train", str(tmp_path / "c.yaml"), "--out", str(tmp_path / "out"), "--weights-only"]
    assert cli.main([*command, "--minutes", "0.00001"]) == 0
    said = capsys.readouterr().err
    assert "the time is over after step 0 of 4; saved" in said and "--resume --weights-only" in said
    assert cli.main([*command, "--export"]) == 0
    assert type(models.load(tmp_path / "out" / "weights")).__name__ == "LsmSmall"
    assert cli.main([*command, "--resume"]) == 0
    assert "trained for 4 steps" in capsys.readouterr().out
    assert cli.main([*command[:-1], "--language-only"]) == 2
    assert "trains no language" in capsys.readouterr().err


def test_a_checkpoint_is_tuned_on_a_folder_of_frames(tmp_path):
    source = SimSource(3, "room", "hand", frames=8, width=64, height=48, rate_hz=5.0)
    export(source, tmp_path / "tum", "tum")
    source.close()
    body = {k: v for k, v in tiny()["model"]["options"].items() if k.startswith(("enc", "dec"))}
    keywords = {**body, "head_type": "linear", "output_mode": "pts3d", "img_size": (48, 64)}
    before = checkpoint.load(checkpoint.save(models.build("dust3r", **keywords), tmp_path / "dust3r", keywords), name="dust3r")
    changes = {"model": {"name": "dust3r", "init": str(tmp_path / "dust3r"), "options": {}}, "optim": {"steps": 3},
               "data": {"folders": [str(tmp_path / "tum")]}, "language": {"encoder": ""}}
    made = Trainer(train_config(tiny(**changes)), tmp_path / "out", say=lambda _: None)
    assert all(torch.equal(v, made.model.state_dict()[k]) for k, v in before.state_dict().items())
    done = made.run()
    after = models.load(done.weights, name="dust3r")
    assert not torch.allclose(after.downstream_head1.proj.weight, before.downstream_head1.proj.weight, atol=1e-4)
    assert np.isfinite(losses(tmp_path / "out")).all()


def test_frozen_parts_stay_and_a_leg_is_a_start(tmp_path, batches):
    first = trainer(tmp_path / "a", Repeated(batches), weights_only=True)
    first.run()
    options = {**tiny()["model"]["options"], "freeze": "encoder"}
    second = trainer(tmp_path / "b", Repeated(batches), model={"init": str(tmp_path / "a"), "options": options})
    for key, value in first.average.state.items():
        assert torch.allclose(value, second.model.state_dict()[key], atol=1e-3), key
    before = {k: v.clone() for k, v in second.model.state_dict().items()}
    second.run()
    changed = {k for k, v in second.model.state_dict().items() if not torch.equal(v, before[k])}
    assert not [k for k in changed if k.startswith(("enc_", "patch_embed"))]
    assert any(k.startswith("dec_blocks2") for k in changed)


def test_nothing_to_resume(tmp_path, capsys):
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(tiny(language={"encoder": ""})))
    assert cli.main(["train", str(tmp_path / "c.yaml"), "--out", str(tmp_path / "out"), "--resume"]) == 2
    assert "no checkpoint" in capsys.readouterr().err


def test_short_formats_are_for_the_network_alone(tmp_path, batches):
    made = trainer(tmp_path, Repeated(batches), precision="bfloat16", held_out=Repeated(batches),
                   validation={"every": 8, "batches": 1})
    views = ({"pts3d": batches[0].points1, "conf": torch.ones_like(batches[0].overlap[:, None, None]).expand(4, 48, 64)},
             {"pts3d_in_other_view": batches[0].points2, "conf": torch.ones(4, 48, 64)})
    with torch.autocast("cpu", torch.bfloat16):
        _, parts = made.objective.of_views(views, batches[0], 0)
    assert float(parts["points"]) < 1e-5  # the truth is the truth; in bfloat16 it would be millimetres off
    assert made.run().finished and all(p.dtype == torch.float32 for p in made.model.parameters())
    assert np.isfinite(losses(tmp_path)).all()


def test_compiling_needs_a_compiler(tmp_path, batches, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ValueError, match="no C\\+\\+ compiler 'no-such-compiler'.*compile: false"):
        trainer(tmp_path, Repeated(batches), compile=True, device="cpu")


@pytest.mark.slow
def test_a_compiled_run_follows_the_same_curve(tmp_path, batches):
    plain = trainer(tmp_path / "plain", Repeated(batches)).run()
    compiled = trainer(tmp_path / "compiled", Repeated(batches), compile=True).run()
    np.testing.assert_allclose(losses(tmp_path / "compiled"), losses(tmp_path / "plain"), rtol=1e-3)
    expected, found = (dict(models.load(done.weights).named_parameters()) for done in (plain, compiled))
    torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_one_step_without_a_finite_loss_is_left_out(tmp_path, batches, precision):
    """With float16 the gradients' scale was not settled afterwards, and each later step failed."""
    corrupted = dataclasses.replace(batches[0], points1=torch.full_like(batches[0].points1, torch.inf))
    t = trainer(tmp_path, Repeated([corrupted, *batches]), precision=precision)
    assert "bad_steps" in t.train_step()
    assert all("loss" in t.train_step() for _ in range(2))


def test_the_further_of_a_checkpoint_and_a_leg_is_resumed(tmp_path, batches):
    """A leg that went on from a checkpoint was passed over at the next start."""
    source = Repeated(batches, {3: lambda: os.kill(os.getpid(), signal.SIGTERM)})
    assert trainer(tmp_path, source).run().step == 4
    source = Repeated(batches, {5: lambda: os.kill(os.getpid(), signal.SIGTERM)})
    assert trainer(tmp_path, source, resume=True, weights_only=True).run().step == 6
    assert trainer(tmp_path, Repeated(batches), resume=True, weights_only=True).step == 6


def test_the_folder_of_a_training_serves_as_a_start(tmp_path, batches):
    done = trainer(tmp_path / "a", Repeated(batches)).run()
    second = trainer(tmp_path / "b", Repeated(batches), model={"init": str(tmp_path / "a")})
    started = models.load(done.weights).state_dict()
    assert all(torch.equal(v, started[k]) for k, v in second.model.state_dict().items())
