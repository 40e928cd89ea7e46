"""Projection heads of the contrastive loss (Park et al. 2020, "Contrastive learning for unpaired
image-to-image translation", section 3)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ProjectionHeads(nn.Module):
    """One two-layer perceptron per feature map: sampled positions -> unit vectors."""

    def __init__(self, channels: list[int], dim: int) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            [nn.Sequential(nn.Linear(c, dim), nn.ReLU(), nn.Linear(dim, dim)) for c in channels]
        )

    def forward(self, features: list[Tensor], positions: list[Tensor]) -> list[Tensor]:
        """Features N x C x H x W and flat positions (P,) per map -> N x P x dim unit vectors."""
        projected = []
        for head, feature, position in zip(self.heads, features, positions, strict=True):
            vectors = feature.flatten(2).index_select(2, position).transpose(1, 2)
            projected.append(F.normalize(head(vectors), dim=2))
        return projected


def sample_positions(features: list[Tensor], num: int, rng: torch.Generator) -> list[Tensor]:
    """For each map, up to `num` different flat positions; the same ones for every picture."""
    positions = []
    for feature in features:
        size = feature.shape[2] * feature.shape[3]
        order = torch.randperm(size, generator=rng)[: min(num, size)]
        positions.append(order.to(feature.device))
    return positions
