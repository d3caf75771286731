"""Buying: what an order says, what belongs together, and who gets the last tickets."""

from __future__ import annotations

import queue
import random
import re
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from tests.e2e.conftest import MOMENT, Visitor, check_problem
from tests.faults.crowd import LINES, Wish, check_sold_exactly
from tests.faults.line import Line
from tests.harness import SEED, Soldout, note

RUSH_PURCHASES, RUSH_TICKETS = 2_000, 500


def test_an_order_says_all_that_a_buyer_needs(visitor: Visitor, event: str) -> None:
    body = {"event": event, "ticket_type": "standing", "quantity": 2, "buyer": "ann@example.com"}
    answer = visitor.post("/buy", body)
    assert answer.status_code == 201
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Idempotent-Replayed" not in answer.headers
    order = answer.json()
    assert answer.headers["Location"] == f"/orders/{order['id']}"
    codes = [ticket["code"] for ticket in order["tickets"]]
    assert order == {
        "id": str(uuid.UUID(order["id"])),
        "event": event,
        "status": "sold",
        "buyer": "ann@example.com",
        "items": [{"ticket_type": "standing", "quantity": 2}],
        "tickets": [
            {"number": 1, "ticket_type": "standing", "code": codes[0]},
            {"number": 2, "ticket_type": "standing", "code": codes[1]},
        ],
        "total": {"amount": 5000, "currency": "EUR"},
        "sold_at": order["sold_at"],
    }
    assert all(re.fullmatch(r"[0-9a-f]{16}", code) for code in codes)
    assert codes[0] != codes[1]
    assert MOMENT.fullmatch(order["sold_at"])
    sold_at = datetime.fromisoformat(order["sold_at"])
    assert abs(datetime.now(UTC) - sold_at) < timedelta(minutes=1)


def test_whoever_knows_an_orders_id_may_read_it_and_nobody_else(
    visitor: Visitor, event: str
) -> None:
    order = visitor.buy(event, ticket_type="vip")
    found = visitor.get(f"/orders/{order['id']}")
    assert (found.status_code, found.json()) == (200, order)
    assert found.headers["Cache-Control"] == "no-store"
    nearly = order["id"][:-1] + ("0" if order["id"][-1] != "0" else "1")
    assert visitor.get(f"/orders/{order['id'].upper()}").json() == order  # as UUIDs are read
    for other in (nearly, str(uuid.uuid4()), "not-an-id", "%00"):
        check_problem(visitor.get(f"/orders/{other}"), 404, "not-settled")


def test_several_ticket_types_are_one_order(visitor: Visitor, event: str) -> None:
    items = [{"ticket_type": "vip", "quantity": 1}, {"ticket_type": "standing", "quantity": 3}]
    order = visitor.post("/buy", {"event": event, "items": items}).json()
    assert order["items"] == items
    assert [(t["number"], t["ticket_type"]) for t in order["tickets"]] == [
        (1, "vip"),
        (2, "standing"),
        (3, "standing"),
        (4, "standing"),
    ]
    assert order["total"] == {"amount": 9900 + 3 * 2500, "currency": "EUR"}
    assert order["buyer"] is None


def test_an_order_is_all_or_nothing(visitor: Visitor, event: str) -> None:
    items = [{"ticket_type": "standing", "quantity": 1}, {"ticket_type": "vip", "quantity": 4}]
    before = visitor.stock(event)
    refused = visitor.post("/buy", {"event": event, "items": items})
    check_problem(refused, 409, "sold-out", ticket_type="vip", remaining=3, held=0)
    assert visitor.stock(event) | {"as_of": ""} == before | {"as_of": ""}


def test_ticket_numbers_are_given_once_and_without_gaps(
    visitor: Visitor, admin: Visitor, event: str
) -> None:
    first = visitor.buy(event, 2, ticket_type="standing")
    second = visitor.buy(event, 1, ticket_type="vip")
    visitor.post("/buy", {"event": event, "ticket_type": "vip", "quantity": 9})  # refused
    admin.post(f"/orders/{first['id']}/cancel")
    third = visitor.buy(event, 2, ticket_type="standing")
    numbers = [[ticket["number"] for ticket in o["tickets"]] for o in (first, second, third)]
    assert numbers == [[1, 2], [3], [4, 5]]


