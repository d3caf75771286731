"""Garbage on the workers' own sockets: they live on or refuse, and nobody else notices."""

from __future__ import annotations

import random
import socket
import struct
import uuid
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.fuzz.garbage import bend, spoil, value
from tests.fuzz.watched import undisturbed
from tests.harness import SEED, Soldout, note
from workers.codec import decode_outcomes, encode
from workers.domain import (
    Cancelled,
    CancelOrder,
    Command,
    Item,
    Outcome,
    Probe,
    Purchase,
    PutEvent,
    Sold,
    SwitchEvent,
    TicketType,
    fingerprint,
)
from workers.handoffs.unix_socket import FRAME_MAX_BYTES, short_path, socket_name
from workers.hearts import clock_ms

WORKERS = 2
SILENCE_SECONDS = 10.0
EVENT = "framed"
FRAMES = 800


@pytest.fixture
def chance() -> random.Random:
    return random.Random(SEED)


@pytest.fixture(scope="module", autouse=True)
def framed(soldout: Soldout) -> None:
    soldout.put_event(EVENT, capacity=100_000)


def connect(service: Soldout, worker: int) -> socket.socket:
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    line.settimeout(SILENCE_SECONDS)
    with short_path(Path(service.data_dir) / "run", socket_name(worker)) as path:
        line.connect(path)
    return line


def framed_as(body: bytes) -> bytes:
    return struct.pack("<I", len(body)) + body


def receive(line: socket.socket) -> list[Outcome] | None:
    """Return the answer to a frame; None if the worker hung up instead."""
    data = b""
    while len(data) < 4 or len(data) < 4 + struct.unpack_from("<I", data)[0]:
        try:
            more = line.recv(65_536)
        except ConnectionError:
            return None
        if not more:
            return None
        data += more
    return decode_outcomes(data[4:])


def exchange(service: Soldout, worker: int, data: bytes) -> list[Outcome] | None:
    """Send a frame as a lane would, and return the answer, if there is one."""
    with closing(connect(service, worker)) as line:
        with suppress(ConnectionError):
            line.sendall(data)
        return receive(line)


def purchase(quantity: int = 1, event: str = EVENT) -> Purchase:
    items = [Item(None, quantity)]
    return Purchase(
        clock_ms() + 30_000, str(uuid.uuid4()), fingerprint(event, items, None), event, items
    )


def good(chance: random.Random, event: str = EVENT) -> Any:
    """Return a good frame's commands, as plain lists."""
    later = clock_ms() + 30_000
    commands: list[Command] = [
        purchase(chance.randint(1, 4), event),
        PutEvent(later, f"e-{chance.randrange(9)}", "N", [TicketType("general", 100)]),
        SwitchEvent(later, event, "open"),
        CancelOrder(later, str(uuid.uuid4())),
        Probe(later),
    ]
    return msgspec.msgpack.decode(encode(chance.choices(commands, (5, 2, 1, 1, 1), k=2)))


def bent(chance: random.Random) -> bytes:
    """Return a frame of the right form with something else inside; the sale goes on."""
    commands = good(chance)
    for _ in range(chance.randint(1, 2)):
        commands = bend(chance, commands)
    if "closed" in str(commands) or (EVENT in str(commands) and "paused" in str(commands)):
        return framed_as(b"\xc1")  # would be obeyed
    return framed_as(msgspec.msgpack.encode(commands))


def test_frames_with_anything_inside_end_no_worker(soldout: Soldout, chance: random.Random) -> None:
    heard: dict[str, int] = {}
    sold: set[str] = set()
    cancelled: set[str] = set()  # chance may name an order that chance has named before
    before = soldout.audit(EVENT)["orders"]
    with undisturbed(soldout):
        for _ in range(FRAMES):
            answer = exchange(soldout, chance.randint(1, WORKERS), bent(chance))
            if answer is None:
                heard["hung up"] = heard.get("hung up", 0) + 1
            for outcome in answer or ():
                name = type(outcome).__name__
                heard[name] = heard.get(name, 0) + 1
                if isinstance(outcome, Sold) and outcome.order.event == EVENT:
                    sold.add(outcome.order.id)
                if isinstance(outcome, Cancelled) and outcome.order.event == EVENT:
                    cancelled.add(outcome.order.id)
    note(str(heard))
    assert {"hung up", "Sold", "Unsettled"} <= heard.keys()
    assert cancelled <= sold
    assert soldout.audit(EVENT)["orders"] == before + len(sold - cancelled)


