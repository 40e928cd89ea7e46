"""Regularizers of the discriminator."""

from __future__ import annotations

import torch
from torch import Tensor


def r1_penalty(real: Tensor, logits: list[Tensor]) -> Tensor:
    """Squared gradient of the discriminator at real pictures; Mescheder et al. 2018, Eq. 9.

    `real` (N x 3 x H x W) must require gradients and `logits` (N x 1 x h x w each) be computed from it.
    The logits of a patch discriminator are summed and the square divided by their number, so that the
    value does not depend on the size of the picture.
    """
    places = sum(logit[0].numel() for logit in logits)
    total = torch.stack([logit.sum() for logit in logits]).sum()
    (gradient,) = torch.autograd.grad(total, real, create_graph=True)
    return gradient.square().sum((1, 2, 3)).mean() / places
