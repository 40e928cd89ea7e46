"""Layers of PyTorch in Keras: the same weights, channels last, the same numbers out.

Nothing asks for the size of a tensor, which TensorFlow Lite would forget: pictures are doubled by shuffling
depth into space.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import layers, ops
from torch import nn

from inkbridge.exchange.foreign import BlurredDown, BlurredUp, Johnson, MirroredConv, Wrapped


def layer(name: str, module: nn.Module, x: Any) -> Any:
    """What a module of LAYERS does, and those within it; Keras' layers get the names that lead to theirs."""
    return LAYERS[type(module)](name, module, x)


def conv(name: str, module: nn.Conv2d, x: Any) -> Any:
    """N x H x W x C, padded as PyTorch does."""
    size, stride, padding = module.kernel_size[0], module.stride[0], int(module.padding[0])
    if padding:
        x = padded(x, padding, "reflect" if module.padding_mode == "reflect" else "constant")
    has_bias = module.bias is not None
    made = layers.Conv2D(module.out_channels, size, stride, use_bias=has_bias, name=name)
    made.build((None, None, None, module.in_channels))
    kernel = module.weight.detach().numpy().transpose(2, 3, 1, 0)
    made.set_weights([kernel, module.bias.detach().numpy()] if module.bias is not None else [kernel])
    return made(x)


def _transposed(name: str, module: nn.ConvTranspose2d, x: Any) -> Any:
    """Whole, then cropped: Keras shares the padding out in another way than PyTorch."""
    size, stride, padding = module.kernel_size[0], module.stride[0], int(module.padding[0])
    has_bias = module.bias is not None
    made = layers.Conv2DTranspose(module.out_channels, size, stride, use_bias=has_bias, name=name)
    made.build((None, None, None, module.in_channels))
    kernel = module.weight.detach().numpy().transpose(2, 3, 1, 0)
    made.set_weights([kernel, module.bias.detach().numpy()] if module.bias is not None else [kernel])
    cropped = (padding, padding - module.output_padding[0])
    return layers.Cropping2D((cropped, cropped))(made(x))


def padded(x: Any, num: int, mode: str) -> Any:
    """With `num` pixels more on each side."""
    return ops.pad(x, ((0, 0), (num, num), (num, num), (0, 0)), mode=mode)


def double(x: Any) -> Any:
    """Bilinear, each pixel's middle where PyTorch has it (align_corners=False)."""
    x = padded(x, 1, "symmetric")
    near = 0.25, 0.75
    phases = []
    for down in (0, 1):
        for right in (0, 1):
            # Phase 0 lies between a pixel and the one before it, phase 1 between it and the one after.
            y = _blend(x, near[down], axis=1, first=down)
            phases.append(_blend(y, near[right], axis=2, first=right))
    return ops.nn.depth_to_space(ops.concatenate(phases, -1), 2)


def _blend(x: Any, share: float, axis: int, first: int) -> Any:
    """`share` of each pixel and the rest of the next one along an axis, from `first` on, two fewer in all."""
    return share * _from(x, first, axis) + (1 - share) * _from(x, first + 1, axis)


def _from(x: Any, first: int, axis: int) -> Any:
    cropped = (first, 2 - first)
    return layers.Cropping2D((cropped, (0, 0)) if axis == 1 else ((0, 0), cropped))(x)


def places(x: Any, axis: int) -> Any:
    """0, 1, 2 ... along the axis of N x H x W x C, in float32."""
    others = tuple(other for other in range(4) if other != axis)
    return ops.cumsum(ops.max(ops.ones_like(x), axis=others)) - 1


def _sequence(name: str, module: nn.Sequential, x: Any) -> Any:
    for i, each in enumerate(module):
        x = layer(f"{name}_{i}", each, x)
    return x


def _wrapped(name: str, module: Wrapped, x: Any) -> Any:
    ((inner, within),) = module.named_children()
    y = layer(f"{name}_{inner}", within, x)
    if module.beside:
        return ops.concatenate([x, y], -1)
    return x + y if module.added else y


def _instance_norm(name: str, module: nn.InstanceNorm2d, x: Any) -> Any:
    affine = module.affine
    norm = layers.GroupNormalization(-1, epsilon=module.eps, center=affine, scale=affine, name=name)
    norm.build((None, None, None, module.num_features))
    if affine:
        norm.set_weights([module.weight.detach().numpy(), module.bias.detach().numpy()])
    return norm(x)


def _batch_norm(name: str, module: nn.BatchNorm2d, x: Any) -> Any:
    norm = layers.BatchNormalization(epsilon=module.eps, name=name)
    norm.build((None, None, None, module.num_features))
    numbers = module.weight, module.bias, module.running_mean, module.running_var
    norm.set_weights([number.detach().numpy() for number in numbers if number is not None])
    return norm(x)


def _blurred_down(name: str, module: BlurredDown, x: Any) -> Any:
    blur = layers.DepthwiseConv2D(3, 2, use_bias=False, trainable=False, name=name)
    blur.build((None, None, None, len(module.filt)))
    blur.set_weights([module.filt.numpy().transpose(2, 3, 0, 1)])
    return blur(padded(x, 1, "reflect"))


def _mirrored_conv(name: str, module: MirroredConv, x: Any) -> Any:
    if module.doubles:
        x = ops.nn.depth_to_space(ops.concatenate([x] * 4, -1), 2)
    return conv(f"{name}_conv2d", module.conv2d, padded(x, module.padding, "reflect"))


def _johnson(name: str, module: Johnson, x: Any) -> Any:
    def part(where: str, x: Any) -> Any:
        return layer(f"{name}_{where}".replace(".", "_"), module.get_submodule(where), x)

    for i in (1, 2, 3):
        x = ops.relu(part(f"in{i}", part(f"conv{i}", x)))
    for i in range(1, 6):
        y = ops.relu(part(f"res{i}.in1", part(f"res{i}.conv1", x)))
        x = x + part(f"res{i}.in2", part(f"res{i}.conv2", y))
    for i in (1, 2):
        x = ops.relu(part(f"in{i + 3}", part(f"deconv{i}", x)))
    return part("deconv3", x)


LAYERS: dict[type[nn.Module], Callable[[str, Any, Any], Any]] = {
    nn.Sequential: _sequence,
    Wrapped: _wrapped,
    nn.Conv2d: conv,
    nn.ConvTranspose2d: _transposed,
    nn.InstanceNorm2d: _instance_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.ReflectionPad2d: lambda name, module, x: padded(x, module.padding[0], "reflect"),
    nn.ReLU: lambda name, module, x: layers.ReLU(name=name)(x),
    nn.LeakyReLU: lambda name, module, x: layers.LeakyReLU(module.negative_slope, name=name)(x),
    nn.Tanh: lambda name, module, x: ops.tanh(x),
    nn.Dropout: lambda name, module, x: x,
    BlurredDown: _blurred_down,
    # Its filter, of 1 3 3 1, is the bilinear one.
    BlurredUp: lambda name, module, x: double(x),
    MirroredConv: _mirrored_conv,
    Johnson: _johnson,
}
"""What a module of a type does, called with a name, the module, and what goes in."""
