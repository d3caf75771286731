"""What happened between two moments of a host: rates and quantiles, from its counters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from service.client import Distribution, Now, Worker

SOLD, AGAIN, UNKNOWN = "sold", "replayed", "pending"  # all other outcomes are refusals


class Between(NamedTuple):
    """Two answers of the same start of the same host, some time apart."""

    earlier: Now
    later: Now

    @property
    def seconds(self) -> float:
        """Return how far they are apart."""
        return (self.later.clock_ms - self.earlier.clock_ms) / 1000

    def per_second(self, *outcomes: str) -> float:
        """Return how many purchases a second came to these outcomes."""
        return sum(map(self._grown, outcomes)) / self.seconds

    def refused_per_second(self) -> float:
        """Return how many purchases a second were refused, for whatever reason."""
        outcomes = self.later.this_host.purchases
        return self.per_second(*(o for o in outcomes if o not in (SOLD, AGAIN, UNKNOWN)))

    def quantile(self, name: str, share: float) -> float | None:
        """Return below what a share of a distribution's new values lies; None if there is none."""
        return quantile(*self._distributions(name), share)

    def mean(self, name: str) -> float | None:
        """Return the mean of a distribution's new values; None if there is none."""
        before, after = self._distributions(name)
        new = after.count - before.count
        return (after.sum - before.sum) / new if new > 0 else None

    def worker_per_second(self, worker: Worker) -> float:
        """Return how many purchases a second a worker settled."""
        for known in self.earlier.workers:
            if (known.host, known.pid, known.worker) == (worker.host, worker.pid, worker.worker):
                return (worker.purchases - known.purchases) / self.seconds
        return 0.0

    def ledger_failed(self) -> bool:
        """Say whether the ledger failed somebody."""
        return self.earlier.this_host.ledger_faults != self.later.this_host.ledger_faults

    def _grown(self, outcome: str) -> int:
        purchases = self.earlier.this_host.purchases
        return self.later.this_host.purchases.get(outcome, 0) - purchases.get(outcome, 0)

    def _distributions(self, name: str) -> tuple[Distribution, Distribution]:
        return getattr(self.earlier.this_host, name), getattr(self.later.this_host, name)


def between(earlier: Now | None, later: Now) -> Between | None:
    """Put two answers together, if they can be compared."""
    if earlier is None or earlier.clock_ms >= later.clock_ms:
        return None
    same = earlier.this_host.started_at == later.this_host.started_at
    return Between(earlier, later) if same else None


def quantile(before: Distribution, after: Distribution, share: float) -> float | None:
    """Return below what a share of the values lies that came in between, by even steps in a range.

    What lies above the last bound counts as that bound.
    """
    new = [now - then for now, then in zip(after.counts, before.counts, strict=True)]
    wanted = share * sum(new)
    if not sum(new):
        return None
    return _walk(new, after.bounds, wanted)


def _walk(counts: Iterable[int], bounds: tuple[float, ...], wanted: float) -> float:
    seen, low = 0, 0.0
    for count, high in zip(counts, bounds, strict=False):
        if count and seen + count >= wanted:
            return low + (high - low) * (wanted - seen) / count
        seen, low = seen + count, high
    return bounds[-1]
