"""Any size through constant memory: mirror the border, cut overlapping tiles, keep their centres.

A generator whose output pixels look at most `overlap` pixels far gives, tile by tile, exactly what it
would have given on the whole picture (up to the rounding of float sums).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inkbridge.images import RGB, from_network, to_network

LEAST_SIDE = 64
"""Pixels in which every network has room for the borders that it mirrors inside."""
TILE = 1280
"""Largest side of a tile's kept centre. Larger costs memory, smaller costs repeated overlaps."""

Network = Callable[[npt.NDArray[np.float32], int, int], npt.NDArray[np.float32]]
"""1 x 3 x h x w in [-1, 1] to the same, or larger by a factor; the numbers say where in the picture the first
row and column are."""


def apply_tiled(
    network: Network,
    rgb: RGB,
    overlap: int,
    multiple: int,
    tile: int = TILE,
    on_tile: Callable[[int, int], None] = lambda done, total: None,
    border: int | None = None,
    factor: int = 1,
) -> RGB:
    """H x W x 3 uint8 or uint16 -> the same through `network`, which makes it `factor` times as large.

    `overlap` is how far the network looks and a multiple of `multiple`, as all tile sizes are. Beyond the
    picture's border it sees `border` pixels of it mirrored (by default `overlap`), at 0 that it ends there.
    `on_tile(done, total)` is called after each tile.
    """
    height, width = rgb.shape[:2]
    out = np.empty((factor * height, factor * width, rgb.shape[2]), rgb.dtype)
    tiles = plan_tiles(height, width, overlap, multiple, tile, border)

    def window(each: Tile) -> npt.NDArray[np.float32]:
        return to_network(each.window(lambda rows, columns: rgb[rows, columns]))

    # Cut while the last one is put away: the network has all cores, but these two have one each.
    with ThreadPoolExecutor(1) as beside:
        coming = beside.submit(window, tiles[0])
        for done, each in enumerate(tiles, 1):
            result = network(coming.result(), each.first_row, each.first_column)
            if done < len(tiles):
                coming = beside.submit(window, tiles[done])
            kept = from_network(each.kept(result, factor), rgb.dtype)
            top, left = factor * each.top, factor * each.left
            out[top : top + kept.shape[0], left : left + kept.shape[1]] = kept
            on_tile(done, len(tiles))
    return out


@dataclass(frozen=True)
class Tile:
    """A part of a picture that a network paints at once."""

    top: int
    left: int
    """Where the part that is kept starts,"""
    height: int
    width: int
    """and its size."""
    first_row: int
    first_column: int
    """Where what the network sees starts; below 0 beyond the picture's border."""
    rows: npt.NDArray[np.intp]
    columns: npt.NDArray[np.intp]
    """What the network sees, as rows and columns of the picture, mirrored at its border."""

    def window(self, fetch: Callable[[slice, slice], RGB]) -> RGB:
        """What the network sees, of a picture that gives of itself a part at a time."""
        top, left = int(self.rows.min()), int(self.columns.min())
        part = fetch(slice(top, int(self.rows.max()) + 1), slice(left, int(self.columns.max()) + 1))
        # In two steps: pixels picked from both sides at once take four times as long.
        for axis, places in enumerate((self.rows - top, self.columns - left)):
            if not np.array_equal(places, np.arange(part.shape[axis])):
                part = np.take(part, places, axis=axis)
        return part

    def kept(self, result: npt.NDArray[np.float32], factor: int = 1) -> npt.NDArray[np.float32]:
        """What is kept of the network's result (1 x C x H x W, `factor` times what it saw): C channels of
        `factor` times the height and width."""
        top, left = factor * (self.top - self.first_row), factor * (self.left - self.first_column)
        return result[0, :, top : top + factor * self.height, left : left + factor * self.width]


def plan_tiles(
    height: int, width: int, overlap: int, multiple: int, tile: int = TILE, border: int | None = None
) -> list[Tile]:
    """The tiles of a picture of height x width, row by row; the numbers are those of `apply_tiled`."""
    tile_h, tile_w = _even_tile(height, tile, multiple), _even_tile(width, tile, multiple)
    border = overlap if border is None else border
    tops, lefts = range(0, height, tile_h), range(0, width, tile_w)
    rows = _mirrored_indices(height, overlap, len(tops) * tile_h)
    columns = _mirrored_indices(width, overlap, len(lefts) * tile_w)
    tiles = []
    for top in tops:
        first_row, last_row = _seen(top, tile_h, height, overlap, border, multiple)
        for left in lefts:
            first_column, last_column = _seen(left, tile_w, width, overlap, border, multiple)
            tiles.append(
                Tile(
                    top,
                    left,
                    min(tile_h, height - top),
                    min(tile_w, width - left),
                    first_row,
                    first_column,
                    rows[first_row + overlap : last_row + overlap],
                    columns[first_column + overlap : last_column + overlap],
                )
            )
    return tiles


def grain(top: int, left: int, height: int, width: int) -> npt.NDArray[np.float32]:
    """Grain for a window of the endless plane: 1 x 1 x height x width, uniform, mean 0, variance 1.

    A hash of the place alone, so that tiles agree with the whole and a picture painted twice is the same.
    (Multiply and xor-shift; constants from C. Wellons, "Prospecting for hash functions", 2018.)
    """
    rows = (np.arange(top, top + height) & 0xFFFF).astype(np.uint32)[:, None]
    columns = (np.arange(left, left + width) & 0xFFFF).astype(np.uint32)[None, :]
    x = rows << np.uint32(16) | columns
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x ^= x >> np.uint32(shift)
        x *= np.uint32(factor)
    x ^= x >> np.uint32(16)
    values = x.astype(np.float32)
    values /= np.float32(2**32)
    values -= np.float32(0.5)
    values *= np.float32(2 * 3**0.5)
    return values[None, None]


def _even_tile(size: int, largest: int, multiple: int) -> int:
    # Equal tiles: no sliver at the end that costs a whole overlap.
    num = -(-size // largest)
    return -(-size // (num * multiple)) * multiple


def _seen(start: int, length: int, size: int, overlap: int, border: int, multiple: int) -> tuple[int, int]:
    """First position, and that after the last, of a tile with its overlap, where the picture has them."""
    end = -(-size // multiple) * multiple + border
    end = max(end, least_seen(multiple) - border)
    return max(start - overlap, -border), min(start + length + overlap, end)


def least_seen(multiple: int) -> int:
    """The least height and width that a network is shown: inside, networks mirror their own borders, and one
    small multiple is too little for that."""
    return multiple if multiple >= LEAST_SIDE else 2 * multiple


def _mirrored_indices(size: int, overlap: int, covered: int) -> npt.NDArray[np.intp]:
    """Source index of each padded position -overlap .. covered + overlap, mirrored at the border."""
    positions = np.arange(-overlap, covered + overlap)
    if size == 1:
        return np.zeros(len(positions), np.intp)
    period = 2 * (size - 1)
    folded = np.abs((positions + period * (overlap // period + 1)) % period)
    return np.where(folded < size, folded, period - folded).astype(np.intp)
