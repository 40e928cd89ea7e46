"""A training that breaks goes back by itself, a bounded number of times, and keeps what was sound."""

import json

import pytest
import torch

from conftest import TINY, run_inkbridge
from inkbridge.errors import TrainingError
from inkbridge.train.budget import Budget
from inkbridge.train.checkpoint import read_checkpoint, restore_checkpoint
from inkbridge.train.config import load_config
from inkbridge.train.export import export_run
from inkbridge.train.health import MOST_SETBACKS
from inkbridge.train.loop import train
from inkbridge.train.optimizers import generator_lr
from inkbridge.train.recipes.cut import Cut

SETTINGS = [*TINY, "batch=2", "checkpoint_seconds=0"]


def is_sound(run) -> bool:
    modules = read_checkpoint(run / "checkpoint.pt")["modules"]
    weights = [weight for state in modules.values() for weight in state.values() if torch.is_tensor(weight)]
    return all(bool(torch.isfinite(weight).all()) for weight in weights)


def break_at(monkeypatch, images: int, mended_by: float = 0.5) -> None:
    """A weight of the generator is no number after the update at so many images, until rates are that low."""
    update = Cut.update

    def breaking(self, content, style, choice, progress, images_seen, rng):
        found = update(self, content, style, choice, progress, images_seen, rng)
        if images_seen == images and self.lr_factor > mended_by:
            with torch.no_grad():
                self.generator.to_rgb.bias[0] = float("nan")
        return found

    monkeypatch.setattr(Cut, "update", breaking)


def test_a_weight_that_is_no_number_is_undone_at_half_the_learning_rates(toy_folders, tmp_path, monkeypatch):
    break_at(monkeypatch, 16)
    said: list[str] = []
    config = load_config(None, SETTINGS)
    assert train(*toy_folders, tmp_path / "run", config, Budget(images=40), say=said.append)
    assert is_sound(tmp_path / "run")
    state = read_checkpoint(tmp_path / "run" / "checkpoint.pt")
    assert state["progress"]["images_seen"] == 40
    assert state["progress"]["setbacks"] == 1
    told = [sentence for sentence in said if "a weight of the generator became" in sentence]
    assert len(told) == 1
    assert told[0].startswith("At 18 images")
    assert "Gone back to 16 images, on at half the learning rates (1 of 4 times)" in told[0]
    (line,) = (tmp_path / "run" / "health.jsonl").read_text().splitlines()
    assert json.loads(line) == {"images_seen": 16, "sign": "not-finite", "said": told[0]}


def test_the_lower_rates_hold_after_a_stop(toy_folders, tmp_path, monkeypatch):
    break_at(monkeypatch, 4, mended_by=0.25)
    config = load_config(None, [*SETTINGS, "optimizer.schedule=constant"])
    assert train(*toy_folders, tmp_path / "run", config, Budget(images=20))
    recipe = Cut(config.model, torch.device("cpu"))
    assert recipe.lr_factor == 1.0
    restore_checkpoint(tmp_path / "run" / "checkpoint.pt", recipe)
    assert recipe.lr_factor == 0.25
    rates = {group["lr"] for group in recipe.optimizer_g.param_groups}
    assert rates == {generator_lr(config.model.optimizer) / 4}


def test_a_run_that_breaks_at_once_goes_back_to_its_start(toy_folders, tmp_path, monkeypatch):
    break_at(monkeypatch, 0)
    config = load_config(None, [*TINY, "batch=2"])
    said: list[str] = []
    assert train(*toy_folders, tmp_path / "run", config, Budget(images=6), say=said.append)
    assert any("Gone back to 0 images" in sentence for sentence in said)
    assert is_sound(tmp_path / "run")


def test_what_nothing_mends_ends_in_one_sentence_and_keeps_the_last_sound_state(toy_folders, tmp_path):
    run, out = tmp_path / "run", tmp_path / "x.stylepack"
    # So high that a step overflows, at a sixteenth too.
    settings = [*SETTINGS, "optimizer.name=adam", "optimizer.generator_lr=1e38"]
    with pytest.raises(TrainingError, match="Start a new run with far lower") as raised:
        train(*toy_folders, run, load_config(None, settings), Budget(images=400))
    assert "\n" not in str(raised.value)
    assert is_sound(run)
    assert len((run / "health.jsonl").read_text().splitlines()) == MOST_SETBACKS
    export_run(run, out)
    assert out.exists()


def test_the_command_ends_without_a_traceback(toy_folders, tmp_path):
    content, style = toy_folders
    settings = [*SETTINGS, "optimizer.name=adam", "optimizer.generator_lr=1e38"]
    arguments = [part for setting in settings for part in ("--set", setting)]
    done = run_inkbridge(
        *(
            "train",
            "--content",
            content,
            "--style",
            style,
            "--out",
            tmp_path / "run",
            "--images",
            400,
            *arguments,
        )
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stdout.count("Gone back to") == MOST_SETBACKS
    assert "Start a new run with far lower" in done.stderr


def test_a_healthy_run_says_nothing(toy_folders, tmp_path):
    said: list[str] = []
    assert train(
        *toy_folders, tmp_path / "run", load_config(None, SETTINGS), Budget(images=40), say=said.append
    )
    assert not any("Gone back" in sentence for sentence in said)
    assert not (tmp_path / "run" / "health.jsonl").exists()
    assert read_checkpoint(tmp_path / "run" / "checkpoint.pt")["progress"]["setbacks"] == 0
