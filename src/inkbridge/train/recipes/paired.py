"""Recipe `paired`: from aligned pairs (pix2pix, Isola et al. 2017).

The discriminator sees content and picture together and must tell real pairs from painted ones (Eq. 1); the
result must be near the pair's style picture (L1, Eq. 3), and optionally look like it to the discriminator
(feature matching, Wang et al. 2018, Eq. 4).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from inkbridge.train.networks.generator import draw_grain
from inkbridge.train.networks.glyphs import load_classifier, reads_otherwise
from inkbridge.train.recipe import AdversarialConfig, Choice, GanConfig, Recipe, mean, place

PAIR_DISTANCES: dict[str, Callable[[Tensor], Tensor]] = {
    "l1": lambda difference: difference.abs().mean(),
    "l2": lambda difference: difference.square().mean(),
}


@dataclass
class PairedLossConfig(AdversarialConfig):
    """Weights of the generator's losses. With adversarial_weight=0 there is no discriminator: half the time,
    for what is a blur wherever two results would be right."""

    pair_weight: float = 100.0
    """Weight of the distance of G(x) and y."""
    pair_distance: str = "l1"
    """l1: mean |G(x) - y| (Eq. 3), which leaves out what is uncertain; l2: mean (G(x) - y)^2, which leaves it
    as a shade, so that thin strokes on much paper do not go first."""
    feature_weight: float = 0.0
    """Weight of the mean difference of the discriminator's activations; 10 in the paper."""
    classifier: str = ""
    """File of a glyph classifier (`inkbridge glyphs`) to which results must read like y; empty: none."""
    classifier_weight: float = 1.0


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
        self.classifier = (
            load_classifier(Path(config.losses.classifier)) if config.losses.classifier else None
        )
        if self.classifier is not None:
            place(self.classifier, device)

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
        parts = {"pair": PAIR_DISTANCES[config.pair_distance](result - style)}
        loss = config.pair_weight * parts["pair"]
        if self.classifier is not None:
            parts["reading"] = reads_otherwise(self.classifier, result, style)
            loss = loss + config.classifier_weight * parts["reading"]
        if not config.adversarial_weight:
            self.learn_alone(loss, len(content), progress, images_seen)
            return result.detach(), {name: part.detach() for name, part in parts.items()}
        verdict = self.judge(torch.cat([content, result], 1), torch.cat([content, style], 1), rng)
        parts["adversarial"] = verdict.loss_g
        loss = loss + config.adversarial_weight * parts["adversarial"]
        if config.feature_weight:
            sides = zip(verdict.activations, verdict.wanted, strict=True)
            parts["feature"] = mean([(ours - theirs.detach()).abs().mean() for ours, theirs in sides])
            loss = loss + config.feature_weight * parts["feature"]
        parts |= self.learn(loss, [verdict], progress, images_seen, rng)
        return result.detach(), {name: part.detach() for name, part in parts.items()}
