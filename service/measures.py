"""What one web process counts: answers to purchases and how long they took."""

from __future__ import annotations

from typing import Final

import gevent

from workers.handoffs.courier import Receipt
from workers.handoffs.couriers import Carrier
from workers.metrics import (
    IN_FLIGHT,
    OUTCOMES,
    PURCHASE_TIME,
    PURCHASES,
    QUEUE_TIME,
    SETTLE_TIME,
    WEBS_MAX,
    Metrics,
    Slot,
    clock_us,
)
from workers.settings import Settings

BEAT_SECONDS: Final = 0.5  # what is true of now is taken for true for four times as long

_WORDS: Final = {outcome: PURCHASES.of(outcome) for outcome in OUTCOMES}
_OTHER: Final = PURCHASES.of("internal-error")


class Measures:
    """This process's counters; nobody's, until `join` says which web process it is."""

    def __init__(self, settings: Settings) -> None:
        self.slot = Slot()
        self._path = settings.metrics_path

    def join(self, number: int, carrier: Carrier) -> None:
        """Count as web process `number` from now on."""
        if number <= WEBS_MAX:
            self.slot.take(Metrics(self._path).web(number))
            self.slot.beat()
            gevent.spawn(self._beat, carrier)

    def _beat(self, carrier: Carrier) -> None:
        while True:
            self.slot.set(IN_FLIGHT, carrier.in_flight)
            self.slot.beat()
            gevent.sleep(BEAT_SECONDS)

    def purchase(self, outcome: str, began_us: int, receipt: Receipt | None = None) -> None:
        """Count a purchase that is answered now, and began then."""
        slot = self.slot
        slot.count(_WORDS.get(outcome, _OTHER))
        slot.observe(PURCHASE_TIME, clock_us() - began_us)
        if receipt is not None and receipt.settled_us:
            slot.observe(QUEUE_TIME, receipt.sent_us - receipt.handed_us)
            slot.observe(SETTLE_TIME, receipt.settled_us - receipt.sent_us)
