"""Collections of packs: pulled from a real web server that does all that servers do, pushed, removed."""

import dataclasses
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from conftest import pack_file, run_inkbridge
from hub.local_server import LocalServer
from inkbridge import load
from inkbridge.errors import ConfigError, DataError, InkbridgeError, PackError
from inkbridge.hub import download
from inkbridge.hub.collection import Collection, open_collection, pull, remove
from inkbridge.hub.index import Index, IndexEntry, read_index
from inkbridge.hub.push import card, write_repository
from inkbridge.pack_format import write_pack


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(download, "PAUSE", 0.01)
    monkeypatch.setattr(download, "PATIENCE", 2.0)


@pytest.fixture
def repository(tmp_path):
    """A folder as `styles push` writes it, with one pack."""
    path = tmp_path / "mine" / "ink.stylepack"
    path.parent.mkdir()
    pack = pack_file()
    pack.license = "CC BY 4.0, by a friend\nin full"
    pack.preview = b"\xff\xd8 a picture"
    pack.info.provenance["data"] = "ten drawings"
    write_pack(path, pack)
    folder = tmp_path / "repository"
    write_repository([str(path)], folder)
    return folder


class Server(LocalServer):
    """Serves a folder and misbehaves as it is told: `cuts` are the bytes after which answers end, in turn."""

    def __init__(self, folder: Path) -> None:
        self.cuts: list[int] = []
        self.asked: list[tuple[str, str | None, str | None]] = []
        self.ranges, self.failures, self.redirect, self.delay = True, 0, "", 0.0
        self.length: int | str | None = None
        self._folder = folder
        super().__init__()

    def answer(self, request) -> None:
        folder = self._folder
        asked = request.headers.get("Range")
        self.asked.append((request.path, asked, request.headers.get("Authorization")))
        name = request.path.rsplit("/", 1)[-1]
        pack = name.endswith(".stylepack")
        if self.failures and pack:
            self.failures -= 1
            return request.send_error(503)
        if self.redirect and pack:
            request.send_response(302)
            request.send_header("Location", self.redirect)
            return request.end_headers()
        if not (folder / name).is_file():
            return request.send_error(404)
        data = (folder / name).read_bytes()
        first = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.ranges else 0
        if first >= len(data):
            return request.send_error(416)
        request.send_response(206 if first else 200)
        if first:
            request.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        length = self.length if self.length is not None and pack else len(data) - first
        request.send_header("Content-Length", str(length))
        request.end_headers()
        sent = data[first:]
        if pack and self.cuts:
            sent = sent[: self.cuts.pop(0)]
        for start in range(0, len(sent), 4096):
            time.sleep(self.delay if pack else 0)
            request.wfile.write(sent[start : start + 4096])
        request.wfile.flush()
        request.close_connection = True
        return None


@pytest.fixture
def server(repository):
    found = Server(repository)
    yield found
    found.close()


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_pack_is_pulled_from_a_server_and_used_by_its_name(server, own_pack_folder, tmp_path):
    done = run_inkbridge("styles", "pull", "--from", server.address)
    assert done.returncode == 0, done.stderr
    assert "ink:" in done.stdout
    assert "CC BY 4.0, by a friend" in done.stdout
    assert "nothing was fetched" in done.stdout
    assert files(own_pack_folder) == []
    done = run_inkbridge("styles", "pull", "ink", "--from", f"{server.address}/index.json")
    assert done.returncode == 0, done.stderr
    # Size and licence are said before a byte comes.
    assert done.stdout.index("MB; licence: CC BY 4.0") < done.stdout.index("Try it")
    assert files(own_pack_folder) == ["ink.stylepack"]
    out = tmp_path / "out.png"
    done = run_inkbridge("apply", "samples/photos/beach.jpg", "--style", "ink", "-o", out)
    assert done.returncode == 0, done.stderr
    asked = len(server.asked)
    assert pull(open_collection(server.address), "ink").was_there
    assert len(server.asked) == asked + 1  # the list alone


