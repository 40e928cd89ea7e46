"""Many small pictures: one process on one core, one on all cores, one process for each core, in one run, and
killed in the middle.

    python benchmarks/many_pictures.py [--pictures 2000] [--side 160] [--style ukiyo-e]

Pictures are cut out of samples/. Prints pictures a second of all, how many times those of one core that is,
and what a run that was killed (kill -9) after a third found done and did again. (Linux: it says who may use
which core.)
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from inkbridge.images import find_pictures, read_picture

SAMPLES = Path(__file__).parent.parent / "samples"


def make(folder: Path, number: int, side: int) -> None:
    rng = np.random.default_rng(0)
    sources = [read_picture(path).rgb for path in find_pictures(SAMPLES)]
    sources = [rgb for rgb in sources if min(rgb.shape[:2]) >= side]
    for i in range(number):
        rgb = sources[i % len(sources)]
        top, left = (int(rng.integers(0, length - side + 1)) for length in rgb.shape[:2])
        path = folder / f"{i % 20:02}" / f"{i:05}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rgb[top : top + side, left : left + side]).save(path, quality=92)


def command(folder: Path, out: Path, style: str, processes: int) -> list[str]:
    return [
        *(sys.executable, "-m", "inkbridge", "apply", str(folder), "--style", style),
        *("-o", str(out), "--processes", str(processes)),
    ]


def seconds(words: list[str], cores: set[int]) -> float:
    all_cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)  # inherited
    try:
        start = time.perf_counter()
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - start
    finally:
        os.sched_setaffinity(0, all_cores)


def done(out: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in out.rglob("*.jpg")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--side", type=int, default=160)
    parser.add_argument("--style", default="ukiyo-e")
    arguments = parser.parse_args()
    number, cores = arguments.pictures, os.sched_getaffinity(0)
    ways = {
        "one process on one core": (1, {min(cores)}),
        "one process on all cores": (1, cores),
        "a process for each core": (len(cores), cores),
    }
    with tempfile.TemporaryDirectory() as base:
        folder = Path(base, "in")
        make(folder, number, arguments.side)
        taken = {}
        for way, (processes, where) in ways.items():
            out = Path(base, way)
            taken[way] = seconds(command(folder, out, arguments.style, processes), where)
            times = next(iter(taken.values())) / taken[way]
            print(f"{way}: {number / taken[way]:.1f} pictures/s, {times:.2f} times", flush=True)
        found = [sorted(Path(base, way).rglob("*.jpg")) for way in ways]
        same = sum(len({path.read_bytes() for path in paths}) == 1 for paths in zip(*found, strict=True))
        print(f"same bytes: {same} of {number}")
        out = Path(base, "killed")
        process = subprocess.Popen(
            command(folder, out, arguments.style, len(cores)), stdout=subprocess.DEVNULL
        )
        while len(done(out)) < number // 3:
            time.sleep(0.2)
        process.kill()
        process.wait()
        time.sleep(1)
        before = done(out)
        subprocess.run(
            command(folder, out, arguments.style, len(cores)), check=True, stdout=subprocess.DEVNULL
        )
        after = done(out)
        again = sum(after[path] != when for path, when in before.items())
        half = sum(1 for path in out.rglob("*") if path.is_file()) - len(after)
        print(
            f"killed after {len(before)}: {len(after)} of {number} there, {again} done twice, {half} halves"
        )


if __name__ == "__main__":
    main()
