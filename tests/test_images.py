import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from conftest import made_picture
from inkbridge.errors import DataError
from inkbridge.images import (
    Picture,
    decode,
    find_pictures,
    from_network,
    from_pil,
    read_ahead,
    read_picture,
    to_network,
    write_atomically,
    write_picture,
)


def saved(image: Image.Image, file_format: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF", "GIF", "BMP"])
def test_every_format_is_read(file_format):
    rgb = made_picture(40, 60)
    picture = decode(saved(Image.fromarray(rgb), file_format), "x")
    assert picture.rgb.shape == (40, 60, 3)
    assert np.abs(picture.rgb.astype(int) - rgb).mean() < 12


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".avif", ".tiff"])
def test_exif_and_icc_survive_and_orientation_is_applied_once(tmp_path, suffix):
    rgb = made_picture(40, 60)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter
    exif[0x010F] = "Maker"
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    source = tmp_path / "in.jpg"
    source.write_bytes(saved(Image.fromarray(rgb), "JPEG", exif=exif, icc_profile=icc, quality=95))
    picture = read_picture(source)
    assert picture.rgb.shape == (60, 40, 3)
    out = tmp_path / f"out{suffix}"
    write_picture(picture, out)
    with Image.open(out) as image:
        assert image.size == (40, 60)
        assert image.getexif().get(0x010F) == "Maker"
        assert image.getexif().get(0x0112, 1) == 1
        assert image.info.get("icc_profile") == icc


def test_alpha_survives_in_png_and_lies_on_white_in_jpeg(tmp_path):
    rgba = np.dstack([np.zeros((10, 10, 3), np.uint8), np.full((10, 10), 0, np.uint8)])
    rgba[:, 5:, 3] = 255
    picture = from_pil(Image.fromarray(rgba))
    assert write_picture(picture, tmp_path / "a.png") == []
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png"))[..., 3], rgba[..., 3])
    notes = write_picture(picture, tmp_path / "a.jpg")
    assert "white" in notes[0]
    flat = np.asarray(Image.open(tmp_path / "a.jpg"))
    assert flat[5, 1].min() > 240
    assert flat[5, 8].max() < 15


def test_a_picture_with_values_that_are_no_number_is_refused(tmp_path):
    values = np.linspace(0, 1, 64 * 48, dtype=np.float32).reshape(48, 64)
    values[3, 4], values[7, 9] = np.nan, np.inf
    Image.fromarray(values).save(tmp_path / "broken.tif")
    with pytest.raises(DataError, match=r"broken\.tif.*2 of 3,072 pixels are no number"):
        read_picture(tmp_path / "broken.tif")


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I;16", "I", "F"]
)
def test_every_mode_becomes_rgb(mode):
    gray = np.tile(np.linspace(0, 255, 32, dtype=np.uint8), (16, 1))
    if mode == "I;16":
        image = Image.fromarray(gray.astype(np.uint16) * 257)
    elif mode in {"I", "F"}:
        image = Image.fromarray(gray).convert(mode)
    elif mode == "LAB":
        image = Image.merge("LAB", [Image.fromarray(gray)] + [Image.new("L", (32, 16), 128)] * 2)
    elif mode == "HSV":
        image = Image.fromarray(np.stack([gray] * 3, -1)).convert("HSV")
    elif mode == "LA":
        image = Image.merge("LA", [Image.fromarray(gray)] * 2)
    else:
        image = Image.fromarray(np.stack([gray] * 3, -1)).convert(mode)
    picture = from_pil(image)
    assert picture.rgb.shape == (16, 32, 3)
    assert picture.rgb.dtype == np.uint8
    assert (picture.alpha is not None) == (mode in {"LA", "RGBA"})
    levels = picture.rgb.mean(axis=(0, 2))
    assert levels[-1] > levels[0] + 180


def test_transparent_palette_keeps_its_alpha():
    image = Image.new("P", (4, 4), 0)
    image.putpalette([0, 0, 0, 255, 0, 0] + [0] * 762)
    image.putpixel((0, 0), 1)
    picture = decode(saved(image, "PNG", transparency=0), "x")
    assert picture.alpha is not None
    assert picture.alpha[0, 0] == 255
    assert picture.alpha[3, 3] == 0


