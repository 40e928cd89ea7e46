"""A new style for a finished pack: one code learned from a few pictures, the generator as it is.

The generator is read back from the pack's ONNX file and frozen; what is learned is the style code alone,
from where the pack's style encoder (if it has one) puts the pictures. The loss is the sliced Wasserstein
distance between Laplacian-level patches of results and of the pictures, and the patch-contrastive content
loss on the generator's own features. Old styles keep their codes and the network its bytes.
"""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from inkbridge.errors import ConfigError
from inkbridge.images import RGB
from inkbridge.pack_format import PackFile, StyleEntry, read_pack, write_pack
from inkbridge.train import losses
from inkbridge.train.data import Crops, DataConfig, load_pictures
from inkbridge.train.export import to_title
from inkbridge.train.from_pack import first_code, generator_of
from inkbridge.train.memory import Memory
from inkbridge.train.networks.generator import Generator, draw_grain
from inkbridge.train.networks.projection import sample_positions
from inkbridge.train.parts import texture_loss
from inkbridge.train.recipe import mean
from inkbridge.train.schedule import ramp

CONTENTS = Path(__file__).parent / "contents.jpg"
"""24 photographs of 128 pixels on one sheet: what is painted while a code is learned."""
CONTENT_SIDE = 320
"""Short side of the photographs they were cut from."""


@dataclass
class AdaptConfig:
    """How a code is learned; measured on 8 prints that a pack had not seen."""

    lr: float = 0.02
    batch: int = 4
    crop: int = 96
    content_weight: float = 0.1
    seed: int = 0


def adapt(
    pack: Path,
    name: str,
    folder: Path,
    out: Path,
    *,
    minutes: float = 5.0,
    updates: int | None = None,
    config: AdaptConfig | None = None,
    report: Callable[[float, float], None] = lambda progress, distance: None,
    say: Callable[[str], None] = lambda sentence: None,
) -> PackFile:
    """Write to `out` the pack with one more style, `name`, learned from the pictures of `folder`.

    Ends after `minutes`, or after `updates` if given. `report(progress, texture distance)` is called after
    every update. Raises DataError for a folder without usable pictures, ConfigError for a name that is
    taken, PackError when the pack's generator is not one of ours.
    """
    config = config or AdaptConfig()
    file = read_pack(pack)
    if name in [style.name for style in file.info.styles]:
        raise ConfigError(f"{pack} already has a style '{name}'; choose another name.")
    generator = generator_of(file, str(pack))
    data = DataConfig(crop=config.crop, minimum=1, hold_back=0.0)
    with tempfile.TemporaryDirectory() as cache:
        pictures = load_pictures(folder, "style", data, Path(cache), config.seed, name, CONTENT_SIDE)
        for sentence in pictures.left_out:
            say(f"Left out: {sentence}")
        code = torch.nn.Parameter(torch.from_numpy(first_code(file, str(pack), pictures)))
        _learn(generator, code, pictures.pictures, config, minutes, updates, report)
    new = copy.deepcopy(file)
    values = [round(float(value), 6) for value in code.detach()[0]]
    new.info.styles.append(StyleEntry(name, to_title(name), values))
    new.info.provenance[f"adapted_{name}"] = {
        "made_on": time.strftime("%Y-%m-%d"),
        "pictures": len(pictures.pictures),
    }
    write_pack(out, new)
    return new


def _learn(
    generator: Generator,
    code: torch.nn.Parameter,
    pictures: list[RGB],
    config: AdaptConfig,
    minutes: float,
    updates: int | None,
    report: Callable[[float, float], None],
) -> None:
    data = DataConfig(crop=config.crop)
    style_crops = Crops(pictures, "style", data, config.seed)
    content_crops = Crops(contents(), "content", data, config.seed)
    memories = Memory(32), Memory(32), Memory(32)
    optimizer = torch.optim.Adam([code], lr=config.lr, betas=(0.9, 0.99))
    start, done, progress = time.monotonic(), 0, 0.0
    while progress < 1.0:
        rng = torch.Generator().manual_seed((config.seed << 32) + done)
        content = to_batch(content_crops.batch(done * config.batch, range(config.batch)))
        style = to_batch(style_crops.batch(done * config.batch, range(config.batch)))
        for group in optimizer.param_groups:
            group["lr"] = config.lr * ramp(progress, 0.3, 1.0, 0.02)
        result, keys = generator.with_features(content, code, draw_grain(content, rng))
        texture = texture_loss(result, content, style, memories, rng)
        loss = texture + config.content_weight * _content_loss(generator, keys, result, rng)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        done += 1
        elapsed = (time.monotonic() - start) / (60.0 * minutes)
        progress = min(done / updates if updates is not None else elapsed, 1.0)
        report(progress, float(texture.detach()))


def contents() -> list[RGB]:
    """The photographs of `CONTENTS`."""
    sheet = np.asarray(Image.open(CONTENTS).convert("RGB"))
    rows, columns = sheet.shape[0] // 128, sheet.shape[1] // 128
    return [
        sheet[128 * i : 128 * (i + 1), 128 * j : 128 * (j + 1)] for i in range(rows) for j in range(columns)
    ]


def _content_loss(generator: Generator, keys: list[Tensor], result: Tensor, rng: torch.Generator) -> Tensor:
    """Patch-contrastive loss on the two deeper features themselves: a pack carries no projection heads."""
    queries, keys = generator.features(result)[1:], keys[1:]
    positions = sample_positions(queries, 64, rng)
    parts = []
    for query, key, position in zip(queries, keys, positions, strict=True):
        unit_query, unit_key = (
            torch.nn.functional.normalize(x.flatten(2).index_select(2, position).transpose(1, 2), dim=2)
            for x in (query, key)
        )
        parts.append(losses.patch_nce(unit_query, unit_key).mean())
    return mean(parts)


def to_batch(pictures: RGB) -> Tensor:
    """N x H x W x 3 uint8 -> N x 3 x H x W in [-1, 1]."""
    image = torch.from_numpy(pictures).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
    return image.contiguous(memory_format=torch.channels_last)
