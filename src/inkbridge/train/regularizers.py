"""Penalties on the discriminator's gradient at pictures, which keep it from running away from the generator.

The logits of a patch discriminator are summed and the squared gradient divided by their number, so that a
value depends neither on the size of the picture nor on how many patches are judged. There is a value for each
picture; the loss is their mean. Spectral normalisation,
the other regularizer here, is a property of the network (`discriminator.spectral_norm`).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Judge = Callable[[Tensor], list[Tensor]]
"""Pictures (N x 3 x H x W) -> logits (N x ... each)."""


def r1(judge: Judge, real: Tensor, fake: Tensor, share: Tensor) -> Tensor:
    """|grad D(y)|^2 / 2: zero-centred, at real pictures; Mescheder et al. 2018, Eq. 9."""
    return 0.5 * _squared_gradient(judge, real)


def r1_r2(judge: Judge, real: Tensor, fake: Tensor, share: Tensor) -> Tensor:
    """The same at generated pictures too; Mescheder et al. 2018, Eq. 9 and 10."""
    return r1(judge, real, fake, share) + 0.5 * _squared_gradient(judge, fake)


def zero_centred(judge: Judge, real: Tensor, fake: Tensor, share: Tensor) -> Tensor:
    """|grad D(z)|^2 / 2 between real and generated pictures; Thanh-Tung et al. 2019, Eq. 6."""
    return 0.5 * _squared_gradient(judge, _between(real, fake, share))


def wasserstein(judge: Judge, real: Tensor, fake: Tensor, share: Tensor) -> Tensor:
    """(|grad D(z)| - 1)^2 between real and generated pictures; Gulrajani et al. 2017, Eq. 3."""
    # At a plain picture the gradient may be exactly 0, where a root has no derivative.
    length = (_squared_gradient(judge, _between(real, fake, share)) + 1e-12).sqrt()
    return (length - 1).square()


PENALTIES: dict[str, Callable[[Judge, Tensor, Tensor, Tensor], Tensor]] = {
    "r1": r1,
    "r1+r2": r1_r2,
    "zero-centred": zero_centred,
    "wasserstein": wasserstein,
}
"""Gradient penalties by name: (discriminator, real, generated pictures, N x 1 x 1 x 1 numbers from 0 to 1
that say where between the two) -> N values."""


def _between(real: Tensor, fake: Tensor, share: Tensor) -> Tensor:
    return fake.detach().to(real.dtype).lerp(real, share)


def _squared_gradient(judge: Judge, pictures: Tensor) -> Tensor:
    pictures = pictures.detach().requires_grad_(True)
    logits = judge(pictures)
    places = sum(logit[0].numel() for logit in logits)
    total = torch.stack([logit.sum() for logit in logits]).sum()
    (gradient,) = torch.autograd.grad(total, pictures, create_graph=True)
    return gradient.square().sum((1, 2, 3)) / places
