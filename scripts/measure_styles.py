"""Measure a pack of many styles on the pictures that its run held back, and write the figures into the pack.

    python scripts/measure_styles.py RUN PACK

Three small classifiers are trained on crops of the style folders' training pictures alone (no result, no
held-back picture); the probability of a style is the mean of theirs, a picture's style the most probable
over 16 crops. Then, on photographs never trained on:

named       share of results of each style that the classifiers name as that style; the same for held-back
            pictures of the style itself
edges       correlation of luminance edges between photograph and result
example     share of held-back style pictures, given as examples, whose results are named as their style; and
            how far results of two examples of one style are apart (mean absolute difference, levels of 255)
distance    how much of the way from photographs to the style's floor results cover, over all levels (the
            floor is the style's own training pictures against its held-back ones; see measure_pack.py)
fusion      share of photographs for which the distance to style A rises and that to style B falls at every
            step of weights 0, 1/4 .. 1 from A to B, over pairs of styles with at least 40 pictures; and the
            same by sets: the share of pairs for which this holds of the distance of `SET` results together
strength    the same for one style over strengths 0, 1/4 .. 1: nearer to the style and farther from the
            photograph at every step; each photograph with each style of at least 40 pictures

Distances to a style, those of features and patches from its training pictures:

verdict     -log of the probability that the classifiers give the style, mean over the crops
features    Mahalanobis distance between the means of one classifier's features
patches     sliced Wasserstein distance over Laplacian levels

The verdict knows what tells the styles of the pack apart and nothing else. For `strength`, a way that begins
at photographs, there is also that of classifiers that know those of training too. The others compare
whole pictures: one result, with what the photograph shows, is not at the middle of its style, and on the way
to another style may pass nearer to it. Of one picture they are the harder measure, of a set the fairer.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

import inkbridge
from inkbridge.images import RGB, read_picture, trimmed
from inkbridge.metrics.distribution import StyleDistance
from inkbridge.metrics.similarity import edge_correlation
from inkbridge.pack_format import read_pack, write_pack
from inkbridge.train.precision import resolve_precision

CROP = 160
SET = 10
"""Results that are compared with a style together."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("pack", type=Path)
    parser.add_argument("--photographs", type=int, default=20)
    parser.add_argument("--examples", type=int, default=50)
    arguments = parser.parse_args()
    config = json.loads((arguments.run / "config.json").read_text())
    names = list(config["folders"]["styles"])
    index = {
        side: json.loads((arguments.run / "cache" / f"{side}.json").read_text())
        for side in ("content", *(f"style-{name}" for name in names))
    }
    photographs = [read_picture(path).rgb for path in index["content"]["held_back"][: arguments.photographs]]
    seen, held_back = [], []
    for name in names:
        entry, folder = index[f"style-{name}"], Path(config["folders"]["styles"][name])
        trim = config["data"]["trim"]
        seen.append([standard(read_picture(folder / file).rgb, trim) for file in entry["names"]])
        held_back.append([standard(read_picture(path).rgb, trim) for path in entry["held_back"]])
    classifier = train_classifiers(seen)
    pack = inkbridge.load(arguments.pack)

    figures: dict[str, object] = {}
    for k, name in enumerate(names):
        results = [pack.apply(photograph, name) for photograph in photographs]
        edges = [edge_correlation(a, b) for a, b in zip(photographs, results, strict=True)]
        verdicts = [verdict(classifier, result) for result in results]
        figures[name] = {
            "pictures": len(seen[k]) + len(held_back[k]),
            "results_named": share([found == k for found in verdicts]),
            "named_instead": sorted({names[found] for found in verdicts if found != k}),
            "held_back_named": share([verdict(classifier, r) == k for r in held_back[k]]),
            "edges_mean": round(float(np.mean(edges)), 3),
            "edges_lowest": round(float(min(edges)), 3),
            **covered(photographs, results, seen[k], held_back[k]),
        }
        print(name, json.dumps(figures[name]), flush=True)

    figures["examples"] = followed(pack, classifier, photographs, held_back, arguments.examples)
    print("examples", json.dumps(figures["examples"]), flush=True)

    large = [k for k in range(len(names)) if len(seen[k]) >= 36]
    features = FeatureDistance(classifier.members[0], seen)
    patches = {k: StyleDistance(seen[k], patches=6000) for k in large}
    measures: dict[str, Distance] = {
        "verdict": doubts(classifier),
        "features": features.of,
        "patches": lambda pictures, k: sum(patches[k].of(pictures)),
    }

    def fusion(photograph: RGB, a: int, b: int) -> list[RGB]:
        return [pack.apply(photograph, {names[a]: 1 - w, names[b]: w}) for w in STEPS]

    def strength(photograph: RGB, k: int) -> list[RGB]:
        return [pack.apply(photograph, names[k], strength=w) for w in STEPS]

    def shares(ways: list[Way]) -> dict[str, object]:
        found = {name: share([way.leads(distance) for way in ways]) for name, distance in measures.items()}
        return {"num": len(ways), **found}

    group = photographs[:SET]
    pairs = list(itertools.permutations(large, 2))
    figures["fusion"] = shares(
        [Way([fusion(p, a, b)], b, a) for p, (a, b) in zip(photographs, itertools.cycle(pairs), strict=False)]
    ) | {"sets": shares([Way([fusion(p, a, b) for p in group], b, a) for a, b in pairs])}
    print("fusion", json.dumps(figures["fusion"]), flush=True)
    folder = Path(config["folders"]["content"])
    contents = [standard(read_picture(folder / file).rgb, 0.0) for file in index["content"]["names"]]
    measures["verdict_with_photographs"] = doubts(train_classifiers([*seen, contents]))
    turns = [(p, k) for k in large for p in photographs]
    figures["strength"] = shares([Way([strength(p, k)], k, [p]) for p, k in turns]) | {
        "sets": shares([Way([strength(p, k) for p in group], k, group) for k in large])
    }
    print("strength", json.dumps(figures["strength"]), flush=True)
    file = read_pack(arguments.pack)
    file.info.measured |= figures
    write_pack(arguments.pack, file)


