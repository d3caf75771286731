"""What a web process reads and hands over to, by the settings: this host's ledger, or Redis."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

import gevent

from workers.complaints import Complaints
from workers.errors import BootFailed, LedgerFault
from workers.handoffs.courier import Courier
from workers.handoffs.couriers import Carrier, Couriers
from workers.handoffs.unix_socket import UnixLane
from workers.hearts import Hearts, HostPulse
from workers.ledgers import LedgerReader
from workers.ledgers.sqlite_reader import SqliteReader
from workers.metrics import BATCH, Metrics, Slot, total
from workers.settings import Settings
from workers.shards.state import ShardState

if TYPE_CHECKING:
    from workers.ledgers.redis_reader import RedisReader

log = logging.getLogger(__name__)

# To a shard. With two, frames are half as large, and a sale costs a tenth more. And what is sent
# again must go on the same one, which counts its frames: so is told what comes late.
LANES: Final = 1
LOOK_SECONDS: Final = 1.0  # between two looks at Redis of a web process that is asked for nothing
PATIENCE_SECONDS: Final = 1.0  # without Redis, before a buyer is told to come again


class Store(NamedTuple):
    """The ledger as a web process sees it."""

    reader: LedgerReader
    carrier: Carrier
    settled: Callable[[], int]  # grows with answers: what was read before them is out of date
    workers: Callable[[], list[HostPulse]]  # all that are known
    shards: Callable[[], list[ShardState]] = list  # how each one in Redis stands


def open_store(settings: Settings, slot: Slot) -> Store:
    """Open the ledger and start the couriers, which count in `slot`.

    Raises BadSetting, BootFailed.
    """
    return (_on_one_host if settings.lock == "process" else _on_many_hosts)(settings, slot)


def _on_one_host(settings: Settings, slot: Slot) -> Store:
    reader = SqliteReader(settings.ledger_path)
    lanes = [UnixLane(settings.run_path, worker) for worker in range(1, settings.workers + 1)]
    courier = Courier(
        lanes, max_in_flight=settings.max_in_flight, frame_max=settings.batch_max, slot=slot
    )
    courier.start()
    hearts = Hearts(settings.run_path / "hearts", settings.workers)
    metrics = Metrics(settings.metrics_path)
    pool = [metrics.worker(worker) for worker in range(1, settings.workers + 1)]
    host = socket.gethostname()
    return Store(
        reader,
        courier,
        # A worker counts what it has committed before it answers: to any web process of the host.
        lambda: total(pool, BATCH.sum_at),
        lambda: [HostPulse(host, pulse) for pulse in hearts.pulses()],
    )


def _on_many_hosts(settings: Settings, slot: Slot) -> Store:
    # One host needs no Redis: loading its driver would cost each start a fifth of a second.
    from workers.handoffs.redis_stream import RedisLane  # noqa: PLC0415
    from workers.ledgers.redis_reader import RedisReader  # noqa: PLC0415
    from workers.shards.server import open_server  # noqa: PLC0415

    server = open_server(settings)
    reader = RedisReader(server)

    def start(shard: int) -> Courier:
        courier = Courier(
            [RedisLane(server, shard, slot) for _ in range(LANES)],
            max_in_flight=settings.max_in_flight,
            frame_max=settings.batch_max,
            patience_seconds=PATIENCE_SECONDS,
            slot=slot,
        )
        courier.start()
        return courier

    gevent.spawn(_keep_looking, reader)  # while the process lives
    couriers = Couriers(server, reader, start, settings.max_in_flight)
    return Store(reader, couriers, lambda: couriers.settled, reader.workers, reader.shards)


def _keep_looking(reader: RedisReader) -> None:
    """Find out soon that Redis lost what this process has seen, though nobody asks it anything."""
    looked_at: set[int] = set()
    while True:
        gevent.sleep(LOOK_SECONDS)
        with suppress(LedgerFault, BootFailed):  # which is told to whoever asks for something
            for shard in set(range(1, reader.shard_count + 1)) - looked_at:
                looked_at.add(shard)
                gevent.spawn(_look_at, reader, shard)


def _look_at(reader: RedisReader, shard: int) -> None:
    complaints = Complaints(log)
    while True:
        gevent.sleep(LOOK_SECONDS)
        try:
            reader.look(shard)
        except LedgerFault:
            continue
        except Exception as bug:
            complaints.say(
                "it cannot be seen whether shard %d has all that was sold: %r", shard, bug
            )
        else:
            complaints.over(f"it is seen again that shard {shard} has all that was sold")
