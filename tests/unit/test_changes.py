"""What a stream is told: each change once, and after an interruption exactly what was missed."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from service import changes
from service.changes import Changes
from tests.harness import SEED
from tests.unit.builders import NOW
from workers.domain import Event, TicketType


def show(name: str, sold: int = 0, **more: Any) -> Event:
    return Event(name, name.title(), [TicketType("general", 100, sold=sold)], **more)


def told(text: bytes) -> list[tuple[str, int, str | None]]:
    """Return (event, sold, id) of each message."""
    found = []
    for block in text.decode().split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        assert fields["event"] == "remaining"
        entry = json.loads(fields["data"])
        found.append((entry["event"], entry["sold"], fields.get("id")))
    return found


def read(board: Changes, *events: Event, at_ms: int = NOW.wall_ms) -> Changes:
    board.update(list(events), at_ms)
    return board


def test_a_newcomer_is_told_everything_and_the_id_of_it_all() -> None:
    board = read(Changes(), show("gala", 1), show("ball", 2))
    assert told(board.since(0)) == [("gala", 1, None), ("ball", 2, board.id)]


def test_what_did_not_change_is_not_told_again() -> None:
    board = read(Changes(), show("gala", 1), show("ball", 2))
    seen = board.version
    read(board, show("gala", 1), show("ball", 2), at_ms=NOW.wall_ms + 250)
    assert board.version == seen
    assert board.since(seen) == b""
    read(board, show("gala", 1), show("ball", 3))
    assert told(board.since(seen)) == [("ball", 3, board.id)]


def test_who_missed_several_changes_is_told_the_last_of_each_event_once() -> None:
    board = read(Changes(), show("gala"), show("ball"), show("fair"))
    seen = board.version
    for sold in (1, 2, 3):
        read(board, show("gala", sold), show("ball"), show("fair", 10 * sold))
    read(board, show("gala", 4), show("ball"), show("fair", 30))
    assert told(board.since(seen)) == [("fair", 30, None), ("gala", 4, board.id)]


def test_a_client_that_was_cut_off_in_the_middle_misses_nothing() -> None:
    """Of what was sent together only the last has an id, so it still names the one before."""
    board = read(Changes(), show("gala"), show("ball"))
    before = board.id
    read(board, show("gala", 1), show("ball", 1))
    first = told(board.since(board.seen(before)))[0]
    assert first == ("gala", 1, None)
    assert len(told(board.since(board.seen(before)))) == 2


def test_who_comes_back_is_told_what_changed_since() -> None:
    board = read(Changes(), show("gala"), show("ball"))
    last_id = board.id
    assert board.since(board.seen(last_id)) == b""
    read(board, show("gala", 5), show("ball"))
    assert told(board.since(board.seen(last_id))) == [("gala", 5, board.id)]


@pytest.mark.parametrize(
    "nonsense", ["", "0", "-1", "ffffffffffffffff", "\N{SNOWMAN}", "x" * 4_000]
)
def test_an_id_that_nobody_knows_is_answered_with_everything(nonsense: str) -> None:
    board = read(Changes(), show("gala"))
    assert board.seen(nonsense) == 0


def test_an_id_means_the_same_in_every_process() -> None:
    """It follows from the numbers alone, not from what was before."""
    chance = random.Random(SEED)
    events = [show(name, sold) for sold, name in enumerate(["gala", "ball", "fair", "play"])]
    here = read(Changes(), *events)
    there = Changes()
    for count in range(len(events) + 1):
        read(there, *[show(event.id, 90) for event in chance.sample(events, count)])
    read(there, *chance.sample(events, len(events)))
    assert there.id == here.id
    assert there.since(there.seen(here.id)) == b""
    assert read(here, show("gala", 1)).id != there.id


def test_one_event_alone_can_be_looked_at() -> None:
    board = read(Changes(), show("gala"), show("ball"))
    assert told(board.since(0, "gala")) == [("gala", 0, board.id)]
    seen = board.version
    read(board, show("gala"), show("ball", 1))
    assert board.since(seen, "gala") == b""
    assert told(board.since(seen, "ball")) == [("ball", 1, board.id)]


def test_a_sale_that_opens_by_the_clock_is_a_change() -> None:
    opens_at_ms = NOW.wall_ms + 1_000
    board = read(Changes(), show("gala", opens_at_ms=opens_at_ms))
    seen = board.version
    read(board, show("gala", opens_at_ms=opens_at_ms), at_ms=opens_at_ms - 1)
    assert board.since(seen) == b""
    read(board, show("gala", opens_at_ms=opens_at_ms), at_ms=opens_at_ms)
    assert b'"status":"on_sale"' in board.since(seen)


def test_a_change_is_encoded_once_for_all_who_are_told() -> None:
    board = read(Changes(), show("gala"))
    seen = board.version
    read(board, show("gala", 1))
    assert board.since(seen) is board.since(seen)


def test_only_so_many_states_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "STATES_KNOWN_MAX", 3)
    board = Changes()
    ids = [read(board, show("gala", sold)).id for sold in range(5)]
    assert [board.seen(known) for known in ids] == [0, 0, 3, 4, 5]
