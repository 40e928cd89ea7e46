"""How the pictures of an update go through a network: at once or a few at a time, in one process or several.

Losses that compare distributions need the whole batch, so gradients cannot simply be added up over parts
of it. Instead the network alone works part by part and forgets what it would need for its gradients; the
backward pass works it out again, part by part (gradient checkpointing: Chen et al. 2016, "Training deep nets
with sublinear memory cost"). The update is that of the whole batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from inkbridge.train.processes import Processes


class Passes:
    """Calls networks on whole batches."""

    def __init__(self, at_once: int = 0, processes: Processes | None = None) -> None:
        """`at_once`: pictures that a network sees together; 0 for all, with everything remembered."""
        self.at_once, self.processes = at_once, processes or Processes()

    def __call__(self, network: Callable[..., Any], *batches: Tensor) -> Any:
        """`network(*batches)`: batches of N x ... -> a batch, or a list or tuple of such."""
        shares = [self.processes.share(batch) for batch in batches]
        num = len(batches[0])
        if not self.at_once:
            return _joined([network(*shares)], lambda parts: self.processes.gather(parts[0], num))
        parts = [
            checkpoint(network, *[share[i : i + self.at_once] for share in shares], use_reentrant=False)
            for i in range(0, len(shares[0]), self.at_once)
        ]
        return _joined(parts, lambda parts: self.processes.gather(torch.cat(parts), num))


def _joined(parts: list[Any], join: Callable[[list[Tensor]], Tensor]) -> Any:
    if isinstance(parts[0], Tensor):
        return join(parts)
    return type(parts[0])(_joined(list(inner), join) for inner in zip(*parts, strict=True))
