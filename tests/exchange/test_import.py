"""Checkpoints and networks of other toolkits as packs, held against these toolkits' own networks."""

import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from torch import nn

from conftest import made_picture, run_inkbridge
from exchange.other_toolkits import ResnetGenerator, TransformerNet, UnetGenerator, with_random_weights
from inkbridge.errors import ConfigError, DataError, InkbridgeError, TrainingError
from inkbridge.exchange.formats import export_pack
from inkbridge.exchange.imports import import_file
from inkbridge.exchange.standalone import painted_by_pack
from inkbridge.pack import load

NETWORKS = {
    "resnet9": ResnetGenerator,
    "resnet6-dropout": lambda: ResnetGenerator(blocks=6, dropout=True),
    "resnet6-batch": lambda: ResnetGenerator(blocks=6, norm="batch"),
    "resnet6-old": lambda: ResnetGenerator(blocks=6, norm="tracking"),
    "cut": lambda: ResnetGenerator(antialias=True),
    "unet128-batch": UnetGenerator,
    "unet256": lambda: UnetGenerator(downs=8, norm="instance"),
    "fast-neural-style": TransformerNet,
}


def network(name):
    found = with_random_weights(NETWORKS[name]())
    if name == "resnet6-old":
        for module in found.modules():
            if isinstance(module, nn.InstanceNorm2d):
                module.track_running_stats = False  # as these networks were used: never in evaluation mode
    if isinstance(found, TransformerNet):
        with torch.no_grad():
            found.deconv3.conv2d.weight *= 30
            found.deconv3.conv2d.bias += 120
    return found.requires_grad_(False)


def answer(found, image):
    """The network itself, without Inkbridge; pixels as it has them."""
    for module in found.modules():
        if isinstance(module, nn.InstanceNorm2d) and not module.track_running_stats:
            module.running_mean = module.running_var = None
    if isinstance(found, TransformerNet):
        return (found((image + 1) * 127.5) / 127.5 - 1).clamp(-1, 1)
    return found(image)


def painted(path, image):
    pack = load(path)
    return painted_by_pack(pack.file, "pack", pack.code(), image.numpy())


def noise(*size):
    return torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(8)) * 2 - 1


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("way", ["plain", "parallel", "within"])
def test_a_checkpoint_paints_as_its_own_network_does(tmp_path, name, way):
    if way != "plain" and name != "resnet9":
        pytest.skip("the same for all")
    found = network(name)
    state = found.state_dict()
    if way == "parallel":
        state = {f"module.{key}": value for key, value in state.items()}
    torch.save({"state_dict": state} if way == "within" else state, tmp_path / "latest_net_G.pth")
    imported = import_file(tmp_path / "latest_net_G.pth", "other", tmp_path / "o.stylepack")
    sizes = [(256, 512)] if name == "unet256" else [(128, 256), (256, 128)]
    for size in sizes:
        image = noise(*size)
        expected = answer(found, image).numpy()
        assert expected.std() > 0.1
        assert np.abs(painted(tmp_path / "o.stylepack", image) - expected).max() < 1e-4
    said = " ".join(imported.notes)
    assert ("tiles" in said) == ("batch" not in name)
    assert ("statistics of training" in said) == ("batch" in name)


class ExportedAs(nn.Module):
    """A network with its pixels in another order or range."""

    def __init__(self, network, last=False, sigmoid=False, most=None):
        super().__init__()
        self.network, self.last, self.sigmoid, self.most = network, last, sigmoid, most

    def forward(self, image):
        image = image.permute(0, 3, 1, 2) if self.last else image
        result = (self.network(image * 2 - 1) + 1) / 2 if self.sigmoid else self.network(image)
        result = result if self.most is None else result.clamp(0, self.most)
        return result.permute(0, 2, 3, 1) if self.last else result


