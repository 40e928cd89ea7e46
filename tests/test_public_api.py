import os
import subprocess
import sys

import inkbridge


def test_exported_names_are_the_documented_ones():
    public = {name for name in vars(inkbridge) if not name.startswith("_")}
    submodules = {name for name in public if f"inkbridge.{name}" in sys.modules}
    assert public - submodules - {"TYPE_CHECKING"} <= set(inkbridge.__all__)
    assert all(hasattr(inkbridge, name) for name in inkbridge.__all__)
    assert not hasattr(inkbridge, "nonsense")


def test_missing_extra_error_is_an_import_error_with_the_pip_line():
    error = inkbridge.MissingExtraError("Training", "train")
    assert isinstance(error, ImportError)
    assert "pip install 'inkbridge[train]'" in str(error)


def test_import_and_apply_never_load_torch(stub_pack, tmp_path):
    code = (
        "import sys, numpy, inkbridge\n"
        f"pack = inkbridge.load({str(stub_pack)!r})\n"
        "pack.apply(numpy.zeros((20, 30, 3), numpy.uint8))\n"
        "import inkbridge.cli.apply\n"
        "heavy = {'torch', 'onnx', 'tensorboard', 'scipy'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_help_does_not_load_onnxruntime_or_torch():
    code = (
        "import sys\nsys.argv = ['inkbridge', '--help']\n"
        "from inkbridge.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'onnxruntime', 'pydantic', 'numpy'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(command in done.stdout for command in ("apply", "styles", "train", "export"))


def test_nothing_is_left_or_reported_by_painting(tmp_path):
    """ONNX Runtime leaves a number that tells sessions apart where it reports them."""
    for name in ("home", "tmp"):
        (tmp_path / name).mkdir()
    environment = {key: value for key, value in os.environ.items() if key != "ORT_DISABLE_TELEMETRY"}
    environment |= {"HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "tmp")}
    code = "import inkbridge, numpy; inkbridge.load('ukiyo-e').apply(numpy.zeros((64, 64, 3), numpy.uint8))"
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
