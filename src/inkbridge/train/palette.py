"""Which colour of the style a colour of the content becomes.

A distance between distributions says which colours results are to have, not where. Left with it a generator
takes the shortest way, from dark to light: a photograph toned in two colours, and in each run other ones. So
the colours of the content folder are carried to those of each style once, before training, by transport in
CIELAB, where what lies near stays near: a blue sky becomes the style's blue, a white wall its paper. Results
are then asked for those colours, 8 x 8 pixels at a time; what is finer belongs to the other losses.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inkbridge.images import RGB, from_network
from inkbridge.metrics.colour import to_lab, to_rgb

Floats = npt.NDArray[np.float64]

POOL = 8
"""Colours are means of this many pixels in each direction."""
NODES = 16
"""Points of the tables along red, green and blue."""
NUM = 2048
"""Colours that stand for a folder."""


def transport(source: Floats, target: Floats, rounds: int = 60, step: float = 0.3) -> Floats:
    """Where each of k x 3 `source` goes, so that together they are distributed as m x 3 `target`.

    Each round takes them a `step` of the way to equal ranks on three random orthogonal axes: iterative
    distribution transfer (Pitie et al. 2007, section 3), in small steps, with which neighbours stay
    neighbours.
    """
    rng = np.random.default_rng(0)
    ranks = (np.arange(len(source)) + 0.5) / len(source)
    moved = source
    for _ in range(rounds):
        axes = np.linalg.qr(rng.standard_normal((3, 3)))[0]
        moved, wanted = moved @ axes, np.quantile(target @ axes, ranks, axis=0)
        order = moved.argsort(axis=0, kind="stable")
        goal = np.empty_like(moved)
        np.put_along_axis(goal, order, wanted, axis=0)
        moved = (moved + step * (goal - moved)) @ axes.T
    return moved


def smoothed(points: Floats, source: Floats, moved: Floats, width: float = 6.0) -> Floats:
    """n x 3 `points` moved as the `source` near them is: kernel regression (Nadaraya 1964) of its moves.

    Far from all of it a point goes with the nearest.
    """
    squares = (points**2).sum(1)[:, None] + (source**2).sum(1) - 2 * points @ source.T
    weights = np.exp((squares.min(1, keepdims=True) - squares) / (2 * width**2))
    moves: Floats = weights @ (moved - source) / weights.sum(1, keepdims=True)
    return points + moves


class Palettes(nn.Module):
    """Of each style, a table over the RGB cube: where the content's colours go. At first they stay.

    Saved with checkpoints, so that a run goes on with the tables that it began with.
    """

    tables: Tensor

    def __init__(self, num_styles: int) -> None:
        super().__init__()
        self.register_buffer("tables", _cube().repeat(num_styles, 1, 1, 1, 1))

    def learn(self, contents: Sequence[RGB], styles: Sequence[Sequence[RGB]]) -> None:
        """Carry the colours of the content pictures to those of each style's."""
        source = _colours(contents)
        nodes = to_lab(from_network(_cube().flatten(1).unsqueeze(1).numpy())[0])
        for table, pictures in zip(self.tables, styles, strict=True):
            carried = to_rgb(smoothed(nodes, source, transport(source, _colours(pictures))))
            table.copy_(torch.from_numpy(carried.T * 2 - 1).reshape(table.shape))

    def of(self, colours: Tensor, style: int) -> Tensor:
        """N x 3 x H x W colours of contents in [-1, 1] -> what they are in the style."""
        table = self.tables[style][None].to(colours.device)
        places = colours.float().permute(0, 2, 3, 1).reshape(1, -1, 1, 1, 3)
        looked_up = F.grid_sample(table, places, "bilinear", "border", align_corners=True)
        return looked_up.reshape(3, len(colours), *colours.shape[2:]).transpose(0, 1)


def colours_of(pictures: Tensor) -> Tensor:
    """N x 3 x H x W -> N x 3 x H/8 x W/8 mean colours."""
    return F.avg_pool2d(pictures, POOL)


def _cube() -> Tensor:
    """The table that leaves every colour as it is: 3 x blue x green x red, in [-1, 1]."""
    axis = torch.linspace(-1, 1, NODES)
    blue, green, red = torch.meshgrid(axis, axis, axis, indexing="ij")
    return torch.stack([red, green, blue])


def _colours(pictures: Sequence[RGB]) -> Floats:
    """About `NUM` x 3 CIELAB colours, of each picture as many."""
    rng = np.random.default_rng(1)
    each = max(NUM // len(pictures), 1)
    chosen = []
    for picture in pictures:
        height, width = (side // POOL * POOL for side in picture.shape[:2])
        cells = picture[:height, :width].reshape(height // POOL, POOL, width // POOL, POOL, 3)
        means = cells.mean((1, 3)).reshape(-1, 3)
        chosen.append(means[rng.integers(0, len(means), each)])
    return to_lab(np.concatenate(chosen).round().astype(np.uint8))
