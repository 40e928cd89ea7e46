"""Which number format is faster here: measured, because it cannot be known.

On processors with bfloat16 instructions it halves the time of a step; without them PyTorch emulates it
and a step takes 10 to 25 times longer (measured on an AVX2 machine).
"""

from __future__ import annotations

import time

import torch
import torch.nn.functional as F


def resolve_precision(wanted: str, device: torch.device) -> str:
    """ "float32" or "bfloat16"; "auto" times one convolution in both."""
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    bfloat16, float32 = _seconds(torch.bfloat16), _seconds(torch.float32)
    return "bfloat16" if bfloat16 < 0.9 * float32 else "float32"


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
