"""What orders, events and stock look like to a client."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, seed
from hypothesis import strategies as st
from msgspec.structs import replace

from service.views import (
    mark_terms,
    to_rfc3339,
    view_event,
    view_order,
    view_stock,
    view_worker,
)
from tests.harness import SEED
from tests.unit.builders import gala, gala_with_boxes, order_id
from workers.domain import Event, Order, OrderItem, TicketType, ticket_code
from workers.hearts import HostPulse, Phase, Pulse

FIRST_MS, LAST_MS = -62_135_596_800_000, 253_402_300_799_999  # the years 1 to 9999


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1, "1970-01-01T00:00:00.001Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (1_795_424_400_123, "2026-11-23T09:00:00.123Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (FIRST_MS, "0001-01-01T00:00:00.000Z"),
        (LAST_MS, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_a_moment_is_written_in_utc_with_milliseconds(ms: int, text: str) -> None:
    assert to_rfc3339(ms) == text


@seed(SEED)
@given(st.integers(FIRST_MS, LAST_MS))
def test_a_moment_is_read_back_as_it_was_written(ms: int) -> None:
    text = to_rfc3339(ms)
    assert len(text) == 24
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert round((datetime.fromisoformat(text) - epoch).total_seconds() * 1000) == ms


def test_moments_sort_as_their_texts_do() -> None:
    moments = [FIRST_MS, -1, 0, 999, 1_000, 1_795_424_400_123, LAST_MS]
    assert sorted(map(to_rfc3339, reversed(moments))) == [to_rfc3339(ms) for ms in moments]


def an_order(**changes: object) -> Order:
    items = [OrderItem("box", 1), OrderItem("standing", 2)]
    order = Order(
        order_id(7), "gala", 3, b"x", "ann", items, 17, 9_500, "EUR", sold_at_ms=1_795_424_400_123
    )
    return msgspec.structs.replace(order, **changes)


def test_an_order_is_shown_as_the_contract_says() -> None:
    assert msgspec.to_builtins(view_order(an_order())) == {
        "id": order_id(7),
        "event": "gala",
        "status": "sold",
        "buyer": "ann",
        "items": [
            {"ticket_type": "box", "quantity": 1},
            {"ticket_type": "standing", "quantity": 2},
        ],
        "tickets": [
            {"number": number, "ticket_type": ticket_type, "code": ticket_code(order_id(7), number)}
            for number, ticket_type in ((17, "box"), (18, "standing"), (19, "standing"))
        ],
        "total": {"amount": 9_500, "currency": "EUR"},
        "sold_at": "2026-11-23T09:00:00.123Z",
    }


def test_a_cancelled_order_differs_by_its_status_only() -> None:
    cancelled, sold = view_order(an_order(cancelled_entry=9)), view_order(an_order())
    assert cancelled.status == "cancelled"
    assert msgspec.structs.replace(cancelled, status="sold") == sold


def test_stock_is_shown_by_type_and_summed_up() -> None:
    event = gala_with_boxes(100, 10)
    event.ticket_types[0].sold, event.ticket_types[0].held = 40, 5
    event.ticket_types[1].sold = 10
    assert msgspec.to_builtins(view_stock(event, 0)) == {
        "event": "gala",
        "status": "on_sale",
        "capacity": 110,
        "sold": 50,
        "held": 5,
        "remaining": 55,
        "ticket_types": [
            {"ticket_type": "standing", "capacity": 100, "sold": 40, "held": 5, "remaining": 55},
            {"ticket_type": "box", "capacity": 10, "sold": 10, "held": 0, "remaining": 0},
        ],
        "terms": mark_terms(event),
    }


counts = st.integers(0, 1_000)


@seed(SEED)
@given(st.lists(st.tuples(counts, counts, counts), min_size=1, max_size=5))
def test_capacity_is_always_shown_as_sold_and_held_and_remaining(
    stock: list[tuple[int, int, int]],
) -> None:
    types = [
        TicketType(f"t{n}", sum(parts), sold=parts[0], held=parts[1])
        for n, parts in enumerate(stock)
    ]
    shown = view_stock(Event("gala", "Gala", types), 0)
    assert shown.capacity == shown.sold + shown.held + shown.remaining
    for part in shown.ticket_types:
        assert part.capacity == part.sold + part.held + part.remaining


def test_the_status_of_stock_is_that_of_the_moment_asked_for() -> None:
    event = gala(1, opens_at_ms=1_000, closes_at_ms=2_000)
    shown = [view_stock(event, now).status for now in (999, 1_000, 2_000)]
    assert shown == ["scheduled", "on_sale", "closed"]


def test_an_event_is_shown_with_its_prices_limits_and_times() -> None:
    event = gala_with_boxes(
        opens_at_ms=0, closes_at_ms=253_402_300_799_999, max_per_order=4, max_per_buyer=6
    )
    assert msgspec.to_builtins(view_event(event)) == {
        "id": "gala",
        "name": "Gala",
        "status": "on_sale",
        "opens_at": "1970-01-01T00:00:00.000Z",
        "closes_at": "9999-12-31T23:59:59.999Z",
        "max_per_order": 4,
        "max_per_buyer": 6,
        "terms": mark_terms(event),
        "ticket_types": [
            {"id": "standing", "capacity": 100, "price": {"amount": 1_000, "currency": "EUR"}},
            {"id": "box", "capacity": 10, "price": {"amount": 7_500, "currency": "EUR"}},
        ],
    }


def test_what_an_event_does_not_limit_is_shown_as_null() -> None:
    shown = msgspec.to_builtins(view_event(gala()))
    assert [
        shown[name] for name in ("opens_at", "closes_at", "max_per_order", "max_per_buyer")
    ] == [None] * 4


BOX = TicketType("box", 10, 7_500, "EUR")


@pytest.mark.parametrize(
    "change",
    [
        {"name": "The ball"},
        {"opens_at_ms": 1_000},
        {"closes_at_ms": 1_000},
        {"max_per_order": 1_000},
        {"max_per_buyer": 1_000},
        {"ticket_types": [BOX, replace(BOX, id="more")]},
        {"ticket_types": [replace(BOX, id="lodge")]},
        {"ticket_types": [replace(BOX, amount=7_501)]},
        {"ticket_types": [replace(BOX, currency="USD")]},
    ],
    ids=str,
)
def test_terms_are_others_when_anything_of_them_is(change: dict[str, Any]) -> None:
    event = Event("gala", "Gala", [BOX])
    changed = mark_terms(replace(event, **change))
    assert changed != mark_terms(event)
    others = {"opens_at_ms", "closes_at_ms", "max_per_order", "max_per_buyer"} - change.keys()
    assert changed not in {mark_terms(replace(event, **{other: 1_000})) for other in others}


def test_terms_are_the_same_however_much_is_left_and_in_every_process() -> None:
    """The mark is written down here: hosts that make different ones would contradict each other."""
    event = Event("gala", "Gala", [BOX], opens_at_ms=0)
    sold = replace(event, ticket_types=[replace(BOX, capacity=99, sold=5, held=4)])
    changed = replace(sold, switch="paused", next_number=6, entries=7)
    assert mark_terms(event) == mark_terms(changed) == "cf4abf4b13d0"


@pytest.mark.parametrize(("pid", "shown"), [(0, None), (4711, 4711)])
def test_a_worker_without_a_process_yet_shows_none(pid: int, shown: int | None) -> None:
    """`kill -STOP 0` would stop the very program that read it here."""
    pulse = Pulse(1, pid, 0, 0, 0, Phase.BOOTING, ready=False, batches=0, purchases=0)
    assert view_worker(HostPulse("box-office", pulse)).pid == shown
