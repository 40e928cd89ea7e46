"""Measure a pack on the pictures that its run held back, and write the figures into the pack.

    python scripts/measure_pack.py RUN PACK [--grid grid.jpg]

Distance: sliced Wasserstein over five Laplacian levels at 256 px (inkbridge.metrics.distribution), from the
held-back style pictures, frames trimmed as in training. "Covered" is the share of the way from the untouched
photographs to the floor, which is the distance of the training style pictures from the held-back ones:

    covered = (distance(photographs) - distance(results)) / (distance(photographs) - floor)

Edges: correlation of Sobel magnitudes of luminance between photograph and result, mean over photographs.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image

import inkbridge
from inkbridge.images import RGB, read_picture, trimmed
from inkbridge.metrics.distribution import StyleDistance
from inkbridge.metrics.similarity import edge_correlation
from inkbridge.pack_format import read_pack, write_pack


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("pack", type=Path)
    parser.add_argument("--grid", type=Path)
    arguments = parser.parse_args()
    config = json.loads((arguments.run / "config.json").read_text())
    content, style = (
        json.loads((arguments.run / "cache" / f"{side}.json").read_text()) for side in ("content", "style")
    )
    photographs = [read_picture(path).rgb for path in content["held_back"]]
    trim = config["data"]["trim"]
    held_back = [trimmed(read_picture(path).rgb, trim) for path in style["held_back"]]
    folder = Path(config["folders"]["styles"][""])
    seen = [trimmed(read_picture(folder / name).rgb, trim) for name in style["names"]]

    pack = inkbridge.load(arguments.pack)
    results = [pack.apply(photograph) for photograph in photographs]
    distance = StyleDistance(held_back)
    start, reached, floor = (np.array(distance.of(pictures)) for pictures in (photographs, results, seen))
    edges = [edge_correlation(a, b) for a, b in zip(photographs, results, strict=True)]
    figures = {
        "held_back": f"{len(photographs)} photographs, {len(held_back)} style pictures",
        "distance_photographs": rounded(start),
        "distance_results": rounded(reached),
        "distance_floor": rounded(floor),
        "distance_covered": rounded((start - reached) / (start - floor)),
        "distance_covered_all_levels": round(float((start - reached).sum() / (start - floor).sum()), 3),
        "edge_correlation_mean": round(float(np.mean(edges)), 3),
        "edge_correlation_lowest": round(float(min(edges)), 3),
    }
    file = read_pack(arguments.pack)
    file.info.measured |= figures
    write_pack(arguments.pack, file)
    print(json.dumps(figures, indent=1))
    if arguments.grid:
        Image.fromarray(grid(photographs, results)).save(arguments.grid, quality=88)


def rounded(values: np.ndarray) -> list[float]:
    return [round(float(value), 3) for value in values]


def grid(photographs: list[RGB], results: list[RGB], columns: int = 4, side: int = 256) -> RGB:
    """Photograph and result side by side, `columns` pairs a row, centre squares."""
    cells = []
    for pair in zip(photographs, results, strict=True):
        squares = []
        for picture in pair:
            image = Image.fromarray(picture)
            left, top = (image.width - min(image.size)) // 2, (image.height - min(image.size)) // 2
            box = (left, top, left + min(image.size), top + min(image.size))
            squares.append(np.asarray(image.resize((side, side), Image.Resampling.LANCZOS, box=box)))
        cells.append(np.pad(np.concatenate(squares, 1), ((3, 3), (3, 3), (0, 0)), constant_values=255))
    cells += [np.full_like(cells[0], 255)] * (-len(cells) % columns)
    rows = [np.concatenate(cells[i : i + columns], 1) for i in range(0, len(cells), columns)]
    return np.concatenate(rows)


if __name__ == "__main__":
    main()
