"""Requests as no client should send them: smuggled, piled up, cut off, spoiled by chance.

What is sold is what somebody was told; nothing is sold that a proxy would not have seen.
"""

from __future__ import annotations

import json
import random
import secrets
import socket
import struct
from contextlib import ExitStack, closing

import pytest
import requests

from tests.fuzz.garbage import spoil
from tests.fuzz.lines import (
    SILENCE_SECONDS,
    Reply,
    check_is_an_answer,
    connect,
    converse,
    read_all,
    replies_in,
)
from tests.fuzz.watched import undisturbed
from tests.harness import SEED, Soldout, note, wait_until

EVENT = "raw"
SMUGGLED = "smuggled"
CAPACITY = 1_000_000
MUTATIONS = 500
PILE = 100


@pytest.fixture
def chance() -> random.Random:
    return random.Random(SEED)


@pytest.fixture(scope="module", autouse=True)
def raw(soldout: Soldout) -> None:
    """One event for all that is sent here, one that nothing may reach."""
    soldout.put_event(EVENT, capacity=CAPACITY)
    soldout.put_event(SMUGGLED, capacity=CAPACITY)


def body_of(event: str = EVENT, quantity: int = 1) -> bytes:
    return json.dumps({"event": event, "quantity": quantity}).encode()


def buy(
    *fields: str, event: str = EVENT, quantity: int = 1, key: str = "", version: str = "1.1"
) -> bytes:
    """Return a good purchase, with more header fields."""
    body = body_of(event, quantity)
    lines = [
        f"POST /buy HTTP/{version}",
        "Host: localhost",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        f"Idempotency-Key: {key or secrets.token_hex(16)}",
        *fields,
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def chunked(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (*parts, b""))


def head(*fields: str, target: str = "/buy", method: str = "POST") -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
    return "\r\n".join([*lines, *fields, "", ""]).encode("latin-1")


def told(replies: list[Reply]) -> list[str]:
    """Return the orders that were confirmed."""
    return [reply.order for reply in replies if reply.order]


# --- smuggling ------------------------------------------------------------------------------------

INNER = buy(event=SMUGGLED)
OUTER = body_of()
LENGTH = f"Content-Length: {len(OUTER)}"
WITH_INNER = f"Content-Length: {len(OUTER) + len(INNER)}"
CHUNKED = "Transfer-Encoding: chunked"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(head(LENGTH, CHUNKED) + chunked() + INNER, id="CL.TE"),
        pytest.param(head(CHUNKED, LENGTH) + chunked(OUTER) + INNER, id="TE.CL"),
        pytest.param(head(CHUNKED, "Content-Length: 4") + b"5c\r\n" + INNER, id="TE.CL short"),
        pytest.param(head(LENGTH, WITH_INNER) + OUTER + INNER, id="two lengths"),
        pytest.param(head(WITH_INNER, LENGTH) + OUTER + INNER, id="two lengths, long first"),
        pytest.param(
            head(f"Content-Length: {len(OUTER)}, {len(OUTER)}") + OUTER + INNER, id="a list"
        ),
        pytest.param(head(f"Content-Length: +{len(OUTER)}") + OUTER + INNER, id="signed"),
        pytest.param(head(f"Content-Length: 0x{len(OUTER):x}") + OUTER + INNER, id="hexadecimal"),
        pytest.param(head(f"Content-Length: {len(OUTER)}_0") + OUTER + INNER, id="underscored"),
        pytest.param(head(f"Content-Length : {len(OUTER)}") + OUTER + INNER, id="space, colon"),
        pytest.param(head("Content-Length:\r\n 0") + INNER, id="folded length"),
        pytest.param(head("Transfer-Encoding:\r\n chunked") + chunked() + INNER, id="folded TE"),
        pytest.param(head("Transfer-Encoding : chunked", LENGTH) + OUTER + INNER, id="TE, space"),
        pytest.param(head("Transfer-Encoding: xchunked", LENGTH) + OUTER + INNER, id="xchunked"),
        pytest.param(
            head("Transfer-Encoding: chunked, identity", LENGTH) + chunked(OUTER) + INNER,
            id="chunked, identity",
        ),
        pytest.param(head(CHUNKED, CHUNKED) + chunked(OUTER) + INNER, id="chunked twice"),
        pytest.param(head("Transfer-Encoding: \x0bchunked", LENGTH) + OUTER + INNER, id="\\v"),
        pytest.param(head("X: y\nContent-Length: 0") + INNER, id="bare LF in the head"),
        pytest.param(head("X: y\rContent-Length: 0") + INNER, id="bare CR in the head"),
        pytest.param(
            head(CHUNKED) + b"%x\n%s\n0\n\n" % (len(OUTER), OUTER) + INNER, id="bare LF in chunks"
        ),
        pytest.param(head(CHUNKED) + b"0x5\r\nhello\r\n0\r\n\r\n" + INNER, id="0x5"),
        pytest.param(head(CHUNKED) + b"-5\r\nhello\r\n0\r\n\r\n" + INNER, id="-5"),
        pytest.param(head(CHUNKED) + b"5 \r\nhello\r\n0\r\n\r\n" + INNER, id="5 and a space"),
        pytest.param(head(CHUNKED) + b"5\r\nhelloXX0\r\n\r\n" + INNER, id="no end of a chunk"),
        pytest.param(head(CHUNKED) + b"5;\n\r\nhello\r\n0\r\n\r\n" + INNER, id="LF in extension"),
        pytest.param(head("X: \x00y", LENGTH) + OUTER + INNER, id="NUL in a field"),
    ],
)
def test_what_two_readers_would_part_differently_smuggles_nothing(
    soldout: Soldout, data: bytes
) -> None:
    """A request whose end is doubtful is refused, and what comes behind it is not looked at."""
    before = soldout.audit(EVENT)["orders"]
    replies = converse(soldout, data)
    assert [reply.status for reply in replies] == [400], replies
    check_is_an_answer(replies[0])
    assert soldout.audit(SMUGGLED)["orders"] == 0
    assert soldout.audit(EVENT)["orders"] == before


