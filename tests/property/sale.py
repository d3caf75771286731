"""A sale that goes on beside the naive one: batches of anything, as time passes, some sent again.

Whatever keeps the books joins by saying how it settles a batch and what can be seen of it.
"""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from tests.property.naive import NaiveSale, plainly, show_event, show_order
from tests.property.wishes import START, batches, on_sale
from workers.domain import Command, Event, Now, Order, Outcome


class Sale(RuleBasedStateMachine):
    """The rules and what must hold after each; subclasses keep the books."""

    def __init__(self) -> None:
        super().__init__()
        self.naive = NaiveSale()
        self.now = START
        self.sent: list[list[Command]] = []

    def outcomes(self, batch: list[Command]) -> list[Outcome]:
        """Settle a batch for good."""
        raise NotImplementedError

    def events(self) -> list[Event]:
        """Return all events."""
        raise NotImplementedError

    def orders_of(self, event: str) -> list[Order]:
        """Return an event's orders in the order of sale."""
        raise NotImplementedError

    @initialize()
    def open(self) -> None:
        self.settle([on_sale("gala"), on_sale("opera")])

    @rule(batch=batches)
    def settle(self, batch: list[Command]) -> None:
        self.sent.append(batch)
        found = [plainly(outcome) for outcome in self.outcomes(batch)]
        assert found == self.naive.settle(batch, self.now)

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def send_again(self, data: st.DataObject) -> None:
        self.settle(data.draw(st.sampled_from(self.sent)))

    @rule(wall_ms=st.integers(-20, 20), clock_ms=st.integers(0, 2))
    def let_time_pass(self, wall_ms: int, clock_ms: int) -> None:
        """The wall clock may be set back; the other one never goes back."""
        self.now = Now(self.now.wall_ms + wall_ms, self.now.clock_ms + clock_ms)

    @invariant()
    def stock_is_what_the_orders_say(self) -> None:
        assert {event.id: show_event(event) for event in self.events()} == self.naive.stock()

    @invariant()
    def capacity_is_sold_and_held_and_remaining_and_none_is_oversold(self) -> None:
        for event in self.events():
            for t in event.ticket_types:
                assert t.capacity == t.sold + t.held + t.remaining
                assert min(t.sold, t.held, t.remaining) >= 0

    def teardown(self) -> None:
        for event in self.events():
            orders = self.orders_of(event.id)
            numbers = [number for order in orders for number in order.numbers()]
            assert numbers == list(range(1, event.next_number))
            shown = [(*show_order(order), order.cancelled_entry) for order in orders]
            assert shown == self.naive.orders_of(event.id)
