"""`make growth`: what a sale costs in a full ledger, with many events, connections and workers.

In: how many orders, rounds, seconds and minutes; Debian's `wrk`; `tests/fill_ledger.py`, which is
started as a program of its own, since the load test knows nothing of the workers. Out: a table on
the terminal, and reports/growth.json. What is compared takes turns.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median

import msgspec
import redis
from msgspec import Struct

from loadtest.gauges import machine, memory, wrk
from loadtest.rivals import EMBEDDED, ON_REDIS, WEB_PROCESSES, Rival, tickets_sold
from loadtest.scenarios import EVENT, PLENTY, SALE, Scenario, purchase
from loadtest.servers import Server, soldout
from loadtest.targets import spread
from loadtest.turns import Turn, play, ratios

REPORT = Path("reports", "growth.json")
FEW_ORDERS = 1_000
MANY_EVENTS = 1_000
CROWD = 64
CONNECTIONS = (1, 16, 64, 256)
WORKERS = (1, 2, 3, 4)
SLICE_SECONDS = 10
COST_MAX = 1.15  # of a sale in a full ledger, for each unit of its cost in an empty one
DISK_BYTES_MAX = 400
REDIS_BYTES_MAX = 500
RANDOM_KEYS = replace(SALE, settings={"WRK_KEYS": "random"})


class Figure(Struct, frozen=True):
    """One line of the table; `limit` is the most that it may be."""

    name: str
    rounds: list[float]
    unit: str = ""
    limit: float | None = None

    @property
    def met(self) -> bool:
        """Whether the median keeps to the limit, if there is one."""
        return self.limit is None or median(self.rounds) <= self.limit

    def __str__(self) -> str:
        """Say it in a line."""
        verdict = "" if self.limit is None else f"  at most {self.limit:g}: "
        verdict += "" if self.limit is None else "met" if self.met else "MISSED"
        return f"{self.name:<58}{spread(self.rounds):>32} {self.unit}{verdict}"


# --- servers on ledgers that were filled ----------------------------------------------------------


def fill(data_dir: Path, orders: int, events: int = 1, keys: str = "ordered") -> None:
    """Have a ledger with so many orders made."""
    command = [sys.executable, "-m", "tests.fill_ledger", "--data-dir", str(data_dir)]
    command += ["--orders", str(orders), "--events", str(events), "--keys", keys]
    subprocess.run(command, check=True)


@contextmanager
def on(data_dir: Path, **settings: object) -> Iterator[Server]:
    """Serve soldout from a data directory that is there."""
    with soldout(data_dir=data_dir, web_processes=WEB_PROCESSES, **settings) as server:
        yield server


def turn(
    data_dir: Path,
    seconds: int,
    connections: int = CROWD,
    scenario: Scenario = SALE,
    **settings: object,
) -> Turn:
    """Let soldout sell from a ledger for so long."""
    rival = Rival(EMBEDDED.name, lambda _on_sale: on(data_dir, **settings))
    return play(rival, scenario, connections, seconds)


@contextmanager
def filled(orders: int, events: int = 1, keys: str = "ordered") -> Iterator[Path]:
    """Make a ledger for a `with` block."""
    with tempfile.TemporaryDirectory(prefix="soldout-growth-") as folder:
        fill(Path(folder), orders, events, keys)
        yield Path(folder)


# --- the parts ------------------------------------------------------------------------------------


def orders(options: argparse.Namespace, keys: str) -> Iterator[Figure]:
    """Compare a ledger that is nearly empty with one that is full, in turns."""
    scenario = SALE if keys == "ordered" else RANDOM_KEYS
    few: list[Turn] = []
    many: list[Turn] = []
    with filled(options.orders, 1, keys) as full:
        size = (full / "ledger.db").stat().st_size
        for _ in range(options.rounds):
            with filled(FEW_ORDERS, 1, keys) as fresh:
                few.append(turn(fresh, options.seconds, CROWD, scenario))
            many.append(turn(full, options.seconds, CROWD, scenario))
        restarts = [restart_seconds(full) for _ in range(options.rounds)]
    what = f"{options.orders:,} orders, keys {keys}"
    yield Figure(f"disk, {what}", [size / options.orders], "bytes an order", DISK_BYTES_MAX)
    yield Figure(f"restart, {what}", restarts, "s")
    yield from compared(f"{what}, beside {FEW_ORDERS:,}", many, few, COST_MAX)


def events(options: argparse.Namespace) -> Iterator[Figure]:
    """Compare one event with many, in turns."""
    body = purchase(f"{EVENT}::{MANY_EVENTS}")
    on_sale = {f"{EVENT}-{number}": PLENTY for number in range(MANY_EVENTS)}
    scenario = Scenario("sale", f"{MANY_EVENTS} events, in turn", on_sale, body=body)
    one, many = [], []
    with filled(FEW_ORDERS) as single, filled(MANY_EVENTS, MANY_EVENTS) as several:
        for _ in range(options.rounds):
            one.append(turn(single, options.seconds))
            many.append(turn(several, options.seconds, scenario=scenario))
    yield from compared(f"{MANY_EVENTS:,} events, beside one", many, one)


def compared(
    name: str, these: list[Turn], those: list[Turn], limit: float | None = None
) -> Iterator[Figure]:
    """Say what the turns of both kinds came to, and what one kind came to for each of the other."""
    yield Figure(f"workers' CPU: {name}", [t.workers_us for t in these], "µs a sale")
    yield Figure("  of that beside it", [t.workers_us for t in those], "µs a sale")
    yield Figure("  the one for each of the other", ratios(these, those, "workers_us"), "", limit)
    yield Figure("  sales a second", [t.rate for t in these])
    yield Figure("  the one for each of the other", ratios(these, those))
    busy = [t.elsewhere_percent for t in (*these, *those)]
    yield Figure("  the machine's processors, busy with other programs", busy, "%")


def connections(options: argparse.Namespace) -> Iterator[Figure]:
    """Show sales, batches and cost with a growing crowd."""
    ways = {f"{n} connections": partial(turn, connections=n) for n in CONNECTIONS}
    yield from series(options, ways)


def workers(options: argparse.Namespace) -> Iterator[Figure]:
    """Show sales, batches and cost with more workers."""
    ways = {f"{n} workers": partial(turn, workers=n) for n in WORKERS}
    yield from series(options, ways)


def series(
    options: argparse.Namespace, ways: Mapping[str, Callable[[Path, int], Turn]]
) -> Iterator[Figure]:
    """Let several ways take turns, each time from a new ledger, and say what they came to."""
    played: dict[str, list[Turn]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, way in ways.items():
            with filled(FEW_ORDERS) as folder:
                played[name].append(way(folder, options.seconds))
    for name, turns in played.items():
        yield Figure(f"{name}: sales a second", [t.rate for t in turns])
        yield Figure("  sales in a batch", [t.batch for t in turns])
        yield Figure("  workers' CPU", [t.workers_us for t in turns], "µs a sale")
        yield Figure("  web's CPU", [t.web_us for t in turns], "µs a sale")
        yield Figure("  p50", [t.p50_ms for t in turns], "ms")
        yield Figure("  p99", [t.p99_ms for t in turns], "ms")
        yield Figure("  a sync of this disk", [t.fsync_ms for t in turns], "ms")


def minutes(options: argparse.Namespace) -> Iterator[Figure]:
    """Sell for minutes; compare the last third with the first."""
    slices: list[dict[str, float]] = []
    with filled(FEW_ORDERS) as folder, on(folder) as server:
        limit = time.monotonic() + 60 * options.minutes
        while len(slices) < 3 or time.monotonic() < limit:
            seen = wrk(f"{server.url}/buy", SALE.body, CROWD, options.slice_seconds)
            held = memory(server.pid)
            wal = folder / "ledger.db-wal"
            slices.append(
                {
                    "sales a second": seen.sales / seen.seconds,
                    "p50, ms": seen.p50_ms,
                    "p99, ms": seen.p99_ms,
                    "web's memory, MiB": held.web,
                    "workers' memory, MiB": held.workers,
                    "WAL, MiB": wal.stat().st_size / 2**20,
                }
            )
    third = len(slices) // 3
    for name in slices[0]:
        figures = [each[name] for each in slices]
        yield Figure(f"over {options.minutes:g} minutes: {name}, at first", figures[:third])
        yield Figure("  in the end", figures[-third:])


def redis_memory(options: argparse.Namespace) -> Iterator[Figure]:
    """Sell on Redis for a while; say what its memory grew by with each order."""
    seconds = options.seconds * options.rounds
    with ON_REDIS.serve(SALE.on_sale) as server, redis.Redis.from_url(server.store_url) as client:
        wrk(f"{server.url}/buy", SALE.body, CROWD, 1)
        before, sold = used(client), tickets_sold(server)
        wrk(f"{server.url}/buy", SALE.body, CROWD, seconds)
        grown, sold = used(client) - before, tickets_sold(server) - sold
    name = f"Redis' memory, {sold:,} orders with a buyer"
    yield Figure(name, [grown / max(sold, 1)], "bytes an order", REDIS_BYTES_MAX)


def used(client: redis.Redis) -> int:
    """Return the bytes that Redis holds."""
    told: Mapping[str, int] = client.info("memory")
    return told["used_memory"]


def restart_seconds(data_dir: Path) -> float:
    """Return how long soldout takes until it is ready to sell from a ledger."""
    started = time.monotonic()
    with on(data_dir):
        return time.monotonic() - started


Part = Callable[[argparse.Namespace], Iterator[Figure]]
PARTS: dict[str, Part] = {
    "orders": partial(orders, keys="ordered"),
    "random-keys": partial(orders, keys="random"),
    "events": events,
    "connections": connections,
    "workers": workers,
    "minutes": minutes,
    "redis": redis_memory,
}


def main(arguments: list[str] | None = None) -> int:
    """Return 0; 1 if `--check` finds a limit broken; 2 without wrk."""
    options = parse(arguments)
    if shutil.which("wrk") is None:
        print("the benchmark needs wrk: apt-get install wrk", file=sys.stderr)
        return 2
    figures: list[Figure] = []
    for name in options.parts:
        print(f"\n{name}")
        for figure in PARTS[name](options):
            figures.append(figure)
            print(figure, flush=True)
    write_report(figures)
    return 1 if options.check and not all(figure.met for figure in figures) else 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.growth", description=__doc__)
    parser.add_argument("--orders", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5, help="of each turn")
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--slice-seconds", type=int, default=SLICE_SECONDS)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--check", action="store_true", help="fail if a limit is broken")
    return parser.parse_args(arguments)


def write_report(figures: list[Figure]) -> None:
    """Write every figure of every round."""
    report = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "figures": [{**msgspec.structs.asdict(f), "met": f.met} for f in figures],
    }
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_bytes(msgspec.json.format(msgspec.json.encode(report)))


if __name__ == "__main__":
    sys.exit(main())
