"""The classifier that painting writing as print is judged by: small alphabets, real fonts."""

from __future__ import annotations

import math
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from conftest import TINY
from inkbridge.cli.glyphs import glyphs
from inkbridge.errors import ConfigError, DataError
from inkbridge.train.budget import Budget
from inkbridge.train.config import load_config
from inkbridge.train.loop import train
from inkbridge.train.networks.generator import GeneratorConfig
from inkbridge.train.networks.glyphs import GlyphClassifier, load_classifier, reads_otherwise
from inkbridge.train.optimizers import OptimizerConfig
from inkbridge.train.recipe import Choice
from inkbridge.train.recipes.paired import Paired, PairedConfig, PairedLossConfig
from inkbridge.uses.text_recognition import glyphs as training
from inkbridge.uses.text_recognition.glyphs import GlyphLines, share_read, train_classifier
from inkbridge.uses.text_recognition.writing import DRAWN, LINE_HEIGHT, Hand

FONTS = Path("/usr/share/fonts/truetype/dejavu")
SERIF, SANS = FONTS / "DejaVuSerif.ttf", FONTS / "DejaVuSans.ttf"


def lines(text: str = "HOSTK") -> GlyphLines:
    return GlyphLines([text], [Hand(SERIF)], Hand(SANS))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("glyphs")
    (folder / "text.txt").write_text("SHOTS KOH\n")
    glyphs([SERIF], plain=SANS, text=folder / "text.txt", out=folder / "glyphs.pt", updates=60)
    return folder / "glyphs.pt"


def as_tensor(batch: training.Batch, num: int = 2) -> Tensor:
    return batch.pictures[:num, :, :, :64].clone()


def test_glyphs_are_where_the_batch_says() -> None:
    """Of a line of one character, cut at random, each glyph's column is dark and the next gap is not far."""
    batch = lines("I").draw(np.random.default_rng(0), 8)
    ink = batch.pictures.mean(1).amin(1)
    paper = ink.amax(1, keepdim=True)
    dark = ink < (paper + ink.amin(1, keepdim=True)) / 2
    for line, column in zip(batch.lines.tolist(), batch.columns.tolist(), strict=True):
        # Read from its own column or the one beside it.
        assert dark[line, max(8 * column - 10, 0) : 8 * column + 18].any()
    assert set(batch.classes.tolist()) == {0}
    assert round(DRAWN * LINE_HEIGHT) == 96


def test_a_classifier_learns_to_read_and_is_frozen(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    classifier = load_classifier(trained)
    assert classifier.characters == "HKOST"
    assert share_read(classifier, lines(), seed=3) > 0.9
    assert not classifier.training
    assert not any(parameter.requires_grad for parameter in classifier.parameters())
    assert not list(trained.parent.glob("*.training"))
    colourful = (
        as_tensor(lines().draw(np.random.default_rng(0))) + torch.tensor([0.3, -0.1, -0.2])[:, None, None]
    )
    grey = colourful.mean(1, keepdim=True).repeat(1, 3, 1, 1)
    assert torch.allclose(classifier(colourful)[0], classifier(grey)[0], atol=1e-4)


def test_a_run_is_taught_by_a_classifier(trained: Path, tmp_path: Path) -> None:
    for side, seed in (("hand", 1), ("print", 2)):
        (tmp_path / side).mkdir()
        for at in range(12):
            light = np.random.default_rng([seed, at]).integers(0, 255, (48, 96, 3), np.uint8)
            Image.fromarray(light).save(tmp_path / side / f"{at}.png")
    settings = [*TINY[:6], "recipe=paired", "losses.adversarial_weight=0", f"losses.classifier={trained}"]
    folders = tmp_path / "hand", tmp_path / "print"
    # Warnings are errors here: what a run costs is told from networks that have no memory.
    train(*folders, tmp_path / "run", load_config(None, settings), Budget(images=8))
    assert '"reading"' in (tmp_path / "run" / "log.jsonl").read_text()


def test_a_stopped_training_ends_as_if_it_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "SAVE_EVERY", 2)
    train_classifier(lines(), tmp_path / "whole.pt", 5)

    def stop(done: int, right: float) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_classifier(lines(), tmp_path / "stopped.pt", 5, on_update=stop)
    assert not (tmp_path / "stopped.pt").exists()
    with pytest.raises(DataError, match="belongs to a training with other fonts"):
        train_classifier(lines("HOS"), tmp_path / "stopped.pt", 5)
    begun: list[int] = []
    train_classifier(lines(), tmp_path / "stopped.pt", 5, on_update=lambda done, right: begun.append(done))
    assert begun == [3, 4, 5]
    whole, stopped = (load_classifier(tmp_path / name).state_dict() for name in ("whole.pt", "stopped.pt"))
    assert all(torch.equal(whole[name], stopped[name]) for name in whole)


