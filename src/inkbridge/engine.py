"""One ONNX network and where it runs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnxruntime

from inkbridge.errors import PackError

Floats = npt.NDArray[np.float32]


class Engine:
    """An ONNX Runtime session of a generator with inputs `image` and `style` and output `result`."""

    def __init__(self, model: bytes, name: str, style_dim: int) -> None:
        """Raises PackError, naming `name`, when `model` is not such a generator."""
        # A model may name files of this machine as its weights; ours always carry them inside.
        if b"\x0a\x08location" in model:
            raise PackError(f"{name}: its generator refers to files outside the pack; refused.")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # what goes wrong is raised, not printed
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's exceptions have no common base but Exception
            first = str(error).splitlines()[0]
            raise PackError(f"{name}: its generator cannot be loaded ({first}).") from None
        inputs = {entry.name: entry.shape for entry in self._session.get_inputs()}
        outputs = [entry.name for entry in self._session.get_outputs()]
        if set(inputs) != {"image", "style"} or outputs != ["result"]:
            raise PackError(
                f"{name}: its generator has inputs {sorted(inputs)} and outputs {outputs}; "
                "expected image, style and result."
            )
        self._try_once(name, style_dim)

    def run(self, image: Floats, style: Floats) -> Floats:
        """N x 3 x H x W in [-1, 1] and N x style_dim -> N x 3 x H x W in [-1, 1]."""
        result: Floats = self._session.run(["result"], {"image": image, "style": style})[0]
        return result

    def _try_once(self, name: str, style_dim: int) -> None:
        image = np.zeros((1, 3, 64, 64), np.float32)
        try:
            result = self.run(image, np.zeros((1, style_dim), np.float32))
        except Exception as error:
            first = str(error).splitlines()[0]
            raise PackError(f"{name}: its generator does not run ({first}).") from None
        if result.shape != image.shape or result.dtype != np.float32:
            raise PackError(
                f"{name}: its generator turns a 64 x 64 picture into {list(result.shape)} "
                f"{result.dtype}; expected {list(image.shape)} float32."
            )
