"""How a service stands at one moment, as `GET /admin/now` says it."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from service.client.results import EventStock, Worker


class Distribution(Struct, frozen=True):
    """How often values fell into ranges that end at `bounds`; `counts` has one more, for above."""

    count: int
    sum: float
    bounds: tuple[float, ...]
    counts: tuple[int, ...]


class ThisHost(Struct, frozen=True):
    """What the processes of the host that answers have counted since `started_at`."""

    name: str
    started_at: datetime
    web_processes: int
    in_flight: int
    streams: int
    purchases: dict[str, int]
    purchase_seconds: Distribution
    queue_seconds: Distribution
    settle_seconds: Distribution
    lock_wait_seconds: Distribution
    lock_held_seconds: Distribution
    commit_seconds: Distribution
    batch_size: Distribution
    frames_resent: int
    fenced_commits: int
    inconsistent_batches: int
    ledger_faults: dict[str, int]
    workers_hung: int
    worker_restarts: int
    web_process_restarts: int
    web_server_restarts: int


class Shard(Struct, frozen=True):
    """One part of a ledger in Redis: frames on its stream, and whether it came back older."""

    shard: int
    frames_waiting: int
    workers: int
    older: bool


class EventNow(EventStock, frozen=True, kw_only=True):
    """An event's stock, its name, and how long its journal is."""

    name: str
    entries: int


class Now(Struct, frozen=True):
    """All of it. `clock_ms` is the host's monotonic clock, to divide differences by."""

    as_of: datetime
    clock_ms: int
    hosts: str
    ledger: str
    troubles: tuple[str, ...]
    this_host: ThisHost
    workers: tuple[Worker, ...]
    shards: tuple[Shard, ...]
    events: tuple[EventNow, ...]
