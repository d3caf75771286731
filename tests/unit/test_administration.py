"""Cancelling, changing and switching, as `settle` decides it, and the status a buyer would meet."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.builders import (
    NOW,
    PAST,
    buy,
    buy_items,
    cancel,
    decide,
    decide_one,
    gala,
    gala_with_boxes,
    order_id,
    put,
    sell,
    state_of,
    switch,
)
from workers.domain import (
    Cancelled,
    CapacityCommitted,
    Entry,
    Event,
    EventStored,
    EventSwitched,
    Item,
    NotOnSale,
    OrderCancelled,
    OrderItem,
    Sold,
    SoldOut,
    Status,
    Stored,
    Switch,
    TicketType,
    TooLate,
    UnknownEvent,
    UnknownOrder,
    UnknownTicketType,
)
from workers.errors import Inconsistent
from workers.rules import State, settle

# --- cancelling -----------------------------------------------------------------------------------


def test_a_cancelled_order_gives_its_stock_back_to_who_comes_next() -> None:
    state = state_of(gala(1))
    outcomes = decide(state, buy(1), buy(2), cancel(1), buy(2))
    assert [type(outcome) for outcome in outcomes] == [Sold, SoldOut, Cancelled, Sold]


def test_all_items_of_a_cancelled_order_come_back() -> None:
    state = state_of(gala_with_boxes(10, 10))
    order = sell(state, buy_items(1, [Item("standing", 3), Item("box", 2)]))
    assert decide_one(state, cancel(1)) == Cancelled(order)
    assert [t.remaining for t in state.events["gala"].ticket_types] == [10, 10]


def test_cancelling_again_gives_the_same_answer_and_no_stock() -> None:
    state = state_of(gala(3))
    order = sell(state, buy(1, 2))
    assert decide(state, cancel(1), cancel(1)) == [
        Cancelled(order),
        Cancelled(order, replayed=True),
    ]
    assert state.events["gala"].ticket_types[0].remaining == 3
    assert state.events["gala"].entries == 2


def test_a_cancel_that_was_done_is_replayed_after_its_deadline() -> None:
    state = state_of(gala())
    sell(state, buy(1))
    outcomes = decide(state, cancel(1, deadline_ms=PAST), cancel(1), cancel(1, deadline_ms=PAST))
    order = state.orders[order_id(1)]
    assert outcomes == [TooLate(), Cancelled(order), Cancelled(order, replayed=True)]


def test_an_order_can_be_cancelled_after_its_event_closed() -> None:
    state = state_of(gala())
    sell(state, buy(1))
    assert isinstance(decide(state, switch("closed"), cancel(1))[1], Cancelled)


def test_a_cancel_before_its_purchase_finds_no_order() -> None:
    outcomes = decide(state_of(gala()), cancel(1), buy(1))
    assert outcomes[0] == UnknownOrder(order_id(1))
    assert isinstance(outcomes[1], Sold)


def test_a_cancel_is_an_entry_that_names_the_sale_it_undoes() -> None:
    state = state_of(gala())
    decide(state, buy(1, 2), buy(2))
    settlement = settle(state, [cancel(1)], NOW)
    fact = OrderCancelled(order_id(1), [OrderItem("standing", 2)], sale=1)
    assert settlement.entries == [Entry("gala", 3, NOW.wall_ms, fact)]
    assert [order.cancelled_entry for order in settlement.cancels] == [3]


def test_an_order_of_a_type_that_is_gone_breaks_the_batch_and_not_the_stock() -> None:
    state = state_of(gala())
    order = sell(state, buy(1))
    damaged = state_of(Event("gala", "Gala", [TicketType("box", 5)]), orders=[order])
    with pytest.raises(Inconsistent, match="standing was sold and is gone"):
        decide(damaged, cancel(1))


# --- creating and changing ------------------------------------------------------------------------


def test_a_new_event_can_be_bought_from_in_the_same_batch() -> None:
    stored, sold = decide(State(), put(gala(5)), buy(1))
    assert isinstance(stored, Stored)
    assert stored.created
    assert isinstance(sold, Sold)


def test_an_event_put_again_is_as_asked_and_says_that_it_is_not_new() -> None:
    changes: dict[str, Any] = {
        "name": "Gala 2",
        "opens_at_ms": 1,
        "closes_at_ms": 2,
        "max_per_order": 3,
        "max_per_buyer": 4,
    }
    expected = gala(7, entries=2)
    for name, value in changes.items():
        setattr(expected, name, value)
    state = state_of(gala(5, entries=1))
    assert decide_one(state, put(gala(7), **changes)) == Stored(expected, created=False)
    assert state.events["gala"] == expected


def test_putting_what_is_there_already_changes_nothing() -> None:
    state = state_of(gala(5))
    sell(state, buy(1))
    settlement = settle(state, [put(gala(5))], NOW)
    assert settlement.outcomes == [Stored(state.events["gala"])]
    assert not settlement.entries
    assert not settlement.events


def test_a_change_keeps_what_is_sold_held_numbered_and_switched() -> None:
    state = state_of(gala(5))
    sell(state, buy(1, 2))
    state.events["gala"].ticket_types[0].held = 1
    decide(state, switch("paused"), put(gala(9)))
    event = state.events["gala"]
    stock = event.ticket_types[0]
    assert (stock.sold, stock.held, stock.remaining) == (2, 1, 6)
    assert (event.switch, event.next_number, event.entries) == ("paused", 3, 3)


@pytest.mark.parametrize("capacity", [0, 2])
def test_capacity_never_goes_below_what_is_sold_and_held(capacity: int) -> None:
    state = state_of(gala(5))
    sell(state, buy(1, 2))
    state.events["gala"].ticket_types[0].held = 1
    assert decide_one(state, put(gala(capacity))) == CapacityCommitted("standing", capacity, 3)
    assert state.events["gala"].ticket_types[0].capacity == 5


def test_capacity_can_be_cut_to_exactly_what_is_promised_and_raised_again() -> None:
    state = state_of(gala(5))
    sell(state, buy(1, 2))
    outcomes = decide(state, put(gala(2)), buy(2), put(gala(3)), buy(2))
    assert [type(outcome) for outcome in outcomes] == [Stored, SoldOut, Stored, Sold]


def test_a_type_without_orders_can_be_taken_off_and_one_with_orders_never() -> None:
    state = state_of(gala_with_boxes())
    sell(state, buy_items(1, [Item("box", 1)]))
    only_standing, only_boxes = [TicketType("standing", 5)], [TicketType("box", 5)]
    assert decide(
        state, put(gala(), ticket_types=only_standing), put(gala(), ticket_types=only_boxes)
    ) == [CapacityCommitted("box", 0, 1), Stored(state.events["gala"])]
    assert decide_one(state, buy_items(2, [Item("standing", 1)])) == UnknownTicketType(
        "gala", "standing"
    )


def test_a_type_can_be_taken_off_once_its_orders_are_cancelled() -> None:
    state = state_of(gala_with_boxes())
    sell(state, buy_items(1, [Item("box", 1)]))
    only_standing = [TicketType("standing", 5)]
    outcomes = decide(state, cancel(1), put(gala(), ticket_types=only_standing), cancel(1))
    assert [type(outcome) for outcome in outcomes] == [Cancelled, Stored, Cancelled]


def test_a_change_is_an_entry_that_says_all_of_the_event() -> None:
    event = gala_with_boxes(max_per_order=4, opens_at_ms=9)
    settlement = settle(State(), [put(event)], NOW)
    types = [("standing", 100, 1_000, "EUR"), ("box", 10, 7_500, "EUR")]
    fact = EventStored("Gala", types, opens_at_ms=9, max_per_order=4)
    assert settlement.entries == [Entry("gala", 1, NOW.wall_ms, fact)]


# --- pausing, closing, opening again --------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "wanted", "after"),
    [
        ("open", "open", "open"),
        ("open", "paused", "paused"),
        ("open", "closed", "closed"),
        ("paused", "open", "open"),
        ("paused", "paused", "paused"),
        ("paused", "closed", "closed"),
        ("closed", "open", "open"),
        ("closed", "paused", None),
        ("closed", "closed", "closed"),
    ],
)
def test_an_event_is_switched_as_asked_but_a_closed_one_is_not_paused(
    before: Switch, wanted: Switch, after: Switch | None
) -> None:
    state = state_of(gala(switch=before))
    settlement = settle(state, [switch(wanted)], NOW)
    if after is None:
        assert settlement.outcomes == [NotOnSale("closed", None)]
    else:
        assert settlement.outcomes == [Stored(state.events["gala"])]
    assert state.events["gala"].switch == (after or before)
    changed = [Entry("gala", 1, NOW.wall_ms, EventSwitched(wanted))]
    assert settlement.entries == (changed if after not in {None, before} else [])


def test_a_pause_stops_sales_until_the_event_is_opened_again() -> None:
    outcomes = decide(
        state_of(gala()), switch("paused"), buy(1), switch("open"), buy(1), switch("closed"), buy(2)
    )
    assert [type(o) for o in outcomes] == [Stored, NotOnSale, Stored, Sold, Stored, NotOnSale]


def test_nobody_switches_an_event_that_is_not_there() -> None:
    assert decide_one(State(), switch("open")) == UnknownEvent("gala")


# --- status ---------------------------------------------------------------------------------------

AT = 1_500


@pytest.mark.parametrize(
    ("status", "event"),
    [
        ("on_sale", gala(1)),
        ("on_sale", gala(1, opens_at_ms=AT, closes_at_ms=AT + 1)),
        ("scheduled", gala(1, opens_at_ms=AT + 1)),
        ("closed", gala(1, closes_at_ms=AT)),
        ("paused", gala(1, switch="paused")),
        ("closed", gala(1, switch="closed")),
        ("sold_out", gala(0)),
        # Of several reasons the firmer one is told.
        ("closed", gala(1, switch="closed", opens_at_ms=AT + 1)),
        ("closed", gala(1, switch="paused", closes_at_ms=AT)),
        ("closed", gala(0, switch="closed")),
        ("paused", gala(1, switch="paused", opens_at_ms=AT + 1)),
        ("paused", gala(0, switch="paused")),
        ("scheduled", gala(0, opens_at_ms=AT + 1)),
    ],
)
def test_an_events_status_is_the_firmest_reason_not_to_sell(status: Status, event: Event) -> None:
    assert event.status(AT) == status


@pytest.mark.parametrize(
    ("status", "standing", "box"),
    [
        ("on_sale", (1, 0), (0, 0)),
        ("on_sale", (0, 1), (1, 0)),
        ("all_held", (0, 0), (0, 1)),
        ("sold_out", (0, 0), (0, 0)),
    ],
)
def test_an_event_is_sold_out_when_none_of_its_types_has_any_left_nor_held(
    status: Status, standing: tuple[int, int], box: tuple[int, int]
) -> None:
    types = [
        TicketType(name, capacity=5, sold=5 - remaining - held, held=held)
        for name, (remaining, held) in (("standing", standing), ("box", box))
    ]
    assert Event("gala", "Gala", types).status(AT) == status
