"""What training costs, before it starts: parameters, operations, memory, images a second."""

from __future__ import annotations

import copy
import math
import resource
import time
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from inkbridge.errors import ConfigError
from inkbridge.train.config import TrainConfig
from inkbridge.train.networks.generator import draw_grain
from inkbridge.train.networks.published import UNet
from inkbridge.train.precision import mixed
from inkbridge.train.recipe import Recipe
from inkbridge.train.recipes import RECIPES

LEAST_CROP = 48
ASIDE = 100_000_000
"""Bytes of a process that are not for updates: measuring, samples, curves, logs. Of seven recipes five took
0.1 to 0.3 GB more than was said without it."""


@dataclass
class Cost:
    """What a run costs on this machine."""

    generator_parameters: int
    learned_parameters: int
    """Of all networks that learn."""
    operations_per_pixel: int
    """Multiplications with addition in the generator, per pixel painted."""
    memory: int
    """Bytes that training takes: on a CPU the whole process, on a GPU without PyTorch itself."""
    images_per_second: float
    """Of all processes together."""
    at_once: int
    """Pictures that a network sees together, so that memory suffices; 0 for all."""

    def sentence(self) -> str:
        """For people."""
        return (
            f"Generator: {self.generator_parameters / 1e6:.2f} M parameters, "
            f"{self.operations_per_pixel / 1e3:.1f} k operations a pixel; all networks that learn: "
            f"{self.learned_parameters / 1e6:.2f} M. Memory: about {self.memory / 1e9:.2f} GB. "
            f"Speed: about {self.images_per_second:.3g} images/s."
            + (
                f" Networks see {self.at_once} pictures at once, so that memory suffices."
                if self.at_once
                else ""
            )
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
    recipe = make(config.model, device, num_styles)
    if config.precision == "float16":
        recipe.scale_losses()
    return recipe


def measure_cost(recipe: Recipe, config: TrainConfig, device: torch.device, num_processes: int = 1) -> Cost:
    """Count, and time updates of a copy of the recipe, by one process's share of a batch.

    Where memory does not suffice networks see fewer pictures at once, as few as it takes. Raises ConfigError
    when they cannot, most often before anything large is allocated.
    """
    batch = math.ceil(config.model.batch / num_processes)
    learned, needed = _learned(recipe), _bytes(recipe, 2)
    for at_once in _fewer_and_fewer(config, batch):
        trial = copy.deepcopy(recipe)
        trial.passes.at_once = at_once
        try:
            needed = _forecast(trial, config, device, batch)
            if needed > _free_memory(device):
                continue
            seconds, memory = _try_out(trial, config, device, batch)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            continue
        return Cost(
            sum(p.numel() for p in recipe.generator.parameters()),
            sum(p.numel() for p in learned),
            _operations(trial, device, _least_crop(recipe)),
            memory,
            config.model.batch / seconds,
            at_once,
        )
    raise ConfigError(
        f"An update would need about {needed / 1e9:.1f} GB of memory, and "
        f"{_free_memory(device) / 1e9:.1f} GB are free. Lower batch (= {config.model.batch}) or data.crop "
        f"(= {config.data.crop}), or take a smaller --size."
    )


def is_out_of_memory(error: Exception) -> bool:
    """Whether an update ended because memory ran out."""
    signs = ("out of memory", "can't allocate memory", "bad_alloc", "could not create a memory object")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(
        sign in str(error) for sign in signs
    )


def _fewer_and_fewer(config: TrainConfig, batch: int) -> Iterator[int]:
    """What to try for `at_once`."""
    yield config.model.at_once
    if not config.model.discriminator.spectral_norm:
        fewer = min(config.model.at_once or 2 * batch, 2 * batch)
        while fewer > 1:
            fewer //= 2
            yield fewer


def _forecast(recipe: Recipe, config: TrainConfig, device: torch.device, batch: int) -> int:
    """About the bytes of networks, optimizers and an update, from updates of few and little pictures."""
    num, at_once = min(batch, 2), recipe.passes.at_once
    small, large = (factor * _least_crop(recipe) for factor in (1, 2))

    def most(remembered_parts: int, crop: int) -> int:
        trial = copy.deepcopy(recipe)
        trial.passes.at_once = remembered_parts
        with _Alive() as alive:
            _update(trial, config, device, num, crop, with_penalty=True)
        return alive.most

    pixels = batch * config.data.crop**2 - num * small**2
    if pixels <= 0:
        return _bytes(recipe, 2) + most(at_once, small)
    of_network = (most(0, large) - most(0, small)) / (num * (large**2 - small**2))
    if not at_once:
        return _bytes(recipe, 2) + int(most(0, small) + of_network * pixels)
    of_all = (most(num, large) - most(num, small)) / (num * (large**2 - small**2))
    share = min(at_once / batch, 1.0)
    return _bytes(recipe, 2) + int(most(num, small) + (of_all + share * of_network) * pixels)


def _try_out(recipe: Recipe, config: TrainConfig, device: torch.device, batch: int) -> tuple[float, int]:
    """Seconds of an update as they are in training, and the most bytes that it takes."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    before = _resident()
    with _Alive() as alive:
        _update(recipe, config, device, batch, config.data.crop, with_penalty=True)
    start = time.perf_counter()
    _update(recipe, config, device, batch, config.data.crop)
    seconds = time.perf_counter() - start
    if device.type == "cuda":
        return seconds, torch.cuda.max_memory_allocated(device)
    # And a checkpoint, copied before it is written.
    return seconds, before + alive.most + _bytes(recipe, 2) + ASIDE


class _Alive(TorchDispatchMode):
    """The most bytes of tensors made within it that were alive at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.most = self._now = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, tuple | list) else [made]:
            if isinstance(tensor, Tensor):
                self._note(tensor.untyped_storage())
        return made

    def _note(self, storage: torch.UntypedStorage) -> None:
        place, size = storage._cdata, storage.nbytes()
        if place not in self._known:
            self._known.add(place)
            self._now += size
            self.most = max(self.most, self._now)
            weakref.finalize(storage, self._forget, place, size)

    def _forget(self, place: int, size: int) -> None:
        self._known.discard(place)
        self._now -= size


def _resident() -> int:
    """Bytes of memory that this process has; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * resource.getpagesize()


def _least_crop(recipe: Recipe) -> int:
    return UNet.multiple if isinstance(recipe.generator, UNet) else LEAST_CROP


def _learned(recipe: Recipe) -> list[nn.Parameter]:
    return [p for opt in recipe.optimizers().values() for g in opt.param_groups for p in g["params"]]


def _state(recipe: Recipe) -> int:
    """Bytes of networks, gradients and the two moments that an optimizer keeps."""
    return _bytes(recipe, 3)


def _bytes(recipe: Recipe, times: int) -> int:
    """Of all networks, and of what learns so many times more."""
    kept = [t for m in recipe.modules().values() for t in [*m.parameters(), *m.buffers()]]
    return sum(t.numel() * t.element_size() for t in [*kept, *(times * _learned(recipe))])


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
    with mixed(config.precision, device):
        _, parts = recipe.update(content, style, choice, 0.0, 0 if with_penalty else batch, rng)
    float(next(iter(parts.values())))  # waits for a GPU


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
