"""`make bench`: how many durable sales a second, and what a sale costs, beside an empty Flask view.

In: rivals, rounds, seconds and connections; Debian's `wrk`. Out: tables on the terminal and
reports/bench.json. Rivals take turns within a round, so that a slow minute of the machine hits all.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import msgspec
from msgspec import Struct

from loadtest.gauges import machine, spending, wrk
from loadtest.rivals import (
    CEILING,
    EMBEDDED,
    LEAN,
    LUA,
    ON_REDIS,
    PIPELINED,
    PURCHASE,
    RIVALS,
    Rival,
    tickets_sold,
)
from loadtest.servers import NotReadyError

REPORT = Path("reports", "bench.json")
WARM_UP_SECONDS = 1  # first requests open connections and fill caches
RATIO_MIN = 0.75  # a sale, fsynced, for a third more than a view that does nothing
RATIO_REDIS_MIN = 1.0  # on the same store, a pool and its lock must not cost what they gain
WORKERS_US_MAX = 50.0  # beyond that the pool, and not the web, limits what a host sells
YARDSTICKS = (CEILING, LUA, LEAN, PIPELINED)  # what every rival is set beside
QUIET_PERCENT = 10.0  # more of the machine than that going elsewhere spoils the figures


class Turn(Struct, frozen=True):
    """One rival's turn: what its clients saw, and the processor time that a sale cost it."""

    rival: str
    connections: int
    sales_a_second: float
    refusals: int  # answers other than a sale; they never count as throughput
    errors: int  # answers that did not come
    p50_ms: float
    p99_ms: float
    web_us: float
    workers_us: float
    store_us: float
    rest_us: float
    elsewhere_percent: float  # of the machine, spent neither by the rival nor by wrk

    @property
    def all_us(self) -> float:
        """Processor time of a sale in all processes of the rival, its store's included."""
        return self.web_us + self.workers_us + self.store_us + self.rest_us


class Target(Struct, frozen=True):
    """A figure we hold ourselves to: at least the limit if it is a floor, at most if not."""

    name: str
    rounds: list[float]
    limit: float
    floor: bool

    @property
    def met(self) -> bool:
        """Whether the median keeps to the limit."""
        return (
            (median(self.rounds) >= self.limit)
            if self.floor
            else (median(self.rounds) <= self.limit)
        )

    def __str__(self) -> str:
        """Say it in a line: median, spread, limit."""
        limit = f"at {'least' if self.floor else 'most'} {self.limit:g}"
        return f"{self.name}: {spread(self.rounds)}, {limit}: {'met' if self.met else 'MISSED'}"


class MiscountError(RuntimeError):
    """A rival confirmed more sales than it counts: its figures are worth nothing."""


def main(arguments: list[str] | None = None) -> int:
    """Return 0; 1 if a rival fails, or `--check` finds a target missed; 2 without wrk."""
    options = parse(arguments)
    if shutil.which("wrk") is None:
        print("the benchmark needs wrk: apt-get install wrk", file=sys.stderr)
        return 2
    try:
        turns = [
            play(rival, connections, options.seconds)
            for round_ in range(options.rounds)
            for connections in options.connections
            for rival in in_turn([RIVALS[name] for name in options.rivals], round_)
        ]
    except (MiscountError, NotReadyError) as error:
        print(error, file=sys.stderr)
        return 1
    targets = [
        target for connections in options.connections for target in judge(turns, connections)
    ]
    write_report(turns, targets, options.seconds)
    print(table(turns, targets))
    return 1 if options.check and not all(target.met for target in targets) else 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5, help="of each rival's turn")
    parser.add_argument("--connections", type=int, nargs="+", default=[64])
    parser.add_argument("--rivals", nargs="+", choices=RIVALS, default=list(RIVALS))
    parser.add_argument("--check", action="store_true", help="fail if a target is missed")
    return parser.parse_args(arguments)


def in_turn(rivals: Sequence[Rival], round_: int) -> Sequence[Rival]:
    """Let each round begin with another rival, so that none always follows the same one."""
    first = round_ % len(rivals)
    return [*rivals[first:], *rivals[:first]]


def play(rival: Rival, connections: int, seconds: int) -> Turn:
    """Give a rival, freshly started, its turn."""
    with rival.serve() as server:
        wrk(server.url, PURCHASE, connections, WARM_UP_SECONDS)
        sold_before = tickets_sold(server) if rival.keeps_count else 0
        before = spending(server.pid, server.store_pid)
        seen = wrk(server.url, PURCHASE, connections, seconds)
        spent = spending(server.pid, server.store_pid).since(before)
        if rival.keeps_count and tickets_sold(server) - sold_before < seen.sales:
            raise MiscountError(f"{rival.name} confirmed {seen.sales} sales, and counts fewer")
    us_a_sale = 1e6 / max(seen.sales, 1)
    return Turn(
        rival=rival.name,
        connections=connections,
        sales_a_second=seen.sales / seen.seconds,
        refusals=seen.refusals,
        errors=seen.errors,
        p50_ms=seen.p50_ms,
        p99_ms=seen.p99_ms,
        web_us=spent.web * us_a_sale,
        workers_us=spent.workers * us_a_sale,
        store_us=spent.store * us_a_sale,
        rest_us=spent.rest * us_a_sale,
        elsewhere_percent=100 * spent.elsewhere / seen.seconds / (os.cpu_count() or 1),
    )