@pytest.mark.filterwarnings("ignore")  # what PyTorch says of its own exporter
@pytest.mark.parametrize(
    ("name", "how", "fixed", "opset", "said"),
    [
        ("resnet6-dropout", {}, False, 17, "N x 3 x H x W, pixels from -1..1, sides in multiples of 4"),
        (
            "resnet6-batch",
            {"last": True},
            True,
            11,
            "N x H x W x 3, pixels from -1..1, sides in multiples of 4",
        ),
        ("fast-neural-style", {"most": 255.0}, True, 9, "pixels from 0..255, sides in multiples of 4"),
        ("unet128-batch", {"sigmoid": True}, False, 13, "pixels from 0..1, sides in multiples of 128"),
    ],
)
def test_an_onnx_network_is_found_out(tmp_path, name, how, fixed, opset, said):
    found = network(name)
    image = noise(128, 256)
    example = torch.rand(1, 128, 128, 3) if how.get("last") else torch.rand(1, 3, 128, 128)
    sides = {1: "h", 2: "w"} if how.get("last") else {2: "h", 3: "w"}
    torch.onnx.export(
        ExportedAs(found, **how).eval(),
        example,
        tmp_path / "a.onnx",
        dynamo=False,
        opset_version=opset,
        input_names=["image"],  # the name that a pack has too
        output_names=["painting"],
        dynamic_axes={} if fixed else {"image": sides},
    )
    done = run_inkbridge("import", tmp_path / "a.onnx", "--as", "other", "-o", tmp_path / "o.stylepack")
    assert done.returncode == 0, done.stderr
    assert said in done.stdout
    expected = answer(found, image).numpy()
    assert np.abs(painted(tmp_path / "o.stylepack", image) - expected).max() < 1e-4


def test_an_imported_pack_is_used_by_its_name_and_keeps_where_it_came_from(tmp_path, own_pack_folder):
    torch.save(network("resnet6-dropout").state_dict(), tmp_path / "g.pth")
    done = run_inkbridge("import", tmp_path / "g.pth", "--as", "zebra", "--license", "MIT, by a friend")
    assert done.returncode == 0, done.stderr
    out = tmp_path / "out.png"
    photo = "samples/photos/beach.jpg"
    done = run_inkbridge("apply", photo, "--style", "zebra", "-o", out)
    assert done.returncode == 0, done.stderr
    assert "tiles" not in done.stdout
    assert out.exists()
    pack = load("zebra")
    assert pack.license == "MIT, by a friend"
    assert "CycleGAN" in pack.info.provenance["imported"]
    assert pack.styles == ["zebra"]
    # Of a picture that needs several tiles it is said that they may differ.
    Image.fromarray(made_picture(32, 1400)).save(tmp_path / "wide.png")
    done = run_inkbridge("apply", tmp_path / "wide.png", "--style", "zebra", "-o", out)
    assert "painted in tiles, which may differ" in done.stdout
    # What is there is not overwritten by the way.
    done = run_inkbridge("import", tmp_path / "g.pth", "--as", "zebra")
    assert done.returncode == 1
    assert "is there already" in done.stderr


class Payload:
    def __reduce__(self):
        return os.mkdir, ("executed",)


