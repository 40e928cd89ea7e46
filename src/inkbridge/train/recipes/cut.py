"""Recipe `cut`: one-sided translation from few pictures.

Adversarial loss, so that results look like the style; patch-contrastive loss (Park et al. 2020), so that
each place still shows what it showed; a sliced Wasserstein term that pulls palette and contrast over
quickly; the same distance between the discriminator's activations, which carries its opinion on whole
distributions of patches; affinity, against halos; optionally redrawing (`with_disguised`).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from inkbridge.errors import ConfigError
from inkbridge.train import losses
from inkbridge.train.augment import augment, disguise
from inkbridge.train.memory import Memory
from inkbridge.train.networks.discriminator import Discriminator, DiscriminatorConfig
from inkbridge.train.networks.generator import Generator, GeneratorConfig, draw_grain
from inkbridge.train.networks.projection import ProjectionHeads, sample_positions
from inkbridge.train.regularizers import r1_penalty
from inkbridge.train.schedule import ema_decay, ramp, warm_up


@dataclass
class LossConfig:
    """Weights of the generator's losses."""

    adversarial: str = "non-saturating"
    adversarial_weight: float = 1.0
    r1_weight: float = 0.001
    """Weight of the discriminator's R1 gradient penalty; 0 leaves it out. Twenty times this kept it from
    learning at all to tell a mesh from brushwork."""
    r1_every: int = 16
    """Discriminator updates between penalties; each counts that many times (Karras et al. 2020)."""
    content_weight: float = 0.3
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
    affinity_weight: float = 4.0
    """Weight of the affinity loss: what is of one colour in the content stays of one colour."""
    redraw_weight: float = 0.0
    """Weight of redrawing: how far a style picture's lines, painted from its disguise, are from its own. With
    0 such pictures are left out of the updates."""


@dataclass
class OptimizerConfig:
    """Adam with two time scales (Heusel et al. 2017).

    The discriminator learns four times as fast: at equal rates it stayed at chance while the generator
    painted a mesh that the same discriminator, against a generator held still, found within 100 updates.
    """

    generator_lr: float = 3e-4
    discriminator_lr: float = 1.2e-3
    betas: tuple[float, float] = (0.5, 0.99)
    decay_from: float = 0.5
    """Share of training after which learning rates fall in a straight line: the generator's to a
    twentieth, the discriminator's to a quarter, so that what is left of the mesh is found and removed."""
    warm_up_images: int = 500
    generator_warm_up_images: int = 500
    """Many more where the generator starts from a pack and the discriminator from nothing: a generator that
    follows at full speed never lets it get ahead."""
    ema_half_life: float = 2000.0
    """Images after which a weight counts half in the averaged generator."""


