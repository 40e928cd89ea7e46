"""A discriminator that looks through a trained eye: small heads on features of several depths."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inkbridge.train.networks.generator import start_relu


class EyeHeads(nn.Module):
    """Is each place of the features those of a real picture of its style?

    The projected discriminator of Sauer et al. 2021: features of a network that is frozen, mixed across
    channels by a random matrix that is frozen too (section 3.2), and a small head for each depth that learns.
    An output for each style, of which a picture's own is taken (Choi et al. 2020, section 2.1).
    """

    def __init__(self, channels: Sequence[int], width: int, num_styles: int) -> None:
        """`channels` of the features at each depth; `width` channels are left of them."""
        super().__init__()
        self.heads = nn.ModuleList()
        for place, num in enumerate(channels):
            # Not drawn from the run's seed: the same eye is mixed alike in every run.
            rng = torch.Generator().manual_seed(place)
            mixing = torch.randn(width, num, 1, 1, generator=rng, device="cpu") / num**0.5
            self.register_buffer(f"mixing{place}", mixing, persistent=False)
            convs = [
                nn.Conv2d(width, width, 3, padding=1),
                nn.Conv2d(width, width, 3, padding=1),
                nn.Conv2d(width, num_styles, 1),
            ]
            for conv in convs:
                start_relu(conv)
            layers = [layer for conv in convs[:-1] for layer in (conv, nn.LeakyReLU(0.2))]
            self.heads.append(nn.Sequential(*layers, convs[-1]))

    def forward(self, features: Sequence[Tensor], weights: Tensor) -> list[Tensor]:
        """Features N x C x H x W of each depth and each picture's weight of each style
        (N x styles) -> N x H' x W' logits of each depth."""
        found = []
        for place, (some, head) in enumerate(zip(features, self.heads, strict=True)):
            x = F.conv2d(some, getattr(self, f"mixing{place}").to(some.dtype))
            found.append((head(x) * weights[:, :, None, None]).sum(1))
        return found
