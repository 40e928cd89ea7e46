"""Made pictures, folders and packs; nothing is mocked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from inkbridge.pack_format import PackFile, PackInfo, SizeRules, StyleEntry, write_pack

STYLE_DIM = 4


def inverting_model(outputs: int = 3, style_dim: int = STYLE_DIM) -> bytes:
    """An ONNX generator whose result is the negated image (times 1 + 0 * the style's sum)."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, "h", "w"])
    style = helper.make_tensor_value_info("style", TensorProto.FLOAT, ["n", style_dim])
    result = helper.make_tensor_value_info("result", TensorProto.FLOAT, ["n", outputs, "h", "w"])
    channels = helper.make_tensor("channels", TensorProto.INT64, [outputs], list(range(outputs)))
    zeros = helper.make_tensor("zeros", TensorProto.FLOAT, [style_dim, 1], [0.0] * style_dim)
    axes = helper.make_tensor("axes", TensorProto.INT64, [2], [2, 3])
    nodes = [
        helper.make_node("MatMul", ["style", "zeros"], ["nothing"]),
        helper.make_node("Unsqueeze", ["nothing", "axes"], ["wide"]),
        helper.make_node("Gather", ["image", "channels"], ["chosen"], axis=1),
        helper.make_node("Neg", ["chosen"], ["negated"]),
        helper.make_node("Add", ["negated", "wide"], ["result"]),
    ]
    graph = helper.make_graph(nodes, "invert", [image, style], [result], [channels, zeros, axes])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def pack_file(model: bytes | None = None, style_dim: int = STYLE_DIM) -> PackFile:
    """A pack in memory with one style, `inverted`."""
    info = PackInfo(
        title="Inverted",
        styles=[StyleEntry("inverted", "Inverted", [0.5] * style_dim)],
        size=SizeRules(multiple=8, overlap=16),
        generator_sha256="",
    )
    return PackFile(info, inverting_model() if model is None else model, license="CC0")


def tinting_pack() -> PackFile:
    """Two styles, `darker` and `redder`, whose result is the picture plus the code's first three numbers.

    Its encoder's code is the mean colour of the example in [-1, 1], and 0.
    """
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, "h", "w"])
    style = helper.make_tensor_value_info("style", TensorProto.FLOAT, ["n", STYLE_DIM])
    result = helper.make_tensor_value_info("result", TensorProto.FLOAT, ["n", 3, "h", "w"])
    three = helper.make_tensor("three", TensorProto.INT64, [3], [0, 1, 2])
    axes = helper.make_tensor("axes", TensorProto.INT64, [2], [2, 3])
    nodes = [
        helper.make_node("Gather", ["style", "three"], ["tint"], axis=1),
        helper.make_node("Unsqueeze", ["tint", "axes"], ["wide"]),
        helper.make_node("Add", ["image", "wide"], ["result"]),
    ]
    generator = helper.make_graph(nodes, "tint", [image, style], [result], [three, axes])
    pads = helper.make_tensor("pads", TensorProto.INT64, [4], [0, 0, 0, STYLE_DIM - 3])
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("Pad", ["mean", "pads"], ["style"]),
    ]
    encoder = helper.make_graph(nodes, "mean", [image], [style], [pads])
    models = []
    for graph in (generator, encoder):
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model)
        models.append(model.SerializeToString())
    info = PackInfo(
        title="Tints",
        styles=[
            StyleEntry("darker", "Darker", [-0.4, -0.4, -0.4, 0.0]),
            StyleEntry("redder", "Redder", [0.4, 0.0, -0.2, 0.0]),
        ],
        size=SizeRules(multiple=8, overlap=16),
        generator_sha256="",
    )
    return PackFile(info, models[0], models[1], license="CC0")


@pytest.fixture
def tints(tmp_path: Path) -> Path:
    """The pack of `tinting_pack` as a file."""
    path = tmp_path / "tints.stylepack"
    write_pack(path, tinting_pack())
    return path


@pytest.fixture
def stub_pack(tmp_path: Path) -> Path:
    """A pack whose result is the inverted picture: exact answers."""
    path = tmp_path / "inverted.stylepack"
    write_pack(path, pack_file())
    return path


