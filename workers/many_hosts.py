"""The site of many hosts: ledger, hand-off and lock in Redis. Workers and webs meet there only.

Each worker serves one shard. A lock is a lease there: who dies with it keeps it until it expires,
or until the worker in its place gives it back, which is the first thing that one does. So nobody
else has to start again.
"""

from __future__ import annotations

import logging
import socket
import time
from typing import Final

from workers.errors import BadSetting, BootFailed, StartAgain, Unavailable
from workers.handoffs.redis_stream import RedisInbox
from workers.hearts import Heart, Pulse
from workers.ledgers.redis import RedisLedger
from workers.locks import RedisLock
from workers.metrics import Metrics, Slot
from workers.settings import Settings
from workers.shards.pulses import name_of
from workers.shards.server import Server, open_server
from workers.shards.turn import Turn, release_for
from workers.worker import WAIT_SECONDS, Worker

log = logging.getLogger(__name__)

BOOT_AGAIN_SECONDS: Final = 0.5  # a Redis that restarts is not back in less


class ManyHosts:
    """What the workers of all pools share, as one host sees it. `pool`: whether it has workers."""

    def __init__(self, settings: Settings, *, pool: bool = True) -> None:
        self._settings = settings
        self._has_pool = pool
        self._host = socket.gethostname()
        self._dead: dict[int, str] = {}  # by worker, whose lock the one in its place gives back

    def prepare(self) -> None:
        """Say which Redis it is, and refuse one that breaks the promise.

        And a pool that cannot serve every shard, before anything is written. Raises BadSetting.
        """
        server = open_server(self._settings)
        try:
            warnings = server.check()
            self._agree_on_shards(server)
            known, shards = server.identity() is not None, server.shards
        finally:
            server.close()
        where = self._settings.redis_shown
        if known:
            log.info("the ledger in %s has shards: %d", where, shards)
        else:
            log.info("no ledger in %s; the first event makes one", where)
        for warning in warnings:
            log.warning("Redis may lose sales: %s", warning)

    def begin_generation(self) -> None:
        """Nothing is inherited: each worker opens its own connections."""

    def boot(self, heart: Heart) -> Worker:
        """Put a worker together, however long Redis cannot be reached. Raises BootFailed."""
        said = False
        slot = Slot(Metrics(self._settings.metrics_path).worker(heart.pulse().worker))
        while True:
            try:
                return self._boot(heart, slot)
            except BadSetting as error:
                raise BootFailed(str(error)) from error
            except Unavailable as fault:
                if not said:
                    log.error("not yet: %s", fault)
                said = True
                heart.beat()
                time.sleep(BOOT_AGAIN_SECONDS)

    def leave(self, worker: Worker) -> None:
        """Leave the shard to the others."""
        worker.close()

    def free_lock_of(self, dead: Pulse) -> bool:
        """Leave it to the next worker: nobody here waits for Redis."""
        if dead.ready:  # or it never had the lock, nor gave back that of the one before it
            self._dead[dead.worker] = name_of(self._host, dead)
        return True

    def look(self, *, ready: bool) -> None:
        """Each worker looks for itself."""

    def _agree_on_shards(self, server: Server) -> None:
        """Refuse what does not fit, and only then tell others. Raises BadSetting, LedgerFault."""
        server.check_shards()
        if self._has_pool:
            _check_workers(self._settings, server)
        server.propose_shards()

    def _boot(self, heart: Heart, slot: Slot) -> Worker:
        settings, pulse = self._settings, heart.pulse()
        server = open_server(settings)
        self._agree_on_shards(server)
        shards = server.shards
        shard = (pulse.worker - 1) % shards + 1
        turn = Turn(
            server,
            shard,
            owner=name_of(self._host, pulse),
            ttl_ms=settings.lock_ttl_ms,
            heart=heart,
            shards=shards,
            slot=slot,
        )
        if pulse.worker in self._dead:
            release_for(server, shard, self._dead[pulse.worker])
        inbox, ledger = RedisInbox(turn), RedisLedger(turn, settings.redis_replicas)
        return Guest(inbox, RedisLock(turn), ledger, heart, turn.now, settings.batch_max, slot)


class Guest(Worker):
    """A worker that leaves when it is told to: what waits is in Redis, for any other one."""

    def run(self) -> None:
        """Work until told to stop."""
        try:
            while not self.stopping:
                self.run_once(WAIT_SECONDS)
        except StartAgain:
            self.inbox.close()
            raise


def _check_workers(settings: Settings, server: Server) -> None:
    shards = server.shards
    if settings.workers < shards:
        known = server.identity() is not None
        ledger = "the ledger has shards" if known else "the new ledger shall have shards"
        raise BadSetting(
            f"SOLDOUT_WORKERS={settings.workers}: fewer than {ledger}, {shards};"
            " each needs a worker in every pool"
        )
