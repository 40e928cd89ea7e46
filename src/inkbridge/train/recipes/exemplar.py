"""Recipe `exemplar`: every result answers to one example, seen through a trained eye.

A style encoder reads a code from an example picture, and the generator paints a content with that code. The
result is compared with that one example, not with its folder: means and covariances of an eye's features at
several depths (Gatys et al. 2015, there one picture for one result), and the distribution of colours. The
content is held by the eye's features in the middle of its depth, each channel brought to mean 0 and spread 1,
so that how it is drawn is free (Johnson et al. 2016, section 3.2; normalised as in Huang and Belongie 2017,
Eq. 5), by its light at 1/8 of the resolution, and by self-similarity of colours. The folder as a distribution
comes in by a discriminator on the eye's features (Sauer et al. 2021, "Projected GANs converge faster"; Kumari
et al. 2022, "Ensembling off-the-shelf models for GAN training"). A fusion lies between two codes and answers
to what lies between their examples.

One style or many; the pack can be led by examples (`--like`). Most examples are the few looks of a
style (`inkbridge.train.looks`): what a style is by name is read from these, and a mean of all its pictures is
gray. Crops are large, so that one shows most of an example: its palette, and not a piece of sky.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from inkbridge.eye import read_eye
from inkbridge.images import RGB, to_network
from inkbridge.train import losses
from inkbridge.train.adversarial import ADVERSARIAL
from inkbridge.train.networks.discriminator import DiscriminatorConfig
from inkbridge.train.networks.encoder import EncoderConfig, StyleEncoder
from inkbridge.train.networks.eye import Eye
from inkbridge.train.networks.eye_heads import EyeHeads
from inkbridge.train.networks.generator import GeneratorConfig, ModulatedConv, draw_grain
from inkbridge.train.optimizers import OptimizerConfig
from inkbridge.train.recipe import AdversarialConfig, Choice, GanConfig, Recipe, Verdict, mean
from inkbridge.train.regularizers import PENALTIES

JUDGED_DEPTHS = 4
"""Depths of the eye, spread evenly, that the discriminator looks at."""
READ_EVERY, AT_FIRST = 8, 64
"""Updates between readings of a style's looks, of one style after the other; at first after each."""


@dataclass
class ExemplarLossConfig(AdversarialConfig):
    """Weights of the generator's losses."""

    adversarial: str = "hinge"
    adversarial_weight: float = 0.3
    penalty_weight: float = 0.0
    moment_weight: float = 1.0
    """Weight of the distance between a result's and its example's moments of the eye's features."""
    colour_weight: float = 1.0
    """Weight of the sliced Wasserstein distance between the colours of a result and of its example."""
    content_weight: float = 1.2
    """Weight of the difference between the eye's normalised features of content and result."""
    light_weight: float = 0.3
    """Weight of the difference in light, at 1/8 of the resolution."""
    similarity_weight: float = 1.5
    """Weight of self-similarity: what is of two colours in the content stays of two."""
    emptiness_weight: float = 10.0
    """Weight of what results have more of contrast, where contents are smooth, than their examples there."""
    fusion: float = 0.25
    """Share of results that are painted as fusions of two examples."""


@dataclass
class EyeDiscriminatorConfig(DiscriminatorConfig):
    """The discriminator that looks through the eye."""

    kind: str = "eye"
    width: int = 64
    """Channels of each head."""


@dataclass
class ExemplarOptimizerConfig(OptimizerConfig):
    """How both networks learn."""

    discriminator_lr: float = 3e-4
    """At four times as much it taught the generator what only this eye sees."""
    ema_half_life: float = 4000.0