def test_spoiled_frames_end_no_worker(soldout: Soldout, chance: random.Random) -> None:
    with undisturbed(soldout):
        for _ in range(FRAMES):
            frame = spoil(chance, framed_as(msgspec.msgpack.encode(good(chance))))
            line = connect(soldout, chance.randint(1, WORKERS))
            with closing(line), suppress(ConnectionError):
                line.sendall(frame)
                if chance.random() < 0.5:
                    line.shutdown(socket.SHUT_WR)
                    receive(line)


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x01\x00\x00", id="half a length"),
        pytest.param(b"\x00\x00\x00\x00", id="an empty frame"),
        pytest.param(b"\xff\xff\xff\xff" + b"x" * 100, id="4 GiB"),
        pytest.param(struct.pack("<I", FRAME_MAX_BYTES + 1), id="just too long"),
        pytest.param(struct.pack("<I", FRAME_MAX_BYTES) + b"x" * 1_000, id="a start of 64 MiB"),
        pytest.param(framed_as(b"\xdd\xff\xff\xff\xff"), id="four thousand million commands"),
        pytest.param(framed_as(b"\x91" * 100_000), id="very deep"),
        pytest.param(framed_as(msgspec.msgpack.encode({"buy": 1})), id="no list"),
        pytest.param(framed_as(msgspec.msgpack.encode([["hold", 1, 2]])), id="a newer command"),
        pytest.param(framed_as(msgspec.msgpack.encode([["buy", 1]])), id="an older command"),
        pytest.param(framed_as(encode([Probe(1)])) + b"x", id="more than a frame"),
    ],
)
@pytest.mark.parametrize(
    "close",
    [pytest.param(False, id="left open"), pytest.param(True, id="closed", marks=pytest.mark.long)],
)
def test_a_frame_that_is_none_holds_up_nobody(soldout: Soldout, frame: bytes, close: bool) -> None:
    with ExitStack() as lines, undisturbed(soldout):
        for worker in range(1, WORKERS + 1):
            line = lines.enter_context(closing(connect(soldout, worker)))
            with suppress(ConnectionError):
                line.sendall(frame)
                if close:
                    line.close()
        for _ in range(3):
            assert soldout.buy(EVENT).status_code == 201


def test_a_frame_from_a_newer_soldout_with_more_fields_is_understood(soldout: Soldout) -> None:
    [command] = msgspec.msgpack.decode(encode([purchase()]))
    answer = exchange(soldout, 1, framed_as(msgspec.msgpack.encode([[*command, "later", 7]])))
    assert answer is not None
    assert [type(outcome) for outcome in answer] == [Sold]


def test_frames_that_are_played_again_sell_once(soldout: Soldout, chance: random.Random) -> None:
    """On all lanes, to all workers, again and again, alone and doubled in one frame."""
    wishes = [purchase(2) for _ in range(10)]
    before = soldout.audit(EVENT)
    found: dict[str, set[bytes]] = {wish.id: set() for wish in wishes}
    with undisturbed(soldout):
        for _ in range(200):
            some = chance.choices(wishes, k=chance.randint(1, 6))
            answer = exchange(soldout, chance.randint(1, WORKERS), framed_as(encode(some)))
            assert answer is not None
            for wish, outcome in zip(some, answer, strict=True):
                assert isinstance(outcome, Sold), outcome
                assert outcome.order.id == wish.id
                found[wish.id].add(encode([Sold(outcome.order)]))
    assert {len(orders) for orders in found.values()} == {1}
    assert soldout.audit(EVENT)["orders"] == int(before["orders"]) + len(wishes)


def test_who_sends_and_never_reads_is_forgotten(soldout: Soldout, chance: random.Random) -> None:
    frame = framed_as(encode([purchase() for _ in range(64)]))
    with undisturbed(soldout):
        for _ in range(50):
            line = connect(soldout, chance.randint(1, WORKERS))
            line.setblocking(False)
            with suppress(BlockingIOError, ConnectionError):
                line.sendall(frame * chance.randint(1, 3))
            line.close()


def test_garbage_is_drawn_that_decodes_to_something_and_to_nothing(chance: random.Random) -> None:
    """What is sent above is neither all refused nor all good."""
    drawn = [encode(value(chance)) for _ in range(100)]
    assert len(set(drawn)) > 50
