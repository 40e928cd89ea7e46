"""What a server leaves behind: nothing of its visitors, however it ends."""

from __future__ import annotations

import signal
from pathlib import Path

import httpx
import pytest
from visiting import PHOTO, Launch

MINE = "inkbridge-web-*"


def visited(address: str) -> None:
    """A picture was uploaded and painted, and lies there."""
    with PHOTO.open("rb") as photo:
        answer = httpx.post(f"{address}/en/gradio_api/upload", files={"files": ("a.jpg", photo)})
    assert answer.status_code == 200
    assert Path(answer.json()[0]).is_file()


def pictures(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*.jpg") if "previews" not in path.parts]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_told_to_end_leaves_nothing(launch: Launch, tmp_path: Path, how: int) -> None:
    process, address = launch(TMPDIR=str(tmp_path))
    visited(address)
    assert pictures(tmp_path)
    process.send_signal(how)
    assert process.wait(20) == 0
    assert list(tmp_path.glob(MINE)) == []


def test_what_a_killed_server_left_goes_with_the_next_and_what_another_uses_stays(
    launch: Launch, tmp_path: Path
) -> None:
    others = tmp_path / "inkbridge-web-notes"
    others.mkdir()
    others.joinpath("notes.jpg").write_bytes(PHOTO.read_bytes())
    others.joinpath("lock").touch()  # as a server's is that is about to hold it
    _, living = launch(TMPDIR=str(tmp_path))
    visited(living)
    killed, address = launch(TMPDIR=str(tmp_path))
    visited(address)
    killed.kill()
    killed.wait(20)
    assert len(list(tmp_path.glob(MINE))) == 3
    assert len(pictures(tmp_path)) == 3
    launch(TMPDIR=str(tmp_path))
    assert len(list(tmp_path.glob(MINE))) == 3
    assert len(pictures(tmp_path)) == 2
    assert others.joinpath("notes.jpg").is_file()
    visited(living)