def test_a_checkpoint_with_a_payload_is_refused_and_executes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    state = network("resnet6-dropout").state_dict()
    torch.save(state | {"model.1.weight": Payload()}, "zip.pth")
    torch.save({"state_dict": state, "more": Payload()}, "within.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Payload()))
    for name in ("zip", "within", "plain"):
        with pytest.raises(DataError, match="cannot be read as weights"):
            import_file(tmp_path / f"{name}.pth", "bad", tmp_path / "bad.stylepack")
    assert not (tmp_path / "executed").exists()
    assert not (tmp_path / "bad.stylepack").exists()
    # What was refused would have done it.
    pickle.loads((tmp_path / "plain.pth").read_bytes())
    assert (tmp_path / "executed").exists()


def changed_checkpoints():
    state = network("resnet6-dropout").state_dict()
    less = dict(state)
    del less["model.4.weight"]
    return {
        "less": (less, "do not fit"),
        "more": (state | {"model.99.weight": torch.zeros(3)}, "do not fit"),
        "shape": (state | {"model.7.weight": torch.zeros(32, 16, 5, 5)}, "turns a 64 x 64 picture into"),
        "other": ({"conv.weight": torch.zeros(3, 3, 3, 3)}, "in no layout that is known"),
        "numbers": ({1: torch.zeros(3)}, "is no state dict"),
        "list": ([torch.zeros(3)], "is no state dict"),
        "flat": ({key: torch.zeros_like(value) for key, value in state.items()}, "all pixels alike"),
        "nan": ({key: value * torch.nan for key, value in state.items()}, "all pixels alike"),
    }


@pytest.mark.parametrize("kind", ["less", "more", "shape", "other", "numbers", "list", "flat", "nan"])
def test_checkpoints_that_do_not_fit_are_refused(tmp_path, kind):
    state, said = changed_checkpoints()[kind]
    torch.save(state, tmp_path / "g.pth")
    with pytest.raises(InkbridgeError, match=said):
        import_file(tmp_path / "g.pth", "bad", tmp_path / "bad.stylepack")
    assert [path.name for path in tmp_path.iterdir()] == ["g.pth"]


def onnx_file(path, num_inputs=1, shape=(1, 3, "h", "w"), operation="Tanh", external=False, old=False):
    names = [f"in{i}" for i in range(num_inputs)]
    inputs = [onnx.helper.make_tensor_value_info(name, 1, list(shape)) for name in names]
    output = onnx.helper.make_tensor_value_info("out", 1, list(shape))
    weights = [onnx.helper.make_tensor("w", 1, [1], [1.0])]
    nodes = [
        onnx.helper.make_node(operation, names, ["middle"], name=f"{operation}_layer"),
        onnx.helper.make_node("Mul", ["middle", "w"], ["out"]),
    ]
    if external:
        weights[0].ClearField("float_data")
        weights[0].data_location = onnx.TensorProto.EXTERNAL
        entry = weights[0].external_data.add()
        entry.key, entry.value = "location", "secret.bin"
    if old:  # weights had to be inputs too
        inputs.append(onnx.helper.make_tensor_value_info("w", 1, [1]))
    graph = onnx.helper.make_graph(nodes, "g", inputs, [output], weights)
    opset, version = (9, 3) if old else (17, 8)
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=version
    )
    path.write_bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"num_inputs": 2, "operation": "Add"}, "has 2 inputs and 1 outputs"),
        ({"shape": (1, 1, "h", "w")}, "which is no picture"),
        ({"shape": (3, 64)}, "which is no picture"),
        ({"external": True}, "other files|cannot be read"),
        ({"operation": "Abs"}, "which range"),
    ],
)
def test_onnx_files_that_are_no_painters_are_refused(tmp_path, how, said):
    onnx_file(tmp_path / "a.onnx", **how)
    with pytest.raises(DataError, match=said):
        import_file(tmp_path / "a.onnx", "bad", tmp_path / "bad.stylepack")
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]


