"""Tiles against the whole picture, with a bundled pack, at sizes people have.

    python benchmarks/tile_equals_whole.py [STYLE_OR_PACK]

Prints the largest difference in levels of 255. Needs about 4 GB for the whole 3000 x 2000 picture.
"""

from __future__ import annotations

import sys

import numpy as np

from inkbridge.catalogue import find_pack
from inkbridge.engine import Engine
from inkbridge.pack_format import read_pack
from inkbridge.tiling import TILE, apply_tiled, grain

SIZES = ((2000, 3000), (1501, 2217), (33, 500), (500, 33), (1, 1), (5, 3), (1281, 1279))


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else "ukiyo-e"
    path, _ = find_pack(name)
    file = read_pack(path)
    engine = Engine(file.generator, str(path), len(file.info.styles[0].code))
    code = np.array([file.info.styles[0].code], np.float32)
    rng = np.random.default_rng(0)
    for height, width in SIZES:
        y, x = np.mgrid[:height, :width]
        rgb = np.stack(
            [128 + 90 * np.sin(x / 31), 128 + 90 * np.cos(y / 23), 128 + 90 * np.sin((x + y) / 47)], -1
        )
        rgb = np.clip(rgb + rng.normal(0, 12, rgb.shape), 0, 255).astype(np.uint8)
        size = file.info.size
        runs = [
            apply_tiled(
                lambda image, y, x: engine.run(image, code, grain(y, x, *image.shape[2:])),
                rgb,
                size.overlap,
                size.multiple,
                tile,
                border=size.border,
            )
            for tile in (8192, TILE, 512)
        ]
        worst = max(int(np.abs(runs[0].astype(int) - other).max()) for other in runs[1:])
        print(f"{width} x {height}: largest difference {worst}/255 (tiles of {TILE} and 512)", flush=True)


if __name__ == "__main__":
    main()
