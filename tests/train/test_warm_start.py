"""Autoencoding both folders first: real updates on made pictures, tiny."""

import json
import signal

import pytest
import torch
from PIL import Image

from conftest import TINY, equal, made_picture
from inkbridge.errors import ConfigError
from inkbridge.images import read_picture, to_network
from inkbridge.metrics.quality import QualityMeter
from inkbridge.train import loop
from inkbridge.train.budget import Budget
from inkbridge.train.checkpoint import read_checkpoint
from inkbridge.train.config import load_config
from inkbridge.train.loop import train
from inkbridge.train.networks.generator import Generator
from inkbridge.train.recipes import RECIPES

SETTINGS = [*TINY, "batch=4"]
SMALL = ["data.crop=48", "generator.width=8", "generator.body=16", "discriminator.width=8", "batch=2"]
"""What every recipe takes."""


def apart(run, folder) -> float:
    """Mean square difference of the generator's paintings of a folder's pictures from the pictures."""
    state = read_checkpoint(run / "checkpoint.pt")["modules"]["generator"]
    generator = Generator(load_config(None, SETTINGS).model.generator)
    generator.load_state_dict(state)
    pictures = [torch.from_numpy(to_network(read_picture(path).rgb)) for path in sorted(folder.iterdir())[:4]]
    with torch.no_grad():
        found = [
            (generator(p[..., :72, :96], generator.styles) - p[..., :72, :96]).square() for p in pictures
        ]
    return float(torch.stack(found).mean())


def discriminator(run) -> dict:
    return read_checkpoint(run / "checkpoint.pt")["modules"]["discriminator"]


def unmoved(contents, styles):
    """A measure that takes no time."""
    return lambda results: [{"covered": 0.5, "edges": 0.5, "repeats": 0.0}] * (1 + len(results))


def test_the_generator_alone_learns_to_paint_both_sides_as_they_are(toy_folders, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "LOG_SECONDS", 0.0)
    for i in range(10):  # broad shapes, which so small a network can paint
        Image.fromarray(made_picture(80, 100, 50 + i) // 2 + 120).save(toy_folders[1] / f"{i}.png")
    new, warm, on = (tmp_path / name for name in ("new", "warm", "on"))
    settings = [*SETTINGS, "warm_start=480", "optimizer.schedule=constant", "evaluate_every=160"]
    train(*toy_folders, new, load_config(None, settings), Budget(images=4))
    train(*toy_folders, warm, load_config(None, settings), Budget(images=480))
    for folder in toy_folders:
        assert apart(warm, folder) < 0.6 * apart(new, folder)
    assert equal(discriminator(warm), discriminator(new))
    train(*toy_folders, on, load_config(None, settings), Budget(images=640), measure=unmoved)
    assert not equal(discriminator(on), discriminator(new))
    health = on / "health.jsonl"  # which may well say of so small a network what results look like
    assert not health.exists() or "discriminator" not in health.read_text()


def test_it_goes_on_bit_for_bit(toy_folders, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "LOG_SECONDS", 0.0)
    config = load_config(None, [*SETTINGS, "warm_start=16", "evaluate_every=16"])
    whole, parts = tmp_path / "whole", tmp_path / "parts"

    def stopping_at(images_seen):
        def stop(report):
            if report.images_seen == images_seen:
                signal.raise_signal(signal.SIGINT)

        return stop

    assert train(*toy_folders, whole, config, Budget(images=32), measure=QualityMeter)
    for images_seen in (8, 20):
        assert not train(
            *toy_folders, parts, config, Budget(images=32), stopping_at(images_seen), measure=QualityMeter
        )
    assert train(*toy_folders, parts, config, Budget(images=32), measure=QualityMeter)
    assert equal(*(read_checkpoint(run / "checkpoint.pt")["modules"] for run in (whole, parts)))
    lines = [json.loads(line) for line in (whole / "log.jsonl").read_text().splitlines()]
    assert ["autoencoding" in line for line in lines] == [line["images_seen"] <= 16 for line in lines]


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_can_start_warm(name, toy_folders, tmp_path):
    judged = ["losses.adversarial_weight=0.1"] if RECIPES[name].alone else []
    config = load_config(None, [f"recipe={name}", *SMALL, *judged, "warm_start=4", "precision=float32"])
    content, style = toy_folders
    if RECIPES[name].pairs:
        style = content  # each a picture of two halves
    assert train(content, style, tmp_path / "run", config, Budget(images=8))
    moved = read_checkpoint(tmp_path / "run" / "checkpoint.pt")["optimizers"]["discriminator"]["state"]
    assert {int(state["step"]) for state in moved.values()} == {2}


def test_it_is_one_or_the_other():
    with pytest.raises(ConfigError, match="warm_start cannot be used with start_from"):
        load_config(None, ["warm_start=100", "start_from=ukiyo-e"])
