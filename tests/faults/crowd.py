"""A crowd of buyers on connections of their own, who keep asking and remember all they were told.

Each buyer is a thread with one keep-alive connection (`line`). A buyer repeats a purchase under its
key until it knows.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec

from loadtest.history.checks import breaches
from tests.faults.histories import history_of
from tests.faults.line import Attempt, Fate, Line
from tests.harness import SEED, Soldout, note

LINES = 64
PAUSE_SECONDS = 0.05  # before a purchase is repeated
PATIENCE_SECONDS = 30.0  # how long a crowd that is told to stop may need to learn the last outcomes
QUANTITIES = (1, 2, 3, 4)
SETTLED = (201, 409)
PLENTY = 10_000_000  # tickets: no crowd here buys them all
FEW = 500  # tickets: every crowd here buys them all

_numbers = itertools.count()


@dataclass(slots=True)
class Wish:
    """One purchase, and every attempt at it."""

    key: str
    event: str
    quantity: int
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def orders(self) -> list[Any]:
        """The order, as often as it was given."""
        return [attempt.said for attempt in self.attempts if attempt.status == 201]

    @property
    def settled(self) -> bool:
        """Whether the buyer knows that it is sold or refused."""
        return any(attempt.status in SETTLED for attempt in self.attempts)

    def request(self) -> bytes:
        """Return the bytes that ask for it."""
        body = msgspec.json.encode({"event": self.event, "quantity": self.quantity})
        head = (
            "POST /buy HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nIdempotency-Key: {self.key}\r\n\r\n"
        )
        return head.encode() + body


class Crowd:
    """Buyers of `events`, each of which is named with the weight of its choice.

    They think between two purchases for `think_seconds` on average, from not at all to twice that.
    """

    def __init__(
        self, port: int, events: Mapping[str, int], lines: int, think_seconds: float
    ) -> None:
        self._port = port
        self._events = events
        self._think_seconds = think_seconds
        self._stopping = threading.Event()
        self._abandoned = threading.Event()
        self._number = next(_numbers)  # so that no two crowds of a run mint the same keys
        self._wishes: list[list[Wish]] = [[] for _ in range(lines)]
        self._sold = [0] * lines
        self._buyers = [
            threading.Thread(target=self._buy_on, args=(number,), name=f"buyer {number}")
            for number in range(lines)
        ]

    def start(self) -> None:
        """Let everybody begin."""
        for buyer in self._buyers:
            buyer.start()

    def stop(self) -> None:
        """Let everybody learn what became of the last purchase, and leave."""
        self._stopping.set()
        self._join()

    def abandon(self) -> None:
        """Let everybody leave after the attempt that is under way, its outcome known or not."""
        self._abandoned.set()
        self.stop()

    @property
    def wishes(self) -> list[Wish]:
        """All purchases so far."""
        return [wish for wishes in self._wishes for wish in wishes]

    @property
    def attempts(self) -> list[Attempt]:
        """All requests so far, in the order they were sent."""
        found = [attempt for wish in self.wishes for attempt in wish.attempts]
        return sorted(found, key=lambda attempt: attempt.sent_at)

    def sold(self) -> int:
        """Return how many purchases have become orders so far."""
        return sum(self._sold)

    def statuses(self) -> Counter[int]:
        """Count the answers by status."""
        return Counter(a.status for a in self.attempts if a.fate is Fate.ANSWERED)

    def fates(self) -> Counter[Fate]:
        """Count what became of the requests."""
        return Counter(attempt.fate for attempt in self.attempts)

    def longest_seconds(self) -> float:
        """Return how long the slowest request took."""
        return max(attempt.seconds for attempt in self.attempts)

    def tell(self) -> None:
        """Write down what this crowd saw."""
        answers = ", ".join(f"{n} of {status}" for status, n in sorted(self.statuses().items()))
        fates = ", ".join(f"{n} {fate.name.lower()}" for fate, n in self.fates().items())
        note(f"{answers}; {fates}; the longest took {self.longest_seconds():.3f} s")

    def _join(self) -> None:
        limit = time.monotonic() + PATIENCE_SECONDS
        for buyer in self._buyers:
            buyer.join(max(0.0, limit - time.monotonic()))
            if buyer.is_alive():
                self._abandoned.set()
        assert not any(buyer.is_alive() for buyer in self._buyers), "a buyer never got an answer"

    def _buy_on(self, number: int) -> None:
        chance = random.Random(f"{SEED} {self._number} {number}")
        with Line(self._port) as line:
            while not self._stopping.is_set():
                wish = Wish(
                    str(UUID(int=chance.getrandbits(128))),
                    chance.choices(list(self._events), list(self._events.values()))[0],
                    chance.choice(QUANTITIES),
                )
                self._wishes[number].append(wish)
                self._pursue(wish, line)
                self._sold[number] += wish.attempts[-1].status == 201
                self._stopping.wait(2 * chance.random() * self._think_seconds)

    def _pursue(self, wish: Wish, line: Line) -> None:
        request = wish.request()
        while True:
            wish.attempts.append(line.ask(request))
            if wish.settled or self._abandoned.is_set():
                return
            self._abandoned.wait(PAUSE_SECONDS)


@contextmanager
def crowding(
    service: Soldout, *events: str, warm: int = 200, lines: int = LINES, think_seconds: float = 0
) -> Iterator[Crowd]:
    """Have a crowd buy from these events for the length of a `with` block, `warm` orders ahead.

    The first event is chosen eight times as often as each other one.
    """
    weights = dict.fromkeys(events, 1) | {events[0]: 8}
    crowd = Crowd(service.port, weights, lines, think_seconds)
    crowd.start()
    try:
        until(lambda: crowd.sold() >= warm, "the crowd buys")
        yield crowd
    finally:
        crowd.abandon()


def until(condition: Callable[[], object], what: str, seconds: float = 20.0) -> None:
    """Wait until `condition()` is true; for conditions that cost too much to look at often."""
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, f"not within {seconds} s: {what}"
        time.sleep(0.05)


def all_orders(service: Soldout, event: str) -> dict[str, Any]:
    """Return every order of an event by its id, as the administration sees them."""
    found: dict[str, Any] = {}
    path: str | None = f"/events/{event}/orders?limit=1000"
    while path:
        answer = service.admin("GET", path)
        assert answer.status_code == 200, answer.text
        found |= {order["id"]: order for order in msgspec.json.decode(answer.content)["orders"]}
        path = answer.links.get("next", {}).get("url")
    return found


def check_sold_exactly(service: Soldout, all_wishes: list[Wish]) -> None:
    """Hold what every buyer was told against what the service knows; not one ticket may differ."""
    assert all(wish.settled for wish in all_wishes), "a buyer left without knowing"
    for event in {wish.event for wish in all_wishes}:
        wishes = [wish for wish in all_wishes if wish.event == event]
        orders = all_orders(service, event)
        check_orders_are_there(wishes, orders)
        capacity = service.audit(event)["capacity"]
        assert breaches(history_of(wishes, orders, capacity)) == {}
        sold = sum(wish.quantity for wish in wishes if wish.orders)
        audit = service.audit(event)
        assert (audit["sold"], audit["tickets"]) == (sold, sold), audit
        assert audit["orders"] == len(orders) == sum(bool(wish.orders) for wish in wishes)
        assert audit["capacity"] == sold + audit["remaining"]
        # No stock came back, so whoever was refused would still be refused.
        refused = [w.quantity for w in wishes if any(a.status == 409 for a in w.attempts)]
        assert audit["remaining"] < min(refused, default=audit["remaining"] + 1)


def check_orders_are_there(wishes: list[Wish], orders: Mapping[str, Any]) -> None:
    """Check that each order a buyer was given is there, word for word, and is nobody else's."""
    numbers: Counter[int] = Counter()
    for wish in wishes:
        for order in wish.orders:
            assert orders.get(order["id"]) == order, f"{wish.key}: {order}"
        if wish.orders:
            assert sum(item["quantity"] for item in wish.orders[0]["items"]) == wish.quantity
            numbers.update(ticket["number"] for ticket in wish.orders[0]["tickets"])
    assert not numbers or max(numbers.values()) == 1, "a ticket number was given twice"
