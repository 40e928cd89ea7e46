"""What every recipe has: networks, optimizers, what a checkpoint holds. The update is the recipe's own."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from inkbridge.errors import ConfigError
from inkbridge.images import RGB
from inkbridge.train.adversarial import ADVERSARIAL
from inkbridge.train.augment import AdaptiveProbability, augment
from inkbridge.train.networks import make_discriminator, make_generator
from inkbridge.train.networks.discriminator import DiscriminatorConfig
from inkbridge.train.networks.generator import GeneratorConfig, draw_grain
from inkbridge.train.optimizers import OPTIMIZERS, OptimizerConfig, generator_lr, set_lrs
from inkbridge.train.passes import Passes
from inkbridge.train.precision import LossScaler
from inkbridge.train.regularizers import PENALTIES
from inkbridge.train.schedule import ema_decay

NetworkT = TypeVar("NetworkT", bound=nn.Module)


@dataclass
class AdversarialConfig:
    """What generator and discriminator want of each other."""

    adversarial: str = "non-saturating"
    """minimax, non-saturating, least-squares, hinge, wasserstein or relativistic."""
    adversarial_weight: float = 1.0
    penalty: str = "r1"
    """Gradient penalty of the discriminator: r1, r1+r2, zero-centred or wasserstein."""
    penalty_weight: float = 0.001
    """0 leaves the penalty out. Of R1, twenty times this kept the discriminator from learning at all to tell
    a mesh from brushwork."""
    penalty_every: int = 16
    """Discriminator updates between penalties; each counts that many times (Karras et al. 2020b)."""


@dataclass
class GanConfig:
    """What every recipe can be told."""

    data_defaults: ClassVar[dict[str, Any]] = {}
    """Settings of the data that are otherwise with this recipe, where nothing else is said."""

    batch: int = 4
    """Pictures of an update, in all processes together."""
    at_once: int = 0
    """Pictures that a network sees together, at the same results: fewer take less memory and more time, for
    what gradients need is worked out twice. 0: all, and everything is remembered."""
    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    losses: AdversarialConfig = field(default_factory=AdversarialConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    augmentations: tuple[str, ...] = ()
    """What the discriminator's pictures go through: resample, translate, cutout, colour."""
    adaptive: bool = False
    """Augment as often as the discriminator's overfitting asks for, instead of always (ADA)."""


@dataclass
class Choice:
    """The style of an update."""

    style: int = 0
    from_one_picture: bool = False
    """Whether all crops of the style come from one picture."""
    fused_with: int | None = None
    """A second style, of which the result is to have `share`."""
    share: float = 0.0
    styles: tuple[int, ...] = ()
    """The style of each picture of the update, where they differ."""


@dataclass
class Verdict:
    """What a discriminator says of results and of style pictures, for the updates of both networks."""

    discriminator: nn.Module
    loss_g: Tensor
    loss_d: Tensor
    real: list[Tensor]
    """Logits of style pictures."""
    fake: list[Tensor]
    """Logits of results."""
    activations: list[Tensor]
    """Of results."""
    wanted: list[Tensor]
    """Activations of style pictures."""
    penalise: Callable[[torch.Generator], Tensor]


