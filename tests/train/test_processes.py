"""Several processes, and networks that see a few pictures at a time: the same updates. Real processes."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from conftest import TINY
from inkbridge.errors import ConfigError
from inkbridge.train.config import load_config
from inkbridge.train.recipes import RECIPES

IN_DOUBLE = Path(__file__).with_name("updates_in_double.py")
LEFT_ALONE = Path(__file__).with_name("left_alone.py")
SIDES = ["precision=float32", "batch=8"]
SMALL = [*TINY, *SIDES]
SIZES = ["data.crop=48", "generator.width=8", "generator.body=16", "discriminator.width=8", *SIDES]
EVERYTHING = [
    'augmentations=["resample", "translate", "cutout", "colour"]',
    *("adaptive=true", "losses.penalty=wasserstein", "losses.penalty_weight=10", "losses.penalty_every=2"),
]


def torchrun(num: int) -> list[str]:
    return [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(num)]


def run(command: list[str], timeout: float = 240) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=timeout, env=environment, check=False
    )


def parameters(folders, out: Path, num_updates: int, *groups: list[str], processes: int = 1) -> list[dict]:
    """The state of every module after the updates, for each group of settings."""
    start = [sys.executable] if processes == 1 else torchrun(processes)
    settings = [part for group in groups for part in ("--", *group)]
    done = run([*start, str(IN_DOUBLE), *map(str, folders), str(out), str(num_updates), *settings])
    assert done.returncode == 0, done.stderr
    return torch.load(out, weights_only=True)


def apart(one: dict, other: dict) -> float:
    """The largest difference of any parameter, those that are averaged and memories included."""
    assert one.keys() == other.keys()
    return max(
        float((a - b).abs().max())
        for name in one
        for a, b in zip(tensors(one[name]), tensors(other[name]), strict=True)
        if a.numel()
    )


def tensors(state):
    if isinstance(state, torch.Tensor):
        yield state
    elif isinstance(state, dict | list):
        for inner in state.values() if isinstance(state, dict) else state:
            yield from tensors(inner)


def test_fifty_updates_of_two_processes_are_those_of_one_and_so_are_those_in_parts(toy_folders, tmp_path):
    (before,) = parameters(toy_folders, tmp_path / "before.pt", 0, SMALL)
    alone, in_parts = parameters(toy_folders, tmp_path / "alone.pt", 50, SMALL, [*SMALL, "at_once=4"])
    (two,) = parameters(toy_folders, tmp_path / "two.pt", 50, SMALL, processes=2)
    for name in ("generator", "discriminator"):
        assert apart({name: alone[name]}, {name: before[name]}) > 1e-2
    assert apart(alone, in_parts) < 1e-5
    assert apart(alone, two) < 1e-5


def test_every_recipe_is_the_same_in_three_processes_and_in_uneven_parts(toy_folders, tmp_path):
    groups = [
        [*SIZES, f"recipe={name}", *(EVERYTHING if name in {"cut", "multistyle"} else [])]
        for name in RECIPES
        if name != "paired"
    ]
    groups.append([*SIZES, "warm_start=8"])  # the first of the two
    groups.append([*SIZES, "recipe=repair", "learn=colours", "start_from=repair"])
    alone = parameters(toy_folders, tmp_path / "alone.pt", 2, *groups)
    in_parts = [[*group, "at_once=2"] for group in groups]
    shared = parameters(toy_folders, tmp_path / "shared.pt", 2, *in_parts, processes=3)
    for group, one, other in zip(groups, alone, shared, strict=True):
        assert apart(one, other) < 1e-9, group


def test_pairs_are_the_same_in_two_processes(toy_folders, tmp_path):
    group = [*SIZES, "recipe=paired", "losses.feature_weight=10"]
    folders = toy_folders[0], toy_folders[0]
    (alone,) = parameters(folders, tmp_path / "alone.pt", 2, group)
    (shared,) = parameters(folders, tmp_path / "shared.pt", 2, [*group, "at_once=3"], processes=2)
    assert apart(alone, shared) < 1e-9


def train_command(folders, out: Path, *extra: str) -> list[str]:
    settings = [part for setting in SMALL for part in ("--set", setting)]
    folders = ["--content", str(folders[0]), "--style", str(folders[1])]
    return ["-m", "inkbridge", "train", *folders, "--out", str(out), "--eye", "none", *settings, *extra]


def pair(command: list[str]) -> list[subprocess.Popen[str]]:
    """The command as the first and the second process of two."""
    port = str(free_port())
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [
        subprocess.Popen(
            command,
            env=environment | {"WORLD_SIZE": "2", "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]


def test_what_was_exchanged_through_is_closed_when_the_other_process_goes():
    # Threads of gloo that are left run on into the interpreter's end, and may abort it.
    first, second = pair([sys.executable, str(LEFT_ALONE)])
    (said, error), _ = [process.communicate(timeout=60) for process in (first, second)]
    assert second.returncode == -signal.SIGKILL
    assert first.returncode == 0, error
    told, threads = said.splitlines()
    assert "lost another one" in told
    assert not any(name in threads for name in ("gloo", "tcpstore"))


def test_when_a_process_is_killed_the_other_ends_and_one_goes_on_alone(toy_folders, tmp_path):
    out = tmp_path / "run"
    saving = ["--set", "checkpoint_seconds=0.3"]
    command = [sys.executable, *train_command(toy_folders, out, "--images", "1000000", *saving)]
    processes = pair(command)
    try:
        wait_for(lambda: out.joinpath("checkpoint.pt").exists() and seen(out) >= 24, 120)
        processes[1].send_signal(signal.SIGKILL)
        start = time.monotonic()
        processes[0].wait(60)
        assert time.monotonic() - start < 60
    finally:
        for process in processes:
            process.kill()
        (said, error), _ = [process.communicate() for process in processes]
    assert processes[0].returncode == 1, error
    assert "lost another one" in error
    assert error.count("\n") == 1
    assert "2 processes on cpu" in said
    reached = seen(out)
    done = run([sys.executable, *train_command(toy_folders, out, "--images", str(reached + 16), *saving)])
    assert done.returncode == 0, done.stderr
    assert f"Going on at {reached:,} images" in done.stdout
    assert seen(out) == reached + 16


def test_torchrun_trains_one_run_which_one_process_speaks_for(toy_folders, tmp_path):
    out = tmp_path / "run"
    done = run([*torchrun(2), *train_command(toy_folders, out, "--images", "16")])
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("New run in") == 1
    assert done.stdout.count("Done.") == 1
    assert seen(out) == 16
    assert len(out.joinpath("log.jsonl").read_text().splitlines()) == 1


def test_parts_and_a_norm_that_changes_with_every_pass_contradict_each_other():
    with pytest.raises(ConfigError, match="leave one of them out"):
        load_config(None, ["at_once=2", "discriminator.spectral_norm=true"])


def seen(run: Path) -> int:
    return torch.load(run / "checkpoint.pt", weights_only=True)["progress"]["images_seen"]


def free_port() -> int:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return place.getsockname()[1]


def wait_for(condition, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
