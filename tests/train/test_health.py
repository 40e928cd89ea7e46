"""A training that breaks goes back by itself, a bounded number of times, and keeps what was sound."""

import json
import re
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import inkbridge
from conftest import TINY, made_picture, run_inkbridge
from inkbridge.errors import DataError, TrainingError
from inkbridge.images import read_picture
from inkbridge.train import loop
from inkbridge.train.budget import Budget
from inkbridge.train.checkpoint import read_checkpoint, restore_checkpoint
from inkbridge.train.config import load_config
from inkbridge.train.export import export_run
from inkbridge.train.health import MOST_SETBACKS, SIGNS, Health
from inkbridge.train.loop import train
from inkbridge.train.networks.generator import Generator
from inkbridge.train.optimizers import generator_lr
from inkbridge.train.recipes.cut import Cut
from inkbridge.train.run_folder import RunFolder
from inkbridge.train.samples import square
from inkbridge.train.signs import Eye

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
            *("--eye", "none"),
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


def signs_of(run) -> set[str]:
    if not (run / "health.jsonl").exists():
        return set()
    return {json.loads(line)["sign"] for line in (run / "health.jsonl").read_text().splitlines()}


def watched(folders, run, *settings: str, images: int = 240) -> tuple[set[str], list[str]]:
    """Train, measured eight times; which signs the run folder names, and what was said."""
    said: list[str] = []
    config = load_config(None, [*SETTINGS, f"evaluate_every={images // 8}", *settings])
    assert train(*folders, run, config, Budget(images=images), say=said.append, measure=as_ever)
    return signs_of(run), said


def as_ever(contents, styles):
    """A measure that takes no time: signs do not depend on it."""
    return lambda results: [{"covered": 0.5, "edges": 0.5, "repeats": 0.0}] * (1 + len(results))


def painting(monkeypatch, paint) -> None:
    """Results are `paint(content, what the generator makes of it)`."""
    forward = Generator.forward

    def painted(self, image, *others):
        return paint(image, forward(self, image, *others))

    monkeypatch.setattr(Generator, "forward", painted)


def mesh(image, result):
    stripes = torch.arange(image.shape[3]) % 4 < 2
    return result * 0.2 + 0.5 * stripes.to(result)


def spotted(image, result):
    dots = torch.rand(image.shape[2:], generator=torch.Generator().manual_seed(0)) < 0.05
    return torch.where(dots, torch.ones_like(result), 0.2 * result - 0.5)


PLANTED = {
    "copies": lambda image, result: image + 0 * result,
    "inverted": lambda image, result: -image + 0.05 * result,
    "collapse": lambda image, result: 0.02 * result,
    "cast": lambda image, result: 0.1 * result + torch.tensor([-0.9, 0.9, -0.9])[:, None, None],
    "mesh": mesh,
    "spots": spotted,
}


@pytest.mark.parametrize("sign", PLANTED)
def test_what_is_wrong_with_results_is_named_once_with_its_cure(sign, toy_folders, tmp_path, monkeypatch):
    painting(monkeypatch, PLANTED[sign])
    found, said = watched(toy_folders, tmp_path / "run", images=160)
    assert sign in found
    (told,) = [sentence for sentence in said if SIGNS[sign][:20] in sentence]
    assert told.startswith("At 60 images: ")  # the third moment it was seen, of eight


def test_style_pictures_learned_by_heart_are_named(toy_folders, tmp_path, monkeypatch):
    from inkbridge.train import moments

    _, style = toy_folders
    for i in range(10):
        Image.fromarray(made_picture(80, 100, 50 + i)).save(style / f"{i}.png")
    shown = moments.painted
    pictures = [square(made_picture(80, 100, 50 + i)) for i in range(10)]
    monkeypatch.setattr(moments, "painted", lambda *a: shown(*a) // 8 + pictures[a[1].sum() % 10] // 8 * 7)
    found, said = watched(toy_folders, tmp_path / "run", "data.trim=0", images=160)
    assert "by-heart" in found
    assert any("100% of the results repeat a style picture" in sentence for sentence in said)


def test_networks_that_stand_still_or_are_too_strong_are_named(toy_folders, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "LOG_SECONDS", 0.0)
    found, _ = watched(toy_folders, tmp_path / "a", "optimizer.discriminator_lr=0")
    assert "discriminator-still" in found
    assert "generator-still" not in found
    found, _ = watched(toy_folders, tmp_path / "b", "optimizer.generator_lr=0")
    assert "generator-still" in found
    assert "discriminator-still" not in found
    found, _ = watched(toy_folders, tmp_path / "c", "optimizer.discriminator_lr=0.024", images=320)
    assert "discriminator-strong" in found
    found, _ = watched(toy_folders, tmp_path / "d", "losses.penalty_weight=1e4", "losses.penalty_every=1")
    assert "discriminator-weak" in found


def test_exploding_gradients_are_named(tmp_path):
    run = RunFolder(tmp_path)
    recipe = Cut(load_config(None, SETTINGS).model, torch.device("cpu"))
    said: list[str] = []
    health = Health(run, recipe, "non-saturating", said.append)
    pictures = [square(made_picture(64, 64, i)) for i in range(4)]
    results = [square(made_picture(64, 64, 10 + i)) for i in range(4)]
    rng = torch.Generator().manual_seed(0)
    for i in range(60):
        for parameter in recipe.generator.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=rng) * (1000 if i >= 40 else 1)
        with torch.no_grad():  # they learn
            recipe.generator.to_rgb.bias += 0.001
            next(recipe.discriminator.parameters()).add_(0.001)
        health.observe({"discriminator": 1.2, "real_logit": 0.3, "fake_logit": -0.3})
        if i % 10 == 9:
            health.look(i, i / 60, pictures, {"": results}, {"": (pictures, [])})
        told = [sentence for sentence in said if "gradients explode" in sentence]
        assert not told or i >= 49
    health.look(60, 1.0, pictures, {"": results}, {"": (pictures, [])})
    (told,) = [sentence for sentence in said if "gradients explode" in sentence]
    (times,) = re.findall(r"explode \((\d+) times", told)
    assert int(times) == pytest.approx(1000, rel=0.02)


