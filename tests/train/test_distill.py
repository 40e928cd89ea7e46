"""A pack taught to a smaller generator."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch

import inkbridge
from conftest import made_picture, run_inkbridge
from inkbridge.catalogue import BUNDLED
from inkbridge.errors import ConfigError, PackError
from inkbridge.pack_format import read_pack
from inkbridge.train.distill import DistillConfig, choose_sizes, distill, painting_loss, smaller
from inkbridge.train.from_pack import generator_of
from inkbridge.train.networks.generator import GeneratorConfig

EAST_WEST = BUNDLED / "east-west.stylepack"
SMALL = DistillConfig(crop=48, batch=4)


def test_the_loss_by_hand():
    painted, wanted = torch.zeros(1, 1, 2, 2), torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]])
    # One of four pixels is off by 1; one of two steps down, and one of two across.
    assert float(painting_loss(painted, wanted, 0.5)) == pytest.approx(0.25 + 0.5 * (0.5 + 0.5))


def test_students_become_smaller():
    found = smaller(GeneratorConfig())
    assert found[0] == GeneratorConfig(width=28, body=112)
    sizes = [(each.num_blocks, each.width, each.body) for each in found]
    assert sizes == sorted(sizes, reverse=True)
    assert found[-1] == GeneratorConfig(width=4, body=16, num_blocks=1)


def test_the_largest_within_the_budget_is_taken():
    teacher = generator_of(read_pack(EAST_WEST), "east-west")
    sizes, share = choose_sizes(teacher, 0.6)
    assert 0.2 < share <= 0.6
    assert sizes.width in range(8, 28)
    with pytest.raises(ConfigError, match="cannot be kept: the smallest student takes 0"):
        choose_sizes(teacher, 0.001)


def test_a_student_learns_to_paint_what_its_teacher_paints(tmp_path):
    """In a minute of one core it gets far; all styles and the encoder come along."""
    losses = []
    out = tmp_path / "student.stylepack"
    done = distill(
        EAST_WEST, out, budget=0.7, updates=150, config=SMALL, report=lambda _, loss: losses.append(loss)
    )
    assert np.mean(losses[-20:]) < 0.8 * np.mean(losses[:20])
    teacher, student = inkbridge.load(EAST_WEST), inkbridge.load(out)
    assert student.styles == teacher.styles
    assert done.share <= 0.7
    assert student.info.provenance["parameters"] < 0.7 * teacher.info.provenance["parameters"]
    assert student.info.provenance["distilled_from"] == teacher.info.title
    assert student.license == teacher.license
    photo = made_picture(96, 128)
    assert np.array_equal(student.code(like=photo), teacher.code(like=photo))
    untaught = np.abs(photo.astype(int) - teacher.apply(photo)).mean()
    assert np.abs(student.apply(photo).astype(int) - teacher.apply(photo)).mean() < 0.7 * untaught
    assert sorted(path.name for path in tmp_path.iterdir()) == ["student.stylepack"]


def test_photographs_are_held_back_to_measure_on(tmp_path):
    from PIL import Image

    (tmp_path / "photos").mkdir()
    for i in range(40):
        Image.fromarray(made_picture(64, 80, i)).save(tmp_path / "photos" / f"{i}.png")
    done = distill(
        EAST_WEST,
        tmp_path / "student.stylepack",
        budget=0.9,
        content=tmp_path / "photos",
        updates=3,
        config=SMALL,
    )
    assert done.held_back == 4
    assert 0 < done.difference < 255
    assert done.file.info.measured["difference_from_teacher"] == pytest.approx(done.difference, abs=0.01)


def test_a_killed_one_goes_on_where_it_was(tmp_path):
    script = (
        "import sys; from pathlib import Path\n"
        "from inkbridge.train import distill as d\n"
        "d.SAVE_EVERY = 0.0\n"
        "done = d.distill(Path(sys.argv[1]), Path(sys.argv[2]), budget=0.9, updates=12,\n"
        "                 config=d.DistillConfig(crop=48, batch=2), say=print,\n"
        "                 report=lambda progress, loss: print(f'{progress:.3f}', flush=True))\n"
    )
    out = tmp_path / "student.stylepack"
    command = [sys.executable, "-c", script, str(EAST_WEST), str(out)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if line.startswith("0.5"):
            break
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert not out.exists()
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert said[0].startswith("Going on after 1")
    assert len(said) - 2 <= 6
    assert inkbridge.load(out).info.provenance["distilled_crops"] == 24
    assert list(tmp_path.iterdir()) == [out]


def test_what_cannot_be_taught_is_said(tmp_path, stub_pack):
    with pytest.raises(PackError, match="cannot learn"):
        distill(stub_pack, tmp_path / "out.stylepack", updates=1)
    with pytest.raises(ConfigError, match=r"budget = 1\.5 cannot be used"):
        distill(EAST_WEST, tmp_path / "out.stylepack", budget=1.5, updates=1)
    done = run_inkbridge("distill", "east-west", "--minutes", "0", "-o", tmp_path / "out.stylepack")
    assert done.returncode == 1
    assert "--minutes 0 cannot be used" in done.stderr
    done = run_inkbridge("distill", "repair", "-o", tmp_path / "out.stylepack")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    done = run_inkbridge("distill", "east-west", "-o", tmp_path / "out.zip")
    assert done.returncode == 1
    assert "a style pack's name ends in .stylepack" in done.stderr
    assert not list(tmp_path.glob(".out*"))
