"""Buyers who cut their connection before they read find their one order by asking again."""

from __future__ import annotations

import random
import socket
import struct
import threading
import time
import uuid

import pytest

from tests.faults.crowd import Wish
from tests.faults.line import Fate, Line
from tests.harness import SEED, Soldout

BUYERS = 40
TURNS = 5
QUANTITY = 2
ABORT = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset instead of a goodbye


def hang_up(service: Soldout, wish: Wish, after_seconds: float, *, rudely: bool) -> None:
    """Ask for it, and close the connection without reading the answer."""
    with socket.create_connection(("127.0.0.1", service.port), 10) as connection:
        connection.sendall(wish.request())
        time.sleep(after_seconds)
        if rudely:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)


@pytest.mark.parametrize("rudely", [False, True], ids=["closed", "reset"])
def test_who_hangs_up_before_the_answer_finds_the_one_order(soldout: Soldout, rudely: bool) -> None:
    event = f"hung-up-{rudely}".lower()
    soldout.put_event(event, capacity=BUYERS * QUANTITY)
    wishes = [Wish(uuid.uuid4().hex, event, QUANTITY) for _ in range(BUYERS)]
    chance = random.Random(SEED)

    def lose_answers(wish: Wish, pauses: list[float]) -> None:
        for pause in pauses:
            hang_up(soldout, wish, pause, rudely=rudely)

    buyers = [
        threading.Thread(
            target=lose_answers, args=(wish, [chance.random() * 0.02 for _ in range(TURNS)])
        )
        for wish in wishes
    ]
    for buyer in buyers:
        buyer.start()
    for buyer in buyers:
        buyer.join()

    with Line(soldout.port) as line:
        answers = [line.ask(wish.request()) for wish in wishes]
    assert [(answer.fate, answer.status) for answer in answers] == [(Fate.ANSWERED, 201)] * BUYERS
    numbers = {ticket["number"] for answer in answers for ticket in answer.said["tickets"]}
    assert numbers == set(range(1, BUYERS * QUANTITY + 1))
    audit = soldout.audit(event)
    assert (audit["orders"], audit["remaining"]) == (BUYERS, 0)


def test_half_a_request_buys_nothing(soldout: Soldout) -> None:
    soldout.put_event("half", capacity=10)
    request = Wish(uuid.uuid4().hex, "half", 1).request()
    for length in range(1, len(request), 7):
        with socket.create_connection(("127.0.0.1", soldout.port), 10) as connection:
            connection.sendall(request[:length])
    soldout.put_event("whole", capacity=10)
    assert soldout.buy("whole").status_code == 201
    assert soldout.audit("half")["sold"] == 0
