"""Buying, as `settle` decides it: stock, numbers, prices, limits, and one order for one key."""

from __future__ import annotations

from copy import deepcopy

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
    BuyerLimit,
    Cancelled,
    Entry,
    Event,
    Item,
    KeyReused,
    NotOnSale,
    Now,
    Order,
    OrderItem,
    Purchase,
    Sold,
    SoldOut,
    TicketsSold,
    fingerprint,
    ticket_code,
)
from workers.rules import State, settle


def limited(max_per_buyer: int, **bought: int) -> State:
    """A gala that limits tickets per buyer, and what some buyers have already."""
    counts = {("gala", buyer): bought.get(buyer, 0) for buyer in ("ann", "bob")}
    return state_of(gala(max_per_buyer=max_per_buyer), bought=counts)


# --- stock ----------------------------------------------------------------------------------------


def test_the_last_ticket_is_sold_once() -> None:
    state = state_of(gala(1))
    first, second = decide(state, buy(1), buy(2))
    assert isinstance(first, Sold)
    assert second == SoldOut("standing", remaining=0, held=0)


def test_the_last_ticket_goes_to_who_came_first() -> None:
    outcomes = decide(state_of(gala(1)), buy(2), buy(1))
    assert [type(outcome) for outcome in outcomes] == [Sold, SoldOut]


def test_who_asks_for_fewer_may_still_get_what_was_too_little_for_another() -> None:
    state = state_of(gala(3))
    outcomes = decide(state, buy(1, 2), buy(2, 2), buy(3, 1), buy(4, 1))
    assert [type(outcome) for outcome in outcomes] == [Sold, SoldOut, Sold, SoldOut]
    assert state.events["gala"].ticket_types[0].remaining == 0


def test_held_tickets_are_not_for_sale() -> None:
    event = gala(5)
    event.ticket_types[0].held = 4
    first, second = decide(state_of(event), buy(1), buy(2))
    assert isinstance(first, Sold)
    assert second == SoldOut("standing", remaining=0, held=4)


def test_events_of_one_batch_do_not_touch_each_other() -> None:
    opera = Event("opera", "Opera", gala(1).ticket_types)
    state = state_of(gala(1), opera)
    outcomes = decide(state, buy(1), buy(2, event="opera"), buy(3), buy(4, event="opera"))
    assert [type(outcome) for outcome in outcomes] == [Sold, Sold, SoldOut, SoldOut]


def test_an_order_is_all_or_nothing() -> None:
    state = state_of(gala_with_boxes(standing=10, box=1))
    before = deepcopy(state)
    short = [Item("standing", 2), Item("box", 2)]
    assert decide_one(state, buy_items(1, short)) == SoldOut("box", remaining=1, held=0)
    assert state == before


# --- what an order says ---------------------------------------------------------------------------


def test_an_order_says_what_was_sold_when_and_for_how_much() -> None:
    items = [Item("box", 2), Item("standing", 3)]
    wish = buy_items(7, items, buyer="ann")
    assert sell(state_of(gala_with_boxes(entries=4, next_number=18)), wish) == Order(
        id=order_id(7),
        event="gala",
        entry=5,
        fingerprint=wish.fingerprint,
        buyer="ann",
        items=[OrderItem("box", 2), OrderItem("standing", 3)],
        first_number=18,
        amount=2 * 7_500 + 3 * 1_000,
        currency="EUR",
        sold_at_ms=NOW.wall_ms,
    )


def test_an_order_of_an_unnamed_type_names_the_only_one() -> None:
    assert sell(state_of(gala()), buy(1, 2)).items == [OrderItem("standing", 2)]


def test_a_price_change_is_for_later_orders_only() -> None:
    state = state_of(gala_with_boxes())
    dearer = gala_with_boxes()
    dearer.ticket_types[0].amount = 2_000
    wish = [Item("standing", 1)]
    outcomes = decide(state, buy_items(1, wish), put(dearer), buy_items(2, wish))
    assert [o.order.amount for o in outcomes if isinstance(o, Sold)] == [1_000, 2_000]


