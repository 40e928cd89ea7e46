"""A generator as a Keras 3 functional model: N x H x W x 3 in [-1, 1] in, the same out, for any H and W.

Of Keras' own layers and operations only, so that `keras.saving.load_model` reads it in safe mode, on each
backend, and it can be trained there. Layers carry the names that they have in PyTorch, with underscores.

Nothing asks for the size of a tensor, which TensorFlow Lite would forget: pictures are cropped by counted
places, and doubled by shuffling depth into space.
"""

from __future__ import annotations

import math
from typing import Any, cast

import keras
import numpy as np
import numpy.typing as npt
from keras import layers, ops
from torch import nn

from inkbridge.exchange.standalone import OneStyle
from inkbridge.train.networks.folded import SLOPE, Folded, FoldedBlock
from inkbridge.train.networks.generator import RELIEF
from inkbridge.train.networks.published import Block, ResNet, UNet

Floats = npt.NDArray[np.float32]
Sides = tuple[tuple[int, int], tuple[int, int]]


def keras_model(network: OneStyle, border: int, batch_size: int | None = None) -> keras.Model:
    """The model of a generator, with its weights; the picture is mirrored by `border` pixels inside.

    With a `batch_size` TensorFlow Lite takes it at any height and width.
    """
    image = keras.Input((None, None, 3), batch_size=batch_size, name="image")
    multiple = network.multiple
    after = border + multiple - 1
    x = ops.pad(image, ((0, 0), (border, after), (border, after), (0, 0)), mode="reflect")
    x = _cut(x, multiple)
    painted = _folded(network, x, border) if isinstance(network, Folded) else _published(network, x)
    rows = ops.cast(_places(image, axis=1), "int32") + border
    columns = ops.cast(_places(image, axis=2), "int32") + border
    result = ops.take(ops.take(painted, rows, axis=1), columns, axis=2)
    return keras.Model(image, layers.Identity(name="result")(result), name="inkbridge")


def _folded(network: Folded, x: Any, border: int) -> Any:
    image = x
    first, second, third = cast("list[nn.Conv2d]", list(network.encoder))
    x = _act(_unshuffled_conv("encoder_0", first)(x))
    quarter = _act(_conv("encoder_1", second, x))
    x = _act(_conv("encoder_2", third, quarter))
    x = _blocks("blocks", network.blocks, x)
    x = _act(_double(_conv("up1", network.up1, x)) + _conv("skip", network.skip, quarter))
    x = _blocks("blocks1", network.blocks1, x)
    x = _double(_act(_conv("up2", network.up2, x)))
    x = _act(_conv("refine", network.refine, x))
    x = _act(_double(_conv("to_full", network.to_full, x)))
    return ops.tanh(_conv("to_rgb", network.to_rgb, x) + _paper(network.surface, image, border))


def _blocks(name: str, blocks: nn.ModuleList, x: Any) -> Any:
    for i, block in enumerate(blocks):
        assert isinstance(block, FoldedBlock)
        y = _act(_conv(f"{name}_{i}_conv1", block.conv1, x))
        x = _act((x + _conv(f"{name}_{i}_conv2", block.conv2, y)) * math.sqrt(0.5))
    return x


def _paper(surface: Any, image: Any, border: int) -> Any:
    grain = _grain(image, border)
    coarse = _act(_unshuffled_conv("surface_half1", surface["half1"])(grain))
    fine = _double(_conv("surface_half2", surface["half2"], coarse))
    texture = _act(fine + _conv("surface_full", surface["full"], grain))
    return RELIEF * ops.tanh(_conv("surface_to_rgb", surface["to_rgb"], texture) / RELIEF)


def _grain(image: Any, border: int) -> Any:
    """`tiling.grain` of an image that starts at -border, -border, in numbers of 32 bits with a sign."""
    rows = ops.cast(_places(image, axis=1), "int32") - border
    columns = ops.mod(ops.cast(_places(image, axis=2), "int32") - border, 65536)
    x = ops.expand_dims(rows * 65536, 1) + ops.expand_dims(columns, 0)
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B - 2**32)):
        x = ops.bitwise_xor(x, _shifted(x, shift)) * factor
    x = ops.bitwise_xor(x, _shifted(x, 16))
    values = (ops.cast(x, "float32") + ops.cast(x < 0, "float32") * 2.0**32) / 2.0**32
    grain = (values - 0.5) * (2 * 3**0.5)
    return ops.expand_dims(ops.expand_dims(grain, 0), -1)


def _shifted(x: Any, shift: int) -> Any:
    # The sign comes along to the right: taken away again.
    return ops.bitwise_right_shift(x, shift) + ops.cast(x < 0, "int32") * 2 ** (32 - shift)


def _published(network: ResNet | UNet, x: Any) -> Any:
    if isinstance(network, ResNet):
        x = _sequence("stem", network.stem, x)
        x = _sequence("down1", network.down1, x)
        x = _sequence("down2", network.down2, x)
        for i, block in enumerate(network.blocks):
            assert isinstance(block, Block)
            x = x + _sequence(f"blocks_{i}_layers", block.layers, x)
        return _sequence("up", network.up, x)
    found = []
    for i, down in enumerate(network.downs):
        x = _sequence(f"downs_{i}", down, x)
        found.append(x)
    x = _sequence("ups_0", network.ups[0], found.pop())
    for i, up in enumerate(network.ups[1:], 1):
        x = _sequence(f"ups_{i}", up, ops.concatenate([found.pop(), x], -1))
    return x


