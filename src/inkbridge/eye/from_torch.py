"""Weights of torchvision's vgg16, vgg19 and squeezenet1_1 -> an eye as ONNX.

torchvision's networks take RGB in [0, 1], less the mean of ImageNet, by its spread; nodes before the first
convolution bring [-1, 1] to that. (Folded into the convolution it would not be exact at the border, which VGG
pads with zeros.) VGG gives its maps before each pooling and the last (relu1_2, 2_2, 3_3, 4_3, 5_3; of vgg19
3_4, 4_4, 5_4), SqueezeNet conv1 and fire2 to fire9, all after the rectifier.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from inkbridge.errors import ConfigError, first_line

Floats = npt.NDArray[np.float32]

MEAN = (0.485, 0.456, 0.406)
SPREAD = (0.229, 0.224, 0.225)
VGG_BLOCKS = {13: (2, 2, 3, 3, 3), 16: (2, 2, 4, 4, 4)}
"""By the number of convolutions, vgg16's and vgg19's, how many there are in each block."""
FIRES = (3, 4, 6, 7, 9, 10, 11, 12)
"""Places of SqueezeNet 1.1's modules fire2 to fire9; a pooling stands at 2, 5 and 8."""


def to_onnx(path: Path) -> bytes:
    """An eye of a file of weights. Raises ConfigError for a file of another kind."""
    weights = _read(path)
    builder = _Builder()
    if "features.3.squeeze.weight" in weights:
        names = ["features.0"]
        names += [f"features.{i}.{part}" for i in FIRES for part in ("squeeze", "expand1x1", "expand3x3")]
        _expect(weights, names, path)
        outputs = _squeezenet(builder, weights)
    else:
        names = [name.removesuffix(".weight") for name in weights if name.endswith(".weight")]
        names = sorted(
            (name for name in names if name.startswith("features.")), key=lambda n: int(n.split(".")[1])
        )
        blocks = VGG_BLOCKS.get(len(names))
        if blocks is None:
            raise _unknown(path)
        _expect(weights, _vgg_names(blocks), path)
        outputs = _vgg(builder, weights, blocks)
    return builder.model(outputs)


def _read(path: Path) -> dict[str, Floats]:
    import torch

    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises errors of many kinds for what is not its file
        raise ConfigError(
            f"Eye '{path}' cannot be read as weights of PyTorch ({first_line(error)})."
        ) from None
    if not isinstance(found, dict) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise _unknown(path)
    return {
        str(name): value.float().numpy() for name, value in found.items() if str(name).startswith("features.")
    }


def _unknown(path: Path) -> ConfigError:
    return ConfigError(
        f"Eye '{path}' holds no weights of vgg16, vgg19 or squeezenet1_1 as torchvision names them; save the "
        "network as ONNX instead."
    )


def _expect(weights: dict[str, Floats], names: list[str], path: Path) -> None:
    for name in names:
        weight, bias = weights.get(f"{name}.weight"), weights.get(f"{name}.bias")
        if weight is None or bias is None or weight.ndim != 4 or bias.shape != weight.shape[:1]:
            raise _unknown(path)


def _vgg_names(blocks: tuple[int, ...]) -> list[str]:
    names, place = [], 0
    for convolutions in blocks:
        names += [f"features.{place + 2 * i}" for i in range(convolutions)]
        place += 2 * convolutions + 1
    return names


def _vgg(builder: _Builder, weights: dict[str, Floats], blocks: tuple[int, ...]) -> dict[str, int]:
    x, outputs, names = builder.start(), {}, iter(_vgg_names(blocks))
    for block, convolutions in enumerate(blocks, 1):
        if block > 1:
            x = builder.pool(x, 2, 2)
        for i in range(1, convolutions + 1):
            name = next(names)
            x = builder.conv(x, weights, name, f"relu{block}_{i}", pad=1)
        outputs[x] = len(weights[f"{name}.bias"])
    return outputs


def _squeezenet(builder: _Builder, weights: dict[str, Floats]) -> dict[str, int]:
    x = builder.conv(builder.start(), weights, "features.0", "conv1", stride=2)
    outputs = {x: len(weights["features.0.bias"])}
    for number, place in enumerate(FIRES, 2):
        if place - 1 in (2, 5, 8):
            x = builder.pool(x, 3, 2, ceil=1)
        part = f"features.{place}"
        squeezed = builder.conv(x, weights, f"{part}.squeeze", f"fire{number}.squeezed")
        one = builder.conv(squeezed, weights, f"{part}.expand1x1", f"fire{number}.one")
        three = builder.conv(squeezed, weights, f"{part}.expand3x3", f"fire{number}.three", pad=1)
        x = builder.node("Concat", [one, three], f"fire{number}", axis=1)
        outputs[x] = len(weights[f"{part}.expand1x1.bias"]) + len(weights[f"{part}.expand3x3.bias"])
    return outputs


class _Builder:
    """An ONNX graph that grows node by node; every method returns the name of what it gives."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._weights: list[Any] = []

    def start(self) -> str:
        """The picture as torchvision's networks take it."""
        low = np.array(MEAN, np.float64) * 2 - 1
        factor = 0.5 / np.array(SPREAD, np.float64)
        shape = (1, 3, 1, 1)
        less = self.node("Sub", ["image", self._weight("low", low.reshape(shape))], "image.less")
        return self.node("Mul", [less, self._weight("factor", factor.reshape(shape))], "image.scaled")

    def conv(
        self, x: str, weights: dict[str, Floats], name: str, out: str, stride: int = 1, pad: int = 0
    ) -> str:
        """A convolution and its rectifier."""
        inputs = [
            x,
            *(self._weight(f"{name}.{part}", weights[f"{name}.{part}"]) for part in ("weight", "bias")),
        ]
        summed = self.node("Conv", inputs, f"{out}.sum", strides=[stride] * 2, pads=[pad] * 4)
        return self.node("Relu", [summed], out)

    def pool(self, x: str, side: int, stride: int, ceil: int = 0) -> str:
        """The largest of each window."""
        return self.node(
            "MaxPool", [x], f"{x}.pooled", kernel_shape=[side] * 2, strides=[stride] * 2, ceil_mode=ceil
        )

    def node(self, kind: str, inputs: list[str], out: str, **attributes: Any) -> str:
        from onnx import helper

        self._nodes.append(helper.make_node(kind, inputs, [out], **attributes))
        return out

    def _weight(self, name: str, values: npt.NDArray[Any]) -> str:
        from onnx import numpy_helper

        self._weights.append(numpy_helper.from_array(np.ascontiguousarray(values, np.float32), name))
        return name

    def model(self, outputs: dict[str, int]) -> bytes:
        """The network, with these outputs (channels by name)."""
        from onnx import TensorProto, helper

        found = [
            helper.make_tensor_value_info(
                name, TensorProto.FLOAT, ["batch", channels, f"{name}_height", f"{name}_width"]
            )
            for name, channels in outputs.items()
        ]
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, "height", "width"])
        graph = helper.make_graph(self._nodes, "eye", [image], found, self._weights)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        return bytes(made.SerializeToString())
