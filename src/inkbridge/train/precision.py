"""Which number format is faster here: measured, because it cannot be known.

On processors with bfloat16 instructions it halves the time of a step; without them PyTorch emulates it
and a step takes 10 to 25 times longer (measured on an AVX2 machine).
"""

from __future__ import annotations

import time
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def resolve_precision(wanted: str, device: torch.device) -> str:
    """ "float32", "bfloat16" or "float16"; "auto" times one convolution in the first two.

    GPUs without bfloat16 have float16, whose range is so small that losses are scaled (Micikevicius et al.
    2018, "Mixed precision training", section 3.2; `Recipe.scaler`).
    """
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"
    bfloat16, float32 = _seconds(torch.bfloat16), _seconds(torch.float32)
    return "bfloat16" if bfloat16 < 0.9 * float32 else "float32"


def mixed(precision: str, device: torch.device) -> torch.autocast:
    """In its context networks work in that format, parameters and losses stay in float32."""
    half = torch.float16 if precision == "float16" else torch.bfloat16
    return torch.autocast(device.type, half, enabled=precision != "float32")


def _seconds(dtype: torch.dtype) -> float:
    x = torch.ones(1, 64, 32, 32, dtype=dtype).contiguous(memory_format=torch.channels_last)
    weight = torch.ones(64, 64, 3, 3, dtype=dtype)
    times = []
    with torch.no_grad():
        for _ in range(4):
            start = time.perf_counter()
            F.conv2d(x, weight, padding=1)
            times.append(time.perf_counter() - start)
    return min(times[1:])


class LossScaler(nn.Module):
    """Multiplies losses so that gradients do not vanish in float16, and divides it out before the step.

    Does nothing until `start`. A step whose gradients are not finite is left out, and the factor halved.
    """

    def __init__(self) -> None:
        super().__init__()
        self._scaler = torch.amp.GradScaler(enabled=False)

    def start(self, device: torch.device) -> None:
        """Before the first update."""
        self._scaler = torch.amp.GradScaler(device.type)

    def scale(self, loss: Tensor) -> Tensor:
        """The loss to call `backward` of."""
        scaled: Tensor = self._scaler.scale(loss)
        return scaled

    def step(self, *optimizers: torch.optim.Optimizer) -> None:
        """One step of each; after it gradients are those of the losses as they were."""
        for optimizer in optimizers:
            if self._scaler.is_enabled():
                self._scaler.unscale_(optimizer)
            self._scaler.step(optimizer)
        self._scaler.update()

    def get_extra_state(self) -> dict[str, Any]:
        """What `state_dict` holds."""
        return self._scaler.state_dict()

    def set_extra_state(self, state: Any) -> None:
        """What `load_state_dict` puts back."""
        if state:
            self._scaler.load_state_dict(state)
