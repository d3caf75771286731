"""Looking: how much is left, what is on sale, and that nobody is shown old numbers."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.e2e.conftest import MOMENT, STANDING, VIP, Visitor, check_problem
from tests.harness import Soldout


def test_remaining_says_where_every_ticket_is(visitor: Visitor, event: str) -> None:
    visitor.buy(event, 4, ticket_type="standing")
    visitor.buy(event, 3, ticket_type="vip")
    answer = visitor.get(f"/remaining/{event}")
    assert answer.headers["Cache-Control"] == "no-store"
    stock = answer.json()
    assert MOMENT.fullmatch(stock.pop("as_of"))
    assert stock.pop("terms") == visitor.get(f"/events/{event}").json()["terms"]
    assert stock == {
        "event": event,
        "status": "on_sale",
        "capacity": 13,
        "sold": 7,
        "held": 0,
        "remaining": 6,
        "ticket_types": [
            {"ticket_type": "standing", "capacity": 10, "sold": 4, "held": 0, "remaining": 6},
            {"ticket_type": "vip", "capacity": 3, "sold": 3, "held": 0, "remaining": 0},
        ],
    }


def test_remaining_of_all_events_has_each_as_it_stands_alone(
    visitor: Visitor, event: str, small: str
) -> None:
    visitor.buy(small, 2)
    everything = visitor.get("/remaining").json()
    assert everything.keys() == {"as_of", "events"}
    assert abs(datetime.now(UTC) - datetime.fromisoformat(everything["as_of"])) < timedelta(
        minutes=1
    )
    by_event = {stock["event"]: stock for stock in everything["events"]}
    assert len(by_event) == len(everything["events"])
    for name in (event, small):
        alone = visitor.stock(name)
        del alone["as_of"]
        assert by_event[name] == alone


def test_on_one_connection_nothing_is_older_than_the_last_answer(
    visitor: Visitor, event: str, soldout: Soldout
) -> None:
    """One connection leads to one web process; what it told is in what it shows."""
    soldout.put_event(event, ticket_types=[STANDING | {"capacity": 1000}])
    for sold in range(1, 101):
        visitor.buy(event)
        assert visitor.stock(event)["sold"] == sold
        everything = visitor.get("/remaining").json()["events"]
        assert next(stock for stock in everything if stock["event"] == event)["sold"] == sold


def test_what_one_buyer_was_told_everybody_sees(
    visitor: Visitor, soldout: Soldout, event: str
) -> None:
    """On one host the answers of all web processes count, not only of the one that is asked."""
    soldout.put_event(event, ticket_types=[STANDING | {"capacity": 1000}])
    with ExitStack() as stack:
        others = [Visitor(soldout.url) for _ in range(16)]  # enough to reach every web process
        for other in others:
            stack.callback(other.session.close)
            assert other.stock(event)["sold"] == 0
        for sold in range(1, 21):
            visitor.buy(event)
            assert [other.stock(event)["sold"] for other in others] == [sold] * len(others)


def test_a_status_says_what_a_buyer_would_meet(
    visitor: Visitor, admin: Visitor, soldout: Soldout, small: str
) -> None:
    def status() -> set[Any]:
        return {visitor.stock(small)["status"], visitor.get(f"/events/{small}").json()["status"]}

    assert status() == {"on_sale"}
    soldout.put_event(small, capacity=3, opens_at="2099-01-01T00:00:00Z")
    assert status() == {"scheduled"}
    soldout.put_event(small, capacity=3)
    order = visitor.buy(small, 3)
    assert status() == {"sold_out"}
    for path, expected in (
        (f"/events/{small}/pause", "paused"),
        (f"/events/{small}/resume", "sold_out"),
        (f"/orders/{order['id']}/cancel", "on_sale"),
        (f"/events/{small}/close", "closed"),
    ):
        assert admin.post(path).status_code == 200
        assert status() == {expected}


def test_events_say_what_is_on_sale_and_at_what_price(visitor: Visitor, soldout: Soldout) -> None:
    soldout.put_event(
        "on-show",
        name="The gala",
        ticket_types=[STANDING, VIP],
        opens_at="2020-01-01T01:00:00.5+01:00",
        closes_at="2099-12-31T23:59:59.999Z",
        max_per_order=4,
        max_per_buyer=6,
    )
    shown = visitor.get("/events/on-show").json()
    assert shown in visitor.get("/events").json()["events"]
    assert shown.pop("terms")
    assert shown == {
        "id": "on-show",
        "name": "The gala",
        "status": "on_sale",
        "opens_at": "2020-01-01T00:00:00.500Z",
        "closes_at": "2099-12-31T23:59:59.999Z",
        "max_per_order": 4,
        "max_per_buyer": 6,
        "ticket_types": [STANDING, VIP],
    }


def test_an_event_that_does_not_exist_is_not_shown(visitor: Visitor) -> None:
    for path in ("/events/nowhere", "/remaining/nowhere", "/remaining/%F0%9F%8E%9F", "/events/%00"):
        check_problem(visitor.get(path), 404, "unknown-event")


def test_who_only_asks_for_headers_gets_them(visitor: Visitor, small: str) -> None:
    for path in (f"/remaining/{small}", "/events", "/healthz", "/problems/sold-out"):
        head, get = visitor.ask("HEAD", path), visitor.get(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["Content-Type"] == get.headers["Content-Type"]
