import copy
import json

import numpy as np
import pytest
import torch
from PIL import Image

import inkbridge
from conftest import TINY, made_picture
from inkbridge.errors import ConfigError, DataError
from inkbridge.train.checkpoint import read_checkpoint
from inkbridge.train.config import load_config
from inkbridge.train.export import export_run
from inkbridge.train.loop import Budget, train
from inkbridge.train.recipes.cut import Choice
from inkbridge.train.recipes.multistyle import Multistyle

SETTINGS = [*TINY, "encoder.width=4", "data.minimum=3"]
COLOURS = {"red-ink": (170, 40, 30), "blue-ink": (30, 50, 160), "green-ink": (30, 140, 50)}


@pytest.fixture
def recipe() -> Multistyle:
    torch.manual_seed(0)
    return Multistyle(load_config(None, SETTINGS, "multistyle").model, torch.device("cpu"), 3)


@pytest.fixture
def inks(tmp_path):
    """Content, and three styles that are stripes of one colour each; one of them has 3 pictures only."""
    content = tmp_path / "content"
    content.mkdir()
    for i in range(10):
        Image.fromarray(made_picture(72, 96, i)).save(content / f"{i}.png")
    for name, colour in COLOURS.items():
        (tmp_path / name).mkdir()
        for i in range(3 if name == "green-ink" else 8):
            y, x = np.mgrid[:80, :100]
            ink = ((x + (2 + i % 3) * y) // 5) % 2
            picture = np.where(ink[..., None] == 1, np.array(colour), np.array([235, 225, 200]))
            Image.fromarray(picture.astype(np.uint8)).save(tmp_path / name / f"{i}.png")
    return content, {name: tmp_path / name for name in COLOURS}


def batch(seed: int) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return (torch.rand(2, 3, 48, 48, generator=rng) * 2 - 1).contiguous(memory_format=torch.channels_last)


def test_every_style_gets_as_many_updates_by_code_and_by_example(recipe):
    choices = [recipe.choose(7, update) for update in range(60)]
    for style in range(3):
        for from_one in (False, True):
            assert choices.count(Choice(style, from_one)) == 10
    assert choices == [recipe.choose(7, update) for update in range(60)]
    assert choices != [recipe.choose(8, update) for update in range(60)]


def test_an_update_by_code_moves_that_code_alone_and_one_by_example_none(recipe):
    rng = torch.Generator().manual_seed(0)
    before = recipe.generator.styles.detach().clone()
    recipe.update(batch(1), batch(2), Choice(1, False), 0.1, 100, rng)
    moved = (recipe.generator.styles != before).any(dim=1).tolist()
    assert moved == [False, True, False]
    assert [len(memory.levels()) for memory in recipe.style_memories] == [0, 4, 0]
    recipe.optimizer_g.state.clear()  # Adam's momentum would move it on
    before, encoder = recipe.generator.styles.detach().clone(), copy.deepcopy(recipe.encoder.state_dict())
    recipe.update(batch(1), batch(2), Choice(1, True), 0.1, 102, rng)
    assert torch.equal(recipe.generator.styles, before)
    assert not torch.equal(recipe.encoder.to_code.weight, encoder["to_code.weight"])


def test_each_style_has_its_own_output_of_the_discriminator(recipe):
    logits = [recipe.discriminator(batch(1), style)[0][0] for style in range(3)]
    assert logits[0].shape == (2, 1, 6, 6)
    assert not torch.equal(logits[0], logits[1])
    rng = torch.Generator().manual_seed(0)
    weight = recipe.discriminator.scales[0].convs[-1].weight
    before = weight.detach().clone()
    recipe.update(batch(1), batch(2), Choice(2, False), 0.1, 100, rng)
    assert (weight != before).flatten(1).any(dim=1).tolist() == [False, False, True]


def test_the_code_of_an_example_does_not_depend_on_where_things_are(recipe):
    picture = batch(3)
    moved = torch.roll(picture, (16, 16), (2, 3))
    code, other = recipe.encoder(picture), recipe.encoder(moved)
    assert (code - other).abs().mean() < 0.1 * (code - recipe.encoder(batch(3) * 0.2)).abs().mean()


def test_three_styles_from_folder_to_picture(inks, tmp_path):
    content, styles = inks
    config = load_config(None, [*SETTINGS, "optimizer.generator_lr=2e-3", "sample_every=500"], "multistyle")
    out = tmp_path / "run"
    assert train(content, styles, out, config, Budget(images=1200))
    assert json.loads((out / "config.json").read_text())["folders"]["styles"].keys() == COLOURS.keys()
    grid = Image.open(sorted((out / "samples").glob("*.jpg"))[-1])
    assert grid.width > 4 * 256
    info = export_run(out, tmp_path / "inks.stylepack")
    assert [style.name for style in info.styles] == list(COLOURS)
    assert info.styles[0].title == "Red ink"
    pack = inkbridge.load(tmp_path / "inks.stylepack")
    picture = made_picture(96, 128, 99)
    painted = {name: pack.apply(picture, name).reshape(-1, 3).mean(0) for name in COLOURS}
    for channel, name in enumerate(("red-ink", "green-ink", "blue-ink")):
        others = [painted[other][channel] for other in COLOURS if other != name]
        assert painted[name][channel] > max(others) + 10, painted
    examples = {name: next(iter(sorted(folder.glob("*.png")))) for name, folder in styles.items()}
    for channel, name in enumerate(("red-ink", "green-ink", "blue-ink")):
        means = {other: pack.apply(picture, like=examples[other]).mean((0, 1))[channel] for other in COLOURS}
        assert max(means, key=means.get) == name, means
    fused = [
        pack.apply(picture, {"red-ink": 1 - w, "blue-ink": w}).reshape(-1, 3).mean(0)
        for w in (0, 0.25, 0.5, 0.75, 1)
    ]
    assert np.all(np.diff([colour[0] - colour[2] for colour in fused]) < 0)


def test_stopping_and_going_on_changes_nothing(inks, tmp_path):
    config = load_config(None, SETTINGS, "multistyle")
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(*inks, whole, config, Budget(images=48))
    train(*inks, parts, config, Budget(images=20))
    config_file = parts / "config.json"
    assert json.loads(config_file.read_text())["recipe"] == "multistyle"
    train(*inks, parts, config, Budget(images=48))
    one, other = read_checkpoint(whole / "checkpoint.pt"), read_checkpoint(parts / "checkpoint.pt")
    assert one["progress"]["images_seen"] == other["progress"]["images_seen"]
    for name in ("generator", "encoder", "discriminator"):
        for key, value in one["modules"][name].items():
            assert value.shape == other["modules"][name][key].shape


def test_what_cannot_be_trained_is_said(inks, tmp_path):
    content, styles = inks
    with pytest.raises(ConfigError, match="recipe=multistyle"):
        train(content, styles, tmp_path / "a", load_config(None, TINY), Budget(images=4))
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match="style new: folder"):
        config = load_config(None, SETTINGS, "multistyle")
        train(content, {**styles, "new": empty}, tmp_path / "b", config, Budget(images=4))
    assert not (tmp_path / "b" / "config.json").exists()
