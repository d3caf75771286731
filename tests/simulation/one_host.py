"""The world of one host: supervisor, pool, workers and web processes on a disk that may fail.

Real: `Supervisor`, `Pool`, `OneHost`, `Worker`, the lock and its tokens, `SqliteLedger`, both ends
of the Unix socket, `Courier`, `Desk`, `open_store`.
"""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any, Final

import apsw

from tests.simulation import disk, sockets
from tests.simulation.hosts import drain, kill_host, start_pool, start_web
from tests.simulation.scheduler import Host, sim
from tests.simulation.shop import Shop
from tests.simulation.watch import WatchedLedger
from workers.domain import Sold, order_id_bytes
from workers.hearts import Heart
from workers.ledgers.sqlite_reader import SqliteReader
from workers.one_host import OneHost
from workers.worker import Worker

CHECKED_AT_ONCE: Final = 0.2  # of all sales: are they durable when they are confirmed?


class OneHostWorld:
    """One host that sells, and what may happen to it."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.settings = shop.settings
        self.folder = self.settings.data_path
        shutil.rmtree(self.folder, ignore_errors=True)
        self.settings.run_path.mkdir(parents=True)
        self.disk = disk.Disk()
        self.network = sockets.Network()
        disk.use(self.disk)
        sockets.use(self.network)
        rng = sim().rng
        self.host = Host("host", monotonic_us=rng.randrange(10**9), wall_us=1_700_000_000_000_000)
        self.host.settings = self.settings
        self.power_failures = 0
        shop.when_sold = self._is_durable
        self._checked = self.folder / "checked"

    @property
    def up(self) -> bool:
        return self.host.up

    def boot(self) -> None:
        """Switch the host on: the pool, and the web when that is ready."""
        supervisor = start_pool(self.host, lambda: WatchedHost(self.settings))

        def then_web() -> None:
            while self.host.pool is None or not self.host.pool.ready:
                sim().sleep(0.01)
            start_web(self.host, self.shop)

        sim().spawn(supervisor, then_web)

    # --- what happens to it ---

    def draw_faults(self, seconds: float, drawn: Any, _puts_again: Any) -> None:
        """Draw what this run has to go through."""
        rng = sim().rng
        self.network.cut_chance = drawn(0.001, 0.01, 0.1)
        self.network.slow_chance = drawn(0.01, 0.1, 0.5)
        self.disk.full_chance = drawn(0.001, 0.02)
        self.disk.write_fault_chance = drawn(0.001, 0.02)
        self.disk.sync_fault_chance = drawn(0.01, 0.1, 0.3)
        self.disk.sync_that_fails = rng.choice((0, 0, 0, 1, 2, 3, 4, 5))  # while a ledger is made
        self.disk.slow_chance = drawn(0.05)
        self.disk.crash_chance = drawn(0.02, 0.05)
        self.disk.crash = lambda: self.die(power=rng.random() < 0.5)
        self.disk.pages_in_wal = rng.choice((1_000, 20, 3))
        for _ in range(rng.choice((0, 0, 1, 2))):
            power = rng.random() < 0.6
            sim().later(rng.random() * seconds, partial(self.die, power=power))
        if rng.random() < 0.2:
            sim().later(rng.random() * seconds, self._set_clock)
        if rng.random() < 0.2:
            sim().later(rng.random() * seconds, partial(drain, self.host))

    def end_faults(self) -> None:
        """Let everything be well from now on."""
        self.network.cut_chance = self.network.slow_chance = 0.0
        self.disk.full_chance = self.disk.write_fault_chance = 0.0
        self.disk.sync_fault_chance = self.disk.slow_chance = self.disk.crash_chance = 0.0

    def die_at_next_fsync(self) -> None:
        """End all processes, but not the kernel, when a batch is written and not yet synced."""

        def die() -> None:
            self.disk.crash_chance = 0.0
            self.die(power=False)

        self.disk.crash_chance, self.disk.crash = 1.0, die

    def die(self, *, power: bool) -> None:
        """End all processes; with `power`, so does what the kernel knew."""
        if not self.host.up:
            return
        sim().note("the power fails" if power else "all processes are killed")
        kill_host(self.host)
        sim().later(0.0, lambda: self._come_back(power))

    def _come_back(self, power: bool) -> None:
        if power:
            self.power_failures += 1
            self.disk.lose_power()
            self.host.monotonic_us = sim().rng.randrange(10**9)
        sim().later(sim().rng.random(), self.boot)

    def _set_clock(self) -> None:
        """Set the wall clock, forwards or back."""
        self.host.wall_us += sim().rng.choice((-3_600, -5, 5, 86_400)) * 1_000_000
        sim().note("the clock is set")

    # --- what must hold ---

    def _is_durable(self, sold: Sold) -> None:
        """Look whether an order that is confirmed now would survive if the power failed now."""
        order = sold.order
        if not sold.replayed and not sim().chance(CHECKED_AT_ONCE):
            return  # a replay is always looked at: it syncs nothing by itself
        for path in self.folder.glob("checked*"):
            path.unlink()
        for name, content in self.disk.certain().items():
            copy = self.folder / Path(name).name.replace("ledger.db", "checked")
            copy.write_bytes(content)
        connection = apsw.Connection(str(self._checked), vfs="unix")
        try:
            found: Any = connection.execute(
                "SELECT count(*) FROM orders WHERE id = ?", (order_id_bytes(order.id),)
            ).get
        except apsw.Error as error:
            found = f"no ledger there: {error}"
        finally:
            connection.close()
        if found != 1:
            sim().fail(f"order {order.id} is confirmed and not on the disk: {found}")

    def check(self) -> None:
        """Lose power a last time, and hold the ledger against what was told."""
        sim().end()
        self.disk.lose_power()
        reader = SqliteReader(self.settings.ledger_path)
        self.shop.check(reader)
        reader.close()


class WatchedHost(OneHost):
    """The product's, whose workers' commits are noted."""

    def boot(self, heart: Heart) -> Worker:
        worker = super().boot(heart)
        worker.ledger = WatchedLedger(worker, in_transaction=True)
        return worker
