"""Planted faults are found, clean folders stay clean, and cultures are as far apart as they should be."""

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont, ImageOps

from conftest import made_picture, run_inkbridge
from inkbridge.inspect.culture import AXES, cultural_distance
from inkbridge.inspect.duplicates import find_duplicates
from inkbridge.inspect.fitness import inspect_folders
from inkbridge.inspect.survey import MARK_SHARE, frame_width, look_at, shared_mark
from inkbridge.train.config import load_config

SAMPLES = Path(__file__).parent.parent.parent / "samples"
REAL = sorted(SAMPLES.glob("*/*.jpg"))


def real_pictures():
    """The project's own photographs and paintings, with a short side of 300 pixels."""
    pictures = []
    for path in REAL:
        image = Image.open(path).convert("RGB")
        scale = 300 / min(image.size)
        pictures.append(image.resize((round(image.width * scale), round(image.height * scale))))
    return pictures


def cut_unevenly(image):
    """8% off the left and 5% off the bottom: between the cut-outs that are tried at first."""
    w, h = image.size
    return image.crop((int(0.08 * w), 0, w, int(0.95 * h)))


def cropped(image, share=0.1):
    w, h = image.size
    return image.crop((int(share * w), 0, w, int((1 - share) * h)))


def encoded(image):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=25)
    return Image.open(buffer)


