"""The page in a real browser: what a visitor does."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, expect
from visiting import PHOTO, SAMPLES, Start, Visit

CAMERA = 0x0110
SIZE = 320, 427


@pytest.fixture
def visit(chromium: Browser, server: str) -> Iterator[Visit]:
    visit = Visit(chromium, server)
    yield visit
    visit.close()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A photograph that says which camera took it."""
    exif = Image.Exif()
    exif[CAMERA] = "Pinhole 1"
    with Image.open(PHOTO) as image:
        image.save(tmp_path / "holiday.jpg", exif=exif)
    return tmp_path / "holiday.jpg"


def test_two_styles_are_blended_and_the_download_is_whole(visit: Visit, photo: Path) -> None:
    visit.give(photo)
    results = []
    for shares in ((100, 0), (0, 100), (50, 50)):
        visit.shares(Song_landscape=shares[0], Van_Gogh_drawing=shares[1], **{"Ukiyo-e_landscape": 0})
        results.append(visit.painted())
        visit.page.wait_for_timeout(300)
    images = [Image.open(io.BytesIO(result)) for result in results]
    assert {image.size for image in images} == {SIZE}
    assert {image.getexif()[CAMERA] for image in images} == {"Pinhole 1"}
    song, drawing, both = (np.asarray(image.convert("RGB"), np.float32) for image in images)
    assert np.abs(both - song).mean() > 3
    assert np.abs(both - drawing).mean() > 3
    assert np.abs(both - song).mean() < np.abs(drawing - song).mean()


def test_another_pack_paints_once_its_tab_is_chosen(visit: Visit, photo: Path) -> None:
    visit.give(photo)
    results = []
    for pack in ("Pack east-west", "Pack ukiyo-e"):
        visit.tab(pack)
        visit.page.wait_for_timeout(500)
        with Image.open(io.BytesIO(visit.painted())) as image:
            results.append(np.asarray(image.convert("RGB"), np.float32))
    assert np.abs(results[0] - results[1]).mean() > 3


def test_a_name_takes_that_style_alone(visit: Visit) -> None:
    visit.page.locator(".ink-name", has_text="Monet oil").click()
    ukiyo_e = visit.page.get_by_label("number input for Share of Ukiyo-e landscape").first
    visit.page.wait_for_function("element => element.value === '0'", arg=ukiyo_e.element_handle())
    assert visit.page.get_by_label("number input for Share of Monet oil").input_value() == "100"


def test_an_example_picture_leads(visit: Visit, photo: Path) -> None:
    visit.give(photo)
    plain = visit.painted()
    visit.page.get_by_role("button", name="Like this painting").click()
    visit.give(next((SAMPLES / "paintings").glob("*.jpg")), "#ink-like")
    assert visit.painted() != plain


def test_only_what_was_painted_over_changes(visit: Visit, photo: Path) -> None:
    visit.give(photo)
    visit.page.get_by_label("Only a part of the picture").check()
    canvas = visit.page.locator("canvas").locator("visible=true").first
    canvas.wait_for()
    visit.page.wait_for_timeout(1500)
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    visit.page.mouse.move(x - 20, y)
    visit.page.mouse.down()
    visit.page.mouse.move(x + 20, y, steps=8)
    visit.page.mouse.up()
    visit.page.wait_for_timeout(800)
    before, after = (
        np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.float32)
        for data in (photo.read_bytes(), visit.painted())
    )
    changed = np.abs(after - before).mean(-1) > 20
    assert 0.002 < changed.mean() < 0.4
    assert not changed[:20].any()


def test_a_picture_is_mended_and_what_was_found_can_be_had(visit: Visit, photo: Path) -> None:
    visit.tab("Mend")
    visit.give(photo, "#ink-hurt")
    mended = visit.painted("#ink-mend", "#ink-mended")
    assert Image.open(io.BytesIO(mended)).size == SIZE
    with visit.page.expect_download() as download:
        visit.page.locator("#ink-mask").click()
    assert Image.open(io.BytesIO(download.value.path().read_bytes())).size == SIZE


def test_two_pictures_are_compared(visit: Visit, photo: Path) -> None:
    visit.tab("Compare")
    for place in ("#ink-first", "#ink-second"):
        visit.give(photo, place)
    visit.page.click("#ink-compare")
    visit.page.get_by_text("FSIMc").wait_for()
    assert "1.0000" in visit.page.locator("table").inner_text()


def test_a_run_is_watched(chromium: Browser, start: Start, tmp_path: Path) -> None:
    run = tmp_path / "runs" / "prints"
    run.mkdir(parents=True)
    (run / "config.json").write_text("{}")
    line = {"images_seen": 800, "seconds": 60, "progress": 0.4, "images_per_second": 13.3, "content": 0.5}
    (run / "log.jsonl").write_text(json.dumps(line) + "\n")
    sign = {"said": "The discriminator always wins: lower its learning rate."}
    (run / "health.jsonl").write_text(json.dumps(sign) + "\n")
    visit = Visit(chromium, start("--runs", str(run.parent)))
    visit.tab("Training")
    expect(visit.page.get_by_text("40% done")).to_be_visible()
    expect(visit.page.get_by_text("The discriminator always wins")).to_be_visible()
    (run / "log.jsonl").write_text("".join(json.dumps(line | {"progress": p}) + "\n" for p in (0.4, 0.7)))
    expect(visit.page.get_by_text("70% done")).to_be_visible(timeout=15_000)
    visit.close()


