"""Losses: functions of network outputs that return one number to be minimised.

Each loss averages over its batch, so that its weight does not depend on the batch size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """mean(max(0, 1 - D(y))) + mean(max(0, 1 + D(G(x)))); Lim and Ye 2017, Eq. 3."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def hinge_generator(fake: Tensor) -> Tensor:
    """-mean(D(G(x))); Lim and Ye 2017, Eq. 4."""
    return -fake.mean()


def least_squares_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """mean((D(y) - 1)^2) / 2 + mean(D(G(x))^2) / 2; Mao et al. 2017, Eq. 9."""
    return 0.5 * (real - 1).square().mean() + 0.5 * fake.square().mean()


def least_squares_generator(fake: Tensor) -> Tensor:
    """mean((D(G(x)) - 1)^2) / 2; Mao et al. 2017, Eq. 9."""
    return 0.5 * (fake - 1).square().mean()


def non_saturating_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """mean(-log sigmoid(D(y))) + mean(-log(1 - sigmoid(D(G(x))))); Goodfellow et al. 2014, Eq. 1."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def non_saturating_generator(fake: Tensor) -> Tensor:
    """mean(-log sigmoid(D(G(x)))); Goodfellow et al. 2014, section 3."""
    return F.softplus(-fake).mean()


DiscriminatorLoss = Callable[[Tensor, Tensor], Tensor]
GeneratorLoss = Callable[[Tensor], Tensor]

ADVERSARIAL: dict[str, tuple[DiscriminatorLoss, GeneratorLoss]] = {
    "non-saturating": (non_saturating_discriminator, non_saturating_generator),
    "hinge": (hinge_discriminator, hinge_generator),
    "least-squares": (least_squares_discriminator, least_squares_generator),
}
"""Adversarial losses by name: (for the discriminator, for the generator)."""


def patch_nce(query: Tensor, key: Tensor, temperature: float = 0.07) -> Tensor:
    """Patch-contrastive loss: each place of the result must know its own place in the content.

    `query` and `key` are N x P x C unit vectors of the result and of the content at the same P places;
    the P - 1 other places of the same picture are the negatives. Park et al. 2020, Eq. 2.
    """
    similarity = torch.bmm(query, key.detach().transpose(1, 2)) / temperature
    target = torch.arange(query.shape[1], device=query.device).repeat(query.shape[0])
    return F.cross_entropy(similarity.flatten(0, 1), target)


def laplacian_pyramid(image: Tensor, num_levels: int) -> list[Tensor]:
    """N x C x H x W -> `num_levels` band-pass pictures, finest first; the last is the low-pass rest."""
    levels = []
    for _ in range(num_levels - 1):
        low = F.avg_pool2d(image, 2)
        levels.append(image - F.interpolate(low, scale_factor=2.0, mode="bilinear"))
        image = low
    return [*levels, image]


def random_directions(dim: int, num: int, rng: torch.Generator) -> Tensor:
    """`num` random unit vectors as the columns of a dim x num matrix."""
    return F.normalize(torch.randn(dim, num, generator=rng), dim=0)


def sliced_wasserstein(
    results: Sequence[Tensor],
    styles: Sequence[Tensor],
    directions: Sequence[Tensor],
    rng: torch.Generator,
    patch: int = 5,
    places: int = 16,
) -> Tensor:
    """Distance between the patch distributions of results and style pictures, over pyramid levels.

    Patches of each level are projected on random directions; in one dimension the Wasserstein distance
    is the mean difference of the sorted values (Rabin et al. 2011; Karras et al. 2018, section 5, for
    the pyramid). Each level is divided by the spread of the style's projections, so that fine levels
    count as much as coarse ones. About `places` x `places` patches of each picture are looked at.
    Both sides need the same number of pictures of the same size.
    """
    total = results[0].new_zeros(())
    for result, style, direction in zip(results, styles, directions, strict=True):
        kernel = direction.t().reshape(direction.shape[1], result.shape[1], patch, patch)
        stride = max((min(result.shape[2:]) - patch + 1) // places, 1)
        offset = int(torch.randint(0, stride, (1,), generator=rng))
        ours = _projections(result[:, :, offset:, offset:], kernel, stride)
        with torch.no_grad():
            theirs = _projections(style[:, :, offset:, offset:], kernel, stride)
            spread = theirs.std().clamp_min(1e-3)
        difference = ours.sort(dim=1).values - sorted_constant(theirs)
        total = total + difference.abs().mean() / spread
    return total / len(results)


def sliced_activations(
    results: Sequence[Tensor],
    styles: Sequence[Tensor],
    rng: torch.Generator,
    num: int = 32,
    places: int = 256,
) -> Tensor:
    """Sliced Wasserstein distance between activations of a network at random places of both sides.

    The idea of matching a discriminator's activations instead of only its verdict is Salimans et al.
    2016, section 3.1; the sliced distance on them is Heitz et al. 2021, Eq. 3. In units of the style's
    spread on each direction.
    """
    total = results[0].new_zeros(())
    for result, style in zip(results, styles, strict=True):
        size = result.shape[2] * result.shape[3]
        chosen = torch.randperm(size, generator=rng)[:places].to(result.device)
        axes = random_directions(result.shape[1], num, rng).to(result.device)
        ours = (result.flatten(2)[:, :, chosen].transpose(1, 2).flatten(0, 1) @ axes).t()
        theirs = (style.flatten(2)[:, :, chosen].transpose(1, 2).flatten(0, 1) @ axes).t()
        spread = theirs.std(dim=1, keepdim=True).clamp_min(1e-3)
        difference = ours.sort(dim=1).values - sorted_constant(theirs)
        total = total + (difference / spread).abs().mean()
    return total / len(results)


def sorted_constant(values: Tensor) -> Tensor:
    """Each row in ascending order, without gradient.

    On a processor by numpy, whose vectorised sort needs a fraction of the time of torch's.
    """
    values = values.detach()
    if values.device.type != "cpu" or values.dtype != torch.float32:
        return values.sort(dim=1).values
    return torch.from_numpy(np.sort(values.numpy(), axis=1))


def _projections(level: Tensor, kernel: Tensor, stride: int) -> Tensor:
    projected = F.conv2d(level, kernel, stride=stride)
    return projected.transpose(0, 1).flatten(1)