def handmade_png(width: int, height: int, bits: int, rows: bytes) -> bytes:
    """A PNG put together by hand: sizes and depths that Pillow would not write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, bits, 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, data) for kind, data in parts)


def png_16_bit_rgb() -> bytes:
    return handmade_png(4, 4, 16, 4 * (b"\0" + struct.pack(">12H", *range(0, 60000, 5000))))


def test_sixteen_bits_and_frames_are_said():
    assert "16 bits a channel become 8" in decode(png_16_bit_rgb(), "x").notes
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    gif = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    picture = decode(gif, "x")
    assert picture.notes == ["only the first of 2 frames is used"]
    assert picture.rgb[0, 0].tolist() == [255, 0, 0]
    assert decode(saved(frames[0], "PNG"), "x").notes == []


def test_cmyk_with_naive_colours_is_said():
    assert decode(saved(Image.new("CMYK", (8, 8)), "JPEG"), "x").notes == ["CMYK becomes RGB"]


def bad_files() -> dict[str, bytes]:
    jpeg = saved(Image.fromarray(made_picture(64, 64)), "JPEG")
    return {
        "empty": b"",
        "text": b"this is not a picture at all",
        "cut-jpeg": jpeg[: len(jpeg) // 2],
        "head-only": jpeg[:20],
        "noise-after-header": jpeg[:200] + os.urandom(400),
        "cut-png": saved(Image.fromarray(made_picture(64, 64)), "PNG")[:800],
        "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
    }


@pytest.mark.parametrize("kind", bad_files())
def test_bad_files_are_refused_by_name_in_one_line(tmp_path, kind):
    path = tmp_path / f"{kind}.jpg"
    path.write_bytes(bad_files()[kind])
    with pytest.raises(DataError, match=f"{kind}.jpg") as caught:
        read_picture(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["text", "svg", "eps"])
def test_what_is_no_picture_is_called_so(kind):
    with pytest.raises(DataError, match="is not a picture that Inkbridge reads"):
        decode(bad_files()[kind], "x")


def test_a_photograph_of_two_frames_from_a_phone_is_a_jpeg():
    frames = [Image.fromarray(made_picture(32, 48, seed)) for seed in (0, 1)]
    data = saved(frames[0], "MPO", save_all=True, append_images=frames[1:])
    assert decode(data, "x").rgb.shape == (32, 48, 3)


def test_missing_file_and_folder_are_refused(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        read_picture(tmp_path / "none.png")
    with pytest.raises(DataError, match="is a folder"):
        read_picture(tmp_path)


@pytest.mark.parametrize("side", [15_000, 60_000])
def test_decompression_bombs_are_refused_and_the_message_says_how_to_lift_the_cap(side):
    with pytest.raises(DataError, match="--max-megapixels"):
        decode(handmade_png(side, side, 8, b"\0" * 1000), "bomb.png")


def test_the_cap_can_be_moved():
    data = saved(Image.fromarray(made_picture(40, 60)), "PNG")
    with pytest.raises(DataError, match="60 x 40"):
        decode(data, "x", max_pixels=2000)
    assert decode(data, "x", max_pixels=2400).rgb.shape == (40, 60, 3)


def test_network_values_round_trip_exactly():
    rgb = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    values = to_network(rgb)
    assert values.shape == (1, 3, 16, 16)
    assert values.min() == -1.0
    assert values.max() == 1.0
    assert np.array_equal(from_network(values[0]), rgb)
    assert from_network(values[0] * 9).max() == 255


def test_failed_write_leaves_the_old_file_and_no_half_one(tmp_path):
    target = tmp_path / "a.png"
    target.write_bytes(b"old")

    def fail(file) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(DataError, match="No space left"):
        write_atomically(target, fail)
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_write_into_a_missing_folder_or_with_an_unknown_ending_is_refused(tmp_path):
    picture = Picture(made_picture(8, 8))
    with pytest.raises(DataError, match="cannot be written"):
        write_picture(picture, tmp_path / "none" / "a.png")
    with pytest.raises(DataError, match="not a picture ending"):
        write_picture(picture, tmp_path / "a.xyz")


def test_find_pictures_is_sorted_and_skips_hidden_and_other_files(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / ".hidden").mkdir()
    for name in ("z.JPG", "a.png", "b/c.webp", "notes.txt", ".x.png", ".hidden/y.png"):
        (tmp_path / name).write_bytes(b"x")
    names = [str(path.relative_to(tmp_path)) for path in find_pictures(tmp_path)]
    assert names == ["a.png", "b/c.webp", "z.JPG"]
    with pytest.raises(DataError, match="does not exist"):
        find_pictures(tmp_path / "none")
    with pytest.raises(DataError, match="is a file"):
        find_pictures(tmp_path / "a.png")


def test_a_tiff_whose_second_page_is_broken_is_refused_in_a_sentence(tmp_path, recwarn):
    path = tmp_path / "pages.tif"
    Image.new("RGB", (20, 20)).save(path)
    data = bytearray(path.read_bytes())
    first = int.from_bytes(data[4:8], "little")
    link = first + 2 + 12 * int.from_bytes(data[first : first + 2], "little")
    data[link : link + 4] = len(data).to_bytes(4, "little")  # a directory that says nothing
    path.write_bytes(data + bytes(6))
    with pytest.raises(DataError, match=r"pages\.tif is damaged or cut short"):
        read_picture(path)
    assert not recwarn.list


def test_what_is_read_ahead_comes_as_if_it_were_read_then(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(made_picture(30, 40)).save(path)
    ahead = read_ahead(path)
    assert np.array_equal(ahead().rgb, read_picture(path).rgb)
    for bad, said in [(tmp_path / "none.png", "does not exist"), (path, "pixels; the limit")]:
        waiting = read_ahead(bad, max_pixels=100)
        with pytest.raises(DataError, match=said):
            waiting()