@dataclass
class CutConfig:
    """Everything that recipe `cut` can be told."""

    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    losses: LossConfig = field(default_factory=LossConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    projection: int = 128
    augmentations: tuple[str, ...] = ("resample",)


@dataclass
class Choice:
    """The style of an update."""

    style: int = 0
    from_one_picture: bool = False
    """Whether all crops of the style come from one picture."""
    fused_with: int | None = None
    """A second style, of which the result is to have `share`."""
    share: float = 0.0


Memories = tuple[Memory, Memory, Memory]
"""Of results, of style pictures and of contents."""


class Cut:
    """Networks, optimizers and the two updates.

    Pictures are N x 3 x H x W in [-1, 1]; `progress` runs from 0 to 1; `rng` is a CPU generator that the
    loop seeds anew for each update.
    """

    config_class = CutConfig

    def __init__(self, config: CutConfig, device: torch.device, num_styles: int = 1) -> None:
        """Raises ConfigError for more than one style."""
        if num_styles != 1:
            raise ConfigError(
                f"Recipe cut learns one style, not {num_styles}. For several: --set recipe=multistyle"
            )
        self.config = config
        self.generator = Generator(config.generator)
        self.discriminator = Discriminator(config.discriminator)
        self.heads = ProjectionHeads(self.generator.feature_channels, config.projection)
        place(self.generator, self.discriminator, self.heads, device=device)
        self.result_memory = Memory(config.losses.memory)
        self.style_memory = Memory(config.losses.memory)
        self.content_memory = Memory(config.losses.memory)
        self.generator_ema = copy.deepcopy(self.generator).requires_grad_(False)
        opt = config.optimizer
        self._learned_by_generator = [*self.generator.parameters(), *self.heads.parameters()]
        self.optimizer_g = torch.optim.Adam(
            self._learned_by_generator,
            lr=opt.generator_lr,
            betas=opt.betas,
            fused=True,
        )
        self.optimizer_d = torch.optim.Adam(
            self.discriminator.parameters(), lr=opt.discriminator_lr, betas=opt.betas, fused=True
        )
        self.loss_d, self.loss_g = losses.ADVERSARIAL[config.losses.adversarial]

    def modules(self) -> dict[str, nn.Module]:
        """What a checkpoint holds, by name."""
        return {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "heads": self.heads,
            "generator_ema": self.generator_ema,
            "result_memory": self.result_memory,
            "style_memory": self.style_memory,
            "content_memory": self.content_memory,
        }

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Optimizers whose state a checkpoint holds, by name."""
        return {"generator": self.optimizer_g, "discriminator": self.optimizer_d}

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
        """One step of all networks; returns (results, loss parts).

        Generator and discriminator both learn from the same two passes through the discriminator, as it
        was before the step.
        """
        config, code = self.config.losses, self.generator.styles
        content, num = with_disguised(content, style, config, rng)
        result, keys = self.generator.with_features(content, code, draw_grain(content, rng))
        painted, keys = result[:num], [key[:num] for key in keys]
        with parametrize.cached():  # one power iteration for both passes
            fake, activations = self.discriminator(augment(result, self.config.augmentations, rng))
            real, wanted = self.discriminator(augment(style, self.config.augmentations, rng))

        parts = {
            "adversarial": mean([self.loss_g(logit) for logit in fake]),
            "content": content_loss(self.generator, self.heads, keys, painted, config.content_places, rng),
        }
        if config.activation_weight:
            parts["activation"] = losses.sliced_activations(activations, wanted, rng)
        if config.texture_weight:
            memories = self.result_memory, self.style_memory, self.content_memory
            parts["texture"] = texture_loss(painted, content[:num], style, memories, rng)
        loss = config.adversarial_weight * parts["adversarial"]
        loss = loss + config.content_weight * parts["content"]
        loss = loss + config.activation_weight * parts.get("activation", 0.0)
        loss = loss + config.texture_weight * parts.get("texture", 0.0)
        if config.affinity_weight:
            parts["affinity"] = losses.affinity(painted, content[:num])
            loss = loss + config.affinity_weight * parts["affinity"]
        if num < len(content):
            parts["redraw"] = losses.redraw(result[num:], style[num:])
            loss = loss + config.redraw_weight * parts["redraw"]
        self.optimizer_g.zero_grad(set_to_none=True)
        loss.backward(inputs=self._learned_by_generator, retain_graph=True)

        self.optimizer_d.zero_grad(set_to_none=True)
        penalised = bool(config.r1_weight) and (images_seen // len(style)) % config.r1_every == 0
        parts |= discriminator_gradients(
            self.discriminator, self.loss_d, real, fake, style, 0, config if penalised else None
        )

        opt = self.config.optimizer
        set_lrs(self.optimizer_g, self.optimizer_d, opt, progress, images_seen)
        self.optimizer_g.step()
        self.optimizer_d.step()
        decay = ema_decay(images_seen, len(content), opt.ema_half_life)
        average(self.generator_ema, self.generator, decay)
        return result.detach(), {name: part.detach() for name, part in parts.items()}


def with_disguised(
    content: Tensor, style: Tensor, config: LossConfig, rng: torch.Generator
) -> tuple[Tensor, int]:
    """Contents of which the second half gave way to style pictures in disguise, and how many are left.

    Those have the colours of contents and not their own finest lines, and are to be painted as they were.
    """
    num = len(content) - (len(content) // 2 if config.redraw_weight else 0)
    disguised = disguise(style[num:], content[num:], rng) if num < len(content) else content[num:]
    return torch.cat([content[:num], disguised]), num


def content_loss(
    generator: Generator,
    heads: ProjectionHeads,
    keys: list[Tensor],
    result: Tensor,
    places: int,
    rng: torch.Generator,
) -> Tensor:
    """Patch-contrastive loss between the generator's features of contents (`keys`) and of results."""
    queries = generator.features(result)
    positions = sample_positions(queries, places, rng)
    with torch.no_grad():
        key_vectors = heads(keys, positions)
    query_vectors = heads(queries, positions)
    return mean([losses.patch_nce(query, key) for query, key in zip(query_vectors, key_vectors, strict=True)])


def texture_loss(
    result: Tensor,
    content: Tensor,
    style: Tensor,
    memories: Memories,
    rng: torch.Generator,
    fused_with: losses.Fusion | None = None,
) -> Tensor:
    """Sliced Wasserstein distance of results from style pictures, both joined to what is remembered.

    Results of a fusion are not remembered.
    """
    results, styles, contents = memories
    levels = losses.laplacian_pyramid(result, 4)
    with torch.no_grad():
        styles.add(losses.laplacian_pyramid(style, 4))
        contents.add(losses.laplacian_pyramid(content, 4))
    directions = [losses.random_directions(3 * 5 * 5, 40, rng).to(result.device) for _ in levels]
    loss = losses.sliced_wasserstein(
        levels, styles.levels(), directions, rng, results.levels(), fused_with, contents.levels()
    )
    if fused_with is None:
        results.add(levels)
    return loss


def place(*networks: nn.Module, device: torch.device) -> None:
    """Move networks to the device, kernels in the channels-last layout."""
    for network in networks:
        network.to(device)
        for parameter in network.parameters():
            if parameter.dim() == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)


