import json
import re

import numpy as np
import pytest
from PIL import Image

from conftest import made_picture, run_inkbridge
from inkbridge.metrics.distribution import StyleDistance
from inkbridge.metrics.evaluation import evaluate, style_floor


@pytest.fixture
def folders(tmp_path):
    """Six pictures, and a style of pictures that are the negative of six others."""
    for name, first, sign in (("content", 0, 1), ("style", 50, -1)):
        (tmp_path / name).mkdir()
        for i in range(6):
            picture = made_picture(72, 96, first + i) // 2
            picture = picture if sign > 0 else 255 - picture
            Image.fromarray(picture).save(tmp_path / name / f"{i}.png")
    return tmp_path / "content", tmp_path / "style"


def test_a_report_says_what_was_kept_and_what_was_reached(folders, stub_pack, tints, tmp_path):
    content, style = folders
    report = tmp_path / "report.html"
    done = run_inkbridge(
        "evaluate", stub_pack, tints, "--content", content, "--style", style, "--report", report, "--json"
    )
    assert done.returncode == 0, done.stderr
    inverted, darker = json.loads(done.stdout)
    # The first pack negates, which is exactly this style; the second darkens, which leads away from it.
    for figures in (inverted["eye"], {"covered": inverted["style_reached"]["pixels_covered"]}):
        assert figures["covered"] > 0.9
    assert darker["style_reached"]["pixels_covered"] < 0
    assert darker["eye"]["covered"] < 0.4
    assert inverted["style_reached"]["covered"] == inverted["eye"]["covered"]
    assert inverted["eye"]["name"].startswith("squeezenet11-")
    assert inverted["eye"]["after"]["strokes"] < 0.3 * inverted["eye"]["before"]["strokes"]
    assert inverted["eye"]["as_content"] <= darker["eye"]["as_content"]
    assert darker["content_kept"]["recognised"]["mean"] > inverted["content_kept"]["recognised"]["mean"] > 0.3
    assert inverted["style_reached"]["colour_after"] < 0.3 * inverted["style_reached"]["colour_before"]
    assert inverted["content_kept"]["edges"]["mean"] > 0.99
    assert inverted["content_kept"]["ssim"]["mean"] < darker["content_kept"]["ssim"]["mean"]
    for figures in inverted["content_kept"].values():
        assert figures["from"] <= figures["mean"] <= figures["to"]
    assert [picture["name"] for picture in inverted["pictures"]] == [f"{i}.png" for i in range(6)]
    page = report.read_text()
    assert page.count("data:image/jpeg;base64,") >= 2 * 2 * 3 * 4
    assert not re.search(r"https?://|src='(?!data:)|<script", page)


def test_a_table_for_several_styles_of_a_pack(folders, tints):
    content, style = folders
    done = run_inkbridge(
        *("evaluate", tints, "--content", content, "-s", f"redder={style}", "-s", f"darker={style}")
    )
    assert done.returncode == 0, done.stderr
    header, *rows = done.stdout.splitlines()
    assert header.split() == [
        "style",
        "covered",
        "strokes",
        "picture",
        "judged",
        "recognised",
        "as",
        "content",
    ]
    assert [row.split()[0] for row in rows[:2]] == ["redder", "darker"]
    assert "By the eye squeezenet11-" in rows[3]
    assert "For information" in rows[3]
    by_pixels = rows[5:]
    assert by_pixels[0].split() == ["style", "covered", "ssim", "fsim", "structure", "edges"]
    alone = run_inkbridge("evaluate", tints, "--content", content, "-s", f"redder={style}", "--eye", "none")
    assert [line.split() for line in alone.stdout.splitlines()] == [line.split() for line in by_pixels[:2]]


def test_what_cannot_be_evaluated_is_said(folders, tints, tmp_path):
    content, style = folders
    (tmp_path / "empty").mkdir()
    (tmp_path / "dots").mkdir()
    Image.fromarray(np.zeros((1, 1, 3), np.uint8)).save(tmp_path / "dots" / "dot.png")
    (tmp_path / "dots" / "text.png").write_text("no picture")
    for arguments, reason in (
        (["--content", tmp_path / "empty", "--style", style], "holds no pictures"),
        (["--content", tmp_path / "dots", "--style", style], "no usable pictures"),
        (["--content", content, "--style", tmp_path / "dots"], "0 usable pictures"),
        (["--content", content, "--style", f"redest={style}"], "Did you mean redder"),
        (["--content", content, "--style", style, "--report", tmp_path / "no" / "r.html"], "make it first"),
        (["--content", content, "--style", style, "--eye", tmp_path / "e.onnx"], "e.onnx' does not exist"),
    ):
        done = run_inkbridge("evaluate", tints, *arguments)
        assert done.returncode == 1, (arguments, done.stderr)
        assert reason in done.stderr.splitlines()[-1], done.stderr


def test_a_bad_picture_is_left_out_and_the_rest_is_measured(folders, tints):
    content, style = folders
    (content / "2.png").write_text("no picture")
    Image.fromarray(np.full((40, 40, 3), 7, np.uint8)).save(content / "3.png")
    done = run_inkbridge("evaluate", tints, "--content", content, "--style", style, "--json")
    assert done.returncode == 0, done.stderr
    assert "2.png" in done.stderr
    (found,) = json.loads(done.stdout)
    assert found["num_content"] == 5
    assert "NaN" not in done.stdout


def test_a_perfect_painter_reaches_the_floor():
    styles = [(str(i), 255 - made_picture(96, 128, 100 + i) // 2) for i in range(16)]
    contents = [(str(i), made_picture(96, 128, i) // 2) for i in range(8)]
    found = evaluate("negative", lambda rgb: 255 - rgb, iter(contents), 8, styles)
    assert found.covered == pytest.approx(1.0, abs=0.12)
    untouched = evaluate("nothing", lambda rgb: rgb, iter(contents), 8, styles)
    assert untouched.covered == 0.0
    assert untouched.mean("ssim")[0] == 1.0
    pictures = [picture for _, picture in styles]
    assert sum(StyleDistance(pictures).of(pictures)) < sum(style_floor(pictures))


def test_a_set_of_which_some_pictures_were_left_out_is_compared_all_the_same():
    pictures = [made_picture(64, 80, i) for i in range(6)]
    distance = StyleDistance(pictures, short_side=64, num_levels=3)
    sample = distance.sample(9)
    for picture in pictures:
        sample.add(picture)
    assert max(distance.of_sample(sample)) < 0.05
    with pytest.raises(ValueError, match="empty"):
        distance.of_sample(distance.sample(3))
