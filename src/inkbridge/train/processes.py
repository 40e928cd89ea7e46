"""Several processes that train one run together: started by torchrun, on one machine or many.

Each takes its share of an update's pictures through the networks; what networks make of them is gathered, so
that every process knows the losses of the whole batch, also of those that compare whole distributions, and
gradients are averaged before the step. The parameters are then those that one process alone would have found.

This is data parallelism without `DistributedDataParallel`: that reduces the gradients of one network in one
backward pass, and here two networks learn from the same passes.
"""

from __future__ import annotations

import math
import os
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from inkbridge.errors import ConfigError, TrainingError


class Processes:
    """Which process this is, and what it exchanges with the others; by default it is alone."""

    def __init__(self, rank: int = 0, count: int = 1) -> None:
        self.rank, self.count = rank, count

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes, measures and decides."""
        return self.rank == 0

    def on(self, place: torch.device) -> str:
        """Where training runs, for people."""
        return str(place) if self.count == 1 else f"{self.count} processes on {place.type}"

    def share(self, batch: Tensor) -> Tensor:
        """This process's pictures of a batch: every `count`-th, as many in each process.

        Where they cannot be shared out evenly some are looked at twice; `gather` leaves those out.
        """
        if self.count == 1:
            return batch
        return batch[torch.tensor(self.places(len(batch)), device=batch.device)]

    def places(self, num: int) -> list[int]:
        """Which of a batch of `num` those are."""
        return [(self.rank + i * self.count) % num for i in range(math.ceil(num / self.count))]

    def gather(self, share: Tensor, num: int) -> Tensor:
        """All `num` of a batch from each process's share, with their gradients."""
        if self.count == 1:
            return share
        gathered: Tensor = _Gather.apply(share, self)
        return gathered[:num]

    def average_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Give every parameter the mean of its gradients in all processes.

        What has none here has none anywhere: the passes of all processes are the same.
        """
        if self.count == 1:
            return
        taught = [(p, p.grad) for p in parameters if p.grad is not None]
        flat = torch.cat([gradient.flatten() for _, gradient in taught])
        dist.all_reduce(flat)
        flat /= self.count
        parts = flat.split([p.numel() for p, _ in taught])
        for (parameter, _), part in zip(taught, parts, strict=True):
            # In the parameter's own layout, which fused optimizers take for granted.
            parameter.grad = torch.empty_like(parameter).copy_(part.view_as(parameter))

    def tell(self, value: Any) -> Any:
        """What the leading process gives, in all of them."""
        if self.count == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, device=torch.device("cpu"))
        return values[0]

    def tell_numbers(self, *numbers: float) -> list[float]:
        """The same for numbers, as many in each process, in a fraction of the time."""
        if self.count == 1:
            return list(numbers)
        told = torch.tensor(numbers, dtype=torch.float64)
        dist.broadcast(told, 0)
        return [float(number) for number in told]


class _Gather(torch.autograd.Function):
    """Shares -> the batch. Backward: each process gets the sum of what all of them want of its share."""

    @staticmethod
    def forward(ctx: Any, share: Tensor, processes: Processes) -> Tensor:
        ctx.processes = processes
        parts = [
            torch.empty_like(share, memory_format=torch.contiguous_format) for _ in range(processes.count)
        ]
        dist.all_gather(parts, share.contiguous())
        return torch.stack(parts, 1).flatten(0, 1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        total = gradient.to(torch.promote_types(gradient.dtype, torch.float32)).contiguous()
        dist.all_reduce(total)
        return total[ctx.processes.rank :: ctx.processes.count].to(gradient.dtype), None


def leads() -> bool:
    """Whether this is the process that speaks for all that torchrun started."""
    return int(os.environ.get("RANK", "0")) == 0


@contextmanager
def joined(device: str | None) -> Iterator[tuple[Processes, torch.device]]:
    """The processes that torchrun started, and this one's device.

    Raises TrainingError when another process ends while this one waits for it.
    """
    rank, count = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if count == 1:
        yield Processes(), place
        return
    if place.type == "cuda":
        local = int(os.environ.get("LOCAL_RANK", "0"))
        if local >= torch.cuda.device_count():
            raise ConfigError(
                f"Process {rank} has no GPU of its own: there are {torch.cuda.device_count()}. Start fewer "
                "processes, or give --device cpu."
            )
        place = torch.device("cuda", local)
        torch.cuda.set_device(place)
    dist.init_process_group("cpu:gloo,cuda:nccl" if place.type == "cuda" else "gloo")
    try:
        yield Processes(rank, count), place
    except (dist.DistError, RuntimeError) as error:
        if not _is_of_the_connection(error):
            raise
        # Else the frames of what failed hold the exchange, whose threads may abort the interpreter's end.
        traceback.clear_frames(error.__traceback__)
        raise TrainingError(
            f"Process {rank} of {count} has lost another one, and cannot go on alone. The last checkpoint "
            "stays; the same command goes on from it, also with another number of processes."
        ) from None
    finally:
        dist.destroy_process_group()


def _is_of_the_connection(error: Exception) -> bool:
    if isinstance(error, dist.DistError):
        return True
    said = str(error).lower()
    return any(word in said for word in ("gloo", "connection", "nccl", "socket", "peer"))
