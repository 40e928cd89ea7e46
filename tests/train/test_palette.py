"""Where the colours of contents go in a style."""

import numpy as np
import pytest
import torch

from inkbridge.metrics.colour import colour_distance, to_lab, to_rgb
from inkbridge.train import losses
from inkbridge.train.config import load_config
from inkbridge.train.networks.generator import draw_grain
from inkbridge.train.palette import NODES, Palettes, colours_of, smoothed, transport
from inkbridge.train.recipe import Choice
from inkbridge.train.recipes import RECIPES

WHITE, BLUE, BLACK = (245, 245, 245), (70, 110, 220), (20, 20, 25)
PAPER, INDIGO, INK = (240, 225, 190), (30, 60, 120), (50, 45, 40)


def folder(colours, shares, num=12, seed=0):
    """Pictures of 64 x 64 in areas of 8 x 8 of these colours, each a little different."""
    rng = np.random.default_rng(seed)
    pictures = []
    for _ in range(num):
        cells = np.array(colours)[rng.choice(len(colours), (8, 8), p=shares)] + rng.normal(0, 3, (8, 8, 3))
        pictures.append(cells.clip(0, 255).astype(np.uint8).repeat(8, 0).repeat(8, 1))
    return pictures


def carried(palettes, colour, style=0):
    """Where one RGB colour goes, in RGB."""
    value = torch.tensor(colour, dtype=torch.float32).view(1, 3, 1, 1) / 127.5 - 1
    return ((palettes.of(value, style) + 1) * 127.5).flatten().numpy()


@pytest.fixture(scope="module")
def palettes():
    made = Palettes(2)
    contents = folder((WHITE, BLUE, BLACK), (0.5, 0.2, 0.3))
    made.learn(contents, [folder((PAPER, INDIGO, INK), (0.5, 0.2, 0.3), seed=1), contents])
    return made


@pytest.mark.parametrize(("content", "style"), [(WHITE, PAPER), (BLUE, INDIGO), (BLACK, INK)])
def test_a_colour_becomes_the_styles_nearest_of_its_kind(palettes, content, style):
    assert np.abs(carried(palettes, content) - style).max() < 12


def test_contents_carried_have_the_colours_of_the_style(palettes):
    contents = folder((WHITE, BLUE, BLACK), (0.5, 0.2, 0.3), seed=2)
    style = folder((PAPER, INDIGO, INK), (0.5, 0.2, 0.3), seed=3)
    pictures = torch.from_numpy(np.stack(contents)).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        out = palettes.of(pictures, 0).permute(0, 2, 3, 1)
    results = list(((out + 1) * 127.5).round().numpy().astype(np.uint8))
    assert colour_distance(results, style) < 0.2 * colour_distance(contents, style)


def test_a_style_of_the_contents_own_colours_leaves_them(palettes):
    for colour in (WHITE, BLUE, BLACK):
        assert np.abs(carried(palettes, colour, 1) - colour).max() < 4


def test_before_learning_every_colour_stays():
    for colour in (WHITE, BLUE, BLACK, (0, 255, 0)):
        assert carried(Palettes(1), colour) == pytest.approx(colour, abs=1e-3)


def test_tables_are_saved_and_the_same_each_time(palettes):
    again, restored = Palettes(2), Palettes(2)
    contents = folder((WHITE, BLUE, BLACK), (0.5, 0.2, 0.3))
    again.learn(contents, [folder((PAPER, INDIGO, INK), (0.5, 0.2, 0.3), seed=1), contents])
    restored.load_state_dict(palettes.state_dict())
    assert torch.equal(again.tables, palettes.tables)
    assert torch.equal(restored.tables, palettes.tables)
    assert palettes.tables.shape == (2, 3, NODES, NODES, NODES)


@pytest.mark.parametrize("pictures", [1, 3])
def test_few_pictures_of_one_colour_are_no_trouble(pictures):
    made = Palettes(1)
    flat = [np.full((40, 24, 3), 200, np.uint8)] * pictures
    made.learn(folder((WHITE, BLUE), (0.5, 0.5)), [flat])
    assert torch.isfinite(made.tables).all()
    assert np.abs(carried(made, BLUE) - 200).max() < 6
    made.learn(flat, [flat])
    assert np.abs(carried(made, (200, 200, 200)) - 200).max() < 6


