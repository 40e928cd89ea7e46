"""A style whose pictures have several looks gets, by name, one that there is."""

import shutil

import numpy as np
import pytest
from PIL import Image

import inkbridge
from conftest import TINY, made_picture, run_inkbridge, tinting_pack
from inkbridge.metrics.quality import Quality
from inkbridge.pack import StylePack
from inkbridge.train.budget import Budget
from inkbridge.train.checkpoint import read_checkpoint
from inkbridge.train.config import load_config
from inkbridge.train.export import export_run
from inkbridge.train.looks import choose_look, k_means
from inkbridge.train.loop import train

BLUE, YELLOW = (-0.5, -0.3, 0.4), (0.5, 0.3, -0.4)
MEAN = np.zeros((1, 4), np.float32)


def tinted(tint, seed: int, side: int = 96) -> np.ndarray:
    """A gray made picture with a tint in [-1, 1]."""
    gray = made_picture(side, side, seed).mean(2, keepdims=True) / 255 * 60 + 98
    return np.clip(gray + 127.5 * np.array(tint), 0, 255).astype(np.uint8)


@pytest.fixture
def tints() -> StylePack:
    return StylePack(tinting_pack(), "tints")


def apart(contents, of_style):
    """By pixels: these looks are tints of one made picture, which no trained eye was made for."""
    return Quality("none").distance(contents, of_style)


CONTENTS = [tinted((0, 0, 0), seed) for seed in range(100, 104)]


def test_of_two_looks_the_name_gets_one_and_not_their_mean(tints):
    pictures = [tinted(BLUE if i % 2 else YELLOW, i) for i in range(50)]
    code, num = choose_look(tints, MEAN, pictures, CONTENTS, apart)
    assert num == 25
    assert min(np.abs(code[0, :3] - tint).max() for tint in (BLUE, YELLOW)) < 0.1


def test_a_style_of_one_look_stays_as_it_was_learned(tints):
    learned = np.array([[*BLUE, 0.0]], np.float32)
    pictures = [tinted(BLUE, i) for i in range(50)]
    code, num = choose_look(tints, learned, pictures, CONTENTS, apart)
    assert num == 50
    assert code is learned


def test_a_few_strange_pictures_are_no_look(tints):
    learned = np.array([[*BLUE, 0.0]], np.float32)
    # Those of the contents, so that nothing would be painted more faithfully.
    pictures = [tinted(YELLOW, 100 + i % 4) for i in range(5)] + [tinted(BLUE, i) for i in range(40)]
    _, num = choose_look(tints, learned, pictures, CONTENTS, apart)
    assert num >= 40


@pytest.mark.parametrize("num", [3, 39])
def test_of_few_pictures_no_looks_are_sought(tints, num):
    pictures = [tinted(BLUE if i % 2 else YELLOW, i) for i in range(num)]
    assert choose_look(tints, MEAN, pictures, CONTENTS, apart) == (MEAN, num)


def test_pictures_that_are_all_the_same_are_one_group():
    group, means = k_means(np.ones((40, 4), np.float32), 4)
    assert set(group) == {0}
    assert np.array_equal(means, np.ones((1, 4)))


def test_groups_are_found_and_are_the_same_each_time():
    rng = np.random.default_rng(1)
    rows = np.concatenate([rng.normal(at, 0.1, (30, 4)) for at in (0, 3, 6)]).astype(np.float32)
    group, means = k_means(rows, 3)
    assert all(len(set(group[i : i + 30])) == 1 for i in (0, 30, 60))
    assert sorted(means.mean(1).round()) == [0, 3, 6]
    assert np.array_equal(group, k_means(rows, 3)[0])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of two styles, of which `mixed` has 44 pictures of two looks."""
    base = tmp_path_factory.mktemp("looks")
    for name, num in (("content", 6), ("mixed", 44), ("plain", 5)):
        (base / name).mkdir()
        for i in range(num):
            tint = (0, 0, 0) if name == "content" else YELLOW if name == "mixed" and i % 2 else BLUE
            Image.fromarray(tinted(tint, i)).save(base / name / f"{i:02d}.png")
    settings = [*TINY, "batch=2", "encoder.width=4", "data.minimum=3", "data.hold_back=0"]
    config = load_config(None, settings, "multistyle")
    styles = {name: base / name for name in ("mixed", "plain")}
    assert train(base / "content", styles, base / "run", config, Budget(images=24))
    return base / "run"


def test_export_writes_the_chosen_look_and_says_so(run, tmp_path, monkeypatch):
    # What a network of seconds paints best is chance, so the choice itself is given here.
    def half_of_many(pack, code, pictures, contents, distances):
        assert distances is apart
        assert (len(pictures), len(contents)) in ((44, 6), (5, 6))
        return (code, 5) if len(pictures) == 5 else (np.full_like(code, 0.25), 22)

    monkeypatch.setattr("inkbridge.train.export.choose_look", half_of_many)
    said: list[str] = []
    export_run(run, tmp_path / "looks.stylepack", distances=apart, say=said.append)
    pack = inkbridge.load(tmp_path / "looks.stylepack")
    assert (pack.code("mixed") == 0.25).all()
    assert (pack.code("plain") != 0.25).any()
    assert pack.info.provenance["look_mixed"] == "of 22 of its 44 pictures"
    assert "look_plain" not in pack.info.provenance
    assert said == ["mixed: the look of 22 of its 44 pictures, painted most faithfully."]


def test_export_without_the_pictures_keeps_what_was_learned(run, tmp_path):
    moved = tmp_path / "run"
    shutil.copytree(run, moved)
    shutil.rmtree(moved / "cache")
    learned = read_checkpoint(moved / "checkpoint.pt")["modules"]["generator_ema"]["styles"]
    done = run_inkbridge("export", moved, "-o", tmp_path / "looks.stylepack")
    assert done.returncode == 0
    assert done.stdout.count("stays as it was learned") == 2
    pack = inkbridge.load(tmp_path / "looks.stylepack")
    assert np.allclose(pack.code("mixed"), learned[:1].numpy(), atol=1e-6)
