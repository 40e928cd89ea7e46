"""Recipe `cyclegan`: two generators, there and back (Zhu et al. 2017), by default as published.

What was painted and painted back must be the picture again (cycle-consistency, Eq. 2); a style picture must
come out as it is (identity, section 5.2). Each generator has a discriminator, which also sees earlier results
(the history of Shrivastava et al. 2017). The one exported paints contents in the style.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from inkbridge.train.memory import History
from inkbridge.train.networks import make_discriminator, make_generator
from inkbridge.train.networks.discriminator import DiscriminatorConfig
from inkbridge.train.networks.generator import GeneratorConfig, draw_grain
from inkbridge.train.optimizers import OptimizerConfig, PublishedOptimizerConfig
from inkbridge.train.recipe import AdversarialConfig, Choice, GanConfig, Recipe


@dataclass
class CycleLossConfig(AdversarialConfig):
    """Weights of the generators' losses."""

    adversarial: str = "least-squares"
    penalty_weight: float = 0.0
    cycle_weight: float = 10.0
    """Weight of mean |F(G(x)) - x| and of mean |G(F(y)) - y|."""
    identity_weight: float = 5.0
    """Weight of mean |G(y) - y| and of mean |F(x) - x|."""
    history: int = 50
    """Results that each discriminator is shown again."""


@dataclass
class CycleGanConfig(GanConfig):
    """Everything that recipe `cyclegan` can be told."""

    batch: int = 1
    generator: GeneratorConfig = field(default_factory=lambda: GeneratorConfig(kind="resnet9", width=64))
    discriminator: DiscriminatorConfig = field(
        default_factory=lambda: DiscriminatorConfig(kind="patch", width=64)
    )
    losses: CycleLossConfig = field(default_factory=CycleLossConfig)
    optimizer: OptimizerConfig = field(default_factory=PublishedOptimizerConfig)


class CycleGan(Recipe):
    """Networks and the update."""

    name = "cyclegan"
    config_class = CycleGanConfig

    def __init__(self, config: CycleGanConfig, device: torch.device, num_styles: int = 1) -> None:
        super().__init__(config, device, num_styles)
        self.config = config
        self.back = make_generator(config.generator)
        self.back_discriminator = make_discriminator(config.discriminator)
        self.taught_with_generator("back", self.back)
        self.taught_with_discriminator("back_discriminator", self.back_discriminator)
        self.results, self.returns = History(config.losses.history), History(config.losses.history)
        self.keep("results", self.results)
        self.keep("returns", self.returns)

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

        def there(pictures: Tensor) -> Tensor:
            painted: Tensor = self.passes(
                lambda some, grain: self.generator(some, self.generator.styles, grain),
                *(pictures, draw_grain(pictures, rng)),
            )
            return painted

        def back(pictures: Tensor) -> Tensor:
            returned: Tensor = self.passes(
                lambda some, grain: self.back(some, self.back.styles, grain),
                *(pictures, draw_grain(pictures, rng)),
            )
            return returned

        result, returned = there(content), back(style)
        verdict = self.judge(result, style, rng, shown=self.results.exchange(result, rng))
        back_verdict = self.judge(
            returned,
            content,
            rng,
            discriminator=self.back_discriminator,
            shown=self.returns.exchange(returned, rng),
        )
        parts = {
            "adversarial": verdict.loss_g,
            "back": back_verdict.loss_g,
            "cycle": _apart(back(result), content) + _apart(there(returned), style),
        }
        loss = config.adversarial_weight * (parts["adversarial"] + parts["back"])
        loss = loss + config.cycle_weight * parts["cycle"]
        if config.identity_weight:
            parts["identity"] = _apart(there(style), style) + _apart(back(content), content)
            loss = loss + config.identity_weight * parts["identity"]
        parts |= self.learn(loss, [verdict, back_verdict], progress, images_seen, rng)
        return result.detach(), {name: part.detach() for name, part in parts.items()}


def _apart(pictures: Tensor, others: Tensor) -> Tensor:
    return (pictures - others).abs().mean()