def test_cut_anywhere_it_goes_on_or_starts_anew(server, own_pack_folder):
    """At 20 random bytes, each time by a new connection; and each time in another way."""
    collection = open_collection(server.address)
    entry = collection.entry("ink")
    rng = random.Random(0)
    for number in range(20):
        cut = rng.randrange(1, entry.bytes)
        server.cuts, server.ranges = [cut], number % 3 != 2
        server.asked.clear()
        assert pull(collection, "ink").path.stat().st_size == entry.bytes
        assert hashlib.sha256((own_pack_folder / "ink.stylepack").read_bytes()).hexdigest() == entry.sha256
        assert [asked for _, asked, _ in server.asked] == [None, f"bytes={cut}-"]
        assert files(own_pack_folder) == ["ink.stylepack"]
        remove("ink")


def test_cut_many_times_in_a_row(server, own_pack_folder):
    collection = open_collection(server.address)
    size = collection.entry("ink").bytes
    server.cuts = [size // 12] * 11
    pull(collection, "ink")
    assert load("ink").styles
    remove("ink")
    server.cuts = [0] * 50
    with pytest.raises(DataError, match=r"cut short. 0 of [\d,]+ bytes are here"):
        pull(collection, "ink")
    assert "ink.stylepack" not in files(own_pack_folder)


def test_a_killed_one_goes_on_where_it_was(server, repository, own_pack_folder):
    server.delay = 0.2
    size = json.loads((repository / "index.json").read_text())["packs"][0]["bytes"]
    big = 40 * 4096
    (repository / "ink.stylepack").write_bytes((repository / "ink.stylepack").read_bytes() + bytes(big))
    command = [sys.executable, "-m", "inkbridge", "styles", "pull", "ink", "--from", server.address]
    index = json.loads((repository / "index.json").read_text())
    data = (repository / "ink.stylepack").read_bytes()
    index["packs"][0] |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (repository / "index.json").write_text(json.dumps(index))
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not any(path.stat().st_size > 8192 for path in own_pack_folder.glob(".ink.*.part")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (part,) = own_pack_folder.glob(".ink.*.part")
    had = part.stat().st_size
    assert 0 < had < len(data)
    assert size < len(data)
    server.delay = 0.0
    server.asked.clear()
    with pytest.raises(PackError, match="is no usable pack"):  # what was put behind it makes it none
        pull(open_collection(server.address), "ink")
    assert server.asked[-1][1] == f"bytes={had}-"
    assert [name for name in files(own_pack_folder) if not name.endswith(".lock")] == []


def test_what_is_not_the_file_of_the_list_never_lands(server, repository, own_pack_folder):
    data = (repository / "ink.stylepack").read_bytes()
    collection = open_collection(server.address)
    other = bytearray(data)
    other[len(data) // 2] ^= 1
    for changed, said in [
        (bytes(other), "SHA-256 differs"),
        (data[:-1], "bytes, not"),
        (data + b"x", "bytes, not"),
    ]:
        (repository / "ink.stylepack").write_bytes(changed)
        with pytest.raises(DataError, match=said):
            pull(collection, "ink")
        assert files(own_pack_folder) == []
    (repository / "ink.stylepack").write_bytes(data)
    # Half of another file, from an earlier start: seen, and fetched anew.
    entry = collection.entry("ink")
    (own_pack_folder / f".ink.{entry.sha256[:16]}.part").write_bytes(bytes(len(data) // 2))
    pull(collection, "ink")
    assert files(own_pack_folder) == ["ink.stylepack"]


def test_a_server_that_says_one_size_and_sends_another(server, own_pack_folder):
    collection = open_collection(server.address)
    server.length = 10**9
    with pytest.raises(DataError, match="bytes, not"):
        pull(collection, "ink")
    server.length = 3
    with pytest.raises(DataError, match="bytes, not"):
        pull(collection, "ink")
    assert files(own_pack_folder) == []
    server.length = "many"  # no number: what comes is counted
    pull(collection, "ink")


def test_slow_failing_and_moved(server, repository, own_pack_folder):
    collection = open_collection(server.address)
    server.failures = 3
    pull(collection, "ink")
    remove("ink")
    server.failures = 100
    with pytest.raises(DataError, match="the server says 503"):
        pull(collection, "ink")
    server.failures = 0
    server.delay = 0.05
    pull(collection, "ink")
    remove("ink")
    elsewhere = Server(repository)
    server.redirect = f"{elsewhere.address}/ink.stylepack"
    secret = dataclasses.replace(collection, headers={"Authorization": "Bearer secret"})
    pull(secret, "ink")
    assert server.asked[-1][2] == "Bearer secret"
    assert elsewhere.asked[-1][2] is None  # it was for the first host
    remove("ink")
    for address, said in [
        ("http://example.org/ink.stylepack", "use https"),
        ("file:///etc/passwd", "not allowed"),
    ]:
        server.redirect = address
        with pytest.raises(DataError, match=said):
            pull(collection, "ink")
    server.redirect = f"{server.address}/ink.stylepack"  # to itself, for ever
    with pytest.raises(DataError):
        pull(collection, "ink")
    elsewhere.close()


def test_a_server_that_hangs_is_given_up(server, monkeypatch, own_pack_folder):
    monkeypatch.setattr(download, "PATIENCE", 0.3)
    monkeypatch.setattr(download, "TRIES", 2)
    collection = open_collection(server.address)
    server.delay = 5.0
    with pytest.raises(DataError, match="timed out"):
        pull(collection, "ink")


def test_another_pack_of_that_name_stays_unless_it_is_said(server, own_pack_folder):
    collection = open_collection(server.address)
    write_pack(own_pack_folder / "ink.stylepack", pack_file())
    mine = (own_pack_folder / "ink.stylepack").read_bytes()
    with pytest.raises(DataError, match="--again"):
        pull(collection, "ink")
    assert (own_pack_folder / "ink.stylepack").read_bytes() == mine
    pull(collection, "ink", again=True)
    assert (own_pack_folder / "ink.stylepack").read_bytes() != mine


def test_two_at_a_time_do_not_disturb_each_other(server, own_pack_folder):
    collection = open_collection(server.address)
    server.delay = 0.1
    found = []

    def run():
        try:
            found.append(pull(collection, "ink"))
        except DataError as error:
            found.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(type(one).__name__ for one in found) == ["DataError", "Pulled"]
    assert load("ink").styles


ENTRY = {
    "name": "ink",
    "title": "Ink",
    "styles": ["ink"],
    "file": "ink.stylepack",
    "bytes": 10,
    "sha256": "0" * 64,
}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[]", "does not say its format"),
        (b"[" * 100_000, "not JSON"),
        (b'{"format": 9}', "newer than"),
        (json.dumps({"format": 1, "packs": [{}]}).encode(), "packs.0"),
        (json.dumps({"format": 1, "packs": [ENTRY | {"name": "../../x"}]}).encode(), "has a name"),
        (json.dumps({"format": 1, "packs": [ENTRY | {"sha256": "no"}]}).encode(), "no SHA-256"),
        (json.dumps({"format": 1, "packs": [ENTRY | {"bytes": 10**12}]}).encode(), "packs have up to"),
        (json.dumps({"format": 1, "packs": [ENTRY | {"bytes": -1}]}).encode(), "packs have up to"),
        (json.dumps({"format": 1, "packs": [ENTRY, ENTRY]}).encode(), "twice"),
    ],
)
def test_hostile_lists_are_refused(data, said):
    with pytest.raises(PackError, match=said):
        read_index(data, "index.json")


@pytest.mark.parametrize("file", ["../secret.stylepack", "/etc/passwd"])
def test_a_list_in_a_folder_reads_nothing_outside_it(repository, own_pack_folder, file):
    index = Index([IndexEntry(**ENTRY | {"file": file})])
    with pytest.raises(PackError, match="not beside the list"):
        pull(Collection(str(repository / "index.json"), index), "ink")


def test_a_list_on_a_server_names_no_file_of_this_machine(server, own_pack_folder):
    index = Index([IndexEntry(**ENTRY | {"file": "file:///etc/passwd"})])
    with pytest.raises(DataError, match="no address"):
        pull(Collection(f"{server.address}/index.json", index), "ink")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["pull", "ink", "--from", "none"], "cannot be read"),
        (["pull", "ink", "--from", "http://example.org/"], "use https"),
        (["pull", "ink", "--from", "ftp://example.org/"], "is no address"),
        (["pull", "ink", "--from", "hf://alone"], "hf://USER/NAME"),
        (["pull", "sky", "--from", "repository"], "has no pack 'sky'. It has: ink"),
        (["pull", "ink", "--from", "damaged"], "is not the file that the list names"),
        (["push", "none", "--to", "new"], "Style 'none' not found"),
        (["push", "bare.stylepack", "--to", "new"], "names no licence"),
        (["push", "Upper Case.stylepack", "--to", "new"], "rename it"),
        (["push", "ukiyo-e", "--to", "bare.stylepack"], "is a file"),
        (["push", "ukiyo-e", "--to", "hf://alone"], "hf://USER/NAME"),
        (["remove", "ukiyo-e"], "There is no pack 'ukiyo-e'"),
        (["remove", "../repository/ink"], "There is no pack"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(tmp_path, repository, own_pack_folder, arguments, said):
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    for path in repository.iterdir():
        (damaged / path.name).write_bytes(path.read_bytes())
    (damaged / "ink.stylepack").write_bytes(bytes(100))
    for name, license in (("bare", ""), ("Upper Case", "MIT")):
        pack = pack_file()
        pack.license = license
        write_pack(tmp_path / f"{name}.stylepack", pack)
    done = run_inkbridge("styles", *arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert files(own_pack_folder) == []
    assert not (tmp_path / "new").exists()
    assert (repository / "ink.stylepack").exists()


def test_the_hub_is_reached_through_its_own_library(server, own_pack_folder, tmp_path):
    """Its library says where a file is; the server stands for the hub."""
    environment = os.environ | {"HF_ENDPOINT": server.address, "HF_TOKEN": "hf_secret"}
    environment |= {"HF_HOME": str(tmp_path / "home")}
    done = run_inkbridge("styles", "pull", "ink", "--from", "hf://someone/packs@v2", env=environment)
    assert done.returncode == 0, done.stderr
    assert [path for path, _, _ in server.asked] == [
        "/someone/packs/resolve/v2/index.json",
        "/someone/packs/resolve/v2/ink.stylepack",
    ]
    assert {token for _, _, token in server.asked} == {"Bearer hf_secret"}


def test_a_repository_keeps_what_it_had_and_has_a_card(repository, tmp_path):
    write_repository(["ukiyo-e"], repository)
    index = open_collection(str(repository)).index
    assert [entry.name for entry in index.packs] == ["ink", "ukiyo-e"]
    text = (repository / "README.md").read_text()
    head, body = text.removeprefix("---\n").split("\n---\n", 1)
    assert "license: other" in head
    assert "library_name: inkbridge" in head
    assert "pipeline_tag: image-to-image" in head
    assert "![Ukiyo-e landscape](ukiyo-e.jpg)" in body
    assert "trained on: ten drawings" in body
    assert files(repository) == [
        "README.md",
        "index.json",
        "ink.jpg",
        "ink.stylepack",
        "ukiyo-e.jpg",
        "ukiyo-e.stylepack",
    ]
    assert "license: cc-by-4.0" in card(Index(index.packs[:1]))


def test_the_card_is_one_that_the_hub_reads(repository):
    huggingface_hub = pytest.importorskip("huggingface_hub")
    read = huggingface_hub.ModelCard((repository / "README.md").read_text())
    assert read.data.license == "cc-by-4.0"
    assert read.data.library_name == "inkbridge"


def test_errors_are_ours():
    with pytest.raises(ConfigError):
        write_repository(["ukiyo-e"], Path(__file__))
    with pytest.raises(InkbridgeError):
        open_collection("https://")
