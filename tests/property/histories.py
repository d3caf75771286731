"""Histories of a few clients at a correct counter, and ways to spoil one.

The counter decides at one moment of each request, which nobody knows afterwards. Moments are small
whole numbers, so that requests overlap and touch.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import NamedTuple

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from msgspec.structs import replace

from loadtest.history.operations import (
    NEVER,
    Ask,
    Booked,
    Cancel,
    History,
    Look,
    Refused,
    Said,
    Sold,
    SoldOut,
    Stock,
    quantities,
)

LOOK_AGE = 2.0
LINES = 4
WISHES = {
    f"key-{number}": quantities({"standing": 1 + number % 3, "box": number % 2})
    for number in range(12)
}


class Step(NamedTuple):
    """What one client does next, and what becomes of it."""

    kind: str  # buy, look or cancel
    choice: int  # of a key or an order
    pause: int  # before it is asked
    until_effect: int
    until_heard: int
    stale: int  # how old a look may be, at most
    lost: bool


def steps(kinds: tuple[str, ...]) -> SearchStrategy[Step]:
    few = st.integers(0, 3)
    lost = st.integers(0, 5).map(lambda number: number == 0)
    return st.builds(Step, st.sampled_from(kinds), st.integers(0, 11), few, few, few, few, lost)


def plans(kinds: tuple[str, ...]) -> SearchStrategy[list[list[Step]]]:
    """What each of a few clients does, one thing after the other."""
    return st.lists(st.lists(steps(kinds), min_size=1, max_size=8), min_size=1, max_size=LINES)


class _Moment(NamedTuple):
    at: float
    number: int
    play: Callable[[], None]


class _Counter:
    """Stock by ticket type, and the orders in the order of sale."""

    def __init__(self, capacity: dict[str, int]) -> None:
        self.remaining = dict(capacity)
        self.capacity = capacity
        self.ledger: list[Booked] = []

    def buy(self, key: str) -> tuple[Said, bool]:
        known = next((b for b in self.ledger if b.key == key), None)
        if known is not None:
            return known.sold, False
        for kind, number in WISHES[key]:
            if number > self.remaining[kind]:
                return SoldOut(kind, self.remaining[kind]), False
        for kind, number in WISHES[key]:
            self.remaining[kind] -= number
        sold = Sold(f"order-of-{key}", WISHES[key], numbers=(len(self.ledger),))
        self.ledger.append(Booked(sold, key=key))
        return sold, True

    def cancel(self, order: str) -> bool:
        booked = next((b for b in self.ledger if b.sold.order == order), None)
        if booked is None:
            return False
        if not booked.cancelled:
            booked.cancelled = True
            for kind, number in booked.sold.quantities:
                self.remaining[kind] += number
        return True

    def stock(self) -> tuple[Stock, ...]:
        return tuple(
            Stock(kind, self.capacity[kind] - left, 0, left)
            for kind, left in self.remaining.items()
        )


def play(plan: list[list[Step]], capacity: dict[str, int]) -> History:
    """Return what these clients would tell of a correct counter."""
    counter, history = _Counter(capacity), History(capacity, look_age_seconds=LOOK_AGE)
    moments: list[_Moment] = []
    for line, steps_of_one in enumerate(plan, start=1):
        now, told_at = 0.0, -math.inf
        for step in steps_of_one:
            asked_at = now + step.pause
            effect_at = asked_at + step.until_effect
            heard_at = NEVER if step.lost else effect_at + step.until_heard
            if step.kind == "look":
                effect_at = max(effect_at - step.stale, asked_at - LOOK_AGE, told_at)
                effect = _look(counter, history, Look(asked_at, heard_at, (), line))
            elif step.kind == "buy":
                ask = Ask(f"key-{step.choice}", (), asked_at, heard_at, line=line)
                effect = _buy(counter, history, ask)
            else:
                order = f"order-of-key-{step.choice}"
                effect = _cancel(counter, history, Cancel(order, asked_at, heard_at, line=line))
            if step.kind != "look" and not step.lost:
                told_at = effect_at
            moments.append(_Moment(effect_at, len(moments), effect))
            now = effect_at if step.lost else heard_at
    for moment in sorted(moments, key=lambda moment: moment[:2]):
        moment.play()
    history.ledger = counter.ledger
    return history


def _look(counter: _Counter, history: History, look: Look) -> Callable[[], None]:
    def effect() -> None:
        if look.heard_at != NEVER:
            history.looks.append(replace(look, stock=counter.stock()))

    return effect


def _buy(counter: _Counter, history: History, ask: Ask) -> Callable[[], None]:
    def effect() -> None:
        said, fresh = counter.buy(ask.key)
        heard = ask.heard_at != NEVER
        wanted = WISHES[ask.key]
        history.asks.append(
            replace(ask, wanted=wanted, said=said if heard else None, fresh=fresh and heard)
        )

    return effect


def _cancel(counter: _Counter, history: History, cancel: Cancel) -> Callable[[], None]:
    def effect() -> None:
        done = counter.cancel(cancel.order)
        if done or cancel.heard_at == NEVER:  # who is told that there is no order cancels nothing
            history.cancels.append(replace(cancel, done=cancel.heard_at != NEVER))

    return effect


def spoiled(history: History, chance: random.Random) -> History:
    """Return a history with one thing changed, which may make it impossible."""
    found = copied(history)
    chance.choice(CHANGES)(found, chance)
    return found


def copied(history: History) -> History:
    return replace(
        history,
        asks=[replace(ask) for ask in history.asks],
        cancels=[replace(cancel) for cancel in history.cancels],
        looks=[replace(look) for look in history.looks],
        ledger=[replace(booked) for booked in history.ledger],
    )


def _ledger_swapped(history: History, chance: random.Random) -> None:
    if len(history.ledger) > 1:
        place = chance.randrange(len(history.ledger) - 1)
        pair = history.ledger[place : place + 2]
        history.ledger[place : place + 2] = reversed(pair)


def _told_otherwise(history: History, chance: random.Random) -> None:
    refused = [ask for ask in history.asks if isinstance(ask.said, SoldOut)]
    if refused:
        ask = chance.choice(refused)
        assert isinstance(ask.said, SoldOut)
        other = chance.choice([-1, 1])
        ask.said = SoldOut(ask.said.ticket_type, ask.said.remaining + other)


def _look_otherwise(history: History, chance: random.Random) -> None:
    if history.looks:
        look, other = chance.choice(history.looks), chance.choice([-1, 1])
        first, *rest = look.stock
        changed = Stock(first.ticket_type, first.sold + other, 0, first.remaining - other)
        if min(changed.sold, changed.remaining) >= 0:
            look.stock = (changed, *rest)


def _moved(history: History, chance: random.Random) -> None:
    operations: list[Ask | Cancel | Look] = [*history.asks, *history.cancels, *history.looks]
    if operations:
        operation, by = chance.choice(operations), chance.choice([-4, -2, -1, 1, 2, 4])
        operation.asked_at += by
        operation.heard_at += by


def _unheard(history: History, chance: random.Random) -> None:
    sold = [ask for ask in history.asks if isinstance(ask.said, Sold)]
    if sold:
        ask = chance.choice(sold)
        ask.said, ask.fresh, ask.heard_at = None, False, NEVER


def _fresh(history: History, chance: random.Random) -> None:
    sold = [ask for ask in history.asks if isinstance(ask.said, Sold)]
    if sold:
        ask = chance.choice(sold)
        ask.fresh = not ask.fresh


def _refused(history: History, chance: random.Random) -> None:
    heard = [ask for ask in history.asks if isinstance(ask.said, Sold)]
    refusals = [ask.said for ask in history.asks if isinstance(ask.said, SoldOut)]
    if heard:
        ask = chance.choice(heard)
        ask.said = chance.choice(refusals) if refusals else Refused()
        ask.fresh = False


def _look_of_another(history: History, chance: random.Random) -> None:
    if history.looks:
        chance.choice(history.looks).stock = chance.choice(history.looks).stock


CHANGES = [
    _ledger_swapped,
    _told_otherwise,
    _look_otherwise,
    _look_of_another,
    _moved,
    _unheard,
    _fresh,
    _refused,
]
