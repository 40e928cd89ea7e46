"""The eye in PyTorch: a frozen network that was trained to see, read from its ONNX file.

Losses and the discriminator look at its activations instead of pixels (Johnson et al. 2016, section 3.2).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inkbridge.errors import ConfigError


class Eye(nn.Module):
    """The graph of an ONNX network, node by node: N x 3 x H x W in [-1, 1] -> its outputs, finest first.

    Nothing in it learns; gradients pass through it to the picture.
    """

    def __init__(self, model: bytes, name: str) -> None:
        """`name` is used in messages. Raises ConfigError for operations that are not in `OPERATIONS`."""
        super().__init__()
        graph = onnx.load_from_string(model).graph
        self.input = graph.input[0].name
        self.outputs = [entry.name for entry in graph.output]
        values = {entry.name: onnx.numpy_helper.to_array(entry) for entry in graph.initializer}
        self._names: dict[str, str] = {}
        self._steps: list[tuple[Callable[..., Tensor], list[str], str]] = []
        for node in graph.node:
            if node.op_type not in OPERATIONS:
                raise ConfigError(
                    f"{name}: training cannot look through an operation of kind {node.op_type}; an eye may "
                    f"have {', '.join(sorted(OPERATIONS))}."
                )
            given = {entry.name: onnx.helper.get_attribute_value(entry) for entry in node.attribute}
            if node.op_type == "Cast" and node.input[0] in values:  # weights in half precision
                values[node.output[0]] = values.pop(node.input[0])
                continue
            if node.op_type == "Constant":
                values[node.output[0]] = onnx.numpy_helper.to_array(given["value"])
                continue
            self._steps.append((OPERATIONS[node.op_type](given), list(node.input), node.output[0]))
        for place, (key, value) in enumerate(values.items()):
            tensor = torch.from_numpy(np.array(value, np.float32)).to(torch.get_default_dtype())
            if tensor.dim() == 4:
                tensor = tensor.contiguous(memory_format=torch.channels_last)
            self._names[key] = f"weight{place}"
            # Not a parameter, and in no checkpoint.
            self.register_buffer(f"weight{place}", tensor, persistent=False)
        with torch.no_grad():
            self.channels = [found.shape[1] for found in self(torch.zeros(1, 3, 64, 64, device="cpu"))]
        """Of each output."""

    def forward(self, image: Tensor, num_depths: int | None = None) -> list[Tensor]:
        """N x 3 x H x W in [-1, 1] -> the finest `num_depths` outputs, one at least, by default all, each
        N x channels x height x width; what lies deeper is not worked out."""
        wanted = self.outputs[:num_depths]
        missing = set(wanted)
        found: dict[str, Tensor] = {self.input: image}
        for operation, inputs, output in self._steps:
            found[output] = operation(*[self._value(found, name) for name in inputs])
            missing.discard(output)
            if not missing:
                break
        return [found[name] for name in wanted]

    def _value(self, found: dict[str, Tensor], name: str) -> Tensor:
        return found[name] if name in found else getattr(self, self._names[name])


def _conv(given: dict[str, Any]) -> Callable[..., Tensor]:
    strides, dilations = given.get("strides", [1, 1]), given.get("dilations", [1, 1])
    pad, groups = _padding(given), given.get("group", 1)

    def conv(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        x, padding = (x, (pad[0], pad[1])) if pad[:2] == pad[2:] else (F.pad(x, _sides(pad)), (0, 0))
        return F.conv2d(x, weight, bias, strides, padding, dilations, groups)

    return conv


def _max_pool(given: dict[str, Any]) -> Callable[..., Tensor]:
    kernel, strides = given["kernel_shape"], given.get("strides", [1, 1])
    pad, ceil = _padding(given), bool(given.get("ceil_mode", 0))
    return lambda x: F.max_pool2d(
        F.pad(x, _sides(pad), value=-torch.inf) if any(pad) else x, kernel, strides, ceil_mode=ceil
    )


def _average_pool(given: dict[str, Any]) -> Callable[..., Tensor]:
    kernel, strides = given["kernel_shape"], given.get("strides", [1, 1])
    pad, ceil = _padding(given), bool(given.get("ceil_mode", 0))
    counted = bool(given.get("count_include_pad", 0))
    return lambda x: F.avg_pool2d(x, kernel, strides, pad[:2], ceil, counted)


def _padding(given: dict[str, Any]) -> list[int]:
    if given.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise ConfigError("an eye's padding must be given in numbers, not as auto_pad.")
    return list(given.get("pads", [0, 0, 0, 0]))


def _sides(pad: Sequence[int]) -> list[int]:
    top, left, bottom, right = pad
    return [left, right, top, bottom]


def _normalize(given: dict[str, Any]) -> Callable[..., Tensor]:
    e = given.get("epsilon", 1e-5)
    return lambda x, weight, bias, mean, variance: F.batch_norm(x, mean, variance, weight, bias, eps=e)


OPERATIONS: dict[str, Callable[[dict[str, Any]], Callable[..., Tensor]]] = {
    "Add": lambda given: torch.add,
    "AveragePool": _average_pool,
    "BatchNormalization": _normalize,
    "Cast": lambda given: lambda x: x,
    "Concat": lambda given: lambda *parts: torch.cat(parts, given["axis"]),
    "Constant": lambda given: lambda: torch.empty(0),
    "Conv": _conv,
    "Div": lambda given: torch.div,
    "Identity": lambda given: lambda x: x,
    "LeakyRelu": lambda given: lambda x: F.leaky_relu(x, given.get("alpha", 0.01)),
    "MaxPool": _max_pool,
    "Mul": lambda given: torch.mul,
    "Relu": lambda given: F.relu,
    "Sigmoid": lambda given: torch.sigmoid,
    "Sub": lambda given: torch.sub,
}
"""What the graph of an eye may consist of; each takes a node's attributes."""
