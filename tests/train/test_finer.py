"""How large a pack paints small pictures is what paints training contents better."""

import shutil

import numpy as np
import pytest

import inkbridge
from conftest import TINY, made_picture
from inkbridge.cli.export import export
from inkbridge.metrics.quality import Quality
from inkbridge.train.budget import Budget
from inkbridge.train.config import load_config
from inkbridge.train.export import export_run
from inkbridge.train.finer import choose_short_side
from inkbridge.train.loop import train


def sharpness(picture):
    return float(np.abs(np.diff(picture.astype(float), axis=1)).mean())


@pytest.mark.parametrize(
    ("weights", "chosen"),
    # Of the last the mean is higher, but one style would be lost.
    [((1, 1), 70), ((-1, -1), 0), ((3, -1), 70), ((1, -3), 0), ((90, -40), 0)],
)
def test_the_larger_is_taken_where_it_scores_higher_over_all_styles(tints, weights, chosen):
    """Noise that was enlarged and reduced again is smoother; how much that counts is up to the style."""
    pack = inkbridge.load(tints)
    noise = [np.random.default_rng(i).integers(80, 170, (50, 70, 3)).astype(np.uint8) for i in range(3)]
    seen = []

    def measure(contents, pictures):
        assert len(contents) == 3

        def meter(results):
            seen.append(np.mean([sharpness(result) for result in results]))
            value = 0.5 - float(pictures[0].flat[0] - 100.0) * (seen[-1] - 25.0) / 3000
            return [{"covered": value, "edges": value, "repeats": 0.0}]

        return meter

    styles = {
        name: [np.full((8, 8, 3), 100 + weight, np.uint8)] * 40
        for name, weight in zip(pack.styles, weights, strict=True)
    }
    steps = []
    assert choose_short_side(pack, noise, styles, measure, lambda *step: steps.append(step)) == chosen
    assert pack.info.size.short_side == 0
    assert max(seen[2:]) < min(seen[:2])
    assert steps[-1] == (12, 12)


def test_export_writes_what_paints_better_and_a_pack_of_pairs_is_left_alone(toy_folders, tmp_path):
    config = load_config(None, [*TINY, "data.hold_back=0"])
    train(*toy_folders, tmp_path / "run", config, Budget(images=8))

    def exported(*scores, run="run", say=lambda _: None):
        left = iter(scores)

        def measure(contents, styles):
            assert (len(contents), len(styles)) == (10, 10)

            def meter(results):
                value = next(left)
                return [{"covered": value, "edges": value, "repeats": 0.0}]

            return meter

        pack = tmp_path / "x.stylepack"
        return export_run(tmp_path / run, pack, measure=measure, say=say).size.short_side

    assert exported(0.5, 0.6) == round(1.4 * 72)
    assert inkbridge.load(tmp_path / "x.stylepack").info.size.short_side == round(1.4 * 72)
    assert exported(0.6, 0.5) == 0
    assert exported(0.5, 0.5) == 0
    shutil.rmtree(tmp_path / "run" / "cache")
    said: list[str] = []
    assert exported(say=said.append) == 0
    assert "as small as they are" in said[0]
    pairs = load_config(None, ["recipe=paired", *TINY[:6]])
    train(toy_folders[0], toy_folders[0], tmp_path / "pairs", pairs, Budget(images=4))
    assert exported(run="pairs") == 0


def test_pictures_that_crops_showed_whole_are_painted_with_their_border(toy_folders, tmp_path):
    for crop, border in ((48, 16), (80, 0)):  # of pictures of 72 pixels
        settings = [
            *(setting for setting in TINY if not setting.startswith("data.crop")),
            f"data.crop={crop}",
        ]
        train(*toy_folders, tmp_path / f"{crop}", load_config(None, settings), Budget(images=4))
        pack = tmp_path / f"{crop}.stylepack"
        assert export_run(tmp_path / f"{crop}", pack).size.border == border
        assert inkbridge.load(pack).info.size.border == border
        assert inkbridge.load(pack).apply(made_picture(72, 99, 1)).shape == (72, 99, 3)


def test_the_command_decides_by_the_measure_of_training(toy_folders, tmp_path, monkeypatch):
    # What a network of seconds paints better is chance, so the choice itself is given here.
    def chosen(pack, contents, styles, measure, advance):
        assert (type(measure), measure.judge) == (Quality, "pixels")
        assert {name: len(pictures) for name, pictures in styles.items()} == {"style": 10}
        return 120

    monkeypatch.setattr("inkbridge.train.export.choose_short_side", chosen)
    train(*toy_folders, tmp_path / "run", load_config(None, TINY), Budget(images=8))
    export(tmp_path / "run", out=tmp_path / "x.stylepack", eye="none")
    assert inkbridge.load(tmp_path / "x.stylepack").info.size.short_side == 120
