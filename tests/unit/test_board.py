"""What a crowd is shown of the stock: how old it may be, and what makes it be read again."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from service import live
from service.live import MAX_AGE_MS, Board


class Room:
    """A board, the time it has, and the answers given beside it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_ms = 1_000
        self.carrier: Any = SimpleNamespace(settled=0)
        reader: Any = None  # what is read is given with each question
        self.board = Board(reader, self.carrier)
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
    room.carrier.settled += 1
    assert room.board.fresh("/remaining", read) == b"2"


def test_the_page_is_not_made_anew_for_every_sale(room: Room, read: Callable[[], bytes]) -> None:
    """Its script is told every change by the stream; a crowd's page costs as much as a sale."""
    for _ in range(3):
        assert room.board.recent("/", read) == b"1"
        room.carrier.settled += 1


def test_nothing_shown_is_older_than_promised(room: Room, read: Callable[[], bytes]) -> None:
    for show in (room.board.fresh, room.board.recent):
        old = show(show.__name__, read)
        room.now_ms += MAX_AGE_MS - 1
        assert show(show.__name__, read) == old
        room.now_ms += 1
        assert show(show.__name__, read) != old