def test_ticket_numbers_follow_each_other_over_orders_and_batches() -> None:
    state = state_of(gala())
    for key, quantity in ((1, 2), (2, 1), (3, 4)):
        sell(state, buy(key, quantity))
    numbers = [number for key in (1, 2, 3) for number in state.orders[order_id(key)].numbers()]
    assert numbers == [1, 2, 3, 4, 5, 6, 7]


def test_a_refusal_uses_up_no_ticket_number() -> None:
    state = state_of(gala(2))
    decide(state, buy(1), buy(2, 9), buy(3))
    assert list(state.orders[order_id(3)].numbers()) == [2]


def test_numbers_of_a_cancelled_order_are_never_given_again() -> None:
    state = state_of(gala(2))
    outcomes = decide(state, buy(1, 2), cancel(1), buy(2, 2))
    assert [type(outcome) for outcome in outcomes] == [Sold, Cancelled, Sold]
    assert list(state.orders[order_id(2)].numbers()) == [3, 4]


def test_each_ticket_has_a_code_of_its_own() -> None:
    codes = {ticket_code(order_id(key), number) for key in (1, 2) for number in (1, 2)}
    assert len(codes) == 4


def test_codes_that_are_printed_stay_valid_in_every_later_version() -> None:
    assert ticket_code(order_id(1), 1) == "bff0452652d54eab"


def test_a_sale_is_one_entry_of_the_journal() -> None:
    state = state_of(gala(entries=4))
    settlement = settle(state, [buy(1, 2), buy(2, 999), buy(3)], NOW)
    items = [OrderItem("standing", 2)], [OrderItem("standing", 1)]
    assert settlement.entries == [
        Entry("gala", 5, NOW.wall_ms, TicketsSold(order_id(1), items[0], 1)),
        Entry("gala", 6, NOW.wall_ms, TicketsSold(order_id(3), items[1], 3)),
    ]
    assert [order.entry for order in settlement.sales] == [5, 6]
    assert settlement.events == {"gala": state.events["gala"]}


# --- one key, one order ---------------------------------------------------------------------------


def test_the_same_purchase_again_gives_the_same_order_and_sells_nothing() -> None:
    state = state_of(gala(1))
    order = sell(state, buy(1))
    settlement = settle(state, [buy(1)], NOW)
    assert settlement.outcomes == [Sold(order, replayed=True)]
    assert not settlement.entries
    assert not settlement.sales


def test_a_purchase_that_arrives_twice_in_one_batch_sells_once() -> None:
    state = state_of(gala())
    first, second = decide(state, buy(1, 2), buy(1, 2))
    assert isinstance(first, Sold)
    assert not first.replayed
    assert second == Sold(first.order, replayed=True)
    assert state.events["gala"].ticket_types[0].sold == 2


def test_what_was_sold_is_replayed_after_its_deadline() -> None:
    """It may have been sold in time, and only its answer been lost."""
    state = state_of(gala())
    order = sell(state, buy(1))
    assert decide_one(state, buy(1, deadline_ms=PAST)) == Sold(order, replayed=True)


def test_an_order_is_replayed_after_it_was_cancelled_and_says_so() -> None:
    state = state_of(gala())
    order = sell(state, buy(1))
    decide(state, cancel(1))
    assert decide_one(state, buy(1)) == Sold(order, replayed=True)
    assert order.cancelled_entry == 2


@pytest.mark.parametrize(
    "other",
    [buy(1, 3), buy(1, 2, buyer="ann"), buy(1, 2, event="opera")],
    ids=["quantity", "buyer", "event"],
)
def test_a_key_with_another_body_is_told_from_a_repetition(other: Purchase) -> None:
    state = state_of(gala())
    order = sell(state, buy(1, 2))
    assert decide(state, other, buy(1, 2)) == [KeyReused(), Sold(order, replayed=True)]


