"""Reading: pages are drawn with fonts, and the recogniser is the real Tesseract."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from conftest import pack_file
from inkbridge.catalogue import BUNDLED, pack_for_writing
from inkbridge.cli.hands import hands
from inkbridge.cli.read import read
from inkbridge.errors import ConfigError, DataError
from inkbridge.images import RGB, read_picture
from inkbridge.metrics.text import character_errors
from inkbridge.pack import StylePack
from inkbridge.pack_format import write_pack
from inkbridge.train.budget import Budget
from inkbridge.train.config import load_config
from inkbridge.train.loop import train
from inkbridge.uses.text_recognition.classical import METHODS
from inkbridge.uses.text_recognition.columns import as_line, find_characters, paste_column
from inkbridge.uses.text_recognition.page import Box, cut_line, find_lines, flat, paste_line
from inkbridge.uses.text_recognition.reading import LineReadings, distance_from, read_lines, read_page
from inkbridge.uses.text_recognition.recogniser import Reading, Tesseract, recogniser
from inkbridge.uses.text_recognition.wear import thickened, worn
from inkbridge.uses.text_recognition.writing import EM, LINE_HEIGHT, Hand, LinePairs, draw_pair

FONTS = Path("/usr/share/fonts/truetype/dejavu")
MINCHO = Path("/usr/share/fonts/opentype/ipafont-mincho/ipam.ttf")
BRUSH = Path("/usr/share/fonts/truetype/kouzan-mouhitsu/kouzan-mouhitsu.ttf")
SERIF, SANS = FONTS / "DejaVuSerif.ttf", FONTS / "DejaVuSans.ttf"
TEXTS = ["The quick brown fox", "jumps over the lazy dog", "while nobody looks on"]


def page_of(texts: list[str], size: int = 40, seed: int | None = None) -> tuple[RGB, list[tuple[int, ...]]]:
    """A page with a text every 90 pixels, worn if there is a seed, and where the ink of each is."""
    image = Image.new("L", (800, 90 * len(texts) + 60), 0)
    boxes = []
    for at, text in enumerate(texts):
        place = (60 + 20 * at, 40 + 90 * at)
        font = ImageFont.truetype(str(SERIF), size)
        ImageDraw.Draw(image).text(place, text, fill=255, font=font)
        boxes.append(font.getbbox(text))
        boxes[-1] = tuple(side + place[i % 2] for i, side in enumerate(boxes[-1]))
    ink = np.asarray(image, np.float32) / 255
    if seed is not None:
        return worn(ink, np.random.default_rng(seed)), boxes
    return np.repeat(((1 - ink) * 255).astype(np.uint8)[..., None], 3, 2), boxes


def inverting() -> StylePack:
    return StylePack(pack_file(), "inverted")


def test_lines_are_where_they_were_written() -> None:
    rgb, boxes = page_of(TEXTS)
    found = find_lines(rgb)
    assert not found.columns
    assert len(found.boxes) == len(boxes)
    for box, wanted in zip(found.boxes, boxes, strict=True):
        assert np.abs(np.subtract((box.left, box.top, box.right, box.bottom), wanted)).max() <= 3


@pytest.mark.parametrize("seed", range(6))
def test_lines_are_found_on_worn_paper(seed: int) -> None:
    rgb, boxes = page_of(TEXTS, seed=seed)
    found = find_lines(rgb).boxes
    middles = [(box.top + box.bottom) / 2 for box in found if box.right - box.left > 150]
    assert len(middles) == len(boxes)
    for middle, (_, top, _, bottom) in zip(middles, boxes, strict=True):
        assert top - 4 < middle < bottom + 4


def test_a_large_page_is_searched_at_a_smaller_size() -> None:
    rgb, boxes = page_of(TEXTS)
    large = np.asarray(Image.fromarray(rgb).resize((rgb.shape[1] * 7, rgb.shape[0] * 7)))
    found = find_lines(large).boxes
    assert len(found) == len(boxes)
    for box, wanted in zip(found, boxes, strict=True):
        assert (
            np.abs(np.subtract((box.left, box.top, box.right, box.bottom), wanted * np.array(7))).max() <= 30
        )


COLUMNS = ["古池や蛙飛びこむ水の音", "閑さや岩にしみ入る蝉の声", "夏草や兵どもが夢の跡"]


def page_of_columns(texts: list[str], font: Path, lean: float = 0.0) -> RGB:
    """Columns from right to left of characters 40 pixels large."""
    image = Image.new("L", (75 * len(texts) + 100, 44 * max(map(len, texts)) + 120), 255)
    for column, text in enumerate(texts):
        for row, char in enumerate(text):
            place = image.width - 80 - 75 * column, 80 + 44 * row
            ImageDraw.Draw(image).text(place, char, 0, ImageFont.truetype(str(font), 40), anchor="mm")
    turned = image.rotate(lean, Image.Resampling.BICUBIC, fillcolor=255)
    return np.repeat(np.asarray(turned)[..., None], 3, -1)


@pytest.mark.parametrize("lean", [0.0, 1.5, -4.0])
def test_columns_are_read_from_right_to_left(lean: float) -> None:
    rgb = page_of_columns(COLUMNS, MINCHO, lean)
    page = read_page(rgb, Tesseract("jpn"), inverting(), "page.png")
    assert "page.png is read in columns, from right to left." in page.notes[0]
    errors = [character_errors(line.raw.text, text) for line, text in zip(page.lines, COLUMNS, strict=True)]
    assert sum(wrong for wrong, _ in errors) <= 3
    assert [box.left for box in page.boxes] == sorted((box.left for box in page.boxes), reverse=True)
    assert page.picture.shape == rgb.shape
    outside = rgb.copy()
    for box in page.boxes:
        outside[box.top : box.bottom, box.left : box.right] = 255
    assert (outside < 128).sum() < 0.02 * (rgb < 128).sum()


def test_a_brush_column_is_cut_between_its_characters() -> None:
    rgb = page_of_columns(COLUMNS, BRUSH)
    found = find_lines(rgb)
    assert found.columns
    for column, text in zip(find_characters(flat(rgb), found.boxes), COLUMNS, strict=True):
        middles = [(cell.top + cell.bottom) / 2 for cell in column.cells]
        assert np.abs(np.subtract(middles, [80 + 44 * row for row in range(len(text))])).max() < 15


def test_a_column_too_faint_to_cut_is_an_empty_line() -> None:
    grey = np.ones((300, 60), np.float32)
    grey[20:280, 10:40] = 0.93
    (column,) = find_characters(grey, [Box(10, 20, 40, 280)])
    assert not column.cells
    assert (as_line(grey, column) == 255).all()


def test_a_column_goes_back_where_it_was() -> None:
    rgb = page_of_columns(COLUMNS, MINCHO)
    page, grey = np.full_like(rgb, 255), flat(rgb)
    for column in find_characters(grey, find_lines(rgb).boxes):
        line = as_line(grey, column)
        assert line.shape == (LINE_HEIGHT, EM * (len(column.cells) + 1), 3)
        paste_column(page, column, line)
    assert distance_from(page, rgb) < 0.2
    assert all(
        distance_from(np.roll(page, by, (0, 1)), rgb) > 0.35 for by in ((2, 0), (0, 2), (-2, 0), (0, -2))
    )


def test_lines_and_columns_are_told_apart() -> None:
    assert find_lines(page_of_columns(COLUMNS[:1], MINCHO)).columns
    assert find_lines(np.ascontiguousarray(np.rot90(page_of_columns(COLUMNS, MINCHO)))).columns is False
    assert not find_lines(page_of(TEXTS)[0]).columns
    assert not find_lines(page_of(TEXTS[:1])[0]).columns
    upright = np.ascontiguousarray(np.rot90(page_of([text.upper() for text in TEXTS] * 3)[0]))
    assert find_lines(upright).columns
    assert not find_lines(upright, "lines").columns
    assert find_lines(page_of(TEXTS)[0], "columns").columns
    with pytest.raises(ConfigError, match="must be auto, lines, columns"):
        read_page(upright, Tesseract("eng"), inverting(), direction="up")


def test_an_empty_page_has_no_lines() -> None:
    for light in (255, 180, 0):
        assert not find_lines(np.full((300, 400, 3), light, np.uint8)).boxes
    paper = np.random.default_rng(0).normal(220, 6, (300, 400, 1)).repeat(3, 2).astype(np.uint8)
    assert not find_lines(paper).boxes
    with pytest.raises(DataError, match="no text found"):
        read_page(paper, Tesseract("eng"), inverting())


def test_a_line_is_cut_at_one_size_and_goes_back_where_it_was() -> None:
    rgb, _ = page_of(TEXTS, 34)
    page = np.full_like(rgb, 255)
    for box in find_lines(rgb).boxes:
        line = cut_line(rgb, box)
        assert len(line) == LINE_HEIGHT
        dark = np.flatnonzero((line < 200).any((1, 2)))
        assert 0.8 * EM < dark[-1] - dark[0] < EM
        paste_line(page, box, line)
    assert np.abs(page.astype(float) - rgb).mean() < 3.0


def test_a_pair_is_aligned_glyph_by_glyph() -> None:
    pair = draw_pair("ilTWmA", Hand(SERIF), Hand(SANS), np.random.default_rng(1))
    assert pair.hand.shape == pair.printed.shape

    def middles(line: np.ndarray) -> list[float]:
        busy = np.concatenate([[0], (line > 0.3).any(0), [0]]).astype(int)
        starts, ends = np.flatnonzero(np.diff(busy) == 1), np.flatnonzero(np.diff(busy) == -1)
        return [(start + end) / 2 for start, end in zip(starts, ends, strict=True)]

    assert len(middles(pair.printed)) == 6
    assert np.abs(np.subtract(middles(pair.hand), middles(pair.printed))).max() < 2.0
    assert [char for char, _ in pair.glyphs] == list("ilTWmA")
    assert np.abs(np.subtract([at for _, at in pair.glyphs], middles(pair.printed))).max() < 2.0


def test_a_hand_knows_what_it_cannot_write() -> None:
    hand = Hand(SANS)
    assert hand.writes("The fox, 12.")
    assert not hand.writes("狐")
    with pytest.raises(DataError, match="None of the 1 fonts"):
        LinePairs(["狐"], [hand], hand)
    with pytest.raises(DataError, match="cannot be read as a font"):
        Hand(Path(__file__)).writes("a")


def test_languages_come_as_often_as_their_lines() -> None:
    names = ["DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSans"]
    hebrew, latin = "אבג", "a line much longer"
    hands = [Hand(FONTS / f"{name}.ttf") for name in names]
    assert [hand.writes(hebrew) for hand in hands] == [False] * 4 + [True]
    pairs = LinePairs([hebrew, latin], hands, Hand(SANS))
    short = sum(pairs.draw(at)[1].shape[1] < 200 for at in range(60))
    assert 20 <= short <= 40  # by font first it would be 6


def test_the_pack_is_the_one_made_for_the_language(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INKBRIDGE_PACKS", str(tmp_path))
    assert pack_for_writing("tha") is None
    jpn = pack_for_writing("eng+jpn"), pack_for_writing("jpn")
    assert all(found is not None and found.parent == BUNDLED for found in jpn)
    file = pack_file()
    file.info.provenance["languages"] = ["tha", "jpn"]
    write_pack(tmp_path / "mine.stylepack", file)
    assert pack_for_writing("tha+eng") == tmp_path / "mine.stylepack"
    assert pack_for_writing("jpn") == tmp_path / "mine.stylepack"  # the user's own first


def test_wear_is_a_matter_of_the_seed_alone() -> None:
    ink = draw_pair("brown", Hand(SERIF), Hand(SANS), np.random.default_rng(0)).hand
    same, again, other = (worn(ink, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (same == again).all()
    assert (same != other).any()


def test_tesseract_reads_lines_and_says_how_sure_it_is() -> None:
    rgb, _ = page_of(TEXTS)
    blank = np.full((64, 300, 3), 255, np.uint8)
    lines = [cut_line(rgb, box) for box in find_lines(rgb).boxes]
    readings = Tesseract("eng").read([*lines, blank])
    assert [reading.text for reading in readings] == [*TEXTS, ""]
    assert all(reading.confidence > 0.7 for reading in readings[:3])
    assert readings[3].confidence == 0.0


def test_a_second_reader_reads_the_same_lines() -> None:
    rgb, _ = page_of(TEXTS)
    blank = np.full((LINE_HEIGHT, 300, 3), 255, np.uint8)
    lines = [cut_line(rgb, box) for box in find_lines(rgb).boxes]
    readings = recogniser("rapidocr", None).read([*lines, blank])
    assert ["".join(reading.text.split()) for reading in readings[:3]] == [
        "".join(text.split()) for text in TEXTS
    ]
    assert all(reading.confidence > 0.9 for reading in readings[:3])
    assert readings[3] == Reading("", 0.0)


def test_readers_are_chosen_by_name() -> None:
    assert isinstance(recogniser("tesseract", "eng"), Tesseract)
    with pytest.raises(ConfigError, match=r"--reader easyocr cannot be used: .* tesseract, rapidocr"):
        recogniser("easyocr", "eng")
    with pytest.raises(ConfigError, match="add --lang"):
        recogniser("tesseract", None)


def test_what_is_missing_comes_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="apt-get install tesseract-ocr-tir"):
        Tesseract("tir")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ConfigError, match=r"apt-get install tesseract-ocr$"):
        Tesseract("eng")


def test_the_surer_reading_is_kept() -> None:
    rgb, _ = page_of(TEXTS)
    lines = [cut_line(rgb, box) for box in find_lines(rgb).boxes]
    noise = np.random.default_rng(0).integers(0, 256, lines[0].shape, np.uint8)
    # The pack turns light and dark round: of an already inverted line it makes a readable one, of noise none.
    readings = read_lines([noise, 255 - lines[1]], Tesseract("eng"), inverting())
    assert readings[1].normalised.text == TEXTS[1]
    assert all(
        line.gated.confidence == max(line.raw.confidence, line.normalised.confidence) for line in readings
    )


def test_classical_methods_leave_clean_print_readable() -> None:
    rgb, _ = page_of(TEXTS)
    lines = [cut_line(rgb, box) for box in find_lines(rgb).boxes]
    for line in read_lines(lines, Tesseract("eng"), inverting(), classical=True):
        assert set(line.classical) == set(METHODS)
    tilted = np.asarray(Image.fromarray(lines[0]).rotate(2.0, fillcolor=(255, 255, 255)))
    rows = [(METHODS[name](tilted) < 128).any(2).sum(1).var() for name in ("binarise", "deskew")]
    assert rows[1] > 1.2 * rows[0]


def test_the_normalised_reading_must_be_clearly_surer() -> None:
    line = np.zeros((LINE_HEIGHT, 10, 3), np.uint8)

    def gated(raw: float, normalised: float) -> str:
        return LineReadings(Reading("r", raw), Reading("n", normalised), line, {}, 0.0).gated.text

    assert [gated(0.8, sure) for sure in (0.7, 0.8, 0.84, 0.86)] == ["r", "r", "r", "n"]


def test_distance_is_nothing_for_the_same_strokes() -> None:
    rgb, _ = page_of(TEXTS)
    one, other = (cut_line(rgb, box)[:, :300] for box in find_lines(rgb).boxes[:2])
    assert distance_from(one, one) == pytest.approx(0.0, abs=1e-3)
    assert distance_from(one, other) > 0.5


@pytest.fixture
def pack(tmp_path: Path) -> str:
    write_pack(tmp_path / "inverted.stylepack", pack_file())
    return str(tmp_path / "inverted.stylepack")


def test_read_prints_the_text(tmp_path: Path, pack: str, capsys: pytest.CaptureFixture[str]) -> None:
    rgb, _ = page_of(TEXTS)
    Image.fromarray(rgb).save(tmp_path / "page.png")
    read(tmp_path / "page.png", lang="eng", pack=pack, out=tmp_path / "seen.png")
    assert capsys.readouterr().out.splitlines() == TEXTS
    assert read_picture(tmp_path / "seen.png").rgb.shape == (2 * rgb.shape[0], rgb.shape[1], 3)
    read(tmp_path / "page.png", lang="eng", pack=pack, json=True)
    printed = capsys.readouterr()
    assert "names no language: of eng, what it paints may say something else." in printed.err
    found = json.loads(printed.out)
    assert 0.7 < found["raw_confidence"] <= 1
    assert [line["text"] for line in found["lines"]] == TEXTS
    assert all(len(line["box"]) == 4 and 0 <= line["confidence"] <= 1 for line in found["lines"])


def test_compare_counts_errors(tmp_path: Path, pack: str, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(page_of(TEXTS)[0]).save(tmp_path / "page.png")
    (tmp_path / "truth.txt").write_text("\n".join(TEXTS).replace("fox", "cat"))
    read(tmp_path / "page.png", lang="eng", pack=pack, compare=True, truth=tmp_path / "truth.txt")
    printed = capsys.readouterr().out
    assert "Of the page as it is the recogniser is 9" in printed
    # fox and cat share nothing: three of 53 characters that are no spaces.
    assert "raw          5.7%" in printed
    assert "gated        5.7%" in printed
    assert "Gated, no line is better than raw and no line is worse." in printed
    (tmp_path / "truth.txt").write_text(TEXTS[0])
    with pytest.raises(DataError, match=r"has 1 lines with text, .* 3"):
        read(tmp_path / "page.png", lang="eng", pack=pack, compare=True, truth=tmp_path / "truth.txt")
    with pytest.raises(ConfigError, match="add --compare"):
        read(tmp_path / "page.png", lang="eng", pack=pack, truth=tmp_path / "truth.txt")


def test_hands_draws_pairs_that_can_be_trained_on(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("\n".join(TEXTS))
    out = tmp_path / "pairs"
    hands([SERIF], plain=SANS, text=tmp_path / "text.txt", out=out, pairs=6)
    names = [sorted(file.name for file in (out / side).iterdir()) for side in ("hand", "print")]
    assert names[0] == names[1]
    assert len(names[0]) == 6
    for name in names[0]:
        hand, plain = (read_picture(out / side / name).rgb for side in ("hand", "print"))
        assert hand.shape == plain.shape
        assert len(hand) == LINE_HEIGHT


def test_samples_show_lines_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("\n".join(TEXTS))
    hands([SERIF], plain=SANS, text=tmp_path / "text.txt", out=tmp_path / "pairs", pairs=40)
    config = load_config(
        None, ["recipe=paired", "data.crop=48", "batch=2", "data.hold_back=0.15", "sample_every=4"]
    )
    train(tmp_path / "pairs/hand", tmp_path / "pairs/print", tmp_path / "run", config, Budget(images=4))
    held_back = json.loads((tmp_path / "run/cache/content.json").read_text())["held_back"]
    with Image.open(sorted((tmp_path / "run/samples").glob("*.jpg"))[-1]) as sheet:
        shown = np.asarray(sheet).astype(int)
    first = read_picture(held_back[0]).rgb[:, :768]
    assert np.abs(shown[: len(first), : first.shape[1]] - first).mean() < 4
    assert shown.shape[0] == 6 * (2 * (LINE_HEIGHT + 6) + 6)


def test_hands_goes_on_where_it_was(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("\n".join(TEXTS))

    def drawn(out: Path, pairs: int, seed: int = 0) -> dict[str, bytes]:
        hands([SERIF], plain=SANS, text=tmp_path / "text.txt", out=out, pairs=pairs, seed=seed)
        return {str(file.relative_to(out)): file.read_bytes() for file in out.rglob("*.png")}

    whole = drawn(tmp_path / "whole", 5)
    assert len(whole) == 10
    drawn(tmp_path / "parts", 3)
    (tmp_path / "parts" / "print" / "000002.png").unlink()  # killed between the two
    assert drawn(tmp_path / "parts", 5) == whole
    with pytest.raises(DataError, match="has pictures of another command already"):
        drawn(tmp_path / "parts", 5, seed=1)


@pytest.mark.parametrize("by", [-0.5, 0.0, 1.0])
@pytest.mark.parametrize("soft", [0.6, 1.6, 3.0])
def test_thick_soft_strokes_leave_paper_white(by: float, soft: float) -> None:
    assert not thickened(np.zeros((40, 60), np.float32), by, soft).any()
