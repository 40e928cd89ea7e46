"""Add a style of 8 pictures to a pack of many: minutes, how far results move towards it, what stays the same.

python benchmarks/adapt.py PACK STYLE_DIR PHOTOS_DIR [--minutes 5]

Distances are from pictures of STYLE_DIR that were not among the 8.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np

import inkbridge
from inkbridge.images import find_pictures, read_picture
from inkbridge.metrics.distribution import StyleDistance
from inkbridge.metrics.similarity import edge_correlation
from inkbridge.train.adapt import adapt

NUM = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pack", type=Path)
    parser.add_argument("style", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--minutes", type=float, default=5.0)
    arguments = parser.parse_args()
    files = find_pictures(arguments.style)
    order = np.random.default_rng(0).permutation(len(files))
    photos = [read_picture(file).rgb for file in find_pictures(arguments.photos)[:12]]
    with tempfile.TemporaryDirectory() as folder:
        taken = Path(folder, "eight")
        taken.mkdir()
        for i in order[:NUM]:
            shutil.copy(files[i], taken)
        distance = StyleDistance([read_picture(files[i]).rgb for i in order[NUM : NUM + 60]])
        old = inkbridge.load(arguments.pack)
        out = Path(folder, "more.stylepack")
        start = time.perf_counter()
        adapt(arguments.pack, "new", taken, out, minutes=arguments.minutes)
        seconds = time.perf_counter() - start
        new = inkbridge.load(out)
        by_example = old.code(like=find_pictures(taken))
        untouched = sum(distance.of(photos))
        print(f"photographs: {untouched:.3f} from the style")
        rows = [(style, old, style) for style in old.styles]
        rows += [("led by the 8 as examples", old, by_example), (f"adapted in {seconds:.0f} s", new, "new")]
        for name, pack, style in rows:
            results = [pack.apply(photo, style) for photo in photos]
            edges = np.mean([edge_correlation(a, b) for a, b in zip(photos, results, strict=True)])
            print(f"{name}: {sum(distance.of(results)):.3f}, edges {edges:.3f}", flush=True)
        same = all(np.array_equal(old.apply(photos[0], s), new.apply(photos[0], s)) for s in old.styles)
        growth = out.stat().st_size - arguments.pack.stat().st_size
        print(f"old styles {'equal bit for bit' if same else 'CHANGED'}; the file grew by {growth} bytes")


if __name__ == "__main__":
    main()