def test_a_body_is_told_from_another_in_every_later_version_alike() -> None:
    """Or an upgrade would answer `key-reused` to who only repeats a purchase."""
    items = [Item(None, 2), Item("box", 1)]
    assert fingerprint("gala", items, "ann").hex() == "b9b7d3c390630c9c27190367d8fbf6b9"


def test_a_refusal_is_not_remembered_and_the_same_key_may_sell_later() -> None:
    state = state_of(gala(1, switch="paused"))
    refused, _, sold = decide(state, buy(1), switch("open"), buy(1))
    assert refused == NotOnSale("paused", None)
    assert isinstance(sold, Sold)
    assert not sold.replayed


def test_after_a_refusal_the_same_key_may_carry_another_body() -> None:
    refused, sold = decide(state_of(gala(3)), buy(1, 4), buy(1, 3))
    assert isinstance(refused, SoldOut)
    assert isinstance(sold, Sold)


# --- tickets per buyer ----------------------------------------------------------------------------


def test_a_buyers_limit_counts_all_of_their_orders() -> None:
    state = limited(4, ann=1)
    outcomes = decide(state, buy(1, 2, buyer="ann"), buy(2, 2, buyer="ann"), buy(3, 1, buyer="ann"))
    assert [type(outcome) for outcome in outcomes] == [Sold, BuyerLimit, Sold]
    assert outcomes[1] == BuyerLimit(max_per_buyer=4, bought=3)
    assert state.bought["gala", "ann"] == 4


def test_one_buyers_tickets_do_not_count_for_another() -> None:
    outcomes = decide(limited(2), buy(1, 2, buyer="ann"), buy(2, 2, buyer="bob"))
    assert [type(outcome) for outcome in outcomes] == [Sold, Sold]


def test_a_replay_does_not_count_again() -> None:
    state = limited(2)
    decide(state, buy(1, 1, buyer="ann"), buy(1, 1, buyer="ann"), buy(1, 1, buyer="ann"))
    assert isinstance(decide_one(state, buy(2, 1, buyer="ann")), Sold)


def test_a_cancelled_order_makes_room_for_its_buyer() -> None:
    state = limited(2)
    outcomes = decide(
        state, buy(1, 2, buyer="ann"), buy(2, buyer="ann"), cancel(1), buy(2, buyer="ann")
    )
    assert [type(outcome) for outcome in outcomes] == [Sold, BuyerLimit, Cancelled, Sold]
    assert state.bought["gala", "ann"] == 1


def test_a_limit_set_in_the_same_batch_counts_at_once() -> None:
    state = state_of(gala(), bought={("gala", "ann"): 2})
    outcomes = decide(state, buy(1, buyer="ann"), put(gala(), max_per_buyer=3), buy(2, buyer="ann"))
    assert outcomes[2] == BuyerLimit(max_per_buyer=3, bought=3)


def test_new_counts_are_for_the_ledger_to_write_and_only_those_that_changed() -> None:
    settlement = settle(limited(5, bob=1), [buy(1, 2, buyer="ann"), buy(2, 9, buyer="bob")], NOW)
    assert settlement.bought == {("gala", "ann"): 2}


# --- when an event sells --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wall_ms", "outcome"),
    [
        (999, NotOnSale("scheduled", 1_000)),
        (1_000, None),
        (1_999, None),
        (2_000, NotOnSale("closed", 1_000)),
    ],
)
def test_an_event_sells_from_its_opening_to_just_before_its_closing(
    wall_ms: int, outcome: NotOnSale | None
) -> None:
    state = state_of(gala(opens_at_ms=1_000, closes_at_ms=2_000))
    found = decide_one(state, buy(), Now(wall_ms, NOW.clock_ms))
    assert found == outcome if outcome else isinstance(found, Sold)
