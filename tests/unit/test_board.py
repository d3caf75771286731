"""What a crowd is shown of the stock: how old it may be, and what makes it be read again."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import gevent
import pytest
from gevent.event import Event as Signal

from service import live
from service.live import MAX_AGE_MS, Board


class Room:
    """A board, the time it has, and the answers given beside it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_ms = 1_000
        self.settled = 0
        reader: Any = None  # what is read is given with each question
        self.board = Board(reader, lambda: self.settled)
        monkeypatch.setattr(live, "clock_ms", lambda: self.now_ms)


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Room:
    return Room(monkeypatch)


@pytest.fixture
def read() -> Callable[[], bytes]:
    """Each read finds something else."""
    count = itertools.count(1)
    return lambda: b"%d" % next(count)


def test_numbers_are_not_older_than_an_answer_given_here(
    room: Room, read: Callable[[], bytes]
) -> None:
    assert room.board.fresh("/remaining", read) == b"1"
    assert room.board.fresh("/remaining", read) == b"1"
    room.settled += 1
    assert room.board.fresh("/remaining", read) == b"2"


def test_the_page_is_not_made_anew_for_every_sale(room: Room, read: Callable[[], bytes]) -> None:
    """Its script is told every change by the stream; a crowd's page costs as much as a sale."""
    for _ in range(3):
        assert room.board.recent("/", read) == b"1"
        room.settled += 1


def test_nothing_shown_is_older_than_promised(room: Room, read: Callable[[], bytes]) -> None:
    for show in (room.board.fresh, room.board.recent):
        old = show(show.__name__, read)
        room.now_ms += MAX_AGE_MS - 1
        assert show(show.__name__, read) == old
        room.now_ms += 1
        assert show(show.__name__, read) != old


class Slow:
    """A read that takes as long as the test wants it to, and fails if it is told to."""

    def __init__(self) -> None:
        self.begun = 0
        self.may_end = Signal()
        self.fault: Exception | None = None

    def __call__(self) -> bytes:
        self.begun += 1
        mine = b"%d" % self.begun
        assert self.may_end.wait(10)
        if self.fault:
            raise self.fault
        return mine


def test_who_looks_at_something_slow_holds_up_nobody_who_looks_at_something_else(
    room: Room, read: Callable[[], bytes]
) -> None:
    slow = Slow()
    operator = gevent.spawn(room.board.recent, "/admin/now", slow)
    gevent.sleep(0)
    buyer = gevent.spawn(room.board.fresh, "/remaining", read)
    gevent.sleep(0)
    assert (slow.begun, operator.ready(), buyer.ready()) == (1, False, True)
    slow.may_end.set()
    assert (operator.get(10), buyer.get(10)) == (b"1", b"1")


def test_who_waited_for_a_read_that_fails_is_told_so_and_does_not_wait_for_another(
    room: Room, read: Callable[[], bytes]
) -> None:
    slow = Slow()
    slow.fault = OSError("Redis does not answer")
    viewers = [gevent.spawn(room.board.recent, "/admin/now", slow) for _ in range(5)]
    gevent.sleep(0)
    slow.may_end.set()
    gevent.joinall(viewers, 10)
    assert [viewer.exception for viewer in viewers] == [slow.fault] * 5
    assert slow.begun == 1
    assert room.board.recent("/admin/now", read) == b"1"


def test_a_failure_from_before_an_answer_says_nothing_of_what_came_after_it(
    room: Room, read: Callable[[], bytes]
) -> None:
    """Such as "no such event", which was put meanwhile."""
    slow = Slow()
    slow.fault = LookupError("no such event")
    early = gevent.spawn(room.board.fresh, "/remaining/gala", slow)
    gevent.sleep(0)
    room.settled += 1
    late = gevent.spawn(room.board.fresh, "/remaining/gala", read)
    gevent.sleep(0)
    slow.may_end.set()
    assert late.get(10) == b"1"
    assert early.exception is slow.fault


def test_a_crowd_that_waits_for_a_slow_read_waits_for_one_more_at_most(room: Room) -> None:
    """What was under way may be too old for who came later; the next one is not."""
    slow = Slow()
    first = gevent.spawn(room.board.fresh, "/remaining", slow)
    gevent.sleep(0)
    crowd = [gevent.spawn(room.board.fresh, "/remaining", slow) for _ in range(5)]
    gevent.sleep(0)
    for begun in (1, 2):
        assert slow.begun == begun
        room.now_ms += 10 * MAX_AGE_MS
        slow.may_end.set()
        slow.may_end.clear()
        while slow.begun == begun and not all(viewer.ready() for viewer in crowd):
            gevent.sleep(0)
    gevent.joinall(crowd, 10)
    assert first.get(10) == b"1"
    assert [viewer.get(10) for viewer in crowd] == [b"2"] * 5
    assert slow.begun == 2


def test_who_leaves_in_the_middle_of_a_read_takes_nobody_along(
    room: Room, read: Callable[[], bytes]
) -> None:
    leaves = gevent.spawn(room.board.recent, "/", Slow())
    gevent.sleep(0)
    stays = gevent.spawn(room.board.recent, "/", read)
    gevent.sleep(0)
    leaves.kill()
    assert stays.get(10) == b"1"