def discriminator_gradients(
    discriminator: Discriminator,
    loss_d: losses.DiscriminatorLoss,
    real: list[Tensor],
    fake: list[Tensor],
    style: Tensor,
    index: int,
    penalty: LossConfig | None,
) -> dict[str, Tensor]:
    """Add the discriminator's gradients for the logits of both sides; returns loss parts.

    With `penalty` also those of R1 on the pictures of style `index`, without augmentation.
    """
    loss = mean([loss_d(*logits) for logits in zip(real, fake, strict=True)])
    loss.backward(inputs=list(discriminator.parameters()))
    if penalty is not None:
        style = style.detach().requires_grad_(True)
        r1 = r1_penalty(style, discriminator(style, index)[0])
        (0.5 * penalty.r1_weight * penalty.r1_every * r1).backward()
    return {
        "discriminator": loss,
        "real_logit": mean([logit.mean() for logit in real]),
        "fake_logit": mean([logit.mean() for logit in fake]),
    }


def set_lrs(
    optimizer_g: torch.optim.Optimizer,
    optimizer_d: torch.optim.Optimizer,
    config: OptimizerConfig,
    progress: float,
    images_seen: int,
) -> None:
    """Warm-up, plateau and a straight line down, for both networks."""
    for optimizer, lr, warm_up_images, final in (
        (optimizer_g, config.generator_lr, config.generator_warm_up_images, 0.05),
        (optimizer_d, config.discriminator_lr, config.warm_up_images, 0.25),
    ):
        factor = ramp(progress, config.decay_from, 1.0, final) * warm_up(images_seen, warm_up_images)
        for group in optimizer.param_groups:
            group["lr"] = lr * factor


@torch.no_grad()
def average(into: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the parameters of `into` towards those of `network`."""
    torch._foreach_lerp_(list(into.parameters()), list(network.parameters()), 1.0 - decay)


def mean(values: list[Tensor]) -> Tensor:
    """The mean of numbers."""
    return torch.stack(values).mean()
