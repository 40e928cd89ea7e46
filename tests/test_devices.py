"""What networks run on: real OpenVINO beside ONNX Runtime; what there is not is said."""

import numpy as np
import pytest
from PIL import Image

import inkbridge
from conftest import made_picture, run_inkbridge
from inkbridge.devices import CPU, Device, chosen_device, devices_here, keep_device, kept_device
from inkbridge.errors import ConfigError
from inkbridge.metrics.colour import to_lab
from inkbridge.pack_format import read_pack
from inkbridge.speed import Speed, best, measure


@pytest.fixture(autouse=True)
def own_choice(tmp_path, monkeypatch):
    """No test sees, or changes, what whoever runs it chose."""
    place = tmp_path / "chosen" / "device.json"
    monkeypatch.setenv("INKBRIDGE_DEVICE_FILE", str(place))
    return place


def test_openvino_paints_what_onnx_runtime_paints():
    rgb = made_picture(200, 312)
    ours = inkbridge.load("ukiyo-e").apply(rgb).astype(int)
    theirs = inkbridge.load("ukiyo-e", device="openvino").apply(rgb).astype(int)
    assert np.abs(ours - theirs).max() <= 1
    assert (ours != theirs).mean() < 1e-3


@pytest.mark.skipif(Device("openvino", "bfloat16") not in devices_here(), reason="no bfloat16 instructions")
def test_in_bfloat16_it_is_nearly_the_same():
    rgb = made_picture(200, 312)
    ours = inkbridge.load("ukiyo-e").apply(rgb).astype(int)
    theirs = inkbridge.load("ukiyo-e", device="openvino", precision="bfloat16").apply(rgb).astype(int)
    assert 0 < np.abs(ours - theirs).mean() < 2


@pytest.mark.parametrize(
    ("device", "precision", "said"),
    [
        ("gpu", None, "device = gpu is not known. There are cpu, cuda, coreml, directml, openvino."),
        ("cpu", "bfloat16", "needs device openvino; cpu works in float32"),
        ("openvino", "int3", "precision = int3 is not known"),
        ("directml", None, "Install onnxruntime-directml in its place"),
    ],
)
def test_what_there_is_not_is_said(device, precision, said):
    with pytest.raises(ConfigError, match=said.replace(".", r"\.")):
        chosen_device(device, precision)


def test_a_choice_is_kept_and_forgotten(own_choice):
    assert chosen_device() == CPU
    keep_device(Device("openvino"))
    assert chosen_device() == Device("openvino") == inkbridge.load("ukiyo-e").device
    assert chosen_device("cpu") == CPU
    keep_device(None)
    assert kept_device() is None
    own_choice.write_text("{")
    with pytest.raises(ConfigError, match="cannot be read"):
        chosen_device()
    own_choice.unlink()
    own_choice.parent.rmdir()
    own_choice.parent.write_text("a file where the folder should be")
    with pytest.raises(ConfigError, match="cannot be written"):
        keep_device(CPU)


def test_bench_measures_every_device_and_keeps_the_best(stub_pack, own_choice):
    done = run_inkbridge("bench", stub_pack, "--keep")
    assert done.returncode == 0, done.stderr
    for device in devices_here():
        assert str(device) in done.stdout
    # An inverted picture needs no precision: whichever is faster, it looks the same.
    assert kept_device() in devices_here()
    assert str(own_choice) in done.stdout
    assert run_inkbridge("bench", "--forget").returncode == 0
    assert kept_device() is None


def test_one_that_fails_is_told_and_the_others_are_measured(stub_pack):
    speeds = measure(
        read_pack(stub_pack), "stub", made_picture(64, 64), [CPU, Device("cuda"), Device("openvino")], to_lab
    )
    assert not speeds[0].error
    assert speeds[0].difference == 0.0
    assert "Device cuda is not there" in speeds[1].error
    assert speeds[2].difference < 1.0
    assert speeds[2].memory > 20e6


def test_what_can_be_seen_is_not_chosen():
    fast = Speed(Device("openvino", "float16"), seconds=0.1, difference=2.4)
    slow = Speed(CPU, seconds=0.3)
    assert best([slow, fast]) is slow
    fast.difference = 2.2
    assert best([slow, fast]) is fast
    assert best([Speed(CPU, error="broken")]) is None


def test_apply_takes_a_device_for_one_picture_and_for_many(tmp_path, stub_pack):
    (tmp_path / "in").mkdir()
    for i in range(3):
        Image.fromarray(made_picture(40, 48, i)).save(tmp_path / "in" / f"{i}.png")
    done = run_inkbridge(
        "apply", tmp_path / "in", "--style", stub_pack, "--device", "openvino", "-o", tmp_path / "out"
    )
    assert done.returncode == 0, done.stderr
    for i in range(3):
        painted = np.asarray(Image.open(tmp_path / "out" / f"{i}.png")).astype(int)
        assert np.abs(painted - (255 - made_picture(40, 48, i).astype(int))).max() <= 1
    one = run_inkbridge(
        "apply", tmp_path / "in" / "0.png", "--style", stub_pack, "--device", "cuda", "-o", tmp_path / "o.png"
    )
    assert one.returncode == 1
    assert "Device cuda is not there" in one.stderr
    assert not (tmp_path / "o.png").exists()