@pytest.mark.parametrize("target", ["/buy", "/remaining", "/nowhere", "/readyz"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_a_body_that_nobody_reads_is_no_request(soldout: Soldout, target: str, method: str) -> None:
    """What is refused, or asks for no body, may have one: it is not what comes next."""
    data = head(f"Content-Length: {len(INNER)}", target=target, method=method) + INNER
    follow = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    replies = converse(soldout, data + follow)
    for reply in replies:
        check_is_an_answer(reply)
    assert 1 <= len(replies) <= 2
    assert [reply.status for reply in replies[1:]] in ([], [200])
    assert soldout.audit(SMUGGLED)["orders"] == 0


# --- piled up, cut off ----------------------------------------------------------------------------


@pytest.mark.parametrize("half_close", [True, False], ids=["and no more", "kept open"])
def test_many_purchases_in_one_write_are_answered_in_order_and_sold_once(
    soldout: Soldout, half_close: bool
) -> None:
    keys = [secrets.token_hex(16) for _ in range(PILE)]
    pile = b"".join(buy(key=key, quantity=1 + n % 7) for n, key in enumerate(keys))
    last = buy("Connection: close", key=keys[0], quantity=1)
    before = soldout.audit(EVENT)
    with undisturbed(soldout):
        replies = converse(soldout, pile + last, half_close=half_close)
    assert [reply.status for reply in replies] == [201] * (PILE + 1)
    for number, (key, reply) in enumerate(zip(keys, replies, strict=False)):
        assert len(reply.json["tickets"]) == 1 + number % 7
        found = soldout.admin("GET", f"/orders?key={key}").json()
        assert found == reply.json, "the answer to another purchase"
    assert replies[-1].fields["idempotent-replayed"] == "true"
    assert replies[-1].body == replies[0].body
    assert soldout.audit(EVENT)["orders"] == before["orders"] + PILE


def test_good_and_bad_requests_in_one_write_are_answered_each_for_itself(soldout: Soldout) -> None:
    bad = head("Content-Length: 2") + b"{}"
    look = b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n"
    replies = converse(soldout, (buy() + bad + look) * 20 + b"NONSENSE\r\n\r\n" + buy())
    assert [reply.status for reply in replies] == [201, 422, 404] * 20 + [400]


def test_who_hangs_up_before_the_answer_bought_once(
    soldout: Soldout, chance: random.Random
) -> None:
    """By closing, by a reset, in the middle of the request or behind it; then they ask again."""
    keys = [secrets.token_hex(16) for _ in range(60)]
    before = soldout.audit(EVENT)["orders"]
    with undisturbed(soldout):
        for number, key in enumerate(keys):
            data = buy(key=key, quantity=2)
            with closing(connect(soldout)) as line:
                line.sendall(data if number % 3 else data[: chance.randrange(len(data))])
                if number % 2:
                    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        orders = {soldout.buy(EVENT, 2, key).json()["id"] for key in keys}
        assert len(orders) == len(keys)
    assert soldout.audit(EVENT)["orders"] == before + len(keys)


@pytest.mark.long  # the patience for a body is ten seconds
def test_bodies_that_never_end_are_told_so_and_hold_up_nobody(soldout: Soldout) -> None:
    """Half a body, byte after byte, or chunks that go on and on."""
    data = buy()
    starts = [data[:-1], data[:-10], head(CHUNKED) + b"5\r\n{", head("Content-Length: 60000")]
    with ExitStack() as lines, undisturbed(soldout):
        slow = [lines.enter_context(closing(connect(soldout))) for _ in range(40)]
        for number, line in enumerate(slow):
            line.sendall(starts[number % len(starts)])
        for number, line in enumerate(slow):
            (reply,) = replies_in(read_all(line))
            assert reply.status == 408, (starts[number % len(starts)], reply)
            check_is_an_answer(reply)
            # What comes now would be the rest of the body, whatever it looks like.
            assert reply.fields["connection"] == "close"


# --- what is unusual, and right -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(buy(version="1.0"), 201, id="HTTP/1.0"),
        pytest.param(buy("Connection: keep-alive", version="1.0"), 201, id="1.0, keep-alive"),
        pytest.param(buy("Connection: Upgrade", "Upgrade: websocket"), 201, id="WebSocket"),
        pytest.param(
            buy("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"),
            201,
            id="h2c",
        ),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, id="HTTP/2"),
        pytest.param(b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", 404, id="asterisk"),
        pytest.param(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 404, id="CONNECT"),
        pytest.param(buy().replace(b"/buy", b"http://localhost/buy", 1), 201, id="absolute"),
        pytest.param(buy().replace(b"/buy", b"/%62uy", 1), 201, id="percent-encoded"),
        pytest.param(buy().replace(b"/buy", b"/buy?x=%00&&=", 1), 201, id="query"),
        pytest.param(buy().replace(b"/buy", b"/events/../buy", 1), 404, id="dots"),
        pytest.param(buy().replace(b"/buy", b"/buy%00", 1), 404, id="NUL in the path"),
        pytest.param(buy().replace(b"/buy", b"/buy\xff\xfe", 1), 400, id="no UTF-8 in the path"),
        pytest.param(buy().replace(b"/buy", b"/%ff%zz", 1), 404, id="no percent-encoding"),
        pytest.param(buy().replace(b"POST", b"post", 1), 400, id="lower-case method"),
        pytest.param(buy().replace(b"POST /buy", b"POST  /buy", 1), 400, id="two spaces"),
        pytest.param(
            head(CHUNKED) + b"9;a=b;c\r\n" + OUTER[:9] + b"\r\n" + chunked(OUTER[9:]),
            201,
            id="chunk extensions",
        ),
        pytest.param(
            head(CHUNKED) + chunked(OUTER)[:-2] + b"X-Trailer: 1\r\n\r\n", 201, id="trailer"
        ),
        pytest.param(head("Transfer-Encoding: Chunked") + chunked(OUTER), 201, id="Chunked"),
        pytest.param(buy(*[f"X-{n}: {n}" for n in range(60)]), 201, id="64 fields"),
        pytest.param(buy(*[f"X-{n}: {n}" for n in range(61)]), 431, id="65 fields"),
        pytest.param(buy("X: " + "x" * 8_000), 201, id="a field of 8 KB"),
        pytest.param(buy(*[f"X-{n}: {'x' * 8_000}" for n in range(59)]), 201, id="470 KB of them"),
        pytest.param(b"\r\n\r\n" + buy(), 400, id="blank lines before"),
    ],
)
def test_what_is_unusual_is_answered_as_it_should_be(
    soldout: Soldout, data: bytes, status: int
) -> None:
    before = soldout.audit(EVENT)["orders"]
    replies = converse(soldout, data)
    assert [reply.status for reply in replies] == [status], replies
    check_is_an_answer(replies[0])
    assert soldout.audit(EVENT)["orders"] == before + (status == 201)


