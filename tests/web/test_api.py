"""The HTTP API, and what it refuses."""

from __future__ import annotations

import base64
import io
import json
import shutil
import struct
import subprocess
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from visiting import PHOTO, SAMPLES, Start

import inkbridge
from inkbridge.errors import DataError
from inkbridge.web.jobs import Jobs, Limits

PALMS = PHOTO.read_bytes()


def ask(server: str, what: str, files: dict[str, object], **data: object) -> httpx.Response:
    return httpx.post(f"{server}/api/{what}", files=files, data=data, timeout=60)


def opened(answer: httpx.Response) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB"))


def png(width: int, height: int) -> bytes:
    """The header of a picture of that size, and hardly anything behind it."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )


def test_it_paints_as_python_does(server: str) -> None:
    answer = ask(server, "apply", {"picture": ("p.png", PALMS)}, style=["song-landscape:2", "monet-oil"])
    here = inkbridge.load("east-west").apply(str(PHOTO), {"song-landscape": 2, "monet-oil": 1})
    np.testing.assert_array_equal(opened(answer), np.asarray(here))
    assert answer.headers["content-disposition"] == 'attachment; filename="p-painted.png"'


def test_it_follows_an_example_and_a_mask(server: str) -> None:
    example = next((SAMPLES / "paintings").glob("*.jpg")).read_bytes()
    mask = io.BytesIO()
    Image.fromarray(np.repeat(np.uint8([0, 255]), [214, 213])[:, None].repeat(320, 1)).save(mask, "PNG")
    files = {"picture": ("p.png", PALMS), "like": ("e.jpg", example), "mask": ("m.png", mask.getvalue())}
    painted = opened(ask(server, "apply", files, format="png")).astype(int)
    changed = np.abs(painted - np.asarray(Image.open(io.BytesIO(PALMS)))).mean(-1)
    assert changed[:190].max() == 0
    assert changed[240:].mean() > 5


def test_a_stroke_is_as_broad_as_is_asked(server: str) -> None:
    beach = (SAMPLES / "photos" / "beach.jpg").read_bytes()

    def painted(stroke: str) -> np.ndarray:
        answer = ask(
            server, "apply", {"picture": ("b.jpg", beach)}, pack="ukiyo-e", stroke=stroke, format="png"
        )
        rgb = opened(answer)
        assert rgb.shape == (575, 1024, 3)
        return rgb.astype(int)

    usual, broad, full = painted("1"), painted("2.5"), painted("full")
    assert np.abs(usual - broad).mean() > 5
    assert np.abs(usual - full).mean() > 5
    expected = inkbridge.load("ukiyo-e").apply(SAMPLES / "photos" / "beach.jpg", stroke=2.5)
    assert np.abs(broad - np.asarray(expected)).max() <= 1


def test_it_mends_beautifies_and_compares(server: str) -> None:
    assert opened(ask(server, "repair", {"picture": ("p.jpg", PALMS)})).shape == (427, 320, 3)
    assert opened(ask(server, "beautify", {"picture": ("p.jpg", PALMS)})).shape == (427, 320, 3)
    figures = ask(server, "compare", {"a": PALMS, "b": PALMS}).json()
    assert figures["FSIM"] == 1.0
    assert figures["PSNR"] is None


def test_it_lists_styles(server: str) -> None:
    packs = {entry["pack"]: entry for entry in httpx.get(f"{server}/api/styles").json()}
    assert packs["east-west"]["follows_examples"]
    assert "vangogh-oil" in packs["east-west"]["styles"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({}, "Say which style"),
        ({"style": "ukiyoe"}, "There is no style 'ukiyoe' here"),
        ({"style": "ukiyo-e", "strength": "7"}, "strength = 7"),
        ({"style": "ukiyo-e", "strength": "nan"}, "strength = nan"),
        ({"style": "ukiyo-e:-1"}, "weights are 0 or more"),
        ({"style": "ukiyo-e:0"}, "All weights are 0"),
        ({"style": "ukiyo-e", "pack": "nothing"}, "There is no pack 'nothing' here"),
        ({"style": "ukiyo-e", "format": "exe"}, "format = exe"),
        (
            {"style": "ukiyo-e", "stroke": "0"},
            "stroke = 0.0 cannot be used: it must be from 0.25 to 4, or full",
        ),
        ({"style": "ukiyo-e", "stroke": "-2"}, "stroke = -2.0"),
        ({"style": "ukiyo-e", "stroke": "bold"}, "stroke = bold"),
        ({"style": "ukiyo-e", "detail": "0.5"}, "stroke says how broad strokes are"),
    ],
)
def test_wrong_words_are_answered_in_one_sentence(server: str, data: dict[str, str], said: str) -> None:
    answer = ask(server, "apply", {"picture": ("p.jpg", PALMS)}, **data)
    assert answer.status_code == 422
    assert said in answer.json()["detail"]


HOSTILE = {
    "bomb.png": (png(60_000, 60_000), "million pixels"),
    "wide.png": (png(65_535, 1), "damaged or cut short"),
    "empty.jpg": (b"", "is empty (0 bytes)"),
    "drawing.svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is not a picture that Inkbridge reads"),
    "setup.jpg": (b"MZ\x90\x00" + bytes(1000), "is not a picture that Inkbridge reads"),
    "page.png": (b"<html><script>alert(1)</script>", "is not a picture that Inkbridge reads"),
    "half.jpg": (PALMS[:9000], "damaged or cut short"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_upload_is_refused_and_the_next_is_painted(server: str, name: str) -> None:
    data, said = HOSTILE[name]
    answer = ask(server, "apply", {"picture": (name, data)}, style="ukiyo-e")
    assert answer.status_code == 422
    assert said in answer.json()["detail"]
    assert ask(server, "apply", {"picture": ("p.jpg", PALMS)}, style="ukiyo-e").status_code == 200


def test_a_picture_that_is_a_program_too_comes_back_as_a_picture(server: str) -> None:
    polyglot = PALMS + b"<script>alert(1)</script>PK\x03\x04"
    answer = ask(server, "apply", {"picture": ("p.html", polyglot)}, style="ukiyo-e")
    assert answer.headers["content-type"] == "image/png"
    assert b"<script" not in answer.content


@pytest.mark.parametrize("size", [(1, 1), (65_500, 1), (1, 3000)])
def test_pictures_of_a_pixel_or_a_line_are_painted(server: str, size: tuple[int, int]) -> None:
    file = io.BytesIO()
    Image.new("RGB", size, (90, 140, 60)).save(file, "PNG")
    painted = opened(ask(server, "apply", {"picture": ("p.png", file.getvalue())}, style="ukiyo-e"))
    assert painted.shape == (size[1], size[0], 3)


@pytest.mark.parametrize(
    "name", ["../../../etc/cron.d/x.png", "..\\..\\x.png", "/etc/x.png", "a\x00b.png", "%2e%2e%2fx.png"]
)
def test_names_lead_nowhere(server: str, name: str) -> None:
    answer = ask(server, "apply", {"picture": (name, PALMS)}, style="ukiyo-e")
    assert answer.status_code == 200
    file = answer.headers["content-disposition"].partition("filename")[2]
    assert not set("/\\") & set(file.replace("utf-8''", ""))
    assert ".." not in file


def test_addresses_are_never_fetched(server: str) -> None:
    """By what the page uses, whose server would fetch them."""
    for path in ("http://127.0.0.1:9/x.png", "HTTPS://example.org/x.png", " file:///etc/hostname"):
        body = {
            "data": [{"path": path, "meta": {"_type": "gradio.FileData"}}],
            "fn_index": 1,
            "session_hash": "x",
        }
        answer = httpx.post(f"{server}/en/gradio_api/queue/join", json=body)
        assert answer.status_code == 400, path
        assert "addresses are not fetched" in answer.json()["detail"]
        headers = {"content-type": "multipart/form-data; boundary=x"}  # it says that it carries a file
        disguised = httpx.post(
            f"{server}/en/gradio_api/queue/join", content=json.dumps(body), headers=headers
        )
        assert disguised.status_code == 400, path
    for path in ("file=http://example.org/", "file=%20ftp://x", "file/http://x.org/", "proxy=http://x.org/"):
        assert httpx.get(f"{server}/en/gradio_api/{path}").status_code == 400
    assert httpx.get(f"{server}/en/gradio_api/file=/etc/passwd").status_code in (403, 404)


def test_too_many_bytes_are_refused_before_they_are_read(start: Start) -> None:
    server = start("--max-megabytes", "0.5")
    large = PALMS + bytes(3_000_000)
    assert ask(server, "apply", {"picture": ("p.jpg", large)}, style="ukiyo-e").status_code == 413
    assert httpx.post(f"{server}/en/gradio_api/upload", files={"files": large}).status_code == 413
    assert httpx.post(f"{server}/en/gradio_api/queue/join", content=b"[" * 2_000_000).status_code == 413

    def drip():
        yield b'--x\r\nContent-Disposition: form-data; name="picture"; filename="p.png"\r\n\r\n'
        for _ in range(4000):
            yield bytes(1000)

    headers = {"content-type": "multipart/form-data; boundary=x"}
    try:
        answer = httpx.post(f"{server}/api/apply", content=drip(), headers=headers, timeout=20)
        assert answer.status_code >= 400
    except httpx.TransportError:
        pass  # the connection was closed
    assert ask(server, "apply", {"picture": ("p.jpg", PALMS)}, style="ukiyo-e").status_code == 200


def test_nothing_is_taken_where_all_that_lies_there_leaves_no_room(start: Start) -> None:
    server = start("--max-megabytes", "0.2", "--max-gigabytes", "0.0008")  # previews take some of it

    def given(number: int) -> int:
        files = {"files": ("a.jpg", PALMS + bytes(number))}
        upload = httpx.post(f"{server}/en/gradio_api/upload", files=files)
        if upload.status_code == 503:
            assert "no room" in upload.json()["detail"]
        return upload.status_code

    codes = [given(number) for number in range(30)]
    assert codes[0] == 200
    full = codes.index(503)
    assert codes == [200] * full + [503] * (30 - full)
    assert ask(server, "apply", {"picture": ("p.jpg", PALMS)}, style="ukiyo-e").status_code == 503
    assert httpx.get(f"{server}/api/styles").status_code == 200


def test_a_full_disk_takes_nothing_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = Jobs(Limits(max_bytes=1000), tmp_path)
    assert jobs.has_room()
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=999))
    assert not jobs.has_room()


def test_behind_a_proxy_of_this_machine_each_of_its_visitors_has_a_place_in_the_queue(server: str) -> None:
    large = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (1500, 1500, 3), np.uint8)).save(large, "PNG")

    def codes(names: list[str]) -> list[int]:
        def ask_as(name: str) -> int:
            return httpx.post(
                f"{server}/api/apply",
                files={"picture": ("l.png", large.getvalue())},
                data={"style": "ukiyo-e"},
                headers={"x-forwarded-for": name},
                timeout=120,
            ).status_code

        with ThreadPoolExecutor(len(names)) as pool:
            return sorted(pool.map(ask_as, names))

    assert codes([f"198.51.100.{i}" for i in range(6)]) == [200] * 6
    assert codes(["198.51.100.9"] * 6)[-1] == 503


def test_more_pixels_than_allowed_are_refused(start: Start) -> None:
    server = start("--max-megapixels", "0.1")
    answer = ask(server, "apply", {"picture": ("p.jpg", PALMS)}, style="ukiyo-e")
    assert "the limit is 0 million" in answer.text or "million pixels" in answer.text


def test_other_names_of_this_machine_get_nothing(server: str) -> None:
    assert httpx.get(f"{server}/en/", headers={"host": "evil.example"}).status_code == 421


def test_a_password_is_needed_for_everything(start: Start) -> None:
    server = start("--host", "0.0.0.0", INKBRIDGE_PASSWORD="sesame é")
    for path in ("/", "/en/", "/en/gradio_api/info", "/api/styles", "/favicon.ico"):
        answer = httpx.get(server + path)
        assert answer.status_code == 401, path
        assert "basic" in answer.headers["www-authenticate"].lower()
    for word, status in (("wrong", 401), ("", 401), ("sesame é", 200)):
        value = base64.b64encode(f"me:{word}".encode()).decode()
        answer = httpx.get(f"{server}/api/styles", headers={"authorization": f"Basic {value}"})
        assert answer.status_code == status
    assert httpx.get(f"{server}/api/styles", headers={"authorization": "Basic ///"}).status_code == 401


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--host", "0.0.0.0"], "lets other machines in"),
        (["--port", "99999"], "--port 99999"),
        (["--runs", "/nowhere"], "Folder '/nowhere' does not exist"),
        (["--seconds", "0"], "--seconds 0"),
        (["--max-gigabytes", "0.05"], "no room for one upload of --max-megabytes 60"),
        (["--host", "203.0.113.9", "--no-password"], "cannot be listened on"),
    ],
)
def test_it_does_not_start_on_wrong_words(options: list[str], said: str) -> None:
    command = [sys.executable, "-m", "inkbridge", "web", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_visitor_who_leaves_ends_the_work(server: str) -> None:
    large = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (3600, 3600, 3), np.uint8)).save(large, "PNG")
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{server}/api/repair",
            files={"picture": ("l.png", large.getvalue())},
            timeout=httpx.Timeout(60, read=1.5),
        )
    begin = time.monotonic()
    assert ask(server, "apply", {"picture": ("p.jpg", PALMS)}, style="ukiyo-e").status_code == 200
    assert time.monotonic() - begin < 6


def test_many_at_once_are_painted_each_as_alone_and_nothing_stays(start: Start, tmp_path: Path) -> None:
    server = start("--seconds", "100", TMPDIR=str(tmp_path))
    styles = ["ukiyo-e", "song-landscape", "monet-oil"]
    alone = {
        style: ask(server, "apply", {"picture": ("p.png", PALMS)}, style=style).content for style in styles
    }

    def visit(number: int) -> bool:
        style = styles[number % 3]
        answer = ask(server, "apply", {"picture": ("p.png", PALMS)}, style=style)
        return answer.content == alone[style] if answer.status_code == 200 else answer.status_code == 503

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(visit, range(24)))
    time.sleep(0.5)
    (folder,) = tmp_path.glob("inkbridge-web-*")
    files = folder / "files"
    left = [path for path in files.rglob("*") if path.is_file() and "previews" not in path.parts]
    assert left == []


def test_nobody_can_list_what_others_gave(start: Start, tmp_path: Path) -> None:
    server = start("--seconds", "100", TMPDIR=str(tmp_path))
    files = {"files": ("holiday.jpg", PALMS)}
    (given,) = httpx.post(f"{server}/en/gradio_api/upload", files=files).json()
    assert httpx.get(f"{server}/en/gradio_api/file={given}").content == PALMS
    (folder,) = tmp_path.glob("inkbridge-web-*")
    assert folder.stat().st_mode & 0o077 == 0
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(PALMS)
    hidden = [folder, folder / "lock", folder / "files", folder / "files" / "results", Path(given).parent]
    for path in (*hidden, secret, f"{folder}/../secret.jpg"):
        assert httpx.get(f"{server}/en/gradio_api/file={path}").status_code in (403, 404), path


def test_only_what_was_uploaded_is_opened(tmp_path: Path) -> None:
    from inkbridge.web.parts import uploaded

    (tmp_path / "web" / "x").mkdir(parents=True)
    jobs = Jobs(Limits(), tmp_path / "web")
    for path in (tmp_path / "secret.jpg", tmp_path / "web" / ".." / "secret.jpg"):
        path.write_bytes(PALMS)
        with pytest.raises(DataError, match="was not uploaded here"):
            uploaded(jobs, str(path))
    (tmp_path / "web" / "x" / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    with pytest.raises(DataError, match="was not uploaded here"):
        uploaded(jobs, str(tmp_path / "web" / "x" / "link.jpg"))
