import copy
import json
import signal

import numpy as np
import pytest
import torch
from PIL import Image

import inkbridge
from conftest import TINY, equal, made_picture, run_inkbridge
from inkbridge.errors import ConfigError, DataError, PackError
from inkbridge.images import read_picture
from inkbridge.metrics.distribution import StyleDistance
from inkbridge.metrics.quality import QualityMeter
from inkbridge.train import loop
from inkbridge.train.adapt import adapt
from inkbridge.train.budget import Budget
from inkbridge.train.checkpoint import read_checkpoint
from inkbridge.train.config import load_config
from inkbridge.train.export import export_run
from inkbridge.train.loop import train
from inkbridge.train.recipe import Choice
from inkbridge.train.recipes.multistyle import Multistyle

SETTINGS = [*TINY, "batch=2", "encoder.width=4", "data.minimum=3"]
COLOURS = {"red-ink": (170, 40, 30), "blue-ink": (30, 50, 160), "green-ink": (30, 140, 50)}


@pytest.fixture
def recipe() -> Multistyle:
    torch.manual_seed(0)
    return Multistyle(load_config(None, SETTINGS, "multistyle").model, torch.device("cpu"), 3)


@pytest.fixture(scope="module")
def inks(tmp_path_factory):
    """Content, and three styles that are stripes of one colour each; one of them has 3 pictures only."""
    base = tmp_path_factory.mktemp("inks")
    content = base / "content"
    content.mkdir()
    for i in range(10):
        Image.fromarray(made_picture(72, 96, i)).save(content / f"{i}.png")
    for name, colour in COLOURS.items():
        stripes(base / name, colour, 3 if name == "green-ink" else 8)
    return content, {name: base / name for name in COLOURS}


