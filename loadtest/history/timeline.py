"""Where in the order of sale everything happened, as far as the moments of a history tell.

The ledger gives the order of sale, so nothing need be searched. Sale i took effect after it was
first asked for and before it was first confirmed; being in order, not before the sales ahead of it
and not after those behind it. Between two sales is a gap: gap k is where k sales are done. Whatever
read the stock read it in a gap, and the numbers it told say in which. So a history is possible if

 1. no sale is confirmed before one ahead of it was asked for,
 2. each read's gap (a range of them, if others moved other stock) overlaps its own moments, and
 3. no read that saw more was over before one that saw less was begun.

Moments that touch are taken as concurrent. All of it is exact as long as nothing is cancelled: the
ledger does not tell when a cancel took effect, so each read may count those under way as it likes,
and two reads may count them differently. What is found is wrong in any case; something wrong may
be missed while cancels are under way.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from loadtest.history.operations import (
    NEVER,
    NO_LINE,
    Ask,
    Cancel,
    History,
    Look,
    Refused,
    Sold,
    SoldOut,
)

LONG_AGO = -NEVER


class Span(NamedTuple):
    """The moments between which something took effect."""

    earliest: float
    latest: float


class Read(NamedTuple):
    """Something that told of the stock: when, in which gaps, and what it was, for people."""

    span: Span
    first_gap: int
    last_gap: int
    source: Ask | Look


class Timeline:
    """A history in its order of sale."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.by_key: dict[str, list[Ask]] = defaultdict(list)
        for ask in history.asks:
            self.by_key[ask.key].append(ask)
        self.key_of = {b.sold.order: b.key for b in history.ledger if b.key}
        self.key_of |= {a.said.order: a.key for a in history.asks if isinstance(a.said, Sold)}
        self._cancels: dict[str, list[Cancel]] = defaultdict(list)
        for cancel in history.cancels:
            self._cancels[cancel.order].append(cancel)
        self.sales = [self._sale_span(booked.sold.order) for booked in history.ledger]
        self.place = {self.key_of.get(b.sold.order): i for i, b in enumerate(history.ledger)}
        self.place.pop(None, None)
        # Moments at which gap k begins at the earliest and ends at the latest.
        self.opens = [LONG_AGO, *itertools.accumulate((s.earliest for s in self.sales), max)]
        backwards = itertools.accumulate((s.latest for s in reversed(self.sales)), min)
        self.closes = [NEVER, *backwards][::-1]
        self.stock = {kind: _StockOf(kind, self) for kind in history.capacity}
        self._lines = _Lines(self)

    def order_breaches(self) -> Iterator[int]:
        """Yield the places of sales that were confirmed before one ahead of them was asked for."""
        return (i for i, sale in enumerate(self.sales) if self.opens[i + 1] > sale.latest)

    def cancel_span(self, order: str) -> Span:
        """Return between which moments an order was cancelled, if it was."""
        cancels = self._cancels.get(order, [])
        asked = min((cancel.asked_at for cancel in cancels), default=LONG_AGO)
        return Span(asked, min((c.heard_at for c in cancels if c.done), default=NEVER))

    def refusals(self) -> Iterator[Read]:
        """Yield every certain no, in the gaps in which it could be said."""
        for ask in self.history.asks:
            if isinstance(ask.said, SoldOut | Refused):
                yield self._refusal(ask)

    def looks(self) -> Iterator[Read]:
        """Yield every look, in the gaps in which the stock was as it showed."""
        return map(self._look, self.history.looks)

    def is_possible(self, read: Read) -> bool:
        """Say whether there is a moment for it among the sales."""
        first, last = read.first_gap, read.last_gap
        return (
            first <= last
            and self.opens[first] <= read.span.latest
            and self.closes[last] >= read.span.earliest
        )

    def backward(self, reads: Iterable[Read]) -> Iterator[tuple[Read, Read]]:
        """Yield what saw more and was over before something began that saw less, of possible ones.

        Whatever must happen in gap k or before keeps gap k + 1 from opening until it is begun.
        """
        reads = list(reads)
        late: dict[int, Read] = {}  # by gap: the last begun of those that cannot be in a later one
        for read in reads:
            known = late.get(read.last_gap)
            if known is None or read.span.earliest > known.span.earliest:
                late[read.last_gap] = read
        gaps = sorted(late)
        latest = list(itertools.accumulate((late[gap] for gap in gaps), _later_begun))
        for read in reads:
            ahead = bisect_left(gaps, read.first_gap)
            if ahead and latest[ahead - 1].span.earliest > read.span.latest:
                yield read, latest[ahead - 1]

    def _sale_span(self, order: str) -> Span:
        asks = self.by_key.get(self.key_of.get(order, ""), [])
        told = [ask for ask in asks if isinstance(ask.said, Sold)]
        # Who is told that it is new was told by the request that made it.
        makers = [ask for ask in told if ask.fresh] or [
            ask for ask in asks if not isinstance(ask.said, SoldOut | Refused)
        ]
        heard = min((ask.heard_at for ask in told), default=NEVER)
        return Span(
            min((ask.asked_at for ask in makers), default=LONG_AGO),
            min(heard, self.cancel_span(order).latest),
        )

    def _refusal(self, ask: Ask) -> Read:
        span, last = Span(ask.asked_at, ask.heard_at), len(self.sales)
        gaps = range(last + 1)
        if isinstance(ask.said, SoldOut) and ask.said.ticket_type in self.stock:
            stock = self.stock[ask.said.ticket_type]
            sold = stock.capacity - ask.said.remaining - ask.said.held
            gaps = stock.gaps(sold, stock.surely_back(span.earliest), span.latest)
        # Before its own key was sold: an order is never refused.
        last = min(gaps.stop - 1, self.place.get(ask.key, last))
        return Read(span, gaps.start, last, ask)

    def _look(self, look: Look) -> Read:
        told = self._lines.before(look)
        earliest = max(look.asked_at - self.history.look_age_seconds, told.asked_at)
        first, last = told.sales, len(self.sales)
        for shown in look.stock:
            if shown.ticket_type in self.stock:
                stock = self.stock[shown.ticket_type]
                back = stock.surely_back(earliest) + stock.back_on(told, earliest)
                gaps = stock.gaps(shown.sold, back, look.heard_at)
                first, last = max(first, gaps.start), min(last, gaps.stop - 1)
        return Read(Span(earliest, look.heard_at), first, last, look)


