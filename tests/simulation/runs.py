"""One run: from a seed to a verdict."""

from __future__ import annotations

import os
import shutil
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

import msgspec

from service.client import patience
from tests.simulation import disk
from tests.simulation.many_hosts import ManyHostsWorld
from tests.simulation.one_host import OneHostWorld
from tests.simulation.planted import PLANTS
from tests.simulation.planting import planted
from tests.simulation.redis_model import RedisModel
from tests.simulation.redis_real import RealRedis
from tests.simulation.redis_wire import Engine
from tests.simulation.scheduler import Host, Simulation, Stuck, begin, sim
from tests.simulation.shop import Shop, Wish
from tests.simulation.stand_ins import in_place
from workers.domain import Item
from workers.settings import Settings

LEDGERS: Final = ("sqlite", "redis", "model")
STEPS_MAX: Final = 60_000
SECONDS_MAX: Final = 400.0
CALM_SECONDS: Final = 60.0  # after the faults, until everybody must be settled


@dataclass
class Verdict:
    """What came of one run."""

    seed: int
    ledger: str
    failures: list[str] = field(default_factory=list)
    trace: str = ""
    steps: int = 0
    sales: int = 0
    replays: int = 0
    deaths: int = 0
    power_failures: int = 0
    seconds: float = 0.0  # simulated

    def in_words(self) -> str:
        """Say what failed, and how to see it again."""
        return (
            f"seed {self.seed} on {self.ledger}: {self.failures[0][:1_000]}\n"
            f"  replay: make simulate SEED={self.seed} LEDGER={self.ledger}"
        )


class Runner:
    """Runs seeds: with the stand-ins in place, and a Redis if one is wanted. A `with` block."""

    def __init__(self, plant: str | None = None) -> None:
        self._plant = plant
        self._stack = ExitStack()
        self._engines: dict[str, Engine | None] = {"sqlite": None}

    def __enter__(self) -> Self:
        self._stack.enter_context(in_place())
        for plant in PLANTS:
            if plant.name == self._plant:
                self._stack.enter_context(planted(plant))
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()
        shutil.rmtree(_folder(), ignore_errors=True)

    def run(self, ledger: str, seed: int, tell: Callable[[str], None] | None = None) -> Verdict:
        """Run one seed on `sqlite`, on a real `redis` or on its `model`."""
        if ledger not in self._engines:
            if ledger == "redis":
                self._engines[ledger] = self._stack.enter_context(RealRedis())
            else:
                self._engines[ledger] = RedisModel()
        verdict = run(seed, tell, self._engines[ledger])
        verdict.ledger = ledger
        return verdict


def run(
    seed: int, tell: Callable[[str], None] | None = None, engine: Engine | None = None
) -> Verdict:
    """Run one seed: on one host or, with an engine for Redis, on many."""
    simulation = Simulation(seed, tell)
    begin(simulation)
    try:
        sale = Sale(engine)
    except BaseException:
        simulation.end()
        raise
    try:
        sale.run()
    except Stuck as stuck:
        simulation.fail(f"stuck: {stuck}")
        simulation.end()
    except Exception as error:
        simulation.fail(f"the end of the run: {type(error).__name__}: {error}")
        simulation.note(traceback.format_exc())
        simulation.end()
    world = sale.world
    return Verdict(
        seed,
        "",
        simulation.failures,
        simulation.trace,
        simulation.steps,
        sale.shop.sold,
        sale.shop.replays,
        simulation.deaths,
        world.power_failures,
        simulation.now_us / 1e6,
    )


