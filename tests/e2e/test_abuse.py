"""Nonsense, by chance and by intent: it gets no 500, changes no sale, and does not stop one."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import gevent
import pytest
from flask import Flask
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests.e2e.conftest import Visitor
from tests.harness import SEED, Soldout, note
from tests.in_process import application

EXAMPLES = 1_000
SILENCE_SECONDS = 10
EVENT = "abused"
CAPACITY = 100_000

thorough = settings(
    max_examples=EXAMPLES,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

# --- what is sent ---------------------------------------------------------------------------------

words = st.sampled_from([EVENT, "nowhere", "general", "vip", "", "\x00", "ü", "'; DROP TABLE--"])
numbers = st.one_of(
    st.integers(-2, 5), st.sampled_from([2**31, 2**63, 2**64, 10**400, -(2**63)]), st.floats()
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, words, st.text(max_size=60)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=9), inner, max_size=4)
    ),
    max_leaves=5,
)
buy_fields = ("event", "quantity", "ticket_type", "items", "buyer", "color")
put_fields = ("name", "capacity", "ticket_types", "opens_at", "closes_at", "max_per_order")


def bodies(fields: tuple[str, ...], good: dict[str, Any]) -> st.SearchStrategy[bytes]:
    """Bodies from nearly right ones to noise."""
    bent = st.dictionaries(st.sampled_from(fields), values, max_size=3).map(lambda b: good | b)
    encoded = st.one_of(bent, values).map(lambda value: json.dumps(value).encode())
    cut = st.tuples(encoded, st.integers(0, 60)).map(lambda pair: pair[0][: -pair[1] or None])
    return st.one_of(st.just(json.dumps(good).encode()), encoded, cut, st.binary(max_size=100))


def headers(**likely: list[str]) -> st.SearchStrategy[dict[str, str]]:
    """JSON as a rule; else likely values, and now and then any that a header can hold."""
    latin = st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=80)
    noise = {
        name: st.integers(0, 9).flatmap(lambda n, g=good: st.sampled_from(g) if n else latin)  # type: ignore[misc]
        for name, good in likely.items()
    }
    json_declared = st.just({"Content_Type": "application/json"})
    return st.one_of(json_declared, st.fixed_dictionaries({}, optional=noise)).map(
        lambda fields: {"Content_Type": "application/json"} | fields
    )


buying = st.tuples(
    bodies(buy_fields, {"event": EVENT, "quantity": 1}),
    headers(
        Idempotency_Key=["0123456789abcdef", '"0123456789abcdef"', "", "short", '"' * 20],
        Prefer=["respond-async", "wait=1", "wait=" + "9" * 40, "wait=²", ";;;", ",,,"],
        Content_Type=["application/json", "text/plain", ";", "application/json;charset=x"],
        Accept=["*/*", "text/html;q=x", ",", "text/csv"],
    ),
)
anything = st.tuples(
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"]),
    st.one_of(
        st.sampled_from(
            [
                *("/", "/buy", "/remaining", "/events", "/orders", "/workers", "/readyz", "//"),
                *(f"/events/{EVENT}/orders?limit=1", f"/events/{EVENT}/audit", "/problems/x"),
            ]
        ),
        st.text(max_size=60).map(lambda text: "/" + text),
        st.text(max_size=60).map(lambda text: f"/events/{text}/orders"),
        st.text(max_size=60).map(lambda text: f"/orders?key={text}"),
        st.text(max_size=60).map(lambda text: f"/remaining/{text}"),
        st.text(max_size=20).map(lambda text: f"/events/{EVENT}/orders?after={text}&limit={text}"),
    ),
    bodies(put_fields, {"capacity": 1}),
    headers(Accept=["text/csv", "a/b/c", "text/csv;q=-1"], Content_Type=["application/json", ""]),
)


# --- over the wire --------------------------------------------------------------------------------


def to_wire(method: str, target: str, body: bytes, fields: dict[str, str]) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def send(soldout: Soldout, data: bytes, *, half_close: bool = False) -> bytes:
    """Send bytes on a connection of their own, and return the answer."""
    with closing(socket.create_connection(("127.0.0.1", soldout.port), SILENCE_SECONDS)) as line:
        try:
            line.sendall(data)
            if half_close:
                line.shutdown(socket.SHUT_WR)
        except OSError:  # it was answered, and the line closed, before all was sent
            pass
        return read_answer(line)


def read_answer(line: socket.socket) -> bytes:
    data = b""
    while not is_whole(data):
        try:
            more = line.recv(65_536)
        except ConnectionResetError:
            break
        if not more:
            break
        data += more
    return data


def is_whole(data: bytes) -> bool:
    head, _, body = data.partition(b"\r\n\r\n")
    for field in head.lower().split(b"\r\n"):
        if field.startswith(b"content-length: "):
            return len(body) >= int(field[16:])
    return False


def status_of(answer: bytes) -> int:
    assert answer.startswith(b"HTTP/1.1 "), answer
    return int(answer[9:12])


CUT = 0  # who sends more than anybody reads may have the line cut before the answer is read


@pytest.fixture(scope="module", autouse=True)
def abused(soldout: Soldout) -> None:
    """Put an event on sale that gets all the abuse, and one that must not notice it."""
    soldout.put_event(EVENT, capacity=CAPACITY)
    soldout.put_event("next-door", capacity=10)


@pytest.fixture(autouse=True)
def undisturbed(soldout: Soldout) -> Iterator[None]:
    """Whatever a test does, the service goes on with the same processes, and sells."""
    family = soldout.family()
    orders = soldout.audit("next-door")["orders"]
    log = len(soldout.log())
    yield
    assert soldout.family() == family
    assert "Traceback" not in soldout.log()[log:]
    assert soldout.audit("next-door")["orders"] == orders
    sold = soldout.audit(EVENT)["sold"]
    assert soldout.buy(EVENT).status_code == 201
    assert soldout.audit(EVENT)["sold"] == sold + 1


def test_1000_random_purchases_sell_what_they_say_and_nothing_else(soldout: Soldout) -> None:
    before = soldout.audit(EVENT)["tickets"]
    orders: dict[str, int] = {}
    statuses: dict[int, int] = {}

    @thorough
    @seed(SEED)
    @given(buying)
    def buy(wish: tuple[bytes, dict[str, str]]) -> None:
        body, fields = wish
        answer = send(soldout, to_wire("POST", "/buy", body, fields))
        status = status_of(answer)
        statuses[status] = statuses.get(status, 0) + 1
        assert status < 500, answer
        if status == 201:
            order = json.loads(answer.partition(b"\r\n\r\n")[2])
            orders[order["id"]] = len(order["tickets"])

    buy()
    note(f"{statuses}, {len(orders)} orders")
    assert statuses.keys() >= {201, 202, 400, 415, 422}
    pending = statuses.get(202, 0)  # those that would not wait were told no number of tickets
    sold = soldout.audit(EVENT)["tickets"] - before
    assert sum(orders.values()) <= sold <= sum(orders.values()) + 1_000 * pending
    assert pending or sold == sum(orders.values())


def test_1000_random_requests_get_an_answer_and_change_nothing(soldout: Soldout) -> None:
    before = soldout.audit(EVENT)

    @thorough
    @seed(SEED)
    @given(anything)
    def ask(request: tuple[str, str, bytes, dict[str, str]]) -> None:
        method, target, body, fields = request
        raw = target.encode("utf-8", "surrogatepass").decode("latin-1")
        line = to_wire(method, raw.replace("\r", "").replace("\n", ""), body, fields)
        answer = send(soldout, line, half_close=True)
        assert status_of(answer) < 500, answer

    ask()
    assert soldout.audit(EVENT) == before


# --- without a wire: the application itself -------------------------------------------------------


@pytest.fixture(scope="module")
def app(soldout: Soldout) -> Iterator[Flask]:
    """One more web process, here, of the service that runs."""
    with application(soldout) as app:
        yield app


def test_1000_random_purchases_meet_no_error_in_the_application(app: Flask) -> None:
    client = app.test_client()

    @thorough
    @seed(SEED + 1)
    @given(buying)
    def buy(wish: tuple[bytes, dict[str, str]]) -> None:
        body, fields = wish
        named = [(name.replace("_", "-"), value) for name, value in fields.items()]
        answer = client.post("/buy", data=body, headers=named)
        assert answer.status_code < 500, answer.text
        if answer.status_code >= 400:
            assert answer.mimetype == "application/problem+json"
            assert answer.get_json()["type"].startswith("/problems/")

    buy()


def test_1000_random_requests_meet_no_error_in_the_application(
    app: Flask, soldout: Soldout
) -> None:
    """With the administration's key, too."""
    client = app.test_client()
    right = {"Authorization": f"Bearer {soldout.admin_key}"}
    while app.extensions["carrier"].in_flight:  # of the last test's, for which nobody waited
        gevent.sleep(0.01)
    before = soldout.audit(EVENT)

    @thorough
    @seed(SEED + 1)
    @given(anything, st.booleans())
    def ask(request: tuple[str, str, bytes, dict[str, str]], with_key: bool) -> None:
        method, target, body, fields = request
        path, _, query = target.encode("utf-8", "surrogatepass").decode("latin-1").partition("?")
        named = {name.replace("_", "-"): value for name, value in fields.items()}
        answer = client.open(
            "/",
            method=method,
            data=body,
            headers=named | (right if with_key else {}),
            environ_overrides={"PATH_INFO": path, "QUERY_STRING": query},
        )
        assert answer.status_code < 500, answer.text
        if answer.status_code >= 400 and method != "HEAD":
            assert answer.mimetype == "application/problem+json"

    ask()
    assert soldout.audit(EVENT) == before


