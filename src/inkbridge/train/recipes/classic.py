"""Recipe `classic`: the GAN of the textbook, and nothing else; read this one first.

    min over G, max over D of V(D, G) = E[log s(D(y))] + E[log(1 - s(D(G(x))))]

(Goodfellow et al. 2014, Eq. 1), with contents x in the place of noise: a ResNet generator G paints them, and
a fully connected discriminator D says of a small picture as a whole whether it is one of the style (y) or
painted. D climbs V, G descends it, a step each, by cross entropy on D's logits; a penalty on D's gradient
keeps the two from chasing each other in circles.

Nothing asks that a result still show what its content showed, but that G works from place to place. D sees 32
pixels by 32, so G learns the palette and the broad shapes, not the stroke. What the other recipes add, they
add for one of these two reasons.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from inkbridge.train.networks.discriminator import DiscriminatorConfig
from inkbridge.train.networks.generator import GeneratorConfig
from inkbridge.train.optimizers import OptimizerConfig, PublishedOptimizerConfig
from inkbridge.train.recipe import AdversarialConfig, Choice, GanConfig, Recipe


@dataclass
class ClassicLossConfig(AdversarialConfig):
    """The two players' game."""

    adversarial: str = "minimax"
    penalty_weight: float = 10.0
    """Without R1 at the weight of its paper the game goes round in circles (Mescheder et al. 2018)."""
    penalty_every: int = 1


@dataclass
class ClassicConfig(GanConfig):
    """Everything that recipe `classic` can be told."""

    generator: GeneratorConfig = field(default_factory=lambda: GeneratorConfig(kind="resnet6", width=16))
    discriminator: DiscriminatorConfig = field(
        default_factory=lambda: DiscriminatorConfig(kind="fully-connected")
    )
    losses: ClassicLossConfig = field(default_factory=ClassicLossConfig)
    optimizer: OptimizerConfig = field(default_factory=PublishedOptimizerConfig)


class Classic(Recipe):
    """G, D and the update."""

    name = "classic"
    config_class = ClassicConfig

    def __init__(self, config: ClassicConfig, device: torch.device, num_styles: int = 1) -> None:
        super().__init__(config, device, num_styles)
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
        result = self.passes(lambda some: self.generator(some, self.generator.styles), content)
        verdict = self.judge(result, style, rng)
        parts = {"adversarial": verdict.loss_g}
        loss = self.config.losses.adversarial_weight * parts["adversarial"]
        parts |= self.learn(loss, [verdict], progress, images_seen, rng)
        return result.detach(), {name: part.detach() for name, part in parts.items()}
