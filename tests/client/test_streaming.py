"""A stream of the stock: whole messages from any pieces, taken up again when it is cut."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given, seed
from hypothesis import strategies as st

from service.client import Client, Unavailable, UnexpectedAnswer, UnknownEvent
from service.client.stream import Message, Messages
from tests.client.conftest import QuickClock
from tests.client.scripted import DROP, Answer, Script, problem
from tests.harness import SEED

STREAM = (
    b"retry: 1000\n\n: here\n\n"
    b'event: remaining\ndata: {"a":\ndata: 1}\nid: 7\n\n'
    b"event:other\rdata\rid: 8\r\r"
    b"id: lost\n\n"
    b": heart\r\ndata: x\r\n\r\n"
    b"event: remaining\ndata: cut"
)
MESSAGES = [
    Message("remaining", b'{"a":\n1}', "7"),
    Message("other", b"", "8"),
    Message("message", b"x", ""),
]


def entry(remaining: int, event_id: str = "", event: str = "gala") -> bytes:
    stock: dict[str, Any] = {
        "event": event,
        "status": "on_sale",
        "capacity": 9,
        "sold": 9 - remaining,
        "held": 0,
        "remaining": remaining,
        "ticket_types": [],
        "as_of": "2026-11-23T09:00:00.123Z",
    }
    named = f"id: {event_id}\n" if event_id else ""
    return f"event: remaining\n{named}data: {json.dumps(stock)}\n\n".encode()


def telling(*messages: bytes) -> Answer:
    return Answer(200, b": heart\n\n" + b"".join(messages), media_type="text/event-stream")


@seed(SEED)
@given(st.lists(st.integers(0, len(STREAM)), max_size=9))
def test_messages_are_the_same_however_the_stream_is_cut(cuts: list[int]) -> None:
    messages, found = Messages(), []
    for start, end in itertools.pairwise([0, *sorted(cuts), len(STREAM)]):
        found += messages.feed(STREAM[start:end])
    assert found == MESSAGES


def test_each_change_is_told(client: Client, script: Script) -> None:
    script.play(telling(entry(9), entry(8), entry(3, event="ball")))
    told = itertools.islice(client.stream_remaining(), 3)
    assert [(stock.event, stock.remaining) for stock in told] == [
        *(("gala", 9), ("gala", 8), ("ball", 3))
    ]
    assert script.seen[0].path == "/remaining/stream"
    assert "Last-Event-ID" not in script.seen[0].headers


def test_one_event_is_asked_for_by_name(client: Client, script: Script) -> None:
    script.play(telling(entry(9)))
    assert next(client.stream_remaining("gala & ball")).remaining == 9
    assert script.seen[0].path == "/remaining/stream?event=gala+%26+ball"


def test_a_stream_that_ends_or_is_cut_is_taken_up_from_what_was_seen(
    client: Client, script: Script, clock: QuickClock
) -> None:
    cut = telling(entry(7, "b"))
    cut.headers["Content-Length"] = "9999"
    script.play(telling(entry(9, "a"), entry(8)), cut, DROP, telling(entry(6)))
    told = itertools.islice(client.stream_remaining(), 4)
    assert [stock.remaining for stock in told] == [9, 8, 7, 6]
    seen = [request.headers.get("Last-Event-ID") for request in script.seen]
    assert seen == [None, "a", "b", "b"]
    assert len(clock.pauses) >= 3
    assert all(pause > 0 for pause in clock.pauses)


def test_patience_begins_anew_with_each_sign_of_life(script: Script, clock: QuickClock) -> None:
    script.play(*[telling()] * 30, telling(entry(5)))
    with Client(script.url, patience_seconds=0.5, clock=clock) as client:
        assert next(client.stream_remaining()).remaining == 5
    assert sum(clock.pauses) > 1


def test_it_is_given_up_when_nobody_is_heard_any_more(
    client: Client, script: Script, clock: QuickClock
) -> None:
    script.play(telling(entry(9)), *[problem(503, "unavailable", "20")] * 2)
    told = client.stream_remaining()
    assert next(told).remaining == 9
    with pytest.raises(Unavailable):
        next(told)
    assert clock.pauses[-1] >= 20


def test_an_event_that_is_not_there_is_told_at_once(client: Client, script: Script) -> None:
    script.play(problem(404, "unknown-event"))
    with pytest.raises(UnknownEvent):
        next(client.stream_remaining("nowhere"))


def test_what_is_no_stock_is_not_taken_for_some(client: Client, script: Script) -> None:
    script.play(telling(b"event: remaining\ndata: {}\n\n"))
    with pytest.raises(UnexpectedAnswer):
        next(client.stream_remaining())
