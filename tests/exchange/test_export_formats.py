"""Packs in the formats of other frameworks, loaded by these frameworks themselves."""

import os
import subprocess
import sys

import numpy as np
import onnxruntime
import pytest
import torch

from conftest import made_picture, run_inkbridge
from exchange.test_import import answer, network, noise
from inkbridge.errors import ConfigError, PackError, TrainingError
from inkbridge.exchange import formats
from inkbridge.exchange.formats import export_pack
from inkbridge.exchange.imports import import_file
from inkbridge.exchange.standalone import painted_by_pack
from inkbridge.images import from_network, to_network
from inkbridge.pack import load

SIZES = (64, 96), (131, 77)
SMALL = (3, 5), (20, 33), (64, 96)


def pictures(sizes=SIZES):
    return [np.random.default_rng(5).uniform(-1, 1, (1, 3, *size)).astype(np.float32) for size in sizes]


def by_onnx(path, image):
    return onnxruntime.InferenceSession(path).run(None, {"image": image})[0]


def by_torchscript(path, image):
    with torch.no_grad():
        return torch.jit.load(path)(torch.from_numpy(image)).numpy()


def by_keras(path, image):
    """In a process of its own that knows nothing of Inkbridge."""
    np.save(path.parent / "in.npy", image.transpose(0, 2, 3, 1))
    code = (
        "import keras, numpy as np, sys\n"
        "model = keras.saving.load_model(sys.argv[1])\n"
        "painted = keras.ops.convert_to_numpy(model(np.load('in.npy')))\n"
        "assert 'inkbridge' not in sys.modules and model.trainable_weights\n"
        "np.save('out.npy', painted)"
    )
    environment = os.environ | {"KERAS_BACKEND": "torch"}
    command = [sys.executable, "-c", code, str(path)]
    subprocess.run(command, cwd=path.parent, env=environment, check=True)
    return np.load(path.parent / "out.npy").transpose(0, 3, 1, 2)


READERS = {"onnx": (".onnx", by_onnx), "torchscript": (".pt", by_torchscript), "keras": (".keras", by_keras)}


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.parametrize("to", READERS)
@pytest.mark.parametrize("kind", ["modulated", "resnet6"])
def test_a_pack_in_another_format_paints_the_same(tmp_path, tiny_packs, to, kind):
    ending, read = READERS[to]
    out = tmp_path / f"out{ending}"
    done = run_inkbridge("export", tiny_packs[kind], "--to", to, "--style", "two", "-o", out)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    pack = load(tiny_packs[kind])
    for image in pictures():
        expected = painted_by_pack(pack.file, "pack", pack.code("two"), image)
        other = painted_by_pack(pack.file, "pack", pack.code("one"), image)
        painted = read(out, image)
        assert painted.shape == image.shape
        assert np.abs(painted - expected).max() < 1e-4
        if kind == "modulated":
            assert np.abs(other - expected).max() > 0.01
    assert [path.name for path in tmp_path.iterdir() if path.suffix not in {".npy", ending}] == []


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.parametrize("to", READERS)
@pytest.mark.parametrize("border", [72, 0])
def test_pictures_smaller_than_the_border_are_painted_as_by_apply(tmp_path, tiny_packs, to, border):
    ending, read = READERS[to]
    pack = load(tiny_packs["modulated"])
    pack.info.size.border = border
    export_pack(pack.file, "pack", pack.code(), to, tmp_path / f"a{ending}")
    for height, width in SMALL:
        picture = made_picture(height, width)
        painted = from_network(read(tmp_path / f"a{ending}", to_network(picture))[0])
        assert np.abs(painted.astype(int) - pack.apply(picture)).max() <= 1


