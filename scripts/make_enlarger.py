"""Trains the bundled enlarger on scans of paintings, prints and drawings, and writes it.

    python scripts/make_enlarger.py RUN --scans FOLDER[:WEIGHT] ... --painted FOLDER --minutes 60

A scan is shrunk to a quarter and brought back. What comes back answers to the scan: to its pixels, to the
eye's features of it and to their moments (`losses.moments`), and to a discriminator that knows real scans.
What our own packs paint has no larger original: of those in --painted the result must shrink to what was
given, and look real to the same discriminator. The state lies in RUN; the same command goes on there.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from inkbridge.enlarge import FACTOR, GRAIN
from inkbridge.eye import BUNDLED, read_eye
from inkbridge.images import RGB, find_pictures, from_network, read_picture, to_network
from inkbridge.train import losses
from inkbridge.train.adversarial import ADVERSARIAL
from inkbridge.train.networks.discriminator import Discriminator, DiscriminatorConfig
from inkbridge.train.networks.enlarger import Enlarger
from inkbridge.train.networks.eye import Eye
from inkbridge.train.optimizers import Muon
from inkbridge.train.precision import mixed, resolve_precision

OUT = Path(__file__).parents[1] / "src" / "inkbridge" / "enlarge" / "enlarger.onnx"
CROP = 256
"""Side of what is enlarged to."""
PAIRS, PAINTED = 4, 2
"""Scans and paintings of our own in an update."""
DEPTHS = 4
"""Of the eye at which results are compared, the finest: strokes and edges, not things."""
ALONE = 1200
"""Scans until the discriminator has a say."""
EMA_HALF_LIFE = 2000.0
LR, LR_D = 1e-3, 3e-4
FILTERS = (Image.Resampling.LANCZOS, Image.Resampling.BICUBIC, Image.Resampling.BOX)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--scans", nargs="+", required=True)
    parser.add_argument("--painted", type=Path)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--adversarial", type=float, default=0.1)
    parser.add_argument("--moments", type=float, default=0.3)
    parser.add_argument("--power", type=float, default=0.3)
    parser.add_argument("--features", type=float, default=1.0)
    parser.add_argument("--pixels", type=float, default=0.5)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--export", action="store_true", help="write the averaged network, train no more")
    given = parser.parse_args()
    given.run.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    trainer = Trainer(given)
    if not given.export:
        trainer.train()
    export(trainer.average, given.run / "enlarger.onnx")


class Scans:
    """Crops of scans, each folder as often as its weight says."""

    def __init__(self, folders: Sequence[str]) -> None:
        self.folders: list[list[RGB]] = []
        weights = []
        for entry in folders:
            place, _, weight = entry.partition(":")
            found = [read_picture(path).rgb for path in find_pictures(Path(place))]
            self.folders.append([rgb for rgb in found if min(rgb.shape[:2]) >= CROP])
            weights.append(float(weight or 1))
        self.weights = np.array(weights) / sum(weights)

    def pair(self, rng: np.random.Generator) -> tuple[RGB, RGB]:
        """A crop of CROP x CROP, reduced from up to twice its size, and the same at a quarter."""
        folder = self.folders[rng.choice(len(self.folders), p=self.weights)]
        rgb = folder[rng.integers(len(folder))]
        side = round(CROP * min(rng.uniform(1.0, 2.0), min(rgb.shape[:2]) / CROP))
        image = Image.fromarray(crop(rgb, side, rng)).resize((CROP, CROP), Image.Resampling.LANCZOS)
        small = image.resize((CROP // FACTOR,) * 2, FILTERS[rng.integers(len(FILTERS))])
        large, small = np.asarray(image), np.asarray(small)
        return large, small


class Paintings:
    """Crops of what our packs painted."""

    def __init__(self, folder: Path) -> None:
        self.pictures = [read_picture(path).rgb for path in find_pictures(folder)]

    def crop(self, rng: np.random.Generator) -> RGB:
        """A quarter of CROP on a side."""
        return crop(self.pictures[rng.integers(len(self.pictures))], CROP // FACTOR, rng)


def crop(rgb: RGB, side: int, rng: np.random.Generator) -> RGB:
    """A square somewhere, mirrored half of the time."""
    top, left = (int(rng.integers(length - side + 1)) for length in rgb.shape[:2])
    found = rgb[top : top + side, left : left + side]
    return found[:, ::-1] if rng.random() < 0.5 else found


class Trainer:
    """The networks and their update."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given
        self.enlarger = Enlarger(given.width, given.layers)
        self.enlarger.to(memory_format=torch.channels_last)
        self.average = Enlarger(given.width, given.layers)
        self.average.load_state_dict(self.enlarger.state_dict())
        self.discriminator = Discriminator(DiscriminatorConfig(width=24, spectral_norm=True))
        self.optimizer = Muon(self.enlarger.parameters(), LR, (0.9, 0.99))
        self.optimizer_d = torch.optim.Adam(self.discriminator.parameters(), LR_D, betas=(0.5, 0.99))
        self.eye = Eye(read_eye(BUNDLED), BUNDLED)
        self.seen, self.seconds = 0, 0.0
        self.place = given.run / "state.pt"
        self.parts = {
            "enlarger": self.enlarger,
            "average": self.average,
            "discriminator": self.discriminator,
            "optimizer": self.optimizer,
            "optimizer_d": self.optimizer_d,
        }
        if self.place.exists():
            state = torch.load(self.place, weights_only=True)
            for name, part in self.parts.items():
                part.load_state_dict(state[name])
            self.seen, self.seconds = state["seen"], state["seconds"]

    def save(self) -> None:
        state: dict[str, Any] = {name: part.state_dict() for name, part in self.parts.items()}
        torch.save(state | {"seen": self.seen, "seconds": self.seconds}, self.place.with_suffix(".part"))
        os.replace(self.place.with_suffix(".part"), self.place)

    def train(self) -> None:
        scans = Scans(self.given.scans)
        paintings = Paintings(self.given.painted) if self.given.painted else None
        precision = resolve_precision("auto", torch.device("cpu"))
        rng = np.random.default_rng(self.seen)
        total = 60 * self.given.minutes
        before, told = time.monotonic(), 0.0
        while self.seconds < total:
            rate = min(2.0 * (1 - self.seconds / total), 1.0) * 0.95 + 0.05
            for optimizer, lr in ((self.optimizer, LR), (self.optimizer_d, LR_D)):
                optimizer.param_groups[0]["lr"] = lr * rate
            pairs = [scans.pair(rng) for _ in range(PAIRS)]
            ours = [paintings.crop(rng) for _ in range(PAINTED)] if paintings else []
            large = tensor([pair[0] for pair in pairs])
            small = tensor([*(pair[1] for pair in pairs), *ours])
            with mixed(precision, torch.device("cpu")):
                parts = self.update(large, small)
            self.seen += PAIRS
            now = time.monotonic()
            self.seconds, before = self.seconds + now - before, now
            if self.seconds - told > 30:
                told = self.seconds
                said = "  ".join(f"{name} {value:.4f}" for name, value in parts.items())
                print(f"{self.seconds / 60:6.1f} min  {self.seen:,} scans  {said}", flush=True)
                self.save()
                self.sample(large, small)
        self.save()

    def update(self, large: Tensor, small: Tensor) -> dict[str, float]:
        """One step of both networks; `small` are those of `large`, then paintings without a larger one."""
        given, num = self.given, len(large)
        height, width = small.shape[2:]
        grain = (torch.rand(len(small), 1, GRAIN * height, GRAIN * width) - 0.5) * 12**0.5
        result = self.enlarger(small, grain).float()
        known = result[:num]
        seen, (wanted, wanted_moments) = self.eye(known, DEPTHS), self._wanted(large)
        parts = {
            "shrunk": (F.avg_pool2d(result, FACTOR) - small).abs().mean(),
            "pixels": (known - large).abs().mean(),
            "features": sum(
                (unit_distance(*pair) for pair in zip(seen, wanted, strict=True)), small.new_zeros(())
            ),
            "moments": losses.moment_distance([losses.moments(some) for some in seen], wanted_moments),
            "power": (log_power(known) - log_power(large)).abs().mean(),
        }
        loss = (
            2.0 * parts["shrunk"]
            + given.pixels * parts["pixels"]
            + given.features * parts["features"]
            + given.moments * parts["moments"]
            + given.power * parts["power"]
        )
        if self.seen >= ALONE:
            loss_d, loss_g = ADVERSARIAL["hinge"]
            fakes, _ = self.discriminator(result)
            parts["adversarial"] = sum(loss_g(fake, fake) for fake in fakes) / len(fakes)
            loss = loss + given.adversarial * parts["adversarial"]
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        if self.seen >= ALONE:
            real, _ = self.discriminator(large)
            fakes, _ = self.discriminator(result.detach())
            # Of both kinds of result alike.
            told = [
                0.5 * (loss_d(r, f[:num]) + (loss_d(r, f[num:]) if len(f) > num else loss_d(r, f[:num])))
                for r, f in zip(real, fakes, strict=True)
            ]
            parts["discriminator"] = sum(told) / len(told)
            self.optimizer_d.zero_grad()
            parts["discriminator"].backward()
            self.optimizer_d.step()
        share = 1 - 0.5 ** (PAIRS / min(EMA_HALF_LIFE, max(self.seen, 1)))
        with torch.no_grad():
            for mine, its in zip(self.average.parameters(), self.enlarger.parameters(), strict=True):
                mine.lerp_(its, share)
        return {name: float(part.detach()) for name, part in parts.items()}

    @torch.no_grad()
    def _wanted(self, large: Tensor) -> tuple[list[Tensor], list[losses.Moments]]:
        wanted = self.eye(large, DEPTHS)
        return wanted, [losses.moments(some) for some in wanted]

    @torch.no_grad()
    def sample(self, large: Tensor, small: Tensor) -> None:
        """The last update's pictures: given, enlarged, and the scans."""
        grain = (torch.rand(len(small), 1, GRAIN * small.shape[2], GRAIN * small.shape[3]) - 0.5) * 12**0.5
        found = self.average(small, grain)
        given = small.repeat_interleave(FACTOR, 2).repeat_interleave(FACTOR, 3)
        rows = [torch.cat(list(given), 2), torch.cat(list(found), 2), torch.cat(list(large), 2)]
        rows[2] = F.pad(rows[2], (0, rows[0].shape[2] - rows[2].shape[2]))
        sheet = from_network(torch.cat(rows, 1).clamp(-1, 1).numpy())
        Image.fromarray(sheet).save(self.given.run / "sample.png")


