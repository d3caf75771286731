"""For Prometheus: `GET /metrics`, what this host's processes count and how the stock stands.

Counters are read at each scrape, so that they never go back, whichever web process is asked. What
is read from the ledger is shared by who asks within a second: a read stops other requests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from flask import Blueprint, request
from gevent.lock import Semaphore

from service.answers import NOT_STORED, Answer, answer
from service.problems import UNREADABLE, Problem
from service.stores import Store
from workers.domain import Event
from workers.errors import NoLedger
from workers.exposition import MEDIA_TYPE, Family, Sample, gauge, write
from workers.hearts import clock_ms, wall_ms
from workers.host_metrics import HostMetrics
from workers.metrics import IN_FLIGHT, Slot
from workers.settings import Settings
from workers.shards.state import ShardState

EVENTS_MAX: Final = 100  # four series each; those on sale first, the newest of them
SAME_STOCK_MS: Final = 1_000


class Exporter:
    """What is exported of the host, of the stock, and of the shards in Redis."""

    def __init__(self, settings: Settings, store: Store, slot: Slot) -> None:
        self._host = HostMetrics(settings)
        self._store = store
        self._slot = slot
        self._one_reads = Semaphore()
        self._stock: list[Family] = []
        self._read_ms = -SAME_STOCK_MS

    def page(self) -> bytes:
        """Return all of it, as Prometheus reads it."""
        self._slot.set(IN_FLIGHT, self._store.carrier.in_flight)
        stock = self._read()
        return write([*self._host.families(), *stock])

    def _read(self) -> list[Family]:
        with self._one_reads:
            if clock_ms() - self._read_ms >= SAME_STOCK_MS:
                self._stock = self._ask()
                self._read_ms = clock_ms()
            return self._stock

    def _ask(self) -> list[Family]:
        try:
            stock = [
                *stock_of(self._store.reader.events(), wall_ms()),
                *shards_of(self._store.shards()),
            ]
        except NoLedger:
            stock = []
        except UNREADABLE:  # it is what there is to tell, and no reason to tell nothing
            return [_ledger_up(0)]
        return [_ledger_up(1), *stock]


def _ledger_up(value: int) -> Family:
    return gauge("soldout_ledger_up", "Whether the ledger could be read for this page.", value)


def stock_of(events: list[Event], now_ms: int) -> list[Family]:
    """Return the stock by state of up to EVENTS_MAX events, and how many events there are."""
    numbered = sorted(
        enumerate(events), key=lambda pair: (pair[1].status(now_ms) == "closed", -pair[0])
    )
    shown = [event for _, event in numbered[:EVENTS_MAX]]
    states: dict[str, Callable[[Event], int]] = {
        "sold": lambda event: sum(t.sold for t in event.ticket_types),
        "held": lambda event: sum(t.held for t in event.ticket_types),
        "remaining": lambda event: sum(t.remaining for t in event.ticket_types),
    }
    return [
        Family(
            "soldout_tickets",
            "gauge",
            f"Tickets of an event by state; of {EVENTS_MAX} events, those not closed first.",
            [
                Sample(count(event), {"event": event.id, "state": state})
                for event in shown
                for state, count in states.items()
            ],
        ),
        Family(
            "soldout_tickets_capacity",
            "gauge",
            "Tickets that an event has: those sold, held and remaining together.",
            [Sample(sum(t.capacity for t in e.ticket_types), {"event": e.id}) for e in shown],
        ),
        gauge("soldout_events", "Events that there are, whether shown here or not.", len(events)),
    ]


def shards_of(states: list[ShardState]) -> list[Family]:
    """Return how the shards in Redis stand; nothing on one host, which has none."""

    def family(name: str, meaning: str, value: Callable[[ShardState], int]) -> Family:
        samples = [Sample(value(state), {"shard": str(state.shard)}) for state in states]
        return Family(name, "gauge", meaning, samples)

    return [
        family(
            "soldout_shard_frames_waiting",
            "Frames of purchases on a shard's stream; every host sees the same.",
            lambda state: state.frames,
        ),
        family(
            "soldout_shard_workers",
            "Workers of a shard that were heard of lately; every host sees the same.",
            lambda state: state.workers,
        ),
        family(
            "soldout_shard_older",
            "Whether a shard came back older than it was seen, so that nobody sells from it.",
            lambda state: int(state.older),
        ),
    ]


def blueprint(
    exporter: Exporter, settings: Settings, check_admin: Callable[[str | None], None]
) -> Blueprint:
    """Return the route for Prometheus; who may read it, the settings say."""
    routes = Blueprint("metrics", __name__)

    @routes.get("/metrics")
    def metrics() -> Answer:
        if settings.metrics == "off":
            raise Problem("not-found", "Metrics are not exported here.")
        if settings.metrics == "admin":
            check_admin(request.headers.get("Authorization"))
        return answer(exporter.page(), 200, NOT_STORED, media_type=MEDIA_TYPE)

    return routes
