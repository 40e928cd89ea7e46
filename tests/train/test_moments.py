"""The best moment of a run is kept and exported, and a run that stands still says so."""

import json
import signal

import numpy as np
import pytest

from conftest import TINY, equal, made_picture, run_inkbridge
from inkbridge.metrics.quality import QualityMeter
from inkbridge.train import loop
from inkbridge.train.budget import Budget
from inkbridge.train.checkpoint import read_checkpoint, save_state
from inkbridge.train.config import load_config
from inkbridge.train.export import export_run
from inkbridge.train.loop import train
from inkbridge.train.moments import FEWEST
from inkbridge.train.scores import as_good, best_moment, interval, score

SETTINGS = [*TINY, "batch=2", "evaluate_every=8"]


def measuring(covered: list[float]):
    """A measure by which moments are that good, one after the other; keeps what it was shown."""
    shown: list[tuple[int, int]] = []
    left = iter(covered)

    def measure(contents, styles):
        shown.append((len(contents), len(styles)))

        def meter(results):
            value = next(left)
            return [{"covered": value, "edges": value, "repeats": 0.1} for _ in range(1 + len(results))]

        return meter

    return measure, shown


def entries(run):
    return [json.loads(line) for line in (run / "quality.jsonl").read_text().splitlines()]


def test_the_best_moment_is_kept_and_exported_and_the_last_on_request(toy_folders, tmp_path):
    run = tmp_path / "run"
    said: list[str] = []
    measure, shown = measuring([0.2, 0.7, 0.7, 0.4])
    config = load_config(None, SETTINGS)
    assert train(*toy_folders, run, config, Budget(images=32), say=said.append, measure=measure)
    assert shown == [(10, 10)]  # looked at once; of so few none are held back
    assert [entry["images_seen"] for entry in entries(run)] == [8, 16, 24, 32]
    assert [entry["score"] for entry in entries(run)] == [0.2, 0.7, 0.7, 0.4]
    assert any("Best measured: after 24 images, score 0.70" in sentence for sentence in said)
    best, last = read_checkpoint(run / "best.pt"), read_checkpoint(run / "checkpoint.pt")
    assert best["progress"]["images_seen"] == 24  # of equals the later
    assert not equal(best["modules"]["generator_ema"], last["modules"]["generator_ema"])
    chosen = export_run(run, tmp_path / "best.stylepack")
    at_end = export_run(run, tmp_path / "last.stylepack", last=True)
    assert (chosen.provenance["images_seen"], at_end.provenance["images_seen"]) == (24, 32)
    assert chosen.generator_sha256 != at_end.generator_sha256
    stopped_there = tmp_path / "there"
    config = load_config(None, [*SETTINGS, "optimizer.schedule=constant"])
    measure, _ = measuring([0.2, 0.7, 0.7, 0.4])
    train(*toy_folders, tmp_path / "again", config, Budget(images=32), measure=measure)
    train(*toy_folders, stopped_there, config, Budget(images=24))
    assert equal(
        read_checkpoint(tmp_path / "again" / "best.pt")["modules"]["generator_ema"],
        read_checkpoint(stopped_there / "checkpoint.pt")["modules"]["generator_ema"],
    )


def test_of_moments_that_chance_alone_parts_the_later_is_kept():
    rng = np.random.default_rng(0)

    def moment(mean):
        values = mean + rng.normal(0, 0.05, 12)  # of the difference of two means: standard error 0.02
        return np.array([values.mean(), *((values.sum() - value) / 11 for value in values)])

    highest = moment(0.5)
    assert as_good(highest, highest)
    for below, expected in ((0.004, True), (0.05, False)):
        near = moment(0.5)
        near += highest[0] - below - near[0]
        assert as_good(near, highest) is expected
        assert best_moment({8: moment(0.1), 16: highest, 24: near}) == (24 if expected else 16)
    calm = highest - 0.001  # below it by the same with each picture: that is no chance
    assert not as_good(calm, highest)
    # Against the highest, not against what was kept last: a slow decline is not followed.
    slow = {8: highest} | {8 * (2 + i): near + 0.046 - 0.004 * i for i in range(8)}
    assert best_moment(slow) < 40


