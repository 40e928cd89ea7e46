"""Recipe `multistyle`: many styles in one generator, each also to be had from an example picture.

One generator serves all styles; a style is a code that scales its channels (`networks/generator.py`). Each
style has a learned code; a style encoder reads a code from any example picture. Of three rounds of updates
one paints with learned codes, one with the code of an example, and one with fusions: codes on the straight
line between two styles, whose patches are to be distributed as the Wasserstein barycentre of both. Losses:
those of recipe `cut` (the discriminator has one output per style, Choi et al. 2020, which refuses real
pictures of the other styles too), style reconstruction (the encoder must read from each result the code that
it was painted with, Choi et al. 2020, Eq. 2; the generator alone learns from it), and an anchor that keeps
the encoder's reading of real style pictures near their style's code. No pretrained network.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from inkbridge.train import losses
from inkbridge.train.augment import fade
from inkbridge.train.memory import Memory
from inkbridge.train.networks.encoder import EncoderConfig, StyleEncoder
from inkbridge.train.networks.generator import draw_grain
from inkbridge.train.networks.projection import ProjectionHeads
from inkbridge.train.parts import content_loss, texture_loss, with_disguised
from inkbridge.train.recipe import Choice, Recipe
from inkbridge.train.recipes.cut import CutConfig, LossConfig


@dataclass
class MultistyleLossConfig(LossConfig):
    """Weights of the generator's and of the encoder's losses."""

    style_weight: float = 4.0
    """Weight of |E(result) - code|, the style reconstruction, in each result by itself."""
    anchor_weight: float = 0.5
    """Weight of |E(style) - learned code|."""
    mismatch_weight: float = 0.5
    """Weight of the discriminator's loss on style pictures that are shown as another style."""
    fusion: bool = True
    """Whether every third round of updates paints fusions of two styles."""


@dataclass
class MultistyleConfig(CutConfig):
    """Everything that recipe `multistyle` can be told."""

    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    losses: MultistyleLossConfig = field(default_factory=MultistyleLossConfig)


class Multistyle(Recipe):
    """Networks and the update."""

    name = "multistyle"
    config_class = MultistyleConfig
    many_styles = True

    def __init__(self, config: MultistyleConfig, device: torch.device, num_styles: int = 1) -> None:
        super().__init__(config, device, num_styles)
        self.config = config
        self.encoder = StyleEncoder(config.encoder, config.generator.style_dim)
        self.heads = ProjectionHeads(self.generator.feature_channels, config.projection)
        self.taught_with_generator("encoder", self.encoder)
        self.taught_with_generator("heads", self.heads)
        self.encoder_ema = self.averaged("encoder_ema", self.encoder)
        self.result_memories = nn.ModuleList([Memory(config.losses.memory) for _ in range(num_styles)])
        self.style_memories = nn.ModuleList([Memory(config.losses.memory) for _ in range(num_styles)])
        self.content_memory = Memory(config.losses.memory)
        self.keep("result_memories", self.result_memories)
        self.keep("style_memories", self.style_memories)
        self.keep("content_memory", self.content_memory)

    def choose(self, seed: int, num_updates: int) -> Choice:
        """Each style once a round, in a new order, however many pictures it has."""
        turn, place = divmod(num_updates, self.num_styles)
        rng = np.random.default_rng([seed, 3, turn])
        order = rng.permutation(self.num_styles)
        style, second = int(order[place]), int(order[place - 1])
        if not self.config.losses.fusion or self.num_styles == 1:
            return Choice(style, turn % 2 == 1)
        if turn % 3 == 2:
            return Choice(style, fused_with=second, share=float(rng.random(self.num_styles)[place]))
        return Choice(style, turn % 3 == 1)

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
        learned = self.generator.styles[choice.style : choice.style + 1]
        read = self.passes(self.encoder, style)
        code = read.mean(0, keepdim=True) if choice.from_one_picture else learned
        judged_as: int | Tensor = choice.style
        if choice.fused_with is not None:
            code = learned.lerp(self.generator.styles[choice.fused_with], choice.share)
            judged_as = torch.zeros(self.num_styles, device=content.device)
            judged_as[choice.style], judged_as[choice.fused_with] = 1 - choice.share, choice.share
        content = fade(content, rng) if self.config.fade else content
        num = len(content)
        if choice.fused_with is None:
            content, num = with_disguised(content, style, config.redraw_weight, rng)
        result, keys = self.passes(
            lambda some, grain: self.generator.with_features(some, code, grain),
            *(content, draw_grain(content, rng)),
        )
        painted, keys = result[:num], [key[:num] for key in keys]
        mismatch = config.mismatch_weight if self.num_styles > 1 else 0.0
        verdict = self.judge(result, style, rng, judged_as, choice.style, mismatch_weight=mismatch)
        parts = {
            "adversarial": verdict.loss_g,
            "content": content_loss(
                self.passes, self.generator, self.heads, keys, painted, config.content_places, rng
            ),
            "activation": losses.sliced_activations(verdict.activations, verdict.wanted, rng),
            "texture": self._texture_loss(painted, content[:num], style, choice, rng),
            "style": self._style_loss(result, code),
            "anchor": (read - learned.detach()).abs().mean(),
        }
        loss = config.adversarial_weight * parts["adversarial"]
        loss = loss + config.content_weight * parts["content"]
        # Of a fusion's two styles only one is at hand here; the other comes in a fusion the other way round.
        loss = loss + (1 - choice.share) * config.activation_weight * parts["activation"]
        loss = loss + config.texture_weight * parts["texture"]
        loss = loss + config.style_weight * parts["style"] + config.anchor_weight * parts["anchor"]
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

    def _style_loss(self, result: Tensor, code: Tensor) -> Tensor:
        # Reading is learned from real style pictures alone: an encoder that learned it from results too would
        # come to read from them whatever code they were painted with.
        weights = {name: weight.detach() for name, weight in self.encoder.named_parameters()}
        read = self.passes(lambda some: torch.func.functional_call(self.encoder, weights, (some,)), result)
        return (read - code.detach()).abs().mean()

    def _texture_loss(
        self, result: Tensor, content: Tensor, style: Tensor, choice: Choice, rng: torch.Generator
    ) -> Tensor:
        if choice.from_one_picture:  # the example alone is the target
            return texture_loss(result, content, style, (Memory(0), Memory(0), self.content_memory), rng)
        results, styles = self._memories(choice.style)
        fusion = None
        if choice.fused_with is not None:
            second_results, second_styles = self._memories(choice.fused_with)
            fusion = losses.Fusion(second_styles.levels(), second_results.levels(), choice.share)
        return texture_loss(result, content, style, (results, styles, self.content_memory), rng, fusion)

    def _memories(self, style: int) -> tuple[Memory, Memory]:
        results, styles = self.result_memories[style], self.style_memories[style]
        assert isinstance(results, Memory)
        assert isinstance(styles, Memory)
        return results, styles
