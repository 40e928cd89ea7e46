"""Packs uploaded to a model hub by its own library; a server of this machine stands for the hub."""

import base64
import json
import os

import pytest

from conftest import run_inkbridge
from hub.local_server import LocalServer

pytest.importorskip("huggingface_hub")


class Hub(LocalServer):
    """What of a hub's interface an upload needs: a repository is made, files are announced and committed."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.tokens: set[str | None] = set()
        self.files: dict[str, bytes] = {}
        self.refusal = 0
        super().__init__()

    def answer(self, request) -> None:
        if request.command == "GET":  # the library looks after itself, once a day and without a token
            return request.send_error(404)
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        self.tokens.add(request.headers.get("Authorization"))
        said = self.said(request.path, body)
        request.send_response(self.refusal or 200)
        request.send_header("Content-Type", "application/json")
        request.end_headers()
        request.wfile.write(json.dumps(said).encode())
        return None

    def said(self, path: str, body: bytes) -> object:
        self.asked.append(path)
        if path.endswith("/create"):
            return {"url": f"{self.address}/someone/packs"}
        if "/preupload/" in path:
            announced = json.loads(body)["files"]
            return {
                "files": [
                    {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                    for file in announced
                ]
            }
        if "/commit/" in path:
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    self.files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            return {"commitUrl": f"{self.address}/someone/packs/commit/1", "commitOid": "1"}
        return {"errors": [], "warnings": []}


@pytest.fixture
def hub():
    found = Hub()
    yield found
    found.close()


def push(hub, home):
    """`home` is where the library keeps what it keeps."""
    environment = os.environ | {"HF_ENDPOINT": hub.address, "HF_TOKEN": "hf_secret", "HF_HOME": str(home)}
    return run_inkbridge("styles", "push", "ukiyo-e", "--to", "hf://someone/packs", env=environment)


def test_packs_are_uploaded_with_list_card_and_preview(hub, tmp_path):
    done = push(hub, tmp_path / "home")
    assert done.returncode == 0, done.stderr
    assert set(hub.files) == {"README.md", "index.json", "ukiyo-e.jpg", "ukiyo-e.stylepack"}
    assert hub.tokens == {"Bearer hf_secret"}
    assert any(path.endswith("/repos/create") for path in hub.asked)
    # What is there now can be pulled.
    for name, data in hub.files.items():
        (tmp_path / name).write_bytes(data)
    done = run_inkbridge("styles", "pull", "ukiyo-e", "--from", tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_hub_that_refuses_is_quoted(hub, tmp_path):
    hub.refusal = 403
    done = push(hub, tmp_path)
    assert done.returncode == 1
    assert "hf://someone/packs does not take them" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