def followed(
    pack: inkbridge.StylePack,
    classifier: nn.Module,
    photographs: list[RGB],
    held_back: list[list[RGB]],
    num: int,
) -> dict[str, object]:
    """How often the style of an example is named, and how far results of two examples are apart."""
    unseen = [(k, picture) for k, pictures in enumerate(held_back) for picture in pictures]
    step = max(len(unseen) / num, 1.0)
    chosen = [unseen[int(i * step)] for i in range(min(num, len(unseen)))]
    named, apart = [], []
    for i, (k, example) in enumerate(chosen):
        photograph = photographs[i % len(photographs)]
        result = pack.apply(photograph, like=example)
        named.append(verdict(classifier, result) == k)
        other = held_back[k][(i + 1) % len(held_back[k])]
        if other is not example:
            apart.append(changed([result], [pack.apply(photograph, like=other)]))
    return {"num": len(named), "named": share(named), "apart": round(float(np.mean(apart)), 1)}


def standard(rgb: RGB, trim: float) -> RGB:
    """Without its frame, with a short side of 320 pixels: the scale of results."""
    image = Image.fromarray(trimmed(rgb, trim))
    scale = 320 / min(image.size)
    size = (round(image.width * scale), round(image.height * scale))
    return np.asarray(image.resize(size, Image.Resampling.LANCZOS))


def crops(picture: RGB, num: int, rng: np.random.Generator) -> list[RGB]:
    """Square windows of half to all of the short side, brought to `CROP` pixels: texture and composition."""
    height, width = picture.shape[:2]
    windows = []
    for _ in range(num):
        side = int(rng.integers(CROP, min(height, width) + 1))
        top, left = int(rng.integers(0, height - side + 1)), int(rng.integers(0, width - side + 1))
        window = Image.fromarray(picture[top : top + side, left : left + side])
        windows.append(np.asarray(window.resize((CROP, CROP), Image.Resampling.BICUBIC)))
    return windows


def tensor(pictures: list[RGB]) -> Tensor:
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1


class Ensemble(nn.Module):
    """The logarithm of the mean probability that several classifiers give: one alone names now this, now that
    drawing for a landscape."""

    def __init__(self, members: list[nn.Sequential]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, images: Tensor) -> Tensor:
        found = torch.stack([member(images).log_softmax(1) for member in self.members])
        return found.logsumexp(0) - math.log(len(self.members))


def train_classifiers(styles: list[list[RGB]]) -> Ensemble:
    return Ensemble([train_classifier(styles, seed) for seed in range(3)])


