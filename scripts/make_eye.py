"""Writes the bundled eye, `src/inkbridge/eye/squeezenet11.onnx`, from SqueezeNet 1.1's kernels.

    python scripts/make_eye.py squeezenet11.npz

The file holds kernels (HWIO) and biases by layer, for pictures of 0..255 in the order blue, green, red less
the means of ImageNet. That and the range of [-1, 1] go into the first convolution, which pads nothing, so the
network takes pictures as all of ours do. Weights are stored in half precision. NOTICE says where they come
from.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

OUT = Path(__file__).parents[1] / "src" / "inkbridge" / "eye" / "squeezenet11.onnx"
MEAN = np.array([103.939, 116.779, 123.68])
"""Of blue, green and red."""
POOL_BEFORE = ("fire2", "fire4", "fire6")


def main() -> None:
    with np.load(sys.argv[1]) as found:
        # "fire2.expand1x1.fire2.expand1x1_3.kernel" -> "fire2.expand1x1", "kernel"
        layers = {(name.rsplit(".", 3)[0], name.rsplit(".", 1)[1]): found[name] for name in found.files}
    kernel, bias = layers["conv1", "kernel"].astype(np.float64), layers["conv1", "bias"].astype(np.float64)
    layers["conv1", "bias"] = bias + ((127.5 - MEAN)[None, None, :, None] * kernel).sum((0, 1, 2))
    layers["conv1", "kernel"] = 127.5 * kernel[:, :, ::-1]
    nodes, weights = [], []

    def add_weight(name: str, values: npt.NDArray[np.float64]) -> str:
        weights.append(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        nodes.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
        return name

    def add_conv(layer: str, x: str, out: str, stride: int, pad: int) -> str:
        kernel = layers[layer, "kernel"].transpose(3, 2, 0, 1)
        inputs = [
            x,
            add_weight(f"{layer}.weight", kernel),
            add_weight(f"{layer}.bias", layers[layer, "bias"]),
        ]
        nodes.append(helper.make_node("Conv", inputs, [f"{out}.sum"], strides=[stride] * 2, pads=[pad] * 4))
        nodes.append(helper.make_node("Relu", [f"{out}.sum"], [out]))
        return out

    outputs = [add_conv("conv1", "image", "conv1", 2, 0)]
    x = outputs[0]
    for fire in [f"fire{i}" for i in range(2, 10)]:
        if fire in POOL_BEFORE:
            nodes.append(
                helper.make_node("MaxPool", [x], [f"{fire}.pooled"], kernel_shape=[3, 3], strides=[2, 2])
            )
            x = f"{fire}.pooled"
        squeezed = add_conv(f"{fire}.squeeze1x1", x, f"{fire}.squeezed", 1, 0)
        wide = [
            add_conv(f"{fire}.expand1x1", squeezed, f"{fire}.one", 1, 0),
            add_conv(f"{fire}.expand3x3", squeezed, f"{fire}.three", 1, 1),
        ]
        nodes.append(helper.make_node("Concat", wide, [fire], axis=1))
        outputs.append(x := fire)
    channels = {name: len(layers.get((name, "bias"), [])) for name in outputs}
    for fire in outputs[1:]:
        channels[fire] = sum(len(layers[f"{fire}.expand{size}", "bias"]) for size in ("1x1", "3x3"))
    graph = helper.make_graph(
        nodes,
        "squeezenet11",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, "height", "width"])],
        [
            helper.make_tensor_value_info(
                name, TensorProto.FLOAT, ["batch", channels[name], f"{name}_h", f"{name}_w"]
            )
            for name in outputs
        ],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    OUT.write_bytes(model.SerializeToString())
    print(f"{OUT}: {OUT.stat().st_size / 1e6:.2f} MB, {len(outputs)} depths")


if __name__ == "__main__":
    main()
