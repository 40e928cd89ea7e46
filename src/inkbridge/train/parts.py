"""Parts of an update that several recipes share."""

from __future__ import annotations

import torch
from torch import Tensor

from inkbridge.train import losses
from inkbridge.train.augment import disguise
from inkbridge.train.memory import Memory
from inkbridge.train.networks import AnyGenerator
from inkbridge.train.networks.projection import ProjectionHeads, sample_positions
from inkbridge.train.passes import Passes

Memories = tuple[Memory, Memory, Memory]
"""Of results, of style pictures and of contents."""


def with_disguised(
    content: Tensor, style: Tensor, redraw_weight: float, rng: torch.Generator
) -> tuple[Tensor, int]:
    """Contents of which the second half gave way to style pictures in disguise, and how many are left.

    Those have the colours of contents and not their own finest lines, and are to be painted as they were.
    """
    num = len(content) - (len(content) // 2 if redraw_weight else 0)
    disguised = disguise(style[num:], content[num:], rng) if num < len(content) else content[num:]
    return torch.cat([content[:num], disguised]), num


def content_loss(
    passes: Passes,
    generator: AnyGenerator,
    heads: ProjectionHeads,
    keys: list[Tensor],
    result: Tensor,
    places: int,
    rng: torch.Generator,
    mirrored: bool = False,
) -> Tensor:
    """Patch-contrastive loss between the generator's features of contents (`keys`) and of results.

    `mirrored`: results are, and contents were not.
    """
    positions = sample_positions(keys, places, rng)

    def contrast(result: Tensor, *keys: Tensor) -> Tensor:
        queries = generator.features(result)
        queries = [query.flip(3) for query in queries] if mirrored else queries
        with torch.no_grad():
            key_vectors = heads(list(keys), positions)
        sides = zip(heads(queries, positions), key_vectors, strict=True)
        return torch.stack([losses.patch_nce(query, key) for query, key in sides]).mean(0)

    value: Tensor = passes(contrast, result, *keys).mean()
    return value


def texture_loss(
    result: Tensor,
    content: Tensor,
    style: Tensor,
    memories: Memories,
    rng: torch.Generator,
    fused_with: losses.Fusion | None = None,
) -> Tensor:
    """Sliced Wasserstein distance of results from style pictures, both joined to what is remembered.

    Results of a fusion are not remembered. Patches are of 5 x 5 pixels, at the coarsest level of one: colours
    alone, of whose three dimensions 40 directions leave little to chance.
    """
    results, styles, contents = memories
    levels = losses.laplacian_pyramid(result, 4)
    with torch.no_grad():
        styles.add(losses.laplacian_pyramid(style, 4))
        contents.add(losses.laplacian_pyramid(content, 4))
    directions = [
        losses.random_directions(3 * side * side, 40, rng).to(result.device) for side in (5, 5, 5, 1)
    ]
    loss = losses.sliced_wasserstein(
        levels, styles.levels(), directions, rng, results.levels(), fused_with, contents.levels()
    )
    if fused_with is None:
        results.add(levels)
    return loss
