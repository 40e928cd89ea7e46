"""PyTorch networks as ONNX."""

from __future__ import annotations

import copy
import tempfile
import warnings
from pathlib import Path
from typing import TypeVar

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from inkbridge.engine import Engine
from inkbridge.errors import TrainingError
from inkbridge.train.networks import AnyGenerator

NetworkT = TypeVar("NetworkT", bound=nn.Module)

MAX_DIFFERENCE = 1e-3
"""Largest allowed difference between ONNX Runtime and PyTorch, on a range of 2."""


def to_file(
    network: nn.Module,
    example: tuple[Tensor, ...],
    inputs: list[str],
    outputs: list[str],
    shapes: dict[str, dict[int, str]],
    opset: int = 17,
) -> bytes:
    """The network as ONNX, traced on an example; `shapes` names what is dynamic of each input and output."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        path = Path(folder, "network.onnx")
        # The tracing exporter is deprecated but needs a quarter of the time and no onnxscript.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            example,
            path,
            dynamo=False,
            opset_version=opset,
            input_names=inputs,
            output_names=outputs,
            dynamic_axes=shapes,
            do_constant_folding=False,  # parameters keep their names: `adapt` reads them back
        )
        return path.read_bytes()


def rounded(network: NetworkT) -> NetworkT:
    """A copy whose weights fit into float16."""
    network = copy.deepcopy(network)
    for parameter in network.parameters():
        parameter.data = parameter.data.half().float()
    return network


def with_half_weights(model: bytes) -> bytes:
    """ONNX with its weights in float16: half as large. ONNX Runtime widens them once, as it loads them.

    Of a `rounded` network nothing is lost.
    """
    loaded = onnx.load_from_string(model)
    graph, wide = loaded.graph, {}
    for entry in graph.initializer:
        if entry.data_type == onnx.TensorProto.FLOAT:
            values = onnx.numpy_helper.to_array(entry).astype(np.float16)
            entry.CopyFrom(onnx.numpy_helper.from_array(values, entry.name))
            wide[entry.name] = f"{entry.name}.wide"
    for node in graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = wide.get(name, name)
    casts = [
        onnx.helper.make_node("Cast", [name], [to], to=onnx.TensorProto.FLOAT) for name, to in wide.items()
    ]
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    widened: bytes = loaded.SerializeToString()
    return widened


def compare(model: bytes, generator: AnyGenerator, code: Tensor, name: str) -> float:
    """Largest difference between ONNX Runtime and PyTorch at two sizes and two batch sizes.

    Raises TrainingError when it is above MAX_DIFFERENCE.
    """
    engine = Engine(model, name, code.shape[1], generator.multiple)
    largest = 0.0
    least = generator.multiple
    sizes = ((1, 128, 128), (2, 72, max(200, 2 * least)))
    for num, *sides in sizes:
        shape = (num, 3, *(-(-side // least) * least for side in sides))
        image = torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
        with torch.no_grad():
            expected = generator(image, code, image[:, :1]).numpy()
        codes, grain = code.repeat(shape[0], 1).numpy(), image[:, :1].numpy()
        largest = max(largest, float(np.abs(engine.run(image.numpy(), codes, grain) - expected).max()))
    if not largest <= MAX_DIFFERENCE:
        raise TrainingError(
            f"{name}: the exported generator differs from the trained one by {largest:.2g} "
            f"(allowed {MAX_DIFFERENCE}); nothing was written."
        )
    return largest
