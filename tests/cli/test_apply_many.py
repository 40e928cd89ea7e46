"""Many pictures: in several processes, stopped in every way, and gone on with."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import made_picture, run_inkbridge

NUM = 420


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pictures in a tree."""
    base = tmp_path_factory.mktemp("many") / "in"
    for i in range(NUM):
        path = base / f"{i % 3}" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(made_picture(144, 192, i)).save(path)
    return base


def command(folder, pack, out, *more):
    return ["apply", folder, "--style", pack, "-o", out, *more]


def begun(folder, pack, out, *more):
    """The command, once it has painted some pictures and is far from its end."""
    # Where tests run in the background the shell has told them to ignore Ctrl-C.
    heeding = "env", "--default-signal=INT"
    arguments = [*heeding, sys.executable, "-m", "inkbridge", *map(str, command(folder, pack, out, *more))]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while len(results(out)) < 10:
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    assert len(results(out)) < NUM
    return process


def results(out):
    return sorted(out.rglob("*.png"))


def children(pid):
    """Processes that it started and that are still there."""
    found = []
    for path in os.listdir("/proc"):
        if path.isdigit():
            try:
                with open(f"/proc/{path}/stat") as file:
                    state, parent = file.read().rsplit(")", 1)[1].split()[:2]
            except OSError:
                continue
            if int(parent) == pid and state != "Z":
                found.append(int(path))
    return found


def painters(pid):
    """Of those the ones that paint; Python starts one more that only watches."""
    named = {child: Path(f"/proc/{child}/cmdline").read_text() for child in children(pid)}
    return [child for child, words in named.items() if "spawn_main" in words]


def is_there(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def checked(folder, out):
    """Every picture is there and whole, and nothing else."""
    files = sorted(path.relative_to(out) for path in out.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(folder) for path in folder.rglob("*.png"))
    for path in results(out):
        source = np.asarray(Image.open(folder / path.relative_to(out)))
        assert np.array_equal(np.asarray(Image.open(path)), 255 - source)


def test_several_processes_give_the_same_files_as_one(stub_pack, folder, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    done = run_inkbridge(*command(folder / "0", stub_pack, one, "--processes", "1"))
    assert done.returncode == 0, done.stderr
    done = run_inkbridge(*command(folder / "0", stub_pack, two, "--processes", "2"))
    assert done.returncode == 0, done.stderr
    assert len(results(one)) == NUM // 3
    for path in results(one):
        assert path.read_bytes() == (two / path.relative_to(one)).read_bytes()
    assert f"{NUM // 3} of {NUM // 3} pictures painted" in done.stdout


def test_what_is_there_is_left_alone_until_asked_again(stub_pack, folder, tmp_path):
    out = tmp_path / "out"
    assert run_inkbridge(*command(folder / "1", stub_pack, out)).returncode == 0
    first, second, *_ = results(out)
    first.unlink()
    second.write_bytes(b"mine")
    done = run_inkbridge(*command(folder / "1", stub_pack, out))
    assert f"1 of {NUM // 3} pictures painted; {NUM // 3 - 1} were there already" in done.stdout
    assert first.exists()
    assert second.read_bytes() == b"mine"
    done = run_inkbridge(*command(folder / "1", stub_pack, out, "--again"))
    assert done.returncode == 0
    checked(folder / "1", out)


def test_a_folder_is_not_painted_over_itself(stub_pack, tmp_path):
    Image.fromarray(made_picture(30, 40)).save(tmp_path / "a.png")
    done = run_inkbridge(*command(tmp_path, stub_pack, tmp_path))
    assert done.returncode == 1
    assert "is the picture itself" in done.stderr


def test_killed_it_goes_on_where_it_was_and_no_process_stays(stub_pack, folder, tmp_path):
    out = tmp_path / "out"
    process = begun(folder, stub_pack, out, "--processes", "2")
    started = children(process.pid)
    assert len(started) >= 2
    process.kill()
    process.wait()
    process.stdout.close()
    process.stderr.close()
    until = time.monotonic() + 10
    while any(map(is_there, started)):
        assert time.monotonic() < until, "processes stayed"
        time.sleep(0.05)
    before = {path: path.stat().st_mtime_ns for path in results(out)}
    assert 10 <= len(before) < NUM
    (out / "0" / ".3.png.abc.part").write_bytes(b"half")
    (out / "0" / ".other.png.abc.part").write_bytes(b"not ours")
    done = run_inkbridge(*command(folder, stub_pack, out))
    assert done.returncode == 0, done.stderr
    assert f"{NUM - len(before)} of {NUM} pictures painted" in done.stdout
    assert all(path.stat().st_mtime_ns == when for path, when in before.items())
    (out / "0" / ".other.png.abc.part").unlink()
    checked(folder, out)


def test_ctrl_c_leaves_whole_files_alone(stub_pack, folder, tmp_path):
    out = tmp_path / "out"
    process = begun(folder, stub_pack, out, "--processes", "2")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said.strip() == "inkbridge: stopped."
    assert not list(out.rglob(".*"))
    assert len(results(out)) < NUM
    assert run_inkbridge(*command(folder, stub_pack, out)).returncode == 0
    checked(folder, out)


def test_a_killed_process_stops_no_picture(stub_pack, folder, tmp_path):
    out = tmp_path / "out"
    process = begun(folder, stub_pack, out, "--processes", "2")
    os.kill(painters(process.pid)[0], signal.SIGKILL)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert len(results(out)) == NUM
    run_inkbridge(*command(folder, stub_pack, out))
    checked(folder, out)


def test_a_number_of_processes_that_is_none_is_one_sentence(stub_pack, folder, tmp_path):
    done = run_inkbridge(*command(folder, stub_pack, tmp_path / "out", "--processes", "0"))
    assert done.returncode == 1
    assert done.stderr.strip() == "inkbridge: --processes 0 cannot be used: one is needed at least."
