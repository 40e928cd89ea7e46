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
