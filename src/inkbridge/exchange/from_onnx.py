"""Any ONNX network that makes a picture of a picture, as a pack's generator.

Layout, range, and sizes that it takes are found by trying, on photographs; what is not clear is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx.compose
import onnxruntime
from onnx import TensorProto, helper

from inkbridge.errors import ConfigError, DataError, first_line

Floats = npt.NDArray[np.float32]

RANGES: dict[str, tuple[float, float]] = {"-1..1": (-1.0, 1.0), "0..1": (0.0, 1.0), "0..255": (0.0, 255.0)}
"""Of pixels, in and out."""
MULTIPLES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
OUTSIDE = 0.05
"""Share of its range by which a network's answer may leave it,"""
SPREAD = 0.03
"""and that its answer to photographs spreads over at least, as a standard deviation."""
SIDE = 128
"""About the side of pictures that are tried."""


@dataclass
class Probed:
    """What was found out about a network."""

    model: bytes
    """As a pack has it: `image` to `result`, N x 3 x H x W in [-1, 1]."""
    multiple: int
    overlap: int
    """How far it was seen to look, at least."""
    everywhere: bool
    """Whether each pixel of the result depends on the whole picture."""
    channels_first: bool
    pixels: str
    """One of RANGES."""
    run: Callable[[Floats], Floats]
    """The network as it was in the file, of 1 x 3 x H x W in [-1, 1]."""


def probe(path: Path, photographs: Sequence[Floats], pixels: str | None = None) -> Probed:
    """Find out how a network wants pictures; `photographs` are 1 x 3 x SIDE x SIDE in [-1, 1].

    `pixels`, one of RANGES, is taken for granted. Raises DataError for a file that is no such network or
    whose range cannot be told, ConfigError for another range.
    """
    if pixels is not None and pixels not in RANGES:
        raise ConfigError(f"--range {pixels} cannot be used: choose one of {', '.join(RANGES)}.")
    model = _loaded(path)
    first = _make_dynamic(model, path)
    session = _session(model, path)
    name = session.get_inputs()[0].name

    def run(image: Floats) -> Floats:
        image = image if first else np.ascontiguousarray(image.transpose(0, 2, 3, 1))
        answer = np.asarray(session.run(None, {name: image})[0], np.float32)
        return answer if first else answer.transpose(0, 3, 1, 2)

    multiple = _multiple(run, path)
    photographs = [_fitting(photograph, multiple) for photograph in photographs]
    pixels = pixels or _range(run, photographs, path)
    least, most = RANGES[pixels]

    def in_network_values(image: Floats) -> Floats:
        answer = run(_scaled(image, least, most))
        return np.clip((answer - np.float32(least)) / np.float32((most - least) / 2) - np.float32(1), -1, 1)

    overlap, everywhere = _reach(in_network_values, multiple)
    wrapped = _wrapped(model, first, least, most)
    return Probed(wrapped, multiple, overlap, everywhere, first, pixels, in_network_values)


def _loaded(path: Path) -> onnx.ModelProto:
    try:
        # What lies outside the file is not looked for.
        model = onnx.load(path, load_external_data=False)
        onnx.checker.check_model(model)
        # Its own names may be ours.
        model = onnx.compose.add_prefix(model, "inner.")
    except Exception as error:  # protobuf and onnx raise many kinds
        raise DataError(f"{path} cannot be read as ONNX ({first_line(error)}).") from None
    if any(entry.data_location == TensorProto.EXTERNAL for entry in model.graph.initializer):
        raise DataError(f"{path} keeps its weights in other files; save it as one file.")
    weights = {entry.name for entry in model.graph.initializer}
    inputs = [entry for entry in model.graph.input if entry.name not in weights]
    if len(inputs) != 1 or len(model.graph.output) != 1:
        raise DataError(
            f"{path} has {len(inputs)} inputs and {len(model.graph.output)} outputs; "
            "what is imported takes one picture and gives one."
        )
    return model


def _make_dynamic(model: onnx.ModelProto, path: Path) -> bool:
    """Let it take any height and width; returns whether channels come before them."""
    weights = {entry.name for entry in model.graph.initializer}
    (given,) = (entry for entry in model.graph.input if entry.name not in weights)
    (result,) = model.graph.output
    kinds = {entry.type.tensor_type.elem_type for entry in (given, result)}
    sides = [dim.dim_value for dim in given.type.tensor_type.shape.dim]
    if len(sides) != 4 or 3 not in (sides[1], sides[3]) or kinds != {TensorProto.FLOAT}:
        raise DataError(
            f"{path} takes {sides}, which is no picture (N x 3 x H x W or N x H x W x 3, in float32)."
        )
    first = sides[1] == 3
    places = {0: "batch", (2 if first else 1): "height", (3 if first else 2): "width"}
    for entry in (given, result):
        dims = entry.type.tensor_type.shape.dim
        for place, said in places.items():
            if place < len(dims):
                dims[place].Clear()
                dims[place].dim_param = said if entry is given else f"{said}_out"
    del model.graph.value_info[:]
    return first


