"""Adversarial losses: what discriminator and generator make of the logits of real and of generated pictures.

Logits are tensors of any one shape; each loss is their mean, so that its weight depends on neither the batch
size nor the number of patches. D(y) is `real`, D(G(x)) is `fake`, s the logistic function.
"""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor


def cross_entropy_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """mean(-log s(D(y))) + mean(-log(1 - s(D(G(x))))): V(D, G) of Goodfellow et al. 2014, Eq. 1, negated."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def minimax_generator(real: Tensor, fake: Tensor) -> Tensor:
    """mean(log(1 - s(D(G(x))))): the part of V(D, G) that G can change; Goodfellow et al. 2014, Eq. 1.

    Flat where the discriminator is sure: there the generator learns nothing.
    """
    return -F.softplus(fake).mean()


def non_saturating_generator(real: Tensor, fake: Tensor) -> Tensor:
    """mean(-log s(D(G(x)))): the same fixed point, steep where minimax is flat; ibid., section 3."""
    return F.softplus(-fake).mean()


def least_squares_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """mean((D(y) - 1)^2) / 2 + mean(D(G(x))^2) / 2; Mao et al. 2017, Eq. 9."""
    return 0.5 * (real - 1).square().mean() + 0.5 * fake.square().mean()


def least_squares_generator(real: Tensor, fake: Tensor) -> Tensor:
    """mean((D(G(x)) - 1)^2) / 2; Mao et al. 2017, Eq. 9."""
    return 0.5 * (fake - 1).square().mean()


def hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """mean(max(0, 1 - D(y))) + mean(max(0, 1 + D(G(x)))); Lim and Ye 2017, Eq. 3."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def wasserstein_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """mean(D(G(x))) - mean(D(y)); Arjovsky et al. 2017, Eq. 2. Needs the penalty "wasserstein"."""
    return fake.mean() - real.mean()


def critic_generator(real: Tensor, fake: Tensor) -> Tensor:
    """-mean(D(G(x))); Lim and Ye 2017, Eq. 4; Arjovsky et al. 2017, Eq. 2."""
    return -fake.mean()


def relativistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """mean(-log s(D(y) - D(G(x)))); Jolicoeur-Martineau 2019, Eq. 6.

    Pairs are those of the batch. Made for the penalty "r1+r2" (Huang et al. 2024, Eq. 2).
    """
    return F.softplus(fake - real).mean()


def relativistic_generator(real: Tensor, fake: Tensor) -> Tensor:
    """mean(-log s(D(G(x)) - D(y))); Jolicoeur-Martineau 2019, Eq. 7."""
    return F.softplus(real - fake).mean()


AdversarialLoss = Callable[[Tensor, Tensor], Tensor]
"""Logits of real and of generated pictures -> the loss."""

ADVERSARIAL: dict[str, tuple[AdversarialLoss, AdversarialLoss]] = {
    "minimax": (cross_entropy_discriminator, minimax_generator),
    "non-saturating": (cross_entropy_discriminator, non_saturating_generator),
    "least-squares": (least_squares_discriminator, least_squares_generator),
    "hinge": (hinge_discriminator, critic_generator),
    "wasserstein": (wasserstein_discriminator, critic_generator),
    "relativistic": (relativistic_discriminator, relativistic_generator),
}
"""Adversarial losses by name: (for the discriminator, for the generator)."""
