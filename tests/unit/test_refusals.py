"""The table of refusals: what is refused, and which reason is given when there are several.

The order is part of the contract: a buyer who cures the reason that was told meets the next one,
never one that was passed already.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from itertools import combinations
from typing import NamedTuple

import pytest
from msgspec import Struct
from msgspec.structs import replace

from tests.unit.builders import (
    IN_TIME,
    NOW,
    PAST,
    buy,
    buy_items,
    cancel,
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
    MAX_TICKETS_PER_ORDER,
    BuyerLimit,
    CapacityCommitted,
    Command,
    Event,
    Invalid,
    Item,
    KeyReused,
    NotOnSale,
    Order,
    OrderItem,
    Outcome,
    Probe,
    Probed,
    Purchase,
    Sold,
    SoldOut,
    TicketType,
    TooLate,
    UnknownEvent,
    UnknownOrder,
    UnknownTicketType,
)
from workers.rules import Settlement, State, settle


class Attempt(Struct):
    """A purchase that would be sold. Each obstacle spoils one thing about it."""

    event: Event
    purchase: Purchase
    orders: list[Order]
    bought: int = 0

    def ask(self, **changes: object) -> None:
        self.purchase = replace(self.purchase, **changes)

    def state(self) -> State:
        counts = {(self.event.id, "ann"): self.bought}
        return state_of(self.event, orders=self.orders, bought=counts)


def attempt() -> Attempt:
    items = [Item("standing", 2), Item("box", 1)]
    return Attempt(gala_with_boxes(), buy_items(1, items, buyer="ann"), orders=[])


class Obstacle(NamedTuple):
    refusal: Outcome
    spoil: Callable[[Attempt], None]


def key_names_another_purchase(a: Attempt) -> None:
    items = [OrderItem("standing", 1)]
    a.orders.append(Order(order_id(1), "gala", 1, b"another", "bob", items, 1, 1_000, "EUR", 0))


def deadline_has_passed(a: Attempt) -> None:
    a.ask(deadline_ms=PAST)


def event_is_unknown(a: Attempt) -> None:
    a.ask(event="nowhere")


def ticket_type_is_unknown(a: Attempt) -> None:
    a.ask(items=[Item("standing", 2), Item("balcony", 1)])


def order_is_too_large(a: Attempt) -> None:
    a.event.max_per_order = 2


def buyer_is_not_named(a: Attempt) -> None:
    a.event.max_per_buyer = 3
    a.ask(buyer=None)


def event_is_paused(a: Attempt) -> None:
    a.event.switch = "paused"


def buyer_has_enough(a: Attempt) -> None:
    a.event.max_per_buyer = 3
    a.bought = 1


def stock_is_gone(a: Attempt) -> None:
    box = a.event.ticket_types[1]
    box.sold, box.held = 8, 2


IN_THEIR_ORDER = [
    Obstacle(KeyReused(), key_names_another_purchase),
    Obstacle(TooLate(), deadline_has_passed),
    Obstacle(UnknownEvent("nowhere"), event_is_unknown),
    Obstacle(UnknownTicketType("gala", "balcony"), ticket_type_is_unknown),
    Obstacle(Invalid("quantity", "more than 2 tickets in one order"), order_is_too_large),
    Obstacle(Invalid("buyer", "required: this event limits tickets per buyer"), buyer_is_not_named),
    Obstacle(NotOnSale("paused", None), event_is_paused),
    Obstacle(BuyerLimit(max_per_buyer=3, bought=1), buyer_has_enough),
    Obstacle(SoldOut("box", remaining=0, held=2), stock_is_gone),
]
NAMES = [obstacle.spoil.__name__ for obstacle in IN_THEIR_ORDER]


def test_a_purchase_without_an_obstacle_is_sold() -> None:
    a = attempt()
    assert isinstance(decide_one(a.state(), a.purchase), Sold)


@pytest.mark.parametrize("obstacle", IN_THEIR_ORDER, ids=NAMES)
def test_a_refusal_tells_the_one_thing_that_is_wrong(obstacle: Obstacle) -> None:
    a = attempt()
    obstacle.spoil(a)
    assert decide_one(a.state(), a.purchase) == obstacle.refusal


@pytest.mark.parametrize(
    ("first", "second"),
    list(combinations(IN_THEIR_ORDER, 2)),
    ids=[f"{one}, and {other}" for one, other in combinations(NAMES, 2)],
)
def test_of_two_things_that_are_wrong_the_earlier_is_told(
    first: Obstacle, second: Obstacle
) -> None:
    a = attempt()
    second.spoil(a)
    first.spoil(a)
    assert decide_one(a.state(), a.purchase) == first.refusal


@pytest.mark.parametrize("obstacle", IN_THEIR_ORDER, ids=NAMES)
def test_a_refusal_changes_nothing_and_leaves_no_trace(obstacle: Obstacle) -> None:
    a = attempt()
    obstacle.spoil(a)
    state = a.state()
    before = deepcopy(state)
    assert settle(state, [a.purchase], NOW) == Settlement(outcomes=[obstacle.refusal])
    assert state == before


@pytest.mark.parametrize(
    "come_between",
    [deadline_has_passed, order_is_too_large, event_is_paused, buyer_has_enough, stock_is_gone],
)
def test_what_was_sold_is_replayed_whatever_has_come_between(
    come_between: Callable[[Attempt], None],
) -> None:
    a = attempt()
    order = sell(a.state(), a.purchase)
    a.orders.append(order)
    come_between(a)
    assert decide_one(a.state(), a.purchase) == Sold(order, replayed=True)


def test_an_order_of_several_types_without_naming_one_is_refused() -> None:
    assert decide_one(state_of(gala_with_boxes()), buy()) == Invalid(
        "ticket_type", "required: this event has more than one ticket type"
    )


@pytest.mark.parametrize(
    "items",
    [
        [Item("standing", 1), Item("box", 1), Item("standing", 1)],
        [Item("standing", 1), Item("box", 1), Item("box", 100)],
    ],
)
def test_a_ticket_type_named_twice_in_one_order_is_refused(items: list[Item]) -> None:
    """Or its stock would be checked twice, and sold once too often."""
    assert decide_one(state_of(gala_with_boxes()), buy_items(1, items)) == Invalid(
        "items[2].ticket_type", "named twice in one order"
    )


def test_the_only_ticket_type_named_and_unnamed_is_named_twice() -> None:
    items = [Item(None, 1), Item("standing", 1)]
    assert decide_one(state_of(gala()), buy_items(1, items)) == Invalid(
        "items[1].ticket_type", "named twice in one order"
    )


def test_the_limit_of_an_order_counts_all_its_items_together() -> None:
    state = state_of(gala_with_boxes(max_per_order=4))
    four = [Item("standing", 2), Item("box", 2)]
    five = [Item("standing", 3), Item("box", 2)]
    assert decide_one(state, buy_items(1, five)) == Invalid(
        "quantity", "more than 4 tickets in one order"
    )
    assert sell(state, buy_items(2, four)).quantity == 4


def test_an_event_without_a_limit_still_bounds_what_one_order_writes() -> None:
    state = state_of(gala_with_boxes(standing=5_000, box=5_000))
    items = [Item("standing", MAX_TICKETS_PER_ORDER), Item("box", 1)]
    assert decide_one(state, buy_items(1, items)) == Invalid(
        "quantity", "more than 1000 tickets in one order"
    )


def test_at_its_deadline_a_purchase_is_still_sold_and_a_millisecond_later_never() -> None:
    state = state_of(gala())
    assert decide_one(state, buy(1, deadline_ms=NOW.clock_ms - 1)) == TooLate()
    assert isinstance(decide_one(state, buy(1, deadline_ms=NOW.clock_ms)), Sold)


def test_sold_out_tells_the_first_type_that_is_short_and_what_may_come_back() -> None:
    event = gala_with_boxes(standing=5, box=0)
    event.ticket_types[0].held = 3
    items = [Item("standing", 3), Item("box", 1)]
    assert decide_one(state_of(event), buy_items(1, items)) == SoldOut("standing", 2, 3)


@pytest.mark.parametrize(
    ("command", "refusal"),
    [
        (cancel(7), UnknownOrder(order_id(7))),
        (cancel(7, deadline_ms=PAST), TooLate()),
        (switch("paused", event="nowhere"), UnknownEvent("nowhere")),
        (switch("paused", event="nowhere", deadline_ms=PAST), TooLate()),
        (switch("paused"), NotOnSale("closed", None)),
        (switch("paused", deadline_ms=PAST), TooLate()),
        (put(gala(4)), CapacityCommitted("standing", 4, 5)),
        (put(gala(4), deadline_ms=PAST), TooLate()),
        (put(gala(), ticket_types=[TicketType("box", 9)]), CapacityCommitted("standing", 0, 5)),
        (Probe(PAST), TooLate()),
    ],
)
def test_the_administration_is_refused_in_a_fixed_order_too(
    command: Command, refusal: Outcome
) -> None:
    event = gala(10, switch="closed")
    event.ticket_types[0].sold, event.ticket_types[0].held = 3, 2
    state = state_of(event)
    before = deepcopy(state)
    assert settle(state, [command], NOW) == Settlement(outcomes=[refusal])
    assert state == before


def test_a_probe_changes_nothing_but_asks_for_a_write() -> None:
    assert settle(State(), [Probe(IN_TIME)], NOW) == Settlement(outcomes=[Probed()], probed=True)
