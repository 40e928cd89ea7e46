"""Many small pictures: one process against one for each core, in one run, and killed in the middle.

    python benchmarks/many_pictures.py [--pictures 2000] [--side 160] [--style ukiyo-e]

Pictures are cut out of samples/. Prints pictures a second of both, their ratio, and what a run that was
killed (kill -9) after a third found done and did again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from inkbridge.engine import usable_cores
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


def seconds(words: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def done(out: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in out.rglob("*.jpg")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--side", type=int, default=160)
    parser.add_argument("--style", default="ukiyo-e")
    arguments = parser.parse_args()
    number, cores = arguments.pictures, usable_cores()
    with tempfile.TemporaryDirectory() as base:
        folder = Path(base, "in")
        make(folder, number, arguments.side)
        taken = {}
        for processes in (1, cores):
            out = Path(base, f"out{processes}")
            taken[processes] = seconds(command(folder, out, arguments.style, processes))
            print(f"{processes} processes: {number / taken[processes]:.1f} pictures/s", flush=True)
        print(f"ratio {taken[1] / taken[cores]:.2f}")
        ones, many = (sorted(Path(base, f"out{n}").rglob("*.jpg")) for n in (1, cores))
        same = sum(a.read_bytes() == b.read_bytes() for a, b in zip(ones, many, strict=True))
        print(f"same bytes: {same} of {number}")
        out = Path(base, "killed")
        process = subprocess.Popen(command(folder, out, arguments.style, cores), stdout=subprocess.DEVNULL)
        while len(done(out)) < number // 3:
            time.sleep(0.2)
        process.kill()
        process.wait()
        time.sleep(1)
        before = done(out)
        subprocess.run(command(folder, out, arguments.style, cores), check=True, stdout=subprocess.DEVNULL)
        after = done(out)
        again = sum(after[path] != when for path, when in before.items())
        half = sum(1 for path in out.rglob("*") if path.is_file()) - len(after)
        print(
            f"killed after {len(before)}: {len(after)} of {number} there, {again} done twice, {half} halves"
        )


if __name__ == "__main__":
    main()
