"""Every measure of how alike two pictures are, by the name it is shown under."""

from __future__ import annotations

import math
from collections.abc import Callable

from inkbridge.images import RGB
from inkbridge.metrics import fsim, similarity

MEASURES: dict[str, Callable[[RGB, RGB], float]] = {
    "SSIM": similarity.ssim,
    "MS-SSIM": similarity.ms_ssim,
    "FSIM": fsim.fsim,
    "FSIMc": fsim.fsimc,
    "PSNR": similarity.psnr,
    "structure": similarity.structure_correlation,
    "edges": similarity.edge_correlation,
}


def measured(name: str, a: RGB, b: RGB) -> float | None:
    """None for what the pictures are too small for, or for a PSNR that is infinite."""
    try:
        value = MEASURES[name](a, b)
    except ValueError:
        return None
    return round(value, 6) if math.isfinite(value) else None
