"""The bundled eye, and what a user may give in its place."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from inkbridge.errors import ConfigError
from inkbridge.eye import Eye, read_eye, resized

SAMPLES = Path(__file__).parents[1] / "samples"


def layers(model: bytes) -> dict[str, np.ndarray]:
    """The weights of an ONNX file by name."""
    graph = onnx.load_from_string(model).graph
    return {entry.name: numpy_helper.to_array(entry).astype(np.float64) for entry in graph.initializer}


def conv(x, weight, bias, stride=1, pad=0):
    """The textbook's convolution and rectifier: C x H x W -> D x H' x W'."""
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    side = weight.shape[-1]
    windows = np.lib.stride_tricks.sliding_window_view(x, (side, side), (1, 2))[:, ::stride, ::stride]
    return np.maximum(np.einsum("chwij,dcij->dhw", windows, weight) + bias[:, None, None], 0)


def pool(x, side, stride):
    windows = np.lib.stride_tricks.sliding_window_view(x, (side, side), (1, 2))
    return windows[:, ::stride, ::stride].max((-2, -1))


def test_the_bundled_eye_is_squeezenet_by_hand():
    picture = np.asarray(Image.open(SAMPLES / "photos" / "portrait.jpg").convert("RGB"))[:72, :80]
    weights = {name.removesuffix(".half"): value for name, value in layers(read_eye("squeezenet11")).items()}

    def part(name, x, **how):
        return conv(x, weights[f"{name}.weight"], weights[f"{name}.bias"], **how)

    x = part("conv1", picture.transpose(2, 0, 1) / 127.5 - 1, stride=2)
    expected = [x]
    for fire in range(2, 10):
        if fire in (2, 4, 6):
            x = pool(x, 3, 2)
        squeezed = part(f"fire{fire}.squeeze1x1", x)
        wide = part(f"fire{fire}.expand1x1", squeezed), part(f"fire{fire}.expand3x3", squeezed, pad=1)
        x = np.concatenate(wide)
        expected.append(x)
    seen = Eye(threads=1).maps(picture, 72)
    assert [found.shape[0] for found in seen] == [64, 128, 128, 256, 256, 384, 384, 512, 512]
    for found, wanted in zip(seen, expected, strict=True):
        assert np.abs(found - wanted).max() < 1e-4 * wanted.max()


def test_an_eye_has_a_name_with_a_hash_and_brings_pictures_to_one_size():
    eye = Eye(threads=1)
    digest = hashlib.sha256(read_eye("squeezenet11")).hexdigest()
    assert eye.name == f"squeezenet11-{digest[:8]}"
    picture = np.asarray(Image.open(SAMPLES / "photos" / "college.jpg").convert("RGB"))
    assert resized(picture, 100).shape[:2] == (100, 100)
    assert resized(picture[:200], 100).shape[:2] == (100, 160)
    large, small = eye.maps(picture, 128), eye.maps(resized(picture, 160), 128)
    assert [a.shape for a in large] == [b.shape for b in small]
    # Strokes are looked at at one size, whatever the file's is.
    assert np.corrcoef(large[3].ravel(), small[3].ravel())[0, 1] > 0.95


