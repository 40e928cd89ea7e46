import json

import numpy as np
import pytest
from PIL import Image

from conftest import made_picture, run_inkbridge

LABELS = ["SSIM", "MS-SSIM", "FSIM", "FSIMc", "PSNR", "structure", "edges"]


def save(path, seed, noise=0):
    path.parent.mkdir(exist_ok=True)
    shift = np.random.default_rng(seed).integers(-noise, noise + 1, (180, 190, 3))
    Image.fromarray(np.clip(made_picture(180, 190, seed) + shift, 0, 255).astype(np.uint8)).save(path)
    return path


def test_two_pictures_as_a_table_and_as_json(tmp_path):
    a, b = save(tmp_path / "a.png", 1), save(tmp_path / "b.png", 1, noise=20)
    table = run_inkbridge("compare", a, b)
    assert table.returncode == 0, table.stderr
    header, row = table.stdout.splitlines()
    assert header.split() == LABELS
    found = json.loads(run_inkbridge("compare", a, b, "--json").stdout)
    assert list(found) == LABELS
    assert row.split()[1:] == [f"{value:.4f}" for value in found.values()]
    assert 0.2 < found["SSIM"] < 0.99
    equal = json.loads(run_inkbridge("compare", a, a, "--json").stdout)
    assert equal.pop("PSNR") is None
    assert set(equal.values()) == {1.0}


def test_two_folders_are_paired_by_name_with_means_and_differences(tmp_path):
    for seed in (1, 2, 3):
        save(tmp_path / "a" / f"{seed}.png", seed)
        save(tmp_path / "b" / f"{seed}.jpg", seed, noise=10 * seed)
    done = run_inkbridge("compare", tmp_path / "a", tmp_path / "b", "--json", "-d", tmp_path / "differences")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert list(found["pairs"]) == ["1", "2", "3"]
    for label in LABELS:
        values = [row[label] for row in found["pairs"].values()]
        assert found["all"][label]["mean"] == pytest.approx(np.mean(values))
        low, high = found["all"][label]["interval95"]
        assert min(values) <= low + 1e-9
        assert low <= found["all"][label]["mean"] <= high <= max(values) + 1e-9
    means = [np.asarray(Image.open(tmp_path / "differences" / f"{i}.png")).mean() for i in (1, 2, 3)]
    assert means == sorted(means)
    assert "95% from" in run_inkbridge("compare", tmp_path / "a", tmp_path / "b").stdout


def test_what_cannot_be_compared_is_said_in_one_sentence(tmp_path):
    a = save(tmp_path / "a.png", 1)
    Image.fromarray(made_picture(50, 60)).save(tmp_path / "small.png")
    (tmp_path / "text.png").write_text("no picture")
    for name in ("one", "two", "none"):
        (tmp_path / name).mkdir()
    save(tmp_path / "one" / "x.png", 1)
    save(tmp_path / "two" / "y.png", 1)
    for arguments, reason in (
        ([a, tmp_path / "small.png"], "same size"),
        ([a, tmp_path / "text.png"], "text.png"),
        ([a, tmp_path / "missing.png"], "does not exist"),
        ([a, tmp_path / "one"], "is a folder"),
        ([tmp_path / "one", tmp_path / "none"], "holds no pictures"),
        ([tmp_path / "one", tmp_path / "two"], "only in one of"),
        ([a, a, "-d", tmp_path / "d.txt"], "d.txt"),
    ):
        done = run_inkbridge("compare", *arguments)
        assert done.returncode == 1, (arguments, done.stderr)
        assert reason in done.stderr, done.stderr
        assert done.stderr.count("\n") == 1, done.stderr


def test_tiny_and_constant_pictures_have_numbers_or_dashes(tmp_path):
    for name, shape in (("dot", (1, 1, 3)), ("flat", (40, 40, 3))):
        Image.fromarray(np.full(shape, 90, np.uint8)).save(tmp_path / f"{name}.png")
        done = run_inkbridge("compare", tmp_path / f"{name}.png", tmp_path / f"{name}.png")
        assert done.returncode == 0, done.stderr
        assert "nan" not in done.stdout.lower()
