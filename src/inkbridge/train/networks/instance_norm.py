"""Instance normalisation that stays in the channels-last layout in training."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class InstanceNorm(nn.InstanceNorm2d):
    """Each channel of each picture to mean 0 and variance 1; Ulyanov et al. 2017.

    Worked out by `_Normed`: PyTorch's own (2.13) leaves the channels-last layout, so that every convolution
    converts what it is given, half of a step; and it misreads the gradient of a single picture that comes in
    that layout, as at the end of a residual block: networks learned from noise there, without a word.
    """

    def forward(self, input: Tensor) -> Tensor:
        if torch.onnx.is_in_onnx_export():
            return super().forward(input)
        normed: Tensor = _Normed.apply(input, self.eps)
        return normed


class _Normed(torch.autograd.Function):
    """(x - mean) / sqrt(variance + eps) of each channel of each picture, channels last."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, eps: float) -> Tensor:
        n, c, h, w = x.shape
        rows = x.contiguous(memory_format=torch.channels_last)
        normed, mean, rstd = torch.native_group_norm(rows, None, None, n, c, h * w, c, eps)
        ctx.save_for_backward(x, mean, rstd)  # not the result, in which an activation may work in place
        ctx.eps = eps
        return normed

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        x, mean, rstd = ctx.saved_tensors
        gradient = gradients[0].contiguous(memory_format=torch.channels_last)
        if torch.is_grad_enabled():  # a gradient penalty, which is differentiated once more
            variance, middle = torch.var_mean(x, (2, 3), correction=0, keepdim=True)
            again = (x - middle) * torch.rsqrt(variance + ctx.eps)
            return torch.autograd.grad(again, x, gradient, create_graph=True)[0], None
        x = x.contiguous(memory_format=torch.channels_last)
        mean, scale = (number.view(*x.shape[:2], 1, 1) for number in (mean, rstd))
        shift = _mean_place(gradient)
        along = scale.square() * (_mean_place(gradient * x) - mean * shift)
        found = torch.addcmul(gradient, x, along.to(x.dtype), value=-1)
        found.sub_((shift - along * mean).to(x.dtype)).mul_(scale.to(x.dtype))
        return found, None


def _mean_place(x: Tensor) -> Tensor:
    # Row by row of channels: torch's mean over height and width takes several times as long in this layout.
    n, c, h, w = x.shape
    wide = torch.promote_types(x.dtype, torch.float32)
    total = x.permute(0, 2, 3, 1).reshape(n, h * w, c).sum(1, dtype=wide)
    return (total / (h * w)).view(n, c, 1, 1)
