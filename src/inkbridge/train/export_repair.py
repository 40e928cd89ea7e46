"""A run of recipe `repair` becomes a repair pack: both networks as ONNX, compared with PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from inkbridge.engine import THUMBNAIL, RepairEngine
from inkbridge.errors import TrainingError
from inkbridge.train.networks.repairer import Repairer, ToneNets, tone_nets
from inkbridge.train.onnx_file import MAX_DIFFERENCE, rounded, to_file, with_half_weights


class _Exported(nn.Module):
    """A repairer whose second output is a probability."""

    def __init__(self, repairer: Repairer) -> None:
        super().__init__()
        self.repairer = repairer

    def forward(self, image: Tensor, mask: Tensor, filling: Tensor) -> tuple[Tensor, Tensor]:
        result, found = self.repairer.repair(image, mask, filling)
        return result, torch.sigmoid(found)


def repair_networks(repairer: Repairer, state: dict[str, Any], name: str) -> tuple[bytes, bytes, float]:
    """The repairer (image, mask, filling -> result, hidden) and the tone networks (thumbnail -> light, tone)
    as ONNX with half of the precision, and their largest difference from PyTorch networks of the same at two
    sizes; TrainingError when it is above MAX_DIFFERENCE."""
    tone, repairer = rounded(tone_nets(state["modules"]["tone_ema"]).eval()), rounded(repairer)
    mending = _Exported(repairer.frozen())
    wide = {0: "batch", 2: "height", 3: "width"}
    models = (
        to_file(
            mending,
            (torch.rand(2, 3, 64, 96), torch.zeros(2, 1, 64, 96), torch.rand(2, 3, 64, 96)),
            ["image", "mask", "filling"],
            ["result", "hidden"],
            {key: wide for key in ("image", "mask", "filling", "result", "hidden")},
        ),
        to_file(
            tone,
            (torch.rand(2, 3, THUMBNAIL, THUMBNAIL),),
            ["thumbnail"],
            ["light", "tone"],
            {key: {0: "batch"} for key in ("thumbnail", "light", "tone")},
        ),
    )
    mending_model, tone_model = map(with_half_weights, models)
    return mending_model, tone_model, compare_repair(mending_model, tone_model, repairer, tone, name)


def compare_repair(model: bytes, tone_model: bytes, repairer: Repairer, tone: ToneNets, name: str) -> float:
    """Largest difference of both networks as ONNX from PyTorch, at two sizes; TrainingError when it is above
    MAX_DIFFERENCE."""
    engine, mending = RepairEngine(model, tone_model, name, repairer.multiple), _Exported(repairer.frozen())
    largest = 0.0
    for shape in ((1, 128, 128), (2, 80, 208)):
        rng = torch.Generator().manual_seed(0)
        image, filling = (torch.rand(shape[0], 3, *shape[1:], generator=rng) * 2 - 1 for _ in range(2))
        mask = (torch.rand(shape[0], 1, *shape[1:], generator=rng) < 0.1).float()
        small = torch.rand(shape[0], 3, THUMBNAIL, THUMBNAIL, generator=rng) * 2 - 1
        with torch.no_grad():
            expected = [*mending(image, mask, filling), *tone(small)]
        given = [*engine.repair(image.numpy(), mask.numpy(), filling.numpy()), *engine.tone(small.numpy())]
        for ours, theirs in zip(given, expected, strict=True):
            largest = max(largest, float(np.abs(ours - theirs.numpy()).max()))
    if not largest <= MAX_DIFFERENCE:
        raise TrainingError(
            f"{name}: the exported networks differ from the trained ones by {largest:.2g} "
            f"(allowed {MAX_DIFFERENCE}); nothing was written."
        )
    return largest
