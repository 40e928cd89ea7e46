"""Does a pack's cost grow with the number of its styles? Time a picture and bytes a style, 1 to 1000 styles.

python benchmarks/many_styles.py PACK PHOTO
"""

from __future__ import annotations

import copy
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import inkbridge
from inkbridge.images import read_picture
from inkbridge.pack_format import StyleEntry, read_pack, write_pack

REPEATS = 15


def main() -> None:
    source, photo = Path(sys.argv[1]), read_picture(sys.argv[2]).rgb
    file = read_pack(source)
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        packs, sizes = {}, {}
        for num in (1, 10, 100, 1000):
            more = copy.deepcopy(file)
            dim = len(file.info.styles[0].code)
            codes = rng.standard_normal((num, dim)).round(6).tolist()
            more.info.styles = [StyleEntry(f"style-{i}", f"Style {i}", code) for i, code in enumerate(codes)]
            path = Path(folder, f"{num}.stylepack")
            write_pack(path, more)
            packs[num], sizes[num] = inkbridge.load(path), path.stat().st_size
        seconds: dict[int, list[float]] = {num: [] for num in packs}
        for _ in range(REPEATS):  # in turn, so that the machine's moods hit all alike
            for num, pack in packs.items():
                start = time.perf_counter()
                pack.apply(photo, f"style-{num - 1}")
                seconds[num].append(time.perf_counter() - start)
        base = float(np.median(seconds[1]))
        for num in packs:
            ratio = np.median(seconds[num]) / base
            print(f"{num} styles: {ratio:.3f} times the time of one, {sizes[num]:,} bytes")
        print(f"{(sizes[1000] - sizes[1]) / 999:.0f} bytes a style")


if __name__ == "__main__":
    main()
