"""The eye: a frozen network that was trained to see, whose feature maps tell strokes and things apart.

Measures and training look at pictures through it. One is bundled, SqueezeNet 1.1 (Iandola et al. 2016), which
was trained on photographs of ImageNet; a user may give another one.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
from PIL import Image

from inkbridge.engine import usable_cores
from inkbridge.errors import ConfigError, MissingExtraError, first_line

RGB = npt.NDArray[np.uint8]
Maps = npt.NDArray[np.float32]

BUNDLED = "squeezenet11"
LEAST_SIDE = 64
"""Pixels of a side at which an eye must see at every depth."""
LEAST_DEPTHS = 3
TORCH_FILES = (".pt", ".pth")
LAYOUT = (
    "an eye has one input, N x 3 x height x width float32 (RGB in [-1, 1], any size from "
    f"{LEAST_SIDE} pixels), and at least {LEAST_DEPTHS} feature maps as outputs, finest first"
)


def read_eye(which: str) -> bytes:
    """An eye as ONNX: N x 3 x H x W RGB in [-1, 1] -> feature maps, finest first.

    `which` is "squeezenet11", the bundled one, or a file: ONNX, or the weights of vgg16, vgg19 or
    squeezenet1_1 as torchvision names them (.pt, .pth; these need PyTorch). Raises ConfigError, with the
    file's name, for any other.
    """
    if which == BUNDLED:
        return Path(__file__).with_name(f"{BUNDLED}.onnx").read_bytes()
    path = Path(which)
    if not path.is_file():
        raise ConfigError(
            f"Eye '{which}' does not exist; give an ONNX file, or {BUNDLED} for the bundled one."
        )
    if path.suffix.lower() in TORCH_FILES:
        try:
            import torch  # noqa: F401
        except ImportError:
            raise MissingExtraError(f"Reading the eye '{which}'", "train") from None
        from inkbridge.eye.from_torch import to_onnx

        return to_onnx(path)
    model = path.read_bytes()
    _check(model, which)
    return model


class Eye:
    """An eye, loaded: a picture in, feature maps of several depths out."""

    def __init__(self, which: str = BUNDLED, threads: int = 0) -> None:
        """`which` as for `read_eye`; with 0 `threads` there is one for each core that this process may use.

        Raises ConfigError if it is no eye.
        """
        model = read_eye(which)
        self.name = f"{Path(which).stem}-{hashlib.sha256(model).hexdigest()[:8]}"
        """With a hash: figures of different eyes cannot be compared."""
        self._session = _open(model, which, threads)
        self._input = self._session.get_inputs()[0].name

    def maps(self, picture: RGB, short_side: int = 256) -> list[Maps]:
        """Feature maps of an H x W x 3 uint8 picture, each channels x height x width, finest first.

        The picture is first resized (antialiased) so that its short side is `short_side`, 64 at least.
        """
        return self.maps_of(resized(picture, short_side))

    def maps_of(self, picture: RGB) -> list[Maps]:
        """The same for a picture as large as it is."""
        values = picture.astype(np.float32).transpose(2, 0, 1)[None] / np.float32(127.5) - np.float32(1)
        return [found[0] for found in self._session.run(None, {self._input: values})]


def resized(picture: RGB, short_side: int) -> RGB:
    """An H x W x 3 uint8 picture with this short side, resized by a Lanczos filter if it has another."""
    height, width = picture.shape[:2]
    scale = short_side / min(height, width)
    if scale == 1:
        return picture
    size = max(round(width * scale), short_side), max(round(height * scale), short_side)
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


def _open(model: bytes, which: str, threads: int) -> onnxruntime.InferenceSession:
    # A model may name files of this machine as its weights; an eye carries them inside.
    if b"\x0a\x08location" in model:
        raise ConfigError(f"Eye '{which}' keeps its weights in other files; save it as one ONNX file.")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is raised, not printed
    options.enable_mem_pattern = False  # costs memory for each size, and wins no time
    options.intra_op_num_threads = threads or usable_cores()
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions have no common base but Exception
        raise ConfigError(
            f"Eye '{which}' is not an ONNX network that can be loaded ({first_line(error)}); {LAYOUT}."
        ) from None


def _check(model: bytes, which: str) -> None:
    """Raises ConfigError when `model` does not see as an eye does."""
    session = _open(model, which, 1)
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(inputs[0].shape) != 4:
        found = ", ".join(f"{entry.name} {entry.type} {entry.shape}" for entry in inputs)
        raise ConfigError(f"Eye '{which}' has the inputs {found}; {LAYOUT}.")
    _, channels, *sides = inputs[0].shape
    if channels != 3 or any(isinstance(side, int) for side in sides):
        raise ConfigError(
            f"Eye '{which}' takes pictures of shape {inputs[0].shape}; export it with height and width left "
            f"open: {LAYOUT}."
        )
    sizes = []
    for height, width in ((LEAST_SIDE, LEAST_SIDE), (LEAST_SIDE, 2 * LEAST_SIDE)):
        image = np.linspace(-1, 1, 3 * height * width, dtype=np.float32).reshape(1, 3, height, width)
        try:
            found = session.run(None, {inputs[0].name: image})
        except Exception as error:
            raise ConfigError(
                f"Eye '{which}' does not run on a picture of {width} x {height} ({first_line(error)}); "
                f"{LAYOUT}."
            ) from None
        shapes = [np.shape(value) for value in found]
        if len(found) < LEAST_DEPTHS or any(len(shape) != 4 or shape[0] != 1 for shape in shapes):
            raise ConfigError(
                f"Eye '{which}' gives outputs of shape {', '.join(map(str, shapes))}; {LAYOUT}."
            )
        sizes = [shape[2] * shape[3] for shape in shapes]
        if min(sizes) < 1 or sizes != sorted(sizes, reverse=True):
            raise ConfigError(
                f"Eye '{which}' gives maps of {', '.join(f'{s[2]} x {s[3]}' for s in shapes)}; {LAYOUT}."
            )
        if not all(np.isfinite(value).all() for value in found):
            raise ConfigError(f"Eye '{which}' gives values that are not finite; its weights are damaged.")
