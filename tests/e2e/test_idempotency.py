"""A purchase is its key: sent again, at any time and anywhere, it is sold once."""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.e2e.conftest import Visitor, check_problem
from tests.harness import Soldout

KEY_LENGTHS = (16, 36, 255)


def ask(visitor: Visitor, key: str, **body: object) -> requests.Response:
    return visitor.post("/buy", body, Idempotency_Key=key)


def new_key() -> str:
    return str(uuid.uuid4())


def test_the_same_key_and_body_give_the_same_order_again(visitor: Visitor, small: str) -> None:
    key = new_key()
    first = ask(visitor, key, event=small, quantity=2)
    for _ in range(3):
        again = ask(visitor, key, event=small, quantity=2)
        assert (again.status_code, again.content) == (201, first.content)
        assert again.headers["Idempotent-Replayed"] == "true"
        assert again.headers["Location"] == first.headers["Location"]
    assert "Idempotent-Replayed" not in first.headers
    assert visitor.stock(small)["sold"] == 2


def test_the_same_body_in_other_words_is_the_same_purchase(visitor: Visitor, small: str) -> None:
    key = new_key()
    first = ask(visitor, key, event=small, quantity=1, buyer=None)
    spaced = f'{{ "quantity" : 1,\n "event" : "{small}" }}'.encode()
    again = visitor.post("/buy", spaced, Idempotency_Key=key)
    assert (again.status_code, again.json()) == (201, first.json())


def test_the_key_with_another_body_is_refused_and_changes_nothing(
    visitor: Visitor, small: str, event: str
) -> None:
    key = new_key()
    order = ask(visitor, key, event=small, quantity=1).json()
    for other in (
        {"event": small, "quantity": 2},
        {"event": small, "quantity": 1, "buyer": "ann"},
        {"event": event, "quantity": 1, "ticket_type": "vip"},
    ):
        check_problem(ask(visitor, key, **other), 422, "key-reused")
    assert ask(visitor, key, event=small, quantity=1).json() == order
    assert (visitor.stock(small)["sold"], visitor.stock(event)["sold"]) == (1, 0)


def test_a_key_that_was_refused_may_sell_later(
    visitor: Visitor, admin: Visitor, small: str
) -> None:
    blocker, key = visitor.buy(small, 3), new_key()
    for _ in range(2):
        refused = ask(visitor, key, event=small, quantity=2)
        check_problem(refused, 409, "sold-out", ticket_type="general", remaining=0, held=0)
    admin.post(f"/orders/{blocker['id']}/cancel")
    sold = ask(visitor, key, event=small, quantity=2)
    assert sold.status_code == 201
    assert "Idempotent-Replayed" not in sold.headers


def test_a_key_that_was_refused_may_come_back_with_another_body(
    visitor: Visitor, small: str
) -> None:
    key = new_key()
    assert ask(visitor, key, event=small, quantity=4).status_code == 409
    assert ask(visitor, key, event=small, quantity=3).status_code == 201


@pytest.mark.parametrize("length", KEY_LENGTHS)
def test_a_quoted_key_and_the_bare_one_are_one(visitor: Visitor, small: str, length: int) -> None:
    key = (new_key() * 8)[:length]
    bare = ask(visitor, key, event=small, quantity=1)
    quoted = ask(visitor, f'"{key}"', event=small, quantity=1)
    assert (quoted.status_code, quoted.json()) == (201, bare.json())
    assert quoted.headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize("key", ["short", "x" * 15, "x" * 256, '"' + "x" * 15 + '"', "", "ü" * 16])
def test_a_key_that_could_be_guessed_or_read_wrongly_is_refused(
    visitor: Visitor, small: str, key: str
) -> None:
    headers = {"Idempotency-Key": key.encode("latin-1")}
    answer = visitor.ask("POST", "/buy", {"event": small, "quantity": 1}, headers)
    check_problem(answer, 400, "malformed-request")
    assert visitor.stock(small)["sold"] == 0


def test_without_a_key_each_purchase_is_one_of_its_own(visitor: Visitor, small: str) -> None:
    orders = [visitor.buy(small) for _ in range(3)]
    assert len({order["id"] for order in orders}) == 3


def test_one_key_on_many_connections_at_once_is_sold_once(
    soldout: Soldout, visitor: Visitor, small: str
) -> None:
    key, together = new_key(), threading.Barrier(16)

    def buy(_: int) -> requests.Response:
        buyer = Visitor(soldout.url)
        together.wait()
        try:
            return ask(buyer, key, event=small, quantity=1)
        finally:
            buyer.session.close()

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(buy, range(16)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert sum("Idempotent-Replayed" not in answer.headers for answer in answers) == 1
    assert visitor.stock(small)["sold"] == 1


def test_an_order_keeps_its_key_after_it_was_cancelled(
    visitor: Visitor, admin: Visitor, small: str
) -> None:
    """The purchase is known, and what became of it is said; the key buys nothing a second time."""
    key = new_key()
    order = ask(visitor, key, event=small, quantity=1).json()
    admin.post(f"/orders/{order['id']}/cancel")
    again = ask(visitor, key, event=small, quantity=1)
    assert (again.status_code, again.json()) == (201, order | {"status": "cancelled"})
    assert visitor.stock(small)["sold"] == 0


def test_a_key_names_one_purchase_whatever_the_event_does_meanwhile(
    visitor: Visitor, admin: Visitor, small: str
) -> None:
    key = new_key()
    order = ask(visitor, key, event=small, quantity=1).json()
    admin.post(f"/events/{small}/close")
    again = ask(visitor, key, event=small, quantity=1)
    assert (again.status_code, again.json()) == (201, order)
