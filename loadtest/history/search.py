"""Tries every order in which a small history may have happened, until one fits a counter.

Wing and Gong, "Testing and verifying concurrent objects" (1993), with Lowe's memory of what was
tried (2017): whatever is not done yet, and was asked for before anything not done was over, may be
next. Exponential in what is under way at a time, so for histories of some 200 operations by a few
clients. It says for certain what `checks.py` decides in near-linear time, and knows none of its
arguments: purchases here are requests, each with a moment of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

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

Operation: TypeAlias = Ask | Cancel | Look
TRIED_MAX = 500_000  # states; more is not a small history


@dataclass(frozen=True)
class Step:
    """An operation, from when to when it may take effect, and what on its connection it follows."""

    operation: Operation
    earliest: float
    latest: float
    follows: frozenset[int] = frozenset()

    @property
    def must_happen(self) -> bool:
        """Whether somebody heard what came of it."""
        return self.latest != NEVER


@dataclass(frozen=True)
class State:
    """The counter: how many orders of the ledger are made, and which of them are taken back."""

    sales: int = 0
    cancelled: frozenset[int] = frozenset()


class TooLargeError(RuntimeError):
    """The history has too much under way at a time to try everything."""


def is_possible(history: History) -> bool:
    """Say whether the history can have happened, the ledger's orders made in their order.

    Each key must be told of one order at most. Raises TooLargeError.
    """
    return _Search(history).run()


class _Search:
    def __init__(self, history: History) -> None:
        self.history = history
        ledger = history.ledger
        key_of = {b.sold.order: b.key for b in ledger if b.key}
        key_of |= {a.said.order: a.key for a in history.asks if isinstance(a.said, Sold)}
        self.place = {key_of.get(b.sold.order, ""): i for i, b in enumerate(ledger)}
        self.place_of_order = {b.sold.order: i for i, b in enumerate(ledger)}
        self.cancelled = frozenset(i for i, b in enumerate(ledger) if b.cancelled)
        self.steps = list(self._steps())

    def run(self) -> bool:
        """Search depth first, with a stack of one's own."""
        whole = (1 << len(self.steps)) - 1
        must = sum(1 << n for n, step in enumerate(self.steps) if step.must_happen)
        stack = [(0, State())]
        tried = set(stack)
        while stack:
            done, state = stack.pop()
            if done & must == must and state == State(len(self.history.ledger), self.cancelled):
                return True
            for number in self._next(whole & ~done):
                after = self._after(state, self.steps[number].operation)
                if after is not None and self._has_followed(done, number):
                    reached = (done | 1 << number, after)
                    if reached not in tried:
                        tried.add(reached)
                        stack.append(reached)
            if len(tried) > TRIED_MAX:
                raise TooLargeError(f"more than {TRIED_MAX} states")
        return False

    def _steps(self) -> Iterator[Step]:
        operations: list[Ask | Cancel] = [*self.history.asks, *self.history.cancels]
        for operation in operations:
            heard_at = NEVER if _is_unknown(operation) else operation.heard_at
            yield Step(operation, operation.asked_at, heard_at)
        for look in self.history.looks:
            earliest = look.asked_at - self.history.look_age_seconds
            follows = frozenset(
                number
                for number, operation in enumerate(operations)
                if operation.line == look.line != NO_LINE
                and operation.heard_at < look.asked_at
                and (isinstance(operation, Cancel) or isinstance(operation.said, Sold))
                and not _is_unknown(operation)
            )
            yield Step(look, earliest, look.heard_at, follows)

    def _next(self, left: int) -> Iterator[int]:
        numbers = [n for n in range(len(self.steps)) if left >> n & 1]
        over = min((self.steps[n].latest for n in numbers), default=NEVER)
        return (n for n in numbers if self.steps[n].earliest <= over)

    def _has_followed(self, done: int, number: int) -> bool:
        return all(done >> n & 1 for n in self.steps[number].follows)

    def _after(self, state: State, operation: Operation) -> State | None:
        """Return the counter after an operation; None if it cannot have answered so."""
        match operation:
            case Ask(said=said):
                return self._after_ask(state, operation, said)
            case Cancel(order=order):
                place = self.place_of_order.get(order, state.sales)
                if place >= state.sales:
                    return None
                return State(state.sales, state.cancelled | {place})
            case Look(stock=stock):
                shown = {s.ticket_type: (s.sold, s.held, s.remaining) for s in stock}
                return state if shown == self._stock(state) else None

    def _after_ask(self, state: State, ask: Ask, said: object) -> State | None:
        place = self.place.get(ask.key)
        sold_before = place is not None and place < state.sales
        match said:
            case SoldOut(ticket_type=kind, remaining=remaining, held=held):
                true = self._stock(state)[kind][1:] == (held, remaining)
                wanted = dict(ask.wanted).get(kind, 0)
                return state if true and 0 <= remaining < wanted and not sold_before else None
            case Refused():
                return None if sold_before else state
            case Sold() if sold_before:
                return None if ask.fresh else state
            case _:  # it made the order, which is the next of the ledger
                return self._sell(state, ask) if place == state.sales else None

    def _sell(self, state: State, ask: Ask) -> State | None:
        stock = self._stock(state)
        if any(number > stock[kind][2] for kind, number in ask.wanted):
            return None
        return State(state.sales + 1, state.cancelled)

    def _stock(self, state: State) -> dict[str, tuple[int, int, int]]:
        sold = dict.fromkeys(self.history.capacity, 0)
        for place, booked in enumerate(self.history.ledger[: state.sales]):
            if place not in state.cancelled:
                for kind, number in booked.sold.quantities:
                    sold[kind] += number
        return {kind: (sold[kind], 0, self.history.capacity[kind] - sold[kind]) for kind in sold}


def _is_unknown(operation: Ask | Cancel) -> bool:
    return operation.said is None if isinstance(operation, Ask) else not operation.done
