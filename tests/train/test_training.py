"""The loop, resuming, exporting: the real thing on made pictures, tiny."""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import inkbridge
from conftest import TINY, equal, made_picture
from inkbridge.errors import ConfigError, DataError, TrainingError
from inkbridge.metrics.distribution import StyleDistance
from inkbridge.tiling import grain
from inkbridge.train import loop
from inkbridge.train.budget import Budget
from inkbridge.train.config import load_config
from inkbridge.train.export import export_run, to_onnx
from inkbridge.train.loop import train
from inkbridge.train.networks.generator import Generator, GeneratorConfig
from inkbridge.train.onnx_file import compare


def state(run: Path) -> dict:
    return torch.load(run / "checkpoint.pt", weights_only=True)


def run_command(folders, out: Path, *extra: str) -> list[str]:
    settings = [part for setting in TINY for part in ("--set", setting)]
    return [
        *(
            sys.executable,
            "-m",
            "inkbridge",
            "train",
            "--content",
            str(folders[0]),
            "--style",
            str(folders[1]),
        ),
        *("--out", str(out), "--eye", "none", *settings, *extra),
    ]


def test_stopping_and_going_on_ends_bit_for_bit_where_one_go_ends(toy_folders, tmp_path):
    config = load_config(None, TINY)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert train(*toy_folders, whole, config, Budget(images=48))

    shots = []

    def stop_in_the_middle(report):
        shots.append(report)
        signal.raise_signal(signal.SIGINT)

    seconds, loop.LOG_SECONDS = loop.LOG_SECONDS, 0.0
    try:
        finished = train(*toy_folders, parts, config, Budget(images=48), stop_in_the_middle)
    finally:
        loop.LOG_SECONDS = seconds
    assert not finished
    assert 0 < state(parts)["progress"]["images_seen"] < 48
    assert train(*toy_folders, parts, config, Budget(images=48))
    first, second = state(whole), state(parts)
    assert equal(first["modules"], second["modules"])
    assert equal(first["optimizers"], second["optimizers"])


