"""Recipe `cut`: one-sided translation from few pictures.

Adversarial loss, so that results look like the style; patch-contrastive loss (Park et al. 2020), so that
each place still shows what it showed; a sliced Wasserstein term that pulls palette and contrast over
quickly; the same distance between the discriminator's activations, which carries its opinion on whole
distributions of patches; affinity, against halos; self-similarity, for hues; redrawing: half of the
pictures of an update are no contents but style pictures in disguise, with the colours of contents and
without their finest lines, and those are to be painted as they were. Contents are shown in another light
each time, so that contrast and colour of a result are the style's and not theirs.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from inkbridge.train import losses
from inkbridge.train.augment import fade
from inkbridge.train.memory import Memory
from inkbridge.train.networks.generator import draw_grain
from inkbridge.train.networks.projection import ProjectionHeads
from inkbridge.train.parts import content_loss, texture_loss, with_disguised
from inkbridge.train.recipe import AdversarialConfig, Choice, GanConfig, Recipe


@dataclass
class LossConfig(AdversarialConfig):
    """Weights of the generator's losses."""

    content_weight: float = 3.0
    """Weight of the patch-contrastive loss."""
    content_places: int = 128
    """Places compared per feature map."""
    activation_weight: float = 0.5
    """Weight of the sliced Wasserstein distance between the discriminator's activations."""
    texture_weight: float = 1.0
    """Weight of the sliced Wasserstein distance between patches."""
    memory: int = 16
    """Pictures of each side that the texture distance remembers: results are asked for the palette of that
    many style pictures together, not each pair of results for that of a pair."""
    affinity_weight: float = 1.0
    """Weight of the affinity loss: what is of one colour in the content stays of one colour."""
    similarity_weight: float = 1.0
    """Weight of self-similarity: what is of two colours in the content stays of two."""
    redraw_weight: float = 2.0
    """Weight of redrawing: how far a style picture's lines, painted from its disguise, are from its own. With
    0 such pictures are left out of the updates."""


@dataclass
class CutConfig(GanConfig):
    """Everything that recipe `cut` can be told."""

    losses: LossConfig = field(default_factory=LossConfig)
    augmentations: tuple[str, ...] = ("resample",)
    projection: int = 128
    """Numbers in the vectors that the patch-contrastive loss compares."""
    fade: bool = True
    """Whether contents are shown in another light each time, mostly a paler one (`augment.fade`)."""


class Cut(Recipe):
    """Networks and the update."""

    name = "cut"
    config_class = CutConfig

    def __init__(self, config: CutConfig, device: torch.device, num_styles: int = 1) -> None:
        super().__init__(config, device, num_styles)
        self.config = config
        self.heads = ProjectionHeads(self.generator.feature_channels, config.projection)
        self.taught_with_generator("heads", self.heads)
        self.result_memory, self.style_memory, self.content_memory = (
            Memory(config.losses.memory) for _ in range(3)
        )
        self.keep("result_memory", self.result_memory)
        self.keep("style_memory", self.style_memory)
        self.keep("content_memory", self.content_memory)

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
        config, code = self.config.losses, self.generator.styles
        content = fade(content, rng) if self.config.fade else content
        content, num = with_disguised(content, style, config.redraw_weight, rng)
        result, keys = self.passes(
            lambda some, grain: self.generator.with_features(some, code, grain),
            *(content, draw_grain(content, rng)),
        )
        painted, keys = result[:num], [key[:num] for key in keys]
        verdict = self.judge(result, style, rng)
        parts = {
            "adversarial": verdict.loss_g,
            "content": content_loss(
                self.passes, self.generator, self.heads, keys, painted, config.content_places, rng
            ),
        }
        loss = config.adversarial_weight * parts["adversarial"]
        loss = loss + config.content_weight * parts["content"]
        if config.activation_weight:
            parts["activation"] = losses.sliced_activations(verdict.activations, verdict.wanted, rng)
            loss = loss + config.activation_weight * parts["activation"]
        if config.texture_weight:
            memories = self.result_memory, self.style_memory, self.content_memory
            parts["texture"] = texture_loss(painted, content[:num], style, memories, rng)
            loss = loss + config.texture_weight * parts["texture"]
        if config.affinity_weight:
            parts["affinity"] = losses.affinity(painted, content[:num])
            loss = loss + config.affinity_weight * parts["affinity"]
        if config.similarity_weight:
            parts["similarity"] = losses.self_similarity(painted, content[:num])
            loss = loss + config.similarity_weight * parts["similarity"]
        if num < len(content):
            parts["redraw"] = losses.redraw(result[num:], style[num:])
            loss = loss + config.redraw_weight * parts["redraw"]
        parts |= self.learn(loss, [verdict], progress, images_seen, rng)
        return result.detach(), {name: part.detach() for name, part in parts.items()}
