"""Recipe `paired`: from aligned pairs (pix2pix, Isola et al. 2017).

The discriminator sees content and picture together and must tell real pairs from painted ones (Eq. 1); the
result must be near the pair's style picture (L1, Eq. 3), and optionally look like it to the discriminator
(feature matching, Wang et al. 2018, Eq. 4).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from inkbridge.train.networks.generator import draw_grain
from inkbridge.train.recipe import AdversarialConfig, Choice, GanConfig, Recipe, mean


@dataclass
class PairedLossConfig(AdversarialConfig):
    """Weights of the generator's losses."""

    pair_weight: float = 100.0
    """Weight of mean |G(x) - y|."""
    feature_weight: float = 0.0
    """Weight of the mean difference of the discriminator's activations; 10 in the paper."""


@dataclass
class PairedConfig(GanConfig):
    """Everything that recipe `paired` can be told."""

    losses: PairedLossConfig = field(default_factory=PairedLossConfig)


class Paired(Recipe):
    """Networks and the update."""

    name = "paired"
    config_class = PairedConfig
    pairs = True

    def __init__(self, config: PairedConfig, device: torch.device, num_styles: int = 1) -> None:
        super().__init__(config, device, num_styles, judged_channels=6)
        self.config = config

    def update(
        self,
        content: Tensor,
        style: Tensor,
        choice: Choice,
        progress: float,
        images_seen: int,
        rng: torch.Generator,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """One step of both networks; returns (results, loss parts)."""
        config = self.config.losses
        result = self.passes(
            lambda some, grain: self.generator(some, self.generator.styles, grain),
            *(content, draw_grain(content, rng)),
        )
        verdict = self.judge(torch.cat([content, result], 1), torch.cat([content, style], 1), rng)
        parts = {"adversarial": verdict.loss_g, "pair": (result - style).abs().mean()}
        loss = config.adversarial_weight * parts["adversarial"] + config.pair_weight * parts["pair"]
        if config.feature_weight:
            sides = zip(verdict.activations, verdict.wanted, strict=True)
            parts["feature"] = mean([(ours - theirs.detach()).abs().mean() for ours, theirs in sides])
            loss = loss + config.feature_weight * parts["feature"]
        parts |= self.learn(loss, [verdict], progress, images_seen, rng)
        return result.detach(), {name: part.detach() for name, part in parts.items()}
