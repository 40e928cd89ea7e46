"""Kill -9 small trainings again and again, every recipe in turn; each must end as if nothing had happened.

    python benchmarks/kill_resume.py CONTENT_DIR STYLE_DIR OTHER_DIR [--kills 30] [--recipe cut ...]

Every second kill comes at a random moment, start-up included; the others while a checkpoint or best state is
being written: as soon as its temporary file is there, and up to 3 ms later. At the end everything that the
run folder holds of the training is compared with that of a run that was left alone: networks, averaged
networks, optimizers and progress of the checkpoint, the best state, and the quality curve.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch

RECIPES = ("cut", "multistyle", "fastcut", "cyclegan", "paired", "classic", "repair")
SETTINGS = [
    "data.crop=48",
    "generator.width=8",
    "generator.body=16",
    "generator.num_blocks=1",
    "discriminator.width=8",
    "checkpoint_seconds=0.2",
    "sample_every=100000",
    # Two runs that are compared bit for bit must not each measure what is faster at that moment.
    "precision=float32",
]
SECONDS = 30.0
"""Training that is to be cut into pieces."""
MOMENTS = 10
"""Moments measured in it."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("content")
    parser.add_argument("style")
    parser.add_argument("other", help="a second style, for recipe multistyle")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--recipe", action="append", choices=RECIPES)
    arguments = parser.parse_args()
    bad = [recipe for recipe in arguments.recipe or RECIPES if not survives(arguments, recipe)]
    sys.exit(f"Not the same: {', '.join(bad)}" if bad else 0)


def survives(arguments: argparse.Namespace, recipe: str) -> bool:
    """Whether a training of the recipe ends in the same state, however often it is killed."""
    with tempfile.TemporaryDirectory() as folder:
        styles = {
            "multistyle": [f"one={arguments.style}", f"other={arguments.other}"],
            "paired": [arguments.content],  # one folder of side-by-side files: halves of one photograph
            "repair": [],
        }.get(recipe, [arguments.style])
        common = [sys.executable, "-m", "inkbridge", "train", "--content", arguments.content]
        common += ["--recipe", recipe]
        common += [part for each in styles for part in ("--style", each)]
        common += [part for setting in SETTINGS for part in ("--set", setting)]

        def command(out: str, images: int, *settings: str) -> list[str]:
            return [*common, "--out", str(Path(folder, out)), "--images", str(images), *settings]

        subprocess.run(command("speed", 200), check=True, capture_output=True)
        last = Path(folder, "speed", "log.jsonl").read_text().splitlines()[-1]
        images = max(int(SECONDS * json.loads(last)["images_per_second"]), 100)
        images -= images % MOMENTS
        settings = ["--set", f"evaluate_every={images // MOMENTS}"]
        subprocess.run(command("whole", images, *settings), check=True, capture_output=True)
        killed = Path(folder, "killed")
        dice = random.Random(0)
        within = 0
        for kill in range(arguments.kills):
            within += killed_once(command("killed", images, *settings), killed, kill, dice)
        subprocess.run(command("killed", images, *settings), check=True, capture_output=True)
        whole, again = (state(Path(folder, out)) for out in ("whole", "killed"))
        same = len(whole) == len(again) and all(map(equal, whole, again))
    print(
        f"{recipe}: {arguments.kills} kills in {images} images, {within} of them left a half-written file: "
        f"{'equal bit for bit' if same else 'DIFFERENT'}",
        flush=True,
    )
    return same


def killed_once(command: list[str], run: Path, kill: int, dice: random.Random) -> bool:
    """Start, or go on, and kill. Returns whether it was killed while it wrote."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if kill % 2:
        time.sleep(dice.uniform(0.2, 10.0))
    else:
        while process.poll() is None and not half_written(run):
            pass
        time.sleep(dice.uniform(0.0, 0.003))
    ended = process.poll()
    process.send_signal(signal.SIGKILL)
    _, errors = process.communicate()
    if ended not in (None, 0):
        sys.exit(f"kill {kill + 1}: it had ended with {ended}: {errors.decode()}")
    return half_written(run)


def half_written(run: Path) -> bool:
    return run.exists() and any(run.glob(".*.pt.*.part"))


def state(run: Path) -> list[object]:
    """What is left of a training, in order, without its times."""
    found: list[object] = []
    for file in (run / "checkpoint.pt", run / "best.pt"):
        if file.exists():  # of `repair` no moment is measured
            saved = torch.load(file, weights_only=True)
            saved["progress"].pop("seconds")
            found += leaves(saved)
    curve = run / "quality.jsonl"
    return [*found, curve.read_text() if curve.exists() else ""]


def leaves(saved: object) -> Iterator[object]:
    if isinstance(saved, dict | list | tuple):
        for inner in saved.values() if isinstance(saved, dict) else saved:
            yield from leaves(inner)
    else:
        yield saved


def equal(one: object, other: object) -> bool:
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return torch.equal(one, other)
    return one == other


if __name__ == "__main__":
    main()
