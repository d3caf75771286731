"""*The* invariant, checked from the other side after each batch: no bug or damage is written."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.builders import NOW, buy, cancel, gala, sell, state_of, switch
from workers.domain import Event
from workers.errors import Inconsistent
from workers.rules import Settlement, _check_conserved, settle

SOLD_BEFORE = {("gala", "standing"): 0}


def a_sale_of_two() -> Settlement:
    return settle(state_of(gala(5)), [buy(1, 2)], NOW)


def take_one_more(event: Event) -> None:
    event.ticket_types[0].sold += 1


def give_one_back(event: Event) -> None:
    event.ticket_types[0].sold -= 1


def shrink(event: Event) -> None:
    event.ticket_types[0].capacity = 1


def hold_too_many(event: Event) -> None:
    event.ticket_types[0].held = 4


def hold_less_than_none(event: Event) -> None:
    event.ticket_types[0].held = -1


def test_what_settle_decides_is_conserved() -> None:
    _check_conserved(a_sale_of_two(), SOLD_BEFORE)


@pytest.mark.parametrize(
    "tamper", [take_one_more, give_one_back, shrink, hold_too_many, hold_less_than_none]
)
def test_stock_that_does_not_add_up_is_never_written(tamper: Callable[[Event], None]) -> None:
    settlement = a_sale_of_two()
    tamper(settlement.events["gala"])
    with pytest.raises(Inconsistent, match="gala/standing"):
        _check_conserved(settlement, SOLD_BEFORE)


def test_a_sale_without_its_order_is_never_written() -> None:
    settlement = a_sale_of_two()
    settlement.sales.clear()
    with pytest.raises(Inconsistent):
        _check_conserved(settlement, SOLD_BEFORE)


def test_a_cancel_without_its_order_is_never_written() -> None:
    state = state_of(gala(5))
    sell(state, buy(1, 2))
    settlement = settle(state, [cancel(1)], NOW)
    settlement.cancels.clear()
    with pytest.raises(Inconsistent):
        _check_conserved(settlement, {("gala", "standing"): 2})


@pytest.mark.parametrize("tamper", [shrink, hold_too_many, hold_less_than_none])
def test_a_batch_that_touches_damaged_stock_is_refused_whole(
    tamper: Callable[[Event], None],
) -> None:
    event = gala(5)
    event.ticket_types[0].sold = 2
    tamper(event)
    with pytest.raises(Inconsistent):
        settle(state_of(event), [switch("closed")], NOW)


def test_damage_elsewhere_stops_no_sale() -> None:
    damaged = Event("opera", "Opera", gala(1).ticket_types)
    damaged.ticket_types[0].sold = 9
    state = state_of(gala(5), damaged)
    assert settle(state, [buy(1)], NOW).sales
