"""A Keras model that `keras_model` made, and that was trained on in Keras, back in PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import torch
from torch import Tensor, nn

from inkbridge.errors import DataError, first_line
from inkbridge.exchange.standalone import OneStyle, exportable, network_with


def network_from_keras(path: Path) -> tuple[OneStyle, int, Any]:
    """The network of a .keras file, by how much it mirrors a picture's border, and the Keras model itself.

    Read in Keras' safe mode, which executes nothing that a file brings along. DataError for a file that is
    no such model.
    """
    try:
        model = keras.saving.load_model(path, safe_mode=True, compile=False)
    except Exception as error:  # zip, h5py and Keras raise many kinds on broken and hostile files
        raise DataError(f"{path} cannot be read as a Keras model ({first_line(error)}).") from None
    try:
        kernels = {
            layer.name: [np.asarray(keras.ops.convert_to_numpy(value)) for value in layer.weights]
            for layer in model.layers
            if isinstance(layer, keras.layers.Conv2D | keras.layers.Conv2DTranspose)
        }
        network = network_with({layer.name: layer.filters for layer in model.layers if layer.name in kernels})
        with torch.no_grad():
            for name, conv in network.named_modules():
                if isinstance(conv, nn.Conv2d | nn.ConvTranspose2d):
                    _take_over(conv, *kernels.pop(name.replace(".", "_")))
        pad = next(layer for layer in model.operations if type(layer).__name__ == "Pad")
        if len(pad.pad_width) == 2:
            border = int(pad.pad_width[0][0]) * network.multiple
        else:  # earlier files pad the picture itself
            border = int(pad.pad_width[1][0])
        unknown = ", ".join(kernels)
    except (AttributeError, KeyError, IndexError, RuntimeError, StopIteration, TypeError, ValueError):
        unknown = "some are missing or changed"
    if unknown:
        raise DataError(
            f"{path} has not the layers that `inkbridge export --to keras` writes ({unknown}). Train its "
            "weights, and leave its layers and their names as they are."
        )
    return exportable(network), border, model


def _take_over(conv: nn.Conv2d | nn.ConvTranspose2d, kernel: Any, bias: Any = None) -> None:
    """Raises ValueError or TypeError for weights of other shapes."""
    weight = kernel.transpose(3, 2, 0, 1)
    shape = tuple(conv.weight.shape)
    if weight.shape != shape:
        # 6 x 6 of the pixels: 3 x 3 of what 2 x 2 of them were gathered into (`keras_model`).
        parts = weight.reshape(*weight.shape[:2], 3, 2, 3, 2)
        weight = parts.transpose(0, 1, 3, 5, 2, 4).reshape(shape)
    conv.weight.copy_(_tensor(weight))
    if conv.bias is not None:
        if bias.shape != tuple(conv.bias.shape):
            raise ValueError("a bias of another shape")
        conv.bias.copy_(_tensor(bias))


def _tensor(values: Any) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))