def test_what_is_no_picture_is_said_and_the_page_goes_on(visit: Visit, photo: Path, tmp_path: Path) -> None:
    (tmp_path / "setup.jpg").write_bytes(b"MZ\x90\x00" + bytes(2000))
    visit.give(tmp_path / "setup.jpg")
    visit.page.click("#ink-paint")
    visit.page.get_by_text("setup.jpg is not a picture that Inkbridge reads").wait_for()
    visit.give(photo)
    assert visit.painted()


def test_without_a_picture_or_a_style_it_says_so(visit: Visit, photo: Path) -> None:
    visit.page.click("#ink-paint")
    expect(visit.page.get_by_text("Give a picture first.")).to_be_visible()
    visit.give(photo)
    visit.shares(**{"Ukiyo-e_landscape": 0})
    visit.page.click("#ink-paint")
    expect(visit.page.get_by_text("Give at least one style a share")).to_be_visible()


def test_stop_ends_the_work(visit: Visit, tmp_path: Path) -> None:
    # Seconds of work on any machine, and quick to give.
    Image.linear_gradient("L").resize((7000, 7000)).convert("RGB").save(tmp_path / "large.jpg")
    visit.give(tmp_path / "large.jpg")
    visit.page.click("#ink-paint")
    visit.page.get_by_text("at work").wait_for()
    visit.page.click("#ink-stop")
    visit.page.get_by_text("Stopped.").wait_for()
    # The next visitor is not kept waiting for what nobody waits for.
    answer = httpx.post(
        f"{visit.address}/api/apply",
        files={"picture": PHOTO.read_bytes()},
        data={"style": "ukiyo-e"},
        timeout=15,
    )
    assert answer.status_code == 200


def test_it_is_used_by_keyboard_alone(visit: Visit) -> None:
    reached = set()
    for _ in range(60):
        visit.page.keyboard.press("Tab")
        reached.add(
            visit.page.evaluate(
                "(e => e.getAttribute('aria-label') || e.innerText || e.id)(document.activeElement)"
            )
        )
    for wanted in ("Paint", "Monet oil", "range slider for Share of Monet oil", "Paint it", "Stop"):
        assert wanted in reached
    visit.page.locator(".ink-name", has_text="Western oil").focus()
    visit.page.keyboard.press("Enter")
    western = visit.page.get_by_label("number input for Share of Western oil")
    visit.page.wait_for_function("element => element.value === '100'", arg=western.element_handle())


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_serious_stands_in_anybodys_way(
    chromium: Browser, server: str, scheme: str, width: int
) -> None:
    visit = Visit(chromium, server, color_scheme=scheme, viewport={"width": width, "height": 800})
    for tab in ("Paint", "Mend", "Compare", "Training"):
        visit.tab(tab)
        visit.page.wait_for_timeout(600)
        found = Axe().run(visit.page).response["violations"]
        assert [rule["id"] for rule in found if rule["impact"] in ("serious", "critical")] == []
        assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    visit.close()


def test_a_page_that_was_loaded_waits_for_nothing(chromium: Browser, server: str) -> None:
    visit = Visit(chromium, server)
    visit.rest()
    assert sum("/queue/join" in url for url in visit.asked) == 1
    visit.close()


def test_it_speaks_chinese(chromium: Browser, server: str) -> None:
    visit = Visit(chromium, server, "zh")
    assert visit.page.evaluate("document.documentElement.lang") == "zh-CN"
    visit.page.get_by_role("button", name="开始绘制").wait_for()
    visit.page.locator(".ink-name", has_text="宋代山水").wait_for()
    assert httpx.get(f"{server}/", headers={"accept-language": "zh-TW,zh;q=0.9"}).headers["location"] == "zh/"
    visit.rest()
    visit.page.get_by_role("link", name="English").click()
    visit.page.get_by_role("button", name="Paint it").wait_for()
    visit.close()


def test_a_closed_tab_ends_the_work(chromium: Browser, server: str, tmp_path: Path) -> None:
    visit = Visit(chromium, server)
    # Eight seconds of work and more.
    Image.linear_gradient("L").resize((7000, 7000)).convert("RGB").save(tmp_path / "large.jpg")
    visit.give(tmp_path / "large.jpg")
    visit.page.click("#ink-paint")
    visit.page.get_by_text("at work").wait_for()
    visit.close()
    begin = time.monotonic()
    answer = httpx.post(
        f"{server}/api/apply", files={"picture": PHOTO.read_bytes()}, data={"style": "ukiyo-e"}, timeout=60
    )
    assert answer.status_code == 200
    assert time.monotonic() - begin < 5