def test_who_asks_whether_to_go_on_is_told_so_and_buys(soldout: Soldout) -> None:
    data = buy("Expect: 100-continue")
    split = data.index(b"\r\n\r\n") + 4
    with closing(connect(soldout)) as line:
        line.sendall(data[:split])
        assert line.recv(65_536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        line.sendall(data[split:])
        line.shutdown(socket.SHUT_WR)
        assert [reply.status for reply in replies_in(read_all(line))] == [201]


# --- by chance ------------------------------------------------------------------------------------


def corpus() -> list[bytes]:
    """Good requests of every kind that a buyer sends, each with a key of its own."""
    get = [
        f"GET {target} HTTP/1.1\r\nHost: localhost\r\nAccept: text/csv, */*;q=0.5\r\n\r\n".encode()
        for target in ("/remaining", f"/events/{EVENT}", f"/orders/{secrets.token_hex(16)}", "/")
    ]
    return [
        *(buy(quantity=n) for n in (1, 2, 3)),
        buy("Prefer: wait=5", "Accept: */*"),
        head(CHUNKED) + chunked(OUTER[:5], OUTER[5:]),
        buy() + buy(),
        *get,
    ]


def test_requests_that_chance_has_spoiled_sell_what_they_say(
    soldout: Soldout, chance: random.Random
) -> None:
    campaign(soldout, chance, MUTATIONS)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("more", range(2))
def test_many_requests_that_chance_has_spoiled_sell_what_they_say(
    soldout: Soldout, more: int
) -> None:
    campaign(soldout, random.Random(SEED + 1 + more), 2_000)


def campaign(soldout: Soldout, chance: random.Random, count: int) -> None:
    heard: dict[int, int] = {}
    orders: set[str] = set()
    unheard = 0
    before = soldout.audit(EVENT)["orders"]
    with undisturbed(soldout):
        for _ in range(count):
            good = corpus()
            data = spoil(chance, chance.choice(good), good)
            replies = converse(soldout, data)
            for reply in replies:
                heard[reply.status] = heard.get(reply.status, 0) + 1
                if reply.whole:
                    check_is_an_answer(reply)
            orders |= set(told([reply for reply in replies if reply.whole]))
            # Who is hung up on while they still send may lose an answer; a 202 may still be sold.
            unheard += not replies or not replies[-1].whole or 202 in {r.status for r in replies}
        wait_until(lambda: settled(soldout), SILENCE_SECONDS, "all is settled")
    sold = soldout.audit(EVENT)["orders"] - before
    note(f"{heard}; {sold} orders, {len(orders)} of them told, {unheard} may be")
    assert {201, 400} <= heard.keys()
    assert len(orders) <= sold <= len(orders) + unheard
    assert soldout.audit(SMUGGLED)["orders"] == 0


def settled(soldout: Soldout) -> bool:
    return requests.get(f"{soldout.url}/readyz", timeout=5).status_code == 200
