"""Kill -9 at random moments of a small training, again and again; it must end in the same parameters.

python benchmarks/kill_resume.py CONTENT_DIR STYLE [STYLE ...] [--kills 20]

STYLE is a folder, or NAME=FOLDER for several (recipe multistyle).
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch

SETTINGS = [
    "data.crop=48",
    "generator.width=8",
    "generator.body=16",
    "generator.num_blocks=1",
    "discriminator.width=8",
    "checkpoint_seconds=0.2",
    "sample_every=100",
]


def tensors(state: object) -> Iterator[torch.Tensor]:
    """Every tensor of nested dicts and lists, in order."""
    if isinstance(state, torch.Tensor):
        yield state
    elif isinstance(state, dict | list):
        for inner in state.values() if isinstance(state, dict) else state:
            yield from tensors(inner)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("content")
    parser.add_argument("styles", nargs="+")
    parser.add_argument("--kills", type=int, default=20)
    arguments = parser.parse_args()
    kills = arguments.kills
    with tempfile.TemporaryDirectory() as folder:

        def command(out: str) -> list[str]:
            settings = [part for setting in SETTINGS for part in ("--set", setting)]
            styles = [part for style in arguments.styles for part in ("--style", style)]
            return [
                *(sys.executable, "-m", "inkbridge", "train", "--content", arguments.content, *styles),
                *("--out", str(Path(folder, out)), "--images", "3000", *settings),
            ]

        def state(out: str) -> dict:
            return torch.load(Path(folder, out, "checkpoint.pt"), weights_only=True)

        start = time.perf_counter()
        subprocess.run(command("whole"), check=True, capture_output=True)
        seconds = time.perf_counter() - start
        dice = random.Random(0)
        done = 0
        for kill in range(kills):
            process = subprocess.Popen(command("killed"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            # Uniform over start-up (imports, decoding, loading) and some seconds of training.
            time.sleep(dice.uniform(0.2, 4.0 + seconds / kills))
            ended = process.poll()
            process.send_signal(signal.SIGKILL)
            _, errors = process.communicate()
            if ended not in (None, 0):
                sys.exit(f"kill {kill + 1}: it had ended with {ended}: {errors.decode()}")
            checkpoint = Path(folder, "killed", "checkpoint.pt")
            seen = state("killed")["progress"]["images_seen"] if checkpoint.exists() else 0
            if seen < done:
                sys.exit(f"kill {kill + 1}: went back from {done} to {seen} images")
            done = seen
            print(
                f"kill {kill + 1}: {'running' if ended is None else 'finished'}, {seen} images saved",
                flush=True,
            )
        subprocess.run(command("killed"), check=True, capture_output=True)
        whole, killed = state("whole"), state("killed")
        pairs = zip(tensors(whole["modules"]), tensors(killed["modules"]), strict=True)
        same = all(torch.equal(one, other) for one, other in pairs)
    print(f"{kills} kills: parameters {'equal bit for bit' if same else 'DIFFER'}")
    sys.exit(not same)


if __name__ == "__main__":
    main()
