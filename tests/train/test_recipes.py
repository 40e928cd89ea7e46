"""Every recipe with every adversarial loss, on two made domains; what recipes must have in common."""

import copy
import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import inkbridge
from conftest import TINY, equal, made_picture, run_inkbridge
from inkbridge.errors import ConfigError, DataError
from inkbridge.metrics.distribution import StyleDistance
from inkbridge.train import recipes
from inkbridge.train.adversarial import ADVERSARIAL
from inkbridge.train.augment import AdaptiveProbability, augment
from inkbridge.train.budget import Budget
from inkbridge.train.checkpoint import read_checkpoint, restore_checkpoint
from inkbridge.train.config import load_config
from inkbridge.train.cost import measure_cost
from inkbridge.train.export import export_run
from inkbridge.train.loop import train
from inkbridge.train.memory import History
from inkbridge.train.recipe import Choice
from inkbridge.train.recipes import RECIPES
from inkbridge.train.recipes.paired import PAIR_DISTANCES
from inkbridge.train.regularizers import PENALTIES
from inkbridge.train.samples import painted

NAMES = list(RECIPES)
TWO_SIDED = [name for name in NAMES if not RECIPES[name].alone]
SIZES = [
    "data.crop=48",
    "generator.width=8",
    "generator.body=16",
    "generator.num_blocks=1",
    "generator.style_dim=8",
    "discriminator.width=8",
    "precision=float32",
    "sample_every=1000000",
    "evaluate_every=0",
]
QUICK = [
    *SIZES,
    "optimizer.ema_half_life=100",
    "optimizer.warm_up_images=0",
    "optimizer.generator_warm_up_images=0",
]
FAST = ["optimizer.generator_lr=1e-3", "optimizer.discriminator_lr=3e-4"]
MUON_FAST = ["optimizer.generator_lr=4e-3", "optimizer.discriminator_lr=3e-4"]
"""Enough to get somewhere in 300 updates, by Adam and by Muon."""
OWN = {
    "classic": [],
    "cut": ["losses.content_places=16", "projection=16", *MUON_FAST],
    "cyclegan": ["generator.kind=resnet6", *FAST],
    "exemplar": ["encoder.width=4", *MUON_FAST],
    "fastcut": [
        *("losses.content_places=16", "projection=16", "losses.content_weight=1"),
        *FAST,
    ],
    "multistyle": ["losses.content_places=16", "projection=16", "encoder.width=4", *MUON_FAST],
    "paired": [],
    "repair": ["losses.adversarial_weight=0.1"],
}
WITH_LOSS = {
    "wasserstein": ["losses.penalty=wasserstein", "losses.penalty_weight=10", "losses.penalty_every=1"],
    "relativistic": ["losses.penalty=r1+r2", "losses.penalty_weight=0.01", "losses.penalty_every=4"],
}
OF_PIXELS = [name for name in TWO_SIDED if name != "exemplar"]
DIAGONAL = [*zip(OF_PIXELS, ADVERSARIAL, strict=True), ("exemplar", "hinge")]
"""Six recipes and six losses, each once; and the recipe that has an eye, with its own loss."""
ALL = [
    pytest.param(name, loss, marks=() if (name, loss) in DIAGONAL else pytest.mark.slow)
    for name in TWO_SIDED
    for loss in ADVERSARIAL
]


def printed(picture: np.ndarray) -> np.ndarray:
    """The made picture as a print: paper, ink where it is dark, hatching where it is half dark."""
    light = picture.mean(2) / 255
    columns = np.mgrid[: picture.shape[0], : picture.shape[1]][1]
    ink = (light < 0.4) | ((light < 0.55) & (columns % 4 < 2))
    return np.where(ink[..., None], [60, 40, 90], [235, 220, 180]).astype(np.uint8)


