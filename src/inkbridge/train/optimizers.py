"""Optimizers by name, and the learning rates of both networks over a run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from inkbridge.train.schedule import SCHEDULES, warm_up


@dataclass
class OptimizerConfig:
    """How both networks learn.

    With Adam the generator could learn at 3e-4 at most. Where the weights of a kernel agree, as on the
    brightness of a whole picture, it moves them all by as much: results swung from dark to light within 30
    updates, and once they were white everywhere nothing brought them back. Muon moves a kernel in all its
    directions alike.
    """

    name: str = "muon"
    """muon, adam, adamw or rmsprop."""
    generator_lr: float | None = None
    """None: 1e-3 with Muon, 3e-4 with the others."""
    discriminator_lr: float = 1.2e-3
    betas: tuple[float, float] = (0.5, 0.99)
    """Decay of the mean of gradients and of that of their squares; RMSprop and Muon use what they have."""
    schedule: str = "linear"
    """constant, linear or cosine."""
    decay_from: float = 0.5
    """Share of training after which learning rates fall."""
    generator_final: float = 0.05
    """Share of its learning rate that the generator has at the end."""
    discriminator_final: float = 0.25
    """The same for the discriminator: above the generator's, so that what is left of the mesh is found and
    removed."""
    warm_up_images: int = 500
    generator_warm_up_images: int = 500
    """Many more where the generator starts from a pack and the discriminator from nothing: a generator that
    follows at full speed never lets it get ahead."""
    ema_half_life: float = 2000.0
    """Images after which a weight counts half in the averaged generator."""


@dataclass
class PublishedOptimizerConfig(OptimizerConfig):
    """As CycleGAN and its successors were published (Zhu et al. 2017, section 4): one rate for both networks,
    falling to zero over the second half."""

    name: str = "adam"
    generator_lr: float | None = 2e-4
    discriminator_lr: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)
    generator_final: float = 0.0
    discriminator_final: float = 0.0
    warm_up_images: int = 0
    generator_warm_up_images: int = 0


def generator_lr(config: OptimizerConfig) -> float:
    """The generator's learning rate before warm-up and schedule."""
    if config.generator_lr is not None:
        return config.generator_lr
    return 1e-3 if config.name == "muon" else 3e-4


class Muon(torch.optim.Optimizer):
    """Momentum whose matrices are made orthogonal (Jordan et al. 2024, "Muon"), Adam for all else.

    A kernel is taken as the matrix of its output channels by everything else. Each step is as long as one of
    Adam usually is, 0.2 sqrt(max(rows, columns)) (Liu et al. 2025, "Muon is scalable for LLM training",
    section 2.2), so that Adam's learning rates can be kept.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, betas: tuple[float, float]) -> None:
        super().__init__(list(parameters), {"lr": lr, "betas": betas})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One update of every parameter that has a gradient; takes no closure."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    # Recipes step within autocast; squared in bfloat16, small singular values are lost.
                    with torch.autocast(parameter.device.type, enabled=False):
                        self._step(parameter, parameter.grad, group["lr"], group["betas"])

    def _step(self, parameter: Tensor, gradient: Tensor, lr: float, betas: tuple[float, float]) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros(())
            state["mean"], state["square"] = torch.zeros_like(gradient), torch.zeros_like(gradient)
        state["step"] += 1
        if parameter.dim() == 4:
            state["mean"].mul_(0.95).add_(gradient)
            ahead = gradient + 0.95 * state["mean"]  # Nesterov's momentum
            matrix = orthogonal(ahead.flatten(1))
            length = 0.2 * math.sqrt(max(matrix.shape))
            parameter.sub_(matrix.view_as(ahead), alpha=lr * length)
            return
        state["mean"].lerp_(gradient, 1 - betas[0])
        state["square"].lerp_(gradient.square(), 1 - betas[1])
        step = float(state["step"])
        spread = (state["square"] / (1 - betas[1] ** step)).sqrt_().add_(1e-8)
        parameter.addcdiv_(state["mean"], spread, value=-lr / (1 - betas[0] ** step))


def orthogonal(matrix: Tensor, num_steps: int = 5) -> Tensor:
    """About U V^T of U S V^T, by a Newton-Schulz iteration whose singular values end between 0.7 and 1.2.

    x <- (a + b g + c g^2) x with g = x x^T. The factors are polynomials of the first g, so they commute and
    are multiplied up on g alone, the smaller side squared, before x is: for wide kernels 40% of the work.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix / (matrix.norm() + 1e-7)
    tall = x.shape[0] > x.shape[1]
    x = x.t() if tall else x
    gram = x @ x.t()
    eye = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    total = eye
    for _ in range(num_steps):
        factor = torch.addmm(b * gram, gram, gram, alpha=c).add_(eye, alpha=a)
        total = factor @ total
        gram = factor @ gram @ factor
    x = total @ x
    return x.t() if tall else x


def _rmsprop(
    parameters: Iterable[nn.Parameter], lr: float, betas: tuple[float, float]
) -> torch.optim.RMSprop:
    """Tieleman and Hinton 2012; what Wasserstein GANs were first trained with (Arjovsky et al. 2017)."""
    return torch.optim.RMSprop(parameters, lr=lr, alpha=betas[1])


def _adam(parameters: Iterable[nn.Parameter], lr: float, betas: tuple[float, float]) -> torch.optim.Adam:
    """Kingma and Ba 2015."""
    return torch.optim.Adam(parameters, lr=lr, betas=betas, fused=True)


def _adamw(parameters: Iterable[nn.Parameter], lr: float, betas: tuple[float, float]) -> torch.optim.AdamW:
    """Loshchilov and Hutter 2019, with its weight decay of 0.01."""
    return torch.optim.AdamW(parameters, lr=lr, betas=betas, fused=True)


OPTIMIZERS: dict[
    str, Callable[[Iterable[nn.Parameter], float, tuple[float, float]], torch.optim.Optimizer]
] = {"adam": _adam, "adamw": _adamw, "rmsprop": _rmsprop, "muon": Muon}
"""Optimizers by name; each takes (parameters, learning rate, betas)."""


def set_lrs(
    optimizer_g: torch.optim.Optimizer,
    optimizer_d: torch.optim.Optimizer,
    config: OptimizerConfig,
    progress: float,
    images_seen: int,
    lr_factor: float = 1.0,
) -> None:
    """Warm-up and schedule, for both networks, all multiplied by `lr_factor`.

    A group of parameters that has "times" learns at so many times the rate of the others.
    """
    schedule = SCHEDULES[config.schedule]
    for optimizer, lr, warm_up_images, final in (
        (optimizer_g, generator_lr(config), config.generator_warm_up_images, config.generator_final),
        (optimizer_d, config.discriminator_lr, config.warm_up_images, config.discriminator_final),
    ):
        factor = schedule(progress, config.decay_from, final) * warm_up(images_seen, warm_up_images)
        for group in optimizer.param_groups:
            group["lr"] = lr * factor * lr_factor * group.get("times", 1.0)