@pytest.mark.parametrize("old", [False, True])
def test_a_range_that_is_said_is_taken(tmp_path, old):
    onnx_file(tmp_path / "a.onnx", operation="Abs", old=old)
    import_file(tmp_path / "a.onnx", "abs", tmp_path / "abs.stylepack", pixels="-1..1")
    image = noise(64, 64)
    assert np.abs(painted(tmp_path / "abs.stylepack", image) - image.abs().numpy()).max() < 1e-6


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # of Keras and NumPy
def test_a_keras_model_of_an_earlier_version_is_imported(tmp_path):
    """It mirrors a picture once, by 24 pixels; the pack is compared with it as it is imported."""
    earlier = Path(__file__).with_name("mirrored_once.keras")
    imported = import_file(earlier, "earlier", tmp_path / "earlier.stylepack")
    assert imported.info.size.border == 24
    assert load(tmp_path / "earlier.stylepack").apply(made_picture(3, 5)).shape == (3, 5, 3)


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # of Keras and NumPy
def test_a_keras_model_that_was_changed_is_refused(tmp_path, tiny_packs):
    done = run_inkbridge("export", tiny_packs["modulated"], "--to", "keras", "-o", tmp_path / "a.keras")
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(tmp_path / "a.keras") as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    config = entries["config.json"]
    for name, old, new, kind, said in [
        ("slope", b'"negative_slope": 0.2', b'"negative_slope": 0.9', TrainingError, "differs from the file"),
        ("layer", b'"encoder_1"', b'"encoder_9"', DataError, "has not the layers"),
        ("code", b'"Tanh"', b'"Lambda"', DataError, "cannot be read as a Keras model|has not the layers"),
    ]:
        assert old in config, name
        with zipfile.ZipFile(tmp_path / "b.keras", "w") as archive:
            for entry, data in (entries | {"config.json": config.replace(old, new)}).items():
                archive.writestr(entry, data)
        with pytest.raises(kind, match=said):
            import_file(tmp_path / "b.keras", "bad", tmp_path / "bad.stylepack")
        assert not (tmp_path / "bad.stylepack").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.pth", "--as", "a"], "does not exist"),
        (["README.md", "--as", "a"], "only .keras, .pth, .pt, .onnx files"),
        (["text.pth", "--as", "a"], "cannot be read as weights"),
        (["text.onnx", "--as", "a"], "cannot be read as ONNX"),
        (["text.keras", "--as", "a"], "cannot be read as a Keras model"),
        (["text.pth", "--as", "My Style"], "lower case, digits and hyphens (my-style)"),
        (["text.pth", "--as", "a", "-o", "a.zip"], "ends in .stylepack"),
        (["text.pth", "--as", "a", "--range", "0..1"], "--range goes with .onnx"),
        (["text.onnx", "--as", "a", "--range", "0..9"], "choose one of -1..1"),
        (["text.keras", "--as", "a", "--from", "nowhere"], "Style 'nowhere' not found"),
    ],
)
def test_what_cannot_be_imported_is_said_in_one_sentence(tmp_path, own_pack_folder, arguments, said):
    for name in ("README.md", "text.pth", "text.onnx", "text.keras"):
        (tmp_path / name).write_text("nothing of the kind")
    done = run_inkbridge("import", *arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert list(own_pack_folder.glob("*.stylepack")) == []


def test_an_onnx_file_with_names_that_are_no_text_is_refused(tmp_path):
    onnx_file(tmp_path / "a.onnx")
    data = (tmp_path / "a.onnx").read_bytes()
    assert data.count(b"Tanh_layer") == 1
    (tmp_path / "a.onnx").write_bytes(data.replace(b"Tanh_layer", b"Tanh_\xff\xfeyer"))
    with pytest.raises(DataError, match="cannot be read as ONNX"):
        import_file(tmp_path / "a.onnx", "bad", tmp_path / "bad.stylepack", pixels="-1..1")


def test_a_name_is_checked_before_the_file_is_read(tmp_path):
    with pytest.raises(ConfigError):
        import_file(tmp_path / "none.pth", "A b", tmp_path / "a.stylepack")


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # of Keras and NumPy
def test_what_came_from_a_pack_is_painted_at_the_size_that_it_said(tmp_path, tiny_packs):
    source = load(tiny_packs["modulated"])
    source.info.size.working_side = 48
    export_pack(source.file, "pack", source.code(), "keras", tmp_path / "a.keras")
    imported = import_file(tmp_path / "a.keras", "a", tmp_path / "a.stylepack", source=source.file)
    assert imported.info.size.working_side == 48
    photo = made_picture(200, 300)
    assert np.abs(load(tmp_path / "a.stylepack").apply(photo).astype(int) - source.apply(photo)).max() <= 1