@dataclass
class ExemplarConfig(GanConfig):
    """Everything that recipe `exemplar` can be told."""

    data_defaults: ClassVar[dict[str, Any]] = {
        "crop": 256,
        "enlarge": 1.1,
        "style_scale": (0.65, 1.05),
        "content_scale": (0.65, 1.0),
        "looks": 3,
        "look_share": 0.85,
        "look_detail": 0.6,
    }

    batch: int = 2
    generator: GeneratorConfig = field(default_factory=lambda: GeneratorConfig(uneven=0.09))
    eye: str = "squeezenet11"
    """The trained eye: the bundled one by its name, or a file (`inkbridge.eye.read_eye`)."""
    losses: ExemplarLossConfig = field(default_factory=ExemplarLossConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    discriminator: EyeDiscriminatorConfig = field(default_factory=EyeDiscriminatorConfig)
    optimizer: ExemplarOptimizerConfig = field(default_factory=ExemplarOptimizerConfig)
    style_depth: float = 0.78
    """Moments are compared at this share of the eye's depths, the finest. Deeper ones tell things."""
    modulation_lr: float = 3.0
    """Learning rate of what makes scales and shifts of a code, in units of the generator's."""


class Exemplar(Recipe):
    """Networks and the update."""

    name = "exemplar"
    config_class = ExemplarConfig
    many_styles = True
    tells_stroke_width = True
    # A score compares sets, and results of one look are far from a folder's: after 700 images of 9,958 it was
    # highest, and there nothing could be recognised.
    ends_best = True
    # With 16 it painted the frame of its crops round pictures, with 48 a strip of an example's sky on top.
    border = 72

    def __init__(self, config: ExemplarConfig, device: torch.device, num_styles: int = 1) -> None:
        self.config = config
        self.eye = Eye(read_eye(config.eye), config.eye).to(device)
        depths = len(self.eye.channels)
        self._style_depths = max(round(config.style_depth * depths), 1)
        self._content_depth = (depths - 1) // 2
        self._judged_depths = sorted({round(i) for i in np.linspace(1, depths - 2, JUDGED_DEPTHS)})
        self._num_depths = max(self._style_depths, self._content_depth + 1, self._judged_depths[-1] + 1)
        super().__init__(config, device, num_styles)
        self.generator.styles.requires_grad_(False)  # read from the first looks, not learned
        self._let_codes_learn_faster(config.modulation_lr)
        self.encoder = StyleEncoder(config.encoder, config.generator.style_dim)
        self.taught_with_generator("encoder", self.encoder)
        self.encoder_ema = self.averaged("encoder_ema", self.encoder)
        self.looks = LookCodes(num_styles, config.generator.style_dim)
        self.keep("looks", self.looks.to(device))
        self._met: list[list[Tensor]] = []

    def meet(self, looks: Sequence[Sequence[RGB]]) -> None:
        """Keep the looks of each style, as large as they are given."""
        self.looks.resize(max(len(pictures) for pictures in looks))
        self._met = [
            [torch.from_numpy(to_network(picture)).to(self.device) for picture in pictures]
            for pictures in looks
        ]
        self._read_looks(range(self.num_styles))

    def make_discriminator(self, config: DiscriminatorConfig, num_styles: int, channels: int) -> nn.Module:
        """Heads on the eye's features."""
        return EyeHeads([self.eye.channels[depth] for depth in self._judged_depths], config.width, num_styles)

    def logits(self, picture: Tensor, index: int) -> list[Tensor]:
        """What the discriminator says of a 1 x 3 x H x W picture as one of style `index`."""
        weights = torch.zeros(1, self.num_styles, device=self.device)
        weights[0, index] = 1.0
        seen = self.eye(picture.to(self.device), self._num_depths)
        found: list[Tensor] = self.discriminator(self._judged_features(seen, seen), weights)
        return found

    def averaged_states(self) -> dict[str, dict[str, Tensor]]:
        """State of what is exported: the averaged networks and the codes of looks."""
        return super().averaged_states() | {"looks": self.looks.state_dict()}

    def _let_codes_learn_faster(self, times: float) -> None:
        """What makes scales and shifts of a code decides how far styles come apart."""
        faster = [
            parameter
            for module in self.generator.modules()
            if isinstance(module, ModulatedConv)
            for parameter in [*module.affine.parameters(), *module.shift.parameters()]
        ]
        for parameter in faster:
            parameter.requires_grad_(True)
        taken = {id(parameter) for parameter in faster}
        (group,) = self.optimizer_g.param_groups
        rest = [parameter for parameter in group["params"] if id(parameter) not in taken]
        group["params"] = [parameter for parameter in rest if parameter.requires_grad]
        self.optimizer_g.add_param_group({"params": faster, "times": times})

    def choose(self, seed: int, num_updates: int) -> Choice:
        """Another style for each picture, all of them equally often, however many pictures they have."""
        batch, styles = self.config.batch, self.num_styles
        rounds = range(num_updates * batch // styles, ((num_updates + 1) * batch - 1) // styles + 1)
        order = np.concatenate([np.random.default_rng([seed, 3, i]).permutation(styles) for i in rounds])
        first = num_updates * batch - rounds[0] * styles
        return Choice(styles=tuple(int(style) for style in order[first : first + batch]))

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
        config, num = self.config.losses, len(content)
        weights = torch.zeros(num, self.num_styles, device=content.device)
        indices = choice.styles[:num] or (choice.style,) * num
        weights[torch.arange(num), torch.tensor(indices)] = 1.0
        # Each picture's neighbour in the batch is the second of its fusion.
        share = torch.rand(num, generator=rng) * (torch.rand(num, generator=rng) < config.fusion)
        share = share.to(content.device)
        read = self.passes(self.encoder, style)
        code = torch.lerp(read, read.roll(1, 0), share[:, None].to(read.dtype))
        result = self.passes(self.generator, content, code, draw_grain(content, rng))
        seen = self._features(result, self._num_depths)
        with torch.no_grad():
            wanted = self._features(style, self._num_depths)
            kept = self._features(content, self._content_depth + 1)
            examples = [losses.moments(some) for some in wanted[: self._style_depths]]
            examples = [
                losses.between_moments(some, (some[0].roll(1, 0), some[1].roll(1, 0)), share)
                for some in examples
            ]
            updates = images_seen // self.config.batch
            turn, waits = divmod(updates, READ_EVERY if updates >= AT_FIRST else 1)
            if self._met and not waits:
                self._read_looks([turn % self.num_styles])
        depth = self._content_depth
        parts = {
            "moments": losses.moment_distance(
                [losses.moments(some) for some in seen[: self._style_depths]], examples
            ),
            "content": losses.normalised_distance(seen[depth], kept[depth]),
        }
        loss = config.moment_weight * parts["moments"] + config.content_weight * parts["content"]
        if config.light_weight:
            parts["light"] = losses.light_distance(result, content)
            loss = loss + config.light_weight * parts["light"]
        if config.colour_weight:
            parts["colour"] = losses.colour_distance(result, style, style.roll(1, 0), share, rng)
            loss = loss + config.colour_weight * parts["colour"]
        if config.similarity_weight:
            parts["similarity"] = losses.self_similarity(losses.wide(result), content, pool=16)
            loss = loss + config.similarity_weight * parts["similarity"]
        if config.emptiness_weight:
            parts["emptiness"] = losses.emptiness(result, content, style, style.roll(1, 0), share)
            loss = loss + config.emptiness_weight * parts["emptiness"]
        between = torch.lerp(weights, weights.roll(1, 0), share[:, None])
        verdict = self._judged((result, style), (seen, wanted), (between, weights))
        parts["adversarial"] = verdict.loss_g
        loss = loss + config.adversarial_weight * parts["adversarial"]
        parts |= self.learn(loss, [verdict], progress, images_seen, rng)
        return result.detach(), {name: part.detach() for name, part in parts.items()}

    def _features(self, pictures: Tensor, num_depths: int) -> list[Tensor]:
        """The finest `num_depths` that the eye has of N x 3 x H x W pictures."""
        features: list[Tensor] = self.passes(lambda some: self.eye(some, num_depths), pictures)
        return features

    def _judged(
        self,
        pictures: tuple[Tensor, Tensor],
        features: tuple[list[Tensor], list[Tensor]],
        weights: tuple[Tensor, Tensor],
    ) -> Verdict:
        """Results and examples, their features, and each one's weight of each style."""
        config, (result, style), (seen, wanted) = self.config.losses, pictures, features
        loss_d, loss_g = ADVERSARIAL[config.adversarial]

        def logits(features: list[Tensor], weights: Tensor) -> list[Tensor]:
            answers: list[Tensor] = self.discriminator(self._judged_features(features, wanted), weights)
            return answers

        def penalise(draw: torch.Generator) -> Tensor:
            share = torch.rand(len(style), 1, 1, 1, generator=draw).to(style.device)
            penalty = PENALTIES[config.penalty]
            return penalty(
                lambda image: logits(self.eye(image, self._num_depths), weights[1]),
                style,
                result.detach(),
                share,
            ).mean()

        fake, real = logits(seen, weights[0]), logits(wanted, weights[1])
        pairs = list(zip(real, fake, strict=True))
        return Verdict(
            self.discriminator,
            mean([loss_g(*pair) for pair in pairs]),
            mean([loss_d(*pair) for pair in pairs]),
            *(real, fake, [], []),
            penalise,
        )

    def _judged_features(self, features: list[Tensor], wanted: list[Tensor]) -> list[Tensor]:
        """Those at the judged depths, in units of their size in the style pictures: an eye's features differ
        by far in size from depth to depth."""
        sizes = [losses.wide(wanted[depth]).square().mean().sqrt() for depth in self._judged_depths]
        judged = zip(self._judged_depths, sizes, strict=True)
        return [features[depth] / size.to(features[depth].dtype) for depth, size in judged]

    @torch.no_grad()
    def _read_looks(self, styles: Iterable[int]) -> None:
        """What the codes of these styles' looks are by now; a style is by name the first of its looks."""
        codes = self.looks.codes
        with torch.autocast(self.device.type, enabled=False):
            for index in styles:
                pictures = self._met[index]
                for place in range(codes.shape[1]):
                    picture = pictures[min(place, len(pictures) - 1)].to(codes.dtype)
                    codes[index, place] = self.encoder_ema(torch.cat([picture, picture.flip(3)])).mean(0)
        for generator in (self.generator, self.generator_ema):
            generator.styles.data.copy_(codes[:, 0])


class LookCodes(nn.Module):
    """The codes of each style's looks: num_styles x num_looks x style_dim; of fewer looks the last again."""

    codes: Tensor

    def __init__(self, num_styles: int, style_dim: int) -> None:
        super().__init__()
        self.register_buffer("codes", torch.zeros(num_styles, 1, style_dim))

    def resize(self, num_looks: int) -> None:
        """Make room for so many looks."""
        num_styles, _, dim = self.codes.shape
        self.codes = self.codes.new_zeros(num_styles, max(num_looks, 1), dim)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *others: Any) -> None:
        self.resize(state_dict[f"{prefix}codes"].shape[1])
        super()._load_from_state_dict(state_dict, prefix, *others)
