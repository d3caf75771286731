"""What a history must keep to be one counter's: each check near-linear, each finding with examples.

In: a `History`. Out: for each name how much was checked and what is wrong, as the load test's
invariants give it. `COUNTS` need the ledger and what was told; `MOMENTS` also when.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping

from loadtest.findings import Finding
from loadtest.history.operations import (
    NEVER,
    Ask,
    Cancel,
    History,
    Look,
    Refused,
    Sold,
    SoldOut,
)
from loadtest.history.timeline import Read, Timeline

Check = Callable[[Timeline], Finding]


def check(history: History) -> dict[str, Finding]:
    """Return what every check finds in a history."""
    timeline = Timeline(history)
    return {name: look(timeline) for name, look in CHECKS.items()}


def breaches(history: History) -> dict[str, list[str]]:
    """Return what is wrong with a history, by the names of the checks; nothing if it is right."""
    return {name: wrong for name, (_, wrong) in check(history).items() if wrong}


# What must hold whenever it happened.


def nothing_told_is_missing(timeline: Timeline) -> Finding:
    """Every order that was told stands in the ledger as it was told; a done cancel was done."""
    booked = {b.sold.order: b for b in timeline.history.ledger}
    told = {ask.said: ask for ask in timeline.history.asks if isinstance(ask.said, Sold)}
    wrong = [
        f"{_asked(ask)} was told {sold}, the ledger has {_ledger_has(booked, sold.order)}"
        for sold, ask in told.items()
        if sold.order not in booked or booked[sold.order].sold != sold
    ]
    done = {cancel.order for cancel in timeline.history.cancels if cancel.done}
    wrong += [
        f"order {order} was cancelled, the ledger has {_ledger_has(booked, order)}"
        for order in sorted(done)
        if order not in booked or not booked[order].cancelled
    ]
    return len(told) + len(done), wrong


def nothing_is_a_strangers(timeline: Timeline) -> Finding:
    """Every order in the ledger, and every cancel in it, was asked for."""
    asked = {cancel.order for cancel in timeline.history.cancels}
    wrong = []
    for booked in timeline.history.ledger:
        order = booked.sold.order
        asks = timeline.by_key.get(timeline.key_of.get(order, ""), [])
        if not any(_may_have_sold(ask) for ask in asks):
            wrong.append(f"nobody asked for the order {order}")
        elif booked.sold.quantities != asks[0].wanted:
            wrong.append(f"order {order} is for {booked.sold.quantities}, not {asks[0].wanted}")
        if booked.cancelled and order not in asked:
            wrong.append(f"nobody cancelled the order {order}")
    return len(timeline.history.ledger), wrong


def nothing_is_sold_twice(timeline: Timeline) -> Finding:
    """A key has one order, made once and always told the same; a ticket is in one order, once."""
    wrong = []
    for key, asks in timeline.by_key.items():
        told = [ask for ask in asks if isinstance(ask.said, Sold)]
        if len({ask.said for ask in told}) > 1:
            wrong.append(f"purchase {key} was told different things: {[ask.said for ask in told]}")
        if (made := sum(ask.fresh for ask in told)) > 1:
            wrong.append(f"purchase {key} was sold {made} times")
        if len({ask.wanted for ask in asks}) > 1:
            wrong.append(f"purchase {key} was for different tickets")
    keys = Counter(timeline.key_of.get(b.sold.order) for b in timeline.history.ledger)
    keys.pop(None, None)
    wrong += [f"purchase {key} has {n} orders in the ledger" for key, n in keys.items() if n > 1]
    orders = Counter(booked.sold.order for booked in timeline.history.ledger)
    wrong += [f"order {order} stands there {n} times" for order, n in orders.items() if n > 1]
    told_once = {a.said for a in timeline.history.asks if isinstance(a.said, Sold)}
    told_once |= {booked.sold for booked in timeline.history.ledger}
    return len(timeline.by_key), wrong + list(_shared_tickets(told_once))


def the_stock_is_never_negative(timeline: Timeline) -> Finding:
    """When a sale was made there was enough, if all came back that may have come back by then."""
    wrong = []
    for kind, stock in timeline.stock.items():
        for i, booked in enumerate(timeline.history.ledger):
            sold = stock.sold[i + 1] - stock.maybe_back(timeline.closes[i])
            if sold > stock.capacity and stock.sold[i + 1] > stock.sold[i]:
                wrong.append(
                    f"{sold} of {stock.capacity} {kind} are sold with the order {booked.sold.order}"
                )
    return len(timeline.history.ledger), wrong


# What must hold because of when it happened.


def sales_are_in_order(timeline: Timeline) -> Finding:
    """No sale stands in the ledger behind one that was asked for after it was confirmed."""
    ledger = timeline.history.ledger
    wrong = [
        f"sale {i + 1}, of order {ledger[i].sold.order}, was confirmed at"
        f" {timeline.sales[i].latest:.6f}, and one ahead of it asked for at"
        f" {timeline.opens[i + 1]:.6f}"
        for i in timeline.order_breaches()
    ]
    return len(ledger), wrong


def every_refusal_was_true(timeline: Timeline) -> Finding:
    """Who was refused wanted more than was left, as told, at a moment between asking and hearing.

    And it was before that purchase was sold: an order is never refused.
    """
    reads = list(timeline.refusals())
    wrong = [
        reason
        for read in reads
        if isinstance(read.source, Ask)
        for reason in _false_refusal(timeline, read, read.source)
    ]
    return len(reads), wrong


def every_look_was_true(timeline: Timeline) -> Finding:
    """What a look showed was so at a moment not longer ago than promised.

    Nor before anything that the same connection had told: it leads to one web process.
    """
    reads = list(timeline.looks())
    wrong: list[str] = []
    for read in reads:
        assert isinstance(read.source, Look)
        wrong += _imbalances(read.source, timeline.history.capacity)
        if not timeline.is_possible(read):
            wrong.append(f"{_looked(read.source)}: it was never so then, {_where(timeline, read)}")
    return len(reads), wrong


def nothing_went_back(timeline: Timeline) -> Finding:
    """Whatever told of the stock told it in one order: no more was sold earlier than later."""
    reads = [*timeline.refusals(), *timeline.looks()]
    possible = [read for read in reads if timeline.is_possible(read)]
    return len(reads), [
        f"{_read(more)}: seen before {_read(less)}" for more, less in timeline.backward(possible)
    ]


COUNTS: dict[str, Check] = {
    "nothing that was told is missing": nothing_told_is_missing,
    "nothing is there that nobody asked for": nothing_is_a_strangers,
    "nothing is sold twice": nothing_is_sold_twice,
    "the stock is never negative": the_stock_is_never_negative,
}
MOMENTS: dict[str, Check] = {
    "sales are in an order that time allows": sales_are_in_order,
    "every refusal was true when it was said": every_refusal_was_true,
    "every look was true, and fresh": every_look_was_true,
    "refusals and looks tell one story": nothing_went_back,
}
CHECKS = COUNTS | MOMENTS


def _may_have_sold(ask: Ask) -> bool:
    return not isinstance(ask.said, SoldOut | Refused)


def _shared_tickets(orders: Iterable[Sold]) -> Iterator[str]:
    holders: dict[int, set[str]] = defaultdict(set)
    for sold in orders:
        if len(set(sold.numbers)) < len(sold.numbers):
            yield f"order {sold.order} has a ticket twice: {sold.numbers}"
        for number in sold.numbers:
            holders[number].add(sold.order)
    for number, those in holders.items():
        if len(those) > 1:
            yield f"ticket {number} is in the orders {sorted(those)}"


def _false_refusal(timeline: Timeline, read: Read, ask: Ask) -> Iterator[str]:
    if isinstance(ask.said, SoldOut):
        wanted = dict(ask.wanted).get(ask.said.ticket_type, 0)
        if not 0 <= ask.said.remaining < wanted:
            yield f"{_asked(ask)} was refused {wanted}, though told {ask.said}"
    if not timeline.is_possible(read):
        yield f"{_asked(ask)} was told {ask.said}: it was never so then, {_where(timeline, read)}"


def _imbalances(look: Look, capacity: dict[str, int]) -> Iterator[str]:
    if {stock.ticket_type for stock in look.stock} != set(capacity):
        yield f"{_looked(look)}: of {sorted(capacity)}"
    for stock in look.stock:
        parts = (stock.sold, stock.held, stock.remaining)
        if sum(parts) != capacity.get(stock.ticket_type) or min(parts) < 0:
            yield f"{_looked(look)}: that is not the capacity"


def _where(timeline: Timeline, read: Read) -> str:
    if read.first_gap > read.last_gap:
        return f"after sale {read.first_gap} and before sale {read.last_gap + 1}"
    return (
        f"after sale {read.first_gap}, not before {timeline.opens[read.first_gap]:.6f}, and until"
        f" sale {read.last_gap + 1}, not after {timeline.closes[read.last_gap]:.6f}"
    )


def _read(read: Read) -> str:
    if isinstance(read.source, Ask):
        return f"{_asked(read.source)} was told {read.source.said}"
    return _looked(read.source)


def _asked(ask: Ask) -> str:
    return f"purchase {ask.key}, asked {_moments(ask)},"


def _looked(look: Look) -> str:
    shown = {s.ticket_type: (s.sold, s.held, s.remaining) for s in look.stock}
    return f"a look {_moments(look)} showed {shown}"


def _moments(operation: Ask | Cancel | Look) -> str:
    heard = "never" if operation.heard_at == NEVER else f"{operation.heard_at:.6f}"
    return f"{operation.asked_at:.6f} to {heard}"


def _ledger_has(booked: Mapping[str, object], order: str) -> str:
    return f"{booked[order]}" if order in booked else "no such order"