def test_transport_shifts_with_a_shifted_set_and_keeps_order():
    rng = np.random.default_rng(0)
    source = rng.normal(0, 10, (2000, 3))
    points = np.stack([np.linspace(-15, 15, 7)] * 3, axis=1)
    shift = np.array([30.0, 5.0, -20.0])
    moved = smoothed(points, source, transport(source, source + shift))
    assert moved == pytest.approx(points + shift, abs=1.5)
    assert (np.diff(moved, axis=0) > 0).all()


def test_the_loss_compares_mean_colours_of_8_by_8_pixels():
    result = torch.zeros(1, 3, 16, 16)
    result[:, :, :8, :8] = torch.tensor([0.5, -0.5] * 32).view(8, 8)  # of mean 0
    result[:, :, 8:, 8:] = 1.0
    wanted = torch.zeros(1, 3, 2, 2)
    assert float(losses.palette(result, wanted)) == pytest.approx(0.25)
    assert float(losses.palette(result, colours_of(result))) == 0


def test_rgb_comes_back_from_lab():
    colours = np.random.default_rng(0).integers(0, 256, (500, 3), dtype=np.uint8)
    assert to_rgb(to_lab(colours)) * 255 == pytest.approx(colours, abs=1e-6)
    assert to_rgb(np.array([50.0, 200.0, -200.0])).min() >= 0


@pytest.mark.parametrize("name", ["cut", "multistyle"])
def test_training_brings_results_to_these_colours(name):
    """With the other losses off; the recipe sees the folders beforehand, as the loop shows them."""
    off = ("adversarial", "content", "activation", "texture", "affinity", "similarity", "redraw")
    if name == "multistyle":
        off = (*off, "style", "anchor")
    settings = ["generator.width=8", "generator.body=32", "discriminator.width=8", "losses.palette_weight=10"]
    config = load_config(None, [*settings, *(f"losses.{loss}_weight=0" for loss in off)], name)
    torch.manual_seed(0)
    recipe = RECIPES[name](config.model, torch.device("cpu"))
    contents = folder((WHITE, BLUE, BLACK), (0.4, 0.3, 0.3))
    styles = folder((PAPER, INDIGO, INK), (0.4, 0.3, 0.3), seed=1)
    recipe.prepare(contents, [styles])
    content, style = (
        torch.from_numpy(np.stack(side[:4])).permute(0, 3, 1, 2).float() / 127.5 - 1
        for side in (contents, styles)
    )
    content, style = (side.contiguous(memory_format=torch.channels_last) for side in (content, style))
    parts = []
    for seen in range(0, 320, 4):
        rng = torch.Generator().manual_seed(seen)
        parts.append(float(recipe.update(content, style, Choice(), 0.1, seen + 1000, rng)[1]["palette"]))
    assert np.mean(parts[-5:]) < 0.5 * np.mean(parts[:5])
    with torch.no_grad():
        grain = draw_grain(content, torch.Generator().manual_seed(0))
        results = colours_of(recipe.generator(content, recipe.generator.styles[:1], grain))
    out = [((picture + 1) * 127.5).permute(1, 2, 0).numpy().astype(np.uint8) for picture in results]
    assert colour_distance(out, styles) < 0.7 * colour_distance(contents[:4], styles)


def test_an_example_leads_without_its_styles_palette():
    settings = ["generator.width=8", "generator.body=32", "discriminator.width=8", "losses.palette_weight=2"]
    config = load_config(None, settings, "multistyle")
    recipe = RECIPES["multistyle"](config.model, torch.device("cpu"), 2)
    pictures = torch.rand(2, 3, 48, 48).contiguous(memory_format=torch.channels_last) * 2 - 1
    names = [
        set(recipe.update(pictures, pictures, choice, 0.1, 0, torch.Generator().manual_seed(0))[1])
        for choice in (Choice(0), Choice(1, fused_with=0, share=0.3), Choice(1, from_one_picture=True))
    ]
    assert ["palette" in parts for parts in names] == [True, True, False]
