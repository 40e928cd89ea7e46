"""Many visitors at once: do all get their pictures, is it fair, does memory stay?

    python benchmarks/visitors.py [--visitors 20] [--seconds 120] [--pixels 512]

(needs the extra [web]) Starts a server of its own. Each visitor uses the page's own protocol (upload, queue,
stream of events) with a session of its own, again and again without a pause. A greedy one asks the HTTP API
for five at a time. Every result is fetched, and must have the size of what was given.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

PORT = 7899
HOME = f"http://127.0.0.1:{PORT}/en"


class Visitor:
    """A session of the page."""

    def __init__(self, picture: bytes, size: tuple[int, int], button: dict[str, object]) -> None:
        self.client = httpx.Client(timeout=120)
        self.picture, self.size, self.button = picture, size, button
        self.session = secrets.token_hex(8)
        self.seconds: list[float] = []
        self.errors: list[str] = []

    def paint(self) -> None:
        begin = time.monotonic()
        files = {"files": (f"{self.session}.jpg", self.picture)}
        (path,) = self.client.post(f"{HOME}/gradio_api/upload", files=files).raise_for_status().json()
        file = {"path": path, "meta": {"_type": "gradio.FileData"}}
        data = [file, *self.button["defaults"][1:]]  # type: ignore[index]
        body = {"data": data, "fn_index": self.button["index"], "session_hash": self.session}
        self.client.post(f"{HOME}/gradio_api/queue/join", json=body).raise_for_status()
        outputs: dict[int, object] = {}
        with self.client.stream("GET", f"{HOME}/gradio_api/queue/data?session_hash={self.session}") as stream:
            for line in stream.iter_lines():
                if not line.startswith("data:"):
                    continue
                message = json.loads(line[5:])
                if message["msg"] == "process_generating":
                    _merge(outputs, message["output"].get("data", []))
                if message["msg"] == "process_completed":
                    if not message["success"]:
                        self.errors.append(json.dumps(message["output"])[:200])
                    break
        text = json.dumps(list(outputs.values()))
        start = text.find("/results/")
        if start < 0:
            self.errors.append(text[:200])
            return
        name = text[text.rfind('"', 0, start) + 1 : text.find('"', start)]
        name = name[name.find("/tmp") :] if "/tmp" in name else name
        answer = self.client.get(f"{HOME}/gradio_api/file={name}")
        if answer.status_code != 200 or Image.open(io.BytesIO(answer.content)).size != self.size:
            self.errors.append(f"{answer.status_code} for {name}")
        self.seconds.append(time.monotonic() - begin)


def _merge(outputs: dict[int, object], data: list[object]) -> None:
    for number, value in enumerate(data):
        outputs[number] = [outputs.get(number), value]


def button() -> dict[str, object]:
    """The event of the page's button that paints: its number and what its inputs hold at first."""
    config = httpx.get(f"{HOME}/config").json()
    components = {entry["id"]: entry for entry in config["components"]}
    (paint,) = (i for i, entry in components.items() if entry["props"].get("elem_id") == "ink-paint")
    (event,) = (e for e in config["dependencies"] if [paint, "click"] in [list(t) for t in e["targets"]])
    defaults = [components[i]["props"].get("value") for i in event["inputs"]]
    return {"index": event["id"], "defaults": defaults}


def memory(pid: int) -> float:
    """Resident megabytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def crowded(visitors: list[Visitor], picture: bytes, seconds: float, pid: int) -> None:
    """All at once for so many seconds; what came of it is printed."""
    begin = memory(pid)
    ended = threading.Event()
    greedy = {200: 0, 503: 0}
    curve: list[float] = []

    def again(visitor: Visitor) -> None:
        while not ended.is_set():
            try:
                visitor.paint()
            except httpx.HTTPError as error:
                visitor.errors.append(repr(error))

    def ask() -> None:
        while not ended.is_set():
            form = {"files": {"picture": ("p.jpg", picture)}, "data": {"style": "ukiyo-e"}}
            status = httpx.post(f"http://127.0.0.1:{PORT}/api/apply", timeout=120, **form).status_code
            greedy[status] = greedy.get(status, 0) + 1
            time.sleep(0.5 if status == 503 else 0)

    with ThreadPoolExecutor(len(visitors) + 5) as pool:
        for visitor in visitors:
            pool.submit(again, visitor)
        for _ in range(5):
            pool.submit(ask)
        for _ in range(int(seconds / 5)):
            time.sleep(5)
            curve.append(memory(pid))
        ended.set()
    each = [len(visitor.seconds) for visitor in visitors]
    waited = sorted(second for visitor in visitors for second in visitor.seconds)
    print(f"pictures of a visitor: {min(each)} to {max(each)}; of the greedy one, by status: {greedy}")
    print(f"in all {sum(each) + greedy[200]} in {seconds:.0f} s")
    print(f"seconds a picture: {statistics.median(waited):.1f} in the middle, {waited[-1]:.1f} at most")
    errors = [error for visitor in visitors for error in visitor.errors]
    print(f"errors: {len(errors)}", *errors[:2])
    middle = curve[len(curve) // 2]
    print(f"memory: {begin:.0f} MB before, {middle:.0f} in the middle, {curve[-1]:.0f} at the end")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--visitors", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--pixels", type=int, default=512)
    options = parser.parse_args()
    noise = np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8)
    size = options.pixels * 4 // 3, options.pixels
    file = io.BytesIO()
    Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).save(file, "JPEG")
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "inkbridge", "web", "--port", str(PORT)]
        server = subprocess.Popen(command, env=os.environ | {"TMPDIR": folder})
        try:
            _wait()
            what = button()
            first = Visitor(file.getvalue(), size, what)
            first.paint()
            print(f"alone: {first.seconds[0]:.2f} s; errors {first.errors}")
            crowd = [Visitor(file.getvalue(), size, what) for _ in range(options.visitors)]
            crowded(crowd, file.getvalue(), options.seconds, server.pid)
        finally:
            server.terminate()
            server.wait()


def _wait() -> None:
    for _ in range(300):
        try:
            httpx.get(HOME + "/")
            return
        except httpx.TransportError:
            time.sleep(0.1)
    raise SystemExit("The server does not answer.")


if __name__ == "__main__":
    main()
