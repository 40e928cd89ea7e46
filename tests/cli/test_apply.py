import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from conftest import made_picture, run_inkbridge


def save(path, height=40, width=50, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(made_picture(height, width, seed)).save(path)
    return path


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB"))


def test_one_picture(stub_pack, tmp_path):
    photo = save(tmp_path / "a.png")
    done = run_inkbridge("apply", photo, "--style", stub_pack, "-o", tmp_path / "out.png")
    assert done.returncode == 0, done.stderr
    assert np.array_equal(pixels(tmp_path / "out.png"), 255 - pixels(photo))
    assert "out.png" in done.stdout


def test_a_folder_keeps_its_tree_and_goes_on_past_a_bad_file(stub_pack, tmp_path):
    save(tmp_path / "in" / "a.png")
    save(tmp_path / "in" / "deep" / "b.png", seed=1)
    good = (tmp_path / "in" / "a.png").read_bytes()
    (tmp_path / "in" / "cut.png").write_bytes(good[: len(good) // 2])
    done = run_inkbridge("apply", tmp_path / "in", "--style", stub_pack, "-o", tmp_path / "out")
    assert done.returncode == 1
    assert "cut.png" in done.stderr
    assert "1 of 3 pictures" in done.stderr
    written = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.*"))
    assert written == ["a.png", "deep/b.png"]


def test_films_in_a_folder_are_left_alone_and_named(stub_pack, tmp_path):
    film = tmp_path / "in" / "deep" / "walk.MP4"
    film.parent.mkdir(parents=True)
    film.write_bytes(b"film")
    command = "apply", tmp_path / "in", "--style", stub_pack, "-o", tmp_path / "out"
    done = run_inkbridge(*command)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines() == [
        f"inkbridge: Folder '{tmp_path / 'in'}' holds no pictures, but films; give {film} by its name."
    ]
    save(tmp_path / "in" / "a.png")
    done = run_inkbridge(*command)
    assert done.returncode == 0, done.stderr
    assert f"holds films too, which are left alone: give {film} by its name." in done.stderr
    assert [path.name for path in (tmp_path / "out").rglob("*.*")] == ["a.png"]


def test_several_pictures_go_into_a_folder(stub_pack, tmp_path):
    photos = [save(tmp_path / f"{i}.png", seed=i) for i in range(2)]
    done = run_inkbridge("apply", *photos, "--style", stub_pack, "-o", tmp_path / "out", "--strength", "0")
    assert done.returncode == 0, done.stderr
    for photo in photos:
        assert np.array_equal(pixels(tmp_path / "out" / photo.name), pixels(photo))


def test_a_missing_picture_is_one_sentence_where_its_result_is_there_already(stub_pack, tmp_path):
    out = save(tmp_path / "out.png")
    done = run_inkbridge("apply", tmp_path / "none.png", "--style", stub_pack, "-o", out)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines() == [
        f"inkbridge: {tmp_path / 'none.png'} does not exist. Check the name."
    ]


def test_bad_input_is_one_sentence_and_exit_1(stub_pack, tmp_path):
    photo = save(tmp_path / "a.png")
    empty = tmp_path / "empty"
    empty.mkdir()
    text = tmp_path / "text"
    text.mkdir()
    (text / "a.txt").write_text("x")
    (tmp_path / "zero.jpg").write_bytes(b"")
    (tmp_path / "bad.stylepack").write_bytes(b"x")
    out = tmp_path / "out.png"
    cases = [
        ([photo, "--style", "woodcutt", "-o", out], "not found"),
        ([photo, "--style", tmp_path / "bad.stylepack", "-o", out], "not a style pack"),
        ([photo, "--style", tmp_path / "none.stylepack", "-o", out], "does not exist"),
        ([tmp_path / "zero.jpg", "--style", stub_pack, "-o", out], "0 bytes"),
        ([tmp_path / "none.jpg", "--style", stub_pack, "-o", out], "does not exist"),
        ([photo, "--style", stub_pack, "-o", tmp_path / "x.xyz"], "not a picture ending"),
        ([photo, "--style", stub_pack, "-o", tmp_path / "no" / "x.png"], "make it first"),
        ([photo, "--style", stub_pack, "-o", photo], "is the picture itself"),
        ([photo, "--style", stub_pack, "-o", out, "--strength", "2"], "from 0 to 1.3"),
        ([photo, "--style", stub_pack, "-o", out, "--quality", "0"], "from 1 to 100"),
        ([photo, "--style", stub_pack, "-o", out, "--max-megapixels", "0.001"], "--max-megapixels"),
        ([empty, "--style", stub_pack, "-o", tmp_path / "o"], "holds no pictures"),
        ([text, "--style", stub_pack, "-o", tmp_path / "o"], "holds no pictures"),
        ([photo, photo, "--style", stub_pack, "-o", tmp_path / "o"], "2 pictures would be written"),
    ]
    for arguments, reason in cases:
        done = run_inkbridge("apply", *arguments)
        assert done.returncode == 1, (arguments, done.stderr)
        assert reason in done.stderr, (arguments, done.stderr)
        assert done.stderr.count("\n") == 1
        assert "Traceback" not in done.stderr
    assert not out.exists()


def test_wrong_usage_is_exit_2():
    for arguments in (["apply"], ["nonsense"], ["apply", "x.png", "--stile", "y"]):
        done = run_inkbridge(*arguments)
        assert done.returncode == 2, done
        assert "Traceback" not in done.stderr


def test_debug_shows_the_traceback():
    done = run_inkbridge("apply", "x.png", "--style", "none.stylepack", "-o", "x.jpg", "--debug")
    assert "Traceback" in done.stderr


def test_a_full_disk_leaves_no_half_file(stub_pack, tmp_path):
    """A limit on file size stands in for the full disk: the kernel refuses the write in both cases."""
    photo = save(tmp_path / "a.png", 200, 200)
    import resource

    def limit():
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    done = run_inkbridge(
        "apply", photo, "--style", stub_pack, "-o", tmp_path / "o.png", preexec_fn=limit, env=environment
    )
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "inverted.stylepack"]


def test_a_closed_pipe_is_no_error():
    command = f"{sys.executable} -m inkbridge styles | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["styles", "--version", "--help"])
def test_informing_commands_succeed(command):
    done = run_inkbridge(command)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_fusion_examples_masks_and_pack_on_the_command_line(tints, tmp_path):
    photo, example = save(tmp_path / "a.png"), save(tmp_path / "b.png", 90, 70, seed=3)
    mask = tmp_path / "mask.png"
    Image.new("L", (10, 8), 255).save(mask)
    out = tmp_path / "out.png"
    done = run_inkbridge(
        *["apply", photo, "-o", out, "--pack", tints, "--style", "darker:3", "--style", "redder"],
        *["--like", f"{example}:0.5", "--strength", "1.2", "--keep-colour", "0.3", "--stroke", "0.5"],
        *["--mask", mask, "--outside", "redder"],
    )
    assert done.returncode == 0, done.stderr
    assert "the mask was resized from 10 x 8 to 50 x 40" in done.stdout
    from inkbridge import load

    expected = load(tints).apply(
        photo,
        {"darker": 3, "redder": 1},
        like=[(example, 0.5)],
        strength=1.2,
        keep_colour=0.3,
        stroke=0.5,
        mask=mask,
    )
    assert np.array_equal(pixels(out), np.asarray(expected))


def test_what_is_wrong_with_the_look_is_one_sentence(tints, tmp_path):
    photo, out = save(tmp_path / "a.png"), tmp_path / "out.png"
    (tmp_path / "bad.jpg").write_bytes(b"x")
    for extra, reason in (
        (["--style", "redderr"], "Did you mean redder"),
        (["--style", "redder:-1"], "weights are 0 or more"),
        (["--style", "redder:0"], "All weights are 0"),
        (["--style", "redder", "--style", "redder:2"], "named twice"),
        (["--like", tmp_path / "bad.jpg"], "not a picture"),
        (["--style", "redder", "--mask", tmp_path / "bad.jpg"], "not a picture"),
        (["--style", "redder", "--stroke", "9"], "from 0.25 to 4, or full"),
        (["--style", "redder", "--outside", "darker"], "needs a mask"),
    ):
        done = run_inkbridge("apply", photo, "-o", out, "--pack", tints, *extra)
        assert done.returncode == 1, (extra, done.stderr)
        assert reason in done.stderr, (extra, done.stderr)
        assert done.stderr.count("\n") == 1
    done = run_inkbridge("apply", photo, "-o", out)
    assert done.returncode == 1
    assert "Say which style" in done.stderr
    assert not out.exists()
