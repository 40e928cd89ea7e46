"""What a network runs on, and in which numbers; which of it this machine has, and which one people chose."""

from __future__ import annotations

import importlib.util
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import onnxruntime

from inkbridge.errors import ConfigError, MissingExtraError
from inkbridge.images import write_atomically

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
}
"""By name, what ONNX Runtime calls it. There is `openvino` too, which is a program of its own."""
PACKAGES = {"cuda": "onnxruntime-gpu", "coreml": "onnxruntime", "directml": "onnxruntime-directml"}
"""Where ONNX Runtime with it comes from, in place of `onnxruntime`."""
PRECISIONS = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Device:
    """What networks run on."""

    name: str = "cpu"
    """cpu, cuda, coreml, directml (of ONNX Runtime) or openvino (this machine's processor, by OpenVINO)."""
    precision: str = "float32"
    """Of the numbers within the network: float32, or on openvino bfloat16 or float16."""

    def check(self) -> None:
        """Raises ConfigError for what there is not, MissingExtraError for what is not installed."""
        names = [*PROVIDERS, "openvino"]
        if self.name not in names:
            raise ConfigError(f"device = {self.name} is not known. There are {', '.join(names)}.")
        if self.precision not in PRECISIONS:
            raise ConfigError(
                f"precision = {self.precision} is not known. There are {', '.join(PRECISIONS)}."
            )
        if self.name == "openvino":
            if importlib.util.find_spec("openvino") is None:
                raise MissingExtraError("Device openvino", "openvino")
            return
        if self.precision != "float32":
            raise ConfigError(
                f"precision = {self.precision} needs device openvino; {self.name} works in float32."
            )
        offered = onnxruntime.get_available_providers()
        if PROVIDERS[self.name] not in offered:
            raise ConfigError(
                f"Device {self.name} is not there: the installed ONNX Runtime offers "
                f"{', '.join(offered)}. Install {PACKAGES[self.name]} in its place."
            )

    def __str__(self) -> str:
        return self.name if self.precision == "float32" else f"{self.name} {self.precision}"


CPU = Device()


def devices_here() -> list[Device]:
    """All that this machine has, the processor with ONNX Runtime first.

    Precisions that the processor has no instructions for are left out: OpenVINO takes float32 for them.
    """
    offered = onnxruntime.get_available_providers()
    found = [Device(name) for name, provider in PROVIDERS.items() if provider in offered]
    if importlib.util.find_spec("openvino") is not None:
        import openvino

        able = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        words = {"float32": "FP32", "bfloat16": "BF16", "float16": "FP16"}
        found += [Device("openvino", precision) for precision, word in words.items() if word in able]
    return found


def chosen_device(name: str | None = None, precision: str | None = None) -> Device:
    """The device of that name; without one the one that was kept (`keep_device`), else the processor.

    A precision alone is one of openvino, if it is not float32. Raises ConfigError or MissingExtraError when
    it cannot be used here.
    """
    if name is None and precision is None:
        device = kept_device() or CPU
    elif name is None:
        device = CPU if precision == "float32" else Device("openvino", str(precision))
    else:
        device = Device(name, precision or "float32")
    device.check()
    return device


def kept_device() -> Device | None:
    """The device that `keep_device` wrote down, if any; ConfigError when that cannot be read."""
    path = _kept()
    try:
        return Device(**json.loads(path.read_text()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(
            f"{path}, which says what networks run on, cannot be read ({error}). Remove it."
        ) from None


def keep_device(device: Device | None) -> Path:
    """Write down what networks run on where nobody says it, or with None forget it; returns the file."""
    path = _kept()
    try:
        if device is None:
            path.unlink(missing_ok=True)
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}.") from None
    text = json.dumps(asdict(device))
    write_atomically(path, lambda file: file.write(text.encode()))
    return path


def _kept() -> Path:
    return Path(os.environ.get("INKBRIDGE_DEVICE_FILE") or Path.home() / ".inkbridge" / "device.json")