def test_pictures_alike_read_alike(trained: Path) -> None:
    classifier = load_classifier(trained)
    first, second = (as_tensor(lines().draw(np.random.default_rng(seed))) for seed in (1, 2))
    assert reads_otherwise(classifier, first, first).item() == pytest.approx(0.0, abs=1e-6)
    fainter = (1 - (1 - first) * 0.8).requires_grad_()
    loss = reads_otherwise(classifier, fainter, first)
    assert 0 < loss.item() < reads_otherwise(classifier, second, first).item() / 2
    loss.backward()
    assert fainter.grad is not None
    assert fainter.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in classifier.parameters())


def test_differing_readings_cost_what_their_entropy_says() -> None:
    def seen(image: Tensor) -> tuple[Tensor, list[Tensor]]:
        wanted = bool(image.sum() > 0)
        logits = torch.tensor([math.log(3.0) if wanted else 0.0, 0.0]).view(1, 2, 1, 1)
        return logits, [torch.full((1, 1, 1, 1), 4.0 if wanted else 3.0)]

    loss = reads_otherwise(cast(GlyphClassifier, seen), -torch.ones(1), torch.ones(1))
    # 3/4 and 1/4 wanted, a half each read; 3 for 4 activated.
    assert loss.item() == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5) + 0.25)


def test_a_generator_learns_from_the_classifier_alone(trained: Path) -> None:
    losses = PairedLossConfig(adversarial_weight=0.0, pair_weight=0.0, classifier=str(trained))
    sizes = GeneratorConfig(width=8, body=16, num_blocks=2)
    fast = OptimizerConfig(generator_lr=4e-3, warm_up_images=0, generator_warm_up_images=0)
    torch.manual_seed(0)
    recipe = Paired(PairedConfig(generator=sizes, losses=losses, optimizer=fast), torch.device("cpu"))
    assert recipe.classifier is not None
    before = {name: value.clone() for name, value in recipe.classifier.state_dict().items()}
    style = as_tensor(lines().draw(np.random.default_rng(5)), 4)
    content, read = -style, []
    for at in range(40):
        _, parts = recipe.update(content, style, Choice(), 0.0, 4 * at, torch.Generator().manual_seed(at))
        read.append(float(parts["reading"]))
    assert min(read[-3:]) < 0.7 * read[0]
    assert all(torch.equal(before[name], value) for name, value in recipe.classifier.state_dict().items())
    assert "classifier" not in recipe.modules()


def test_what_is_no_classifier_is_said_before_training(tmp_path: Path) -> None:
    other = tmp_path / "other.pt"
    for content in (b"nothing", b""):
        other.write_bytes(content)
        with pytest.raises(DataError, match="is no glyph classifier"):
            load_classifier(other)
    torch.save({"state": {}}, other)
    with pytest.raises(DataError, match="is no glyph classifier"):
        load_classifier(other)
    missing = PairedConfig(losses=PairedLossConfig(classifier=str(tmp_path / "none.pt")))
    with pytest.raises(DataError, match=r"none\.pt' cannot be read: No such file"):
        Paired(missing, torch.device("cpu"))


def test_fonts_and_numbers_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has none of the 1 characters"):
        GlyphLines(["狐"], [Hand(SANS)], Hand(Path("/usr/share/fonts/opentype/ipafont-mincho/ipam.ttf")))
    with pytest.raises(ConfigError, match="--updates 0"):
        glyphs([SERIF], plain=SANS, text=tmp_path, out=tmp_path / "x.pt", updates=0)
    with pytest.raises(DataError, match="does not exist"):
        glyphs([SERIF], plain=SANS, text=tmp_path, out=tmp_path / "no" / "x.pt")
