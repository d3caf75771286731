"""A turn: one rival, freshly started, under one scenario with so many connections.

In: who plays what for how long. Out: a `Turn` with what its clients saw, and what it cost.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from msgspec import Struct

from loadtest.gauges import Memory, clients_seconds, fsync_ms, peak_memory, spending, wrk
from loadtest.rivals import Rival, batches, tickets_sold
from loadtest.scenarios import Scenario

WARM_UP_SECONDS = 1  # first requests open connections and fill caches


class Turn(Struct, frozen=True):
    """What the clients saw, and what each answer that counts (a sale, mostly) cost the rival."""

    rival: str
    scenario: str
    connections: int
    rate: float  # answers a second, of those that count in the scenario
    refusals: int  # sold out, where that does not count
    errors: int  # answers that did not come, or were neither a sale nor a refusal
    p50_ms: float
    p99_ms: float
    p999_ms: float
    clients_us: float  # wrk's own, on the same processors
    web_us: float
    workers_us: float
    store_us: float
    rest_us: float
    memory_mib: Memory  # the most of each role
    batch: float  # purchases that a worker settled at once, on average; 0 if it cannot be known
    fsync_ms: float  # of the same disk, just after the turn
    elsewhere_percent: float  # of the machine, spent neither by the rival nor by wrk

    @property
    def all_us(self) -> float:
        """Processor time of an answer in all processes of the rival, its store's included."""
        return self.web_us + self.workers_us + self.store_us + self.rest_us


class MiscountError(RuntimeError):
    """A rival confirmed more sales than it counts: its figures are worth nothing."""


def play(rival: Rival, scenario: Scenario, connections: int, seconds: int) -> Turn:
    """Give a rival, freshly started, its turn. Raises MiscountError, NotReadyError."""
    with rival.serve(scenario.on_sale) as server:
        family = (server.pid, server.store_pids)
        target = (f"{server.url}{scenario.path}", scenario.body, connections)
        wrk(*target, WARM_UP_SECONDS, scenario.settings)
        sold_before = tickets_sold(server) if rival.keeps_count else 0
        settled_before, batches_before = batches(server) if server.admin_key else (0, 0)
        with peak_memory(*family) as most:
            before, clients_before = spending(*family), clients_seconds()
            seen = wrk(*target, seconds, scenario.settings)
            spent = spending(*family).since(before)
            clients = clients_seconds() - clients_before
        settled, in_batches = batches(server) if server.admin_key else (0, 0)
        if rival.keeps_count and tickets_sold(server) - sold_before < seen.sales:
            raise MiscountError(f"{rival.name} confirmed {seen.sales} sales, and counts fewer")
    counted = scenario.count(seen)
    us_each = 1e6 / max(counted, 1)
    return Turn(
        rival=rival.name,
        scenario=scenario.name,
        connections=connections,
        rate=counted / seen.seconds,
        refusals=0 if "refusals" in scenario.counted else seen.refusals,
        errors=seen.errors,
        p50_ms=seen.p50_ms,
        p99_ms=seen.p99_ms,
        p999_ms=seen.p999_ms,
        clients_us=clients * us_each,
        web_us=spent.web * us_each,
        workers_us=spent.workers * us_each,
        store_us=spent.store * us_each,
        rest_us=spent.rest * us_each,
        memory_mib=most,
        batch=(settled - settled_before) / max(in_batches - batches_before, 1),
        fsync_ms=fsync_ms(),
        elsewhere_percent=100 * spent.elsewhere / seen.seconds / (os.cpu_count() or 1),
    )


def of(turns: Sequence[Turn], rival: Rival, connections: int, scenario: str = "sale") -> list[Turn]:
    """Return a rival's turns of one kind, in the order of the rounds."""
    kind = (rival.name, connections, scenario)
    return [turn for turn in turns if (turn.rival, turn.connections, turn.scenario) == kind]


def ratios(ours: Sequence[Turn], theirs: Sequence[Turn], field: str = "rate") -> list[float]:
    """Return a figure of one rival for each unit of another's, round by round."""
    pairs = zip(ours, theirs, strict=False)
    return [getattr(a, field) / max(getattr(b, field), 1e-9) for a, b in pairs]
