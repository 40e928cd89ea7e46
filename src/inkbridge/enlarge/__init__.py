"""From the size at which a picture was painted to that of the picture: strokes keep edges, bristle and paper.

A network that was trained on scans of paintings, prints and drawings alone (`scripts/make_enlarger.py`) makes
a painting four times as large, once or several times. What it adds is drawn from grain, a hash of the place,
so that tiles agree with the whole and the same picture is enlarged alike.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from inkbridge.devices import CPU, Device
from inkbridge.engine import EnlargerEngine
from inkbridge.images import RGB
from inkbridge.tiling import apply_tiled, grain, plan_tiles

NETWORK = Path(__file__).with_name("enlarger.onnx")
FACTOR = 4
"""How many times larger what the network gives is."""
GRAIN = 2
"""How many times larger its grain is than the picture: bristle and paper are finer than its pixels."""
OVERLAP = 10
"""How many pixels of what it is given a pixel of the result looks far."""
LEAST_GROWTH = 1.5
"""A second enlargement begins at no less than this many times what was painted."""
MOST_TOO_LARGE = 3.0
"""What would be more pixels than this share of the target, only to be reduced again,"""
MOST_HELD = 40_000_000
"""and more than these in all, is resized without the network."""
TILE = 384
"""Largest side of what it is given at once, without the overlap."""


@cache
def enlarger_for(threads: int, device: Device) -> Enlarger:
    """One for all packs; `threads` and `device` as for `inkbridge.engine.Engine`."""
    return Enlarger(threads, device)


class Enlarger:
    """The bundled network; it is loaded when it is first needed."""

    def __init__(self, threads: int = 0, device: Device = CPU) -> None:
        """`threads` and `device` as for `inkbridge.engine.Engine`."""
        self._threads, self._device = threads, device

    @cached_property
    def _engine(self) -> EnlargerEngine:
        return EnlargerEngine(NETWORK.read_bytes(), NETWORK.name, self._threads, self._device)

    def network(self, image: npt.NDArray[np.float32], top: int, left: int) -> npt.NDArray[np.float32]:
        """1 x 3 x h x w in [-1, 1], at that place of the picture -> FACTOR times as large."""
        height, width = image.shape[2:]
        return self._engine.run(image, grain(GRAIN * top, GRAIN * left, GRAIN * height, GRAIN * width))

    def rest(self) -> None:
        """Give the memory back that a large picture took."""
        if "_engine" in self.__dict__:
            image, side = np.zeros((1, 3, 16, 16), np.float32), 16 * GRAIN
            self._engine.rest(image, np.zeros((1, 1, side, side), np.float32))

    def enlarged(
        self,
        rgb: RGB,
        width: int,
        height: int,
        on_tile: Callable[[int, int], None] = lambda done, total: None,
    ) -> RGB:
        """An H x W x 3 uint8 painting in another size: height x width x 3. A smaller one is only reduced."""
        counts = tiles_of((rgb.shape[1], rgb.shape[0]), (width, height))
        for number, size in enumerate(plan_sizes((rgb.shape[1], rgb.shape[0]), (width, height))):

            def told(done: int, _: int, before: int = sum(counts[:number])) -> None:
                on_tile(before + done, sum(counts))

            rgb = fitted(self.once(rgb, told), *size)
        return resized(rgb, width, height)

    def once(self, rgb: RGB, on_tile: Callable[[int, int], None] = lambda done, total: None) -> RGB:
        """H x W x 3 uint8 or uint16 -> FACTOR times as large."""
        return apply_tiled(self.network, rgb, OVERLAP, 1, TILE, on_tile, factor=FACTOR)


@cache
def identity() -> str:
    """Changes when what enlarges does: what is half enlarged does not go on with another network."""
    return f"{hashlib.sha256(NETWORK.read_bytes()).hexdigest()} {TILE}"


def plan_sizes(size: tuple[int, int], target: tuple[int, int]) -> list[tuple[int, int]]:
    """To what each enlargement is brought on the way from `size` to `target`, both (width, height).

    The last one begins at a quarter of the target, so that what it draws is as fine as a pixel there; those
    before are reduced to what the next begins at. Strokes would be lost if that were hardly more than `size`.
    """
    ratio = max(wanted / have for wanted, have in zip(target, size, strict=True))
    num = max(math.ceil(math.log(ratio, FACTOR) - 1e-9), 0) if ratio > 1 else 0
    made = FACTOR**2 * size[0] * size[1]
    if num == 1 and made > max(MOST_TOO_LARGE * target[0] * target[1], MOST_HELD):
        return []
    shares = [FACTOR ** (num - number) for number in range(1, num + 1)]
    sizes = [(-(-target[0] // share), -(-target[1] // share)) for share in shares]
    if num > 1:
        width, height = (
            max(side, round(LEAST_GROWTH * begun)) for side, begun in zip(sizes[0], size, strict=True)
        )
        sizes[0] = width, height
    return sizes


def tiles_of(size: tuple[int, int], target: tuple[int, int]) -> list[int]:
    """How many tiles each enlargement has on the way from `size` to `target`."""
    given = [size, *plan_sizes(size, target)][:-1]
    return [len(plan_tiles(height, width, OVERLAP, 1, TILE)) for width, height in given]


def fitted(rgb: RGB, width: int, height: int) -> RGB:
    """A picture at a size that is smaller: cut off where that takes next to nothing, else reduced."""
    if is_cut((rgb.shape[1], rgb.shape[0]), (width, height)):
        return rgb[:height, :width]
    return resized(rgb, width, height)


def is_cut(size: tuple[int, int], target: tuple[int, int]) -> bool:
    """Whether a picture of (width, height) becomes another by a cut: where that moves nothing by 1%."""
    return all(0 <= have - side <= 0.01 * side for have, side in zip(size, target, strict=True))


def resized(rgb: RGB, width: int, height: int) -> RGB:
    """An H x W x 3 uint8 picture at another size, by a Lanczos filter; one that is to become far smaller is
    first averaged over blocks of pixels, which is faster and looks the same."""
    if (width, height) == (rgb.shape[1], rgb.shape[0]):
        return rgb
    size = rgb.shape[1], rgb.shape[0]
    image, factors = Image.fromarray(rgb), block_of(size, (width, height))
    return from_blocks(image.reduce(factors) if max(factors) > 1 else image, size, width, height)


def block_of(size: tuple[int, int], target: tuple[int, int]) -> tuple[int, int]:
    """The (width, height) of the blocks that are averaged first: twice the target is left at least."""
    across, down = (max(int(have / wanted / 2), 1) for have, wanted in zip(size, target, strict=True))
    return across, down


def from_blocks(blocks: Image.Image, size: tuple[int, int], width: int, height: int) -> RGB:
    """What `resized` makes of a picture of `size` when its blocks are averaged."""
    across, down = block_of(size, (width, height))
    box = (0.0, 0.0, size[0] / across, size[1] / down)
    return np.asarray(blocks.resize((width, height), Image.Resampling.LANCZOS, box))
