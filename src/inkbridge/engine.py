"""ONNX networks and where they run."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime

from inkbridge.devices import CPU, PROVIDERS, Device
from inkbridge.errors import PackError, first_line

Floats = npt.NDArray[np.float32]

THUMBNAIL = 64
"""Side of what the tone network of a repair pack looks at."""


@dataclass(frozen=True)
class Sureness:
    """What it takes to put a picture's colours right."""

    sure: float
    """The tone network says that they are amiss by more than this chance,"""
    faint: float
    """and they change by more than this, as a root mean square of its thumbnail, of 255."""


WORN = Sureness(0.6, 12.0)
"""For pictures that were mended otherwise: what hurts one hurts its colours too, and a little is lost where
they were sound."""
SOUND = Sureness(0.95, 18.0)
"""For pictures that needed nothing else."""


def usable_cores() -> int:
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


class Engine:
    """A generator, loaded: `image` and perhaps `style` and `grain` in, `result` out."""

    def __init__(
        self,
        model: bytes,
        name: str,
        style_dim: int,
        multiple: int = 8,
        threads: int = 0,
        device: Device = CPU,
    ) -> None:
        """`multiple` is what heights and widths must be multiples of; with 0 `threads` there is one for each
        core that this process may use.

        Raises PackError, naming `name`, when `model` is not such a generator.
        """
        self._session = _open(
            model, f"{name}: its generator", {"image"}, ["result"], {"style", "grain"}, threads, device
        )
        self._inputs = self._session.inputs
        self._side, self._style_dim = -(-64 // multiple) * multiple, style_dim
        self._try_once(name)

    def run(self, image: Floats, style: Floats, grain: Floats | None = None) -> Floats:
        """N x 3 x H x W in [-1, 1], N x style_dim and N x 1 x H x W -> N x 3 x H x W in [-1, 1].

        `style` and `grain` are used if the generator takes any.
        """
        grain = np.zeros_like(image[:, :1]) if grain is None else grain
        inputs = {"image": image, "style": style, "grain": grain}
        result: Floats = self._session.run(["result"], {name: inputs[name] for name in self._inputs})[0]
        return result

    def rest(self) -> None:
        """Give the memory back that large pictures took; the next one takes it again, and a little longer."""
        side = self._side
        inputs = {
            "image": np.zeros((1, 3, side, side), np.float32),
            "style": np.zeros((1, self._style_dim), np.float32),
            "grain": np.zeros((1, 1, side, side), np.float32),
        }
        self._session.rest({name: inputs[name] for name in self._inputs})

    def _try_once(self, name: str) -> None:
        side = self._side
        image = np.zeros((1, 3, side, side), np.float32)
        try:
            result = self.run(image, np.zeros((1, self._style_dim), np.float32))
        except Exception as error:
            first = first_line(error)
            raise PackError(f"{name}: its generator does not run ({first}).") from None
        if result.shape != image.shape or result.dtype != np.float32:
            raise PackError(
                f"{name}: its generator turns a {side} x {side} picture into {list(result.shape)} "
                f"{result.dtype}; expected {list(image.shape)} float32."
            )


class EncoderEngine:
    """A style encoder, loaded: `image` in, `style` out."""

    def __init__(self, model: bytes, name: str, style_dim: int) -> None:
        """Raises PackError, naming `name`, when `model` is not such an encoder."""
        self._session = _open(model, f"{name}: its encoder", {"image"}, ["style"])
        try:
            code = self.run(np.zeros((1, 3, 64, 64), np.float32))
        except Exception as error:
            raise PackError(f"{name}: its encoder does not run ({first_line(error)}).") from None
        if code.shape != (1, style_dim) or code.dtype != np.float32:
            raise PackError(
                f"{name}: its encoder gives {list(code.shape)} {code.dtype}; expected 1 x {style_dim}."
            )

    def run(self, image: Floats) -> Floats:
        """N x 3 x H x W in [-1, 1] -> N x style_dim."""
        code: Floats = self._session.run(["style"], {"image": image})[0]
        return code


class EnlargerEngine:
    """The enlarger, loaded: `image` and `grain` in, `result` out, larger by a fixed factor."""

    def __init__(self, model: bytes, name: str, threads: int = 0, device: Device = CPU) -> None:
        """`threads` and `device` as for `Engine`; PackError, naming `name`, when `model` is no enlarger."""
        self._session = _open(model, name, {"image", "grain"}, ["result"], threads=threads, device=device)

    def run(self, image: Floats, grain: Floats) -> Floats:
        """N x 3 x H x W in [-1, 1] and grain (`inkbridge.enlarge`) -> N x 3 x factor H x factor W."""
        result: Floats = self._session.run(["result"], {"image": image, "grain": grain})[0]
        return result

    def rest(self, image: Floats, grain: Floats) -> None:
        """Give the memory back that large pictures took, by a run on a small one."""
        self._session.rest({"image": image, "grain": grain})


class RepairEngine:
    """A repair pack, loaded: one network mends pixels, the other answers with colours."""

    def __init__(self, repairer: bytes, tone: bytes, name: str, multiple: int) -> None:
        """`multiple` is what heights and widths must be multiples of.

        Raises PackError, naming `name`, when these are no such networks.
        """
        self._repairer = _open(
            repairer, f"{name}: its generator", {"image", "mask", "filling"}, ["result", "hidden"]
        )
        self._tone = _open(tone, f"{name}: its tone network", {"thumbnail"}, ["light", "tone"])
        side = -(-64 // multiple) * multiple
        try:
            result, hidden = self.repair(*(np.zeros((1, n, side, side), np.float32) for n in (3, 1, 3)))
            light, tones = self.tone(np.zeros((1, 3, THUMBNAIL, THUMBNAIL), np.float32))
        except Exception as error:
            raise PackError(f"{name}: its networks do not run ({first_line(error)}).") from None
        shapes = result.shape, hidden.shape, light.shape[:2], tones.shape[:1]
        # A matrix of 12 numbers, three curves of two knots at least, and whether anything is amiss.
        curves = tones.shape[-1] - 13
        if shapes != ((1, 3, side, side), (1, 1, side, side), (1, 3), (1,)) or curves < 6 or curves % 3:
            raise PackError(f"{name}: its networks answer with other shapes than those of a repair pack.")

    def repair(self, image: Floats, mask: Floats, filling: Floats) -> tuple[Floats, Floats]:
        """N x 3 x H x W in [-1, 1], N x 1 x H x W (1: hidden) and the picture with that filled -> N x 3 x H x
        W, and N x 1 x H x W from 0 to 1: how surely a pixel is hidden."""
        inputs = {"image": image, "mask": mask, "filling": filling}
        result, hidden = self._repairer.run(["result", "hidden"], inputs)
        return result, hidden

    def tone(self, thumbnail: Floats) -> tuple[Floats, Floats]:
        """N x 3 x 64 x 64 in [-1, 1] -> a map of light and numbers (`inkbridge.uses.repair.tone`)."""
        light, tone = self._tone.run(["light", "tone"], {"thumbnail": thumbnail})
        return light, tone


class _Session(Protocol):
    """A network that a program for networks has loaded."""

    inputs: set[str]
    outputs: list[str]

    def run(self, outputs: Sequence[str], inputs: Mapping[str, Floats]) -> list[Any]: ...

    def rest(self, inputs: Mapping[str, Floats]) -> None: ...


class _OnnxRuntime:
    def __init__(self, model: bytes, device: Device, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # what goes wrong is raised, not printed
        # A plan of memory for each size it met costs a fifth more memory, and no time is won by it.
        options.enable_mem_pattern = False
        cores = usable_cores()
        if not threads and cores < (os.cpu_count() or 1):
            # ONNX Runtime counts the machine's cores: threads that share one wait for each other, awake.
            threads = cores
        options.intra_op_num_threads = threads
        # What a device cannot do, the processor does.
        providers = list(dict.fromkeys([PROVIDERS[device.name], PROVIDERS["cpu"]]))
        self._session = onnxruntime.InferenceSession(model, options, providers=providers)
        self.inputs = {entry.name for entry in self._session.get_inputs()}
        self.outputs = [entry.name for entry in self._session.get_outputs()]

    def run(self, outputs: Sequence[str], inputs: Mapping[str, Floats]) -> list[Any]:
        results: list[Any] = self._session.run(list(outputs), dict(inputs))
        return results

    def rest(self, inputs: Mapping[str, Floats]) -> None:
        options = onnxruntime.RunOptions()
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        self._session.run(self.outputs, dict(inputs), options)


class _OpenVino:
    def __init__(self, model: bytes, device: Device, threads: int) -> None:
        import openvino

        core = openvino.Core()
        words = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}
        self._network = core.compile_model(
            core.read_model(model),
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": words[device.precision],
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_NUM_THREADS": threads or usable_cores(),
            },
        )
        self.inputs = {entry.any_name for entry in self._network.inputs}
        self.outputs = [entry.any_name for entry in self._network.outputs]

    def run(self, outputs: Sequence[str], inputs: Mapping[str, Floats]) -> list[Any]:
        # One for each call: several threads may ask at a time.
        request = self._network.create_infer_request()
        request.infer(dict(inputs))
        return [request.get_tensor(name).data.copy() for name in outputs]

    def rest(self, inputs: Mapping[str, Floats]) -> None:
        pass  # what a request takes goes with it


def _open(
    model: bytes,
    what: str,
    inputs: set[str],
    outputs: list[str],
    optional: frozenset[str] | set[str] = frozenset(),
    threads: int = 0,
    device: Device = CPU,
) -> _Session:
    # A model may name files of this machine as its weights; ours always carry them inside.
    if b"\x0a\x08location" in model:
        raise PackError(f"{what} refers to files outside the pack; refused.")
    device.check()
    make = _OpenVino if device.name == "openvino" else _OnnxRuntime
    try:
        session = make(model, device, threads)
    except Exception as error:  # neither program's exceptions have a common base but Exception
        raise PackError(f"{what} cannot be loaded ({first_line(error)}).") from None
    found = session.inputs
    if not inputs <= found <= inputs | optional or session.outputs != outputs:
        raise PackError(
            f"{what} has inputs {sorted(found)} and outputs {session.outputs}; "
            f"expected {' and '.join(sorted(inputs))}, and {' and '.join(outputs)}."
        )
    return session
