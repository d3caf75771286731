"""A small queueing model of soldout, and how far it is from what was measured.

In: reports/bench.json, with turns of a few crowds. Out: what a batch and a sale cost in each part,
and for each crowd the sales a second and the batch that the model expects, beside the measured:

    make bench ARGS="--connections 1 16 64 256 --rivals soldout soldout_redis"
    .venv/bin/python -m loadtest.capacity

It is operational analysis (Denning and Buzen, 1978): with so many clients of which each waits for
its answer, the rate is bounded by the crowd, by the processors, and by the lock, which one batch at
a time holds. Costs come from processor times and from the disk; measured rates are never an input.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Final

import msgspec
from msgspec import Struct

from loadtest.rivals import EMBEDDED, ON_REDIS, WEB_PROCESSES
from loadtest.turns import Turn

REPORT: Final = Path("reports", "bench.json")
BATCH_MAX: Final = 512  # soldout's own default
FRAME_FULL: Final = 64  # purchases with which a web process waits for no lull any more
ROUNDS: Final = 200  # of the search for the point where rate and batch agree


class Cost(Struct, frozen=True):
    """Microseconds: `batch` of a batch whatever its size, `sale` of each sale in it."""

    batch: float
    sale: float

    def of(self, size: float) -> float:
        """Return what a batch of so many costs."""
        return self.batch + self.sale * size

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.batch + other.batch, self.sale + other.sale)


class Costs(Struct, frozen=True):
    """What each part spends. `workers` holds the lock while it does, Redis' part included."""

    clients: Cost
    web: Cost
    workers: Cost
    sync_us: float  # the disk's part of a batch, during which processors are free


class Forecast(Struct, frozen=True):
    """What is to be expected, and what bounds it."""

    sales_a_second: float
    batch: float
    bound: str


def forecast(
    costs: Costs, connections: int, cores: float, web_processes: int = WEB_PROCESSES
) -> Forecast:
    """Return what so many clients, each waiting for its answer, will see.

    A batch is what comes while the last one is settled. Where the processors are the bound, what
    comes gathers in the web processes instead: then one group is being settled and one is being
    made ready in each of them, up to the size with which a group leaves at once.
    """
    spent = costs.clients + costs.web + costs.workers
    most = float(min(connections, BATCH_MAX))
    batch, found = 1.0, Forecast(0.0, 1.0, "crowd")
    for _ in range(ROUNDS):
        holds_us = costs.workers.of(batch) + costs.sync_us
        bounds = {
            "crowd": connections / ((costs.clients + costs.web).of(1) + holds_us),
            "processors": cores * batch / spent.of(batch),
            "lock": most / (costs.workers.of(most) + costs.sync_us),
        }
        bound = min(bounds, key=lambda name: bounds[name])
        wanted = bounds[bound] * holds_us
        if bound == "processors":
            wanted = max(wanted, min(connections / (web_processes + 1), FRAME_FULL))
        batch += (min(max(wanted, 1.0), most) - batch) / 2
        found = Forecast(bounds[bound] * 1e6, batch, bound)
    return found


# --- what the parts cost --------------------------------------------------------------------------


def fit(turns: Sequence[Turn]) -> Costs:
    """Find the costs of batch and sale that turns with batches of several sizes have in common."""
    return Costs(
        clients=_fit(turns, lambda turn: turn.clients_us),
        web=_fit(turns, lambda turn: turn.web_us),
        workers=_fit(turns, lambda turn: turn.workers_us + turn.store_us),
        sync_us=1e3 * median(turn.fsync_ms for turn in turns),
    )


def _fit(turns: Sequence[Turn], us_a_sale: Callable[[Turn], float]) -> Cost:
    """Least squares of `us_a_sale = batch_us / size + sale_us`; neither is less than nothing."""
    points = [(1 / turn.batch, us_a_sale(turn)) for turn in turns]
    mean_x, mean_y = fmean(x for x, _ in points), fmean(y for _, y in points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0
    slope = min(max(slope, 0.0), mean_y / mean_x)
    return Cost(slope, mean_y - slope * mean_x)


def compare(turns: Sequence[Turn], cores: float) -> list[str]:
    """Set forecasts beside what was measured, for one rival."""
    costs = fit(turns)
    lines = [turns[0].rival]
    for name in ("clients", "web", "workers"):
        part: Cost = getattr(costs, name)
        lines.append(f"  {name:<8} {part.batch:7.0f} µs a batch  {part.sale:5.0f} µs a sale")
    lines.append(f"  sync     {costs.sync_us:7.0f} µs a batch")
    for connections in sorted({turn.connections for turn in turns}):
        seen = [turn for turn in turns if turn.connections == connections]
        busy = median(turn.elsewhere_percent for turn in seen) / 100
        expected = forecast(costs, connections, cores * (1 - busy))
        rate, batch = median(t.rate for t in seen), median(t.batch for t in seen)
        lines.append(
            f"  {connections:>4} connections: {expected.sales_a_second:6.0f} sales a second"
            f" expected, {rate:6.0f} measured ({expected.sales_a_second / max(rate, 1):4.2f});"
            f" batches of {expected.batch:5.1f} and {batch:5.1f}; bound by {expected.bound}"
        )
    return lines


class Report(Struct):
    """What is read of the benchmark's report."""

    machine: dict[str, str]
    turns: list[Turn]


def main(path: Path = REPORT) -> int:
    """Compare both kinds of soldout with the model; 2 if there is nothing to compare."""
    if not path.exists():
        print(f"no {path}: run the benchmark first", file=sys.stderr)
        return 2
    report = msgspec.json.decode(path.read_bytes(), type=Report)
    cores = float(report.machine["cores"])
    for rival in (EMBEDDED, ON_REDIS):
        turns = [t for t in report.turns if (t.rival, t.scenario) == (rival.name, "sale")]
        if turns:
            print("\n".join(compare(turns, cores)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
