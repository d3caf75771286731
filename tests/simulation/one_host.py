"""The world of one host: supervisor, pool, workers and web processes on a disk that may fail.

Real: `Pool`, `OneHost`, `Worker`, the lock and its tokens, `SqliteLedger`, both ends of the Unix
socket, `Courier`, `Desk`, `open_store`. The supervisor's loop, and gunicorn, which starts web
processes again, are a few lines here.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import apsw

from service.desk import Desk
from service.stores import open_store
from tests.simulation import disk, sockets
from tests.simulation.scheduler import Host, Process, sim
from tests.simulation.shop import Shop, Web
from tests.simulation.stand_ins import Fork, wait_for_end
from workers.domain import Order
from workers.errors import LedgerFault
from workers.ledgers.sqlite_reader import SqliteReader
from workers.ledgers.sqlite_rows import to_blob
from workers.one_host import OneHost
from workers.pool import Pool
from workers.settings import Settings

LOOK_SECONDS: Final = 0.2
CHECKED_AT_ONCE: Final = 0.2  # of all confirmations: was it durable at that moment?


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
        self.power_failures = 0
        shop.when_sold = self._is_durable
        self._checked = self.folder / "checked"

    # --- what runs ---

    def boot(self) -> None:
        """Switch the host on."""
        self.host.up = True
        self.supervisor = sim().process("supervisor", self.host, immortal=True)
        sim().spawn(self.supervisor, self._supervise)

    def _supervise(self) -> None:
        site = OneHost(self.settings)
        pool = Pool(self.settings, site)
        site.prepare()
        pool.start()
        webs = False
        while True:
            forks: list[Fork] = list(pool._processes.values())  # type: ignore[arg-type]
            wait_for_end(forks, LOOK_SECONDS)
            pool.manage()
            if pool.ready and not webs:
                webs = True
                for _ in range(self.settings.web_processes):
                    self._start_web()

    def _start_web(self) -> None:
        if not self.host.up:
            return
        process = sim().process(f"web-{len(self.host.processes)}", self.host)
        supervisor = self.supervisor

        def start_again() -> None:
            if not supervisor.dead:
                sim().later(0.1, self._start_web)

        process.at_end.append(start_again)
        sim().spawn(process, self._serve, process)

    def _serve(self, process: Process) -> None:
        while True:
            try:
                store = open_store(self.settings)
                break
            except LedgerFault as fault:
                sim().note(f"not yet: {fault}")
                sim().sleep(0.1)
        web = Web(process, Desk(self.settings, store.carrier), store)
        self.shop.webs.append(web)
        process.at_death.append(lambda: self.shop.webs.remove(web))

    # --- what happens to it ---

    def die(self, *, power: bool) -> None:
        """End all processes; without `power`, so does what the kernel knew."""
        if not self.host.up:
            return
        self.host.up = False
        sim().note("the power fails" if power else "all processes are killed")
        for process in self.host.processes:
            sim().kill(process)
        sim().later(0.0, lambda: self._come_back(power))

    def _come_back(self, power: bool) -> None:  # noqa: FBT001
        if power:
            self.power_failures += 1
            self.disk.lose_power()
            self.host.monotonic_us = sim().rng.randrange(10**9)
        sim().later(sim().rng.random(), self.boot)

    def set_clock(self) -> None:
        """Set the wall clock, forwards or back."""
        self.host.wall_us += sim().rng.choice((-3_600, -5, 5, 86_400)) * 1_000_000
        sim().note("the clock is set")

    # --- what must hold ---

    def _is_durable(self, order: Order) -> None:
        """Look whether an order that is confirmed now would survive if the power failed now."""
        if not sim().chance(CHECKED_AT_ONCE):
            return
        for path in self.folder.glob("checked*"):
            path.unlink()
        for path, content in self.disk.certain().items():
            name = Path(path).name.replace("ledger.db", "checked")
            (self.folder / name).write_bytes(content)
        connection = apsw.Connection(str(self._checked), vfs="unix")
        try:
            found = connection.execute(
                "SELECT count(*) FROM orders WHERE id = ?", (to_blob(order.id),)
            ).get
        except apsw.Error as error:
            found = str(error)
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