def stripes(folder, colour, num):
    folder.mkdir()
    for i in range(num):
        y, x = np.mgrid[:80, :100]
        ink = ((x + (2 + i % 3) * y) // 5) % 2
        picture = np.where(ink[..., None] == 1, np.array(colour), np.array([235, 225, 200]))
        Image.fromarray(picture.astype(np.uint8)).save(folder / f"{i}.png")


@pytest.fixture(scope="module")
def inks_pack(inks, tmp_path_factory):
    """The three styles, trained for some seconds, as a pack."""
    base = tmp_path_factory.mktemp("trained")
    config = load_config(None, [*SETTINGS, "optimizer.generator_lr=2e-3", "sample_every=200"], "multistyle")
    assert train(*inks, base / "run", config, Budget(images=400))
    assert (
        json.loads((base / "run" / "config.json").read_text())["folders"]["styles"].keys() == COLOURS.keys()
    )
    with Image.open(sorted((base / "run" / "samples").glob("*.jpg"))[-1]) as grid:
        assert grid.width > 4 * 256
    info = export_run(base / "run", base / "inks.stylepack")
    assert [style.name for style in info.styles] == list(COLOURS)
    assert info.styles[0].title == "Red ink"
    return base / "inks.stylepack"


def batch(seed: int) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return (torch.rand(2, 3, 48, 48, generator=rng) * 2 - 1).contiguous(memory_format=torch.channels_last)


def test_every_style_gets_as_many_updates_by_code_by_example_and_in_fusions(recipe):
    choices = [recipe.choose(7, update) for update in range(90)]
    fused = [choice for choice in choices if choice.fused_with is not None]
    for style in range(3):
        for from_one in (False, True):
            assert choices.count(Choice(style, from_one)) == 10
        assert [choice.style for choice in fused].count(style) == 10
        assert [choice.fused_with for choice in fused].count(style) == 10
    assert all(choice.fused_with != choice.style and 0 <= choice.share < 1 for choice in fused)
    assert choices == [recipe.choose(7, update) for update in range(90)]
    assert choices != [recipe.choose(8, update) for update in range(90)]


def test_without_fusion_every_second_round_paints_from_examples():
    config = load_config(None, [*SETTINGS, "losses.fusion=false"], "multistyle").model
    recipe = Multistyle(config, torch.device("cpu"), 3)
    choices = [recipe.choose(7, update) for update in range(60)]
    assert {choices.count(Choice(style, from_one)) for style in range(3) for from_one in (False, True)} == {
        10
    }


def test_a_fusion_moves_both_codes_and_its_results_are_not_remembered(recipe):
    rng = torch.Generator().manual_seed(0)
    for style in (0, 1):
        recipe.update(batch(1), batch(2 + style), Choice(style), 0.1, 100, rng)
    recipe.optimizer_g.state.clear()
    before = recipe.generator.styles.detach().clone()
    remembered = copy.deepcopy(recipe.result_memories.state_dict())
    recipe.update(batch(5), batch(2), Choice(0, fused_with=1, share=0.4), 0.1, 104, rng)
    assert (recipe.generator.styles != before).any(dim=1).tolist() == [True, True, False]
    assert equal(recipe.result_memories.state_dict(), remembered)


def test_a_fusion_is_judged_by_both_outputs_of_the_discriminator(recipe):
    shares = torch.tensor([0.75, 0.25, 0.0])
    logits = [recipe.discriminator(batch(1), style)[0][0] for style in range(3)]
    fused = recipe.discriminator(batch(1), shares)[0][0]
    assert torch.allclose(fused, 0.75 * logits[0] + 0.25 * logits[1], atol=1e-5)


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


def test_style_reconstruction_teaches_the_generator_and_not_the_encoder_that_judges():
    others = ("adversarial", "content", "activation", "texture", "affinity", "similarity", "redraw", "anchor")
    settings = [f"losses.{name}_weight=0" for name in others]
    torch.manual_seed(0)
    recipe = Multistyle(load_config(None, [*SETTINGS, *settings], "multistyle").model, torch.device("cpu"), 3)
    encoder, generator = (
        copy.deepcopy(network.state_dict()) for network in (recipe.encoder, recipe.generator)
    )
    rng = torch.Generator().manual_seed(0)
    _, parts = recipe.update(batch(1), batch(2), Choice(1, False), 0.1, 100, rng)
    assert equal(recipe.encoder.state_dict(), encoder)
    assert not equal(recipe.generator.state_dict(), generator)
    for _ in range(30):
        _, later = recipe.update(batch(1), batch(2), Choice(1, False), 0.1, 100, rng)
    assert later["style"] < parts["style"]


def test_each_output_of_the_discriminator_refuses_pictures_of_the_other_styles(recipe):
    rng = torch.Generator().manual_seed(0)
    red, blue = (torch.full((2, 3, 48, 48), -0.5) for _ in range(2))
    red[:, 0], blue[:, 2] = 0.5, 0.5
    for step in range(60):
        style = step % 2
        recipe.update(batch(step), (red, blue)[style], Choice(style), 0.1, 100, rng)
    for style, picture in ((0, red), (1, blue)):
        own, other, third = (recipe.discriminator(picture, k)[0][0].mean() for k in (style, 1 - style, 2))
        assert own > other + 0.5
        assert own > third + 0.5


def test_each_style_has_its_own_output_of_the_discriminator():
    settings = load_config(None, [*SETTINGS, "losses.mismatch_weight=0"], "multistyle").model
    recipe = Multistyle(settings, torch.device("cpu"), 3)
    every = recipe.discriminator(batch(1), None)[0][0]
    logits = [recipe.discriminator(batch(1), style)[0][0] for style in range(3)]
    assert logits[0].shape == (2, 1, 6, 6)
    assert not torch.equal(logits[0], logits[1])
    assert torch.equal(torch.cat(logits, 1), every)
    rng = torch.Generator().manual_seed(0)
    weight = recipe.discriminator.scales[0].convs[-1].weight
    before = weight.detach().clone()
    recipe.update(batch(1), batch(2), Choice(2, False), 0.1, 100, rng)
    assert (weight != before).flatten(1).any(dim=1).tolist() == [False, False, True]


def test_the_code_of_an_example_does_not_depend_on_where_things_are(recipe):
    rng = torch.Generator().manual_seed(0)
    picture = torch.rand(1, 3, 256, 256, generator=rng) * 2 - 1
    moved = torch.roll(picture, (64, 64), (2, 3))
    code, other = recipe.encoder(picture), recipe.encoder(moved)
    assert (code - other).abs().mean() < 0.1 * (code - recipe.encoder(picture * 0.2)).abs().mean()


def mean_colours(pack, picture, **looks):
    return {name: pack.apply(picture, **look).mean((0, 1)) for name, look in looks.items()}


def test_each_style_paints_in_its_colour_by_name_and_by_example(inks, inks_pack):
    pack, picture = inkbridge.load(inks_pack), made_picture(96, 128, 99)
    by_name = mean_colours(pack, picture, **{name: {"style": name} for name in COLOURS})
    examples = {name: sorted(folder.glob("*.png"))[0] for name, folder in inks[1].items()}
    by_example = mean_colours(pack, picture, **{name: {"like": path} for name, path in examples.items()})
    for colours in (by_name, by_example):
        for channel, name in enumerate(("red-ink", "green-ink", "blue-ink")):
            means = {style: colour[channel] for style, colour in colours.items()}
            assert max(means, key=means.get) == name, means


def test_a_fusion_of_trained_styles_is_a_path(inks_pack):
    pack, picture = inkbridge.load(inks_pack), made_picture(96, 128, 99)
    steps = [
        pack.apply(picture, {"red-ink": 1 - w, "blue-ink": w}).mean((0, 1)) for w in (0, 0.25, 0.5, 0.75, 1)
    ]
    assert np.all(np.diff([colour[0] - colour[2] for colour in steps]) < 0)


def test_adapting_adds_a_style_and_leaves_the_others_as_they_were(inks_pack, tmp_path):
    stripes(tmp_path / "violet", (110, 30, 150), 4)
    out = tmp_path / "four.stylepack"
    distances = []
    adapt(
        inks_pack,
        "violet-ink",
        tmp_path / "violet",
        out,
        updates=160,
        report=lambda _, d: distances.append(d),
    )
    old, new = inkbridge.load(inks_pack), inkbridge.load(out)
    assert new.styles == [*COLOURS, "violet-ink"]
    picture = made_picture(96, 128, 99)
    for name in COLOURS:
        assert np.array_equal(old.apply(picture, name), new.apply(picture, name))
    assert np.mean(distances[-10:]) < np.mean(distances[:10])
    examples = sorted((tmp_path / "violet").glob("*.png"))
    to_violet = StyleDistance([read_picture(path).rgb for path in examples], short_side=80, num_levels=4)
    pictures = [made_picture(96, 128, seed) for seed in (97, 98, 99)]
    looks = {name: {"style": name} for name in old.styles} | {"examples": {"like": examples}}
    before = {
        name: sum(to_violet.of([old.apply(picture, **look) for picture in pictures]))
        for name, look in looks.items()
    }
    after = sum(to_violet.of([new.apply(picture, "violet-ink") for picture in pictures]))
    assert after < min(before.values()), (after, before)
    assert out.stat().st_size - inks_pack.stat().st_size < 2000
    with pytest.raises(ConfigError, match="already has a style"):
        adapt(inks_pack, "red-ink", tmp_path / "violet", tmp_path / "x.stylepack", updates=1)
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="0 usable pictures"):
        adapt(inks_pack, "x", tmp_path / "none", tmp_path / "x.stylepack", updates=1)
    assert not (tmp_path / "x.stylepack").exists()


