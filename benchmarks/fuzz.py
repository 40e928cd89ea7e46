"""Broken pictures and packs by the thousand: no traceback, no hang, no file outside the output folder.

    python benchmarks/fuzz.py [--pictures 3000] [--uploads 1500] [--packs 500] [--seed 0]

(needs the extra [web]) Pictures of every format that is read, and a pack, are mutated: bytes changed, cut
out, doubled, numbers of their headers blown up, ends lost. Pictures go through `inkbridge apply` of a folder,
uploads through the HTTP API of a server of its own, packs through `inkbridge apply --style FILE` and
`inkbridge styles`. A picture whose header grew may have a million pixels: more would be painted, in its time.
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

from inkbridge.catalogue import BUNDLED

PORT = 7898
FORMATS = {
    ".jpg": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".avif": "AVIF",
    ".tif": "TIFF",
    ".gif": "GIF",
    ".bmp": "BMP",
}
MODES = ("RGB", "L", "RGBA", "P", "CMYK", "I;16", "1")
LIMIT = 60
"""Seconds that one pack, or a hundred pictures, may take."""


def seeds(rng: np.random.Generator) -> list[tuple[str, bytes]]:
    """Sound pictures, in each format and mode that it has."""
    found = []
    for suffix, name in FORMATS.items():
        for mode in MODES:
            pixels = rng.integers(0, 256, (24, 36, 3), dtype=np.uint8)
            image = Image.fromarray(pixels)
            image = (
                Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
                if mode == "I;16"
                else image.convert(mode)
            )
            exif = Image.Exif()
            exif[0x0112] = 6
            file = io.BytesIO()
            try:
                image.save(file, name, **({"exif": exif} if name in {"JPEG", "PNG", "WEBP", "TIFF"} else {}))
            except (OSError, ValueError, KeyError):
                continue
            found.append((suffix, file.getvalue()))
    return found


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """Changed in one to four ways."""
    changed = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        if not changed:
            break
        at, kind = int(rng.integers(len(changed))), int(rng.integers(7))
        if kind == 0:
            changed[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            changed[at] = int(rng.choice([0, 1, 127, 128, 255]))
        elif kind == 2:
            del changed[at : at + int(rng.integers(1, 40))]
        elif kind == 3:
            changed[at:at] = changed[at : at + int(rng.integers(1, 40))]
        elif kind == 4:
            del changed[at:]
        elif kind == 5:
            head = int(rng.integers(min(len(changed), 64)))
            changed[head : head + 4] = bytes(rng.choice([0, 255, 127], 4).astype(np.uint8))
        else:
            changed[at : at + 8] = bytes(rng.integers(0, 256, 8, dtype=np.uint8))
    return bytes(changed)


def everything(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}


def run(*words: str, home: Path, limit: float) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "HOME": str(home),
        "INKBRIDGE_PACKS": str(home / "packs"),
        "TMPDIR": str(home),
    }
    command = [sys.executable, "-m", "inkbridge", *words]
    return subprocess.run(
        command, env=environment, cwd=home, capture_output=True, text=True, timeout=limit, check=False
    )


def fuzz_pictures(num: int, rng: np.random.Generator, home: Path) -> None:
    sound = seeds(rng)
    (home / "in").mkdir()
    for number in range(num):
        suffix, data = sound[number % len(sound)]
        (home / "in" / f"{number:05}{suffix}").write_bytes(mutated(data, rng))
    before = everything(home)
    words = ["apply", "in", "-o", "out", "--style", "ukiyo-e", "--max-megapixels", "1"]
    done = run(*words, home=home, limit=max(num / 100, 2) * LIMIT)
    written = {path for path in everything(home) - before if path.parts[0] != "out"}
    painted = len(list((home / "out").iterdir())) if (home / "out").is_dir() else 0
    refused = done.stderr.count("left out: ")
    print(f"pictures: {num}; painted {painted}, refused {refused}, exit code {done.returncode}")
    check("every picture is painted or refused", painted + refused == num)
    check("no traceback", "Traceback" not in done.stderr + done.stdout)
    check("no file elsewhere", not written)


def fuzz_uploads(num: int, rng: np.random.Generator, home: Path) -> None:
    sound = seeds(rng)
    log = (home / "log").open("w+")
    command = [sys.executable, "-m", "inkbridge", "web", "--port", str(PORT), "--max-megapixels", "1"]
    (home / "temporary").mkdir()
    environment = os.environ | {"TMPDIR": str(home / "temporary")}
    server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    uploads = []
    for number in range(num):
        suffix, data = sound[number % len(sound)]
        name = ("", "../", "/etc/", "a\\b")[int(rng.integers(4))] + f"{number}{suffix}"
        uploads.append((name, mutated(data, rng), ("apply", "repair", "beautify")[number % 3]))

    def ask(upload: tuple[str, bytes, str]) -> int:
        name, data, what = upload
        return httpx.post(
            f"http://127.0.0.1:{PORT}/api/{what}",
            files={"picture": (name, data)},
            data={"style": "ukiyo-e"},
            timeout=LIMIT,
        ).status_code

    try:
        for _ in range(300):
            try:
                httpx.get(f"http://127.0.0.1:{PORT}/api/styles")
                break
            except httpx.TransportError:
                time.sleep(0.1)
        with ThreadPoolExecutor(3) as pool:
            answers = Counter(pool.map(ask, uploads))
        log.seek(0)
        said = log.read()
    finally:
        server.terminate()
        server.wait()
        log.close()
    print(f"uploads: {num}; answers {dict(answers)}")
    check("each is painted or refused", set(answers) <= {200, 422})
    check("no traceback", "Traceback" not in said)
    check(
        "nothing stays", not [path for path in everything(home / "temporary") if "previews" not in path.parts]
    )


def fuzz_packs(num: int, rng: np.random.Generator, home: Path) -> None:
    sound = (BUNDLED / "ukiyo-e.stylepack").read_bytes()
    Image.fromarray(rng.integers(0, 256, (24, 36, 3), dtype=np.uint8)).save(home / "p.png")
    (home / "packs").mkdir()
    answers: Counter[int] = Counter()
    tracebacks = 0
    for number in range(num):
        # Half of them where it hurts: the directory at the end, and the settings at the beginning.
        data = bytearray(sound)
        place = slice(-2000, None) if number % 4 == 0 else slice(0, 3000) if number % 4 == 1 else slice(None)
        data[place] = mutated(bytes(data[place]), rng)
        pack = home / "packs" / "broken.stylepack"
        pack.write_bytes(data)
        words = ["apply", "p.png", "-o", "q.png", "--style", str(pack)] if number % 8 else ["styles"]
        done = run(*words, home=home, limit=LIMIT)
        answers[done.returncode] += 1
        tracebacks += "Traceback" in done.stderr
    left = everything(home) - {Path("p.png"), Path("q.png"), Path("packs/broken.stylepack")}
    print(f"packs: {num}; exit codes {dict(answers)}")
    check("each is used or refused", set(answers) <= {0, 1})
    check("no traceback", not tracebacks)
    check("no file elsewhere", not left)


def check(what: str, holds: bool) -> None:
    print(f"  {what}: {'yes' if holds else 'NO'}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pictures", type=int, default=3000)
    parser.add_argument("--uploads", type=int, default=1500)
    parser.add_argument("--packs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for num, fuzz in (
        (options.pictures, fuzz_pictures),
        (options.uploads, fuzz_uploads),
        (options.packs, fuzz_packs),
    ):
        if num:
            with tempfile.TemporaryDirectory() as folder:
                fuzz(num, np.random.default_rng(options.seed), Path(folder))


if __name__ == "__main__":
    main()