def of(turns: Sequence[Turn], rival: Rival, connections: int) -> list[Turn]:
    """Return a rival's turns with so many connections, in the order of the rounds."""
    return [t for t in turns if t.rival == rival.name and t.connections == connections]


def judge(turns: Sequence[Turn], connections: int) -> list[Target]:
    """Hold soldout against the rival of the same round that it is meant for, and our limits."""
    suffix = f"{connections} connections"
    figures = [
        (f"sales beside an empty view, {suffix}", EMBEDDED, CEILING, RATIO_MIN),
        (f"sales on Redis beside Lua without workers, {suffix}", ON_REDIS, LUA, RATIO_REDIS_MIN),
        (
            f"the same beside soldout's web without them, {suffix}",
            ON_REDIS,
            LEAN,
            RATIO_REDIS_MIN,
        ),
    ]
    targets = [
        Target(name, rounds, limit, True)
        for name, ours, theirs, limit in figures
        if (rounds := ratios(turns, ours, theirs, connections))
    ]
    if costs := [turn.workers_us for turn in of(turns, EMBEDDED, connections)]:
        targets.append(Target(f"workers' µs a sale, {suffix}", costs, WORKERS_US_MAX, False))
    return targets


def ratios(
    turns: Sequence[Turn],
    one: Rival,
    other: Rival,
    connections: int,
    field: str = "sales_a_second",
) -> list[float]:
    """Return a figure of one rival for each unit of another's, round by round."""
    pairs = zip(of(turns, one, connections), of(turns, other, connections), strict=False)
    return [getattr(a, field) / max(getattr(b, field), 1e-9) for a, b in pairs]


COLUMNS = {
    "refused": "refusals",
    "errors": "errors",
    "p50 ms": "p50_ms",
    "p99 ms": "p99_ms",
    "web µs": "web_us",
    "workers": "workers_us",
    "store": "store_us",
    "rest": "rest_us",
    "all µs": "all_us",
    "% else": "elsewhere_percent",
}


# Sales are what counts. Processor time says nearly the same, and a busy machine disturbs it less.
BESIDE = {"its sales, beside": "sales_a_second", "its µs, beside": "all_us"}


def table(turns: Sequence[Turn], targets: Sequence[Target]) -> str:
    """Return the machine, medians with the spread of the sales, ratios, and the targets."""
    lines = [f"{key}: {value}" for key, value in machine().items()]
    played = [rival for rival in RIVALS.values() if any(t.rival == rival.name for t in turns)]
    for connections in dict.fromkeys(turn.connections for turn in turns):
        heads = ["sales/s", "least", "most", *COLUMNS]
        lines += ["", f"{connections:>3} connections     " + "".join(f"{h:>9}" for h in heads)]
        lines += [row(rival.name, of(turns, rival, connections)) for rival in played]
        yardsticks = [rival for rival in YARDSTICKS if rival in played]
        for title, field in BESIDE.items():
            lines += ["", f"{title:<20}" + "".join(f"{y.name:>24}" for y in yardsticks)]
            for rival in played:
                told = [spread(ratios(turns, rival, y, connections, field)) for y in yardsticks]
                lines.append(f"{rival.name:<20}" + "".join(f"{text:>24}" for text in told))
    lines += ["", *map(str, targets)]
    if busy := sum(1 for turn in turns if turn.elsewhere_percent > QUIET_PERCENT):
        lines.append(f"in {busy} of {len(turns)} turns other programs were busy: measure again")
    return "\n".join(lines)


def spread(rounds: Sequence[float]) -> str:
    """Say the median, the least and the most."""
    return f"{median(rounds):.2f} ({min(rounds):.2f} to {max(rounds):.2f})"


def row(name: str, turns: Sequence[Turn]) -> str:
    """Return a rival's line."""
    sales = [turn.sales_a_second for turn in turns]
    medians = [median(getattr(turn, field) for turn in turns) for field in COLUMNS.values()]
    return f"{name:<20}" + "".join(
        f"{figure:>9.0f}" if figure >= 100 else f"{figure:>9.1f}"
        for figure in (median(sales), min(sales), max(sales), *medians)
    )


def write_report(turns: Sequence[Turn], targets: Sequence[Target], seconds: int) -> None:
    """Write every turn, for whoever wants to look closer or compare with an earlier day."""
    report = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "seconds_a_turn": seconds,
        "turns": turns,
        "targets": [{**msgspec.structs.asdict(t), "met": t.met} for t in targets],
    }
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_bytes(msgspec.json.format(msgspec.json.encode(report)))


if __name__ == "__main__":
    sys.exit(main())