def _sequence(name: str, module: nn.Module, x: Any) -> Any:
    """What a sequence of published layers does."""
    if not isinstance(module, nn.Sequential):
        return _layer(name, module, x)
    for i, layer in enumerate(module):
        x = _layer(f"{name}_{i}", layer, x)
    return x


def _layer(name: str, layer: nn.Module, x: Any) -> Any:  # noqa: PLR0911
    match layer:
        case nn.ConvTranspose2d():
            return _transposed(name, layer, x)
        case nn.Conv2d():
            return _conv(name, layer, x)
        case nn.ReflectionPad2d():
            return _padded(x, layer.padding[0], "reflect")
        case nn.InstanceNorm2d():
            norm = layers.GroupNormalization(-1, epsilon=layer.eps, center=False, scale=False, name=name)
            return norm(x)
        case nn.ReLU():
            return layers.ReLU(name=name)(x)
        case nn.LeakyReLU():
            return layers.LeakyReLU(layer.negative_slope, name=name)(x)
        case nn.Tanh():
            return ops.tanh(x)
        case nn.Dropout():
            return x
    raise AssertionError(layer)


def _conv(name: str, conv: nn.Conv2d, x: Any) -> Any:
    size, stride, padding = conv.kernel_size[0], conv.stride[0], int(conv.padding[0])
    if padding:
        x = _padded(x, padding, "reflect" if conv.padding_mode == "reflect" else "constant")
    has_bias = conv.bias is not None
    layer = layers.Conv2D(conv.out_channels, size, stride, use_bias=has_bias, name=name)
    layer.build((None, None, None, conv.in_channels))
    kernel = conv.weight.detach().numpy().transpose(2, 3, 1, 0)
    layer.set_weights([kernel, conv.bias.detach().numpy()] if conv.bias is not None else [kernel])
    return layer(x)


def _unshuffled_conv(name: str, conv: nn.Conv2d) -> Any:
    """3 x 3 of what 2 x 2 pixels were gathered into: 6 x 6 of the pixels, every second one."""
    assert conv.bias is not None
    weight = conv.weight.detach().numpy()
    outputs, depth = weight.shape[:2]
    # From (out, channel, dy, dx, ky, kx) to rows 2 ky + dy and columns 2 kx + dx.
    parts = weight.reshape(outputs, depth // 4, 2, 2, 3, 3)
    kernel = parts.transpose(4, 2, 5, 3, 1, 0).reshape(6, 6, depth // 4, outputs)
    layer = layers.Conv2D(outputs, 6, 2, name=name)
    layer.build((None, None, None, depth // 4))
    layer.set_weights([kernel, conv.bias.detach().numpy()])
    return lambda x: layer(_padded(x, 2, "constant"))


def _transposed(name: str, conv: nn.ConvTranspose2d, x: Any) -> Any:
    """Whole, then cropped: Keras shares the padding out in another way than PyTorch."""
    size, stride, padding = conv.kernel_size[0], conv.stride[0], int(conv.padding[0])
    has_bias = conv.bias is not None
    layer = layers.Conv2DTranspose(conv.out_channels, size, stride, use_bias=has_bias, name=name)
    layer.build((None, None, None, conv.in_channels))
    kernel = conv.weight.detach().numpy().transpose(2, 3, 1, 0)
    layer.set_weights([kernel, conv.bias.detach().numpy()] if conv.bias is not None else [kernel])
    cropped = (padding, padding - conv.output_padding[0])
    return layers.Cropping2D((cropped, cropped))(layer(x))


def _act(x: Any) -> Any:
    return layers.LeakyReLU(SLOPE)(x)


def _padded(x: Any, num: int, mode: str) -> Any:
    return ops.pad(x, ((0, 0), (num, num), (num, num), (0, 0)), mode=mode)


def _double(x: Any) -> Any:
    """Bilinear, each pixel's middle where PyTorch has it (align_corners=False)."""
    x = _padded(x, 1, "symmetric")
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


def _cut(x: Any, multiple: int) -> Any:
    """Without the last rows and columns that fill no multiple (a power of 2)."""
    whole = layers.AveragePooling2D(multiple)(ops.max(ops.ones_like(x), axis=-1, keepdims=True))
    for _ in range(multiple.bit_length() - 1):
        whole = ops.nn.depth_to_space(ops.concatenate([whole] * 4, -1), 2)
    rows, columns = (ops.cast(_places(whole, axis), "int32") for axis in (1, 2))
    return ops.take(ops.take(x, rows, axis=1), columns, axis=2)


def _places(x: Any, axis: int) -> Any:
    """0, 1, 2 ... along the axis of N x H x W x C, in float32."""
    others = tuple(other for other in range(4) if other != axis)
    return ops.cumsum(ops.max(ops.ones_like(x), axis=others)) - 1
