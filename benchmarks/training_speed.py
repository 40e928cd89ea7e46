"""Images a second of the default recipe against CycleGAN's networks with the same losses, one run.

    python benchmarks/training_speed.py

Both do the whole step of recipe `cut` (adversarial, patch-contrastive, activation and texture loss, both
updates; without the R1 penalty of every sixteenth step; batch 4). The baseline is plain: eager, float32,
contiguous layout, ResNet-9 generator and its 70 x 70 patch discriminator. "generator alone exchanged"
keeps our discriminator in the baseline.
"""

from __future__ import annotations

import time

import torch

from inkbridge.train.networks.projection import ProjectionHeads
from inkbridge.train.recipes.cut import Cut, CutConfig
from resnet9 import PatchGAN70, ResNet9

BATCH = 4


def baseline(exchange_discriminator: bool) -> Cut:
    """Recipe `cut` with the published networks put in its places."""
    recipe = Cut(CutConfig(), torch.device("cpu"))
    recipe.generator = ResNet9()
    recipe.heads = ProjectionHeads(recipe.generator.feature_channels, 256)
    if exchange_discriminator:
        recipe.discriminator = PatchGAN70()
    recipe.discriminator.to(memory_format=torch.contiguous_format)
    recipe.generator_ema = ResNet9().requires_grad_(False)
    recipe.optimizer_g = torch.optim.Adam(
        [*recipe.generator.parameters(), *recipe.heads.parameters()], lr=2e-4
    )
    recipe.optimizer_d = torch.optim.Adam(recipe.discriminator.parameters(), lr=2e-4)
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
        result, _ = recipe.update_generator(content, style, 0.5, 1000, rng)
        recipe.update_discriminator(result, style, 0.5, 1000, rng)
        times.append(time.perf_counter() - start)
    return min(times[1:]) / BATCH


def main() -> None:
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, batch {BATCH}, best step")
    for size in (128, 256):
        ours = seconds_per_image(Cut(CutConfig(), torch.device("cpu")), size, 8, torch.channels_last)
        published = seconds_per_image(baseline(True), size, 2, torch.contiguous_format)
        exchanged = seconds_per_image(baseline(False), size, 2, torch.contiguous_format)
        print(
            f"{size} px: ours {ours * 1e3:.0f} ms an image; CycleGAN's networks "
            f"{published * 1e3:.0f} ms, ratio {published / ours:.1f}; generator alone exchanged "
            f"{exchanged * 1e3:.0f} ms, ratio {exchanged / ours:.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