def test_a_run_that_goes_on_ends_with_the_best_moment_of_one_go(toy_folders, tmp_path, monkeypatch):
    config = load_config(None, SETTINGS)
    monkeypatch.setattr(loop, "LOG_SECONDS", 0.0)
    whole, parts = tmp_path / "whole", tmp_path / "parts"

    def stop_at_18(report):
        if report.images_seen == 18:
            signal.raise_signal(signal.SIGINT)

    assert train(*toy_folders, whole, config, Budget(images=30), measure=QualityMeter)
    assert not train(*toy_folders, parts, config, Budget(images=30), stop_at_18, measure=QualityMeter)
    assert train(*toy_folders, parts, config, Budget(images=30), measure=QualityMeter)
    assert (whole / "quality.jsonl").read_text() == (parts / "quality.jsonl").read_text()
    assert [entry["images_seen"] for entry in entries(whole)] == [8, 16, 24, 30]  # the end is measured too
    first, second = read_checkpoint(whole / "best.pt"), read_checkpoint(parts / "best.pt")
    assert equal(first["modules"], second["modules"])
    assert first["scores"] == second["scores"]
    assert (parts / "quality.png").stat().st_size > 5000


RISING = [0.05 * i for i in range(1, 14)]
STILL = [0.1, 0.3, 0.5, 0.6, 0.6, 0.6, 0.605, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6]
DIPPED = [0.42, 0.606, 0.633, 0.638, 0.62, 0.607, 0.605, 0.62, 0.64, 0.663, 0.676, 0.682, 0.683]
"""A run of recipe `cut` on 39 prints, which went on to 0.72."""


def test_a_run_that_stands_still_says_so_once_and_stops_if_told_to(toy_folders, tmp_path):
    config = load_config(None, SETTINGS)
    for until_good, images_seen, scores in ((False, 112, STILL), (True, 96, STILL), (True, 104, RISING)):
        said: list[str] = []
        run = tmp_path / f"{until_good}-{images_seen}"
        budget = Budget(images=8 * len(scores), until_good=until_good)
        measure, _ = measuring(scores)
        assert train(*toy_folders, run, config, budget, say=said.append, measure=measure)
        progress = read_checkpoint(run / "checkpoint.pt")["progress"]
        assert progress["images_seen"] == images_seen
        assert f"{run}: done" in run_inkbridge("watch", run, "--once").stdout
        told = [sentence for sentence in said if "hardly helps" in sentence]
        assert len(told) == (0 if scores is RISING else 1)
        assert all("second half of 96 images" in sentence for sentence in told)
    measure, _ = measuring([])  # going on with what stood still ends at once
    budget = Budget(images=112, until_good=True)
    assert train(*toy_folders, tmp_path / "True-96", config, budget, measure=measure)


@pytest.mark.parametrize("scores", [[0.6] * (FEWEST - 1), [0.0] * 14, DIPPED])
def test_it_is_not_said_too_early_nor_where_nothing_is_reached(scores, toy_folders, tmp_path):
    measure, _ = measuring(scores)
    budget = Budget(images=8 * len(scores), until_good=True)
    assert train(*toy_folders, tmp_path / "run", load_config(None, SETTINGS), budget, measure=measure)
    assert read_checkpoint(tmp_path / "run" / "checkpoint.pt")["progress"]["images_seen"] == budget.images


def test_the_commands_measure_stop_and_export(toy_folders, tmp_path):
    content, style = toy_folders
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    run, pack = tmp_path / "run", tmp_path / "x.stylepack"
    folders = ("--content", content, "--style", style, "--out", run)
    done = run_inkbridge("train", *folders, "--images", 24, "--until-good", "--eye", "none", *settings)
    assert done.returncode == 0, done.stderr
    assert "Best measured: after " in done.stdout
    best = read_checkpoint(run / "best.pt")["progress"]["images_seen"]
    watched = run_inkbridge("watch", run)
    assert "done" in watched.stdout
    assert "100%  24 images" in watched.stdout
    assert f"best after {best} images" in watched.stdout
    assert "content " in watched.stdout  # the losses, each with its curve
    nothing = run_inkbridge("watch", tmp_path)
    assert (nothing.returncode, nothing.stderr.count("\n")) == (1, 1)
    assert "is not a run folder" in nothing.stderr
    exported = run_inkbridge("export", run, "-o", pack)
    assert f"The state after {best} images." in exported.stdout
    exported = run_inkbridge("export", run, "-o", pack, "--last")
    assert "The state after 24 images, the last." in exported.stdout


def test_watching_does_not_mind_a_line_cut_short_or_a_run_that_has_just_begun(toy_folders, tmp_path):
    run = tmp_path / "run"
    train(*toy_folders, run, load_config(None, SETTINGS), Budget(images=8))
    (run / "log.jsonl").write_text((run / "log.jsonl").read_text() + '{"images_se')
    assert "8 images" in run_inkbridge("watch", run, "--once").stdout
    (run / "quality.jsonl").write_text('{"images_seen": 8, "style": "", "covered": 0.1, "edges": 0.5}\n')
    assert "quality" not in run_inkbridge("watch", run, "--once").stdout  # as runs of before were measured
    (run / "log.jsonl").unlink()
    assert "no update was logged yet" in run_inkbridge("watch", run, "--once").stdout


