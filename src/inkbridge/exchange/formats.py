"""`inkbridge export --to`: a pack's generator in formats of other frameworks, tried before it is there."""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import onnx
import torch

from inkbridge.errors import ConfigError, MissingExtraError, TrainingError
from inkbridge.exchange.standalone import (
    OneStyle,
    Painting,
    Standalone,
    border_of,
    network_of,
    painted_by_pack,
)
from inkbridge.look import Code
from inkbridge.pack_format import PackFile
from inkbridge.train.onnx_file import to_file

if TYPE_CHECKING:
    import keras

Floats = npt.NDArray[np.float32]
Run = Callable[[Floats], Floats]
"""1 x H x W x 3 in [-1, 1] -> the same."""

MAX_DIFFERENCE = 1e-4
"""Largest allowed difference from the pack, on a range of 2."""
ENDINGS = {"keras": ".keras", "savedmodel": "", "tflite": ".tflite", "onnx": ".onnx", "torchscript": ".pt"}
"""Formats, and how their files' names end; a SavedModel is a folder."""
_EXTRAS = {"keras": "keras", "savedmodel": "tf", "tflite": "tf"}


def check_export(to: str, out: Path) -> None:
    """Raise ConfigError when there is no such format, or nothing of it can be written to `out`."""
    if to not in ENDINGS:
        raise ConfigError(f"--to {to} cannot be used: choose one of {', '.join(ENDINGS)}.")
    if ENDINGS[to] and out.suffix != ENDINGS[to]:
        raise ConfigError(f"{out}: the name of a {to} file ends in {ENDINGS[to]}.")
    if not out.parent.is_dir():
        raise ConfigError(f"Folder '{out.parent}' does not exist; make it first.")
    if out.is_dir() and (ENDINGS[to] or any(out.iterdir())):
        raise ConfigError(f"'{out}' is a folder with something in it; give a name that is not there yet.")
    if out.is_file() and not ENDINGS[to]:
        raise ConfigError(f"{out} is a file; a {to} is a folder, give another name.")


def export_pack(file: PackFile, name: str, code: Code, to: str, out: Path) -> float:
    """Write the pack's generator for one style code (1 x dim) in a format of `ENDINGS`.

    What was written is loaded by the framework itself and compared with the pack at two sizes; only then it
    gets its name. Returns the largest difference, on a range of 2. Raises ConfigError for what cannot be
    written there, MissingExtraError without the framework, PackError for a pack whose network is not ours,
    TrainingError when the difference is above MAX_DIFFERENCE.
    """
    check_export(to, out)
    network, border = network_of(file, name, code), border_of(file)
    if to in _EXTRAS:
        with quiet():
            prepare_keras(to)
    write, load = _FORMATS[to]
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder:
        path = Path(folder, f"network{ENDINGS[to]}")
        with quiet():
            write(network, border, path)
            largest = _difference(load(path), file, name, code)
        if not largest <= MAX_DIFFERENCE:
            raise TrainingError(
                f"{name} as {to} differs from the pack by {largest:.2g} (allowed {MAX_DIFFERENCE}); "
                "nothing was written."
            )
        if out.is_dir():
            out.rmdir()  # it is empty
        path.replace(out)
    return largest


def _difference(run: Run, file: PackFile, name: str, code: Code) -> float:
    rng, largest = np.random.default_rng(0), 0.0
    for height, width in ((40, 72), (107, 53)):
        image = rng.uniform(-1, 1, (1, 3, height, width)).astype(np.float32)
        expected = painted_by_pack(file, name, code, image).transpose(0, 2, 3, 1)
        found = run(np.ascontiguousarray(image.transpose(0, 2, 3, 1)))
        largest = max(largest, float(np.abs(found - expected).max()))
    return largest


def prepare_keras(to: str) -> None:
    """Choose what Keras runs on for a format, before it is imported.

    Raises MissingExtraError without it, ConfigError when it was imported on another backend than is needed.
    """
    extra, needed = _EXTRAS[to], "tensorflow" if _EXTRAS[to] == "tf" else None
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = needed or os.environ.get("KERAS_BACKEND", "torch")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        import keras

        if needed:
            import tensorflow  # noqa: F401
        if to == "tflite":
            import ai_edge_litert  # noqa: F401
    except ImportError:
        raise MissingExtraError(f"Format {to}", extra) from None
    if needed and keras.backend.backend() != needed:
        raise ConfigError(
            f"Keras was already imported, on {keras.backend.backend()}; {to} needs it on {needed}: set the "
            f"environment variable KERAS_BACKEND={needed} before Python starts."
        )


