"""Recipe `fastcut`: FastCUT as published (Park et al. 2020), with CycleGAN's networks, for comparison.

Least-squares adversarial loss and a patch-contrastive loss of weight 10 over five depths of the generator. Of
every second update contents are mirrored before they are painted, and their features mirrored back ("flip
equivariance", appendix C.1); there is no identity term.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from inkbridge.train.networks.discriminator import DiscriminatorConfig
from inkbridge.train.networks.generator import GeneratorConfig, draw_grain
from inkbridge.train.networks.projection import ProjectionHeads
from inkbridge.train.optimizers import OptimizerConfig, PublishedOptimizerConfig
from inkbridge.train.parts import content_loss
from inkbridge.train.recipe import AdversarialConfig, Choice, GanConfig, Recipe


@dataclass
class FastCutLossConfig(AdversarialConfig):
    """Weights of the generator's losses."""

    adversarial: str = "least-squares"
    penalty_weight: float = 0.0
    content_weight: float = 10.0
    """Weight of the patch-contrastive loss."""
    content_places: int = 256
    """Places compared per feature map."""


@dataclass
class FastCutConfig(GanConfig):
    """Everything that recipe `fastcut` can be told."""

    batch: int = 1
    generator: GeneratorConfig = field(default_factory=lambda: GeneratorConfig(kind="resnet9", width=64))
    discriminator: DiscriminatorConfig = field(
        default_factory=lambda: DiscriminatorConfig(kind="patch", width=64)
    )
    losses: FastCutLossConfig = field(default_factory=FastCutLossConfig)
    optimizer: OptimizerConfig = field(default_factory=PublishedOptimizerConfig)
    projection: int = 256
    """Numbers in the vectors that the patch-contrastive loss compares."""


class FastCut(Recipe):
    """Networks and the update."""

    name = "fastcut"
    config_class = FastCutConfig

    def __init__(self, config: FastCutConfig, device: torch.device, num_styles: int = 1) -> None:
        super().__init__(config, device, num_styles)
        self.config = config
        self.heads = ProjectionHeads(self.generator.feature_channels, config.projection)
        self.taught_with_generator("heads", self.heads)

    def update(
        self,
        content: Tensor,
        style: Tensor,
        choice: Choice,
        progress: float,
        images_seen: int,
        rng: torch.Generator,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """One step of all networks; returns (results, loss parts)."""
        config = self.config.losses
        mirrored = bool(torch.rand(1, generator=rng) < 0.5)
        with torch.no_grad():
            keys = self.passes(self.generator.features, content)
        result = self.passes(
            lambda some, grain: self.generator(some, self.generator.styles, grain),
            *(content.flip(3) if mirrored else content, draw_grain(content, rng)),
        )
        verdict = self.judge(result, style, rng)
        parts = {
            "adversarial": verdict.loss_g,
            "content": content_loss(
                *(self.passes, self.generator, self.heads, keys, result, config.content_places, rng),
                mirrored=mirrored,
            ),
        }
        loss = config.adversarial_weight * parts["adversarial"] + config.content_weight * parts["content"]
        parts |= self.learn(loss, [verdict], progress, images_seen, rng)
        return result.detach(), {name: part.detach() for name, part in parts.items()}