@pytest.fixture(autouse=True)
def own_pack_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test sees, or writes to, the packs of whoever runs it, or the device that they chose."""
    folder = tmp_path_factory.mktemp("packs")
    monkeypatch.setenv("INKBRIDGE_PACKS", str(folder))
    monkeypatch.setenv("INKBRIDGE_DEVICE_FILE", str(folder / "none" / "device.json"))
    return folder


def run_inkbridge(*arguments: object, **options: Any) -> subprocess.CompletedProcess:
    """The command line in a process of its own."""
    command = [sys.executable, "-m", "inkbridge", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def made_picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Smooth colours, a few rectangles and noise: H x W x 3 uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    base = np.stack(
        [128 + 100 * np.sin(x / 9 + seed), 128 + 100 * np.cos(y / 13), 128 + 90 * np.sin((x + y) / 17)], -1
    )
    for _ in range(4):
        top, left = rng.integers(0, max(height - 4, 1)), rng.integers(0, max(width - 4, 1))
        base[top : top + height // 4, left : left + width // 4] = rng.integers(0, 255, 3)
    base += rng.normal(0, 6, base.shape)
    return np.clip(base, 0, 255).astype(np.uint8)


@pytest.fixture
def toy_folders(tmp_path: Path) -> tuple[Path, Path]:
    """Content: colourful made pictures. Style: red-brown stripes on paper."""
    content, style = tmp_path / "content", tmp_path / "style"
    content.mkdir()
    style.mkdir()
    for i in range(10):
        Image.fromarray(made_picture(72, 96, i)).save(content / f"{i}.png")
        y, x = np.mgrid[:80, :100]
        ink = ((x + (2 + i % 3) * y) // 5) % 2
        paper = np.array([235, 220, 180]) - ink[..., None] * np.array([110, 150, 140])
        Image.fromarray(paper.astype(np.uint8)).save(style / f"{i}.png")
    return content, style


TINY = [
    "data.crop=48",
    "generator.width=8",
    "generator.body=16",
    "generator.num_blocks=1",
    "generator.style_dim=8",
    "discriminator.width=8",
    "projection=16",
    "losses.content_places=16",
    "optimizer.warm_up_images=8",
    "optimizer.generator_warm_up_images=8",
    "sample_every=1000000",
    # Two runs that are compared bit for bit must not each measure what is faster at that moment.
    "precision=float32",
]
"""Settings under which an update takes a few milliseconds."""


def equal(a: object, b: object) -> bool:
    """Whether two checkpoint states are the same, bit for bit; lazily loads torch, which few tests need."""
    import torch

    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    return torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


CODES = {"one": [0.5, -1.0, 0.3, 0.9], "two": [-0.7, 0.2, 1.1, -0.4]}
"""Of the styles of `tiny_packs`."""


@pytest.fixture(scope="session")
def tiny_packs(tmp_path_factory):
    """By kind of generator a small one with random weights, as a pack of Inkbridge's own."""
    import torch

    from inkbridge.train.export import to_onnx
    from inkbridge.train.networks import make_generator
    from inkbridge.train.networks.generator import GeneratorConfig

    folder, found = tmp_path_factory.mktemp("tiny"), {}
    for kind in ("modulated", "resnet6", "unet256"):
        torch.manual_seed(3)
        config = GeneratorConfig(kind=kind, width=8, body=16, num_blocks=1, style_dim=4, uneven=0.2)
        generator = make_generator(config)
        with torch.no_grad():
            for name, value in generator.named_parameters():
                if name != "styles":  # far from flat
                    value.copy_(value * 2 + 0.05 * torch.randn(value.shape))
        dim = generator.styles.shape[1]
        multiple = generator.multiple
        size = SizeRules(multiple, -(-generator.receptive_radius() // multiple) * multiple)
        size.border = 16 if kind == "modulated" else 0
        styles = [StyleEntry(name, name, code[:dim]) for name, code in CODES.items()]
        found[kind] = folder / f"{kind}.stylepack"
        write_pack(found[kind], PackFile(PackInfo(kind, styles, size, ""), to_onnx(generator)))
    return found
