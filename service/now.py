"""How the service stands at this moment: what this host counts, the workers, every event's stock.

Counters only grow while the service runs; rates are the difference of two answers.
"""

from __future__ import annotations

import socket
from typing import Final, Literal, NamedTuple

from msgspec import Struct
from msgspec.structs import asdict

from service.desk import Desk
from service.problems import UNREADABLE
from service.stores import Store
from service.views import Count, EventStock, Moment, Worker, to_rfc3339, view_stock, view_worker
from workers import metrics
from workers.domain import Event
from workers.errors import NoLedger
from workers.hearts import clock_ms, wall_ms
from workers.host_metrics import HostMetrics
from workers.metrics import Counter, Histogram, total
from workers.settings import Settings


class Distribution(Struct):
    """How often values fell into ranges that end at `bounds`; `counts` has one more, for above."""

    count: Count
    sum: float
    bounds: list[float]
    counts: list[Count]


class ThisHost(Struct):
    """What the processes of the host that answers have counted since `started_at`."""

    name: str
    started_at: Moment
    web_processes: Count
    in_flight: Count
    streams: Count
    purchases: dict[str, Count]
    purchase_seconds: Distribution
    queue_seconds: Distribution
    settle_seconds: Distribution
    lock_wait_seconds: Distribution
    lock_held_seconds: Distribution
    commit_seconds: Distribution
    batch_size: Distribution
    frames_resent: Count
    fenced_commits: Count
    inconsistent_batches: Count
    ledger_faults: dict[str, Count]
    workers_hung: Count
    worker_restarts: Count
    web_process_restarts: Count
    web_server_restarts: Count


class Shard(Struct):
    """One part of a ledger in Redis: frames on its stream, and whether it came back older."""

    shard: int
    frames_waiting: Count
    workers: Count
    older: bool


class EventNow(EventStock, kw_only=True):
    """An event's stock, its name, and how long its journal is."""

    name: str
    entries: Count


class Now(Struct):
    """All of it. `clock_ms` is the host's monotonic clock, to divide differences by."""

    as_of: Moment
    clock_ms: Count
    hosts: Literal["one", "many"]
    ledger: Literal["readable", "unreadable", "none"]
    troubles: list[str]
    this_host: ThisHost
    workers: list[Worker]
    shards: list[Shard]
    events: list[EventNow]


def view_event_now(event: Event, now_ms: int) -> EventNow:
    """Return an event as an operator sees it."""
    stock = asdict(view_stock(event, now_ms))
    return EventNow(**stock, name=event.name, entries=event.entries)


class _Ledger(NamedTuple):
    state: Literal["readable", "unreadable", "none"]
    workers: list[Worker]
    shards: list[Shard]
    events: list[EventNow]


class Watch:
    """Looks at this host's counters and at the ledger."""

    def __init__(self, settings: Settings, store: Store, desk: Desk) -> None:
        self._metrics = HostMetrics(settings).metrics
        self._store = store
        self._desk = desk
        self._hosts: Final[Literal["one", "many"]] = "one" if settings.lock == "process" else "many"

    def now(self) -> Now:
        """Return how it stands. What cannot be read is told as such: that is what one looks for."""
        ledger = self._read()
        return Now(
            as_of=to_rfc3339(wall_ms()),
            clock_ms=clock_ms(),
            hosts=self._hosts,
            ledger=ledger.state,
            troubles=self._desk.faults,
            this_host=self._count(),
            workers=ledger.workers,
            shards=ledger.shards,
            events=ledger.events,
        )

    def _read(self) -> _Ledger:
        try:
            workers = [view_worker(known) for known in self._store.workers()]
        except UNREADABLE:  # they tell Redis of themselves
            return _Ledger("unreadable", [], [], [])
        try:
            shards = [
                Shard(state.shard, state.frames, state.workers, bool(state.older))
                for state in self._store.shards()
            ]
            now = wall_ms()
            events = [view_event_now(event, now) for event in self._store.reader.events()]
        except NoLedger:
            return _Ledger("none", workers, [], [])
        except UNREADABLE:
            return _Ledger("unreadable", workers, [], [])
        return _Ledger("readable", workers, shards, events)

    def _count(self) -> ThisHost:
        slots, alive = self._metrics.slots(), self._metrics.webs_alive()

        def count(counter: Counter) -> int:
            return sum(counter.totals(slots).values())

        def spread(histogram: Histogram) -> Distribution:
            counts, sum_ = histogram.totals(slots)
            return Distribution(sum(counts), sum_, histogram.edges, counts)

        def restarts(of: list[memoryview]) -> int:
            return sum(max(0, slot[metrics.STARTS] - 1) for slot in of)

        return ThisHost(
            name=socket.gethostname(),
            started_at=to_rfc3339(self._metrics.supervisor[metrics.SINCE]),
            web_processes=len(alive),
            in_flight=total(alive, metrics.IN_FLIGHT),
            streams=total(alive, metrics.STREAMS),
            purchases=metrics.PURCHASES.totals(slots),
            purchase_seconds=spread(metrics.PURCHASE_TIME),
            queue_seconds=spread(metrics.QUEUE_TIME),
            settle_seconds=spread(metrics.SETTLE_TIME),
            lock_wait_seconds=spread(metrics.LOCK_WAIT),
            lock_held_seconds=spread(metrics.LOCK_HELD),
            commit_seconds=spread(metrics.COMMIT_TIME),
            batch_size=spread(metrics.BATCH),
            frames_resent=count(metrics.RESENT),
            fenced_commits=count(metrics.FENCED),
            inconsistent_batches=count(metrics.INCONSISTENT),
            ledger_faults=metrics.FAULTS.totals(slots),
            workers_hung=count(metrics.HUNG),
            worker_restarts=restarts(list(self._metrics.workers().values())),
            web_process_restarts=restarts(self._metrics.webs()),
            web_server_restarts=count(metrics.SERVERS),
        )