def train_classifier(styles: list[list[RGB]], seed: int, steps: int = 2000, batch: int = 32) -> nn.Sequential:
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    layers: list[nn.Module] = [nn.PixelUnshuffle(2)]
    for i, (a, b) in enumerate(itertools.pairwise((12, 32, 64, 96, 128, 128))):
        layers += [nn.Conv2d(a, b, 3, min(i, 1) + 1, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
    network = nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(128, len(styles))
    ).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=5e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, steps)
    bfloat16 = resolve_precision("auto", torch.device("cpu")) == "bfloat16"
    # Folders are of very unequal size: by the root of their sizes neither the small nor the large are lost.
    shares = np.sqrt([len(pictures) for pictures in styles])
    for _ in range(steps):
        targets = rng.choice(len(styles), batch, p=shares / shares.sum())
        chosen = [styles[k][rng.integers(len(styles[k]))] for k in targets]
        images = tensor([crops(picture, 1, rng)[0] for picture in chosen])
        images = torch.where(torch.rand(batch, 1, 1, 1) < 0.5, images, images.flip(3))
        images = images * (0.9 + 0.2 * torch.rand(batch, 1, 1, 1)) + 0.2 * torch.rand(batch, 1, 1, 1) - 0.1
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            logits = network(images.contiguous(memory_format=torch.channels_last))
        # Smoothed labels would make what is surely of a style less so than what is nearly surely of it.
        loss = F.cross_entropy(logits.float(), torch.from_numpy(targets))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval()


@torch.no_grad()
def verdict(classifier: nn.Module, picture: RGB) -> int:
    return int(classifier(_looks(picture)).softmax(1).mean(0).argmax())


def doubts(classifier: nn.Module) -> Distance:
    """-log p(style | picture), the mean over crops and pictures: 0 for certainty."""

    @torch.no_grad()
    def of(pictures: list[RGB], style: int) -> float:
        logits = torch.cat([classifier(_looks(picture)) for picture in pictures])
        return -float(logits.log_softmax(1)[:, style].mean())

    return of


def _looks(picture: RGB) -> Tensor:
    return tensor(crops(picture, 16, np.random.default_rng(0)))


class FeatureDistance:
    """Mahalanobis distance from a style in the space of the classifier's last features.

    Pictures are the mean over their crops, a style is the mean of up to 60 of its training pictures; the
    covariance is the one within styles, its smallest directions lifted to a hundredth of the mean.
    """

    def __init__(self, classifier: nn.Sequential, styles: list[list[RGB]]) -> None:
        self.features = classifier[:-1]
        found = [
            np.stack([self.read(p) for p in pictures[:: max(len(pictures) // 60, 1)][:60]])
            for pictures in styles
        ]
        self.means = [rows.mean(0) for rows in found]
        within = np.concatenate([rows - rows.mean(0) for rows in found])
        covariance = within.T @ within / len(within)
        covariance += 0.01 * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
        self.inverse = np.linalg.inv(covariance)

    @torch.no_grad()
    def read(self, picture: RGB) -> np.ndarray:
        return self.features(_looks(picture)).mean(0).double().numpy()

    def of(self, pictures: list[RGB], style: int) -> float:
        apart = np.mean([self.read(picture) for picture in pictures], axis=0) - self.means[style]
        return float(np.sqrt(apart @ self.inverse @ apart))


STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)
Distance = Callable[[list[RGB], int], float]
"""Of pictures, taken together, from a style."""


@dataclass
class Way:
    """Photographs painted at each of `STEPS`, and where that is to lead."""

    painted: list[list[RGB]]
    """Of each photograph, the result at each step."""
    towards: int
    away_from: int | list[RGB]
    """A style, or the photographs themselves."""

    def leads(self, distance: Distance) -> bool:
        """Whether every step leads towards the one and away from the other."""
        steps = [list(pictures) for pictures in zip(*self.painted, strict=True)]
        nearer = rises([-distance(pictures, self.towards) for pictures in steps])
        left = self.away_from
        if isinstance(left, int):
            return nearer and rises([distance(pictures, left) for pictures in steps])
        return nearer and rises([changed(left, pictures) for pictures in steps])


def rises(values: list[float]) -> bool:
    """Whether every step leads up."""
    return bool((np.diff(values) > 0).all())


def changed(photographs: list[RGB], pictures: list[RGB]) -> float:
    """Mean absolute difference in levels of 255."""
    both = zip(photographs, pictures, strict=True)
    return float(np.mean([np.abs(a.astype(int) - b).mean() for a, b in both]))


def covered(
    photographs: list[RGB], results: list[RGB], seen: list[RGB], held_back: list[RGB]
) -> dict[str, float]:
    """The share of the way to the style; nothing where no style picture was held back."""
    if not held_back:
        return {}
    distance = StyleDistance(held_back)
    start, reached, floor = (sum(distance.of(pictures)) for pictures in (photographs, results, seen))
    return {"distance_covered": round((start - reached) / (start - floor), 3)}


def share(hits: list[bool]) -> float | None:
    return round(float(np.mean(hits)), 3) if hits else None


if __name__ == "__main__":
    main()
