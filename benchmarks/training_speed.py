"""Images a second of the default recipe against CycleGAN's networks with the same losses, one run.

    python benchmarks/training_speed.py

Both do the whole step of recipe `cut` (adversarial, patch-contrastive, activation and texture loss, both
updates; without redrawing and the R1 penalty of every sixteenth step; batch 4). The baseline is plain: eager,
float32, contiguous layout, ResNet-9 generator and its 70 x 70 patch discriminator, both networks updated one
after the other with their own passes. "generator alone exchanged" keeps our discriminator in the baseline;
"with our step" gives the baseline our shared passes.
"""

from __future__ import annotations

import time

import torch
from torch import Tensor

from inkbridge.train import losses
from inkbridge.train.adversarial import ADVERSARIAL
from inkbridge.train.augment import augment
from inkbridge.train.networks.discriminator import DiscriminatorConfig
from inkbridge.train.networks.generator import GeneratorConfig
from inkbridge.train.parts import content_loss, texture_loss
from inkbridge.train.recipe import Choice, average
from inkbridge.train.recipes.cut import Cut, CutConfig, LossConfig

BATCH = 4


class Plain(Cut):
    """The losses of recipe `cut` in the usual two updates, each with its own passes."""

    def update(
        self,
        content: Tensor,
        style: Tensor,
        choice: Choice,
        progress: float,
        images_seen: int,
        rng: torch.Generator,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        names, weights = self.config.augmentations, self.config.losses
        loss_d, loss_g = ADVERSARIAL[weights.adversarial]
        self.discriminator.requires_grad_(False)
        result, keys = self.generator.with_features(content, self.generator.styles)
        logits, activations = self.discriminator(augment(result, names, rng))
        with torch.no_grad():
            real, wanted = self.discriminator(augment(style, names, rng))
        loss = torch.stack([loss_g(*pair) for pair in zip(real, logits, strict=True)]).mean()
        loss = loss + weights.content_weight * content_loss(
            self.generator, self.heads, keys, result, weights.content_places, rng
        )
        loss = loss + weights.activation_weight * losses.sliced_activations(activations, wanted, rng)
        loss = loss + weights.texture_weight * texture_loss(
            result, content, style, (self.result_memory, self.style_memory, self.content_memory), rng
        )
        self.optimizer_g.zero_grad()
        loss.backward()
        self.optimizer_g.step()
        average(self.generator_ema, self.generator, 0.999)

        self.discriminator.requires_grad_(True)
        real = self.discriminator(augment(style, names, rng))[0]
        fake = self.discriminator(augment(result.detach(), names, rng))[0]
        loss = torch.stack([loss_d(*pair) for pair in zip(real, fake, strict=True)]).mean()
        self.optimizer_d.zero_grad()
        loss.backward()
        self.optimizer_d.step()
        return result.detach(), {}


def baseline(exchange_discriminator: bool, kind: type[Cut] = Plain) -> Cut:
    """Recipe `cut` with the published networks put in its places."""
    config = CutConfig(generator=GeneratorConfig(kind="resnet9", width=64), projection=256)
    config.losses.redraw_weight = 0.0
    if exchange_discriminator:
        config.discriminator = DiscriminatorConfig(kind="patch", width=64)
    recipe = kind(config, torch.device("cpu"))
    for network in recipe.modules().values():
        network.to(memory_format=torch.contiguous_format)
    return recipe


def seconds_per_image(recipe: Cut, size: int, steps: int, layout: torch.memory_format) -> float:
    """Best of `steps` whole steps, after one to warm up."""
    rng = torch.Generator().manual_seed(0)
    content, style = (
        torch.rand(BATCH, 3, size, size, generator=rng).mul(2).sub(1).contiguous(memory_format=layout)
        for _ in range(2)
    )
    times = []
    for _ in range(steps + 1):
        start = time.perf_counter()
        recipe.update(content, style, Choice(), 0.5, 1000, rng)
        times.append(time.perf_counter() - start)
    return min(times[1:]) / BATCH


def main() -> None:
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, batch {BATCH}, best step")
    for size in (128, 256):
        plain = CutConfig(losses=LossConfig(redraw_weight=0.0))
        ours = seconds_per_image(Cut(plain, torch.device("cpu")), size, 8, torch.channels_last)
        published = seconds_per_image(baseline(True), size, 2, torch.contiguous_format)
        exchanged = seconds_per_image(baseline(False), size, 2, torch.contiguous_format)
        shared = seconds_per_image(baseline(True, Cut), size, 2, torch.contiguous_format)
        print(
            f"{size} px: ours {ours * 1e3:.0f} ms an image; CycleGAN's networks "
            f"{published * 1e3:.0f} ms, ratio {published / ours:.1f}; generator alone exchanged "
            f"{exchanged * 1e3:.0f} ms, ratio {exchanged / ours:.1f}; CycleGAN's networks with our step "
            f"{shared * 1e3:.0f} ms, ratio {shared / ours:.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
