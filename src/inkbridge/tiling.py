"""Any size through constant memory: mirror the border, cut overlapping tiles, keep their centres.

A generator whose output pixels look at most `overlap` pixels far gives, tile by tile, exactly what it
would have given on the whole picture (up to the rounding of float sums).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from inkbridge.images import RGB, from_network, to_network

TILE = 1280
"""Largest side of a tile's kept centre. Larger costs memory, smaller costs repeated overlaps."""

Network = Callable[[npt.NDArray[np.float32], int, int], npt.NDArray[np.float32]]
"""1 x 3 x h x w in [-1, 1] to the same; the numbers say where in the picture the first row and column are."""


def apply_tiled(
    network: Network,
    rgb: RGB,
    overlap: int,
    multiple: int,
    tile: int = TILE,
    on_tile: Callable[[int, int], None] = lambda done, total: None,
    border: int | None = None,
) -> RGB:
    """H x W x 3 uint8 -> the same size through `network`.

    `overlap` is how far the network looks and a multiple of `multiple`, as all tile sizes are. Beyond the
    picture's border it sees `border` pixels of it mirrored (by default `overlap`), at 0 that it ends there.
    `on_tile(done, total)` is called after each tile.
    """
    height, width = rgb.shape[:2]
    tile_h, tile_w = _even_tile(height, tile, multiple), _even_tile(width, tile, multiple)
    tops, lefts = range(0, height, tile_h), range(0, width, tile_w)
    out = np.empty_like(rgb)
    border = overlap if border is None else border
    rows = _mirrored_indices(height, overlap, len(tops) * tile_h)
    columns = _mirrored_indices(width, overlap, len(lefts) * tile_w)
    done, total = 0, len(tops) * len(lefts)
    for top in tops:
        for left in lefts:
            first_row, last_row = _seen(top, tile_h, height, overlap, border, multiple)
            first_column, last_column = _seen(left, tile_w, width, overlap, border, multiple)
            window_rows = rows[first_row + overlap : last_row + overlap]
            window_columns = columns[first_column + overlap : last_column + overlap]
            window = rgb[window_rows[:, None], window_columns]
            result = network(to_network(window), first_row, first_column)[0]
            h, w = min(tile_h, height - top), min(tile_w, width - left)
            kept = result[:, top - first_row :, left - first_column :][:, :h, :w]
            out[top : top + h, left : left + w] = from_network(kept)
            done += 1
            on_tile(done, total)
    return out


def grain(top: int, left: int, height: int, width: int) -> npt.NDArray[np.float32]:
    """Grain for a window of the endless plane: 1 x 1 x height x width, uniform, mean 0, variance 1.

    A hash of the place alone, so that tiles agree with the whole and a picture painted twice is the same.
    (Multiply and xor-shift; constants from C. Wellons, "Prospecting for hash functions", 2018.)
    """
    rows = (np.arange(top, top + height) & 0xFFFF).astype(np.uint32)[:, None]
    columns = (np.arange(left, left + width) & 0xFFFF).astype(np.uint32)[None, :]
    x = rows << np.uint32(16) | columns
    x = (x ^ x >> np.uint32(16)) * np.uint32(0x7FEB352D)
    x = (x ^ x >> np.uint32(15)) * np.uint32(0x846CA68B)
    x = x ^ x >> np.uint32(16)
    values = (x.astype(np.float32) / np.float32(2**32) - np.float32(0.5)) * np.float32(2 * 3**0.5)
    return values[None, None]


def _even_tile(size: int, largest: int, multiple: int) -> int:
    # Equal tiles: no sliver at the end that costs a whole overlap.
    num = -(-size // largest)
    return -(-size // (num * multiple)) * multiple


def _seen(start: int, length: int, size: int, overlap: int, border: int, multiple: int) -> tuple[int, int]:
    """First position, and that after the last, of a tile with its overlap, where the picture has them."""
    end = -(-size // multiple) * multiple + border
    # Two multiples at least: inside, networks mirror their own borders.
    end = max(end, 2 * multiple - border)
    return max(start - overlap, -border), min(start + length + overlap, end)


def _mirrored_indices(size: int, overlap: int, covered: int) -> npt.NDArray[np.intp]:
    """Source index of each padded position -overlap .. covered + overlap, mirrored at the border."""
    positions = np.arange(-overlap, covered + overlap)
    if size == 1:
        return np.zeros(len(positions), np.intp)
    period = 2 * (size - 1)
    folded = np.abs((positions + period * (overlap // period + 1)) % period)
    return np.where(folded < size, folded, period - folded).astype(np.intp)
