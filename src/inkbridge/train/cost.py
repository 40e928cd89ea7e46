"""What training costs, before it starts: parameters, operations, memory, images a second."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from inkbridge.errors import ConfigError
from inkbridge.train.config import TrainConfig
from inkbridge.train.networks.generator import draw_grain
from inkbridge.train.networks.published import UNet
from inkbridge.train.recipe import Recipe
from inkbridge.train.recipes import RECIPES

LEAST_CROP = 48
UNDER_WAY = 1.5
"""Memory of a whole update, in terms of what is kept for gradients: those themselves come on top."""


@dataclass
class Cost:
    """What a run costs on this machine."""

    generator_parameters: int
    learned_parameters: int
    """Of all networks that learn."""
    operations_per_pixel: int
    """Multiplications with addition in the generator, per pixel painted."""
    memory: int
    """Bytes that networks, optimizers and what an update keeps for its gradients take, without PyTorch."""
    images_per_second: float

    def sentence(self) -> str:
        """For people."""
        return (
            f"Generator: {self.generator_parameters / 1e6:.2f} M parameters, "
            f"{self.operations_per_pixel / 1e3:.1f} k operations a pixel; all networks that learn: "
            f"{self.learned_parameters / 1e6:.2f} M. Memory: about {self.memory / 1e9:.2f} GB. "
            f"Speed: about {self.images_per_second:.3g} images/s."
        )


def build(config: TrainConfig, num_styles: int, device: torch.device) -> Recipe:
    """The recipe with its networks, as the seed makes them.

    Raises ConfigError, before anything is allocated, for networks larger than the memory that is free.
    """
    make, meta = RECIPES[config.recipe], torch.device("meta")
    with meta:
        memory = _state(make(config.model, meta, num_styles))
    free = _free_memory(device)
    if memory > free:
        sizes = config.model.generator, config.model.discriminator
        raise ConfigError(
            f"The networks would need about {memory / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are "
            f"free. Lower generator.width (= {sizes[0].width}), generator.body (= {sizes[0].body}) or "
            f"discriminator.width (= {sizes[1].width}), or take a smaller --size."
        )
    torch.manual_seed(config.seed)
    return make(config.model, device, num_styles)


def measure_cost(recipe: Recipe, config: TrainConfig, device: torch.device) -> Cost:
    """Count, and time two updates of a copy of the recipe.

    Raises ConfigError before anything large is allocated when an update needs more memory than is free.
    """
    least = UNet.multiple if isinstance(recipe.generator, UNet) else LEAST_CROP
    num = min(config.model.batch, 2)
    kept = _Kept()
    with torch.autograd.graph.saved_tensors_hooks(kept.pack, lambda tensor: tensor):
        _update(copy.deepcopy(recipe), config, device, num, least, with_penalty=True)
    growth = (config.model.batch / num) * (config.data.crop / least) ** 2
    memory = _state(recipe) + int(UNDER_WAY * kept.bytes * growth)
    free = _free_memory(device)
    if memory > free:
        raise ConfigError(
            f"An update would need about {memory / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free. "
            f"Lower batch (= {config.model.batch}) or data.crop (= {config.data.crop}), "
            "or take a smaller --size."
        )
    trial = copy.deepcopy(recipe)
    _update(trial, config, device, config.model.batch, config.data.crop)
    start = time.perf_counter()
    _update(trial, config, device, config.model.batch, config.data.crop)
    seconds = time.perf_counter() - start
    return Cost(
        sum(p.numel() for p in recipe.generator.parameters()),
        sum(p.numel() for p in _learned(recipe)),
        _operations(trial, device, least),
        memory,
        config.model.batch / seconds,
    )


def _learned(recipe: Recipe) -> list[nn.Parameter]:
    return [p for opt in recipe.optimizers().values() for g in opt.param_groups for p in g["params"]]


def _state(recipe: Recipe) -> int:
    """Bytes of networks, gradients and the two moments that an optimizer keeps."""
    kept = [t for m in recipe.modules().values() for t in [*m.parameters(), *m.buffers()]]
    return sum(t.numel() * t.element_size() for t in [*kept, *(3 * _learned(recipe))])


class _Kept:
    """Bytes of all tensors that were kept for gradients, each counted once."""

    def __init__(self) -> None:
        self.bytes = 0
        self._seen: set[int] = set()

    def pack(self, tensor: Tensor) -> Tensor:
        place = tensor.untyped_storage().data_ptr()
        if place not in self._seen and not isinstance(tensor, nn.Parameter):
            self._seen.add(place)
            self.bytes += tensor.untyped_storage().nbytes()
        return tensor


def _update(
    recipe: Recipe,
    config: TrainConfig,
    device: torch.device,
    batch: int,
    crop: int,
    with_penalty: bool = False,
) -> None:
    rng = torch.Generator().manual_seed(0)
    sides = torch.rand(2, batch, 3, crop, crop, generator=rng).to(device) * 2 - 1
    content, style = (side.contiguous(memory_format=torch.channels_last) for side in sides)
    choice = recipe.choose(0, 0)
    with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
        _, parts = recipe.update(content, style, choice, 0.0, 0 if with_penalty else batch, rng)
    float(parts["adversarial"])  # waits for a GPU


def _operations(recipe: Recipe, device: torch.device, side: int) -> int:
    image = torch.zeros(1, 3, side, side, device=device)
    grain = draw_grain(image, torch.Generator())
    generator = recipe.generator_ema
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        generator(image, generator.styles[:1], grain)
    return int(counter.get_total_flops() / 2 / side**2)


def _free_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:  # not told by this system
        return 1 << 62
    (available,) = (int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    return available * 1024
