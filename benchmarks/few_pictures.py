"""What helps when there are few style pictures: the trained eye and other remedies, with seeds.

    python benchmarks/few_pictures.py --content DIR --style DIR --pack PACK --out runs/few [--images 3000]

Half of the style folder is held back, the same for all; of the rest each seed draws 4, 8, 16 or 43 pictures,
the same for every remedy. Photographs painted are those that a run with seed 0 holds back, as bundled packs
do. PACK is what "from a pack" starts from: one that has not seen the style.
Covered (at strokes, picture, and by the judge: the mean), taken for a photograph, recognised: by the bundled
eye, from the photographs to the held-back style pictures, as `inkbridge evaluate` has them; by heart:
photographs whose result has the layout of a training picture.
Started again it goes on where it was; several processes with --shard 0/2 and 1/2 share the work, and one
without --shard then prints the table and draws the sheet.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from inkbridge.images import RGB, find_pictures, read_picture
from inkbridge.metrics.memorisation import Layouts
from inkbridge.metrics.quality import QualityMeter
from inkbridge.metrics.sight import Sight
from inkbridge.train.budget import Budget
from inkbridge.train.checkpoint import restore_checkpoint
from inkbridge.train.config import load_config
from inkbridge.train.cost import build
from inkbridge.train.data import DataConfig, load_pictures
from inkbridge.train.loop import train
from inkbridge.train.samples import painted, square

HIDING = 'augmentations=["resample", "translate", "cutout"]'
SCALES = "data.style_scale=[0.5, 1.25]"
EYE, PIXELS = "recipe=exemplar", "recipe=cut"
REMEDIES: dict[str, list[str]] = {
    "pixels": [PIXELS],
    "pixels, from a pack": [PIXELS, "start_from={pack}"],
    "eye": [EYE],
    "eye, from a pack": [EYE, "start_from={pack}"],
    "translate, cutout": [PIXELS, HIDING],
    "the same, adaptive": [PIXELS, HIDING, "adaptive=true"],
    "crops of other scales": [PIXELS, SCALES],
    "warm start": [PIXELS, "warm_start={warm}"],
    "together, no pack": [PIXELS, "warm_start={warm}", SCALES, HIDING, "adaptive=true"],
    "together": [PIXELS, "start_from={pack}", SCALES, HIDING, "adaptive=true"],
}
FIGURES = ("covered", "strokes", "picture", "as_content", "recognised", "repeats")
SIZES = (4, 8, 16, 43)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("--content", "--style", "--out"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--pack", default="ukiyo-e")
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--shard", default="0/1")
    parser.add_argument("--only", action="append", choices=REMEDIES, help="these remedies alone")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    arguments = parser.parse_args()
    names = arguments.only or list(REMEDIES)
    shard, num_shards = map(int, arguments.shard.split("/"))
    jobs = [(name, num, seed) for seed in range(arguments.seeds) for num in arguments.sizes for name in names]
    for i, (name, num, seed) in enumerate(jobs):
        if i % num_shards == shard:
            print(
                f"{name}, {num} pictures, seed {seed}: {told(measured(arguments, name, num, seed))}",
                flush=True,
            )
    if num_shards == 1:
        print(table(arguments, names))
        draw_sheet(arguments, names)


def measured(arguments: argparse.Namespace, name: str, num: int, seed: int) -> dict[str, float]:
    """Train, or go on, and measure; the figures of a finished run are read."""
    out = folder_of(arguments.out, name, num, seed)
    file = out / "figures.json"
    if not file.exists():
        content, style, photographs, unseen = split(arguments, num, seed)
        settings = [
            f"seed={seed}",
            "evaluate_every=0",
            "sample_every=1000000",
            "data.hold_back=0",
        ]
        values = {"pack": arguments.pack, "warm": round(0.15 * arguments.images)}
        settings += [f"data.minimum={num}", *(each.format(**values) for each in REMEDIES[name])]
        config = load_config(None, settings)
        train(content, style, out, config, Budget(images=arguments.images))
        recipe = build(config, 1, torch.device("cpu"))
        restore_checkpoint(out / "checkpoint.pt", recipe)
        contents = [square(read_picture(path).rgb) for path in photographs]
        results = [painted(recipe, picture, 0) for picture in contents]
        meter = QualityMeter(contents, [read_picture(path).rgb for path in unseen], Sight())
        found = {name: round(value, 4) for name, value in meter(results)[0].items()}
        layouts = Layouts([read_picture(path).rgb for path in find_pictures(style)])
        repeats = [layouts.nearest(result).correlation > 0.9 for result in results]
        found["repeats"] = float(np.mean(repeats))
        for path, result in zip(photographs, results, strict=True):
            Image.fromarray(result).save(out / f"{path.stem}.png")
        file.write_text(json.dumps(found))
    figures: dict[str, float] = json.loads(file.read_text())
    return figures


def folder_of(out: Path, name: str, num: int, seed: int) -> Path:
    return out / f"{num}-{name.replace(', ', '-').replace(' ', '-')}-{seed}"


def split(arguments: argparse.Namespace, num: int, seed: int) -> tuple[Path, Path, list[Path], list[Path]]:
    """Folders to train on, photographs to paint, style pictures that no run sees."""
    cache = arguments.out / "cache"
    photographs = load_pictures(arguments.content, "content", DataConfig(), cache, 0).held_back
    held = {path.name for path in photographs}
    content = linked(
        arguments.out / "content",
        [path for path in find_pictures(arguments.content) if path.name not in held],
    )
    files = find_pictures(arguments.style)
    order = np.random.default_rng(0).permutation(len(files))
    half = len(files) // 2
    drawn = np.random.default_rng([seed, 1]).permutation(order[half:])[:num]
    style = linked(arguments.out / f"style-{num}-{seed}", [files[i] for i in drawn])
    return content, style, photographs, [files[i] for i in order[:half]]


def linked(folder: Path, files: Sequence[Path]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        link = folder / file.name
        if not link.exists():
            link.symlink_to(file.resolve())
    return folder


def told(run: dict[str, float]) -> str:
    return " ".join(f"{name} {run[name]:.2f}" for name in FIGURES)


def table(arguments: argparse.Namespace, names: Sequence[str]) -> str:
    lines = [
        f"| | {' | '.join(f'{num} pictures' for num in arguments.sizes)} |",
        "|---" * (len(arguments.sizes) + 1) + "|",
    ]
    for name in names:
        cells = []
        for num in arguments.sizes:
            runs = [measured(arguments, name, num, seed) for seed in range(arguments.seeds)]
            cells.append(
                "; ".join(f"{each} " + ", ".join(f"{run[each]:.2f}" for run in runs) for each in FIGURES)
            )
        lines.append(f"| {' | '.join([name, *cells])} |")
    return "\n".join(lines)


def draw_sheet(arguments: argparse.Namespace, names: Sequence[str], photographs: int = 3) -> None:
    """A column for the photographs, then, of the first seed, one for each number of pictures and remedy."""
    _, _, paths, _ = split(arguments, arguments.sizes[0], 0)
    rows = []
    for path in paths[:photographs]:
        cells: list[RGB] = [square(read_picture(path).rgb)]
        for num in arguments.sizes:
            for name in names:
                cells.append(read_picture(folder_of(arguments.out, name, num, 0) / f"{path.stem}.png").rgb)
        rows.append(np.concatenate(cells, 1))
    Image.fromarray(np.concatenate(rows)).save(arguments.out / "sheet.jpg", quality=90)


if __name__ == "__main__":
    main()