def test_the_pace_is_settled_once(toy_folders, tmp_path):
    config = load_config(None, TINY[:-2])  # without what says how often samples are written
    assert config.evaluate_every is None
    train(*toy_folders, tmp_path / "run", config, Budget(images=8))
    settled = json.loads((tmp_path / "run" / "config.json").read_text())
    assert 0 < settled["evaluate_every"] < settled["sample_every"]
    train(*toy_folders, tmp_path / "run", config, Budget(images=16))
    assert json.loads((tmp_path / "run" / "config.json").read_text()) == settled


def test_scores_of_another_judge_are_not_compared(toy_folders, tmp_path):
    config, run = load_config(None, SETTINGS), tmp_path / "run"
    measure, _ = measuring([0.9, 0.8])
    assert train(*toy_folders, run, config, Budget(images=16), measure=measure)
    assert read_checkpoint(run / "best.pt")["progress"]["images_seen"] == 8
    # As runs of before wrote them: without the name of a judge, who looked at pixels.
    lines = [{key: value for key, value in line.items() if key != "judge"} for line in entries(run)]
    (run / "quality.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    best = read_checkpoint(run / "best.pt")
    del best["judge"]
    save_state(run / "best.pt", best)
    said: list[str] = []
    measure, _ = measuring([0.1])
    assert train(*toy_folders, run, config, Budget(images=24), say=said.append, measure=measure)
    assert "after 8 images, score 0.90" in said[-1]  # the same judge: the best stays
    assert "style covered and edges kept" in said[-1]
    measure, _ = measuring([0.2, 0.3])
    measure.judge = "eye-12345678"
    assert train(*toy_folders, run, config, Budget(images=40), say=said.append, measure=measure)
    assert "after 40 images, score 0.30" in said[-1]
    assert "style covered and content recognised" in said[-1]
    assert [line.get("judge") for line in entries(run)] == [None, None, "pixels", *["eye-12345678"] * 2]
    watched = run_inkbridge("watch", run, "--once").stdout
    assert "best after 40 images: score 0.300" in watched


def test_the_meter_knows_copies_style_pictures_and_what_was_learned_by_heart():
    contents = [made_picture(256, 256, i) for i in range(5)]
    styles = [255 - made_picture(256, 256, 20 + i) // 3 for i in range(12)]
    meter = QualityMeter(contents, styles[:8])
    copies = meter(contents)
    assert len(copies) == 6
    assert all(one["covered"] == pytest.approx(0, abs=1e-6) for one in copies)
    assert all(one["edges"] == pytest.approx(1) for one in copies)
    (by_heart, *_), (like_them, *_) = meter(styles[:5]), meter(styles[7:])
    assert by_heart["covered"] > 0.9
    assert by_heart["edges"] < 0.3
    assert by_heart["repeats"] > 0.99
    assert like_them["covered"] > 0.9
    dark, *others = meter([contents[0], *styles[:4]])
    assert np.argmax([one["covered"] for one in others]) == 0  # better without the copy
    assert others[0]["covered"] > dark["covered"]
    (alone,) = QualityMeter(contents[:1], styles)(contents[:1])
    assert alone["edges"] == pytest.approx(1)


def test_score_and_interval_by_hand():
    assert score({"covered": 0.5, "recognised": 0.5, "edges": 0.1}) == pytest.approx(2 / 3)
    assert score({"covered": 0.5, "recognised": 0.9, "edges": 0.1}) == pytest.approx(2 / 3)  # half is enough
    assert score({"covered": 1.0, "recognised": 0.25, "edges": 0.1}) == pytest.approx(2 / 3)
    assert score({"covered": 0.5, "edges": 1.0}) == pytest.approx(2 / 3)
    assert score({"covered": 1.4, "edges": 0.5}) == score({"covered": 1.0, "edges": 0.5})
    assert score({"covered": -0.3, "edges": 0.9}) == score({"covered": 0.9, "edges": 0.0}) == 0
    # Without each of 2, 4 and 6 the mean is 5, 4 and 3; its standard error is 2 / sqrt(3).
    low, high = interval(np.array([4.0, 5.0, 4.0, 3.0]))
    assert (high - low) / 2 == pytest.approx(1.96 * 2 / np.sqrt(3))
    assert interval(np.array([0.4])) == (0.4, 0.4)