class Recipe:
    """One generator, one discriminator, and the averaged generator that is exported.

    A recipe adds what else it needs in its `__init__` and writes `update`. Pictures are N x 3 x H x W in
    [-1, 1]; `progress` runs from 0 to 1; `rng` is a CPU generator that the loop seeds anew for each update.
    """

    name: str
    config_class: type[GanConfig]
    many_styles = False
    pairs = False
    """Whether content and style pictures belong together one by one."""
    border: int | None = None
    """Pixels beyond its border that packs are shown of a picture, where other than the generator says."""
    tells_stroke_width = False
    """Whether its examples are shown so large that a stroke has the width that it is to be painted with, as
    pairs always are. Small pictures are then painted as small as they are."""
    ends_best = False
    """Whether the last state is exported, in place of that of the highest score."""
    alone = False
    """Whether it learns from contents alone, of which it makes what is to be painted."""

    def __init__(
        self, config: GanConfig, device: torch.device, num_styles: int = 1, judged_channels: int = 3
    ) -> None:
        """Raises ConfigError for more styles than the recipe can learn."""
        if num_styles != 1 and not self.many_styles:
            raise ConfigError(
                f"Recipe {self.name} learns one style, not {num_styles}. For several: --recipe exemplar"
            )
        self.device, self.num_styles = device, num_styles
        self._adversarial, self._optimizing = config.losses, config.optimizer
        self._augmentations = config.augmentations
        self.passes = Passes(config.at_once)
        self.scaler = LossScaler()
        self.lr_factor = 1.0
        """By which all learning rates are multiplied: less than 1 once training broke."""
        self.generator = make_generator(config.generator, num_styles)
        self.discriminator = self.make_discriminator(config.discriminator, num_styles, judged_channels)
        self.optimizer_g, self.optimizer_d = (
            OPTIMIZERS[config.optimizer.name](place(network, device), lr, config.optimizer.betas)
            for network, lr in (
                (self.generator, generator_lr(config.optimizer)),
                (self.discriminator, config.optimizer.discriminator_lr),
            )
        )
        self._kept: dict[str, nn.Module] = {"generator": self.generator, "discriminator": self.discriminator}
        self._averaged: list[tuple[nn.Module, nn.Module]] = []
        self.generator_ema = self.averaged("generator_ema", self.generator)
        self.probability = AdaptiveProbability() if config.adaptive else None
        if self.probability is not None:
            self.keep("probability", self.probability)

    def make_discriminator(self, config: DiscriminatorConfig, num_styles: int, channels: int) -> nn.Module:
        """The discriminator, with an output for each style, of pictures with so many channels."""
        return make_discriminator(config, num_styles, channels)

    def modules(self) -> dict[str, nn.Module]:
        """What a checkpoint holds, by name."""
        return self._kept

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Optimizers whose state a checkpoint holds, by name."""
        return {"generator": self.optimizer_g, "discriminator": self.optimizer_d}

    def given(self, content: RGB, index: int) -> RGB:
        """What the generator is given of a content that is shown, the index-th of them."""
        return content

    def finished(self, result: Tensor) -> Tensor:
        """What people get of what the averaged generator made."""
        return result

    def meet(self, looks: Sequence[Sequence[RGB]]) -> None:
        """Be shown, before the first update, the looks of each style: H x W x 3 uint8 pictures."""

    def logits(self, picture: Tensor, index: int) -> list[Tensor]:
        """What the discriminator says of a 1 x 3 x H x W picture as one of style `index`."""
        found: list[Tensor] = self.discriminator(picture.to(self.device), index)[0]
        return found

    def choose(self, seed: int, num_updates: int) -> Choice:
        """What the style pictures of the next update are to be."""
        return Choice()

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
        raise NotImplementedError

    def scale_losses(self) -> None:
        """Learn from scaled losses, for float16."""
        self.scaler.start(self.device)
        self.keep("scaler", self.scaler)

    def keep(self, name: str, module: nn.Module) -> None:
        """Save a module in checkpoints."""
        self._kept[name] = module

    def taught_with_generator(self, name: str, network: nn.Module) -> None:
        """Save a network in checkpoints, and let it learn from the generator's loss."""
        self.keep(name, network)
        self.optimizer_g.add_param_group({"params": place(network, self.device)})

    def taught_with_discriminator(self, name: str, network: nn.Module) -> None:
        """Save a further discriminator in checkpoints, and let it learn from its `Verdict`."""
        self.keep(name, network)
        self.optimizer_d.add_param_group({"params": place(network, self.device)})

    def averaged(self, name: str, network: NetworkT) -> NetworkT:
        """A copy of a network that follows it slowly; saved in checkpoints."""
        copied = copy.deepcopy(network).requires_grad_(False).eval()
        self._averaged.append((copied, network))
        self.keep(name, copied)
        return copied

    def averaged_states(self) -> dict[str, dict[str, Tensor]]:
        """State of the averaged networks, which are what is exported, by name."""
        averaged = {id(copied) for copied, _ in self._averaged}
        return {name: module.state_dict() for name, module in self._kept.items() if id(module) in averaged}

    def judge(
        self,
        result: Tensor,
        style: Tensor,
        rng: torch.Generator,
        judged_as: int | Tensor = 0,
        index: int = 0,
        discriminator: nn.Module | None = None,
        shown: Tensor | None = None,
        mismatch_weight: float = 0.0,
    ) -> Verdict:
        """Results and style pictures through a discriminator (by default the recipe's only one).

        Both networks learn from the same two passes, as the discriminator was before the step. Results are
        judged as style `judged_as`, or as a fusion with the weight of each style; style pictures as `index`.
        With `shown` the discriminator learns from those pictures in place of the results; with
        `mismatch_weight`, that style pictures are none of any other style (mismatches: Reed et al. 2016).
        """
        judge = self.discriminator if discriminator is None else discriminator
        loss_d, loss_g = ADVERSARIAL[self._adversarial.adversarial]
        with parametrize.cached():  # one power iteration for all passes

            def asked(pictures: Tensor, style: int | Tensor | None) -> tuple[list[Tensor], list[Tensor]]:
                found: tuple[list[Tensor], list[Tensor]] = self.passes(
                    lambda some: judge(some, style), self._augmented(pictures, rng)
                )
                return found

            fake, activations = asked(result, judged_as)
            real, wanted = asked(style, None if mismatch_weight else index)
            learned_from = fake if shown is None else asked(shown.detach(), judged_as)[0]
        mismatch: float | Tensor = 0.0
        if mismatch_weight:
            others = [torch.cat([logits[:, :index], logits[:, index + 1 :]], 1) for logits in real]
            real = [logits[:, index : index + 1] for logits in real]
            mismatch = mean([loss_d(own.detach(), other) for own, other in zip(real, others, strict=True)])
        if self.probability is not None:
            self.probability.observe(real)

        def penalty(real: Tensor, fake: Tensor, share: Tensor) -> Tensor:
            kind = PENALTIES[self._adversarial.penalty]
            return kind(lambda image: judge(image, index)[0], real, fake, share)

        def penalise(draw: torch.Generator) -> Tensor:
            share = torch.rand(len(style), 1, 1, 1, generator=draw).to(style.device)
            value: Tensor = self.passes(penalty, style, result.detach(), share).mean()
            return value

        return Verdict(
            judge,
            mean([loss_g(*logits) for logits in zip(real, fake, strict=True)]),
            mean([loss_d(*logits) for logits in zip(real, learned_from, strict=True)])
            + mismatch_weight * mismatch,
            *(real, fake, activations, wanted),
            penalise,
        )

    def learn(
        self,
        loss: Tensor,
        verdicts: Sequence[Verdict],
        progress: float,
        images_seen: int,
        rng: torch.Generator,
    ) -> dict[str, Tensor]:
        """One step of every network: the generator's from `loss`, the discriminators' from their verdicts.

        Gradients of each reach that network alone. Returns loss parts.
        """
        scaled = self.scaler.scale
        self.optimizer_g.zero_grad(set_to_none=True)
        scaled(loss).backward(inputs=_parameters(self.optimizer_g), retain_graph=True)
        self.optimizer_d.zero_grad(set_to_none=True)
        config, batch = self._adversarial, len(verdicts[0].real[0])
        for verdict in verdicts:
            scaled(verdict.loss_d).backward(
                inputs=list(verdict.discriminator.parameters()), retain_graph=True
            )
            if config.penalty_weight and (images_seen // batch) % config.penalty_every == 0:
                scaled(config.penalty_weight * config.penalty_every * verdict.penalise(rng)).backward()
        self._step([self.optimizer_g, self.optimizer_d], batch, progress, images_seen)
        return {
            "discriminator": mean([verdict.loss_d.detach() for verdict in verdicts]),
            "real_logit": mean([logit.detach().mean() for logit in verdicts[0].real]),
            "fake_logit": mean([logit.detach().mean() for logit in verdicts[0].fake]),
        }

    def autoencode(
        self,
        pictures: Tensor,
        index: int,
        progress: float,
        images_seen: int,
        rng: torch.Generator,
    ) -> dict[str, Tensor]:
        """One step of the generator alone: paint pictures as they are. Returns loss parts.

        `pictures`: a batch of contents and one of style pictures together, in style `index`.
        """
        painted = self.passes(
            lambda some, grain: self.generator(some, self.generator.styles[index : index + 1], grain),
            *(pictures, draw_grain(pictures, rng)),
        )
        loss = (painted - pictures).abs().mean()
        self.learn_alone(loss, len(pictures) // 2, progress, images_seen)
        return {"autoencoding": loss.detach()}

    def learn_alone(self, loss: Tensor, batch: int, progress: float, images_seen: int) -> None:
        """One step of the generator, from a loss that no discriminator has a part in."""
        self.optimizer_g.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self._step([self.optimizer_g], batch, progress, images_seen)

    def _step(
        self, optimizers: list[torch.optim.Optimizer], batch: int, progress: float, images_seen: int
    ) -> None:
        set_lrs(self.optimizer_g, self.optimizer_d, self._optimizing, progress, images_seen, self.lr_factor)
        for optimizer in optimizers:
            self.passes.processes.average_gradients(_parameters(optimizer))
        self.scaler.step(*optimizers)
        decay = ema_decay(images_seen, batch, self._optimizing.ema_half_life)
        for copied, network in self._averaged:
            average(copied, network, decay)

    def _augmented(self, pictures: Tensor, rng: torch.Generator) -> Tensor:
        probability = 1.0 if self.probability is None else float(self.probability.probability)
        return augment(pictures, self._augmentations, rng, probability)


def place(network: nn.Module, device: torch.device) -> list[nn.Parameter]:
    """Move a network to the device, kernels in the channels-last layout; returns what can learn."""
    network.to(device)
    for parameter in network.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


@torch.no_grad()
def average(into: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the parameters of `into` towards those of `network`."""
    torch._foreach_lerp_(list(into.parameters()), list(network.parameters()), 1.0 - decay)


def mean(values: list[Tensor]) -> Tensor:
    """The mean of numbers."""
    return torch.stack(values).mean()


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]
