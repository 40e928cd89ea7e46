"""The size at which a pack paints is the one that paints training contents best."""

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
from inkbridge.train.loop import train
from inkbridge.train.working_side import SHARES, choose_working_side


def sharpness(picture):
    return float(np.abs(np.diff(picture.astype(float), axis=1)).mean())


@pytest.mark.parametrize(
    ("scores", "chosen"),
    # Of each style, at 1, 0.75 and 1.4 times the size of the contents.
    [
        (((0.5, 0.5), (0.4, 0.4), (0.6, 0.6)), 70),
        (((0.5, 0.5), (0.6, 0.6), (0.4, 0.4)), 38),
        (((0.5, 0.5), (0.4, 0.4), (0.4, 0.4)), 50),
        (((0.5, 0.5), (0.5, 0.5), (0.5, 0.5)), 50),
        # The mean is higher, but one style would be lost.
        (((0.5, 0.5), (0.4, 0.4), (0.9, 0.45)), 50),
        (((0.5, 0.5), (0.45, 0.9), (0.6, 0.6)), 70),
    ],
)
def test_the_size_is_taken_that_scores_highest_over_all_styles(tints, scores, chosen):
    """Noise that was painted at another size and brought back is smoother."""
    pack = inkbridge.load(tints)
    noise = [np.random.default_rng(i).integers(80, 170, (50, 70, 3)).astype(np.uint8) for i in range(3)]
    seen = []

    def measure(contents, pictures):
        assert len(contents) == 3
        place = pictures[0].flat[0]

        def meter(results):
            value = scores[len(seen) // 2][place]
            seen.append(np.mean([sharpness(result) for result in results]))
            return [{"covered": value, "edges": value, "repeats": 0.0}]

        return meter

    styles = {name: [np.full((8, 8, 3), i, np.uint8)] * 40 for i, name in enumerate(pack.styles)}
    steps = []
    assert choose_working_side(pack, noise, styles, measure, lambda *step: steps.append(step)) == chosen
    assert pack.info.size.working_side == 0
    assert max(seen[2:]) < min(seen[:2])
    assert steps[-1] == (18, 18)


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
        return export_run(tmp_path / run, pack, measure=measure, say=say).size.working_side

    assert SHARES == (1.0, 0.75, 1.4)
    assert exported(0.5, 0.4, 0.6) == round(1.4 * 72)
    assert inkbridge.load(tmp_path / "x.stylepack").info.size.working_side == round(1.4 * 72)
    assert exported(0.5, 0.6, 0.4) == round(0.75 * 72)
    assert exported(0.6, 0.5, 0.5) == 72
    assert exported(0.5, 0.5, 0.5) == 72
    assert export_run(tmp_path / "run", tmp_path / "x.stylepack").size.working_side == 72
    shutil.rmtree(tmp_path / "run" / "cache")
    said: list[str] = []
    assert exported(say=said.append) == 0
    assert "as large as it is" in said[0]
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
        info = export_run(tmp_path / f"{crop}", pack)
        assert info.size.border == border
        # As tall as a line of text is, whatever it holds.
        assert info.size.working_side == (72 if border else 0)
        assert inkbridge.load(pack).info.size.border == border
        assert inkbridge.load(pack).apply(made_picture(72, 99, 1)).shape == (72, 99, 3)


def test_the_command_decides_by_the_measure_of_training(toy_folders, tmp_path, monkeypatch):
    # What a network of seconds paints better is chance, so the choice itself is given here.
    def chosen(pack, contents, styles, measure, advance):
        assert (type(measure), measure.judge) == (Quality, "pixels")
        assert {name: len(pictures) for name, pictures in styles.items()} == {"style": 10}
        return 120

    monkeypatch.setattr("inkbridge.train.export.choose_working_side", chosen)
    train(*toy_folders, tmp_path / "run", load_config(None, TINY), Budget(images=8))
    export(tmp_path / "run", out=tmp_path / "x.stylepack", eye="none")
    assert inkbridge.load(tmp_path / "x.stylepack").info.size.working_side == 120