# --- raw abuse ------------------------------------------------------------------------------------

BODY = json.dumps({"event": EVENT, "quantity": 1}).encode()
HEAD = b"POST /buy HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
LENGTH = b"Content-Length: %d\r\n\r\n" % len(BODY)
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


@pytest.mark.parametrize(
    ("data", "statuses"),
    [
        (b"\x00\x01\x02\x03\r\n\r\n", {400}),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 600 + b"\r\n\r\n", {400}),
        (b"BUY ALL THE TICKETS\r\n\r\n", {400}),
        (b"GET /\r\n\r\n", {400}),
        (b"GET / HTTP/9.9\r\n\r\n", {400, 505}),
        (b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\n\r\n", {414, CUT}),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", {431, CUT}),
        (b"GET / HTTP/1.1\r\n" + b"X: x\r\n" * 1_000 + b"\r\n", {431, CUT}),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", {400}),
        (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", {400}),
        (b"GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n", {400}),
        (HEAD + b"Content-Length: -1\r\n\r\n" + BODY, {400}),
        (HEAD + b"Content-Length: many\r\n\r\n" + BODY, {400}),
        (HEAD + b"Content-Length: \xb2\r\n\r\n" + BODY, {400}),
        (HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n" + BODY, {400}),
        (HEAD + b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n" + BODY, {400}),
        (HEAD + b"Transfer-Encoding: gzip\r\n\r\n" + BODY, {400, 501}),
        (HEAD + 2 * b"Idempotency-Key: one-of-two-of-them\r\n" + LENGTH + BODY, {400}),
        (HEAD + b"Content-Length: 0\r\n\r\n", {400}),
        (HEAD + b"\r\n", {400}),
        (HEAD + b"Content-Length: 9999\r\n\r\n" + BODY, {400}),
        (HEAD + b"Content-Length: 10\r\n\r\n" + BODY, {400}),
        (HEAD + b"Expect: a miracle\r\nContent-Length: 2\r\n\r\n{}", {400, 417}),
        (CHUNKED + b"zz\r\n" + BODY + b"\r\n0\r\n\r\n", {400}),
        (CHUNKED + b"ffffffffffffffffff\r\n" + BODY, {400}),
        (CHUNKED + chunk(BODY[:9]), {400}),
        (CHUNKED + chunk(b" " * 70_000) + chunk(BODY) + b"0\r\n\r\n", {413}),
    ],
    ids=lambda value: repr(value[:70])[2:-1] if isinstance(value, bytes) else "",
)  # fmt: skip
def test_a_request_that_is_none_is_refused_and_sells_nothing(
    soldout: Soldout, data: bytes, statuses: set[int]
) -> None:
    before = soldout.audit(EVENT)["sold"]
    answer = send(soldout, data, half_close=True)
    assert (status_of(answer) if answer else CUT) in statuses
    assert soldout.audit(EVENT)["sold"] == before


def test_a_body_may_come_in_chunks(soldout: Soldout) -> None:
    data = CHUNKED + b"".join(chunk(BODY[n : n + 5]) for n in range(0, len(BODY), 5))
    assert status_of(send(soldout, data + b"0\r\n\r\n")) == 201


def test_a_body_may_come_byte_by_byte(soldout: Soldout) -> None:
    data = HEAD + LENGTH + BODY
    with closing(socket.create_connection(("127.0.0.1", soldout.port), SILENCE_SECONDS)) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for position in range(len(data)):
            line.sendall(data[position : position + 1])
        assert status_of(read_answer(line)) == 201


def test_who_has_nothing_more_to_send_is_still_answered(soldout: Soldout) -> None:
    data = HEAD + LENGTH + BODY
    assert status_of(send(soldout, data, half_close=True)) == 201


def test_two_purchases_sent_at_once_on_one_connection_are_answered_in_turn(
    soldout: Soldout,
) -> None:
    with closing(socket.create_connection(("127.0.0.1", soldout.port), SILENCE_SECONDS)) as line:
        for number in (1, 2):
            key = b"Idempotency-Key: pipelined-%09d\r\n" % number
            line.sendall(HEAD + key + LENGTH + BODY)
        data = b""
        while data.count(b"HTTP/1.1 201 Created") < 2:
            more = line.recv(65_536)
            assert more, data
            data += more


def test_a_large_body_is_refused_and_the_refusal_arrives(visitor: Visitor) -> None:
    answer = visitor.post("/buy", b" " * (8 << 20))
    assert answer.status_code == 413


def test_hundreds_of_silent_connections_keep_nobody_from_buying(soldout: Soldout) -> None:
    """Some say nothing, some begin a request and never end it, some send a body that never ends."""
    chance = random.Random(SEED)
    starts = [b"", b"GET", HEAD, HEAD + b"Content-Length: 60000\r\n\r\n{", CHUNKED + b"5\r\n"]
    with ExitStack() as stack:
        for _ in range(400):
            line = socket.create_connection(("127.0.0.1", soldout.port), SILENCE_SECONDS)
            stack.enter_context(closing(line))
            line.sendall(chance.choice(starts))
        for _ in range(20):
            assert soldout.buy(EVENT).status_code == 201
