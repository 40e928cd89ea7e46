"""Packs measured alike on what a run held back: how near the style they come, how much of the content stays.

    python benchmarks/held_back.py RUN PACK ... [--strength S] [--stroke S]

Covered: share of the way, by sliced Wasserstein distance over five Laplacian levels at 256 px, from the
held-back photographs to the floor, for the held-back style pictures (floor: those of training) and, less by
chance, for all of the folder (floor: one half of them from the other). Content: means over the photographs,
edges at a short side of 256 pixels, the others at 512 at most. Style pictures lose their frames as in
training.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

import inkbridge
from inkbridge.images import RGB, read_picture, reduced, trimmed
from inkbridge.look import stroke_of
from inkbridge.metrics.distribution import StyleDistance
from inkbridge.metrics.evaluation import style_floor
from inkbridge.metrics.fsim import fsim
from inkbridge.metrics.similarity import edge_correlation, ssim, structure_correlation


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("packs", nargs="+")
    parser.add_argument("--strength", type=float, default=1.0)
    parser.add_argument("--stroke", type=stroke_of, default=1.0)
    arguments = parser.parse_args()
    config = json.loads((arguments.run / "config.json").read_text())
    content, style = (
        json.loads((arguments.run / "cache" / f"{side}.json").read_text()) for side in ("content", "style")
    )
    photographs = [read_picture(path).rgb for path in content["held_back"]]
    (folder,) = config["folders"]["styles"].values()
    trim = config["data"]["trim"]
    held_back, seen = (
        [trimmed(read_picture(path).rgb, trim) for path in paths]
        for paths in (style["held_back"], [Path(folder) / name for name in style["names"]])
    )
    targets = {"held-back": StyleDistance(held_back), "all": StyleDistance([*held_back, *seen])}
    before = {name: np.array(distance.of(photographs)) for name, distance in targets.items()}
    floor = {
        "held-back": np.array(targets["held-back"].of(seen)),
        "all": np.array(style_floor([*held_back, *seen])),
    }
    print(f"{len(photographs)} photographs; {len(held_back)} style pictures held back, {len(seen)} seen")
    for name in arguments.packs:
        pack = inkbridge.load(name)
        results = [
            pack.apply(picture, strength=arguments.strength, stroke=arguments.stroke)
            for picture in photographs
        ]
        cells = [name]
        for target, distance in targets.items():
            levels = before[target] - np.array(distance.of(results)), before[target] - floor[target]
            cells.append(
                f"covered, {target}: {levels[0].sum() / levels[1].sum():.0%}, "
                f"finest {levels[0][0] / levels[1][0]:.0%}"
            )
        print("; ".join([*cells, kept(photographs, results)]), flush=True)


def kept(photographs: list[RGB], results: list[RGB]) -> str:
    """Means of the measures of content."""
    pairs = list(zip(photographs, results, strict=True))
    edges = [edge_correlation(a, b) for a, b in pairs]
    small = [(reduced(a, 512), reduced(b, 512)) for a, b in pairs]
    means = {
        measure.__name__: np.mean([measure(a, b) for a, b in small])
        for measure in (ssim, fsim, structure_correlation)
    }
    others = ", ".join(f"{name} {mean:.3f}" for name, mean in means.items())
    return f"edges {np.mean(edges):.3f} (lowest {min(edges):.2f}), {others}"


if __name__ == "__main__":
    main()
