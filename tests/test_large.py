"""Large and deep pictures, painted in pieces by real libvips."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import pyvips
from PIL import Image, ImageCms

import inkbridge
from conftest import made_picture, pack_file, run_inkbridge
from inkbridge import large
from inkbridge.errors import DataError
from inkbridge.images import Picture
from inkbridge.large import paint_in_pieces, wants_pieces
from inkbridge.look import Look
from inkbridge.pack import StylePack


@pytest.fixture
def pack():
    return StylePack(pack_file(), "stub")


def pixels(path):
    return pyvips.Image.new_from_file(str(path), revalidate=True).numpy()


def deep_picture(height, width):
    """A gradient of 16 bits with all its steps."""
    values = np.linspace(0, 65535, height * width * 3).reshape(height, width, 3)
    return pyvips.Image.new_from_array(values.astype(np.uint16)).copy(interpretation="rgb16")


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_16_bits_stay_16_bits(tmp_path, pack, ending):
    source, target = tmp_path / f"deep.{ending}", tmp_path / f"out.{ending}"
    deep_picture(60, 90).write_to_file(str(source))
    assert wants_pieces(source, target)
    assert not wants_pieces(source, tmp_path / "out.jpg")
    done = run_inkbridge("apply", source, "--style", write(tmp_path), "-o", target)
    assert done.returncode == 0, done.stderr
    assert "become 8" not in done.stdout
    painted, before = pixels(target).astype(int), pixels(source).astype(int)
    assert np.abs(painted - (65535 - before)).max() <= 1
    assert len(np.unique(painted)) > 10_000


def write(folder):
    from inkbridge.pack_format import write_pack

    path = folder / "stub.stylepack"
    write_pack(path, pack_file())
    return path


@pytest.mark.parametrize(
    "look",
    [
        Look(),
        Look(strength=0.6),
        Look(strength=0.0),
        Look(strength=1.2, keep_colour=0.7),
        Look(mask=np.tile(np.linspace(0, 255, 160).astype(np.uint8), (100, 1))),
    ],
)
def test_pieces_equal_the_whole(tmp_path, look):
    pack, rgb = inkbridge.load("ukiyo-e"), made_picture(480, 640)
    if look.mask is not None:
        look = Look(mask=np.asarray(Image.fromarray(look.mask).resize((640, 480))))
    source, target = tmp_path / "in.png", tmp_path / "out.png"
    Image.fromarray(rgb).save(source)
    whole = pack.apply_to(Picture(rgb), look).rgb
    paint_in_pieces(pack, source, target, look)
    off = np.abs(pixels(target).astype(int) - whole)
    assert off.max() <= 2
    if look.mask is None:  # its edge is softened in another way
        assert (off > 0).mean() < 1e-4  # where halves were rounded the other way


@pytest.mark.parametrize(("stroke", "off"), [(2.0, 12), (0.5, 2)])
def test_what_is_painted_at_another_size_lies_where_it_should(tmp_path, pack, stroke, off):
    y, x = np.mgrid[:200, :300]
    rgb = np.stack([x * 0.8, y, (x + y) / 2], -1).astype(np.uint8)
    source, target = tmp_path / "in.png", tmp_path / "out.png"
    Image.fromarray(rgb).save(source)
    paint_in_pieces(pack, source, target, Look(stroke=stroke))
    inner = (slice(10, -10), slice(10, -10))
    difference = (pixels(target).astype(int) - (255 - rgb.astype(int)))[inner]
    assert np.abs(difference).max() <= off  # an enlarged one has the grain of paper
    # A pixel to the side would be 0.4 in the mean.
    assert np.abs(difference.mean((0, 1))).max() < 0.8


def test_metadata_alpha_and_orientation_stay(tmp_path, pack):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    rgb = made_picture(40, 64)
    alpha = np.tile(np.arange(64, dtype=np.uint8), (40, 1))
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = "a wall", 6
    image = Image.fromarray(rgb)
    image.putalpha(Image.fromarray(alpha))
    image.save(tmp_path / "in.png", exif=exif, icc_profile=profile)
    paint_in_pieces(pack, tmp_path / "in.png", tmp_path / "out.png", Look())
    with Image.open(tmp_path / "out.png") as out:
        assert out.size == (40, 64)
        assert out.info["icc_profile"] == profile
        assert out.getexif()[0x010E] == "a wall"
        assert out.getexif().get(0x0112, 1) == 1
        turned = np.rot90(np.dstack([255 - rgb, alpha]), -1)
        assert np.array_equal(np.asarray(out), turned)


def test_cmyk_becomes_rgb_by_a_profile(tmp_path, pack):
    Image.new("CMYK", (32, 32), (0, 200, 200, 0)).save(tmp_path / "in.jpg")
    notes = paint_in_pieces(pack, tmp_path / "in.jpg", tmp_path / "out.png", Look())
    assert notes == ["CMYK becomes RGB"]
    # Without management it would be 255, 55, 55.
    assert (
        np.abs(pixels(tmp_path / "out.png")[16, 16].astype(int) - [255 - 237, 255 - 81, 255 - 69]).max() <= 4
    )


def test_what_has_to_change_is_said(tmp_path, pack):
    frames = [Image.fromarray(made_picture(20, 30, i)) for i in range(40)]
    frames[0].save(tmp_path / "in.tif", save_all=True, append_images=frames[1:])
    notes = paint_in_pieces(pack, tmp_path / "in.tif", tmp_path / "out.png", Look())
    assert notes == ["only the first of 40 frames is used"]
    assert np.array_equal(pixels(tmp_path / "out.png"), 255 - made_picture(20, 30, 0))
    deep_picture(20, 30).bandjoin(65535).write_to_file(str(tmp_path / "deep.png"))
    notes = paint_in_pieces(pack, tmp_path / "deep.png", tmp_path / "out.jpg", Look())
    assert notes == [
        "16 bits a channel become 8",
        "JPEG has no alpha channel: transparent parts lie on white",
    ]


@pytest.mark.parametrize(("height", "width"), [(1, 3000), (3000, 1), (1, 1)])
def test_strips_are_painted(tmp_path, pack, height, width):
    Image.fromarray(made_picture(height, width)).save(tmp_path / "in.png")
    paint_in_pieces(pack, tmp_path / "in.png", tmp_path / "out.png", Look())
    assert np.array_equal(pixels(tmp_path / "out.png"), 255 - made_picture(height, width))


def test_bad_pictures_are_refused_and_nothing_is_left(tmp_path, pack):
    (tmp_path / "no.tif").write_bytes(b"II*\0 no picture")
    Image.fromarray(made_picture(300, 300)).save(tmp_path / "whole.png")
    data = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(data[: len(data) // 2])
    pyvips.Image.black(20, 20, bands=3).cast("float").write_to_file(str(tmp_path / "float.tif"))
    for name, said in (
        ("no.tif", "no.tif is damaged"),
        ("cut.png", "cut.png is damaged or cut short"),
        ("float.tif", "must have 8 or 16 bits"),
    ):
        with pytest.raises(DataError, match=said):
            paint_in_pieces(pack, tmp_path / name, tmp_path / "out.png", Look())
    with pytest.raises(DataError, match="limit is 0 million"):
        paint_in_pieces(pack, tmp_path / "whole.png", tmp_path / "out.png", Look(), max_pixels=80_000)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"no.tif", "whole.png", "cut.png", "float.tif"}


def test_who_stops_it_while_it_is_written_is_heard_and_it_goes_on_from_there(tmp_path, pack):
    Image.fromarray(made_picture(700, 700)).save(tmp_path / "in.png")

    def stop(done, total):
        if done > 1:  # the one tile is painted
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        paint_in_pieces(pack, tmp_path / "in.png", tmp_path / "out.png", Look(), on_tile=stop)
    assert not (tmp_path / "out.png").exists()
    assert (tmp_path / ".out.png.painting-0" / "000001.tif").exists()
    paint_in_pieces(pack, tmp_path / "in.png", tmp_path / "out.png", Look())
    assert np.array_equal(pixels(tmp_path / "out.png"), 255 - made_picture(700, 700))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.png", "out.png"]


def test_a_large_one_is_not_read_whole_on_the_way(tmp_path, monkeypatch):
    from inkbridge.cli.apply import apply

    def refused(*_):
        raise AssertionError("read whole")

    monkeypatch.setattr(large, "LARGE", 100)
    monkeypatch.setattr(inkbridge.images, "read_picture", refused)
    monkeypatch.setattr(inkbridge.images, "read_ahead", refused)
    source, folder = tmp_path / "a.png", tmp_path / "out"
    Image.fromarray(made_picture(40, 60)).save(source)
    folder.mkdir()
    for out in (folder, folder / "b.png"):
        assert apply([str(source)], style=[str(write(tmp_path))], out=str(out)) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["a.png", "b.png"]


def test_the_size_decides(tmp_path, monkeypatch):
    Image.fromarray(made_picture(50, 50)).save(tmp_path / "in.jpg")
    assert not wants_pieces(tmp_path / "in.jpg", tmp_path / "out.jpg")
    monkeypatch.setattr(large, "LARGE", 2000)
    assert wants_pieces(tmp_path / "in.jpg", tmp_path / "out.jpg")
    assert not wants_pieces(tmp_path / "in.jpg", tmp_path / "out.bmp")


def test_a_killed_one_goes_on_where_it_was(tmp_path):
    """Really killed; what it had painted is not painted again, and the result is that of one go."""
    rgb = made_picture(1300, 5200)
    pyvips.Image.new_from_array(rgb).write_to_file(str(tmp_path / "in.tif"))
    script = (
        "import sys; from pathlib import Path; import inkbridge\n"
        "from inkbridge.large import paint_in_pieces; from inkbridge.look import Look\n"
        "paint_in_pieces(inkbridge.load('ukiyo-e'), Path(sys.argv[1]), Path(sys.argv[2]), Look(),\n"
        "                on_tile=lambda done, total: print(done, flush=True))\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "in.tif"), str(tmp_path / "out.tif")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    while (process.stdout.readline() or "end").strip() not in {"3", "end"}:
        pass
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert not (tmp_path / "out.tif").exists()
    (folder,) = tmp_path.glob(".out.tif.painting-0")
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.tif")}
    assert len(before) >= 3
    time.sleep(0.05)
    done = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert [float(step) for step in done[:2]] == [1, 2]
    assert not folder.exists()
    whole = inkbridge.load("ukiyo-e").apply_to(Picture(rgb), Look()).rgb
    assert np.array_equal(pixels(tmp_path / "out.tif"), whole)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.tif", "out.tif"]


def test_strokes_of_16_bits_lie_where_those_of_8_do(tmp_path):
    """Painted at a fraction of the size and enlarged; resizing rounds in another way."""
    file = pack_file()
    file.info.size.working_side = 100
    pack, rgb = StylePack(file, "share"), made_picture(380, 520) // 2 + 64
    deep = pyvips.Image.new_from_array(rgb.astype(np.uint16) * 257).copy(interpretation="rgb16")
    deep.write_to_file(str(tmp_path / "in.png"))
    paint_in_pieces(pack, tmp_path / "in.png", tmp_path / "out.png", Look())
    painted = pixels(tmp_path / "out.png")
    assert painted.dtype == np.uint16
    whole = pack.apply(rgb).astype(float)
    assert np.abs(painted / 257 - whole).mean() < 1.5
    shifted = np.abs(painted[:, 2:] / 257 - whole[:, :-2]).mean()
    assert shifted > 1.5 * np.abs(painted / 257 - whole).mean()


@pytest.mark.parametrize("changed", ["enlarger", "size"])
def test_what_another_enlarger_or_size_painted_is_painted_anew(tmp_path, monkeypatch, changed):
    file = pack_file()
    file.info.size.working_side = 48
    rgb = made_picture(200, 300)
    Image.fromarray(rgb).save(tmp_path / "in.png")

    def stop(done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        paint_in_pieces(
            StylePack(file, "share"), tmp_path / "in.png", tmp_path / "out.png", Look(), on_tile=stop
        )
    (key,) = tmp_path.glob(".out.png.painting-0/key")
    before = key.read_text()
    if changed == "enlarger":
        monkeypatch.setattr(large, "identity", lambda: "another")
    else:
        file.info.size.border = 0

    def look(done, total):
        if done == 1:
            assert key.read_text() != before

    paint_in_pieces(StylePack(file, "share"), tmp_path / "in.png", tmp_path / "out.png", Look(), on_tile=look)
    assert np.array_equal(pixels(tmp_path / "out.png"), StylePack(file, "share").apply(rgb))


def test_another_look_does_not_go_on_with_what_is_there(tmp_path):
    pack, rgb = inkbridge.load("east-west"), made_picture(64, 64)
    Image.fromarray(rgb).save(tmp_path / "in.png")
    folder = tmp_path / ".out.png.painting-0"
    folder.mkdir()
    (folder / "key").write_text("of another painting")
    Image.new("RGB", (64, 64)).save(folder / "000001.tif")
    for style in pack.styles[:2]:  # nor does one in the same process, whose files have the same names
        paint_in_pieces(pack, tmp_path / "in.png", tmp_path / "out.png", Look(style))
        assert np.array_equal(pixels(tmp_path / "out.png"), pack.apply(rgb, style))