def test_learning_rates_far_too_high_are_named(toy_folders, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "LOG_SECONDS", 0.0)
    found, said = watched(
        toy_folders, tmp_path / "run", "optimizer.generator_lr=0.1", "optimizer.discriminator_lr=0.12"
    )
    assert found
    assert any("lower optimizer.generator_lr" in sentence.lower() for sentence in said)


def test_a_discriminator_that_knows_its_pictures_by_heart_is_named(tmp_path, monkeypatch):
    from inkbridge.train import health

    def by_heart(image: torch.Tensor) -> list[torch.Tensor]:
        """Real is what it was shown; all else is not."""
        return [torch.where(image.mean() > 0.5, 3.0, -3.0).reshape(1, 1)]

    bright, dark = np.full((32, 32, 3), 250, np.uint8), np.full((32, 32, 3), 20, np.uint8)
    assert health._overfitting(by_heart, [bright], [dark], [dark]) == pytest.approx(1)
    assert health._overfitting(by_heart, [bright], [bright], [dark]) == pytest.approx(0)
    assert health._overfitting(by_heart, [dark], [dark], [dark]) == 0


def test_what_was_said_is_not_said_again_after_a_stop(toy_folders, tmp_path, monkeypatch):
    painting(monkeypatch, PLANTED["copies"])
    monkeypatch.setattr(loop, "LOG_SECONDS", 0.0)

    def stop(report):
        if report.images_seen == 100:
            signal.raise_signal(signal.SIGINT)

    config = load_config(None, [*SETTINGS, "evaluate_every=20"])
    said: list[str] = []
    run = tmp_path / "run"
    assert not train(*toy_folders, run, config, Budget(images=160), stop, said.append, measure=as_ever)
    assert train(*toy_folders, run, config, Budget(images=160), say=said.append, measure=as_ever)
    assert len([sentence for sentence in said if "hardly other" in sentence]) == 1


def refused(content, style, run) -> str:
    with pytest.raises(DataError) as raised:
        train(content, style, run, load_config(None, SETTINGS), Budget(images=8))
    assert "\n" not in str(raised.value)
    assert not (run / "config.json").exists()
    return str(raised.value)


def test_folders_from_which_nothing_can_be_learned_are_refused(toy_folders, tmp_path):
    content, style = toy_folders
    same = tmp_path / "same"
    shutil.copytree(content, same)
    assert "10 of the 10 style pictures" in refused(content, same, tmp_path / "a")
    flat = tmp_path / "flat"
    flat.mkdir()
    for i in range(10):
        Image.fromarray(np.full((80, 80, 3), 20 * i, np.uint8)).save(flat / f"{i}.png")
    assert "style: 10 of 10 pictures" in refused(content, flat, tmp_path / "b")
    assert "content: 10 of 10 pictures" in refused(flat, style, tmp_path / "c")
    broken = tmp_path / "broken"
    broken.mkdir()
    for i in range(10):
        values = made_picture(72, 96, i).mean(2).astype(np.float32) / 255
        values[i, i] = np.nan
        Image.fromarray(values).save(broken / f"{i}.tif")
    assert "10 files could not be read" in refused(content, broken, tmp_path / "d")
    two = tmp_path / "two"
    two.mkdir()
    for i in range(2):
        shutil.copy(style / f"{i}.png", two)
    assert "training needs at least 8" in refused(content, two, tmp_path / "e")
    shutil.copy(style / "0.png", content)
    said: list[str] = []
    assert train(
        content, style, tmp_path / "f", load_config(None, SETTINGS), Budget(images=8), say=said.append
    )
    assert any(sentence.startswith("1 style pictures are content pictures too") for sentence in said)


def test_sound_generators_show_no_sign():
    """Every bundled style on the sample photographs, judged beside the sample paintings."""
    photos, paintings = (
        [square(read_picture(path).rgb) for path in sorted(Path("samples", folder).glob("*.jpg"))]
        for folder in ("photos", "paintings")
    )
    assert len(photos) >= 4
    eye = Eye(photos, paintings)
    for name in ("ukiyo-e", "east-west"):
        pack = inkbridge.load(name)
        for style in pack.styles:
            results = [pack.apply(photo, style=style) for photo in photos]
            found = eye.seen(results)
            assert set(found) <= {"cast"}, (style, found)  # these are not paintings of that style