CHANGES = {
    "rescaled": lambda image: image.resize((image.width // 2, image.height // 2)),
    "re-encoded": encoded,
    "mirrored": ImageOps.mirror,
    "cropped": cropped,
    "cropped unevenly": cut_unevenly,
    "brighter": lambda image: image.point(lambda v: min(int(v * 0.7 + 70), 255)),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changed_copies_are_found_and_nothing_else(change):
    pictures = [image.convert("L") for image in real_pictures()]
    copies = [change(image).convert("L") for image in pictures]
    pairs = {(d.first, d.second) for d in find_duplicates(pictures + copies)}
    assert pairs == {(i, i + len(pictures)) for i in range(len(pictures))}


def test_few_or_empty_pictures_have_no_duplicates():
    assert find_duplicates([]) == []
    blank = [Image.new("L", (40, 50), 200) for _ in range(3)]
    assert find_duplicates(blank[:1]) == []
    assert find_duplicates(blank) == []  # nothing to see on either, so nothing that is the same


@pytest.mark.parametrize("colour", [(255, 255, 255), (0, 0, 0), (236, 226, 205)])
@pytest.mark.parametrize("share", [0.03, 0.08])
def test_frames_are_found_and_measured(colour, share):
    for image in real_pictures():
        width = int(share * min(image.size))
        framed = np.asarray(ImageOps.expand(image, width, colour))
        assert frame_width(framed) == pytest.approx(width / min(framed.shape[:2]), abs=0.01)


def test_bars_are_frames_and_pictures_are_not():
    found = []
    for image in real_pictures():
        assert frame_width(np.asarray(image)) == 0.0
        bars = ImageOps.pad(image, (image.width, int(image.height * 1.2)), color="black")
        found.append(frame_width(np.asarray(bars)) > 0.05)
    assert sum(found) >= 0.9 * len(found)  # a bar as dark as the picture's own edge cannot be told
    assert frame_width(np.full((100, 120, 3), 30, np.uint8)) == 0.0


def marked(picture, text, corner=False):
    image = Image.fromarray(picture).convert("RGBA")
    layer = Image.new("RGBA", image.size)
    font = ImageFont.load_default(26)
    place, anchor = ((image.width - 12, image.height - 12), "rs") if corner else ((64, 64), "mm")
    ImageDraw.Draw(layer).text(place, text, (255, 255, 255, 110), font, anchor=anchor)
    return np.asarray(Image.alpha_composite(image, layer).convert("RGB"))


def test_a_watermark_on_all_pictures_is_found():
    pictures = [made_picture(128, 128, i) for i in range(40)]
    assert shared_mark(pictures) == 0.0
    assert shared_mark([marked(picture, "STOCK") for picture in pictures]) > MARK_SHARE
    assert shared_mark([marked(picture, "STOCK") for picture in pictures[:5]]) == 0.0  # too few to tell


def test_a_watermark_in_the_corner_of_pictures_of_unequal_length_is_found():
    pictures = [made_picture(*[(128, 240), (128, 160), (200, 128)][i % 3], i) for i in range(30)]
    assert shared_mark(pictures) == 0.0
    stamped = [marked(p, "STOCK", corner=True) for p in pictures]
    assert shared_mark(stamped) > MARK_SHARE


def culture(kind, seed):
    """A made photograph, or a made drawing: a pen's strokes on paper."""
    if kind == "photograph":
        return made_picture(200, 240, seed)
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (240, 200), (238, 228, 206))
    draw = ImageDraw.Draw(image)
    for _ in range(30):
        x, y = rng.integers(0, 240), rng.integers(0, 200)
        draw.line((x, y, x + rng.integers(-60, 60), y + rng.integers(-20, 20)), (50, 40, 40), 2)
    return np.asarray(image)


def set_of(kind, seeds):
    return [look_at(Path(str(seed)), culture(kind, seed)).traits for seed in seeds]


def test_two_halves_of_a_culture_are_at_no_distance_and_two_cultures_far_apart():
    photographs, others = set_of("photograph", range(20)), set_of("photograph", range(20, 40))
    drawings = set_of("drawing", range(20))
    same, far = cultural_distance(photographs, others), cultural_distance(photographs, drawings)
    assert same.total < 0.05
    assert far.total > 0.3
    assert [axis.axis for axis in far.axes] == list(AXES)
    assert all(0 <= axis.distance <= 1 for axis in (*same.axes, *far.axes))
    assert cultural_distance(drawings, photographs).total == pytest.approx(far.total)
    few = cultural_distance(photographs[:3], others[:4])  # few pictures make no distance
    assert few.total < 0.25
    with pytest.raises(ValueError, match="at least 2"):
        cultural_distance(photographs[:1], drawings)


def test_paintings_are_farther_from_photographs_than_photographs_from_each_other():
    traits = {path: look_at(path, np.asarray(Image.open(path).convert("RGB"))).traits for path in REAL}
    photographs = [traits[path] for path in REAL if path.parent.name == "photos"]
    paintings = [traits[path] for path in REAL if path.parent.name == "paintings"]
    assert cultural_distance(photographs[::2], photographs[1::2]).total < 0.1
    across = cultural_distance(photographs, paintings).total
    assert across > cultural_distance(photographs[::2], photographs[1::2]).total
    assert across > cultural_distance(paintings[::2], paintings[1::2]).total


@pytest.fixture
def folders(tmp_path):
    """Clean, real content; a drawn style with a copy, a leak, a frame, a non-picture and a small one."""
    for name in ("content", "style"):
        (tmp_path / name).mkdir()
    for i, picture in enumerate(real_pictures()):
        picture.save(tmp_path / "content" / f"{i:02}.png")
    for i in range(12):
        Image.fromarray(culture("drawing", i)).save(tmp_path / "style" / f"{i:02}.png")
    style = tmp_path / "style"
    ImageOps.mirror(Image.open(style / "03.png")).save(style / "copy.jpg", quality=70)
    Image.open(tmp_path / "content" / "05.png").save(style / "leak.jpg", quality=70)
    ImageOps.expand(Image.open(style / "07.png"), 16, "black").save(style / "07.png")
    (style / "text.png").write_text("no picture")
    Image.fromarray(culture("drawing", 99)[:60, :80]).save(style / "small.png")
    return tmp_path / "content", style


def test_every_planted_fault_is_named_with_its_pictures(folders):
    fitness = inspect_folders(*folders)
    found = {finding.kind: finding for finding in fitness.findings if finding.message.startswith("style")}
    assert {"unreadable", "small", "duplicates", "frames"} <= found.keys()
    assert [path.name for path in found["duplicates"].pictures] == ["copy.jpg"]
    assert [path.name for path in found["frames"].pictures] == ["07.png"]
    assert [path.name for path in found["small"].pictures] == ["small.png"]
    (leak,) = [finding for finding in fitness.findings if finding.kind == "leak"]
    assert [path.name for path in leak.pictures] == ["05.png", "leak.jpg"]
    assert not [f for f in fitness.findings if f.message.startswith("content")]
    assert fitness.advice.settings["data.trim"] > 0.06


def test_the_command_writes_a_report_and_settings_that_train_takes(folders, tmp_path):
    content, style = folders
    report, settings = tmp_path / "report.html", tmp_path / "run.toml"
    done = run_inkbridge("inspect", content, style, "--report", report, "--write", settings, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["cultural_distance"]["total"] > 0.3
    assert found["style"]["unreadable"]
    config = load_config(settings, [])
    assert config.recipe == found["advice"]["recipe"]
    assert config.data.trim == found["advice"]["settings"]["data.trim"]
    reasons = " ".join(found["advice"]["reasons"])
    assert "style pictures start from a pack" in reasons
    assert "give it up to 60 minutes with --until-good" in reasons
    assert "--minutes 60 --until-good" in settings.read_text()
    page = report.read_text()
    assert page.count("data:image/jpeg;base64,") >= 2 * len(AXES)
    assert not re.search(r"https?://|src='(?!data:)|<script", page)
    text = run_inkbridge("inspect", content, style).stdout
    assert "Cultural distance" in text
    assert "Recipe exemplar" in text


def test_a_tinted_picture_has_a_cast_and_a_colourful_one_has_none():
    for path in REAL:
        picture = np.asarray(Image.open(path).convert("RGB"))
        gray = picture.mean(-1, keepdims=True) / 255
        tinted = (gray * np.array([250, 190, 90])).astype(np.uint8)
        assert look_at(path, tinted).is_of_one_hue
        assert not look_at(path, (gray * 255).repeat(3, axis=-1).astype(np.uint8)).is_of_one_hue
    assert not look_at(path, culture("photograph", 1)).is_of_one_hue


@pytest.mark.parametrize(("num_gray", "is_said"), [(1, True), (6, False)])
def test_a_few_odd_pictures_are_named_and_many_belong_to_the_style(tmp_path, num_gray, is_said):
    content, style = tmp_path / "content", tmp_path / "style"
    content.mkdir()
    style.mkdir()
    for i in range(20):
        Image.fromarray(culture("photograph", i)).save(content / f"{i:02}.png")
        picture = Image.fromarray(culture("photograph", 20 + i))
        picture = picture.convert("L").convert("RGB") if i < num_gray else picture
        picture.save(style / f"{i:02}.png")
    said = [f for f in inspect_folders(content, style).findings if f.kind == "gray"]
    assert [[path.name for path in finding.pictures] for finding in said] == ([["00.png"]] if is_said else [])


def test_a_leak_into_the_held_back_folder_is_found(folders, tmp_path):
    held = tmp_path / "held"
    held.mkdir()
    Image.open(folders[1] / "02.png").resize((180, 150)).save(held / "x.png")
    Image.fromarray(culture("drawing", 55)).save(held / "y.png")
    leaks = [finding for finding in inspect_folders(*folders, held).findings if finding.kind == "leak"]
    assert any({path.name for path in leak.pictures} == {"02.png", "x.png"} for leak in leaks)


def test_what_cannot_be_inspected_is_said(folders, tmp_path):
    (tmp_path / "empty").mkdir()
    for arguments, reason in (
        ([folders[0], tmp_path / "empty"], "0 usable pictures"),
        ([folders[0], tmp_path / "missing"], "missing"),
        ([*folders, "--report", tmp_path / "no" / "r.html"], "make it first"),
    ):
        done = run_inkbridge("inspect", *arguments)
        assert done.returncode == 1, (arguments, done.stderr)
        assert reason in done.stderr
        assert done.stderr.count("\n") == 1