def test_adapting_refuses_a_generator_it_does_not_know(stub_pack, tmp_path):
    stripes(tmp_path / "violet", (110, 30, 150), 4)
    with pytest.raises(PackError, match="cannot learn"):
        adapt(stub_pack, "violet", tmp_path / "violet", tmp_path / "x.stylepack", updates=1)


def test_stopping_and_going_on_ends_bit_for_bit_where_one_go_ends(inks, tmp_path, monkeypatch):
    config = load_config(None, SETTINGS, "multistyle")
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert train(*inks, whole, config, Budget(images=52))
    monkeypatch.setattr(loop, "LOG_SECONDS", 0.0)
    reports = []

    def stop_after_eight(report):
        reports.append(report)
        if len(reports) == 8:  # in the middle of a round that paints fusions
            signal.raise_signal(signal.SIGINT)

    assert not train(*inks, parts, config, Budget(images=52), stop_after_eight)
    assert read_checkpoint(parts / "checkpoint.pt")["progress"]["images_seen"] == 16
    assert train(*inks, parts, config, Budget(images=52))
    first, second = read_checkpoint(whole / "checkpoint.pt"), read_checkpoint(parts / "checkpoint.pt")
    assert equal(first["modules"], second["modules"])
    assert equal(first["optimizers"], second["optimizers"])