def test_a_ticket_type_may_be_left_out_where_there_is_only_one(
    visitor: Visitor, small: str, event: str
) -> None:
    order = visitor.buy(small, 3)
    assert order["items"] == [{"ticket_type": "general", "quantity": 3}]
    assert order["total"] == {"amount": 0, "currency": "XXX"}
    refused = visitor.post("/buy", {"event": event, "quantity": 1})
    errors = [
        {"field": "ticket_type", "reason": "required: this event has more than one ticket type"}
    ]
    check_problem(refused, 422, "invalid-request", errors=errors)


def test_a_buyers_name_is_kept_as_it_was_written(visitor: Visitor, event: str) -> None:
    for name in ("Zoë Ångström", "李小龙", "=1+1", '"', "a" * 254, "🎟"):
        order = visitor.buy(event, ticket_type="standing", buyer=name)
        assert order["buyer"] == visitor.get(f"/orders/{order['id']}").json()["buyer"] == name


@pytest.mark.parametrize("headers", [{}, {"Idempotency_Key": "ten-buyers-at-once-{}"}])
def test_of_ten_buyers_at_once_three_get_the_three_tickets(
    soldout: Soldout, visitor: Visitor, small: str, headers: dict[str, str]
) -> None:
    """Ten processes read a count, and ten buy: exactly as many succeed as there are tickets."""
    together = threading.Barrier(10)

    def buy(number: int) -> requests.Response:
        buyer = Visitor(soldout.url)
        together.wait()
        named = {name: value.format(number) for name, value in headers.items()}
        try:
            return buyer.post("/buy", {"event": small, "quantity": 1}, **named)
        finally:
            buyer.session.close()

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(buy, range(10)))
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [409] * 7
    sold = [answer.json() for answer in answers if answer.status_code == 201]
    assert sorted(order["tickets"][0]["number"] for order in sold) == [1, 2, 3]
    for answer in answers:
        if answer.status_code == 409:
            check_problem(answer, 409, "sold-out", ticket_type="general", remaining=0, held=0)
    stock = visitor.stock(small)
    assert (stock["status"], stock["sold"], stock["remaining"]) == ("sold_out", 3, 0)


def test_a_rush_of_2000_purchases_sells_500_tickets_exactly(soldout: Soldout) -> None:
    """Exactly: what buyers were told they have is what is sold, never more than there are; each
    refusal was right when it was given; and whoever was refused would still be refused at the end.
    """
    soldout.put_event("rush", capacity=RUSH_TICKETS)
    chance = random.Random(SEED)
    wishes = [
        Wish(str(uuid.UUID(int=chance.getrandbits(128))), "rush", chance.choice((1, 2, 3, 4)))
        for _ in range(RUSH_PURCHASES)
    ]
    waiting: queue.SimpleQueue[Wish] = queue.SimpleQueue()
    for wish in wishes:
        waiting.put(wish)
    seen: list[dict[str, Any]] = []

    def buy_on() -> None:
        with Line(soldout.port) as line:
            while not waiting.empty():
                try:
                    wish = waiting.get_nowait()
                except queue.Empty:
                    return
                wish.attempts.append(line.ask(wish.request()))

    def look_on(stop: threading.Event) -> None:
        looker = Visitor(soldout.url)
        while not stop.wait(0.01):
            seen.append(looker.stock("rush"))
        looker.session.close()

    stop = threading.Event()
    threads = [threading.Thread(target=buy_on) for _ in range(LINES)]
    looker = threading.Thread(target=look_on, args=(stop,))
    for thread in (looker, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    looker.join()

    check_sold_exactly(soldout, wishes)
    sold = sum(wish.quantity for wish in wishes if wish.orders)
    note(f"{sum(bool(w.orders) for w in wishes)} orders, {sold} tickets, {len(seen)} looks")
    assert sold == RUSH_TICKETS  # there was always somebody who wanted one
    for wish in wishes:
        refusal = wish.attempts[0].said
        if wish.attempts[0].status == 409:
            assert refusal["type"] == "/problems/sold-out"
            assert refusal["remaining"] < wish.quantity
    assert all(s["capacity"] == s["sold"] + s["held"] + s["remaining"] for s in seen)
    assert all(0 <= s["sold"] <= RUSH_TICKETS for s in seen)
