"""Was the best moment of finished trainings better than their last state, on pictures that did not choose it?

    python benchmarks/best_moment.py RUN ...

A moment is chosen by the first twelve held-back contents; here the others that the run held back are painted,
by the best state and by the last one, and both get the score of training (of style covered and content
recognised). Their difference comes with its 95% interval (jackknife over pictures; both paint the same).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from inkbridge.images import RGB, read_picture
from inkbridge.metrics.quality import Quality
from inkbridge.train.checkpoint import read_checkpoint
from inkbridge.train.config import from_dict
from inkbridge.train.cost import build
from inkbridge.train.data import PictureSet
from inkbridge.train.moments import NUM_CONTENTS
from inkbridge.train.recipe import Recipe
from inkbridge.train.run_folder import RunFolder
from inkbridge.train.samples import painted, square
from inkbridge.train.scores import interval, score
from inkbridge.train.settle import load_sides


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+")
    print("| run | best after | score | last after | score | difference |\n|---|---|---|---|---|---|")
    for path in parser.parse_args().runs:
        print(row(RunFolder(path)), flush=True)


def row(run: RunFolder) -> str:
    values = json.loads(run.config.read_text())
    folders = values.pop("folders")
    config = from_dict(values, str(run.config))
    styles = {name: Path(folder) for name, folder in folders["styles"].items()}
    recipe = build(config, len(styles), torch.device("cpu"))
    content, sides = load_sides(Path(folders["content"]), styles, config, run.cache)
    unseen = [square(read_picture(path).rgb) for path in content.held_back[NUM_CONTENTS:]]
    if len(unseen) < 2:
        return f"| {run.path.name} | too few contents were held back | | | | |"
    at, scores = [], []
    for file in (run.best, run.checkpoint):
        state = read_checkpoint(file)
        for name in recipe.averaged_states():
            recipe.modules()[name].load_state_dict(state["modules"][name])
        at.append(state["progress"]["images_seen"])
        scores.append(scores_of(recipe, unseen, sides))
    best, last = scores
    low, high = interval(best - last)
    return (
        f"| {run.path.name} | {at[0]:,} | {best[0]:.3f} | {at[1]:,} | {last[0]:.3f} | "
        f"{best[0] - last[0]:+.3f} ({low:+.3f} to {high:+.3f}) |"
    )


def scores_of(recipe: Recipe, contents: list[RGB], sides: dict[str, PictureSet]) -> np.ndarray:
    """Mean over styles of the score of all contents, then of all but each one."""
    found = []
    for index, side in enumerate(sides.values()):
        held = [square(read_picture(path).rgb) for path in side.held_back]
        pictures = [*(square(picture) for picture in side.pictures), *held]
        figures = Quality()(contents, pictures)([painted(recipe, each, index) for each in contents])
        found.append([score(some) for some in figures])
    return np.mean(found, axis=0)


if __name__ == "__main__":
    main()