def test_kill_9_at_random_moments_loses_nothing(toy_folders, tmp_path):
    """Two kills here; benchmarks/kill_resume.py does twenty."""
    config = load_config(None, [*TINY, "checkpoint_seconds=0.05"])
    train(*toy_folders, tmp_path / "whole", config, Budget(images=160))
    command = run_command(
        toy_folders, tmp_path / "killed", "--images", "160", "--set", "checkpoint_seconds=0.05"
    )
    dice = random.Random(0)
    for _ in range(2):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not (tmp_path / "killed" / "checkpoint.pt").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(dice.uniform(0, 0.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert equal(state(tmp_path / "whole")["modules"], state(tmp_path / "killed")["modules"])
    lines = [json.loads(line) for line in (tmp_path / "killed" / "log.jsonl").read_text().splitlines()]
    seen = [line["images_seen"] for line in lines]
    assert seen == sorted(set(seen))
    assert not list((tmp_path / "killed").rglob("*.part"))


def test_other_settings_or_folders_are_refused_for_a_started_run(toy_folders, tmp_path):
    out = tmp_path / "run"
    train(*toy_folders, out, load_config(None, TINY), Budget(images=4))
    with pytest.raises(ConfigError, match=r"other settings \(losses\)"):
        train(*toy_folders, out, load_config(None, [*TINY, "losses.content_weight=9"]), Budget(images=8))
    with pytest.raises(ConfigError, match="other folders"):
        train(toy_folders[1], toy_folders[0], out, load_config(None, TINY), Budget(images=8))


def test_two_processes_do_not_train_in_one_folder(toy_folders, tmp_path):
    from inkbridge.train.run_folder import RunFolder

    holder = RunFolder(tmp_path / "run")
    holder.open()
    with pytest.raises(TrainingError, match="Another process is training"):
        train(*toy_folders, tmp_path / "run", load_config(None, TINY), Budget(images=4))
    holder.close()
    assert train(*toy_folders, tmp_path / "run", load_config(None, TINY), Budget(images=4))


def test_minutes_end_by_the_clock_and_the_run_folder_is_complete(toy_folders, tmp_path):
    out = tmp_path / "run"
    config = load_config(None, [*TINY, "precision=auto"])
    assert train(*toy_folders, out, config, Budget(minutes=0.03))
    assert 1.7 < state(out)["progress"]["seconds"] < 4
    config = json.loads((out / "config.json").read_text())
    assert config["generator"]["width"] == 8
    assert config["precision"] in {"float32", "bfloat16"}
    assert config["title"] == "style"
    assert list((out / "samples").glob("*.jpg"))
    assert list((out / "tensorboard").iterdir())
    last = json.loads((out / "log.jsonl").read_text().splitlines()[-1])
    assert {"images_seen", "images_per_second", "adversarial", "content", "discriminator"} <= last.keys()


def test_bad_folders_are_one_sentence_and_exit_1(tmp_path, toy_folders):
    empty, text = tmp_path / "empty", tmp_path / "text"
    empty.mkdir()
    text.mkdir()
    (text / "a.jpg").write_text("x")
    for content, reason in (
        (empty, "has 0 usable"),
        (text, "1 files could not be read"),
        (tmp_path / "no", "does not"),
    ):
        done = subprocess.run(
            run_command((content, toy_folders[1]), tmp_path / "run", "--images", "4"),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert reason in done.stderr
        assert done.stderr.count("\n") == 1
    with pytest.raises(DataError, match="Put pictures into it"):
        train(empty, toy_folders[1], tmp_path / "run2", load_config(None, TINY), Budget(images=4))


def test_a_full_disk_is_one_sentence_and_leaves_no_half_file(toy_folders, tmp_path):
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    out = tmp_path / "run"
    command = run_command(toy_folders, out, "--images", "4")
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        command, capture_output=True, text=True, preexec_fn=limit, env=environment, check=False
    )
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(out.rglob("*.part"))
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_training_on_a_gpu_gives_a_pack_that_runs_on_a_cpu(toy_folders, tmp_path):
    out = tmp_path / "run"
    assert train(*toy_folders, out, load_config(None, TINY), Budget(images=32), device="cuda")
    info = export_run(out, tmp_path / "gpu.stylepack")
    assert info.measured["largest_difference_from_pytorch"] < 1e-3


def test_exported_pack_equals_the_trained_generator_at_other_sizes(toy_folders, tmp_path):
    out, pack_path = tmp_path / "run", tmp_path / "toy.stylepack"
    train(*toy_folders, out, load_config(None, TINY), Budget(images=16))
    told = {"title": "Toy Stripes", "license": "CC0", "data": "made", "languages": ["jpn"]}
    info = export_run(out, pack_path, **told)
    assert info.styles[0].name == "toy-stripes"
    assert info.measured["largest_difference_from_pytorch"] < 1e-4
    pack = inkbridge.load(pack_path)
    assert pack.languages == ["jpn"]
    assert info.size.working_side == 0  # of writing each pixel counts
    generator = Generator(load_config(None, TINY).model.generator)
    generator.load_state_dict(state(out)["modules"]["generator_ema"])
    rgb = made_picture(61, 83)
    border, (h, w) = info.size.border, rgb.shape[:2]
    padded = np.pad(rgb, [(border, border + -h % 8), (border, border + -w % 8), (0, 0)], mode="reflect")
    image = torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.no_grad():
        noise = torch.from_numpy(grain(-border, -border, *padded.shape[:2]))
        result = generator(image, generator.styles, noise)[0, :, border : border + h, border : border + w]
    expected = ((result + 1) * 127.5).round().clamp(0, 255).permute(1, 2, 0).numpy()
    assert np.abs(pack.apply(rgb) - expected).max() <= 1
    (out / "checkpoint.pt").unlink()
    with pytest.raises(TrainingError, match="holds no checkpoint"):
        export_run(out, tmp_path / "b.stylepack")


def test_a_pack_that_differs_from_its_generator_is_not_written():
    torch.manual_seed(0)
    config = GeneratorConfig(width=4, body=8, num_blocks=1, style_dim=4)
    trained, other = Generator(config).eval(), Generator(config).eval()
    model = to_onnx(trained)
    assert compare(model, trained, trained.styles.detach(), "x") < 1e-4
    with pytest.raises(TrainingError, match="nothing was written"):
        compare(model, other, other.styles.detach(), "x")


def test_a_damaged_checkpoint_is_said_in_one_sentence(toy_folders, tmp_path):
    out = tmp_path / "run"
    train(*toy_folders, out, load_config(None, TINY), Budget(images=4))
    data = (out / "checkpoint.pt").read_bytes()
    (out / "checkpoint.pt").write_bytes(data[: len(data) // 2])
    with pytest.raises(TrainingError, match="is damaged") as caught:
        train(*toy_folders, out, load_config(None, TINY), Budget(images=8))
    assert "\n" not in str(caught.value)


def test_training_moves_results_towards_the_style(toy_folders, tmp_path):
    """End to end on the command line: two folders in, a pack out, applied to pictures never seen."""
    out, pack_path = tmp_path / "run", tmp_path / "stripes.stylepack"
    done = subprocess.run(
        run_command(toy_folders, out, "--images", "1600", "--set", "generator.width=16"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    command = [sys.executable, "-m", "inkbridge", "export", str(out), "-o", str(pack_path)]
    subprocess.run(command, check=True, capture_output=True)
    unseen = [made_picture(72, 96, 100 + i) for i in range(4)]
    styles = [np.asarray(Image.open(path)) for path in sorted(toy_folders[1].iterdir())]
    pack = inkbridge.load(pack_path)
    painted = [pack.apply(picture) for picture in unseen]
    before = StyleDistance(styles, short_side=64, num_levels=3).of(unseen)
    after = StyleDistance(styles, short_side=64, num_levels=3).of(painted)
    assert sum(after) < 0.6 * sum(before), (before, after)
    assert np.std([picture.mean() for picture in painted]) > 0.1


def test_which_folder_is_painted_like_which_is_said_before_training(toy_folders, tmp_path):
    """Swapped folders are a good run of another kind; only whoever started it can see that."""
    said: list[str] = []
    config = load_config(None, TINY)
    train(*toy_folders, tmp_path / "run", config, Budget(images=4), say=said.append)
    content, style = toy_folders
    assert f"Pictures like those in '{content}' will be painted like those in '{style}'." in said
    train(style, content, tmp_path / "swapped", config, Budget(images=4), say=said.append)
    assert f"Pictures like those in '{style}' will be painted like those in '{content}'." in said
