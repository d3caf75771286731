"""What people ask for in these tests: few keys, events, buyers and moments, so that they meet."""

from __future__ import annotations

from typing import TypeVar
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from msgspec.structs import replace

from workers.domain import (
    CancelOrder,
    Command,
    Item,
    Now,
    Probe,
    Purchase,
    PutEvent,
    Switch,
    SwitchEvent,
    TicketType,
    fingerprint,
)

EVENTS = ("gala", "opera")
BUYERS = ("ann", "bob", "cleo", "dan")
START = Now(wall_ms=10, clock_ms=10)
NEVER_MS = 1_000_000  # a deadline that no test comes to

T = TypeVar("T")


def mostly(usual: SearchStrategy[T], unusual: SearchStrategy[T]) -> SearchStrategy[T]:
    """Draw the usual five times in six: where little is sold, little can go wrong."""
    return st.sampled_from([usual] * 5 + [unusual]).flatmap(lambda strategy: strategy)


moments = st.integers(0, 60)
deadlines = mostly(st.just(NEVER_MS), st.integers(START.clock_ms - 1, START.clock_ms + 5))
order_ids = st.integers(1, 30).map(lambda number: str(UUID(int=number)))
quantities = st.integers(1, 4)
any_items = st.lists(
    st.builds(Item, st.sampled_from(("standing", "box", "balcony", None)), quantities),
    min_size=1,
    max_size=3,
)
gala_items = st.one_of(
    st.tuples(st.builds(Item, st.just("standing"), quantities)),
    st.tuples(
        st.builds(Item, st.just("standing"), quantities),
        st.builds(Item, st.just("box"), st.integers(1, 2)),
    ),
).map(list)
opera_items = st.tuples(st.builds(Item, st.none(), quantities)).map(list)
usual_wishes = st.one_of(
    st.tuples(st.just("gala"), gala_items), st.tuples(st.just("opera"), opera_items)
)
unusual_wishes = st.tuples(st.sampled_from(EVENTS), any_items)


def wish_to_buy(
    deadline_ms: int, order_id: str, wish: tuple[str, list[Item]], buyer: str | None
) -> Purchase:
    """Make a purchase as the web would from its body."""
    body = fingerprint(*wish, buyer)
    return Purchase(deadline_ms, order_id, body, *wish, buyer)


purchases = st.builds(
    wish_to_buy,
    deadlines,
    order_ids,
    mostly(usual_wishes, unusual_wishes),
    mostly(st.sampled_from(BUYERS), st.none()),
)
cancels = st.builds(CancelOrder, deadlines, order_ids)


def on_sale(event: str) -> PutEvent:
    """Put an event that sells, so that a story does not begin with refusals only."""
    types = [TicketType("standing", 20, 3), TicketType("box", 6, 7)]
    return PutEvent(NEVER_MS, event, "A", types if event == "gala" else types[:1])


def change(put: PutEvent, capacity: int, per_order: int | None, per_buyer: int | None) -> PutEvent:
    """Change the usual event a little."""
    first = replace(put.ticket_types[0], capacity=capacity)
    types = [first, *put.ticket_types[1:]]
    return replace(put, ticket_types=types, max_per_order=per_order, max_per_buyer=per_buyer)


usual_puts = st.builds(
    change,
    st.sampled_from(EVENTS).map(on_sale),
    st.integers(0, 30),
    st.none() | st.integers(2, 5),
    st.none() | st.integers(2, 8),
)
unusual_puts = st.builds(
    PutEvent,
    deadline_ms=deadlines,
    event=st.sampled_from(EVENTS),
    name=st.sampled_from(("A", "B")),
    ticket_types=st.lists(
        st.builds(TicketType, st.sampled_from(("standing", "box")), st.integers(0, 12)),
        min_size=1,
        max_size=2,
        unique_by=lambda ticket_type: ticket_type.id,
    ),
    opens_at_ms=st.none() | moments,
    closes_at_ms=st.none() | moments,
    max_per_order=st.none() | st.integers(1, 5),
    max_per_buyer=st.none() | st.integers(1, 6),
)
usual_switch: SearchStrategy[Switch] = st.just("open")
unusual_switch: SearchStrategy[Switch] = st.sampled_from(("paused", "closed"))
switches = st.builds(
    SwitchEvent, deadlines, st.sampled_from(EVENTS), mostly(usual_switch, unusual_switch)
)

KINDS: dict[str, SearchStrategy[Command]] = {
    "buy": purchases,
    "cancel": cancels,
    "put": mostly(usual_puts, unusual_puts),
    "switch": switches,
    "probe": st.builds(Probe, deadlines),
}
commands = st.sampled_from(
    ["buy"] * 20 + ["cancel"] * 4 + ["put"] * 3 + ["switch"] * 2 + ["probe"]
).flatmap(KINDS.__getitem__)
batches = st.lists(commands, min_size=1, max_size=10)
