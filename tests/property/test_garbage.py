"""Whatever comes in, at the web's door or a worker's, is understood or refused, and ends nobody."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from flask import request
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from service import problems, wire
from service.answers import Answer, answer
from service.lean import LeanFlask
from tests.harness import SEED
from tests.property.wishes import batches
from tests.unit.builders import buy, order_id
from workers.codec import encode
from workers.domain import MAX_TICKETS_PER_ORDER, Command, Purchase
from workers.handoffs.unix_socket import UnixInbox, short_path, socket_name

# The fixtures keep no state between examples.
EXAMPLES = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def spoiled(draw: st.DrawFn, good: SearchStrategy[bytes]) -> bytes:
    """Something good with a few of its bytes changed, lost or doubled."""
    data = bytearray(draw(good))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
    return bytes(data)


# --- bodies ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client() -> Iterator[FlaskClient]:
    """A service that answers with the purchase it has read."""
    app = LeanFlask(__name__)
    problems.install(app)

    @app.post("/buy")
    def post() -> Answer:
        return answer(wire.read_purchase(request, order_id(1), 0))

    with app.test_client() as client:
        yield client


def reads(client: FlaskClient, body: bytes) -> Purchase | None:
    """Return what a body was understood as; what is refused must be told as a problem."""
    response = client.post("/buy", data=body, content_type="application/json")
    if response.status_code == 200:
        purchase = msgspec.json.decode(response.data, type=Purchase)
        encode([purchase])  # so it can be sent to a worker
        return purchase
    assert response.status_code in (400, 422), response.text
    assert response.get_json(force=True)["status"] == response.status_code
    return None


GOOD = '{"event": "gala", "quantity": 1, "buyer": "Zoë 🎫"}'.encode()
texts = st.text(max_size=10)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=5
)
names = st.sampled_from(("event", "quantity", "ticket_type", "items", "buyer", "price"))


@seed(SEED)
@settings(EXAMPLES)
@given(st.binary(max_size=50) | spoiled(st.just(GOOD)))
def test_a_body_of_any_bytes_is_understood_or_refused(client: FlaskClient, body: bytes) -> None:
    reads(client, body)


@seed(SEED)
@settings(EXAMPLES)
@given(st.dictionaries(names, values))
def test_a_body_of_anything_is_understood_or_refused(
    client: FlaskClient, changes: dict[str, Any]
) -> None:
    """Most of a good purchase stays; what is understood keeps every limit."""
    good = {"event": "gala", "quantity": 1}
    purchase = reads(client, msgspec.json.encode({**good, **changes}))
    if purchase is not None:
        quantities = [item.quantity for item in purchase.items]
        assert 1 <= min(quantities) <= max(quantities) <= MAX_TICKETS_PER_ORDER
        assert 1 <= len(purchase.event) <= 64


# --- frames ---------------------------------------------------------------------------------------


def connect(run_dir: Path) -> socket.socket:
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with short_path(run_dir, socket_name(1)) as path:
        line.connect(path)
    return line


def framed(body: bytes) -> bytes:
    return struct.pack("<I", len(body)) + body


@seed(SEED)
@settings(EXAMPLES)
@given(
    st.binary(max_size=200)
    | st.binary(max_size=200).map(framed)
    | spoiled(batches.map(encode).map(framed))
)
def test_a_worker_survives_whatever_a_lane_sends(tmp_path: Path, data: bytes) -> None:
    """And takes what the others send."""
    inbox = UnixInbox(tmp_path, 1)
    odd, good = connect(tmp_path), connect(tmp_path)
    odd.sendall(data)
    good.sendall(framed(encode([buy(7)])))
    taken: list[Command] = []
    while buy(7) not in taken:
        taken += inbox.take_waiting(1_000)
    odd.close()
    good.close()
    inbox.close()
