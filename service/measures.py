"""What one web process counts: answers to purchases and how long they took."""

from __future__ import annotations

from typing import Final

import gevent

from service.streams import Streams
from workers.domain import Purchase
from workers.handoffs.courier import Receipt
from workers.handoffs.couriers import Carrier
from workers.metrics import (
    IN_FLIGHT,
    OUTCOMES,
    PURCHASE_TIME,
    PURCHASES,
    QUEUE_TIME,
    SETTLE_TIME,
    STREAMS,
    WEBS_MAX,
    Metrics,
    Slot,
    clock_us,
)
from workers.settings import Settings

BEAT_SECONDS: Final = 0.5  # what is true of now is taken for true for four times as long
ASKED: Final = "soldout.asked"  # where a request's environment has its `Asked`

_WORDS: Final = {outcome: PURCHASES.of(outcome) for outcome in OUTCOMES}
_OTHER: Final = PURCHASES.of("internal-error")


class Asked:
    """One request to buy, from its arrival on: what is known of it by now."""

    __slots__ = ("began_us", "outcome", "purchase", "receipt")

    def __init__(self) -> None:
        self.began_us = clock_us()
        self.outcome = "internal-error"
        self.purchase: Purchase | None = None
        self.receipt: Receipt | None = None

    def times_us(self) -> tuple[int, int] | None:
        """Return how long it waited to be sent, and then to be answered; None if it was not."""
        receipt = self.receipt
        if receipt is None or not receipt.settled_us:
            return None
        return receipt.sent_us - receipt.handed_us, receipt.settled_us - receipt.sent_us

    def timing(self) -> str:
        """Return the `Server-Timing` so far (https://www.w3.org/TR/server-timing/)."""
        total = f"total;dur={(clock_us() - self.began_us) / 1_000:.3f}"
        times = self.times_us()
        if times is None:
            return total
        return f"queue;dur={times[0] / 1_000:.3f}, worker;dur={times[1] / 1_000:.3f}, {total}"


class Measures:
    """This process's counters; nobody's, until `join` says which web process it is."""

    def __init__(self, settings: Settings) -> None:
        self.slot = Slot()
        self._path = settings.metrics_path

    def join(self, number: int, carrier: Carrier, streams: Streams) -> None:
        """Count as web process `number` from now on."""
        if number <= WEBS_MAX:
            self.slot.take(Metrics(self._path).web(number))
            self.slot.beat()
            gevent.spawn(self._beat, carrier, streams)

    def _beat(self, carrier: Carrier, streams: Streams) -> None:
        while True:
            self.slot.set(IN_FLIGHT, carrier.in_flight)
            self.slot.set(STREAMS, len(streams))
            self.slot.beat()
            gevent.sleep(BEAT_SECONDS)

    def purchase(self, asked: Asked) -> None:
        """Count a purchase that is answered now."""
        slot = self.slot
        slot.count(_WORDS.get(asked.outcome, _OTHER))
        slot.observe(PURCHASE_TIME, clock_us() - asked.began_us)
        if times := asked.times_us():
            slot.observe(QUEUE_TIME, times[0])
            slot.observe(SETTLE_TIME, times[1])
