"""How much of a picture, mirrored, a network must be shown beyond the border: cost and what changes.

    python benchmarks/border.py CONTENTS STYLE_PICTURES --style NAME [--pack PACK] [--pictures N]
        [--margins PIXELS ...]

Each picture is painted with every margin. Prints the time, as a share of that with the widest; how far, on
the mean, the outer 32 pixels are from those with the widest, of 255; and how far the outer 64 pixels are from
the style pictures: sliced Wasserstein distance, beside that of the middle, of which no margin changes much.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

import inkbridge
from inkbridge.images import RGB, find_pictures, read_picture, reduced
from inkbridge.metrics.distribution import StyleDistance

SIDE = 320
FRAME = 64
EDGE = 32


def strips(rgb: RGB) -> list[RGB]:
    """Its outer FRAME pixels at each side."""
    return [rgb[:FRAME], rgb[-FRAME:], rgb[:, :FRAME], rgb[:, -FRAME:]]


def middle(rgb: RGB) -> list[RGB]:
    """A strip across its middle, and one down."""
    height, width = rgb.shape[:2]
    top, left = (height - FRAME) // 2, (width - FRAME) // 2
    return [rgb[top : top + FRAME, FRAME:-FRAME], rgb[FRAME:-FRAME, left : left + FRAME]]


def outer(difference: np.ndarray) -> np.ndarray:
    inside = np.zeros(difference.shape[:2], bool)
    inside[EDGE:-EDGE, EDGE:-EDGE] = True
    return difference[~inside]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("contents", type=Path)
    parser.add_argument("style_pictures", type=Path)
    parser.add_argument("--style", required=True)
    parser.add_argument("--pack", default=None, help="by default the one that has the style")
    parser.add_argument("--pictures", type=int, default=24)
    parser.add_argument("--margins", type=int, nargs="+", default=[0, 8, 16, 32, 96])
    arguments = parser.parse_args()
    pack = inkbridge.load(arguments.pack or arguments.style)
    contents = [
        reduced(read_picture(path).rgb, SIDE)
        for path in find_pictures(arguments.contents)[: arguments.pictures]
    ]
    references = [
        reduced(read_picture(path).rgb, SIDE) for path in find_pictures(arguments.style_pictures)[:60]
    ]
    reach = {"short_side": FRAME, "num_levels": 3}
    edges = StyleDistance([strip for rgb in references for strip in strips(rgb)], **reach)
    middles = StyleDistance([strip for rgb in references for strip in middle(rgb)], **reach)
    painted: dict[int, list[RGB]] = {margin: [] for margin in arguments.margins}
    seconds = dict.fromkeys(arguments.margins, 0.0)
    for rgb in contents:
        for margin in arguments.margins:
            pack.info.size.border = margin
            start = time.perf_counter()
            painted[margin].append(pack.apply(rgb, style=arguments.style))
            seconds[margin] += time.perf_counter() - start
    widest = max(arguments.margins)
    print(f"{arguments.style}: {len(contents)} pictures of {SIDE} pixels; levels finest first")
    for margin in arguments.margins:
        off = [
            outer(np.abs(one.astype(int) - other)).mean()
            for one, other in zip(painted[margin], painted[widest], strict=True)
        ]
        at_border = np.array(edges.of([strip for rgb in painted[margin] for strip in strips(rgb)]))
        inside = np.mean(middles.of([strip for rgb in painted[margin] for strip in middle(rgb)]))
        print(
            f"{margin:>3} pixels: time {seconds[margin] / seconds[widest]:.2f}, outer {EDGE} pixels off by "
            f"{np.mean(off):.2f}; distance at the border {at_border.mean():.4f} {at_border.round(3)}, "
            f"in the middle {inside:.4f}"
        )


if __name__ == "__main__":
    main()
