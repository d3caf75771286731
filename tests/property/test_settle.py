"""`settle` against the naive sale: the same commands, in the same order, come to the same."""

from __future__ import annotations

from hypothesis import given, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from tests.harness import SEED
from tests.property.naive import plainly
from tests.property.sale import Sale
from tests.property.wishes import BUYERS, EVENTS, START, batches, on_sale
from workers.domain import Command, Event, Order, Outcome
from workers.rules import Settlement, State, settle


class SaleInMemory(Sale):
    """All is loaded, and nothing written: `settle` alone."""

    def __init__(self) -> None:
        super().__init__()
        self.state = everything()

    def outcomes(self, batch: list[Command]) -> list[Outcome]:
        settlement = settle(self.state, batch, self.now)
        check_what_is_to_be_written(settlement)
        return settlement.outcomes

    def events(self) -> list[Event]:
        return list(self.state.events.values())

    def orders_of(self, event: str) -> list[Order]:
        return [order for order in self.state.orders.values() if order.event == event]


def everything() -> State:
    """Return a state in which every buyer is counted, limited or not."""
    return State(bought={(event, buyer): 0 for event in EVENTS for buyer in BUYERS})


def check_what_is_to_be_written(settlement: Settlement) -> None:
    """It must be all that was decided, and no more."""
    written = [(entry.event, entry.number) for entry in settlement.entries]
    sales = {(order.event, order.entry) for order in settlement.sales}
    cancels = {(order.event, order.cancelled_entry) for order in settlement.cancels}
    assert len(set(written)) == len(written)
    assert sales <= set(written)
    assert cancels <= set(written)
    assert {event for event, _ in written} == set(settlement.events)


def test_every_outcome_and_all_stock_are_those_of_the_naive_sale() -> None:
    run_state_machine_as_test(
        seed(SEED)(SaleInMemory),
        settings=settings(max_examples=60, stateful_step_count=25),
    )


@seed(SEED)
@settings(max_examples=60)
@given(st.lists(batches, min_size=1, max_size=5))
def test_it_makes_no_difference_how_commands_are_gathered(gathered: list[list[Command]]) -> None:
    commands: list[Command] = [on_sale("gala"), on_sale("opera")]
    commands += [command for batch in gathered for command in batch]
    together, apart = everything(), everything()
    outcomes = settle(together, commands, START).outcomes
    alone = [settle(apart, [command], START).outcomes[0] for command in commands]
    assert [plainly(outcome) for outcome in outcomes] == [plainly(outcome) for outcome in alone]
    assert together == apart
