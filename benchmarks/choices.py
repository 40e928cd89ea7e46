"""One choice of recipe `cut` exchanged at a time: what each does to style and content, with seeds.

    python benchmarks/choices.py --content DIR --style DIR --out runs/choices [--images 4000] [--seeds 2]

Every run paints the photographs that it held back. Covered: share of the way from them to all pictures of
the style folder (those held back alone are too few), by sliced Wasserstein distance over five Laplacian
levels. Edges: correlation of edge strength with the photograph. Each seed holds back other pictures, so a
variant is given by its difference from the defaults of the same seed, one number a seed.
Started again it goes on where it was; several processes with --shard 0/2 and 1/2 share the work, and one
without --shard then prints the table.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from inkbridge.images import RGB, read_picture
from inkbridge.metrics.distribution import StyleDistance
from inkbridge.metrics.evaluation import style_floor
from inkbridge.metrics.similarity import edge_correlation
from inkbridge.train.budget import Budget
from inkbridge.train.checkpoint import restore_checkpoint
from inkbridge.train.config import load_config
from inkbridge.train.loop import train
from inkbridge.train.recipes import RECIPES
from inkbridge.train.samples import choose_unseen, painted
from inkbridge.train.settle import load_sides

VARIANTS: dict[str, list[str]] = {
    "defaults": [],
    "adversarial: least-squares": ["losses.adversarial=least-squares"],
    "adversarial: hinge": ["losses.adversarial=hinge"],
    "adversarial: relativistic, r1+r2": ["losses.adversarial=relativistic", "losses.penalty=r1+r2"],
    "adversarial: minimax": ["losses.adversarial=minimax"],
    "adversarial: wasserstein": [
        "losses.adversarial=wasserstein",
        *("losses.penalty=wasserstein", "losses.penalty_weight=10", "losses.penalty_every=4"),
    ],
    "optimizer: adam": ["optimizer.name=adam"],
    "optimizer: adamw": ["optimizer.name=adamw"],
    "optimizer: rmsprop": ["optimizer.name=rmsprop"],
    "schedule: cosine": ["optimizer.schedule=cosine"],
    "two time scales: generator at a third": ["optimizer.generator_lr=3e-4"],
    "discriminator: patch": ["discriminator.kind=patch"],
    "no penalty": ["losses.penalty_weight=0"],
    "penalty: zero-centred": ["losses.penalty=zero-centred"],
    "spectral norm, no penalty": ["discriminator.spectral_norm=true", "losses.penalty_weight=0"],
    "augmentation: none": ["augmentations=[]"],
    "augmentation: translate, cutout": ['augmentations=["translate", "cutout"]'],
    "augmentation: colour too": ['augmentations=["resample", "colour"]'],
    "augmentation: adaptive": ["adaptive=true", 'augmentations=["resample", "translate", "cutout"]'],
    "no redrawing": ["losses.redraw_weight=0"],
    "no affinity": ["losses.affinity_weight=0"],
    "affinity 4": ["losses.affinity_weight=4"],
    "no self-similarity": ["losses.similarity_weight=0"],
    "content 0.3": ["losses.content_weight=0.3"],
    "content 10": ["losses.content_weight=10"],
    "contents not faded": ["fade=false"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("--content", "--style", "--out"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--shard", default="0/1")
    parser.add_argument("--only", action="append", choices=VARIANTS, help="these variants alone")
    parser.add_argument("--set", action="append", default=[], help="a setting of every run")
    arguments = parser.parse_args()
    names = arguments.only or list(VARIANTS)
    shard, num_shards = map(int, arguments.shard.split("/"))
    jobs = [(name, seed) for seed in range(arguments.seeds) for name in names]
    for i, (name, seed) in enumerate(jobs):
        if i % num_shards == shard:
            figures = measured(arguments, name, seed)
            print(f"{name}, seed {seed}: {figures}", flush=True)
    if num_shards == 1:
        print(table(arguments, names))


def folder_of(out: Path, name: str, seed: int) -> Path:
    return out / f"{name.replace(': ', '-').replace(', ', '-').replace(' ', '-')}-{seed}"


def measured(arguments: argparse.Namespace, name: str, seed: int) -> dict[str, list[float]]:
    """Train, or go on, and measure; the figures of a finished run are read."""
    out = folder_of(arguments.out, name, seed)
    file = out / "figures.json"
    if not file.exists():
        settings = ["recipe=cut", f"seed={seed}", "evaluate_every=0", "sample_every=1000000"]
        config = load_config(None, [*settings, *arguments.set, *VARIANTS[name]])
        train(arguments.content, arguments.style, out, config, Budget(images=arguments.images))
        recipe = RECIPES["cut"](config.model, torch.device("cpu"))
        restore_checkpoint(out / "checkpoint.pt", recipe)
        content, styles = load_sides(arguments.content, {"": arguments.style}, config, out / "cache")
        contents = choose_unseen(content, 16)
        results = [painted(recipe, picture, 0) for picture in contents]
        pictures = [*styles[""].pictures, *(read_picture(path).rgb for path in styles[""].held_back)]
        file.write_text(json.dumps(figures(pictures, contents, results)))
    found: dict[str, list[float]] = json.loads(file.read_text())
    return found


def figures(styles: list[RGB], contents: list[RGB], results: list[RGB]) -> dict[str, list[float]]:
    edges = [edge_correlation(a, b) for a, b in zip(contents, results, strict=True)]
    distance = StyleDistance(styles)
    levels = {
        "before": distance.of(contents),
        "after": distance.of(results),
        "floor": style_floor(styles),
        "edges": edges,
    }
    return {name: [round(float(value), 4) for value in values] for name, values in levels.items()}


def table(arguments: argparse.Namespace, names: Sequence[str]) -> str:
    lines = ["| | covered | finest level | edges |", "|---|---|---|---|"]
    for name in names:
        rows = []
        for seed in range(arguments.seeds):
            run, defaults = (measured(arguments, each, seed) for each in (name, "defaults"))
            differs = name != "defaults"
            rows.append(
                [
                    100 * (covered(run, slice(None)) - differs * covered(defaults, slice(None))),
                    100 * (covered(run, slice(1)) - differs * covered(defaults, slice(1))),
                    float(np.mean(run["edges"])) - differs * float(np.mean(defaults["edges"])),
                ]
            )
        cells = [
            ", ".join(f"{value:{'+' if differs else ''}.{digits}f}" for value in column)
            for column, digits in zip(zip(*rows, strict=True), (0, 0, 2), strict=True)
        ]
        lines.append(f"| {' | '.join([name, *cells])} |")
    return "\n".join(lines)


def covered(run: dict[str, list[float]], levels: slice) -> float:
    before, after, floor = (sum(run[side][levels]) for side in ("before", "after", "floor"))
    return (before - after) / (before - floor)


if __name__ == "__main__":
    main()