def test_a_fusion_of_styles_is_folded_and_so_is_what_was_folded_before(tmp_path, tiny_packs):
    pack = load(tiny_packs["modulated"])
    code = pack.code({"one": 0.25, "two": 0.75})
    (image,) = pictures(SIZES[:1])
    expected = painted_by_pack(pack.file, "pack", code, image)
    export_pack(pack.file, "pack", code, "keras", tmp_path / "fused.keras")
    run_inkbridge("import", tmp_path / "fused.keras", "--as", "fused", "-o", tmp_path / "fused.stylepack")
    again = load(tmp_path / "fused.stylepack")
    assert np.abs(painted_by_pack(again.file, "again", again.code(), image) - expected).max() < 1e-4
    export_pack(again.file, "again", again.code(), "onnx", tmp_path / "fused.onnx")
    assert np.abs(by_onnx(tmp_path / "fused.onnx", image) - expected).max() < 1e-4


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # of Keras and NumPy
@pytest.mark.parametrize(
    "name", ["resnet6-dropout", "resnet6-batch", "cut", "unet128-batch", "fast-neural-style"]
)
@pytest.mark.parametrize("to", ["keras", "onnx"])
def test_what_came_from_another_toolkit_goes_on_to_a_third(tmp_path, name, to):
    found = network(name)
    torch.save(found.state_dict(), tmp_path / "g.pth")
    import_file(tmp_path / "g.pth", "other", tmp_path / "g.stylepack")
    pack = load(tmp_path / "g.stylepack")
    ending, read = READERS[to]
    export_pack(pack.file, "pack", pack.code(), to, tmp_path / f"out{ending}")
    image = noise(128, 256)
    assert np.abs(read(tmp_path / f"out{ending}", image.numpy()) - answer(found, image).numpy()).max() < 1e-4


def test_the_bundled_pack_goes_to_keras_with_its_grain(tmp_path):
    pack = load("ukiyo-e")
    assert export_pack(pack.file, "ukiyo-e", pack.code(), "keras", tmp_path / "a.keras") < 1e-5


def test_what_differs_from_the_pack_is_not_written(tmp_path, tiny_packs, monkeypatch):
    pack = load(tiny_packs["modulated"])
    monkeypatch.setattr(formats, "border_of", lambda file: 8)  # mirrored by less than the pack says
    with pytest.raises(TrainingError, match="nothing was written"):
        export_pack(pack.file, "pack", pack.code(), "onnx", tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["modulated", "--to", "caffe", "-o", "a.caffe"], "choose one of keras"),
        (["modulated", "--to", "onnx", "-o", "a.keras"], "ends in .onnx"),
        (["modulated", "--to", "onnx", "-o", "none/a.onnx"], "does not exist; make it first"),
        (["modulated", "--to", "savedmodel", "-o", "full"], "is a folder with something in it"),
        (["modulated", "--to", "savedmodel", "-o", "full/file"], "is a file"),
        (["modulated", "--to", "onnx", "--style", "three", "-o", "a.onnx"], "has no style 'three'"),
        (["stub", "--to", "onnx", "-o", "a.onnx"], "none of the networks that go to other frameworks"),
        (["repair", "--to", "onnx", "-o", "a.onnx"], "no style but a repair pack"),
        (["modulated", "-o", "a.onnx"], "is a pack already"),
        (["run", "--style", "one", "-o", "a.stylepack"], "--style goes with --to"),
    ],
)
def test_what_cannot_be_exported_is_said_and_nothing_is_written(
    tmp_path, tiny_packs, stub_pack, arguments, said
):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    names = tiny_packs | {"stub": stub_pack}
    before = sorted(tmp_path.rglob("*"))
    done = run_inkbridge("export", names.get(arguments[0], arguments[0]), *arguments[1:], cwd=tmp_path)
    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_errors_have_their_kinds(tmp_path, tiny_packs, stub_pack):
    pack, stub = load(tiny_packs["modulated"]), load(stub_pack)
    with pytest.raises(ConfigError):
        export_pack(pack.file, "pack", pack.code(), "onnx", tmp_path / "a.pt")
    with pytest.raises(PackError):
        export_pack(stub.file, "stub", stub.code(), "onnx", tmp_path / "a.onnx")
