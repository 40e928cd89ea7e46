"""Packs in TensorFlow, LiteRT and Keras on TensorFlow, run by these, in an environment of their own."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import run_inkbridge
from exchange.test_import import answer, network, noise
from inkbridge.exchange.standalone import painted_by_pack
from inkbridge.pack import load

pytestmark = pytest.mark.tensorflow

ROOT = Path(__file__).parents[2]
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3"}

LOADERS = {
    "keras": """
import keras
model = keras.saving.load_model(path)
run = lambda image: keras.ops.convert_to_numpy(model(image))
""",
    "savedmodel": """
import tensorflow
loaded = tensorflow.saved_model.load(path)
run = lambda image: loaded.serve(image).numpy()
""",
    "tflite": """
from ai_edge_litert.interpreter import Interpreter  # knows no operations but LiteRT's own
lite = Interpreter(path)
def run(image):
    lite.resize_tensor_input(lite.get_input_details()[0]["index"], image.shape)
    lite.allocate_tensors()
    lite.set_tensor(lite.get_input_details()[0]["index"], image)
    lite.invoke()
    return lite.get_tensor(lite.get_output_details()[0]["index"])
""",
}
RUN = """
import sys, numpy as np
path = sys.argv[1]
{loader}
for number in range(int(sys.argv[2])):
    np.save(f"out{{number}}.npy", run(np.load(f"in{{number}}.npy")))
assert "inkbridge" not in sys.modules
"""
ENDINGS = {"keras": ".keras", "savedmodel": "", "tflite": ".tflite"}


def in_its_framework(path, loader, images, backend):
    for number, image in enumerate(images):
        np.save(path.parent / f"in{number}.npy", image.transpose(0, 2, 3, 1))
    code = RUN.format(loader=LOADERS[loader])
    environment = os.environ | QUIET | {"KERAS_BACKEND": backend}
    command = [sys.executable, "-c", code, str(path), str(len(images))]
    subprocess.run(command, cwd=path.parent, env=environment, check=True)
    return [np.load(path.parent / f"out{number}.npy").transpose(0, 3, 1, 2) for number in range(len(images))]


@pytest.mark.parametrize("kind", ["ukiyo-e", "modulated", "resnet6", "unet256"])
@pytest.mark.parametrize("to", ENDINGS)
def test_a_pack_paints_the_same_there(tmp_path, tiny_packs, to, kind):
    source = tiny_packs.get(kind, kind)
    out = tmp_path / f"out{ENDINGS[to]}"
    done = run_inkbridge("export", source, "--to", to, "-o", out)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    pack, rng = load(source), np.random.default_rng(4)
    sizes = [(264, 300), (301, 277)] if kind == "unet256" else [(64, 96), (131, 77)]
    sizes += [(20, 33), (3, 5)] if kind in {"ukiyo-e", "modulated"} else [(20, 33)]
    images = [rng.uniform(-1, 1, (1, 3, *size)).astype(np.float32) for size in sizes]
    expected = [painted_by_pack(pack.file, "pack", pack.code(), image) for image in images]
    # The same file of Keras on both of the backends that are here.
    for backend in ("tensorflow", "torch") if to == "keras" else ("tensorflow",):
        for painted, wanted in zip(in_its_framework(out, to, images, backend), expected, strict=True):
            assert painted.shape == wanted.shape
            assert np.abs(painted - wanted).max() < 1e-4


def test_a_checkpoint_of_cut_becomes_a_file_of_litert(tmp_path):
    found, image = network("cut"), noise(64, 128)
    torch.save(found.state_dict(), tmp_path / "g.pth")
    pack, out = tmp_path / "g.stylepack", tmp_path / "g.tflite"
    assert run_inkbridge("import", tmp_path / "g.pth", "--as", "g", "-o", pack).returncode == 0
    done = run_inkbridge("export", pack, "--to", "tflite", "-o", out)
    assert done.returncode == 0, done.stderr
    (painted,) = in_its_framework(out, "tflite", [image.numpy()], "tensorflow")
    assert np.abs(painted - answer(found, image).numpy()).max() < 1e-4


def test_what_keras_learned_comes_back(tmp_path, toy_folders):
    """The example: its measure falls, and what it wrote becomes a pack that paints."""
    content, style = toy_folders
    model, tuned, out = tmp_path / "a.keras", tmp_path / "tuned.keras", tmp_path / "out.png"
    assert run_inkbridge("export", "ukiyo-e", "--to", "keras", "-o", model).returncode == 0
    command = [sys.executable, ROOT / "examples" / "keras_finetune.py", model, content, style, "-o", tuned]
    done = subprocess.run(
        [*map(str, command), "--steps", "300"],
        env=os.environ | QUIET,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    words = done.stdout.rsplit("Style distance ", 1)[1].split()
    before, after = float(words[0]), float(words[2].rstrip(";"))
    assert after < 0.8 * before, done.stdout
    pack = tmp_path / "tuned.stylepack"
    done = run_inkbridge("import", tuned, "--as", "stripes", "--from", "ukiyo-e", "-o", pack)
    assert done.returncode == 0, done.stderr
    photo = content / "0.png"
    assert run_inkbridge("apply", photo, "--style", pack, "-o", out).returncode == 0
    assert load(pack).license == load("ukiyo-e").license
    assert not np.array_equal(load(pack).apply(photo), load("ukiyo-e").apply(photo))
