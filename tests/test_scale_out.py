"""On a real Ray cluster of this machine, and a real object store's protocol."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from conftest import run_inkbridge

SAMPLES = Path(__file__).parents[1] / "samples" / "photos"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Small pictures in a tree, and one that is none."""
    rng = np.random.default_rng(0)
    for number in range(12):
        path = tmp_path / "in" / f"roll{number % 3}" / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (48, 60, 3), np.uint8)).save(path)
    (tmp_path / "in" / "roll0" / "broken.jpg").write_bytes(b"no picture")
    return tmp_path


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_ray_paints_the_same_bytes_and_goes_on_where_it_was(folder: Path) -> None:
    words = "apply", folder / "in", "--style", "ukiyo-e"
    here = run_inkbridge(*words, "-o", folder / "here", "--processes", "1")
    there = run_inkbridge(*words, "-o", folder / "there", "--ray", "local")
    assert here.returncode == there.returncode == 1
    assert "broken.jpg is not a picture" in there.stderr
    assert "12 of 13 pictures painted" in there.stdout
    assert "Traceback" not in there.stderr
    assert tree(folder / "there") == tree(folder / "here")
    (folder / "there" / "roll1" / "04.png").unlink()
    before = {name: (folder / "there" / name).stat().st_mtime_ns for name in tree(folder / "there")}
    again = run_inkbridge(*words, "-o", folder / "there", "--ray", "local")
    assert "1 of 13 pictures painted; 11 were there already" in again.stdout
    assert tree(folder / "there") == tree(folder / "here")
    assert all((folder / "there" / name).stat().st_mtime_ns == then for name, then in before.items())


def test_workers_that_are_killed_are_replaced(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    for number in range(40):
        Image.fromarray(rng.integers(0, 255, (200, 260, 3), np.uint8)).save(
            tmp_path / "in" / f"{number:02}.png"
        )
    command = [
        sys.executable,
        "-m",
        "inkbridge",
        "apply",
        "in",
        "-o",
        "out",
        "--style",
        "ukiyo-e",
        "--ray",
        "local",
    ]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 90
        killed = False
        while not killed and time.monotonic() < deadline:
            time.sleep(0.05)
            if len(list(tmp_path.glob("out/*.png"))) < 3:
                continue
            for worker in psutil.Process(process.pid).children(recursive=True):
                if not killed and any("MapWorker" in word for word in _words(worker)):
                    os.kill(worker.pid, signal.SIGKILL)
                    killed = True
        try:
            said = process.communicate(timeout=120)[0]
        finally:
            process.kill()
    assert killed
    assert process.returncode == 0, said
    assert "40 of 40 pictures painted" in said
    assert len(list((tmp_path / "out").iterdir())) == 40
    for path in (tmp_path / "out").iterdir():
        with Image.open(path) as image:
            image.load()


DEADLY = """
import os, sys
from pathlib import Path
from inkbridge.catalogue import BUNDLED
from inkbridge.look import Look
from inkbridge.many import Job, Painter
from inkbridge.pack_format import read_pack
from inkbridge.scale_out import paint_on_ray

class Deadly(Painter):
    def paint(self, pack, job, on_tile=lambda done, total: None):
        if "deadly" in str(job.source):
            os._exit(1)
        return super().paint(pack, job, on_tile)

folder = Path(sys.argv[1])
painter = Deadly(read_pack(BUNDLED / "ukiyo-e.stylepack"), "ukiyo-e", Look(), 95, 10**6)
jobs = [Job(path, folder / "out" / path.name) for path in sorted((folder / "in").iterdir())]
for done in paint_on_ray(painter, jobs, "local"):
    killed = "its process was killed" in done.error
    print("done", Path(done.job.source).stem, "killed" if killed else done.error or "painted")
"""


def test_a_picture_that_kills_every_worker_is_left_out_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    names = [f"{number:02}" for number in range(39)] + ["deadly"]
    for name in names:
        Image.new("RGB", (40, 30), (90, 120, 200)).save(tmp_path / "in" / f"{name}.png")
    command = [sys.executable, "-c", DEADLY, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=True)
    said = dict(line.split(" ", 2)[1:] for line in done.stdout.splitlines() if line.startswith("done "))
    assert said == dict.fromkeys(names, "painted") | {"deadly": "killed"}


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server that speaks S3, with the bucket `pictures`; pyarrow is told of it as of any other."""
    from pyarrow.fs import FileSystem

    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port = trial.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    for name, value in {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "anybody",
        "AWS_SECRET_ACCESS_KEY": "anything",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(200):
            with socket.socket() as trial:
                if trial.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        files, _ = FileSystem.from_uri("s3://pictures/?allow_bucket_creation=true")
        files.create_dir("pictures")
        yield "s3://pictures"
    finally:
        server.terminate()
        server.wait()


def test_pictures_in_an_object_store_are_painted_there(store: str, tmp_path: Path) -> None:
    from pyarrow.fs import FileSystem

    files, _ = FileSystem.from_uri(store)
    for name in ("a/beach.jpg", "forest.jpg", "a/notes.txt", ".trash/palms.jpg"):
        data = (SAMPLES / Path(name).name).read_bytes() if name.endswith("jpg") else b"-"
        with files.open_output_stream(f"pictures/in/{name}") as stream:
            stream.write(data)
    with files.open_output_stream("pictures/in/broken.png") as stream:
        stream.write(b"no picture")
    words = "apply", f"{store}/in", "-o", f"{store}/out", "--style", "ukiyo-e", "--ray", "local"
    done = run_inkbridge(*words)
    assert "2 of 3 pictures painted" in done.stdout, done.stderr
    assert f"{store}/in/broken.png is not a picture" in done.stderr
    painted = run_inkbridge(
        "apply", SAMPLES / "beach.jpg", "--style", "ukiyo-e", "-o", tmp_path / "beach.jpg"
    )
    assert painted.returncode == 0
    with files.open_input_stream("pictures/out/a/beach.jpg") as stream:
        assert stream.read() == (tmp_path / "beach.jpg").read_bytes()
    assert "0 of 3 pictures painted; 2 were there already" in run_inkbridge(*words).stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["s3://a/in", "-o", "s3://a/out"], "paint there with --ray"),
        (["s3://a/in", "-o", "out", "--ray", "local"], "Either all of PICTURES and --out"),
        (["nonsense://a", "-o", "nonsense://b", "--ray", "local"], "cannot be opened"),
        (["in", "-o", "out", "--ray", "127.0.0.1:9"], "does not answer"),
    ],
)
def test_what_cannot_be_is_said(folder: Path, words: list[str], said: str) -> None:
    words = [str(folder / word) if word in {"in", "out"} else word for word in words]
    done = run_inkbridge("apply", *words, "--style", "ukiyo-e")
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
