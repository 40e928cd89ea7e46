"""Memory that does not suffice, and float16."""

import json
import subprocess
import sys

import pytest
import torch

from conftest import TINY, equal
from inkbridge.errors import ConfigError, TrainingError
from inkbridge.train import cost
from inkbridge.train.budget import Budget
from inkbridge.train.config import load_config
from inkbridge.train.loop import train
from inkbridge.train.recipes import RECIPES, cut

SETTINGS = [*TINY, "batch=8", "evaluate_every=0"]


@pytest.fixture
def greedy(monkeypatch):
    """A recipe for whose updates memory suffices only with so many pictures at once, from some update on.

    The allocator's own refusal: of more memory than any machine has.
    """

    def make(most: int, after: int):
        class Greedy(cut.Cut):
            def update(self, content, style, choice, progress, images_seen, rng):
                made = super().update(content, style, choice, progress, images_seen, rng)
                is_whole = len(content) == 8  # a forecast is made from fewer
                if is_whole and images_seen >= after and not 0 < self.passes.at_once <= most:
                    torch.empty(1 << 50)
                return made

        monkeypatch.setitem(RECIPES, "cut", Greedy)

    return make


def state(run):
    return torch.load(run / "checkpoint.pt", weights_only=True)


def test_memory_that_runs_out_is_answered_with_fewer_pictures_at_once(greedy, toy_folders, tmp_path):
    config = load_config(None, SETTINGS)
    assert train(*toy_folders, tmp_path / "whole", config, Budget(images=48))
    greedy(most=2, after=16)
    said: list[str] = []
    assert train(*toy_folders, tmp_path / "run", config, Budget(images=48), say=said.append)
    answers = [sentence for sentence in said if "memory ran out" in sentence]
    assert [sentence.split("networks that see ")[1].split()[0] for sentence in answers] == ["8", "4", "2"]
    assert all("the same updates of 8" in sentence for sentence in answers)
    assert state(tmp_path / "run")["progress"]["at_once"] == 2
    lines = [json.loads(line) for line in (tmp_path / "run" / "health.jsonl").read_text().splitlines()]
    assert [line["sign"] for line in lines] == ["memory"] * 3
    sides = (state(run)["modules"]["generator"] for run in (tmp_path / "whole", tmp_path / "run"))
    for one, other in zip(*(side.values() for side in sides), strict=True):
        assert torch.allclose(one, other, atol=1e-3)  # in float32 the order of sums shows
    said.clear()
    assert train(*toy_folders, tmp_path / "run", config, Budget(images=64), say=said.append)
    assert not any("memory ran out" in sentence for sentence in said)


def test_memory_too_short_from_the_start_is_said_before_training(greedy, toy_folders, tmp_path):
    greedy(most=4, after=0)
    said: list[str] = []
    config = load_config(None, SETTINGS)
    assert train(*toy_folders, tmp_path / "run", config, Budget(images=16), say=said.append)
    assert any("Networks see 4 pictures at once, so that memory suffices" in sentence for sentence in said)
    assert not any("memory ran out" in sentence for sentence in said)
    assert json.loads((tmp_path / "run" / "config.json").read_text())["at_once"] == 4
    assert train(*toy_folders, tmp_path / "run", config, Budget(images=32))


def test_a_forecast_of_too_much_memory_is_answered_in_the_same_way(monkeypatch):
    config = load_config(None, [*SETTINGS, "batch=64", "data.crop=192"])
    recipe = cost.build(config, 1, torch.device("cpu"))
    needed = []
    for at_once in (0, 4):
        recipe.passes.at_once = at_once
        needed.append(cost._forecast(recipe, config, torch.device("cpu"), 64))
    assert needed[1] < needed[0]
    monkeypatch.setattr(cost, "_free_memory", lambda device: sum(needed) // 2)
    found = cost.measure_cost(recipe, config, torch.device("cpu"))
    assert 0 < found.at_once < 64


def test_memory_too_short_for_one_picture_is_one_sentence_and_loses_nothing(greedy, toy_folders, tmp_path):
    greedy(most=0, after=0)
    with pytest.raises(ConfigError, match=r"Lower batch \(= 8\)"):
        train(*toy_folders, tmp_path / "none", load_config(None, SETTINGS), Budget(images=48))
    greedy(most=0, after=16)
    with pytest.raises(TrainingError, match=r"memory ran out\. What was trained up to the last checkpoint"):
        train(*toy_folders, tmp_path / "run", load_config(None, SETTINGS), Budget(images=48))
    assert state(tmp_path / "run")["progress"]["at_once"] == 1


def test_what_is_said_of_memory_is_what_training_takes(toy_folders, tmp_path):
    code = """
from pathlib import Path
from inkbridge.cli import main
try:
    main()
finally:
    # Not ru_maxrss: a process inherits that of the one that started it, here of the whole test run.
    status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    print(int(status["VmHWM"].split()[0]) * 1024)
"""
    folders = ["--content", str(toy_folders[0]), "--style", str(toy_folders[1])]
    settings = [part for setting in ("batch=16", "data.crop=160") for part in ("--set", setting)]
    command = [sys.executable, "-c", code, "train", *folders, "--out", str(tmp_path / "run"), *settings]
    done = subprocess.run([*command, "--images", "32"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = float(done.stdout.split("Memory: about ")[1].split()[0]) * 1e9
    assert said == pytest.approx(int(done.stdout.split()[-1]), rel=0.3)


def test_float16_scales_its_losses_and_goes_on_bit_for_bit(toy_folders, tmp_path):
    settings = [*TINY, "precision=float16"]
    config = load_config(None, [*settings, "optimizer.schedule=constant"])
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert train(*toy_folders, whole, config, Budget(images=24))
    assert train(*toy_folders, parts, config, Budget(images=12))
    assert train(*toy_folders, parts, config, Budget(images=24))
    state, again = (torch.load(run / "checkpoint.pt", weights_only=True) for run in (whole, parts))
    assert equal(state["modules"], again["modules"])
    assert state["modules"]["scaler"]["_extra_state"]["scale"] > 1
    assert state["modules"]["scaler"]["_extra_state"]["_growth_tracker"] > 0
    assert all(bool(p.isfinite().all()) for p in state["modules"]["generator"].values())
    before = cost.build(load_config(None, settings), 1, torch.device("cpu")).generator.state_dict()
    assert any(not torch.equal(before[name], p) for name, p in state["modules"]["generator"].items())