class _StockOf:
    """How much of one ticket type was sold in each gap, and what came back when."""

    def __init__(self, kind: str, timeline: Timeline) -> None:
        self.capacity = timeline.history.capacity[kind]
        ledger = timeline.history.ledger
        numbers = [dict(booked.sold.quantities).get(kind, 0) for booked in ledger]
        self.sold = [0, *itertools.accumulate(numbers)]
        self._back = {
            booked.sold.order: (number, timeline.cancel_span(booked.sold.order))
            for booked, number in zip(ledger, numbers, strict=True)
            if booked.cancelled
        }
        spans = list(self._back.values())
        self._maybe = _Sum((span.earliest, number) for number, span in spans)
        self._surely = _Sum((span.latest, number) for number, span in spans)

    def gaps(self, sold: int, surely_back: int, until: float) -> range:
        """Return the gaps in which so many can be sold: all that may have come back by `until`."""
        first = bisect_left(self.sold, sold + surely_back)
        return range(first, bisect_right(self.sold, sold + self._maybe.until(until)))

    def surely_back(self, moment: float) -> int:
        """Return how many tickets had come back before a moment for certain."""
        return self._surely.before(moment)

    def maybe_back(self, moment: float) -> int:
        """Return how many tickets may have come back at a moment."""
        return self._maybe.until(moment)

    def back_on(self, told: _Told, since: float) -> int:
        """Return how many came back that `told` tells of, and `surely_back(since)` does not."""
        back = (self._back.get(order) for order in set(told.cancelled))
        return sum(number for number, span in filter(None, back) if span.latest >= since)


class _Sum:
    """Numbers that are added at moments."""

    def __init__(self, steps: Iterable[tuple[float, int]]) -> None:
        ordered = sorted(steps)
        self._moments = [moment for moment, _ in ordered]
        self._sums = [0, *itertools.accumulate(number for _, number in ordered)]

    def until(self, moment: float) -> int:
        return self._sums[bisect_right(self._moments, moment)]

    def before(self, moment: float) -> int:
        return self._sums[bisect_left(self._moments, moment)]


class _Told(NamedTuple):
    """What a web process had told on a connection: how far the sale was, at least."""

    heard_at: float = LONG_AGO
    asked_at: float = LONG_AGO  # the last request that it answered with an order or a cancel
    sales: int = 0
    cancelled: tuple[str, ...] = ()  # of late: see `_RECENT`


_RECENT = 64  # cancels of one connection that a look is held against; older ones have been heard


class _Lines:
    """What had been told on each connection by when: a web process never shows less than that."""

    def __init__(self, timeline: Timeline) -> None:
        answers: dict[int, list[tuple[float, float, int, str]]] = defaultdict(list)
        for ask in timeline.history.asks:
            if ask.line != NO_LINE and isinstance(ask.said, Sold):
                place = timeline.place.get(ask.key, -1)
                answers[ask.line].append((ask.heard_at, ask.asked_at, place + 1, ""))
        for cancel in timeline.history.cancels:
            if cancel.line != NO_LINE and cancel.done:
                answers[cancel.line].append((cancel.heard_at, cancel.asked_at, 0, cancel.order))
        self._told = {line: list(_accumulate(sorted(a))) for line, a in answers.items()}

    def before(self, look: Look) -> _Told:
        """Return what had been told on a look's connection before it was asked for."""
        told = self._told.get(look.line, []) if look.line != NO_LINE else []
        place = bisect_left(told, look.asked_at, key=lambda answer: answer.heard_at)
        return told[place - 1] if place else _Told()


def _accumulate(answers: Iterable[tuple[float, float, int, str]]) -> Iterator[_Told]:
    told = _Told()
    for heard_at, asked_at, sales, order in answers:
        cancelled = (*told.cancelled, order)[-_RECENT:] if order else told.cancelled
        told = _Told(
            heard_at, max(told.asked_at, asked_at), max(told.sales, sales), tuple(cancelled)
        )
        yield told


def _later_begun(one: Read, other: Read) -> Read:
    return one if one.span.earliest >= other.span.earliest else other
