"""PyTorch networks as ONNX."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

MAX_DIFFERENCE = 1e-3
"""Largest allowed difference between ONNX Runtime and PyTorch, on a range of 2."""


def to_file(
    network: nn.Module,
    example: tuple[Tensor, ...],
    inputs: list[str],
    outputs: list[str],
    shapes: dict[str, dict[int, str]],
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
            opset_version=17,
            input_names=inputs,
            output_names=outputs,
            dynamic_axes=shapes,
            do_constant_folding=False,  # parameters keep their names: `adapt` reads them back
        )
        return path.read_bytes()
