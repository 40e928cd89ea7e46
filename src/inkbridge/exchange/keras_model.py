"""A generator as a Keras 3 functional model: N x H x W x 3 in [-1, 1] in, the same out, for any H and W.

Of Keras' own layers and operations only, so that `keras.saving.load_model` reads it in safe mode, on each
backend, and it can be trained there. Layers carry the names that they have in PyTorch, with underscores.

Nothing asks for the size of a tensor, which TensorFlow Lite would forget: pictures are cropped by counted
places.
"""

from __future__ import annotations

import math
from typing import Any, cast

import keras
from keras import layers, ops
from torch import nn

from inkbridge.exchange.foreign import Foreign
from inkbridge.exchange.keras_layers import conv, double, layer, padded, places
from inkbridge.exchange.standalone import OneStyle
from inkbridge.tiling import least_seen
from inkbridge.train.networks.folded import SLOPE, Folded, FoldedBlock
from inkbridge.train.networks.generator import RELIEF
from inkbridge.train.networks.published import Block, ResNet, UNet


def keras_model(network: OneStyle, border: int, batch_size: int | None = None) -> keras.Model:
    """The model of a generator, with its weights; the picture is mirrored by `border` pixels inside,
    more than once where it is smaller.

    With a `batch_size` TensorFlow Lite takes it at any height and width.
    """
    image = keras.Input((None, None, 3), batch_size=batch_size, name="image")
    seen_rows, seen_columns = (_seen(image, axis, border, network.multiple) for axis in (1, 2))
    x = ops.take(ops.take(image, seen_rows, axis=1), seen_columns, axis=2)
    if isinstance(network, Folded):
        painted = _folded(network, x, border)
    elif isinstance(network, Foreign):
        painted = _foreign(network, x)
    else:
        painted = _published(network, x)
    rows = ops.cast(places(image, axis=1), "int32") + border
    columns = ops.cast(places(image, axis=2), "int32") + border
    result = ops.take(ops.take(painted, rows, axis=1), columns, axis=2)
    return keras.Model(image, layers.Identity(name="result")(result), name="inkbridge")


def _folded(network: Folded, x: Any, border: int) -> Any:
    grain = _grain(x, border)
    if (uneven := network.uneven) is not None:
        x = x + _spots("uneven_across", uneven.across, _spots("uneven_down", uneven.down, grain))
    first, second, third = cast("list[nn.Conv2d]", list(network.encoder))
    x = _act(_unshuffled_conv("encoder_0", first)(x))
    quarter = _act(conv("encoder_1", second, x))
    x = _act(conv("encoder_2", third, quarter))
    x = _blocks("blocks", network.blocks, x)
    x = _act(double(conv("up1", network.up1, x)) + conv("skip", network.skip, quarter))
    x = _blocks("blocks1", network.blocks1, x)
    x = double(_act(conv("up2", network.up2, x)))
    x = _act(conv("refine", network.refine, x))
    x = _act(double(conv("to_full", network.to_full, x)))
    return ops.tanh(conv("to_rgb", network.to_rgb, x) + _paper(network.surface, grain))


def _blocks(name: str, blocks: nn.ModuleList, x: Any) -> Any:
    for i, block in enumerate(blocks):
        assert isinstance(block, FoldedBlock)
        y = _act(conv(f"{name}_{i}_conv1", block.conv1, x))
        x = _act((x + conv(f"{name}_{i}_conv2", block.conv2, y)) * math.sqrt(0.5))
    return x


def _spots(name: str, smooth: nn.Conv2d, x: Any) -> Any:
    made = layers.Conv2D(1, smooth.kernel_size, padding="same", use_bias=False, trainable=False, name=name)
    made.build((None, None, None, 1))
    made.set_weights([smooth.weight.detach().numpy().transpose(2, 3, 1, 0)])
    return made(x)


def _paper(surface: Any, grain: Any) -> Any:
    coarse = _act(_unshuffled_conv("surface_half1", surface["half1"])(grain))
    fine = double(conv("surface_half2", surface["half2"], coarse))
    texture = _act(fine + conv("surface_full", surface["full"], grain))
    return RELIEF * ops.tanh(conv("surface_to_rgb", surface["to_rgb"], texture) / RELIEF)


def _grain(image: Any, border: int) -> Any:
    """`tiling.grain` of an image that starts at -border, -border, in numbers of 32 bits with a sign."""
    rows = ops.cast(places(image, axis=1), "int32") - border
    columns = ops.mod(ops.cast(places(image, axis=2), "int32") - border, 65536)
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
        x = layer("stem", network.stem, x)
        x = layer("down1", network.down1, x)
        x = layer("down2", network.down2, x)
        for i, block in enumerate(network.blocks):
            assert isinstance(block, Block)
            x = x + layer(f"blocks_{i}_layers", block.layers, x)
        return layer("up", network.up, x)
    found = []
    for i, down in enumerate(network.downs):
        x = layer(f"downs_{i}", down, x)
        found.append(x)
    x = layer("ups_0", network.ups[0], found.pop())
    for i, up in enumerate(network.ups[1:], 1):
        x = layer(f"ups_{i}", up, ops.concatenate([found.pop(), x], -1))
    return x


def _foreign(network: Foreign, x: Any) -> Any:
    if network.most == 1.0:
        return layer("network", network.network, x)
    half = network.most / 2
    return ops.clip(layer("network", network.network, (x + 1.0) * half) / half - 1.0, -1.0, 1.0)


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
    return lambda x: layer(padded(x, 2, "constant"))


def _act(x: Any) -> Any:
    return layers.LeakyReLU(SLOPE)(x)


def _seen(image: Any, axis: int, border: int, multiple: int) -> Any:
    """What the network sees along an axis, as places of the picture (those of `tiling.plan_tiles`)."""
    numbers = ops.cast(places(image, axis), "int32")
    # A line for each multiple of pixels, of which only the number counts; the border has whole ones.
    around = border // multiple
    lines = ops.pad(ops.expand_dims(numbers, 1)[::multiple, :], ((around, around), (0, multiple - 1)))
    least = least_seen(multiple) // multiple
    lines = ops.pad(lines[least:, :], ((least, 0), (0, 0)))
    positions = ops.cumsum(ops.reshape(ops.ones_like(lines), (-1,))) - (border + 1)
    period = ops.maximum(2 * ops.max(numbers), 1)
    folded = ops.mod(positions, period)
    return ops.minimum(folded, period - folded)
