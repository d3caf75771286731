"""The world of many hosts: two pools, a web host or two, and one Redis that they meet in.

Real: `Supervisor`, `Pool`, `ManyHosts`, `Worker`, `Turn`, `RedisLedger`, `RedisLock`, the lanes and
the inbox, `Couriers`, `Server`, `Memory`, `RedisReader`, and every Lua script.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import msgspec

from tests.simulation.hosts import drain, kill_host, pause, start_pool, start_web
from tests.simulation.redis_wire import Engine, Redis
from tests.simulation.scheduler import Host, Process, here, sim
from tests.simulation.shop import Shop, Wish
from tests.simulation.watch import WatchedLedger
from workers.domain import Item, Sold
from workers.hearts import Heart
from workers.ledgers.redis_reader import RedisReader
from workers.many_hosts import ManyHosts
from workers.shards import topology
from workers.shards.server import open_server
from workers.worker import Worker

ONE: Final = [Item(None, 1)]
ASLEEP_SECONDS: Final = 1.5
FOUND_SECONDS: Final = 3.0  # a web process looks once a second, at a Redis that takes its time


class ManyHostsWorld:
    """All hosts, and what may happen to them."""

    power_failures = 0

    def __init__(self, shop: Shop, engine: Engine) -> None:
        self.shop = shop
        shutil.rmtree(shop.settings.data_path, ignore_errors=True)
        self.redis = Redis(engine)
        _redises[:] = [self.redis]
        rng = sim().rng
        self.pools = [self._host(f"pool-{name}") for name in "ab"[: rng.choice((1, 2))]]
        self.webs = [self._host(f"web-{name}") for name in "ab"[: rng.choice((1, 2))]]

    def _host(self, name: str) -> Host:
        rng = sim().rng
        host = Host(name, monotonic_us=rng.randrange(10**9))
        host.wall_us = 1_700_000_000_000_000 + rng.choice((0, -3_600, 7)) * 1_000_000
        data_dir = str(self.shop.settings.data_path / name)
        host.settings = msgspec.structs.replace(self.shop.settings, data_dir=data_dir)
        host.settings.run_path.mkdir(parents=True)
        return host

    @property
    def up(self) -> bool:
        return self.redis.up and all(host.up for host in (*self.pools, *self.webs))

    def boot(self) -> None:
        """Switch everything on."""
        for host in self.pools:
            start_pool(host, lambda host=host: WatchedHosts(host.settings))  # type: ignore[misc]
        for host in self.webs:
            start_web(host, self.shop)

    # --- what happens ---

    def draw_faults(self, seconds: float, drawn: Any, puts_again: Callable[[], None]) -> None:
        """Draw what this run has to go through."""
        rng = sim().rng
        self.redis.when_empty = puts_again
        self.redis.cut_chance = drawn(0.002, 0.02)
        self.redis.slow_chance = drawn(0.01, 0.1)
        for _ in range(rng.choice((0, 0, 1, 2))):
            sim().later(
                rng.random() * seconds, lambda: self._kill(rng.choice((*self.pools, *self.webs)))
            )
        for _ in range(rng.choice((0, 0, 1, 2))):
            down = rng.choice((0.01, 0.5, 3.0))
            sim().later(rng.random() * seconds, partial(self.redis.crash, down))
        if rng.random() < 0.2:
            sim().later(rng.random() * seconds, self._set_clock)
        if rng.random() < 0.2:
            host = rng.choice((*self.pools, *self.webs))
            sim().later(rng.random() * seconds, partial(pause, host, rng.choice((0.3, 2.5, 6.0))))
        if rng.random() < 0.2:
            sim().later(rng.random() * seconds, partial(drain, rng.choice(self.pools)))
        if rng.random() < 0.15:
            sim().later(rng.random() * seconds, partial(self._lose_data, seconds / 4))

    def end_faults(self) -> None:
        """Let everything be well from now on."""
        self.redis.cut_chance = self.redis.slow_chance = 0.0

    def die_at_next_fsync(self) -> None:
        """Nothing: a Redis answers after its own fsync, or not at all."""

    def _kill(self, host: Host) -> None:
        if not host.up:
            return
        sim().note(f"{host.name} dies")
        kill_host(host)

        def back() -> None:
            if host in self.pools:
                start_pool(host, lambda: WatchedHosts(host.settings))
            else:
                start_web(host, self.shop)

        sim().later(sim().rng.random(), back)

    def _lose_data(self, for_seconds: float) -> None:
        """Have Redis come back empty, if every host has seen its ledger: others cannot know."""
        hosts = (*self.pools, *self.webs)
        if all((host.settings.data_path / "seen" / "ledger").exists() for host in hosts):
            self.redis.come_back_empty(for_seconds)

    def _set_clock(self) -> None:
        """Set the clock of some host, or of Redis' own, forwards."""
        host = sim().rng.choice((None, *self.pools, *self.webs))
        if host is None:
            sim().note("the clock of Redis is set")
            self.redis.wall_us += sim().rng.choice((1, 60)) * 1_000_000
        else:
            host.wall_us += sim().rng.choice((-3_600, 5)) * 1_000_000

    # --- what must hold ---

    def check(self) -> None:
        """Hold the ledger against what was told."""
        judge = sim().process("judge", Host("judge"), immortal=True)
        reader = RedisReader(open_server(self.shop.settings))
        task = sim().spawn(judge, self.shop.check, reader)
        sim().run(lambda: task not in judge.tasks, steps=10_000, seconds=60)
        if sim().chance(0.3) and not sim().failures:
            self._come_back_older()
        sim().end()

    def _come_back_older(self) -> None:
        """Have Redis lose a sale that one web process has told of; it sleeps, and no buyer asks it.

        Others, who know nothing of that sale, may sell from what came back until it is awake.
        """
        shop, people = self.shop, sim().process("late buyers", Host("afar"), immortal=True)
        late = [Wish(f"key-of-the-late-{n:04}", "finale", ONE, None) for n in range(4)]

        def eager(wish: Wish) -> None:
            for _ in range(4):
                shop.ask_for(wish)
                sim().sleep(sim().rng.random() * 0.3)

        def lose() -> None:
            shop.put("finale", 100)
            backup, told = self.redis.engine.save(), list[Process]()
            shop.when_sold = lambda sold: told.append(here())  # noqa: ARG005
            shop.buy(Wish("key-of-what-is-lost", "finale", ONE, None), insists=True)
            everybody = list(shop.webs)
            shop.webs[:] = [web for web in everybody if web.process not in told]
            for process in told:
                sim().stop(process, int(ASLEEP_SECONDS * 1e6))
            for host in self.pools:
                for process in list(host.processes):
                    if process.name.startswith("worker"):
                        sim().kill(process)
            self.redis.crash(0.01)
            self.redis.engine.load(backup)
            sim().note("Redis has lost the newest sale")
            for wish in late[1:]:
                sim().spawn(people, eager, wish)
            sim().sleep(ASLEEP_SECONDS + FOUND_SECONDS)
            if isinstance(shop.ask_for(late[0]), Sold):
                sim().fail("a Redis that came back older is sold from")
            shop.webs[:] = everybody

        task = sim().spawn(people, lose)
        sim().run(lambda: task not in people.tasks, steps=20_000, seconds=60)


_redises: list[Redis] = []


def topology_of(url: object) -> topology.OneServer:
    """Stand in for the product's: every URL leads to the simulated server."""
    return topology.OneServer({"connection_class": _redises[0].connect})


class WatchedHosts(ManyHosts):
    """The product's, whose workers' commits are looked at."""

    def boot(self, heart: Heart) -> Worker:
        worker = super().boot(heart)
        worker.ledger = WatchedLedger(worker)
        return worker