class Sale:
    """A short sale under faults, which then stop; and what must hold in the end."""

    def __init__(self, engine: Engine | None) -> None:
        rng = sim().rng
        self.rng = rng
        patience.Patience._random = rng  # type: ignore[assignment]
        shards = rng.choice((1, 1, 2)) if engine else 1
        settings = msgspec.convert(
            {
                "data_dir": str(_folder()),
                "workers": max(shards, rng.choice((1, 2, 2, 3))),
                "web_processes": rng.choice((1, 1, 2)),
                "wait_seconds": rng.choice((0.1, 0.5, 2.0)),
                "deadline_seconds": rng.choice((0.2, 1.0, 5.0)),
                "batch_max": rng.choice((1, 3, 512)),
                "max_in_flight": rng.choice((3, 100)),
                "lock": "redis" if engine else "process",
                "lock_ttl_ms": rng.choice((100, 500, 2_000)),
                "shards": shards,
            },
            Settings,
        )
        sim().folder = settings.data_dir
        self.shop = Shop(settings)
        self.world: OneHostWorld | ManyHostsWorld
        if engine is None:
            self.world = OneHostWorld(self.shop)
        else:
            self.world = ManyHostsWorld(self.shop, engine)
        self.people = sim().process("buyers", Host("elsewhere"), immortal=True)
        self.calm = False
        self.put = False

    def run(self) -> None:
        """Sell, with faults and then without; check."""
        self.world.boot()
        sim().spawn(self.people, self._sell)
        fault_seconds = self.rng.choice((0.5, 2.0, 6.0))
        self._begin_faults(fault_seconds)
        sim().run(lambda: sim().now_us > fault_seconds * 1e6, steps=STEPS_MAX, seconds=SECONDS_MAX)
        self._end_faults()
        done = lambda: self.calm and self.shop.under_way == 0 and self.world.up  # noqa: E731
        sim().run(done, steps=STEPS_MAX, seconds=CALM_SECONDS)
        if not sim().failures:
            self._sell_one_more()
            self.world.check()
        else:
            sim().end()

    # --- buyers ---

    def _sell(self) -> None:
        rng = self.rng
        self.shop.under_way += 1
        self.shop.put("gala", rng.choice((3, 8, 20)), max_per_buyer=rng.choice((None, None, 3)))
        for number in range(rng.choice((4, 8, 16))):
            sim().spawn(self.people, self._buyer, number)
            sim().sleep(rng.choice((0.0, 0.001, 0.02, 0.3)))
        if rng.random() < 0.5:
            sim().spawn(self.people, self._administrator)
        self.shop.under_way -= 1

    def _buyer(self, number: int) -> None:
        rng = self.rng
        wishes = []
        for nth in range(rng.choice((1, 1, 3))):
            buyer = rng.choice(("ann", "bob", f"buyer-{number}"))
            items = [Item(None, rng.choice((1, 1, 2)))]
            wish = Wish(f"key-of-buyer-{number:04}-{nth:04}", "gala", items, buyer)
            wishes.append(wish)
            self.shop.buy(wish, gives_up=rng.random() < 0.3)
            sim().sleep(rng.choice((0.0, 0.01, 0.2)))
        if not wishes[-1].gone and rng.random() < 0.5:
            self.shop.buy_again(rng.choice([wish for wish in wishes if not wish.gone]))

    def _administrator(self) -> None:
        rng, shop = self.rng, self.shop
        for _ in range(rng.choice((1, 3))):
            sim().sleep(rng.random())
            orders = [wish.order for wish in shop.wishes if wish.order is not None]
            match rng.choice(("cancel", "cancel", "put", "pause")):
                case "cancel" if orders:
                    shop.cancel(rng.choice(orders))
                case "put":
                    shop.put("gala", rng.choice((5, 10, 30)), max_per_buyer=rng.choice((None, 4)))
                case "pause":
                    shop.switch("gala", "paused")
                    sim().sleep(rng.random() * 0.3)
                    shop.switch("gala", "open")

    def _put_again(self) -> None:
        """Be somebody who finds a Redis empty, and knows nothing of what was there."""
        sim().spawn(self.people, self.shop.put, "gala", 20)

    def _sell_one_more(self) -> None:
        """The service works: a new event can be sold."""
        wish = Wish("key-of-the-last-one", "encore", [Item(None, 1)], None)

        def last() -> None:
            self.shop.put("encore", 1)
            if self.rng.random() < 0.2:
                self.world.die_at_next_fsync()
            self.shop.buy(wish, insists=True)

        task = sim().spawn(self.people, last)
        gone = lambda: task not in self.people.tasks  # noqa: E731
        sim().run(gone, steps=STEPS_MAX, seconds=CALM_SECONDS)
        if wish.order is None:
            sim().fail(f"the last one could not buy: {wish.refused}")

    # --- faults ---

    def _begin_faults(self, seconds: float) -> None:
        """Draw which faults this run has, and how many: few kinds at once show more."""
        rng, world, wire = self.rng, self.world, self.shop.wire

        storm = rng.random() < 0.15

        def drawn(*rates: float) -> float:
            return rng.choice(rates) if storm or rng.random() < 0.4 else 0.0

        sim().kill_chance = drawn(0.0005, 0.003, 0.01)
        sim().stop_chance = drawn(0.0003, 0.001, 0.003)
        wire.lost_chance = drawn(0.05, 0.3)
        wire.doubled_chance = drawn(0.1, 0.5)
        wire.slow_chance = drawn(0.05, 0.3)
        world.draw_faults(seconds, drawn, self._put_again)

    def _end_faults(self) -> None:
        sim().note("calm")
        sim().kill_chance = sim().stop_chance = 0.0
        wire, world = self.shop.wire, self.world
        wire.lost_chance = wire.doubled_chance = wire.slow_chance = 0.0
        world.end_faults()
        self.calm = True


def _folder() -> Path:
    """Return where this process's simulated hosts have their files."""
    return disk.directory() / f"soldout-simulation-{os.getpid()}"