def test_the_quality_curve_has_a_line_for_each_style_and_goes_on_after_a_stop(inks, tmp_path, monkeypatch):
    config = load_config(None, [*SETTINGS, "evaluate_every=8"], "multistyle")
    monkeypatch.setattr(loop, "LOG_SECONDS", 0.0)
    whole, parts = tmp_path / "whole", tmp_path / "parts"

    def stop_at_10(report):
        if report.images_seen == 10:
            signal.raise_signal(signal.SIGINT)

    assert train(*inks, whole, config, Budget(images=16), measure=QualityMeter)
    assert not train(*inks, parts, config, Budget(images=16), stop_at_10, measure=QualityMeter)
    assert train(*inks, parts, config, Budget(images=16), measure=QualityMeter)
    lines = (whole / "quality.jsonl").read_text()
    assert (parts / "quality.jsonl").read_text() == lines
    entries = [json.loads(line) for line in lines.splitlines()]
    assert [(entry["images_seen"], entry["style"]) for entry in entries] == [
        (images, name) for images in (8, 16) for name in COLOURS
    ]
    assert all(np.isfinite([entry["covered"], entry["edges"]]).all() for entry in entries)


def test_what_cannot_be_trained_is_said(inks, tmp_path):
    content, styles = inks
    with pytest.raises(ConfigError, match="--recipe exemplar"):
        config = load_config(None, [*TINY, "data.minimum=3"])
        train(content, styles, tmp_path / "a", config, Budget(images=4))
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match="style new: folder"):
        config = load_config(None, SETTINGS, "multistyle")
        train(content, {**styles, "new": empty}, tmp_path / "b", config, Budget(images=4))
    assert not (tmp_path / "b" / "config.json").exists()


def test_the_commands_train_several_styles_and_add_one(inks, tmp_path):
    content, styles = inks
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    named = [part for name, folder in styles.items() for part in ("--style", f"{name}={folder}")]
    run, pack, out = tmp_path / "run", tmp_path / "inks.stylepack", tmp_path / "more.stylepack"
    told = ["--out", run, "--images", "4", "--eye", "none", *settings]
    done = run_inkbridge("train", "--content", content, *named, *told)
    assert done.returncode == 0, done.stderr
    assert "style green-ink: 3 pictures." in done.stdout
    assert run_inkbridge("export", run, "-o", pack).returncode == 0
    violet = f"violet-ink={styles['blue-ink']}"
    done = run_inkbridge("adapt", pack, "--style", violet, "-o", out, "--minutes", "0.005")
    assert done.returncode == 0, done.stderr
    assert "4 styles" in done.stdout
    assert inkbridge.load(out).styles[-1] == "violet-ink"
    for arguments, reason in (
        (
            ["train", "--content", content, "--style", content, "--style", content, "--out", run],
            "NAME=FOLDER",
        ),
        (["train", "--content", content, *named[:2], *named[:2], "--out", run], "given twice"),
        (
            ["train", "--content", content, *named[:2], "--out", run, "--set", "recipe=cat"],
            "Did you mean cut?",
        ),
        (["export", run, "-o", out, "--name", "inks"], "has 3 styles"),
        (["adapt", pack, "--style", styles["blue-ink"], "-o", out], "NAME=FOLDER"),
        (["adapt", pack, "--style", violet, "-o", out, "--minutes", "0"], "more than 0"),
        (["adapt", pack, "--style", f"red-ink={content}", "-o", out], "already has a style"),
        (["adapt", "nothing.stylepack", "--style", violet, "-o", out], "does not exist"),
    ):
        done = run_inkbridge(*arguments)
        assert done.returncode == 1, (arguments, done.stderr)
        assert reason in done.stderr, (arguments, done.stderr)
        assert done.stderr.count("\n") == 1, done.stderr