def _session(model: onnx.ModelProto, path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # ONNX Runtime's have no common base but Exception
        raise DataError(f"{path} cannot be loaded ({first_line(error)}).") from None


def _multiple(run: Callable[[Floats], Floats], path: Path) -> int:
    """The least number whose multiples it takes as sides, and gives back."""
    failure = "it gives another size than it takes"
    for multiple in MULTIPLES:
        # Odd multiples, so that no larger number divides them.
        height, width = (multiple * (max(side // multiple, 1) | 1) for side in (SIDE, SIDE + 5 * multiple))
        try:
            if run(np.zeros((1, 3, height, width), np.float32)).shape == (1, 3, height, width):
                return multiple
        except Exception as error:
            failure = first_line(error)
    raise DataError(f"{path} does not take pictures of different sizes ({failure}).")


def _fitting(image: Floats, multiple: int) -> Floats:
    sides = (-image.shape[axis] % multiple for axis in (2, 3))
    return np.pad(image, ((0, 0), (0, 0), *((0, side) for side in sides)), mode="symmetric")


def _range(run: Callable[[Floats], Floats], photographs: Sequence[Floats], path: Path) -> str:
    """The range of pixels in which its answers to photographs lie when these are given in it."""
    fitting = []
    for name, (least, most) in RANGES.items():
        answers = np.concatenate([run(_scaled(image, least, most)).ravel() for image in photographs])
        low, high = np.quantile(answers, (0.01, 0.99))
        margin = OUTSIDE * (most - least)
        inside = np.isfinite(answers).all() and low >= least - margin and high <= most + margin
        # What never goes below 0 is not from -1 on.
        signed = least == 0.0 or low < -0.25
        if inside and signed and answers.std() > SPREAD * (most - least):
            fitting.append(name)
    if len(fitting) != 1:
        found = " or ".join(fitting) if fitting else "none that is known"
        raise DataError(
            f"{path}: its answers to photographs do not tell which range of pixels it takes ({found}). "
            f"Say it: --range {'|'.join(RANGES)}."
        )
    return fitting[0]


def _scaled(image: Floats, least: float, most: float) -> Floats:
    result: Floats = (image + np.float32(1)) * np.float32((most - least) / 2) + np.float32(least)
    return result


def _reach(run: Callable[[Floats], Floats], multiple: int) -> tuple[int, bool]:
    """How far a changed spot is seen, as a multiple of `multiple`, and whether it is everywhere."""
    side = multiple * (-(-3 * SIDE // multiple) | 1)
    rng = np.random.default_rng(0)
    image = rng.uniform(-1, 1, (1, 3, side, side)).astype(np.float32)
    changed = image.copy()
    middle = side // 2
    changed[:, :, middle, middle] *= -1
    seen = np.abs(run(changed) - run(image)).max((0, 1)) > 1e-6
    rows, columns = np.nonzero(seen)
    reach = int(max(np.abs(rows - middle).max(), np.abs(columns - middle).max())) if len(rows) else 0
    everywhere = reach >= middle - 1
    return multiple * -(-min(reach + multiple, SIDE) // multiple), everywhere


def _wrapped(model: onnx.ModelProto, first: bool, least: float, most: float) -> bytes:
    """The same between `image` and `result`, in [-1, 1] and channels first."""
    wrapped = onnx.ModelProto()
    wrapped.CopyFrom(model)
    graph = wrapped.graph
    weights = {entry.name for entry in graph.initializer}
    (given,) = (entry for entry in graph.input if entry.name not in weights)
    (result,) = graph.output
    inner_in, inner_out = given.name, result.name
    half = (most - least) / 2
    middle = least + half
    numbers = {
        "half": half,
        "middle": middle,
        "back": -middle,
        "per_half": 1 / half,
        "one": 1.0,
        "minus": -1.0,
    }
    graph.initializer.extend(
        helper.make_tensor(name, TensorProto.FLOAT, [1], [value]) for name, value in numbers.items()
    )

    def chain(start: str, steps: list[tuple[str, str]], end: str) -> list[onnx.NodeProto]:
        nodes, at = [], start
        for number, (operation, operand) in enumerate(steps):
            to = end if number == len(steps) - 1 else f"{start}.{number}"
            if operation == "Transpose":
                order = [0, 2, 3, 1] if start == "image" else [0, 3, 1, 2]
                nodes.append(helper.make_node("Transpose", [at], [to], perm=order))
            else:
                nodes.append(helper.make_node(operation, [at, operand], [to]))
            at = to
        return nodes

    turn = [] if first else [("Transpose", "")]
    before = chain("image", [("Mul", "half"), ("Add", "middle"), *turn], inner_in)
    steps = [("Add", "back"), ("Mul", "per_half"), ("Min", "one"), ("Max", "minus")]
    after = chain(inner_out, [*turn, *steps], "result")
    nodes = [*before, *graph.node, *after]
    del graph.node[:], graph.input[:], graph.output[:]
    graph.node.extend(nodes)
    sides: list[str | int | None] = ["batch", 3, "height", "width"]
    graph.input.append(helper.make_tensor_value_info("image", TensorProto.FLOAT, sides))
    graph.output.append(helper.make_tensor_value_info("result", TensorProto.FLOAT, sides))
    # Before version 4 weights had to be inputs too.
    wrapped.ir_version = max(wrapped.ir_version, 4)
    serialized: bytes = wrapped.SerializeToString()
    return serialized