@pytest.fixture(scope="module")
def two_domains(tmp_path_factory):
    """Dark photographs and light prints, aligned and of the same names, which only `paired` cares for."""
    base = tmp_path_factory.mktemp("domains")
    for side in ("content", "style"):
        (base / side).mkdir()
    for i in range(16):
        picture = made_picture(72, 96, i)
        Image.fromarray(picture // 2).save(base / "content" / f"{i}.png")
        Image.fromarray(printed(picture)).save(base / "style" / f"{i}.png")
    return base / "content", base / "style"


@pytest.fixture(scope="module")
def held_back():
    """Unseen photographs, and the distance of pictures from unseen prints."""
    prints = [printed(made_picture(256, 256, 200 + i)) for i in range(6)]
    return [made_picture(256, 256, 100 + i) // 2 for i in range(4)], StyleDistance(prints, patches=2000)


@pytest.mark.parametrize(("name", "loss"), ALL)
def test_300_updates_bring_unseen_pictures_nearer_to_the_style(name, loss, two_domains, held_back, tmp_path):
    settings = [f"recipe={name}", f"losses.adversarial={loss}", *QUICK, *OWN[name], *WITH_LOSS.get(loss, [])]
    config = load_config(None, settings)
    assert train(*two_domains, tmp_path / "run", config, Budget(images=300 * config.model.batch))
    assert not (tmp_path / "run" / "health.jsonl").exists()  # no loss or weight was no number
    recipe = RECIPES[name](config.model, torch.device("cpu"))
    restore_checkpoint(tmp_path / "run" / "checkpoint.pt", recipe)
    unseen, distance = held_back
    results = [painted(recipe, picture, 0) for picture in unseen]
    assert sum(distance.of(results)) < 0.9 * sum(distance.of(unseen))


def small(name: str, *settings: str) -> recipes.Recipe:
    torch.manual_seed(0)
    config = load_config(None, [f"recipe={name}", *SIZES, *OWN[name], *settings])
    return RECIPES[name](config.model, torch.device("cpu"))


def batch(seed: int, size: int = 48) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return (torch.rand(2, 3, size, size, generator=rng) * 2 - 1).contiguous(memory_format=torch.channels_last)


def one_update(recipe: recipes.Recipe, seen: int = 32) -> dict[str, torch.Tensor]:
    return recipe.update(batch(1), batch(2), Choice(), 0.1, seen, torch.Generator().manual_seed(0))[1]


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_results_that_are_white_everywhere_come_back(precision):
    recipe = small("paired", "losses.adversarial_weight=0", "optimizer.generator_lr=2e-3")
    content, style = batch(1), batch(2) * 0.5
    with torch.no_grad():
        recipe.generator.to_rgb.bias.fill_(12.0)  # where tanh is 1, and its slope 0, in float32 too
    distances = []
    for update in range(100):
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
            rng = torch.Generator().manual_seed(update)
            distances.append(float(recipe.update(content, style, Choice(), 0.1, 4000, rng)[1]["pair"]))
    assert distances[0] == pytest.approx(float((1 - style).abs().mean()), abs=0.01)
    # How well pairs of noise are learned is another matter; where tanh has no slope nothing moves at all.
    assert min(distances) < 0.85 * distances[0]


@pytest.mark.parametrize("penalty", PENALTIES)
def test_every_penalty_can_be_taken_in_half_precision(penalty):
    recipe = small("cut", f"losses.penalty={penalty}", "losses.penalty_weight=1", "losses.penalty_every=1")
    before = copy.deepcopy(recipe.discriminator.state_dict())
    with torch.autocast("cpu", torch.bfloat16):
        parts = one_update(recipe)
    assert all(bool(torch.isfinite(part)) for part in parts.values())
    assert not equal(recipe.discriminator.state_dict(), before)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_reach_only_the_network_they_should(name):
    """With a learning rate of 0 for one side, exactly the other side's networks move, whatever the losses."""
    for still, moving in (("generator", "discriminator"), ("discriminator", "generator")):
        recipe = small(name, f"optimizer.{still}_lr=0", "losses.penalty_weight=1", "losses.penalty_every=1")
        before = {
            key: copy.deepcopy(dict(module.named_parameters())) for key, module in recipe.modules().items()
        }
        one_update(recipe)
        for key, module in recipe.modules().items():
            parameters = {k: p for k, p in module.named_parameters() if p.requires_grad}
            if not parameters:
                continue
            moved = any(not torch.equal(before[key][k], p) for k, p in parameters.items())
            assert moved == (("discriminator" in key) == (moving == "discriminator")), key


@pytest.mark.parametrize("name", NAMES)
def test_the_generators_gradient_is_that_of_its_own_loss(name):
    """The discriminator's loss and penalty add nothing to the generator, nor the generator's to it."""
    alone, both = (
        small(name, "losses.penalty_weight=0"),
        small(name, "losses.penalty_weight=5", "losses.penalty_every=1"),
    )
    one_update(alone)
    one_update(both)
    for ours, theirs in zip(alone.generator.parameters(), both.generator.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    # Not 0, with which `paired` and `repair` have no discriminator at all.
    lighter = small(name, "losses.penalty_weight=0", "losses.adversarial_weight=0.01")
    one_update(lighter)
    for ours, theirs in zip(
        alone.discriminator.parameters(), lighter.discriminator.parameters(), strict=True
    ):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("name", ["cyclegan", "paired", "classic", "repair", "exemplar"])
def test_every_recipe_goes_on_bit_for_bit(name, two_domains, tmp_path):
    """The others: test_training.py."""
    more = ["adaptive=true", 'augmentations=["translate"]']
    config = load_config(None, [f"recipe={name}", *SIZES, *OWN[name], *more, "checkpoint_seconds=0"])
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert train(*two_domains, whole, config, Budget(images=24))
    assert train(*two_domains, parts, config, Budget(images=24))
    state = read_checkpoint(whole / "checkpoint.pt")
    assert equal(state["modules"], read_checkpoint(parts / "checkpoint.pt")["modules"])


def test_published_networks_become_packs_that_paint(two_domains, tmp_path):
    config = load_config(None, ["recipe=fastcut", *SIZES, *OWN["fastcut"]])
    train(*two_domains, tmp_path / "run", config, Budget(images=8))
    info = export_run(tmp_path / "run", tmp_path / "x.stylepack", name="x")
    assert "tiles" in info.provenance
    picture = made_picture(70, 111, 3)
    assert inkbridge.load(tmp_path / "x.stylepack").apply(picture).shape == picture.shape


def test_dropout_draws_from_the_images_seen_alone(two_domains, tmp_path):
    settings = [
        "recipe=paired",
        *SIZES,
        "generator.kind=unet256",
        "data.crop=256",
        "generator.width=4",
        "batch=1",
    ]
    config = load_config(None, settings)
    for run in ("a", "b"):
        train(*two_domains, tmp_path / run, config, Budget(images=3))
        torch.rand(7)
    first, second = (read_checkpoint(tmp_path / run / "checkpoint.pt")["modules"] for run in "ab")
    assert equal(first, second)


class TestPairs:
    def folders(self, base, num=10, size=(96, 72)):
        for side in ("content", "style"):
            (base / side).mkdir()
        for i in range(num):
            picture = made_picture(size[1], size[0], i)
            Image.fromarray(picture).save(base / "content" / f"{i}.png")
            # Twice as large and another format: still the same picture.
            Image.fromarray(255 - picture).resize((2 * size[0], 2 * size[1])).save(
                base / "style" / f"{i}.jpg", quality=95
            )
        return base / "content", base / "style"

    def crops(self, monkeypatch, content, style, out):
        seen = []
        original = RECIPES["paired"].update

        def spy(recipe, content, style, *rest):
            seen.append((content.clone(), style.clone()))
            return original(recipe, content, style, *rest)

        monkeypatch.setattr(RECIPES["paired"], "update", spy)
        train(content, style, out, load_config(None, ["recipe=paired", "batch=2", *SIZES]), Budget(images=20))
        return seen[-10:]  # before them: the measurement of cost

    def test_windows_of_a_pair_show_the_same_place(self, tmp_path, monkeypatch):
        for content, style in self.crops(monkeypatch, *self.folders(tmp_path), tmp_path / "run"):
            assert (content + style).abs().mean() < 0.08  # style is the negative

    def test_side_by_side_files(self, tmp_path, monkeypatch):
        folder = tmp_path / "both"
        folder.mkdir()
        for i in range(10):
            picture = made_picture(72, 96, i)
            Image.fromarray(np.concatenate([picture, 255 - picture], 1)).save(folder / f"{i}.png")
        for content, style in self.crops(monkeypatch, folder, folder, tmp_path / "run"):
            assert (content + style).abs().mean() < 0.05

    def test_folders_within_folders_may_use_a_name_again(self, tmp_path):
        content, style = self.folders(tmp_path)
        for side in (content, style):
            for name in ("japan", "china"):
                (side / name).mkdir()
            for i, file in enumerate(sorted(file for file in side.iterdir() if file.is_file())):
                file.rename(side / ("japan", "china")[i % 2] / f"{i // 2}{file.suffix}")
        said: list[str] = []
        config = load_config(None, ["recipe=paired", *SIZES])
        train(content, style, tmp_path / "run", config, Budget(images=4), say=said.append)
        assert "content: 10 pictures" in "\n".join(said)

    def test_what_makes_no_pair_is_left_out_and_said(self, tmp_path):
        content, style = self.folders(tmp_path)
        (style / "3.jpg").unlink()
        (content / "4.png").write_bytes(b"not a picture")
        Image.fromarray(made_picture(40, 96, 1)).save(style / "5.jpg")
        said: list[str] = []
        config = load_config(None, ["recipe=paired", *SIZES, "data.minimum=2"])
        train(content, style, tmp_path / "run", config, Budget(images=4), say=said.append)
        text = "\n".join(said)
        assert "3: has no partner in" in text
        assert "4.png" in text
        assert "5: the two pictures differ in shape" in text
        assert "content: 7 pictures" in text

    def test_pairs_alone_teach_the_generator_and_no_discriminator(self, two_domains, held_back, tmp_path):
        settings = ["recipe=paired", "losses.adversarial_weight=0", *QUICK, "evaluate_every=200"]
        config = load_config(None, settings)
        assert train(*two_domains, tmp_path / "run", config, Budget(images=1200))
        assert not (tmp_path / "run" / "health.jsonl").exists()
        recipe = RECIPES["paired"](config.model, torch.device("cpu"))
        restore_checkpoint(tmp_path / "run" / "checkpoint.pt", recipe)
        assert not recipe.optimizer_d.state_dict()["state"]
        last = json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[-1])
        assert "pair" in last
        assert not {"adversarial", "discriminator"} & set(last)
        unseen, distance = held_back
        results = [painted(recipe, picture, 0) for picture in unseen]
        assert sum(distance.of(results)) < 0.9 * sum(distance.of(unseen))

    def test_the_distance_of_pairs_is_a_choice(self):
        difference = torch.tensor([[1.0, -3.0], [0.0, 2.0]])
        assert float(PAIR_DISTANCES["l1"](difference)) == 1.5
        assert float(PAIR_DISTANCES["l2"](difference)) == 3.5
        parts = [
            one_update(small("paired", "losses.adversarial_weight=0", f"losses.pair_distance={name}"))
            for name in ("l1", "l2")
        ]
        assert parts[0]["pair"] != parts[1]["pair"]
        with pytest.raises(ConfigError, match="Did you mean l2"):
            load_config(None, ["recipe=paired", "losses.pair_distance=l22"])

    def test_folders_without_pairs_are_one_sentence(self, tmp_path, toy_folders):
        for file in toy_folders[1].iterdir():
            file.rename(file.with_name(f"other-{file.name}"))
        with pytest.raises(DataError, match=r"needs at least 8 pairs .* make 0\. Pairs have the same name"):
            train(
                *toy_folders, tmp_path / "run", load_config(None, ["recipe=paired", *SIZES]), Budget(images=4)
            )
        done = run_inkbridge(
            *("train", "--content", toy_folders[0], "--style", toy_folders[1], "--out", tmp_path / "cli"),
            *("--recipe", "paired"),
        )
        assert done.returncode == 1
        assert "needs at least 8 pairs" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", [name for name in NAMES if not RECIPES[name].many_styles])
def test_recipes_of_one_style_refuse_several(name):
    config = load_config(None, [f"recipe={name}", *SIZES]).model
    with pytest.raises(ConfigError, match=f"Recipe {name} learns one style, not 2"):
        RECIPES[name](config, torch.device("cpu"), 2)


def test_history_shows_about_half_of_the_new_and_remembers_across_checkpoints():
    history, rng = History(10), torch.Generator().manual_seed(0)
    new = torch.arange(400.0).view(400, 1, 1, 1)
    shown = history.exchange(new, rng)
    assert torch.equal(shown[:10], new[:10])
    same = (shown[10:] == new[10:]).float().mean().item()
    assert same == pytest.approx(0.5, abs=0.08)
    assert (shown <= new).all()  # the others are earlier ones
    other = History(10)
    other.load_state_dict(history.state_dict())
    draw = [torch.Generator().manual_seed(1) for _ in range(2)]
    assert torch.equal(history.exchange(new, draw[0]), other.exchange(new, draw[1]))


def test_augmentation_happens_as_often_as_it_should():
    pictures = torch.rand(2000, 3, 8, 8)
    seen = augment(pictures, ("colour",), torch.Generator().manual_seed(0), 0.3)
    changed = (seen != pictures).flatten(1).any(1).float().mean().item()
    assert changed == pytest.approx(0.3, abs=0.04)
    assert torch.equal(augment(pictures, ("colour", "cutout"), torch.Generator(), 0.0), pictures)


def test_colour_leaves_shapes_alone():
    picture = torch.rand(1, 3, 16, 16).expand(4, 3, 16, 16)
    seen = augment(picture, ("colour",), torch.Generator().manual_seed(0))
    for a, b in zip(seen.mean(1), picture.mean(1), strict=True):  # brightness and contrast: a line
        correlation = torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1]
        assert correlation > 0.999
    assert (seen - picture).abs().mean() > 0.05


def test_augmentation_adapts_to_overfitting():
    adaptive = AdaptiveProbability(target=0.6, images=100)
    sure, unsure = [torch.ones(4, 1, 6, 6)], [torch.cat([torch.ones(2, 1, 6, 6), -torch.ones(2, 1, 6, 6)])]
    for _ in range(5):
        adaptive.observe(sure)
    assert adaptive.probability.item() == pytest.approx(0.2)
    for _ in range(40):
        adaptive.observe(unsure)
    assert adaptive.probability.item() == 0
    for _ in range(40):
        adaptive.observe(sure)
    assert adaptive.probability.item() == 1


def test_a_discriminator_that_overfits_is_shown_more_and_more_augmented_pictures():
    recipe = small(
        *("cut", "adaptive=true", 'augmentations=["translate", "cutout"]', "losses.redraw_weight=0"),
        *("optimizer.generator_lr=0", "optimizer.discriminator_lr=3e-3"),
    )
    recipe.probability.images = 200
    for seen in range(0, 160, 2):
        style = batch(2) * 0.2 + 0.5  # the same two pictures at every update, easily told from results
        recipe.update(batch(1), style, Choice(), 0.1, seen, torch.Generator().manual_seed(seen))
    assert recipe.probability.probability > 0.1


class TestCost:
    def measured(self, *settings):
        config = load_config(None, [*settings, "precision=float32"])
        recipe = RECIPES[config.recipe](config.model, torch.device("cpu"))
        return measure_cost(recipe, config, torch.device("cpu"))

    def test_the_published_generator_has_the_published_number_of_operations(self):
        cost = self.measured("recipe=fastcut", "data.crop=48", "batch=1")
        assert cost.generator_parameters == 11_378_179 + 1  # and its empty style code
        # 49.6 G at 256 x 256: 56.8 G in the usual table, which counts transposed convolutions by their
        # output.
        assert cost.operations_per_pixel * 256**2 / 1e9 == pytest.approx(49.6, rel=0.01)

    def test_the_memory_said_is_about_what_the_process_takes(self, two_domains, tmp_path):
        # Of the kernel's two peaks the one that getrusage tells counts what the parent had before.
        code = (
            "import re\nfrom pathlib import Path\nfrom inkbridge.cli import main\n"
            "try:\n    main()\n"
            "finally:\n    print(re.search('VmHWM.*', Path('/proc/self/status').read_text())[0])"
        )
        command = [sys.executable, "-c", code, "train", "--images", "64", "--set", "evaluate_every=32"]
        command += ["--content", two_domains[0], "--style", two_domains[1], "--out", tmp_path / "run"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        said = float(re.search(r"Memory: about ([0-9.]+) GB", done.stdout)[1])
        took = float(re.search(r"VmHWM:\s+(\d+) kB", done.stdout)[1]) * 1024 / 1e9
        assert said == pytest.approx(took, rel=0.3)

    def test_sizes_cost_more_and_more(self):
        costs = [
            self.measured("batch=1", "data.crop=48", f"generator.width={w}", f"generator.body={4 * w}")
            for w in (8, 32)
        ]
        assert costs[1].operations_per_pixel > 3 * costs[0].operations_per_pixel
        assert costs[1].generator_parameters > 3 * costs[0].generator_parameters
        assert costs[1].memory > costs[0].memory + 20e6

    def test_measuring_changes_nothing(self, toy_folders, tmp_path):
        """A run is the same whether its cost was measured before it or not."""
        config = load_config(None, TINY)
        recipe = RECIPES["cut"](config.model, torch.device("cpu"))
        before = copy.deepcopy({name: module.state_dict() for name, module in recipe.modules().items()})
        measure_cost(recipe, config, torch.device("cpu"))
        assert equal(before, {name: module.state_dict() for name, module in recipe.modules().items()})

    def test_it_is_said_before_training_and_too_much_memory_is_one_sentence(self, two_domains, tmp_path):
        said: list[str] = []
        config = load_config(None, ["recipe=cut", *SIZES, *OWN["cut"]])
        train(*two_domains, tmp_path / "run", config, Budget(images=2), say=said.append)
        assert any("operations a pixel" in line and "images/s" in line for line in said)
        config = load_config(None, ["recipe=cut", *SIZES, *OWN["cut"], "batch=3000", "data.crop=4096"])
        with pytest.raises(
            ConfigError, match=r"An update would need about .* GB of memory.*Lower batch \(= 3000\)"
        ):
            train(*two_domains, tmp_path / "large", config, Budget(images=2))
        assert not (tmp_path / "large" / "config.json").exists()

    @pytest.mark.parametrize(
        "setting", ["generator.width=20000", "generator.body=200000", "discriminator.width=20000"]
    )
    def test_networks_larger_than_the_machine_are_one_sentence(self, setting, two_domains, tmp_path):
        config = load_config(None, ["recipe=cut", setting])
        with pytest.raises(ConfigError, match=r"The networks would need about .* GB.*Lower generator\.width"):
            train(*two_domains, tmp_path / "run", config, Budget(images=2))
        assert not (tmp_path / "run" / "config.json").exists()


def test_the_command_line_takes_recipe_and_size(two_domains, tmp_path):
    run = tmp_path / "run"
    settings = [
        part
        for setting in ("data.crop=48", "precision=float32", "evaluate_every=0")
        for part in ("--set", setting)
    ]
    done = run_inkbridge(
        *("train", "--content", two_domains[0], "--style", two_domains[1], "--out", run),
        *("--recipe", "classic", "--size", "tiny", "--images", "4", *settings),
    )
    assert done.returncode == 0, done.stderr
    config = json.loads((run / "config.json").read_text())
    assert (config["recipe"], config["generator"]["kind"], config["generator"]["width"]) == (
        "classic",
        "resnet6",
        16,
    )
    assert "M parameters" in done.stdout


def test_the_recipe_of_the_handbook_is_one_file_and_one_line(two_domains, tmp_path, monkeypatch):
    page = (Path(__file__).parents[2] / "docs" / "architecture.md").read_text(encoding="utf-8")
    code = page.split("```python\n")[1].split("```")[0]
    head = """
from dataclasses import dataclass, field

import torch

from inkbridge.train.networks.generator import draw_grain
from inkbridge.train.recipe import AdversarialConfig, GanConfig, Recipe
"""
    (tmp_path / "plain.py").write_text(head + code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(RECIPES, "plain", importlib.import_module("plain").Plain)
    config = load_config(None, ["recipe=plain", *SIZES, "losses.keep_weight=3"])
    assert train(*two_domains, tmp_path / "run", config, Budget(images=8))
    log = json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[-1])
    assert log["keep"] > 0
    assert export_run(tmp_path / "run", tmp_path / "p.stylepack", name="p").provenance["recipe"] == "plain"