def tensor(pictures: Sequence[RGB]) -> Tensor:
    """H x W x 3 uint8 pictures of one size -> N x 3 x H x W in [-1, 1]."""
    values = np.concatenate([to_network(np.ascontiguousarray(rgb)) for rgb in pictures])
    return torch.from_numpy(values).contiguous(memory_format=torch.channels_last)


def unit_distance(result: Tensor, wanted: Tensor) -> Tensor:
    """Mean squared difference of features, those of each place at length 1 (Zhang et al. 2018, Eq. 1)."""
    return (F.normalize(result.float(), dim=1) - F.normalize(wanted.float(), dim=1)).square().sum(1).mean()


def log_power(image: Tensor) -> Tensor:
    """Log of the power of light, in windows of 32 pixels, in two bands: finer than 3 pixels, and than 6.

    What cannot be known is smoothed by every other loss: without this a result had a fifth of a scan's power
    in the finest octave.
    """
    light = image.mean(1, keepdim=True)
    found = []
    for _ in range(2):
        band = light - F.avg_pool2d(light, 3, 1, 1, count_include_pad=False)
        light = F.avg_pool2d(light, 2)
        found.append(torch.log(F.avg_pool2d(band.square(), 32) + 1e-5).flatten(1))
    return torch.cat(found, 1)


def export(network: Enlarger, path: Path) -> None:
    """Write an enlarger as ONNX, its weights in half precision."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    small = torch.zeros(1, 3, 16, 16), torch.zeros(1, 1, 16 * GRAIN, 16 * GRAIN)
    axes = {"image": {2: "height", 3: "width"}, "grain": {2: "grain_height", 3: "grain_width"}}
    axes["result"] = {2: "large_height", 3: "large_width"}
    torch.onnx.export(
        network.eval().half().float(),
        small,
        str(path),
        input_names=["image", "grain"],
        output_names=["result"],
        dynamic_axes=axes,
        opset_version=17,
        dynamo=False,
    )
    model = onnx.load(str(path))
    casts = []
    for entry in model.graph.initializer:
        if entry.data_type == TensorProto.FLOAT and len(entry.dims):
            name, values = entry.name, numpy_helper.to_array(entry).astype(np.float16)
            entry.CopyFrom(numpy_helper.from_array(values, f"{name}.half"))
            casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*casts, *nodes])
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