@contextmanager
def quiet() -> Iterator[None]:
    """Without what TensorFlow's own parts print past Python; what goes wrong is raised."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    kept = [os.dup(number) for number in (1, 2)]
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        for number in (1, 2):
            os.dup2(nothing, number)
        with warnings.catch_warnings():
            # Of what is deprecated: PyTorch's tracing, parts of TensorFlow.
            warnings.simplefilter("ignore")
            yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        for number, copy in enumerate(kept, 1):
            os.dup2(copy, number)
            os.close(copy)
        os.close(nothing)


def _keras_model(network: OneStyle, border: int, batch_size: int | None = None) -> keras.Model:
    from inkbridge.exchange.keras_model import keras_model

    return keras_model(network, border, batch_size)


def _write_keras(network: OneStyle, border: int, path: Path) -> None:
    _keras_model(network, border).save(path)


def _load_keras(path: Path) -> Run:
    import keras

    return keras_run(keras.saving.load_model(path))  # safe mode: nothing in the file is executed


def keras_run(model: Any) -> Run:
    """A Keras model of one picture in and one out."""
    import keras

    return lambda image: np.asarray(keras.ops.convert_to_numpy(model(image)))


def _write_saved_model(network: OneStyle, border: int, path: Path) -> None:
    _keras_model(network, border).export(path, verbose=False)


def _load_saved_model(path: Path) -> Run:
    import tensorflow

    loaded = tensorflow.saved_model.load(str(path))
    return lambda image: np.asarray(loaded.serve(image))


def _write_tflite(network: OneStyle, border: int, path: Path) -> None:
    import tensorflow

    converter = tensorflow.lite.TFLiteConverter.from_keras_model(_keras_model(network, border, batch_size=1))
    converter.target_spec.supported_ops = [tensorflow.lite.OpsSet.TFLITE_BUILTINS]
    path.write_bytes(converter.convert())


def _load_tflite(path: Path) -> Run:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    image_in = interpreter.get_input_details()[0]["index"]
    image_out = interpreter.get_output_details()[0]["index"]

    def run(image: Floats) -> Floats:
        interpreter.resize_tensor_input(image_in, image.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(image_in, image)
        interpreter.invoke()
        return np.asarray(interpreter.get_tensor(image_out))

    return run


def _write_onnx(network: OneStyle, border: int, path: Path) -> None:
    standalone = Standalone(Painting(network), network.multiple, border).eval()
    side = 8 * network.multiple
    dynamic = {0: "batch", 2: "height", 3: "width"}
    example = torch.rand(1, 3, side, side + network.multiple)
    model = to_file(
        standalone, (example,), ["image"], ["result"], {"image": dynamic, "result": dynamic}, opset=18
    )
    path.write_bytes(model)


def _load_onnx(path: Path) -> Run:
    import onnxruntime

    onnx.checker.check_model(str(path))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return _channels_last(lambda image: np.asarray(session.run(["result"], {"image": image})[0]))


def _write_torchscript(network: OneStyle, border: int, path: Path) -> None:
    side = 8 * network.multiple
    example = torch.rand(1, 3, side, side + network.multiple)
    traced = torch.jit.trace(Painting(network).eval(), (example, example[:, :1]))
    # Sizes are asked for in the part around the network, so that is compiled and not traced.
    torch.jit.save(torch.jit.script(Standalone(traced, network.multiple, border).eval()), path)


def _load_torchscript(path: Path) -> Run:
    loaded = torch.jit.load(path)

    def run(image: Floats) -> Floats:
        with torch.no_grad():
            result: Floats = loaded(torch.from_numpy(image)).numpy()
        return result

    return _channels_last(run)


def channels_first(run: Run) -> Run:
    """The same of 1 x 3 x H x W."""
    return lambda image: run(np.ascontiguousarray(image.transpose(0, 2, 3, 1))).transpose(0, 3, 1, 2)


def _channels_last(run: Run) -> Run:
    return lambda image: run(np.ascontiguousarray(image.transpose(0, 3, 1, 2))).transpose(0, 2, 3, 1)


_FORMATS: dict[str, tuple[Callable[[OneStyle, int, Path], Any], Callable[[Path], Run]]] = {
    "keras": (_write_keras, _load_keras),
    "savedmodel": (_write_saved_model, _load_saved_model),
    "tflite": (_write_tflite, _load_tflite),
    "onnx": (_write_onnx, _load_onnx),
    "torchscript": (_write_torchscript, _load_torchscript),
}