def made_eye(path, *, sides=("height", "width"), channels=3, flat=False, depths=3, shrink=2, kind="float"):
    """An ONNX file with `depths` convolutions, perhaps of another layout than an eye's."""
    rng = np.random.default_rng(0)
    nodes, weights, outputs, x = [], [], [], "image"
    for i in range(depths):
        width = channels if i == 0 else 4
        weight = rng.normal(0, 0.3, (4, width, shrink, shrink)).astype(np.float32)
        weights.append(numpy_helper.from_array(weight, f"w{i}"))
        nodes.append(helper.make_node("Conv", [x, f"w{i}"], [f"map{i}"], strides=[shrink] * 2))
        x = f"map{i}"
        outputs.append(helper.make_tensor_value_info(x, TensorProto.FLOAT, ["n", 4, f"h{i}", f"w{i}"]))
    if flat:
        nodes.append(helper.make_node("ReduceMean", [x], ["vector"], axes=[2, 3], keepdims=0))
        outputs = [helper.make_tensor_value_info("vector", TensorProto.FLOAT, ["n", 4])]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", channels, *sides])
    graph = helper.make_graph(nodes, "made", [image], outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if kind == "external":
        onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    else:
        path.write_bytes(model.SerializeToString())
    return path


def test_another_onnx_file_is_an_eye(tmp_path):
    path = made_eye(tmp_path / "own.onnx", depths=4)
    maps = Eye(str(path), threads=1).maps(np.zeros((64, 96, 3), np.uint8), 64)
    assert [found.shape for found in maps] == [(4, 32, 48), (4, 16, 24), (4, 8, 12), (4, 4, 6)]


@pytest.mark.parametrize(
    ("layout", "reason"),
    [
        ({"sides": (224, 224)}, "left open"),
        ({"channels": 1}, "takes pictures of shape"),
        ({"flat": True}, "gives outputs of shape (1, 4)"),
        ({"depths": 2}, "at least 3 feature maps"),
        ({"shrink": 6}, "does not run on a picture of 64 x 64"),
        ({"kind": "external"}, "save it as one ONNX file"),
    ],
)
def test_what_is_no_eye_is_said_in_one_sentence(tmp_path, layout, reason):
    path = made_eye(tmp_path / "other.onnx", **layout)
    with pytest.raises(ConfigError) as raised:
        read_eye(str(path))
    told = str(raised.value)
    assert reason in told
    assert str(path) in told
    assert "\n" not in told


def test_files_that_are_missing_or_something_else_are_said(tmp_path):
    (tmp_path / "text.onnx").write_text("no network")
    (tmp_path / "text.pt").write_text("no weights")
    for name, reason in (
        ("none.onnx", "does not exist"),
        ("text.onnx", "is not an ONNX network"),
        ("text.pt", "cannot be read as weights of PyTorch"),
    ):
        with pytest.raises(ConfigError, match=reason) as raised:
            read_eye(str(tmp_path / name))
        assert "\n" not in str(raised.value)


VGG = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
WIDTHS = (64, 128, 256, 512, 512)
MEAN, SPREAD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def random_conv(state, name, channels, width, side):
    import torch

    state[f"{name}.weight"] = torch.randn(width, channels, side, side) * (2 / channels / side**2) ** 0.5
    state[f"{name}.bias"] = torch.randn(width) * 0.1


def torch_maps(layers, picture):
    """What PyTorch's layers give, as torchvision would call them; an output after each `keep`."""
    import torch

    x = torch.from_numpy(((picture / 255 - MEAN) / SPREAD).transpose(2, 0, 1)[None]).float()
    found = []
    for layer in layers:
        x = found.append(x[0].numpy()) or x if layer == "keep" else layer(x)
    return found


@pytest.mark.parametrize("name", VGG)
def test_weights_of_vgg_become_an_eye(tmp_path, name):
    import torch
    import torch.nn.functional as F

    torch.manual_seed(0)
    state, layers, place, channels = {}, [], 0, 3
    for block, (count, width) in enumerate(zip(VGG[name], WIDTHS, strict=True)):
        if block:
            layers.append(lambda x: F.max_pool2d(x, 2, 2))
        for _ in range(count):
            at = f"features.{place}"
            random_conv(state, at, channels, width, 3)
            weight, bias = state[f"{at}.weight"], state[f"{at}.bias"]
            layers.append(lambda x, w=weight, b=bias: F.relu(F.conv2d(x, w, b, padding=1)))
            place, channels = place + 2, width
        place += 1
        layers.append("keep")
    state["classifier.0.weight"] = torch.zeros(2, 2)
    path = tmp_path / f"{name}.pth"
    torch.save(state, path)
    picture = np.asarray(Image.open(SAMPLES / "photos" / "forest.jpg").convert("RGB"))[:64, :80]
    maps = Eye(str(path), threads=1).maps_of(picture)
    outputs = [entry.name for entry in onnx.load_from_string(read_eye(str(path))).graph.output]
    assert outputs == [f"relu{i + 1}_{count}" for i, count in enumerate(VGG[name])]
    for found, wanted in zip(maps, torch_maps(layers, picture), strict=True):
        assert np.abs(found - wanted).max() < 1e-4 * wanted.max()


def test_weights_of_squeezenet_become_an_eye_and_others_are_refused(tmp_path):
    import torch
    import torch.nn.functional as F

    torch.manual_seed(0)
    state, channels = {}, 64
    random_conv(state, "features.0", 3, 64, 3)
    layers = [lambda x: F.relu(F.conv2d(x, state["features.0.weight"], state["features.0.bias"], 2)), "keep"]
    for place, squeeze, width in zip(
        (3, 4, 6, 7, 9, 10, 11, 12),
        (16, 16, 32, 32, 48, 48, 64, 64),
        (64, 64, 128, 128, 192, 192, 256, 256),
        strict=True,
    ):
        if place in (3, 6, 9):
            layers.append(lambda x: F.max_pool2d(x, 3, 2, ceil_mode=True))
        at = f"features.{place}"
        random_conv(state, f"{at}.squeeze", channels, squeeze, 1)
        random_conv(state, f"{at}.expand1x1", squeeze, width, 1)
        random_conv(state, f"{at}.expand3x3", squeeze, width, 3)

        def fire(x, at=at):
            def part(x, name, pad=0):
                return F.relu(F.conv2d(x, state[f"{at}.{name}.weight"], state[f"{at}.{name}.bias"], 1, pad))

            x = part(x, "squeeze")
            return torch.cat([part(x, "expand1x1"), part(x, "expand3x3", 1)], 1)

        layers += [fire, "keep"]
        channels = 2 * width
    path = tmp_path / "squeeze.pt"
    torch.save(state, path)
    picture = np.asarray(Image.open(SAMPLES / "photos" / "palms.jpg").convert("RGB"))[:70, :64]
    maps, wanted = Eye(str(path), threads=1).maps_of(picture), torch_maps(layers, picture)
    for found, expected in zip(maps, wanted, strict=True):
        assert np.abs(found - expected).max() < 1e-4 * expected.max()
    for left in ({"layer.weight": torch.zeros(3)}, [1, 2]):
        torch.save(left, path)
        with pytest.raises(ConfigError, match="no weights of vgg16, vgg19 or squeezenet1_1"):
            read_eye(str(path))
    del state["features.9.squeeze.bias"]
    torch.save(state, path)
    with pytest.raises(ConfigError, match="no weights of vgg16"):
        read_eye(str(path))


def test_the_eye_needs_no_torch():
    code = (
        "import sys, inkbridge, inkbridge.metrics.quality\n"
        "from inkbridge.eye import Eye\n"
        "Eye()\n"
        "assert not {'torch', 'onnx'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
