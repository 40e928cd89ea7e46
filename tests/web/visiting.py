"""A visitor with a browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import Popen

from playwright.sync_api import Browser, Page, Request

Start = Callable[..., str]
"""Options and environment of a new server -> its address."""
Launch = Callable[..., tuple[Popen[bytes], str]]
"""The same, and its process."""
SAMPLES = Path(__file__).parents[2] / "samples"
PHOTO = SAMPLES / "photos" / "palms.jpg"


class Visit:
    """A page that remembers what it asked for and what went wrong."""

    def __init__(self, browser: Browser, address: str, language: str = "en", **how: object) -> None:
        self.context = browser.new_context(accept_downloads=True, **how)  # type: ignore[arg-type]
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(10_000)
        self.address = address
        self.asked: list[str] = []
        self.errors: list[str] = []
        self.streams: set[Request] = set()
        self.page.on("request", self._begun)
        self.page.on("requestfinished", self._ended)
        self.page.on("requestfailed", self._ended)
        self.page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(f"{address}/{language}/")
        self.page.wait_for_selector("#ink-paint")
        self.page.wait_for_function(
            "[...document.querySelectorAll('.ink-card img')].filter(i => i.naturalWidth).length >= 7"
        )

    def give(self, picture: Path, to: str = "#ink-picture") -> None:
        """Upload a picture, in the place of one that is there."""
        there = self.page.locator(f"{to} button[aria-label='Remove Image']")
        if there.count():
            there.click()
        with self.page.expect_response(lambda response: "/upload" in response.url):
            self.page.locator(f"{to} input[type=file]").set_input_files(picture)
        self.page.wait_for_timeout(400)

    def tab(self, name: str) -> None:
        tab = self.page.get_by_role("tab", name=name, exact=True).locator("visible=true")
        if not tab.count():  # on a narrow page
            self.page.get_by_label("More tabs").locator("visible=true").first.click()
            tab = self.page.locator(".overflow-dropdown button", has_text=name)
        tab.first.click()

    def shares(self, **shares: int) -> None:
        for title, share in shares.items():
            box = self.page.get_by_label(f"number input for Share of {title.replace('_', ' ')}", exact=True)
            box.first.fill(str(share))
            box.first.press("Tab")

    def painted(self, button: str = "#ink-paint", file: str = "#ink-download") -> bytes:
        self.page.evaluate("document.querySelectorAll('[role=status]').forEach(e => e.textContent = '')")
        self.page.click(button)
        self.page.get_by_text("Done in").locator("visible=true").wait_for(timeout=40_000)
        self.page.wait_for_timeout(400)
        with self.page.expect_download() as download:
            self.page.locator(file).locator("visible=true").click()
        return download.value.path().read_bytes()

    def rest(self) -> None:
        """Until no result is on its way: Gradio writes to the console of a page that is left before."""
        for _ in range(200):
            if not self.streams:
                return
            self.page.wait_for_timeout(50)
        raise AssertionError("results are on their way for ever")

    def _begun(self, request: Request) -> None:
        self.asked.append(request.url)
        if "/queue/data" in request.url:
            self.streams.add(request)

    def _ended(self, request: Request) -> None:
        self.streams.discard(request)

    def close(self) -> None:
        outside = [url for url in self.asked if not url.startswith((self.address, "data:", "blob:"))]
        self.context.close()
        assert outside == []
        assert self.errors == []
