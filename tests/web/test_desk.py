"""The queue: whose turn it is, and that work ends when nobody waits for it."""

import os
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from inkbridge.web.desk import BusyError, Desk, Stopped
from inkbridge.web.jobs import Jobs, Limits


def held(gate: threading.Event, order: list[str], name: str):
    def work(on_tile):
        order.append(name)
        while not gate.wait(0.02):
            on_tile(1, 4)
        return name

    return work


def test_nobody_waits_behind_all_the_work_of_somebody_else():
    desk, gate, order = Desk(10, 4), threading.Event(), []
    works = [desk.start("a", held(gate, order, f"a{number}"), 60) for number in range(4)]
    works.append(desk.start("b", held(gate, order, "b0"), 60))
    works.append(desk.start("c", held(gate, order, "c0"), 60))
    deadline = time.monotonic() + 5
    while works[4].seen().before != 1 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert [work.seen().before for work in works] == [0, 3, 4, 5, 1, 2]
    gate.set()
    assert [work.result() for work in works] == ["a0", "a1", "a2", "a3", "b0", "c0"]
    assert order == ["a0", "b0", "c0", "a1", "a2", "a3"]


def test_too_much_at_once_is_refused():
    desk, gate = Desk(3, 2), threading.Event()
    first = desk.start("a", held(gate, [], "at work"), 60)
    while not first.seconds:
        time.sleep(0.01)
    for _ in range(2):
        desk.start("a", held(gate, [], "waits"), 60)
    with pytest.raises(BusyError, match="2 pictures of yours are waiting"):
        desk.start("a", held(gate, [], "more"), 60)
    desk.start("b", held(gate, [], "waits"), 60)
    with pytest.raises(BusyError, match="3 pictures are waiting"):
        desk.start("c", held(gate, [], "more"), 60)
    gate.set()


def test_work_that_is_given_up_ends_and_the_next_begins():
    desk, gate, order = Desk(10, 4), threading.Event(), []
    works = [desk.start(name, held(gate, order, name), 60) for name in ("first", "second", "third")]
    watching = works[0].watched()
    next(watching)
    watching.close()  # the visitor leaves
    works[1].give_up()  # before its turn
    for work in works[:2]:
        with pytest.raises(Stopped):
            work.result()
    gate.set()
    assert works[2].result() == "third"
    assert "second" not in order


def test_work_that_takes_too_long_is_ended():
    work = Desk(1, 1).start("a", held(threading.Event(), [], "endless"), 0.2)
    with pytest.raises(Stopped, match="It took longer than"):
        work.result()


def test_what_work_raises_is_raised_and_the_desk_goes_on():
    desk = Desk(5, 5)

    def broken(on_tile):
        raise ZeroDivisionError

    work = desk.start("a", broken, 5)
    with pytest.raises(ZeroDivisionError):
        work.result()
    assert desk.start("a", lambda on_tile: 7, 5).result() == 7


def test_what_has_lain_too_long_is_removed(tmp_path):
    jobs = Jobs(Limits(keep_seconds=100), tmp_path)
    jobs.preview(jobs.packs["ukiyo-e"], "ukiyo-e")
    for name, age in (("new.jpg", 10), ("old.jpg", 200)):
        (tmp_path / "results").mkdir(exist_ok=True)
        (tmp_path / "results" / name).write_bytes(b"picture")
        os.utime(tmp_path / "results" / name, (time.time() - age,) * 2)
    os.utime(tmp_path / "previews" / "ukiyo-e-ukiyo-e.jpg", (0, 0))
    jobs.sweep()
    left = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    assert left == ["new.jpg", "ukiyo-e-ukiyo-e.jpg"]


def test_folders_that_go_while_somebody_looks_disturb_nobody(tmp_path):
    jobs = Jobs(Limits(), tmp_path)
    ended = threading.Event()

    def come_and_go(name):
        while not ended.is_set():
            folder = tmp_path / "results" / name
            folder.mkdir(parents=True)
            (folder / "a.jpg").write_bytes(b"picture")
            shutil.rmtree(folder)

    with ThreadPoolExecutor(3) as pool:
        visitors = [pool.submit(come_and_go, name) for name in "abc"]
        try:
            end = time.monotonic() + 2
            while time.monotonic() < end:
                assert jobs.has_room()
                jobs.sweep()
        finally:
            ended.set()
    for visitor in visitors:
        visitor.result()
