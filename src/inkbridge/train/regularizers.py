"""Penalties on the discriminator's gradient at pictures, which keep it from running away from the generator.

The logits of a patch discriminator are summed and the squared gradient divided by their number, so that a
value depends neither on the size of the picture nor on how many patches are judged. Spectral normalisation,
the other regularizer here, is a property of the network (`discriminator.spectral_norm`).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Judge = Callable[[Tensor], list[Tensor]]
"""Pictures (N x 3 x H x W) -> logits (N x ... each)."""


def r1(judge: Judge, real: Tensor, fake: Tensor, rng: torch.Generator) -> Tensor:
    """mean |grad D(y)|^2 / 2: zero-centred, at real pictures; Mescheder et al. 2018, Eq. 9."""
    return 0.5 * _squared_gradient(judge, real).mean()


def r1_r2(judge: Judge, real: Tensor, fake: Tensor, rng: torch.Generator) -> Tensor:
    """The same at generated pictures too; Mescheder et al. 2018, Eq. 9 and 10."""
    return r1(judge, real, fake, rng) + 0.5 * _squared_gradient(judge, fake).mean()


def zero_centred(judge: Judge, real: Tensor, fake: Tensor, rng: torch.Generator) -> Tensor:
    """mean |grad D(z)|^2 / 2 between real and generated pictures; Thanh-Tung et al. 2019, Eq. 6."""
    return 0.5 * _squared_gradient(judge, _between(real, fake, rng)).mean()


def wasserstein(judge: Judge, real: Tensor, fake: Tensor, rng: torch.Generator) -> Tensor:
    """mean (|grad D(z)| - 1)^2 between real and generated pictures; Gulrajani et al. 2017, Eq. 3."""
    # At a plain picture the gradient may be exactly 0, where a root has no derivative.
    length = (_squared_gradient(judge, _between(real, fake, rng)) + 1e-12).sqrt()
    return (length - 1).square().mean()


PENALTIES: dict[str, Callable[[Judge, Tensor, Tensor, torch.Generator], Tensor]] = {
    "r1": r1,
    "r1+r2": r1_r2,
    "zero-centred": zero_centred,
    "wasserstein": wasserstein,
}
"""Gradient penalties by name: (discriminator, real, generated pictures, random numbers) -> the loss."""


def _between(real: Tensor, fake: Tensor, rng: torch.Generator) -> Tensor:
    share = torch.rand(len(real), 1, 1, 1, generator=rng).to(real.device)
    return fake.detach().to(real.dtype).lerp(real, share)


def _squared_gradient(judge: Judge, pictures: Tensor) -> Tensor:
    pictures = pictures.detach().requires_grad_(True)
    logits = judge(pictures)
    places = sum(logit[0].numel() for logit in logits)
    total = torch.stack([logit.sum() for logit in logits]).sum()
    (gradient,) = torch.autograd.grad(total, pictures, create_graph=True)
    return gradient.square().sum((1, 2, 3)) / places
